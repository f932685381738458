//! One cell: training on the rows of a fold with a seed, and its one meeting with the test rows.

use std::time::Instant;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ExperimentError;
use super::config::{ClassifierKind, Experiment, Reduction, Setting};
use super::plan::{Cell, Plan, Recipe};
use super::split::{self, Data, Prepared, Split};
use super::upstream::{Fit, Upstream, training_rows};
use crate::augment::EpochLosses;
use crate::classify::stopping::{self, Fitted};
use crate::classify::svm::{self, Grid, Kernel, Svm};
use crate::config::{Balance, Config};
use crate::data::batches::{Rows, largest};
use crate::data::mixup::Mixer;
use crate::data::task::Task;
use crate::metrics::Confusion;
use crate::reduce::ReduceError;
use crate::reduce::pca::Pca;
use crate::similarity::{self, NearestNeighbour, SimilarityError};

/// Real and synthetic rows that a map shows, each.
const MAP_ROWS: usize = 300;
/// Neighbours for density and coverage, as in Naeem et al. 2020.
const NEIGHBOURS: usize = 5;

/// What a cell leaves on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellResult {
    /// Its id in the plan.
    pub id: String,
    /// What was trained.
    pub recipe: Recipe,
    /// Name of the fold.
    pub fold: String,
    /// Rows of the table that were tested, from 0.
    pub rows: Vec<usize>,
    /// Class index of each.
    pub truth: Vec<usize>,
    /// Class index that was predicted for each.
    pub predicted: Vec<usize>,
    /// Recordings that were learned from.
    pub real_rows: usize,
    /// Other rows that were learned from.
    pub synthetic_rows: usize,
    /// Rows that chose epochs or hyper-parameters.
    pub validation_rows: usize,
    /// UAR on them; none where there are none.
    pub validation_uar: Option<f64>,
    /// What they chose: epochs, C, γ.
    pub chosen: Value,
    /// SHA-256 of the fitted classifier's numbers, and of the codes' maps where there are any.
    pub model_sha256: String,
    /// How like the real rows the synthetic ones are.
    pub similarity: Option<Similarity>,
    /// Losses of everything that was trained.
    pub losses: Vec<Curve>,
    /// Principal components of real and synthetic rows, for the first seed and fold.
    pub map: Option<Map2d>,
    /// Wall-clock seconds, generator and reduction included if this cell fitted them.
    pub seconds: f64,
}

impl CellResult {
    /// Counts of its predictions.
    pub fn confusion(&self, classes: usize) -> Confusion {
        let pairs = self
            .truth
            .iter()
            .copied()
            .zip(self.predicted.iter().copied());
        Confusion::of(classes, pairs)
    }
}

/// Losses of one network or group of networks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curve {
    /// "mixup-gan", "generator", "autoencoder", "classifier".
    pub of: String,
    /// Epoch by epoch.
    pub epochs: Vec<EpochLosses>,
}

/// How like the real training rows synthetic ones are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Similarity {
    /// Area under the ROC curve of a classifier that tells them apart: 0.5 is indistinguishable.
    pub two_sample_auc: f64,
    /// Naeem et al. 2020: how densely synthetic rows lie where real ones are; 1 is as dense as the real ones.
    pub density: f64,
    /// Naeem et al. 2020: share of real rows with a synthetic one in their neighbourhood.
    pub coverage: f64,
    /// Distances to the nearest training row.
    pub nearest: NearestNeighbour,
}

impl Similarity {
    /// Mean of each number; none without any.
    pub fn mean(of: &[&Self]) -> Option<Self> {
        let n = of.len() as f64;
        let mean = |f: fn(&Self) -> f64| of.iter().map(|s| f(s)).sum::<f64>() / n;
        (!of.is_empty()).then(|| Self {
            two_sample_auc: mean(|s| s.two_sample_auc),
            density: mean(|s| s.density),
            coverage: mean(|s| s.coverage),
            nearest: NearestNeighbour {
                synthetic: mean(|s| s.nearest.synthetic),
                training: mean(|s| s.nearest.training),
                ratio: of
                    .iter()
                    .map(|s| s.nearest.ratio)
                    .sum::<Option<f64>>()
                    .map(|sum| sum / n),
                near_copies: mean(|s| s.nearest.near_copies),
            },
        })
    }
}

/// Rows in the plane of the real rows' first two principal components.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Map2d {
    /// x, y, class of real training rows.
    pub real: Vec<(f32, f32, usize)>,
    /// x, y, class (largest target) of synthetic rows.
    pub synthetic: Vec<(f32, f32, usize)>,
    /// Share of the real rows' variance that the plane shows.
    pub explained: f64,
}

/// What all cells of a run read.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The description.
    pub experiment: &'a Experiment,
    /// The tables.
    pub data: &'a Data,
    /// Their rows and classes.
    pub task: &'a Task<'a>,
    /// Folds and cells.
    pub plan: &'a Plan,
    /// Where tensors live.
    pub device: &'a Device,
}

