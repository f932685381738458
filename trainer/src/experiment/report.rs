//! `report.html` of an experiment: tables, findings, plots and how all was measured, in one file that needs no network.

use std::fmt::Write as _;
use std::path::Path;

use super::config::{Experiment, Protocol, Setting};
use super::figures::Figures;
use super::findings::{findings, points};
use super::summary::{EntrySummary, Summary};
use super::tables::{in_order, interval, p_value, percent, published};
use super::{ExperimentError, cell::CellResult, io};
use crate::atomic;
use crate::export::document::{Block, html_text, to_html};
use crate::plots::{self, Plot};
use crate::report::{figure, page, small_figure};

/// Writes `report.html` and `plots/*.svg` into the run's folder `out`. `results` are the cells of `summary`.
///
/// # Errors
/// A picture that the plotting library refuses, a file that cannot be written.
pub fn write(out: &Path, summary: &Summary, results: &[CellResult]) -> Result<(), ExperimentError> {
    use std::io::Write;
    let mut sections = Vec::new();
    for protocol in summary.protocols() {
        sections.push((protocol, Figures::new(summary, protocol, results)?));
    }
    let all: Vec<Plot> = sections
        .iter()
        .flat_map(|(_, f)| f.all())
        .cloned()
        .collect();
    plots::write(&out.join("plots"), &all)?;
    let text = html(summary, &sections)?;
    let path = out.join("report.html");
    atomic::write::<std::io::Error, _>(&path, |w| w.write_all(text.as_bytes()))
        .map_err(io(&path, "write"))
}

/// Adds blocks as HTML.
fn add(body: &mut String, blocks: &[Block]) {
    body.push_str(&to_html(blocks));
}

fn paragraph(text: impl Into<String>) -> Block {
    Block::Paragraph(text.into())
}

fn heading(level: u8, text: impl Into<String>) -> Block {
    Block::Heading(level, text.into())
}

fn table(head: &[&str], rows: Vec<Vec<String>>) -> Block {
    Block::Table(head.iter().map(|h| (*h).to_owned()).collect(), rows)
}

fn html(summary: &Summary, sections: &[(Protocol, Figures)]) -> Result<String, ExperimentError> {
    let title = match summary.title.as_str() {
        "" => &summary.name,
        title => title,
    };
    let mut body = format!("<h1>{}</h1>\n", html_text(title));
    let seeds = match summary.seeds.len() {
        1 => "one seed".to_owned(),
        n => format!("{n} seeds"),
    };
    add(
        &mut body,
        &[paragraph(format!("{}; {seeds}.", summary.split))],
    );
    for note in summary.note.split("\n\n").filter(|n| !n.trim().is_empty()) {
        add(&mut body, &[paragraph(note.trim())]);
    }
    // Writing to a String cannot fail, here and below.
    if sections.len() > 1 {
        body.push_str("<nav><p>Protocols, each with tables and plots of its own:");
        for (protocol, _) in sections {
            let _ = write!(body, " <a href=\"#{protocol}\">{protocol}</a>");
        }
        body.push_str(" · <a href=\"#measured\">how it was measured</a></p></nav>\n");
    }
    for (protocol, figures) in sections {
        section(&mut body, summary, *protocol, figures);
    }
    measured(&mut body, summary);
    data(&mut body, summary);
    configuration(&mut body, summary)?;
    Ok(page(title, &body))
}

