//! `ser-train extract`: from a corpus file to a feature table.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use ser_features::FeatureSet;

use crate::corpus::Corpus;
use crate::extract::{Broken, ExtractionOptions, Room, Vary, extract};
use ser_runtime::audio::{MAX_SAMPLE_RATE, MIN_SAMPLE_RATE};
use ser_runtime::hearing::{DEFAULT_RATE, Hearing};

/// Doubtful recordings that are listed one by one.
const DOUBTFUL_SHOWN: usize = 10;
/// A larger share of recordings without speech makes the cut itself doubtful.
const SPEECHLESS_SHARE: f64 = 0.05;

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
    /// Sampling rate to which speech is brought before it is measured, as a device does; `native`: its own
    #[arg(long, default_value_t = Rate(Some(DEFAULT_RATE)), value_name = "HZ|native")]
    rate: Rate,
    /// Measure recordings whole, as published protocols do, and not utterance by utterance as a device hears them
    #[arg(long)]
    whole: bool,
    /// Also N copies of each utterance whose ends are moved at random; they are learnt from, never tested on
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "whole", value_parser = clap::value_parser!(u32).range(..=1000))]
    vary_ends: u32,
    /// How far the ends of copies move
    #[arg(long, value_name = "MS", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=2000))]
    vary_by: u32,
    /// Every other copy also gets pink noise, from 30 dB below this level up to it
    #[arg(long, value_name = "DBFS", allow_hyphen_values = true, requires = "vary_ends", value_parser = parse_level)]
    vary_noise: Option<f32>,
    /// Try a model: so much silence before and behind every recording
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, value_parser = parse_pause)]
    pad: f32,
    /// Try a model: pink noise at this level over every recording and its pauses
    #[arg(long, value_name = "DBFS", allow_hyphen_values = true, value_parser = parse_level)]
    noise: Option<f32>,
    /// Seed of copies and noise
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Recordings measured at a time [default: one for each core]
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Leave broken recordings out instead of failing
    #[arg(long)]
    skip_broken: bool,
}

/// A sampling rate, or each recording's own.
#[derive(Debug, Clone, Copy)]
struct Rate(Option<u32>);

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(rate) => write!(f, "{rate}"),
            None => f.write_str("native"),
        }
    }
}

impl std::str::FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(rate) if (MIN_SAMPLE_RATE..=MAX_SAMPLE_RATE).contains(&rate) => Ok(Self(Some(rate))),
            Err(_) if text == "native" => Ok(Self(None)),
            _ => Err(format!(
                "a rate from {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz, or native"
            )),
        }
    }
}

fn parse_pause(text: &str) -> Result<f32, String> {
    let seconds = text.parse().ok().filter(|s| (0.0..=600.0).contains(s));
    seconds.ok_or_else(|| "seconds from 0 to 600".to_owned())
}

fn parse_level(text: &str) -> Result<f32, String> {
    let level = text.parse().ok().filter(|l| (-120.0..=0.0).contains(l));
    level.ok_or_else(|| "a level from -120 to 0 dB relative to full scale".to_owned())
}

fn parse_set(id: &str) -> Result<FeatureSet, String> {
    FeatureSet::from_id(id).ok_or_else(|| {
        let known = FeatureSet::ALL.map(FeatureSet::id).join(" and ");
        format!("the feature sets are {known}")
    })
}

/// Says which recordings have no row, and what that may mean.
fn print_speechless(speechless: &[Broken], total: usize) {
    for Broken { path, reason } in speechless.iter().take(DOUBTFUL_SHOWN) {
        println!("left out: {path}: {reason}");
    }
    if speechless.len() > DOUBTFUL_SHOWN {
        let more = speechless.len() - DOUBTFUL_SHOWN;
        println!("… and {more} more recordings without speech");
    }
    if speechless.len() as f64 > SPEECHLESS_SHARE * total as f64 {
        println!(
            "warning: {} of {total} recordings hold nothing that is heard as speech; listen to some of them: if they do, \
             --whole measures them as they are, and the model will then hear less than it was trained on",
            speechless.len()
        );
    }
}

/// Writes the table and prints what was left out or looks doubtful.
pub fn run(args: Args) -> Result<(), crate::Error> {
    let corpus = Corpus::read(&args.corpus)?;
    let options = ExtractionOptions {
        feature_set: args.feature_set,
        hearing: Hearing {
            sample_rate: args.rate.0,
            cut: (!args.whole).then(Default::default),
        },
        vary: (args.vary_ends > 0).then_some(Vary {
            copies: args.vary_ends,
            by_ms: args.vary_by,
            noise_dbfs: args.vary_noise,
        }),
        room: Room {
            pad_s: args.pad,
            noise_dbfs: args.noise,
        },
        seed: args.seed,
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
            (q.narrow_band, "nothing above the band of a telephone"),
            (q.not_in_range, "samples far beyond -1..1"),
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
    print_speechless(&done.speechless, corpus.utterances.len());
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
