//! `ser-train fit`: runs a training to its end, on disk at every step.
//!
//! The folder of a run holds `config.toml` (complete), `metrics.jsonl` (a line an epoch) and `checkpoint`; export adds
//! the bundle, plots and report. Killed at any moment, a run taken up with `--resume` ends exactly where it would have
//! ended: an epoch depends on nothing but the state before it, and `metrics.jsonl` is cut back to the length that the
//! checkpoint knows.

mod bench;
pub mod budget;
pub mod checkpoint;
pub mod training;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ser_runtime::bundle::MANIFEST_FILE;
use serde_json::{Map, Value, json};

use self::budget::BudgetError;
use self::checkpoint::{CHECKPOINT_FILE, Checkpoint, CheckpointError, Origin};
use self::training::{Epoch, Training};
use crate::atomic;
use crate::config::{Config, ConfigError};
use crate::data::folds::{self, FoldError};
use crate::data::task::{Task, TaskError};
use crate::device::{Chosen, DeviceError};
use crate::evaluate::Scores;
use crate::export::BUNDLE_DIR;
use crate::model::{FitOutcome, HeldOut, ModelError};
use crate::nn::BackendError;
use crate::progress::Progress;
use crate::table::FeatureTable;

/// The complete configuration inside the folder of a run.
pub const CONFIG_FILE: &str = "config.toml";
/// A line an epoch.
pub const METRICS_FILE: &str = "metrics.jsonl";
/// Version of burn, as the workspace pins it.
pub const BURN_VERSION: &str = "0.22.1";

/// What can stop a training.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FitError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The feature table.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// Who is held out.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// The device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The tensor backend.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The normaliser.
    #[error(transparent)]
    Normaliser(#[from] ser_runtime::normalise::NormaliserError),
    /// The trained model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The 8-bit form of the trained model.
    #[error(transparent)]
    Static(#[from] crate::export::static_model::StaticExportError),
    /// The checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A loss is NaN or infinite.
    #[error(
        "training diverged: {what} is not finite in epoch {epoch} of stage {stage}; lower that stage's learning rate, or set normaliser.clip"
    )]
    Diverged {
        /// The stage.
        stage: &'static str,
        /// Its epoch, from 1.
        epoch: usize,
        /// The number at fault.
        what: String,
    },
    /// A state that does not belong to this configuration.
    #[error("the state of the run does not fit its configuration; start anew with --overwrite")]
    Misfit,
    /// The folder holds a run that has not ended.
    #[error("{} holds a run that has not ended: --resume goes on with it, --overwrite starts anew", path.display())]
    Unfinished {
        /// Folder of the run.
        path: PathBuf,
    },
    /// The folder holds a model.
    #[error("{} holds a finished model: --overwrite replaces it, or choose another folder with -o", path.display())]
    Finished {
        /// Folder of the run.
        path: PathBuf,
    },
    /// `metrics.jsonl` lost lines that the checkpoint counted.
    #[error("{}: {found} bytes, but the checkpoint was written after {expected}: it was cut or replaced since; start anew with --overwrite", path.display())]
    MetricsCut {
        /// The file.
        path: PathBuf,
        /// Its length.
        found: u64,
        /// Length at the checkpoint.
        expected: u64,
    },
    /// A line of `metrics.jsonl` is no JSON.
    #[error("{}, line {line}: {source}", path.display())]
    MetricsLine {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Reading or writing failed.
    #[error("cannot {action} {}: {source}{}", path.display(), atomic::hint(action, source))]
    Io {
        /// The file.
        path: PathBuf,
        /// "read", "write", …
        action: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// Groups of features that nobody knows how to tell apart.
    #[error(
        "features.groups: the features of set {set:?} were made elsewhere and have no groups; leave the key out"
    )]
    NoGroups {
        /// Id of the feature set.
        set: String,
    },
    /// No thread could be started.
    #[error("cannot start a worker thread: {0}")]
    Threads(String),
    /// No model for the device.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// Scores of another table or configuration.
    #[error(
        "--scores: these scores were measured with {0}; evaluate again with this configuration and table"
    )]
    OtherScores(String),
    /// The user asked to stop.
    #[error("stopped after epoch {epoch} of stage {stage}; the same command with --resume goes on")]
    Stopped {
        /// The stage.
        stage: &'static str,
        /// Its epoch, from 1.
        epoch: usize,
    },
}

