//! The Berlin Database of Emotional Speech, EMO-DB (Burkhardt et al. 2005): 535 recordings of ten actors.
//!
//! A name such as `03a01Fa` holds everything: speaker 03, text a01, emotion F (German *Freude*), version a.

use super::layout::{Layout, Recognised, Recording};

/// The ten actors and their gender.
const SPEAKERS: [(&str, &str); 10] = [
    ("03", "M"),
    ("08", "F"),
    ("09", "F"),
    ("10", "M"),
    ("11", "M"),
    ("12", "M"),
    ("13", "F"),
    ("14", "F"),
    ("15", "M"),
    ("16", "F"),
];

/// Emotion letters, from the German words Wut, Langeweile, Ekel, Angst, Freude, Trauer, neutral.
const EMOTIONS: [(char, &str); 7] = [
    ('W', "angry"),
    ('L', "bored"),
    ('E', "disgusted"),
    ('A', "fearful"),
    ('F', "happy"),
    ('T', "sad"),
    ('N', "neutral"),
];

pub(super) const LAYOUT: Layout = Layout {
    corpus: "emodb",
    names: "names such as 03a01Fa.wav (speaker, text, emotion, version)",
    recognise,
    faulty: &[],
    labels: None,
};

/// Understands the name of a file without its extension.
pub(super) fn recognise(stem: &str, _folder: &str) -> Result<Recognised, String> {
    let characters: Vec<char> = stem.chars().collect();
    let (number, text, emotion, version) = match characters[..] {
        [a, b, t, d, e, emotion] => ([a, b], [t, d, e], emotion, None),
        [a, b, t, d, e, emotion, v] => ([a, b], [t, d, e], emotion, Some(v)),
        _ => {
            return Err(
                "the name has not the six or seven characters of an EMO-DB name".to_owned(),
            );
        }
    };
    let number: String = number.iter().collect();
    let Some((_, gender)) = SPEAKERS.iter().find(|(n, _)| *n == number) else {
        return Err(format!("EMO-DB has no speaker {number:?}"));
    };
    let text_ok =
        matches!(text[0], 'a' | 'b') && text[1].is_ascii_digit() && text[2].is_ascii_digit();
    if !text_ok || version.is_some_and(|v| !v.is_ascii_lowercase()) {
        return Err("text (a01 … b10) or version (a …) is not one of EMO-DB".to_owned());
    }
    let Some((_, label)) = EMOTIONS.iter().find(|(letter, _)| *letter == emotion) else {
        return Err(format!(
            "{emotion:?} is none of the emotion letters W L E A F T N"
        ));
    };
    Ok(Recognised::Recording(Recording {
        id: stem.to_owned(),
        speaker: format!("emodb-{number}"),
        session: None,
        gender: Some((*gender).to_owned()),
        emotion: Some(label),
        split: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_database_are_understood() {
        let Ok(Recognised::Recording(r)) = recognise("16b10Td", "") else {
            panic!("16b10Td is a recording")
        };
        assert_eq!(
            (r.speaker.as_str(), r.gender.as_deref(), r.emotion),
            ("emodb-16", Some("F"), Some("sad"))
        );
        for (name, label) in [
            ("03a01Fa", "happy"),
            ("08a01Wc", "angry"),
            ("15b03Lx", "bored"),
            ("09a07Eb", "disgusted"),
            ("10a02Aa", "fearful"),
            ("11b01Nc", "neutral"),
        ] {
            let Ok(Recognised::Recording(r)) = recognise(name, "") else {
                panic!("{name} is a recording")
            };
            assert_eq!(r.emotion, Some(label));
        }
    }

    #[test]
    fn other_names_are_not() {
        for name in [
            "",
            "03a01",
            "07a01Fa",
            "03c01Fa",
            "03a01Xa",
            "03a01FA",
            "03-01-05-01-02-01-12",
            "ä3a01Fa",
            "03aéxFa",
        ] {
            assert!(recognise(name, "").is_err(), "{name}");
        }
    }
}
