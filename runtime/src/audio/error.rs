//! Why a recording cannot be read, and what was odd about one that can.

use super::channels::Channels;
use super::{MAX_CHANNELS, MAX_DURATION_S, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE};

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
    #[error("{file}: not a WAV or FLAC recording but {found}; {remedy}")]
    NotAudio {
        /// The recording.
        file: String,
        /// What it is, in words, or how it starts.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A WAV or FLAC variant that is not decoded here.
    #[error(
        "{file}: {reason}; convert it to 16-bit PCM, for example with \
         `ffmpeg -i INPUT -c:a pcm_s16le output.wav`"
    )]
    Unsupported {
        /// The recording.
        file: String,
        /// The variant, in words.
        reason: String,
    },
    /// The content breaks its own format so that no samples can be had.
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
    /// Something is odd, and [`ReadOptions::strict`](super::ReadOptions::strict) allows nothing
    /// odd.
    #[error("{file}: {warning} (refused, because reading is strict)")]
    Strict {
        /// The recording.
        file: String,
        /// What would else be a warning.
        warning: AudioWarning,
    },
    /// There are no samples.
    #[error("{file}: holds no samples")]
    Empty {
        /// The recording.
        file: String,
    },
    /// A floating-point sample is NaN or infinite.
    #[error(
        "{file}: sample {index} (counted from 0, per channel) is not a finite number; the file is \
         damaged or was written by a faulty program"
    )]
    NonFinite {
        /// The recording.
        file: String,
        /// Index of the first such sample in its channel.
        index: u64,
    },
    /// The sampling rate is outside what the feature extractor takes.
    #[error(
        "{file}: sampling rate {rate} Hz is not supported ({MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} \
         Hz are); resample it, for example with `ffmpeg -i INPUT -ar 48000 output.wav`"
    )]
    SampleRate {
        /// The recording.
        file: String,
        /// The rate that its header declares, in Hz.
        rate: u32,
    },
    /// No channels, or more than any recording has.
    #[error("{file}: {channels} channels; 1 to {MAX_CHANNELS} are read")]
    ChannelCount {
        /// The recording.
        file: String,
        /// What its header declares.
        channels: usize,
    },
    /// A channel was asked for that the recording does not have.
    #[error(
        "{file}: there is no channel {channel}: it has {channels}, counted from 0; choose one of \
         them, `all` or `mix`"
    )]
    NoChannel {
        /// The recording.
        file: String,
        /// The channel that was asked for, counted from 0.
        channel: u16,
        /// How many there are.
        channels: u16,
    },
    /// What was asked for contradicts the header.
    #[error(
        "{file}: its header says {what} {header}, {given} was asked for; leave that option away \
         to follow the header"
    )]
    Contradiction {
        /// The recording.
        file: String,
        /// `sampling rate`, `channels` or `encoding`.
        what: &'static str,
        /// The header's value.
        header: String,
        /// The value that was asked for.
        given: String,
    },
    /// The recording is longer than [`MAX_DURATION_S`].
    #[error(
        "{file}: longer than {MAX_DURATION_S} s, too long to be held in memory; cut it, for \
         example with `ffmpeg -i INPUT -f segment -segment_time 3600 part%03d.wav`"
    )]
    TooLong {
        /// The recording.
        file: String,
    },
}

