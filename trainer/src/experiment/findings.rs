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

/// "+1.3 points (95 % interval −0.2 to +2.8; p = 0.080, Holm 0.240)".
fn difference(c: &Comparison) -> String {
    let d = &c.difference;
    let p = |p: f64| match p_value(p) {
        text if text.starts_with('<') => text,
        text => format!("= {text}"),
    };
    format!(
        "{} points (95 % interval {} to {}; p {}, corrected for all comparisons {})",
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
        None => format!("Synthetic rows beside the real ones ({method}): {figures}; {NO_TEST}."),
        Some(c) => {
            let d = difference(c);
            match Verdict::of(c) {
                Verdict::Above => format!(
                    "Synthetic rows beside the real ones help ({method}): {figures}, a difference of {d}."
                ),
                Verdict::Below => format!(
                    "Synthetic rows beside the real ones do harm ({method}): {figures}, a difference of {d}."
                ),
                Verdict::Uncorrected => format!(
                    "Synthetic rows beside the real ones ({method}): {figures}, a difference of {d}. {UNCORRECTED}."
                ),
                Verdict::Open => format!(
                    "Whether synthetic rows beside the real ones help or harm ({method}) remains open: {figures}, a difference of {d}. Anything inside the interval fits these data."
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
        "Synthetic rows alone reach {:.0} % of the real rows' UAR ({}): {} against {} %{interval}.",
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
            text += &format!(" The difference: {}", difference(c));
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
                "The highest UAR beside the reference's {of_reference} %: {title}, with {uar} %; {NO_TEST}."
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
            "No entry has a higher UAR than the reference ({}: {of_reference} %). Next is {title} with {uar} %, {d}. {far}",
            name(reference)
        ));
    }
    let lead = match verdict {
        Verdict::Above => "The interval of the lead leaves out zero.".to_owned(),
        Verdict::Uncorrected => format!("{UNCORRECTED}."),
        _ => "The interval of the lead holds zero: it may be chance, all the more as the best of several was picked by the rows it is tested on.".to_owned(),
    };
    Some(format!(
        "The highest UAR has {title}: {uar} %, against the reference's {of_reference} % ({}) a difference of {d}. {lead}",
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
        "Of {} comparisons with the reference, {above} {} above it and {below} below after Holm's correction; for the other {} no difference is shown, which does not mean that there is none.",
        tested.len(),
        if above == 1 { "lies" } else { "lie" },
        tested.len() - above - below
    ))
}
