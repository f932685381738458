//! Who is learned from, who chooses, who is tested - and how the rows of each are normalised.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use rand::seq::SliceRandom;
use ser_runtime::normalise::Normaliser;

use super::ExperimentError;
use super::config::{Experiment, Protocol, SplitBy, SplitKind};
use crate::config::{Config, NormaliserConfig};
use crate::data::batches::Rows;
use crate::data::folds::{self, Fold, Grouping};
use crate::data::stream;
use crate::data::task::Task;
use crate::table::{FeatureTable, TableError};

/// The tables of an experiment in one, and the unlabelled source.
#[derive(Clone, Debug)]
pub struct Data {
    /// Labelled rows; those of the test corpora, if there are any, after the others.
    pub table: FeatureTable,
    /// Where the rows of the test corpora start; the number of rows where there are none.
    pub test_from: usize,
    /// Unlabelled rows.
    pub source: Option<FeatureTable>,
}

impl Data {
    /// Reads the tables that the experiment names.
    ///
    /// # Errors
    /// No table, tables that cannot be read or joined, test corpora where there should be none and the other way round.
    pub fn read(experiment: &Experiment) -> Result<Self, ExperimentError> {
        let fail = |problem: &str| {
            Err(ExperimentError::Invalid {
                origin: experiment.name.clone(),
                problem: problem.into(),
            })
        };
        let data = &experiment.data;
        if data.features.is_empty() {
            return fail(
                "no feature table: give --features TABLE.parquet (made by `ser-train extract`), or write data.features",
            );
        }
        match (experiment.split.kind, data.test.is_empty()) {
            (SplitKind::Transfer, true) => {
                return fail(
                    "split.kind is \"transfer\", so a corpus to test on is needed: give --test TABLE.parquet, or write data.test",
                );
            }
            (SplitKind::Folds, false) => {
                return fail(
                    "data.test (--test) is for split.kind = \"transfer\"; with folds, every row is tested in its turn",
                );
            }
            _ => {}
        }
        let labelled = read(&data.features)?;
        let test_from = labelled.iter().map(|(_, t)| t.rows).sum();
        let all = labelled.into_iter().chain(read(&data.test)?).collect();
        let table = FeatureTable::join(all)?;
        let source = match &data.source {
            None => None,
            Some(path) => {
                let source = FeatureTable::read(path)?;
                table.check_same_columns(&source, path)?;
                Some(source)
            }
        };
        Ok(Self {
            table,
            test_from,
            source,
        })
    }
}

fn read(paths: &[PathBuf]) -> Result<Vec<(&Path, FeatureTable)>, TableError> {
    paths
        .iter()
        .map(|p| Ok((p.as_path(), FeatureTable::read(p)?)))
        .collect()
}

/// One way to part the task's rows; indices count the task's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// What is tested: "speakers emodb/03, emodb/08", "emodb -> ravdess".
    pub name: String,
    /// Rows to learn from.
    pub train: Vec<usize>,
    /// Rows that choose epochs and hyper-parameters: of the training groups, or the test corpus' development rows.
    pub validation: Vec<usize>,
    /// Rows to be tested on.
    pub test: Vec<usize>,
}

/// The folds of the experiment, without validation rows, the same for every seed; and what is never divided
/// (`None` from corpus to corpus).
///
/// # Errors
/// Rows that cannot be parted, the same recording or the same speaker on both sides.
pub fn folds(
    experiment: &Experiment,
    task: &Task<'_>,
    test_from: usize,
) -> Result<(Vec<Fold>, Option<Grouping>), ExperimentError> {
    let (folds, grouping) = match experiment.split.kind {
        SplitKind::Transfer => (vec![transfer(task, test_from)?], None),
        SplitKind::Folds => {
            let by = match experiment.split.by {
                SplitBy::Session => Grouping::Session,
                SplitBy::Speaker => Grouping::Speaker,
                SplitBy::SessionOrSpeaker => {
                    let has = |&r: &usize| task.table.meta[r].session.is_some();
                    if task.rows.iter().all(has) {
                        Grouping::Session
                    } else {
                        Grouping::Speaker
                    }
                }
            };
            let folds = match experiment.split.folds {
                0 => folds::leave_one_out(task, by)?,
                k => folds::grouped(task, by, k, experiment.seed)?,
            };
            (folds, Some(by))
        }
    };
    let twins = twins(task);
    for fold in &folds {
        check_apart(task, fold, &twins)?;
    }
    Ok((folds, grouping))
}

