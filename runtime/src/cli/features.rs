//! `ser-run features`.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, ValueEnum};
use ser_features::{EXTRACTOR_VERSION, FeatureSet, feature_names};
use serde::{Serialize, Serializer};

use super::events::Name;
use super::opened::Signal;
use super::recording::each_block;
use super::{CliError, InputArgs, complain, csv, note, parse_set};
use crate::audio::{Channels, Pcm};
use crate::bundle::{self, Bundle, Manifest};
use crate::extract::{Extracted, Heard, SpeechExtractor, extract};
use crate::hearing::{DEFAULT_RATE, Hearing};
use crate::model::ModelError;
use crate::quality::Quality;

/// Print the features of recordings, or write them to a CSV table.
///
/// A recording is cut into its utterances and brought to a rate exactly as `predict`, `stream` and
/// `ser-train extract` do it: by the bundle where one is given (its encoder then gives what
/// `predict` gives), else by the defaults. A single utterance is printed as `name,value` lines;
/// several are a table, a row each. Published protocols take recordings as they are:
/// `--whole --at native`.
#[derive(Args)]
pub(super) struct Features {
    #[command(flatten)]
    input: InputArgs,
    /// WAV or FLAC recordings; a folder stands for all below it, `-` reads one from standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Which channels to measure: `mix`, their mean; `all`, each by itself; or the number of one,
    /// counted from 0.
    #[arg(long, value_name = "K|all|mix", default_value = "mix")]
    channel: Channels,
    /// Measure as this bundle hears: its rate, its cut, its feature set.
    #[arg(short, long, value_name = "BUNDLE", conflicts_with_all = ["set", "at"])]
    model: Option<PathBuf>,
    /// Sampling rate in Hz at which features are taken; `native` for each recording's own.
    #[arg(long, value_name = "HZ|native", default_value_t = Rate(Some(DEFAULT_RATE)))]
    at: Rate,
    /// Take each recording as one utterance, pauses and noises included.
    #[arg(long)]
    whole: bool,
    /// How to print them.
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// Write a CSV table, a row an utterance, to this file.
    #[arg(short, long, value_name = "FILE.csv")]
    output: Option<PathBuf>,
    /// Which features: emobase2010 or is10-paraling-compat.
    #[arg(long, value_name = "SET", default_value = FeatureSet::Emobase2010.id(), value_parser = parse_set)]
    set: FeatureSet,
}

/// A sampling rate in Hz; `None` for the recording's own.
#[derive(Debug, Clone, Copy)]
struct Rate(Option<u32>);

impl FromStr for Rate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "native" => Ok(Self(None)),
            hz => hz
                .parse()
                .map(|hz| Self(Some(hz)))
                .map_err(|_| "write a number of Hz, or `native`"),
        }
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(hz) => hz.fmt(f),
            None => f.write_str("native"),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// `name,value` lines for one utterance, a table for several.
    Csv,
    /// An object with everything that is known about an utterance; a line each for several.
    Json,
}

/// An utterance.
struct Row<'f> {
    file: &'f str,
    /// `None` for the mean of all channels.
    channel: Option<u16>,
    channels: u16,
    /// Of the recording.
    sample_rate: u32,
    duration_s: f64,
    extracted: Extracted,
}

impl Row<'_> {
    fn seconds(&self, at: u64) -> f64 {
        at as f64 / f64::from(self.sample_rate)
    }
}

impl Features {
    /// The files after a bad one are still done.
    pub(super) fn run(&self, out: &mut impl Write) -> Result<(), CliError> {
        let ear = Ear::new(self)?;
        let files = self.input.expand(&self.files)?;
        let Some(path) = &self.output else {
            return self.print(&ear, &files, out);
        };
        self.check_output(path)?;
        let write_error = |source| CliError::Write {
            file: path.display().to_string(),
            source,
        };
        let part = path.with_extension("csv.part");
        let file = File::create(&part).map_err(write_error)?;
        let mut table = BufWriter::new(file);
        // Only a table that is complete gets its name.
        let done = self.write_table(&ear, &files, &mut table);
        let kept = match &done {
            Ok(()) | Err(CliError::Files { .. }) => table
                .flush()
                .and_then(|()| table.get_ref().sync_all())
                .and_then(|()| fs::rename(&part, path))
                .map_err(write_error),
            Err(_) => Ok(()),
        };
        if kept.is_err() || fs::exists(&part).unwrap_or(false) {
            // The first error is the one that matters.
            let _ = fs::remove_file(&part);
        }
        kept?;
        done.map_err(|error| match error {
            CliError::Output(source) => write_error(source),
            other => other,
        })
    }