/// What cells of one group hand on to each other.
#[derive(Debug, Default)]
pub struct Shared {
    key: Option<usize>,
    parted: Option<(Split, Prepared)>,
    upstream: Upstream,
}

/// Trains and tests `cell`. `shared` saves fitting a generator or a reduction again; the result is the same with a
/// fresh one.
///
/// # Errors
/// See [`ExperimentError`].
pub fn compute(
    context: &Context<'_>,
    cell: &Cell,
    shared: &mut Shared,
) -> Result<CellResult, ExperimentError> {
    let start = Instant::now();
    if shared.key != Some(cell.group) {
        *shared = Shared {
            key: Some(cell.group),
            ..Shared::default()
        };
    }
    let (split, rows) = match shared.parted.take() {
        Some(parted) => shared.parted.insert(parted),
        None => shared.parted.insert(part(context, cell)?),
    };
    let fit = Fit {
        experiment: context.experiment,
        recipe: &cell.recipe,
        config: &cell.config,
        rows,
        device: context.device,
    };
    let learned = learned_rows(&fit, &mut shared.upstream)?;
    let codes = match cell.recipe.reduction {
        Reduction::None => None,
        _ => Some(shared.upstream.codes(&fit, &learned)?),
    };
    let (train, validation, test) = match &codes {
        None => (&learned, &rows.validation, &rows.test),
        Some(c) => (&c.train, &c.validation, &c.test),
    };
    let classified = classify(&fit, train, validation, test)?;
    let first = cell.fold == 0 && cell.recipe.seed == context.experiment.seed;
    let synthetic_only = cell.recipe.setting == Setting::Synthetic;
    let mut losses: Vec<Curve> = Vec::new();
    if first {
        for (of, epochs) in shared.upstream.losses() {
            losses.push(Curve {
                of: of.into(),
                epochs,
            });
        }
        if !classified.losses.is_empty() {
            losses.push(Curve {
                of: "classifier".into(),
                epochs: classified.losses,
            });
        }
    }
    Ok(CellResult {
        id: cell.id.clone(),
        recipe: cell.recipe.clone(),
        fold: split.name.clone(),
        rows: split.test.iter().map(|&i| context.task.rows[i]).collect(),
        truth: rows.test.class.clone(),
        predicted: classified.predicted,
        real_rows: learned.recorded,
        synthetic_rows: learned.len() - learned.recorded,
        validation_rows: rows.validation.len(),
        validation_uar: classified.validation_uar,
        chosen: classified.chosen,
        model_sha256: classified.digest,
        similarity: synthetic_only
            .then(|| similarity(&rows.train, &learned, cell.recipe.seed))
            .transpose()?,
        losses,
        map: (first && synthetic_only)
            .then(|| map(&rows.train, &learned))
            .transpose()?,
        seconds: start.elapsed().as_secs_f64(),
    })
}

fn part(context: &Context<'_>, cell: &Cell) -> Result<(Split, Prepared), ExperimentError> {
    let fold = &context.plan.folds[cell.fold];
    let experiment = context.experiment;
    let split = split::with_validation(
        experiment,
        context.task,
        fold,
        &cell.config,
        cell.recipe.seed,
    )?;
    let prepared = split::prepare(
        context.data,
        context.task,
        &split,
        experiment.split.kind,
        cell.recipe.protocol,
        &cell.config.normaliser,
    )?;
    Ok((split, prepared))
}

/// The rows that the classifier learns from, in feature space: real ones, then synthetic ones.
fn learned_rows(fit: &Fit<'_>, upstream: &mut Upstream) -> Result<Rows, ExperimentError> {
    let train = &fit.rows.train;
    let setting = fit.recipe.setting;
    let mut rows = if !setting.real() {
        Rows::recorded(train.width, train.classes, Vec::new(), Vec::new())
    } else if mixes_by_batch(fit.recipe) {
        train.clone()
    } else {
        training_rows(fit, train)?
    };
    if setting.synthetic() {
        let made = upstream.synthetic(fit)?;
        rows.push_synthetic(&made.values, &made.targets);
    }
    Ok(rows)
}

/// A DNN on features mixes every batch anew; everyone else gets a fixed set of mixed rows.
fn mixes_by_batch(recipe: &Recipe) -> bool {
    recipe.classifier == ClassifierKind::Dnn && recipe.reduction == Reduction::None
}

struct Classified {
    predicted: Vec<usize>,
    validation_uar: Option<f64>,
    chosen: Value,
    digest: String,
    losses: Vec<EpochLosses>,
}

