//! Rows as they come out of a file, before anyone has checked that speaker and emotion are known.

use std::path::Path;

use super::cells::Cell;
use super::columns::{Layout, Role};
use super::format::Format;
use super::{FeatureSetTag, FeatureTable, ReadOptions, RowMeta, TableError, clean};
use crate::data::text::Numbers;

/// What a file says of a row: any field may be missing.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the fields of RowMeta, documented there")]
pub struct PartialMeta {
    /// The row of the file, from 1 for the first below the header.
    pub row: usize,
    pub path: Option<String>,
    pub corpus: Option<String>,
    pub speaker: Option<String>,
    pub session: Option<String>,
    pub gender: Option<String>,
    pub emotion: Option<String>,
    pub sample_rate: Option<u32>,
    pub start_s: Option<f32>,
    pub duration_s: Option<f32>,
    pub copy: Option<u32>,
    /// Where in the recording the row ends, in seconds.
    pub(super) end_s: Option<f32>,
    /// The row's name in the data frame that was written.
    pub(super) index: Option<String>,
}

/// A table whose rows may lack a speaker or an emotion, as those of openSMILE do.
#[derive(Debug, Clone, PartialEq)]
pub struct PartialTable {
    /// Where the columns come from.
    pub feature_set: FeatureSetTag,
    /// Names of the feature columns, all different.
    pub names: Vec<String>,
    /// `meta.len() * names.len()` finite values, row-major.
    pub values: Vec<f32>,
    /// One description a row.
    pub meta: Vec<PartialMeta>,
    /// Columns of the file that are neither.
    pub ignored: Vec<String>,
    /// What was understood in another way than it stands there.
    pub notes: Vec<String>,
    /// What was wrong with each row that was left out, for [`ReadOptions::skip_broken`].
    pub broken: Vec<String>,
    /// What the file says that it is.
    pub(super) written: Option<Written>,
    /// Why its column of labels holds none.
    pub(super) no_labels: Option<String>,
}

/// What a table of our own says of itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Written {
    /// [`FeatureTable::sha256`] of the table that was written to the file, if it says so.
    pub sha256: Option<String>,
    /// Its tag.
    pub tag: FeatureSetTag,
    /// Its columns: names and their places in the table that was read.
    pub columns: Vec<(String, usize)>,
}

impl Written {
    /// Whether `table`, which was read from the file, is what was written to it.
    pub fn is(&self, table: &FeatureTable) -> bool {
        let Some(sha256) = &self.sha256 else {
            return true;
        };
        let as_it_was = self.tag == table.feature_set
            && self.columns.iter().enumerate().all(|(i, (_, at))| i == *at);
        if as_it_was {
            return *sha256 == table.sha256();
        }
        let rows = (0..table.rows).map(|r| table.row(r));
        let values = rows.flat_map(|row| self.columns.iter().map(|(_, at)| row[*at]));
        let file = FeatureTable {
            feature_set: self.tag.clone(),
            names: self.columns.iter().map(|(name, _)| name.clone()).collect(),
            rows: table.rows,
            values: values.collect(),
            meta: table.meta.clone(),
        };
        *sha256 == file.sha256()
    }
}

impl PartialTable {
    /// Reads a table in the format that its contents are in, with the columns understood as `options` say.
    ///
    /// # Errors
    /// [`TableError`], but not for fields that are missing.
    pub fn read(path: &Path, options: &ReadOptions) -> Result<Self, TableError> {
        let mut table = match Format::of_contents(path)? {
            Format::Parquet => super::parquet::read(path, options)?,
            Format::Csv => super::csv::read(path, options)?,
            Format::Arff => super::arff::read(path, options)?,
        };
        if table.feature_set.extractor_version.is_none() && !table.feature_set.is_custom() {
            table.notes.push(format!(
                "who measured the features, and of which parts of the recordings, is not stated: by their names they are taken for {}, of \
                 whole recordings",
                table.feature_set.id
            ));
        }
        Ok(table)
    }

