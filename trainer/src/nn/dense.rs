//! A dense layer with its activation and dropout as one operation of burn's CPU backend.
//!
//! burn computes such a layer as a chain of tensor operations, each with its own pass and its own fresh memory, and
//! its autodiff adds a chain of the same length. Here each direction is one matrix product (two backwards) and one
//! pass; what is not asked for - gradients of frozen weights or of the network's input - is not computed.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use super::mask::Mask;
use super::{kernel, scratch};
use crate::model::Activation;

/// What follows the affine map.
#[derive(Clone, Debug)]
pub struct After {
    activation: Activation,
    mask: Option<Mask>,
}

/// The operation, on tensors of the CPU backend.
#[backend_extension(Autodiff, Flex)]
pub trait DenseOp: Backend {
    /// mask · activation(x·w + b) for x `[rows, inputs]`, w `[inputs, outputs]`, b `[outputs]`.
    fn dense(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
        after: After,
    ) -> FloatTensor<Self>;
}

/// Whether [`dense`] knows the derivative of `activation` from its value.
pub(super) fn covers(activation: Activation) -> bool {
    match activation {
        Activation::Linear | Activation::Relu | Activation::Sigmoid => true,
        // Below zero the value must show the sign of its argument.
        Activation::LeakyRelu(slope) => slope >= 0.0,
    }
}

/// mask · activation(x·w + b) of tensors on the CPU.
pub(super) fn dense(
    x: Tensor<2>,
    w: Tensor<2>,
    b: Tensor<1>,
    activation: Activation,
    mask: Option<Mask>,
) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as DenseOp>::dense(
        x.into_dispatch(),
        w.into_dispatch(),
        b.into_dispatch(),
        After { activation, mask },
    ))
}

impl DenseOp for Flex {
    fn dense(x: FlexTensor, w: FlexTensor, b: FlexTensor, after: After) -> FlexTensor {
        let (x, w, b) = (x.to_contiguous(), w.to_contiguous(), b.to_contiguous());
        let [rows, inputs, outputs] = sizes(&x, &w);
        let mut out = scratch::take(rows * outputs);
        kernel::forward(values(&x), values(&w), rows, inputs, &mut out);
        let bias = values(&b);
        rows_mut(&mut out, outputs, |row, out| after.forward(row, bias, out));
        tensor(out, [rows, outputs])
    }
}

impl<C: CheckpointStrategy> DenseOp for Autodiff<Flex, C> {
    fn dense(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
        after: After,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), w.node(), b.node()];
        let (x, w, b) = (x.into_primitive(), w.into_primitive(), b.into_primitive());
        match DenseBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let y = Flex::dense(x.clone(), w.clone(), b, after.clone());
                prep.finish((x, w, y.clone(), after), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(Flex::dense(x, w, b, after)),
        }
    }
}

#[derive(Debug)]
struct DenseBackward;

impl Backward<Flex, 3> for DenseBackward {
    /// x, w, the layer's result, and what follows the affine map.
    type State = (FlexTensor, FlexTensor, FlexTensor, After);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [node_x, node_w, node_b] = ops.parents;
        let (x, w, y, after) = ops.state;
        let (x, w) = (x.to_contiguous(), w.to_contiguous());
        let [rows, inputs, outputs] = sizes(&x, &w);
        let mut d = into_values(grads.consume::<Flex>(&ops.node));
        rows_mut(&mut d, outputs, |row, d| {
            after.backward(row, &values(&y)[row * outputs..][..d.len()], d);
        });
        if y.is_unique() {
            scratch::give(into_values(y));
        }
        if let Some(node) = node_b {
            let mut sums = vec![0.0f32; outputs];
            for row in d.chunks_exact(outputs.max(1)) {
                for (s, d) in sums.iter_mut().zip(row) {
                    *s += d;
                }
            }
            grads.register::<Flex>(node.id, tensor(sums, [outputs]));
        }
        if let Some(node) = node_x {
            let mut out = scratch::take(rows * inputs);
            kernel::input_gradient(&d, values(&w), rows, inputs, &mut out);
            grads.register::<Flex>(node.id, tensor(out, [rows, inputs]));
        }
        if let Some(node) = node_w {
            let mut out = scratch::take(inputs * outputs);
            kernel::weight_gradient(values(&x), &d, rows, inputs, &mut out);
            grads.register::<Flex>(node.id, tensor(out, [inputs, outputs]));
        }
        scratch::give(d);
    }
}

