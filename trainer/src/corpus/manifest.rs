//! Any labelled recordings: a CSV file with path, speaker, emotion and, where known, corpus, session and gender.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{Corpus, CorpusError, CsvRows, Utterance, folder_of};

/// Name of the file when a folder is given.
const FILE_NAME: &str = "manifest.csv";

/// Reads a manifest; relative paths in it start from its own folder. Where it has no corpus column, the
/// recordings belong to `corpus`.
///
/// # Errors
/// [`CorpusError`] naming line and column: a missing column or field, a recording that is not there, one that
/// is named twice.
pub(super) fn read(source: &Path, corpus: Option<&str>) -> Result<Corpus, CorpusError> {
    let file = if source.is_dir() {
        source.join(FILE_NAME)
    } else {
        source.to_owned()
    };
    let root = folder_of(&file);
    let rows = CsvRows::open(&file)?;
    let (path, speaker, emotion) = (
        rows.column("path")?,
        rows.column("speaker")?,
        rows.column("emotion")?,
    );
    let (corpus_column, session, gender) = (
        rows.find("corpus"),
        rows.find("session"),
        rows.find("gender"),
    );
    let fallback = corpus.map_or_else(|| folder_name(&root), str::to_owned);

    let mut utterances = Vec::new();
    let mut seen: HashMap<PathBuf, u64> = HashMap::new();
    for row in rows.rows() {
        let row = row?;
        let recording = PathBuf::from(row.required(path, "path")?);
        if !root.join(&recording).is_file() {
            let message = format!(
                "there is no file {} (relative paths start from {})",
                recording.display(),
                root.display()
            );
            return Err(row.error(Some("path"), message));
        }
        if let Some(first) = seen.insert(recording.clone(), row.line) {
            let message = format!("{} stands in line {first} already", recording.display());
            return Err(row.error(Some("path"), message));
        }
        utterances.push(Utterance {
            path: recording,
            corpus: row
                .optional(corpus_column)
                .unwrap_or_else(|| fallback.clone()),
            speaker: row.required(speaker, "speaker")?,
            session: row.optional(session),
            gender: row.optional(gender),
            emotion: row.required(emotion, "emotion")?,
        });
    }
    if utterances.is_empty() {
        let message = "the manifest has a header but no recordings".to_owned();
        return Err(CorpusError::Empty {
            path: file,
            message,
        });
    }
    Ok(Corpus { root, utterances })
}

fn folder_name(folder: &Path) -> String {
    std::path::absolute(folder)
        .ok()
        .and_then(|f| f.file_name().map(|n| n.to_string_lossy().into_owned()))
        .unwrap_or_else(|| "manifest".to_owned())
}
