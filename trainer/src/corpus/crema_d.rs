//! CREMA-D (Cao et al. 2014): 7442 recordings of 91 actors, twelve sentences in six emotions.
//!
//! `1001_DFA_ANG_XX` is actor 1001, sentence DFA, intended emotion ANG, level XX (unspecified) or LO, MD, HI. The actors' gender is in
//! `VideoDemographics.csv`, if that is at hand.

use std::collections::HashMap;
use std::path::Path;

use super::counts::Whole;
use super::files::files_below;
use super::layout::{Layout, Recognised, Recording};
use super::{Corpus, CorpusError};
use crate::data::text::TextTable;

pub(super) const LAYOUT: Layout = Layout {
    corpus: "crema-d",
    names: "names such as 1001_DFA_ANG_XX.wav (actor, sentence, emotion, level)",
    recognise,
    faulty: FAULTY,
    labels: None,
};

const TWO_EMOTIONS: &str = "the same recording under two emotions, as published";

/// Three recordings that are there under two emotions each, so that nobody knows which it is, and two that hold nothing or too much.
const FAULTY: &[(&str, &str)] = &[
    ("1006_TIE_HAP_XX", TWO_EMOTIONS),
    ("1006_TIE_NEU_XX", TWO_EMOTIONS),
    ("1013_WSI_DIS_XX", TWO_EMOTIONS),
    ("1013_WSI_SAD_XX", TWO_EMOTIONS),
    ("1017_IWW_ANG_XX", TWO_EMOTIONS),
    ("1017_IWW_FEA_XX", TWO_EMOTIONS),
    (
        "1064_IEO_DIS_MD",
        "one file with every emotion, as published",
    ),
    ("1076_MTI_SAD_XX", "no sound, as published"),
];

/// The 7442 published ones without the faulty.
pub(super) const WHOLE: Whole = Whole {
    name: "CREMA-D",
    group: "recordings",
    groups: &["of all actors"],
    group_of: |_| Some("of all actors".to_owned()),
    counts: &[
        ("angry", &[1270]),
        ("disgusted", &[1269]),
        ("fearful", &[1270]),
        ("happy", &[1270]),
        ("neutral", &[1086]),
        ("sad", &[1269]),
    ],
    total: 7434,
};

const EMOTIONS: [(&str, &str); 6] = [
    ("ANG", "angry"),
    ("DIS", "disgusted"),
    ("FEA", "fearful"),
    ("HAP", "happy"),
    ("NEU", "neutral"),
    ("SAD", "sad"),
];

const SENTENCES: [&str; 12] = [
    "IEO", "TIE", "IOM", "IWW", "TAI", "MTI", "IWL", "ITH", "DFA", "ITS", "TSI", "WSI",
];

/// The level of one recording, `1040_ITH_SAD_X.wav`, is one letter short in the published corpus.
const LEVELS: [&str; 5] = ["LO", "MD", "HI", "XX", "X"];

const DEMOGRAPHICS: &str = "VideoDemographics.csv";

fn recognise(stem: &str, _folder: &str) -> Result<Recognised, String> {
    let parts: Vec<&str> = stem.split('_').collect();
    let [actor, sentence, emotion, level] = parts[..] else {
        return Err("the name has not the four parts of a CREMA-D name".to_owned());
    };
    let number = actor.bytes().all(|b| b.is_ascii_digit()) && actor.len() == 4;
    if !number || !("1001"..="1091").contains(&actor) {
        return Err(format!("{actor:?} is no actor, who go from 1001 to 1091"));
    }
    if !SENTENCES.contains(&sentence) {
        return Err(format!(
            "{sentence:?} is none of the sentences {}",
            SENTENCES.join(" ")
        ));
    }
    if !LEVELS.contains(&level) {
        return Err(format!("{level:?} is none of the levels LO MD HI XX"));
    }
    let Some((_, emotion)) = EMOTIONS.iter().find(|(code, _)| *code == emotion) else {
        return Err(format!(
            "{emotion:?} is none of the emotions {}",
            EMOTIONS.map(|(c, _)| c).join(" ")
        ));
    };
    Ok(Recognised::Recording(Recording {
        id: stem.to_owned(),
        speaker: format!("crema-d-{actor}"),
        session: None,
        gender: None,
        emotion: Some(emotion),
        split: None,
    }))
}

/// Fills in the actors' gender from the table in `corpus.root`, below it or beside it (it lies beside `AudioWAV/`). Without the
/// table, and for actors that it does not have, gender stays unknown.
///
/// # Errors
/// [`CorpusError`] where the table is there but cannot be understood.
pub(super) fn add_gender(corpus: &mut Corpus) -> Result<(), CorpusError> {
    let is_table = |p: &Path| {
        let name = p.file_name().map(|n| n.to_string_lossy());
        name.is_some_and(|n| n.eq_ignore_ascii_case(DEMOGRAPHICS))
    };
    let below = files_below(&corpus.root, &is_table)?
        .files
        .into_iter()
        .next();
    let beside = std::path::absolute(&corpus.root)
        .ok()
        .and_then(|r| r.parent().map(|p| p.join(DEMOGRAPHICS)));
    let Some(table) = below.or(beside.filter(|p| p.is_file())) else {
        return Ok(());
    };
    let mut rows = TextTable::open(&table)?;
    let (actor, sex) = (rows.column("ActorID")?, rows.column("Sex")?);
    let mut genders = HashMap::new();
    while let Some(row) = rows.next_row()? {
        let gender = match row.get(sex).to_ascii_lowercase().as_str() {
            "male" | "m" => "M",
            "female" | "f" => "F",
            other => {
                let message = format!("{other:?} is neither Male nor Female");
                return Err(row.error(Some(sex), message).into());
            }
        };
        genders.insert(format!("crema-d-{}", row.get(actor)), gender);
    }
    for u in &mut corpus.utterances {
        u.gender = genders.get(&u.speaker).map(|g| (*g).to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_are_the_published_ones_without_the_faulty() {
        assert_eq!(WHOLE.total + FAULTY.len(), 7442);
        for (id, _) in FAULTY {
            assert!(recognise(id, "").is_ok(), "{id}");
        }
    }

    #[test]
    fn names_of_the_corpus_are_understood_and_others_are_not() {
        for (name, label) in [
            ("1001_DFA_ANG_XX", "angry"),
            ("1091_IEO_FEA_LO", "fearful"),
            ("1040_ITH_SAD_X", "sad"),
        ] {
            let Ok(Recognised::Recording(r)) = recognise(name, "AudioWAV") else {
                panic!("{name} is a recording")
            };
            assert_eq!(r.emotion, Some(label));
            assert_eq!(r.speaker, format!("crema-d-{}", &name[..4]));
        }
        for name in [
            "",
            "1092_DFA_ANG_XX",
            "1000_DFA_ANG_XX",
            "101_DFA_ANG_XX",
            "1001_XXX_ANG_XX",
            "1001_DFA_ANX_XX",
            "1001_DFA_ANG_YY",
            "1001_DFA_ANG",
            "OAF_back_angry",
            "10é1_DFA_ANG_XX",
        ] {
            assert!(recognise(name, "").is_err(), "{name}");
        }
    }
}