/// Something odd about a recording that could be read nevertheless: what was declared, what was
/// found and what was done. The text does not name the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AudioWarning {
    /// A tag lies before the recording.
    #[error("{bytes} bytes of {tag} lie before the recording; they were skipped")]
    TagBefore {
        /// Its kind.
        tag: &'static str,
        /// Its length.
        bytes: u64,
    },
    /// Bytes that are no audio follow the audio.
    #[error("{bytes} bytes after the audio ({what}) belong to nothing; they were not read")]
    After {
        /// What they look like.
        what: &'static str,
        /// How many there are.
        bytes: u64,
    },
    /// The header was written before the length was known, and never completed.
    #[error(
        "its header does not say how long the audio is (the recorder was stopped?); all until \
         the end of the file was read, {found} samples per channel"
    )]
    LengthUnset {
        /// Samples per channel that were read.
        found: u64,
    },
    /// There are fewer samples than the header declares.
    #[error(
        "truncated: its header declares {declared} samples per channel, {found} are there; those \
         were read"
    )]
    Truncated {
        /// Samples per channel that the header declares.
        declared: u64,
        /// Samples per channel that were read.
        found: u64,
    },
    /// There is more than the header declares.
    #[error(
        "its header declares {declared} samples per channel, but {bytes} bytes more follow that \
         belong to nothing; they were not read (if the recorder crashed they are audio: \
         `ffmpeg -ignore_length 1 -i INPUT output.wav` gets them)"
    )]
    LengthTooShort {
        /// Samples per channel that the header declares.
        declared: u64,
        /// Bytes that follow.
        bytes: u64,
    },
    /// More samples than the header of a FLAC file declares.
    #[error(
        "its header declares {declared} samples per channel, but more follow; they were not read \
         (`ffmpeg -i INPUT output.wav` gets them)"
    )]
    MoreThanDeclared {
        /// Samples per channel that the header declares.
        declared: u64,
    },
    /// The size of the whole file in the header is wrong.
    #[error("its header declares a file of {declared} bytes, it has {found}; all was read")]
    FileSize {
        /// What the RIFF header declares.
        declared: u64,
        /// Bytes that there are.
        found: u64,
    },
    /// The audio ends inside a frame.
    #[error(
        "the last {bytes} bytes are not a whole {frame}-byte frame; they were left out (are \
         encoding and channels right?)"
    )]
    PartFrame {
        /// Bytes that are left over.
        bytes: usize,
        /// Bytes of a frame.
        frame: usize,
    },
    /// The block alignment does not fit the channels and bits.
    #[error(
        "its header declares frames of {declared} bytes, but {channels} channels of {bits} bits \
         make {used}; it was read with {used}"
    )]
    BlockAlign {
        /// What the header declares.
        declared: u16,
        /// What was used.
        used: usize,
        /// Channels.
        channels: u16,
        /// Bits of a sample.
        bits: u16,
    },
    /// A G.711 header with other than 8 bits a sample.
    #[error("its header declares {declared} bits a sample of {encoding}; it was read with 8")]
    SampleBits {
        /// What the header declares.
        declared: u16,
        /// A-law or µ-law.
        encoding: &'static str,
    },
    /// A chunk of odd length lacks the byte of padding that must follow it.
    #[error("its chunk \"{chunk}\" of odd length lacks its byte of padding; it was read without")]
    Unpadded {
        /// The chunk's name.
        chunk: String,
    },
    /// Bytes between the chunks.
    #[error("{bytes} bytes at byte {at} belong to no chunk; they were skipped")]
    BetweenChunks {
        /// Where they start.
        at: u64,
        /// How many there are.
        bytes: u64,
    },
    /// Two format chunks.
    #[error("it has more than one format chunk; the last one before the audio was used")]
    SecondFormat,
    /// Two data chunks.
    #[error(
        "it has another data chunk, of {bytes} bytes, behind the first; only the first was read"
    )]
    SecondData {
        /// Bytes that the second one declares.
        bytes: u64,
    },
    /// A FLAC file without the block that says what it holds.
    #[error("it has no stream information; rate, channels and bits of its first frame were used")]
    NoStreamInfo,
    /// Frames of a FLAC file are damaged or missing.
    #[error(
        "{bytes} damaged bytes after {after} samples per channel; {silence} samples of silence \
         stand for them"
    )]
    Damaged {
        /// Samples per channel before the damage.
        after: u64,
        /// Bytes that could not be decoded.
        bytes: u64,
        /// Samples of silence per channel that were put in their place, so that later ones keep
        /// their time.
        silence: u64,
    },
    /// The checksum over the whole FLAC file does not fit.
    #[error("the samples do not fit the MD5 sum in its header; they were read as they are")]
    Md5,
    /// More warnings than are kept.
    #[error("and more of the kind")]
    More,
}

/// An unknown way to choose channels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` chooses no channel; write `mix` (their mean), `all` (each by itself) or the number of \
     one, counted from 0"
)]
pub struct UnknownChannels(pub(super) String);

impl Channels {
    /// The error for a channel that a recording of `channels` does not have.
    ///
    /// # Errors
    /// [`AudioError::NoChannel`] naming `file`.
    pub fn check(self, channels: u16, file: &str) -> Result<(), AudioError> {
        match self {
            Self::One(channel) if channel >= channels => Err(AudioError::NoChannel {
                file: file.to_owned(),
                channel,
                channels,
            }),
            _ => Ok(()),
        }
    }
}
