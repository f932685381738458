//! MSP-IMPROV (Busso et al. 2017): six sessions of a woman and a man, who improvise towards target sentences.
//!
//! `MSP-IMPROV-S01A-F01-P-FM01` is sentence 01 as angry (A), speaker F01 (the woman of session 1), recording condition P, turn FM01.
//! The perceived emotion is in one file for the whole corpus, `Evalution.txt` (so spelled), in lines such as
//! `UTD-IMPROV-S01A-F01-P-FM01.avi; N; A:2.4; …`; the prefix differs. The lines below each, of single annotators, are passed over.

use std::path::Path;
use std::sync::LazyLock;

use regex_lite::Regex;

use super::counts::Whole;
use super::files::stem;
use super::layout::{LabelFiles, LabelLine, Layout, Recognised, Recording};

pub(super) const LAYOUT: Layout = Layout {
    corpus: "msp-improv",
    names: "names such as MSP-IMPROV-S01A-F01-P-FM01.wav (sentence, speaker, condition, turn)",
    recognise,
    faulty: &[],
    labels: Some(LabelFiles {
        names: "Evalution.txt",
        is_one: is_label_file,
        line,
        stem_for: |_| None,
    }),
};

/// Utterances of the paper's four classes by recording condition (P natural interaction, R read target sentences, S other improvised
/// turns, T improvised target sentences); 7798 in all.
pub(super) const WHOLE: Whole = Whole {
    name: "MSP-IMPROV",
    group: "condition",
    groups: &["P", "R", "S", "T"],
    group_of: |u| parse(&stem(&u.path)).map(|p| p.condition.to_owned()),
    counts: &[
        ("angry", &[38, 169, 470, 115]),
        ("happy", &[1372, 88, 1048, 136]),
        ("neutral", &[1164, 241, 1789, 283]),
        ("sad", &[66, 80, 633, 106]),
    ],
    total: 7798,
};

/// Labels in the label file; X means that the annotators did not agree.
const EMOTIONS: [(&str, &str); 6] = [
    ("A", "angry"),
    ("H", "happy"),
    ("N", "neutral"),
    ("S", "sad"),
    ("O", "other"),
    ("X", "undecided"),
];

const PREFIXES: [&str; 2] = ["MSP-IMPROV-", "UTD-IMPROV-"];

/// What follows the prefix: speaker (group 1) with gender (2) and session (3), condition (4).
static ID: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^S\d\d[AHNS]-(([FM])0([1-6]))-([PRST])-[FM]{2}\d{2,3}$").ok());

struct Id<'a> {
    /// The name without its prefix.
    name: &'a str,
    speaker: &'a str,
    gender: &'a str,
    session: &'a str,
    condition: &'a str,
}

fn parse(name: &str) -> Option<Id<'_>> {
    let name = PREFIXES.iter().find_map(|p| name.strip_prefix(p))?;
    let parts = ID.as_ref()?.captures(name)?;
    Some(Id {
        name,
        speaker: parts.get(1)?.as_str(),
        gender: parts.get(2)?.as_str(),
        session: parts.get(3)?.as_str(),
        condition: parts.get(4)?.as_str(),
    })
}

fn recognise(stem: &str, _folder: &str) -> Result<Recognised, String> {
    let id = parse(stem).ok_or("the name has not the form of an MSP-IMPROV utterance")?;
    Ok(Recognised::Recording(Recording {
        id: id.name.to_owned(),
        speaker: format!("msp-improv-{}", id.speaker),
        session: Some(id.session.to_owned()),
        gender: Some(id.gender.to_owned()),
        emotion: None,
        split: None,
    }))
}

fn is_label_file(file: &Path) -> bool {
    let name = file
        .file_name()
        .map(|n| n.to_string_lossy().to_ascii_lowercase());
    // Some copies of the corpus have the spelling corrected.
    matches!(name.as_deref(), Some("evalution.txt" | "evaluation.txt"))
}

fn line(line: &str, _stem: &str) -> Option<LabelLine> {
    let line = line.trim();
    PREFIXES.iter().find(|p| line.starts_with(**p))?;
    Some(label(line))
}

fn label(line: &str) -> LabelLine {
    let mut fields = line.split(';').map(str::trim);
    // Text behind the label proves that the line was not cut off within it.
    let (Some(video), Some(code), Some(_)) = (fields.next(), fields.next(), fields.next()) else {
        return Err("the line is not \"UTD-IMPROV-….avi; label; …\"".to_owned());
    };
    let id = video.strip_suffix(".avi").and_then(parse);
    let id = id.ok_or_else(|| format!("{video:?} has not the form of an MSP-IMPROV utterance"))?;
    match EMOTIONS.iter().find(|(c, _)| *c == code) {
        Some((_, emotion)) => Ok((id.name.to_owned(), emotion)),
        None => Err(format!(
            "{}: {code:?} is none of the labels {}",
            id.name,
            EMOTIONS.map(|(c, _)| c).join(" ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_corpus_are_understood() {
        let Ok(Recognised::Recording(r)) = recognise("MSP-IMPROV-S08H-M05-S-MF02", "") else {
            panic!("a recording")
        };
        assert_eq!(
            (
                r.speaker.as_str(),
                r.session.as_deref(),
                r.gender.as_deref()
            ),
            ("msp-improv-M05", Some("5"), Some("M"))
        );
        assert_eq!(r.id, "S08H-M05-S-MF02");
        for name in [
            "",
            "MSP-IMPROV-S08H-M07-S-MF02",
            "MSP-IMPROV-S08X-M05-S-MF02",
            "MSP-IMPROV-S08H-M05-Q-MF02",
            "MSP-IMPROV-S08H-M05-S-MF2",
            "MSP-IMPROV-S08H-M05-S-MF02.avi",
            "IMPROV-S08H-M05-S-MF02",
            "Ses01F_impro01_M003",
        ] {
            assert!(recognise(name, "").is_err(), "{name}");
        }
    }

    #[test]
    fn label_lines_are_told_from_annotators_lines() {
        let read = |text: &str| line(text, "Evalution");
        assert_eq!(
            read("UTD-IMPROV-S01A-F01-P-FM01.avi; N; A:2.400000; V:3.200000; D:NaN ; N:4.200000;"),
            Some(Ok(("S01A-F01-P-FM01".to_owned(), "neutral")))
        );
        assert_eq!(read(""), None);
        assert_eq!(
            read("ABC1DEF2; Angry; Angry,Frustrated; A:2.0; V:2.0; D:3.0; N:4.0;"),
            None
        );
        for damaged in [
            "UTD-IMPROV-S01A-F01-P-FM01.avi",
            "UTD-IMPROV-S01A-F01-P-FM01.avi; N",
            "UTD-IMPROV-S01A-F01-P-FM01.avi; Q; A:2.4;",
            "UTD-IMPROV-S01A-F01-P-FM01; N; A:2.4;",
            "UTD-IMPROV-S01A-F09-P-FM01.avi; N; A:2.4;",
        ] {
            assert!(matches!(read(damaged), Some(Err(_))), "{damaged}");
        }
    }

    #[test]
    fn the_counts_add_up_to_the_published_ones() {
        let by_class: Vec<usize> = WHOLE.counts.iter().map(|(_, n)| n.iter().sum()).collect();
        assert_eq!(by_class, [792, 2644, 3477, 885]);
    }
}
