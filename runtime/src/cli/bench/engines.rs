//! `ser-run bench engines`.

use std::hint::black_box;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::{Origin, Times};
use crate::bundle::{self, Bundle, Manifest};
use crate::cli::CliError;
use crate::engine::static_model::{F32_FILE, INT8_FILE};
use crate::engine::{Engine, EngineError};
use crate::model::{EngineKind, Model};

/// Encoder and classifier on one utterance, on one thread, in every engine that there is. The engines take turns; a round of one
/// is many calls in a row, as many live streams make them.
#[derive(Args)]
pub(crate) struct EnginesBench {
    /// Folder of the bundle, or a folder that holds it as `bundle`.
    #[arg(short, long, value_name = "BUNDLE")]
    model: PathBuf,
    /// How many turns each engine gets.
    #[arg(long, value_name = "N", default_value_t = 51, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rounds: u32,
    /// Calls in a turn.
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    calls: u32,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    origin: Origin,
    /// Calls in a round; times are those of one call.
    calls: u32,
    bundle: String,
    id: String,
    features: usize,
    code: usize,
    labels: usize,
    engines: Vec<EngineResult>,
    left_out: Vec<LeftOut>,
}

#[derive(Serialize)]
struct EngineResult {
    engine: &'static str,
    /// Of the files that hold the weights.
    bytes: u64,
    /// Reading, checking and preparing the model.
    load_s: f64,
    /// Encoder and classifier on one utterance.
    call: Times,
    /// Time of ONNX Runtime over that of this engine, of the medians.
    times_as_fast_as_ort: Option<f64>,
    /// Largest difference of a logit from tract's on the same rows.
    logit_difference: Option<f32>,
}

/// An engine that could not take part.
#[derive(Serialize)]
struct LeftOut {
    engine: &'static str,
    reason: String,
}

/// An engine with its memory.
struct Runner {
    kind: EngineKind,
    model: Model,
    load_s: f64,
    code: Vec<f32>,
    logits: Vec<f32>,
    turns: Vec<Duration>,
}

impl Runner {
    fn load(bundle: Bundle, kind: EngineKind) -> Result<Self, String> {
        let start = Instant::now();
        let mut model = Model::new(bundle, kind).map_err(|e| e.to_string())?;
        let load_s = start.elapsed().as_secs_f64();
        let engine = model.engine();
        let (code, logits) = (
            vec![0.0; engine.code_len()],
            vec![0.0; engine.label_count()],
        );
        Ok(Self {
            kind,
            model,
            load_s,
            code,
            logits,
            turns: Vec::new(),
        })
    }

    fn call(&mut self, row: &[f32]) -> Result<(), EngineError> {
        let engine = self.model.engine();
        engine.encode(black_box(row), &mut self.code)?;
        engine.classify(&self.code, &mut self.logits)?;
        black_box(&self.logits);
        Ok(())
    }

    /// The logits of all rows, one after the other.
    fn logits(&mut self, rows: &[Vec<f32>]) -> Result<Vec<f32>, EngineError> {
        let mut all = Vec::new();
        for row in rows {
            self.call(row)?;
            all.extend_from_slice(&self.logits);
        }
        Ok(all)
    }
}

