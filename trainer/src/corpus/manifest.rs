//! Any labelled recordings: a table with path and label and, where known, speaker, corpus, session, gender, start,
//! end, channel and split.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::import::{Import, ImportOptions};
use super::table::{self, Listed};
use super::{Corpus, CorpusError, Finding, Utterance, folder_of};
use crate::data::text::TextError;

/// Name of the file when a folder is given.
const FILE_NAME: &str = "manifest.csv";

/// Missing recordings that are named.
const SHOWN: usize = 10;

/// Reads a manifest; relative paths in it start from its own folder, or else from `options.root`. Where it has
/// no corpus column, the recordings belong to `options.corpus`.
///
/// # Errors
/// [`CorpusError`] naming line and column: a missing column or field, recordings that are not there, one that is
/// named twice.
pub(super) fn read(source: &Path, options: &ImportOptions) -> Result<Import, CorpusError> {
    let file = if source.is_dir() {
        source.join(FILE_NAME)
    } else {
        source.to_owned()
    };
    let root = folder_of(&file);
    let mut listed = table::list(&file, &options.columns)?;
    let mut import = Import {
        findings: std::mem::take(&mut listed.findings),
        notes: std::mem::take(&mut listed.notes),
        ..Import::default()
    };
    settle(&mut listed, options, &mut import)?;
    let places = Places {
        root: &root,
        other: options.root.as_deref(),
    };
    let fallback = options.corpus.clone().unwrap_or_else(|| folder_name(&root));
    let (mut utterances, mut missing) = (Vec::new(), Vec::new());
    let mut known: HashSet<PathBuf> = HashSet::new();
    for row in listed.rows {
        let mut u = row.utterance;
        match places.find(&u.path, &mut known) {
            Some(path) => u.path = path,
            None => missing.push((row.line, u.path.clone())),
        }
        if u.corpus.is_empty() {
            u.corpus.clone_from(&fallback);
        }
        utterances.push(u);
    }
    if !missing.is_empty() {
        return Err(places.missing(&file, &missing, utterances.len()).into());
    }
    if utterances.is_empty() {
        let message = "the manifest has a header but no recordings with a label".to_owned();
        return Err(CorpusError::Empty {
            path: file,
            message,
        });
    }
    import.corpus = Corpus { root, utterances };
    Ok(import)
}

/// Rows that are there twice are dropped if that is asked for and refused otherwise; rows without a label are
/// left out.
fn settle(
    listed: &mut Listed,
    options: &ImportOptions,
    import: &mut Import,
) -> Result<(), CorpusError> {
    for (twice, error) in listed.twice.drain(..) {
        let first = &listed.rows[twice.first].utterance;
        let said = |u: &Utterance| (u.emotion.clone(), u.speaker.clone());
        if !options.drop_duplicates || said(first) != said(&twice.utterance) {
            return Err(error.into());
        }
        let what = "named twice in the table".to_owned();
        *import.left_out.entry(what).or_insert(0) += 1;
    }
    if !listed.unlabelled.is_empty() {
        import.findings.push(Finding {
            what: format!(
                "{} rows have no label and are left out",
                listed.unlabelled.len()
            ),
            examples: listed.unlabelled.drain(..).map(|e| e.to_string()).collect(),
        });
    }
    Ok(())
}

/// Where recordings may lie.
struct Places<'a> {
    /// The table's folder.
    root: &'a Path,
    /// `--root`.
    other: Option<&'a Path>,
}

impl Places<'_> {
    /// The path as the corpus is to name it, if there is such a file. `known` are paths that were found before.
    fn find(&self, path: &Path, known: &mut HashSet<PathBuf>) -> Option<PathBuf> {
        let mut is_file = |p: PathBuf| known.contains(&p) || (p.is_file() && known.insert(p));
        let slashed = table::with_slashes(path, |_| false);
        for path in [path, &slashed] {
            if is_file(self.root.join(path)) {
                return Some(path.to_owned());
            }
            let other = self.other.map(|o| o.join(path));
            if let Some(other) = other
                && is_file(other.clone())
            {
                return std::path::absolute(&other).ok();
            }
        }
        None
    }

    /// The error about recordings that are not there.
    fn missing(&self, file: &Path, missing: &[(u64, PathBuf)], rows: usize) -> TextError {
        let (line, first) = &missing[0];
        let looked = match self.other {
            None => format!("relative paths start from {}", self.root.display()),
            Some(other) => format!(
                "relative paths start from {} or {}",
                self.root.display(),
                other.display()
            ),
        };
        let text = first.to_string_lossy();
        let drive = text.as_bytes().get(1) == Some(&b':') || text.starts_with("\\\\");
        let remedy = if let Some(near) = self.nearby(first) {
            format!("; there is {near}")
        } else if drive || first.is_absolute() {
            "; make the paths relative to the table's folder or to --root DIR".to_owned()
        } else if self.other.is_none() {
            "; name the folder that they start from with --root DIR".to_owned()
        } else {
            String::new()
        };
        let mut message = format!("there is no file {text} ({looked}){remedy}");
        if missing.len() > 1 {
            let lines: Vec<String> = missing
                .iter()
                .take(SHOWN)
                .map(|(line, path)| format!("\n  line {line}: {}", path.display()))
                .collect();
            message.push_str(&format!(
                "\n{} of {rows} recordings are not there:{}",
                missing.len(),
                lines.concat()
            ));
            if missing.len() > SHOWN {
                message.push_str("\n  …");
            }
        }
        TextError::Line {
            path: file.to_owned(),
            line: *line,
            column: Some("path".to_owned()),
            message,
        }
    }

    /// A file of the same name in other case or with an extension.
    fn nearby(&self, path: &Path) -> Option<String> {
        let path = table::with_slashes(path, |_| false);
        let wanted = path.file_name()?.to_string_lossy().to_lowercase();
        for root in [Some(self.root), self.other].into_iter().flatten() {
            let full = root.join(&path);
            let entries = full.parent()?.read_dir().into_iter().flatten().flatten();
            for entry in entries {
                let name = entry.file_name().to_string_lossy().into_owned();
                let lower = name.to_lowercase();
                if lower == wanted
                    || lower
                        .strip_prefix(&wanted)
                        .is_some_and(|r| r.starts_with('.'))
                {
                    return Some(name);
                }
            }
        }
        None
    }
}

pub(super) fn folder_name(folder: &Path) -> String {
    std::path::absolute(folder)
        .ok()
        .and_then(|f| f.file_name().map(|n| n.to_string_lossy().into_owned()))
        .unwrap_or_else(|| "manifest".to_owned())
}
