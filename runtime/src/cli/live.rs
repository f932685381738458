//! What `stream` and `listen` share: a recogniser a channel, and a JSON line an event.

use std::cell::RefCell;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use ser_features::{Config, FeatureSet};
use serde::Serialize;

use super::{CliError, ModelArgs};
use crate::adapt::{AdaptConfig, OwnedAdapter};
use crate::bundle::Manifest;
use crate::engine::{Engine, SharedEngine};
use crate::live::{CutConfig, Event, LiveConfig, OwnedLiveRecognizer, Span};
use crate::model::{Model, ModelError};
use crate::prediction::{Outcome, Prediction, Reason};
use crate::recognizer::OwnedRecognizer;
use crate::segment::SegmentConfig;

/// How a live stream is recognised.
#[derive(Args)]
pub(super) struct LiveArgs {
    #[command(flatten)]
    pub(super) model: ModelArgs,
    /// Channels to recognise: `all`, each by itself, or the number of one, counted from 0.
    #[arg(long, value_name = "K|all", default_value = "all")]
    pub(super) channel: Choice,
    /// Also a prediction each time that so many milliseconds of an utterance were heard.
    #[arg(long, value_name = "N", default_value_t = 0)]
    update_ms: u32,
    /// Move the normaliser from the training corpus to the channel's own statistics as utterances accumulate.
    #[arg(long)]
    adapt: bool,
    /// Where those statistics are kept from one run to the next; several channels add `.K`.
    #[arg(long, value_name = "FILE", requires = "adapt")]
    state: Option<PathBuf>,
    /// Give no label where its probability is below P (0 to 1).
    #[arg(long, value_name = "P", value_parser = super::probability)]
    abstain: Option<f32>,
    /// So much silence ends an utterance [default: as the training recordings were cut]
    #[arg(long, value_name = "MS")]
    hangover_ms: Option<u32>,
    /// A longer utterance is cut [default: as the training recordings were cut]
    #[arg(long, value_name = "MS")]
    max_utterance_ms: Option<u32>,
}

/// Which channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    All,
    One(u16),
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            number => number
                .parse()
                .map(Self::One)
                .map_err(|_| "write `all` or the number of a channel, counted from 0".to_owned()),
        }
    }
}

/// A line of output. Positions are samples since the start of the stream.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line<'a> {
    Start {
        #[serde(flatten)]
        place: Place,
    },
    Update {
        #[serde(flatten)]
        place: Place,
        #[serde(flatten)]
        prediction: Prediction,
    },
    Utterance {
        #[serde(flatten)]
        place: Place,
        cut: bool,
        #[serde(flatten)]
        prediction: Prediction,
        bundle: &'a str,
    },
    Discarded {
        #[serde(flatten)]
        place: Place,
        reason: Reason,
    },
    Failed {
        #[serde(flatten)]
        place: Place,
        error: String,
    },
    EndOfStream {
        samples: u64,
        reason: &'a str,
    },
}

#[derive(Serialize)]
struct Place {
    channel: u16,
    #[serde(flatten)]
    span: Span,
}

/// Seconds of audio after which changed statistics are written again; they are always written at the end.
const SAVE_EVERY_S: u64 = 60;

/// An open model.
pub(super) struct Opened {
    pub(super) manifest: Manifest,
    set: FeatureSet,
    engine: RefCell<Box<dyn Engine + Send>>,
}

impl Opened {
    pub(super) fn new(args: &ModelArgs) -> Result<Self, CliError> {
        let model = Model::open(&args.model, args.engine)?;
        let set = model.feature_set()?;
        let (bundle, engine) = model.into_parts();
        Ok(Self {
            manifest: bundle.manifest,
            set,
            engine: RefCell::new(engine),
        })
    }

    /// A recogniser of whole recordings at the model's rate that shares the engine.
    pub(super) fn recognizer(
        &self,
        rate: u32,
        max_samples: usize,
    ) -> Result<OwnedRecognizer<Shared<'_>>, CliError> {
        let engine = SharedEngine::new(&self.engine)
            .map_err(|e| CliError::Model(ModelError::Recognizer(e.into())))?;
        let config = Config::for_samples(rate, max_samples, self.set);
        OwnedRecognizer::owned(config, engine, self.manifest.decision())
            .map_err(|e| CliError::Model(e.into()))
    }

    /// A live recogniser that shares the engine.
    pub(super) fn live<A: crate::adapt::Adapt>(
        &self,
        rate: u32,
        config: LiveConfig,
        abstain_below: Option<f32>,
        adapt: A,
    ) -> Result<OwnedLiveRecognizer<Shared<'_>, A>, CliError> {
        let engine = SharedEngine::new(&self.engine)
            .map_err(|e| CliError::Model(ModelError::Recognizer(e.into())))?;
        let mut decision = self.manifest.decision();
        if let Some(abstain_below) = abstain_below {
            decision.abstain_below = abstain_below;
        }
        let model_rate = self.manifest.model_rate(rate);
        OwnedLiveRecognizer::owned(rate, model_rate, self.set, config, engine, decision, adapt)
            .map_err(|e| CliError::Model(e.into()))
    }
}

/// The engine as the recognisers of all channels see it.
pub(super) type Shared<'e> = SharedEngine<'e, Box<dyn Engine + Send>>;

struct Channel<'e> {
    index: u16,
    live: OwnedLiveRecognizer<Shared<'e>, Option<OwnedAdapter>>,
    state: Option<PathBuf>,
    /// Weight of the statistics and position in the stream when they were last written.
    saved: (f32, u64),
    samples: Vec<f32>,
}

