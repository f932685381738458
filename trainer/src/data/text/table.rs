//! Tables of delimited text, row by row.

use std::fs::File;
use std::io::{BufRead, Chain, Cursor, Read};
use std::path::{Path, PathBuf};

use csv::{ByteRecord, StringRecord};

use super::columns::list;
use super::shape::{builder, guess_delimiter, no_table, separator_line, trim};
use super::source::Source;
use super::{Encoding, OneByteLines, TextError};

/// Lines from the header on that are looked at to find the delimiter.
const LOOKED_AT: usize = 12;

type Input<R> = Chain<Chain<Cursor<Vec<u8>>, Source<R>>, &'static [u8]>;

/// A table of text with a header line, read row by row.
///
/// Understood without being told: `,` `;` tab or `|` between columns, or what an Excel line `sep=;` says; quoted
/// cells; comment lines that begin with `#`; blank lines and rows; empty cells behind the last named
/// column; row names without a column name, as R writes them; every encoding and line end of [`super::decode`].
pub struct TextTable<R> {
    path: PathBuf,
    reader: csv::Reader<Input<R>>,
    header: Vec<String>,
    /// The header's line.
    header_line: u64,
    delimiter: u8,
    comments: Vec<String>,
    /// Lines before the header.
    before: u64,
    bytes: ByteRecord,
    record: StringRecord,
    /// Whether each row has a name in front that the header does not.
    row_names: bool,
    /// A row that was read to find that out.
    waiting: Option<u64>,
    guessed: OneByteLines,
}

/// One row of a [`TextTable`].
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The line in which it begins, from 1.
    pub line: u64,
    record: &'a StringRecord,
    path: &'a Path,
    header: &'a [String],
}

impl TextTable<File> {
    /// Opens a file.
    ///
    /// # Errors
    /// [`TextError`]: not readable, no text, no header.
    pub fn open(path: &Path) -> Result<Self, TextError> {
        let file = File::open(path).map_err(|e| TextError::io(path, e))?;
        Self::new(file, path)
    }
}

impl<R: Read> TextTable<R> {
    /// Reads the header from `source`; `path` is for messages.
    ///
    /// # Errors
    /// [`TextError`]: not readable, no text, no header.
    pub fn new(source: R, path: &Path) -> Result<Self, TextError> {
        let io = |e| TextError::io(path, e);
        let mut source = Source::new(source);
        let (mut comments, mut before, mut delimiter) = (Vec::new(), 0, None);
        let header = loop {
            let mut line = Vec::new();
            source.read_until(b'\n', &mut line).map_err(io)?;
            if line.is_empty() {
                let message = "the table is empty: it has no header line".to_owned();
                return Err(TextError::Empty {
                    path: path.to_owned(),
                    message,
                });
            }
            let text = String::from_utf8_lossy(&line);
            let text = trim(&text);
            if let Some(mark) = separator_line(text) {
                delimiter = Some(mark);
            } else if text.starts_with('#') || text.starts_with("\"# ") {
                // A spreadsheet puts a comment into quotation marks if it holds some.
                comments.push(text.to_owned());
            } else if !text.is_empty() {
                break line;
            }
            before += 1;
        };
        if let Some(message) = no_table(&String::from_utf8_lossy(&header)) {
            return Err(TextError::NotText {
                path: path.to_owned(),
                message: message.to_owned(),
            });
        }
        let mut sample = header;
        for _ in 1..LOOKED_AT {
            source.read_until(b'\n', &mut sample).map_err(io)?;
        }
        let delimiter = delimiter.unwrap_or_else(|| guess_delimiter(&sample));
        let input = Cursor::new(sample).chain(source).chain(&b"\n"[..]);
        let reader = builder(delimiter).from_reader(input);
        let mut table = Self {
            path: path.to_owned(),
            reader,
            header: Vec::new(),
            header_line: before + 1,
            delimiter,
            comments,
            before,
            bytes: ByteRecord::new(),
            record: StringRecord::new(),
            row_names: false,
            waiting: None,
            guessed: OneByteLines::default(),
        };
        table.read_header()?;
        Ok(table)
    }

    fn read_header(&mut self) -> Result<(), TextError> {
        if let Some(line) = self.advance()? {
            self.header_line = line;
        }
        self.header = self.record.iter().map(|c| trim(c).to_owned()).collect();
        while self.header.last().is_some_and(String::is_empty) {
            self.header.pop();
        }
        self.waiting = self.advance()?;
        let one_more = self.waiting.is_some()
            && self.record.len() == self.header.len() + 1
            && self
                .record
                .iter()
                .next_back()
                .is_some_and(|c| !trim(c).is_empty());
        if one_more
            && self
                .record
                .get(0)
                .is_some_and(|c| trim(c).parse::<u64>().is_ok())
        {
            self.row_names = true;
            self.header.insert(0, String::new());
        }
        Ok(())
    }

