//! From cells to scores: means, intervals, paired tests. What `results.json` holds.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::cell::{CellResult, Similarity};
use super::config::{Experiment, Protocol, Published, Setting, SplitKind};
use super::plan::{Entry, Plan};
use super::split::Data;
use super::{ExperimentError, write_json};
use crate::data::task::Task;
use crate::device::Chosen;
use crate::fit::versions;
use crate::metrics::{Confusion, OverSeeds, mean_std};
use crate::stats::{self, PairedTest};

/// Confidence of all intervals.
pub const LEVEL: f64 = 0.95;

/// Everything that tables and report say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Name of the experiment.
    pub name: String,
    /// Its heading.
    pub title: String,
    /// Its paragraph.
    pub note: String,
    /// How rows were parted, in words.
    pub split: String,
    /// What paired tests compare with: "method/setting".
    pub reference: String,
    /// How paired tests were made, in words.
    pub test: String,
    /// Labels, in the order of confusion matrices and recalls.
    pub labels: Vec<String>,
    /// Entries of the table, in its order.
    pub entries: Vec<EntrySummary>,
    /// Seeds.
    pub seeds: Vec<u64>,
    /// Folds: name, rows to learn from (validation rows among them), rows tested.
    pub folds: Vec<(String, usize, usize)>,
    /// The tables.
    pub data: DataSummary,
    /// Wall-clock seconds of all cells, one after the other.
    pub cell_seconds: f64,
    /// Number of cells.
    pub cells: usize,
    /// Versions of what took part.
    pub versions: BTreeMap<String, String>,
    /// The complete description.
    pub experiment: Value,
}

/// The tables of an experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSummary {
    /// SHA-256 of the joined table's content.
    pub table_sha256: String,
    /// The same of the unlabelled source.
    pub source_sha256: Option<String>,
    /// Rows of the unlabelled source.
    pub source_rows: Option<usize>,
    /// Id of the feature set.
    pub feature_set: String,
    /// Feature columns.
    pub columns: usize,
    /// Rows by corpus and label.
    pub counts: BTreeMap<String, BTreeMap<String, usize>>,
    /// Speakers by corpus.
    pub speakers: BTreeMap<String, usize>,
}

/// A score over the seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scored {
    /// Mean over seeds.
    pub mean: f64,
    /// Sample standard deviation; none for one seed.
    pub std: Option<f64>,
    /// 95 % interval of the mean over seeds (Student's t): what other seeds would give, on these speakers.
    pub interval: Option<(f64, f64)>,
    /// One value for each seed.
    pub per_seed: Vec<f64>,
}

impl Scored {
    fn of(per_seed: Vec<f64>) -> Self {
        let (mean, std) = mean_std(&per_seed).unwrap_or((0.0, None));
        Self {
            mean,
            std,
            interval: stats::mean_interval(&per_seed, LEVEL).map(|i| (i.lower, i.upper)),
            per_seed,
        }
    }
}

/// Scores of a method under a setting and a protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntrySummary {
    /// Id of the method.
    pub method: String,
    /// Row of the table.
    pub row: String,
    /// Column of the table.
    pub column: String,
    /// Rows it learned from.
    pub setting: Setting,
    /// Normalisation.
    pub protocol: Protocol,
    /// Unweighted average recall over the pooled predictions of all folds.
    pub uar: Scored,
    /// Mean of the folds' own UARs.
    pub mean_fold_uar: Scored,
    /// Share of rows recognised, pooled.
    pub accuracy: Scored,
    /// Recall of each label, mean over seeds.
    pub recall: Vec<Option<f64>>,
    /// Counts of all seeds, `[truth][prediction]`.
    pub confusion: Confusion,
    /// Recordings and other rows that a cell learned from, on average.
    pub learned_rows: (f64, f64),
    /// The paper's figure, in percent: mean and, where given, standard deviation.
    pub paper: Option<Published>,
    /// Against the reference under the same protocol; none for the reference itself.
    pub against: Option<Comparison>,
    /// Mean over cells of how like real rows the synthetic ones are.
    pub similarity: Option<Similarity>,
    /// What validation rows chose, cell by cell.
    pub chosen: Vec<Value>,
    /// Ids of its cells, seed by seed and fold by fold.
    pub cells: Vec<String>,
}

/// A difference of UARs, in the units of UAR (0 to 1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// UAR of the entry over UAR of the reference, of the means.
    pub ratio: f64,
    /// Mean difference, its 95 % interval and the two-sided p-value.
    pub difference: PairedTest,
    /// p-value after Holm's correction for all comparisons under the protocol.
    pub holm_p: f64,
}

type Known<'r> = HashMap<&'r str, &'r CellResult>;

