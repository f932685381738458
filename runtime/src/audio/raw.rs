//! Headerless PCM, as pipes and telephony deliver it.

use std::str::FromStr;

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_PCM_ALAW, CODEC_ID_PCM_F32LE, CODEC_ID_PCM_F64LE, CODEC_ID_PCM_MULAW,
    CODEC_ID_PCM_S16LE, CODEC_ID_PCM_S24LE, CODEC_ID_PCM_S32LE, CODEC_ID_PCM_U8,
};
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters};
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};

use super::decode::{Mixer, make_decoder};
use super::{AudioError, MAX_DURATION_S, Pcm, check_rate, finished};

/// How one sample of headerless PCM is written. Integers are little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RawEncoding {
    /// Unsigned 8-bit.
    U8,
    /// Signed 16-bit.
    S16le,
    /// Signed 24-bit in three bytes.
    S24le,
    /// Signed 32-bit.
    S32le,
    /// 32-bit float.
    F32le,
    /// 64-bit float.
    F64le,
    /// G.711 A-law.
    Alaw,
    /// G.711 µ-law.
    Ulaw,
}

impl RawEncoding {
    /// Every encoding with its name.
    pub const ALL: [(&'static str, Self); 8] = [
        ("u8", Self::U8),
        ("s16le", Self::S16le),
        ("s24le", Self::S24le),
        ("s32le", Self::S32le),
        ("f32le", Self::F32le),
        ("f64le", Self::F64le),
        ("alaw", Self::Alaw),
        ("ulaw", Self::Ulaw),
    ];

    /// Bytes of one sample.
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::Alaw | Self::Ulaw => 1,
            Self::S16le => 2,
            Self::S24le => 3,
            Self::S32le | Self::F32le => 4,
            Self::F64le => 8,
        }
    }

    fn codec(self) -> AudioCodecId {
        match self {
            Self::U8 => CODEC_ID_PCM_U8,
            Self::S16le => CODEC_ID_PCM_S16LE,
            Self::S24le => CODEC_ID_PCM_S24LE,
            Self::S32le => CODEC_ID_PCM_S32LE,
            Self::F32le => CODEC_ID_PCM_F32LE,
            Self::F64le => CODEC_ID_PCM_F64LE,
            Self::Alaw => CODEC_ID_PCM_ALAW,
            Self::Ulaw => CODEC_ID_PCM_MULAW,
        }
    }
}

impl FromStr for RawEncoding {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|&(_, encoding)| encoding)
            .ok_or_else(|| {
                let known: Vec<_> = Self::ALL.iter().map(|(known, _)| *known).collect();
                format!("unknown encoding; known are {}", known.join(", "))
            })
    }
}

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
    fn frame_bytes(self) -> usize {
        self.encoding.bytes() * usize::from(self.channels)
    }

    /// Bytes of [`MAX_DURATION_S`].
    pub(super) fn byte_limit(self) -> u64 {
        u64::from(MAX_DURATION_S) * u64::from(self.sample_rate) * self.frame_bytes() as u64
    }
}

/// Decodes `bytes`, which must be whole frames.
pub(super) fn decode(bytes: &[u8], format: RawFormat, name: &str) -> Result<Pcm, AudioError> {
    check_rate(name, format.sample_rate)?;
    let malformed = |reason: String| AudioError::Malformed {
        file: name.to_owned(),
        reason,
    };
    let frame = format.frame_bytes();
    if frame == 0 {
        return Err(malformed("0 channels; give at least 1".to_owned()));
    }
    if !bytes.len().is_multiple_of(frame) {
        return Err(malformed(format!(
            "{} bytes are not a whole number of {frame}-byte frames; is the encoding right?",
            bytes.len()
        )));
    }
    let mut params = AudioCodecParameters::new();
    params
        .for_codec(format.encoding.codec())
        .with_sample_rate(format.sample_rate)
        .with_channels(Channels::Discrete(format.channels));
    let mut decoder = make_decoder(name, &params)?;
    let mut mixer = Mixer::new(&params, format.sample_rate);
    for packet in bytes.chunks(frame * 4096) {
        let packet = PacketRef::new(
            0,
            Timestamp::new(0),
            Duration::new((packet.len() / frame) as u64),
            packet,
        );
        let buffer = decoder
            .decode_ref(&packet)
            .map_err(|e| malformed(e.to_string()))?;
        mixer.push(name, &buffer)?;
    }
    finished(name, format.sample_rate, format.channels, mixer.samples)
}