fn classify(
    fit: &Fit<'_>,
    train: &Rows,
    validation: &Rows,
    test: &Rows,
) -> Result<Classified, ExperimentError> {
    match fit.recipe.classifier {
        ClassifierKind::Majority => {
            let mut counts = vec![0.0f32; train.classes];
            for &c in &train.class {
                counts[c] += 1.0;
            }
            let most = largest(&counts);
            Ok(Classified {
                predicted: vec![most; test.len()],
                validation_uar: None,
                chosen: json!({ "class": most }),
                digest: format!("majority {most}"),
                losses: Vec::new(),
            })
        }
        ClassifierKind::Dnn => dnn(fit, train, validation, test),
        ClassifierKind::SvmRbf => svm(fit, train, validation, test, false),
        ClassifierKind::SvmLinear => svm(fit, train, validation, test, true),
    }
}

fn dnn(
    fit: &Fit<'_>,
    train: &Rows,
    validation: &Rows,
    test: &Rows,
) -> Result<Classified, ExperimentError> {
    let mixer = (fit.recipe.mixup && mixes_by_batch(fit.recipe))
        .then(|| Mixer::new(&fit.config.mixup))
        .flatten();
    let config = Config {
        seed: fit.recipe.seed,
        ..fit.config.clone()
    };
    let Fitted {
        dnn,
        epochs,
        validation_uar,
        losses,
    } = stopping::fit(&config, train, validation, mixer.as_ref(), fit.device)?;
    let predicted = dnn
        .logits(test)?
        .chunks_exact(test.classes)
        .map(largest)
        .collect();
    Ok(Classified {
        predicted,
        validation_uar,
        chosen: json!({ "epochs": epochs }),
        digest: stopping::digest(&dnn)?,
        losses,
    })
}

fn svm(
    fit: &Fit<'_>,
    train: &Rows,
    validation: &Rows,
    test: &Rows,
    linear: bool,
) -> Result<Classified, ExperimentError> {
    let fail = |e: svm::SvmError| ExperimentError::Method {
        what: "SVM",
        reason: e.to_string(),
    };
    let (x, class, mut weight) = svm::soft_rows(train);
    if fit.config.classifier.balance != Balance::None {
        weight = svm::balance(&class, &weight, train.classes);
    }
    let grid = Grid {
        c: fit.experiment.grid.c.clone(),
        gamma: fit.experiment.grid.gamma.clone(),
        linear,
    };
    let (svm, chosen, tried): (Svm, _, _) = svm::grid_search(
        (&x, &class, &weight),
        (&validation.values, &validation.class),
        train.width,
        train.classes,
        &grid,
    )
    .map_err(fail)?;
    let best = tried
        .iter()
        .map(|t| t.uar)
        .fold(None, |a: Option<f64>, b| Some(a.map_or(b, |a| a.max(b))));
    Ok(Classified {
        predicted: svm.predict(&test.values).map_err(fail)?,
        validation_uar: best,
        chosen: match chosen.kernel {
            Kernel::Linear => json!({ "c": chosen.c }),
            Kernel::Rbf { gamma } => json!({ "c": chosen.c, "gamma": gamma }),
        },
        digest: svm.digest(),
        losses: Vec::new(),
    })
}

fn similarity(train: &Rows, learned: &Rows, seed: u64) -> Result<Similarity, ExperimentError> {
    let (real, made, width) = (&train.values, &learned.values, train.width);
    let measured = || -> Result<Similarity, SimilarityError> {
        let near = similarity::density_coverage(real, made, width, NEIGHBOURS)?;
        Ok(Similarity {
            two_sample_auc: similarity::two_sample_auc(real, made, width, seed)?,
            density: near.density,
            coverage: near.coverage,
            nearest: similarity::nearest_neighbour(real, made, width)?,
        })
    };
    measured().map_err(|e| ExperimentError::Method {
        what: "similarity",
        reason: e.to_string(),
    })
}

fn map(train: &Rows, learned: &Rows) -> Result<Map2d, ExperimentError> {
    let fail = |e: ReduceError| ExperimentError::Method {
        what: "map",
        reason: e.to_string(),
    };
    let pca = Pca::fit(&train.values, train.width, 2).map_err(fail)?;
    let place = |rows: &Rows| -> Result<Vec<(f32, f32, usize)>, ExperimentError> {
        let step = rows.len().div_ceil(MAP_ROWS).max(1);
        let picked: Vec<usize> = (0..rows.len()).step_by(step).collect();
        let values: Vec<f32> = picked
            .iter()
            .flat_map(|&i| rows.row(i).iter().copied())
            .collect();
        let points = pca.transform(&values).map_err(fail)?;
        let places = points.chunks_exact(2).zip(&picked);
        Ok(places.map(|(p, &i)| (p[0], p[1], rows.class[i])).collect())
    };
    Ok(Map2d {
        real: place(train)?,
        synthetic: place(learned)?,
        explained: pca.explained_variance_ratio().iter().sum(),
    })
}
