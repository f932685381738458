//! Bytes of a text file in any usual encoding, as UTF-8 with `\n` line ends, without holding the file in memory.

use std::io::{self, BufRead, Read};

use super::Encoding;

/// Bytes that are read at a time.
const CHUNK: usize = 1 << 16;

/// Bytes that must be seen to tell what the file is; magic numbers and the first names in a zip archive fit.
const SNIFFED: usize = 512;

/// Why the bytes are no text: the message of an [`io::ErrorKind::InvalidData`] error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotText(pub String);

/// A source of UTF-8, or of bytes in a one-byte encoding, with all line ends as `\n` and without byte order
/// mark. UTF-16 is decoded here; one-byte text is not, since only a look at whole lines tells it from UTF-8.
pub(super) struct Source<R> {
    inner: R,
    encoding: Encoding,
    started: bool,
    ended: bool,
    /// Raw bytes, of which UTF-16 keeps an odd one or half a surrogate pair for the next round.
    raw: Vec<u8>,
    /// What may be read, from `at` on.
    out: Vec<u8>,
    at: usize,
    /// Whether the last byte was `\r`, so that a `\n` now is the same line end.
    after_cr: bool,
    /// Bytes of the file before `raw`.
    before: u64,
}

impl<R: Read> Source<R> {
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            encoding: Encoding::Utf8,
            started: false,
            ended: false,
            raw: Vec::new(),
            out: Vec::new(),
            at: 0,
            after_cr: false,
            before: 0,
        }
    }

    /// What the first bytes say; known once something was read.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Appends up to [`CHUNK`] bytes to `raw`.
    fn pull(&mut self, at_least: usize) -> io::Result<()> {
        let wanted = self.raw.len() + at_least;
        while !self.ended && self.raw.len() < wanted {
            let before = self.raw.len();
            let n = (&mut self.inner)
                .take(CHUNK as u64)
                .read_to_end(&mut self.raw)?;
            debug_assert_eq!(self.raw.len(), before + n);
            self.ended = n == 0;
        }
        Ok(())
    }

    /// Looks at the beginning of the file: byte order mark, binary formats.
    fn start(&mut self) -> io::Result<()> {
        self.started = true;
        self.pull(SNIFFED)?;
        let head = &self.raw[..self.raw.len().min(SNIFFED)];
        let (encoding, mark) = match head {
            [0xef, 0xbb, 0xbf, ..] => (Encoding::Utf8, 3),
            [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => {
                return Err(not_text("this is UTF-32 text: save it as UTF-8"));
            }
            [0xff, 0xfe, ..] => (Encoding::Utf16Le, 2),
            [0xfe, 0xff, ..] => (Encoding::Utf16Be, 2),
            // Text without a mark whose every other byte is zero: ASCII as UTF-16.
            [a, 0, b, 0, ..] if *a != 0 && *b != 0 => (Encoding::Utf16Le, 0),
            [0, a, 0, b, ..] if *a != 0 && *b != 0 => (Encoding::Utf16Be, 0),
            _ => (Encoding::Utf8, 0),
        };
        if encoding == Encoding::Utf8
            && let Some(what) = binary_format(head)
        {
            return Err(not_text(what));
        }
        self.encoding = encoding;
        self.raw.drain(..mark);
        self.before = mark as u64;
        Ok(())
    }

    /// Decodes what was pulled into `out`.
    fn decode(&mut self) -> io::Result<()> {
        self.out.clear();
        self.at = 0;
        let raw = std::mem::take(&mut self.raw);
        let used = match self.encoding {
            Encoding::Utf16Le => self.utf16(&raw, u16::from_le_bytes),
            Encoding::Utf16Be => self.utf16(&raw, u16::from_be_bytes),
            Encoding::Utf8 | Encoding::Windows1252 => {
                if let Some(i) = raw.iter().position(|b| *b == 0) {
                    return Err(not_text(&format!(
                        "byte {} is zero, so this is no text but a binary or damaged file",
                        self.before + i as u64 + 1
                    )));
                }
                self.lines(&raw);
                raw.len()
            }
        };
        self.before += used as u64;
        self.raw = raw;
        self.raw.drain(..used);
        Ok(())
    }

    /// Appends `bytes` with all line ends as `\n`.
    fn lines(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        if self.after_cr && rest.first() == Some(&b'\n') {
            rest = &rest[1..];
        }
        if !bytes.is_empty() {
            self.after_cr = false;
        }
        while let Some(i) = rest.iter().position(|b| *b == b'\r') {
            self.out.extend_from_slice(&rest[..i]);
            self.out.push(b'\n');
            rest = &rest[i + 1..];
            match rest.first() {
                Some(b'\n') => rest = &rest[1..],
                Some(_) => {}
                None => self.after_cr = true,
            }
        }
        self.out.extend_from_slice(rest);
    }

    /// Decodes whole units; the bytes used up.
    fn utf16(&mut self, raw: &[u8], unit: fn([u8; 2]) -> u16) -> usize {
        let mut units: Vec<u16> = raw.chunks_exact(2).map(|b| unit([b[0], b[1]])).collect();
        // The first half of a pair waits for the second.
        let waits = !self.ended && units.last().is_some_and(|u| (0xd800..0xdc00).contains(u));
        if waits {
            units.pop();
        }
        let text: String = char::decode_utf16(units.iter().copied())
            .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        self.lines(text.as_bytes());
        if self.ended && raw.len() % 2 == 1 {
            self.out.extend_from_slice("\u{fffd}".as_bytes());
            return raw.len();
        }
        2 * units.len()
    }
}

