//! Corpora: which recordings there are, who speaks, and with which emotion.
//!
//! A corpus is a CSV file with the columns `path,corpus,speaker,session,gender,emotion` (session and gender
//! may be empty) and, where rows are parts of files, `start,end,channel` and `split`. Relative paths start
//! from the folder of that file.

mod counts;
mod crema_d;
pub(crate) mod duplicates;
mod emodb;
mod emotion_words;
mod emovo;
mod emozionalmente;
mod esd;
mod files;
mod folders;
mod iemocap;
mod import;
mod jl;
mod joined;
mod layout;
mod manifest;
mod meld;
mod msp_improv;
mod nemo;
mod pattern;
mod ravdess;
mod savee;
mod segment;
mod shemo;
mod subesco;
mod synthetic;
mod table;
mod tess;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

pub use duplicates::{Compared, Fingerprint, SameAudio, find_copies, settle_copies};
pub use import::{CorpusFormat, Finding, Import, ImportOptions, Labels, import};
pub use segment::{MAX_SECONDS, Segment};
pub use synthetic::{Mood, SyntheticOptions, synthesise};

use crate::data::text::TextError;

/// The speaker of recordings of which nobody says who speaks. They count as one voice: more cannot be told.
pub const UNKNOWN_SPEAKER: &str = "unknown";

/// One labelled recording, or a labelled part of one.
#[derive(Debug, Clone, PartialEq)]
pub struct Utterance {
    /// The audio file; if relative, below [`Corpus::root`].
    pub path: PathBuf,
    /// Name of the corpus, `emodb` say.
    pub corpus: String,
    /// Who speaks, unique across corpora that are to be joined; or [`UNKNOWN_SPEAKER`].
    pub speaker: String,
    /// Recording session, where the corpus has them.
    pub session: Option<String>,
    /// The speaker's gender, as the corpus writes it.
    pub gender: Option<String>,
    /// The label.
    pub emotion: String,
    /// The part of the file that the label is for; none means the whole file.
    pub segment: Option<Segment>,
    /// The channel of the file, from 0; none means all of them.
    pub channel: Option<u16>,
    /// The part of the corpus that the recording belongs to, as its publisher divided it: train, dev, test.
    pub split: Option<String>,
}

/// Labelled recordings, in a stable order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Corpus {
    /// Where relative paths start.
    pub root: PathBuf,
    /// The recordings; no two of the same path, segment and channel.
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
    /// A table of text cannot be read or understood.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A recording is there more than once.
    #[error("{}: {message}", path.display())]
    Duplicate {
        /// The folder.
        path: PathBuf,
        /// Which recordings.
        message: String,
    },
    /// A pattern that cannot take paths apart.
    #[error("{message}")]
    Pattern {
        /// What is wrong with it.
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

/// Columns of every corpus file.
const COLUMNS: [&str; 6] = ["path", "corpus", "speaker", "session", "gender", "emotion"];

/// Columns of those in which some row says something there.
const MORE_COLUMNS: [&str; 4] = ["start", "end", "channel", "split"];

impl Corpus {
    /// Reads a corpus file, or any table with columns of those meanings. Others are left alone, so that people
    /// may keep notes in them.
    ///
    /// # Errors
    /// [`CorpusError`]: no such file, a missing column, an empty path or emotion, a time that cannot be, a path
    /// named twice with the same segment and channel.
    pub fn read(path: &Path) -> Result<Self, CorpusError> {
        Ok(Self::load(path)?.0)
    }

    /// Like [`read`](Self::read), with what was odd about the file: warnings.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn load(path: &Path) -> Result<(Self, Vec<Finding>), CorpusError> {
        let listed = table::list(path, &BTreeMap::new())?;
        let root = folder_of(path);
        if let Some(error) = listed.unlabelled.into_iter().next() {
            return Err(error.into());
        }
        if let Some((_, error)) = listed.twice.into_iter().next() {
            return Err(error.into());
        }
        let utterances: Vec<Utterance> = listed
            .rows
            .into_iter()
            .map(|r| Utterance {
                path: table::with_slashes(&r.utterance.path, |p| root.join(p).exists()),
                ..r.utterance
            })
            .collect();
        if utterances.is_empty() {
            let message = "the corpus has a header but no recordings".to_owned();
            return Err(CorpusError::Empty {
                path: path.to_owned(),
                message,
            });
        }
        Ok((Self { root, utterances }, listed.findings))
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
            let any = |has: fn(&Utterance) -> bool| self.utterances.iter().any(has);
            let shown = [
                any(|u| u.segment.is_some()),
                any(|u| u.segment.is_some()),
                any(|u| u.channel.is_some()),
                any(|u| u.split.is_some()),
            ];
            let more = |values: [String; 4]| {
                let shown = values.into_iter().zip(shown);
                shown.filter(|(_, s)| *s).map(|(v, _)| v)
            };
            // A name that begins with # must not look like a comment.
            let mut csv = csv::WriterBuilder::new()
                .comment(Some(b'#'))
                .from_writer(file);
            let header = COLUMNS.map(str::to_owned).into_iter();
            csv.write_record(header.chain(more(MORE_COLUMNS.map(str::to_owned))))?;
            for u in &self.utterances {
                let absolute = std::path::absolute(self.resolve(u))?;
                let shown = absolute.strip_prefix(&folder).unwrap_or(&absolute);
                let shown = shown.to_str().ok_or_else(|| {
                    io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("the path {} is not UTF-8: rename it", shown.display()),
                    )
                })?;
                for field in [
                    shown,
                    &u.corpus,
                    &u.speaker,
                    u.session.as_deref().unwrap_or(""),
                    u.gender.as_deref().unwrap_or(""),
                    &u.emotion,
                ] {
                    csv.write_field(field)?;
                }
                let seconds = |s: Option<f64>| s.map_or(String::new(), |s| format!("{s:?}"));
                for field in more([
                    seconds(u.segment.map(|s| s.start_s)),
                    seconds(u.segment.and_then(|s| s.end_s)),
                    u.channel.map_or(String::new(), |c| c.to_string()),
                    u.split.clone().unwrap_or_default(),
                ]) {
                    csv.write_field(field)?;
                }
                csv.write_record(None::<&[u8]>)?;
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
