//! nEMO (Christop 2024): 4481 recordings of nine Polish actors in six emotions; CC BY-NC-SA 4.0.
//!
//! `SB0_anger_12` is speaker SB0, anger, sentence 12, as the README of github.com/amu-cai/nEMO says
//! (`samples/{speaker_id}_{emotion}_{sentence_id}.wav`). Its `data.tsv` repeats this and adds gender, which is not
//! read here.

use super::counts::Whole;
use super::layout::{Layout, Recognised, Recording, listed};

pub(super) const LAYOUT: Layout = Layout {
    corpus: "nemo",
    names: "names such as SB0_anger_12.wav (speaker, emotion, sentence)",
    recognise,
    faulty: &[],
    labels: None,
};

/// The paper gives the number of recordings, not that of each emotion.
pub(super) const WHOLE: Whole = Whole::total_only("nEMO", 4481);

const EMOTIONS: [(&str, &str); 6] = [
    ("anger", "angry"),
    ("fear", "fearful"),
    ("happiness", "happy"),
    ("neutral", "neutral"),
    ("sadness", "sad"),
    ("surprised", "surprised"),
];

fn recognise(stem: &str, _folder: &str) -> Result<Recognised, String> {
    let parts: Vec<&str> = stem.split('_').collect();
    let [speaker, emotion, sentence] = parts[..] else {
        return Err("the name has not the three parts of an nEMO name".to_owned());
    };
    let plain = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphanumeric());
    if !plain(speaker) || !plain(sentence) {
        return Err("speaker or sentence is empty or has marks in it".to_owned());
    }
    Ok(Recognised::Recording(Recording {
        id: stem.to_owned(),
        speaker: format!("nemo-{speaker}"),
        session: None,
        gender: None,
        emotion: Some(listed(&EMOTIONS, emotion)?),
        split: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_corpus_are_understood_and_others_are_not() {
        let Ok(Recognised::Recording(r)) = recognise("SB0_surprised_7", "samples") else {
            panic!("a recording")
        };
        assert_eq!(
            (r.speaker.as_str(), r.emotion),
            ("nemo-SB0", Some("surprised"))
        );
        for name in [
            "",
            "SB0_anger",
            "SB0_rage_1",
            "_anger_1",
            "SB0_anger_1_2",
            "é_anger_",
        ] {
            assert!(recognise(name, "").is_err(), "{name}");
        }
    }
}
