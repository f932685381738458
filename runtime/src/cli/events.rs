//! The lines of JSON that `stream` and `listen` print.

use std::io::Write;

use serde::{Serialize, Serializer};

use super::CliError;
use crate::audio::AudioWarning;
use crate::bundle::Manifest;
use crate::live::{Event, Span};
use crate::prediction::{Outcome, Prediction, Reason};

/// A line of output. Positions are samples since the start of the stream, and seconds beside them.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum Line<'a> {
    /// An utterance started.
    Start {
        #[serde(flatten)]
        place: Place,
    },
    /// An utterance is going on.
    Update {
        #[serde(flatten)]
        place: Place,
        #[serde(flatten)]
        prediction: Prediction,
    },
    /// An utterance ended.
    Utterance {
        #[serde(flatten)]
        place: Place,
        cut: bool,
        #[serde(flatten)]
        prediction: Prediction,
        bundle: &'a str,
    },
    /// What had started was no utterance.
    Discarded {
        #[serde(flatten)]
        place: Place,
        reason: Reason,
    },
    /// An utterance ended without a prediction.
    Failed {
        #[serde(flatten)]
        place: Place,
        error: String,
    },
    /// So much of the stream was heard.
    Heartbeat {
        channel: Name,
        at: u64,
        at_s: f64,
        sample_rate: u32,
        /// Since the heartbeat before, in dB relative to a full-scale square wave.
        level_dbfs: f32,
        /// What the segmenter takes for the background.
        floor_dbfs: f32,
        in_speech: bool,
        /// Utterances of the channel so far.
        utterances: u64,
    },
    /// Nothing follows.
    EndOfStream {
        samples: u64,
        duration_s: f64,
        sample_rate: u32,
        /// Utterances of all channels that were speech fit for recognition.
        utterances: u64,
        /// Their length.
        speech_s: f64,
        /// Whether there was none.
        no_speech: bool,
        /// Why the stream ended.
        reason: &'a str,
        #[serde(serialize_with = "in_words")]
        warnings: &'a [AudioWarning],
    },
}

/// Where something lies.
#[derive(Serialize)]
pub(super) struct Place {
    channel: Name,
    #[serde(flatten)]
    span: Span,
    start_s: f64,
    end_s: f64,
    sample_rate: u32,
}

/// A channel in JSON: its number, or `"mix"` for the mean of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name(pub(super) Option<u16>);

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(channel) => channel.fmt(f),
            None => f.write_str("mix"),
        }
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(channel) => serializer.serialize_u16(channel),
            None => serializer.serialize_str("mix"),
        }
    }
}

/// Warnings in JSON.
pub(super) fn in_words<S: Serializer>(
    warnings: &&[AudioWarning],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(warnings.iter().map(ToString::to_string))
}

/// Turns the events of a channel into lines, and counts.
pub(super) struct Printer<'a> {
    pub(super) channel: Name,
    pub(super) sample_rate: u32,
    pub(super) manifest: &'a Manifest,
    /// Utterances that were speech fit for recognition, and samples of them.
    pub(super) utterances: u64,
    pub(super) speech: u64,
}

impl Printer<'_> {
    /// Prints what happened.
    pub(super) fn print(&mut self, event: Event<'_>, out: &mut impl Write) -> Result<(), CliError> {
        let seconds = |at: u64| at as f64 / f64::from(self.sample_rate);
        let place = |span: Span| Place {
            channel: self.channel,
            span,
            start_s: seconds(span.start),
            end_s: seconds(span.end),
            sample_rate: self.sample_rate,
        };
        let said = |outcome: Outcome<'_>| outcome.named(&self.manifest.labels);
        let line = match event {
            Event::Start { span } => Line::Start { place: place(span) },
            Event::Update { span, outcome } => Line::Update {
                place: place(span),
                prediction: said(outcome),
            },
            Event::End { span, cut, outcome } => {
                if outcome.quality.unfit().is_none() {
                    self.utterances += 1;
                    self.speech += span.samples();
                }
                Line::Utterance {
                    place: place(span),
                    cut,
                    prediction: said(outcome),
                    bundle: &self.manifest.id,
                }
            }
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

/// Prints a line at once.
pub(super) fn print(line: &Line<'_>, out: &mut impl Write) -> Result<(), CliError> {
    serde_json::to_writer(&mut *out, line)?;
    writeln!(out)?;
    Ok(out.flush()?)
}
