//! Cross-validation: how well the configuration does on speakers (or sessions) that it never heard.
//!
//! Every fold is a whole training on the rows of the other groups - normaliser, GAN, classifier, early stopping on
//! groups held out among *those* rows - and its model then meets the fold's own rows once. Each (seed, fold) is kept as
//! it ends in a file beside the output, so that an evaluation goes on where it was stopped. Folds run side by side, one
//! thread each, so that the scores do not depend on the number of cores.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::json;

use ser_runtime::bundle::Score;

use crate::atomic;
use crate::config::{Config, ConfigError, HoldOut};
use crate::data::batches::largest;
use crate::data::folds::{self, Fold, Grouping};
use crate::data::task::Task;
use crate::device::Chosen;
use crate::export::calibrate::{CalibrateError, CalibrationError, cross_fitted_error};
use crate::export::static_model;
use crate::fit::checkpoint::Origin;
use crate::fit::training::Training;
use crate::fit::{FitError, origin, versions};
use crate::metrics::{Confusion, OverSeeds, mean_std};
use crate::model::HeldOut;
use crate::progress::Progress;
use crate::table::{FeatureTable, TableError};
use crate::workers;

/// How rows are parted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoldChoice {
    /// Leave one speaker out.
    Speaker,
    /// Leave one session out.
    Session,
    /// So many folds of whole speakers.
    Grouped(usize),
}

impl FromStr for FoldChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse::<usize>()) {
            ("speaker", _) => Ok(Self::Speaker),
            ("session", _) => Ok(Self::Session),
            (_, Ok(k @ 2..)) => Ok(Self::Grouped(k)),
            _ => Err("write `speaker`, `session`, or a number of folds from 2 up".into()),
        }
    }
}

/// What can stop an evaluation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// A training of one of the folds, or what it was given.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// Another table of the same voices does not fit.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A fold failed.
    #[error("fold {fold}, seed {seed}: {source}")]
    Fold {
        /// Its name.
        fold: String,
        /// The seed.
        seed: u64,
        /// The cause.
        source: FitError,
    },
    /// Reading or writing failed.
    #[error("cannot {action} {}: {source}{}", path.display(), atomic::hint(action, source))]
    Io {
        /// The file.
        path: PathBuf,
        /// "read" or "write".
        action: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// A file that is not what it should be.
    #[error("{}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Finished folds of something else.
    #[error("{} holds finished folds measured with {what}; go on with the same, or remove that file to start anew", path.display())]
    OtherRun {
        /// The file of finished folds.
        path: PathBuf,
        /// All differences.
        what: String,
    },
    /// No thread could be started.
    #[error("cannot start a worker thread: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// What to evaluate and how.
#[derive(Clone, Debug)]
pub struct EvaluateOptions<'a> {
    /// How rows are parted.
    pub folds: FoldChoice,
    /// Repeats; their seeds count up from the configuration's.
    pub seeds: usize,
    /// Folds side by side (on the CPU; a GPU takes one at a time).
    pub jobs: usize,
    /// Where tensors live.
    pub device: &'a Chosen,
    /// The scores file; finished folds are kept beside it.
    pub output: &'a Path,
    /// Score each fold's model with 8-bit weights, too (calibrated on the training rows of the fold).
    pub int8: bool,
    /// Tables of the same voices heard otherwise, by name: each fold's model is also tested on their rows of the held-out
    /// speakers.
    pub also: &'a [(String, FeatureTable)],
}

/// Mean over seeds, their spread, and each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Mean over seeds.
    pub mean: f64,
    /// Sample standard deviation over seeds; none for a single seed.
    pub std: Option<f64>,
    /// One value per seed.
    pub per_seed: Vec<f64>,
}

impl Summary {
    fn of(per_seed: Vec<f64>) -> Self {
        let (mean, std) = mean_std(&per_seed).unwrap_or((0.0, None));
        Self {
            mean,
            std,
            per_seed,
        }
    }
}

/// The model of one fold and seed on the fold's own rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoldResult {
    /// The seed.
    pub seed: u64,
    /// Name of the held-out group(s).
    pub fold: String,
    /// Classifier epochs that early stopping chose.
    pub classifier_epochs: Option<usize>,
    /// Rows of the table that were held out, from 0.
    pub rows: Vec<usize>,
    /// Class index of each.
    pub truth: Vec<usize>,
    /// Logits, `[rows, labels]` row-major.
    pub logits: Vec<f32>,
    /// The same with 8-bit weights, calibrated on the training rows of the fold; none where they were not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub int8_logits: Option<Vec<f32>>,
    /// The same model on the held-out speakers' rows of other tables, in the order of the options.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Tested>,
}

