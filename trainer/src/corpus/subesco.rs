//! SUBESCO (Sultana et al. 2021): 7000 recordings of twenty speakers of Bangla in seven emotions; CC BY 4.0.
//!
//! `F_02_MONIKA_S_1_NEUTRAL_5` is a woman, speaker 02 by name MONIKA, sentence 1, neutral, take 5, as the authors' data card
//! (sustcsenlp/bn_emotion_speech_corpus) says: 20 speakers, 10 sentences, 7 emotions, 5 takes.

use super::counts::Whole;
use super::layout::{Layout, Recognised, Recording, listed};

pub(super) const LAYOUT: Layout = Layout {
    corpus: "subesco",
    names: "names such as F_02_MONIKA_S_1_NEUTRAL_5.wav (gender, number and name of the speaker, sentence, emotion, take)",
    recognise,
    faulty: &[],
    labels: None,
};

pub(super) const WHOLE: Whole = Whole {
    name: "SUBESCO",
    group: "recordings",
    groups: &["of all speakers"],
    group_of: |_| Some("of all speakers".to_owned()),
    counts: &[
        ("angry", &[1000]),
        ("disgusted", &[1000]),
        ("fearful", &[1000]),
        ("happy", &[1000]),
        ("neutral", &[1000]),
        ("sad", &[1000]),
        ("surprised", &[1000]),
    ],
    total: 7000,
};

const EMOTIONS: [(&str, &str); 7] = [
    ("ANGRY", "angry"),
    ("DISGUST", "disgusted"),
    ("FEAR", "fearful"),
    ("HAPPY", "happy"),
    ("NEUTRAL", "neutral"),
    ("SAD", "sad"),
    ("SURPRISE", "surprised"),
];

fn recognise(stem: &str, _folder: &str) -> Result<Recognised, String> {
    let parts: Vec<&str> = stem.split('_').collect();
    let [
        gender @ ("F" | "M"),
        number,
        name,
        "S",
        sentence,
        emotion,
        take,
    ] = parts[..]
    else {
        return Err("the name has not the seven parts of a SUBESCO name".to_owned());
    };
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(number) || !digits(sentence) || !digits(take) || name.is_empty() {
        return Err("speaker, sentence or take is no number".to_owned());
    }
    Ok(Recognised::Recording(Recording {
        id: stem.to_owned(),
        // The number alone repeats: there is a woman 02 and a man 02.
        speaker: format!("subesco-{gender}{number}"),
        session: None,
        gender: Some(gender.to_owned()),
        emotion: Some(listed(&EMOTIONS, &emotion.to_ascii_uppercase())?),
        split: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_corpus_are_understood_and_others_are_not() {
        let Ok(Recognised::Recording(r)) = recognise("F_02_MONIKA_S_1_NEUTRAL_5", "") else {
            panic!("a recording")
        };
        assert_eq!(
            (r.speaker.as_str(), r.gender.as_deref(), r.emotion),
            ("subesco-F02", Some("F"), Some("neutral"))
        );
        for name in [
            "",
            "F_02_MONIKA_S_1_NEUTRAL",
            "X_02_MONIKA_S_1_NEUTRAL_5",
            "F_02_MONIKA_S_1_RAGE_5",
            "F_xx_MONIKA_S_1_SAD_5",
        ] {
            assert!(recognise(name, "").is_err(), "{name}");
        }
    }
}
