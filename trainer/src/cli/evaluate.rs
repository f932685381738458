//! `ser-train evaluate`: scores on speakers or sessions that the model never heard.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use super::corpus::warn;
use super::fit::{ConfigOptions, announce, say_doubts};
use super::tables::TableOptions;
use crate::Error;
use crate::data::checks::Described;
use crate::device::{self, DeviceChoice};
use crate::evaluate::{EvaluateOptions, FoldChoice, Scores, Summary, evaluate};
use crate::export::calibrate::ECE_BINS;
use crate::fit::FitError;

/// Arguments of `ser-train evaluate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Feature tables (Parquet, CSV, ARFF); the rows of several are put together
    #[arg(value_name = "TABLE", required = true)]
    features: Vec<PathBuf>,
    #[command(flatten)]
    tables: TableOptions,
    #[command(flatten)]
    config: ConfigOptions,
    /// Results file; finished folds are kept in SCORES.json.partial until all have ended
    #[arg(short, long, value_name = "SCORES.json")]
    output: PathBuf,
    /// Leave one `speaker` or `session` out, or a number of folds of whole speakers
    #[arg(long, default_value = "speaker", value_name = "speaker|session|K")]
    folds: FoldChoice,
    /// Repeats with seeds that count up from the configuration's
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u16).range(1..=1000))]
    seeds: u16,
    /// Folds side by side [default: one for each core]
    #[arg(long)]
    jobs: Option<NonZeroUsize>,
    /// Score each fold's model with 8-bit weights, too, as `ser-train export --engine static --int8` makes them from the training rows
    #[arg(long)]
    int8: bool,
    /// Test each fold's model also on the held-out speakers' rows of another table: the same voices heard otherwise (padded,
    /// noisy, whole); may be repeated
    #[arg(long, value_name = "TABLE")]
    also: Vec<PathBuf>,
    /// Where to train
    #[arg(long, value_enum, default_value_t)]
    device: DeviceChoice,
}

/// Evaluates, writes the results file and prints the scores.
pub fn run(args: Args) -> Result<(), Error> {
    let config = args.config.read()?;
    let device = device::choose(args.device).map_err(FitError::from)?;
    let table = args.tables.read_tables(&args.features)?.table;
    let also = args.also.iter().map(|path| {
        let table = args.tables.read_tables(std::slice::from_ref(path))?.table;
        Ok((path.display().to_string(), table))
    });
    let also = also.collect::<Result<Vec<_>, Error>>()?;
    say_doubts(&table);
    warn(&Described::table_findings(&table, &config.labels));
    announce(&device);
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let scores = evaluate(
        &table,
        &config,
        &EvaluateOptions {
            folds: args.folds,
            seeds: args.seeds.into(),
            jobs: args.jobs.map_or(cores, NonZeroUsize::get),
            device: &device,
            output: &args.output,
            int8: args.int8,
            also: &also,
        },
    )?;
    print(&scores);
    Ok(())
}

fn print(scores: &Scores) {
    let with_spread = |s: &Summary| match s.std {
        Some(std) => format!("{:.3} ± {std:.3}", s.mean),
        None => format!("{:.3}", s.mean),
    };
    println!("{}", scores.protocol);
    println!("UAR, pooled over folds  {}", with_spread(&scores.uar));
    println!(
        "UAR, mean of folds      {}",
        with_spread(&scores.mean_fold_uar)
    );
    println!("accuracy                {}", with_spread(&scores.accuracy));
    if let Some(int8) = &scores.int8 {
        println!(
            "8-bit weights: UAR, pooled over folds  {}; same label as with 32 bits for {:.2} % of rows",
            with_spread(&int8.uar),
            100.0 * int8.agreement
        );
    }
    for also in &scores.also {
        println!(
            "{}: UAR {}, accuracy {} ({} rows)",
            also.table,
            with_spread(&also.uar),
            with_spread(&also.accuracy),
            also.rows
        );
    }
    match scores.calibration_error() {
        Ok(Some(error)) => println!(
            "calibration error       {:.3} at temperature 1, {:.3} with the temperature of the other folds ({ECE_BINS} bins)",
            error.before, error.after
        ),
        Ok(None) => {}
        Err(error) => eprintln!("no calibration error: {error}"),
    }
    for (label, row) in scores.labels.iter().zip(&scores.confusion.counts) {
        let recall = scores.recall.get(label).copied().unwrap_or(0.0);
        let counts: Vec<String> = row.iter().map(|n| format!("{n:>6}")).collect();
        println!(
            "{label:<16} recall {recall:.3}  taken for {}",
            counts.join("")
        );
    }
}
