//! One dense layer of the flat file.

use super::StaticModelError;
use super::format::{Cursor, LAYER_HEADER_LEN, MAX_WIDTH, row_stride};

/// Largest magnitude of a quantised activation where the layer is not too wide for it.
const ACTIVATION_LIMIT: i32 = 8191;

/// The function that follows the affine map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// y = x.
    Linear,
    /// y = max(x, 0).
    Relu,
    /// y = x for x ≥ 0, slope · x below.
    LeakyRelu(f32),
    /// y = 1 / (1 + e⁻ˣ).
    Sigmoid,
}

impl Activation {
    /// Code in the file, and the slope.
    #[cfg(feature = "alloc")]
    pub(super) fn code(self) -> (u32, f32) {
        match self {
            Self::Linear => (0, 0.0),
            Self::Relu => (1, 0.0),
            Self::LeakyRelu(slope) => (2, slope),
            Self::Sigmoid => (3, 0.0),
        }
    }

    fn from_code(code: u32, slope: f32) -> Result<Self, &'static str> {
        let activation = match code {
            0 => Self::Linear,
            1 => Self::Relu,
            2 => Self::LeakyRelu(slope),
            3 => Self::Sigmoid,
            _ => return Err("is of an unknown kind"),
        };
        if slope.is_finite() {
            Ok(activation)
        } else {
            Err("has a slope that is not finite")
        }
    }

    /// The function itself, of each of `values`; [`libm`] gives the same bits on every machine.
    pub(super) fn apply(self, values: &mut [f32]) {
        match self {
            Self::Linear => {}
            Self::Relu => values.iter_mut().for_each(|x| *x = x.max(0.0)),
            Self::LeakyRelu(slope) => {
                for x in values {
                    *x = if *x < 0.0 { *x * slope } else { *x };
                }
            }
            Self::Sigmoid => {
                for x in values {
                    *x = 1.0 / (1.0 + libm::expf(-*x));
                }
            }
        }
    }
}

/// How weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats.
    F32,
    /// 8-bit integers with one step an output; activations are integers of 14 bits.
    Int8,
}

/// The weights of a layer, `outputs` rows of [`Layer::stride`] elements.
#[derive(Debug, Clone, Copy)]
pub(super) enum Weights<'a> {
    F32(&'a [f32]),
    Int8 {
        rows: &'a [i8],
        /// Value of one unit of a weight, by output.
        steps: &'a [f32],
        /// Value of one unit of an input.
        input_step: f32,
    },
}

/// y = activation(W x + b).
#[derive(Debug, Clone, Copy)]
pub(super) struct Layer<'a> {
    pub inputs: usize,
    pub outputs: usize,
    pub weights: Weights<'a>,
    pub bias: &'a [f32],
    pub activation: Activation,
}

impl<'a> Layer<'a> {
    /// Reads layer number `index`; its shapes are right afterwards, its numbers unseen: [`Self::check_numbers`].
    pub fn read(
        cursor: &mut Cursor<'a>,
        precision: Precision,
        index: usize,
    ) -> Result<Self, StaticModelError> {
        let fail = |field, reason| StaticModelError::Layer {
            layer: index,
            field,
            reason,
        };
        let mut header = Cursor::new(cursor.take(LAYER_HEADER_LEN, "the header of a layer")?);
        let inputs = header.count("inputs")?;
        let outputs = header.count("outputs")?;
        for (side, width) in [("inputs", inputs), ("outputs", outputs)] {
            if width == 0 || width > MAX_WIDTH {
                return Err(StaticModelError::Width {
                    layer: index,
                    side,
                    width,
                });
            }
        }
        let (code, slope) = (header.u32("activation")?, header.f32("slope")?);
        let activation =
            Activation::from_code(code, slope).map_err(|reason| fail("activation", reason))?;
        let input_step = header.f32("input step")?;
        // Neither factor is above 2^20 (+ 15), so this does not overflow 64 bits; 32-bit machines may have to refuse it.
        let too_large = fail("weights", "are more than this machine can address");
        let elements = row_stride(inputs).checked_mul(outputs).ok_or(too_large)?;
        let weights = match precision {
            Precision::F32 => Weights::F32(cursor.array(elements, "weights")?),
            Precision::Int8 => {
                if !(input_step.is_finite() && input_step >= f32::MIN_POSITIVE) {
                    return Err(fail("input step", "is not a positive number"));
                }
                Weights::Int8 {
                    rows: cursor.array(elements, "weights")?,
                    steps: cursor.array(outputs, "weight steps")?,
                    input_step,
                }
            }
        };
        Ok(Self {
            inputs,
            outputs,
            weights,
            bias: cursor.array(outputs, "biases")?,
            activation,
        })
    }

    /// Refuses NaN and infinity anywhere in the layer.
    pub fn check_numbers(&self, index: usize) -> Result<(), StaticModelError> {
        let arrays = match self.weights {
            Weights::F32(weights) => [("weights", weights), ("biases", self.bias)],
            Weights::Int8 { steps, .. } => [("weight steps", steps), ("biases", self.bias)],
        };
        for (field, array) in arrays {
            if array.iter().any(|v| !v.is_finite()) {
                return Err(StaticModelError::Layer {
                    layer: index,
                    field,
                    reason: "hold a number that is not finite",
                });
            }
        }
        Ok(())
    }

    /// Elements of a row of weights, and of the input in scratch memory.
    pub fn stride(&self) -> usize {
        row_stride(self.inputs)
    }
}

/// Largest magnitude of a quantised input of a layer of `inputs` inputs: no sum of products with 8-bit weights leaves `i32`.
pub(super) fn activation_limit(inputs: usize) -> i32 {
    // The stride is at most 2^20 + 15, so the quotient is at least 15.
    let most = i32::MAX as usize / (128 * row_stride(inputs).max(1));
    i32::try_from(most).map_or(ACTIVATION_LIMIT, |most| most.min(ACTIVATION_LIMIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_products_fit() {
        for inputs in [1, 400, 1582, 2048, 2049, 20_000, MAX_WIDTH] {
            let limit = activation_limit(inputs);
            assert!(limit >= 15);
            let largest = 128 * i64::from(limit) * row_stride(inputs) as i64;
            assert!(largest <= i64::from(i32::MAX), "{inputs}");
        }
        assert_eq!(activation_limit(1582), ACTIVATION_LIMIT);
    }
}
