//! From a folder in a corpus's own layout to a [`Corpus`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::{Corpus, CorpusError, Utterance, emodb, manifest, ravdess};

/// A layout that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum CorpusFormat {
    /// Berlin EMO-DB: names such as 03a01Fa.wav
    Emodb,
    /// RAVDESS speech: names such as 03-01-05-01-02-01-12.wav
    Ravdess,
    /// A CSV file with path, speaker, emotion and, where known, corpus, session, gender
    Manifest,
}

/// Which recordings to take, and what their labels are to be called.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// New names of labels; applied first.
    pub map: BTreeMap<String, String>,
    /// The labels to keep, by their new names; none means all.
    pub labels: Option<BTreeSet<String>>,
    /// Corpus name of manifest rows that have none; none means the folder's name.
    pub corpus: Option<String>,
}

/// What an import found.
#[derive(Debug, Clone)]
pub struct Import {
    /// The recordings taken, by path.
    pub corpus: Corpus,
    /// Audio files whose names the layout does not know, with the reason.
    pub unknown: Vec<(PathBuf, String)>,
    /// Recordings left out, counted by what they are.
    pub left_out: BTreeMap<String, usize>,
}

/// What a file name says.
#[derive(Debug)]
pub(super) enum Recognised {
    Recording(Recording),
    /// Of the corpus, but not for this purpose.
    LeftOut(&'static str),
}

#[derive(Debug)]
pub(super) struct Recording {
    pub speaker: String,
    pub gender: Option<String>,
    pub emotion: String,
}

/// Searches `source` and the folders below it (for a manifest: reads that file, or `manifest.csv` in that folder).
///
/// # Errors
/// [`CorpusError`]: nothing recognised, a recording there twice (as WAV and as FLAC, say), a label in `options`
/// that does not occur, a label or path that breaks the manifest.
pub fn import(
    format: CorpusFormat,
    source: &Path,
    options: &ImportOptions,
) -> Result<Import, CorpusError> {
    let mut import = match format {
        CorpusFormat::Emodb => by_name(source, "emodb", emodb::recognise, emodb::LAYOUT)?,
        CorpusFormat::Ravdess => by_name(source, "ravdess", ravdess::recognise, ravdess::LAYOUT)?,
        CorpusFormat::Manifest => Import {
            corpus: manifest::read(source, options.corpus.as_deref())?,
            unknown: Vec::new(),
            left_out: BTreeMap::new(),
        },
    };
    select(source, &mut import, options)?;
    Ok(import)
}

fn by_name(
    root: &Path,
    corpus: &str,
    recognise: fn(&str) -> Result<Recognised, String>,
    layout: &str,
) -> Result<Import, CorpusError> {
    let files = audio_files(root)?;
    let mut utterances = Vec::new();
    let (mut unknown, mut left_out) = (Vec::new(), BTreeMap::new());
    let mut seen: HashMap<String, PathBuf> = HashMap::new();
    let mut twice = Vec::new();
    for file in files {
        let stem = file
            .file_stem()
            .map(|s| s.to_string_lossy().into_owned())
            .unwrap_or_default();
        match recognise(&stem) {
            Err(reason) => unknown.push((file, reason)),
            Ok(Recognised::LeftOut(what)) => *left_out.entry(what.to_owned()).or_insert(0) += 1,
            Ok(Recognised::Recording(r)) => {
                if let Some(first) = seen.get(&stem) {
                    twice.push((first.clone(), file));
                    continue;
                }
                seen.insert(stem, file.clone());
                let path = file.strip_prefix(root).map(Path::to_owned).unwrap_or(file);
                utterances.push(Utterance {
                    path,
                    corpus: corpus.to_owned(),
                    speaker: r.speaker,
                    session: None,
                    gender: r.gender,
                    emotion: r.emotion,
                });
            }
        }
    }
    if let Some((first, second)) = twice.first() {
        let message = format!(
            "{} recordings are there twice, such as {} and {}; point at a folder that has each once",
            twice.len(),
            first.display(),
            second.display()
        );
        return Err(CorpusError::Duplicate {
            path: root.to_owned(),
            message,
        });
    }
    if utterances.is_empty() {
        let message = match unknown.first() {
            None => format!("no WAV or FLAC files in this folder or below; {corpus} has {layout}"),
            Some((file, reason)) => format!(
                "none of the {} audio files is one of {corpus}, which has {layout}; {}: {reason}",
                unknown.len(),
                file.display()
            ),
        };
        return Err(CorpusError::Empty {
            path: root.to_owned(),
            message,
        });
    }
    Ok(Import {
        corpus: Corpus {
            root: root.to_owned(),
            utterances,
        },
        unknown,
        left_out,
    })
}

/// Renames and selects labels. A label that does not occur is a slip of the pen and is refused.
fn select(source: &Path, import: &mut Import, options: &ImportOptions) -> Result<(), CorpusError> {
    let check = |asked: Vec<&String>, there: &BTreeSet<String>| match asked
        .into_iter()
        .find(|a| !there.contains(*a))
    {
        None => Ok(()),
        Some(label) => Err(CorpusError::UnknownLabel {
            path: source.to_owned(),
            label: label.clone(),
            found: there.iter().cloned().collect::<Vec<_>>().join(", "),
        }),
    };
    let labels = |c: &Corpus| {
        c.utterances
            .iter()
            .map(|u| u.emotion.clone())
            .collect::<BTreeSet<_>>()
    };
    check(options.map.keys().collect(), &labels(&import.corpus))?;
    for u in &mut import.corpus.utterances {
        if let Some(new) = options.map.get(&u.emotion) {
            u.emotion.clone_from(new);
        }
    }
    if let Some(keep) = &options.labels {
        check(keep.iter().collect(), &labels(&import.corpus))?;
        let left_out = &mut import.left_out;
        import.corpus.utterances.retain(|u| {
            let kept = keep.contains(&u.emotion);
            if !kept {
                *left_out.entry(u.emotion.clone()).or_insert(0) += 1;
            }
            kept
        });
    }
    Ok(())
}

/// Deepest nesting that is searched: beyond any corpus, but an end to a link that leads back up.
const MAX_DEPTH: usize = 32;

/// The `.wav` and `.flac` files in `root` and below, sorted by path; hidden files and folders are passed over.
fn audio_files(root: &Path) -> Result<Vec<PathBuf>, CorpusError> {
    fn visit(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), CorpusError> {
        let io = |source| CorpusError::Io {
            path: folder.to_owned(),
            action: "read",
            source,
        };
        if depth > MAX_DEPTH {
            let message = format!("more than {MAX_DEPTH} folders deep; does a link lead back up?");
            return Err(CorpusError::Empty {
                path: folder.to_owned(),
                message,
            });
        }
        for entry in std::fs::read_dir(folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            let path = entry.path();
            if path.is_dir() {
                visit(&path, depth + 1, files)?;
            } else if path
                .extension()
                .is_some_and(|e| e.eq_ignore_ascii_case("wav") || e.eq_ignore_ascii_case("flac"))
            {
                files.push(path);
            }
        }
        Ok(())
    }
    let mut files = Vec::new();
    visit(root, 0, &mut files)?;
    files.sort();
    Ok(files)
}