fn transfer(task: &Task<'_>, test_from: usize) -> Result<Fold, ExperimentError> {
    let (train, mut held_out): (Vec<usize>, Vec<usize>) =
        (0..task.len()).partition(|&i| task.rows[i] < test_from);
    held_out.retain(|&i| !task.is_copy(i));
    let corpora = |rows: &[usize]| {
        let names: BTreeSet<&str> = rows
            .iter()
            .map(|&i| task.table.meta[task.rows[i]].corpus.as_str())
            .collect();
        names.into_iter().collect::<Vec<_>>().join("+")
    };
    let name = format!("{} -> {}", corpora(&train), corpora(&held_out));
    for (side, rows) in [("learn from", &train), ("test on", &held_out)] {
        let seen: BTreeSet<usize> = rows.iter().map(|&i| task.classes[i]).collect();
        if let Some(c) = (0..task.labels.len()).find(|c| !seen.contains(c)) {
            return Err(ExperimentError::Leak(format!(
                "{name}: the rows to {side} have no label '{}': name the labels that both sides have in `labels`",
                task.labels[c]
            )));
        }
    }
    Ok(Fold {
        name,
        train,
        held_out,
    })
}

/// Task rows by the bits of their features, where more than one row has them.
fn twins(task: &Task<'_>) -> Vec<Vec<usize>> {
    let mut by_bits: HashMap<Vec<u32>, Vec<usize>> = HashMap::new();
    for i in 0..task.len() {
        let bits = task.features(i).iter().map(|v| v.to_bits()).collect();
        by_bits.entry(bits).or_default().push(i);
    }
    let mut out: Vec<_> = by_bits
        .into_values()
        .filter(|rows| rows.len() > 1)
        .collect();
    out.sort();
    out
}

/// Neither a recording nor a speaker may stand on both sides.
fn check_apart(task: &Task<'_>, fold: &Fold, twins: &[Vec<usize>]) -> Result<(), ExperimentError> {
    let tested: BTreeSet<usize> = fold.held_out.iter().copied().collect();
    let learned: BTreeSet<usize> = fold.train.iter().copied().collect();
    let meta = |i: usize| &task.table.meta[task.rows[i]];
    for rows in twins {
        let test = rows.iter().find(|i| tested.contains(i));
        let train = rows.iter().find(|i| learned.contains(i));
        if let (Some(&a), Some(&b)) = (test, train) {
            return Err(ExperimentError::Leak(format!(
                "{} and {} have the same features in every column: the same recording would be learned from and tested on ({}); remove one of them (`ser-train corpus --drop-duplicates`)",
                meta(a).path,
                meta(b).path,
                fold.name
            )));
        }
    }
    let speaker = |i: usize| (meta(i).corpus.as_str(), meta(i).speaker.as_str());
    let known: BTreeSet<_> = learned.iter().map(|&i| speaker(i)).collect();
    if let Some(&i) = tested.iter().find(|&&i| known.contains(&speaker(i))) {
        let (corpus, name) = speaker(i);
        return Err(ExperimentError::Leak(format!(
            "speaker '{name}' of {corpus} would be learned from and tested on ({}); part the rows by speaker (split.by = \"speaker\")",
            fold.name
        )));
    }
    Ok(())
}

/// Parts off the validation rows of `fold`: groups of the training rows, or a stratified share of the test corpus.
///
/// # Errors
/// Nothing is left on one of the sides.
pub fn with_validation(
    experiment: &Experiment,
    task: &Task<'_>,
    fold: &Fold,
    config: &Config,
    seed: u64,
) -> Result<Split, ExperimentError> {
    match experiment.split.kind {
        SplitKind::Folds => {
            let inner = folds::validation(task, &fold.train, &config.validation, seed)?;
            Ok(Split {
                name: fold.name.clone(),
                train: inner.train,
                validation: inner.held_out,
                test: fold.held_out.clone(),
            })
        }
        SplitKind::Transfer => {
            let mut rng = stream(seed, "development rows", 0);
            let mut by_class: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
            for &i in &fold.held_out {
                by_class.entry(task.classes[i]).or_default().push(i);
            }
            let (mut validation, mut test) = (Vec::new(), Vec::new());
            for rows in by_class.values_mut() {
                rows.shuffle(&mut rng);
                let share = (rows.len() as f64 * experiment.split.development).round() as usize;
                let (a, b) = rows.split_at(share.clamp(1, rows.len().max(2) - 1));
                validation.extend_from_slice(a);
                test.extend_from_slice(b);
            }
            validation.sort_unstable();
            test.sort_unstable();
            Ok(Split {
                name: fold.name.clone(),
                train: fold.train.clone(),
                validation,
                test,
            })
        }
    }
}

