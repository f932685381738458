//! `ser-run bench features`.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use ser_features::{Config, EXTRACTOR_VERSION, Extractor, FeatureSet, Features, Stage};
use serde::Serialize;

use super::{Origin, Times};
use crate::audio::Pcm;
use crate::cli::{CliError, InputArgs, parse_set};
use crate::extract::ExtractError;

/// Extract the features of recordings over and over, on one thread.
#[derive(Args)]
pub(crate) struct FeaturesBench {
    #[command(flatten)]
    input: InputArgs,
    /// WAV or FLAC recordings; decoding them is not measured.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Which features: emobase2010 or is10-paraling-compat.
    #[arg(long, value_name = "SET", default_value = FeatureSet::Emobase2010.id(), value_parser = parse_set)]
    set: FeatureSet,
    /// How often each recording is extracted.
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rounds: u32,
    /// A command to measure in turn with ours, `{}` standing for the file: another extractor. It is run by `sh`, its start-up included.
    #[arg(long, value_name = "COMMAND")]
    against: Option<String>,
    /// Print one JSON object instead of tables.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    origin: Origin,
    feature_set: &'static str,
    extractor_version: &'static str,
    against: Option<String>,
    files: Vec<FileResult>,
    total: Total,
    stages: Vec<StageResult>,
}

#[derive(Serialize)]
struct FileResult {
    file: String,
    sample_rate: u32,
    duration_s: f64,
    /// Making the extractor: tables and memory.
    construction_s: f64,
    /// Pushing all samples and computing the features.
    extraction: Times,
    real_time_factor: f64,
    against: Option<Times>,
    /// Time of the other command over ours, construction included.
    times_as_fast: Option<f64>,
}

#[derive(Serialize)]
struct Total {
    duration_s: f64,
    frames: usize,
    extraction_s: f64,
    real_time_factor: f64,
    us_per_frame: f64,
    times_as_fast: Option<f64>,
}

#[derive(Serialize)]
struct StageResult {
    stage: &'static str,
    us_per_frame: f64,
    share: f64,
}

/// Time by stage, and the frames that it was spent on.
struct Stages {
    spent: [Duration; Stage::ALL.len()],
    frames: usize,
}

impl FeaturesBench {
    pub(super) fn run(&self, out: &mut impl Write) -> Result<(), CliError> {
        let mut stages = Stages {
            spent: [Duration::ZERO; Stage::ALL.len()],
            frames: 0,
        };
        let mut files = Vec::new();
        for path in &self.files {
            let file = path.display().to_string();
            let pcm = self.input.read(path)?;
            files.push(self.measure(file, &pcm, &mut stages)?);
        }
        let report = self.report(files, &stages);
        if self.json {
            serde_json::to_writer_pretty(&mut *out, &report)?;
            writeln!(out)?;
        } else {
            report.print(out)?;
        }
        Ok(())
    }

    fn measure(
        &self,
        file: String,
        pcm: &Pcm,
        stages: &mut Stages,
    ) -> Result<FileResult, CliError> {
        let failed = |source: ExtractError| CliError::Extract {
            file: file.clone(),
            source,
        };
        let start = Instant::now();
        let config = Config::for_samples(pcm.sample_rate, pcm.samples.len(), self.set);
        let mut extractor = Extractor::owned(config).map_err(|e| failed(e.into()))?;
        let construction_s = start.elapsed().as_secs_f64();
        let mut features = Features::zeroed();
        let mut extract = |extractor: &mut Extractor<Vec<f32>>| -> Result<Duration, ExtractError> {
            let start = Instant::now();
            extractor.reset();
            extractor.push(&pcm.samples)?;
            extractor.finish(&mut features)?;
            Ok(start.elapsed())
        };

        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            ours.push(extract(&mut extractor).map_err(failed)?);
            if let Some(command) = &self.against {
                theirs.push(time_command(command, &file)?);
            }
        }
        // apart, because the clock costs too
        extractor.measure_stages(true);
        for _ in 0..self.rounds {
            extract(&mut extractor).map_err(failed)?;
        }
        stages.frames += self.rounds as usize * extractor.frames();
        for (spent, stage) in stages.spent.iter_mut().zip(Stage::ALL) {
            *spent += extractor.stage_time(stage).unwrap_or_default();
        }

