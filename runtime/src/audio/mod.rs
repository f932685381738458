//! Recordings: WAV, FLAC and headerless PCM in, mono `f32` samples out.
//!
//! WAV may hold 8-, 16-, 24- or 32-bit integers, 32- or 64-bit floats, A-law or µ-law; FLAC up to 32 bits. An integer of `b` bits
//! becomes `v / (2^(b-1) - 1)` (so a 16-bit sample is divided by 32767, as the feature specification asks, section 2), floats are
//! taken as they are. Several channels are summed in `f32` in channel order and divided by their number. Nothing is resampled: the
//! feature extractor works at the recording's own rate.

mod flac;
mod mix;
mod raw;
mod wav;

pub use raw::{RawEncoding, RawFormat};
pub use ser_features::{MAX_SAMPLE_RATE, MIN_SAMPLE_RATE};

use std::fs::File;
use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::io::{MediaSource, MediaSourceStream, ReadOnlySource, SeekBuffered};

/// Longest recording that is decoded, in seconds. An utterance lasts seconds; a limit keeps a hostile file from filling the memory.
pub const MAX_DURATION_S: u32 = 3_600;
/// Most channels that are mixed; more than that is a damaged header rather than a recording.
const MAX_CHANNELS: usize = 64;

/// A decoded recording, mixed to one channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Pcm {
    /// Sampling rate in Hz, [`MIN_SAMPLE_RATE`] to [`MAX_SAMPLE_RATE`].
    pub sample_rate: u32,
    /// Channels in the source, at least 1.
    pub channels: u16,
    /// Mono samples, nominally -1 to 1, never empty, all finite.
    pub samples: Vec<f32>,
}

impl Pcm {
    /// Length in seconds.
    pub fn duration_s(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.sample_rate)
    }
}

/// Why a recording could not be read. Every message names the file.
#[derive(Debug, thiserror::Error)]
pub enum AudioError {
    /// The file could not be opened or read.
    #[error("{file}: cannot read it: {source}")]
    Io {
        /// The recording.
        file: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A folder was given where a recording was expected.
    #[error("{file}: is a folder, not a recording")]
    Folder {
        /// The folder.
        file: String,
    },
    /// The content is neither WAV nor FLAC, whatever the name says.
    #[error(
        "{file}: not a WAV or FLAC recording (it starts with {found}); convert it, for example with `ffmpeg -i INPUT output.wav`"
    )]
    NotAudio {
        /// The recording.
        file: String,
        /// Its first bytes, escaped.
        found: String,
    },
    /// A WAV or FLAC variant that is not decoded here.
    #[error(
        "{file}: {reason}; convert it to 16-bit PCM, for example with `ffmpeg -i INPUT -c:a pcm_s16le output.wav`"
    )]
    Unsupported {
        /// The recording.
        file: String,
        /// The variant.
        reason: String,
    },
    /// The content breaks its own format.
    #[error("{file}: damaged: {reason}")]
    Malformed {
        /// The recording.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// The file ends inside its header.
    #[error("{file}: truncated: it ends before its first sample")]
    TruncatedHeader {
        /// The recording.
        file: String,
    },
    /// The file holds fewer samples than its header declares.
    #[error(
        "{file}: truncated: its header declares {declared} samples per channel, {decoded} are there"
    )]
    Truncated {
        /// The recording.
        file: String,
        /// Samples per channel that could be decoded.
        decoded: u64,
        /// Samples per channel that the header declares.
        declared: u64,
    },
    /// The header declares zero samples.
    #[error("{file}: holds no samples")]
    Empty {
        /// The recording.
        file: String,
    },
    /// A floating-point sample is NaN or infinite.
    #[error(
        "{file}: sample {index} (counted from 0, per channel) is not a finite number; the file is damaged or was written by a faulty program"
    )]
    NonFinite {
        /// The recording.
        file: String,
        /// Index of the first such sample in its channel.
        index: usize,
    },
    /// The sampling rate is outside what the feature extractor takes.
    #[error(
        "{file}: sampling rate {rate} Hz is not supported ({MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz are); resample it, for example with `ffmpeg -i INPUT -ar 48000 output.wav`"
    )]
    SampleRate {
        /// The recording.
        file: String,
        /// The rate that its header declares, in Hz.
        rate: u32,
    },
    /// The recording is longer than [`MAX_DURATION_S`].
    #[error("{file}: longer than {MAX_DURATION_S} s; cut it into utterances first")]
    TooLong {
        /// The recording.
        file: String,
    },
}

/// Decodes the WAV or FLAC recording at `path`. The format is found from the content, not from the name.
///
/// # Errors
/// See [`AudioError`]; among them are a missing file, text named `.wav`, fewer samples than declared, no samples, NaN samples and a
/// sampling rate outside [`MIN_SAMPLE_RATE`]..=[`MAX_SAMPLE_RATE`].
pub fn read_audio(path: &Path) -> Result<Pcm, AudioError> {
    let file = path.display().to_string();
    decode_guarded(&file, Box::new(open(path)?))
}

/// Reads headerless PCM from the file at `path`.
///
/// # Errors
/// As [`read_audio`], and [`AudioError::Malformed`] where the file does not end with a whole frame.
pub fn read_raw(path: &Path, format: RawFormat) -> Result<Pcm, AudioError> {
    raw::decode(&path.display().to_string(), &mut open(path)?, format)
}

