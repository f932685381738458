//! Constants of the flat file, its CRC, and a reader that never goes past the end.

use super::StaticModelError;

/// First bytes of a flat model file.
pub const MAGIC: [u8; 8] = *b"SER-FLAT";
/// Layout that this version writes; it reads version 1 too, in which nothing is said of how
/// recordings were heard.
pub const FORMAT_VERSION: u32 = 2;
/// Bytes of a segmenter's id, filled up with zeros.
pub const SEGMENTER_LEN: usize = 12;
/// Every array of the file begins at a multiple of this many bytes, and so must the file in memory.
pub const ALIGNMENT: usize = 16;
/// Most layers of encoder and classifier together.
pub const MAX_LAYERS: usize = 16;
/// Widest feature vector or layer.
pub const MAX_WIDTH: usize = 1 << 20;
/// Bytes of the header.
pub(super) const HEADER_LEN: usize = 128;
/// Bytes before a layer's weights.
pub(super) const LAYER_HEADER_LEN: usize = 32;
/// What the CRC covers begins here.
pub(super) const CRC_FROM: usize = 16;
/// Letters of a bundle's id.
pub(super) const ID_LEN: usize = 16;
/// Rows of a weight matrix are filled up with zeros to a multiple of this many elements: the kernels need no remainder.
pub(super) const ROW_UNIT: usize = 16;

/// Elements of a row of `width` numbers in the file and in scratch memory.
pub(super) const fn row_stride(width: usize) -> usize {
    width.next_multiple_of(ROW_UNIT)
}

/// Reads the file from front to back.
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Begins at the start of `bytes`, which lies at a multiple of [`ALIGNMENT`] for [`Self::array`] to succeed.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], StaticModelError> {
        let truncated = StaticModelError::Truncated {
            what,
            needed: len,
            found: self.rest.len(),
        };
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    pub fn bytes<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u8; N], StaticModelError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N, what)?);
        Ok(out)
    }

    pub fn u32(&mut self, what: &'static str) -> Result<u32, StaticModelError> {
        Ok(u32::from_le_bytes(self.bytes(what)?))
    }

    /// A count or a size.
    pub fn count(&mut self, what: &'static str) -> Result<usize, StaticModelError> {
        usize::try_from(self.u32(what)?).map_err(|_| StaticModelError::Field {
            field: what,
            reason: "is larger than this machine can address",
        })
    }

    pub fn f32(&mut self, what: &'static str) -> Result<f32, StaticModelError> {
        Ok(f32::from_le_bytes(self.bytes(what)?))
    }

    /// `count` elements in place, and what fills them up to [`ALIGNMENT`].
    pub fn array<T: bytemuck::AnyBitPattern>(
        &mut self,
        count: usize,
        what: &'static str,
    ) -> Result<&'a [T], StaticModelError> {
        let truncated = StaticModelError::Truncated {
            what,
            needed: usize::MAX,
            found: self.rest.len(),
        };
        let len = count.checked_mul(size_of::<T>()).ok_or(truncated)?;
        let padded = len.checked_next_multiple_of(ALIGNMENT).ok_or(truncated)?;
        let (used, _) = self.take(padded, what)?.split_at(len);
        bytemuck::try_cast_slice(used).map_err(|_| StaticModelError::Misaligned {
            off: used.as_ptr() as usize % ALIGNMENT,
        })
    }

    /// Bytes that are left.
    pub fn left(&self) -> usize {
        self.rest.len()
    }
}
