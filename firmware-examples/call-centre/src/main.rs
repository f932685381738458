//! `call-centre BUNDLE < call.ulaw`: the emotions of a telephone call while it goes on.
//!
//! Reads a two-channel G.711 call (8 kHz, caller first) from standard input and prints a line of
//! JSON per utterance, and a summary per channel at the end. Each channel has a recogniser and an
//! adaptive normaliser of its own. Only the caller's is listened to unless `--channel` says
//! otherwise, and no audio is kept: what is in memory is one utterance's contours and half a second
//! of delay.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use ser_runtime::adapt::{AdaptConfig, OwnedAdapter};
use ser_runtime::engine::Engine;
use ser_runtime::live::{Event, OwnedLiveRecognizer, Span};
use ser_runtime::model::{EngineKind, Model};
use ser_runtime::pcm::RawEncoding;
use serde_json::{Value, json};

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
    /// Give no label where its probability is below this, in the place of what the bundle asks for.
    #[arg(long, value_parser = probability)]
    abstain: Option<f32>,
}

fn probability(text: &str) -> Result<f32, String> {
    let value: f32 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err("not a probability: 0 to 1".to_owned())
    }
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

/// The channels of a call, in their order.
const CHANNELS: [(&str, Who); 2] = [("caller", Who::Caller), ("agent", Who::Agent)];

type Failure = Box<dyn std::error::Error>;

/// What became of a channel, in seconds.
struct Summary<'a> {
    name: &'static str,
    rate: f64,
    labels: &'a [String],
    by_label: Vec<f64>,
    by_reason: BTreeMap<&'static str, f64>,
}

impl Summary<'_> {
    /// The line for an event, if there is one.
    fn line(&mut self, event: &Event<'_>) -> Result<Option<Value>, serde_json::Error> {
        let (span, mut line) = match event {
            Event::Start { .. } | Event::Update { .. } => return Ok(None),
            Event::End { span, outcome, .. } => {
                match outcome.label {
                    Ok(label) => self.by_label[label] += self.seconds(span.samples()),
                    Err(reason) => self.without(reason.words(), span),
                }
                (span, serde_json::to_value(outcome.named(self.labels))?)
            }
            Event::Discarded { span, reason } => {
                self.without(reason.words(), span);
                let line = json!({"label": null, "uncertain": true, "reason": reason});
                (span, line)
            }
            Event::Failed { span, error } => {
                self.without("failed", span);
                (span, json!({"error": error.to_string()}))
            }
        };
        line["channel"] = self.name.into();
        line["start_s"] = self.seconds(span.start).into();
        line["end_s"] = self.seconds(span.end).into();
        Ok(Some(line))
    }

    fn without(&mut self, reason: &'static str, span: &Span) {
        *self.by_reason.entry(reason).or_default() += self.seconds(span.samples());
    }

    fn seconds(&self, samples: u64) -> f64 {
        samples as f64 / self.rate
    }

    /// The last line.
    fn total(&self) -> Value {
        let by_label: BTreeMap<_, _> = self.labels.iter().zip(&self.by_label).collect();
        json!({
            "channel": self.name,
            "seconds": by_label,
            "without_label_s": self.by_reason,
        })
    }
}

/// A channel that is listened to.
struct Side<'a, E> {
    channel: usize,
    recognizer: OwnedLiveRecognizer<E, OwnedAdapter>,
    summary: Summary<'a>,
}

impl<E: Engine> Side<'_, E> {
    /// Hears samples, and that the call `ended`; the lines that are to be printed.
    fn hear(&mut self, samples: &[f32], ended: bool) -> Result<Vec<Value>, Failure> {
        let mut lines = Vec::new();
        let Self {
            recognizer,
            summary,
            ..
        } = self;
        let mut on = |event: Event<'_>| lines.extend(summary.line(&event).transpose());
        recognizer.push(samples, &mut on)?;
        if ended {
            recognizer.finish(&mut on);
        }
        Ok(lines.into_iter().collect::<Result<_, _>>()?)
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
    let heard = |who| arguments.channel == Who::Both || arguments.channel == who;
    let wanted = CHANNELS.iter().enumerate();
    let wanted = wanted.filter(|(_, (_, who))| heard(*who));
    let mut models = Vec::new();
    for (channel, (name, _)) in wanted {
        let mut model = Model::open(&arguments.bundle, EngineKind::StaticInt8)?;
        if let Some(probability) = arguments.abstain {
            model.abstain_below(probability);
        }
        models.push((channel, *name, model));
    }
    let labels: Vec<String> = models
        .first()
        .map(|(_, _, model)| model.bundle().manifest.labels.clone())
        .unwrap_or_default();
    let mut sides = Vec::new();
    for (channel, name, model) in &mut models {
        let normaliser = &model.bundle().manifest.normaliser;
        let adapter = OwnedAdapter::owned(normaliser, AdaptConfig::default())?;
        let config = model.live_config();
        sides.push(Side {
            channel: *channel,
            recognizer: model.live(arguments.rate, config, adapter)?,
            summary: Summary {
                name,
                rate: f64::from(arguments.rate),
                labels: &labels,
                by_label: vec![0.0; labels.len()],
                by_reason: BTreeMap::new(),
            },
        });
    }

    let sample = arguments.encoding.bytes();
    let frame = CHANNELS.len() * sample;
    let mut bytes = vec![0; 160 * frame];
    let mut samples = CHANNELS.map(|_| Vec::new());
    loop {
        let (filled, ended) = fill(input, &mut bytes)?;
        for frame in bytes[..filled].chunks_exact(frame) {
            for (channel, bytes) in samples.iter_mut().zip(frame.chunks_exact(sample)) {
                channel.extend(arguments.encoding.decode(bytes));
            }
        }
        for side in &mut sides {
            for line in side.hear(&samples[side.channel], ended)? {
                writeln!(out, "{line}")?;
                out.flush()?;
            }
        }
        samples.iter_mut().for_each(Vec::clear);
        if ended {
            let left = filled % frame;
            if left != 0 {
                return Err(format!(
                    "the call ends within a frame: {left} bytes are left over; are there two \
                     channels?"
                )
                .into());
            }
            break;
        }
    }
    for side in &sides {
        writeln!(out, "{}", side.summary.total())?;
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
