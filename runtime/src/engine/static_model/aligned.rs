//! Bytes on the heap, aligned.

use alloc::boxed::Box;
use alloc::vec;

use super::ALIGNMENT;

/// A copy of bytes that begins at a multiple of [`ALIGNMENT`]; the heap itself promises less.
#[derive(Debug)]
pub struct AlignedBytes {
    /// The bytes, with up to [`ALIGNMENT`] more before and behind them. Boxed: they stay where they are.
    buffer: Box<[u8]>,
    start: usize,
    len: usize,
}

impl AlignedBytes {
    /// Copies `bytes`.
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut buffer = vec![0; bytes.len() + ALIGNMENT].into_boxed_slice();
        let start = (ALIGNMENT - buffer.as_ptr() as usize % ALIGNMENT) % ALIGNMENT;
        buffer[start..start + bytes.len()].copy_from_slice(bytes);
        Self {
            buffer,
            start,
            len: bytes.len(),
        }
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.buffer[self.start..self.start + self.len]
    }
}
