//! What training leaves behind: plain matrices, free of any backend, and what was learned on the way.
//!
//! [`TrainedModel`] is the one thing that export, verification and evaluation share. Its
//! [`encode`](TrainedModel::encode) and [`logits`](TrainedModel::logits) run on burn's CPU backend,
//! so they are burn's own opinion of the model, to be held against tract and ONNX Runtime.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData, activation};
use ser_runtime::normalise::{Normaliser, NormaliserError};
use serde::{Deserialize, Serialize};

/// The function that follows the affine map of a [`DenseLayer`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// y = x.
    Linear,
    /// y = x for x ≥ 0, slope · x below.
    LeakyRelu(f32),
    /// y = max(x, 0).
    Relu,
    /// y = 1 / (1 + e⁻ˣ).
    Sigmoid,
}

/// y = activation(x W + b).
#[derive(Clone, Debug, PartialEq)]
pub struct DenseLayer {
    /// Columns of x.
    pub inputs: usize,
    /// Columns of y.
    pub outputs: usize,
    /// W, `[inputs, outputs]` row-major (the layout of burn's `Linear`).
    pub weight: Vec<f32>,
    /// b, `[outputs]`.
    pub bias: Vec<f32>,
    /// What follows the affine map.
    pub activation: Activation,
}

/// Normaliser, encoder and classifier as trained.
#[derive(Clone, Debug)]
pub struct TrainedModel {
    /// Maps raw features to what the first layer reads.
    pub normaliser: Normaliser,
    /// E on normalised features; empty where the classifier reads the normalised features themselves.
    pub encoder: Vec<DenseLayer>,
    /// Codes (or normalised features) to logits; never empty.
    pub classifier: Vec<DenseLayer>,
    /// The classes, in the order of the logits.
    pub labels: Vec<String>,
}

/// Why a [`TrainedModel`] cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Two neighbouring parts do not fit together.
    #[error("{part} layer {index} of the model: {detail}")]
    Shape {
        /// "encoder" or "classifier".
        part: &'static str,
        /// Layer number from 0.
        index: usize,
        /// What does not fit.
        detail: String,
    },
    /// The values handed in are no whole number of rows.
    #[error("{values} values are not a whole number of rows of {width} features")]
    Rows {
        /// Values handed in.
        values: usize,
        /// Columns that the model reads.
        width: usize,
    },
    /// The normaliser is unusable.
    #[error(transparent)]
    Normaliser(#[from] NormaliserError),
    /// The backend did not hand its result back.
    #[error("the tensor backend failed: {0}")]
    Backend(String),
}

impl TrainedModel {
    /// Columns of a raw feature row.
    pub fn width(&self) -> usize {
        self.normaliser.offset.len()
    }

    /// Columns of a code row; equals [`width`](Self::width) where the encoder is empty.
    pub fn code_len(&self) -> usize {
        self.encoder.last().map_or(self.width(), |l| l.outputs)
    }

    /// Checks that every part fits the next and that all lengths are what the shapes say.
    ///
    /// # Errors
    /// [`ModelError::Shape`] naming the first layer that does not fit.
    pub fn check(&self) -> Result<(), ModelError> {
        let width = check_chain("encoder", &self.encoder, self.width())?;
        let classes = check_chain("classifier", &self.classifier, width)?;
        if self.classifier.is_empty() || classes != self.labels.len() {
            return Err(ModelError::Shape {
                part: "classifier",
                index: self.classifier.len().saturating_sub(1),
                detail: format!("{classes} outputs for {} labels", self.labels.len()),
            });
        }
        Ok(())
    }

    /// Codes `[rows, code_len]` of raw feature rows `[rows, width]`, both row-major.
    ///
    /// # Errors
    /// Rows of the wrong width, an inconsistent model, a failing backend.
    pub fn encode(&self, rows: &[f32]) -> Result<Vec<f32>, ModelError> {
        self.check()?;
        let (values, count) = self.normalised(rows)?;
        run_layers(&self.encoder, values, count, self.width())
    }

    /// Logits `[rows, labels]` of raw feature rows `[rows, width]`, before any calibration temperature.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn logits(&self, rows: &[f32]) -> Result<Vec<f32>, ModelError> {
        let codes = self.encode(rows)?;
        self.classify(&codes)
    }

    /// Logits `[rows, labels]` of code rows `[rows, code_len]`.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn classify(&self, codes: &[f32]) -> Result<Vec<f32>, ModelError> {
        self.check()?;
        let width = self.code_len();
        let count = whole_rows(codes.len(), width)?;
        run_layers(&self.classifier, codes.to_vec(), count, width)
    }

    fn normalised(&self, rows: &[f32]) -> Result<(Vec<f32>, usize), ModelError> {
        let width = self.width();
        let count = whole_rows(rows.len(), width)?;
        let mut values = rows.to_vec();
        for row in values.chunks_exact_mut(width.max(1)) {
            self.normaliser.apply(row)?;
        }
        Ok((values, count))
    }
}

fn whole_rows(values: usize, width: usize) -> Result<usize, ModelError> {
    if width == 0 || !values.is_multiple_of(width) {
        return Err(ModelError::Rows { values, width });
    }
    Ok(values / width)
}

