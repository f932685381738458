//! Memory that is refused instead of ending the program where there is too little of it.

use ser_runtime::engine::static_model::ALIGNMENT;

use crate::{Failure, code};

fn refused() -> Failure {
    Failure::new(code::NO_MEMORY, &"there is too little memory")
}

/// `len` floats of 0.
pub fn zeros(len: usize) -> Result<Vec<f32>, Failure> {
    let mut memory = Vec::new();
    memory.try_reserve_exact(len).map_err(|_| refused())?;
    memory.resize(len, 0.0);
    Ok(memory)
}

/// A copy of bytes that begins at a multiple of [`ALIGNMENT`] and stays where it is.
pub struct AlignedCopy {
    /// Never touched again: its elements keep their address wherever the vector itself goes.
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedCopy {
    /// Copies `bytes`.
    pub fn of(bytes: &[u8]) -> Result<Self, Failure> {
        let room = bytes.len().checked_add(ALIGNMENT).ok_or_else(refused)?;
        let mut copy: Vec<u8> = Vec::new();
        copy.try_reserve_exact(room).map_err(|_| refused())?;
        let start = copy.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        copy.resize(start, 0);
        copy.extend_from_slice(bytes);
        Ok(Self {
            bytes: copy,
            start,
            len: bytes.len(),
        })
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }
}
