//! Times of [`Svm`] beside scikit-learn's `SVC` on the same rows in one run, and how many predictions are the same.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::classify::svm::{Kernel, Svm, SvmConfig, SvmError, balance};
use crate::data::stream;
use crate::table::{FeatureTable, TableError};

/// scikit-learn's side.
const SCRIPT: &str = include_str!("svm_rival.py");

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchSvmError {
    /// The machine cannot be trained.
    #[error(transparent)]
    Svm(#[from] SvmError),
    /// A feature table cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A table with too few rows.
    #[error("{path}: {rows} labelled rows are too few, a benchmark needs 20")]
    Rows {
        /// The table.
        path: PathBuf,
        /// Its labelled rows.
        rows: usize,
    },
    /// Files for Python cannot be written.
    #[error("writing rows for Python to the temporary folder: {0}")]
    Files(#[source] std::io::Error),
    /// Python cannot be started.
    #[error("{python}: {source}; name an interpreter that has scikit-learn with --python")]
    Start {
        /// What was to be run.
        python: PathBuf,
        /// Why it was not.
        source: std::io::Error,
    },
    /// Python failed.
    #[error("{python} failed: {message}")]
    Python {
        /// The interpreter.
        python: PathBuf,
        /// Its last words.
        message: String,
    },
}

/// One comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// What was trained on what.
    pub case: String,
    /// Training rows.
    pub train_rows: usize,
    /// Rows predicted.
    pub test_rows: usize,
    /// Features.
    pub width: usize,
    /// C.
    pub c: f64,
    /// γ; none for a linear kernel.
    pub gamma: Option<f64>,
    /// Median seconds of `Svm::fit`.
    pub fit_s: f64,
    /// Median seconds of `Svm::predict`.
    pub predict_s: f64,
    /// Share of right predictions.
    pub accuracy: f64,
    /// Support vectors.
    pub support_vectors: usize,
    /// The same figures of scikit-learn.
    pub sklearn: Option<SklearnLine>,
}

/// scikit-learn's figures.
#[derive(Clone, Debug, Serialize)]
pub struct SklearnLine {
    /// Version of scikit-learn.
    pub version: String,
    /// Median seconds of `fit`.
    pub fit_s: f64,
    /// Median seconds of `predict`.
    pub predict_s: f64,
    /// Share of right predictions.
    pub accuracy: f64,
    /// Support vectors.
    pub support_vectors: usize,
    /// Predictions that are the same.
    pub agree: usize,
}

/// Rows and settings of one comparison.
struct Case {
    name: String,
    width: usize,
    train: Vec<f32>,
    class: Vec<usize>,
    weight: Vec<f64>,
    test: Vec<f32>,
    truth: Vec<usize>,
    classes: usize,
    kernel: Kernel,
    c: f64,
    balanced: bool,
}

/// Rows of Gaussian clusters, two for each of four classes, [rows, width] and class.
///
/// Classes overlap; they are equally frequent unless `skewed`.
pub fn clusters(seed: u64, rows: usize, width: usize, skewed: bool) -> (Vec<f32>, Vec<usize>) {
    let mut rng = stream(seed, "svm clusters", width);
    let spread = 1.6 / (width as f32).sqrt();
    let centres: Vec<f32> = (0..8 * width)
        .map(|_| {
            let z: f32 = StandardNormal.sample(&mut rng);
            spread * z
        })
        .collect();
    let (mut x, mut class) = (Vec::with_capacity(rows * width), Vec::new());
    for i in 0..rows {
        let c = if skewed {
            [0, 0, 0, 0, 1, 1, 2, 3, 3, 3][i % 10]
        } else {
            i % 4
        };
        let cluster = 2 * c + rng.random_range(0..2usize);
        for centre in &centres[cluster * width..(cluster + 1) * width] {
            let z: f32 = StandardNormal.sample(&mut rng);
            x.push(centre + 0.6 * z);
        }
        class.push(c);
    }
    (x, class)
}

fn generated() -> Vec<Case> {
    let (width, train, test) = (25, 4400, 1100);
    let mut out = Vec::new();
    let rbf = |gamma| Kernel::Rbf { gamma };
    for (name, kernel, c, skewed, balanced, weighted) in [
        ("RBF", rbf(0.04), 1.0, false, false, false),
        ("RBF", rbf(0.1), 10.0, false, false, false),
        ("linear", Kernel::Linear, 1.0, false, false, false),
        ("RBF, balanced", rbf(0.1), 10.0, true, true, false),
        ("RBF, row weights", rbf(0.1), 10.0, false, false, true),
        (
            "linear, balanced, row weights",
            Kernel::Linear,
            1.0,
            true,
            true,
            true,
        ),
    ] {
        let (x, class) = clusters(1, train + test, width, skewed);
        let mut rng = stream(1, "svm weights", 0);
        let weight = |_| {
            if weighted {
                rng.random_range(0.05..1.0)
            } else {
                1.0
            }
        };
        out.push(Case {
            name: format!("clusters, {name}"),
            width,
            train: x[..train * width].to_vec(),
            class: class[..train].to_vec(),
            weight: (0..train).map(weight).collect(),
            test: x[train * width..].to_vec(),
            truth: class[train..].to_vec(),
            classes: 4,
            kernel,
            c,
            balanced,
        });
    }
    out
}

/// Every fifth row is for testing; features are standardised by the training rows.
fn from_table(path: &Path) -> Result<Vec<Case>, BenchSvmError> {
    let table = FeatureTable::read(path)?;
    let width = table.names.len();
    let labels = table.labels();
    let labelled = table.meta.iter().enumerate().filter_map(|(i, meta)| {
        let class = labels.iter().position(|l| *l == meta.emotion)?;
        Some((table.row(i), class))
    });
    let (mut train, mut test) = (Vec::new(), Vec::new());
    let (mut class, mut truth) = (Vec::new(), Vec::new());
    for (k, (row, c)) in labelled.enumerate() {
        let (x, y) = if k % 5 == 4 {
            (&mut test, &mut truth)
        } else {
            (&mut train, &mut class)
        };
        x.extend_from_slice(row);
        y.push(c);
    }
    if class.len() + truth.len() < 20 {
        return Err(BenchSvmError::Rows {
            path: path.to_path_buf(),
            rows: class.len() + truth.len(),
        });
    }
    standardise(&mut train, &mut test, width);
    let gamma = 1.0 / width as f64;
    let cases = [
        ("RBF", Kernel::Rbf { gamma }, 1.0, false),
        ("RBF, balanced", Kernel::Rbf { gamma }, 10.0, true),
        ("linear", Kernel::Linear, 0.001, false),
        ("linear, balanced", Kernel::Linear, 1.0, true),
    ];
    Ok(cases
        .into_iter()
        .map(|(name, kernel, c, balanced)| Case {
            name: format!("{}, {name}", path.display()),
            width,
            train: train.clone(),
            weight: vec![1.0; class.len()],
            class: class.clone(),
            test: test.clone(),
            truth: truth.clone(),
            classes: labels.len(),
            kernel,
            c,
            balanced,
        })
        .collect())
}

fn standardise(train: &mut [f32], test: &mut [f32], width: usize) {
    let n = (train.len() / width).max(1) as f64;
    for column in 0..width {
        let values = || {
            train
                .iter()
                .skip(column)
                .step_by(width)
                .map(|v| f64::from(*v))
        };
        let mean = values().sum::<f64>() / n;
        let deviation = (values().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
        let scale = if deviation > 0.0 {
            1.0 / deviation
        } else {
            0.0
        };
        for part in [&mut *train, &mut *test] {
            for v in part.iter_mut().skip(column).step_by(width) {
                *v = ((f64::from(*v) - mean) * scale) as f32;
            }
        }
    }
}

/// Runs every case `runs` times here and, with `python`, in scikit-learn: generated rows, and those of `tables`.
///
/// # Errors
/// A table cannot be read, Python cannot be run, has no scikit-learn or fails.
pub fn run(
    tables: &[PathBuf],
    runs: usize,
    python: Option<&Path>,
) -> Result<Vec<Line>, BenchSvmError> {
    let mut cases = generated();
    for table in tables {
        cases.extend(from_table(table)?);
    }
    let mut lines = Vec::new();
    for case in &cases {
        let config = SvmConfig::new(case.kernel, case.c);
        let (mut fit_s, mut predict_s) = (Vec::new(), Vec::new());
        let mut last = (Vec::new(), 0);
        for _ in 0..runs.max(1) {
            let start = Instant::now();
            let weight = if case.balanced {
                // scikit-learn counts rows for this, not their weights.
                let even = balance(&case.class, &vec![1.0; case.class.len()], case.classes);
                even.iter().zip(&case.weight).map(|(a, b)| a * b).collect()
            } else {
                case.weight.clone()
            };
            let (x, y) = (&case.train, &case.class);
            let svm = Svm::fit(x, case.width, y, &weight, case.classes, &config)?;
            fit_s.push(start.elapsed().as_secs_f64());
            let start = Instant::now();
            last = (svm.predict(&case.test)?, svm.support_vectors());
            predict_s.push(start.elapsed().as_secs_f64());
        }
        let (predicted, support_vectors) = last;
        let sklearn = match python {
            None => None,
            Some(python) => Some(compare(case, &config, runs.max(1), python, &predicted)?),
        };
        lines.push(Line {
            case: case.name.clone(),
            train_rows: case.class.len(),
            test_rows: case.truth.len(),
            width: case.width,
            c: case.c,
            gamma: gamma(case.kernel),
            fit_s: median(fit_s),
            predict_s: median(predict_s),
            accuracy: same(&predicted, &case.truth) as f64 / case.truth.len().max(1) as f64,
            support_vectors,
            sklearn,
        });
    }
    Ok(lines)
}

fn gamma(kernel: Kernel) -> Option<f64> {
    match kernel {
        Kernel::Linear => None,
        Kernel::Rbf { gamma } => Some(gamma),
    }
}

fn same(a: &[usize], b: &[usize]) -> usize {
    a.iter().zip(b).filter(|(a, b)| a == b).count()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[derive(Deserialize)]
struct Answer {
    version: String,
    cases: Vec<AnswerCase>,
}

#[derive(Deserialize)]
struct AnswerCase {
    fit_s: Vec<f64>,
    predict_s: Vec<f64>,
    predicted: Vec<usize>,
    support_vectors: usize,
}

fn compare(
    case: &Case,
    config: &SvmConfig,
    runs: usize,
    python: &Path,
    predicted: &[usize],
) -> Result<SklearnLine, BenchSvmError> {
    let folder = tempfile::tempdir().map_err(BenchSvmError::Files)?;
    let write = |name: &str, bytes: Vec<u8>| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).map_err(BenchSvmError::Files)?;
        Ok::<_, BenchSvmError>(path)
    };
    let floats = |x: &[f32]| x.iter().flat_map(|v| v.to_le_bytes()).collect();
    let classes = case.class.iter().flat_map(|c| (*c as u32).to_le_bytes());
    let weights = case.weight.iter().flat_map(|w| w.to_le_bytes());
    let request = serde_json::json!({
        "runs": runs,
        "cases": [{
            "width": case.width,
            "train": write("train", floats(&case.train))?,
            "test": write("test", floats(&case.test))?,
            "class": write("class", classes.collect())?,
            "weight": write("weight", weights.collect())?,
            "c": config.c,
            "gamma": gamma(config.kernel),
            "balanced": case.balanced,
            "tolerance": config.tolerance,
        }],
    });
    let started = |source| BenchSvmError::Start {
        python: python.to_path_buf(),
        source,
    };
    let mut child = Command::new(python)
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(started)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin
            .write_all(request.to_string().as_bytes())
            .map_err(started)?;
    }
    let output = child.wait_with_output().map_err(started)?;
    let failed = |message: String| BenchSvmError::Python {
        python: python.to_path_buf(),
        message,
    };
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        let last = words.lines().last().unwrap_or("it said nothing");
        return Err(failed(last.into()));
    }
    let answer: Answer =
        serde_json::from_slice(&output.stdout).map_err(|e| failed(e.to_string()))?;
    let Some(theirs) = answer.cases.into_iter().next() else {
        return Err(failed("it answered nothing".into()));
    };
    if theirs.predicted.len() != predicted.len() {
        return Err(failed("it predicted another number of rows".into()));
    }
    let right = same(&theirs.predicted, &case.truth);
    Ok(SklearnLine {
        version: answer.version,
        fit_s: median(theirs.fit_s),
        predict_s: median(theirs.predict_s),
        accuracy: right as f64 / case.truth.len().max(1) as f64,
        support_vectors: theirs.support_vectors,
        agree: same(predicted, &theirs.predicted),
    })
}
