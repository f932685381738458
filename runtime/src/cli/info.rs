//! `ser-run info`.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::CliError;
use crate::bundle::{self, Bundle, Manifest};
use crate::engine::static_model::{INT8_FILE, OwnedStaticEngine, Precision};
use crate::footprint::{CODE_BYTES, Footprint, STACK_BYTES};
use crate::normalise::NormaliserKind;
use crate::segment::{SEGMENTER_ID, SegmentConfig};

/// Print what a bundle says about itself.
#[derive(Args)]
pub(super) struct Info {
    /// Folder of the bundle, or a folder that holds it as `bundle`.
    #[arg(short, long, value_name = "BUNDLE")]
    model: PathBuf,
    /// Print the whole manifest as JSON.
    #[arg(long)]
    json: bool,
}

impl Info {
    /// Opens the bundle, with all checks, and prints.
    pub(super) fn run(&self, out: &mut impl Write) -> Result<(), CliError> {
        let bundle = Bundle::open(bundle::find(&self.model))?;
        if self.json {
            serde_json::to_writer_pretty(&mut *out, &bundle.manifest)?;
            writeln!(out)?;
        } else {
            summary(&bundle.manifest, out)?;
            device(&bundle, out)?;
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
    for (name, value) in hearing(manifest) {
        row(name, value)?;
    }
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
    row("abstains", abstention(manifest))?;
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

/// How the model hears, line by line.
fn hearing(manifest: &Manifest) -> Vec<(&'static str, String)> {
    let trained = manifest.hearing.as_ref();
    let rate = match trained.and_then(|h| h.sample_rate) {
        Some(rate) => format!("at {rate} Hz, whatever a recording's own rate is"),
        None => "at the nearest of the rates above".to_owned(),
    };
    let segmenter = trained.and_then(|h| h.cut.as_ref());
    let segmenter = segmenter.map_or(SEGMENTER_ID, |cut| &cut.segmenter);
    let cut = manifest.cut();
    let SegmentConfig {
        attack_ms,
        hangover_ms,
        pre_roll_ms,
        tail_ms,
        min_speech_ms,
        ..
    } = cut.segment;
    let longest_s = f64::from(cut.max_utterance_ms) / 1e3;
    let mut lines = vec![
        ("hears", format!("utterances, {rate}")),
        (
            "cut",
            format!(
                "segmenter {segmenter}: attack {attack_ms} ms, pauses up to {hangover_ms} ms, \
                 {pre_roll_ms} ms before and {tail_ms} ms behind, at least {min_speech_ms} ms of \
                 activity, at most {longest_s} s"
            ),
        ),
    ];
    let difference = manifest.heard_otherwise(Some(&cut));
    lines.extend(difference.map(|text| ("but", text)));
    lines
}

/// When the model gives no label, and what that costs.
fn abstention(manifest: &Manifest) -> String {
    let Some(abstain) = &manifest.calibration.abstain else {
        return "never (`--abstain P` asks for a probability)".to_owned();
    };
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let accuracy = abstain
        .accuracy
        .map_or_else(String::new, |a| format!(", {} of these right", percent(a)));
    format!(
        "below a probability of {}: {} of the recordings get a label{accuracy} ({} if all get \
         one), {}",
        abstain.below,
        percent(abstain.coverage),
        percent(abstain.accuracy_of_all),
        abstain.chosen_on
    )
}

/// Length of the utterances for which [`device`] states memory, in seconds.
const UTTERANCE_S: f64 = 5.0;

/// What the int8 file takes of a microcontroller, where there is one and its features can be extracted.
fn device(bundle: &Bundle, out: &mut impl Write) -> Result<(), CliError> {
    let Some(file) = bundle.manifest.files.get(INT8_FILE) else {
        return Ok(());
    };
    let engine =
        OwnedStaticEngine::load(bundle, Precision::Int8).map_err(crate::model::ModelError::from)?;
    let model = engine
        .model()
        .map_err(|e| io::Error::other(e.to_string()))?;
    if model.built_in_features().is_none() {
        return Ok(());
    }
    writeln!(out, "{:<14} {}", "computes", model.groups())?;
    let bytes = usize::try_from(file.bytes).unwrap_or(usize::MAX);
    for &rate in &bundle.manifest.sample_rates {
        let Some(footprint) = Footprint::new(&model, bytes, rate, UTTERANCE_S) else {
            continue;
        };
        let Footprint {
            model,
            extractor,
            scratch,
        } = footprint;
        let kb = |bytes: usize| format!("{:.1} kB", bytes as f64 / 1e3);
        writeln!(
            out,
            "{:<14} flash {} (model {} and {} for code); RAM {} (features {}, engine {} and {} for the stack) for {UTTERANCE_S} s at {rate} Hz",
            "on a device",
            kb(footprint.flash()),
            kb(model),
            kb(CODE_BYTES),
            kb(footprint.ram()),
            kb(extractor),
            kb(scratch),
            kb(STACK_BYTES),
        )?;
    }
    Ok(())
}
