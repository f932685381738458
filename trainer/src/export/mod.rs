//! From a finished training to a bundle that a device can run.
//!
//! [`finish`] is what the end of `ser-train fit` calls. [`onnx`] writes the two graphs, [`onnx_read`] reads them back for `ser-train verify`,
//! [`static_model`] makes the flat files of devices, [`calibrate`] fits the temperature, [`card`] writes the model card, and [`bundle`] puts it all
//! into one folder at once.

pub mod bundle;
pub mod calibrate;
pub mod card;
pub mod document;
pub mod onnx;
pub mod onnx_read;
pub mod static_model;

use std::path::Path;

use ser_runtime::bundle::Manifest;

use self::bundle::{BundleOptions, ExportError};
use crate::model::FitOutcome;
use crate::plots::{self, CellText};
use crate::report;

/// Name of the bundle's folder inside the folder of a training.
pub const BUNDLE_DIR: &str = "bundle";
/// Name of the folder of plots inside the folder of a training.
pub const PLOTS_DIR: &str = "plots";
/// Name of the report inside the folder of a training.
pub const REPORT_FILE: &str = "report.html";

/// Writes `dir/bundle`, then `dir/plots/*.svg` and `dir/report.html`; returns the bundle's manifest.
///
/// # Errors
/// See [`ExportError`]. What was written before an error stays and is whole.
pub fn finish(
    dir: &Path,
    outcome: &FitOutcome,
    options: &BundleOptions,
) -> Result<Manifest, ExportError> {
    let manifest = bundle::write(&dir.join(BUNDLE_DIR), outcome, options)?;
    let mut drawn = plots::training(&outcome.metrics)?;
    for score in &manifest.scores {
        if let Some((labels, counts)) = card::confusion_of(score, &manifest.labels) {
            let so_far = drawn
                .iter()
                .filter(|plot| plot.name.starts_with("confusion"))
                .count();
            let name = match so_far {
                0 => "confusion".to_owned(),
                n => format!("confusion_{}", n + 1),
            };
            let text = CellText::ShareAndCount;
            drawn.push(plots::confusion(
                &name,
                &score.protocol,
                &labels,
                &counts,
                text,
            )?);
        }
    }
    plots::write(&dir.join(PLOTS_DIR), &drawn)?;
    let card = card::blocks(&manifest, &options.card, &options.command);
    report::write(&dir.join(REPORT_FILE), &manifest, &drawn, &card)?;
    Ok(manifest)
}