fn check_chain(
    part: &'static str,
    layers: &[DenseLayer],
    mut width: usize,
) -> Result<usize, ModelError> {
    for (index, layer) in layers.iter().enumerate() {
        let shape = |detail| ModelError::Shape {
            part,
            index,
            detail,
        };
        if layer.inputs != width {
            return Err(shape(format!(
                "reads {} columns, gets {width}",
                layer.inputs
            )));
        }
        if layer.weight.len() != layer.inputs * layer.outputs || layer.bias.len() != layer.outputs {
            return Err(shape(format!(
                "{} weights and {} biases for shape [{}, {}]",
                layer.weight.len(),
                layer.bias.len(),
                layer.inputs,
                layer.outputs
            )));
        }
        width = layer.outputs;
    }
    Ok(width)
}

fn run_layers(
    layers: &[DenseLayer],
    values: Vec<f32>,
    rows: usize,
    width: usize,
) -> Result<Vec<f32>, ModelError> {
    if layers.is_empty() || rows == 0 {
        return Ok(values);
    }
    let device = Device::flex();
    let mut x = Tensor::<2>::from_data(TensorData::new(values, [rows, width]), &device);
    for layer in layers {
        let weight = Tensor::<2>::from_data(
            TensorData::new(layer.weight.clone(), [layer.inputs, layer.outputs]),
            &device,
        );
        let bias = Tensor::<2>::from_data(
            TensorData::new(layer.bias.clone(), [1, layer.outputs]),
            &device,
        );
        let y = x.matmul(weight) + bias;
        x = match layer.activation {
            Activation::Linear => y,
            Activation::LeakyRelu(slope) => activation::leaky_relu(y, f64::from(slope)),
            Activation::Relu => activation::relu(y),
            Activation::Sigmoid => activation::sigmoid(y),
        };
    }
    x.try_into_vec_as::<f32>()
        .map_err(|e| ModelError::Backend(e.to_string()))
}

/// Logits of rows that the model never trained on, with their true classes: what the calibration
/// temperature is fitted on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// Whose rows these are and how the logits came about, in words for the model card.
    pub source: String,
    /// `[rows, labels]` row-major.
    pub logits: Vec<f32>,
    /// Class index of each row.
    pub labels: Vec<usize>,
}

/// All that `fit` hands to export.
#[derive(Clone, Debug)]
pub struct FitOutcome {
    /// The model itself.
    pub model: TrainedModel,
    /// Id of the feature set ("emobase2010", "custom", …), as in the feature table.
    pub feature_set: String,
    /// What was made of the recordings before they were measured; none for tables made elsewhere.
    pub hearing: Option<ser_runtime::hearing::HearingInfo>,
    /// Column names of the feature table, in the order of the model's input.
    pub feature_names: Vec<String>,
    /// Raw features `[rows, width]` of the rows that the model was trained on, row-major: 8-bit weights are calibrated on them.
    pub rows: Vec<f32>,
    /// Sampling rates seen in the training rows, ascending; empty where the table does not say.
    pub sample_rates: Vec<u32>,
    /// Held-out logits for calibration, where anything was held out.
    pub held_out: Option<HeldOut>,
    /// Every line written to `metrics.jsonl`.
    pub metrics: Vec<serde_json::Value>,
    /// The configuration, complete with defaults.
    pub config: serde_json::Value,
    /// Corpus summary: rows by label, speakers, corpora, SHA-256 of the table.
    pub data: serde_json::Value,
    /// Scores with their protocol, from `ser-train evaluate` and from validation.
    pub scores: Vec<ser_runtime::bundle::Score>,
    /// Versions of what took part: ser-trainer, burn, device, …
    pub versions: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use ser_runtime::normalise::NormaliserKind;

    fn model() -> TrainedModel {
        let rows = [[0.0f32, 2.0], [2.0, 6.0]];
        TrainedModel {
            normaliser: Normaliser::fit(
                NormaliserKind::MinMax,
                rows.iter().map(<[f32; 2]>::as_slice),
                None,
            )
            .expect("two finite rows"),
            encoder: vec![DenseLayer {
                inputs: 2,
                outputs: 3,
                weight: vec![1.0, -1.0, 0.5, 2.0, 0.0, -3.0],
                bias: vec![0.0, 0.5, 0.25],
                activation: Activation::LeakyRelu(0.1),
            }],
            classifier: vec![DenseLayer {
                inputs: 3,
                outputs: 2,
                weight: vec![1.0, 0.0, 0.0, 1.0, 1.0, 1.0],
                bias: vec![0.0, -1.0],
                activation: Activation::Linear,
            }],
            labels: vec!["a".into(), "b".into()],
        }
    }

    #[test]
    fn logits_follow_the_written_out_formula() {
        let m = model();
        // Raw (1, 4) normalises to (0.5, 0.5); codes before the activation: 1.5, 0.0, -1.0.
        let code = m.encode(&[1.0, 4.0]).unwrap();
        assert_eq!(code, vec![1.5, 0.0, -0.1]);
        let logits = m.logits(&[1.0, 4.0]).unwrap();
        assert!((logits[0] - 1.4).abs() < 1e-6 && (logits[1] + 1.1).abs() < 1e-6);
    }

    #[test]
    fn misfits_are_named() {
        let mut m = model();
        assert!(matches!(
            m.logits(&[1.0, 2.0, 3.0]),
            Err(ModelError::Rows { .. })
        ));
        m.classifier[0].inputs = 4;
        assert!(
            m.check()
                .unwrap_err()
                .to_string()
                .contains("classifier layer 0")
        );
    }
}