    /// A table is CSV; what else might be asked for is told where to be had.
    fn check_output(&self, path: &Path) -> Result<(), CliError> {
        let is = |name: &str| {
            path.extension()
                .is_some_and(|e| e.eq_ignore_ascii_case(name))
        };
        let remedy = if is("parquet") {
            "ser-run writes CSV. `ser-train extract` writes Parquet, and `ser-train import` turns \
             a CSV table into it"
        } else if !is("csv") {
            "the table is CSV; give it a name that ends in .csv"
        } else if self.format == Format::Json {
            "the table is CSV; without -o, `--format json` prints objects"
        } else {
            return Ok(());
        };
        Err(CliError::OutputKind {
            file: path.display().to_string(),
            remedy,
        })
    }

    /// To standard output: a single utterance has a form of its own.
    fn print(&self, ear: &Ear, files: &[PathBuf], out: &mut impl Write) -> Result<(), CliError> {
        if let [path] = files {
            let file = path.display().to_string();
            let rows = self.measure(ear, path, &file)?;
            return match (self.format, rows.as_slice()) {
                (Format::Csv, [row]) => {
                    writeln!(out, "name,value")?;
                    let values = row.extracted.features.as_slice();
                    for (name, value) in ear.names.iter().zip(values) {
                        writeln!(out, "{name},{value}")?;
                    }
                    Ok(())
                }
                (Format::Json, [row]) => {
                    serde_json::to_writer_pretty(&mut *out, &Object::new(row, ear))?;
                    Ok(writeln!(out)?)
                }
                (format, rows) => {
                    if format == Format::Csv {
                        self.header(ear, out)?;
                    }
                    rows.iter().try_for_each(|row| self.line(ear, row, out))
                }
            };
        }
        self.write_table(ear, files, out)
    }

    fn write_table(
        &self,
        ear: &Ear,
        files: &[PathBuf],
        out: &mut impl Write,
    ) -> Result<(), CliError> {
        let mut failed = 0;
        if self.output.is_some() || self.format == Format::Csv {
            self.header(ear, out)?;
        }
        for path in files {
            let file = path.display().to_string();
            match self.measure(ear, path, &file) {
                Ok(rows) => rows.iter().try_for_each(|row| self.line(ear, row, out))?,
                Err(error) => {
                    failed += 1;
                    complain(&error);
                }
            }
        }
        if failed > 0 {
            return Err(CliError::Files {
                failed,
                total: files.len(),
                what: "features",
            });
        }
        Ok(())
    }

    fn header(&self, ear: &Ear, out: &mut impl Write) -> Result<(), CliError> {
        let channel = self.names_channels().then_some("channel");
        let index = ["file", "start", "end"].into_iter().chain(channel);
        let names = ear.names.iter().map(String::as_str);
        Ok(csv::line(index.chain(names), out)?)
    }

    fn line(&self, ear: &Ear, row: &Row<'_>, out: &mut impl Write) -> Result<(), CliError> {
        if self.output.is_none() && self.format == Format::Json {
            serde_json::to_writer(&mut *out, &Object::new(row, ear))?;
            return Ok(writeln!(out)?);
        }
        let span = row.extracted.span;
        let place = [span.start, span.end].map(|at| row.seconds(at).to_string());
        let channel = self.names_channels();
        let channel = channel.then(|| Name(row.channel).to_string());
        let values = row.extracted.features.as_slice().iter();
        let fields = std::iter::once(row.file.to_owned())
            .chain(place)
            .chain(channel)
            .chain(values.map(f32::to_string));
        Ok(csv::line(fields, out)?)
    }

    /// Whether rows of one file may be of different channels.
    fn names_channels(&self) -> bool {
        self.channel != Channels::Mix
    }

