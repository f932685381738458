//! The flat files of a model, for the static engine of devices, and what 8-bit weights cost it.

use ser_features::{EXTRACTOR_VERSION, FeatureSet};
use ser_runtime::bundle::{FeatureSetInfo, Manifest};
use ser_runtime::engine::static_model::{
    self, AlignedBytes, Dense, F32_FILE, FlatModel, INT8_FILE, OwnedStaticEngine, StaticModel,
    StaticModelError, input_ranges,
};
use ser_runtime::engine::{Engine, EngineError};
use ser_runtime::footprint::Footprint;
use ser_runtime::normalise::Normaliser;
use ser_runtime::prediction::{Decision, argmax, softmax};

use crate::metrics::Confusion;
use crate::model::{Activation, DenseLayer, TrainedModel};

/// Why a model has no flat file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StaticExportError {
    /// The model does not fit the format.
    #[error("flat model file: {0}")]
    Model(#[from] StaticModelError),
    /// A row of the table cannot be computed.
    #[error("row {row} of the calibration table: {source}")]
    Row {
        /// The row, from 1.
        row: usize,
        /// Why.
        source: EngineError,
    },
    /// Nothing to calibrate on.
    #[error("8-bit weights need rows to calibrate on, the table has none")]
    NoRows,
    /// A hash or id of the bundle is not hexadecimal.
    #[error("bundle: {field} is {found:?}, which is not {digits} hexadecimal digits")]
    Hexadecimal {
        /// The field.
        field: &'static str,
        /// What it holds.
        found: String,
        /// How many digits it should have.
        digits: usize,
    },
}

/// The parts of `model` as the flat file takes them; what the model does not know itself comes from `manifest`, whose id must be filled in.
///
/// # Errors
/// [`StaticExportError::Hexadecimal`].
pub fn parts(model: &TrainedModel, manifest: &Manifest) -> Result<FlatModel, StaticExportError> {
    let hexadecimal = |field, found: &str, digits| StaticExportError::Hexadecimal {
        field,
        found: found.to_owned(),
        digits,
    };
    let hash = &manifest.feature_set.names_sha256;
    let names_sha256 = bytes_of(hash).ok_or_else(|| hexadecimal("names_sha256", hash, 64))?;
    let id = manifest.id.as_bytes().try_into();
    let about = About {
        bundle_id: id.map_err(|_| hexadecimal("id", &manifest.id, 16))?,
        feature_set: &manifest.feature_set.id,
        extractor_version: &manifest.feature_set.extractor_version,
        names_sha256,
        decision: manifest.decision(),
        sample_rate: manifest.hearing.as_ref().and_then(|h| h.sample_rate),
        cut: manifest
            .hearing
            .as_ref()
            .and_then(|h| h.cut.as_ref())
            .map(|cut| (cut.segmenter.clone(), cut.config.fingerprint())),
    };
    Ok(about.parts(model))
}

/// Logits `[rows, labels]` of `model` with 8-bit weights, calibrated on `training_rows`; all rows `[rows, features]` raw and row-major.
///
/// # Errors
/// See [`StaticExportError`].
pub fn int8_logits(
    model: &TrainedModel,
    training_rows: &[f32],
    rows: &[f32],
) -> Result<Vec<f32>, StaticExportError> {
    // Nobody but this function sees the file: it needs no true name of its features.
    let about = About {
        bundle_id: *b"0000000000000000",
        feature_set: "unnamed",
        extractor_version: "none",
        names_sha256: [0; 32],
        decision: Decision::at(1.0),
        sample_rate: None,
        cut: None,
    };
    let files = StaticFiles::new(&about.parts(model), training_rows)?;
    logits(&files.int8, rows)
}

