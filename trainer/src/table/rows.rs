//! Rows as they come out of a file, before anyone has checked that speaker and emotion are known.

use std::path::Path;

use ser_features::{FeatureSet, feature_names};

use super::columns::{Layout, Role};
use super::{ColumnMap, FeatureSetTag, FeatureTable, Format, MetaField, RowMeta, TableError};

/// What a file says of a row: any field may be missing.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the fields of RowMeta, documented there")]
pub struct PartialMeta {
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
    /// [`FeatureTable::sha256`] of the table that was written to the file, if it says so.
    pub sha256: Option<String>,
}

impl PartialTable {
    /// Reads a table in the format that the extension names, with the columns understood as `map` says.
    ///
    /// # Errors
    /// [`TableError`], but not for fields that are missing.
    pub fn read(path: &Path, map: &ColumnMap) -> Result<Self, TableError> {
        let mut table = match Format::of(path)? {
            Format::Parquet => super::parquet::read(path, map)?,
            Format::Csv => super::csv::read(path, map)?,
            Format::Arff => super::arff::read(path, map)?,
        };
        if !map.drop.is_empty() {
            table.feature_set = FeatureSetTag::custom();
        }
        table.check_feature_set(path)?;
        Ok(table)
    }

    /// A table that claims to hold a built-in feature set has all of its columns, in its order, and no other.
    fn check_feature_set(&self, path: &Path) -> Result<(), TableError> {
        let Some(set) = FeatureSet::from_id(&self.feature_set.id) else {
            return Ok(());
        };
        let expected = feature_names(set);
        if self.names == expected {
            return Ok(());
        }
        if let Some(column) = expected.iter().find(|e| !self.names.contains(e)) {
            let hint = format!(", one of the {} of {}", expected.len(), set.id());
            return Err(TableError::MissingColumn {
                path: path.to_owned(),
                column: column.clone(),
                hint,
            });
        }
        let message = match self.names.iter().find(|n| !expected.contains(n)) {
            Some(other) => format!("column \"{other}\" is not one of {}", set.id()),
            None => format!("the columns are not in the order of {}", set.id()),
        };
        Err(TableError::Malformed {
            path: path.to_owned(),
            message,
        })
    }

    /// The finished table. If no row names its recording, each is named after the table's file and the row.
    ///
    /// # Errors
    /// [`TableError::MissingColumn`] where no row has a speaker (or an emotion), [`TableError::MissingField`]
    /// where some row has none (or no path, though others do), and what the type's promises ask.
    pub fn into_table(mut self, path: &Path) -> Result<FeatureTable, TableError> {
        if self.meta.iter().all(|m| m.path.is_none()) {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            for (i, m) in self.meta.iter_mut().enumerate() {
                m.path = Some(format!("{file}#{}", i + 1));
            }
        }
        for field in ["path", "speaker", "emotion"] {
            let unknown = |m: &PartialMeta| match field {
                "path" => m.path.is_none(),
                "speaker" => m.speaker.is_none(),
                _ => m.emotion.is_none(),
            };
            let hint = format!(
                "; ser-train import can take it from another column (--column {field}=NAME), a manifest (--manifest) or the file name (--from-path)"
            );
            if self.meta.iter().all(unknown) {
                return Err(TableError::MissingColumn {
                    path: path.to_owned(),
                    column: field.to_owned(),
                    hint,
                });
            }
            if let Some(row) = self.meta.iter().position(unknown) {
                return Err(TableError::MissingField {
                    path: path.to_owned(),
                    row: row + 1,
                    field,
                    hint,
                });
            }
        }
        let meta: Vec<RowMeta> = self
            .meta
            .into_iter()
            .map(|m| RowMeta {
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
            })
            .collect();
        let table = FeatureTable {
            feature_set: self.feature_set,
            names: self.names,
            rows: meta.len(),
            values: self.values,
            meta,
        };
        table.check(path)?;
        Ok(table)
    }
}

/// Collects the text cells of a file, row by row.
#[derive(Debug)]
pub(super) struct RowSink<'a> {
    path: &'a Path,
    layout: Layout,
    values: Vec<f32>,
    meta: Vec<PartialMeta>,
}

impl<'a> RowSink<'a> {
    pub fn new(path: &'a Path, layout: Layout) -> Self {
        Self {
            path,
            layout,
            values: Vec::new(),
            meta: Vec::new(),
        }
    }

