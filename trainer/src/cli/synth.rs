//! `ser-train synth-corpus`: synthetic voices to try the programs with.

use std::path::PathBuf;

use crate::corpus::{Mood, SyntheticOptions, synthesise};
use crate::progress::Progress;

/// Arguments of `ser-train synth-corpus`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder to make; must be new or empty
    folder: PathBuf,
    /// Number of speakers, half of them female
    #[arg(long, default_value_t = 8)]
    speakers: usize,
    /// Utterances of each speaker with each of angry, happy, neutral, sad
    #[arg(long, default_value_t = 6)]
    per_label: usize,
    /// Seed: equal seeds give equal files, different seeds different speakers
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Sampling rate in Hz, 8000 to 48000
    #[arg(long, default_value_t = 16000, value_name = "HZ")]
    rate: u32,
}

/// Makes the folder and says what it is.
pub fn run(args: Args) -> Result<(), crate::Error> {
    let options = SyntheticOptions {
        speakers: args.speakers,
        per_label: args.per_label,
        seed: args.seed,
        sample_rate: args.rate,
    };
    let total = args
        .speakers
        .saturating_mul(args.per_label)
        .saturating_mul(Mood::ALL.len());
    let progress = Progress::new("synthesising", total as u64);
    let corpus = synthesise(&args.folder, &options, || progress.add(1));
    progress.finish();
    let corpus = corpus?;
    print!("{}", corpus.summary());
    println!(
        "{} SYNTHETIC recordings in {}: made by a source-filter synthesiser, not speech of anybody.\n\
         They are for trying the programs; scores on them say nothing about real emotional speech.",
        corpus.utterances.len(),
        args.folder.display()
    );
    Ok(())
}
