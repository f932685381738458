//! What makes a labelled corpus teach the wrong thing, found before anything is trained: names that differ by a
//! capital letter, columns that give the label away.

use std::collections::BTreeMap;

use crate::corpus::{Corpus, Finding, UNKNOWN_SPEAKER};
use crate::table::FeatureTable;

/// Rows below which a column is not judged.
const MIN_ROWS: usize = 20;

/// Rows of a label, and rows of all others, below which the label is not judged.
const MIN_LABEL_ROWS: usize = 5;

/// Balanced accuracy, 0.5 by chance, from which a column gives a label away.
const GIVEN_AWAY: f64 = 0.7;

/// Rows as the checks see them, all columns as long as `labels`.
#[derive(Debug, Clone, Default)]
pub struct Described {
    /// The label of each row.
    pub labels: Vec<String>,
    /// Who speaks.
    pub speakers: Vec<String>,
    /// Other columns: name, and what each row says there.
    pub columns: Vec<(&'static str, Vec<Option<String>>)>,
}

/// A column that tells a label from all others without a sound being heard.
#[derive(Debug, Clone, PartialEq)]
pub struct Giveaway {
    /// The column.
    pub column: &'static str,
    /// The label.
    pub label: String,
    /// The mean of two shares: of the label's rows that the column takes for it, and of the other rows that it does
    /// not; each row is judged by the others. 0.5 is chance.
    pub balanced_accuracy: f64,
}

impl Described {
    /// The recordings of a corpus, with their sampling rates in Hz where they are known (or an empty slice).
    #[must_use]
    pub fn corpus(corpus: &Corpus, rates: &[Option<u32>]) -> Self {
        let rows = &corpus.utterances;
        let rate = |i: usize| rates.get(i).copied().flatten().map(|r| r.to_string());
        let extension = |p: &std::path::Path| {
            let e = p.extension()?.to_string_lossy();
            Some(e.to_lowercase())
        };
        Self {
            labels: rows.iter().map(|u| u.emotion.clone()).collect(),
            speakers: rows.iter().map(|u| u.speaker.clone()).collect(),
            columns: vec![
                ("sampling rate", (0..rows.len()).map(rate).collect()),
                (
                    "corpus",
                    rows.iter().map(|u| Some(u.corpus.clone())).collect(),
                ),
                ("session", rows.iter().map(|u| u.session.clone()).collect()),
                ("gender", rows.iter().map(|u| u.gender.clone()).collect()),
                (
                    "channel",
                    rows.iter()
                        .map(|u| u.channel.map(|c| c.to_string()))
                        .collect(),
                ),
                ("split", rows.iter().map(|u| u.split.clone()).collect()),
                (
                    "file type",
                    rows.iter().map(|u| extension(&u.path)).collect(),
                ),
            ],
        }
    }

    /// The rows of a feature table that have one of `labels`, or all of them if that is empty.
    #[must_use]
    pub fn table(table: &FeatureTable, labels: &[String]) -> Self {
        let rows = || {
            let meta = table.meta.iter();
            meta.filter(|m| labels.is_empty() || labels.contains(&m.emotion))
        };
        Self {
            labels: rows().map(|m| m.emotion.clone()).collect(),
            speakers: rows().map(|m| m.speaker.clone()).collect(),
            columns: vec![
                (
                    "sampling rate",
                    rows()
                        .map(|m| m.sample_rate.map(|r| r.to_string()))
                        .collect(),
                ),
                ("corpus", rows().map(|m| Some(m.corpus.clone())).collect()),
                ("session", rows().map(|m| m.session.clone()).collect()),
                ("gender", rows().map(|m| m.gender.clone()).collect()),
            ],
        }
    }

    /// What to say of a feature table before it is trained on: [`findings`](Self::findings), and rows of which nobody
    /// knows who speaks beside others of which that is known.
    #[must_use]
    pub fn table_findings(table: &FeatureTable, labels: &[String]) -> Vec<Finding> {
        let described = Self::table(table, labels);
        let mut findings = described.findings();
        let unknown = described
            .speakers
            .iter()
            .filter(|s| *s == UNKNOWN_SPEAKER)
            .count();
        if unknown > 0 && unknown < described.speakers.len() {
            findings.push(Finding::plain(format!(
                "{unknown} of {} rows do not say who speaks and count as one speaker, \"{UNKNOWN_SPEAKER}\": if one of the named speakers \
                 is among them, scores on held-out speakers are too good",
                described.speakers.len()
            )));
        }
        findings
    }

