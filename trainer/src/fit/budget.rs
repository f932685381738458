//! `ser-train fit --flash SIZE --ram SIZE`: the best model that a microcontroller has room for.
//!
//! The search goes over a small ladder: feature groups ([`GROUPS`], as far as the configuration has them) times widths (those of the
//! configuration divided by [`DIVISORS`]; dropout is divided, and the classifier's step sizes are multiplied, by the root of the divisor). What a rung takes of flash and RAM is known before any training
//! ([`ser_runtime::footprint`]). Of each choice of groups the [`SCREENED`] widest rungs that fit are scored, by
//! cross-validation over the speakers of the training rows with a shortened training (no GAN, no early stopping); so is the
//! unlimited configuration. The rung with the highest UAR is then trained like any other configuration.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use ser_features::FeatureGroup::{LogMel, Loudness, Lsp, Mfcc, Pitch, VoiceQuality};
use ser_features::{FeatureGroups, FeatureSet};
use ser_runtime::footprint::{CODE_BYTES, Footprint, STACK_BYTES};
use ser_runtime::normalise::{Normaliser, NormaliserKind};
use serde::Serialize;

use super::FitError;
use super::training::Training;
use crate::config::{
    BudgetConfig, ClassifierInput, Config, FeaturesConfig, HoldOut, Select, parse_size,
};
use crate::data::batches::largest;
use crate::data::folds::{self, Fold, Grouping};
use crate::data::task::Task;
use crate::device::Chosen;
use crate::export::static_model::footprint;
use crate::metrics::Confusion;
use crate::model::{Activation, DenseLayer, TrainedModel};
use crate::progress::Progress;
use crate::table::FeatureTable;

/// Groups of features that are tried, by falling need of RAM.
pub const GROUPS: [FeatureGroups; 6] = [
    FeatureGroups::ALL,
    FeatureGroups::of(&[Loudness, Mfcc, LogMel, Lsp]),
    FeatureGroups::of(&[Loudness, Mfcc, LogMel, Pitch, VoiceQuality]),
    FeatureGroups::of(&[Loudness, Mfcc, LogMel, Pitch]),
    FeatureGroups::of(&[Loudness, Mfcc, LogMel]),
    FeatureGroups::of(&[Loudness, Mfcc]),
];
/// What the widths of the configuration are divided by.
pub const DIVISORS: [usize; 6] = [1, 2, 4, 8, 16, 32];
/// No layer is made narrower than this.
const NARROWEST: usize = 8;
/// Rungs of a choice of groups that are scored, from the widest that fits.
pub const SCREENED: usize = 2;
/// Folds of whole speakers, where there are so many.
const FOLDS: usize = 5;
/// Trainings of each fold, from seeds that follow each other: one alone moves a rung by some points.
const SEEDS: u64 = 3;

/// Why there is no model for a budget.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BudgetError {
    /// A limit that is no size.
    #[error("budget.{key}: {problem}")]
    Size {
        /// "flash" or "ram".
        key: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// Features that no device extracts.
    #[error(
        "a budget needs features that a device can extract, the table holds set {set:?}; make the table with ser-train extract"
    )]
    FeatureSet {
        /// Its id.
        set: String,
    },
    /// Nothing says at which rate the device will run.
    #[error(
        "a budget needs the sampling rate of the recordings, and no row of the table states one; make the table with ser-train extract"
    )]
    SampleRate,
    /// A rate that the extractor does not take.
    #[error("the extractor does not take the table's {0} Hz")]
    Rate(u32),
    /// Nothing fits.
    #[error(
        "nothing fits flash {} and RAM {}: the least flash is {least_flash} bytes (of it {CODE_BYTES} for code), the least RAM {least_ram} bytes \
         (of it {STACK_BYTES} for the stack) for utterances of {utterance} s at {sample_rate} Hz; shorten budget.utterance (--utterance) for less RAM",
        limit(*.flash), limit(*.ram)
    )]
    NothingFits {
        /// Bytes of flash that there are.
        flash: Option<usize>,
        /// Bytes of RAM that there are.
        ram: Option<usize>,
        /// Bytes of flash of the smallest model.
        least_flash: usize,
        /// Bytes of RAM of the smallest model.
        least_ram: usize,
        /// Longest utterance in seconds.
        utterance: f64,
        /// In Hz.
        sample_rate: u32,
    },
}

