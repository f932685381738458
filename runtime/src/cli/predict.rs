//! `ser-run predict`.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;

use super::opened::Opened;
use super::recording::{Adapters, Listener};
use super::report::{Format, Report};
use super::{CliError, InputArgs, ModelArgs, complain, note};
use crate::audio::Channels;

/// Predict the emotion of recordings.
///
/// A recording is cut into its utterances as the training recordings were, and each is recognised.
/// What is said of the recording as a whole is their mean, weighted by their length. Without speech
/// there is no label: `"label": null` with the reason. Recordings may be of any length.
///
/// Exit status 0: every file was done, speech in it or not; 1: some could not be read or recognised;
/// 3: see --fail-without-speech.
#[derive(Args)]
pub(super) struct Predict {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    input: InputArgs,
    /// Which channels to hear: `mix`, their mean; `all`, each by itself, a line each; or the number
    /// of one, counted from 0. In a telephone call with a speaker a channel, `all` is right.
    #[arg(long, value_name = "K|all|mix", default_value = "mix")]
    channel: Channels,
    /// Take each recording as one utterance, pauses and noises included.
    #[arg(long)]
    whole: bool,
    /// Give no label where its probability is below P (0 to 1) [default: as the bundle says]
    #[arg(long, value_name = "P", value_parser = super::probability)]
    abstain: Option<f32>,
    /// Move the normaliser from the training corpus to the voice, from recording to recording in
    /// their order: for recordings of one speaker, or one speaker a channel.
    #[arg(long)]
    adapt: bool,
    /// Where what was learnt of the voice is kept from one run to the next.
    #[arg(long, value_name = "FILE", requires = "adapt")]
    state: Option<PathBuf>,
    /// End with exit status 3 if a recording holds no speech.
    #[arg(long)]
    fail_without_speech: bool,
    /// How to print [default: table on a terminal, else json]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// WAV or FLAC recordings; a folder stands for all below it, `-` reads one from standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Predict {
    /// The files after a bad one are still done.
    pub(super) fn run(&self, out: &mut impl Write) -> Result<(), CliError> {
        let opened = Opened::new(&self.model)?;
        let files = self.input.expand(&self.files)?;
        let cut = (!self.whole).then(|| opened.manifest.cut());
        if let Some(difference) = opened.manifest.heard_otherwise(cut.as_ref()) {
            note(&difference);
        }
        let format = self.format.unwrap_or_else(|| {
            if io::stdout().is_terminal() {
                Format::Table
            } else {
                Format::Json
            }
        });
        let names: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
        let longest = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
        let mut report = Report::new(format, &opened.manifest, longest);
        let listener = Listener {
            opened: &opened,
            channels: self.channel,
            whole: self.whole,
            abstain: self.abstain,
        };
        let mut adapters = Adapters::new(&opened, self.adapt, self.state.as_deref());
        let (mut failed, mut without) = (0, 0);
        for (path, file) in files.iter().zip(&names) {
            match listener.hear(&self.input, path, &mut adapters) {
                Ok(heard) => {
                    without += usize::from(!heard.has_speech());
                    report.heard(file, &heard, out)?;
                }
                Err(error) => {
                    failed += 1;
                    report.failed(file, &error.to_string(), out)?;
                    complain(&error);
                }
            }
        }
        adapters.save();
        let total = files.len();
        if failed > 0 {
            Err(CliError::Files {
                failed,
                total,
                what: "prediction",
            })
        } else if without > 0 && self.fail_without_speech {
            Err(CliError::WithoutSpeech { without, total })
        } else {
            Ok(())
        }
    }
}
