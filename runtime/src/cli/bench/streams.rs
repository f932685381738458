//! `ser-run bench streams`.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::{Origin, Times};
use crate::adapt::{AdaptConfig, OwnedAdapter};
use crate::audio::Pcm;
use crate::cli::opened::{Opened, Shared};
use crate::cli::{CliError, InputArgs, ModelArgs};
use crate::live::{Event, LiveConfig, OwnedLiveRecognizer};
use crate::resample::resample;

/// How many live streams one core recognises at real time, found by running that many.
#[derive(Args)]
pub(crate) struct StreamsBench {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    content: Content,
    /// Seconds of audio that every stream brings in a trial.
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=3_600))]
    seconds: u32,
    /// Milliseconds of audio that arrive at once.
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(10..=1_000))]
    chunk_ms: u32,
    /// Most streams that are tried.
    #[arg(long, value_name = "N", default_value_t = 4_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    most: u32,
    /// Trials with the number that was found; all must keep up.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What the streams say.
#[derive(Args)]
pub(super) struct Content {
    /// WAV or FLAC recordings, one after the other, over and over; each stream starts somewhere else.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Seconds of silence before each recording.
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    pause_s: f32,
    /// Sampling rate of the streams in Hz.
    #[arg(long, value_name = "HZ", default_value_t = 16_000)]
    pub(super) stream_rate: u32,
}

impl Content {
    /// The recordings at the streams' rate.
    pub(super) fn read(&self, input: &InputArgs) -> Result<Vec<Pcm>, CliError> {
        let read = |path: &PathBuf| {
            let pcm = input.read(path)?;
            let samples = resample(&pcm.samples, pcm.sample_rate, self.stream_rate)
                .map_err(|e| CliError::Model(e.into()))?;
            Ok(Pcm {
                sample_rate: self.stream_rate,
                samples,
                ..pcm
            })
        };
        self.files.iter().map(read).collect()
    }

    /// One after the other, with pauses of faint noise.
    pub(super) fn join(&self, recordings: &[Pcm]) -> Vec<f32> {
        let pause = (self.pause_s.clamp(0.0, 60.0) * self.stream_rate as f32) as usize;
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 8) as f32 / 8_388_608.0 - 1.0) * 1e-4
        };
        let mut joined = Vec::new();
        for pcm in recordings {
            joined.extend((0..pause).map(|_| noise()));
            joined.extend_from_slice(&pcm.samples);
        }
        joined
    }
}

/// A stream with a recogniser and an adaptive normaliser of its own; the engine is everyone's.
type Live<'e> = OwnedLiveRecognizer<Shared<'e>, OwnedAdapter>;

/// What a trial showed.
struct Trial {
    busy: Duration,
    /// How far behind real time it ever was.
    lag: Duration,
    utterances: u64,
    spoken: u64,
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    origin: Origin,
    engine: &'static str,
    bundle: String,
    sample_rate: u32,
    streams: usize,
    /// Whether more were not tried.
    at_limit: bool,
    audio_s: f64,
    busy: Times,
    /// Farthest behind real time, in seconds.
    lag_s: f64,
    /// Share of the audio that lay in utterances.
    speech: f64,
    utterances: u64,
    memory_per_stream_bytes: usize,
}

impl StreamsBench {
    pub(super) fn run(&self, out: &mut impl Write) -> Result<(), CliError> {
        let opened = Opened::new(&self.model)?;
        let content = self.content.join(&self.content.read(&self.input)?);
        // Doubling brackets the number, halving finds it to 2 %.
        let (mut good, mut bad) = (0, self.most as usize + 1);
        let mut next = 64.min(self.most as usize);
        while good + (good / 50).max(1) < bad {
            let trial = self.attempt(&opened, &content, next)?;
            if self.keeps_up(&trial) {
                good = next;
            } else {
                bad = next;
            }
            next = if bad > self.most as usize {
                (2 * good).clamp(1, self.most as usize)
            } else {
                (good + bad) / 2
            };
            if good == self.most as usize || next == 0 {
                break;
            }
        }
        let mut trials = Vec::new();
        while trials.len() < self.rounds as usize && good > 0 {
            let trial = self.attempt(&opened, &content, good)?;
            if self.keeps_up(&trial) {
                trials.push(trial);
            } else {
                // One that fails once is not kept up with.
                good -= (good / 50).max(1);
                trials.clear();
            }
        }
        let busy: Vec<Duration> = trials.iter().map(|t| t.busy).collect();
        let audio_s = f64::from(self.seconds) * good as f64;
        let spoken = trials.iter().map(|t| t.spoken).max().unwrap_or(0);
        let report = Report {
            origin: Origin::one_thread(trials.len()),
            engine: self.model.engine.name(),
            bundle: opened.manifest.id.clone(),
            sample_rate: self.content.stream_rate,
            streams: good,
            at_limit: good == self.most as usize,
            audio_s,
            busy: Times::of(&busy),
            lag_s: trials
                .iter()
                .map(|t| t.lag.as_secs_f64())
                .fold(0.0, f64::max),
            speech: spoken as f64 / (audio_s * f64::from(self.content.stream_rate)).max(1.0),
            utterances: trials.iter().map(|t| t.utterances).max().unwrap_or(0),
            memory_per_stream_bytes: self.memory(&opened)?,
        };
        if self.json {
            serde_json::to_writer_pretty(&mut *out, &report)?;
            writeln!(out)?;
        } else {
            report.print(out)?;
        }
        Ok(())
    }

