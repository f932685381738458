//! Feature tables: one row of features per utterance, with who speaks and what emotion it is.
//!
//! A table is read from Parquet, CSV or ARFF by its file extension, whether this crate wrote it or not, and
//! may be of any width. Every value is finite and every row has a speaker and an emotion: a
//! [`FeatureTable`] that breaks this cannot be read or written.

mod arff;
mod columns;
mod csv;
mod doubts;
mod import;
mod parquet;
mod rows;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use ser_runtime::hearing::HearingInfo;
use sha2::{Digest, Sha256};

pub use columns::{ColumnMap, MetaField};
pub use import::{ImportOptions, Imported, Join, import};
pub use rows::{PartialMeta, PartialTable};

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

/// Why a feature table could not be read or written. Rows are counted from 1, the first below the header.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// Reading or writing failed.
    #[error("cannot {action} {}: {source}{}", path.display(), crate::atomic::write_hint(source))]
    Io {
        /// The file.
        path: PathBuf,
        /// "read" or "write".
        action: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// Neither Parquet nor CSV nor ARFF.
    #[error("{}: cannot tell the table's format from its name; use one ending in .parquet, .csv or .arff", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The format can be read but not written.
    #[error("{}: ARFF tables can be read, not written; write .parquet or .csv", path.display())]
    ReadOnlyFormat {
        /// The file.
        path: PathBuf,
    },
    /// No header, or no row below it.
    #[error("{}: the table is empty: {what}", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
    },
    /// The file is not what its extension says, or is damaged.
    #[error("{}: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong and where.
        message: String,
    },
    /// A column that must be there is not.
    #[error("{}: column \"{column}\" is missing{hint}", path.display())]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// What to do about it.
        hint: String,
    },
    /// Two columns of one name, or two that both look like the same field.
    #[error("{}: {message}", path.display())]
    DuplicateColumn {
        /// The file.
        path: PathBuf,
        /// Which columns.
        message: String,
    },
    /// A row is longer or shorter than the header.
    #[error("{}: row {row} (line {line}) has {found} fields, the header has {expected}", path.display())]
    Ragged {
        /// The file.
        path: PathBuf,
        /// The row.
        row: usize,
        /// The line in the file.
        line: u64,
        /// Fields in the header.
        expected: usize,
        /// Fields in the row.
        found: usize,
    },
    /// A cell that should hold a number does not.
    #[error("{}: row {row}, column \"{column}\": {text:?} is not a number (if the column is no feature, drop it: ser-train import --drop {column:?})", path.display())]
    NotANumber {
        /// The file.
        path: PathBuf,
        /// The row.
        row: usize,
        /// The column.
        column: String,
        /// The cell.
        text: String,
    },
    /// A value is NaN, infinite or missing.
    #[error("{}: row {row}, column \"{column}\": the value is {value}; features must be finite numbers", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The row.
        row: usize,
        /// The column.
        column: String,
        /// "NaN", "infinite", "missing" …
        value: String,
    },
    /// A row without speaker, emotion or path.
    #[error("{}: row {row} has no {field}{hint}", path.display())]
    MissingField {
        /// The file.
        path: PathBuf,
        /// The row.
        row: usize,
        /// The field.
        field: &'static str,
        /// What to do about it.
        hint: String,
    },
    /// The table says one thing of a row and the manifest (or the path) another.
    #[error("{}: row {row}: {message}; to go by the latter, drop the column", path.display())]
    Conflict {
        /// The table.
        path: PathBuf,
        /// The row.
        row: usize,
        /// Which field, and what each says.
        message: String,
    },
    /// The table cannot be joined with what is to complete it.
    #[error("{}: {message}", path.display())]
    Join {
        /// The table.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The table breaks what [`FeatureTable`] promises (a defect of the caller, found before writing).
    #[error("{}: the table is inconsistent: {message}", path.display())]
    Inconsistent {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
}

/// The file formats, by extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Parquet,
    Csv,
    Arff,
}

impl Format {
    fn of(path: &Path) -> Result<Self, TableError> {
        let extension = path
            .extension()
            .and_then(|e| e.to_str())
            .map(str::to_ascii_lowercase);
        match extension.as_deref() {
            Some("parquet") => Ok(Self::Parquet),
            Some("csv" | "tsv") => Ok(Self::Csv),
            Some("arff") => Ok(Self::Arff),
            _ => Err(TableError::UnknownFormat {
                path: path.to_owned(),
            }),
        }
    }
}

impl FeatureTable {
    /// Reads a table in the format that the extension names (`.parquet`, `.csv`, `.tsv`, `.arff`).
    ///
    /// Columns named like a [`MetaField`] describe the row; all others are features.
    ///
    /// # Errors
    /// [`TableError`]; a missing speaker or emotion, a NaN or a text in a feature column among them.
    pub fn read(path: &Path) -> Result<Self, TableError> {
        let partial = PartialTable::read(path, &ColumnMap::default())?;
        let written = partial.sha256.clone();
        let table = partial.into_table(path)?;
        match written {
            Some(written) if written != table.sha256() => Err(TableError::Malformed {
                path: path.to_owned(),
                message: "the content does not fit the SHA-256 in its metadata: the file is damaged, or another \
                    program changed it (if that was meant, read it with ser-train import)"
                    .to_owned(),
            }),
            _ => Ok(table),
        }
    }

