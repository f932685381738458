//! EMOVO (Costantini et al. 2014): 588 recordings of six Italian actors, fourteen sentences in seven emotions; free for research.
//!
//! `dis-m3-b1` is disgust, speaker m3, sentence b1, as the description that comes with the corpus says (read in the README of
//! github.com/DagsHub/audio-datasets).

use super::counts::Whole;
use super::layout::{Layout, Recognised, Recording, listed};

pub(super) const LAYOUT: Layout = Layout {
    corpus: "emovo",
    names: "names such as dis-f1-b1.wav (emotion, speaker, sentence)",
    recognise,
    faulty: &[],
    labels: None,
};

pub(super) const WHOLE: Whole = Whole {
    name: "EMOVO",
    group: "speaker",
    groups: &[
        "emovo-f1", "emovo-f2", "emovo-f3", "emovo-m1", "emovo-m2", "emovo-m3",
    ],
    group_of: |u| Some(u.speaker.clone()),
    counts: &[
        ("angry", &[14; 6]),
        ("disgusted", &[14; 6]),
        ("fearful", &[14; 6]),
        ("happy", &[14; 6]),
        ("neutral", &[14; 6]),
        ("sad", &[14; 6]),
        ("surprised", &[14; 6]),
    ],
    total: 588,
};

/// Italian: disgusto, gioia, neutro, paura, rabbia, sorpresa, tristezza.
const EMOTIONS: [(&str, &str); 7] = [
    ("dis", "disgusted"),
    ("gio", "happy"),
    ("neu", "neutral"),
    ("pau", "fearful"),
    ("rab", "angry"),
    ("sor", "surprised"),
    ("tri", "sad"),
];

fn recognise(stem: &str, _folder: &str) -> Result<Recognised, String> {
    let parts: Vec<&str> = stem.split('-').collect();
    let [emotion, speaker, sentence] = parts[..] else {
        return Err("the name has not the three parts of an EMOVO name".to_owned());
    };
    let gender = match speaker {
        "f1" | "f2" | "f3" => "F",
        "m1" | "m2" | "m3" => "M",
        _ => {
            return Err(format!(
                "{speaker:?} is none of the speakers f1 f2 f3 m1 m2 m3"
            ));
        }
    };
    if !matches!(sentence.as_bytes(), [letter, digit] if letter.is_ascii_lowercase() && digit.is_ascii_digit())
    {
        return Err(format!("{sentence:?} is no sentence, such as b1"));
    }
    Ok(Recognised::Recording(Recording {
        id: stem.to_owned(),
        speaker: format!("emovo-{speaker}"),
        session: None,
        gender: Some(gender.to_owned()),
        emotion: Some(listed(&EMOTIONS, emotion)?),
        split: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_corpus_are_understood_and_others_are_not() {
        let Ok(Recognised::Recording(r)) = recognise("rab-f2-n5", "f2") else {
            panic!("a recording")
        };
        assert_eq!(
            (r.speaker.as_str(), r.gender.as_deref(), r.emotion),
            ("emovo-f2", Some("F"), Some("angry"))
        );
        for name in [
            "",
            "rab-f4-n5",
            "rab-f2-55",
            "rub-f2-n5",
            "rab-f2",
            "rab-f2-n5-1",
        ] {
            assert!(recognise(name, "").is_err(), "{name}");
        }
    }
}