impl Channel<'_> {
    /// Writes the statistics if they changed, and if it is time or `now`.
    fn save(&mut self, every: u64, now: bool) -> Result<(), CliError> {
        let (Some(path), Some(adapter)) = (&self.state, self.live.adapt()) else {
            return Ok(());
        };
        let at = self.live.position();
        let changed = adapter.weight() != self.saved.0 || at < self.saved.1;
        if changed && (now || at - self.saved.1 >= every) {
            adapter.save_file(path).map_err(state_error(path))?;
            self.saved = (adapter.weight(), at);
        }
        Ok(())
    }
}

/// A recogniser for each chosen channel of a stream.
pub(super) struct Session<'e> {
    channels: Vec<Channel<'e>>,
    rate: u32,
    of: u16,
    manifest: &'e Manifest,
}

impl<'e> Session<'e> {
    /// `of`: channels in the stream.
    pub(super) fn new(
        opened: &'e Opened,
        args: &LiveArgs,
        rate: u32,
        of: u16,
    ) -> Result<Self, CliError> {
        let chosen = match args.channel {
            Choice::All => 0..of,
            Choice::One(k) if k < of => k..k + 1,
            Choice::One(k) => return Err(CliError::Channel { k, of }),
        };
        let own = opened.manifest.cut();
        let hangover_ms = args.hangover_ms.unwrap_or(own.segment.hangover_ms);
        let cut = CutConfig {
            segment: SegmentConfig {
                hangover_ms,
                tail_ms: own.segment.tail_ms.min(hangover_ms),
                ..own.segment
            },
            max_utterance_ms: args.max_utterance_ms.unwrap_or(own.max_utterance_ms),
        };
        let config = LiveConfig {
            cut,
            update_ms: args.update_ms,
        };
        let several = chosen.len() > 1;
        let channels = chosen.map(|index| {
            let mut adapter = None;
            if args.adapt {
                adapter = Some(OwnedAdapter::owned(
                    &opened.manifest.normaliser,
                    AdaptConfig::default(),
                )?);
            }
            let state = args.state.as_deref().map(|path| {
                let mut name = path.as_os_str().to_owned();
                if several {
                    name.push(format!(".{index}"));
                }
                PathBuf::from(name)
            });
            if let (Some(path), Some(adapter)) = (&state, &mut adapter) {
                match adapter.load_file(path) {
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    other => other.map_err(state_error(path))?,
                }
            }
            let weight = adapter.as_ref().map_or(0.0, OwnedAdapter::weight);
            Ok(Channel {
                index,
                live: opened.live(rate, config, args.abstain, adapter)?,
                state,
                saved: (weight, 0),
                samples: Vec::new(),
            })
        });
        Ok(Self {
            channels: channels.collect::<Result<_, CliError>>()?,
            rate,
            of,
            manifest: &opened.manifest,
        })
    }

    /// Takes interleaved samples of whole frames and prints what happened.
    pub(super) fn push(
        &mut self,
        samples: impl Iterator<Item = f32> + Clone,
        out: &mut impl Write,
    ) -> Result<(), CliError> {
        for channel in &mut self.channels {
            let own = samples.clone().skip(channel.index.into());
            channel.samples.clear();
            channel.samples.extend(own.step_by(self.of.into()));
            let printer = Printer {
                channel: channel.index,
                manifest: self.manifest,
            };
            let (mut printed, at) = (Ok(()), channel.live.position());
            let taken = channel.live.push(&channel.samples, |event| {
                if printed.is_ok() {
                    printed = printer.print(event, out);
                }
            });
            printed?;
            taken.map_err(|source| CliError::Live {
                channel: channel.index,
                at,
                source,
            })?;
            channel.save(SAVE_EVERY_S * u64::from(self.rate), false)?;
        }
        Ok(())
    }

    /// Ends the utterances that are going on.
    pub(super) fn finish(&mut self, reason: &str, out: &mut impl Write) -> Result<(), CliError> {
        for channel in &mut self.channels {
            let printer = Printer {
                channel: channel.index,
                manifest: self.manifest,
            };
            let mut printed = Ok(());
            channel.live.finish(|event| {
                if printed.is_ok() {
                    printed = printer.print(event, out);
                }
            });
            printed?;
            channel.save(0, true)?;
        }
        let samples = self.channels.first().map_or(0, |c| c.live.position());
        print(&Line::EndOfStream { samples, reason }, out)
    }
}

/// Turns the events of a channel into lines.
struct Printer<'a> {
    channel: u16,
    manifest: &'a Manifest,
}

impl Printer<'_> {
    fn print(&self, event: Event<'_>, out: &mut impl Write) -> Result<(), CliError> {
        let place = |span| Place {
            channel: self.channel,
            span,
        };
        let said = |outcome: Outcome<'_>| outcome.named(&self.manifest.labels);
        let line = match event {
            Event::Start { span } => Line::Start { place: place(span) },
            Event::Update { span, outcome } => Line::Update {
                place: place(span),
                prediction: said(outcome),
            },
            Event::End { span, cut, outcome } => Line::Utterance {
                place: place(span),
                cut,
                prediction: said(outcome),
                bundle: &self.manifest.id,
            },
            Event::Discarded { span, reason } => Line::Discarded {
                place: place(span),
                reason,
            },
            Event::Failed { span, error } => Line::Failed {
                place: place(span),
                error: error.to_string(),
            },
        };
        print(&line, out)
    }
}

fn print(line: &Line<'_>, out: &mut impl Write) -> Result<(), CliError> {
    serde_json::to_writer(&mut *out, line)?;
    writeln!(out)?;
    Ok(out.flush()?)
}

fn state_error(path: &Path) -> impl Fn(io::Error) -> CliError {
    let file = path.display().to_string();
    move |source| CliError::State {
        file: file.clone(),
        source,
    }
}