impl After {
    /// Bias, activation and mask on row `row` of x·w.
    fn forward(&self, row: usize, bias: &[f32], out: &mut [f32]) {
        for (o, b) in out.iter_mut().zip(bias) {
            *o += b;
        }
        match self.activation {
            Activation::Linear => {}
            Activation::LeakyRelu(slope) => {
                for o in out.iter_mut() {
                    *o *= if *o > 0.0 { 1.0 } else { slope };
                }
            }
            Activation::Relu => {
                for o in out.iter_mut() {
                    // Not `max`, which would hide a NaN.
                    *o = if *o < 0.0 { 0.0 } else { *o };
                }
            }
            Activation::Sigmoid => {
                for o in out.iter_mut() {
                    *o = sigmoid(*o);
                }
            }
        }
        self.mask(row, out);
    }

    /// From the gradient of the result to the gradient of x·w + b; `y` is the result.
    fn backward(&self, row: usize, y: &[f32], d: &mut [f32]) {
        self.mask(row, d);
        let factor = match &self.mask {
            Some(mask) => 1.0 / mask.keep(),
            None => 1.0,
        };
        match self.activation {
            Activation::Linear => {}
            Activation::LeakyRelu(slope) => {
                for (d, y) in d.iter_mut().zip(y) {
                    *d *= if *y > 0.0 { 1.0 } else { slope };
                }
            }
            Activation::Relu => {
                for (d, y) in d.iter_mut().zip(y) {
                    *d *= if *y > 0.0 { 1.0 } else { 0.0 };
                }
            }
            Activation::Sigmoid => {
                for (d, y) in d.iter_mut().zip(y) {
                    let y = y * factor;
                    *d *= y * (1.0 - y);
                }
            }
        }
    }

    fn mask(&self, row: usize, out: &mut [f32]) {
        if let Some(mask) = &self.mask {
            mask.apply(row * out.len(), out);
        }
    }
}

/// 1 / (1 + e⁻ˣ) without overflow.
fn sigmoid(x: f32) -> f32 {
    let e = (-x.abs()).exp();
    if x < 0.0 {
        e / (1.0 + e)
    } else {
        1.0 / (1.0 + e)
    }
}

/// Elements that make a pass worth sharing between threads.
const PASS: usize = 1 << 15;

/// `f(row, values)` for every row of `data`.
fn rows_mut(data: &mut [f32], columns: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    let columns = columns.max(1);
    if data.len() < PASS {
        data.chunks_exact_mut(columns)
            .enumerate()
            .for_each(|(i, row)| f(i, row));
    } else {
        let group = (PASS / 4).div_ceil(columns);
        data.par_chunks_mut(group * columns)
            .enumerate()
            .for_each(|(g, rows)| {
                for (i, row) in rows.chunks_exact_mut(columns).enumerate() {
                    f(g * group + i, row);
                }
            });
    }
}

/// Rows of x, inputs and outputs of w.
fn sizes(x: &FlexTensor, w: &FlexTensor) -> [usize; 3] {
    let (x, w) = (x.layout().shape(), w.layout().shape());
    [x[0], w[0], w[1]]
}

/// The values of a contiguous tensor.
fn values(t: &FlexTensor) -> &[f32] {
    t.as_slice::<f32>().unwrap_or_default()
}

/// The same, copied only where another tensor shares them.
fn into_values(t: FlexTensor) -> Vec<f32> {
    t.into_data().try_into_vec::<f32>().unwrap_or_default()
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}