/// Whether to go on after an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Yes.
    GoOn,
    /// Write a checkpoint and stop.
    Stop,
    /// Stop as if killed, without writing anything more.
    Drop,
}

/// How a run is carried out; nothing here changes what is learned.
pub struct FitOptions<'a> {
    /// Folder of the run.
    pub out: &'a Path,
    /// Go on with the run in `out`, if there is one.
    pub resume: bool,
    /// Start anew even where `out` holds a run that has not ended.
    pub overwrite: bool,
    /// Where tensors live.
    pub device: &'a Chosen,
    /// Scores of `ser-train evaluate` for the bundle.
    pub scores: Option<&'a Scores>,
    /// Asked after each epoch.
    pub control: &'a mut dyn FnMut(&Epoch) -> Control,
}

impl std::fmt::Debug for FitOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FitOptions")
            .field("out", &self.out)
            .field("resume", &self.resume)
            .field("overwrite", &self.overwrite)
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

/// Whether a run may begin in `out`: worth asking before tables are read.
///
/// # Errors
/// [`FitError::Finished`] where a model is there and neither `resume` nor `overwrite` is asked for.
pub fn check_free(out: &Path, resume: bool, overwrite: bool) -> Result<(), FitError> {
    let bundle = out.join(BUNDLE_DIR).join(MANIFEST_FILE);
    if !resume && !overwrite && bundle.exists() {
        return Err(FitError::Finished {
            path: out.to_owned(),
        });
    }
    Ok(())
}

/// Trains on `table` as `config` says and returns what export needs.
///
/// # Errors
/// See [`FitError`]. Whatever happens, the folder of the run holds nothing half written.
pub fn fit(
    table: &FeatureTable,
    config: &Config,
    options: &mut FitOptions<'_>,
) -> Result<FitOutcome, FitError> {
    let task = Task::new(table, &config.labels)?;
    let all: Vec<usize> = (0..task.len()).collect();
    let split = folds::validation(&task, &all, &config.validation, config.seed)?;
    let origin = origin(table, config, options.device);
    if let Some(scores) = options.scores {
        scores.check_origin(&origin)?;
    }
    let out = options.out;
    let checkpoint_path = out.join(CHECKPOINT_FILE);
    let found = if options.overwrite {
        None
    } else {
        Checkpoint::read(&checkpoint_path)?
    };
    let start = match found {
        Some(c) if options.resume => {
            c.check_origin(&origin, out)?;
            Some(c)
        }
        Some(c) if c.state.finished.is_none() => {
            return Err(FitError::Unfinished {
                path: out.to_owned(),
            });
        }
        Some(_) => {
            return Err(FitError::Finished {
                path: out.to_owned(),
            });
        }
        None => None,
    };
    let mut training = Training::new(config, &task, split.clone(), &options.device.device)?;
    let mut metrics = match start {
        Some(c) => {
            let metrics = Metrics::cut_back(&out.join(METRICS_FILE), c.metrics_bytes)?;
            training = training.resume(c.state)?;
            metrics
        }
        None => {
            remove(&checkpoint_path)?;
            save(&out.join(CONFIG_FILE), config.to_toml()?.as_bytes())?;
            Metrics::create(&out.join(METRICS_FILE))?
        }
    };
    let write_checkpoint = |training: &Training<'_>, metrics: &Metrics| -> Result<(), FitError> {
        metrics
            .file
            .sync_data()
            .map_err(io(&metrics.path, "write"))?;
        let checkpoint = Checkpoint {
            origin: origin.clone(),
            metrics_bytes: metrics.bytes,
            state: training.state()?,
        };
        Ok(checkpoint.write(&checkpoint_path)?)
    };
    let pause =
        Duration::try_from_secs_f64(config.checkpoint.every_seconds).unwrap_or(Duration::MAX);
    let mut written = Instant::now();
    let mut display = Display::default();
    while let Some(epoch) = training.epoch()? {
        metrics.append(&epoch)?;
        display.show(&epoch);
        let control = (options.control)(&epoch);
        let stop = FitError::Stopped {
            stage: epoch.stage,
            epoch: epoch.number,
        };
        if control == Control::Drop {
            return Err(stop);
        }
        let finished = training.finished().is_some();
        if finished || control == Control::Stop || written.elapsed() >= pause {
            write_checkpoint(&training, &metrics)?;
            written = Instant::now();
        }
        if control == Control::Stop && !finished {
            return Err(stop);
        }
    }
    display.finish();
    outcome(&task, &training, &split, config, options, metrics.lines)
}

