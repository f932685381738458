//! Corpora: which recordings there are, who speaks, and with which emotion.
//!
//! A corpus is a CSV file with the columns `path,corpus,speaker,session,gender,emotion` (session and gender
//! may be empty). Relative paths start from the folder of that file.

mod counts;
mod crema_d;
pub(crate) mod duplicates;
mod emodb;
mod iemocap;
mod import;
mod layout;
mod manifest;
mod msp_improv;
mod ravdess;
mod savee;
mod synthetic;
mod tess;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};

pub use duplicates::{Fingerprint, SameAudio, find_copies, settle_copies};
pub use import::{CorpusFormat, Finding, Import, ImportOptions, Labels, import};
pub use synthetic::{Mood, SyntheticOptions, synthesise};

/// One labelled recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Utterance {
    /// The audio file; if relative, below [`Corpus::root`].
    pub path: PathBuf,
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
}

/// Labelled recordings, in a stable order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Corpus {
    /// Where relative paths start.
    pub root: PathBuf,
    /// The recordings; no two of the same path.
    pub utterances: Vec<Utterance>,
}

/// Why a corpus could not be read, understood or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CorpusError {
    /// Reading or writing failed.
    #[error("cannot {action} {}: {source}{}", path.display(), crate::atomic::hint(action, source))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// "read" or "write".
        action: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// A column that must be there is not.
    #[error("{}: column \"{column}\" is missing; the header has: {found}", path.display())]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// The columns that are there.
        found: String,
    },
    /// Something is wrong in one line of a CSV file.
    #[error("{}, line {line}{}: {message}", path.display(), column.map_or(String::new(), |c| format!(", column \"{c}\"")))]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1 (the header).
        line: u64,
        /// The column, if it is one field that is wrong.
        column: Option<&'static str>,
        /// What is wrong.
        message: String,
    },
    /// A recording is there more than once.
    #[error("{}: {message}", path.display())]
    Duplicate {
        /// The folder.
        path: PathBuf,
        /// Which recordings.
        message: String,
    },
    /// A synthetic corpus that cannot be made as asked.
    #[error("{}: {message}", path.display())]
    Synthetic {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// Something is missing or damaged, where that is not allowed.
    #[error("{}: {message} (refused by --strict)", path.display())]
    NotWhole {
        /// The file or folder.
        path: PathBuf,
        /// What.
        message: String,
    },
    /// A label was asked for that does not occur.
    #[error("{}: no recording has the label \"{label}\"; the labels are: {found}", path.display())]
    UnknownLabel {
        /// The file or folder.
        path: PathBuf,
        /// The label.
        label: String,
        /// The labels that occur.
        found: String,
    },
    /// Nothing to work with.
    #[error("{}: {message}", path.display())]
    Empty {
        /// The file or folder.
        path: PathBuf,
        /// What was looked for and what to do.
        message: String,
    },
}

const COLUMNS: [&str; 6] = ["path", "corpus", "speaker", "session", "gender", "emotion"];

impl Corpus {
    /// Reads a corpus file. Columns beyond the six are left alone, so that people may keep notes in them.
    ///
    /// # Errors
    /// [`CorpusError`]: no such file, a missing column, an empty path, speaker or emotion, a path named twice.
    pub fn read(path: &Path) -> Result<Self, CorpusError> {
        let rows = CsvRows::open(path)?;
        let (p, speaker, emotion) = (
            rows.column("path")?,
            rows.column("speaker")?,
            rows.column("emotion")?,
        );
        let (corpus, session, gender) = (
            rows.find("corpus"),
            rows.find("session"),
            rows.find("gender"),
        );
        let mut utterances = Vec::new();
        let mut seen: HashMap<PathBuf, u64> = HashMap::new();
        for row in rows.rows() {
            let row = row?;
            let file = PathBuf::from(row.required(p, "path")?);
            if let Some(first) = seen.insert(file.clone(), row.line) {
                let message = format!("{} stands in line {first} already", file.display());
                return Err(row.error(Some("path"), message));
            }
            utterances.push(Utterance {
                path: file,
                corpus: row.optional(corpus).unwrap_or_default(),
                speaker: row.required(speaker, "speaker")?,
                session: row.optional(session),
                gender: row.optional(gender),
                emotion: row.required(emotion, "emotion")?,
            });
        }
        if utterances.is_empty() {
            let message = "the corpus has a header but no recordings".to_owned();
            return Err(CorpusError::Empty {
                path: path.to_owned(),
                message,
            });
        }
        Ok(Self {
            root: folder_of(path),
            utterances,
        })
    }

