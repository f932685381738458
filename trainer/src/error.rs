//! The crate's error: one variant per stage, each the stage's own enum.

use crate::adapt::SimulationError;
use crate::bench_svm::BenchSvmError;
use crate::cli::bench::BenchError;
use crate::corpus::CorpusError;
use crate::evaluate::EvaluateError;
use crate::experiment::ExperimentError;
use crate::export::bundle::ExportError;
use crate::extract::ExtractionError;
use crate::fit::FitError;
use crate::table::TableError;
use crate::verify::VerifyError;

/// Whatever can stop a `ser-train` command. The message names the file, row or field at fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command line asks for something that does not exist.
    #[error("{0}")]
    Usage(String),
    /// A corpus could not be read, understood or written.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// A feature table could not be read, understood or written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Recordings could not be measured.
    #[error(transparent)]
    Extraction(#[from] ExtractionError),
    /// A model could not be trained.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// A configuration could not be evaluated.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// An experiment could not be run.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// Adaptation could not be simulated.
    #[error(transparent)]
    Simulation(#[from] SimulationError),
    /// The support vector machine could not be timed.
    #[error(transparent)]
    BenchSvm(#[from] BenchSvmError),
    /// A trained model could not be exported.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// Engines could not be compared, or disagree.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// A measurement could not be made.
    #[error(transparent)]
    Bench(#[from] BenchError),
}
