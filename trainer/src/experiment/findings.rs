//! What the numbers of a protocol say, in sentences that claim no more than tests and intervals allow.

use super::config::{Protocol, Setting};
use super::summary::{Comparison, EntrySummary, LEVEL, Summary};
use super::tables::p_value;
use crate::stats;

/// Below it a corrected p-value makes a difference.
const SIGNIFICANT: f64 = 0.05;

/// What a comparison allows to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// More than the reference, after correction for all comparisons.
    Above,
    /// Less, after correction.
    Below,
    /// The interval leaves out zero, but the corrected p-value is not small.
    Uncorrected,
    /// The interval holds zero.
    Open,
}

impl Verdict {
    /// The verdict on a comparison.
    pub fn of(c: &Comparison) -> Self {
        let d = &c.difference;
        match (c.holm_p < SIGNIFICANT, d.lower > 0.0 || d.upper < 0.0) {
            (true, true) if d.mean > 0.0 => Self::Above,
            (true, true) => Self::Below,
            (false, true) => Self::Uncorrected,
            (_, false) => Self::Open,
        }
    }
}

/// How readers know an entry: "PCA, with mixup".
pub fn name(entry: &EntrySummary) -> String {
    format!("{}, {}", entry.row, entry.column)
}

/// The entry that all others of `protocol` are tested against, if the protocol has it.
pub fn reference(summary: &Summary, protocol: Protocol) -> Option<&EntrySummary> {
    let (method, setting) = summary.reference.rsplit_once('/')?;
    summary
        .under(protocol)
        .into_iter()
        .find(|e| e.method == method && e.setting.name() == setting)
}

/// "+1.3" in points, with a true minus sign and no signed zero.
pub fn points(share: f64) -> String {
    let text = format!("{:+.1}", 100.0 * share);
    match text.as_str() {
        "-0.0" | "+0.0" => "0.0".into(),
        _ => text.replace('-', "−"),
    }
}

fn percent(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}

/// "+1.3 points (95 % interval −0.2 to +2.8; p = 0.080, Holm-corrected = 0.240)", of which the mean is that of the
/// test's own units and not quite the difference of the pooled scores.
fn difference(c: &Comparison) -> String {
    let d = &c.difference;
    let p = |p: f64| match p_value(p) {
        text if text.starts_with('<') => text,
        text => format!("= {text}"),
    };
    format!(
        "{} points (95 % interval {} to {}; p {}, Holm-corrected {})",
        points(d.mean),
        points(d.lower),
        points(d.upper),
        p(d.p),
        p(c.holm_p)
    )
}

const NO_TEST: &str = "too few folds or speakers for a test";
const UNCORRECTED: &str = "The interval leaves out zero, but among as many comparisons as there are here that happens by chance: no difference is shown";

/// Sentences on the entries of `protocol`; text with `` `code` `` spans as in a document's block.
pub fn findings(summary: &Summary, protocol: Protocol) -> Vec<String> {
    let entries = summary.under(protocol);
    let Some(reference) = reference(summary, protocol) else {
        return vec![format!(
            "The reference `{}` is not part of this protocol: nothing is tested here.",
            summary.reference
        )];
    };
    let chance = 1.0 / summary.labels.len().max(1) as f64;
    let mut out = Vec::new();
    if reference.setting == Setting::Real && reference.uar.mean > 0.0 {
        let own = |s: Setting| {
            entries
                .iter()
                .find(|e| e.method == reference.method && e.setting == s)
        };
        out.extend(own(Setting::RealAndSynthetic).map(|e| added(e, reference)));
        out.extend(own(Setting::Synthetic).map(|e| alone(e, reference, chance)));
    }
    out.extend(best(&entries, reference));
    out.extend(count(&entries));
    out
}

