//! Text as people have it: one reader for tables, label lists and configuration.
//!
//! [`decode`] turns bytes into text and says what was odd about them; [`TextTable`] reads a table row by
//! row, whatever its delimiter; [`Columns`] finds columns by what they mean; [`Numbers`] and
//! [`parse_seconds`] read its cells.
//!
//! Encodings: UTF-8 and UTF-16, with byte order mark or recognisably without. A line that is not UTF-8 is
//! read as Windows-1252, of which Latin-1's printable characters are a part, and that is said. Line ends
//! may be `\n`, `\r\n` or `\r`. Bytes that are no text are refused by the name of the format.

mod columns;
mod number;
mod shape;
mod source;
mod table;

use std::borrow::Cow;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

pub use columns::{Columns, Meaning, nearest, parse_column};
pub use number::{NumberProblem, Numbers, is_missing, parse_seconds};
pub use table::{Row, TextTable};

/// How characters are stored in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, and so ASCII too.
    Utf8,
    /// UTF-16, the low byte first.
    Utf16Le,
    /// UTF-16, the high byte first.
    Utf16Be,
    /// One byte a character, as Windows in western Europe and America has it; Latin-1's characters are there.
    Windows1252,
}

/// Text and what was odd about its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The text, with `\n` as line ends and without byte order mark.
    pub text: String,
    /// How it was stored; [`Encoding::Windows1252`] if some line was.
    pub encoding: Encoding,
    /// Warnings, one a line of text: what was guessed.
    pub odd: Vec<String>,
}

/// Why text or a table of text could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// Reading failed.
    #[error("cannot read {}: {source}{}", path.display(), crate::atomic::read_hint(source))]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The bytes are no text, or no table.
    #[error("{}: {message}", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// What it is instead, and what to do.
        message: String,
    },
    /// Nothing in it.
    #[error("{}: {message}", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What is missing.
        message: String,
    },
    /// Something is wrong with the columns.
    #[error("{}: {message}", path.display())]
    Columns {
        /// The file.
        path: PathBuf,
        /// What, and what to do.
        message: String,
    },
    /// Something is wrong in one line.
    #[error("{}, line {line}{}: {message}", path.display(), column.as_ref().map_or(String::new(), |c| format!(", column \"{c}\"")))]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column, if it is one cell that is wrong.
        column: Option<String>,
        /// What, and what to do.
        message: String,
    },
}

impl TextError {
    /// An I/O error of reading `path`; the one that says that the bytes are no text becomes that.
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        let not_text = source
            .get_ref()
            .and_then(|e| e.downcast_ref::<source::NotText>())
            .map(ToString::to_string);
        match not_text {
            Some(message) => Self::NotText { path, message },
            None => Self::Io { path, source },
        }
    }
}

/// Reads and decodes a whole file.
///
/// # Errors
/// [`TextError::Io`] or [`TextError::NotText`].
pub fn read(path: &Path) -> Result<Decoded, TextError> {
    let bytes = std::fs::read(path).map_err(|e| TextError::io(path, e))?;
    decode(&bytes, path)
}

/// Decodes a whole file's bytes; `path` is for messages.
///
/// # Errors
/// [`TextError::NotText`] naming the format, if it is a known one.
pub fn decode(bytes: &[u8], path: &Path) -> Result<Decoded, TextError> {
    let mut source = source::Source::new(bytes);
    let mut utf8 = Vec::with_capacity(bytes.len());
    source
        .read_to_end(&mut utf8)
        .map_err(|e| TextError::io(path, e))?;
    let mut decoded = Decoded {
        text: String::new(),
        encoding: source.encoding(),
        odd: Vec::new(),
    };
    decoded.text = match String::from_utf8(utf8) {
        Ok(text) => text,
        Err(error) => {
            let bytes = error.into_bytes();
            let mut text = String::with_capacity(bytes.len() + bytes.len() / 8);
            let mut guessed = OneByteLines::default();
            for (i, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
                text.push_str(&guessed.text(line, i as u64 + 1));
            }
            decoded.encoding = Encoding::Windows1252;
            decoded.odd.extend(guessed.note());
            text
        }
    };
    decoded.odd.extend(replaced(&decoded.text));
    Ok(decoded)
}

/// Warning about characters that were lost, here or wherever the file was written.
fn replaced(text: &str) -> Option<String> {
    let line = text
        .lines()
        .position(|l| l.contains(char::REPLACEMENT_CHARACTER))?;
    Some(format!(
        "line {}: a character was lost when the text was converted (it is now \u{fffd})",
        line + 1
    ))
}

/// Counts the lines that are not UTF-8.
#[derive(Debug, Default)]
struct OneByteLines {
    first: Option<u64>,
    count: u64,
}

impl OneByteLines {
    /// The text of a line or cell, as UTF-8 if it is that and else as Windows-1252.
    fn text<'a>(&mut self, bytes: &'a [u8], line: u64) -> Cow<'a, str> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => {
                self.first.get_or_insert(line);
                self.count += 1;
                Cow::Owned(bytes.iter().map(|b| windows_1252(*b)).collect())
            }
        }
    }

    fn note(&self) -> Option<String> {
        let first = self.first?;
        let more = match self.count {
            1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        Some(format!(
            "line {first}{more}: not UTF-8, so read as Windows-1252 (Latin-1); save the file as UTF-8 to be sure of letters \
             beyond ASCII"
        ))
    }
}

/// The character of a byte; those that Windows-1252 leaves undefined are Latin-1's control characters.
fn windows_1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž',
        '\u{8f}', '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}',
        'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => HIGH[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}
