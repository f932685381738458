//! Feature tables: one row of features per utterance, with who speaks and what emotion it is.
//!
//! A table is read from Parquet, ARFF or text in columns, whichever its contents are, whether this crate wrote it
//! or not, and may be of any width; columns that bear all names of a built-in feature set are that set. Every
//! value is finite and every row has a speaker and an emotion: a [`FeatureTable`] that breaks this cannot be
//! read or written.

mod advice;
mod arff;
mod cells;
mod clean;
mod columns;
mod csv;
mod doubts;
mod error;
mod format;
mod import;
mod join;
mod known;
mod parquet;
mod rows;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use ser_runtime::hearing::HearingInfo;
use sha2::{Digest, Sha256};

use self::format::Format;
pub use columns::{ColumnMap, MetaField, WantedSet};
pub use error::TableError;
pub use import::{ImportOptions, Imported, Join, import};
pub use join::{Duplicates, Joined, join, read_all};
pub use rows::{PartialMeta, PartialTable};

/// How a table is to be read; the default goes by its contents alone and wants every row whole.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// Which column is what.
    pub columns: ColumnMap,
    /// Which feature set the columns are to be.
    pub feature_set: WantedSet,
    /// Leave out rows that are not whole instead of failing: a value that is missing, NaN or no number, too few
    /// cells, no label.
    pub skip_broken: bool,
}

/// A table and what was found on the way.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// The table.
    pub table: FeatureTable,
    /// Columns that were passed over.
    pub ignored: Vec<String>,
    /// What was understood in another way than it stands there.
    pub notes: Vec<String>,
    /// What was wrong with each row that was left out.
    pub broken: Vec<String>,
    /// Recordings that were in a table before this one, for [`Duplicates::KeepFirst`].
    pub dropped: Vec<String>,
}

/// Where the feature columns of a table come from.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureSetTag {
    /// `emobase2010` or another set of `ser-features`; [`FeatureSetTag::CUSTOM`] for any other columns.
    pub id: String,
    /// Version of the `ser-features` extractor that measured the values; none for foreign tables.
    pub extractor_version: Option<String>,
    /// What was made of the recordings before they were measured; none for foreign tables.
    pub hearing: Option<HearingInfo>,
}

impl FeatureSetTag {
    /// Id of columns that no extractor of ours measured.
    pub const CUSTOM: &'static str = "custom";

    /// The tag of foreign columns.
    #[must_use]
    pub fn custom() -> Self {
        Self {
            id: Self::CUSTOM.to_owned(),
            extractor_version: None,
            hearing: None,
        }
    }

    /// [`Self::hearing`] as our own tables carry it; empty for none.
    #[must_use]
    pub(super) fn hearing_json(&self) -> String {
        let json = self.hearing.as_ref().map(serde_json::to_string);
        // Numbers and short texts: nothing in it can fail to be written.
        json.and_then(Result::ok).unwrap_or_default()
    }

    /// Whether the columns are not those of a built-in feature set.
    #[must_use]
    pub fn is_custom(&self) -> bool {
        self.id == Self::CUSTOM
    }
}

/// What is known of one row's recording.
#[derive(Debug, Clone, PartialEq)]
pub struct RowMeta {
    /// The recording, as the corpus file names it.
    pub path: String,
    /// Name of the corpus, `emodb` say.
    pub corpus: String,
    /// Who speaks; unique across corpora that are to be joined.
    pub speaker: String,
    /// Recording session, where the corpus has them.
    pub session: Option<String>,
    /// The speaker's gender, as the corpus writes it.
    pub gender: Option<String>,
    /// The label.
    pub emotion: String,
    /// Sampling rate of the recording in Hz.
    pub sample_rate: Option<u32>,
    /// Where in the recording the row begins, in seconds; none for a whole recording.
    pub start_s: Option<f32>,
    /// Seconds that the row covers.
    pub duration_s: Option<f32>,
    /// Number of a copy whose ends were moved, from 1; none for what a device would hear. Copies
    /// are learnt from and never tested on.
    pub copy: Option<u32>,
}

/// One row of features per utterance.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureTable {
    /// Where the columns come from.
    pub feature_set: FeatureSetTag,
    /// Names of the feature columns, all different.
    pub names: Vec<String>,
    /// Number of rows.
    pub rows: usize,
    /// `rows * names.len()` finite values, row-major.
    pub values: Vec<f32>,
    /// `rows` descriptions.
    pub meta: Vec<RowMeta>,
}

impl FeatureTable {
    /// Reads a table, whatever its format (Parquet, CSV and the like, ARFF), with the default options.
    ///
    /// Columns named like a [`MetaField`] describe the row; all others are features.
    ///
    /// # Errors
    /// [`TableError`]; a missing speaker or emotion, a NaN or a text in a feature column among them.
    pub fn read(path: &Path) -> Result<Self, TableError> {
        Self::read_with(path, &ReadOptions::default()).map(|read| read.table)
    }

    /// Reads a table and says what was found on the way.
    ///
    /// # Errors
    /// As [`read`](Self::read), for what `options` do not allow.
    pub fn read_with(path: &Path, options: &ReadOptions) -> Result<Read, TableError> {
        let mut partial = PartialTable::read(path, options)?;
        let written = partial.written.take();
        let ignored = std::mem::take(&mut partial.ignored);
        let notes = std::mem::take(&mut partial.notes);
        let mut broken = std::mem::take(&mut partial.broken);
        let (table, nameless) = partial.into_table(path, options.skip_broken)?;
        broken.extend(nameless);
        match written {
            Some(written) if !written.is(&table) => Err(TableError::Malformed {
                path: path.to_owned(),
                message: "the content does not fit the SHA-256 in its metadata: the file is damaged, or another \
                    program changed it (if that was meant, read it with ser-train import)"
                    .to_owned(),
            }),
            _ => Ok(Read {
                table,
                ignored,
                notes,
                broken,
                dropped: Vec::new(),
            }),
        }
    }