/// Real and synthetic rows beside real ones.
fn added(both: &EntrySummary, real: &EntrySummary) -> String {
    let figures = format!(
        "UAR {} % with them, {} % without",
        percent(both.uar.mean),
        percent(real.uar.mean)
    );
    let method = &real.row;
    let mut text = match &both.against {
        None => format!("Synthetic rows beside the real ones, “{method}”: {figures}; {NO_TEST}."),
        Some(c) => {
            let d = difference(c);
            match Verdict::of(c) {
                Verdict::Above => format!(
                    "Synthetic rows beside the real ones help “{method}”: {figures}; the paired test finds {d}."
                ),
                Verdict::Below => format!(
                    "Synthetic rows beside the real ones harm “{method}”: {figures}; the paired test finds {d}."
                ),
                Verdict::Uncorrected => format!(
                    "Synthetic rows beside the real ones, “{method}”: {figures}; the paired test finds {d}. {UNCORRECTED}."
                ),
                Verdict::Open => format!(
                    "Whether synthetic rows beside the real ones help or harm “{method}” remains open: {figures}; the paired test finds {d}. Anything inside the interval fits these data."
                ),
            }
        }
    };
    if let (Some([with, ..]), Some([without, ..])) = (both.paper.as_deref(), real.paper.as_deref())
    {
        text += &format!(
            " The paper's difference: {}.",
            points((with - without) / 100.0)
        );
    }
    text
}

/// Synthetic rows instead of real ones.
fn alone(made: &EntrySummary, real: &EntrySummary, chance: f64) -> String {
    let share = made.uar.mean / real.uar.mean;
    let of_seeds: Vec<f64> = made
        .uar
        .per_seed
        .iter()
        .zip(&real.uar.per_seed)
        .map(|(a, b)| a / b)
        .collect();
    let interval = match stats::mean_interval(&of_seeds, LEVEL) {
        Some(i) if i.mean.is_finite() => format!(
            "; 95 % interval of the share over seeds {:.0} to {:.0} %",
            100.0 * i.lower,
            100.0 * i.upper
        ),
        _ => String::new(),
    };
    let mut text = format!(
        "Synthetic rows alone reach {:.0} % of the real rows' UAR in “{}”: {} against {} %{interval}.",
        100.0 * share,
        real.row,
        percent(made.uar.mean),
        percent(real.uar.mean),
    );
    if real.uar.mean > chance {
        text += &format!(
            " Guessing reaches {} %; of what real rows give beyond guessing, synthetic rows give {:.0} %.",
            percent(chance),
            100.0 * (made.uar.mean - chance) / (real.uar.mean - chance)
        );
    }
    match &made.against {
        None => text += &format!(" There are {NO_TEST}."),
        Some(c) => {
            text += &format!(" The paired test finds {}", difference(c));
            text += &match Verdict::of(c) {
                Verdict::Above | Verdict::Below => ".".to_owned(),
                Verdict::Uncorrected => format!(". {UNCORRECTED}."),
                Verdict::Open => ", which is compatible with none.".to_owned(),
            };
        }
    }
    if let (Some([made, ..]), Some([real, ..])) = (made.paper.as_deref(), real.paper.as_deref()) {
        text += &format!(" The paper's share: {:.0} %.", 100.0 * made / real);
    }
    text
}

/// The highest score, or the next one after the reference.
fn best(entries: &[&EntrySummary], reference: &EntrySummary) -> Option<String> {
    let others = entries.iter().filter(|e| e.cells != reference.cells);
    let best = others.max_by(|a, b| a.uar.mean.total_cmp(&b.uar.mean))?;
    let (title, uar) = (name(best), percent(best.uar.mean));
    let of_reference = percent(reference.uar.mean);
    let tested = match &best.against {
        None => {
            return Some(format!(
                "The highest UAR beside the reference's {of_reference} %: “{title}” with {uar} %; {NO_TEST}."
            ));
        }
        Some(c) => c,
    };
    let d = difference(tested);
    let verdict = Verdict::of(tested);
    if best.uar.mean <= reference.uar.mean {
        let far = match verdict {
            Verdict::Below => "The interval of the distance leaves out zero.".to_owned(),
            Verdict::Uncorrected => format!("{UNCORRECTED}."),
            _ => "That is no difference that these data show.".to_owned(),
        };
        return Some(format!(
            "No entry has a higher UAR than the reference “{}” ({of_reference} %). Next is “{title}” with {uar} %; the paired test finds {d}. {far}",
            name(reference)
        ));
    }
    let lead = match verdict {
        Verdict::Above => "The interval of the lead leaves out zero.".to_owned(),
        Verdict::Uncorrected => format!("{UNCORRECTED}."),
        _ => "The interval of the lead holds zero: it may be chance, all the more as the best of several was picked by the rows it is tested on.".to_owned(),
    };
    Some(format!(
        "The highest UAR has “{title}”: {uar} %, against {of_reference} % of the reference “{}”; the paired test finds {d}. {lead}",
        name(reference)
    ))
}