/// Rows of another table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tested {
    /// Name of the table.
    pub table: String,
    /// SHA-256 of its content.
    pub table_sha256: String,
    /// Class index of each row.
    pub truth: Vec<usize>,
    /// Logits, `[rows, labels]` row-major.
    pub logits: Vec<f32>,
}

/// Scores on another table with the same folds and models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlsoScores {
    /// Name of the table.
    pub table: String,
    /// Rows tested, with one seed.
    pub rows: usize,
    /// Unweighted average recall over the pooled predictions of all folds.
    pub uar: Summary,
    /// Share of rows recognised, pooled.
    pub accuracy: Summary,
    /// Pooled counts of all seeds, `confusion[truth][prediction]`.
    pub confusion: Confusion,
}

/// What 8-bit weights make of the same folds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Int8Scores {
    /// Unweighted average recall over the pooled predictions of all folds.
    pub uar: Summary,
    /// Share of rows that get the same label as with 32 bits, over all seeds.
    pub agreement: f64,
}

/// A results file: scores, how they were measured, and all predictions behind them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scores {
    /// How it was measured, in words.
    pub protocol: String,
    /// Classes, in the order of logits and of the confusion matrix.
    pub labels: Vec<String>,
    /// Unweighted average recall over the pooled predictions of all folds.
    pub uar: Summary,
    /// Mean of the folds' own UARs (over the labels that a fold has).
    pub mean_fold_uar: Summary,
    /// Share of rows recognised, pooled.
    pub accuracy: Summary,
    /// Recall by label, mean over seeds.
    pub recall: BTreeMap<String, f64>,
    /// Pooled counts of all seeds, `confusion[truth][prediction]`.
    pub confusion: Confusion,
    /// With 8-bit weights, where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub int8: Option<Int8Scores>,
    /// On other tables of the same voices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<AlsoScores>,
    /// Configuration, table, device and version.
    pub origin: Origin,
    /// Versions of what took part.
    pub versions: BTreeMap<String, String>,
    /// Every fold of every seed.
    pub folds: Vec<FoldResult>,
}

impl Scores {
    /// Reads a file that `ser-train evaluate` wrote.
    ///
    /// # Errors
    /// The file cannot be read or is something else.
    pub fn read(path: &Path) -> Result<Self, EvaluateError> {
        let text = std::fs::read_to_string(path).map_err(io(path, "read"))?;
        serde_json::from_str(&text).map_err(|e| EvaluateError::Malformed {
            path: path.to_owned(),
            reason: format!("not a results file of `ser-train evaluate`: {e}"),
        })
    }

    /// Refuses scores of another configuration or table (device and version may differ).
    pub(crate) fn check_origin(&self, now: &Origin) -> Result<(), FitError> {
        let like_now = Origin {
            device: now.device.clone(),
            version: now.version.clone(),
            ..self.origin.clone()
        };
        differences(&like_now, now).map_or(Ok(()), |what| Err(FitError::OtherScores(what)))
    }

    /// The scores as a bundle states them.
    pub fn for_bundle(&self) -> Vec<Score> {
        let score = |metric: &str, s: &Summary, detail| Score {
            protocol: self.protocol.clone(),
            metric: metric.into(),
            value: s.mean,
            std: s.std,
            detail,
        };
        let detail = json!({
            "labels": self.labels,
            "confusion": self.confusion.counts,
            "recall": self.recall,
            "per_seed": self.uar.per_seed,
        });
        let seeds = |s: &Summary| json!({"per_seed": s.per_seed});
        let mut scores = vec![
            score("UAR, pooled over folds", &self.uar, detail),
            score(
                "UAR, mean of folds",
                &self.mean_fold_uar,
                seeds(&self.mean_fold_uar),
            ),
            score("accuracy", &self.accuracy, seeds(&self.accuracy)),
        ];
        if let Some(int8) = &self.int8 {
            scores.push(score(
                "UAR with 8-bit weights, pooled over folds",
                &int8.uar,
                json!({"per_seed": int8.uar.per_seed, "same_label": int8.agreement}),
            ));
        }
        for also in &self.also {
            let protocol = format!(
                "{}; tested on the same speakers' rows of {}",
                self.protocol, also.table
            );
            let detail = json!({"per_seed": also.uar.per_seed, "confusion": also.confusion.counts});
            scores.push(Score {
                protocol,
                ..score("UAR, pooled over folds", &also.uar, detail)
            });
        }
        scores
    }

