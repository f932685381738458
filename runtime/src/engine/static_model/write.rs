//! Writing flat files: on the workstation only.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::compute::{classify_seen, encode_seen};
use super::format::{
    ALIGNMENT, CRC_FROM, FORMAT_VERSION, HEADER_LEN, LAYER_HEADER_LEN, MAGIC, MAX_WIDTH,
    SEGMENTER_LEN, row_stride,
};
use super::layer::activation_limit;
use super::{Activation, AlignedBytes, Precision, StaticModel, StaticModelError};
use crate::crc32::crc32;
use crate::engine::EngineError;
use crate::normalise::Normaliser;
use crate::prediction::Decision;

/// Room above the largest input that was seen on calibration rows, for a layer whose inputs have no bound of their own.
const HEADROOM: f32 = 2.0;

/// A dense layer with its weights as ONNX's `Gemm` has them.
#[derive(Debug, Clone, PartialEq)]
pub struct Dense {
    /// Columns of x.
    pub inputs: usize,
    /// Columns of y.
    pub outputs: usize,
    /// W in y = x W + b, `[inputs, outputs]` row-major.
    pub weight: Vec<f32>,
    /// b, `[outputs]`.
    pub bias: Vec<f32>,
    /// What follows the affine map.
    pub activation: Activation,
}

/// A model in parts, to be written as a flat file.
#[derive(Debug, Clone, PartialEq)]
pub struct FlatModel {
    /// Id of the bundle that the parts come from, 16 hexadecimal digits.
    pub bundle_id: [u8; 16],
    /// Id of the feature set.
    pub feature_set: String,
    /// Version of the extractor that made the training features.
    pub extractor_version: String,
    /// SHA-256 of the feature names, each followed by a line feed.
    pub names_sha256: [u8; 32],
    /// Features that the extractor gives.
    pub feature_count: usize,
    /// Indices of the features that the model reads, ascending; `None` for all.
    pub selection: Option<Vec<u32>>,
    /// Normaliser of the features that the model reads.
    pub normaliser: Normaliser,
    /// Normalised features to code; may be empty.
    pub encoder: Vec<Dense>,
    /// Code to logits.
    pub classifier: Vec<Dense>,
    /// Labels in the order of the logits.
    pub labels: Vec<String>,
    /// How logits become a label.
    pub decision: Decision,
    /// Rate, in Hz, at which the training features were taken; `None` for the recordings' own.
    pub sample_rate: Option<u32>,
    /// Id of the segmenter that cut the training recordings, and
    /// [`CutConfig::fingerprint`](crate::cut::CutConfig::fingerprint) of its settings.
    pub cut: Option<(String, u32)>,
}

impl FlatModel {
    /// The file with weights as they are.
    ///
    /// # Errors
    /// [`StaticModelError`]: parts that [`StaticModel::from_bytes`] would refuse.
    pub fn f32_file(&self) -> Result<Vec<u8>, StaticModelError> {
        self.file(None)
    }

    /// The file with 8-bit weights; `ranges` has the largest magnitude of every layer's inputs ([`input_ranges`]).
    ///
    /// # Errors
    /// As [`Self::f32_file`]; also ranges that are not one positive number a layer.
    pub fn int8_file(&self, ranges: &[f32]) -> Result<Vec<u8>, StaticModelError> {
        self.file(Some(ranges))
    }

