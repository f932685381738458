//! Recordings: WAV, FLAC and headerless PCM in, `f32` samples out.
//!
//! # Formats that are read
//! WAV (RIFF, RIFX, RF64 and BW64) with 8-, 16-, 24- or 32-bit integers, also of fewer bits that
//! lie in such (12 in 16, 20 in 24), 32- or 64-bit floats, A-law or µ-law, also as
//! `WAVE_FORMAT_EXTENSIBLE` and Ambisonic B-format; FLAC of 4 to 32 bits; headerless PCM in the
//! encodings of [`RawEncoding`]. 1 to 64 channels, 8 to 96 kHz, of any length: [`AudioReader`]
//! reads block by block. The content decides, not the name. Other formats (MP3, Ogg, MP4, AIFF ...,
//! ADPCM and GSM in a WAV) are refused by name with the command that converts.
//!
//! Headers need not be right. What is odd is told ([`AudioWarning`]) and, with
//! [`ReadOptions::strict`], refused; else it is read like this:
//!
//! | found | what is read |
//! |---|---|
//! | data size larger than the file, or RIFF size wrong | what is there |
//! | data size 0 with audio behind it, or never filled in | until the end of the file |
//! | data size, or number of samples of FLAC, smaller than what is there | what is declared |
//! | block alignment that does not fit | channels and bits |
//! | incomplete frame at the end | the whole frames |
//! | tags (ID3v1, ID3v2, APE) before and after the audio | the audio |
//! | chunk of odd length without padding, bytes between chunks | the chunks |
//! | second data chunk | the first |
//! | FLAC: number of samples missing or too large, MD5 sum wrong | what is there |
//! | FLAC: damaged frames | silence of their length |
//! | FLAC: cut off | all complete frames |
//!
//! # Samples
//! An integer of `b` bits becomes `v / (2^(b-1) - 1)` (so a 16-bit sample is divided by 32767, as
//! the feature specification asks, section 2), floats are taken as they are, also beyond -1..1.
//! Several channels are summed in `f32` in channel order and divided by their number, or taken each
//! by itself ([`Channels`]). Nothing is resampled.

mod channels;
mod error;
mod flac;
mod raw;
mod reader;
mod sniff;
mod source;
mod tags;
mod wav;

pub use channels::Channels;
pub use error::{AudioError, AudioWarning, UnknownChannels};
pub use raw::{RawEncoding, RawFormat};
pub use reader::{AudioInfo, AudioReader, Explicit};
pub use ser_features::{MAX_SAMPLE_RATE, MIN_SAMPLE_RATE};
pub use sniff::{Foreign, SNIFF_BYTES, Sniffed, sniff};

use std::io::Read;
use std::path::Path;

/// Longest recording that is held in memory as a whole, in seconds; [`AudioReader`] has no limit.
/// It keeps a hostile file from filling the memory.
pub const MAX_DURATION_S: u32 = 4 * 3_600;
/// Most channels that are read; more than that is a damaged header rather than a recording.
pub const MAX_CHANNELS: usize = 64;
/// Most warnings that are kept of a recording.
pub const MAX_WARNINGS: usize = 32;
/// Frames that are decoded at once.
const FRAMES_AT_ONCE: usize = 4096;

/// How recordings are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReadOptions {
    /// Whatever is odd is an error.
    pub strict: bool,
}

/// A decoded recording: one signal.
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

/// Decodes the WAV or FLAC recording at `path` and mixes it. The format is found from the content,
/// not from the name. What was odd about it is not told; see [`read_audio_with`].
///
/// # Errors
/// See [`AudioError`]; among them are a missing file, text named `.wav`, no samples, NaN samples, a
/// sampling rate outside [`MIN_SAMPLE_RATE`]..=[`MAX_SAMPLE_RATE`] and more than
/// [`MAX_DURATION_S`].
pub fn read_audio(path: &Path) -> Result<Pcm, AudioError> {
    Ok(read_audio_with(path, ReadOptions::default())?.0)
}

/// As [`read_audio`], with options and with what was odd.
///
/// # Errors
/// As [`read_audio`], and [`AudioError::Strict`].
pub fn read_audio_with(
    path: &Path,
    options: ReadOptions,
) -> Result<(Pcm, Vec<AudioWarning>), AudioError> {
    read_whole(AudioReader::open(path)?.with_options(options)?)
}

