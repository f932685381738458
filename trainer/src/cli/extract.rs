//! `ser-train extract`: from a corpus file to a feature table.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use ser_features::FeatureSet;

use crate::corpus::Corpus;
use crate::extract::{ExtractionOptions, extract};

/// Doubtful recordings that are listed one by one.
const DOUBTFUL_SHOWN: usize = 10;

/// Arguments of `ser-train extract`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Corpus file, as `ser-train corpus` writes it
    corpus: PathBuf,
    /// Table to write: .parquet or .csv
    #[arg(short, long, value_name = "TABLE")]
    output: PathBuf,
    /// emobase2010 or is10-paraling-compat
    #[arg(long, default_value = FeatureSet::Emobase2010.id(), value_parser = parse_set, value_name = "ID")]
    feature_set: FeatureSet,
    /// Recordings measured at a time [default: one for each core]
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Leave broken recordings out instead of failing
    #[arg(long)]
    skip_broken: bool,
}

fn parse_set(id: &str) -> Result<FeatureSet, String> {
    FeatureSet::from_id(id).ok_or_else(|| {
        let known = FeatureSet::ALL.map(FeatureSet::id).join(" and ");
        format!("the feature sets are {known}")
    })
}

/// Writes the table and prints what was left out or looks doubtful.
pub fn run(args: Args) -> Result<(), crate::Error> {
    let corpus = Corpus::read(&args.corpus)?;
    let options = ExtractionOptions {
        feature_set: args.feature_set,
        jobs: args.jobs.map(NonZeroUsize::get),
        skip_broken: args.skip_broken,
    };
    let start = Instant::now();
    let done = extract(&corpus, &args.output, &options)?;
    let seconds = start.elapsed().as_secs_f64();
    for (path, q) in done.doubtful.iter().take(DOUBTFUL_SHOWN) {
        let flags = [
            (q.too_short, "too short"),
            (q.silent, "silent"),
            (q.clipped, "clipped"),
            (q.unvoiced, "hardly voiced"),
        ];
        let flags: Vec<&str> = flags.iter().filter(|f| f.0).map(|f| f.1).collect();
        println!("doubtful: {path}: {}", flags.join(", "));
    }
    if done.doubtful.len() > DOUBTFUL_SHOWN {
        println!(
            "… and {} more doubtful recordings",
            done.doubtful.len() - DOUBTFUL_SHOWN
        );
    }
    if !done.broken.is_empty() {
        println!("left out: {} broken recordings", done.broken.len());
    }
    if done.resumed > 0 {
        println!("taken over from the run before: {} rows", done.resumed);
    }
    let audio: f64 = done
        .table
        .meta
        .iter()
        .filter_map(|m| m.duration_s)
        .map(f64::from)
        .sum();
    println!(
        "{} rows of {} features ({}) from {audio:.0} s of audio in {seconds:.1} s: {}",
        done.table.rows,
        done.table.names.len(),
        done.table.feature_set.id,
        args.output.display()
    );
    Ok(())
}
