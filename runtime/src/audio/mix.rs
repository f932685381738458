//! From decoded packets of any sample type to one channel of `f32`.

use symphonia::core::audio::sample::{Sample, i24, u24};
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
        match buffer {
            GenericAudioBufferRef::U8(b) => self.mix(b, 127.0, |v: u8| f32::from(v) - 128.0),
            GenericAudioBufferRef::U16(b) => {
                self.mix(b, 32_767.0, |v: u16| f32::from(v) - 32_768.0)
            }
            GenericAudioBufferRef::U24(b) => self.mix(b, 8_388_607.0, |v: u24| {
                (v.inner() as i32 - 0x80_0000) as f32
            }),
            GenericAudioBufferRef::U32(b) => self.mix(b, 2_147_483_647.0, |v: u32| {
                (i64::from(v) - 0x8000_0000) as f32
            }),
            GenericAudioBufferRef::S8(b) => self.mix(b, 127.0, |v: i8| f32::from(v)),
            GenericAudioBufferRef::S16(b) => self.mix(b, 32_767.0, |v: i16| f32::from(v)),
            GenericAudioBufferRef::S24(b) => self.mix(b, 8_388_607.0, |v: i24| v.inner() as f32),
            GenericAudioBufferRef::S32(b) => {
                let full_scale = ((1_i64 << (31 - shift.min(30))) - 1) as f32;
                self.mix(b, full_scale, |v: i32| (v >> shift) as f32);
            }
            GenericAudioBufferRef::F32(b) => self.mix(b, 1.0, |v: f32| v),
            GenericAudioBufferRef::F64(b) => self.mix(b, 1.0, |v: f64| v as f32),
        }
        Ok(())
    }

    /// Mean over the channels in channel order, then division by `full_scale`, all in `f32` (specification, section 2).
    fn mix<S: Sample>(
        &mut self,
        buffer: &AudioBuffer<S>,
        full_scale: f32,
        value: impl Fn(S) -> f32,
    ) {
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
