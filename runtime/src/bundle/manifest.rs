//! `bundle.json`.

use std::collections::{BTreeMap, BTreeSet};

use ser_features::{
    EXTRACTOR_VERSION, FEATURE_COUNT, FeatureGroups, FeatureSet, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE,
    feature_names,
};
use serde::{Deserialize, Serialize};

use super::names::names_sha256;
use super::{BundleError, CHECKSUMS_FILE, FORMAT_VERSIONS, MANIFEST_FILE};
use crate::cut::CutConfig;
use crate::hearing::{Hearing, HearingInfo};
use crate::normalise::Normaliser;
use crate::prediction::Decision;

/// Widest layer boundary that a bundle may declare.
const MAX_WIDTH: usize = 1 << 20;

/// What a bundle says about itself. Unknown fields are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Layout of the bundle; [`super::FORMAT_VERSION`] where this program wrote it.
    pub format_version: u32,
    /// [`super::bundle_id`] of the two graphs; filled in by [`super::write`].
    pub id: String,
    /// Name of the model, for people.
    pub name: String,
    /// Time of export, RFC 3339.
    pub created: String,
    /// Program that wrote the bundle.
    pub producer: Producer,
    /// The features that the encoder reads.
    pub feature_set: FeatureSetInfo,
    /// Labels in the order of the classifier's outputs.
    pub labels: Vec<String>,
    /// The normaliser, which is also inside the encoder graph; here for inspection and for adaptive use.
    pub normaliser: Normaliser,
    /// Sampling rates, in Hz, of the training recordings.
    pub sample_rates: Vec<u32>,
    /// How the training recordings were heard, and how a device is to hear; absent in bundles of
    /// format 1, which were trained on whole recordings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hearing: Option<HearingInfo>,
    /// How recordings of other rates are treated, in a sentence.
    pub audio: String,
    /// The encoder graph.
    pub encoder: EncoderInfo,
    /// The classifier graph.
    pub classifier: ClassifierInfo,
    /// Temperature of the probabilities.
    pub calibration: Calibration,
    /// The full training configuration.
    pub training: serde_json::Value,
    /// Summary of the training data.
    pub data: serde_json::Value,
    /// Scores, each with its protocol.
    pub scores: Vec<Score>,
    /// Versions of the programs and libraries that took part.
    pub versions: BTreeMap<String, String>,
    /// Every file of the bundle but `bundle.json` and `SHA256SUMS`; filled in by [`super::write`].
    pub files: BTreeMap<String, FileInfo>,
}

/// Program that wrote a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Producer {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The features that a model reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureSetInfo {
    /// Id of a built-in set ([`FeatureSet::id`]) or any other word for a table made elsewhere.
    pub id: String,
    /// Number of features.
    pub count: usize,
    /// Names in order, for a set that is not built in; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<String>>,
    /// [`names_sha256`] of the names.
    pub names_sha256: String,
    /// [`EXTRACTOR_VERSION`] that made the training features of a built-in set; any text for another one.
    pub extractor_version: String,
}

impl FeatureSetInfo {
    /// The description of a set that this crate extracts.
    pub fn built_in(set: FeatureSet) -> Self {
        Self {
            id: set.id().to_owned(),
            count: FEATURE_COUNT,
            names: None,
            names_sha256: names_sha256(feature_names(set)),
            extractor_version: EXTRACTOR_VERSION.to_owned(),
        }
    }

    /// The description of the features called `names`: a built-in set if `id` is one, else a table made elsewhere.
    pub fn new(id: &str, names: &[String]) -> Self {
        let built_in = FeatureSet::from_id(id).is_some();
        Self {
            id: id.to_owned(),
            count: names.len(),
            names: (!built_in).then(|| names.to_vec()),
            names_sha256: names_sha256(names),
            extractor_version: if built_in { EXTRACTOR_VERSION } else { "none" }.to_owned(),
        }
    }
}

