//! Computing the cells of a plan, each kept on disk as soon as it is there.
//!
//! A run's folder holds `experiment.toml` (complete), `cells/ID.json`, and `failed/ID.json` for cells that ended in an
//! error; when no cell is missing, `results.json`, tables, plots and `report.html` follow. Any number of processes may
//! compute cells of one folder at the same time: a cell's file appears whole or not at all.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::cell::{self, CellResult, Context, Shared};
use super::config::Experiment;
use super::plan::Plan;
use super::split::Data;
use super::{ExperimentError, io, write_json};
use crate::atomic;
use crate::data::task::Task;
use crate::device::Chosen;
use crate::progress::Progress;
use crate::workers;

const EXPERIMENT_FILE: &str = "experiment.toml";

/// How to run.
#[derive(Clone, Debug)]
pub struct RunOptions<'a> {
    /// Folder of the run.
    pub out: &'a Path,
    /// Cells side by side (on the CPU; a GPU takes one at a time).
    pub jobs: usize,
    /// Go on with what the folder holds.
    pub resume: bool,
    /// Compute these cells of the plan alone.
    pub cells: Option<&'a [usize]>,
    /// Where tensors live.
    pub device: &'a Chosen,
}

/// Results of a plan's cells, in its order; `None` for those that were not asked for.
pub type Results = Vec<Option<CellResult>>;

/// Computes the cells that are wanted and not yet there.
///
/// # Errors
/// A folder of another run, a full disk. Cells that fail do not stop the others: their errors are on disk, and
/// [`ExperimentError::CellsFailed`] comes at the end.
pub fn run(
    experiment: &Experiment,
    data: &Data,
    task: &Task<'_>,
    plan: &Plan,
    options: &RunOptions<'_>,
) -> Result<Results, ExperimentError> {
    let out = options.out;
    claim(experiment, plan, options)?;
    let wanted: Vec<usize> = match options.cells {
        Some(cells) => cells.to_vec(),
        None => (0..plan.cells.len()).collect(),
    };
    let mut results: Results = vec![None; plan.cells.len()];
    for &i in &wanted {
        results[i] = read_cell(out, &plan.cells[i].id)?;
    }
    let done = wanted.iter().filter(|&&i| results[i].is_some()).count();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for &i in wanted.iter().filter(|&&i| results[i].is_none()) {
        let same = |g: &Vec<usize>| {
            g.last()
                .is_some_and(|&l| plan.cells[l].group == plan.cells[i].group)
        };
        match groups.last_mut() {
            Some(group) if same(group) => group.push(i),
            _ => groups.push(vec![i]),
        }
    }
    let context = Context {
        experiment,
        data,
        task,
        plan,
        device: &options.device.device,
    };
    let progress = Progress::new(&experiment.name, wanted.len() as u64);
    progress.add(done as u64);
    let fresh = compute_groups(&context, &groups, options, &progress);
    progress.finish();
    let (fresh, failed) = fresh?;
    for (i, result) in fresh {
        results[i] = Some(result);
    }
    if failed > 0 {
        return Err(ExperimentError::CellsFailed {
            failed,
            cells: wanted.len(),
            folder: out.join("failed"),
        });
    }
    Ok(results)
}

/// New results by cell, and how many cells failed.
type Computed = (Vec<(usize, CellResult)>, usize);

fn compute_groups(
    context: &Context<'_>,
    groups: &[Vec<usize>],
    options: &RunOptions<'_>,
    progress: &Progress,
) -> Result<Computed, ExperimentError> {
    let jobs = if options.device.name == "cpu" {
        options.jobs.max(1)
    } else {
        1
    };
    let next = AtomicUsize::new(0);
    let fresh = Mutex::new(Vec::new());
    let failed = AtomicUsize::new(0);
    workers::side_by_side(jobs.min(groups.len()), |pool, broken| {
        while !broken.load(Ordering::Relaxed) {
            let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) else {
                break;
            };
            let mut shared = Shared::default();
            for &i in group {
                let cell = &context.plan.cells[i];
                match pool.install(|| cell::compute(context, cell, &mut shared)) {
                    Ok(result) => {
                        write_json(&cell_path(options.out, "cells", &cell.id), &result)?;
                        forget_failure(options.out, &cell.id)?;
                        let uar = result.confusion(context.task.labels.len()).uar();
                        progress.message(format!(
                            "{} {} {}: UAR {:.3}",
                            cell.method,
                            cell.recipe.setting,
                            cell.recipe.protocol,
                            uar.unwrap_or(0.0)
                        ));
                        lock(&fresh).push((i, result));
                    }
                    Err(error) => {
                        let line = context.plan.line(i).replace('\t', "  ");
                        progress.note(format!("failed: cell {line}: {error}"));
                        failed.fetch_add(1, Ordering::Relaxed);
                        let content = json!({ "cell": line, "error": error.to_string(), "recipe": cell.recipe });
                        write_json(&cell_path(options.out, "failed", &cell.id), &content)?;
                    }
                }
                progress.add(1);
            }
        }
        Ok::<(), ExperimentError>(())
    })?;
    let fresh = fresh
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok((fresh, failed.into_inner()))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn cell_path(out: &Path, kind: &str, id: &str) -> PathBuf {
    out.join(kind).join(format!("{id}.json"))
}

fn forget_failure(out: &Path, id: &str) -> Result<(), ExperimentError> {
    let path = cell_path(out, "failed", id);
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io(&path, "remove")(e)),
        _ => Ok(()),
    }
}

/// The cell's result, if it is there.
fn read_cell(out: &Path, id: &str) -> Result<Option<CellResult>, ExperimentError> {
    let path = cell_path(out, "cells", id);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io(&path, "read")(e)),
    };
    match serde_json::from_str::<CellResult>(&text) {
        Ok(result) if result.id == id => Ok(Some(result)),
        Ok(_) => Err(folder(
            &path,
            "holds another cell than its name says; remove it",
        )),
        Err(e) => Err(folder(
            &path,
            &format!("is no result of a cell ({e}); remove it to compute the cell again"),
        )),
    }
}

fn folder(path: &Path, problem: &str) -> ExperimentError {
    ExperimentError::Folder {
        path: path.to_owned(),
        problem: problem.to_owned(),
    }
}

/// Makes the folder this run's own, or finds that it is.
fn claim(
    experiment: &Experiment,
    plan: &Plan,
    options: &RunOptions<'_>,
) -> Result<(), ExperimentError> {
    let out = options.out;
    let path = out.join(EXPERIMENT_FILE);
    let text = format!(
        "# Complete description of this run; {} cells. Made by ser-train {}.\n{}",
        plan.cells.len(),
        env!("CARGO_PKG_VERSION"),
        experiment.to_toml()?
    );
    match std::fs::read_to_string(&path) {
        Ok(found) if found == text => {
            // Single cells are computed by many processes, none of which is the first.
            if options.resume || options.cells.is_some() {
                Ok(())
            } else {
                Err(folder(
                    out,
                    "holds this run already: --resume goes on with it and keeps what is done",
                ))
            }
        }
        Ok(_) => Err(folder(
            out,
            &format!(
                "holds a run of another description (see {EXPERIMENT_FILE} in it): choose another folder with -o, or run with the same experiment and tables"
            ),
        )),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            use std::io::Write;
            atomic::write::<std::io::Error, _>(&path, |w| w.write_all(text.as_bytes()))
                .map_err(io(&path, "write"))
        }
        Err(e) => Err(io(&path, "read")(e)),
    }
}