fn outcome(
    task: &Task<'_>,
    training: &Training<'_>,
    split: &folds::Fold,
    config: &Config,
    options: &FitOptions<'_>,
    metrics: Vec<Value>,
) -> Result<FitOutcome, FitError> {
    let table = task.table;
    let model = training.finished().ok_or(FitError::Misfit)?.clone();
    let every: Vec<usize> = (0..task.len()).collect();
    let trained_on = if config.validation.refit {
        &every
    } else {
        &split.train
    };
    let rates: BTreeSet<u32> = task
        .rows
        .iter()
        .filter_map(|&r| table.meta[r].sample_rate)
        .collect();
    let mut scores = options.scores.map(Scores::for_bundle).unwrap_or_default();
    scores.extend(validation_score(training, split, &model.labels));
    let held_out = match options.scores.and_then(Scores::held_out) {
        Some(from_folds) => Some(from_folds),
        None => training.held_out().cloned(),
    };
    let mut versions = versions(&options.device.name);
    if let Some(extractor) = &table.feature_set.extractor_version {
        versions.insert("extractor".into(), extractor.clone());
    }
    Ok(FitOutcome {
        model,
        feature_set: table.feature_set.id.clone(),
        hearing: table.feature_set.hearing.clone(),
        feature_names: table.names.clone(),
        rows: trained_on
            .iter()
            .flat_map(|&i| task.features(i).iter().copied())
            .collect(),
        sample_rates: rates.into_iter().collect(),
        held_out,
        metrics,
        config: json!(config),
        data: data_summary(task, training, split),
        scores,
        versions,
    })
}

/// The score on the rows held out from this very training, where there were any. Early stopping looked at them.
fn validation_score(
    training: &Training<'_>,
    split: &folds::Fold,
    labels: &[String],
) -> Option<ser_runtime::bundle::Score> {
    let HeldOut {
        logits,
        labels: truth,
        ..
    } = training.held_out()?;
    let predicted = logits
        .chunks_exact(labels.len())
        .map(crate::data::batches::largest);
    let confusion =
        crate::metrics::Confusion::of(labels.len(), truth.iter().copied().zip(predicted));
    Some(ser_runtime::bundle::Score {
        protocol: format!(
            "validation rows of this training ({}); {}",
            split.name,
            if training.held_out_rows_choose() {
                "early stopping looked at them, so this is optimistic"
            } else {
                "nothing was chosen by them, but they are few"
            }
        ),
        metric: "UAR".into(),
        value: confusion.uar()?,
        std: None,
        detail: json!({"labels": labels, "confusion": confusion.counts}),
    })
}

fn data_summary(task: &Task<'_>, training: &Training<'_>, split: &folds::Fold) -> Value {
    let table = task.table;
    let mut by_label: BTreeMap<&str, usize> = task.labels.iter().map(|l| (l.as_str(), 0)).collect();
    for &class in &task.classes {
        *by_label.entry(&task.labels[class]).or_default() += 1;
    }
    let distinct = |name: &dyn Fn(&crate::table::RowMeta) -> Option<String>| -> BTreeSet<String> {
        task.rows
            .iter()
            .filter_map(|&r| name(&table.meta[r]))
            .collect()
    };
    let speakers = distinct(&|m| Some(format!("{}/{}", m.corpus, m.speaker)));
    let corpora = distinct(&|m| Some(m.corpus.clone()));
    let mut out = Map::new();
    out.insert("rows".into(), json!(task.len()));
    out.insert("rows_left_out".into(), json!(table.rows - task.len()));
    out.insert("rows_by_label".into(), json!(by_label));
    out.insert("speakers".into(), json!(speakers.len()));
    out.insert("corpora".into(), json!(corpora));
    out.insert("held_out_for_validation".into(), json!(split.name));
    out.insert("classifier_epochs".into(), json!(training.chosen_epochs()));
    out.insert("table_sha256".into(), json!(table.sha256()));
    Value::Object(out)
}

/// What the numbers of a run depend on.
pub(crate) fn origin(table: &FeatureTable, config: &Config, device: &Chosen) -> Origin {
    Origin {
        config: json!(config),
        table_sha256: table.sha256(),
        device: device.name.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
    }
}

/// Versions of what took part.
pub(crate) fn versions(device: &str) -> BTreeMap<String, String> {
    [
        ("ser-trainer", env!("CARGO_PKG_VERSION")),
        ("burn", BURN_VERSION),
        ("device", device),
    ]
    .into_iter()
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .collect()
}

