//! Why an engine cannot be made from a bundle.

use super::static_model::StaticModelError;
use crate::bundle::BundleError;

/// Why an engine cannot be made from a bundle.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The graph cannot be read, or is not what the manifest says.
    #[error("bundle {bundle}: {file}: {engine}: {reason}")]
    Graph {
        /// The bundle.
        bundle: String,
        /// The graph's file.
        file: String,
        /// The engine.
        engine: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The graph's probabilities are not those that the manifest's temperature gives.
    #[error(
        "bundle {bundle}: the probabilities of {file} differ by {difference} from softmax(logits / {temperature}); graph and calibration do not belong together, export the model again"
    )]
    Calibration {
        /// The bundle.
        bundle: String,
        /// The classifier's file.
        file: String,
        /// The manifest's temperature.
        temperature: f32,
        /// Largest difference on a test code.
        difference: f32,
    },
    /// The engine's library could not be loaded.
    #[error("{engine}: {reason}")]
    Library {
        /// The engine.
        engine: &'static str,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A file of the bundle cannot be read.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The bundle has no flat file for the static engine.
    #[error(
        "bundle {bundle}: holds no {file} for the static engine; make it with: ser-train export {bundle} {export}"
    )]
    NotExported {
        /// The bundle.
        bundle: String,
        /// The file that is missing.
        file: &'static str,
        /// Options that make it.
        export: &'static str,
    },
    /// The flat file is refused.
    #[error("bundle {bundle}: {file}: {source}")]
    Static {
        /// The bundle.
        bundle: String,
        /// The file.
        file: &'static str,
        /// What is wrong with it.
        source: StaticModelError,
    },
    /// The flat file was made from another model than the graphs beside it.
    #[error(
        "bundle {bundle}: {file} is of another model: {what} is not what the bundle says; make it again with: ser-train export {bundle} {export}"
    )]
    OtherModel {
        /// The bundle.
        bundle: String,
        /// The file.
        file: &'static str,
        /// What differs.
        what: &'static str,
        /// Options that make it.
        export: &'static str,
    },
}