    /// The finished table. If no row names its recording, each is named after the table's file and the row.
    /// With `skip_broken`, rows that lack what others have are left out; the second value says of each why.
    ///
    /// # Errors
    /// [`TableError::MissingColumn`] where no row has a speaker (or an emotion), [`TableError::MissingField`]
    /// where some row has none (or no path, though others do), and what the type's promises ask.
    pub fn into_table(
        mut self,
        path: &Path,
        skip_broken: bool,
    ) -> Result<(FeatureTable, Vec<String>), TableError> {
        if self.meta.iter().all(|m| m.path.is_none()) {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            for m in &mut self.meta {
                m.path = Some(format!("{file}#{}", m.row));
            }
        }
        let unknown = |m: &PartialMeta| {
            [
                ("path", m.path.is_none()),
                ("speaker", m.speaker.is_none()),
                ("emotion", m.emotion.is_none()),
            ]
        };
        let nowhere = |i: usize| self.meta.iter().all(|m| unknown(m)[i].1);
        let fields = unknown(&PartialMeta::default()).map(|(field, _)| field);
        let missing: Vec<&str> = (0..fields.len())
            .filter(|i| nowhere(*i))
            .map(|i| fields[i])
            .collect();
        if let Some((first, others)) = missing.split_first() {
            let mut hint: String = others.iter().map(|o| format!(", so is \"{o}\"")).collect();
            if let Some(why) = self.no_labels.filter(|_| missing.contains(&"emotion")) {
                hint.push_str(&format!(" ({why})"));
            }
            hint.push_str(&remedy(first));
            return Err(TableError::MissingColumn {
                path: path.to_owned(),
                column: (*first).to_owned(),
                hint,
            });
        }
        let mut broken = Vec::new();
        let mut keep = Vec::with_capacity(self.meta.len());
        for m in &self.meta {
            let lacks = unknown(m).into_iter().find(|(_, lacks)| *lacks);
            keep.push(lacks.is_none());
            if let Some((field, _)) = lacks {
                let error = |hint| TableError::MissingField {
                    path: path.to_owned(),
                    row: m.row,
                    field,
                    hint,
                };
                if !skip_broken {
                    return Err(error(remedy(field)));
                }
                broken.push(error(String::new()).to_string());
            }
        }
        let width = self.names.len();
        let mut values = Vec::with_capacity(self.values.len());
        let mut meta = Vec::with_capacity(self.meta.len());
        let rows = self.meta.into_iter().zip(self.values.chunks_exact(width));
        for ((m, row), _) in rows.zip(keep).filter(|(_, keep)| *keep) {
            values.extend_from_slice(row);
            meta.push(RowMeta {
                path: m.path.unwrap_or_default(),
                corpus: m.corpus.unwrap_or_default(),
                speaker: m.speaker.unwrap_or_default(),
                session: m.session,
                gender: m.gender,
                emotion: m.emotion.unwrap_or_default(),
                sample_rate: m.sample_rate,
                start_s: m.start_s,
                duration_s: m.duration_s,
                copy: m.copy,
            });
        }
        if meta.is_empty() {
            return Err(TableError::AllBroken {
                path: path.to_owned(),
                rows: broken.len(),
                first: broken.swap_remove(0),
            });
        }
        let table = FeatureTable {
            feature_set: self.feature_set,
            names: self.names,
            rows: meta.len(),
            values,
            meta,
        };
        table.check(path)?;
        Ok((table, broken))
    }
}

fn remedy(field: &str) -> String {
    format!(
        "; ser-train import can take it from another column (--column {field}=NAME), a manifest (--manifest FILE with path, \
         speaker, emotion) or the file name (--from-path)"
    )
}

/// Collects the rows of a file.
#[derive(Debug)]
pub(super) struct RowSink<'a> {
    path: &'a Path,
    layout: Layout,
    skip_broken: bool,
    /// How the numbers of text are written.
    numbers: Numbers,
    values: Vec<f32>,
    meta: Vec<PartialMeta>,
    broken: Vec<String>,
    rows: usize,
}

impl<'a> RowSink<'a> {
    pub fn new(path: &'a Path, layout: Layout, skip_broken: bool, numbers: Numbers) -> Self {
        Self {
            path,
            layout,
            skip_broken,
            numbers,
            values: Vec::new(),
            meta: Vec::new(),
            broken: Vec::new(),
            rows: 0,
        }
    }