fn limit(bytes: Option<usize>) -> String {
    bytes.map_or_else(|| "(any)".into(), |bytes| format!("{bytes} bytes"))
}

/// What there is on the device.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Budget {
    /// Bytes of flash; `None`: any number.
    pub flash: Option<usize>,
    /// Bytes of RAM.
    pub ram: Option<usize>,
    /// Longest utterance in seconds.
    pub utterance_s: f64,
    /// Sampling rate at which features are taken, in Hz: the table's, or the highest of its recordings.
    pub sample_rate: u32,
}

impl Budget {
    fn of(config: &BudgetConfig, task: &Task<'_>) -> Result<Self, BudgetError> {
        let size = |key, text: &str| match text {
            "" => Ok(None),
            text => parse_size(text)
                .map(Some)
                .map_err(|problem| BudgetError::Size { key, problem }),
        };
        let heard_at = task.table.feature_set.hearing.as_ref();
        let heard_at = heard_at.and_then(|hearing| hearing.sample_rate);
        let own = task
            .rows
            .iter()
            .filter_map(|&row| task.table.meta[row].sample_rate);
        Ok(Self {
            flash: size("flash", &config.flash)?,
            ram: size("ram", &config.ram)?,
            utterance_s: config.utterance,
            sample_rate: heard_at.or(own.max()).ok_or(BudgetError::SampleRate)?,
        })
    }

    /// Whether a model has room.
    pub fn holds(&self, footprint: &Footprint) -> bool {
        self.flash.is_none_or(|most| footprint.flash() <= most)
            && self.ram.is_none_or(|most| footprint.ram() <= most)
    }
}

/// A model of the ladder.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rung {
    /// Groups of features that it reads.
    pub groups: Vec<String>,
    /// Hidden layers of the encoder.
    pub encoder_hidden: Vec<usize>,
    /// Width of the code.
    pub code_size: usize,
    /// Hidden layers of the classifier.
    pub classifier_hidden: Vec<usize>,
    /// Bytes of flash, code included.
    pub flash: usize,
    /// Bytes of RAM, stack included.
    pub ram: usize,
    /// UAR of the screening, where it was scored.
    pub screening_uar: Option<f64>,
}

/// What was chosen and what it costs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Choice {
    /// What there was.
    pub budget: Budget,
    /// How the UARs were measured.
    pub protocol: String,
    /// The configuration as it was given.
    pub unlimited: Rung,
    /// The best that fits.
    pub chosen: Rung,
    /// All that were scored.
    pub screened: Vec<Rung>,
}

impl Choice {
    /// UAR that the budget costs, in the screening; less than 0 where the small model did better.
    pub fn cost(&self) -> Option<f64> {
        Some(self.unlimited.screening_uar? - self.chosen.screening_uar?)
    }
}

