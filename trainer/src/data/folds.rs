//! Who is held out: leave-one-group-out, grouped k folds, and the validation split. Groups (speakers or
//! sessions) are never divided.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use rand::seq::SliceRandom;

use super::stream;
use super::task::Task;
use crate::config::{HoldOut, ValidationConfig, nearest_word};
use crate::corpus::UNKNOWN_SPEAKER;

/// What a group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// One speaker of one corpus.
    Speaker,
    /// One recording session of one corpus.
    Session,
}

impl fmt::Display for Grouping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Speaker => "speaker",
            Self::Session => "session",
        })
    }
}

/// One way to part the task's rows; indices count the task's rows, not the table's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    /// The held-out groups, "speaker emodb/03" say; empty where nothing is held out.
    pub name: String,
    /// Rows to learn from.
    pub train: Vec<usize>,
    /// Rows held out.
    pub held_out: Vec<usize>,
}

/// Why rows cannot be parted as asked.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// A row without a session.
    #[error(
        "row {row} ({path}) has no session: group by speaker instead, or fill in the session column"
    )]
    NoSession {
        /// Row of the table, from 1.
        row: usize,
        /// Its recording.
        path: String,
    },
    /// Nothing can be held out.
    #[error(
        "all rows belong to one {grouping} ('{name}'): none can be held out; add recordings of other {grouping}s, \
             or, for `fit` without validation, set validation.by = \"none\" and classifier.select = \"last\""
    )]
    OneGroup {
        /// What was to be held out.
        grouping: Grouping,
        /// The only one.
        name: String,
    },
    /// All rows are of the one speaker that stands for those whom nobody names.
    #[error(
        "no row says who speaks (the speaker is \"{UNKNOWN_SPEAKER}\" in all of them), so that nobody can be held out and no score can \
             tell how the model does on new voices: name the speakers in the corpus file's column \"speaker\" and extract again; or, for \
             `fit` without validation, set validation.by = \"none\" and classifier.select = \"last\""
    )]
    NobodyKnown,
    /// More folds than groups.
    #[error(
        "{folds} folds asked for, but there are only {groups} {grouping}s: ask for 2 to {groups}"
    )]
    TooManyFolds {
        /// Folds asked for.
        folds: usize,
        /// Groups there are.
        groups: usize,
        /// What a group is.
        grouping: Grouping,
    },
    /// A label that only the held-out rows have.
    #[error(
        "with {grouping} '{held_out}' held out no row with label '{label}' is left to learn from: \
             leave that label out (configuration key `labels`), or add {grouping}s that have it"
    )]
    LabelLost {
        /// What was held out.
        grouping: Grouping,
        /// Its name.
        held_out: String,
        /// The label that training lacks.
        label: String,
    },
    /// `validation.hold_out` names nobody.
    #[error("validation.hold_out names {grouping} '{name}', which the table does not have{}", .nearest.as_ref().map_or(String::new(), |n| format!(" (the nearest is '{n}')")))]
    UnknownGroup {
        /// What a group is.
        grouping: Grouping,
        /// The name given.
        name: String,
        /// The nearest existing one.
        nearest: Option<String>,
    },
    /// `validation.hold_out` names everybody.
    #[error("validation.hold_out names every {grouping}: none is left to learn from")]
    NothingLeft {
        /// What a group is.
        grouping: Grouping,
    },
}

/// Rows of `among` (task rows) by group; a group's name is "corpus/speaker" or "corpus/session".
fn groups(
    task: &Task<'_>,
    among: &[usize],
    grouping: Grouping,
) -> Result<BTreeMap<String, Vec<usize>>, FoldError> {
    let mut out: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for &i in among {
        let meta = &task.table.meta[task.rows[i]];
        let name = match grouping {
            Grouping::Speaker => &meta.speaker,
            Grouping::Session => meta.session.as_ref().ok_or_else(|| FoldError::NoSession {
                row: task.rows[i] + 1,
                path: meta.path.clone(),
            })?,
        };
        out.entry(format!("{}/{name}", meta.corpus))
            .or_default()
            .push(i);
    }
    Ok(out)
}

fn at_least_two(
    groups: &BTreeMap<String, Vec<usize>>,
    grouping: Grouping,
) -> Result<(), FoldError> {
    let nobody = |name: &String| name.ends_with(&format!("/{UNKNOWN_SPEAKER}"));
    if grouping == Grouping::Speaker && !groups.is_empty() && groups.keys().all(nobody) {
        return Err(FoldError::NobodyKnown);
    }
    match groups.first_key_value() {
        Some((name, _)) if groups.len() == 1 => Err(FoldError::OneGroup {
            grouping,
            name: name.clone(),
        }),
        _ => Ok(()),
    }
}

/// Copies are learnt from with their group and leave with it: none is tested on.
fn part(
    task: &Task<'_>,
    among: &[usize],
    grouping: Grouping,
    held: &[(&String, &Vec<usize>)],
) -> Fold {
    let rows = held.iter().flat_map(|(_, rows)| rows.iter().copied());
    let mut held_out: Vec<usize> = rows.collect();
    held_out.sort_unstable();
    let train = among
        .iter()
        .copied()
        .filter(|i| held_out.binary_search(i).is_err())
        .collect();
    held_out.retain(|&i| !task.is_copy(i));
    let names: Vec<&str> = held.iter().map(|(n, _)| n.as_str()).collect();
    let plural = if names.len() == 1 { "" } else { "s" };
    Fold {
        name: format!("{grouping}{plural} {}", names.join(", ")),
        train,
        held_out,
    }
}