    /// How far confidence and accuracy are apart, the temperature of each fold fitted on the other folds' rows.
    ///
    /// # Errors
    /// Predictions in the file that do not fit its labels.
    pub fn calibration_error(&self) -> Result<Option<CalibrationError>, CalibrateError> {
        // The same speakers come again with every seed: they are left out together.
        let mut folds: BTreeMap<&str, (Vec<f32>, Vec<usize>)> = BTreeMap::new();
        for fold in &self.folds {
            let (logits, labels) = folds.entry(&fold.fold).or_default();
            logits.extend_from_slice(&fold.logits);
            labels.extend_from_slice(&fold.truth);
        }
        let folds: Vec<_> = folds.into_values().collect();
        cross_fitted_error(&folds, self.labels.len())
    }

    /// All predictions as calibration data: each comes from a model that never met the row's speaker.
    pub fn held_out(&self) -> Option<HeldOut> {
        (!self.folds.is_empty()).then(|| HeldOut {
            source: format!("predictions of cross-validation ({})", self.protocol),
            logits: self
                .folds
                .iter()
                .flat_map(|f| f.logits.iter().copied())
                .collect(),
            labels: self
                .folds
                .iter()
                .flat_map(|f| f.truth.iter().copied())
                .collect(),
        })
    }
}

fn differences(was: &Origin, now: &Origin) -> Option<String> {
    match was.differences(now) {
        d if d.is_empty() => None,
        d => Some(d.join(", ")),
    }
}

/// Trains and tests every fold with every seed and writes the scores.
///
/// # Errors
/// See [`EvaluateError`]. Folds that had ended are kept and not trained again by the next call.
pub fn evaluate(
    table: &FeatureTable,
    config: &Config,
    options: &EvaluateOptions<'_>,
) -> Result<Scores, EvaluateError> {
    if !config.validation.hold_out.is_empty() {
        return Err(FitError::Config(ConfigError::Value {
            origin: "evaluate".into(),
            key: "validation.hold_out",
            problem: "must be empty: evaluate draws validation groups among the training rows of each fold".into(),
        })
        .into());
    }
    if !config.budget.is_none() {
        return Err(FitError::Config(ConfigError::Value {
            origin: "evaluate".into(),
            key: "budget.flash",
            problem: "and budget.ram must be empty: evaluate scores one model; give it the config.toml in the folder of a fit with this budget".into(),
        })
        .into());
    }
    let task = Task::new(table, &config.labels).map_err(FitError::from)?;
    let folds = match options.folds {
        FoldChoice::Speaker => folds::leave_one_out(&task, Grouping::Speaker),
        FoldChoice::Session => folds::leave_one_out(&task, Grouping::Session),
        FoldChoice::Grouped(k) => folds::grouped(&task, Grouping::Speaker, k, config.seed),
    }
    .map_err(FitError::from)?;
    let seeds: Vec<u64> = (0..options.seeds as u64)
        .map(|i| config.seed.wrapping_add(i))
        .collect();
    let also = other_tasks(&task, options.also)?;
    let origin = origin(table, config, options.device);
    let store = Store::open(&partial_path(options.output), &origin)?;
    let done = run_all(&task, &also, config, &folds, &seeds, options, store)?;
    let scores = summarise(&task, config, &folds, &seeds, options, origin, done);
    let text = serde_json::to_vec_pretty(&scores).map_err(|e| EvaluateError::Malformed {
        path: options.output.to_owned(),
        reason: e.to_string(),
    })?;
    atomic::write::<std::io::Error, _>(options.output, |w| w.write_all(&text))
        .map_err(io(options.output, "write"))?;
    let partial = partial_path(options.output);
    std::fs::remove_file(&partial).map_err(io(&partial, "remove"))?;
    Ok(scores)
}

/// Another table of the same voices.
struct Also<'t> {
    name: &'t str,
    sha256: String,
    task: Task<'t>,
}

