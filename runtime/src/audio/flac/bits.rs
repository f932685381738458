//! Bits, most significant first, from a source that may have to be waited for.

use super::super::AudioError;
use super::super::source::Source;

/// Most bytes of a frame: more means that it never was one.
const FRAME_BYTES: usize = 1 << 24;

/// Why a frame cannot be decoded.
pub(super) enum Fault {
    /// Reading failed.
    Audio(AudioError),
    /// The stream ends inside the frame, or it is none.
    NoFrame,
}

impl From<AudioError> for Fault {
    fn from(error: AudioError) -> Self {
        Self::Audio(error)
    }
}

/// Reads bits from where `source` stands, without taking bytes from it.
pub(super) struct Bits<'a, 's> {
    source: &'a mut Source<'s>,
    /// Bytes that went into the cache.
    at: usize,
    cache: u64,
    /// Bits of the cache that count, from the top.
    have: u32,
}

impl<'a, 's> Bits<'a, 's> {
    /// Starts `skip` bytes ahead.
    pub(super) fn new(source: &'a mut Source<'s>, skip: usize) -> Self {
        Self {
            source,
            at: skip,
            cache: 0,
            have: 0,
        }
    }

    /// Fills the cache with what is at hand, and waits for more only until it holds `need` bits.
    fn refill(&mut self, need: u32) -> Result<(), Fault> {
        if let Some(word) = self
            .source
            .buffered()
            .get(self.at..)
            .and_then(<[u8]>::first_chunk)
        {
            self.cache |= u64::from_be_bytes(*word) >> self.have;
            let bytes = (64 - self.have) / 8;
            self.at += bytes as usize;
            self.have += 8 * bytes;
            return Ok(());
        }
        while self.have <= 56 {
            match self.source.buffered().get(self.at).copied() {
                Some(byte) => {
                    self.cache |= u64::from(byte) << (56 - self.have);
                    self.at += 1;
                    self.have += 8;
                }
                None if self.at > FRAME_BYTES => return Err(Fault::NoFrame),
                None if self.have >= need || !self.source.more()? => return Ok(()),
                None => {}
            }
        }
        Ok(())
    }

    /// The next `count` bits, at most 56, as a number.
    pub(super) fn read(&mut self, count: u32) -> Result<u64, Fault> {
        if self.have < count {
            self.refill(count)?;
            if self.have < count {
                return Err(Fault::NoFrame);
            }
        }
        if count == 0 {
            return Ok(0);
        }
        let value = self.cache >> (64 - count);
        self.cache <<= count;
        self.have -= count;
        Ok(value)
    }

    /// The next `count` bits, at most 56, as a number in two's complement.
    pub(super) fn signed(&mut self, count: u32) -> Result<i64, Fault> {
        let value = self.read(count)?;
        let unused = 64 - count.max(1);
        Ok(((value << unused) as i64) >> unused)
    }

    /// Counts zeros up to the next one, which is taken too.
    pub(super) fn unary(&mut self) -> Result<u64, Fault> {
        let mut zeros = 0;
        loop {
            if self.have == 0 {
                self.refill(1)?;
                if self.have == 0 {
                    return Err(Fault::NoFrame);
                }
            }
            let here = self.cache.leading_zeros();
            if here < self.have {
                self.cache = self.cache << here << 1;
                self.have -= here + 1;
                return Ok(zeros + u64::from(here));
            }
            zeros += u64::from(self.have);
            self.cache = self.cache.checked_shl(self.have).unwrap_or(0);
            self.have = 0;
        }
    }

    /// Bytes from the start of the source to the next whole byte.
    pub(super) fn bytes(&self) -> usize {
        self.at - (self.have / 8) as usize
    }
}