/// Decodes a WAV or FLAC recording held in memory; `name` stands for the file in errors.
///
/// # Errors
/// As [`read_audio`].
pub fn decode_audio(bytes: &[u8], name: &str) -> Result<Pcm, AudioError> {
    decode_guarded(name, Box::new(Cursor::new(bytes)))
}

/// Reads WAV or FLAC (`raw` is `None`) or headerless PCM from a stream such as standard input until it ends; `name` stands for the
/// file in errors.
///
/// # Errors
/// As [`read_audio`] and [`read_raw`].
pub fn read_stream(
    mut stream: impl Read + Send + Sync,
    raw: Option<RawFormat>,
    name: &str,
) -> Result<Pcm, AudioError> {
    match raw {
        Some(format) => raw::decode(name, &mut stream, format),
        None => decode_guarded(name, Box::new(ReadOnlySource::new(stream))),
    }
}

fn open(path: &Path) -> Result<File, AudioError> {
    let io = |source| AudioError::Io {
        file: path.display().to_string(),
        source,
    };
    let file = File::open(path).map_err(io)?;
    if file.metadata().map_err(io)?.is_dir() {
        return Err(AudioError::Folder {
            file: path.display().to_string(),
        });
    }
    Ok(file)
}

/// The decoder is someone else's code fed with bytes from anywhere: a panic in it becomes an error.
fn decode_guarded<'s>(file: &str, source: Box<dyn MediaSource + 's>) -> Result<Pcm, AudioError> {
    let stream = MediaSourceStream::new(source, Default::default());
    catch_unwind(AssertUnwindSafe(|| decode(file, stream))).unwrap_or_else(|_| {
        Err(AudioError::Malformed {
            file: file.to_owned(),
            reason: "the decoder could not make sense of it".to_owned(),
        })
    })
}

/// Decodes one recording from its start. The first bytes decide: searching for a header, as players do, would find one in the middle of
/// anything.
fn decode(file: &str, mut stream: MediaSourceStream<'_>) -> Result<Pcm, AudioError> {
    let mut head = Vec::with_capacity(12);
    let sniffed = stream.by_ref().take(12).read_to_end(&mut head);
    sniffed.map_err(|source| AudioError::Io {
        file: file.to_owned(),
        source,
    })?;
    stream.seek_buffered_rev(head.len());
    match head.as_slice() {
        [] => Err(AudioError::Empty {
            file: file.to_owned(),
        }),
        [b'f', b'L', b'a', b'C', ..] => flac::decode(file, stream),
        [b'R', b'I', b'F', b'F', .., b'W', b'A', b'V', b'E'] if head.len() == 12 => {
            wav::decode(file, &mut stream)
        }
        [b'R', b'F', b'6', b'4', ..] | [b'B', b'W', b'6', b'4', ..] if head.len() == 12 => {
            wav::decode(file, &mut stream)
        }
        [b'R', b'I', b'F', b'F', ..] if head.len() < 12 => Err(AudioError::TruncatedHeader {
            file: file.to_owned(),
        }),
        _ => Err(AudioError::NotAudio {
            file: file.to_owned(),
            found: format!("\"{}\"", head.escape_ascii()),
        }),
    }
}

/// A decoder for `params` that verifies checksums where the format has them.
fn make_decoder(
    file: &str,
    params: &AudioCodecParameters,
) -> Result<Box<dyn AudioDecoder>, AudioError> {
    symphonia::default::get_codecs()
        .make_audio_decoder(params, &AudioDecoderOptions::default().verify(true))
        .map_err(|error| decoder_failed(file, error))
}

fn decoder_failed(file: &str, error: SymphoniaError) -> AudioError {
    let file = file.to_owned();
    match error {
        SymphoniaError::IoError(source) => AudioError::Io { file, source },
        SymphoniaError::Unsupported(reason) => AudioError::Unsupported {
            file,
            reason: reason.to_owned(),
        },
        other => AudioError::Malformed {
            file,
            reason: other.to_string(),
        },
    }
}

/// Refuses no channels and more channels than any recording has.
fn check_channels(file: &str, channels: usize) -> Result<(), AudioError> {
    match channels {
        1..=MAX_CHANNELS => Ok(()),
        0 => Err(AudioError::Malformed {
            file: file.to_owned(),
            reason: "it has no channels".to_owned(),
        }),
        _ => Err(AudioError::Unsupported {
            file: file.to_owned(),
            reason: format!("{channels} channels, more than {MAX_CHANNELS}"),
        }),
    }
}

/// Refuses a rate that the extractor does not take.
fn check_rate(file: &str, rate: u32) -> Result<(), AudioError> {
    if (MIN_SAMPLE_RATE..=MAX_SAMPLE_RATE).contains(&rate) {
        Ok(())
    } else {
        Err(AudioError::SampleRate {
            file: file.to_owned(),
            rate,
        })
    }
}

/// Refuses an empty recording and one with a NaN or an infinity.
fn finished(
    file: &str,
    sample_rate: u32,
    channels: u16,
    samples: Vec<f32>,
) -> Result<Pcm, AudioError> {
    if samples.is_empty() {
        return Err(AudioError::Empty {
            file: file.to_owned(),
        });
    }
    if let Some(index) = samples.iter().position(|v| !v.is_finite()) {
        return Err(AudioError::NonFinite {
            file: file.to_owned(),
            index,
        });
    }
    Ok(Pcm {
        sample_rate,
        channels,
        samples,
    })
}
