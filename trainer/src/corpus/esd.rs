//! ESD (Zhou et al. 2021, 2022): 350 sentences in five emotions by each of ten speakers of Mandarin (0001 … 0010) and ten of
//! English (0011 … 0020); for research only.
//!
//! `0011_000351` is speaker 0011, utterance 351: each speaker's 1750 are 350 neutral ones, then angry, happy, sad and surprised (as
//! remembered; published file lists agree where they were seen). Where the folder is named after an emotion, it must agree;
//! folders `train`, `evaluation` and `test` give the split. Genders are those of the corpus's README.

use super::counts::Whole;
use super::layout::{Layout, Recognised, Recording};

pub(super) const LAYOUT: Layout = Layout {
    corpus: "esd",
    names: "names such as 0011_000351.wav (speaker, utterance)",
    recognise,
    faulty: &[],
    labels: None,
};

pub(super) const WHOLE: Whole = Whole {
    name: "ESD",
    group: "speaker",
    groups: &[
        "esd-0001", "esd-0002", "esd-0003", "esd-0004", "esd-0005", "esd-0006", "esd-0007",
        "esd-0008", "esd-0009", "esd-0010", "esd-0011", "esd-0012", "esd-0013", "esd-0014",
        "esd-0015", "esd-0016", "esd-0017", "esd-0018", "esd-0019", "esd-0020",
    ],
    group_of: |u| Some(u.speaker.clone()),
    counts: &[
        ("angry", &[SENTENCES; 20]),
        ("happy", &[SENTENCES; 20]),
        ("neutral", &[SENTENCES; 20]),
        ("sad", &[SENTENCES; 20]),
        ("surprised", &[SENTENCES; 20]),
    ],
    total: 35_000,
};

/// Sentences of each speaker and emotion.
const SENTENCES: usize = 350;

/// In the order of the utterances' numbers; with the names of the folders.
const EMOTIONS: [(&str, &str); 5] = [
    ("neutral", "neutral"),
    ("angry", "angry"),
    ("happy", "happy"),
    ("sad", "sad"),
    ("surprise", "surprised"),
];

/// The women.
const WOMEN: [usize; 10] = [1, 2, 3, 7, 9, 15, 16, 17, 18, 19];

const SPEAKERS: usize = 20;

fn recognise(stem: &str, folder: &str) -> Result<Recognised, String> {
    let form = || "the name has not the form of an ESD name, 0011_000351".to_owned();
    let (speaker, utterance) = stem.split_once('_').ok_or_else(form)?;
    let number = |text: &str, digits: usize| {
        let all = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
        all.then(|| text.parse::<usize>().ok()).flatten()
    };
    let (Some(who), Some(which)) = (number(speaker, 4), number(utterance, 6)) else {
        return Err(form());
    };
    if !(1..=SPEAKERS).contains(&who) {
        return Err(format!(
            "{speaker:?} is no speaker, who go from 0001 to 0020"
        ));
    }
    let emotion = which.checked_sub(1).map(|w| w / SENTENCES);
    let Some((name, label)) = emotion.and_then(|e| EMOTIONS.get(e)) else {
        return Err(format!(
            "{utterance:?} is no utterance, which go from 000001 to 001750"
        ));
    };
    let folder = folder.to_lowercase();
    if EMOTIONS.iter().any(|(n, _)| *n == folder) && folder != *name {
        return Err(format!(
            "utterance {utterance} is {label}, but lies in the folder {folder:?}"
        ));
    }
    let split = matches!(folder.as_str(), "train" | "evaluation" | "test").then_some(folder);
    Ok(Recognised::Recording(Recording {
        id: stem.to_owned(),
        speaker: format!("esd-{speaker}"),
        session: None,
        gender: Some(if WOMEN.contains(&who) { "F" } else { "M" }.to_owned()),
        emotion: Some(label),
        split,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_tell_the_emotion_and_folders_must_agree() {
        for (name, folder, label, split) in [
            ("0001_000001", "Neutral", "neutral", None),
            ("0001_000350", "Neutral", "neutral", None),
            ("0001_000351", "train", "angry", Some("train")),
            ("0020_001750", "test", "surprised", Some("test")),
            ("0015_001100", "Sad", "sad", None),
        ] {
            let Ok(Recognised::Recording(r)) = recognise(name, folder) else {
                panic!("{name} is a recording")
            };
            assert_eq!(
                (r.emotion, r.split.as_deref()),
                (Some(label), split),
                "{name}"
            );
        }
        for (name, folder) in [
            ("0001_000001", "Angry"),
            ("0021_000001", ""),
            ("0001_001751", ""),
            ("0001_000000", ""),
            ("001_000001", ""),
            ("0001_00001", ""),
            ("", ""),
        ] {
            assert!(recognise(name, folder).is_err(), "{name} in {folder}");
        }
    }
}
