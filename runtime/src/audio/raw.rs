//! PCM without a header, as pipes and telephony deliver it, and as it lies inside a WAV.

use std::io::Read;

use super::{AudioError, MAX_DURATION_S, Pcm, check_channels, check_rate, finished};
pub use crate::pcm::RawEncoding;

/// Frames that are read and decoded at once.
const FRAMES_AT_ONCE: usize = 4096;

/// What headerless PCM holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawFormat {
    /// How a sample is written.
    pub encoding: RawEncoding,
    /// Sampling rate in Hz.
    pub sample_rate: u32,
    /// Interleaved channels, at least 1.
    pub channels: u16,
}

impl RawFormat {
    /// Bytes of one sample of every channel.
    pub(super) fn frame_bytes(self) -> usize {
        self.encoding.bytes() * usize::from(self.channels)
    }
}

/// Decodes whole frames from `stream` until it ends or `limit` bytes are read; returns the bytes of an incomplete frame at the end, too.
pub(super) fn decode_frames(
    file: &str,
    stream: &mut impl Read,
    format: RawFormat,
    limit: Option<u64>,
) -> Result<(Vec<f32>, usize), AudioError> {
    check_rate(file, format.sample_rate)?;
    check_channels(file, usize::from(format.channels))?;
    let (frame, sample) = (format.frame_bytes(), format.encoding.bytes());
    let limit_samples = MAX_DURATION_S as usize * format.sample_rate as usize;
    let mut stream = stream.take(limit.unwrap_or(u64::MAX));
    let mut bytes = Vec::with_capacity(frame * FRAMES_AT_ONCE);
    let mut samples = Vec::new();
    loop {
        let wanted = (frame * FRAMES_AT_ONCE) as u64;
        let read = stream.by_ref().take(wanted).read_to_end(&mut bytes);
        read.map_err(|source| AudioError::Io {
            file: file.to_owned(),
            source,
        })?;
        let frames = bytes.chunks_exact(frame);
        if samples.len() + frames.len() > limit_samples {
            return Err(AudioError::TooLong {
                file: file.to_owned(),
            });
        }
        let rest = frames.remainder().len();
        // Mean over the channels in channel order, then division by full scale, all in `f32` (specification, section 2).
        samples.extend(frames.map(|frame| {
            let values = frame.chunks_exact(sample);
            let sum: f32 = values.filter_map(|v| format.encoding.value(v)).sum();
            sum / f32::from(format.channels) / format.encoding.full_scale()
        }));
        if bytes.len() < frame * FRAMES_AT_ONCE {
            return Ok((samples, rest));
        }
        bytes.clear();
    }
}

/// Decodes headerless PCM until it ends, which must be at the end of a frame.
pub(super) fn decode(
    file: &str,
    stream: &mut impl Read,
    format: RawFormat,
) -> Result<Pcm, AudioError> {
    let (samples, rest) = decode_frames(file, stream, format, None)?;
    if rest > 0 {
        let frame = format.frame_bytes();
        let reason = format!(
            "the last {rest} bytes are not a whole {frame}-byte frame; are encoding and channels right?"
        );
        return Err(AudioError::Malformed {
            file: file.to_owned(),
            reason,
        });
    }
    finished(file, format.sample_rate, format.channels, samples)
}
