//! WAV: RIFF, RIFX, RF64 and BW64.
//!
//! A reader of our own, because files in the wild must not fail over what does not matter. Where a
//! header is wrong it does what libsndfile and FFmpeg agree on: bits and channels count more than
//! the block alignment, the data chunk's size more than the file's, the end of the file more than
//! both.

mod format;

use super::raw::{Frames, RawFormat, read_frames};
use super::source::Source;
use super::{AudioError, AudioWarning, Warnings, check_channels, check_rate, tags};
use format::{FORMAT_BYTES, parse};

/// A data chunk of this size or more was written by a program that did not know the length yet
/// (`espeak-ng --stdout`, `sox`, `arecord`) if the file is not that long.
const STREAMED_BYTES: u64 = 0x7fff_0000;
/// How far the next chunk is searched for where none is.
const SEARCHED_BYTES: usize = 1 << 12;
/// Chunks that WAV files have.
const CHUNKS: [&[u8; 4]; 38] = [
    b"data", b"fmt ", b"fact", b"LIST", b"list", b"JUNK", b"junk", b"PAD ", b"FLLR", b"bext",
    b"iXML", b"id3 ", b"ID3 ", b"cue ", b"PEAK", b"smpl", b"inst", b"plst", b"note", b"labl",
    b"ltxt", b"DISP", b"acid", b"strc", b"cart", b"_PMX", b"chna", b"axml", b"umid", b"levl",
    b"minf", b"elm1", b"regn", b"wavl", b"slnt", b"afsp", b"ds64", b"Fake",
];

/// How sizes are written.
struct Layout {
    big_endian: bool,
    /// RF64 or BW64: sizes in 64 bits lie in a chunk of their own.
    long: bool,
}

/// A WAV file, from its first sample on.
pub(super) struct WavReader {
    pub(super) container: &'static str,
    pub(super) words: String,
    pub(super) format: RawFormat,
    layout: Layout,
    /// What the RIFF header says of bytes after itself.
    riff_bytes: u64,
    /// Where the RIFF header starts, behind tags.
    start: u64,
    /// Bytes that the data chunk declares; `None`: until the end.
    declared_bytes: Option<u64>,
    left: Option<u64>,
    /// The size was a placeholder by which programs say that they stream.
    streamed: bool,
    read: u64,
    ended: bool,
}

impl WavReader {
    /// Reads up to the first sample.
    pub(super) fn open(
        source: &mut Source<'_>,
        warnings: &mut Warnings,
    ) -> Result<Self, AudioError> {
        let start = source.position();
        let [r, i, f, x, size @ .., _, _, _, _] = source.header::<12>()?;
        let (container, big_endian, long) = match &[r, i, f, x] {
            b"RIFX" => ("WAV (big-endian, RIFX)", true, false),
            b"RF64" => ("WAV (RF64)", false, true),
            b"BW64" => ("WAV (BW64)", false, true),
            _ => ("WAV", false, false),
        };
        let layout = Layout { big_endian, long };
        let mut riff_bytes = u64::from(layout.number(size));
        let (mut format, mut long_data) = (None, None);
        loop {
            let (id, size) = next_chunk(source, &layout, warnings)?;
            let begin = source.position();
            match &id {
                b"fmt " => {
                    let wanted = FORMAT_BYTES.min(size as usize);
                    let body = source.peek(wanted)?;
                    let body = body.get(..wanted).map(<[u8]>::to_vec);
                    let body = body.ok_or_else(|| AudioError::TruncatedHeader {
                        file: source.file.clone(),
                    })?;
                    let parsed = parse(source, &body, layout.big_endian)?;
                    if format.replace(parsed).is_some() {
                        warnings.add(AudioWarning::SecondFormat)?;
                    }
                }
                // The first size is that of the file, the second that of the data.
                b"ds64" if size >= 16 && layout.long => {
                    let sizes = source.header::<16>()?;
                    let [file, data] = [0, 8].map(|at| {
                        let mut bytes = [0; 8];
                        bytes.copy_from_slice(&sizes[at..at + 8]);
                        u64::from_le_bytes(bytes)
                    });
                    riff_bytes = file;
                    long_data = Some(data);
                }
                b"data" => {
                    let format = format
                        .ok_or_else(|| source.malformed("its samples come before their format"))?;
                    if let Some(warning) = format.warning {
                        warnings.add(warning)?;
                    }
                    check_rate(&source.file, format.format.sample_rate)?;
                    check_channels(&source.file, usize::from(format.format.channels))?;
                    let mut reader = Self {
                        container,
                        words: format.words,
                        format: format.format,
                        layout,
                        riff_bytes,
                        start,
                        declared_bytes: None,
                        left: None,
                        streamed: false,
                        read: 0,
                        ended: false,
                    };
                    reader.enter(source, long_data.unwrap_or(u64::from(size)))?;
                    return Ok(reader);
                }
                _ => {}
            }
            let rest = u64::from(size).saturating_sub(source.position() - begin);
            source.skip(rest)?;
            padding(source, &id, u64::from(size), warnings)?;
        }
    }

