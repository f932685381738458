//! The command line: one file per subcommand; this one only dispatches.

mod adapt;
pub mod bench;
mod corpus;
mod evaluate;
mod export;
mod extract;
mod fit;
mod import;
mod run;
mod synth;
mod tables;
mod verify;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use ser_runtime::bundle::MANIFEST_FILE;

use crate::export::BUNDLE_DIR;

/// Labelled recordings in, an emotion recogniser out.
#[derive(Debug, Parser)]
#[command(name = "ser-train", version, about, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the labelled recordings of a folder in a corpus file
    Corpus(corpus::Args),
    /// Measure the features of every recording of a corpus file
    Extract(extract::Args),
    /// Train on a feature table and write a bundle
    Fit(fit::Args),
    /// Score a configuration on speakers or sessions that the model never heard
    Evaluate(evaluate::Args),
    /// Write a bundle's model as one flat file, for devices
    Export(export::Args),
    /// Measure adaptive normalisation on voices that a bundle never heard
    Adapt(adapt::Args),
    /// Compare methods on equal data, folds and seeds: the paper's tables
    Run(run::Args),
    /// List the cells of an experiment
    Plan(run::PlanArgs),
    /// Read a feature table made elsewhere (openSMILE CSV or ARFF, any CSV or Parquet)
    Import(import::Args),
    /// Make a corpus of synthetic voices, to try the programs with
    SynthCorpus(synth::Args),
    /// Measure how fast networks train
    Bench(bench::Args),
    /// Compute a bundle with tract, ONNX Runtime and burn and compare the results
    Verify(verify::Args),
}

/// Runs the command that the process arguments ask for.
///
/// Exit status: 0 on success, 1 on an error (printed with its causes on standard error), 2 on wrong usage.
#[must_use]
pub fn main() -> ExitCode {
    let result: Result<(), crate::Error> = match Cli::parse().command {
        Command::Corpus(args) => corpus::run(args),
        Command::Extract(args) => extract::run(args),
        Command::Fit(args) => fit::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Export(args) => export::run(args),
        Command::Adapt(args) => adapt::run(args),
        Command::Run(args) => run::run(args),
        Command::Plan(args) => run::plan(args),
        Command::Import(args) => import::run(args),
        Command::SynthCorpus(args) => synth::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Verify(args) => verify::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&error);
            ExitCode::FAILURE
        }
    }
}

/// The bundle that `path` names: the folder itself, or the one that `fit` wrote into it.
fn bundle_dir(path: &Path) -> PathBuf {
    let inner = path.join(BUNDLE_DIR);
    if !path.join(MANIFEST_FILE).is_file() && inner.join(MANIFEST_FILE).is_file() {
        inner
    } else {
        path.to_owned()
    }
}

/// The error and, indented, those of its causes that its own message does not already contain.
fn print_error(error: &dyn std::error::Error) {
    let mut printed = error.to_string();
    eprintln!("error: {printed}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !printed.contains(&text) {
            eprintln!("  because: {text}");
            printed = text;
        }
        cause = inner.source();
    }
}
