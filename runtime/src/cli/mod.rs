//! The command line of `ser-run`: one file per subcommand.

mod bench;
mod csv;
mod error;
mod events;
mod features;
#[cfg(any(feature = "listen", all(test, feature = "capture")))]
mod hear;
mod info;
mod input;
#[cfg(feature = "listen")]
mod listen;
mod live;
mod opened;
mod predict;
mod recording;
mod report;
mod signal;
mod state;
mod stream;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use ser_features::FeatureSet;

use crate::bundle;
use crate::model::EngineKind;
use error::CliError;
use input::InputArgs;

/// Speech emotion recognition with a ser-edge bundle.
#[derive(Parser)]
#[command(name = "ser-run", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Predict the emotion of recordings: a table on a terminal, else one JSON line a file.
    Predict(predict::Predict),
    /// Print the features of recordings, or write them to a CSV table.
    Features(features::Features),
    /// Recognise a stream from standard input or a file: one JSON line an event, as it happens.
    Stream(stream::Stream),
    /// Recognise what a microphone hears: one JSON line an event, flushed as it happens.
    #[cfg(feature = "listen")]
    Listen(listen::Listen),
    /// Recognise what a microphone hears; not in this build.
    #[cfg(not(feature = "listen"))]
    #[command(hide = true, disable_help_flag = true)]
    Listen(NoListen),
    /// Print what a bundle says about itself.
    Info(info::Info),
    #[command(subcommand)]
    Bench(bench::Bench),
}

/// The arguments of `listen` in a build without it.
#[cfg(not(feature = "listen"))]
#[derive(Args)]
struct NoListen {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    ignored: Vec<std::ffi::OsString>,
}

/// Parses the arguments and runs a subcommand. Exit status 0: everything asked for was done; 1:
/// something failed, standard error says what; 2: the arguments make no sense; 3: all was done, but
/// an input holds no speech and `--fail-without-speech` was given.
pub fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    let done = match Cli::parse().command {
        Command::Predict(command) => command.run(&mut out),
        Command::Features(command) => command.run(&mut out),
        Command::Stream(command) => command.run(&mut out),
        #[cfg(feature = "listen")]
        Command::Listen(command) => command.run(&mut out),
        #[cfg(not(feature = "listen"))]
        Command::Listen(NoListen { .. }) => Err(CliError::NoMicrophone),
        Command::Info(command) => command.run(&mut out),
        Command::Bench(command) => command.run(&mut out),
    };
    match done.and_then(|()| Ok(out.flush()?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.is_closed_pipe() {
                complain(&error);
            }
            ExitCode::from(error.status())
        }
    }
}

/// Says what is wrong on standard error; where that is closed too, nobody can be told.
fn complain(error: &dyn std::error::Error) {
    let _ = writeln!(io::stderr(), "error: {error}");
}

/// Says on standard error what need not stop anyone.
fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "warning: {text}");
}

/// Says on standard error what is good to know.
fn note(text: &str) {
    let _ = writeln!(io::stderr(), "note: {text}");
}

/// A number from 0 to 1.
fn probability(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(p) if (0.0..=1.0).contains(&p) => Ok(p),
        _ => Err("a probability from 0 to 1".to_owned()),
    }
}

/// The feature set called `id`.
fn parse_set(id: &str) -> Result<FeatureSet, String> {
    FeatureSet::from_id(id).ok_or_else(|| {
        format!(
            "known sets are {}",
            FeatureSet::ALL.map(FeatureSet::id).join(" and ")
        )
    })
}

/// Which model to use.
#[derive(Args)]
struct ModelArgs {
    /// Folder of the bundle, or a folder that holds it as `bundle`.
    #[arg(short, long, value_name = "BUNDLE")]
    model: PathBuf,
    /// What computes: tract; ort (ONNX Runtime; set ORT_DYLIB_PATH to its library); static or static-int8 (the bundle's flat file).
    #[arg(long, default_value = EngineKind::DEFAULT.name())]
    engine: EngineKind,
}

impl ModelArgs {
    /// The bundle's own folder.
    fn bundle(&self) -> PathBuf {
        bundle::find(&self.model)
    }
}
