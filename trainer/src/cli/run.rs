//! `ser-train run` and `ser-train plan`: experiments, their cells, tables and report.

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::Error;
use crate::data::task::Task;
use crate::device::{self, DeviceChoice};
use crate::experiment::ExperimentError;
use crate::experiment::config::{Experiment, READY_MADE};
use crate::experiment::plan::Plan;
use crate::experiment::report;
use crate::experiment::run::{self, RunOptions};
use crate::experiment::split::Data;
use crate::experiment::summary::Summary;
use crate::experiment::tables;
use crate::fit::FitError;

use super::fit::announce;

/// Which experiment on which tables.
#[derive(Debug, clap::Args)]
pub struct Subject {
    /// Description of the experiment: a TOML file, or one of table1, table2, table3, table1-small, table3-small, quick
    #[arg(value_name = "EXPERIMENT")]
    experiment: String,
    /// Feature table(s) instead of the description's `data.features`
    #[arg(long, value_name = "TABLE", num_args = 1..)]
    features: Vec<PathBuf>,
    /// Corpora to test on instead of `data.test` (for transfer from corpus to corpus)
    #[arg(long, value_name = "TABLE", num_args = 1..)]
    test: Vec<PathBuf>,
    /// Unlabelled rows for the CycleGAN instead of `data.source`; labels are not looked at
    #[arg(long, value_name = "TABLE")]
    source: Option<PathBuf>,
    /// Repeats instead of the description's `seeds`
    #[arg(long)]
    seeds: Option<usize>,
    /// Folds of whole groups instead of the description's `split.folds`; 0: leave one group out
    #[arg(long, value_name = "K")]
    folds: Option<usize>,
    /// These methods of the description alone, by id
    #[arg(long, value_delimiter = ',', value_name = "ID,…")]
    methods: Vec<String>,
    /// Protocols instead of the description's
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "strict|transductive|speaker"
    )]
    protocols: Vec<String>,
}

/// Arguments of `ser-train run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    subject: Subject,
    /// Folder of the run: cells/, results.json, tables.md, tables.tex, plots/, report.html
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Cells side by side, a thread each [default: one for each core]
    #[arg(long)]
    jobs: Option<NonZeroUsize>,
    /// Go on with the run in DIR: cells that are done are kept
    #[arg(long)]
    resume: bool,
    /// Compute this cell (or these: 3-7) of `ser-train plan` alone and leave its result in DIR/cells; may be given several times
    #[arg(long, value_name = "K|FROM-TO", value_parser = cells)]
    cell: Vec<RangeInclusive<usize>>,
    /// Where to train
    #[arg(long, value_enum, default_value_t)]
    device: DeviceChoice,
}

/// Arguments of `ser-train plan`.
#[derive(Debug, clap::Args)]
pub struct PlanArgs {
    #[command(flatten)]
    subject: Subject,
    /// Print the number of cells alone
    #[arg(long)]
    count: bool,
    /// Print the description itself, to start one's own from
    #[arg(long, conflicts_with = "count")]
    print: bool,
}

fn cells(text: &str) -> Result<RangeInclusive<usize>, String> {
    let number = |s: &str| s.trim().parse::<usize>().map_err(|e| format!("{s:?}: {e}"));
    match text.split_once('-') {
        None => number(text).map(|k| k..=k),
        Some((a, b)) => {
            let range = number(a)?..=number(b)?;
            if range.is_empty() {
                return Err(format!("{text}: the first cell lies behind the last"));
            }
            Ok(range)
        }
    }
}

impl Subject {
    fn read(&self) -> Result<(Experiment, Data), Error> {
        let mut experiment = Experiment::read(&self.experiment)?;
        if !self.features.is_empty() {
            experiment.data.features.clone_from(&self.features);
        }
        if !self.test.is_empty() {
            experiment.data.test.clone_from(&self.test);
        }
        if self.source.is_some() {
            experiment.data.source.clone_from(&self.source);
        }
        if let Some(seeds) = self.seeds {
            experiment.seeds = seeds;
        }
        if let Some(folds) = self.folds {
            experiment.split.folds = folds;
        }
        if !self.methods.is_empty() {
            experiment.keep_methods(&self.methods)?;
        }
        if !self.protocols.is_empty() {
            experiment.set_protocols(&self.protocols)?;
        }
        experiment.check(&self.experiment)?;
        let data = Data::read(&experiment)?;
        Ok((experiment, data))
    }
}

/// Lists the cells.
pub fn plan(args: PlanArgs) -> Result<(), Error> {
    if args.print {
        let ready = READY_MADE
            .iter()
            .find(|(n, _)| *n == args.subject.experiment);
        let text = match ready {
            Some((_, text)) => (*text).to_owned(),
            None => Experiment::read(&args.subject.experiment)?.to_toml()?,
        };
        print!("{text}");
        return Ok(());
    }
    let (experiment, data) = args.subject.read()?;
    let task = Task::new(&data.table, &experiment.labels).map_err(ExperimentError::from)?;
    let plan = Plan::new(&experiment, &data, &task)?;
    if args.count {
        println!("{}", plan.cells.len());
        return Ok(());
    }
    for i in 0..plan.cells.len() {
        println!("{}", plan.line(i));
    }
    eprintln!(
        "{} cells of {} entries; {} rows, {} folds, {} seeds",
        plan.cells.len(),
        plan.entries.len(),
        task.len(),
        plan.folds.len(),
        plan.seeds.len()
    );
    Ok(())
}

/// Computes the cells and writes tables and report.
pub fn run(args: Args) -> Result<(), Error> {
    let (experiment, data) = args.subject.read()?;
    let device = device::choose(args.device).map_err(FitError::from)?;
    let task = Task::new(&data.table, &experiment.labels).map_err(ExperimentError::from)?;
    let plan = Plan::new(&experiment, &data, &task)?;
    let single: Vec<usize> = args.cell.iter().cloned().flatten().collect();
    if let Some(&k) = single.iter().find(|&&k| k >= plan.cells.len()) {
        return Err(Error::Usage(format!(
            "--cell {k}: the plan has cells 0 to {} (`ser-train plan` lists them)",
            plan.cells.len().saturating_sub(1)
        )));
    }
    announce(&device);
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let results = run::run(
        &experiment,
        &data,
        &task,
        &plan,
        &RunOptions {
            out: &args.output,
            jobs: args.jobs.map_or(cores, NonZeroUsize::get),
            resume: args.resume,
            cells: (!single.is_empty()).then_some(&single),
            device: &device,
        },
    )?;
    if !single.is_empty() {
        println!(
            "{} in {}; `ser-train run … --resume` makes the tables when all cells are there",
            if single.len() == 1 {
                "1 cell".to_owned()
            } else {
                format!("{} cells", single.len())
            },
            args.output.join("cells").display()
        );
        return Ok(());
    }
    let results: Vec<_> = results.into_iter().flatten().collect();
    let summary = Summary::new(&experiment, &data, &task, &plan, &results, &device)?;
    summary.write(&args.output, &results)?;
    let text = tables::markdown(&summary);
    tables::write(&args.output, &summary)?;
    report::write(&args.output, &summary, &results)?;
    println!("{text}");
    println!("{}", args.output.join("report.html").display());
    Ok(())
}
