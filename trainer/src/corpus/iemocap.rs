//! IEMOCAP (Busso et al. 2008): five sessions of a woman and a man in dialogue, acted from scripts and improvised.
//!
//! An utterance `Ses01F_impro01_M003` is session 01, a dialogue in which the woman (F) wears the markers, and the man's (M) turn 003:
//! the last letter is who speaks. Its label is a line `[start - end]<tab>id<tab>label<tab>[valence, activation, dominance]` of
//! `EmoEvaluation/<dialogue>.txt`; the lines below it, the annotators' votes and comments, are passed over.

use std::path::Path;
use std::sync::LazyLock;

use regex_lite::Regex;

use super::counts::Whole;
use super::files::folder_name;
use super::layout::{LabelFiles, LabelLine, Layout, Recognised, Recording};

pub(super) const LAYOUT: Layout = Layout {
    corpus: "iemocap",
    names: "names such as Ses01F_impro01_M003.wav (session, dialogue, who speaks, turn)",
    recognise,
    faulty: &[],
    labels: Some(LabelFiles {
        names: "EmoEvaluation/<dialogue>.txt",
        is_one: is_label_file,
        line,
        stem_for: dialogue,
    }),
};

/// The paper's classes: excited is happy.
pub(super) const MAP: &[(&str, &str)] = &[("excited", "happy")];

/// Utterances of the paper's four classes in the five sessions; 5531 in all.
pub(super) const WHOLE: Whole = Whole {
    name: "IEMOCAP",
    group: "session",
    groups: &["1", "2", "3", "4", "5"],
    group_of: |u| u.session.clone(),
    counts: &[
        ("angry", &[229, 137, 240, 327, 170]),
        ("happy", &[278, 327, 286, 303, 442]),
        ("neutral", &[384, 362, 320, 258, 384]),
        ("sad", &[194, 197, 305, 143, 245]),
    ],
    total: 5531,
};

/// Labels in the label files; xxx means that the annotators did not agree.
const EMOTIONS: [(&str, &str); 11] = [
    ("ang", "angry"),
    ("hap", "happy"),
    ("exc", "excited"),
    ("neu", "neutral"),
    ("sad", "sad"),
    ("fru", "frustrated"),
    ("fea", "fearful"),
    ("sur", "surprised"),
    ("dis", "disgusted"),
    ("oth", "other"),
    ("xxx", "undecided"),
];

/// Dialogue (group 1) with session (2), and the turn, if it is an utterance: who speaks (3).
static ID: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^(Ses0([1-5])[FM]_(?:impro\d\d[a-z]?|script\d\d_\d[a-z]?))(?:_([FM])(?:\d{3}|XX\d{1,3}))?$").ok()
});

struct Id<'a> {
    dialogue: &'a str,
    session: &'a str,
    /// None for a whole dialogue.
    speaker: Option<&'a str>,
}

fn parse(name: &str) -> Option<Id<'_>> {
    let parts = ID.as_ref()?.captures(name)?;
    Some(Id {
        dialogue: parts.get(1)?.as_str(),
        session: parts.get(2)?.as_str(),
        speaker: parts.get(3).map(|m| m.as_str()),
    })
}

fn recognise(stem: &str, _folder: &str) -> Result<Recognised, String> {
    let Some(id) = parse(stem) else {
        return Err("the name has not the form of an IEMOCAP utterance".to_owned());
    };
    let Some(gender) = id.speaker else {
        return Ok(Recognised::LeftOut("sound track of a whole dialogue"));
    };
    Ok(Recognised::Recording(Recording {
        id: stem.to_owned(),
        speaker: format!("iemocap-{}{gender}", id.session),
        session: Some(id.session.to_owned()),
        gender: Some(gender.to_owned()),
        emotion: None,
        split: None,
    }))
}

/// A dialogue's text file; its folder must be right too, since transcriptions and motion capture have files of the same names.
fn is_label_file(file: &Path) -> bool {
    file.extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("txt"))
        && folder_name(file).eq_ignore_ascii_case("EmoEvaluation")
}

fn dialogue(id: &str) -> Option<&str> {
    parse(id).map(|id| id.dialogue)
}

fn line(line: &str, stem: &str) -> Option<LabelLine> {
    let times = line.trim().strip_prefix('[')?;
    Some(label(times).and_then(|(id, emotion)| {
        let parsed = parse(id).filter(|p| p.speaker.is_some());
        match parsed {
            None => Err(format!("{id:?} has not the form of an IEMOCAP utterance")),
            Some(p) if p.dialogue != stem => {
                Err(format!("{id} is not of this file's dialogue, {stem}"))
            }
            Some(_) => Ok((id.to_owned(), emotion)),
        }
    }))
}