fn lost_label(task: &Task<'_>, train: &[usize]) -> Option<String> {
    let seen: BTreeSet<usize> = train.iter().map(|&i| task.classes[i]).collect();
    (0..task.labels.len())
        .find(|c| !seen.contains(c))
        .map(|c| task.labels[c].clone())
}

fn keep_labels(task: &Task<'_>, grouping: Grouping, fold: Fold) -> Result<Fold, FoldError> {
    match lost_label(task, &fold.train) {
        None => Ok(fold),
        Some(label) => Err(FoldError::LabelLost {
            grouping,
            held_out: fold.name,
            label,
        }),
    }
}

/// One fold per group, in the order of their names.
///
/// # Errors
/// A single group, a row without a session, a label that only one group has.
pub fn leave_one_out(task: &Task<'_>, grouping: Grouping) -> Result<Vec<Fold>, FoldError> {
    let all: Vec<usize> = (0..task.len()).collect();
    let groups = groups(task, &all, grouping)?;
    at_least_two(&groups, grouping)?;
    groups
        .iter()
        .map(|g| keep_labels(task, grouping, part(task, &all, grouping, &[g])))
        .collect()
}

/// `k` folds of whole groups with about the same number of rows: groups in seeded order of falling size, each
/// to the fold that has the fewest rows so far.
///
/// # Errors
/// As [`leave_one_out`], and fewer groups than folds.
pub fn grouped(
    task: &Task<'_>,
    grouping: Grouping,
    k: usize,
    seed: u64,
) -> Result<Vec<Fold>, FoldError> {
    let all: Vec<usize> = (0..task.len()).collect();
    let groups = groups(task, &all, grouping)?;
    at_least_two(&groups, grouping)?;
    if k < 2 || k > groups.len() {
        return Err(FoldError::TooManyFolds {
            folds: k,
            groups: groups.len(),
            grouping,
        });
    }
    let mut order: Vec<_> = groups.iter().collect();
    order.shuffle(&mut stream(seed, "grouped folds", k));
    order.sort_by_key(|(_, rows)| std::cmp::Reverse(rows.len()));
    let mut parts: Vec<Vec<(&String, &Vec<usize>)>> = vec![Vec::new(); k];
    for group in order {
        let size = |p: &Vec<(&String, &Vec<usize>)>| p.iter().map(|(_, r)| r.len()).sum::<usize>();
        if let Some(smallest) = parts.iter_mut().min_by_key(|p| size(p)) {
            smallest.push(group);
        }
    }
    parts
        .iter_mut()
        .map(|held| {
            held.sort();
            keep_labels(task, grouping, part(task, &all, grouping, held))
        })
        .collect()
}

/// Parts `among` (task rows) into training and validation rows as `[validation]` says; with
/// `validation.by = "none"` nothing is held out.
///
/// A random share is drawn so that every label stays in training and, where that is possible, occurs among
/// the held-out rows as well.
///
/// # Errors
/// A single group, an unknown name in `hold_out`, a label that no training row has.
pub fn validation(
    task: &Task<'_>,
    among: &[usize],
    config: &ValidationConfig,
    seed: u64,
) -> Result<Fold, FoldError> {
    let grouping = match config.by {
        HoldOut::Speaker => Grouping::Speaker,
        HoldOut::Session => Grouping::Session,
        HoldOut::None => {
            return Ok(Fold {
                name: String::new(),
                train: among.to_vec(),
                held_out: Vec::new(),
            });
        }
    };
    let groups = groups(task, among, grouping)?;
    at_least_two(&groups, grouping)?;
    if !config.hold_out.is_empty() {
        return named(task, among, &groups, grouping, &config.hold_out);
    }
    let want =
        ((groups.len() as f64 * config.fraction).round() as usize).clamp(1, groups.len() - 1);
    let order: Vec<_> = groups.iter().collect();
    let mut lost = None;
    let mut incomplete = None;
    // Labels that few groups have make some draws useless; with many groups a good one comes early.
    for attempt in 0..200 {
        let mut drawn = order.clone();
        drawn.shuffle(&mut stream(seed, "validation split", attempt));
        drawn.truncate(want);
        drawn.sort();
        match keep_labels(task, grouping, part(task, among, grouping, &drawn)) {
            Ok(fold) if lost_label(task, &fold.held_out).is_none() => return Ok(fold),
            Ok(fold) => incomplete = incomplete.or(Some(fold)),
            Err(e) => lost = lost.or(Some(e)),
        }
    }
    match (incomplete, lost) {
        (Some(fold), _) => Ok(fold),
        (None, Some(error)) => Err(error),
        (None, None) => Err(FoldError::NothingLeft { grouping }),
    }
}

fn named(
    task: &Task<'_>,
    among: &[usize],
    groups: &BTreeMap<String, Vec<usize>>,
    grouping: Grouping,
    names: &[String],
) -> Result<Fold, FoldError> {
    let short = |full: &str| full.split_once('/').map_or(full, |(_, s)| s).to_owned();
    for name in names {
        if !groups.keys().any(|g| g == name || short(g) == *name) {
            let known: Vec<String> = groups
                .keys()
                .map(|g| {
                    if name.contains('/') {
                        g.clone()
                    } else {
                        short(g)
                    }
                })
                .collect();
            return Err(FoldError::UnknownGroup {
                grouping,
                name: name.clone(),
                nearest: nearest_word(name, known.iter().map(String::as_str)).map(str::to_owned),
            });
        }
    }
    let held: Vec<_> = groups
        .iter()
        .filter(|(g, _)| names.iter().any(|n| n == *g || *n == short(g)))
        .collect();
    if held.len() == groups.len() {
        return Err(FoldError::NothingLeft { grouping });
    }
    keep_labels(task, grouping, part(task, among, grouping, &held))
}