/// Normalised rows of a split.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// To learn from.
    pub train: Rows,
    /// To choose by.
    pub validation: Rows,
    /// To test on. Its labels are for scoring alone.
    pub test: Rows,
    /// Unlabelled rows, `[rows, width]`; the training rows where the experiment has no source.
    pub source: Vec<f32>,
}

/// Normalises the rows of `split` as `protocol` says.
///
/// Under cross-validation, validation rows are training rows to the normaliser. The unlabelled source is always
/// normalised with its own statistics, corpus by corpus.
///
/// # Errors
/// Values that no normaliser can be fitted on.
pub fn prepare(
    data: &Data,
    task: &Task<'_>,
    split: &Split,
    kind: SplitKind,
    protocol: Protocol,
    config: &NormaliserConfig,
) -> Result<Prepared, ExperimentError> {
    let learned: Vec<usize> = match kind {
        SplitKind::Folds => [split.train.as_slice(), &split.validation].concat(),
        SplitKind::Transfer => split.train.clone(),
    };
    let fit = |what: &str, rows: &[&[f32]]| {
        let clip = (config.clip > 0.0).then_some(config.clip as f32);
        Normaliser::fit(config.kind, rows.iter().copied(), clip).map_err(|source| {
            ExperimentError::Normaliser {
                what: what.to_owned(),
                source,
            }
        })
    };
    let features = |rows: &[usize]| rows.iter().map(|&i| task.features(i)).collect::<Vec<_>>();
    let strict = match protocol {
        Protocol::Strict => Some(fit("training rows", &features(&learned))?),
        Protocol::Transductive | Protocol::Speaker => None,
    };
    let key = |i: usize| {
        let meta = &task.table.meta[task.rows[i]];
        let speaker = (protocol == Protocol::Speaker).then_some(meta.speaker.as_str());
        (meta.corpus.as_str(), speaker)
    };
    // Each side by itself: what is tested must not shape what is learned, nor what chooses.
    let side = |rows: &[usize], all: &[usize]| -> Result<Rows, ExperimentError> {
        let mut own = BTreeMap::new();
        if strict.is_none() {
            let mut members: BTreeMap<_, Vec<usize>> = BTreeMap::new();
            for &i in all {
                members.entry(key(i)).or_default().push(i);
            }
            for (k, members) in members {
                let name = k.1.map_or(k.0.to_owned(), |s| format!("{}/{s}", k.0));
                own.insert(k, fit(&name, &features(&members))?);
            }
        }
        let mut values = Vec::with_capacity(rows.len() * task.width());
        for &i in rows {
            let start = values.len();
            values.extend_from_slice(task.features(i));
            if let Some(normaliser) = strict.as_ref().or_else(|| own.get(&key(i))) {
                normaliser.apply(&mut values[start..]).map_err(|source| {
                    ExperimentError::Normaliser {
                        what: task.table.meta[task.rows[i]].path.clone(),
                        source,
                    }
                })?;
            }
        }
        let classes = rows.iter().map(|&i| task.classes[i]).collect();
        Ok(Rows::recorded(
            task.width(),
            task.labels.len(),
            values,
            classes,
        ))
    };
    let train = side(&split.train, &learned)?;
    let validation = match kind {
        SplitKind::Folds => side(&split.validation, &learned)?,
        SplitKind::Transfer => side(&split.validation, &split.validation)?,
    };
    let test = side(&split.test, &split.test)?;
    let source = match &data.source {
        None => train.values.clone(),
        Some(table) => by_corpus(table, fit)?,
    };
    Ok(Prepared {
        train,
        validation,
        test,
        source,
    })
}

/// All rows of `table`, each corpus normalised by itself.
fn by_corpus(
    table: &FeatureTable,
    fit: impl Fn(&str, &[&[f32]]) -> Result<Normaliser, ExperimentError>,
) -> Result<Vec<f32>, ExperimentError> {
    let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (i, meta) in table.meta.iter().enumerate() {
        members.entry(&meta.corpus).or_default().push(i);
    }
    let mut out = table.values.clone();
    let width = table.names.len();
    for (corpus, members) in members {
        let rows: Vec<&[f32]> = members.iter().map(|&i| table.row(i)).collect();
        let normaliser = fit(corpus, &rows)?;
        for i in members {
            normaliser
                .apply(&mut out[i * width..(i + 1) * width])
                .map_err(|source| ExperimentError::Normaliser {
                    what: table.meta[i].path.clone(),
                    source,
                })?;
        }
    }
    Ok(out)
}
