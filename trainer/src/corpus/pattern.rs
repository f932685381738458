//! Recordings whose paths a regular expression takes apart.

use std::path::Path;

use super::files::{files_below, is_audio};
use super::import::{Import, ImportOptions};
use super::manifest::folder_name;
use super::table::unknown_speakers;
use super::{Corpus, CorpusError, UNKNOWN_SPEAKER, Utterance};

/// Names that groups of the pattern may have.
const GROUPS: [&str; 6] = ["speaker", "emotion", "session", "gender", "corpus", "split"];

/// Reads the recordings of `root` whose path below it, with slashes between folders, the pattern matches somewhere.
///
/// # Errors
/// [`CorpusError`]: no pattern or one without a group for the emotion, groups of other names, no match.
pub(super) fn read(root: &Path, options: &ImportOptions) -> Result<Import, CorpusError> {
    let refuse = |message: String| CorpusError::Pattern { message };
    let example = "such as '(?<speaker>[^/_]+)_(?<emotion>[a-z]+)'";
    let Some(pattern) = &options.pattern else {
        return Err(refuse(format!("corpus pattern needs --pattern, {example}")));
    };
    for name in pattern.capture_names().flatten() {
        if !GROUPS.contains(&name) {
            return Err(refuse(format!(
                "the pattern's group \"{name}\" is none of {}",
                GROUPS.join(", ")
            )));
        }
    }
    if !pattern.capture_names().flatten().any(|n| n == "emotion") {
        return Err(refuse(format!(
            "the pattern has no group for the emotion: name it (?<emotion>…), {example}"
        )));
    }
    let below = files_below(root, &is_audio)?;
    let mut import = Import::default();
    import.findings.extend(below.finding());
    let corpus = options.corpus.clone().unwrap_or_else(|| folder_name(root));
    let mut utterances = Vec::new();
    let mut nobody = Vec::new();
    for file in below.files {
        let path = file.strip_prefix(root).map(Path::to_owned).unwrap_or(file);
        let parts: Vec<_> = path.iter().map(|p| p.to_string_lossy()).collect();
        let text = parts.join("/");
        let found = pattern.captures(&text);
        let group = |name: &str| {
            let text = found.as_ref()?.name(name)?.as_str().trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        let Some(emotion) = group("emotion") else {
            let reason = match &found {
                None => "the pattern does not match",
                Some(_) => "the pattern finds no emotion in it",
            };
            import.unknown.push((path, reason.to_owned()));
            continue;
        };
        let speaker = group("speaker");
        if speaker.is_none() {
            nobody.push(utterances.len() as u64 + 1);
        }
        utterances.push(Utterance {
            corpus: group("corpus").unwrap_or_else(|| corpus.clone()),
            speaker: speaker.unwrap_or_else(|| UNKNOWN_SPEAKER.to_owned()),
            session: group("session"),
            gender: group("gender"),
            emotion,
            segment: None,
            channel: None,
            split: group("split"),
            path,
        });
    }
    if utterances.is_empty() {
        let message = match import.unknown.first() {
            None => "no WAV or FLAC files in this folder or below".to_owned(),
            Some((file, reason)) => format!(
                "none of the {} audio files fits the pattern; {}: {reason}",
                import.unknown.len(),
                file.display()
            ),
        };
        return Err(CorpusError::Empty {
            path: root.to_owned(),
            message,
        });
    }
    import
        .findings
        .extend(unknown_speakers(&nobody, utterances.len()));
    import.corpus = Corpus {
        root: root.to_owned(),
        utterances,
    };
    Ok(import)
}