    /// Writes the corpus file, whole or not at all. Recordings below the file's folder are named relative to it,
    /// so that the folder may be moved; others by their absolute path.
    ///
    /// # Errors
    /// [`CorpusError::Io`], also for a path that is not UTF-8.
    pub fn write(&self, path: &Path) -> Result<(), CorpusError> {
        let io = |source| CorpusError::Io {
            path: path.to_owned(),
            action: "write",
            source,
        };
        let folder = std::path::absolute(folder_of(path)).map_err(io)?;
        crate::atomic::write::<io::Error, _>(path, |file| {
            let mut csv = csv::Writer::from_writer(file);
            csv.write_record(COLUMNS)?;
            for u in &self.utterances {
                let absolute = std::path::absolute(self.resolve(u))?;
                let shown = absolute.strip_prefix(&folder).unwrap_or(&absolute);
                let shown = shown.to_str().ok_or_else(|| {
                    io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("the path {} is not UTF-8: rename it", shown.display()),
                    )
                })?;
                csv.write_record([
                    shown,
                    &u.corpus,
                    &u.speaker,
                    u.session.as_deref().unwrap_or(""),
                    u.gender.as_deref().unwrap_or(""),
                    &u.emotion,
                ])?;
            }
            csv.flush()
        })
        .map_err(io)
    }

    /// Counts by label and speaker as a text table, labels across, with totals.
    #[must_use]
    pub fn summary(&self) -> String {
        let labels: BTreeSet<&str> = self.utterances.iter().map(|u| u.emotion.as_str()).collect();
        let mut counts: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
        for u in &self.utterances {
            *counts
                .entry(&u.speaker)
                .or_default()
                .entry(&u.emotion)
                .or_insert(0) += 1;
        }
        let mut rows: Vec<Vec<String>> = Vec::new();
        let header = ["speaker"]
            .into_iter()
            .chain(labels.iter().copied())
            .chain(["all"]);
        rows.push(header.map(str::to_owned).collect());
        let line = |name: &str, count: &dyn Fn(&str) -> usize| {
            let numbers: Vec<usize> = labels.iter().map(|l| count(l)).collect();
            let all = numbers.iter().sum::<usize>();
            let cells = numbers.iter().chain([&all]).map(usize::to_string);
            [name.to_owned()]
                .into_iter()
                .chain(cells)
                .collect::<Vec<_>>()
        };
        for (speaker, of) in &counts {
            rows.push(line(speaker, &|l| of.get(l).copied().unwrap_or(0)));
        }
        rows.push(line("all", &|l| {
            self.utterances.iter().filter(|u| u.emotion == l).count()
        }));
        let widths: Vec<usize> = (0..rows[0].len())
            .map(|c| rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0))
            .collect();
        let mut text = String::new();
        for row in rows {
            for (c, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let padded = if c == 0 {
                    format!("{cell:<width$}")
                } else {
                    format!("  {cell:>width$}")
                };
                text.push_str(&padded);
            }
            text.push('\n');
        }
        text
    }

    /// Where the recording lies.
    #[must_use]
    pub fn resolve(&self, utterance: &Utterance) -> PathBuf {
        self.root.join(&utterance.path)
    }
}

