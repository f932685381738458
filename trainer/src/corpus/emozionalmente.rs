//! Emozionalmente (Catania, Wilke & Garzotto 2025): 6902 recordings of 431 amateurs who speak Italian in seven emotions; CC BY 4.0.
//!
//! `metadata/samples.csv` has `file_name`, `actor` and `emotion_expressed`, `metadata/users.csv` has `username` and `gender`; the
//! recordings lie in `audio/`. The counts are those of zenodo.org/records/6569824, the names of files and columns those of
//! nkululeko's reader.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::CorpusError;
use super::counts::Whole;
use super::files::{files_below, is_audio};
use super::import::Import;
use super::joined::{Entries, Entry, join, place};
use super::layout::{Found, listed};
use crate::data::text::TextTable;

/// The publishers give the number of recordings, not that of each emotion.
pub(super) const WHOLE: Whole = Whole::total_only("Emozionalmente", 6902);

const EMOTIONS: [(&str, &str); 7] = [
    ("anger", "angry"),
    ("disgust", "disgusted"),
    ("fear", "fearful"),
    ("joy", "happy"),
    ("neutrality", "neutral"),
    ("sadness", "sad"),
    ("surprise", "surprised"),
];

const SAMPLES: &str = "samples.csv";
const USERS: &str = "users.csv";

fn name_of(file: &Path) -> String {
    file.file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Reads the corpus below `root`.
///
/// # Errors
/// [`CorpusError`]: no audio, no `samples.csv`, a table that cannot be understood, two labels for one recording.
pub(super) fn read(root: &Path, drop_duplicates: bool) -> Result<Found, CorpusError> {
    let is_table = |p: &Path| [SAMPLES, USERS].contains(&name_of(p).as_str());
    let below = files_below(root, &|p| is_audio(p) || is_table(p))?;
    let mut import = Import::default();
    import.findings.extend(below.finding());
    let (audio, tables): (Vec<_>, Vec<_>) = below.files.into_iter().partition(|p| is_audio(p));
    let find = |name: &str| tables.iter().find(|t| name_of(t) == name);
    let missing = match (find(SAMPLES), audio.is_empty()) {
        (None, _) => {
            Some("no metadata/samples.csv, which holds the labels, in this folder or below")
        }
        (_, true) => Some("no WAV or FLAC files in this folder or below"),
        _ => None,
    };
    if let Some(message) = missing {
        return Err(CorpusError::Empty {
            path: root.to_owned(),
            message: message.to_owned(),
        });
    }
    let genders = find(USERS)
        .map(|t| genders(t))
        .transpose()?
        .unwrap_or_default();
    let mut entries = Entries::default();
    if let Some(samples) = find(SAMPLES) {
        read_samples(root, samples, &genders, &mut entries)?;
    }
    let recordings: Vec<(PathBuf, String)> = audio
        .into_iter()
        .map(|file| {
            let id = name_of(&file);
            (file, id)
        })
        .collect();
    join(
        root,
        "emozionalmente",
        recordings,
        entries,
        import,
        drop_duplicates,
    )
}

fn genders(file: &Path) -> Result<HashMap<String, String>, CorpusError> {
    let mut table = TextTable::open(file)?;
    let (user, gender) = (table.column("username")?, table.column("gender")?);
    let mut genders = HashMap::new();
    while let Some(row) = table.next_row()? {
        if let Some(gender) = row.known(Some(gender)) {
            let short = match gender.to_lowercase().as_str() {
                "female" | "f" => "F",
                "male" | "m" => "M",
                _ => gender,
            };
            genders.insert(row.get(user).to_owned(), short.to_owned());
        }
    }
    Ok(genders)
}

fn read_samples(
    root: &Path,
    file: &Path,
    genders: &HashMap<String, String>,
    entries: &mut Entries,
) -> Result<(), CorpusError> {
    let mut table = TextTable::open(file)?;
    let (name, actor) = (table.column("file_name")?, table.column("actor")?);
    let emotion = table.column("emotion_expressed")?;
    while let Some(row) = table.next_row()? {
        let place = place(root, file, row.line);
        match listed(&EMOTIONS, &row.get(emotion).to_lowercase()) {
            Err(reason) => entries.reject(&place, reason),
            Ok(emotion) => {
                let actor = row.get(actor);
                let entry = Entry {
                    emotion,
                    speaker: actor.to_owned(),
                    gender: genders.get(actor).cloned(),
                    split: None,
                    place,
                };
                let id = name_of(Path::new(row.get(name)));
                entries.add(&row, id, entry)?;
            }
        }
    }
    Ok(())
}
