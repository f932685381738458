//! What `predict` prints: JSON for programs, a table for people, CSV for spreadsheets.

use std::io::Write;

use clap::ValueEnum;
use serde::Serialize;

use super::events::{Name, in_words};
use super::recording::{Answer, Heard};
use super::{CliError, csv};
use crate::audio::AudioWarning;
use crate::bundle::Manifest;
use crate::prediction::Prediction;
use crate::quality::Quality;
use crate::timeline::{Timeline, Utterance};

/// How predictions are printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people: a line a recording, and one an utterance where there are several.
    Table,
    /// One object a line and recording, with everything that is known.
    Json,
    /// A header, then a line a recording; the utterances of a recording are in JSON only.
    Csv,
}

/// Prints predictions as they are made.
pub(super) struct Report<'m> {
    format: Format,
    manifest: &'m Manifest,
    /// Widths of the table's first two columns, in characters.
    file_width: usize,
    label_width: usize,
    begun: bool,
}

/// Widest column of file names in a table; longer names lose their beginning.
const FILE_WIDTH: usize = 40;
/// Cells of a bar.
const BAR: usize = 20;
/// What stands where there is no label.
const NO_LABEL: &str = "-";

impl<'m> Report<'m> {
    /// A report on recordings whose names have at most `longest` characters.
    pub(super) fn new(format: Format, manifest: &'m Manifest, longest: usize) -> Self {
        let widest = |names: &[String]| names.iter().map(|l| l.chars().count()).max();
        Self {
            format,
            manifest,
            file_width: longest.clamp(16, FILE_WIDTH),
            label_width: widest(&manifest.labels).unwrap_or(0).max("label".len()),
            begun: false,
        }
    }

    /// Prints what was heard in a recording.
    pub(super) fn heard(
        &mut self,
        file: &str,
        heard: &Heard,
        out: &mut impl Write,
    ) -> Result<(), CliError> {
        self.begin(out)?;
        for answer in &heard.answers {
            match self.format {
                Format::Json => {
                    let line = Line::new(file, heard, answer, &self.manifest.id);
                    serde_json::to_writer(&mut *out, &line)?;
                    writeln!(out)?;
                }
                Format::Csv => self.csv_line(file, heard, answer, out)?,
                Format::Table => self.table_lines(file, heard, answer, out)?,
            }
        }
        if self.format == Format::Table {
            for warning in &heard.warnings {
                writeln!(out, "  ! {warning}")?;
            }
        }
        Ok(out.flush()?)
    }

    /// Prints that there is no prediction; a table leaves that to standard error.
    pub(super) fn failed(
        &mut self,
        file: &str,
        error: &str,
        out: &mut impl Write,
    ) -> Result<(), CliError> {
        self.begin(out)?;
        match self.format {
            Format::Json => {
                serde_json::to_writer(&mut *out, &Failed { file, error })?;
                writeln!(out)?;
            }
            Format::Csv => {
                let empty = self.csv_columns().len() - 2;
                let fields = std::iter::once(file).chain(std::iter::repeat_n("", empty));
                csv::line(fields.chain([error]), out)?;
            }
            Format::Table => {}
        }
        Ok(out.flush()?)
    }

    fn begin(&mut self, out: &mut impl Write) -> Result<(), CliError> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        match self.format {
            Format::Json => {}
            Format::Csv => csv::line(self.csv_columns(), out)?,
            Format::Table => writeln!(
                out,
                "{:<file$}  {:<label$}  {:<bar$}  {:>15}",
                "file",
                "label",
                "confidence",
                "speech",
                file = self.file_width,
                label = self.label_width,
                bar = BAR + 5,
            )?,
        }
        Ok(())
    }

    fn csv_columns(&self) -> Vec<&str> {
        let labels = self.manifest.labels.iter().map(String::as_str);
        ["file", "channel", "channels", "sample_rate", "label"]
            .into_iter()
            .chain(["uncertain", "reason", "confidence"])
            .chain(labels)
            .chain(["duration_s", "speech_s", "utterances", "flags"])
            .chain(["warnings", "bundle", "error"])
            .collect()
    }

    fn csv_line(
        &self,
        file: &str,
        heard: &Heard,
        answer: &Answer,
        out: &mut impl Write,
    ) -> Result<(), CliError> {
        let Answer {
            summary, timeline, ..
        } = answer;
        let number = |value: Option<f32>| value.map_or(String::new(), |v| v.to_string());
        let warnings: Vec<String> = heard.warnings.iter().map(ToString::to_string).collect();
        let mut fields = vec![
            file.to_owned(),
            Name(answer.channel).to_string(),
            heard.channels.to_string(),
            heard.sample_rate.to_string(),
            summary.label.clone().unwrap_or_default(),
            summary.label.is_err().to_string(),
            summary
                .label
                .as_ref()
                .err()
                .map_or("", |r| r.words())
                .to_owned(),
            number(summary.confidence),
        ];
        fields.extend((0..self.manifest.labels.len()).map(|label| {
            let found = summary.probabilities.get(label);
            number(found.map(|(_, p)| *p))
        }));
        fields.extend([
            summary.duration_s.to_string(),
            timeline
                .as_ref()
                .map_or(String::new(), |t| t.speech_s().to_string()),
            timeline
                .as_ref()
                .map_or(1, |t| t.utterances.len())
                .to_string(),
            flags(&summary.quality).join(" "),
            warnings.join("; "),
            self.manifest.id.clone(),
            String::new(),
        ]);
        Ok(csv::line(fields, out)?)
    }

    fn table_lines(
        &self,
        file: &str,
        heard: &Heard,
        answer: &Answer,
        out: &mut impl Write,
    ) -> Result<(), CliError> {
        let whole = f64::from(answer.summary.duration_s);
        let speech = answer.timeline.as_ref().map_or_else(
            || format!("{whole:.1} s, whole"),
            |t| format!("{:.1} of {whole:.1} s", t.speech_s()),
        );
        let mut notes = Vec::new();
        match answer.channel {
            Some(channel) if heard.channels > 1 => notes.push(format!("channel {channel}")),
            None => notes.push(format!("{} channels mixed", heard.channels)),
            Some(_) => {}
        }
        let utterances = answer.timeline.as_ref().map_or(&[][..], |t| &t.utterances);
        if utterances.len() > 1 {
            notes.push(format!("{} utterances", utterances.len()));
        }
        self.table_line(&printable(file), &answer.summary, &speech, notes, out)?;
        if let (Some(timeline), true) = (&answer.timeline, utterances.len() > 1) {
            for Utterance { span, prediction } in utterances {
                let (start, end) = (timeline.seconds(span.start), timeline.seconds(span.end));
                let place = format!("  {start:>7.1} to {end:.1} s");
                let length = format!("{:.1} s", end - start);
                self.table_line(&place, prediction, &length, Vec::new(), out)?;
            }
        }
        Ok(())
    }

    fn table_line(
        &self,
        what: &str,
        prediction: &Prediction,
        speech: &str,
        mut notes: Vec<String>,
        out: &mut impl Write,
    ) -> Result<(), CliError> {
        let label = prediction.label.as_deref().unwrap_or(NO_LABEL);
        let bar = prediction.confidence.map_or(String::new(), |confidence| {
            let filled = (confidence * BAR as f32).round().clamp(0.0, BAR as f32) as usize;
            let (full, empty) = ("█".repeat(filled), "·".repeat(BAR - filled));
            format!("{full}{empty} {confidence:.2}")
        });
        let reason = prediction.label.as_ref().err().map(|r| r.words());
        notes.extend(reason.map(str::to_owned));
        let more = flags(&prediction.quality).into_iter();
        notes.extend(more.filter(|f| Some(*f) != reason).map(str::to_owned));
        let line = format!(
            "{:<file$}  {label:<width$}  {bar:<bar_width$}  {speech:>15}  {}",
            shortened(what, self.file_width),
            notes.join(", "),
            file = self.file_width,
            width = self.label_width,
            bar_width = BAR + 5,
        );
        Ok(writeln!(out, "{}", line.trim_end())?)
    }
}

