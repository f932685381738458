//! A recording, block by block.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use super::flac::FlacReader;
use super::raw::{Frames, RawEncoding, RawFormat, read_frames};
use super::sniff::{MAGIC_BYTES, MP3, SNIFF_BYTES, Sniffed, id3_length, sniff};
use super::source::Source;
use super::wav::WavReader;
use super::{
    AudioError, AudioWarning, Channels, ReadOptions, Warnings, check_channels, check_rate, tags,
};

/// What a recording says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioInfo {
    /// Sampling rate in Hz.
    pub sample_rate: u32,
    /// Interleaved channels, at least 1.
    pub channels: u16,
    /// What holds the samples: `WAV`, `FLAC`, `headerless PCM` ...
    pub container: &'static str,
    /// How a sample is written, in words: `16-bit PCM`, `A-law` ...
    pub encoding: String,
    /// Samples per channel that the header declares; `None` where it does not know.
    pub frames: Option<u64>,
}

/// What the caller says about a stream that may have a header, which must then agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Explicit {
    /// Sampling rate in Hz.
    pub sample_rate: Option<u32>,
    /// Interleaved channels.
    pub channels: Option<u16>,
    /// How a sample is written.
    pub encoding: Option<RawEncoding>,
}

/// A recording that is read block by block, in memory that does not grow with its length: WAV, FLAC
/// or headerless PCM from a file, a pipe or memory.
pub struct AudioReader<'s> {
    source: Source<'s>,
    decoder: Decoder,
    info: AudioInfo,
    full_scale: f32,
    warnings: Warnings,
    /// The block at hand, interleaved, on the encoding's own scale.
    values: Vec<f32>,
    /// Samples per channel before it.
    before: u64,
    failed: bool,
}

enum Decoder {
    Wav(WavReader),
    Flac(FlacReader),
    Raw { format: RawFormat, ended: bool },
}

impl<'s> AudioReader<'s> {
    /// Opens the WAV or FLAC file at `path`. The format is found from the content, not from the
    /// name.
    ///
    /// # Errors
    /// [`AudioError`]: it cannot be opened, is neither WAV nor FLAC, or has a header from which no
    /// samples can be had.
    pub fn open(path: &Path) -> Result<Self, AudioError> {
        Self::of(Source::new(open(path)?, &path.display().to_string(), true))
    }

    /// Reads a WAV or FLAC stream, such as standard input; `name` stands for it in errors. What one
    /// read gives is decoded before the next.
    ///
    /// # Errors
    /// As [`AudioReader::open`].
    pub fn from_stream(stream: impl Read + Send + 's, name: &str) -> Result<Self, AudioError> {
        Self::of(Source::new(stream, name, false))
    }

    /// Reads a WAV or FLAC file that lies in memory; `name` stands for it in errors.
    ///
    /// # Errors
    /// As [`AudioReader::open`].
    pub fn from_bytes(bytes: &'s [u8], name: &str) -> Result<Self, AudioError> {
        Self::of(Source::new(Cursor::new(bytes), name, true))
    }

    /// Reads headerless PCM, whatever it looks like; `name` stands for it in errors.
    ///
    /// # Errors
    /// [`AudioError::SampleRate`] and [`AudioError::ChannelCount`].
    pub fn raw(
        stream: impl Read + Send + 's,
        format: RawFormat,
        name: &str,
    ) -> Result<Self, AudioError> {
        Self::of_raw(Source::new(stream, name, false), format)
    }

    /// Reads a stream that is headerless PCM in `format` unless its first bytes say otherwise: a
    /// WAV or FLAC header is followed, and anything else that is known is refused by name. It waits
    /// for no more than the first 12 bytes.
    ///
    /// # Errors
    /// As [`AudioReader::open`], and [`AudioError::Contradiction`] where a header says something
    /// else than `explicit`; [`AudioError::Empty`] where the stream ends at once.
    pub fn detect(
        stream: impl Read + Send + 's,
        format: RawFormat,
        explicit: Explicit,
        name: &str,
    ) -> Result<Self, AudioError> {
        let mut source = Source::new(stream, name, false);
        let head = source.peek(MAGIC_BYTES)?;
        match sniff(&head[..head.len().min(SNIFF_BYTES)]) {
            Sniffed::Raw => Self::of_raw(source, format),
            // A longer tag hides what follows.
            _ if id3_length(head).is_some() => Self::of(source)?.agrees(explicit),
            Sniffed::Wav | Sniffed::Flac => Self::of(source)?.agrees(explicit),
            Sniffed::Known(_) => Err(refuse(&mut source, false)),
        }
    }

