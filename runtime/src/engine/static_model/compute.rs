//! The engine: normaliser and layers over borrowed weights.

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
    let mut normalised = model.selection().zip(model.offset.iter().zip(model.scale));
    // No more often than there are columns: the lengths were checked.
    let next = || {
        let Some((index, (offset, scale))) = normalised.next() else {
            return 0.0;
        };
        let feature = features.get(index).copied().unwrap_or(f32::NAN);
        let z = (feature - offset) * scale;
        finite &= feature.is_finite() && !z.is_nan();
        z.clamp(-model.clip, model.clip)
    };
    run(model, model.encoder(), 0, scratch, next, code, seen)?;
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
    let mut values = code.iter().copied();
    let next = || values.next().unwrap_or_default();
    let first = model.encoder_layers;
    run(
        model,
        model.classifier(),
        first,
        scratch,
        next,
        logits,
        seen,
    )?;
    check_finite("logits", logits)
}

/// Feeds what `next` gives to the first of `layers`, whose number is `first`, and writes what the last one gives to `into`.
fn run(
    model: &StaticModel<'_>,
    layers: &[Layer<'_>],
    first: usize,
    scratch: &mut [f32],
    mut next: impl FnMut() -> f32,
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
            chain_f32(layers, first, even, odd, next, into, seen);
        }
        Precision::Int8 => {
            let integers: &mut [i16] = bytemuck::cast_slice_mut(scratch);
            let split = integers.split_at_mut_checked(even);
            let (even, odd) = split.ok_or_else(too_small)?;
            if layers.is_empty() {
                into.fill_with(next);
            } else {
                chain_int8(layers, even, odd, &mut next, into);
            }
        }
    }
    Ok(())
}

fn chain_f32(
    layers: &[Layer<'_>],
    first: usize,
    even: &mut [f32],
    odd: &mut [f32],
    mut next: impl FnMut() -> f32,
    into: &mut [f32],
    seen: &mut impl FnMut(usize, f32),
) {
    let (mut input, mut output) = (even, odd);
    let Some(front) = layers.first() else {
        into.fill_with(next);
        return;
    };
    fill(input, front, &mut next);
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
            kernel::dots_f32(rows, x, &mut sums);
            for ((y, sum), bias) in y.iter_mut().zip(sums).zip(biases) {
                *y = layer.activation.apply(sum + bias);
            }
        }
        core::mem::swap(&mut input, &mut output);
    }
}

fn chain_int8(
    layers: &[Layer<'_>],
    even: &mut [i16],
    odd: &mut [i16],
    next: &mut impl FnMut() -> f32,
    into: &mut [f32],
) {
    let (mut input, mut output) = (even, odd);
    let mut quantiser = Quantiser::of(layers.first());
    if let Some(front) = layers.first() {
        fill(input, front, &mut || quantiser.apply(next()));
    }
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
        let mut sums = [0; BLOCK];
        let blocks = rows.chunks(BLOCK * layer.stride());
        let parameters = steps.chunks(BLOCK).zip(layer.bias.chunks(BLOCK));
        for (block, (rows, (steps, biases))) in blocks.zip(parameters).enumerate() {
            kernel::dots_i8(rows, x, &mut sums);
            let y = steps
                .iter()
                .zip(biases)
                .zip(sums)
                .map(|((step, bias), sum)| {
                    let y = sum as f32 * (input_step * step) + bias;
                    layer.activation.apply(y)
                });
            if follower.is_some() {
                let target = output[block * BLOCK..].iter_mut();
                target.zip(y).for_each(|(q, y)| *q = quantiser.apply(y));
            } else {
                let target = into[block * BLOCK..].iter_mut();
                target.zip(y).for_each(|(into, y)| *into = y);
            }
        }
        core::mem::swap(&mut input, &mut output);
    }
}

/// The inputs of the first layer, and zeros behind them up to its stride.
fn fill<T: Default + Clone>(buffer: &mut [T], layer: &Layer<'_>, next: &mut impl FnMut() -> T) {
    let (values, rest) = buffer[..layer.stride()].split_at_mut(layer.inputs);
    values.fill_with(next);
    rest.fill(T::default());
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
