//! Hand-made RIFF files of any shape, right or wrong.

/// One chunk.
#[derive(Debug, Clone)]
pub struct Chunk {
    pub id: [u8; 4],
    pub body: Vec<u8>,
    /// What its header declares; `None`: the truth.
    pub size: Option<u32>,
    /// Whether a byte of padding follows an odd body.
    pub padded: bool,
}

impl Chunk {
    pub fn new(id: &[u8; 4], body: &[u8]) -> Self {
        Self {
            id: *id,
            body: body.to_vec(),
            size: None,
            padded: true,
        }
    }

    pub fn declaring(mut self, size: u32) -> Self {
        self.size = Some(size);
        self
    }

    pub fn unpadded(mut self) -> Self {
        self.padded = false;
        self
    }
}

/// A RIFF file of `chunks` that declares `size`; `None`: the truth.
pub fn riff_of(chunks: &[Chunk], size: Option<u32>) -> Vec<u8> {
    let mut body = b"WAVE".to_vec();
    for chunk in chunks {
        let size = chunk.size.unwrap_or(chunk.body.len() as u32);
        body.extend(chunk.id);
        body.extend(size.to_le_bytes());
        body.extend(&chunk.body);
        if chunk.padded && chunk.body.len() % 2 == 1 {
            body.push(0);
        }
    }
    let mut file = b"RIFF".to_vec();
    file.extend(size.unwrap_or(body.len() as u32).to_le_bytes());
    file.extend(body);
    file
}

/// A RIFF file whose own size is right.
pub fn riff(chunks: &[Chunk]) -> Vec<u8> {
    riff_of(chunks, None)
}

/// What a format chunk says.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    pub tag: u16,
    pub channels: u16,
    pub rate: u32,
    pub block: u16,
    pub bits: u16,
}

impl Format {
    /// 16-bit PCM at 16 kHz.
    pub const MONO: Self = Self {
        tag: 1,
        channels: 1,
        rate: 16_000,
        block: 2,
        bits: 16,
    };

    /// The chunk, with `extra` bytes behind the plain fields.
    pub fn chunk(self, extra: &[u8]) -> Chunk {
        let mut body = Vec::new();
        body.extend(self.tag.to_le_bytes());
        body.extend(self.channels.to_le_bytes());
        body.extend(self.rate.to_le_bytes());
        body.extend((self.rate * u32::from(self.block)).to_le_bytes());
        body.extend(self.block.to_le_bytes());
        body.extend(self.bits.to_le_bytes());
        body.extend(extra);
        Chunk::new(b"fmt ", &body)
    }

    /// The chunk as `WAVE_FORMAT_EXTENSIBLE`.
    pub fn extensible(self, valid_bits: u16, mask: u32, guid_tail: &[u8; 14]) -> Chunk {
        let mut extra = 22_u16.to_le_bytes().to_vec();
        extra.extend(valid_bits.to_le_bytes());
        extra.extend(mask.to_le_bytes());
        extra.extend(self.tag.to_le_bytes());
        extra.extend(guid_tail);
        Self {
            tag: 0xfffe,
            ..self
        }
        .chunk(&extra)
    }
}

/// `count` samples that differ from each other, in bytes.
pub fn ramp(count: usize) -> Vec<u8> {
    (0..count)
        .flat_map(|i| (i as i16 * 13 - 4_000).to_le_bytes())
        .collect()
}
