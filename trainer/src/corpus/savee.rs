//! SAVEE (Haq & Jackson 2009): 480 recordings of four men in seven emotions.
//!
//! `DC/a01.wav` is speaker DC, anger (a), sentence 01; copies that put all files into one folder call it `DC_a01.wav`.

use super::counts::Whole;
use super::layout::{Layout, Recognised, Recording};

pub(super) const LAYOUT: Layout = Layout {
    corpus: "savee",
    names: "names such as DC/a01.wav or DC_a01.wav (speaker, emotion, sentence)",
    recognise,
    faulty: &[],
    labels: None,
};

pub(super) const WHOLE: Whole = Whole {
    name: "SAVEE",
    group: "speaker",
    groups: &["savee-DC", "savee-JE", "savee-JK", "savee-KL"],
    group_of: |u| Some(u.speaker.clone()),
    counts: &[
        ("angry", &[15; 4]),
        ("disgusted", &[15; 4]),
        ("fearful", &[15; 4]),
        ("happy", &[15; 4]),
        ("neutral", &[30; 4]),
        ("sad", &[15; 4]),
        ("surprised", &[15; 4]),
    ],
    total: 480,
};

const SPEAKERS: [&str; 4] = ["DC", "JE", "JK", "KL"];

const EMOTIONS: [(&str, &str); 7] = [
    ("a", "angry"),
    ("d", "disgusted"),
    ("f", "fearful"),
    ("h", "happy"),
    ("n", "neutral"),
    ("sa", "sad"),
    ("su", "surprised"),
];

fn recognise(stem: &str, folder: &str) -> Result<Recognised, String> {
    let (speaker, rest) = stem.split_once('_').unwrap_or((folder, stem));
    if !SPEAKERS.contains(&speaker) {
        return Err(format!(
            "{speaker:?}, in the name or as the folder's name, is none of the speakers {}",
            SPEAKERS.join(" ")
        ));
    }
    let letters = rest.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = &rest[letters.len()..];
    let Some((_, emotion)) = EMOTIONS.iter().find(|(code, _)| *code == letters) else {
        return Err(format!(
            "{letters:?} is none of the emotions {}",
            EMOTIONS.map(|(c, _)| c).join(" ")
        ));
    };
    let sentences = if *emotion == "neutral" { 30 } else { 15 };
    if number.len() != 2
        || !number
            .parse::<u32>()
            .is_ok_and(|n| (1..=sentences).contains(&n))
    {
        return Err(format!(
            "{number:?} is no sentence of {emotion}, which go from 01 to {sentences}"
        ));
    }
    Ok(Recognised::Recording(Recording {
        id: format!("{speaker}_{rest}"),
        speaker: format!("savee-{speaker}"),
        session: None,
        gender: Some("M".to_owned()),
        emotion: Some(emotion),
        split: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_corpus_are_understood_and_others_are_not() {
        for (folder, name, id, label) in [
            ("DC", "a01", "DC_a01", "angry"),
            ("KL", "sa15", "KL_sa15", "sad"),
            ("ALL", "JK_su03", "JK_su03", "surprised"),
            ("JE", "JE_n30", "JE_n30", "neutral"),
        ] {
            let Ok(Recognised::Recording(r)) = recognise(name, folder) else {
                panic!("{name} is a recording")
            };
            assert_eq!((r.id.as_str(), r.emotion), (id, Some(label)));
            assert_eq!(r.speaker, format!("savee-{}", &id[..2]));
        }
        for (folder, name) in [
            ("", ""),
            ("AudioData", "a01"),
            ("DC", "a16"),
            ("DC", "a00"),
            ("DC", "a1"),
            ("DC", "s01"),
            ("DC", "n31"),
            ("ALL", "XX_a01"),
            ("DC", "é01"),
        ] {
            assert!(recognise(name, folder).is_err(), "{folder}/{name}");
        }
    }
}