impl Summary {
    /// Scores of all entries; `results` must hold every cell of the plan.
    ///
    /// # Errors
    /// A cell is missing.
    pub fn new(
        experiment: &Experiment,
        data: &Data,
        task: &Task<'_>,
        plan: &Plan,
        results: &[CellResult],
        device: &Chosen,
    ) -> Result<Self, ExperimentError> {
        let known: Known<'_> = results.iter().map(|r| (r.id.as_str(), r)).collect();
        let mut entries = Vec::new();
        for entry in &plan.entries {
            entries.push(summarise(
                experiment,
                plan,
                entry,
                &known,
                task.labels.len(),
            )?);
        }
        compare(experiment, plan, task, &known, &mut entries);
        let seconds = results.iter().map(|r| r.seconds).sum();
        let (reference, setting) = experiment.reference().unwrap_or(("", Setting::Real));
        Ok(Self {
            name: experiment.name.clone(),
            title: experiment.title.clone(),
            note: experiment.note.trim().to_owned(),
            split: split_in_words(experiment, plan, task),
            reference: format!("{reference}/{setting}"),
            test: test_in_words(experiment, plan),
            labels: task.labels.clone(),
            entries,
            seeds: plan.seeds.clone(),
            folds: plan
                .folds
                .iter()
                .map(|f| (f.name.clone(), f.train.len(), f.held_out.len()))
                .collect(),
            data: describe(data, task),
            cell_seconds: seconds,
            cells: plan.cells.len(),
            versions: versions(&device.name),
            experiment: json!(experiment),
        })
    }

    /// Writes `results.json`: this summary and every cell.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, out: &Path, results: &[CellResult]) -> Result<(), ExperimentError> {
        let content = json!({ "summary": self, "cells": results });
        write_json(&out.join("results.json"), &content)
    }

    /// Protocols in the order in which they first appear.
    pub fn protocols(&self) -> Vec<Protocol> {
        let mut out = Vec::new();
        for e in &self.entries {
            if !out.contains(&e.protocol) {
                out.push(e.protocol);
            }
        }
        out
    }

    /// Entries of one protocol.
    pub fn under(&self, protocol: Protocol) -> Vec<&EntrySummary> {
        let of = |e: &&EntrySummary| e.protocol == protocol;
        self.entries.iter().filter(of).collect()
    }
}

fn result<'r>(
    known: &Known<'r>,
    plan: &Plan,
    cell: usize,
) -> Result<&'r CellResult, ExperimentError> {
    let id = plan.cells[cell].id.as_str();
    known
        .get(id)
        .copied()
        .ok_or_else(|| ExperimentError::Method {
            what: "tables",
            reason: format!("cell {id} has not been computed"),
        })
}

fn summarise(
    experiment: &Experiment,
    plan: &Plan,
    entry: &Entry,
    known: &Known<'_>,
    classes: usize,
) -> Result<EntrySummary, ExperimentError> {
    let method = &experiment.methods[entry.method];
    let cells: Vec<&CellResult> = entry
        .cells
        .iter()
        .map(|&c| result(known, plan, c))
        .collect::<Result<_, _>>()?;
    let of_seed = |cells: &[&CellResult]| cells.iter().map(|c| c.confusion(classes)).collect();
    let scores = OverSeeds::of(classes, cells.chunks(plan.folds.len()).map(of_seed));
    let count = cells.len().max(1) as f64;
    let mean = |f: fn(&CellResult) -> usize| cells.iter().map(|c| f(c) as f64).sum::<f64>() / count;
    let column = method.column_of(entry.setting).to_owned();
    let similar: Vec<&Similarity> = cells.iter().filter_map(|c| c.similarity.as_ref()).collect();
    Ok(EntrySummary {
        method: method.id.clone(),
        row: method.title.clone(),
        paper: method.paper.get(&column).cloned(),
        column,
        setting: entry.setting,
        protocol: entry.protocol,
        uar: Scored::of(scores.uar),
        mean_fold_uar: Scored::of(scores.mean_fold_uar),
        accuracy: Scored::of(scores.accuracy),
        recall: scores.recall,
        confusion: scores.confusion,
        learned_rows: (mean(|c| c.real_rows), mean(|c| c.synthetic_rows)),
        against: None,
        similarity: Similarity::mean(&similar),
        chosen: cells.iter().map(|c| c.chosen.clone()).collect(),
        cells: cells.iter().map(|c| c.id.clone()).collect(),
    })
}

/// UAR differences of `entry` to `reference` on the same units, as the paired test takes them.
fn differences(
    plan: &Plan,
    task: &Task<'_>,
    known: &Known<'_>,
    entry: &EntrySummary,
    reference: &EntrySummary,
) -> Vec<f64> {
    let classes = task.labels.len();
    let pairs = entry
        .cells
        .iter()
        .zip(&reference.cells)
        .filter_map(|(a, b)| Some((*known.get(a.as_str())?, *known.get(b.as_str())?)));
    if plan.folds.len() > 1 {
        return pairs
            .filter_map(|(a, b)| Some(a.confusion(classes).uar()? - b.confusion(classes).uar()?))
            .collect();
    }
    // One fold: test speakers are the units, each the mean over seeds.
    let mut of_speaker: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (a, b) in pairs {
        let (mine, theirs) = (by_speaker(a, task), by_speaker(b, task));
        for (speaker, uar) in mine {
            if let Some(other) = theirs.get(&speaker) {
                of_speaker.entry(speaker).or_default().push(uar - other);
            }
        }
    }
    of_speaker
        .values()
        .filter_map(|d| mean_std(d).map(|m| m.0))
        .collect()
}