/// How many entries differ.
fn count(entries: &[&EntrySummary]) -> Option<String> {
    let tested: Vec<(&EntrySummary, Verdict)> = entries
        .iter()
        .filter_map(|e| Some((*e, Verdict::of(e.against.as_ref()?))))
        .collect();
    if tested.is_empty() {
        return None;
    }
    let number = |v: Verdict| tested.iter().filter(|(_, own)| *own == v).count();
    let (above, below) = (number(Verdict::Above), number(Verdict::Below));
    Some(format!(
        "Comparisons with the reference: {}. After Holm's correction {above} {} above it and {below} below; for the other {} no difference is shown, which does not mean that there is none.",
        tested.len(),
        if above == 1 { "lies" } else { "lie" },
        tested.len() - above - below
    ))
}

#[cfg(test)]
pub(super) mod made {
    //! Summaries with numbers made by hand.

    use std::collections::BTreeMap;

    use serde_json::json;

    use super::super::config::Experiment;
    use super::super::summary::{DataSummary, Scored};
    use super::*;
    use crate::metrics::Confusion;
    use crate::stats::PairedTest;

    /// Mean, lower and upper end in points, p and Holm's p.
    pub(crate) type Tested = (f64, f64, f64, f64, f64);

    pub(crate) fn entry(
        method: &str,
        setting: Setting,
        uar: f64,
        against: Option<Tested>,
    ) -> EntrySummary {
        let score = |mean: f64| Scored {
            mean,
            std: Some(0.01),
            interval: Some((mean - 0.02, mean + 0.02)),
            per_seed: vec![mean - 0.01, mean + 0.01],
        };
        EntrySummary {
            method: method.into(),
            row: format!("<{method}> & co"),
            column: setting.name().into(),
            setting,
            protocol: Protocol::Strict,
            uar: score(uar),
            mean_fold_uar: score(uar),
            accuracy: score(uar),
            recall: vec![Some(uar), None],
            confusion: Confusion {
                counts: vec![vec![3, 1], vec![2, 2]],
            },
            learned_rows: (30.0, 0.0),
            paper: None,
            against: against.map(|(mean, lower, upper, p, holm_p)| Comparison {
                ratio: 1.0,
                difference: PairedTest {
                    mean: mean / 100.0,
                    lower: lower / 100.0,
                    upper: upper / 100.0,
                    p,
                },
                holm_p,
            }),
            similarity: None,
            chosen: Vec::new(),
            cells: vec![format!("{method} {setting}")],
        }
    }

