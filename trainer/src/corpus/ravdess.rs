//! RAVDESS (Livingstone & Russo 2018): 24 actors, eight emotions, spoken and sung.
//!
//! A name such as `03-01-05-01-02-01-12` holds modality, vocal channel, emotion, intensity, statement,
//! repetition and actor. Speech recorded as audio alone (`03-01-…`) is taken; song, and the sound tracks of the
//! videos, which repeat the same performances, are left out.

use super::layout::{Layout, Recognised, Recording};

const EMOTIONS: [&str; 8] = [
    "neutral",
    "calm",
    "happy",
    "sad",
    "angry",
    "fearful",
    "disgusted",
    "surprised",
];

/// The fields of a name and the largest value of each; all count from 1.
const FIELDS: [(&str, usize); 7] = [
    ("modality", 3),
    ("vocal channel", 2),
    ("emotion", 8),
    ("intensity", 2),
    ("statement", 2),
    ("repetition", 2),
    ("actor", 24),
];

pub(super) const LAYOUT: Layout = Layout {
    corpus: "ravdess",
    names: "names such as 03-01-05-01-02-01-12.wav (modality, channel, emotion, intensity, statement, repetition, actor)",
    recognise,
    faulty: &[(
        "03-01-03-01-02-02-07",
        "copy of another recording, as published",
    )],
    labels: None,
};

/// Understands the name of a file without its extension.
pub(super) fn recognise(stem: &str, _folder: &str) -> Result<Recognised, String> {
    let parts: Vec<&str> = stem.split('-').collect();
    if parts.len() != FIELDS.len() {
        return Err("the name has not the seven numbers of a RAVDESS name".to_owned());
    }
    let mut values = [0; FIELDS.len()];
    for ((part, (field, max)), value) in parts.iter().zip(FIELDS).zip(&mut values) {
        *value = match part.parse() {
            Ok(v)
                if part.len() == 2
                    && part.bytes().all(|b| b.is_ascii_digit())
                    && (1..=max).contains(&v) =>
            {
                v
            }
            _ => {
                return Err(format!(
                    "{part:?} is no {field}, which goes from 01 to {max:02}"
                ));
            }
        };
    }
    let [modality, channel, emotion, _, _, _, actor] = values;
    if channel == 2 {
        return Ok(Recognised::LeftOut("song"));
    }
    if modality != 3 {
        return Ok(Recognised::LeftOut("sound track of a video"));
    }
    Ok(Recognised::Recording(Recording {
        id: stem.to_owned(),
        speaker: format!("ravdess-{actor:02}"),
        session: None,
        gender: Some(if actor % 2 == 1 { "M" } else { "F" }.to_owned()),
        emotion: Some(EMOTIONS[emotion - 1]),
        split: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_database_are_understood() {
        let Ok(Recognised::Recording(r)) = recognise("03-01-05-01-02-01-12", "") else {
            panic!("a recording")
        };
        assert_eq!(
            (r.speaker.as_str(), r.gender.as_deref(), r.emotion),
            ("ravdess-12", Some("F"), Some("angry"))
        );
        assert!(matches!(
            recognise("03-02-05-01-02-01-12", ""),
            Ok(Recognised::LeftOut("song"))
        ));
        assert!(matches!(
            recognise("01-01-05-01-02-01-12", ""),
            Ok(Recognised::LeftOut(_))
        ));
    }

    #[test]
    fn other_names_are_not() {
        for name in [
            "",
            "03a01Fa",
            "03-01-09-01-02-01-12",
            "03-01-05-01-02-01-25",
            "03-01-05-01-02-01-00",
            "3-1-5-1-2-1-12",
            "03-01-05-01-02-01",
            "03-01-05-01-02-01-+1",
            "-------",
            "03-01-05-01-02-01-éé",
        ] {
            assert!(recognise(name, "").is_err(), "{name}");
        }
    }
}