/// The best configuration no larger than `config` that fits `config.budget`, and the choice itself. The budget of what is returned is empty.
///
/// # Errors
/// [`FitError::Budget`], and what stops any training.
pub fn choose(
    table: &FeatureTable,
    config: &Config,
    device: &Chosen,
) -> Result<(Config, Choice), FitError> {
    let task = Task::new(table, &config.labels)?;
    let no_set = || BudgetError::FeatureSet {
        set: table.feature_set.id.clone(),
    };
    let set = FeatureSet::from_id(&table.feature_set.id).ok_or_else(no_set)?;
    let budget = Budget::of(&config.budget, &task)?;
    let measure = |config: Config| -> Result<(Config, Footprint), FitError> {
        let model = blank(&config, &task);
        let footprint = footprint(&model, set, budget.sample_rate, budget.utterance_s)?
            .ok_or(BudgetError::Rate(budget.sample_rate))?;
        Ok((config, footprint))
    };
    let mut unlimited = config.clone();
    unlimited.budget.flash.clear();
    unlimited.budget.ram.clear();

    let mut rungs = vec![measure(unlimited.clone())?];
    let mut seen = BTreeSet::new();
    let (mut least_flash, mut least_ram) = (usize::MAX, usize::MAX);
    for groups in GROUPS.map(|groups| groups.intersection(config.features.set())) {
        if groups.is_empty() || !seen.insert(groups.to_string()) {
            continue;
        }
        let mut screened = 0;
        let mut widths = BTreeSet::new();
        for divisor in DIVISORS {
            let smaller = narrowed(&unlimited, groups, divisor);
            if !widths.insert(shape(&smaller)) {
                continue;
            }
            let (smaller, footprint) = measure(smaller)?;
            least_flash = least_flash.min(footprint.flash());
            least_ram = least_ram.min(footprint.ram());
            if screened < SCREENED && budget.holds(&footprint) {
                screened += 1;
                rungs.push((smaller, footprint));
            }
        }
    }
    if rungs.len() == 1 {
        return Err(FitError::Budget(BudgetError::NothingFits {
            flash: budget.flash,
            ram: budget.ram,
            least_flash,
            least_ram,
            utterance: budget.utterance_s,
            sample_rate: budget.sample_rate,
        }));
    }
    let (folds, protocol) = screening(&task, config.seed)?;
    let uars = score(&task, &rungs, &folds, device)?;
    let mut scored = rungs.iter().zip(&uars).map(|((config, footprint), &uar)| {
        let (encoder_hidden, code_size, classifier_hidden) = shape(config);
        Rung {
            groups: config.features.groups.clone(),
            encoder_hidden,
            code_size,
            classifier_hidden,
            flash: footprint.flash(),
            ram: footprint.ram(),
            screening_uar: uar,
        }
    });
    let unlimited = scored.next().ok_or(FitError::Misfit)?;
    let screened: Vec<Rung> = scored.collect();
    // in order of groups from the one that takes most RAM: of equals the last one
    let best = (0..screened.len())
        .max_by(|&a, &b| {
            let uar = |i: usize| screened[i].screening_uar.unwrap_or(0.0);
            uar(a).total_cmp(&uar(b))
        })
        .ok_or(FitError::Misfit)?;
    let choice = Choice {
        budget,
        protocol,
        unlimited,
        chosen: screened[best].clone(),
        screened,
    };
    let (config, _) = rungs.swap_remove(best + 1);
    Ok((config, choice))
}

/// Hidden layers of the encoder, code, hidden layers of the classifier.
fn shape(config: &Config) -> (Vec<usize>, usize, Vec<usize>) {
    (
        config.autoencoder.hidden.clone(),
        config.autoencoder.code_size,
        config.classifier.hidden.clone(),
    )
}

fn narrowed(config: &Config, groups: FeatureGroups, divisor: usize) -> Config {
    let mut out = config.clone();
    out.features = FeaturesConfig::of(groups);
    let divide = |width: &mut usize| *width = (*width / divisor).max(NARROWEST.min(*width));
    out.autoencoder.hidden.iter_mut().for_each(divide);
    divide(&mut out.autoencoder.code_size);
    out.classifier.hidden.iter_mut().for_each(divide);
    // fewer units overfit less and learn more slowly
    let root = (divisor as f64).sqrt();
    out.autoencoder.dropout /= root;
    out.classifier.dropout /= root;
    out.classifier.learning_rate *= root;
    out.classifier.encoder_learning_rate *= root;
    out
}

/// A model of the shape of `config`, untrained: what it takes of a device does not depend on its weights.
fn blank(config: &Config, task: &Task<'_>) -> TrainedModel {
    let groups = config.features.set();
    let layers = |widths: &[usize]| -> Vec<DenseLayer> {
        let pair = |pair: &[usize]| DenseLayer {
            inputs: pair[0],
            outputs: pair[1],
            weight: vec![0.0; pair[0] * pair[1]],
            bias: vec![0.0; pair[1]],
            activation: Activation::LeakyRelu(0.01),
        };
        widths.windows(2).map(pair).collect()
    };
    let chain =
        |first: usize, hidden: &[usize], last: usize| layers(&[&[first], hidden, &[last]].concat());
    let (encoder, code) = match config.classifier.input {
        ClassifierInput::Code => {
            let code = config.autoencoder.code_size;
            (chain(task.width(), &config.autoencoder.hidden, code), code)
        }
        ClassifierInput::Features => (Vec::new(), task.width()),
    };
    let scale = |i| if groups.contains_feature(i) { 1.0 } else { 0.0 };
    TrainedModel {
        normaliser: Normaliser {
            kind: NormaliserKind::ZScore,
            offset: vec![0.0; task.width()],
            scale: (0..task.width()).map(scale).collect(),
            clip: None,
        },
        encoder,
        classifier: chain(code, &config.classifier.hidden, task.labels.len()),
        labels: task.labels.clone(),
    }
}

