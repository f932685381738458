//! PCM without a header, as pipes and telephony deliver it, and as it lies inside a WAV.

use std::io::Read;
use std::str::FromStr;

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_PCM_ALAW, CODEC_ID_PCM_F32LE, CODEC_ID_PCM_F64LE, CODEC_ID_PCM_MULAW,
    CODEC_ID_PCM_S16LE, CODEC_ID_PCM_S24LE, CODEC_ID_PCM_S32LE, CODEC_ID_PCM_U8,
};
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters};
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};

use super::mix::Mixer;
use super::{AudioError, Pcm, check_channels, check_rate, decoder_failed, finished, make_decoder};

/// Frames that are read and decoded at once.
const FRAMES_AT_ONCE: usize = 4096;

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
    let mut params = AudioCodecParameters::new();
    params
        .for_codec(format.encoding.codec())
        .with_sample_rate(format.sample_rate)
        .with_channels(Channels::Discrete(format.channels));
    let mut decoder = make_decoder(file, &params)?;
    let mut mixer = Mixer::new(&params, format.sample_rate);

    let frame = format.frame_bytes();
    let mut stream = stream.take(limit.unwrap_or(u64::MAX));
    let mut bytes = Vec::with_capacity(frame * FRAMES_AT_ONCE);
    loop {
        let wanted = (frame * FRAMES_AT_ONCE) as u64;
        let read = stream.by_ref().take(wanted).read_to_end(&mut bytes);
        read.map_err(|source| AudioError::Io {
            file: file.to_owned(),
            source,
        })?;
        let frames = bytes.len() / frame;
        let whole = &bytes[..frames * frame];
        let packet = PacketRef::new(0, Timestamp::new(0), Duration::new(frames as u64), whole);
        let buffer = decoder
            .decode_ref(&packet)
            .map_err(|error| decoder_failed(file, error))?;
        mixer.push(file, &buffer)?;
        if frames < FRAMES_AT_ONCE {
            return Ok((mixer.samples, bytes.len() - whole.len()));
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
