//! From decoded packets of integers to one channel of `f32`.

use symphonia::core::audio::{Audio, AudioBuffer, GenericAudioBufferRef};
use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known::CODEC_ID_FLAC;

use super::{AudioError, MAX_DURATION_S};

/// Mixes decoded packets to one channel.
pub(super) struct Mixer {
    /// Channels of the source; 0 until the first packet.
    pub(super) channels: u16,
    /// What was decoded so far.
    pub(super) samples: Vec<f32>,
    limit: usize,
    /// Bits by which the decoder shifted its integers up: FLAC fills 32 bits whatever its sample width.
    shift: u32,
}

impl Mixer {
    /// A mixer for a track at `rate` Hz.
    pub(super) fn new(params: &AudioCodecParameters, rate: u32) -> Self {
        let shift = if params.codec == CODEC_ID_FLAC {
            32 - params.bits_per_sample.unwrap_or(32).clamp(1, 32)
        } else {
            0
        };
        Self {
            channels: 0,
            samples: Vec::new(),
            limit: (MAX_DURATION_S * rate) as usize,
            shift,
        }
    }

    /// Appends one packet.
    pub(super) fn push(
        &mut self,
        file: &str,
        buffer: &GenericAudioBufferRef<'_>,
    ) -> Result<(), AudioError> {
        if self.samples.len() + buffer.frames() > self.limit {
            return Err(AudioError::TooLong {
                file: file.to_owned(),
            });
        }
        self.channels = u16::try_from(buffer.num_planes()).unwrap_or(u16::MAX);
        let shift = self.shift;
        let GenericAudioBufferRef::S32(buffer) = buffer else {
            return Err(AudioError::Unsupported {
                file: file.to_owned(),
                reason: "samples that are not integers".to_owned(),
            });
        };
        let full_scale = ((1_i64 << (31 - shift.min(30))) - 1) as f32;
        self.mix(buffer, full_scale, |v: i32| (v >> shift) as f32);
        Ok(())
    }

    /// Mean over the channels in channel order, then division by `full_scale`, all in `f32` (specification, section 2).
    fn mix(&mut self, buffer: &AudioBuffer<i32>, full_scale: f32, value: impl Fn(i32) -> f32) {
        let start = self.samples.len();
        self.samples.resize(start + buffer.frames(), 0.0);
        let (out, planes) = (&mut self.samples[start..], buffer.num_planes());
        for plane in (0..planes).filter_map(|index| buffer.plane(index)) {
            for (sum, &sample) in out.iter_mut().zip(plane) {
                *sum += value(sample);
            }
        }
        let count = planes as f32;
        for sum in out {
            *sum = *sum / count / full_scale;
        }
    }
}