/// What `model`, over features of `set`, takes of a device with 8-bit weights, for utterances of up to `seconds` at `sample_rate` Hz; `None` for a rate
/// or length that cannot be.
///
/// # Errors
/// [`StaticExportError::Model`].
pub fn footprint(
    model: &TrainedModel,
    set: FeatureSet,
    sample_rate: u32,
    seconds: f64,
) -> Result<Option<Footprint>, StaticExportError> {
    let FeatureSetInfo {
        names_sha256: hash, ..
    } = FeatureSetInfo::built_in(set);
    let about = About {
        bundle_id: *b"0000000000000000",
        feature_set: set.id(),
        extractor_version: EXTRACTOR_VERSION,
        names_sha256: bytes_of(&hash).ok_or_else(|| StaticExportError::Hexadecimal {
            field: "names_sha256",
            found: hash.clone(),
            digits: 64,
        })?,
        decision: Decision::at(1.0),
        sample_rate: None,
        cut: None,
    };
    let layers = model.encoder.len() + model.classifier.len();
    let file = about.parts(model).int8_file(&vec![1.0; layers])?;
    let aligned = AlignedBytes::copy_of(&file);
    let flat = StaticModel::from_bytes(aligned.as_slice())?;
    Ok(Footprint::new(&flat, file.len(), sample_rate, seconds))
}

/// What a flat file says beside the model.
struct About<'a> {
    bundle_id: [u8; 16],
    feature_set: &'a str,
    extractor_version: &'a str,
    names_sha256: [u8; 32],
    decision: Decision,
    sample_rate: Option<u32>,
    cut: Option<(String, u32)>,
}

impl About<'_> {
    fn parts(self, model: &TrainedModel) -> FlatModel {
        let mut encoder: Vec<Dense> = model.encoder.iter().map(dense).collect();
        let mut normaliser = model.normaliser.clone();
        let selection = encoder
            .first_mut()
            .and_then(|first| select(first, &mut normaliser));
        FlatModel {
            bundle_id: self.bundle_id,
            feature_set: self.feature_set.to_owned(),
            extractor_version: self.extractor_version.to_owned(),
            names_sha256: self.names_sha256,
            feature_count: model.width(),
            selection,
            normaliser,
            encoder,
            classifier: model.classifier.iter().map(dense).collect(),
            labels: model.labels.clone(),
            decision: self.decision,
            sample_rate: self.sample_rate,
            cut: self.cut,
        }
    }
}

/// Leaves out the columns whose scale is 0, which are 0 for every recording: neither their weights are stored nor are they computed. Gives the indices
/// of the others, or `None` where all columns (or none, which the format does not know) are read.
fn select(first: &mut Dense, normaliser: &mut Normaliser) -> Option<Vec<u32>> {
    let all = normaliser.scale.len();
    let kept: Vec<usize> = (0..all).filter(|&i| normaliser.scale[i] != 0.0).collect();
    let misfit = normaliser.offset.len() != all || first.weight.len() != all * first.outputs;
    // what does not fit is named when the file is written
    if kept.is_empty() || kept.len() == all || misfit {
        return None;
    }
    let selection = kept.iter().map(|&i| u32::try_from(i).ok());
    let selection = selection.collect::<Option<_>>()?;
    let keep = |values: &[f32]| kept.iter().map(|&i| values[i]).collect();
    normaliser.offset = keep(&normaliser.offset);
    normaliser.scale = keep(&normaliser.scale);
    let rows = kept
        .iter()
        .flat_map(|&i| &first.weight[i * first.outputs..(i + 1) * first.outputs]);
    first.weight = rows.copied().collect();
    first.inputs = kept.len();
    Some(selection)
}

fn dense(layer: &DenseLayer) -> Dense {
    Dense {
        inputs: layer.inputs,
        outputs: layer.outputs,
        weight: layer.weight.clone(),
        bias: layer.bias.clone(),
        activation: match layer.activation {
            Activation::Linear => static_model::Activation::Linear,
            Activation::Relu => static_model::Activation::Relu,
            Activation::LeakyRelu(slope) => static_model::Activation::LeakyRelu(slope),
            Activation::Sigmoid => static_model::Activation::Sigmoid,
        },
    }
}

