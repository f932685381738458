//! Corpora whose labels and speakers stand in tables beside the audio.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::import::{Finding, Import};
use super::layout::{Found, Label, drop_copies};
use super::{Corpus, CorpusError, Utterance};
use crate::data::text::{Row, TextError};

/// What a table says of a recording.
pub(super) struct Entry {
    pub emotion: &'static str,
    pub speaker: String,
    pub gender: Option<String>,
    pub split: Option<String>,
    /// File and line, for messages.
    pub place: String,
}

/// The entries by id, and what is wrong with lines that should hold one.
#[derive(Default)]
pub(super) struct Entries {
    pub of: BTreeMap<String, Entry>,
    damaged: Vec<String>,
}

impl Entries {
    /// Takes an entry in, unless there is one of its id.
    ///
    /// # Errors
    /// A second label for a recording.
    pub fn add(&mut self, row: &Row<'_>, id: String, entry: Entry) -> Result<(), TextError> {
        match self.of.get(&id) {
            Some(first) if first.emotion != entry.emotion => Err(row.error(
                None,
                format!(
                    "{id} is {} here but {} in {}; remove the line that is wrong",
                    entry.emotion, first.emotion, first.place
                ),
            )),
            Some(first) => {
                let message = format!("{}: {id} is in {} already", entry.place, first.place);
                self.damaged.push(message);
                Ok(())
            }
            None => {
                self.of.insert(id, entry);
                Ok(())
            }
        }
    }

    /// Notes a line that cannot be understood.
    pub fn reject(&mut self, place: &str, reason: impl std::fmt::Display) {
        self.damaged.push(format!("{place}: {reason}"));
    }
}

/// The table's name below `root` and a line, for messages.
pub(super) fn place(root: &Path, table: &Path, line: u64) -> String {
    let shown = table.strip_prefix(root).unwrap_or(table).display();
    format!("{shown}, line {line}")
}

/// Brings recordings, by path and id, and entries together.
///
/// # Errors
/// [`CorpusError`]: a recording there twice that is not to be dropped, none with an entry.
pub(super) fn join(
    root: &Path,
    corpus: &str,
    audio: Vec<(PathBuf, String)>,
    entries: Entries,
    mut import: Import,
    drop_duplicates: bool,
) -> Result<Found, CorpusError> {
    let Entries { mut of, damaged } = entries;
    let mut first_of: BTreeMap<String, PathBuf> = BTreeMap::new();
    let (mut twice, mut unlabelled, mut utterances) = (Vec::new(), Vec::new(), Vec::new());
    let recordings = audio.len();
    for (file, id) in audio {
        if let Some(first) = first_of.get(&id) {
            twice.push((first.clone(), file));
            continue;
        }
        first_of.insert(id.clone(), file.clone());
        let Some(entry) = of.remove(&id) else {
            unlabelled.push(file.display().to_string());
            continue;
        };
        utterances.push(Utterance {
            path: file.strip_prefix(root).map(Path::to_owned).unwrap_or(file),
            corpus: corpus.to_owned(),
            speaker: format!("{corpus}-{}", entry.speaker),
            session: None,
            gender: entry.gender,
            emotion: entry.emotion.to_owned(),
            segment: None,
            channel: None,
            split: entry.split,
        });
    }
    drop_copies(root, &twice, drop_duplicates, &mut import.left_out)?;
    if utterances.is_empty() {
        let message = format!(
            "none of the {recordings} recordings stands in the tables of labels{}",
            unlabelled
                .first()
                .map_or(String::new(), |f| format!("; {f} does not"))
        );
        return Err(CorpusError::Empty {
            path: root.to_owned(),
            message,
        });
    }
    for (what, examples) in [
        ("label lines cannot be read", damaged),
        ("recordings have no label", unlabelled),
    ] {
        if !examples.is_empty() {
            let what = format!("{} {what}", examples.len());
            import.findings.push(Finding { what, examples });
        }
    }
    import.corpus = Corpus {
        root: root.to_owned(),
        utterances,
    };
    let without_audio = of.into_iter().map(|(id, entry)| Label {
        id,
        emotion: entry.emotion,
        place: entry.place,
    });
    Ok(Found {
        without_audio: without_audio.collect(),
        import,
    })
}
