//! Feature tables as delimited text: our own, openSMILE's, and any other with a header line.
//!
//! The delimiter is the one of `,` `;` tab that the header line holds most of. Our own tables begin with a
//! comment line that names feature set and extractor version.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use super::columns::Layout;
use super::rows::{PartialTable, RowSink};
use super::{ColumnMap, FeatureSetTag, FeatureTable, MetaField, TableError};

/// How the comment line of our own tables begins.
const COMMENT: &str = "# ser-edge feature table;";

pub(super) fn read(path: &Path, map: &ColumnMap) -> Result<PartialTable, TableError> {
    let io = |source| TableError::Io {
        path: path.to_owned(),
        action: "read",
        source,
    };
    let file = File::open(path).map_err(io)?;
    read_from(path, BufReader::new(file), map)
}

/// Reads from any source; `path` is for messages.
pub(super) fn read_from(
    path: &Path,
    mut source: impl BufRead,
    map: &ColumnMap,
) -> Result<PartialTable, TableError> {
    let io = |source| TableError::Io {
        path: path.to_owned(),
        action: "read",
        source,
    };
    let malformed = |message| TableError::Malformed {
        path: path.to_owned(),
        message,
    };

    let mut lines_before = 0;
    let mut header = read_line(&mut source).map_err(io)?;
    if header.starts_with(b"\xef\xbb\xbf") {
        header.drain(..3);
    }
    let mut tag = FeatureSetTag::custom();
    if header.starts_with(COMMENT.as_bytes()) {
        tag = parse_comment(&String::from_utf8_lossy(&header)).map_err(malformed)?;
        header = read_line(&mut source).map_err(io)?;
        lines_before = 1;
    }
    if header.iter().all(u8::is_ascii_whitespace) {
        return Err(TableError::Empty {
            path: path.to_owned(),
            what: "it has no header line",
        });
    }
    let delimiter = guess_delimiter(&header);
    let mut reader = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(io::Cursor::new(header).chain(source));

    let mut record = ::csv::StringRecord::new();
    let mut sink: Option<RowSink<'_>> = None;
    loop {
        let more = reader
            .read_record(&mut record)
            .map_err(|e| csv_error(path, e, lines_before))?;
        if !more {
            break;
        }
        let line = record.position().map_or(0, ::csv::Position::line) + lines_before;
        match &mut sink {
            None => {
                let columns = record.iter().map(|c| c.trim().to_owned()).collect();
                sink = Some(RowSink::new(path, Layout::new(path, columns, map)?));
            }
            Some(sink) => sink.push(line, record.len(), record.iter())?,
        }
    }
    match sink {
        Some(sink) => sink.finish(tag),
        None => Err(TableError::Empty {
            path: path.to_owned(),
            what: "it has no header line",
        }),
    }
}

pub(super) fn write(table: &FeatureTable, path: &Path) -> Result<(), TableError> {
    crate::atomic::write::<io::Error, _>(path, |file| {
        writeln!(
            file,
            "{COMMENT} feature_set={}; extractor={}; hearing={}; ser-edge={}",
            table.feature_set.id,
            table.feature_set.extractor_version.as_deref().unwrap_or(""),
            table.feature_set.hearing_json(),
            env!("CARGO_PKG_VERSION")
        )?;
        let mut csv = ::csv::Writer::from_writer(file);
        let header = MetaField::ALL.iter().map(|f| f.name());
        csv.write_record(header.chain(table.names.iter().map(String::as_str)))?;
        for (r, m) in table.meta.iter().enumerate() {
            csv.write_field(&m.path)?;
            csv.write_field(&m.corpus)?;
            csv.write_field(&m.speaker)?;
            csv.write_field(m.session.as_deref().unwrap_or(""))?;
            csv.write_field(m.gender.as_deref().unwrap_or(""))?;
            csv.write_field(&m.emotion)?;
            csv.write_field(m.sample_rate.map_or(String::new(), |v| v.to_string()))?;
            csv.write_field(m.start_s.map_or(String::new(), |v| format!("{v:?}")))?;
            csv.write_field(m.duration_s.map_or(String::new(), |v| format!("{v:?}")))?;
            csv.write_field(m.copy.map_or(String::new(), |v| v.to_string()))?;
            for v in table.row(r) {
                // The shortest text that reads back as the same f32.
                csv.write_field(format!("{v:?}"))?;
            }
            csv.write_record(None::<&[u8]>)?;
        }
        csv.flush()
    })
    .map_err(|source| TableError::Io {
        path: path.to_owned(),
        action: "write",
        source,
    })
}

/// One line with its line ending; empty at the end of the file.
fn read_line(source: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    source.read_until(b'\n', &mut line)?;
    Ok(line)
}

fn guess_delimiter(header: &[u8]) -> u8 {
    let mut best = (0, b',');
    for delimiter in [b',', b';', b'\t'] {
        let mut quoted = false;
        let mut count = 0;
        for &byte in header {
            quoted ^= byte == b'"';
            count += usize::from(byte == delimiter && !quoted);
        }
        if count > best.0 {
            best = (count, delimiter);
        }
    }
    best.1
}

fn parse_comment(line: &str) -> Result<FeatureSetTag, String> {
    let mut tag = FeatureSetTag::custom();
    for part in line[COMMENT.len()..].split(';') {
        match part.trim().split_once('=') {
            Some(("feature_set", id)) if !id.is_empty() => tag.id = id.to_owned(),
            Some(("extractor", "")) => tag.extractor_version = None,
            Some(("extractor", version)) => tag.extractor_version = Some(version.to_owned()),
            Some(("hearing", "")) => tag.hearing = None,
            Some(("hearing", json)) => {
                let hearing = serde_json::from_str(json);
                tag.hearing = Some(hearing.map_err(|e| format!("the first line: hearing: {e}"))?);
            }
            Some(("ser-edge", _)) => {}
            _ => {
                return Err(format!(
                    "the first line is not one that ser-edge wrote: {:?} is unknown",
                    part.trim()
                ));
            }
        }
    }
    Ok(tag)
}

fn csv_error(path: &Path, error: ::csv::Error, lines_before: u64) -> TableError {
    let line = error.position().map_or(0, ::csv::Position::line) + lines_before;
    match error.into_kind() {
        ::csv::ErrorKind::Io(source) => TableError::Io {
            path: path.to_owned(),
            action: "read",
            source,
        },
        ::csv::ErrorKind::Utf8 { err, .. } => TableError::Malformed {
            path: path.to_owned(),
            message: format!(
                "line {line}: field {} is not UTF-8 text; is this a CSV file?",
                err.field() + 1
            ),
        },
        other => TableError::Malformed {
            path: path.to_owned(),
            message: format!("line {line}: {other:?}"),
        },
    }
}