    /// The next row that is not blank into `record`; its line.
    fn advance(&mut self) -> Result<Option<u64>, TextError> {
        loop {
            let more = self
                .reader
                .read_byte_record(&mut self.bytes)
                .map_err(|e| self.csv_error(e))?;
            if !more {
                return Ok(None);
            }
            let inner = self
                .bytes
                .as_slice()
                .iter()
                .filter(|b| **b == b'\n')
                .count();
            let line = self.before + self.reader.position().line() - 1 - inner as u64;
            let bytes = std::mem::take(&mut self.bytes);
            match StringRecord::from_byte_record(bytes) {
                Ok(record) => {
                    let old = std::mem::replace(&mut self.record, record);
                    self.bytes = old.into_byte_record();
                }
                Err(error) => {
                    self.bytes = error.into_byte_record();
                    self.record.clear();
                    // The line counts once, however many of its cells are not UTF-8.
                    let mut cells = OneByteLines::default();
                    for cell in &self.bytes {
                        self.record.push_field(&cells.text(cell, line));
                    }
                    self.guessed.first.get_or_insert(line);
                    self.guessed.count += 1;
                }
            }
            if self.record.iter().any(|c| !trim(c).is_empty()) {
                return Ok(Some(line));
            }
        }
    }

    fn csv_error(&self, error: csv::Error) -> TextError {
        let line = self.before + error.position().map_or(1, csv::Position::line);
        match error.into_kind() {
            csv::ErrorKind::Io(source) => TextError::io(&self.path, source),
            other => TextError::Line {
                path: self.path.clone(),
                line,
                column: None,
                message: format!("{other:?}"),
            },
        }
    }

    /// The next row, which has as many cells as the header; none at the end.
    ///
    /// # Errors
    /// [`TextError`]: reading failed, or a row that is longer or shorter than the header.
    pub fn next_row(&mut self) -> Result<Option<Row<'_>>, TextError> {
        let line = match self.waiting.take() {
            Some(line) => line,
            None => match self.advance()? {
                Some(line) => line,
                None => return Ok(None),
            },
        };
        let (found, expected) = (self.record.len(), self.header.len());
        let beyond = self
            .record
            .iter()
            .skip(expected)
            .find(|c| !trim(c).is_empty());
        if found < expected || beyond.is_some() {
            return Err(TextError::Line {
                path: self.path.clone(),
                line,
                column: None,
                message: self.ragged(found, expected),
            });
        }
        Ok(Some(Row {
            line,
            record: &self.record,
            path: &self.path,
            header: &self.header,
        }))
    }

    /// What is wrong with a row of `found` cells, and what to do.
    fn ragged(&self, found: usize, expected: usize) -> String {
        let named = expected - usize::from(self.row_names);
        let found = found - usize::from(self.row_names).min(found);
        let mark = match self.delimiter {
            b'\t' => "a tab".to_owned(),
            other => format!("\"{}\"", char::from(other)),
        };
        let digits = |c: &str| !c.is_empty() && c.bytes().all(|b| b.is_ascii_digit());
        let cells: Vec<&str> = self.record.iter().map(trim).collect();
        let commas = self.delimiter == b','
            && cells
                .windows(2)
                .any(|w| digits(w[0].trim_start_matches(['-', '+'])) && digits(w[1]));
        let what = format!("{found} fields, the header has {named}");
        let remedy = if cells.iter().any(|c| c.contains('\n')) {
            "a quotation mark that begins here or in a line below is never closed".to_owned()
        } else if found > named && commas {
            "if these are decimal commas, save the table with semicolons between columns, or with decimal points".to_owned()
        } else if found > named {
            format!(
                "put cells that hold {mark} in quotation marks, or name the further columns in the header"
            )
        } else {
            format!("the line may be cut off, or has another mark than {mark} between its cells")
        };
        format!("{what}: {remedy}")
    }

    /// The names of the columns, without blanks around them. A name may be empty, but for the last.
    #[must_use]
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// The line of the header, from 1.
    #[must_use]
    pub fn header_line(&self) -> u64 {
        self.header_line
    }

    /// The names for a message.
    #[must_use]
    pub fn header_list(&self) -> String {
        list(&self.header)
    }

    /// Index of the column of exactly this name.
    ///
    /// # Errors
    /// [`TextError::Columns`]: there is none.
    pub fn column(&self, name: &str) -> Result<usize, TextError> {
        self.header.iter().position(|h| h == name).ok_or_else(|| {
            self.error(format!(
                "column \"{name}\" is missing; the header has: {}",
                self.header_list()
            ))
        })
    }

    /// The byte between columns.
    #[must_use]
    pub fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// Comment lines before the header, with their `#`, as they stand there.
    #[must_use]
    pub fn comments(&self) -> &[String] {
        &self.comments
    }

    /// How characters are stored, as far as was read.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        match self.guessed.first {
            Some(_) => Encoding::Windows1252,
            None => self.reader.get_ref().get_ref().0.get_ref().1.encoding(),
        }
    }

    /// What was guessed, as far as was read: warnings.
    #[must_use]
    pub fn odd(&self) -> Vec<String> {
        self.guessed.note().into_iter().collect()
    }

    /// An error about the columns.
    #[must_use]
    pub fn error(&self, message: String) -> TextError {
        TextError::Columns {
            path: self.path.clone(),
            message,
        }
    }
}