/// Id and emotion of a label line whose first bracket is taken off.
fn label(line: &str) -> Result<(&str, &'static str), String> {
    let form = || "the line is not \"[start - end] id label [valence, activation, dominance]\"";
    let (times, rest) = line.split_once(']').ok_or_else(form)?;
    let numbers = |text: &str, separator: &str| {
        let mut count = 0;
        let all = text.split(separator).all(|n| {
            count += 1;
            n.trim().parse::<f64>().is_ok()
        });
        all.then_some(count)
    };
    let mut fields = rest.split_whitespace();
    let (Some(id), Some(code)) = (fields.next(), fields.next()) else {
        return Err(form().to_owned());
    };
    let scores = fields.collect::<Vec<_>>().join(" ");
    let scores = scores.strip_prefix('[').and_then(|s| s.strip_suffix(']'));
    if numbers(times, " - ") != Some(2) || scores.and_then(|s| numbers(s, ",")) != Some(3) {
        return Err(form().to_owned());
    }
    match EMOTIONS.iter().find(|(c, _)| *c == code) {
        Some((_, emotion)) => Ok((id, emotion)),
        None => Err(format!(
            "{id}: {code:?} is none of the labels {}",
            EMOTIONS.map(|(c, _)| c).join(" ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_speaks_is_the_last_letter() {
        for (name, speaker, gender) in [
            ("Ses01F_impro01_M003", "iemocap-1M", "M"),
            ("Ses05M_script01_1b_F012", "iemocap-5F", "F"),
            ("Ses03M_impro05a_FXX1", "iemocap-3F", "F"),
        ] {
            let Ok(Recognised::Recording(r)) = recognise(name, "") else {
                panic!("{name} is a recording")
            };
            assert_eq!(
                (r.speaker.as_str(), r.gender.as_deref()),
                (speaker, Some(gender))
            );
            assert!(name.starts_with(dialogue(name).unwrap()));
        }
        assert!(matches!(
            recognise("Ses01F_impro01", ""),
            Ok(Recognised::LeftOut(_))
        ));
        for name in [
            "",
            "Ses06F_impro01_M003",
            "Ses01X_impro01_M003",
            "Ses01F_impro01_M03",
            "Ses01F_impro1_M003",
            "Ses01F_script01_M003",
            "Ses01F_impro01_M0034",
            "ses01F_impro01_M003",
            "Ses01F_impro01_M003 (1)",
            "Ses01F_impro01_é003",
        ] {
            assert!(recognise(name, "").is_err(), "{name}");
        }
    }

    #[test]
    fn label_lines_are_told_from_votes_and_comments() {
        let read = |text: &str| line(text, "Ses01F_impro01");
        assert_eq!(
            read("[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]"),
            Some(Ok(("Ses01F_impro01_F000".to_owned(), "neutral")))
        );
        for other in [
            "",
            "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]",
            "C-E2:\tNeutral;\t()",
            "A-E3:\tval 3; act 2; dom  2;\t(a comment [with brackets])",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
        for damaged in [
            "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu",
            "[6.2901 - 8.2357]\tSes01F_impro01_F000\tne\t[2.5, 2.5, 2.5]",
            "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5, 2.5",
            "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5, 2.5]",
            "[6.2901 - x]\tSes01F_impro01_F000\tneu\t[2.5, 2.5, 2.5]",
            "[6.2901 - 8.2357",
            "[6.2901 - 8.2357]\tSes01F_impro01_F00\tneu\t[2.5, 2.5, 2.5]",
            "[6.2901 - 8.2357]\tSes01F_impro02_F000\tneu\t[2.5, 2.5, 2.5]",
            "[6.2901 - 8.2357]\tSes01F_impro01\tneu\t[2.5, 2.5, 2.5]",
        ] {
            assert!(matches!(read(damaged), Some(Err(_))), "{damaged}");
        }
    }

    #[test]
    fn the_counts_add_up_to_the_published_ones() {
        let by_class: Vec<usize> = WHOLE.counts.iter().map(|(_, n)| n.iter().sum()).collect();
        assert_eq!(by_class, [1103, 1636, 1708, 1084]);
        let by_session = |s: usize| WHOLE.counts.iter().map(|(_, n)| n[s]).sum::<usize>();
        assert_eq!(
            [0, 1, 2, 3, 4].map(by_session),
            [1085, 1023, 1151, 1031, 1241]
        );
    }
}
