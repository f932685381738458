//! Why a subcommand failed, and what the exit status says about it.

use std::io;

use crate::adapt::AdaptError;
use crate::audio::AudioError;
use crate::bundle::BundleError;
use crate::engine::EngineError;
use crate::extract::ExtractError;
use crate::live::LiveError;
use crate::model::ModelError;

/// Exit status of a run with `--fail-without-speech` that met an input without speech.
pub(super) const STATUS_NO_SPEECH: u8 = 3;

/// Why a subcommand failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
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
    #[error("{file}: {reason}: nothing to measure; `--whole` takes the recording as it is")]
    NoSpeech { file: String, reason: &'static str },
    #[error("{folder}: holds no recordings (WAV or FLAC)")]
    EmptyFolder { folder: String },
    #[error("{folder}: cannot be read: {source}")]
    Folder { folder: String, source: io::Error },
    #[error("the bundle names no sampling rate; give the stream's with --rate")]
    Rate,
    #[error(
        "{file}: neither a WAV nor a FLAC recording; if it is headerless PCM, say so with \
         --encoding and --rate"
    )]
    NoHeader { file: String },
    #[error("there is no channel {k} in a stream of {of}, counted from 0")]
    Channel { k: u16, of: u16 },
    #[error("channel {channel}, chunk at sample {at}: {source}")]
    Live {
        channel: String,
        at: u64,
        source: LiveError,
    },
    #[error("{file}: {source}")]
    State { file: String, source: io::Error },
    #[error("cannot write {file}: {source}")]
    Write { file: String, source: io::Error },
    #[error("-o {file}: {remedy}")]
    OutputKind { file: String, remedy: &'static str },
    #[error(transparent)]
    Adapt(#[from] AdaptError),
    #[error("cannot be told of signals: {message}")]
    Signals { message: String },
    #[cfg(any(feature = "listen", all(test, feature = "capture")))]
    #[error("microphone: {0}")]
    Microphone(String),
    #[cfg(not(feature = "listen"))]
    #[error(
        "this ser-run was built without the microphone. Build it with \
         `cargo build --release -p ser-runtime --features listen` (on Debian and Ubuntu after \
         `apt install libasound2-dev`), or feed another program's recording to a build like this \
         one: `arecord -f S16_LE -r 16000 -c 1 -t raw | ser-run stream -m BUNDLE`"
    )]
    NoMicrophone,
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
    #[error("cannot write JSON: {0}")]
    Json(serde_json::Error),
    /// Some files failed; each was reported already.
    #[error("{failed} of {total} files got no {what}")]
    Files {
        failed: usize,
        total: usize,
        what: &'static str,
    },
    /// Every file was done, and not all of them hold speech.
    #[error("{without} of {total} recordings hold no speech")]
    WithoutSpeech { without: usize, total: usize },
    #[error("nothing in the stream was speech")]
    StreamWithoutSpeech,
}

impl CliError {
    /// The exit status.
    pub(super) fn status(&self) -> u8 {
        match self {
            Self::WithoutSpeech { .. } | Self::StreamWithoutSpeech => STATUS_NO_SPEECH,
            _ => 1,
        }
    }

    /// Whether the reader of standard output has left: whoever closed the pipe has seen enough.
    pub(super) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(e) if e.kind() == io::ErrorKind::BrokenPipe)
    }
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
