//! `ser-train bench`: measurements that anyone can repeat.

mod rival;
mod train;

use clap::Subcommand;

/// Measure speed. Machines are noisy: every figure is the median of several rounds, rivals taking turns
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Training steps of the networks, beside PyTorch's
    Train(train::TrainBench),
}

/// Runs the command.
///
/// # Errors
/// What keeps a measurement from being made.
pub fn run(args: Args) -> Result<(), crate::Error> {
    match args.bench {
        Bench::Train(bench) => Ok(bench.run()?),
    }
}

/// Why a measurement could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The device is not there.
    #[error(transparent)]
    Device(#[from] crate::device::DeviceError),
    /// Training failed.
    #[error(transparent)]
    Backend(#[from] crate::nn::BackendError),
    /// PyTorch, asked for by name, does not answer.
    #[error("PyTorch in {python}: {reason}")]
    Rival {
        /// The interpreter.
        python: String,
        /// Its words, and what to do.
        reason: String,
    },
    /// No threads.
    #[error("{threads} threads could not be started: {reason}")]
    Threads {
        /// How many.
        threads: usize,
        /// The system's words.
        reason: String,
    },
    /// A result could not be written.
    #[error("the result cannot be written to standard output: {0}")]
    Output(#[from] std::io::Error),
    /// A result could not be written as JSON.
    #[error("the result cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The benchmark's own configuration was refused.
    #[error("the configuration of the benchmark: {0}")]
    Config(String),
}