impl<'a> Row<'a> {
    /// The cell, without blanks around it; empty beyond the last.
    #[must_use]
    pub fn get(&self, column: usize) -> &'a str {
        self.record.get(column).map_or("", trim)
    }

    /// The cell, if there is such a column and it does not say that nothing is known.
    #[must_use]
    pub fn known(&self, column: Option<usize>) -> Option<&'a str> {
        Some(self.get(column?)).filter(|c| !super::is_missing(c))
    }

    /// All cells that the header names, without blanks around them.
    pub fn cells(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.record.iter().take(self.header.len()).map(trim)
    }

    /// An error about this line, or about its cell in `column`.
    #[must_use]
    pub fn error(&self, column: Option<usize>, message: impl Into<String>) -> TextError {
        TextError::Line {
            path: self.path.to_owned(),
            line: self.line,
            column: column.and_then(|c| self.header.get(c).cloned()),
            message: message.into(),
        }
    }
}

impl<R> std::fmt::Debug for TextTable<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextTable")
            .field("path", &self.path)
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

impl<R> TextTable<R> {
    /// The file, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl TextTable<Cursor<Vec<u8>>> {
    /// A table whose bytes are in memory; `path` is for messages.
    ///
    /// # Errors
    /// As [`TextTable::new`].
    pub fn from_bytes(bytes: Vec<u8>, path: &Path) -> Result<Self, TextError> {
        Self::new(Cursor::new(bytes), path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rows = Vec<(u64, Vec<String>)>;

    fn read(bytes: &[u8]) -> Result<(Vec<String>, Rows, Vec<String>), String> {
        let mut table =
            TextTable::from_bytes(bytes.to_vec(), Path::new("t.csv")).map_err(|e| e.to_string())?;
        let mut rows = Vec::new();
        while let Some(row) = table.next_row().map_err(|e| e.to_string())? {
            rows.push((row.line, row.cells().map(str::to_owned).collect()));
        }
        Ok((table.header().to_vec(), rows, table.odd()))
    }

    /// The lines of rows that must all be "a.wav", "happy", "s1".
    fn lines(bytes: &[u8]) -> Vec<u64> {
        let (header, rows, _) = read(bytes).unwrap_or_else(|e| panic!("{bytes:?}: {e}"));
        let skip = usize::from(header[0].is_empty());
        assert_eq!(header[skip..], ["path", "emotion", "speaker"], "{bytes:?}");
        let check = |(line, cells): (u64, Vec<String>)| {
            assert_eq!(cells[skip..], ["a.wav", "happy", "s1"], "{bytes:?}");
            line
        };
        rows.into_iter().map(check).collect()
    }

    #[test]
    fn delimiters_blank_lines_comments_and_line_ends() {
        for (text, expected) in [
            ("path,emotion,speaker\na.wav,happy,s1\n", &[2][..]),
            ("path;emotion;speaker\na.wav;happy;s1", &[2]),
            ("path\temotion\tspeaker\r\na.wav\thappy\ts1\r\n", &[2]),
            (
                "path|emotion|speaker\ra.wav|happy|s1\ra.wav|happy|s1",
                &[2, 3],
            ),
            ("sep=;\r\npath;emotion;speaker\r\na.wav;happy;s1\r\n", &[3]),
            ("sep=\t\npath\temotion\tspeaker\na.wav\thappy\ts1\n", &[3]),
            ("\u{feff}path,emotion,speaker\na.wav,happy,s1\n", &[2]),
            (
                "\u{feff}\"sep=,\"\npath,emotion,speaker\na.wav,happy,s1\n",
                &[3],
            ),
            (
                "# made by hand\n\n path , emotion,speaker\n\n# a \"comment, here\na.wav,happy , s1\n\n,,\n \na.wav,happy,s1\n",
                &[6, 10],
            ),
            (
                "path,emotion,speaker,,\na.wav,happy,s1,,\na.wav,happy,s1,,\n",
                &[2, 3],
            ),
            ("path,emotion,speaker\na.wav,happy,s1,\n", &[2]),
            (
                "\"path\",\"emotion\",\"speaker\"\n\"a.wav\",\"happy\",\"s1\"\n",
                &[2],
            ),
            ("path;emotion;speaker\na.wav;happy;\"s1\"\n", &[2]),
            (
                "\"path\",\"emotion\",\"speaker\"\n\"1\",\"a.wav\",\"happy\",\"s1\"\n\"2\",\"a.wav\",\"happy\",\"s1\"\n",
                &[2, 3],
            ),
        ] {
            assert_eq!(lines(text.as_bytes()), expected, "{text:?}");
        }
        let (_, rows, _) =
            read(b"path;note\n\"a;b\";\"two\nlines, \"\"so\"\"\"\n\nc;\"\"\n").unwrap();
        assert_eq!(
            rows[0],
            (2, vec!["a;b".into(), "two\nlines, \"so\"".into()])
        );
        assert_eq!(rows[1], (5, vec!["c".into(), String::new()]));
    }

    #[test]
    fn encodings() {
        let text = "path,emotion,speaker\r\na.wav,happy,s1\r\n";
        let le: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let be: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [
            [&b"\xff\xfe"[..], &le].concat(),
            [&b"\xfe\xff"[..], &be].concat(),
            le,
            be,
        ] {
            assert_eq!(lines(&bytes), [2]);
        }
        let (_, rows, odd) = read(b"path,speaker\na.wav,J\xf6rg\nb.wav,M\xc3\xbcller\n").unwrap();
        assert_eq!(
            (rows[0].1[1].as_str(), rows[1].1[1].as_str()),
            ("Jörg", "Müller")
        );
        assert!(
            odd[0].contains("line 2") && odd[0].contains("Windows-1252"),
            "{odd:?}"
        );
        assert!(read("path\nJörg.wav\n".as_bytes()).unwrap().2.is_empty());
    }

    #[test]
    fn what_is_no_table_is_named() {
        for (bytes, expected) in [
            (&b""[..], "no header"),
            (b"\n# only this\n", "no header"),
            (b"PAR1\x15\x04\x15\0", "Parquet"),
            (
                b"PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0[Content_Types].xml",
                "Excel",
            ),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Excel"),
            (b"RIFF\x24\0\0\0WAVEfmt ", "audio"),
            (b"\x1f\x8b\x08\0", "gzip"),
            (b"path,emotion\na\0b,happy\n", "byte 15 is zero"),
            (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
            (b"<!DOCTYPE html><html>", "web page"),
            (b"[{\"path\": 1}]", "JSON"),
            (
                b"path,emotion\na.wav\n",
                "line 2: 1 fields, the header has 2",
            ),
            (b"path,emotion\na,b.wav,sad\n", "quotation marks"),
            (b"x,y\n0,5,0,7\n", "decimal commas"),
            (b"path,emotion\n\"a.wav,sad\nb.wav,sad\n", "never closed"),
        ] {
            let error = read(bytes).unwrap_err();
            assert!(error.contains(expected), "{expected}: {error}");
            assert!(error.contains("t.csv"), "{error}");
        }
    }

    /// Chunks, their seams and long rows, against the whole.
    #[test]
    fn long_tables_are_read_whole() {
        let mut text = String::from("path");
        (0..1500).for_each(|c| text.push_str(&format!(";é{c}")));
        for r in 0..40 {
            text.push_str(&format!("\r\nä{r}.wav"));
            (0..1500).for_each(|c| text.push_str(&format!(";{r},{c}")));
        }
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let utf16 = [&b"\xff\xfe"[..], &utf16].concat();
        let latin: Vec<u8> = text.chars().map(|c| c as u32 as u8).collect();
        let (header, rows, _) = read(text.as_bytes()).unwrap();
        assert_eq!((header.len(), rows.len()), (1501, 40));
        assert_eq!(rows[39].0, 41);
        assert_eq!(rows[39].1[1500], "39,1499");
        for other in [utf16, latin] {
            let (h, r, _) = read(&other).unwrap();
            assert!(h == header && r == rows);
        }
    }
}