/// As [`read_audio`], of one channel, counted from 0.
///
/// # Errors
/// As [`read_audio`], and [`AudioError::NoChannel`].
pub fn read_channel(path: &Path, channel: u16) -> Result<Pcm, AudioError> {
    Ok(read_signal(AudioReader::open(path)?, Channels::One(channel))?.0)
}

/// Reads headerless PCM from the file at `path`.
///
/// # Errors
/// As [`read_audio`].
pub fn read_raw(path: &Path, format: RawFormat) -> Result<Pcm, AudioError> {
    Ok(read_whole(reader::open_raw(path, format)?)?.0)
}

/// Decodes a WAV or FLAC recording held in memory; `name` stands for the file in errors.
///
/// # Errors
/// As [`read_audio`].
pub fn decode_audio(bytes: &[u8], name: &str) -> Result<Pcm, AudioError> {
    Ok(read_whole(AudioReader::from_bytes(bytes, name)?)?.0)
}

/// Reads WAV or FLAC (`raw` is `None`) or headerless PCM from a stream such as standard input until
/// it ends; `name` stands for the file in errors.
///
/// # Errors
/// As [`read_audio`].
pub fn read_stream(
    stream: impl Read + Send,
    raw: Option<RawFormat>,
    name: &str,
) -> Result<Pcm, AudioError> {
    let reader = match raw {
        Some(format) => AudioReader::raw(stream, format, name)?,
        None => AudioReader::from_stream(stream, name)?,
    };
    Ok(read_whole(reader)?.0)
}

/// Reads all that `reader` has left, mixed to one channel, and what was odd about it.
///
/// # Errors
/// As [`AudioReader::read`], [`AudioError::Empty`] and [`AudioError::TooLong`].
pub fn read_whole(reader: AudioReader<'_>) -> Result<(Pcm, Vec<AudioWarning>), AudioError> {
    read_signal(reader, Channels::Mix)
}

/// Reads the one signal that `channels` stands for.
fn read_signal(
    mut reader: AudioReader<'_>,
    channels_heard: Channels,
) -> Result<(Pcm, Vec<AudioWarning>), AudioError> {
    let (sample_rate, channels) = (reader.info().sample_rate, reader.info().channels);
    let limit = MAX_DURATION_S as usize * sample_rate as usize;
    let (mut samples, mut block) = (Vec::new(), Vec::new());
    while reader.read_signals(channels_heard, &mut block)? {
        block
            .iter()
            .for_each(|signal| samples.extend_from_slice(signal));
        if samples.len() > limit {
            return Err(AudioError::TooLong {
                file: reader.name().to_owned(),
            });
        }
    }
    if samples.is_empty() {
        return Err(AudioError::Empty {
            file: reader.name().to_owned(),
        });
    }
    let pcm = Pcm {
        sample_rate,
        channels,
        samples,
    };
    Ok((pcm, reader.warnings().to_vec()))
}

/// What was odd about a recording so far.
struct Warnings {
    file: String,
    strict: bool,
    list: Vec<AudioWarning>,
}

impl Warnings {
    fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            strict: false,
            list: Vec::new(),
        }
    }

    /// Takes note of `warning`; an error if nothing odd is allowed.
    fn add(&mut self, warning: AudioWarning) -> Result<(), AudioError> {
        if self.strict {
            return Err(self.refuse(warning));
        }
        match self.list.len() {
            MAX_WARNINGS => {}
            last if last + 1 == MAX_WARNINGS => self.list.push(AudioWarning::More),
            _ => self.list.push(warning),
        }
        Ok(())
    }

    fn apply(&mut self, options: ReadOptions) -> Result<(), AudioError> {
        self.strict = options.strict;
        match self.list.first() {
            Some(warning) if self.strict => Err(self.refuse(warning.clone())),
            _ => Ok(()),
        }
    }

    fn refuse(&self, warning: AudioWarning) -> AudioError {
        AudioError::Strict {
            file: self.file.clone(),
            warning,
        }
    }

    fn list(&self) -> &[AudioWarning] {
        &self.list
    }

    fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// Refuses no channels and more channels than any recording has.
fn check_channels(file: &str, channels: usize) -> Result<(), AudioError> {
    if (1..=MAX_CHANNELS).contains(&channels) {
        Ok(())
    } else {
        Err(AudioError::ChannelCount {
            file: file.to_owned(),
            channels,
        })
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