    /// One row of as many cells as there are columns; `line` is where it starts in the file.
    pub fn push<'c>(
        &mut self,
        line: u64,
        cells: impl Iterator<Item = &'c str>,
    ) -> Result<(), TableError> {
        let row = self.rows + 1;
        let before = self.values.len();
        match self.row(row, line, cells) {
            Ok(meta) => {
                self.rows = row;
                self.meta.push(meta);
                Ok(())
            }
            Err(error) => {
                self.values.truncate(before);
                self.broken(error)
            }
        }
    }

    /// A row that could not be understood: left out, or an end of it all.
    pub fn broken(&mut self, error: TableError) -> Result<(), TableError> {
        self.rows += 1;
        if !(self.skip_broken && error.is_of_a_row()) {
            return Err(error);
        }
        self.broken.push(error.of_left_out());
        Ok(())
    }

    /// The number of the row that comes next.
    pub fn next_row(&self) -> usize {
        self.rows + 1
    }

    fn row<'c>(
        &mut self,
        row: usize,
        line: u64,
        cells: impl Iterator<Item = &'c str>,
    ) -> Result<PartialMeta, TableError> {
        let first = self.values.len();
        self.values.resize(first + self.layout.features.len(), 0.0);
        let mut meta = PartialMeta {
            row,
            ..PartialMeta::default()
        };
        for (i, cell) in cells.enumerate().take(self.layout.roles.len()) {
            let cell = cell.trim();
            let place = Cell {
                path: self.path,
                row,
                column: &self.layout.columns[i],
                scale: self.layout.scale.get(&i).copied().unwrap_or(1.0),
            };
            match self.layout.roles[i] {
                Role::Ignored => {}
                Role::Feature(at) => {
                    self.values[first + at] = place.feature(cell, line, &mut self.numbers)?;
                }
                role => place.describe(role, cell, line, &mut self.numbers, &mut meta)?,
            }
        }
        Ok(meta)
    }

    /// All rows; `written` is what a table of our own says of itself.
    pub fn finish(
        self,
        written: Option<(FeatureSetTag, Option<String>)>,
    ) -> Result<PartialTable, TableError> {
        Collected {
            path: self.path,
            layout: self.layout,
            values: self.values,
            meta: self.meta,
            broken: self.broken,
        }
        .finish(written)
    }
}

/// All rows of a file.
#[derive(Debug)]
pub(super) struct Collected<'a> {
    pub path: &'a Path,
    pub layout: Layout,
    pub values: Vec<f32>,
    pub meta: Vec<PartialMeta>,
    pub broken: Vec<String>,
}

impl Collected<'_> {
    /// Looks at whole columns; `written` is what a table of our own says of itself.
    pub fn finish(
        mut self,
        written: Option<(FeatureSetTag, Option<String>)>,
    ) -> Result<PartialTable, TableError> {
        if self.meta.is_empty() {
            let path = self.path.to_owned();
            let rows = self.broken.len();
            return Err(match self.broken.into_iter().next() {
                Some(first) => TableError::AllBroken { path, rows, first },
                None => TableError::Empty {
                    path,
                    what: "it has no rows",
                },
            });
        }
        let mut no_labels = None;
        let mut notes = std::mem::take(&mut self.layout.notes);
        if written.is_none() {
            notes.extend(clean::index(&self.layout, &mut self.meta));
            notes.extend(clean::names(&mut self.meta));
            notes.extend(clean::frames(&self.meta));
            no_labels = clean::labels(&self.layout, &mut self.meta);
            notes.extend(no_labels.clone());
        }
        for m in &mut self.meta {
            if let (None, Some(end)) = (m.duration_s, m.end_s) {
                m.duration_s = Some((end - m.start_s.unwrap_or(0.0)).max(0.0));
            }
        }
        let ignored = self.layout.ignored();
        Ok(PartialTable {
            feature_set: self.layout.tag,
            names: self.layout.features,
            values: self.values,
            meta: self.meta,
            ignored,
            notes,
            broken: self.broken,
            written: written.map(|(tag, sha256)| Written {
                sha256,
                tag,
                columns: self.layout.in_file,
            }),
            no_labels,
        })
    }
}
