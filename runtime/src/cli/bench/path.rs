//! `ser-run bench path`.

use std::io::Write;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::streams::Content;
use super::{Origin, Times};
use crate::cli::opened::Opened;
use crate::cli::{CliError, InputArgs, ModelArgs};
use crate::live::{Event, LiveConfig};

/// The whole path from samples to predictions, on one thread: recordings as they are, and as one live stream.
#[derive(Args)]
pub(crate) struct PathBench {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    content: Content,
    /// How often everything is recognised.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rounds: u32,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    origin: Origin,
    engine: &'static str,
    bundle: String,
    sample_rate: u32,
    recordings: Side,
    /// The recordings with pauses between them, cut by speech activity.
    live: Side,
}

#[derive(Serialize)]
struct Side {
    audio_s: f64,
    predictions: u64,
    time: Times,
    real_time_factor: f64,
}

impl Side {
    fn of(samples: usize, rate: u32, predictions: u64, rounds: &[Duration]) -> Self {
        let (audio_s, time) = (samples as f64 / f64::from(rate), Times::of(rounds));
        Self {
            audio_s,
            predictions,
            time,
            real_time_factor: time.median / audio_s,
        }
    }

    fn print(&self, what: &str, out: &mut impl Write) -> Result<(), CliError> {
        Ok(writeln!(
            out,
            "{what:<12} {:8.1} s of audio  {:5} predictions  {:.3} s ({:.3} to {:.3})  real-time factor {:.5}",
            self.audio_s,
            self.predictions,
            self.time.median,
            self.time.min,
            self.time.max,
            self.real_time_factor
        )?)
    }
}

impl PathBench {
    pub(super) fn run(&self, out: &mut impl Write) -> Result<(), CliError> {
        let opened = Opened::new(&self.model)?;
        let rate = self.content.stream_rate;
        let recordings = self.content.read(&self.input)?;
        let stream = self.content.join(&recordings);
        let longest = recordings
            .iter()
            .map(|p| p.samples.len())
            .max()
            .unwrap_or(0);
        let failed = |e: crate::recognizer::RecognizerError| CliError::Model(e.into());

        let mut recognizer = opened.recognizer(rate, longest, None)?;
        let mut live = opened.live(rate, LiveConfig::default(), Some(0.0), ())?;
        let (mut whole, mut streamed) = (Vec::new(), Vec::new());
        let (mut predictions, mut utterances) = (0, 0);
        for _ in 0..self.rounds {
            let start = Instant::now();
            predictions = 0;
            for pcm in &recordings {
                recognizer.reset();
                recognizer.push(&pcm.samples).map_err(failed)?;
                recognizer.finish().map_err(failed)?;
                predictions += 1;
            }
            whole.push(start.elapsed());

            let start = Instant::now();
            live.reset();
            utterances = 0;
            let mut count = |event: Event<'_>| {
                utterances += u64::from(matches!(event, Event::End { .. }));
            };
            for chunk in stream.chunks((rate / 10) as usize) {
                live.push(chunk, &mut count)
                    .map_err(|e| CliError::Model(e.into()))?;
            }
            live.finish(&mut count);
            streamed.push(start.elapsed());
        }
        let samples = recordings.iter().map(|p| p.samples.len()).sum();
        let report = Report {
            origin: Origin::one_thread(self.rounds as usize),
            engine: self.model.engine.name(),
            bundle: opened.manifest.id.clone(),
            sample_rate: rate,
            recordings: Side::of(samples, rate, predictions, &whole),
            live: Side::of(stream.len(), rate, utterances, &streamed),
        };
        if self.json {
            serde_json::to_writer_pretty(&mut *out, &report)?;
            writeln!(out)?;
        } else {
            writeln!(out, "engine {}, {rate} Hz, one thread", report.engine)?;
            report.recordings.print("recordings", out)?;
            report.live.print("live stream", out)?;
        }
        Ok(())
    }
}