    /// Applies `options`.
    ///
    /// # Errors
    /// [`AudioError::Strict`] where something odd was found already and is not allowed.
    pub fn with_options(mut self, options: ReadOptions) -> Result<Self, AudioError> {
        self.warnings.apply(options)?;
        Ok(self)
    }

    /// What the recording says about itself.
    pub fn info(&self) -> &AudioInfo {
        &self.info
    }

    /// The name that stands for the recording in errors.
    pub fn name(&self) -> &str {
        &self.source.file
    }

    /// What was odd so far; complete once the recording has been read to its end. At most
    /// [`MAX_WARNINGS`](super::MAX_WARNINGS) are kept.
    pub fn warnings(&self) -> &[AudioWarning] {
        self.warnings.list()
    }

    /// Reads the next block into `out`, which is cleared first: whole frames, interleaved,
    /// nominally -1 to 1, all finite, some thousand frames or what is there. `false` at the end.
    ///
    /// # Errors
    /// [`AudioError::Io`], [`AudioError::NonFinite`] (the frames before that sample are given away
    /// first), and [`AudioError::Strict`].
    pub fn read(&mut self, out: &mut Vec<f32>) -> Result<bool, AudioError> {
        out.clear();
        let more = self.next_block()?;
        out.extend(self.values.iter().map(|value| value / self.full_scale));
        Ok(more)
    }

    /// Reads the next block as the signals that `channels` chooses: one vector a signal, each
    /// cleared first. This is the arithmetic of the feature specification: channels are summed in
    /// `f32` in their order, the sum is divided by their number, then by full scale. `false` at the
    /// end.
    ///
    /// # Errors
    /// As [`AudioReader::read`], and [`AudioError::NoChannel`].
    pub fn read_signals(
        &mut self,
        channels: Channels,
        signals: &mut Vec<Vec<f32>>,
    ) -> Result<bool, AudioError> {
        channels.check(self.info.channels, &self.source.file)?;
        let more = self.next_block()?;
        channels.split_scaled(&self.values, self.info.channels, self.full_scale, signals);
        // Finite floats may still have a sum beyond their range.
        let finite = |signal: &Vec<f32>| signal.iter().position(|value| !value.is_finite());
        if let Some(index) = signals.iter().filter_map(finite).min() {
            self.before += index as u64;
            return Err(self.not_finite());
        }
        Ok(more)
    }

    /// Decodes the next block onto the encoding's own scale.
    fn next_block(&mut self) -> Result<bool, AudioError> {
        let channels = usize::from(self.info.channels);
        self.before += (self.values.len() / channels) as u64;
        self.values.clear();
        if self.failed {
            return Err(self.not_finite());
        }
        let (source, warnings) = (&mut self.source, &mut self.warnings);
        let more = match &mut self.decoder {
            Decoder::Wav(wav) => wav.read(source, warnings, &mut self.values)?,
            Decoder::Flac(flac) => flac.read(source, warnings, &mut self.values)?,
            Decoder::Raw { ended: true, .. } => false,
            Decoder::Raw { format, ended } => {
                match read_frames(source, *format, false, &mut None, &mut self.values)? {
                    Frames::Some => true,
                    Frames::End(bytes) => {
                        *ended = true;
                        if bytes > 0 {
                            let frame = format.frame_bytes();
                            warnings.add(AudioWarning::PartFrame { bytes, frame })?;
                        }
                        false
                    }
                }
            }
        };
        if let Some(bad) = self.values.iter().position(|value| !value.is_finite()) {
            self.failed = true;
            self.values.truncate(bad / channels * channels);
            if self.values.is_empty() {
                return Err(self.not_finite());
            }
        }
        Ok(more)
    }

    /// The error for a sample right behind the block at hand.
    fn not_finite(&self) -> AudioError {
        AudioError::NonFinite {
            file: self.source.file.clone(),
            index: self.before,
        }
    }

