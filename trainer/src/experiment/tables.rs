//! `tables.md` and `tables.tex`: our figures with the paper's beside them.

use std::fmt::Write as _;
use std::path::Path;

use super::summary::{EntrySummary, Scored, Summary};
use super::{ExperimentError, io};
use crate::atomic;

/// Writes both files.
///
/// # Errors
/// A file cannot be written.
pub fn write(out: &Path, summary: &Summary) -> Result<(), ExperimentError> {
    use std::io::Write;
    for (name, text) in [
        ("tables.md", markdown(summary)),
        ("tables.tex", latex(summary)),
    ] {
        let path = out.join(name);
        atomic::write::<std::io::Error, _>(&path, |w| w.write_all(text.as_bytes()))
            .map_err(io(&path, "write"))?;
    }
    Ok(())
}

/// Different rows (or columns) in the order in which they first appear.
pub fn in_order<'e>(
    entries: &[&'e EntrySummary],
    of: impl Fn(&'e EntrySummary) -> &'e str,
) -> Vec<&'e str> {
    let mut out = Vec::new();
    for &entry in entries {
        if !out.contains(&of(entry)) {
            out.push(of(entry));
        }
    }
    out
}

/// "59.3 ± 0.4" in percent.
pub fn percent(score: &Scored) -> String {
    match score.std {
        Some(std) => format!("{:.1} ± {:.1}", 100.0 * score.mean, 100.0 * std),
        None => format!("{:.1}", 100.0 * score.mean),
    }
}

/// The paper's figure as the paper writes it.
pub fn published(figure: &[f64]) -> String {
    match figure {
        [mean, std] => format!("{mean:.2} ± {std:.2}"),
        [mean] => format!("{mean}"),
        _ => String::new(),
    }
}

/// "0.003", "< 0.001".
pub fn p_value(p: f64) -> String {
    if p < 0.001 {
        "< 0.001".into()
    } else {
        format!("{p:.3}")
    }
}

/// "[57.0, 61.2]" in percent.
pub fn interval(score: &Scored) -> String {
    match score.interval {
        Some((a, b)) => format!("[{:.1}, {:.1}]", 100.0 * a, 100.0 * b),
        None => "one seed".into(),
    }
}

/// All tables as Markdown.
pub fn markdown(summary: &Summary) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# {}\n", summary.title);
    if !summary.note.is_empty() {
        let _ = writeln!(text, "{}\n", summary.note);
    }
    let _ = writeln!(
        text,
        "{}; {} seeds from {}.\n",
        summary.split,
        summary.seeds.len(),
        summary.seeds.first().unwrap_or(&0)
    );
    for protocol in summary.protocols() {
        let entries = summary.under(protocol);
        let _ = writeln!(
            text,
            "## {}: UAR in percent, mean ± standard deviation over seeds\n\nProtocol *{protocol}*: {}.\n",
            capital(&protocol.to_string()),
            protocol.meaning()
        );
        overview(&mut text, &entries);
        details(&mut text, summary, &entries);
        similarity(&mut text, &entries);
    }
    text
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

fn overview(text: &mut String, entries: &[&EntrySummary]) {
    let columns = in_order(entries, |e| &e.column);
    let _ = writeln!(text, "| train on | {} |", columns.join(" | "));
    let _ = writeln!(text, "|---|{}", "---|".repeat(columns.len()));
    for row in in_order(entries, |e| &e.row) {
        let _ = write!(text, "| {row} |");
        for column in &columns {
            let found = entries.iter().find(|e| e.row == row && e.column == *column);
            let _ = match found {
                None => write!(text, " |"),
                Some(e) => match &e.paper {
                    None => write!(text, " {} |", percent(&e.uar)),
                    Some(p) => write!(text, " {} (paper: {}) |", percent(&e.uar), published(p)),
                },
            };
        }
        text.push('\n');
    }
    text.push('\n');
}

