//! `call-centre BUNDLE < call.ulaw`: the emotions of a telephone call while it goes on.
//!
//! Reads a two-channel G.711 call (8 kHz, caller first) from standard input and prints a line of JSON per utterance, and a summary per channel at the end.
//! Each channel has a recogniser and an adaptive normaliser of its own. Only the caller's is listened to unless `--channel` says otherwise, and no
//! audio is kept: what is in memory is one utterance's contours and half a second of delay.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use ser_runtime::adapt::{AdaptConfig, OwnedAdapter};
use ser_runtime::bundle::Bundle;
use ser_runtime::engine::static_model::{OwnedStaticEngine, Precision};
use ser_runtime::live::{Event, LiveConfig, OwnedLiveRecognizer};
use ser_runtime::pcm::RawEncoding;
use serde_json::json;

/// Emotions of a two-channel telephone call on standard input.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Folder of the bundle, with its flat 8-bit model.
    bundle: PathBuf,
    /// Who is listened to.
    #[arg(long, value_enum, default_value_t = Who::Caller)]
    channel: Who,
    /// ulaw or alaw.
    #[arg(long, default_value = "ulaw")]
    encoding: RawEncoding,
    /// Sampling rate in Hz.
    #[arg(long, default_value_t = 8_000)]
    rate: u32,
    /// Give no label where its probability is below this.
    #[arg(long, default_value_t = 0.5)]
    abstain: f32,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Who {
    /// The first channel.
    Caller,
    /// The second channel.
    Agent,
    /// Both, each by itself.
    Both,
}

const NAMES: [&str; 2] = ["caller", "agent"];

type Failure = Box<dyn std::error::Error>;

/// One side of the call.
struct Side {
    name: &'static str,
    recognizer: OwnedLiveRecognizer<OwnedStaticEngine, OwnedAdapter>,
    /// Seconds of speech by label, and without a label.
    seconds: Vec<f64>,
    unsure: f64,
}

struct Call<'a> {
    labels: &'a [String],
    rate: f64,
    abstain: f32,
}

impl Call<'_> {
    /// The line that is printed for an event, if any.
    fn line(
        &self,
        side: &'static str,
        seconds: &mut [f64],
        unsure: &mut f64,
        event: &Event<'_>,
    ) -> Option<serde_json::Value> {
        match event {
            Event::End { span, outcome, .. } => {
                let confidence = outcome
                    .probabilities
                    .get(outcome.label)
                    .copied()
                    .unwrap_or(0.0);
                let length = (span.end - span.start) as f64 / self.rate;
                let label =
                    (confidence >= self.abstain).then(|| self.labels[outcome.label].as_str());
                match label {
                    Some(_) => seconds[outcome.label] += length,
                    None => *unsure += length,
                }
                Some(json!({
                    "channel": side,
                    "start_s": span.start as f64 / self.rate,
                    "end_s": span.end as f64 / self.rate,
                    "label": label,
                    "confidence": confidence,
                }))
            }
            Event::Failed { span, error } => Some(json!({
                "channel": side,
                "start_s": span.start as f64 / self.rate,
                "end_s": span.end as f64 / self.rate,
                "error": error.to_string(),
            })),
            _ => None,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(
        &arguments,
        &mut io::stdin().lock(),
        &mut io::stdout().lock(),
    ) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments, input: &mut impl Read, out: &mut impl Write) -> Result<(), Failure> {
    let bundle = Bundle::open(&arguments.bundle)?;
    let manifest = &bundle.manifest;
    let features = manifest
        .built_in_features()
        .ok_or("the bundle's features were made elsewhere: it cannot be used on audio")?;
    let model_rate = *manifest
        .sample_rates
        .first()
        .ok_or("the bundle names no sampling rate")?;
    let engine = OwnedStaticEngine::load(&bundle, Precision::Int8)?;
    let sides: Result<Vec<Option<Side>>, Failure> = [Who::Caller, Who::Agent]
        .into_iter()
        .zip(NAMES)
        .map(|(who, name)| {
            if arguments.channel != Who::Both && arguments.channel != who {
                return Ok(None);
            }
            let adapter = OwnedAdapter::owned(&manifest.normaliser, AdaptConfig::default())?;
            Ok(Some(Side {
                name,
                recognizer: OwnedLiveRecognizer::owned(
                    arguments.rate,
                    model_rate,
                    features,
                    LiveConfig::default(),
                    engine.clone(),
                    manifest.calibration.temperature,
                    adapter,
                )?,
                seconds: vec![0.0; manifest.labels.len()],
                unsure: 0.0,
            }))
        })
        .collect();
    let mut sides = sides?;
    let call = Call {
        labels: &manifest.labels,
        rate: f64::from(arguments.rate),
        abstain: arguments.abstain,
    };

    let sample = arguments.encoding.bytes();
    let frame = 2 * sample;
    let mut bytes = vec![0; 160 * frame];
    let mut samples = [Vec::new(), Vec::new()];
    loop {
        let (filled, ended) = fill(input, &mut bytes)?;
        for frame in bytes[..filled].chunks_exact(frame) {
            for (channel, bytes) in samples.iter_mut().zip(frame.chunks_exact(sample)) {
                channel.extend(arguments.encoding.decode(bytes));
            }
        }
        for (side, samples) in sides.iter_mut().zip(&mut samples) {
            let mut lines = Vec::new();
            if let Some(side) = side {
                let (seconds, unsure) = (&mut side.seconds, &mut side.unsure);
                let mut on =
                    |event: Event<'_>| lines.extend(call.line(side.name, seconds, unsure, &event));
                side.recognizer.push(samples, &mut on)?;
                if ended {
                    side.recognizer.finish(&mut on);
                }
            }
            samples.clear();
            for line in lines {
                writeln!(out, "{line}")?;
                out.flush()?;
            }
        }
        if ended {
            if filled % frame != 0 {
                return Err(format!(
                    "the call ends within a frame: {} bytes are left over; are there two channels?",
                    filled % frame
                )
                .into());
            }
            break;
        }
    }
    for side in sides.iter().flatten() {
        let by_label: serde_json::Map<String, serde_json::Value> = call
            .labels
            .iter()
            .zip(&side.seconds)
            .map(|(label, seconds)| (label.clone(), json!(seconds)))
            .collect();
        writeln!(
            out,
            "{}",
            json!({"channel": side.name, "seconds": by_label, "unsure_s": side.unsure})
        )?;
    }
    Ok(())
}

/// Fills `bytes`; how many there are, and whether the input ended.
fn fill(input: &mut impl Read, bytes: &mut [u8]) -> io::Result<(usize, bool)> {
    let mut filled = 0;
    while filled < bytes.len() {
        match input.read(&mut bytes[filled..]) {
            Ok(0) => return Ok((filled, true)),
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok((filled, false))
}