    /// Finds out what the stream is and reads its header. The first bytes decide: searching for a
    /// header, as players do, would find one in the middle of anything.
    fn of(mut source: Source<'s>) -> Result<Self, AudioError> {
        let mut warnings = Warnings::new(&source.file);
        let tagged = tags::skip_before(&mut source, &mut warnings)?;
        let head = source.peek(MAGIC_BYTES)?;
        let (decoder, info, full_scale) = match sniff(head) {
            Sniffed::Wav => {
                let wav = WavReader::open(&mut source, &mut warnings)?;
                let info = AudioInfo {
                    sample_rate: wav.format.sample_rate,
                    channels: wav.format.channels,
                    container: wav.container,
                    encoding: wav.words.clone(),
                    frames: wav.declared(),
                };
                let full_scale = wav.format.encoding.full_scale();
                (Decoder::Wav(wav), info, full_scale)
            }
            Sniffed::Flac => {
                let flac = FlacReader::open(&mut source, &mut warnings)?;
                let info = AudioInfo {
                    sample_rate: flac.sample_rate(),
                    channels: flac.channels(),
                    container: "FLAC",
                    encoding: format!("{}-bit PCM", flac.bits()),
                    frames: flac.declared(),
                };
                let full_scale = flac.full_scale();
                (Decoder::Flac(flac), info, full_scale)
            }
            _ => return Err(refuse(&mut source, tagged)),
        };
        Ok(Self {
            source,
            decoder,
            info,
            full_scale,
            warnings,
            values: Vec::new(),
            before: 0,
            failed: false,
        })
    }

    fn of_raw(source: Source<'s>, format: RawFormat) -> Result<Self, AudioError> {
        check_rate(&source.file, format.sample_rate)?;
        check_channels(&source.file, usize::from(format.channels))?;
        Ok(Self {
            warnings: Warnings::new(&source.file),
            source,
            decoder: Decoder::Raw {
                format,
                ended: false,
            },
            info: AudioInfo {
                sample_rate: format.sample_rate,
                channels: format.channels,
                container: "headerless PCM",
                encoding: format.encoding.name_in_words().to_owned(),
                frames: None,
            },
            full_scale: format.encoding.full_scale(),
            values: Vec::new(),
            before: 0,
            failed: false,
        })
    }

    /// Refuses a header that contradicts what was said.
    fn agrees(self, explicit: Explicit) -> Result<Self, AudioError> {
        let contradiction = |what, header: String, given: String| AudioError::Contradiction {
            file: self.source.file.clone(),
            what,
            header,
            given,
        };
        let info = &self.info;
        if let Some(rate) = explicit
            .sample_rate
            .filter(|&rate| rate != info.sample_rate)
        {
            let header = format!("{} Hz", info.sample_rate);
            return Err(contradiction("sampling rate", header, format!("{rate} Hz")));
        }
        if let Some(channels) = explicit.channels.filter(|&n| n != info.channels) {
            let header = info.channels.to_string();
            return Err(contradiction("channels", header, channels.to_string()));
        }
        let same = |given: RawEncoding| match &self.decoder {
            Decoder::Wav(wav) => wav.format.encoding == given,
            Decoder::Raw { format, .. } => format.encoding == given,
            Decoder::Flac(flac) => match flac.bits() {
                8 => given == RawEncoding::U8,
                16 => given == RawEncoding::S16le,
                24 => given == RawEncoding::S24le,
                32 => given == RawEncoding::S32le,
                _ => false,
            },
        };
        if let Some(given) = explicit.encoding.filter(|&given| !same(given)) {
            let header = info.encoding.clone();
            return Err(contradiction(
                "encoding",
                header,
                given.name_in_words().to_owned(),
            ));
        }
        Ok(self)
    }
}

/// Opens a file for reading; a folder is refused.
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

/// The error for a stream that is neither WAV nor FLAC.
fn refuse(source: &mut Source<'_>, tagged: bool) -> AudioError {
    let head = match source.peek(SNIFF_BYTES) {
        Ok(head) => &head[..head.len().min(SNIFF_BYTES)],
        Err(error) => return error,
    };
    let start = || format!("\"{}\"", head[..head.len().min(24)].escape_ascii());
    let (found, remedy) = match sniff(head) {
        _ if tagged => (MP3.name.to_owned(), MP3.remedy),
        _ if head.is_empty() => {
            return AudioError::Empty {
                file: source.file.clone(),
            };
        }
        Sniffed::Known(foreign) if foreign.name == "text" => {
            (format!("text ({})", start()), foreign.remedy)
        }
        Sniffed::Known(foreign) => (foreign.name.to_owned(), foreign.remedy),
        _ if b"RIFF".starts_with(&head[..head.len().min(4)]) => {
            return AudioError::TruncatedHeader {
                file: source.file.clone(),
            };
        }
        _ => (
            format!("something unknown (it starts with {})", start()),
            "convert it, for example with `ffmpeg -i INPUT output.wav`",
        ),
    };
    AudioError::NotAudio {
        file: source.file.clone(),
        found,
        remedy,
    }
}

/// Reads headerless PCM from the file at `path`.
pub(super) fn open_raw(path: &Path, format: RawFormat) -> Result<AudioReader<'static>, AudioError> {
    AudioReader::raw(open(path)?, format, &path.display().to_string())
}
