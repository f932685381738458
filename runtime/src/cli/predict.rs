//! `ser-run predict`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::{CliError, InputArgs, ModelArgs, complain};
use crate::model::Model;
use crate::prediction::Prediction;

/// Predict the emotion of recordings.
#[derive(Args)]
pub(super) struct Predict {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    input: InputArgs,
    /// Give no label where its probability is below P (0 to 1).
    #[arg(long, value_name = "P", value_parser = super::probability)]
    abstain: Option<f32>,
    /// WAV or FLAC recordings; `-` reads one from standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// What is printed for a recording.
#[derive(Serialize)]
#[serde(untagged)]
enum Line<'a> {
    Done {
        file: &'a str,
        #[serde(flatten)]
        prediction: &'a Prediction,
        bundle: &'a str,
    },
    Failed {
        file: &'a str,
        error: &'a str,
    },
}

impl Predict {
    /// One line a file; the files after a bad one are still done.
    pub(super) fn run(&self, out: &mut impl Write) -> Result<(), CliError> {
        let mut model = Model::open(&self.model.model, self.model.engine)?;
        model.feature_set()?;
        if let Some(probability) = self.abstain {
            model.abstain_below(probability);
        }
        let bundle = model.bundle().manifest.id.clone();
        let mut failed = 0;
        for path in &self.files {
            let file = path.display().to_string();
            match self.predict(&mut model, path, &file) {
                Ok(prediction) => serde_json::to_writer(
                    &mut *out,
                    &Line::Done {
                        file: &file,
                        prediction: &prediction,
                        bundle: &bundle,
                    },
                )?,
                Err(error) => {
                    failed += 1;
                    complain(&error);
                    serde_json::to_writer(
                        &mut *out,
                        &Line::Failed {
                            file: &file,
                            error: &error.to_string(),
                        },
                    )?;
                }
            }
            writeln!(out)?;
            out.flush()?;
        }
        if failed > 0 {
            Err(CliError::Files {
                failed,
                total: self.files.len(),
            })
        } else {
            Ok(())
        }
    }

    fn predict(&self, model: &mut Model, path: &Path, file: &str) -> Result<Prediction, CliError> {
        let pcm = self.input.read(path)?;
        model.predict(&pcm).map_err(|source| CliError::Predict {
            file: file.to_owned(),
            source: Box::new(source),
        })
    }
}
