//! A FLAC writer of the plainest kind: every sample as it is, 16 bits.

/// How a file is written.
#[derive(Debug, Clone, Copy)]
pub struct Flac {
    pub rate: u32,
    pub channels: u8,
    /// Samples per channel in the header; `None`: the truth.
    pub total: Option<u64>,
    pub md5: [u8; 16],
}

/// Samples per channel of a frame.
pub const BLOCK: usize = 192;

impl Flac {
    pub const MONO: Self = Self {
        rate: 16_000,
        channels: 1,
        total: None,
        md5: [0; 16],
    };

    /// The file up to its first frame.
    pub fn header(self, frames: usize) -> Vec<u8> {
        let mut out = b"fLaC\x80\0\0\x22".to_vec();
        out.extend([0, BLOCK as u8, 0, BLOCK as u8, 0, 0, 0, 0, 0, 0]);
        let total = self.total.unwrap_or(frames as u64);
        let packed = u64::from(self.rate) << 44 | u64::from(self.channels - 1) << 41 | 15 << 36;
        out.extend((packed | total).to_be_bytes());
        out.extend(self.md5);
        out
    }

    /// Each frame of interleaved `samples`.
    pub fn frames(self, samples: &[i16]) -> Vec<Vec<u8>> {
        let channels = usize::from(self.channels);
        let blocks = samples.chunks(BLOCK * channels).enumerate();
        blocks
            .map(|(number, block)| {
                let size = block.len() / channels;
                // Sync code, 16-bit block size, rate of the header, channels, 16 bits.
                let mut out = vec![0xff, 0xf8, 0x70, (self.channels - 1) << 4 | 8];
                out.extend(
                    char::from_u32(number as u32)
                        .unwrap()
                        .to_string()
                        .as_bytes(),
                );
                out.extend((size as u16 - 1).to_be_bytes());
                out.push(crc(&out, 8, 0x07) as u8);
                for channel in 0..channels {
                    out.push(1 << 1);
                    let plane = block.iter().skip(channel).step_by(channels);
                    out.extend(plane.flat_map(|v| v.to_be_bytes()));
                }
                out.extend(crc(&out, 16, 0x8005).to_be_bytes());
                out
            })
            .collect()
    }

    pub fn file(self, samples: &[i16]) -> Vec<u8> {
        let mut out = self.header(samples.len() / usize::from(self.channels));
        out.extend(self.frames(samples).concat());
        out
    }
}

/// A checksum of `width` bits, most significant first, starting at 0.
fn crc(bytes: &[u8], width: u32, polynomial: u16) -> u16 {
    let top = 1_u32 << (width - 1);
    let sum = bytes.iter().fold(0_u32, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte) << (width - 8), |sum, _| {
            (sum << 1)
                ^ if sum & top == 0 {
                    0
                } else {
                    u32::from(polynomial)
                }
        })
    });
    (sum & (top << 1).wrapping_sub(1)) as u16
}