/// The encoder graph: raw features `[N, input_dim]` to a code `[N, output_dim]`, the normaliser inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderInfo {
    /// File name inside the bundle.
    pub file: String,
    /// Name of the graph's input.
    pub input: String,
    /// Name of the graph's output.
    pub output: String,
    /// Features per row.
    pub input_dim: usize,
    /// Code elements per row.
    pub output_dim: usize,
    /// ONNX operator set.
    pub opset: i64,
}

/// The classifier graph: code `[N, input_dim]` to logits and probabilities `[N, output_dim]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierInfo {
    /// File name inside the bundle.
    pub file: String,
    /// Name of the graph's input.
    pub input: String,
    /// Name of the output that holds the logits.
    pub logits: String,
    /// Name of the output that holds `softmax(logits / temperature)`.
    pub probabilities: String,
    /// Code elements per row.
    pub input_dim: usize,
    /// Labels.
    pub output_dim: usize,
    /// ONNX operator set.
    pub opset: i64,
}

/// Temperature scaling of the probabilities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Divides the logits before the softmax; positive.
    pub temperature: f32,
    /// The rows that it was fitted on, in words.
    pub fitted_on: String,
    /// Expected calibration error on those rows at temperature 1, 0 to 1; none where there were no rows.
    pub ece_before: Option<f64>,
    /// Expected calibration error on those rows at [`Self::temperature`], 0 to 1; none where there were no rows.
    pub ece_after: Option<f64>,
    /// From which probability on a label is given, and what that costs; none gives one always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abstain: Option<Abstain>,
}

/// The least probability of a label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Abstain {
    /// No label below it, 0 to 1.
    pub below: f32,
    /// Share of the rows that it was chosen on which get a label, 0 to 1.
    pub coverage: f64,
    /// Share of right labels among those, 0 to 1; none where there are none.
    pub accuracy: Option<f64>,
    /// Share of right labels if every row gets one, 0 to 1.
    pub accuracy_of_all: f64,
    /// The rows that it was chosen on, and how, in words.
    pub chosen_on: String,
}

/// One score of the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// How it was measured.
    pub protocol: String,
    /// What was measured.
    pub metric: String,
    /// Its value.
    pub value: f64,
    /// Standard deviation over repetitions, where there were any.
    pub std: Option<f64>,
    /// Anything more, such as a confusion matrix.
    pub detail: serde_json::Value,
}

/// Size and content of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileInfo {
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
}

impl Manifest {
    /// Parses `bundle.json`; the format version is looked at first, so that a newer bundle is refused by its version and not by a field
    /// that this program does not know.
    pub(super) fn parse(json: &[u8], bundle: &str) -> Result<Self, BundleError> {
        #[derive(Deserialize)]
        struct Version {
            format_version: u32,
        }
        let malformed = |source| BundleError::Manifest {
            bundle: bundle.to_owned(),
            source,
        };
        let Version { format_version } = serde_json::from_slice(json).map_err(malformed)?;
        if !FORMAT_VERSIONS.contains(&format_version) {
            return Err(BundleError::FormatVersion {
                bundle: bundle.to_owned(),
                found: format_version,
            });
        }
        serde_json::from_slice(json).map_err(malformed)
    }

    /// The built-in feature set, if the bundle is of one.
    pub fn built_in_features(&self) -> Option<FeatureSet> {
        FeatureSet::from_id(&self.feature_set.id)
    }

    /// How logits become a label.
    pub fn decision(&self) -> Decision {
        let Calibration {
            temperature,
            abstain,
            ..
        } = &self.calibration;
        Decision {
            temperature: *temperature,
            abstain_below: abstain.as_ref().map_or(0.0, |a| a.below),
        }
    }

    /// How a device cuts streams and recordings: as the training recordings were cut, by the
    /// defaults where they were taken whole.
    pub fn cut(&self) -> CutConfig {
        let cut = self.hearing.as_ref().and_then(|h| h.cut.as_ref());
        cut.map(|cut| cut.config).unwrap_or_default()
    }

