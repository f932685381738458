//! Which kind of file a table is: by its contents where it is read, by its name where it is written.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::TableError;

/// Bytes that are looked at.
const SNIFFED: u64 = 1 << 16;

/// How Parquet files begin, and end.
const PARQUET_MAGIC: &[u8] = b"PAR1";

/// The file formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Parquet,
    Csv,
    Arff,
}

impl Format {
    /// The format that the name asks to write.
    pub fn to_write(path: &Path) -> Result<Self, TableError> {
        match extension(path).as_deref() {
            Some("parquet") => Ok(Self::Parquet),
            Some("csv" | "tsv") => Ok(Self::Csv),
            Some("arff") => Err(TableError::ReadOnlyFormat {
                path: path.to_owned(),
            }),
            _ => Err(TableError::UnknownFormat {
                path: path.to_owned(),
            }),
        }
    }

    /// The format that the file is in, whatever it is called. What has no sign of its own is a table of text.
    pub fn of_contents(path: &Path) -> Result<Self, TableError> {
        let io = |source| TableError::Io {
            path: path.to_owned(),
            action: "read",
            source,
        };
        let mut head = Vec::new();
        let file = File::open(path).map_err(io)?;
        file.take(SNIFFED).read_to_end(&mut head).map_err(io)?;
        if head.is_empty() {
            return Err(TableError::Empty {
                path: path.to_owned(),
                what: "the file has 0 bytes",
            });
        }
        if head.starts_with(PARQUET_MAGIC) {
            return Ok(Self::Parquet);
        }
        // Enough of UTF-16 to find ASCII key words in it.
        let text: Vec<u8> = head.into_iter().filter(|byte| *byte != 0).collect();
        let text = String::from_utf8_lossy(&text);
        let text = text.trim_start_matches(['\u{feff}', '\u{fffd}']);
        let first = text
            .split(['\n', '\r'])
            .map(str::trim)
            .find(|line| !line.is_empty() && !line.starts_with('%'));
        let keyword = first
            .unwrap_or_default()
            .split_whitespace()
            .next()
            .unwrap_or_default();
        let arff = ["@relation", "@attribute", "@data"]
            .iter()
            .any(|word| keyword.eq_ignore_ascii_case(word));
        Ok(if arff { Self::Arff } else { Self::Csv })
    }
}

fn extension(path: &Path) -> Option<String> {
    path.extension()
        .and_then(|e| e.to_str())
        .map(str::to_ascii_lowercase)
}