    fn file(&self, ranges: Option<&[f32]>) -> Result<Vec<u8>, StaticModelError> {
        let field = |field, reason| StaticModelError::Field { field, reason };
        let layers = || self.encoder.iter().chain(&self.classifier);
        if ranges.is_some_and(|ranges| ranges.len() != layers().count()) {
            return Err(field("ranges", "are not one a layer"));
        }
        let selected = self.normaliser.width();
        let indices = self.selection.as_ref().map_or(self.feature_count, Vec::len);
        if selected != indices || self.normaliser.scale.len() != selected {
            return Err(field(
                "normaliser",
                "is not as wide as there are features to read",
            ));
        }
        if let Some(selection) = &self.selection
            && selection.windows(2).any(|pair| pair[0] >= pair[1])
        {
            return Err(field("selected features", "are not ascending indices"));
        }

        let mut texts = Vec::new();
        let names = [&self.feature_set, &self.extractor_version];
        for text in names.into_iter().chain(&self.labels) {
            let len = u16::try_from(text.len());
            let len = len.map_err(|_| field("texts", "hold one of more than 65535 bytes"))?;
            texts.extend(len.to_le_bytes());
            texts.extend(text.as_bytes());
        }
        let mut out = Vec::with_capacity(HEADER_LEN);
        out.extend(MAGIC);
        let precision = match ranges {
            None => 0,
            Some(_) => 1,
        };
        // The checksum and the length come last.
        for number in [FORMAT_VERSION, 0, 0, precision] {
            out.extend(number.to_le_bytes());
        }
        for count in [
            self.feature_count,
            selected,
            self.encoder.len(),
            self.classifier.len(),
            self.labels.len(),
        ] {
            out.extend(size(count)?);
        }
        out.extend(self.decision.temperature.to_le_bytes());
        out.extend(self.normaliser.clip.unwrap_or(f32::INFINITY).to_le_bytes());
        out.extend(size(texts.len())?);
        out.extend(self.decision.abstain_below.to_le_bytes());
        out.extend(self.sample_rate.unwrap_or(0).to_le_bytes());
        out.extend(self.names_sha256);
        out.extend(self.bundle_id);
        let (segmenter, fingerprint) = match &self.cut {
            Some((segmenter, fingerprint)) => (segmenter.as_bytes(), *fingerprint),
            None => (&[][..], 0),
        };
        if segmenter.len() > SEGMENTER_LEN {
            return Err(field("segmenter", "has an id of more than 12 bytes"));
        }
        out.extend(segmenter);
        out.extend(core::iter::repeat_n(0, SEGMENTER_LEN - segmenter.len()));
        out.extend(fingerprint.to_le_bytes());
        append(&mut out, texts);
        if let Some(selection) = &self.selection
            && selected != self.feature_count
        {
            append(&mut out, selection.iter().flat_map(|i| i.to_le_bytes()));
        }
        append_floats(&mut out, &self.normaliser.offset);
        append_floats(&mut out, &self.normaliser.scale);
        for (index, layer) in layers().enumerate() {
            layer.check(index)?;
            match ranges {
                None => layer.append_f32(&mut out)?,
                Some(ranges) => layer.append_int8(&mut out, ranges[index], index)?,
            }
        }

        let length = size(out.len())?;
        out[CRC_FROM..CRC_FROM + 4].copy_from_slice(&length);
        let crc = crc32(&out[CRC_FROM..]);
        out[CRC_FROM - 4..CRC_FROM].copy_from_slice(&crc.to_le_bytes());
        StaticModel::from_bytes(AlignedBytes::copy_of(&out).as_slice())?;
        Ok(out)
    }
}

impl Dense {
    fn check(&self, layer: usize) -> Result<(), StaticModelError> {
        let fail = |field, reason| StaticModelError::Layer {
            layer,
            field,
            reason,
        };
        for (side, width) in [("inputs", self.inputs), ("outputs", self.outputs)] {
            if width == 0 || width > MAX_WIDTH {
                return Err(StaticModelError::Width { layer, side, width });
            }
        }
        if Some(self.weight.len()) != self.inputs.checked_mul(self.outputs) {
            return Err(fail("weights", "are not inputs times outputs"));
        }
        if self.bias.len() != self.outputs {
            return Err(fail("biases", "are not one an output"));
        }
        if self.weight.iter().any(|v| !v.is_finite()) {
            return Err(fail("weights", "hold a number that is not finite"));
        }
        Ok(())
    }

    fn header(&self, out: &mut Vec<u8>, input_step: f32) -> Result<(), StaticModelError> {
        let (code, slope) = self.activation.code();
        out.extend(size(self.inputs)?);
        out.extend(size(self.outputs)?);
        out.extend(code.to_le_bytes());
        out.extend(slope.to_le_bytes());
        out.extend(input_step.to_le_bytes());
        out.extend([0; LAYER_HEADER_LEN - 20]);
        Ok(())
    }