    /// The utterances of a recording, channel by channel; without any it is an error.
    fn measure<'f>(&self, ear: &Ear, path: &Path, file: &'f str) -> Result<Vec<Row<'f>>, CliError> {
        let mut reader = self.input.open(path)?;
        let (sample_rate, channels) = (reader.info().sample_rate, reader.info().channels);
        let failed = |source| CliError::Extract {
            file: file.to_owned(),
            source,
        };
        let mut samples = 0;
        let hearing = ear.hearing(sample_rate);
        let signals = self.channel.signals(channels);
        let heard: Vec<Heard> = if let Some(cut) = &hearing.cut {
            let rate = hearing.model_rate(sample_rate);
            let mut all = (0..signals)
                .map(|_| SpeechExtractor::new(sample_rate, rate, ear.set, cut))
                .collect::<Result<Vec<_>, _>>()
                .map_err(failed)?;
            each_block(&mut reader, self.channel, |index, block| {
                samples += if index == 0 { block.len() } else { 0 };
                all[index].push(block).map_err(failed)
            })?;
            all.into_iter()
                .map(SpeechExtractor::finish)
                .collect::<Result<_, _>>()
        } else {
            let mut all = vec![Vec::new(); signals];
            each_block(&mut reader, self.channel, |index, block| {
                samples += if index == 0 { block.len() } else { 0 };
                all[index].extend_from_slice(block);
                Ok(())
            })?;
            let whole = all.into_iter().map(|samples| Pcm {
                sample_rate,
                channels,
                samples,
            });
            whole
                .map(|pcm| extract(&pcm, ear.set, &hearing))
                .collect::<Result<_, _>>()
        }
        .map_err(failed)?;
        for warning in reader.warnings() {
            super::warn(&format!("{file}: {warning}"));
        }
        let mut rows = Vec::new();
        for (index, heard) in heard.iter().enumerate() {
            let channel = Signal::new(self.channel, index, channels).channel;
            rows.extend(heard.utterances.iter().cloned().map(|extracted| Row {
                file,
                channel,
                channels,
                sample_rate,
                duration_s: samples as f64 / f64::from(sample_rate),
                extracted,
            }));
        }
        match heard.first() {
            Some(first) if rows.is_empty() => Err(CliError::NoSpeech {
                file: file.to_owned(),
                reason: first.reason().words(),
            }),
            _ => Ok(rows),
        }
    }
}

/// How recordings are heard.
struct Ear {
    /// The bundle's, where one decides.
    manifest: Option<Manifest>,
    set: FeatureSet,
    names: Vec<String>,
    whole: bool,
    rate: Option<u32>,
}

impl Ear {
    fn new(args: &Features) -> Result<Self, CliError> {
        let mut set = args.set;
        let mut manifest = None;
        if let Some(dir) = &args.model {
            let bundle = Bundle::open(bundle::find(dir))?;
            set = bundle
                .manifest
                .built_in_features()
                .ok_or_else(|| ModelError::NoExtractor {
                    bundle: bundle.dir.display().to_string(),
                    set: bundle.manifest.feature_set.id.clone(),
                })?;
            let cut = (!args.whole).then(|| bundle.manifest.cut());
            if let Some(difference) = bundle.manifest.heard_otherwise(cut.as_ref()) {
                note(&difference);
            }
            manifest = Some(bundle.manifest);
        }
        Ok(Self {
            manifest,
            set,
            names: feature_names(set),
            whole: args.whole,
            rate: args.at.0,
        })
    }

    /// What is made of a recording at `rate` Hz.
    fn hearing(&self, rate: u32) -> Hearing {
        let hearing = match &self.manifest {
            Some(manifest) => manifest.hears(rate),
            None => Hearing {
                sample_rate: self.rate,
                ..Hearing::default()
            },
        };
        Hearing {
            cut: hearing.cut.filter(|_| !self.whole),
            ..hearing
        }
    }
}

/// An utterance in JSON.
#[derive(Serialize)]
struct Object<'a> {
    file: &'a str,
    feature_set: &'a str,
    extractor_version: &'a str,
    /// Of the recording.
    sample_rate: u32,
    channels: u16,
    /// Absent for the mean of several channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<u16>,
    /// Of the recording.
    duration_s: f64,
    start_s: f64,
    end_s: f64,
    /// At which the features were taken.
    features_rate: u32,
    quality: Quality,
    #[serde(serialize_with = "as_map")]
    features: Vec<(&'a String, f32)>,
}

impl<'a> Object<'a> {
    fn new(row: &'a Row<'_>, ear: &'a Ear) -> Self {
        let extracted = &row.extracted;
        let values = extracted.features.as_slice().iter().copied();
        Self {
            file: row.file,
            feature_set: ear.set.id(),
            extractor_version: EXTRACTOR_VERSION,
            sample_rate: row.sample_rate,
            channels: row.channels,
            channel: row.channel,
            duration_s: row.duration_s,
            start_s: row.seconds(extracted.span.start),
            end_s: row.seconds(extracted.span.end),
            features_rate: extracted.sample_rate,
            quality: extracted.quality,
            features: ear.names.iter().zip(values).collect(),
        }
    }
}

/// `{"name": value, …}` in the order of the set.
fn as_map<S: Serializer>(pairs: &[(&String, f32)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().copied())
}