impl EnginesBench {
    pub(super) fn run(&self, out: &mut impl Write) -> Result<(), CliError> {
        let bundle = Bundle::open(bundle::find(&self.model))?;
        let rows = rows(&bundle.manifest);
        let (mut runners, mut left_out) = (Vec::new(), Vec::new());
        for kind in EngineKind::ALL {
            match Runner::load(bundle.clone(), kind) {
                Ok(runner) => runners.push(runner),
                Err(reason) => left_out.push(LeftOut {
                    engine: kind.name(),
                    reason,
                }),
            }
        }
        let mut logits = Vec::new();
        for runner in &mut runners {
            logits.push((runner.kind, runner.logits(&rows)?));
        }
        for _ in 0..self.rounds {
            for runner in &mut runners {
                let start = Instant::now();
                for row in rows.iter().cycle().take(self.calls as usize) {
                    runner.call(row)?;
                }
                runner.turns.push(start.elapsed() / self.calls);
            }
        }

        let median = |kind| {
            let found = runners.iter().find(|r| r.kind == kind);
            found.map(|r| Times::of(&r.turns).median)
        };
        let ort = median(EngineKind::Ort);
        let tract = logits.iter().find(|(kind, _)| *kind == EngineKind::Tract);
        let engines = runners.iter().zip(&logits).map(|(runner, (_, logits))| {
            let call = Times::of(&runner.turns);
            EngineResult {
                engine: runner.kind.name(),
                bytes: weight_bytes(&bundle.manifest, runner.kind),
                load_s: runner.load_s,
                call,
                times_as_fast_as_ort: ort.map(|ort| ort / call.median),
                logit_difference: tract.map(|(_, expected)| {
                    let pairs = logits.iter().zip(expected);
                    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
                }),
            }
        });
        let manifest = &bundle.manifest;
        let report = Report {
            origin: Origin::one_thread(self.rounds as usize),
            calls: self.calls,
            bundle: self.model.display().to_string(),
            id: manifest.id.clone(),
            features: manifest.encoder.input_dim,
            code: manifest.encoder.output_dim,
            labels: manifest.labels.len(),
            engines: engines.collect(),
            left_out,
        };
        if self.json {
            serde_json::to_writer_pretty(&mut *out, &report)?;
            writeln!(out)?;
            Ok(())
        } else {
            report.print(out)
        }
    }
}

/// Bytes of the files from which `kind` takes the weights.
fn weight_bytes(manifest: &Manifest, kind: EngineKind) -> u64 {
    let names = match kind {
        EngineKind::Tract | EngineKind::Ort => {
            vec![&*manifest.encoder.file, &*manifest.classifier.file]
        }
        EngineKind::Static => vec![F32_FILE],
        EngineKind::StaticInt8 => vec![INT8_FILE],
    };
    let sizes = names.iter().filter_map(|name| manifest.files.get(*name));
    sizes.map(|info| info.bytes).sum()
}

/// Feature vectors spread around the training mean as real ones are, the same on every run.
fn rows(manifest: &Manifest) -> Vec<Vec<f32>> {
    let normaliser = &manifest.normaliser;
    let mut state = 7_u32;
    let columns = || normaliser.offset.iter().zip(&normaliser.scale);
    (0..16)
        .map(|_| {
            columns()
                .map(|(offset, scale)| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let z = (state >> 8) as f32 / (1 << 22) as f32 - 2.0;
                    let constant = *scale == 0.0;
                    if constant {
                        *offset
                    } else {
                        offset + z / scale
                    }
                })
                .collect()
        })
        .collect()
}

impl Report {
    fn print(&self, out: &mut impl Write) -> Result<(), CliError> {
        writeln!(
            out,
            "{} ({}): {} features -> {} -> {} labels; one utterance, one thread, median of {} rounds of {} calls",
            self.bundle,
            self.id,
            self.features,
            self.code,
            self.labels,
            self.origin.rounds,
            self.calls
        )?;
        writeln!(
            out,
            "{:<12} {:>9} {:>9} {:>10} {:>10} {:>10} {:>7} {:>12}",
            "engine", "kB", "load ms", "median us", "fastest", "slowest", "x ort", "|d logit|"
        )?;
        for e in &self.engines {
            let ratio = e
                .times_as_fast_as_ort
                .map_or("-".to_owned(), |r| format!("{r:.2}"));
            let difference = e
                .logit_difference
                .map_or("-".to_owned(), |d| format!("{d:.1e}"));
            writeln!(
                out,
                "{:<12} {:>9.1} {:>9.1} {:>10.1} {:>10.1} {:>10.1} {ratio:>7} {difference:>12}",
                e.engine,
                e.bytes as f64 / 1e3,
                1e3 * e.load_s,
                1e6 * e.call.median,
                1e6 * e.call.min,
                1e6 * e.call.max,
            )?;
        }
        for l in &self.left_out {
            writeln!(out, "left out: {}: {}", l.engine, l.reason)?;
        }
        Ok(())
    }
}
