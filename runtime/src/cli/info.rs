//! `ser-run info`.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::CliError;
use crate::bundle::{Bundle, Manifest};
use crate::normalise::NormaliserKind;

/// Print what a bundle says about itself.
#[derive(Args)]
pub(super) struct Info {
    /// Folder of the bundle.
    #[arg(short, long, value_name = "BUNDLE")]
    model: PathBuf,
    /// Print the whole manifest as JSON.
    #[arg(long)]
    json: bool,
}

impl Info {
    /// Opens the bundle, with all checks, and prints.
    pub(super) fn run(&self, out: &mut impl Write) -> Result<(), CliError> {
        let bundle = Bundle::open(&self.model)?;
        if self.json {
            serde_json::to_writer_pretty(&mut *out, &bundle.manifest)?;
            writeln!(out)?;
        } else {
            summary(&bundle.manifest, out)?;
        }
        Ok(())
    }
}

fn summary(manifest: &Manifest, out: &mut impl Write) -> io::Result<()> {
    let mut row = |name: &str, value: String| writeln!(out, "{name:<14} {value}");
    let Manifest {
        encoder,
        classifier,
        feature_set,
        normaliser,
        calibration,
        ..
    } = manifest;
    row("model", format!("{} ({})", manifest.name, manifest.id))?;
    row(
        "created",
        format!(
            "{} by {} {}",
            manifest.created, manifest.producer.name, manifest.producer.version
        ),
    )?;
    row("labels", manifest.labels.join(", "))?;
    row(
        "features",
        format!(
            "{} ({}, extractor version {})",
            feature_set.id, feature_set.count, feature_set.extractor_version
        ),
    )?;
    let rates: Vec<String> = manifest.sample_rates.iter().map(u32::to_string).collect();
    row("trained at", format!("{} Hz", rates.join(", ")))?;
    row("other rates", manifest.audio.clone())?;
    let kind = match normaliser.kind {
        NormaliserKind::ZScore => "z-score",
        NormaliserKind::MinMax => "min-max",
    };
    let clip = normaliser
        .clip
        .map_or(String::new(), |clip| format!(", clipped at ±{clip}"));
    row(
        "normaliser",
        format!("{kind}{clip}, inside {}", encoder.file),
    )?;
    row(
        "encoder",
        format!(
            "{} -> {} ({}, opset {})",
            encoder.input_dim, encoder.output_dim, encoder.file, encoder.opset
        ),
    )?;
    row(
        "classifier",
        format!(
            "{} -> {} ({}, opset {})",
            classifier.input_dim, classifier.output_dim, classifier.file, classifier.opset
        ),
    )?;
    row(
        "calibration",
        match (calibration.ece_before, calibration.ece_after) {
            (Some(before), Some(after)) => format!(
                "temperature {} from {}; expected calibration error {before:.4} -> {after:.4}",
                calibration.temperature, calibration.fitted_on
            ),
            _ => format!(
                "temperature {} from {}",
                calibration.temperature, calibration.fitted_on
            ),
        },
    )?;
    for score in &manifest.scores {
        let spread = score
            .std
            .map_or(String::new(), |std| format!(" ± {std:.4}"));
        row(
            "score",
            format!(
                "{} {:.4}{spread} ({})",
                score.metric, score.value, score.protocol
            ),
        )?;
    }
    for (name, info) in &manifest.files {
        row(
            "file",
            format!("{name}, {} bytes, SHA-256 {}", info.bytes, info.sha256),
        )?;
    }
    Ok(())
}
