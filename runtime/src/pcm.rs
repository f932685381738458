//! Headerless PCM samples, G.711 included, to `f32`: what a microphone, a pipe or a telephone line delivers. No heap.

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

/// Samples that [`in_blocks`] converts at once: they lie on the stack.
pub(crate) const BLOCK: usize = 64;

/// Calls `f` with 16-bit samples on the scale -1..1 (x / 32767), [`BLOCK`] at a time, and the place of the first of them.
pub(crate) fn in_blocks<E>(
    samples: &[i16],
    mut f: impl FnMut(usize, &[f32]) -> Result<(), E>,
) -> Result<(), E> {
    let mut buffer = [0.0; BLOCK];
    for (index, chunk) in samples.chunks(BLOCK).enumerate() {
        let converted = &mut buffer[..chunk.len()];
        for (out, &sample) in converted.iter_mut().zip(chunk) {
            *out = f32::from(sample) / 32_767.0;
        }
        f(index * BLOCK, converted)?;
    }
    Ok(())
}

/// Why a name stands for no encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown encoding; known are u8, s16le, s24le, s32le, f32le, f64le, alaw, ulaw, and s16 and f32 for s16le and f32le"
)]
pub struct UnknownEncoding;

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
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::Alaw | Self::Ulaw => 1,
            Self::S16le => 2,
            Self::S24le => 3,
            Self::S32le | Self::F32le => 4,
            Self::F64le => 8,
        }
    }

    /// What it is, in words.
    pub const fn name_in_words(self) -> &'static str {
        match self {
            Self::U8 => "8-bit PCM",
            Self::S16le => "16-bit PCM",
            Self::S24le => "24-bit PCM",
            Self::S32le => "32-bit PCM",
            Self::F32le => "32-bit float",
            Self::F64le => "64-bit float",
            Self::Alaw => "A-law",
            Self::Ulaw => "µ-law",
        }
    }

    /// The [`value`](Self::value) that becomes 1: `2^(b-1) - 1` for `b` bits (G.711 is expanded to 16), 1 for floats.
    pub const fn full_scale(self) -> f32 {
        match self {
            Self::U8 => 127.0,
            Self::S16le | Self::Alaw | Self::Ulaw => 32_767.0,
            Self::S24le => 8_388_607.0,
            Self::S32le => 2_147_483_647.0,
            Self::F32le | Self::F64le => 1.0,
        }
    }

    /// The number that `sample` stands for, on the encoding's own scale; `None` unless it has [`bytes`](Self::bytes) bytes.
    pub fn value(self, sample: &[u8]) -> Option<f32> {
        Some(match (self, sample) {
            (Self::U8, &[a]) => f32::from(a) - 128.0,
            (Self::S16le, &[a, b]) => f32::from(i16::from_le_bytes([a, b])),
            (Self::S24le, &[a, b, c]) => (i32::from_le_bytes([0, a, b, c]) >> 8) as f32,
            (Self::S32le, &[a, b, c, d]) => i32::from_le_bytes([a, b, c, d]) as f32,
            (Self::F32le, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
            (Self::F64le, bytes) => f64::from_le_bytes(bytes.try_into().ok()?) as f32,
            (Self::Alaw, &[a]) => f32::from(alaw(a)),
            (Self::Ulaw, &[a]) => f32::from(ulaw(a)),
            _ => return None,
        })
    }

    /// `sample` on the scale -1..1; `None` unless it has [`bytes`](Self::bytes) bytes.
    pub fn decode(self, sample: &[u8]) -> Option<f32> {
        Some(self.value(sample)? / self.full_scale())
    }
}

impl core::str::FromStr for RawEncoding {
    type Err = UnknownEncoding;

    fn from_str(name: &str) -> Result<Self, UnknownEncoding> {
        let name = match name {
            "s16" => "s16le",
            "f32" => "f32le",
            other => other,
        };
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|&(_, encoding)| encoding)
            .ok_or(UnknownEncoding)
    }
}

/// The 16-bit sample of a G.711 A-law code (ITU-T G.711, table 1).
pub const fn alaw(code: u8) -> i16 {
    let code = code ^ 0x55;
    let (segment, step) = ((code >> 4) & 7, ((code & 15) as i16) << 4);
    let magnitude = match segment {
        0 => step + 0x008,
        _ => (step + 0x108) << (segment - 1),
    };
    if code & 0x80 == 0 {
        -magnitude
    } else {
        magnitude
    }
}

/// The 16-bit sample of a G.711 µ-law code (ITU-T G.711, table 2).
pub const fn ulaw(code: u8) -> i16 {
    let code = !code;
    let (segment, step) = ((code >> 4) & 7, ((code & 15) as i16) << 3);
    let magnitude = ((step + 0x84) << segment) - 0x84;
    if code & 0x80 == 0 {
        magnitude
    } else {
        -magnitude
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g711_codes_of_the_standard() {
        // Largest, smallest and the values about zero.
        for (code, sample) in [
            (0x2a, -32_256),
            (0xaa, 32_256),
            (0xd5, 8),
            (0x55, -8),
            (0x80, 5_504),
        ] {
            assert_eq!(alaw(code), sample, "A-law {code:#x}");
        }
        for (code, sample) in [
            (0x00, -32_124),
            (0x80, 32_124),
            (0xff, 0),
            (0x7f, 0),
            (0xfe, 8),
            (0xf0, 120),
        ] {
            assert_eq!(ulaw(code), sample, "µ-law {code:#x}");
        }
        // A-law is monotonic over its 128 positive codes once the even bits are turned back.
        let order = |index: u8| alaw((index | 0x80) ^ 0x55);
        assert!((0..127).all(|i| order(i) < order(i + 1)));
    }

    #[test]
    fn every_encoding_has_a_full_scale_of_one() {
        let ones: [(&str, &[u8]); 6] = [
            ("u8", &[255]),
            ("s16", &[0xff, 0x7f]),
            ("s24le", &[0xff, 0xff, 0x7f]),
            ("s32le", &[0xff, 0xff, 0xff, 0x7f]),
            ("f32", &[0, 0, 0x80, 0x3f]),
            ("f64le", &[0, 0, 0, 0, 0, 0, 0xf0, 0x3f]),
        ];
        for (name, bytes) in ones {
            let encoding: RawEncoding = name.parse().unwrap();
            assert_eq!(encoding.decode(bytes), Some(1.0), "{name}");
            assert_eq!(encoding.decode(&bytes[1..]), None, "{name}");
        }
        assert_eq!(RawEncoding::S24le.value(&[0, 0, 0x80]), Some(-8_388_608.0));
        assert_eq!("mp3".parse::<RawEncoding>(), Err(UnknownEncoding));
    }
}
