//! The plots of an experiment, protocol by protocol.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::ExperimentError;
use super::cell::{CellResult, Map2d};
use super::config::{Protocol, Setting};
use super::findings::{Verdict, points, reference};
use super::summary::{EntrySummary, Summary};
use super::tables::in_order;
use crate::plots::{self, CellText, Cloud, Dot, DotPlot, Group, Plot};

/// Plots of one protocol.
#[derive(Clone, Debug)]
pub struct Figures {
    /// UAR of every entry.
    pub uar: Plot,
    /// UAR of every tested entry less that of the reference; none without a test.
    pub differences: Option<Plot>,
    /// Confusion matrices of the reference's method.
    pub confusions: Vec<Plot>,
    /// Those of all other methods.
    pub other_confusions: Vec<Plot>,
    /// Real and synthetic rows in a plane, for every method that makes any.
    pub maps: Vec<Plot>,
    /// Losses, method by method.
    pub losses: Vec<Losses>,
}

/// Losses of a method's first fold and seed.
#[derive(Clone, Debug)]
pub struct Losses {
    /// Title of the method.
    pub title: String,
    /// Whether it is the reference's method.
    pub of_reference: bool,
    /// A plot for each network or group of networks.
    pub plots: Vec<Plot>,
}

impl Figures {
    /// Draws them.
    ///
    /// # Errors
    /// A picture that the plotting library refuses.
    pub fn new(
        summary: &Summary,
        protocol: Protocol,
        results: &[CellResult],
    ) -> Result<Self, ExperimentError> {
        let entries = summary.under(protocol);
        let known: HashMap<&str, &CellResult> =
            results.iter().map(|r| (r.id.as_str(), r)).collect();
        let own = reference(summary, protocol).map(|r| r.method.as_str());
        let mut figures = Self {
            uar: uar(summary, protocol, &entries)?,
            differences: differences(summary, protocol, &entries)?,
            confusions: Vec::new(),
            other_confusions: Vec::new(),
            maps: Vec::new(),
            losses: Vec::new(),
        };
        for entry in &entries {
            let plot = confusion(summary, entry)?;
            if own == Some(entry.method.as_str()) {
                figures.confusions.push(plot);
            } else {
                figures.other_confusions.push(plot);
            }
            let cells = entry.cells.iter().filter_map(|id| known.get(id.as_str()));
            if let Some(seen) = cells.clone().find_map(|c| c.map.as_ref()) {
                figures.maps.push(map(summary, entry, seen)?);
            }
        }
        for method in in_order(&entries, |e| &e.method) {
            let entries: Vec<&EntrySummary> = entries
                .iter()
                .copied()
                .filter(|e| e.method == method)
                .collect();
            let lines = losses(summary, &entries, &known);
            let drawn = plots::losses(&format!("losses_{protocol}_{method}"), &lines)?;
            if let (Some(first), false) = (entries.first(), drawn.is_empty()) {
                figures.losses.push(Losses {
                    title: title(first),
                    of_reference: own == Some(method),
                    plots: drawn,
                });
            }
        }
        Ok(figures)
    }

    /// All of them, for files.
    pub fn all(&self) -> impl Iterator<Item = &Plot> {
        std::iter::once(&self.uar)
            .chain(&self.differences)
            .chain(&self.confusions)
            .chain(&self.other_confusions)
            .chain(&self.maps)
            .chain(self.losses.iter().flat_map(|l| &l.plots))
    }
}

/// The method's row, with its column where the settings are not the columns.
fn title(entry: &EntrySummary) -> String {
    if entry.column == entry.setting.name() {
        entry.row.clone()
    } else {
        format!("{}, {}", entry.row, entry.column)
    }
}

/// Entries of each row of the table, with the dot that `of` makes of them.
fn groups(
    entries: &[&EntrySummary],
    of: impl Fn(&EntrySummary, usize) -> Option<Dot>,
) -> Vec<Group> {
    let columns = in_order(entries, |e| &e.column);
    let rows = in_order(entries, |e| &e.row).into_iter();
    let groups = rows.map(|row| {
        let dots = entries.iter().filter(|e| e.row == row).filter_map(|e| {
            let series = columns.iter().position(|c| *c == e.column)?;
            of(e, series)
        });
        Group {
            title: row.to_owned(),
            dots: dots.collect(),
        }
    });
    groups.filter(|g| !g.dots.is_empty()).collect()
}

fn series(entries: &[&EntrySummary]) -> Vec<String> {
    let columns = in_order(entries, |e| &e.column);
    columns.into_iter().map(str::to_owned).collect()
}

