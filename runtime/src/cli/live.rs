//! What `stream` and `listen` share: a recogniser a channel, and a JSON line an event.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::events::{Line, Name, Printer, print};
use super::opened::{Opened, Shared, Signal};
use super::state::StateFile;
use super::{CliError, ModelArgs, note};
use crate::adapt::OwnedAdapter;
use crate::audio::{AudioWarning, Channels};
use crate::bundle::Manifest;
use crate::live::{CutConfig, LiveConfig, OwnedLiveRecognizer};
use crate::model::ModelError;
use crate::quality::FLOOR_DBFS;
use crate::segment::SegmentConfig;

/// How a live stream is recognised.
#[derive(Args)]
pub(super) struct LiveArgs {
    #[command(flatten)]
    pub(super) model: ModelArgs,
    /// Channels to recognise: `all`, each by itself; the number of one, counted from 0; or `mix`,
    /// their mean.
    #[arg(long, value_name = "K|all|mix", default_value = "all")]
    pub(super) channel: Channels,
    /// Also a prediction each time that so many milliseconds of an utterance were heard, 70 to
    /// 60000; 0 for none.
    #[arg(long, value_name = "N", default_value_t = 0)]
    update_ms: u32,
    /// Also an event each time that so many seconds of the stream were heard, 0.1 to 3600: position,
    /// level and noise floor, for monitoring. Time is that of the stream: where it stands still,
    /// nothing comes.
    #[arg(long, value_name = "SECONDS", value_parser = heartbeat)]
    heartbeat: Option<f64>,
    /// Move the normaliser from the training corpus to the channel's own statistics as utterances
    /// accumulate.
    #[arg(long)]
    adapt: bool,
    /// Where those statistics are kept from one run to the next; channels other than 0 add `.K`.
    #[arg(long, value_name = "FILE", requires = "adapt")]
    state: Option<PathBuf>,
    /// Give no label where its probability is below P (0 to 1) [default: as the bundle says]
    #[arg(long, value_name = "P", value_parser = super::probability)]
    abstain: Option<f32>,
    /// End with exit status 3 if nothing in the stream was speech.
    #[arg(long)]
    fail_without_speech: bool,
    /// So much silence ends an utterance [default: as the training recordings were cut]
    #[arg(long, value_name = "MS")]
    hangover_ms: Option<u32>,
    /// A longer utterance is cut [default: as the training recordings were cut]
    #[arg(long, value_name = "MS")]
    max_utterance_ms: Option<u32>,
}

fn heartbeat(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=3_600.0).contains(&seconds) => Ok(seconds),
        _ => Err("0.1 to 3600 seconds".to_owned()),
    }
}

impl LiveArgs {
    /// How the stream is cut and told of, checked before anything is heard.
    fn config(&self, manifest: &Manifest) -> Result<LiveConfig, CliError> {
        let own = manifest.cut();
        let hangover_ms = self.hangover_ms.unwrap_or(own.segment.hangover_ms);
        let cut = CutConfig {
            segment: SegmentConfig {
                hangover_ms,
                tail_ms: own.segment.tail_ms.min(hangover_ms),
                ..own.segment
            },
            max_utterance_ms: self.max_utterance_ms.unwrap_or(own.max_utterance_ms),
        };
        cut.validate()
            .map_err(|e| CliError::Model(ModelError::Live(e.into())))?;
        Ok(LiveConfig {
            cut,
            update_ms: self.update_ms,
        })
    }
}

struct Channel<'e> {
    live: OwnedLiveRecognizer<Shared<'e>, Option<OwnedAdapter>>,
    printer: Printer<'e>,
    state: Option<StateFile>,
    /// Since the last heartbeat: the sum of the squares, and the samples.
    squares: f64,
    since: u64,
}

impl Channel<'_> {
    /// Writes the statistics if they changed, and if it is time or `now`.
    fn save(&mut self, now: bool) {
        if let (Some(state), Some(adapter)) = (&mut self.state, self.live.adapt()) {
            state.save(adapter, self.live.position(), now);
        }
    }

    /// Takes samples between two heartbeats and prints what happened.
    fn push(&mut self, samples: &[f32], out: &mut impl Write) -> Result<(), CliError> {
        let (mut printed, at) = (Ok(()), self.live.position());
        let printer = &mut self.printer;
        let taken = self.live.push(samples, |event| {
            if printed.is_ok() {
                printed = printer.print(event, out);
            }
        });
        printed?;
        taken.map_err(|source| CliError::Live {
            channel: self.printer.channel.to_string(),
            at,
            source,
        })?;
        let squares = samples.iter().map(|&v| f64::from(v) * f64::from(v));
        self.squares += squares.sum::<f64>();
        self.since += samples.len() as u64;
        Ok(())
    }

    /// Takes samples, with a heartbeat after every `beat` samples of the stream; 0 for none.
    fn hear(&mut self, samples: &[f32], beat: u64, out: &mut impl Write) -> Result<(), CliError> {
        let mut rest = samples;
        while !rest.is_empty() {
            let mut wanted = rest.len();
            if beat > 0 {
                let left = beat - self.live.position() % beat;
                wanted = wanted.min(usize::try_from(left).unwrap_or(usize::MAX));
            }
            let (now, later) = rest.split_at(wanted);
            rest = later;
            self.push(now, out)?;
            if beat > 0 && self.live.position().is_multiple_of(beat) {
                self.beat(out)?;
            }
        }
        Ok(())
    }

    fn beat(&mut self, out: &mut impl Write) -> Result<(), CliError> {
        let mean = self.squares / self.since.max(1) as f64;
        (self.squares, self.since) = (0.0, 0);
        let (at, segmenter) = (self.live.position(), self.live.segmenter());
        let line = Line::Heartbeat {
            channel: self.printer.channel,
            at,
            at_s: at as f64 / f64::from(self.printer.sample_rate),
            sample_rate: self.printer.sample_rate,
            level_dbfs: ((10.0 * mean.log10()) as f32).max(FLOOR_DBFS),
            floor_dbfs: segmenter.floor_dbfs(),
            in_speech: segmenter.in_speech(),
            utterances: self.printer.utterances,
        };
        print(&line, out)
    }
}

