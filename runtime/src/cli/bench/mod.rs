//! `ser-run bench`: measurements that anyone can repeat, one file each.

mod engines;
mod features;
mod path;
mod streams;

use std::io::Write;
use std::time::Duration;

use clap::Subcommand;
use serde::Serialize;

use super::CliError;

/// Measure speed. Machines are noisy: every figure is the median of several rounds, with the fastest and the slowest.
#[derive(Subcommand)]
pub(super) enum Bench {
    /// Feature extraction on one thread: real-time factor by file, and where the time goes.
    Features(features::FeaturesBench),
    /// Encoder and classifier in every engine that there is, side by side.
    Engines(engines::EnginesBench),
    /// From samples to predictions on one thread: real-time factor of recordings and of a live stream.
    Path(path::PathBench),
    /// How many live streams one core recognises at real time.
    Streams(streams::StreamsBench),
}

impl Bench {
    pub(super) fn run(&self, out: &mut impl Write) -> Result<(), CliError> {
        match self {
            Self::Features(bench) => bench.run(out),
            Self::Engines(bench) => bench.run(out),
            Self::Path(bench) => bench.run(out),
            Self::Streams(bench) => bench.run(out),
        }
    }
}

/// Median and extremes of the rounds of a measurement, in seconds.
#[derive(Debug, Clone, Copy, Serialize)]
struct Times {
    median: f64,
    min: f64,
    max: f64,
}

impl Times {
    /// Of at least one round.
    fn of(rounds: &[Duration]) -> Self {
        let mut seconds: Vec<f64> = rounds.iter().map(Duration::as_secs_f64).collect();
        seconds.sort_by(f64::total_cmp);
        let at = |index: usize| seconds.get(index).copied().unwrap_or_default();
        Self {
            median: (at(seconds.len().saturating_sub(1) / 2) + at(seconds.len() / 2)) / 2.0,
            min: at(0),
            max: at(seconds.len().saturating_sub(1)),
        }
    }
}

/// What made a result file.
#[derive(Serialize)]
struct Origin {
    program: &'static str,
    version: &'static str,
    target_arch: &'static str,
    target_os: &'static str,
    threads: usize,
    rounds: usize,
}

impl Origin {
    fn one_thread(rounds: usize) -> Self {
        Self {
            program: "ser-run",
            version: env!("CARGO_PKG_VERSION"),
            target_arch: std::env::consts::ARCH,
            target_os: std::env::consts::OS,
            threads: 1,
            rounds,
        }
    }
}
