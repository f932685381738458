//! ShEMO (Mohamad Nezami et al. 2019): 3000 utterances of 87 speakers of Persian, from radio plays, in six emotions; free for
//! academic use.
//!
//! `F21N05` is woman 21, neutral, her utterance 05, as the README of github.com/mansourehk/ShEMO says.

use super::counts::Whole;
use super::layout::{Layout, Recognised, Recording, listed};

pub(super) const LAYOUT: Layout = Layout {
    corpus: "shemo",
    names: "names such as F21N05.wav (gender and number of the speaker, emotion, utterance)",
    recognise,
    faulty: &[],
    labels: None,
};

/// The paper's table, as remembered; they add up to its 3000.
pub(super) const WHOLE: Whole = Whole {
    name: "ShEMO",
    group: "recordings",
    groups: &["of all speakers"],
    group_of: |_| Some("of all speakers".to_owned()),
    counts: &[
        ("angry", &[1059]),
        ("fearful", &[38]),
        ("happy", &[201]),
        ("neutral", &[1028]),
        ("sad", &[449]),
        ("surprised", &[225]),
    ],
    total: 3000,
};

/// W is wonder.
const EMOTIONS: [(&str, &str); 6] = [
    ("A", "angry"),
    ("F", "fearful"),
    ("H", "happy"),
    ("N", "neutral"),
    ("S", "sad"),
    ("W", "surprised"),
];

fn recognise(stem: &str, _folder: &str) -> Result<Recognised, String> {
    let [gender @ (b'F' | b'M'), n, m, emotion, rest @ ..] = stem.as_bytes() else {
        return Err("the name has not the form of a ShEMO name".to_owned());
    };
    let digits = |t: &[u8]| t.iter().all(u8::is_ascii_digit);
    if !digits(&[*n, *m]) || !(2..=3).contains(&rest.len()) || !digits(rest) {
        return Err("speaker or utterance is not of two digits".to_owned());
    }
    let code = char::from(*emotion).to_string();
    let gender = char::from(*gender);
    Ok(Recognised::Recording(Recording {
        id: stem.to_owned(),
        speaker: format!("shemo-{}", &stem[..3]),
        session: None,
        gender: Some(gender.to_string()),
        emotion: Some(listed(&EMOTIONS, &code)?),
        split: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_corpus_are_understood_and_others_are_not() {
        let Ok(Recognised::Recording(r)) = recognise("M44W03", "male") else {
            panic!("a recording")
        };
        assert_eq!(
            (r.speaker.as_str(), r.gender.as_deref(), r.emotion),
            ("shemo-M44", Some("M"), Some("surprised"))
        );
        for name in [
            "", "X01A01", "F1A01", "F01B01", "F01A1", "F01A0001", "Fé1A01", "03a01Fa",
        ] {
            assert!(recognise(name, "").is_err(), "{name}");
        }
        let of_each: usize = WHOLE.counts.iter().map(|(_, n)| n[0]).sum();
        assert_eq!(of_each, WHOLE.total);
    }
}