/// A recogniser for each chosen channel of a stream.
pub(super) struct Session<'e> {
    channels: Vec<Channel<'e>>,
    rate: u32,
    /// Samples between heartbeats; 0 for none.
    beat: u64,
    fail_without_speech: bool,
    warnings: Vec<AudioWarning>,
    /// Which channels of how many.
    #[cfg(any(feature = "listen", all(test, feature = "capture")))]
    chosen: (Channels, u16),
}

impl<'e> Session<'e> {
    /// `of`: channels in the stream.
    pub(super) fn new(
        opened: &'e Opened,
        args: &LiveArgs,
        rate: u32,
        of: u16,
    ) -> Result<Self, CliError> {
        if let Channels::One(k) = args.channel
            && k >= of
        {
            return Err(CliError::Channel { k, of });
        }
        let config = args.config(&opened.manifest)?;
        let channels = (0..args.channel.signals(of)).map(|index| {
            let signal = Signal::new(args.channel, index, of);
            let (adapter, state) = if args.adapt {
                let (adapter, state) = opened.adapter(args.state.as_deref(), signal, of, rate)?;
                (Some(adapter), state)
            } else {
                (None, None)
            };
            Ok(Channel {
                live: opened.live(rate, config, args.abstain, adapter)?,
                printer: Printer {
                    channel: Name(signal.channel),
                    sample_rate: rate,
                    manifest: &opened.manifest,
                    utterances: 0,
                    speech: 0,
                },
                state,
                squares: 0.0,
                since: 0,
            })
        });
        let channels = channels.collect::<Result<_, CliError>>()?;
        if let Some(difference) = opened.manifest.heard_otherwise(Some(&config.cut)) {
            note(&difference);
        }
        let beat = args.heartbeat.unwrap_or(0.0) * f64::from(rate);
        Ok(Self {
            channels,
            rate,
            beat: beat as u64,
            fail_without_speech: args.fail_without_speech,
            warnings: Vec::new(),
            #[cfg(any(feature = "listen", all(test, feature = "capture")))]
            chosen: (args.channel, of),
        })
    }

    /// Takes interleaved samples of whole frames and prints what happened.
    #[cfg(any(feature = "listen", all(test, feature = "capture")))]
    pub(super) fn push(
        &mut self,
        samples: impl Iterator<Item = f32>,
        out: &mut impl Write,
    ) -> Result<(), CliError> {
        let (samples, mut signals) = (Vec::from_iter(samples), Vec::new());
        let (chosen, of) = self.chosen;
        chosen.split(&samples, of, &mut signals);
        self.push_signals(&signals, out)
    }

    /// Takes samples of every chosen channel and prints what happened. What was learnt until then is
    /// saved, too, where that goes wrong.
    pub(super) fn push_signals(
        &mut self,
        signals: &[Vec<f32>],
        out: &mut impl Write,
    ) -> Result<(), CliError> {
        let mut each = self.channels.iter_mut().zip(signals);
        let done = each.try_for_each(|(channel, samples)| channel.hear(samples, self.beat, out));
        for channel in &mut self.channels {
            channel.save(done.is_err());
        }
        done
    }

    /// What was odd about the input, to be said at the end.
    pub(super) fn warned(&mut self, warnings: Vec<AudioWarning>) {
        self.warnings = warnings;
    }

    /// Ends the utterances that are going on, and says how much was heard and why it ends.
    pub(super) fn finish(&mut self, reason: &str, out: &mut impl Write) -> Result<(), CliError> {
        let mut printed = Ok(());
        for channel in &mut self.channels {
            let printer = &mut channel.printer;
            channel.live.finish(|event| {
                if printed.is_ok() {
                    printed = printer.print(event, out);
                }
            });
            channel.save(true);
        }
        printed?;
        let samples = self.channels.first().map_or(0, |c| c.live.position());
        let seconds = |samples: u64| samples as f64 / f64::from(self.rate);
        let speech = self.channels.iter().map(|c| c.printer.speech).sum();
        let utterances = self.utterances();
        let line = Line::EndOfStream {
            samples,
            duration_s: seconds(samples),
            sample_rate: self.rate,
            utterances,
            speech_s: seconds(speech),
            no_speech: utterances == 0,
            reason,
            warnings: &self.warnings,
        };
        print(&line, out)
    }

    fn utterances(&self) -> u64 {
        self.channels.iter().map(|c| c.printer.utterances).sum()
    }

    /// An error where there was no speech and the caller wants one.
    pub(super) fn verdict(&self) -> Result<(), CliError> {
        if self.fail_without_speech && self.utterances() == 0 {
            return Err(CliError::StreamWithoutSpeech);
        }
        Ok(())
    }
}