    /// What a device makes of a recording at `rate` Hz.
    pub fn hears(&self, rate: u32) -> Hearing {
        Hearing {
            sample_rate: Some(self.model_rate(rate)),
            cut: Some(self.cut()),
        }
    }

    /// What a device that cuts by `cut`, or takes recordings whole, hears otherwise than the
    /// training recordings were heard; `None` if nothing.
    pub fn heard_otherwise(&self, cut: Option<&CutConfig>) -> Option<String> {
        let whole = HearingInfo {
            sample_rate: None,
            cut: None,
        };
        self.hearing.as_ref().unwrap_or(&whole).difference(cut)
    }

    /// The rate, in Hz, at which features are to be taken from audio at `rate` Hz: that of the training table; where the recordings were
    /// measured at their own rates, the nearest of those, the higher one of equals, and `rate` itself where none is known. Audio is
    /// [brought there](crate::resample) first.
    pub fn model_rate(&self, rate: u32) -> u32 {
        if let Some(rate) = self.hearing.as_ref().and_then(|h| h.sample_rate) {
            return rate;
        }
        let by_distance = |a: &u32, b: &u32| {
            // Ratios, not differences: 8 kHz is as far from 16 kHz as 16 from 32.
            let far = |known: u32| {
                u64::from(known.max(rate)) * 1_000_000 / u64::from(known.min(rate).max(1))
            };
            far(*a).cmp(&far(*b)).then(b.cmp(a))
        };
        let known = self.sample_rates.iter().copied();
        known.min_by(by_distance).unwrap_or(rate)
    }

    /// Groups of features that the encoder reads: those with a feature whose scale in the normaliser is not 0. All for features made elsewhere.
    pub fn groups(&self) -> FeatureGroups {
        if self.built_in_features().is_none() {
            return FeatureGroups::ALL;
        }
        let scale = self.normaliser.scale.iter().enumerate();
        FeatureGroups::of_features(scale.filter_map(|(i, &scale)| (scale != 0.0).then_some(i)))
    }

    /// Names of the features in order.
    pub fn feature_names(&self) -> Vec<String> {
        match self.built_in_features() {
            Some(set) => feature_names(set),
            None => self.feature_set.names.clone().unwrap_or_default(),
        }
    }

