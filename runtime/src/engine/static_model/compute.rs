//! The engine: normaliser and layers over borrowed weights.

use ser_features::FeatureGroups;

use super::kernel;
use super::layer::{Layer, Weights, activation_limit};
use super::{Precision, StaticModel, StaticModelError};
use crate::engine::{Engine, EngineError, check_finite, check_width};

/// Rows of weights that one call of a kernel takes.
const BLOCK: usize = 32;
/// 1.5 · 2^23: adding it to a float of less than 2^22 leaves the nearest integer in the low bits, ties to even.
const ROUND: f32 = 12_582_912.0;

/// Computes a [`StaticModel`] in the caller's scratch memory: an array, a mutable slice or a vector of at least
/// [`StaticModel::scratch_len`] floats.
#[derive(Debug, Clone)]
pub struct StaticEngine<'a, S> {
    model: StaticModel<'a>,
    scratch: S,
}

impl<'a, S: AsMut<[f32]>> StaticEngine<'a, S> {
    /// Joins a model and its memory.
    ///
    /// # Errors
    /// [`StaticModelError::Scratch`] for too little of it.
    pub fn new(model: StaticModel<'a>, mut scratch: S) -> Result<Self, StaticModelError> {
        let (found, needed) = (scratch.as_mut().len(), model.scratch_len());
        if found < needed {
            return Err(StaticModelError::Scratch { found, needed });
        }
        Ok(Self { model, scratch })
    }
}

impl<'a, S> StaticEngine<'a, S> {
    /// The model.
    pub fn model(&self) -> &StaticModel<'a> {
        &self.model
    }
}

impl<S: AsMut<[f32]>> Engine for StaticEngine<'_, S> {
    fn feature_count(&self) -> usize {
        self.model.feature_count()
    }

    fn code_len(&self) -> usize {
        self.model.code_len()
    }

    fn label_count(&self) -> usize {
        self.model.label_count()
    }

    fn groups(&self) -> FeatureGroups {
        self.model.groups()
    }

    /// Of features that the model does not read ([`StaticModel::selection`]) nothing is asked.
    fn encode(&mut self, features: &[f32], code: &mut [f32]) -> Result<(), EngineError> {
        encode(&self.model, self.scratch.as_mut(), features, code)
    }

    fn classify(&mut self, code: &[f32], logits: &mut [f32]) -> Result<(), EngineError> {
        classify(&self.model, self.scratch.as_mut(), code, logits)
    }
}

/// [`Engine::encode`] in borrowed memory.
pub(super) fn encode(
    model: &StaticModel<'_>,
    scratch: &mut [f32],
    features: &[f32],
    code: &mut [f32],
) -> Result<(), EngineError> {
    encode_seen(model, scratch, features, code, &mut |_, _| ())
}

/// [`encode`], with `seen(layer, value)` called for every number that a layer of an f32 model reads.
pub(super) fn encode_seen(
    model: &StaticModel<'_>,
    scratch: &mut [f32],
    features: &[f32],
    code: &mut [f32],
    seen: &mut impl FnMut(usize, f32),
) -> Result<(), EngineError> {
    check_width("features", features, model.feature_count())?;
    check_width("code", code, model.code_len())?;
    let mut finite = true;
    let read = |start: usize, block: &mut [f32]| {
        let columns = start..start + block.len();
        if model.selection.is_empty() {
            block.copy_from_slice(&features[columns.clone()]);
        } else {
            for (value, &index) in block.iter_mut().zip(&model.selection[columns.clone()]) {
                *value = features[index as usize];
            }
        }
        let parameters = model.offset[columns.clone()]
            .iter()
            .zip(&model.scale[columns]);
        for (value, (offset, scale)) in block.iter_mut().zip(parameters) {
            let z = (*value - offset) * scale;
            finite &= value.is_finite() & !z.is_nan();
            *value = z.clamp(-model.clip, model.clip);
        }
    };
    run(model, model.encoder(), 0, scratch, read, code, seen)?;
    if !finite {
        return Err(EngineError::NotFinite { what: "features" });
    }
    check_finite("code", code)
}

