//! `ser-train bench train`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::{Device, Tensor};
use serde::Serialize;
use serde_json::{Value, json};

use super::BenchError;
use super::rival::{INSTALL, Rival, Round};
use crate::config::Config;
use crate::data::batches::Rows;
use crate::data::mixup::{MixedBatch, Mixer, Pool};
use crate::data::stream;
use crate::device::{DeviceChoice, choose};
use crate::gan::mixup_gan::{LearningRates, MixupGan, shapes};
use crate::model::Activation;
use crate::nn::{
    Adam, AdamConfig, BackendError, Dropout, Mlp, Shape, matrix, soft_cross_entropy, values,
};

/// Whole training steps (forward, backward, Adam) of the paper's networks on random rows, ours and PyTorch's taking
/// turns
///
/// PyTorch runs in a process of its own, with its default Adam and with `fused=True`; the ratio is to the faster one.
/// Without PyTorch, ours alone is measured, and the program says so.
#[derive(Debug, clap::Args)]
pub struct TrainBench {
    /// Device of both: ours through burn, PyTorch's is the CPU beside `cpu` and CUDA beside a GPU
    #[arg(long, value_enum, default_value_t)]
    device: DeviceChoice,
    /// Python that has PyTorch [default: python3, if it has]
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Threads of each side
    #[arg(long, default_value = "2", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
    /// Rows of a batch
    #[arg(long, value_delimiter = ',', default_value = "64,256", value_parser = clap::value_parser!(u16).range(2..))]
    batch: Vec<u16>,
    /// Networks to measure
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = Network::ALL)]
    networks: Vec<Network>,
    /// Columns of a row
    #[arg(long, default_value = "1582", value_parser = clap::value_parser!(u16).range(1..))]
    features: u16,
    /// Turns of each side
    #[arg(long, default_value = "7", value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Seconds that a turn is meant to take
    #[arg(long, default_value = "0.4")]
    seconds: f64,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// What is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
enum Network {
    /// features-1000-500-25-500-1000-features, dropout 0.5, mean squared error
    Autoencoder,
    /// features-400-400-4, dropout 0.5, soft labels
    Dnn400,
    /// features-1000-1000-4, dropout 0.5, soft labels
    Dnn1000,
    /// Autoencoder, generator and discriminator step on one batch (PROTOCOL section 1)
    MixupGan,
}

impl Network {
    const ALL: [Self; 4] = [
        Self::Autoencoder,
        Self::Dnn400,
        Self::Dnn1000,
        Self::MixupGan,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Autoencoder => "autoencoder",
            Self::Dnn400 => "DNN 400-400",
            Self::Dnn1000 => "DNN 1000-1000",
            Self::MixupGan => "mixup-GAN",
        }
    }
}

/// Everything, for `--json`.
#[derive(Serialize)]
struct Report {
    program: &'static str,
    version: &'static str,
    burn: &'static str,
    device: String,
    threads: usize,
    rounds: usize,
    features: usize,
    /// PyTorch's versions; `null` where it did not take part.
    pytorch: Value,
    /// Why it did not.
    pytorch_left_out: Option<String>,
    results: Vec<Line>,
}

/// One network and batch size.
#[derive(Serialize)]
struct Line {
    network: Network,
    widths: Vec<Vec<usize>>,
    batch: usize,
    /// Steps in a round.
    steps: usize,
    ours: Times,
    pytorch: Option<Times>,
    pytorch_fused: Option<Times>,
    /// Our rows per second over those of the faster PyTorch, of the medians.
    ratio: Option<f64>,
    /// The same by processor time.
    cpu_ratio: Option<f64>,
}

/// Median and extremes over the rounds.
#[derive(Clone, Copy, Debug, Serialize)]
struct Times {
    ms_per_step: f64,
    min_ms: f64,
    max_ms: f64,
    rows_per_second: f64,
    cpu_ms_per_step: Option<f64>,
}

