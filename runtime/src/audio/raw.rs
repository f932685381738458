//! PCM without a header, as pipes and telephony deliver it, and as it lies inside a WAV.

use super::source::Source;
use super::{AudioError, FRAMES_AT_ONCE};
pub use crate::pcm::RawEncoding;

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
    pub fn frame_bytes(self) -> usize {
        self.encoding.bytes() * usize::from(self.channels)
    }
}

/// What came of [`read_frames`].
pub(super) enum Frames {
    /// At least one.
    Some,
    /// The end, with the bytes of an incomplete frame before it.
    End(usize),
}

/// Decodes the next whole frames, at most [`FRAMES_AT_ONCE`], onto `values` on the encoding's own
/// scale. It waits for one frame only. `limit` counts down the bytes that belong to the audio;
/// `big_endian` samples are turned around.
pub(super) fn read_frames(
    source: &mut Source<'_>,
    format: RawFormat,
    big_endian: bool,
    limit: &mut Option<u64>,
    values: &mut Vec<f32>,
) -> Result<Frames, AudioError> {
    let (frame, sample) = (format.frame_bytes(), format.encoding.bytes());
    let left = limit.map_or(usize::MAX, |left| {
        usize::try_from(left).unwrap_or(usize::MAX)
    });
    let here = source.peek(frame.min(left))?;
    let here = &here[..here.len().min(left).min(frame * FRAMES_AT_ONCE)];
    let whole = here.len() / frame * frame;
    let taken = if whole == 0 { here.len() } else { whole };
    let samples = here[..whole].chunks_exact(sample);
    if big_endian {
        let mut turned = [0; 8];
        values.extend(samples.filter_map(|bytes| {
            let turned = &mut turned[..sample];
            turned.copy_from_slice(bytes);
            turned.reverse();
            format.encoding.value(turned)
        }));
    } else {
        values.extend(samples.filter_map(|bytes| format.encoding.value(bytes)));
    }
    source.take(taken);
    if let Some(left) = limit {
        *left -= taken as u64;
    }
    Ok(match whole {
        0 => Frames::End(taken),
        _ => Frames::Some,
    })
}
