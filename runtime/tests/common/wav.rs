//! Hand-written WAV bytes, so that no audio lies in the repository.

use std::f32::consts::TAU;

/// Sample formats that a WAV `fmt ` chunk can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wav {
    U8,
    S16,
    S24,
    S32,
    F32,
    F64,
    Alaw,
    Ulaw,
}

impl Wav {
    pub fn bytes(self) -> u16 {
        match self {
            Self::U8 | Self::Alaw | Self::Ulaw => 1,
            Self::S16 => 2,
            Self::S24 => 3,
            Self::S32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    fn tag(self) -> u16 {
        match self {
            Self::F32 | Self::F64 => 3,
            Self::Alaw => 6,
            Self::Ulaw => 7,
            _ => 1,
        }
    }

    /// One sample; integers are rounded to the scale that divides by `2^(b-1) - 1`. G.711 takes its code as given, 0 to 255.
    pub fn encode(self, value: f64, out: &mut Vec<u8>) {
        match self {
            Self::U8 => out.push(((value * 127.0).round() + 128.0) as u8),
            Self::S16 => out.extend(((value * 32_767.0).round() as i16).to_le_bytes()),
            Self::S24 => out.extend(&((value * 8_388_607.0).round() as i32).to_le_bytes()[..3]),
            Self::S32 => out.extend(((value * 2_147_483_647.0).round() as i32).to_le_bytes()),
            Self::F32 => out.extend((value as f32).to_le_bytes()),
            Self::F64 => out.extend(value.to_le_bytes()),
            Self::Alaw | Self::Ulaw => out.push(value as u8),
        }
    }

    /// A WAV file of interleaved `samples`.
    pub fn file(self, rate: u32, channels: u16, samples: &[f64]) -> Vec<u8> {
        let mut data = Vec::new();
        samples.iter().for_each(|&v| self.encode(v, &mut data));
        self.file_of(rate, channels, &data)
    }

    /// A WAV file around `data`.
    pub fn file_of(self, rate: u32, channels: u16, data: &[u8]) -> Vec<u8> {
        let extra: &[u8] = if self.tag() == 1 { &[] } else { &[0, 0] };
        let frame = self.bytes() * channels;
        let mut out = b"RIFF".to_vec();
        out.extend((20 + 16 + extra.len() as u32 + data.len() as u32).to_le_bytes());
        out.extend(b"WAVEfmt ");
        out.extend((16 + extra.len() as u32).to_le_bytes());
        out.extend(self.tag().to_le_bytes());
        out.extend(channels.to_le_bytes());
        out.extend(rate.to_le_bytes());
        out.extend((rate * u32::from(frame)).to_le_bytes());
        out.extend(frame.to_le_bytes());
        out.extend((self.bytes() * 8).to_le_bytes());
        out.extend(extra);
        out.extend(b"data");
        out.extend((data.len() as u32).to_le_bytes());
        out.extend(data);
        out
    }
}

/// A voiced sound: a harmonic series whose fundamental glides around `f0` Hz, `seconds` long, peak below 0.5.
pub fn vowel(rate: u32, f0: f32, seconds: f32) -> Vec<f64> {
    let mut phase = 0.0_f32;
    (0..(rate as f32 * seconds) as usize)
        .map(|i| {
            let t = i as f32 / rate as f32;
            phase = (phase + f0 * (1.0 + 0.1 * (TAU * 1.5 * t).sin()) / rate as f32).fract();
            let sum: f32 = (1..=12)
                .map(|k| (TAU * phase * k as f32).sin() / k as f32)
                .sum();
            f64::from(0.2 * sum * (0.6 + 0.4 * (TAU * 3.0 * t).sin()))
        })
        .collect()
}