    /// Checks everything that can be checked without the files: versions, feature set, names hash, dimensions, labels, file names.
    ///
    /// # Errors
    /// A [`BundleError`] with the field; `bundle` is the name to use in it.
    pub fn validate(&self, bundle: &str) -> Result<(), BundleError> {
        if !FORMAT_VERSIONS.contains(&self.format_version) {
            return Err(BundleError::FormatVersion {
                bundle: bundle.to_owned(),
                found: self.format_version,
            });
        }
        self.validate_feature_set(bundle)?;
        let field = |field: &str, reason: String| {
            Err(BundleError::Field {
                bundle: bundle.to_owned(),
                field: field.to_owned(),
                reason,
            })
        };

        if self.labels.len() < 2 {
            return field(
                "labels",
                format!("{} given, at least 2 are needed", self.labels.len()),
            );
        }
        if let Some(label) = self
            .labels
            .iter()
            .find(|l| l.trim().is_empty() || l.contains(char::is_control))
        {
            return field("labels", format!("{label:?} is not a name"));
        }
        if self.labels.iter().collect::<BTreeSet<_>>().len() != self.labels.len() {
            return field("labels", "a label occurs twice".to_owned());
        }
        if let Err(error) = self.normaliser.validate() {
            return field("normaliser", error.to_string());
        }
        let (encoder, classifier, count) =
            (&self.encoder, &self.classifier, self.feature_set.count);
        let pairs = [
            (
                "normaliser.offset",
                self.normaliser.width(),
                "feature_set.count",
                count,
            ),
            (
                "encoder.input_dim",
                encoder.input_dim,
                "feature_set.count",
                count,
            ),
            (
                "classifier.input_dim",
                classifier.input_dim,
                "encoder.output_dim",
                encoder.output_dim,
            ),
            (
                "classifier.output_dim",
                classifier.output_dim,
                "the number of labels",
                self.labels.len(),
            ),
        ];
        for (name, found, other, expected) in pairs {
            if found != expected {
                return field(name, format!("is {found}, but {other} is {expected}"));
            }
            if found == 0 || found > MAX_WIDTH {
                return field(name, format!("is {found}, outside 1 to {MAX_WIDTH}"));
            }
        }
        if !(self.calibration.temperature.is_finite() && self.calibration.temperature > 0.0) {
            return field(
                "calibration.temperature",
                format!("is {}, not a positive number", self.calibration.temperature),
            );
        }
        if let Some(abstain) = &self.calibration.abstain
            && !(0.0..=1.0).contains(&abstain.below)
        {
            return field(
                "calibration.abstain.below",
                format!("is {}, not a probability", abstain.below),
            );
        }
        if let Some(hearing) = &self.hearing {
            if let Some(rate) = hearing.sample_rate
                && !(MIN_SAMPLE_RATE..=MAX_SAMPLE_RATE).contains(&rate)
            {
                let reason = format!("is {rate} Hz, outside the extractor's range");
                return field("hearing.sample_rate", reason);
            }
            if let Some(cut) = &hearing.cut
                && let Err(error) = cut.config.validate()
            {
                return field("hearing.cut", error.to_string());
            }
        }
        if encoder.file == classifier.file {
            return field("classifier.file", "is the encoder's file".to_owned());
        }
        let names = [
            ("encoder.file", &encoder.file),
            ("classifier.file", &classifier.file),
        ];
        for (which, file) in names
            .into_iter()
            .chain(self.files.keys().map(|name| ("files", name)))
        {
            if let Some(reason) = unsafe_file_name(file) {
                return field(which, format!("file name {file:?} {reason}"));
            }
        }
        Ok(())
    }

    fn validate_feature_set(&self, bundle: &str) -> Result<(), BundleError> {
        let info = &self.feature_set;
        let field = |field: &str, reason: String| {
            Err(BundleError::Field {
                bundle: bundle.to_owned(),
                field: field.to_owned(),
                reason,
            })
        };
        let expected = match (FeatureSet::from_id(&info.id), &info.names) {
            (Some(_), Some(_)) => {
                return field(
                    "feature_set.names",
                    format!("must be absent for the built-in set {}", info.id),
                );
            }
            (Some(set), None) => FeatureSetInfo::built_in(set),
            (None, Some(names)) => FeatureSetInfo::new(&info.id, names),
            (None, None) => {
                return Err(BundleError::FeatureSet {
                    bundle: bundle.to_owned(),
                    found: info.id.clone(),
                });
            }
        };
        if info.count != expected.count {
            return field(
                "feature_set.count",
                format!(
                    "is {}, but the set has {} features",
                    info.count, expected.count
                ),
            );
        }
        if info.names_sha256 != expected.names_sha256 {
            return Err(BundleError::NamesHash {
                bundle: bundle.to_owned(),
                set: info.id.clone(),
                found: info.names_sha256.clone(),
                expected: expected.names_sha256,
            });
        }
        if info.names.is_none() && info.extractor_version != expected.extractor_version {
            return Err(BundleError::ExtractorVersion {
                bundle: bundle.to_owned(),
                found: info.extractor_version.clone(),
            });
        }
        Ok(())
    }
}

/// Why `name` may not be a file of a bundle: it must be a plain name, so that nothing outside the folder can be meant.
pub(super) fn unsafe_file_name(name: &str) -> Option<&'static str> {
    if name.is_empty() || name.len() > 255 {
        Some("is empty or too long")
    } else if name.contains(['/', '\\', ':'])
        || name.contains(char::is_control)
        || name.starts_with('.')
    {
        Some("is not a plain name; files of a bundle lie in its folder")
    } else if name == MANIFEST_FILE || name == CHECKSUMS_FILE {
        Some("is reserved")
    } else {
        None
    }
}