    /// Weights that lead to output `o`.
    fn column(&self, o: usize) -> impl Iterator<Item = f32> + '_ {
        self.weight.iter().skip(o).step_by(self.outputs).copied()
    }

    /// What a row needs up to its stride.
    fn padding(&self) -> usize {
        row_stride(self.inputs) - self.inputs
    }

    fn append_f32(&self, out: &mut Vec<u8>) -> Result<(), StaticModelError> {
        self.header(out, 0.0)?;
        for o in 0..self.outputs {
            out.extend(self.column(o).flat_map(f32::to_le_bytes));
            out.extend(core::iter::repeat_n(0, 4 * self.padding()));
        }
        append_floats(out, &self.bias);
        Ok(())
    }

    fn append_int8(
        &self,
        out: &mut Vec<u8>,
        range: f32,
        index: usize,
    ) -> Result<(), StaticModelError> {
        let input_step = range / activation_limit(self.inputs) as f32;
        if !(input_step.is_finite() && input_step >= f32::MIN_POSITIVE) {
            return Err(StaticModelError::Layer {
                layer: index,
                field: "range of the inputs",
                reason: "is not a positive number",
            });
        }
        self.header(out, input_step)?;
        let mut steps = Vec::with_capacity(self.outputs);
        for o in 0..self.outputs {
            let largest = self.column(o).fold(0.0, |m: f32, w| m.max(w.abs()));
            // The largest weight is 127 units; a row of zeros, or of numbers too small to divide by, becomes zeros.
            let step = largest / 127.0;
            let usable = step >= f32::MIN_POSITIVE;
            steps.push(if usable { step } else { 0.0 });
            let weights = self.column(o).map(|w| {
                if usable {
                    libm::rintf(w / step) as i8
                } else {
                    0
                }
            });
            out.extend(weights.flat_map(i8::to_le_bytes));
            out.extend(core::iter::repeat_n(0, self.padding()));
        }
        append_floats(out, &steps);
        append_floats(out, &self.bias);
        Ok(())
    }
}

/// The largest magnitude of every layer's inputs, to calibrate [`FlatModel::int8_file`] with: the clip of the normaliser for the first
/// layer where there is one; otherwise twice the largest input on `rows` of raw features, which leaves speech that is unlike the rows some room.
///
/// # Errors
/// A row that `model` refuses; a model that is not f32.
pub fn input_ranges<'r>(
    model: &StaticModel<'_>,
    rows: impl IntoIterator<Item = &'r [f32]>,
) -> Result<Vec<f32>, EngineError> {
    let mut largest = vec![0.0_f32; model.layers.len()];
    let mut scratch = vec![0.0; model.scratch_len()];
    let mut code = vec![0.0; model.code_len()];
    let mut logits = vec![0.0; model.label_count()];
    debug_assert_eq!(model.precision(), Precision::F32);
    for row in rows {
        let mut seen = |layer: usize, value: f32| {
            if let Some(m) = largest.get_mut(layer) {
                *m = m.max(value.abs());
            }
        };
        encode_seen(model, &mut scratch, row, &mut code, &mut seen)?;
        classify_seen(model, &mut scratch, &code, &mut logits, &mut seen)?;
    }
    for (index, range) in largest.iter_mut().enumerate() {
        *range = match (*range, index) {
            (_, 0) if model.clip.is_finite() => model.clip,
            // A layer that only ever reads zeros.
            (0.0, _) => 1.0,
            (seen, _) => HEADROOM * seen,
        };
    }
    Ok(largest)
}

fn size(count: usize) -> Result<[u8; 4], StaticModelError> {
    let number = u32::try_from(count).map_err(|_| StaticModelError::Field {
        field: "length",
        reason: "is more than 32 bits hold",
    })?;
    Ok(number.to_le_bytes())
}

/// Appends an array and fills up to [`ALIGNMENT`].
fn append(out: &mut Vec<u8>, bytes: impl IntoIterator<Item = u8>) {
    out.extend(bytes);
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
}

fn append_floats(out: &mut Vec<u8>, values: &[f32]) {
    append(out, values.iter().flat_map(|v| v.to_le_bytes()));
}