    fn live<'e>(&self, opened: &'e Opened) -> Result<Live<'e>, CliError> {
        let adapt = OwnedAdapter::owned(&opened.manifest.normaliser, AdaptConfig::default())?;
        opened.live(
            self.content.stream_rate,
            LiveConfig::default(),
            Some(0.0),
            adapt,
        )
    }

    /// Real time is kept if the core is idle at the end, and was never more than a second behind.
    fn keeps_up(&self, trial: &Trial) -> bool {
        trial.busy <= Duration::from_secs(self.seconds.into())
            && trial.lag <= Duration::from_secs(1)
    }

    /// `count` streams side by side: each gets its chunk in turn, as they would come from as many microphones.
    fn attempt(&self, opened: &Opened, content: &[f32], count: usize) -> Result<Trial, CliError> {
        let mut streams = (0..count)
            .map(|index| Ok((self.live(opened)?, index * content.len() / count.max(1))))
            .collect::<Result<Vec<_>, CliError>>()?;
        let chunk = ((self.content.stream_rate * self.chunk_ms / 1_000) as usize).max(1);
        let tick = Duration::from_millis(self.chunk_ms.into());
        let mut trial = Trial {
            busy: Duration::ZERO,
            lag: Duration::ZERO,
            utterances: 0,
            spoken: 0,
        };
        let mut behind = Duration::ZERO;
        for _ in 0..1_000 * self.seconds / self.chunk_ms {
            let start = Instant::now();
            for (live, at) in &mut streams {
                let mut wanted = chunk;
                while wanted > 0 {
                    let end = (*at + wanted).min(content.len());
                    live.push(&content[*at..end], |event| {
                        if let Event::End { span, .. } = event {
                            trial.utterances += 1;
                            trial.spoken += span.end - span.start;
                        }
                    })
                    .map_err(|e| CliError::Model(e.into()))?;
                    wanted -= end - *at;
                    *at = end % content.len();
                }
            }
            let spent = start.elapsed();
            trial.busy += spent;
            behind = (behind + spent).saturating_sub(tick);
            trial.lag = trial.lag.max(behind);
        }
        Ok(trial)
    }

    /// Bytes that a further stream needs.
    fn memory(&self, opened: &Opened) -> Result<usize, CliError> {
        let model_rate = opened.manifest.model_rate(self.content.stream_rate);
        let config = LiveConfig::default();
        let live = self.live(opened)?;
        let extractor = config
            .cut
            .extractor(model_rate, ser_features::FeatureSet::default());
        let floats = extractor
            .with_groups(opened.manifest.groups())
            .memory_len()
            + crate::live::memory_len(self.content.stream_rate, model_rate, &config.cut.segment)
            + crate::adapt::memory_len(opened.manifest.feature_set.count)
            // Offset and scale are copied into each adaptive normaliser.
            + 2 * opened.manifest.feature_set.count;
        Ok(4 * floats + size_of_val(&live))
    }
}

impl Report {
    fn print(&self, out: &mut impl Write) -> Result<(), CliError> {
        let limit = if self.at_limit {
            " (more were not tried)"
        } else {
            ""
        };
        writeln!(
            out,
            "{} live streams of {} Hz at real time on one core{limit}, engine {}",
            self.streams, self.sample_rate, self.engine
        )?;
        writeln!(
            out,
            "{:.0} s of audio in {:.2} s (median of {} rounds, {:.2} to {:.2}), never more than {:.2} s behind",
            self.audio_s,
            self.busy.median,
            self.origin.rounds,
            self.busy.min,
            self.busy.max,
            self.lag_s
        )?;
        Ok(writeln!(
            out,
            "{:.0} % of it in utterances, {} of which ended; {} kB a stream",
            100.0 * self.speech,
            self.utterances,
            self.memory_per_stream_bytes / 1000
        )?)
    }
}