    /// Everything that should be said before a model is trained on these rows.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (what, names, remedy) in [
            (
                "labels",
                &self.labels,
                "rename one (--map OLD=NEW) if they mean the same",
            ),
            (
                "speakers",
                &self.speakers,
                "rename one in the table if they are one person",
            ),
        ] {
            let alike = alike(names.iter().map(String::as_str));
            if !alike.is_empty() {
                findings.push(Finding {
                    what: format!(
                        "{what} that differ only in how they are written count as different ones: {remedy}"
                    ),
                    examples: alike
                        .iter()
                        .map(|group| {
                            let names: Vec<String> = group
                                .iter()
                                .map(|(name, rows)| format!("{name:?} ({rows} rows)"))
                                .collect();
                            names.join(", ")
                        })
                        .collect(),
                });
            }
        }
        findings.extend(self.one_label_speakers());
        let given: Vec<Giveaway> = self
            .columns
            .iter()
            .filter_map(|(column, values)| giveaway(&self.labels, column, values))
            .collect();
        for g in given {
            findings.push(Finding::plain(format!(
                "the {} alone tells \"{}\" from the other labels in {:.0} % of rows (50 % is chance): a model may learn to hear that \
                 instead of emotions, and its scores will be too good; record or select so that every label occurs with every {}",
                g.column,
                g.label,
                100.0 * g.balanced_accuracy,
                g.column
            )));
        }
        findings
    }

    /// Speakers who have one label each tell it by their voices.
    fn one_label_speakers(&self) -> Option<Finding> {
        let mut of: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
        for (speaker, label) in self.speakers.iter().zip(&self.labels) {
            if speaker != UNKNOWN_SPEAKER {
                *of.entry(speaker).or_default().entry(label).or_insert(0) += 1;
            }
        }
        let several = of
            .values()
            .filter(|l| l.values().sum::<usize>() > 1)
            .count();
        let single = of
            .values()
            .filter(|l| l.len() == 1 && l.values().sum::<usize>() > 1)
            .count();
        (several >= 2 && single == several && distinct(&self.labels) > 1).then(|| {
            Finding::plain(format!(
                "each of the {several} speakers with more than one recording has one label only: a model may learn to tell voices instead \
                 of emotions"
            ))
        })
    }
}

fn distinct(labels: &[String]) -> usize {
    let set: std::collections::BTreeSet<&String> = labels.iter().collect();
    set.len()
}

/// Names that differ only by case, blanks, marks, accents, zeros in front of a number or a word's form (anger,
/// angry), in groups, with how often each occurs.
#[must_use]
pub fn alike<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Vec<(&'a str, usize)>> {
    let mut groups: BTreeMap<String, BTreeMap<&str, usize>> = BTreeMap::new();
    for name in names {
        *groups
            .entry(folded(name))
            .or_default()
            .entry(name)
            .or_insert(0) += 1;
    }
    let groups = groups.into_values().filter(|g| g.len() > 1);
    groups.map(|g| g.into_iter().collect()).collect()
}

/// What a name is without the differences that [`alike`] passes over.
fn folded(name: &str) -> String {
    const FORMS: [(&str, &str); 8] = [
        ("angry", "anger"),
        ("happy", "happiness"),
        ("sad", "sadness"),
        ("fearful", "fear"),
        ("disgusted", "disgust"),
        ("surprised", "surprise"),
        ("bored", "boredom"),
        ("neutrality", "neutral"),
    ];
    let number = name.trim();
    let number = number.strip_suffix(".0").unwrap_or(number);
    if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) {
        return number.trim_start_matches('0').to_owned();
    }
    let word: String = name
        .to_lowercase()
        .chars()
        .map(without_accent)
        .filter(|c| c.is_alphanumeric())
        .collect();
    let form = FORMS.iter().find(|(form, _)| *form == word);
    match form {
        Some((_, noun)) => (*noun).to_owned(),
        // A name of marks alone is itself.
        None if word.is_empty() => name.to_owned(),
        None => word,
    }
}

/// The letter without its accent; an accent that stands alone becomes a mark, which is passed over.
fn without_accent(letter: char) -> char {
    match letter {
        '\u{e0}'..='\u{e5}' => 'a',
        '\u{e7}' => 'c',
        '\u{e8}'..='\u{eb}' => 'e',
        '\u{ec}'..='\u{ef}' => 'i',
        '\u{f1}' => 'n',
        '\u{f2}'..='\u{f6}' | '\u{f8}' => 'o',
        '\u{f9}'..='\u{fc}' => 'u',
        '\u{fd}' | '\u{ff}' => 'y',
        '\u{300}'..='\u{36f}' => '\'',
        other => other,
    }
}

