//! TESS, the Toronto emotional speech set (Pichora-Fuller & Dupuis 2020): 2800 recordings of two women in seven emotions.
//!
//! `OAF_back_angry` is the older woman (OAF; the younger is YAF), the word "back", anger.

use super::counts::Whole;
use super::layout::{Layout, Recognised, Recording};

pub(super) const LAYOUT: Layout = Layout {
    corpus: "tess",
    names: "names such as OAF_back_angry.wav (speaker, word, emotion)",
    recognise,
    faulty: &[],
    labels: None,
};

pub(super) const WHOLE: Whole = Whole {
    name: "TESS",
    group: "speaker",
    groups: &["tess-OAF", "tess-YAF"],
    group_of: |u| Some(u.speaker.clone()),
    counts: &[
        ("angry", &[200; 2]),
        ("disgusted", &[200; 2]),
        ("fearful", &[200; 2]),
        ("happy", &[200; 2]),
        ("neutral", &[200; 2]),
        ("sad", &[200; 2]),
        ("surprised", &[200; 2]),
    ],
    total: 2800,
};

/// The speaker of one recording, `OA_bite_neutral.wav`, is one letter short in the published corpus.
const SPEAKERS: [(&str, &str); 3] = [("OAF", "OAF"), ("OA", "OAF"), ("YAF", "YAF")];

/// ps is pleasant surprise.
const EMOTIONS: [(&str, &str); 7] = [
    ("angry", "angry"),
    ("disgust", "disgusted"),
    ("fear", "fearful"),
    ("happy", "happy"),
    ("neutral", "neutral"),
    ("ps", "surprised"),
    ("sad", "sad"),
];

fn recognise(stem: &str, _folder: &str) -> Result<Recognised, String> {
    let parts: Vec<&str> = stem.split('_').collect();
    let [speaker, word, emotion] = parts[..] else {
        return Err("the name has not the three parts of a TESS name".to_owned());
    };
    let Some((_, speaker)) = SPEAKERS.iter().find(|(code, _)| *code == speaker) else {
        return Err(format!(
            "{speaker:?} is neither of the speakers OAF and YAF"
        ));
    };
    if word.is_empty() || !word.bytes().all(|b| b.is_ascii_alphabetic()) {
        return Err(format!("{word:?} is no word"));
    }
    let Some((_, label)) = EMOTIONS.iter().find(|(code, _)| *code == emotion) else {
        return Err(format!(
            "{emotion:?} is none of the emotions {}",
            EMOTIONS.map(|(c, _)| c).join(" ")
        ));
    };
    Ok(Recognised::Recording(Recording {
        id: format!("{speaker}_{word}_{emotion}"),
        speaker: format!("tess-{speaker}"),
        session: None,
        gender: Some("F".to_owned()),
        emotion: Some(label),
        split: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_corpus_are_understood_and_others_are_not() {
        for (name, speaker, label) in [
            ("OAF_back_angry", "tess-OAF", "angry"),
            ("YAF_food_ps", "tess-YAF", "surprised"),
            ("OA_bite_neutral", "tess-OAF", "neutral"),
        ] {
            let Ok(Recognised::Recording(r)) = recognise(name, "") else {
                panic!("{name} is a recording")
            };
            assert_eq!((r.speaker.as_str(), r.emotion), (speaker, Some(label)));
        }
        for name in [
            "",
            "OAF_back",
            "OAF__angry",
            "MAF_back_angry",
            "OAF_back_surprise",
            "OAF_back_angry_2",
            "OAF_bäck_angry",
            "1001_DFA_ANG_XX",
        ] {
            assert!(recognise(name, "").is_err(), "{name}");
        }
    }
}