fn bytes_of(hexadecimal: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if hexadecimal.len() != 64 || !hexadecimal.bytes().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    for (i, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hexadecimal.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(out)
}

/// Both flat files of one model.
#[derive(Debug, Clone)]
pub struct StaticFiles {
    /// With 32-bit weights.
    pub f32: Vec<u8>,
    /// With 8-bit weights.
    pub int8: Vec<u8>,
}

impl StaticFiles {
    /// Writes both; the steps of the activations come from `rows`, `[rows, features]` raw features row-major.
    ///
    /// # Errors
    /// See [`StaticExportError`].
    pub fn new(parts: &FlatModel, rows: &[f32]) -> Result<Self, StaticExportError> {
        if rows.is_empty() {
            return Err(StaticExportError::NoRows);
        }
        let f32 = parts.f32_file()?;
        let aligned = AlignedBytes::copy_of(&f32);
        let model = StaticModel::from_bytes(aligned.as_slice())?;
        let mut row = 0;
        let counted = rows.chunks_exact(parts.feature_count).inspect(|_| row += 1);
        let ranges = input_ranges(&model, counted);
        let ranges = ranges.map_err(|source| StaticExportError::Row { row, source })?;
        Ok(Self {
            int8: parts.int8_file(&ranges)?,
            f32,
        })
    }

    /// Names inside a bundle, and contents.
    pub fn named(&self) -> [(&'static str, &[u8]); 2] {
        [(F32_FILE, &self.f32), (INT8_FILE, &self.int8)]
    }

    /// Computes `rows` with both.
    ///
    /// # Errors
    /// A row that cannot be computed.
    pub fn compare(&self, rows: &[f32]) -> Result<Comparison, StaticExportError> {
        let [f32, int8] = [&self.f32, &self.int8].map(|file| logits(file, rows));
        Ok(Comparison {
            f32: f32?,
            int8: int8?,
        })
    }
}

/// Logits `[rows, labels]` that the flat file `file` gives for `[rows, features]` raw features, both row-major.
///
/// # Errors
/// A file that is none, a row that cannot be computed.
pub fn logits(file: &[u8], rows: &[f32]) -> Result<Vec<f32>, StaticExportError> {
    let mut engine = OwnedStaticEngine::from_bytes(file)?;
    let mut code = vec![0.0; engine.code_len()];
    let mut row_logits = vec![0.0; engine.label_count()];
    let mut all = Vec::new();
    for (index, row) in rows.chunks_exact(engine.feature_count()).enumerate() {
        engine
            .encode(row, &mut code)
            .and_then(|()| engine.classify(&code, &mut row_logits))
            .map_err(|source| StaticExportError::Row {
                row: index + 1,
                source,
            })?;
        all.extend_from_slice(&row_logits);
    }
    Ok(all)
}

/// Logits of the same rows with weights of 32 and of 8 bits.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// `[rows, labels]`, 32 bits.
    pub f32: Vec<f32>,
    /// `[rows, labels]`, 8 bits.
    pub int8: Vec<f32>,
}

impl Comparison {
    /// Share of rows that both give the same label.
    pub fn agreement(&self, labels: usize) -> f64 {
        let pairs = self
            .f32
            .chunks_exact(labels)
            .zip(self.int8.chunks_exact(labels));
        let same = pairs.filter(|(a, b)| argmax(a) == argmax(b)).count();
        same as f64 / (self.f32.len() / labels).max(1) as f64
    }

    /// Largest difference of a probability.
    pub fn probability_difference(&self, labels: usize, temperature: f32) -> f32 {
        let probabilities = |logits: &[f32]| {
            let mut all = logits.to_vec();
            for row in all.chunks_exact_mut(labels) {
                softmax(row, temperature);
            }
            all
        };
        let (a, b) = (probabilities(&self.f32), probabilities(&self.int8));
        a.iter()
            .zip(b)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max)
    }

    /// UAR with 32 and with 8 bits on the rows of a known class; none without one.
    pub fn uar(&self, labels: usize, truth: &[Option<usize>]) -> Option<(f64, f64)> {
        let of = |logits: &[f32]| {
            let predicted = logits.chunks_exact(labels).map(argmax);
            let known = truth.iter().zip(predicted);
            Confusion::of(labels, known.filter_map(|(t, p)| Some(((*t)?, p)))).uar()
        };
        Some((of(&self.f32)?, of(&self.int8)?))
    }
}
