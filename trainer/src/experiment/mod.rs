//! Experiments: methods compared on equal data, equal folds and equal seeds (PROTOCOL section 3).
//!
//! [`config`] is the experiment's description, [`plan`] the list of its cells (method × setting × protocol × fold ×
//! seed), [`split`] parts and normalises the rows of a cell, [`cell`] trains and tests it, [`run`] computes cells side
//! by side and keeps each on disk, and [`summary`] turns them into scores, intervals and paired tests, which
//! [`tables`] and [`report`] write down.

pub mod cell;
mod check;
pub mod config;
pub mod figures;
pub mod findings;
pub mod plan;
pub mod report;
pub mod run;
pub mod split;
pub mod summary;
pub mod tables;
mod upstream;

use std::path::{Path, PathBuf};

use ser_runtime::normalise::NormaliserError;

use crate::atomic;
use crate::config::ConfigError;
use crate::data::folds::FoldError;
use crate::data::task::TaskError;
use crate::nn::BackendError;
use crate::plots::PlotError;
use crate::table::TableError;

/// Whatever can stop an experiment, or one of its cells.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// No such experiment.
    #[error(
        "{name}: no such file, and none of the ready-made experiments ({known}); name a TOML file or one of these"
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// The ready-made ones.
        known: String,
    },
    /// A file of the experiment.
    #[error("cannot {action} {}: {source}{}", path.display(), atomic::hint(action, source))]
    Io {
        /// The file.
        path: PathBuf,
        /// "read", "write" …
        action: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// The description is no text or cannot be read.
    #[error(transparent)]
    Text(#[from] crate::data::text::TextError),
    /// The description is not valid.
    #[error("{origin}: {problem}")]
    Invalid {
        /// File name.
        origin: String,
        /// What is wrong, and what to write instead.
        problem: String,
    },
    /// A training setting.
    #[error("{origin}: method '{method}', setting '{setting}': {source}")]
    Training {
        /// File name.
        origin: String,
        /// Id of the method.
        method: String,
        /// The setting.
        setting: String,
        /// The cause.
        source: Box<ConfigError>,
    },
    /// The feature tables.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Rows that cannot be learned from.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// Rows that cannot be parted.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// Rows that must not be parted like this.
    #[error("{0}")]
    Leak(String),
    /// A normaliser.
    #[error("{what}: {source}")]
    Normaliser {
        /// Whose rows.
        what: String,
        /// The cause.
        source: NormaliserError,
    },
    /// The tensor backend.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// A loss is NaN or infinite.
    #[error(
        "training diverged: {what} is not finite in epoch {epoch} of {stage}; lower its learning rate, or set normaliser.clip"
    )]
    Diverged {
        /// What was being trained.
        stage: String,
        /// The epoch, from 1.
        epoch: usize,
        /// The number at fault.
        what: String,
    },
    /// A method could not be fitted.
    #[error("{what}: {reason}")]
    Method {
        /// Which part.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// A folder that holds another run.
    #[error("{} {problem}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// Cells failed; all others are done.
    #[error("{failed} of {cells} cells failed (see {}); run again with --resume to try them again", folder.display())]
    CellsFailed {
        /// How many.
        failed: usize,
        /// Of how many.
        cells: usize,
        /// Where their errors are.
        folder: PathBuf,
    },
    /// A plot.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// No thread could be started.
    #[error("cannot start a worker thread: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// Wraps an I/O error with the file and what was tried.
fn io<'p>(
    path: &'p Path,
    action: &'static str,
) -> impl Fn(std::io::Error) -> ExperimentError + use<'p> {
    move |source| ExperimentError::Io {
        path: path.to_owned(),
        action,
        source,
    }
}

/// Writes `value` as pretty JSON, whole or not at all.
fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), ExperimentError> {
    use std::io::Write;
    atomic::write::<std::io::Error, _>(path, |w| {
        serde_json::to_writer_pretty(&mut *w, value)?;
        w.write_all(b"\n")
    })
    .map_err(io(path, "write"))
}