/// [`Engine::classify`] in borrowed memory.
pub(super) fn classify(
    model: &StaticModel<'_>,
    scratch: &mut [f32],
    code: &[f32],
    logits: &mut [f32],
) -> Result<(), EngineError> {
    classify_seen(model, scratch, code, logits, &mut |_, _| ())
}

/// [`classify`], with `seen(layer, value)` called for every number that a layer of an f32 model reads.
pub(super) fn classify_seen(
    model: &StaticModel<'_>,
    scratch: &mut [f32],
    code: &[f32],
    logits: &mut [f32],
    seen: &mut impl FnMut(usize, f32),
) -> Result<(), EngineError> {
    check_width("code", code, model.code_len())?;
    check_width("logits", logits, model.label_count())?;
    check_finite("code", code)?;
    let read = |start: usize, block: &mut [f32]| {
        block.copy_from_slice(&code[start..start + block.len()]);
    };
    let first = model.encoder_layers;
    run(
        model,
        model.classifier(),
        first,
        scratch,
        read,
        logits,
        seen,
    )?;
    check_finite("logits", logits)
}

/// Feeds the first of `layers`, whose number is `first`, with what `read(start, block)` puts into blocks of consecutive inputs, and writes
/// what the last layer gives to `into`.
fn run(
    model: &StaticModel<'_>,
    layers: &[Layer<'_>],
    first: usize,
    scratch: &mut [f32],
    mut read: impl FnMut(usize, &mut [f32]),
    into: &mut [f32],
    seen: &mut impl FnMut(usize, f32),
) -> Result<(), EngineError> {
    let (found, expected) = (scratch.len(), model.scratch_len());
    let too_small = || EngineError::Width {
        what: "scratch memory",
        found,
        expected,
    };
    let scratch = scratch.get_mut(..expected).ok_or_else(too_small)?;
    let (even, _) = model.buffers();
    match model.precision {
        Precision::F32 => {
            let split = scratch.split_at_mut_checked(even);
            let (even, odd) = split.ok_or_else(too_small)?;
            chain_f32(layers, first, even, odd, &mut read, into, seen);
        }
        Precision::Int8 => {
            let integers: &mut [i16] = bytemuck::cast_slice_mut(scratch);
            let split = integers.split_at_mut_checked(even);
            let (even, odd) = split.ok_or_else(too_small)?;
            chain_int8(layers, even, odd, &mut read, into);
        }
    }
    Ok(())
}

fn chain_f32(
    layers: &[Layer<'_>],
    first: usize,
    even: &mut [f32],
    odd: &mut [f32],
    read: &mut impl FnMut(usize, &mut [f32]),
    into: &mut [f32],
    seen: &mut impl FnMut(usize, f32),
) {
    let (mut input, mut output) = (even, odd);
    let Some(front) = layers.first() else {
        return read(0, into);
    };
    let (values, padding) = input[..front.stride()].split_at_mut(front.inputs);
    read(0, values);
    padding.fill(0.0);
    for (index, layer) in layers.iter().enumerate() {
        let Weights::F32(weights) = layer.weights else {
            return;
        };
        let x = &input[..layer.stride()];
        x[..layer.inputs]
            .iter()
            .for_each(|&v| seen(first + index, v));
        let mut sums = [0.0; BLOCK];
        let target = match layers.get(index + 1) {
            None => &mut *into,
            Some(follower) => {
                output[layer.outputs..follower.stride()].fill(0.0);
                &mut *output
            }
        };
        let blocks = weights.chunks(BLOCK * layer.stride());
        let biases = layer.bias.chunks(BLOCK);
        for ((rows, biases), y) in blocks.zip(biases).zip(target.chunks_mut(BLOCK)) {
            kernel::dots_f32(rows, x, &mut sums[..biases.len()]);
            for ((y, sum), bias) in y.iter_mut().zip(sums).zip(biases) {
                *y = sum + bias;
            }
            layer.activation.apply(y);
        }
        core::mem::swap(&mut input, &mut output);
    }
}

fn chain_int8(
    layers: &[Layer<'_>],
    even: &mut [i16],
    odd: &mut [i16],
    read: &mut impl FnMut(usize, &mut [f32]),
    into: &mut [f32],
) {
    let (mut input, mut output) = (even, odd);
    let Some(front) = layers.first() else {
        return read(0, into);
    };
    let mut quantiser = Quantiser::of(Some(front));
    let (values, padding) = input[..front.stride()].split_at_mut(front.inputs);
    let mut block = [0.0; BLOCK];
    for (index, values) in values.chunks_mut(BLOCK).enumerate() {
        let block = &mut block[..values.len()];
        read(index * BLOCK, block);
        quantiser.apply_all(block, values);
    }
    padding.fill(0);
    for (index, layer) in layers.iter().enumerate() {
        let Weights::Int8 {
            rows,
            steps,
            input_step,
        } = layer.weights
        else {
            return;
        };
        let x = &input[..layer.stride()];
        let follower = layers.get(index + 1);
        quantiser = Quantiser::of(follower);
        if let Some(follower) = follower {
            output[layer.outputs..follower.stride()].fill(0);
        }
        let (mut sums, mut block) = ([0; BLOCK], [0.0; BLOCK]);
        let blocks = rows.chunks(BLOCK * layer.stride());
        let parameters = steps.chunks(BLOCK).zip(layer.bias.chunks(BLOCK));
        for (index, (rows, (steps, biases))) in blocks.zip(parameters).enumerate() {
            let (sums, y) = (&mut sums[..biases.len()], &mut block[..biases.len()]);
            kernel::dots_i8(rows, x, sums);
            for (((y, sum), step), bias) in y.iter_mut().zip(sums).zip(steps).zip(biases) {
                *y = *sum as f32 * (input_step * step) + bias;
            }
            layer.activation.apply(y);
            let at = index * BLOCK..index * BLOCK + y.len();
            match follower {
                Some(_) => quantiser.apply_all(y, &mut output[at]),
                None => into[at].copy_from_slice(y),
            }
        }
        core::mem::swap(&mut input, &mut output);
    }
}

/// Makes integers of a layer's inputs.
#[derive(Clone, Copy)]
struct Quantiser {
    per_unit: f32,
    limit: f32,
}

impl Quantiser {
    /// That of `layer`; of no use without one.
    fn of(layer: Option<&Layer<'_>>) -> Self {
        match layer.map(|layer| (layer.weights, layer.inputs)) {
            Some((Weights::Int8 { input_step, .. }, inputs)) => Self {
                per_unit: 1.0 / input_step,
                limit: activation_limit(inputs) as f32,
            },
            _ => Self {
                per_unit: 0.0,
                limit: 0.0,
            },
        }
    }

    fn apply_all(self, values: &[f32], into: &mut [i16]) {
        for (q, &value) in into.iter_mut().zip(values) {
            *q = self.apply(value);
        }
    }

    /// The nearest integer, ties to even; what lies outside the range becomes its end. NaN, which no checked model gives, becomes the lower end.
    #[inline(always)]
    fn apply(self, value: f32) -> i16 {
        let units = (value * self.per_unit).max(-self.limit).min(self.limit);
        (units + ROUND).to_bits().wrapping_sub(ROUND.to_bits()) as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_to_nearest_ties_to_even_and_saturates() {
        let quantiser = Quantiser {
            per_unit: 1.0,
            limit: 8191.0,
        };
        for (value, expected) in [
            (0.0, 0),
            (-0.0, 0),
            (0.5, 0),
            (1.5, 2),
            (-0.5, 0),
            (-1.5, -2),
            (-2.51, -3),
            (8190.4, 8190),
            (1e30, 8191),
            (f32::NEG_INFINITY, -8191),
            (f32::NAN, -8191),
        ] {
            assert_eq!(quantiser.apply(value), expected, "{value}");
        }
    }
}
