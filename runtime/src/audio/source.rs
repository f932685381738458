//! Bytes from a file, a pipe or memory, with a look ahead.

use std::io::{self, ErrorKind, Read};

use super::AudioError;

/// Bytes asked for at once.
const AT_ONCE: usize = 1 << 16;

/// A stream of bytes of which the next ones can be looked at before they are taken. It asks for no
/// more than it needs: what one read gives is used before the next read.
pub(super) struct Source<'s> {
    inner: Box<dyn Read + Send + 's>,
    /// The name that stands for the stream in errors.
    pub(super) file: String,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    position: u64,
    ended: bool,
    /// Whether all of it lies there already: a file or memory, no pipe.
    pub(super) complete: bool,
}

impl<'s> Source<'s> {
    pub(super) fn new(inner: impl Read + Send + 's, file: &str, complete: bool) -> Self {
        Self {
            inner: Box::new(inner),
            file: file.to_owned(),
            buffer: Vec::new(),
            start: 0,
            end: 0,
            position: 0,
            ended: false,
            complete,
        }
    }

    /// Bytes that were taken so far.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// What was read but not taken.
    pub(super) fn buffered(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Reads once; `false` at the end of the stream.
    pub(super) fn more(&mut self) -> Result<bool, AudioError> {
        if self.ended {
            return Ok(false);
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.buffer.len() - self.end < AT_ONCE / 4 {
            if self.start > self.buffer.len() / 2 {
                self.buffer.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            } else {
                self.buffer.resize(self.end + AT_ONCE, 0);
            }
        }
        let room = &mut self.buffer[self.end..];
        let read = loop {
            match self.inner.read(room) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        match read {
            Ok(read) => {
                self.end += read.min(room.len());
                self.ended = read == 0;
                Ok(!self.ended)
            }
            Err(source) => Err(self.failed(source)),
        }
    }

    /// The next bytes: at least `count` unless the stream ends before.
    pub(super) fn peek(&mut self, count: usize) -> Result<&[u8], AudioError> {
        while self.buffered().len() < count && self.more()? {}
        Ok(self.buffered())
    }

    /// Takes `count` bytes that are [`Source::buffered`].
    pub(super) fn take(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.position += count as u64;
    }

    /// Takes up to `count` bytes; returns how many there were.
    pub(super) fn skip(&mut self, count: u64) -> Result<u64, AudioError> {
        let mut left = count;
        while left > 0 {
            let here = self.peek(1)?.len();
            if here == 0 {
                break;
            }
            let now = usize::try_from(left).map_or(here, |left| here.min(left));
            self.take(now);
            left -= now as u64;
        }
        Ok(count - left)
    }

    /// Takes all that is left; returns how much that was.
    pub(super) fn drain(&mut self) -> Result<u64, AudioError> {
        self.skip(u64::MAX)
    }

    /// Takes exactly `N` bytes; the end of the stream here lies before the first sample.
    pub(super) fn header<const N: usize>(&mut self) -> Result<[u8; N], AudioError> {
        let bytes = self.peek(N)?.first_chunk::<N>().copied();
        self.take(N);
        bytes.ok_or_else(|| AudioError::TruncatedHeader {
            file: self.file.clone(),
        })
    }

    /// An error of the operating system.
    fn failed(&self, source: io::Error) -> AudioError {
        AudioError::Io {
            file: self.file.clone(),
            source,
        }
    }

    /// Content that makes no sense.
    pub(super) fn malformed(&self, reason: impl Into<String>) -> AudioError {
        AudioError::Malformed {
            file: self.file.clone(),
            reason: reason.into(),
        }
    }

    /// Content that is not decoded here.
    pub(super) fn unsupported(&self, reason: impl Into<String>) -> AudioError {
        AudioError::Unsupported {
            file: self.file.clone(),
            reason: reason.into(),
        }
    }
}