/// The raised quality flags in words.
fn flags(quality: &Quality) -> Vec<&'static str> {
    [
        (quality.too_short, "too short"),
        (quality.silent, "silent"),
        (quality.unvoiced, "too little voiced speech"),
        (quality.not_in_range, "samples out of range"),
        (quality.clipped, "clipped"),
        (quality.narrow_band, "telephone band"),
    ]
    .into_iter()
    .filter_map(|(raised, words)| raised.then_some(words))
    .collect()
}

/// `text` without what would move a terminal's cursor.
fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

/// The end of `text`, which tells files apart, in at most `width` characters.
fn shortened(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let end = text.chars().skip(length - width + 1);
    std::iter::once('…').chain(end).collect()
}

/// A recording, or one channel of it, in JSON. Times are in seconds.
#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    #[serde(flatten)]
    prediction: &'a Prediction,
    channel: Name,
    channels: u16,
    sample_rate: u32,
    /// Absent where the recording was taken whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    speech: Option<Speech>,
    /// Only where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    utterances: Vec<UtteranceLine<'a>>,
    #[serde(serialize_with = "in_words")]
    warnings: &'a [AudioWarning],
    bundle: &'a str,
}

#[derive(Serialize)]
struct Speech {
    seconds: f64,
    /// Of the recording, 0 to 1.
    share: f64,
    /// Start and end of each utterance.
    spans: Vec<[f64; 2]>,
}

#[derive(Serialize)]
struct UtteranceLine<'a> {
    start_s: f64,
    end_s: f64,
    /// Whether it goes on where the one before was cut for its length.
    continued: bool,
    #[serde(flatten)]
    prediction: &'a Prediction,
}

#[derive(Serialize)]
struct Failed<'a> {
    file: &'a str,
    error: &'a str,
}

impl<'a> Line<'a> {
    fn new(file: &'a str, heard: &'a Heard, answer: &'a Answer, bundle: &'a str) -> Self {
        let timeline = answer.timeline.as_ref();
        let utterances = timeline.map_or(&[][..], |t| &t.utterances);
        let line = |t: &Timeline, u: &'a Utterance| UtteranceLine {
            start_s: t.seconds(u.span.start),
            end_s: t.seconds(u.span.end),
            continued: u.span.continued,
            prediction: &u.prediction,
        };
        Self {
            file,
            prediction: &answer.summary,
            channel: Name(answer.channel),
            channels: heard.channels,
            sample_rate: heard.sample_rate,
            speech: timeline.map(Speech::of),
            utterances: match timeline {
                Some(timeline) if utterances.len() > 1 => {
                    utterances.iter().map(|u| line(timeline, u)).collect()
                }
                _ => Vec::new(),
            },
            warnings: &heard.warnings,
            bundle,
        }
    }
}

impl Speech {
    fn of(timeline: &Timeline) -> Self {
        let seconds = timeline.speech_s();
        let duration = timeline.duration_s();
        let place = |u: &Utterance| [u.span.start, u.span.end].map(|at| timeline.seconds(at));
        Self {
            seconds,
            share: if duration > 0.0 {
                seconds / duration
            } else {
                0.0
            },
            spans: timeline.speech().map(place).collect(),
        }
    }
}