impl Times {
    fn of(rounds: &[Round], steps: usize, batch: usize) -> Self {
        let per_step = |s: f64| 1e3 * s / steps as f64;
        let sorted = |f: &dyn Fn(&Round) -> f64| {
            let mut all: Vec<f64> = rounds.iter().map(f).collect();
            all.sort_by(f64::total_cmp);
            all
        };
        let median = |v: &[f64]| match v {
            [] => f64::NAN,
            v => (v[(v.len() - 1) / 2] + v[v.len() / 2]) / 2.0,
        };
        let wall = sorted(&|r| per_step(r.wall));
        let cpu = sorted(&|r| r.cpu.map_or(f64::NAN, per_step));
        let ms = median(&wall);
        Self {
            ms_per_step: ms,
            min_ms: wall.first().copied().unwrap_or(f64::NAN),
            max_ms: wall.last().copied().unwrap_or(f64::NAN),
            rows_per_second: 1e3 * batch as f64 / ms,
            cpu_ms_per_step: Some(median(&cpu)).filter(|c| c.is_finite()),
        }
    }
}

impl TrainBench {
    pub(super) fn run(&self) -> Result<(), BenchError> {
        let chosen = choose(self.device)?;
        let gpu = chosen.device != Device::flex();
        let threads = usize::from(self.threads);
        let python = self.python.as_deref().unwrap_or(Path::new("python3"));
        let (mut rival, left_out) = match Rival::start(python, threads, gpu) {
            Ok(rival) => (Some(rival), None),
            Err(reason) if self.python.is_some() => return Err(failed(python, reason)),
            Err(reason) => (None, Some(format!("{}: {reason}", python.display()))),
        };
        if let Some(reason) = &left_out {
            let hint = if reason.contains(INSTALL) {
                ""
            } else {
                "; --python names another one"
            };
            eprintln!("PyTorch takes no part: {reason}{hint}");
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|e| BenchError::Threads {
                threads,
                reason: e.to_string(),
            })?;
        let mut results = Vec::new();
        for &network in &self.networks {
            for &batch in &self.batch {
                let mut ours = pool.install(|| {
                    Trainee::new(network, self.features.into(), batch.into(), &chosen.device)
                })?;
                let line = self.measure(&mut ours, &pool, rival.as_mut());
                let line = line?.map_err(|reason| failed(python, reason))?;
                eprintln!(
                    "{} {batch}: {:.1} ms a step",
                    network.name(),
                    line.ours.ms_per_step
                );
                results.push(line);
            }
        }
        let report = Report {
            program: "ser-train bench train",
            version: env!("CARGO_PKG_VERSION"),
            burn: crate::fit::BURN_VERSION,
            device: chosen.name,
            threads,
            rounds: self.rounds.into(),
            features: self.features.into(),
            pytorch: rival.as_ref().map_or(Value::Null, |r| r.versions.clone()),
            pytorch_left_out: left_out,
            results,
        };
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
        } else {
            print(&report, &mut out)?;
        }
        Ok(())
    }

    /// Rounds of each side in turn. The inner error is PyTorch's.
    fn measure(
        &self,
        ours: &mut Trainee,
        pool: &rayon::ThreadPool,
        mut rival: Option<&mut Rival>,
    ) -> Result<Result<Line, String>, BackendError> {
        let mut turn = |steps| pool.install(|| ours.round(steps));
        turn(2)?;
        let one = turn(2)?.wall / 2.0;
        let steps = ((self.seconds / one.max(1e-6)) as usize).clamp(2, 10_000);
        let (network, batch) = (ours.network, ours.batch);
        let (mut mine, mut plain, mut fused) = (Vec::new(), Vec::new(), Vec::new());
        if let Some(rival) = &mut rival
            && let Err(reason) = rival.make(&ours.describe())
        {
            return Ok(Err(reason));
        }
        for _ in 0..self.rounds {
            mine.push(pool.install(|| ours.round(steps))?);
            if let Some(rival) = &mut rival {
                for (is_fused, rounds) in [(false, &mut plain), (true, &mut fused)] {
                    match rival.round(steps, is_fused) {
                        Ok(round) => rounds.push(round),
                        Err(reason) => return Ok(Err(reason)),
                    }
                }
            }
        }
        let times =
            |rounds: &[Round]| (!rounds.is_empty()).then(|| Times::of(rounds, steps, batch));
        let ours_times = Times::of(&mine, steps, batch);
        let (plain, fused) = (times(&plain), times(&fused));
        let best = |f: &dyn Fn(&Times) -> Option<f64>| {
            let all = [&plain, &fused].into_iter().flatten().filter_map(f);
            all.reduce(f64::min)
        };
        Ok(Ok(Line {
            network,
            widths: ours.widths.clone(),
            batch,
            steps,
            ours: ours_times,
            pytorch: plain,
            pytorch_fused: fused,
            ratio: best(&|t| Some(t.ms_per_step)).map(|t| t / ours_times.ms_per_step),
            cpu_ratio: best(&|t| t.cpu_ms_per_step)
                .zip(ours_times.cpu_ms_per_step)
                .map(|(rival, ours)| rival / ours),
        }))
    }
}