    /// One row of `found` cells; `line` is where it starts in the file.
    pub fn push<'c>(
        &mut self,
        line: u64,
        found: usize,
        cells: impl Iterator<Item = &'c str>,
    ) -> Result<(), TableError> {
        let row = self.meta.len() + 1;
        if found != self.layout.roles.len() {
            return Err(TableError::Ragged {
                path: self.path.to_owned(),
                row,
                line,
                expected: self.layout.roles.len(),
                found,
            });
        }
        let mut meta = PartialMeta::default();
        for (i, cell) in cells.enumerate() {
            let cell = cell.trim();
            match self.layout.roles[i] {
                Role::Ignored => {}
                Role::Feature(_) => {
                    let value = parse_feature(self.path, row, &self.layout.columns[i], cell)?;
                    self.values.push(value);
                }
                Role::Meta(field) => {
                    set_meta(
                        self.path,
                        row,
                        &self.layout.columns[i],
                        &mut meta,
                        field,
                        cell,
                    )?;
                }
            }
        }
        self.meta.push(meta);
        Ok(())
    }

    pub fn finish(self, feature_set: FeatureSetTag) -> Result<PartialTable, TableError> {
        if self.meta.is_empty() {
            return Err(TableError::Empty {
                path: self.path.to_owned(),
                what: "it has no rows",
            });
        }
        let ignored = ignored_columns(&self.layout);
        let names = self.layout.features;
        Ok(PartialTable {
            feature_set,
            names,
            values: self.values,
            meta: self.meta,
            ignored,
            sha256: None,
        })
    }
}

pub(super) fn ignored_columns(layout: &Layout) -> Vec<String> {
    layout
        .roles
        .iter()
        .zip(&layout.columns)
        .filter(|(role, _)| **role == Role::Ignored)
        .map(|(_, name)| name.clone())
        .collect()
}

fn parse_feature(path: &Path, row: usize, column: &str, cell: &str) -> Result<f32, TableError> {
    let not_finite = |value: &str| TableError::NotFinite {
        path: path.to_owned(),
        row,
        column: column.to_owned(),
        value: value.to_owned(),
    };
    if cell.is_empty() || cell == "?" {
        return Err(not_finite("missing"));
    }
    let value: f32 = cell.parse().map_err(|_| TableError::NotANumber {
        path: path.to_owned(),
        row,
        column: column.to_owned(),
        text: cell.chars().take(40).collect(),
    })?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(not_finite(cell))
    }
}

/// Sets one field from its text; empty, `?` and `NA` mean that the field is not known.
pub(super) fn set_meta(
    path: &Path,
    row: usize,
    column: &str,
    meta: &mut PartialMeta,
    field: MetaField,
    cell: &str,
) -> Result<(), TableError> {
    let cell = unquote(cell);
    if cell.is_empty() || cell == "?" || cell == "NA" {
        return Ok(());
    }
    let text = || Some(cell.to_owned());
    let bad = || TableError::NotANumber {
        path: path.to_owned(),
        row,
        column: column.to_owned(),
        text: cell.chars().take(40).collect(),
    };
    match field {
        MetaField::Path => meta.path = text(),
        MetaField::Corpus => meta.corpus = text(),
        MetaField::Speaker => meta.speaker = text(),
        MetaField::Session => meta.session = text(),
        MetaField::Gender => meta.gender = text(),
        MetaField::Emotion => meta.emotion = text(),
        MetaField::SampleRate => meta.sample_rate = Some(cell.parse().map_err(|_| bad())?),
        MetaField::Copy => meta.copy = Some(cell.parse().map_err(|_| bad())?),
        MetaField::StartS | MetaField::DurationS => {
            let seconds: f32 = cell.parse().map_err(|_| bad())?;
            if !seconds.is_finite() || seconds < 0.0 {
                return Err(bad());
            }
            if field == MetaField::StartS {
                meta.start_s = Some(seconds);
            } else {
                meta.duration_s = Some(seconds);
            }
        }
    }
    Ok(())
}

/// Without one pair of single quotes around it, as openSMILE writes names.
fn unquote(cell: &str) -> &str {
    cell.strip_prefix('\'')
        .and_then(|c| c.strip_suffix('\''))
        .unwrap_or(cell)
}