    /// Frames that the header declares, if it does.
    pub(super) fn declared(&self) -> Option<u64> {
        self.declared_bytes
            .filter(|_| !self.streamed)
            .map(|bytes| bytes / self.format.frame_bytes() as u64)
    }

    /// Begins the data chunk, which says that it has `size` bytes.
    fn enter(&mut self, source: &mut Source<'_>, size: u64) -> Result<(), AudioError> {
        let unset = match size {
            // Nothing, or a recorder that never came back: chunks or audio follow.
            0 => {
                let next = source.peek(8)?;
                !next.is_empty() && !is_chunk(next)
            }
            size => size == u64::from(u32::MAX) || size == u64::MAX,
        };
        self.streamed = size >= STREAMED_BYTES && !self.layout.long || size == u64::MAX;
        self.declared_bytes = (!unset).then_some(size);
        self.left = self.declared_bytes;
        Ok(())
    }

    /// Appends the next frames to `values`, interleaved; `false` at the end.
    pub(super) fn read(
        &mut self,
        source: &mut Source<'_>,
        warnings: &mut Warnings,
        values: &mut Vec<f32>,
    ) -> Result<bool, AudioError> {
        if self.ended {
            return Ok(false);
        }
        let big_endian = self.layout.big_endian;
        match read_frames(source, self.format, big_endian, &mut self.left, values)? {
            Frames::Some => {
                self.read += (values.len() / usize::from(self.format.channels)) as u64;
                Ok(true)
            }
            Frames::End(rest) => {
                self.ended = true;
                self.leave(source, warnings, rest)?;
                Ok(false)
            }
        }
    }

    /// Ends the data chunk, which had `rest` bytes after its last whole frame: looks at what
    /// follows.
    fn leave(
        &self,
        source: &mut Source<'_>,
        warnings: &mut Warnings,
        rest: usize,
    ) -> Result<(), AudioError> {
        let frame = self.format.frame_bytes();
        let found = self.read;
        match (self.declared_bytes, self.left) {
            (Some(bytes), Some(0)) => {
                if rest > 0 {
                    warnings.add(AudioWarning::PartFrame { bytes: rest, frame })?;
                }
                self.behind(source, warnings, bytes)
            }
            // Less than a frame is missing.
            (Some(bytes), _) if !self.streamed && bytes / frame as u64 == found => {
                let bytes = (bytes % frame as u64) as usize;
                warnings.add(AudioWarning::PartFrame { bytes, frame })
            }
            (Some(bytes), _) if !self.streamed => warnings.add(AudioWarning::Truncated {
                declared: bytes / frame as u64,
                found,
            }),
            _ => {
                if rest > 0 {
                    warnings.add(AudioWarning::PartFrame { bytes: rest, frame })?;
                }
                // In a pipe nobody could have known the length.
                if source.complete || !self.streamed && self.riff_bytes < STREAMED_BYTES {
                    warnings.add(AudioWarning::LengthUnset { found })?;
                }
                Ok(())
            }
        }
    }