fn failed(python: &Path, reason: String) -> BenchError {
    BenchError::Rival {
        python: python.display().to_string(),
        reason,
    }
}

/// Our side: networks in training on one batch of random rows.
struct Trainee {
    network: Network,
    batch: usize,
    widths: Vec<Vec<usize>>,
    rows: MixedBatch,
    net: Trained,
    device: Device,
    steps: usize,
    judge_dropout: f64,
}

enum Trained {
    Gan(Box<MixupGan>),
    Classifier(Box<(Mlp, Adam)>),
}

const DROPOUT: f32 = 0.5;
const CLASSES: usize = 4;
const RATE: f64 = 1e-4;

impl Trainee {
    fn new(
        network: Network,
        features: usize,
        batch: usize,
        device: &Device,
    ) -> Result<Self, BenchError> {
        let text = "[autoencoder]\nhidden = [1000, 500]\ncode_size = 25\ndropout = 0.5\ninput_dropout = 0.0\nweight_decay = 0.0\n";
        let config =
            Config::from_toml(text, "bench").map_err(|e| BenchError::Config(e.to_string()))?;
        let rows = rows(&config, features, batch)
            .ok_or_else(|| BenchError::Config("mixup cannot be set up".into()))?;
        let (encoder, generator, discriminator) = shapes(&config, features);
        let mut widths = vec![encoder.widths, generator.widths];
        let net = match network {
            Network::MixupGan => {
                widths.push(discriminator.widths);
                Trained::Gan(Box::new(MixupGan::new(&config, features, "bench", device)))
            }
            Network::Autoencoder => {
                Trained::Gan(Box::new(MixupGan::new(&config, features, "bench", device)))
            }
            Network::Dnn400 | Network::Dnn1000 => {
                let h = if network == Network::Dnn400 {
                    400
                } else {
                    1000
                };
                widths = vec![vec![features, h, h, CLASSES]];
                let shape = Shape {
                    widths: widths[0].clone(),
                    hidden: Activation::LeakyRelu(0.01),
                    output: Activation::Linear,
                };
                Trained::Classifier(Box::new((
                    Mlp::new(
                        &shape,
                        &mut stream(1, "bench initial classifier", 0),
                        device,
                    ),
                    Adam::new(AdamConfig::new(0.0)),
                )))
            }
        };
        Ok(Self {
            network,
            batch,
            widths,
            rows,
            net,
            device: device.clone(),
            steps: 0,
            judge_dropout: config.gan.discriminator_dropout,
        })
    }

    /// For PyTorch.
    fn describe(&self) -> Value {
        json!({
            "kind": match self.network {
                Network::Autoencoder => "autoencoder",
                Network::Dnn400 | Network::Dnn1000 => "classifier",
                Network::MixupGan => "gan",
            },
            "widths": self.widths,
            "batch": self.batch,
            "dropout": DROPOUT,
            "judge_dropout": self.judge_dropout,
            "real": self.rows.real().rows(),
        })
    }

    fn round(&mut self, steps: usize) -> Result<Round, BackendError> {
        let (cpu, start) = (cpu_seconds(), Instant::now());
        let mut last = None;
        for _ in 0..steps {
            last = Some(self.step()?);
        }
        // Reading the number waits for the device.
        if let Some(loss) = last {
            let loss = values(loss)?.first().copied().unwrap_or(f32::NAN);
            if !loss.is_finite() {
                return Err(BackendError("the loss is not finite".into()));
            }
        }
        let wall = start.elapsed().as_secs_f64();
        Ok(Round {
            wall,
            cpu: cpu_seconds().zip(cpu).map(|(end, start)| end - start),
        })
    }