impl<R: Read> BufRead for Source<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at == self.out.len() {
            if !self.started {
                self.start()?;
            }
            self.pull(1)?;
            if self.ended && self.raw.is_empty() {
                break;
            }
            self.decode()?;
        }
        Ok(&self.out[self.at..])
    }

    fn consume(&mut self, amount: usize) {
        self.at = (self.at + amount).min(self.out.len());
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let there = self.fill_buf()?;
        let n = there.len().min(buf.len());
        buf[..n].copy_from_slice(&there[..n]);
        self.consume(n);
        Ok(n)
    }
}

fn not_text(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, NotText(message.to_owned()))
}

/// What a file is that is no text, by its first bytes, and what to do with it.
fn binary_format(head: &[u8]) -> Option<&'static str> {
    let has = |needle: &[u8]| head.windows(needle.len()).any(|w| w == needle);
    Some(match head {
        [b'P', b'A', b'R', b'1', ..] => {
            "this is a Parquet file: name it .parquet where a feature table is read, or save it as CSV"
        }
        [b'P', b'K', 3, 4, ..] if has(b"[Content_Types].xml") || has(b"xl/") || has(b"_rels/") => {
            "this is an Excel workbook (.xlsx): save it as CSV (in Excel: Save As, CSV UTF-8)"
        }
        [b'P', b'K', 3, 4, ..] if has(b"opendocument") => {
            "this is an OpenDocument spreadsheet (.ods): save it as CSV"
        }
        [b'P', b'K', 3, 4, ..] if has(b".npy") => {
            "this is a NumPy archive (.npz): save the table as CSV"
        }
        [b'P', b'K', 3 | 5, 4 | 6, ..] => "this is a zip archive: unpack it first",
        [0xd0, 0xcf, 0x11, 0xe0, ..] => {
            "this is an old Excel workbook (.xls): save it as CSV (in Excel: Save As, CSV UTF-8)"
        }
        [0x1f, 0x8b, ..] => "this is compressed with gzip: unpack it first (gunzip)",
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => {
            "this is compressed with bzip2: unpack it first (bunzip2)"
        }
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            "this is compressed with xz: unpack it first (unxz)"
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "this is compressed with zstd: unpack it first (unzstd)",
        [b'7', b'z', 0xbc, 0xaf, ..] => "this is a 7z archive: unpack it first",
        [b'%', b'P', b'D', b'F', ..] => "this is a PDF document: save its table as CSV",
        [b'{', b'\\', b'r', b't', b'f', ..] => "this is an RTF document: save it as plain text",
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => {
            "this is a NumPy array (.npy): save the table as CSV, with column names"
        }
        [0x89, b'H', b'D', b'F', ..] => "this is an HDF5 file: save the table as CSV",
        [b'A', b'R', b'R', b'O', b'W', b'1', ..] | [b'F', b'E', b'A', b'1', ..] => {
            "this is an Arrow (Feather) file: save the table as CSV or Parquet"
        }
        [0x80, 2..=5, ..] => "this is a Python pickle: save the table as CSV",
        _ if head.starts_with(b"SQLite format 3") => {
            "this is an SQLite database: save the table as CSV"
        }
        _ if head.starts_with(b"MATLAB 5.0") => "this is a MATLAB file: save the table as CSV",
        _ if head.starts_with(b"RIFF") && has(b"WAVE")
            || head.starts_with(b"RF64")
            || head.starts_with(b"fLaC")
            || head.starts_with(b"OggS")
            || head.starts_with(b"ID3\x02")
            || head.starts_with(b"ID3\x03")
            || head.starts_with(b"ID3\x04") =>
        {
            "this is audio, where a text file is wanted: name the table that lists the recordings"
        }
        _ => return None,
    })
}