    /// Writes the table whole or not at all, in the format that the extension names (`.parquet`, `.csv`).
    ///
    /// # Errors
    /// [`TableError`], also for a table that is inconsistent or holds a value that is not finite.
    pub fn write(&self, path: &Path) -> Result<(), TableError> {
        self.check(path)?;
        match Format::to_write(path)? {
            Format::Parquet => parquet::write(self, path),
            _ => csv::write(self, path),
        }
    }

    /// Whether the name ends in a format that can be written: to be asked before hours of work.
    ///
    /// # Errors
    /// [`TableError::UnknownFormat`], [`TableError::ReadOnlyFormat`].
    pub fn check_writable(path: &Path) -> Result<(), TableError> {
        Format::to_write(path).map(|_| ())
    }

    /// The features of row `index`.
    ///
    /// # Panics
    /// If `index >= self.rows`, like slice indexing.
    #[must_use]
    pub fn row(&self, index: usize) -> &[f32] {
        let width = self.names.len();
        &self.values[index * width..(index + 1) * width]
    }

    /// The distinct labels, sorted.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        let distinct: BTreeSet<&str> = self.meta.iter().map(|m| m.emotion.as_str()).collect();
        distinct.into_iter().map(str::to_owned).collect()
    }

    /// The distinct speakers, sorted.
    #[must_use]
    pub fn speakers(&self) -> Vec<String> {
        let distinct: BTreeSet<&str> = self.meta.iter().map(|m| m.speaker.as_str()).collect();
        distinct.into_iter().map(str::to_owned).collect()
    }

    /// Number of rows of each label.
    #[must_use]
    pub fn label_counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for m in &self.meta {
            *counts.entry(m.emotion.clone()).or_insert(0) += 1;
        }
        counts
    }

    /// SHA-256, in hexadecimal, of the table's content: feature set, names, descriptions, values.
    ///
    /// Independent of the file format: the same table as CSV and as Parquet has one hash.
    #[must_use]
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        let mut text = |s: &str| {
            hash.update((s.len() as u64).to_le_bytes());
            hash.update(s.as_bytes());
        };
        text(&self.feature_set.id);
        text(self.feature_set.extractor_version.as_deref().unwrap_or(""));
        text(&self.feature_set.hearing_json());
        self.names.iter().for_each(|n| text(n));
        for m in &self.meta {
            text(&m.path);
            text(&m.corpus);
            text(&m.speaker);
            text(m.session.as_deref().unwrap_or(""));
            text(m.gender.as_deref().unwrap_or(""));
            text(&m.emotion);
            text(&m.sample_rate.map_or(String::new(), |v| v.to_string()));
            text(&m.start_s.map_or(String::new(), |v| format!("{v:?}")));
            text(&m.duration_s.map_or(String::new(), |v| format!("{v:?}")));
            text(&m.copy.map_or(String::new(), |v| v.to_string()));
        }
        for v in &self.values {
            hash.update(v.to_le_bytes());
        }
        hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
    }

    /// Everything that the type promises.
    fn check(&self, path: &Path) -> Result<(), TableError> {
        let inconsistent = |message: String| TableError::Inconsistent {
            path: path.to_owned(),
            message,
        };
        if self.names.is_empty() || self.rows == 0 {
            let what = if self.rows == 0 {
                "it has no rows"
            } else {
                "it has no feature columns"
            };
            return Err(TableError::Empty {
                path: path.to_owned(),
                what,
            });
        }
        if self.meta.len() != self.rows
            || self.rows.checked_mul(self.names.len()) != Some(self.values.len())
        {
            return Err(inconsistent(format!(
                "{} rows of {} columns, but {} descriptions and {} values",
                self.rows,
                self.names.len(),
                self.meta.len(),
                self.values.len()
            )));
        }
        let mut seen: HashMap<&str, usize> = HashMap::new();
        for (i, name) in self.names.iter().enumerate() {
            if let Some(first) = seen.insert(name, i) {
                return Err(inconsistent(format!(
                    "feature columns {} and {} are both named \"{name}\"",
                    first + 1,
                    i + 1
                )));
            }
            if MetaField::from_name(name).is_some() {
                return Err(inconsistent(format!(
                    "a feature column is named \"{name}\", which is the name of a field that describes the row"
                )));
            }
        }
        for (r, row) in self.values.chunks_exact(self.names.len()).enumerate() {
            if let Some(c) = row.iter().position(|v| !v.is_finite()) {
                return Err(TableError::NotFinite {
                    path: path.to_owned(),
                    row: r + 1,
                    column: self.names[c].clone(),
                    value: row[c].to_string(),
                });
            }
        }
        for (r, m) in self.meta.iter().enumerate() {
            for (field, value) in [
                ("path", &m.path),
                ("speaker", &m.speaker),
                ("emotion", &m.emotion),
            ] {
                if value.is_empty() {
                    return Err(TableError::MissingField {
                        path: path.to_owned(),
                        row: r + 1,
                        field,
                        hint: String::new(),
                    });
                }
            }
        }
        Ok(())
    }
}