fn uar(
    summary: &Summary,
    protocol: Protocol,
    entries: &[&EntrySummary],
) -> Result<Plot, ExperimentError> {
    let dot = |e: &EntrySummary, series| {
        Some(Dot {
            series,
            value: 100.0 * e.uar.mean,
            interval: e.uar.interval.map(|(a, b)| (100.0 * a, 100.0 * b)),
            single: match e.uar.per_seed.as_slice() {
                [_] => Vec::new(),
                several => several.iter().map(|u| 100.0 * u).collect(),
            },
            published: e.paper.as_deref().and_then(|p| p.first().copied()),
            hollow: false,
            text: format!("{:.1}", 100.0 * e.uar.mean),
        })
    };
    let plot = DotPlot {
        axis: "UAR in percent".into(),
        line: (100.0 / summary.labels.len().max(1) as f64, "chance".into()),
        limits: (0.0, 100.0),
        series: series(entries),
        groups: groups(entries, dot),
        published: "the paper".into(),
    };
    let title = format!("UAR of every entry, protocol {protocol}");
    Ok(plots::dots(&format!("uar_{protocol}"), &title, &plot)?)
}

fn differences(
    summary: &Summary,
    protocol: Protocol,
    entries: &[&EntrySummary],
) -> Result<Option<Plot>, ExperimentError> {
    let dot = |e: &EntrySummary, series| {
        let against = e.against.as_ref()?;
        let d = &against.difference;
        Some(Dot {
            series,
            value: 100.0 * d.mean,
            interval: Some((100.0 * d.lower, 100.0 * d.upper)),
            single: Vec::new(),
            published: None,
            hollow: !matches!(Verdict::of(against), Verdict::Above | Verdict::Below),
            text: points(d.mean),
        })
    };
    let groups = groups(entries, dot);
    if groups.is_empty() {
        return Ok(None);
    }
    let plot = DotPlot {
        axis: "difference of UAR in points".into(),
        line: (0.0, "no difference".into()),
        limits: (-100.0, 100.0),
        series: series(entries),
        groups,
        published: String::new(),
    };
    let title = format!(
        "UAR less that of {}, protocol {protocol}",
        summary.reference
    );
    Ok(Some(plots::dots(
        &format!("difference_{protocol}"),
        &title,
        &plot,
    )?))
}

fn confusion(summary: &Summary, entry: &EntrySummary) -> Result<Plot, ExperimentError> {
    let name = format!(
        "confusion_{}_{}_{}",
        entry.protocol, entry.method, entry.setting
    );
    let title = format!("{}: {}", entry.row, entry.column);
    let counts = &entry.confusion.counts;
    Ok(plots::confusion(
        &name,
        &title,
        &summary.labels,
        counts,
        CellText::Share,
    )?)
}

fn map(summary: &Summary, entry: &EntrySummary, map: &Map2d) -> Result<Plot, ExperimentError> {
    let cloud = |name: &str, rows: &[(f32, f32, usize)]| Cloud {
        name: name.into(),
        points: rows
            .iter()
            .map(|&(x, y, c)| (f64::from(x), f64::from(y), c))
            .collect(),
    };
    let title = format!(
        "{} ({:.0} % of variance)",
        title(entry),
        100.0 * map.explained
    );
    Ok(plots::scatter(
        &format!("map_{}_{}", entry.protocol, entry.method),
        &title,
        &summary.labels,
        [
            &cloud("real rows", &map.real),
            &cloud("synthetic rows", &map.synthetic),
        ],
        ["first principal component", "second principal component"],
    )?)
}

/// Lines as [`plots::losses`] reads them: what comes before the classifiers once, classifiers setting by setting.
fn losses(
    summary: &Summary,
    entries: &[&EntrySummary],
    known: &HashMap<&str, &CellResult>,
) -> Vec<Value> {
    let (mut lines, mut classifiers) = (Vec::new(), Vec::new());
    let mut seen: Vec<&str> = Vec::new();
    for entry in entries {
        let cells = entry.cells.iter().filter_map(|id| known.get(id.as_str()));
        let curves: Vec<_> = cells.flat_map(|c| &c.losses).collect();
        for curve in &curves {
            let classifier = curve.of == "classifier";
            if !classifier && seen.contains(&curve.of.as_str()) {
                continue;
            }
            let stage = match (classifier, entry.setting) {
                (false, _) => curve.of.clone(),
                (true, Setting::Real) => "classifier on real rows".into(),
                (true, Setting::Synthetic) => "classifier on synthetic rows".into(),
                (true, Setting::RealAndSynthetic) => "classifier on both".into(),
            };
            for losses in &curve.epochs {
                let label = losses.class.and_then(|c| summary.labels.get(c));
                let stage = label.map_or(stage.clone(), |l| format!("{stage}, {l}"));
                let mut line = losses.numbers.clone();
                line.insert("stage".into(), json!(stage));
                line.insert("epoch".into(), json!(losses.epoch));
                let lines = if classifier {
                    &mut classifiers
                } else {
                    &mut lines
                };
                lines.push(Value::Object(line));
            }
        }
        seen.extend(curves.iter().map(|c| c.of.as_str()));
    }
    lines.append(&mut classifiers);
    lines
}