        let extraction = Times::of(&ours);
        let against = self.against.is_some().then(|| Times::of(&theirs));
        Ok(FileResult {
            file,
            sample_rate: pcm.sample_rate,
            duration_s: pcm.duration_s(),
            construction_s,
            real_time_factor: extraction.median / pcm.duration_s(),
            times_as_fast: against.map(|t| t.median / (extraction.median + construction_s)),
            extraction,
            against,
        })
    }

    fn report(&self, files: Vec<FileResult>, stages: &Stages) -> Report {
        let sum = |f: fn(&FileResult) -> f64| files.iter().map(f).sum::<f64>();
        let frames = stages.frames / self.rounds as usize;
        let (duration_s, extraction_s) = (sum(|f| f.duration_s), sum(|f| f.extraction.median));
        let theirs = sum(|f| f.against.map_or(0.0, |t| t.median));
        let total = Total {
            duration_s,
            frames,
            extraction_s,
            real_time_factor: extraction_s / duration_s,
            us_per_frame: extraction_s / frames as f64 * 1e6,
            times_as_fast: self
                .against
                .is_some()
                .then(|| theirs / (extraction_s + sum(|f| f.construction_s))),
        };
        let all = stages.spent.iter().sum::<Duration>().as_secs_f64();
        let stages = Stage::ALL
            .iter()
            .zip(&stages.spent)
            .map(|(stage, spent)| StageResult {
                stage: stage.name(),
                us_per_frame: spent.as_secs_f64() / stages.frames as f64 * 1e6,
                share: spent.as_secs_f64() / all,
            });
        Report {
            origin: Origin::one_thread(self.rounds as usize),
            feature_set: self.set.id(),
            extractor_version: EXTRACTOR_VERSION,
            against: self.against.clone(),
            stages: stages.collect(),
            files,
            total,
        }
    }
}

/// Runs a rival on `file`; its own output goes nowhere.
fn time_command(command: &str, file: &str) -> Result<Duration, CliError> {
    let failed = |reason: String| CliError::Rival {
        command: command.to_owned(),
        file: file.to_owned(),
        reason,
    };
    // the shell sees the file as its first argument, whatever characters are in its name
    let script = command.replace("{}", "\"$1\"");
    let start = Instant::now();
    let output = Command::new("sh")
        .args(["-c", &script, "sh", file])
        .stdin(Stdio::null())
        .output()
        .map_err(|e| failed(e.to_string()))?;
    let time = start.elapsed();
    if output.status.success() {
        Ok(time)
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or("it said nothing");
        Err(failed(format!("{}: {last}", output.status)))
    }
}

impl Report {
    fn print(&self, out: &mut impl Write) -> Result<(), CliError> {
        writeln!(
            out,
            "{} (extractor version {}), one thread, median of {} rounds; RTF = seconds of work per second of audio",
            self.feature_set, self.extractor_version, self.origin.rounds
        )?;
        writeln!(
            out,
            "{:>9} {:>9} {:>10} {:>10} {:>10} {:>9} {:>9}  file",
            "Hz", "audio s", "median ms", "fastest", "slowest", "RTF", "x rival"
        )?;
        let ratio = |r: Option<f64>| r.map_or("-".to_owned(), |r| format!("{r:.1}"));
        for f in &self.files {
            writeln!(
                out,
                "{:>9} {:>9.2} {:>10.3} {:>10.3} {:>10.3} {:>9.6} {:>9}  {}",
                f.sample_rate,
                f.duration_s,
                1e3 * f.extraction.median,
                1e3 * f.extraction.min,
                1e3 * f.extraction.max,
                f.real_time_factor,
                ratio(f.times_as_fast),
                f.file,
            )?;
        }
        let t = &self.total;
        writeln!(
            out,
            "all: {:.2} s of audio, {:.3} ms, RTF {:.6} ({:.0} times real time), {:.2} us per 10-ms frame, x rival {}",
            t.duration_s,
            1e3 * t.extraction_s,
            t.real_time_factor,
            1.0 / t.real_time_factor,
            t.us_per_frame,
            ratio(t.times_as_fast)
        )?;
        writeln!(
            out,
            "\n{:<22} {:>12} {:>8}",
            "stage", "us per frame", "share"
        )?;
        for s in &self.stages {
            writeln!(
                out,
                "{:<22} {:>12.3} {:>7.1}%",
                s.stage,
                s.us_per_frame,
                100.0 * s.share
            )?;
        }
        Ok(())
    }
}