/// The folder that holds `path`.
fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A CSV file with a header, whose errors name line and column.
pub(crate) struct CsvRows {
    path: PathBuf,
    header: Vec<String>,
    records: Vec<csv::StringRecord>,
}

/// One line of it.
pub(crate) struct CsvRow<'a> {
    path: &'a Path,
    record: &'a csv::StringRecord,
    /// From 1, the header.
    pub line: u64,
}

impl CsvRows {
    pub fn open(path: &Path) -> Result<Self, CorpusError> {
        let io = |source| CorpusError::Io {
            path: path.to_owned(),
            action: "read",
            source,
        };
        let file = std::fs::File::open(path).map_err(io)?;
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(file);
        let header = reader.headers().map_err(|e| csv_error(path, e))?;
        let header: Vec<String> = header
            .iter()
            .map(|s| s.trim_start_matches('\u{feff}').to_owned())
            .collect();
        if header.iter().all(String::is_empty) {
            let message =
                "the file is empty; it needs a header line with path, speaker and emotion"
                    .to_owned();
            return Err(CorpusError::Empty {
                path: path.to_owned(),
                message,
            });
        }
        for (i, name) in header.iter().enumerate() {
            if !name.is_empty() && header[..i].contains(name) {
                let message = format!("column \"{name}\" stands in the header twice");
                return Err(CorpusError::Line {
                    path: path.to_owned(),
                    line: 1,
                    column: None,
                    message,
                });
            }
        }
        let records = reader
            .records()
            .collect::<Result<_, _>>()
            .map_err(|e| csv_error(path, e))?;
        Ok(Self {
            path: path.to_owned(),
            header,
            records,
        })
    }

    /// Index of the column, if the file has it.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|h| h == name)
    }

    /// Index of a column that must be there.
    pub fn column(&self, name: &'static str) -> Result<usize, CorpusError> {
        self.find(name).ok_or_else(|| CorpusError::MissingColumn {
            path: self.path.clone(),
            column: name,
            found: self.header.join(", "),
        })
    }

    /// The lines below the header; one that is longer or shorter than it is an error.
    pub fn rows(&self) -> impl Iterator<Item = Result<CsvRow<'_>, CorpusError>> {
        self.records.iter().map(|record| {
            let line = record.position().map_or(0, csv::Position::line);
            let row = CsvRow {
                path: &self.path,
                record,
                line,
            };
            if record.len() == self.header.len() {
                Ok(row)
            } else {
                let (found, expected) = (record.len(), self.header.len());
                Err(row.error(None, format!("{found} fields, the header has {expected}")))
            }
        })
    }
}

impl CsvRow<'_> {
    /// The field, or an error that names it.
    pub fn required(&self, index: usize, column: &'static str) -> Result<String, CorpusError> {
        self.optional(Some(index))
            .ok_or_else(|| self.error(Some(column), "the field is empty".to_owned()))
    }

    /// The field, if there is such a column and it is not empty.
    pub fn optional(&self, index: Option<usize>) -> Option<String> {
        self.record
            .get(index?)
            .filter(|s| !s.is_empty())
            .map(str::to_owned)
    }

    /// An error about this line.
    pub fn error(&self, column: Option<&'static str>, message: String) -> CorpusError {
        CorpusError::Line {
            path: self.path.to_owned(),
            line: self.line,
            column,
            message,
        }
    }
}

fn csv_error(path: &Path, error: csv::Error) -> CorpusError {
    let line = error.position().map_or(1, csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(source) => CorpusError::Io {
            path: path.to_owned(),
            action: "read",
            source,
        },
        csv::ErrorKind::Utf8 { .. } => CorpusError::Line {
            path: path.to_owned(),
            line,
            column: None,
            message: "not UTF-8 text; is this a CSV file?".to_owned(),
        },
        other => CorpusError::Line {
            path: path.to_owned(),
            line,
            column: None,
            message: format!("{other:?}"),
        },
    }
}