impl Also<'_> {
    /// The rows of the speakers in `held_out`, rows of `task`.
    fn rows_of(&self, task: &Task<'_>, held_out: &[usize]) -> Vec<usize> {
        let speaker = |task: &Task<'_>, i: usize| {
            let meta = &task.table.meta[task.rows[i]];
            (meta.corpus.clone(), meta.speaker.clone())
        };
        let speakers: BTreeSet<_> = held_out.iter().map(|&i| speaker(task, i)).collect();
        (0..self.task.len())
            .filter(|&i| !self.task.is_copy(i) && speakers.contains(&speaker(&self.task, i)))
            .collect()
    }
}

fn other_tasks<'t>(
    task: &Task<'_>,
    tables: &'t [(String, FeatureTable)],
) -> Result<Vec<Also<'t>>, EvaluateError> {
    let mut out = Vec::with_capacity(tables.len());
    for (name, table) in tables {
        let path = Path::new(name);
        task.table.check_same_features(table, path)?;
        out.push(Also {
            name,
            sha256: table.sha256(),
            task: Task::new(table, &task.labels).map_err(FitError::from)?,
        });
    }
    Ok(out)
}

fn run_all(
    task: &Task<'_>,
    also: &[Also<'_>],
    config: &Config,
    folds: &[Fold],
    seeds: &[u64],
    options: &EvaluateOptions<'_>,
    store: Store,
) -> Result<Vec<FoldResult>, EvaluateError> {
    let wanted: Vec<(u64, &Fold)> = seeds
        .iter()
        .flat_map(|&s| folds.iter().map(move |f| (s, f)))
        .collect();
    let todo: Vec<&(u64, &Fold)> = wanted
        .iter()
        .filter(|(seed, fold)| {
            let found = store.find(*seed, &fold.name);
            let tested = |r: &FoldResult| {
                let known = r.also.iter().map(|t| (&t.table[..], &t.table_sha256));
                known.eq(also.iter().map(|a| (a.name, &a.sha256)))
            };
            found.is_none_or(|r| !tested(r) || (options.int8 && r.int8_logits.is_none()))
        })
        .collect();
    let progress = Progress::new("evaluate", wanted.len() as u64);
    progress.add((wanted.len() - todo.len()) as u64);
    let jobs = if options.device.name == "cpu" {
        options.jobs.max(1)
    } else {
        1
    };
    let next = AtomicUsize::new(0);
    let store = Mutex::new(store);
    let outcome = workers::side_by_side(jobs.min(todo.len()), |pool, failed| {
        while !failed.load(Ordering::Relaxed) {
            let Some((seed, fold)) = todo.get(next.fetch_add(1, Ordering::Relaxed)) else {
                break;
            };
            let result = pool.install(|| one_fold(task, also, config, fold, *seed, options));
            let result = result.map_err(|source| EvaluateError::Fold {
                fold: fold.name.clone(),
                seed: *seed,
                source,
            })?;
            let mut store = store
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            store.push(result)?;
            progress.message(format!("UAR so far {:.3}", store.uar(task.labels.len())));
            progress.add(1);
        }
        Ok::<(), EvaluateError>(())
    });
    progress.finish();
    outcome?;
    let store = store
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok(wanted
        .iter()
        .filter_map(|(seed, fold)| store.find(*seed, &fold.name).cloned())
        .collect())
}

fn one_fold(
    task: &Task<'_>,
    also: &[Also<'_>],
    config: &Config,
    fold: &Fold,
    seed: u64,
    options: &EvaluateOptions<'_>,
) -> Result<FoldResult, FitError> {
    let mut config = config.clone();
    config.seed = seed;
    let split = folds::validation(task, &fold.train, &config.validation, seed)?;
    let mut training = Training::new(&config, task, split, &options.device.device)?;
    while training.epoch()?.is_some() {}
    let model = training.finished().ok_or(FitError::Misfit)?;
    let features = |task: &Task<'_>, rows: &[usize]| -> Vec<f32> {
        let rows = rows.iter().flat_map(|&i| task.features(i));
        rows.copied().collect()
    };
    let raw = features(task, &fold.held_out);
    let int8_logits = if options.int8 {
        let training_rows = features(task, &fold.train);
        Some(static_model::int8_logits(model, &training_rows, &raw)?)
    } else {
        None
    };
    let also = also.iter().map(|other| {
        let rows = other.rows_of(task, &fold.held_out);
        Ok(Tested {
            table: other.name.to_owned(),
            table_sha256: other.sha256.clone(),
            truth: rows.iter().map(|&i| other.task.classes[i]).collect(),
            logits: model.logits(&features(&other.task, &rows))?,
        })
    });
    Ok(FoldResult {
        seed,
        also: also.collect::<Result<_, FitError>>()?,
        fold: fold.name.clone(),
        classifier_epochs: training.chosen_epochs(),
        rows: fold.held_out.iter().map(|&i| task.rows[i]).collect(),
        truth: fold.held_out.iter().map(|&i| task.classes[i]).collect(),
        logits: model.logits(&raw)?,
        int8_logits,
    })
}

fn confusion(results: &[&FoldResult], classes: usize) -> Confusion {
    confusion_of(results.iter().map(|r| (&r.truth, &r.logits)), classes)
}

fn confusion_of<'r>(
    results: impl Iterator<Item = (&'r Vec<usize>, &'r Vec<f32>)>,
    classes: usize,
) -> Confusion {
    let pairs = results.flat_map(|(truth, logits)| {
        let predicted = logits.chunks_exact(classes).map(largest);
        truth.iter().copied().zip(predicted)
    });
    Confusion::of(classes, pairs)
}

