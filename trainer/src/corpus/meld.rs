//! MELD (Poria et al. 2019): 13708 utterances of the television series Friends in seven emotions, divided into train, dev and test.
//! The annotations are under GPL-3.0, as far as is remembered; the sound is of the series.
//!
//! `train_sent_emo.csv`, `dev_sent_emo.csv` and `test_sent_emo.csv` have the columns `Dialogue_ID`, `Utterance_ID`, `Emotion` and
//! `Speaker`. The videos are `dia0_utt3.mp4` in `train_splits`, `dev_splits_complete` and `output_repeated_splits_test`, as the README
//! of github.com/declare-lab/MELD and published readers of the corpus have it; their sound tracks must be WAV or FLAC files of the same
//! name, in folders with train, dev or test in their names, since numbers repeat.

use std::path::Path;
use std::sync::LazyLock;

use regex_lite::Regex;

use super::CorpusError;
use super::counts::Whole;
use super::files::{files_below, is_audio, stem};
use super::import::Import;
use super::joined::{Entries, Entry, join, place};
use super::layout::{Found, listed};
use crate::data::text::TextTable;

/// The README's table, as remembered; the parts add up to its 9989, 1109 and 2610.
pub(super) const WHOLE: Whole = Whole {
    name: "MELD",
    group: "split",
    groups: &SPLITS,
    group_of: |u| u.split.clone(),
    counts: &[
        ("angry", &[1109, 153, 345]),
        ("disgusted", &[271, 22, 68]),
        ("fearful", &[268, 40, 50]),
        ("happy", &[1743, 163, 402]),
        ("neutral", &[4710, 470, 1256]),
        ("sad", &[683, 111, 208]),
        ("surprised", &[1205, 150, 281]),
    ],
    total: 13_708,
};

const SPLITS: [&str; 3] = ["train", "dev", "test"];

const EMOTIONS: [(&str, &str); 7] = [
    ("anger", "angry"),
    ("disgust", "disgusted"),
    ("fear", "fearful"),
    ("joy", "happy"),
    ("neutral", "neutral"),
    ("sadness", "sad"),
    ("surprise", "surprised"),
];

const TABLE: &str = "_sent_emo.csv";

static NAME: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^dia(\d{1,5})_utt(\d{1,5})$").ok());

fn id(split: &str, dialogue: &str, utterance: &str) -> String {
    format!("{split}/dia{dialogue}_utt{utterance}")
}

/// Which part a table holds, by its name.
fn table_split(file: &Path) -> Option<&'static str> {
    let name = file.file_name()?.to_str()?.to_ascii_lowercase();
    SPLITS
        .into_iter()
        .find(|s| name.strip_prefix(s) == Some(TABLE))
}

/// Reads the corpus below `root`.
///
/// # Errors
/// [`CorpusError`]: no audio, no tables, a table that cannot be understood, two labels for one utterance.
pub(super) fn read(root: &Path, drop_duplicates: bool) -> Result<Found, CorpusError> {
    let below = files_below(root, &|p| is_audio(p) || table_split(p).is_some())?;
    let mut import = Import::default();
    import.findings.extend(below.finding());
    let (audio, tables): (Vec<_>, Vec<_>) = below.files.into_iter().partition(|p| is_audio(p));
    let mut recordings = Vec::new();
    for file in audio {
        match recognise(root, &file) {
            Ok(id) => recordings.push((file, id)),
            Err(reason) => import.unknown.push((file, reason.to_owned())),
        }
    }
    let missing = if recordings.is_empty() {
        Some(
            "no WAV or FLAC file of the names of MELD (train_splits/dia0_utt0.wav) in this folder or below; the corpus comes as video: \
             convert each with ffmpeg -i dia0_utt0.mp4 -ac 1 -ar 16000 dia0_utt0.wav",
        )
    } else if tables.is_empty() {
        Some(
            "no label file (train_sent_emo.csv, dev_sent_emo.csv, test_sent_emo.csv) in this folder or below",
        )
    } else {
        None
    };
    if let Some(message) = missing {
        return Err(CorpusError::Empty {
            path: root.to_owned(),
            message: message.to_owned(),
        });
    }
    let mut entries = Entries::default();
    for file in &tables {
        if let Some(split) = table_split(file) {
            read_table(root, file, split, &mut entries)?;
        }
    }
    join(root, "meld", recordings, entries, import, drop_duplicates)
}

/// Id of the recording, with its part by the nearest folder that names one.
fn recognise(root: &Path, file: &Path) -> Result<String, &'static str> {
    let name = stem(file);
    let parts = NAME.as_ref().and_then(|n| n.captures(&name));
    let (Some(dialogue), Some(utterance)) = (
        parts.as_ref().and_then(|p| p.get(1)),
        parts.as_ref().and_then(|p| p.get(2)),
    ) else {
        return Err("the name has not the form of a MELD utterance, dia0_utt0");
    };
    let below = file.strip_prefix(root).unwrap_or(file);
    let split = below.ancestors().skip(1).find_map(|folder| {
        let name = folder.file_name()?.to_string_lossy().to_lowercase();
        SPLITS.into_iter().find(|s| name.contains(s))
    });
    let split = split.ok_or("no folder above it says whether it is of train, dev or test")?;
    Ok(id(split, dialogue.as_str(), utterance.as_str()))
}

fn read_table(
    root: &Path,
    file: &Path,
    split: &str,
    entries: &mut Entries,
) -> Result<(), CorpusError> {
    let mut table = TextTable::open(file)?;
    let dialogue = table.column("Dialogue_ID")?;
    let utterance = table.column("Utterance_ID")?;
    let (emotion, speaker) = (table.column("Emotion")?, table.column("Speaker")?);
    while let Some(row) = table.next_row()? {
        let place = place(root, file, row.line);
        match listed(&EMOTIONS, &row.get(emotion).to_lowercase()) {
            Err(reason) => entries.reject(&place, reason),
            Ok(emotion) => {
                let id = id(split, row.get(dialogue), row.get(utterance));
                let entry = Entry {
                    emotion,
                    speaker: row.known(Some(speaker)).unwrap_or("unnamed").to_owned(),
                    gender: None,
                    split: Some(split.to_owned()),
                    place,
                };
                entries.add(&row, id, entry)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_add_up_to_the_published_ones() {
        let of_part = |i: usize| WHOLE.counts.iter().map(|(_, n)| n[i]).sum::<usize>();
        assert_eq!([of_part(0), of_part(1), of_part(2)], [9989, 1109, 2610]);
        assert_eq!(of_part(0) + of_part(1) + of_part(2), WHOLE.total);
    }
}
