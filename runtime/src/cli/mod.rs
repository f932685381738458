//! The command line of `ser-run`: one file per subcommand.

mod bench;
mod features;
mod info;
#[cfg(feature = "listen")]
mod listen;
mod live;
mod predict;
mod stream;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use ser_features::FeatureSet;

use crate::adapt::AdaptError;
use crate::audio::{self, AudioError, Pcm, RawEncoding, RawFormat};
use crate::bundle::BundleError;
use crate::engine::EngineError;
use crate::extract::ExtractError;
use crate::live::LiveError;
use crate::model::{EngineKind, ModelError};

/// Speech emotion recognition with a ser-edge bundle.
#[derive(Parser)]
#[command(name = "ser-run", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Predict the emotion of recordings: one JSON line a file, flushed as it is made.
    Predict(predict::Predict),
    /// Print the names and values of a recording's features.
    Features(features::Features),
    /// Recognise a live stream from standard input: one JSON line an event, flushed as it happens.
    Stream(stream::Stream),
    /// Recognise what a microphone hears: one JSON line an event, flushed as it happens.
    #[cfg(feature = "listen")]
    Listen(listen::Listen),
    /// Print what a bundle says about itself.
    Info(info::Info),
    #[command(subcommand)]
    Bench(bench::Bench),
}

/// Why a subcommand failed.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Audio(#[from] AudioError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("{file}: {source}")]
    Extract { file: String, source: ExtractError },
    #[error("{file}: {source}")]
    Predict {
        file: String,
        source: Box<ModelError>,
    },
    #[error("{file}: the command to compare with, `{command}`, failed: {reason}")]
    Rival {
        command: String,
        file: String,
        reason: String,
    },
    #[error("{file}: {reason}: nothing to measure")]
    NoSpeech { file: String, reason: &'static str },
    #[error("standard input: {0}")]
    Input(io::Error),
    #[error("the bundle names no sampling rate; give the stream's with --rate")]
    Rate,
    #[error("there is no channel {k} in a stream of {of}, counted from 0")]
    Channel { k: u16, of: u16 },
    #[error("channel {channel}, chunk at sample {at}: {source}")]
    Live {
        channel: u16,
        at: u64,
        source: LiveError,
    },
    #[error(
        "the last {rest} bytes are not a whole {frame}-byte frame; are --encoding and --channels right?"
    )]
    PartFrame { rest: usize, frame: usize },
    #[error("{file}: {source}")]
    State { file: String, source: io::Error },
    #[error(transparent)]
    Adapt(#[from] AdaptError),
    #[error("cannot be told of signals: {message}")]
    Signals { message: String },
    #[cfg(feature = "listen")]
    #[error("microphone: {0}")]
    Microphone(String),
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
    #[error("cannot write JSON: {0}")]
    Json(serde_json::Error),
    /// Some files failed; each was reported already.
    #[error("{failed} of {total} files got no prediction")]
    Files { failed: usize, total: usize },
}

impl From<serde_json::Error> for CliError {
    fn from(error: serde_json::Error) -> Self {
        if error.is_io() {
            Self::Output(error.into())
        } else {
            Self::Json(error)
        }
    }
}

/// Parses the arguments and runs a subcommand. Exit status 0: everything asked for was done; 1: something failed, standard error says what;
/// 2: the arguments make no sense.
pub fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    let done = match Cli::parse().command {
        Command::Predict(command) => command.run(&mut out),
        Command::Features(command) => command.run(&mut out),
        Command::Stream(command) => command.run(&mut out),
        #[cfg(feature = "listen")]
        Command::Listen(command) => command.run(&mut out),
        Command::Info(command) => command.run(&mut out),
        Command::Bench(command) => command.run(&mut out),
    };
    match done.and_then(|()| Ok(out.flush()?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Whoever closed the pipe has seen enough.
            let closed =
                matches!(&error, CliError::Output(e) if e.kind() == io::ErrorKind::BrokenPipe);
            if !closed {
                complain(&error);
            }
            ExitCode::FAILURE
        }
    }
}

/// Says what is wrong on standard error; where that is closed too, nobody can be told.
fn complain(error: &dyn std::error::Error) {
    let _ = writeln!(io::stderr(), "error: {error}");
}

/// A number from 0 to 1.
fn probability(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(p) if (0.0..=1.0).contains(&p) => Ok(p),
        _ => Err("a probability from 0 to 1".to_owned()),
    }
}

/// How to read recordings.
#[derive(Args)]
struct InputArgs {
    /// Take the input as headerless PCM in this encoding: u8, s16le, s24le, s32le, f32le, f64le, alaw or ulaw.
    #[arg(long, value_name = "ENCODING", requires = "rate")]
    raw: Option<RawEncoding>,
    /// Sampling rate of headerless PCM in Hz.
    #[arg(long, value_name = "HZ", requires = "raw")]
    rate: Option<u32>,
    /// Interleaved channels of headerless PCM.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "raw", value_parser = clap::value_parser!(u16).range(1..))]
    channels: u16,
}

impl InputArgs {
    /// Reads one recording; `-` is standard input.
    fn read(&self, file: &Path) -> Result<Pcm, AudioError> {
        let raw = self
            .raw
            .zip(self.rate)
            .map(|(encoding, sample_rate)| RawFormat {
                encoding,
                sample_rate,
                channels: self.channels,
            });
        match raw {
            _ if file == Path::new("-") => audio::read_stream(io::stdin(), raw, "standard input"),
            Some(format) => audio::read_raw(file, format),
            None => audio::read_audio(file),
        }
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
    /// Folder of the bundle.
    #[arg(short, long, value_name = "BUNDLE")]
    model: PathBuf,
    /// What computes: tract; ort (ONNX Runtime; set ORT_DYLIB_PATH to its library); static or static-int8 (the bundle's flat file).
    #[arg(long, default_value = EngineKind::DEFAULT.name())]
    engine: EngineKind,
}