fn section(body: &mut String, summary: &Summary, protocol: Protocol, figures: &Figures) {
    let entries = summary.under(protocol);
    let _ = writeln!(
        body,
        "<section id=\"{protocol}\">\n<h2>Protocol {protocol}</h2>"
    );
    add(body, &[paragraph(capital(protocol.meaning()) + ".")]);
    overview(body, summary, &entries);
    body.push_str("<div class=\"findings\">\n<h3>What the numbers say</h3>\n");
    let said = findings(summary, protocol).into_iter();
    // No line begins with a percent sign.
    let said = said.map(|s| s.replace(" %", "\u{a0}%"));
    add(body, &[Block::List(said.collect())]);
    body.push_str("</div>\n");

    add(body, &[heading(3, "UAR with intervals")]);
    let several = summary.seeds.len() > 1;
    let caption = if several {
        "Mean over seeds; whiskers: 95 % interval of that mean; small ticks under them: single seeds."
    } else {
        "One seed: no intervals."
    };
    body.push_str("<div class=\"figures\">\n");
    body.push_str(&figure(&figures.uar, Some(caption)));
    if let Some(plot) = &figures.differences {
        let caption = format!(
            "UAR less that of {}, with the 95 % interval of the paired test. Filled marks: significant after Holm's correction.",
            summary.reference
        );
        body.push_str(&figure(plot, Some(&caption)));
    }
    body.push_str("</div>\n");
    confusions(body, figures);
    maps(body, figures);
    losses(body, figures);
    scores(body, summary, &entries);
    similarity(body, &entries);
    body.push_str("</section>\n");
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

/// Our figures, the paper's under them.
fn overview(body: &mut String, summary: &Summary, entries: &[&EntrySummary]) {
    let columns = in_order(entries, |e| &e.column);
    let spread = match summary.seeds.len() {
        1 => "one seed".to_owned(),
        n => format!("mean ± standard deviation over {n} seeds"),
    };
    let chance = 100.0 / summary.labels.len().max(1) as f64;
    let _ = write!(
        body,
        "<p>UAR in percent, {spread}; chance is {chance:.1}.</p>\n<div class=\"wide\" tabindex=\"0\">\n<table>\n<thead><tr><th scope=\"col\">method</th>"
    );
    for column in &columns {
        let _ = write!(
            body,
            "<th scope=\"col\" class=\"n\">{}</th>",
            html_text(column)
        );
    }
    body.push_str("</tr></thead>\n<tbody>\n");
    for row in in_order(entries, |e| &e.row) {
        let _ = write!(body, "<tr><th scope=\"row\">{}</th>", html_text(row));
        for column in &columns {
            let found = entries.iter().find(|e| e.row == row && e.column == *column);
            let _ = match found {
                None => write!(body, "<td class=\"n\">–</td>"),
                Some(e) => {
                    let paper = e.paper.as_ref().map_or_else(String::new, |p| {
                        format!("<small>paper: {}</small>", html_text(&published(p)))
                    });
                    write!(body, "<td class=\"n\">{}{paper}</td>", percent(&e.uar))
                }
            };
        }
        body.push_str("</tr>\n");
    }
    body.push_str("</tbody>\n</table>\n</div>\n");
}

fn gallery(body: &mut String, plots: &[Plot], draw: impl Fn(&Plot) -> String) {
    body.push_str("<div class=\"figures\">\n");
    for plot in plots {
        body.push_str(&draw(plot));
    }
    body.push_str("</div>\n");
}

fn uncaptioned(plot: &Plot) -> String {
    figure(plot, None)
}

/// A part that opens on a click; `open`: it is open already.
fn folded(body: &mut String, summary: &str, open: bool, content: impl FnOnce(&mut String)) {
    let open = if open { " open=\"open\"" } else { "" };
    let summary = html_text(summary);
    let _ = writeln!(body, "<details{open}>\n<summary>{summary}</summary>");
    content(body);
    body.push_str("</details>\n");
}

fn confusions(body: &mut String, figures: &Figures) {
    add(
        body,
        &[
            heading(3, "Confusion matrices"),
            paragraph("In percent of each true label's rows, all folds and seeds together."),
        ],
    );
    let others = &figures.other_confusions;
    if !figures.confusions.is_empty() {
        gallery(body, &figures.confusions, small_figure);
    }
    if !others.is_empty() {
        let text = format!("Confusion matrices of the other entries ({})", others.len());
        folded(body, &text, false, |b| gallery(b, others, small_figure));
    }
}

fn maps(body: &mut String, figures: &Figures) {
    if figures.maps.is_empty() {
        return;
    }
    add(
        body,
        &[
            heading(3, "Real and synthetic rows"),
            paragraph(
                "Normalised training rows of the first fold and seed in the plane of the real rows' first two principal components (dots), and synthetic rows in the same plane (crosses). A plane shows a part of the variance only: rows that lie together here may lie far apart.",
            ),
        ],
    );
    gallery(body, &figures.maps, uncaptioned);
}

fn losses(body: &mut String, figures: &Figures) {
    if figures.losses.is_empty() {
        return;
    }
    add(
        body,
        &[
            heading(3, "Losses"),
            paragraph(
                "Of the first fold and seed. Training of a classifier stops where validation rows say so.",
            ),
        ],
    );
    for losses in &figures.losses {
        let title = format!("Losses: {}", losses.title);
        folded(body, &title, losses.of_reference, |b| {
            gallery(b, &losses.plots, uncaptioned);
        });
    }
}

fn scores(body: &mut String, summary: &Summary, entries: &[&EntrySummary]) {
    let first = |e: &EntrySummary| vec![format!("`{}`", e.method), e.setting.to_string()];
    let tests = entries.iter().map(|e| {
        let dash = || "–".to_owned();
        let tested = match &e.against {
            None => [dash(), dash(), dash(), dash()],
            Some(c) => [
                points(c.difference.mean),
                format!(
                    "[{}, {}]",
                    points(c.difference.lower),
                    points(c.difference.upper)
                ),
                p_value(c.difference.p),
                p_value(c.holm_p),
            ],
        };
        let mut row = first(e);
        row.extend([percent(&e.uar), interval(&e.uar)]);
        row.extend(tested);
        row
    });
    let more = entries.iter().map(|e| {
        let mut row = first(e);
        row.extend([percent(&e.mean_fold_uar), percent(&e.accuracy)]);
        let share = |r: &Option<f64>| r.map_or("–".into(), |r| format!("{:.1}", 100.0 * r));
        row.extend(e.recall.iter().map(share));
        row.extend([
            format!("{:.0}", e.learned_rows.0),
            format!("{:.0}", e.learned_rows.1),
        ]);
        row
    });
    let head = [
        "method",
        "trained on",
        "UAR",
        "95 %",
        "difference",
        "95 %",
        "p",
        "p (Holm)",
    ];
    let mut more_head = vec!["method", "trained on", "mean of folds", "accuracy"];
    more_head.extend(summary.labels.iter().map(String::as_str));
    more_head.extend(["real rows", "other rows"]);
    add(
        body,
        &[
            heading(3, "Scores in detail"),
            paragraph(format!(
                "UAR in percent; differences to `{}` in points of UAR, each with its 95 % interval.",
                summary.reference
            )),
            table(&head, tests.collect()),
            paragraph(
                "UAR as the mean of the folds' own, accuracy, and recall of each label in percent. Real and other rows: how many recordings, and how many synthetic or mixed rows, a training learned from on average.",
            ),
            table(&more_head, more.collect()),
        ],
    );
}

fn similarity(body: &mut String, entries: &[&EntrySummary]) {
    let rows: Vec<Vec<String>> = entries
        .iter()
        .filter_map(|e| {
            let s = e.similarity.as_ref()?;
            Some(vec![
                format!("`{}`", e.method),
                format!("{:.3}", s.two_sample_auc),
                format!("{:.2}", s.density),
                format!("{:.2}", s.coverage),
                s.nearest.ratio.map_or("–".into(), |r| format!("{r:.2}")),
                format!("{:.1}", 100.0 * s.nearest.near_copies),
            ])
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    let head = [
        "method",
        "AUC",
        "density",
        "coverage",
        "distance",
        "near copies, %",
    ];
    add(
        body,
        &[
            heading(3, "How like real rows the synthetic ones are"),
            table(&head, rows),
            Block::List(vec![
                "AUC: how well a classifier tells synthetic from real training rows. 0.5 or less: it cannot; 1: always.".into(),
                "Density and coverage (Naeem et al. 2020, 5 neighbours): how densely synthetic rows lie where real ones do (well above 1: crowded into the middle), and the share of real rows with a synthetic one nearby (1: nothing is left out).".into(),
                "Distance: median distance of a synthetic row to the nearest training row, over the same among training rows. Near 0 and many near copies: rows that are there already, not new ones.".into(),
            ]),
        ],
    );
}

fn measured(body: &mut String, summary: &Summary) {
    let chance = 100.0 / summary.labels.len().max(1) as f64;
    let seeds = match summary.seeds.as_slice() {
        [only] => format!("one seed ({only})"),
        [first, .., last] => format!("{} seeds ({first} to {last})", summary.seeds.len()),
        [] => "no seeds".into(),
    };
    let folds = match summary.folds.len() {
        1 => "one split".to_owned(),
        n => format!("{n} folds"),
    };
    let mut items = vec![
        format!("{}.", capital(&summary.split)),
        format!(
            "Every entry was trained and tested on {folds} with {seeds}, all entries on the same rows. The predictions of a seed's folds are pooled; UAR (unweighted average recall) is the mean of the labels' recalls, {chance:.1} % by guessing."
        ),
    ];
    items.push("Entries that ask for the same training share it (the real rows of two GANs, say): their figures are the same, not alike.".into());
    items.extend(
        summary
            .protocols()
            .into_iter()
            .map(|p| format!("Protocol {p}: {}.", p.meaning())),
    );
    items.push(if summary.seeds.len() > 1 {
        "Intervals of a UAR (95 %, Student's t) are those of the mean over seeds: what other seeds would give on the same speakers and splits. They say nothing about other speakers or other corpora, and with few seeds they are wide.".into()
    } else {
        "One seed: the spread over seeds is not known, and UARs have no intervals.".into()
    });
    items.push(format!(
        "Differences: {}. p (Holm) is corrected for all comparisons of a protocol; the intervals of the differences are not. The pooled UARs' difference and the tested one may differ a little, since the test takes the mean of single UARs.",
        summary.test
    ));
    items.push("A difference that is not significant is not shown to be zero: its interval says what is compatible with the data.".into());
    body.push_str("<section id=\"measured\">\n");
    add(
        body,
        &[heading(2, "How it was measured"), Block::List(items)],
    );
    let folds = summary
        .folds
        .iter()
        .map(|(name, learned, tested)| vec![name.clone(), learned.to_string(), tested.to_string()]);
    let blocks = [
        table(
            &["tested", "rows to learn from", "rows tested"],
            folds.collect(),
        ),
        paragraph("Validation rows are among the rows to learn from."),
    ];
    folded(body, "Folds", false, |b| add(b, &blocks));
    body.push_str("</section>\n");
}

fn data(body: &mut String, summary: &Summary) {
    let data = &summary.data;
    let mut head = vec!["corpus", "speakers", "rows"];
    head.extend(summary.labels.iter().map(String::as_str));
    let rows = data.counts.iter().map(|(corpus, counts)| {
        let count = |label: &String| counts.get(label).copied().unwrap_or(0).to_string();
        [
            corpus.clone(),
            data.speakers.get(corpus).copied().unwrap_or(0).to_string(),
            counts.values().sum::<usize>().to_string(),
        ]
        .into_iter()
        .chain(summary.labels.iter().map(count))
        .collect()
    });
    let mut items = vec![
        format!(
            "Feature set `{}`, {} columns.",
            data.feature_set, data.columns
        ),
        format!("SHA-256 of the joined table: `{}`.", data.table_sha256),
    ];
    if let (Some(rows), Some(sha256)) = (data.source_rows, &data.source_sha256) {
        items.push(format!(
            "Unlabelled source: {rows} rows, SHA-256 `{sha256}`."
        ));
    }
    add(
        body,
        &[
            heading(2, "Data"),
            table(&head, rows.collect()),
            Block::List(items),
        ],
    );
}

/// A name as the TOML has it.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        _ => String::new(),
    }
}

fn configuration(body: &mut String, summary: &Summary) -> Result<(), ExperimentError> {
    let experiment: Experiment =
        serde_json::from_value(summary.experiment.clone()).map_err(|e| {
            ExperimentError::Invalid {
                origin: "results.json".into(),
                problem: format!("summary.experiment is no description of an experiment: {e}"),
            }
        })?;
    let methods = experiment.methods.iter().map(|m| {
        let settings: Vec<&str> = m.settings.iter().copied().map(Setting::name).collect();
        vec![
            format!("`{}`", m.id),
            m.title.clone(),
            word(&m.synthesis),
            word(&m.reduction),
            word(&m.classifier),
            if m.mixup { "yes" } else { "no" }.to_owned(),
            settings.join(", "),
        ]
    });
    let head = [
        "method",
        "title",
        "synthetic rows",
        "reduction",
        "classifier",
        "mixup",
        "trained on",
    ];
    let versions = summary.versions.iter();
    let versions: Vec<String> = versions.map(|(k, v)| format!("{k} {v}")).collect();
    add(
        body,
        &[
            heading(2, "Methods"),
            table(&head, methods.collect()),
            heading(2, "To run it again"),
            Block::Code("sh", command(&experiment)),
            paragraph(
                "`experiment.toml` lies beside this file; it is also what follows here. Every number of this report, and those of single trainings, are in `results.json`.",
            ),
            paragraph(format!(
                "{} trainings took {} one after the other. Versions: {}.",
                summary.cells,
                duration(summary.cell_seconds),
                versions.join(", ")
            )),
        ],
    );
    let text = [Block::Code("toml", experiment.to_toml()?)];
    folded(body, "experiment.toml", false, |b| add(b, &text));
    Ok(())
}

/// The command line, for a shell.
fn command(experiment: &Experiment) -> String {
    let mut words = vec!["ser-train run experiment.toml".to_owned()];
    let data = &experiment.data;
    let source: Vec<_> = data.source.iter().cloned().collect();
    for (option, tables) in [
        ("--features", &data.features),
        ("--test", &data.test),
        ("--source", &source),
    ] {
        if !tables.is_empty() {
            words.push(option.into());
            words.extend(tables.iter().map(|t| quoted(&t.to_string_lossy())));
        }
    }
    words.push("-o again".into());
    words.join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:,=@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests;
