//! WAV: the RIFF chunks up to the samples.
//!
//! Our own reader, because files in the wild must not fail over what does not matter: sizes that a recorder never filled in, comment chunks of
//! odd length, a G.711 format without its empty extension.

use std::io::{ErrorKind, Read};

use super::raw::{RawEncoding, RawFormat, decode_frames};
use super::{AudioError, Pcm, finished};

/// A data chunk of this size or more was written by a program that did not know the length yet (`espeak-ng --stdout`, `sox`, `arecord`).
const STREAMED_BYTES: u64 = 0x7fff_0000;
/// Most bytes of a format chunk that mean anything: `WAVEFORMATEXTENSIBLE`.
const FORMAT_BYTES: usize = 40;
/// The sub-format GUIDs of `WAVEFORMATEXTENSIBLE` are a format tag in two bytes and this.
const GUID_TAIL: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];

/// Decodes from `RIFF` (or `RF64`, `BW64`) on.
pub(super) fn decode(file: &str, stream: &mut impl Read) -> Result<Pcm, AudioError> {
    let (format, data_bytes) = header(file, stream)?;
    let declared = data_bytes.map(|bytes| bytes / format.frame_bytes() as u64);
    let limit = declared.map(|frames| frames * format.frame_bytes() as u64);
    let (samples, _) = decode_frames(file, stream, format, limit)?;
    let decoded = samples.len() as u64;
    match declared {
        Some(declared) if decoded < declared => Err(AudioError::Truncated {
            file: file.to_owned(),
            decoded,
            declared,
        }),
        _ => finished(file, format.sample_rate, format.channels, samples),
    }
}

/// Reads up to the first sample: the format, and the bytes of samples that are declared (`None`: until the end).
fn header(file: &str, stream: &mut impl Read) -> Result<(RawFormat, Option<u64>), AudioError> {
    let mut head = [0; 12];
    read_exact(file, stream, &mut head)?;
    let (mut format, mut long_data) = (None, None);
    loop {
        let mut chunk = [0; 8];
        read_exact(file, stream, &mut chunk)?;
        let [a, b, c, d, size @ ..] = chunk;
        let size = u32::from_le_bytes(size);
        let read = match &[a, b, c, d] {
            b"fmt " => {
                let mut body = [0; FORMAT_BYTES];
                let length = body.len().min(size as usize);
                read_exact(file, stream, &mut body[..length])?;
                format = Some(parse_format(file, &body[..length])?);
                length
            }
            // RF64: sizes that do not fit into 32 bits; the first is that of the file, the second that of the data.
            b"ds64" if size >= 16 => {
                let mut sizes = [[0; 8]; 2];
                read_exact(file, stream, sizes.as_flattened_mut())?;
                long_data = Some(u64::from_le_bytes(sizes[1]));
                16
            }
            b"data" => {
                let format = format
                    .ok_or_else(|| malformed(file, "its samples come before their format"))?;
                let bytes = if size == u32::MAX {
                    long_data
                } else {
                    Some(u64::from(size))
                };
                return Ok((
                    format,
                    bytes.filter(|&bytes| long_data.is_some() || bytes < STREAMED_BYTES),
                ));
            }
            _ => 0,
        };
        // A chunk of odd length is followed by one byte of padding.
        let rest = u64::from(size) + u64::from(size % 2) - read as u64;
        let skipped = std::io::copy(&mut stream.take(rest), &mut std::io::sink());
        skipped.map_err(|source| AudioError::Io {
            file: file.to_owned(),
            source,
        })?;
    }
}

/// `WAVEFORMAT`, `WAVEFORMATEX` or `WAVEFORMATEXTENSIBLE`.
fn parse_format(file: &str, body: &[u8]) -> Result<RawFormat, AudioError> {
    if body.len() < 16 {
        return Err(malformed(file, "its format chunk is too short"));
    }
    let word = |at: usize| u16::from_le_bytes([body[at], body[at + 1]]);
    let (mut tag, channels, block, bits) = (word(0), word(2), word(12), word(14));
    let sample_rate = u32::from_le_bytes([body[4], body[5], body[6], body[7]]);
    let unsupported = |reason: String| AudioError::Unsupported {
        file: file.to_owned(),
        reason,
    };
    if tag == 0xfffe {
        if body.len() < FORMAT_BYTES || body[26..] != GUID_TAIL {
            return Err(unsupported(
                "an extensible WAV format that is neither PCM nor G.711".to_owned(),
            ));
        }
        tag = word(24);
    }
    let encoding = match (tag, bits) {
        (1, 8) => RawEncoding::U8,
        (1, 16) => RawEncoding::S16le,
        (1, 24) => RawEncoding::S24le,
        (1, 32) => RawEncoding::S32le,
        (3, 32) => RawEncoding::F32le,
        (3, 64) => RawEncoding::F64le,
        (6, 8) => RawEncoding::Alaw,
        (7, 8) => RawEncoding::Ulaw,
        _ => {
            return Err(unsupported(format!(
                "WAV format {tag:#06x} with {bits} bits a sample is not supported"
            )));
        }
    };
    let format = RawFormat {
        encoding,
        sample_rate,
        channels,
    };
    if usize::from(block) != format.frame_bytes() {
        return Err(malformed(
            file,
            &format!(
                "{channels} channels of {bits} bits do not make frames of {block} bytes, as its header says"
            ),
        ));
    }
    Ok(format)
}

fn malformed(file: &str, reason: &str) -> AudioError {
    AudioError::Malformed {
        file: file.to_owned(),
        reason: reason.to_owned(),
    }
}

/// Fills `buffer`; the end of the file here is before the first sample.
fn read_exact(file: &str, stream: &mut impl Read, buffer: &mut [u8]) -> Result<(), AudioError> {
    stream
        .read_exact(buffer)
        .map_err(|source| match source.kind() {
            ErrorKind::UnexpectedEof => AudioError::TruncatedHeader {
                file: file.to_owned(),
            },
            _ => AudioError::Io {
                file: file.to_owned(),
                source,
            },
        })
}
