//! `ser-run features`.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ser_features::{EXTRACTOR_VERSION, FeatureSet, feature_names};
use serde::{Serialize, Serializer};

use super::{CliError, InputArgs, parse_set};
use crate::extract::extract;
use crate::hearing::Hearing;
use crate::quality::Quality;

/// Print the names and values of a recording's features.
#[derive(Args)]
pub(super) struct Features {
    #[command(flatten)]
    input: InputArgs,
    /// WAV or FLAC recording; `-` reads it from standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How to print them.
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// Which features: emobase2010 or is10-paraling-compat.
    #[arg(long, value_name = "SET", default_value = FeatureSet::Emobase2010.id(), value_parser = parse_set)]
    set: FeatureSet,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// A header, then one `name,value` line a feature.
    Csv,
    /// One object with everything that is known about the recording.
    Json,
}

#[derive(Serialize)]
struct Report<'a> {
    file: &'a str,
    feature_set: &'a str,
    extractor_version: &'a str,
    sample_rate: u32,
    channels: u16,
    duration_s: f64,
    quality: Quality,
    #[serde(serialize_with = "as_map")]
    features: Vec<(&'a String, f32)>,
}

/// `{"name": value, …}` in the order of the set.
fn as_map<S: Serializer>(pairs: &[(&String, f32)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().copied())
}

impl Features {
    /// Extracts and prints.
    pub(super) fn run(&self, out: &mut impl Write) -> Result<(), CliError> {
        let file = self.file.display().to_string();
        let pcm = self.input.read(&self.file)?;
        let heard =
            extract(&pcm, self.set, &Hearing::WHOLE).map_err(|source| CliError::Extract {
                file: file.clone(),
                source,
            })?;
        let extracted = heard.utterances.first().ok_or_else(|| CliError::NoSpeech {
            file: file.clone(),
            reason: heard.reason().words(),
        })?;
        let names = feature_names(self.set);
        let pairs = names
            .iter()
            .zip(extracted.features.as_slice().iter().copied());
        match self.format {
            Format::Csv => {
                writeln!(out, "name,value")?;
                for (name, value) in pairs {
                    writeln!(out, "{name},{value}")?;
                }
            }
            Format::Json => {
                let report = Report {
                    file: &file,
                    feature_set: self.set.id(),
                    extractor_version: EXTRACTOR_VERSION,
                    sample_rate: pcm.sample_rate,
                    channels: pcm.channels,
                    duration_s: pcm.duration_s(),
                    quality: extracted.quality,
                    features: pairs.collect(),
                };
                serde_json::to_writer_pretty(&mut *out, &report)?;
                writeln!(out)?;
            }
        }
        Ok(())
    }
}