/// Folds of whole speakers, and how they are scored, in words.
fn screening(task: &Task<'_>, seed: u64) -> Result<(Vec<Fold>, String), FitError> {
    let speakers: BTreeSet<_> = task
        .rows
        .iter()
        .map(|&row| (&task.table.meta[row].corpus, &task.table.meta[row].speaker))
        .collect();
    let count = speakers.len().clamp(2, FOLDS);
    let folds = folds::grouped(task, Grouping::Speaker, count, seed)?;
    let protocol = format!(
        "UAR pooled over {count} folds of whole speakers of the training rows, shortened training (no GAN, last epoch), {SEEDS} seeds from {seed}; \
         the best of the screened models was chosen by it, so that its own is optimistic"
    );
    Ok((folds, protocol))
}

/// The training of the screening.
fn shortened(config: &Config) -> Config {
    let mut out = config.clone();
    out.gan.enabled = false;
    out.classifier.select = Select::Last;
    out.validation.by = HoldOut::None;
    out.validation.hold_out.clear();
    out.validation.patience = 0;
    out.validation.refit = false;
    out
}

/// UAR of each rung; each training has one thread, so that scores do not depend on the number of cores.
fn score(
    task: &Task<'_>,
    rungs: &[(Config, Footprint)],
    folds: &[Fold],
    device: &Chosen,
) -> Result<Vec<Option<f64>>, FitError> {
    let mut jobs: Vec<(Config, &Fold)> = Vec::new();
    for (config, _) in rungs {
        for fold in folds {
            for step in 0..SEEDS {
                let mut config = shortened(config);
                config.seed = config.seed.wrapping_add(step);
                jobs.push((config, fold));
            }
        }
    }
    let jobs_of_a_rung = jobs.len() / rungs.len().max(1);
    let progress = Progress::new("budget", jobs.len() as u64);
    let next = AtomicUsize::new(0);
    type Pairs = Vec<(usize, usize)>;
    let worker = || -> Result<Vec<(usize, Pairs)>, FitError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .map_err(|e| FitError::Threads(e.to_string()))?;
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some((config, fold)) = jobs.get(index) else {
                return Ok(done);
            };
            done.push((
                index,
                pool.install(|| recognised(task, config, fold, device))?,
            ));
            progress.add(1);
        }
    };
    let workers = match device.name.as_str() {
        "cpu" => std::thread::available_parallelism().map_or(1, usize::from),
        _ => 1,
    };
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        let join = |t: std::thread::ScopedJoinHandle<'_, _>| {
            t.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        started.into_iter().map(join).collect()
    });
    progress.finish();
    let mut pairs = vec![Vec::new(); rungs.len()];
    for outcome in outcomes {
        for (index, found) in outcome? {
            pairs[index / jobs_of_a_rung].extend(found);
        }
    }
    let uar = |pairs: Pairs| Confusion::of(task.labels.len(), pairs).uar();
    Ok(pairs.into_iter().map(uar).collect())
}

/// Class and recognised class of the rows that `fold` holds out, after the training of `config`.
fn recognised(
    task: &Task<'_>,
    config: &Config,
    fold: &Fold,
    device: &Chosen,
) -> Result<Vec<(usize, usize)>, FitError> {
    let split = folds::validation(task, &fold.train, &config.validation, config.seed)?;
    let mut training = Training::new(config, task, split, &device.device)?;
    while training.epoch()?.is_some() {}
    let model = training.finished().ok_or(FitError::Misfit)?;
    let rows = fold.held_out.iter();
    let raw: Vec<f32> = rows
        .flat_map(|&i| task.features(i).iter().copied())
        .collect();
    let logits = model.logits(&raw)?;
    let predicted = logits.chunks_exact(task.labels.len()).map(largest);
    Ok(fold
        .held_out
        .iter()
        .map(|&i| task.classes[i])
        .zip(predicted)
        .collect())
}