fn summarise(
    task: &Task<'_>,
    config: &Config,
    folds: &[Fold],
    seeds: &[u64],
    options: &EvaluateOptions<'_>,
    origin: Origin,
    done: Vec<FoldResult>,
) -> Scores {
    let classes = task.labels.len();
    let of_seed = |seed: &u64| {
        let of = done.iter().filter(|r| r.seed == *seed);
        of.map(|r| confusion(&[r], classes)).collect()
    };
    let scores = OverSeeds::of(classes, seeds.iter().map(of_seed));
    Scores {
        protocol: protocol(task, config, folds, seeds, options),
        labels: task.labels.clone(),
        uar: Summary::of(scores.uar),
        mean_fold_uar: Summary::of(scores.mean_fold_uar),
        accuracy: Summary::of(scores.accuracy),
        recall: task
            .labels
            .iter()
            .zip(scores.recall)
            .filter_map(|(l, r)| Some((l.clone(), r?)))
            .collect(),
        confusion: scores.confusion,
        int8: options.int8.then(|| int8_scores(&done, seeds, classes)),
        also: (0..options.also.len())
            .map(|i| also_scores(&done, i, seeds, classes))
            .collect(),
        origin,
        versions: versions(&options.device.name),
        folds: done,
    }
}

/// Scores on the `index`-th other table.
fn also_scores(done: &[FoldResult], index: usize, seeds: &[u64], classes: usize) -> AlsoScores {
    let of_seed = |seed: &u64| {
        let of = done.iter().filter(|r| r.seed == *seed);
        let tested = of.filter_map(|r| r.also.get(index));
        tested
            .map(|t| confusion_of([(&t.truth, &t.logits)].into_iter(), classes))
            .collect()
    };
    let scores = OverSeeds::of(classes, seeds.iter().map(of_seed));
    let tested = || done.iter().filter_map(|r| r.also.get(index));
    AlsoScores {
        table: tested().next().map_or(String::new(), |t| t.table.clone()),
        rows: tested().map(|t| t.truth.len()).sum::<usize>() / seeds.len().max(1),
        uar: Summary::of(scores.uar),
        accuracy: Summary::of(scores.accuracy),
        confusion: scores.confusion,
    }
}

fn int8_scores(done: &[FoldResult], seeds: &[u64], classes: usize) -> Int8Scores {
    let per_seed = seeds.iter().filter_map(|&seed| {
        let of_seed = done.iter().filter(|r| r.seed == seed);
        let int8 = of_seed.filter_map(|r| Some((&r.truth, r.int8_logits.as_ref()?)));
        confusion_of(int8, classes).uar()
    });
    let (mut same, mut rows) = (0, 0);
    for fold in done {
        let int8 = fold
            .int8_logits
            .iter()
            .flat_map(|l| l.chunks_exact(classes));
        for (a, b) in fold.logits.chunks_exact(classes).zip(int8) {
            same += usize::from(largest(a) == largest(b));
            rows += 1;
        }
    }
    Int8Scores {
        uar: Summary::of(per_seed.collect()),
        agreement: same as f64 / rows.max(1) as f64,
    }
}