fn details(text: &mut String, summary: &Summary, entries: &[&EntrySummary]) {
    let _ = writeln!(
        text,
        "Intervals of the mean over seeds hold for these speakers; differences to `{}` are in points of UAR, {}. p (Holm) is corrected for all comparisons of this protocol.\n",
        summary.reference, summary.test
    );
    let _ = writeln!(
        text,
        "| method | setting | UAR pooled | 95 % | UAR mean of folds | accuracy | {} | difference [95 %] | p | p (Holm) |",
        summary.labels.join(" | ")
    );
    let _ = writeln!(text, "|{}", "---|".repeat(9 + summary.labels.len()));
    for e in entries {
        let recalls: Vec<String> = e
            .recall
            .iter()
            .map(|r| r.map_or("-".into(), |r| format!("{:.0}", 100.0 * r)))
            .collect();
        let (difference, p, holm) = match &e.against {
            None => ("reference".into(), String::new(), String::new()),
            Some(c) => (difference(c), p_value(c.difference.p), p_value(c.holm_p)),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {difference} | {p} | {holm} |",
            e.method,
            e.setting,
            percent(&e.uar),
            interval(&e.uar),
            percent(&e.mean_fold_uar),
            percent(&e.accuracy),
            recalls.join(" | "),
        );
    }
    text.push('\n');
}

/// "+0.4 [-1.0, 1.8]" in points.
pub fn difference(c: &super::summary::Comparison) -> String {
    let d = &c.difference;
    format!(
        "{:+.1} [{:.1}, {:.1}]",
        100.0 * d.mean,
        100.0 * d.lower,
        100.0 * d.upper
    )
}

fn similarity(text: &mut String, entries: &[&EntrySummary]) {
    if entries.iter().all(|e| e.similarity.is_none()) {
        return;
    }
    text.push_str(
        "How like the real training rows the synthetic ones are. AUC: a classifier tells them apart (0.5: it cannot). Density and coverage: Naeem et al. 2020, 5 neighbours (real rows against themselves: 1 and 1). Distance: median distance of a synthetic row to the nearest training row, over that among training rows (near 0: copies).\n\n\
         | method | AUC | density | coverage | distance | near copies |\n|---|---|---|---|---|---|\n",
    );
    for e in entries {
        if let Some(s) = &e.similarity {
            let _ = writeln!(
                text,
                "| {} | {:.3} | {:.2} | {:.2} | {} | {:.1} % |",
                e.method,
                s.two_sample_auc,
                s.density,
                s.coverage,
                s.nearest.ratio.map_or("-".into(), |r| format!("{r:.2}")),
                100.0 * s.nearest.near_copies
            );
        }
    }
    text.push('\n');
}

fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                out.push('\\');
                out.push(c);
            }
            '±' => out.push_str("$\\pm$"),
            '×' => out.push_str("$\\times$"),
            'α' => out.push_str("$\\alpha$"),
            'σ' => out.push_str("$\\sigma$"),
            '\\' => out.push_str("\\textbackslash{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            _ => out.push(c),
        }
    }
    out
}

/// A `booktabs` table for each protocol.
pub fn latex(summary: &Summary) -> String {
    let mut text = String::from("% needs \\usepackage{booktabs}\n");
    for protocol in summary.protocols() {
        let entries = summary.under(protocol);
        let columns = in_order(&entries, |e| &e.column);
        let _ = write!(
            text,
            "\\begin{{table}}\n\\centering\n\\caption{{{} UAR in percent, mean $\\pm$ standard deviation over {} seeds; protocol {protocol}: {}. In brackets: the paper's figures.}}\n\\label{{tab:{}-{protocol}}}\n\\begin{{tabular}}{{l{}}}\n\\toprule\n",
            escape(&summary.title),
            summary.seeds.len(),
            escape(protocol.meaning()),
            summary.name,
            "r".repeat(columns.len())
        );
        let heads: Vec<String> = columns.iter().map(|c| escape(c)).collect();
        let _ = writeln!(text, "train on & {} \\\\\n\\midrule", heads.join(" & "));
        for row in in_order(&entries, |e| &e.row) {
            let cells: Vec<String> = columns
                .iter()
                .map(|c| {
                    let found = entries.iter().find(|e| e.row == row && e.column == *c);
                    found.map_or(String::new(), |e| match &e.paper {
                        None => escape(&percent(&e.uar)),
                        Some(p) => escape(&format!("{} ({})", percent(&e.uar), published(p))),
                    })
                })
                .collect();
            let _ = writeln!(text, "{} & {} \\\\", escape(row), cells.join(" & "));
        }
        text.push_str("\\bottomrule\n\\end{tabular}\n\\end{table}\n\n");
    }
    text
}