    /// What lies behind the data chunk, which declared `bytes_declared`.
    fn behind(
        &self,
        source: &mut Source<'_>,
        warnings: &mut Warnings,
        bytes_declared: u64,
    ) -> Result<(), AudioError> {
        padding(source, b"data", bytes_declared, warnings)?;
        loop {
            let next = source.peek(8)?;
            if next.is_empty() {
                break;
            }
            let (known, named) = (is_chunk(next), next.len() >= 8 && is_name(&next[..4]));
            let tag = if known { None } else { tags::behind(source)? };
            let begin = source.position();
            if let Some(what) = tag {
                let bytes = source.drain()?;
                return warnings.add(AudioWarning::After { what, bytes });
            }
            let too_short = |bytes| AudioWarning::LengthTooShort {
                declared: bytes_declared / self.format.frame_bytes() as u64,
                bytes,
            };
            if !named {
                let bytes = source.drain()?;
                return warnings.add(too_short(bytes));
            }
            let [a, b, c, d, size @ ..] = source.header::<8>()?;
            let size = self.layout.number(size);
            if &[a, b, c, d] == b"data" && size > 0 {
                let bytes = u64::from(size);
                warnings.add(AudioWarning::SecondData { bytes })?;
            }
            let skipped = source.skip(u64::from(size))?;
            // A chunk of unknown name that does not fit into the file is none, but perhaps audio.
            if !known && skipped < u64::from(size) {
                return warnings.add(too_short(source.position() - begin));
            }
            padding(source, &[a, b, c, d], u64::from(size), warnings)?;
        }
        let found = source.position() - self.start;
        let declared = self.riff_bytes.saturating_add(8);
        let streamed = self.riff_bytes >= STREAMED_BYTES && !source.complete;
        if declared.abs_diff(found) > 1 && !streamed && warnings.is_empty() {
            warnings.add(AudioWarning::FileSize { declared, found })?;
        }
        Ok(())
    }
}

impl Layout {
    fn number(&self, bytes: [u8; 4]) -> u32 {
        if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    }
}

/// Whether `head` starts like a chunk that WAV files have.
fn is_chunk(head: &[u8]) -> bool {
    head.len() >= 8 && CHUNKS.iter().any(|id| head.starts_with(*id))
}

/// Whether `id` may be the name of a chunk.
fn is_name(id: &[u8]) -> bool {
    id.iter().all(|byte| (0x20..0x7f).contains(byte))
}

/// The name and size of the next chunk before the audio; bytes before it that belong to none are
/// skipped.
fn next_chunk(
    source: &mut Source<'_>,
    layout: &Layout,
    warnings: &mut Warnings,
) -> Result<([u8; 4], u32), AudioError> {
    let head = source.peek(8)?;
    if head.len() >= 8 && !is_name(&head[..4]) {
        let head = source.peek(SEARCHED_BYTES)?;
        let found = (1..head.len().min(SEARCHED_BYTES)).find(|&at| is_chunk(&head[at..]));
        if let Some(bytes) = found {
            let at = source.position();
            source.take(bytes);
            warnings.add(AudioWarning::BetweenChunks {
                at,
                bytes: bytes as u64,
            })?;
        }
    }
    let [a, b, c, d, size @ ..] = source.header::<8>()?;
    Ok(([a, b, c, d], layout.number(size)))
}

/// Takes the byte of padding after a chunk of odd `size`, where there is one.
fn padding(
    source: &mut Source<'_>,
    id: &[u8; 4],
    size: u64,
    warnings: &mut Warnings,
) -> Result<(), AudioError> {
    if size.is_multiple_of(2) {
        return Ok(());
    }
    let next = source.peek(9)?;
    if is_chunk(next) && !next.get(1..).is_some_and(is_chunk) {
        return warnings.add(AudioWarning::Unpadded {
            chunk: id.escape_ascii().to_string(),
        });
    }
    source.take(1);
    Ok(())
}