fn io(path: &Path, action: &'static str) -> impl Fn(std::io::Error) -> FitError {
    let path = path.to_owned();
    move |source| FitError::Io {
        path: path.clone(),
        action,
        source,
    }
}

fn save(path: &Path, content: &[u8]) -> Result<(), FitError> {
    atomic::write::<std::io::Error, _>(path, |w| w.write_all(content)).map_err(io(path, "write"))
}

fn remove(path: &Path) -> Result<(), FitError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io(path, "remove")(e)),
        _ => Ok(()),
    }
}

/// `metrics.jsonl`, open for appending.
#[derive(Debug)]
struct Metrics {
    path: PathBuf,
    file: File,
    bytes: u64,
    lines: Vec<Value>,
}

impl Metrics {
    fn create(path: &Path) -> Result<Self, FitError> {
        Ok(Self {
            path: path.to_owned(),
            file: File::create(path).map_err(io(path, "create"))?,
            bytes: 0,
            lines: Vec::new(),
        })
    }

    /// Opens the file and cuts off what came after the checkpoint.
    fn cut_back(path: &Path, bytes: u64) -> Result<Self, FitError> {
        let fail = io(path, "read");
        let mut file = File::options()
            .read(true)
            .write(true)
            .open(path)
            .map_err(&fail)?;
        let found = file.metadata().map_err(&fail)?.len();
        if found < bytes {
            return Err(FitError::MetricsCut {
                path: path.to_owned(),
                found,
                expected: bytes,
            });
        }
        file.set_len(bytes).map_err(io(path, "write"))?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(&fail)?;
        file.seek(SeekFrom::End(0)).map_err(&fail)?;
        let parse = |(i, line)| {
            serde_json::from_str(line).map_err(|source| FitError::MetricsLine {
                path: path.to_owned(),
                line: i + 1,
                source,
            })
        };
        Ok(Self {
            lines: text
                .lines()
                .enumerate()
                .map(parse)
                .collect::<Result<_, _>>()?,
            path: path.to_owned(),
            file,
            bytes,
        })
    }

    fn append(&mut self, epoch: &Epoch) -> Result<(), FitError> {
        let mut line = Map::new();
        line.insert("stage".into(), json!(epoch.stage));
        line.insert("epoch".into(), json!(epoch.number));
        line.extend(epoch.numbers.clone());
        let line = Value::Object(line);
        let text = format!("{line}\n");
        self.file
            .write_all(text.as_bytes())
            .map_err(io(&self.path, "write"))?;
        self.bytes += text.len() as u64;
        self.lines.push(line);
        Ok(())
    }
}

/// A bar (or plain lines) for the stage at hand.
#[derive(Debug, Default)]
struct Display {
    stage: Option<(&'static str, Progress)>,
}

impl Display {
    fn show(&mut self, epoch: &Epoch) {
        if self.stage.as_ref().is_none_or(|(s, _)| *s != epoch.stage) {
            self.finish();
            self.stage = Some((epoch.stage, Progress::new(epoch.stage, epoch.of as u64)));
            if let (Some((_, bar)), 2..) = (&self.stage, epoch.number) {
                bar.add(epoch.number as u64 - 1);
            }
        }
        if let Some((_, bar)) = &self.stage {
            bar.message(describe(epoch));
            bar.add(1);
            if epoch.last && epoch.number < epoch.of {
                bar.note(format!(
                    "{}: stopped after epoch {} of {}: {}",
                    epoch.stage,
                    epoch.number,
                    epoch.of,
                    describe(epoch)
                ));
            }
        }
    }

    fn finish(&mut self) {
        if let Some((_, bar)) = self.stage.take() {
            bar.finish();
        }
    }
}

/// The numbers of an epoch in a few words.
fn describe(epoch: &Epoch) -> String {
    let short = |key: &str| {
        key.replace("discriminator_accuracy_", "D on ")
            .replace("_loss", "")
            .replace('_', " ")
    };
    let parts = epoch
        .numbers
        .iter()
        .filter_map(|(k, v)| Some(format!("{} {:.3}", short(k), v.as_f64()?)));
    parts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_burn_is_the_one_that_the_workspace_pins() {
        let manifest = include_str!("../../../Cargo.toml");
        assert!(manifest.contains(&format!("burn = {{ version = \"={BURN_VERSION}\"")));
    }
}
