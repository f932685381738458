//! Feature tables as delimited text: our own, openSMILE's, and any other with a header line.
//!
//! Read by [`TextTable`], as every table of text. Our own tables begin with a comment line that names feature
//! set and extractor version.

use std::io::{self, Write};
use std::path::Path;

use super::columns::Layout;
use super::rows::{PartialTable, RowSink};
use super::{FeatureSetTag, FeatureTable, MetaField, ReadOptions, TableError};
use crate::data::text::{Numbers, TextTable};

/// How the comment line of our own tables begins.
const COMMENT: &str = "# ser-edge feature table;";

pub(super) fn read(path: &Path, options: &ReadOptions) -> Result<PartialTable, TableError> {
    let mut text = TextTable::open(path)?;
    let delimiter = text.delimiter();
    let mut lines = text.comments().iter();
    let mut lost = None;
    let stated = lines.find_map(|line| match line.strip_prefix('"') {
        None => line
            .starts_with(COMMENT)
            .then(|| parse_comment(line).map(Some)),
        Some(_) => {
            let restored = restored(line, delimiter);
            restored.starts_with(COMMENT).then(|| {
                let stated = parse_comment(&restored);
                lost = stated.as_ref().err().cloned();
                Ok(stated.ok())
            })
        }
    });
    let stated = stated
        .transpose()
        .map_err(|message| TableError::Malformed {
            path: path.to_owned(),
            message,
        })?;
    let stated = stated.flatten();
    let claimed = stated.clone().unwrap_or_else(FeatureSetTag::custom);
    let layout = Layout::new(path, text.header().to_vec(), options, claimed)?;
    let numbers = Numbers::new(delimiter);
    let mut sink = RowSink::new(path, layout, options.skip_broken, numbers);
    loop {
        match text.next_row() {
            Ok(Some(row)) => sink.push(row.line, row.cells())?,
            Ok(None) => break,
            Err(error) => sink.broken(error.into())?,
        }
    }
    let mut table = sink.finish(stated.map(|tag| (tag, None)))?;
    table.notes.extend(text.odd());
    table.notes.extend(lost.map(|why| {
        format!("another program changed the line that says what the table is, so its columns speak for themselves ({why})")
    }));
    Ok(table)
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

/// The comment line as it was before a spreadsheet took its commas for those between cells.
fn restored(line: &str, delimiter: u8) -> String {
    let mut reader = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(delimiter)
        .from_reader(line.as_bytes());
    let mut record = ::csv::StringRecord::new();
    match reader.read_record(&mut record) {
        Ok(true) => record.iter().collect::<Vec<_>>().join(","),
        _ => line.to_owned(),
    }
}

fn parse_comment(line: &str) -> Result<FeatureSetTag, String> {
    let mut tag = FeatureSetTag::custom();
    // A spreadsheet fills the line up to the width of the table.
    let stated = line[COMMENT.len()..].trim_end_matches([',', ';', '\t', '"', ' ']);
    for part in stated.split(';') {
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