fn by_speaker(cell: &CellResult, task: &Task<'_>) -> BTreeMap<String, f64> {
    let classes = task.labels.len();
    let mut out: BTreeMap<String, Confusion> = BTreeMap::new();
    for ((&row, &truth), &predicted) in cell.rows.iter().zip(&cell.truth).zip(&cell.predicted) {
        let meta = &task.table.meta[row];
        out.entry(format!("{}/{}", meta.corpus, meta.speaker))
            .or_insert_with(|| Confusion::new(classes))
            .add(&Confusion::of(classes, [(truth, predicted)]));
    }
    out.into_iter()
        .filter_map(|(speaker, c)| Some((speaker, c.uar()?)))
        .collect()
}

fn compare(
    experiment: &Experiment,
    plan: &Plan,
    task: &Task<'_>,
    known: &Known<'_>,
    entries: &mut [EntrySummary],
) {
    let Some((id, setting)) = experiment.reference() else {
        return;
    };
    let protocols: BTreeSet<Protocol> = entries.iter().map(|e| e.protocol).collect();
    for protocol in protocols {
        let is_reference =
            |e: &EntrySummary| e.protocol == protocol && e.method == id && e.setting == setting;
        let Some(reference) = entries.iter().find(|e| is_reference(e)).cloned() else {
            continue;
        };
        // Entries that share their cells are one comparison, and those of the reference are none.
        let mut tested: Vec<(Vec<String>, PairedTest)> = Vec::new();
        for entry in entries.iter() {
            let known_already = tested.iter().any(|(cells, _)| *cells == entry.cells);
            if entry.protocol != protocol || entry.cells == reference.cells || known_already {
                continue;
            }
            let d = differences(plan, task, known, entry, &reference);
            let test = if plan.folds.len() > 1 {
                stats::corrected_resampled_t(&d, 1.0 / plan.folds.len() as f64)
            } else {
                stats::paired_t(&d)
            };
            tested.extend(test.map(|t| (entry.cells.clone(), t)));
        }
        let p: Vec<f64> = tested.iter().map(|(_, t)| t.p).collect();
        for ((cells, difference), holm_p) in tested.into_iter().zip(stats::holm(&p)) {
            for entry in entries.iter_mut().filter(|e| e.cells == cells) {
                entry.against = Some(Comparison {
                    ratio: entry.uar.mean / reference.uar.mean,
                    difference,
                    holm_p,
                });
            }
        }
    }
}

fn split_in_words(experiment: &Experiment, plan: &Plan, task: &Task<'_>) -> String {
    let rows = format!(
        "{} recordings, {} labels ({})",
        task.len(),
        task.labels.len(),
        task.labels.join(", ")
    );
    match plan.grouping {
        None => format!(
            "{rows}; {}; {:.0} % of the test corpus, drawn anew with each seed with classes in equal proportions, choose epochs and hyper-parameters, the other rows are tested (both hold rows of the same speakers)",
            plan.folds
                .iter()
                .map(|f| f.name.as_str())
                .collect::<Vec<_>>()
                .join(", "),
            100.0 * experiment.split.development
        ),
        Some(by) => {
            let folds = match experiment.split.folds {
                0 => format!("leave one {by} out ({} folds)", plan.folds.len()),
                k => format!("{k} folds of whole {by}s"),
            };
            format!("{rows}; {folds}; validation rows are whole groups of the training rows")
        }
    }
}

fn test_in_words(experiment: &Experiment, plan: &Plan) -> String {
    match experiment.split.kind {
        SplitKind::Folds => format!(
            "paired t-test of fold UARs over {} folds x {} seeds, variance corrected for overlapping training rows (Nadeau and Bengio 2003; Bouckaert and Frank 2004)",
            plan.folds.len(),
            plan.seeds.len()
        ),
        SplitKind::Transfer => format!(
            "paired t-test of the test speakers' UARs, each averaged over {} seeds",
            plan.seeds.len()
        ),
    }
}

fn describe(data: &Data, task: &Task<'_>) -> DataSummary {
    let mut counts: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    let mut speakers: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for &row in &task.rows {
        let meta = &data.table.meta[row];
        *counts
            .entry(meta.corpus.clone())
            .or_default()
            .entry(meta.emotion.clone())
            .or_insert(0) += 1;
        speakers
            .entry(meta.corpus.clone())
            .or_default()
            .insert(&meta.speaker);
    }
    DataSummary {
        table_sha256: data.table.sha256(),
        source_sha256: data.source.as_ref().map(crate::table::FeatureTable::sha256),
        source_rows: data.source.as_ref().map(|s| s.rows),
        feature_set: data.table.feature_set.id.clone(),
        columns: data.table.names.len(),
        counts,
        speakers: speakers.into_iter().map(|(k, v)| (k, v.len())).collect(),
    }
}