    fn step(&mut self) -> Result<Tensor<1>, BackendError> {
        self.steps += 1;
        let rng = &mut stream(1, "bench dropout", self.steps);
        match &mut self.net {
            Trained::Gan(gan) if self.network == Network::Autoencoder => {
                gan.autoencoder_step(&self.rows, RATE, rng)
            }
            Trained::Gan(gan) => {
                let rates = LearningRates {
                    autoencoder: RATE,
                    generator: RATE,
                    discriminator: RATE,
                };
                Ok(gan.adversarial_step(&self.rows, rates, rng)?.2.loss)
            }
            Trained::Classifier(both) => {
                let (net, adam) = &mut **both;
                let x = matrix(self.rows.values().to_vec(), self.batch, &self.device);
                let targets = self.rows.targets().iter().map(|t| t / self.batch as f32);
                let targets = matrix(targets.collect(), self.batch, &self.device);
                let logits = net.forward(x, &mut Dropout::new(DROPOUT, 0.0, rng));
                let loss = soft_cross_entropy(logits, targets);
                let mut grads = loss.backward();
                adam.step(net, &mut grads, |_| RATE)?;
                Ok(loss.without_autodiff())
            }
        }
    }
}

/// Random rows, mixed.
fn rows(config: &Config, features: usize, batch: usize) -> Option<MixedBatch> {
    let noise = (0..batch * features).map(|i| ((i as f32 * 12.9898).sin() * 43758.547).fract());
    let rows = Rows::recorded(
        features,
        CLASSES,
        noise.collect(),
        (0..batch).map(|i| i % CLASSES).collect(),
    );
    let all: Vec<usize> = (0..batch).collect();
    let mixer = Mixer::new(&config.mixup)?;
    Some(mixer.batch(
        &rows,
        &all,
        &Pool::new(&rows),
        &mut stream(1, "bench rows", 0),
    ))
}

/// Processor time of this process's living threads, where the system tells (Linux).
fn cpu_seconds() -> Option<f64> {
    let mut total = 0u64;
    for task in std::fs::read_dir("/proc/self/task").ok()? {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        total += text.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(total as f64 * 1e-9)
}

fn print(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(
        out,
        "ser-train {} (burn {}) on {}, {} threads; medians of {} rounds",
        report.version, report.burn, report.device, report.threads, report.rounds
    )?;
    match (&report.pytorch, &report.pytorch_left_out) {
        (Value::Object(p), _) => {
            let text = |key: &str| p.get(key).and_then(Value::as_str).unwrap_or("?").to_owned();
            writeln!(
                out,
                "PyTorch {} (Python {}) on {}, {} threads; ratio: our rows/s over those of its faster Adam",
                text("torch"),
                text("python"),
                text("device"),
                report.threads
            )?;
        }
        (_, Some(reason)) => writeln!(out, "PyTorch takes no part: {reason}")?,
        _ => {}
    }
    writeln!(
        out,
        "\n{:14} {:>5}  {:>8} {:>9} {:>8}  {:>8} {:>8}  {:>8} {:>8}  {:>5} {:>9}",
        "network",
        "batch",
        "ms/step",
        "rows/s",
        "CPU ms",
        "torch ms",
        "CPU ms",
        "fused ms",
        "CPU ms",
        "ratio",
        "CPU ratio"
    )?;
    let number = |n: Option<f64>, digits: usize| n.map_or("-".into(), |n| format!("{n:.digits$}"));
    for line in &report.results {
        let ms = |t: &Option<Times>| number(t.map(|t| t.ms_per_step), 2);
        let cpu = |t: &Option<Times>| number(t.and_then(|t| t.cpu_ms_per_step), 2);
        writeln!(
            out,
            "{:14} {:>5}  {:>8.2} {:>9.0} {:>8}  {:>8} {:>8}  {:>8} {:>8}  {:>5} {:>9}",
            line.network.name(),
            line.batch,
            line.ours.ms_per_step,
            line.ours.rows_per_second,
            number(line.ours.cpu_ms_per_step, 2),
            ms(&line.pytorch),
            cpu(&line.pytorch),
            ms(&line.pytorch_fused),
            cpu(&line.pytorch_fused),
            number(line.ratio, 2),
            number(line.cpu_ratio, 2),
        )?;
    }
    Ok(())
}