/// The label that a column tells best, if it gives it away: if its balanced accuracy, each row judged by the others,
/// is at least 0.7 and there are enough rows.
///
/// A row that says nothing is a value like any other. A value that occurs once tells nothing.
#[must_use]
pub fn giveaway(
    labels: &[String],
    column: &'static str,
    values: &[Option<String>],
) -> Option<Giveaway> {
    if labels.len() < MIN_ROWS || labels.len() != values.len() {
        return None;
    }
    let mut of_label: BTreeMap<&str, usize> = BTreeMap::new();
    let mut of_value: BTreeMap<&Option<String>, BTreeMap<&str, usize>> = BTreeMap::new();
    for (label, value) in labels.iter().zip(values) {
        *of_label.entry(label).or_insert(0) += 1;
        *of_value.entry(value).or_default().entry(label).or_insert(0) += 1;
    }
    let best = of_label
        .iter()
        .filter(|(_, n)| **n >= MIN_LABEL_ROWS && labels.len() - **n >= MIN_LABEL_ROWS)
        .map(|(label, n)| {
            let accuracy = balanced_accuracy(label, *n, labels.len() - n, &of_value);
            (accuracy, *label)
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= GIVEN_AWAY).then(|| Giveaway {
        column,
        label: best.1.to_owned(),
        balanced_accuracy: best.0,
    })
}

/// How well "the value is more frequent among the label's rows than among the others" tells the label: `inside`
/// rows have it, `outside` have not.
fn balanced_accuracy(
    label: &str,
    inside: usize,
    outside: usize,
    of_value: &BTreeMap<&Option<String>, BTreeMap<&str, usize>>,
) -> f64 {
    let (mut hits, mut rejections) = (0.0, 0.0);
    for counts in of_value.values() {
        let here = counts.get(label).copied().unwrap_or(0);
        let others = counts.values().sum::<usize>() - here;
        // The row that is judged does not count; what is as frequent in both tells nothing.
        let says = |here: usize, inside: usize, others: usize, outside: usize| match (here
            * outside)
            .cmp(&(others * inside))
        {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        };
        if here > 0 {
            hits += here as f64 * says(here - 1, inside - 1, others, outside);
        }
        if others > 0 {
            rejections += others as f64 * (1.0 - says(here, inside, others - 1, outside - 1));
        }
    }
    (hits / inside as f64 + rejections / outside as f64) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(of: impl Fn(usize) -> &'static str, rows: usize) -> Vec<Option<String>> {
        (0..rows).map(|i| Some(of(i).to_owned())).collect()
    }

    fn labels(rows: usize) -> Vec<String> {
        let names = ["angry", "happy", "neutral", "sad"];
        (0..rows).map(|i| names[i % 4].to_owned()).collect()
    }

    #[test]
    fn names_that_differ_by_writing_alone_are_found() {
        let names = [
            "happy",
            "Happy",
            "happy ",
            "HAPPINESS",
            "sad",
            "joy",
            "1",
            "01",
            "1.0",
            "11",
            "?",
            "!",
            "Müller",
            "muller",
            "Mu\u{308}ller",
        ];
        let groups = alike(names.into_iter());
        assert_eq!(groups.len(), 3, "{groups:?}");
        assert!(groups.iter().any(|g| g.len() == 4), "{groups:?}");
        assert!(groups.iter().all(|g| g.len() >= 3), "{groups:?}");
        assert!(alike(["a", "b", "a"].into_iter()).is_empty());
    }

    #[test]
    fn columns_that_give_a_label_away() {
        let labels = labels(80);
        // One label at another rate, of all and of half its rows.
        let rate = column(|i| if i % 4 == 0 { "44100" } else { "16000" }, 80);
        let found = giveaway(&labels, "sampling rate", &rate).unwrap();
        assert_eq!(
            (found.label.as_str(), found.balanced_accuracy),
            ("angry", 1.0)
        );
        let half = column(|i| if i % 8 == 0 { "44100" } else { "16000" }, 80);
        let found = giveaway(&labels, "sampling rate", &half).unwrap();
        assert!((found.balanced_accuracy - 0.75).abs() < 0.02, "{found:?}");
        // A session for each label, under several names.
        let session = column(
            |i| ["a1", "b1", "c1", "d1", "a2", "b2", "c2", "d2"][i % 8],
            80,
        );
        assert!(giveaway(&labels, "session", &session).is_some());
        let mut absent = column(|_| "x", 80);
        absent.iter_mut().step_by(4).for_each(|v| *v = None);
        assert!(giveaway(&labels, "channel", &absent).is_some());
    }

    #[test]
    fn columns_that_do_not() {
        let labels = labels(80);
        let unique: Vec<_> = (0..80).map(|i| Some(i.to_string())).collect();
        assert_eq!(giveaway(&labels, "session", &unique), None);
        assert_eq!(giveaway(&labels, "corpus", &column(|_| "x", 80)), None);
        let gender = column(|i| if (i / 4) % 2 == 0 { "F" } else { "M" }, 80);
        assert_eq!(giveaway(&labels, "gender", &gender), None);
        let few = column(|i| if i % 4 == 0 { "44100" } else { "16000" }, 12);
        assert_eq!(giveaway(&self::labels(12), "sampling rate", &few), None);
    }

    /// Columns drawn by chance, of two to forty values, are never taken for giveaways in the 300 rows of a small corpus.
    #[test]
    fn chance_gives_nothing_away() {
        let labels = labels(300);
        let mut state = 1_u64;
        for values in [2, 3, 5, 10, 40] {
            for _ in 0..50 {
                let drawn: Vec<_> = (0..300)
                    .map(|_| {
                        state = state
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1);
                        Some(((state >> 33) % values).to_string())
                    })
                    .collect();
                assert_eq!(giveaway(&labels, "session", &drawn), None);
            }
        }
    }
}