    pub(crate) fn summary(entries: Vec<EntrySummary>) -> Summary {
        let experiment = Experiment::from_toml(
            "name = \"made\"\n[data]\nfeatures = [\"a b.parquet\"]\n[[method]]\nid = \"gan\"\ntitle = \"<gan> & co\"\n",
            "made.toml",
        );
        Summary {
            name: "made".into(),
            title: "A <b>title</b> & more".into(),
            note: "First <i>note</i>.\n\nSecond `note`.".into(),
            split: "8 recordings, 2 labels".into(),
            reference: "gan/real".into(),
            test: "a test".into(),
            labels: vec!["a<b".into(), "c".into()],
            entries,
            seeds: vec![1, 2],
            folds: vec![("speakers <x>".into(), 6, 2)],
            data: DataSummary {
                table_sha256: "abc".into(),
                source_sha256: None,
                source_rows: None,
                feature_set: "custom".into(),
                columns: 3,
                counts: BTreeMap::from([(
                    "corpus <1>".into(),
                    BTreeMap::from([("a<b".into(), 4), ("c".into(), 4)]),
                )]),
                speakers: BTreeMap::from([("corpus <1>".into(), 2)]),
            },
            cell_seconds: 12.0,
            cells: 4,
            versions: BTreeMap::from([("device".into(), "cpu".into())]),
            experiment: json!(experiment.unwrap()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::made::{Tested, entry, summary};
    use super::*;

    fn said(both: Option<Tested>, uar: f64) -> Vec<String> {
        let entries = vec![
            entry("gan", Setting::Real, 0.60, None),
            entry("gan", Setting::RealAndSynthetic, uar, both),
        ];
        findings(&summary(entries), Protocol::Strict)
    }

    #[test]
    fn a_difference_is_claimed_where_the_corrected_test_has_one() {
        let said = said(Some((2.0, 0.5, 3.5, 0.01, 0.02)), 0.62);
        assert_eq!(
            said[0],
            "Synthetic rows beside the real ones help “<gan> & co”: UAR 62.0 % with them, 60.0 % without; the paired test finds +2.0 points (95 % interval +0.5 to +3.5; p = 0.010, Holm-corrected = 0.020)."
        );
        assert!(
            said[1].starts_with("The highest UAR has “<gan> & co, real+synthetic”: 62.0 %")
                && said[1].ends_with("leaves out zero."),
            "{}",
            said[1]
        );
        assert!(
            said[2].contains("reference: 1. After Holm's correction 1 lies above it and 0 below"),
            "{}",
            said[2]
        );
    }

    #[test]
    fn harm_is_called_harm() {
        let said = said(Some((-2.0, -3.5, -0.5, 0.0001, 0.0002)), 0.58);
        assert!(
            said[0].contains("ones harm “")
                && said[0].contains("−2.0 points (95 % interval −3.5 to −0.5; p < 0.001"),
            "{}",
            said[0]
        );
        assert!(
            said[1].starts_with("No entry has a higher UAR than the reference")
                && said[1].ends_with("leaves out zero."),
            "{}",
            said[1]
        );
    }

    #[test]
    fn nothing_is_claimed_where_the_interval_holds_zero() {
        for (mean, uar) in [(1.0, 0.61), (-1.0, 0.59)] {
            let said = said(Some((mean, mean - 3.0, mean + 3.0, 0.4, 0.4)), uar);
            assert!(
                said[0].contains("remains open")
                    && !said[0].contains("ones help “")
                    && !said[0].contains("ones harm “"),
                "{}",
                said[0]
            );
            assert!(
                said[1].contains("it may be chance")
                    || said[1].contains("no difference that these data show"),
                "{}",
                said[1]
            );
            assert!(
                said[2].contains("0 lie above it and 0 below"),
                "{}",
                said[2]
            );
        }
    }

    #[test]
    fn one_small_p_among_many_is_no_difference() {
        let said = said(Some((2.0, 0.5, 3.5, 0.02, 0.2)), 0.62);
        assert!(
            said[0].contains("no difference is shown")
                && said[1].contains("no difference is shown"),
            "{said:?}"
        );
    }

    #[test]
    fn synthetic_rows_alone_are_a_share_of_the_real_ones() {
        let mut entries = vec![
            entry("gan", Setting::Real, 0.80, None),
            entry(
                "gan",
                Setting::Synthetic,
                0.60,
                Some((-20.0, -25.0, -15.0, 0.001, 0.002)),
            ),
        ];
        let text = &findings(&summary(entries.clone()), Protocol::Strict)[0];
        for part in [
            "reach 75 % of",
            "60.0 against 80.0 %",
            "Guessing reaches 50.0 %",
            "give 33 %",
            "over seeds",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("paper"), "{text}");
        entries[0].paper = Some(vec![60.51, 0.57]);
        entries[1].paper = Some(vec![45.75, 0.81]);
        // One seed: no interval of the share.
        for e in &mut entries {
            e.uar.per_seed.truncate(1);
        }
        let text = &findings(&summary(entries), Protocol::Strict)[0];
        assert!(
            text.contains("The paper's share: 76 %") && !text.contains("over seeds"),
            "{text}"
        );
    }

    #[test]
    fn without_a_test_or_a_reference_it_says_so() {
        assert!(said(None, 0.62)[0].contains("too few folds"));
        let alone = summary(vec![entry("other", Setting::Real, 0.6, None)]);
        assert!(findings(&alone, Protocol::Strict)[0].contains("not part of this protocol"));
        assert_eq!(points(-0.0004), "0.0");
    }
}