fn protocol(
    task: &Task<'_>,
    config: &Config,
    folds: &[Fold],
    seeds: &[u64],
    options: &EvaluateOptions<'_>,
) -> String {
    let parted = match options.folds {
        FoldChoice::Speaker => format!("leave-one-speaker-out over {} speakers", folds.len()),
        FoldChoice::Session => format!("leave-one-session-out over {} sessions", folds.len()),
        FoldChoice::Grouped(k) => format!("{k} folds of whole speakers"),
    };
    let stopping = match config.validation.by {
        HoldOut::None => "no early stopping".to_owned(),
        by => format!(
            "{} on {}s held out among the training rows of the fold{}",
            if config.held_out_rows_choose() {
                "early stopping"
            } else {
                "fixed number of epochs, watched"
            },
            if by == HoldOut::Speaker {
                "speaker"
            } else {
                "session"
            },
            if config.validation.refit {
                ", then refit on all training rows"
            } else {
                ""
            }
        ),
    };
    let copied = (0..task.len()).filter(|&i| task.is_copy(i)).count();
    let copies = match copied {
        0 => String::new(),
        n => format!(" (and {n} copies with other ends or noise, to learn from alone)"),
    };
    let hearing = task.table.feature_set.hearing.as_ref();
    let heard = match hearing.map(|h| h.cut.is_some()) {
        Some(true) => "utterances, cut as a device cuts them",
        Some(false) => "whole recordings",
        None => "rows",
    };
    let repeats = match seeds {
        [one] => format!("seed {one}"),
        many => format!("{} seeds from {}", many.len(), config.seed),
    };
    format!(
        "{parted}; {} {heard}{copies}, {} labels ({}); strict: normaliser fitted on the training rows of the fold alone; {stopping}; {repeats}",
        task.len() - copied,
        task.labels.len(),
        task.labels.join(", ")
    )
}

fn io(path: &Path, action: &'static str) -> impl Fn(std::io::Error) -> EvaluateError {
    let path = path.to_owned();
    move |source| EvaluateError::Io {
        path: path.clone(),
        action,
        source,
    }
}

fn partial_path(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

/// Finished folds on disk: a line for the origin, then a line each.
#[derive(Debug)]
struct Store {
    path: PathBuf,
    file: File,
    done: Vec<FoldResult>,
}

impl Store {
    fn open(path: &Path, origin: &Origin) -> Result<Self, EvaluateError> {
        let fail = io(path, "read");
        if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(io(folder, "create"))?;
        }
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(fail(e)),
        };
        // A line without its end was being written when the evaluation was stopped.
        let whole = text.rfind('\n').map_or(0, |i| i + 1);
        let mut lines = text[..whole].lines();
        let malformed = |e: serde_json::Error| EvaluateError::Malformed {
            path: path.to_owned(),
            reason: format!("{e}; remove the file to start anew"),
        };
        let mut done = Vec::new();
        let fresh = match lines.next() {
            None => true,
            Some(first) => {
                let was: Origin = serde_json::from_str(first).map_err(malformed)?;
                if let Some(what) = differences(&was, origin) {
                    return Err(EvaluateError::OtherRun {
                        path: path.to_owned(),
                        what,
                    });
                }
                for line in lines {
                    done.push(serde_json::from_str(line).map_err(malformed)?);
                }
                false
            }
        };
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(path)
            .map_err(io(path, "write"))?;
        file.set_len(whole as u64).map_err(io(path, "write"))?;
        if fresh {
            writeln!(file, "{}", json!(origin)).map_err(io(path, "write"))?;
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            done,
        })
    }

    fn push(&mut self, result: FoldResult) -> Result<(), EvaluateError> {
        let line = format!("{}\n", json!(result));
        self.file
            .write_all(line.as_bytes())
            .map_err(io(&self.path, "write"))?;
        self.done.push(result);
        Ok(())
    }

    fn find(&self, seed: u64, fold: &str) -> Option<&FoldResult> {
        // The last of equals: a fold is measured again where 8-bit logits were not asked for at first.
        let mut latest = self.done.iter().rev();
        latest.find(|r| r.seed == seed && r.fold == fold)
    }

    fn uar(&self, classes: usize) -> f64 {
        let all: Vec<&FoldResult> = self.done.iter().collect();
        confusion(&all, classes).uar().unwrap_or(0.0)
    }
}