    /// Writes the table whole or not at all, in the format that the extension names (`.parquet`, `.csv`).
    ///
    /// # Errors
    /// [`TableError`], also for a table that is inconsistent or holds a value that is not finite.
    pub fn write(&self, path: &Path) -> Result<(), TableError> {
        self.check(path)?;
        match Format::of(path)? {
            Format::Parquet => parquet::write(self, path),
            Format::Csv => csv::write(self, path),
            Format::Arff => Err(TableError::ReadOnlyFormat {
                path: path.to_owned(),
            }),
        }
    }

    /// Whether the name ends in a format that can be written: to be asked before hours of work.
    ///
    /// # Errors
    /// [`TableError::UnknownFormat`], [`TableError::ReadOnlyFormat`].
    pub fn check_writable(path: &Path) -> Result<(), TableError> {
        match Format::of(path)? {
            Format::Parquet | Format::Csv => Ok(()),
            Format::Arff => Err(TableError::ReadOnlyFormat {
                path: path.to_owned(),
            }),
        }
    }

    /// The rows of several tables, in their order. `feature_set` and columns must be the same; a recording may occur once.
    ///
    /// # Errors
    /// [`TableError::Join`] naming the table that does not fit; [`TableError::Empty`] for no table at all.
    pub fn join(tables: Vec<(&Path, Self)>) -> Result<Self, TableError> {
        let mut tables = tables.into_iter();
        let Some((first, mut all)) = tables.next() else {
            return Err(TableError::Empty {
                path: PathBuf::new(),
                what: "there is no table",
            });
        };
        let mut from: HashMap<(String, String, Option<u32>, Option<u32>), &Path> = HashMap::new();
        let key = |m: &RowMeta| {
            let start = m.start_s.map(f32::to_bits);
            (m.corpus.clone(), m.path.clone(), start, m.copy)
        };
        from.extend(all.meta.iter().map(|m| (key(m), first)));
        for (path, table) in tables {
            all.check_same_columns(&table, path)?;
            for meta in &table.meta {
                if let Some(other) = from.insert(key(meta), path) {
                    return Err(TableError::Join {
                        path: path.to_owned(),
                        message: format!(
                            "{} of corpus {} is in {} already",
                            meta.path,
                            meta.corpus,
                            other.display()
                        ),
                    });
                }
            }
            all.rows += table.rows;
            all.values.extend(table.values);
            all.meta.extend(table.meta);
        }
        Ok(all)
    }

    /// Whether `other` (read from `path`) has the columns of this table, measured by the same extractor.
    ///
    /// # Errors
    /// [`TableError::Join`] naming the first difference.
    pub fn check_same_columns(&self, other: &Self, path: &Path) -> Result<(), TableError> {
        let join = |message: String| {
            Err(TableError::Join {
                path: path.to_owned(),
                message,
            })
        };
        if self.feature_set.hearing != other.feature_set.hearing {
            return join(format!(
                "its recordings were heard otherwise ({}) than those of the tables before it ({}): extract all of them with the same options",
                other.feature_set.hearing_json(),
                self.feature_set.hearing_json()
            ));
        }
        self.check_same_features(other, path)
    }

    /// Whether `other` (read from `path`) has the columns of this table, measured by the same extractor, however its
    /// recordings were heard.
    ///
    /// # Errors
    /// [`TableError::Join`] naming the first difference.
    pub fn check_same_features(&self, other: &Self, path: &Path) -> Result<(), TableError> {
        let join = |message: String| {
            Err(TableError::Join {
                path: path.to_owned(),
                message,
            })
        };
        let version = |t: &FeatureSetTag| (t.id.clone(), t.extractor_version.clone());
        if version(&self.feature_set) != version(&other.feature_set) {
            let show = |t: &FeatureSetTag| match &t.extractor_version {
                Some(v) => format!("{} (extractor {v})", t.id),
                None => t.id.clone(),
            };
            return join(format!(
                "its feature set is {}, that of the tables before it {}: extract all of them with one version",
                show(&other.feature_set),
                show(&self.feature_set)
            ));
        }
        let different = self
            .names
            .iter()
            .zip(&other.names)
            .position(|(a, b)| a != b);
        match different {
            Some(c) => join(format!(
                "feature column {} is \"{}\", in the tables before it \"{}\"",
                c + 1,
                other.names[c],
                self.names[c]
            )),
            None if self.names.len() != other.names.len() => join(format!(
                "{} feature columns, the tables before it have {}",
                other.names.len(),
                self.names.len()
            )),
            None => Ok(()),
        }
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
