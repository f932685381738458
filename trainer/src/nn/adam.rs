//! Adam with decoupled weight decay (AdamW), as one pass over each parameter.
//!
//! burn's own Adam is a chain of tensor operations; on the CPU backend each is a pass over megabytes of weights and
//! together they cost more than forward and backward. Here host tensors are updated in place by one fused loop;
//! tensors of other devices are updated by the same formula in tensor operations. The state is plain and can be
//! written to a checkpoint and read back without burn's recorder, which would load it to `Device::default()`
//! (the GPU in a GPU build, present or not).

use burn::module::{Param, ParamId};
use burn::tensor::{Device, Gradients, Tensor, TensorData};

use super::kernel::{self, Step};
use super::mlp::Mlp;
use super::{BackendError, is_host, scratch, values};

/// Settings of [`Adam`], named as in Kingma & Ba 2015 and Loshchilov & Hutter 2019.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamConfig {
    /// β₁.
    pub beta1: f32,
    /// β₂.
    pub beta2: f32,
    /// ε, added to the root of the corrected second moment.
    pub epsilon: f32,
    /// Decoupled weight decay: each step first shrinks parameters by learning rate · this.
    pub weight_decay: f64,
}

impl AdamConfig {
    /// β₁ = 0.9, β₂ = 0.999, ε = 1e-8 and the given weight decay.
    pub fn new(weight_decay: f64) -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay,
        }
    }
}

/// Moments of one parameter.
#[derive(Clone, Debug)]
enum Moments {
    Host { first: Vec<f32>, second: Vec<f32> },
    Device(Box<[Tensor<1>; 2]>),
}

/// The optimiser of one network.
#[derive(Clone, Debug)]
pub struct Adam {
    config: AdamConfig,
    steps: u32,
    /// Weight and bias of each layer in turn; empty before the first step.
    moments: Vec<Moments>,
}

impl Adam {
    /// Before the first step.
    pub fn new(config: AdamConfig) -> Self {
        Self {
            config,
            steps: 0,
            moments: Vec::new(),
        }
    }

    /// Takes one step on every parameter of `net` that has a gradient; layer `i` moves with step size
    /// `learning_rate(i)`.
    ///
    /// # Errors
    /// The backend cannot hand a tensor over.
    pub fn step(
        &mut self,
        net: &mut Mlp,
        grads: &mut Gradients,
        learning_rate: impl Fn(usize) -> f64,
    ) -> Result<(), BackendError> {
        self.step_with(net, grads, learning_rate, is_host)
    }

    fn step_with(
        &mut self,
        net: &mut Mlp,
        grads: &mut Gradients,
        learning_rate: impl Fn(usize) -> f64,
        in_place: impl Fn(&Device) -> bool,
    ) -> Result<(), BackendError> {
        self.steps += 1;
        let t = self.steps as i32;
        let c = self.config;
        let correct1 = 1.0 - f64::from(c.beta1).powi(t);
        let correct2 = 1.0 - f64::from(c.beta2).powi(t);
        let mut slot = 0;
        for (i, layer) in net.layers_mut().iter_mut().enumerate() {
            let lr = learning_rate(i);
            let step = Step {
                beta1: c.beta1,
                beta2: c.beta2,
                epsilon: c.epsilon,
                size: (lr / correct1) as f32,
                root: (1.0 / correct2.sqrt()) as f32,
                shrink: (1.0 - lr * c.weight_decay) as f32,
            };
            self.update(slot, &mut layer.weight, grads, step, &in_place)?;
            if let Some(bias) = &mut layer.bias {
                self.update(slot + 1, bias, grads, step, &in_place)?;
            }
            slot += 2;
        }
        Ok(())
    }

    fn update<const D: usize>(
        &mut self,
        slot: usize,
        param: &mut Param<Tensor<D>>,
        grads: &mut Gradients,
        step: Step,
        in_place: &impl Fn(&Device) -> bool,
    ) -> Result<(), BackendError> {
        let Some(gradient) = param.val().grad_remove(grads) else {
            return Ok(());
        };
        let device = gradient.device();
        // Taking the value out leaves no second owner of the weights, so that the host path can write in place.
        let stand_in = Param::initialized(ParamId::new(), Tensor::zeros([1; D], &device));
        let (id, value, _) = std::mem::replace(param, stand_in).consume();
        let shape = value.dims();
        let count = value.shape().num_elements();
        while self.moments.len() <= slot {
            // Filled in below on the first step of this slot.
            self.moments.push(Moments::Host {
                first: Vec::new(),
                second: Vec::new(),
            });
        }
        let moments = &mut self.moments[slot];
        let plain = value.without_autodiff();
        let updated = if in_place(&device) {
            moments.move_to_host(count)?;
            let Moments::Host { first, second } = moments else {
                return Err(BackendError("moments are not on the host".into()));
            };
            let fail = |e: &dyn std::fmt::Display| BackendError(e.to_string());
            let mut data = plain.try_into_data().map_err(|e| fail(&e))?;
            let gradient = gradient.try_into_data().map_err(|e| fail(&e))?;
            let g = gradient.try_into_vec::<f32>().map_err(|e| fail(&e))?;
            kernel::adam(
                data.as_mut_slice::<f32>().map_err(|e| fail(&e))?,
                &g,
                first,
                second,
                step,
            );
            scratch::give(g);
            Tensor::from_data(data, &device)
        } else {
            moments.move_to_device(count, &device);
            let Moments::Device(both) = moments else {
                return Err(BackendError("moments are not on the device".into()));
            };
            let [first, second] = &mut **both;
            let g = gradient.reshape([count]);
            *first = first.clone().mul_scalar(step.beta1) + g.clone().mul_scalar(1.0 - step.beta1);
            *second =
                second.clone().mul_scalar(step.beta2) + g.square().mul_scalar(1.0 - step.beta2);
            let root = second
                .clone()
                .sqrt()
                .mul_scalar(step.root)
                .add_scalar(step.epsilon);
            let delta = first.clone().mul_scalar(step.size) / root;
            (plain.reshape([count]).mul_scalar(step.shrink) - delta).reshape(shape)
        };
        *param = Param::initialized(id, updated.autodiff().require_grad());
        Ok(())
    }

    /// The settings.
    pub fn config(&self) -> AdamConfig {
        self.config
    }

    /// Number of steps taken and, for each parameter in turn, first and second moments.
    ///
    /// # Errors
    /// The backend cannot hand a tensor over.
    pub fn to_state(&self) -> Result<(u32, Vec<Vec<f32>>), BackendError> {
        let mut out = Vec::with_capacity(2 * self.moments.len());
        for m in &self.moments {
            match m {
                Moments::Host { first, second } => out.extend([first.clone(), second.clone()]),
                Moments::Device(both) => {
                    for tensor in both.iter() {
                        out.push(values(tensor.clone())?);
                    }
                }
            }
        }
        Ok((self.steps, out))
    }

    /// The inverse of [`to_state`](Self::to_state); moments move to the device of the parameters with the next step.
    pub fn from_state(config: AdamConfig, steps: u32, state: Vec<Vec<f32>>) -> Self {
        let mut state = state.into_iter();
        let mut moments = Vec::new();
        while let (Some(first), Some(second)) = (state.next(), state.next()) {
            moments.push(Moments::Host { first, second });
        }
        Self {
            config,
            steps,
            moments,
        }
    }
}

impl Moments {
    fn move_to_host(&mut self, count: usize) -> Result<(), BackendError> {
        match self {
            Self::Host { first, second } => {
                if first.is_empty() {
                    *first = vec![0.0; count];
                    *second = vec![0.0; count];
                }
            }
            Self::Device(both) => {
                let [first, second] = &**both;
                *self = Self::Host {
                    first: values(first.clone())?,
                    second: values(second.clone())?,
                };
            }
        }
        Ok(())
    }

    fn move_to_device(&mut self, count: usize, device: &Device) {
        if let Self::Host { first, second } = self {
            let tensor = |v: &mut Vec<f32>| {
                let v = if v.is_empty() {
                    vec![0.0; count]
                } else {
                    std::mem::take(v)
                };
                Tensor::from_data(TensorData::new(v, [count]), device)
            };
            *self = Self::Device(Box::new([tensor(first), tensor(second)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::stream;
    use crate::model::Activation;
    use crate::nn::{Dropout, Shape, matrix, reconstruction};

    fn net() -> Mlp {
        let shape = Shape {
            widths: vec![4, 6, 3],
            hidden: Activation::LeakyRelu(0.01),
            output: Activation::Linear,
        };
        Mlp::new(&shape, &mut stream(5, "init", 0), &Device::flex())
    }

    fn gradients(net: &Mlp) -> Gradients {
        let device = Device::flex();
        let x: Vec<f32> = (0..20).map(|i| (i as f32 * 0.7).sin()).collect();
        let y: Vec<f32> = (0..15).map(|i| (i as f32 * 1.3).cos()).collect();
        let out = net.forward(matrix(x, 5, &device), &mut Dropout::off());
        reconstruction(matrix(y, 5, &device), out).backward()
    }

    #[test]
    fn five_steps_equal_the_textbook_formula_in_double_precision() {
        let (lr, wd) = (0.01, 0.1);
        let mut trained = net();
        let mut adam = Adam::new(AdamConfig::new(wd));
        let mut expected: Vec<Vec<f64>> = flat(&trained);
        let mut m: Vec<Vec<f64>> = expected.iter().map(|p| vec![0.0; p.len()]).collect();
        let mut v = m.clone();
        for t in 1..=5 {
            let mut grads = gradients(&trained);
            let g: Vec<Vec<f64>> = peek(&trained, &grads);
            adam.step(&mut trained, &mut grads, |_| lr).unwrap();
            for k in 0..g.len() {
                for i in 0..g[k].len() {
                    m[k][i] = 0.9 * m[k][i] + 0.1 * g[k][i];
                    v[k][i] = 0.999 * v[k][i] + 0.001 * g[k][i] * g[k][i];
                    let mh = m[k][i] / (1.0 - 0.9f64.powi(t));
                    let vh = v[k][i] / (1.0 - 0.999f64.powi(t));
                    expected[k][i] -= lr * wd * expected[k][i];
                    expected[k][i] -= lr * mh / (vh.sqrt() + 1e-8);
                }
            }
        }
        for (a, b) in flat(&trained).concat().iter().zip(expected.concat()) {
            assert!((a - b).abs() < 2e-5, "{a} {b}");
        }
    }

    #[test]
    fn tensor_operations_and_the_fused_loop_agree() {
        let (mut a, mut fused) = (net(), Adam::new(AdamConfig::new(0.02)));
        let (mut b, mut tensors) = (net(), Adam::new(AdamConfig::new(0.02)));
        for k in 0..6 {
            let (mut ga, mut gb) = (gradients(&a), gradients(&b));
            fused.step(&mut a, &mut ga, |_| 0.01).unwrap();
            // Moments change sides halfway, as they do when a run is taken up on another device.
            tensors
                .step_with(&mut b, &mut gb, |_| 0.01, |_| k == 3)
                .unwrap();
        }
        for (x, y) in flat(&a).concat().iter().zip(flat(&b).concat()) {
            assert!((x - y).abs() < 1e-6, "{x} {y}");
        }
    }

    #[test]
    fn state_round_trips_and_goes_on_bit_for_bit() {
        let (mut a, mut adam) = (net(), Adam::new(AdamConfig::new(0.0)));
        for _ in 0..3 {
            let mut g = gradients(&a);
            adam.step(&mut a, &mut g, |layer| 0.01 * (layer + 1) as f64)
                .unwrap();
        }
        let mut b = Mlp::from_layers(&a.to_layers().unwrap(), &Device::flex());
        let (steps, state) = adam.to_state().unwrap();
        let mut again = Adam::from_state(AdamConfig::new(0.0), steps, state);
        for _ in 0..2 {
            let (mut ga, mut gb) = (gradients(&a), gradients(&b));
            adam.step(&mut a, &mut ga, |_| 0.01).unwrap();
            again.step(&mut b, &mut gb, |_| 0.01).unwrap();
        }
        assert_eq!(a.to_layers().unwrap(), b.to_layers().unwrap());
    }

    fn flat(net: &Mlp) -> Vec<Vec<f64>> {
        let wide = |v: &[f32]| v.iter().map(|&x| f64::from(x)).collect();
        net.to_layers()
            .unwrap()
            .iter()
            .flat_map(|l| [wide(&l.weight), wide(&l.bias)])
            .collect()
    }

    fn peek(net: &Mlp, grads: &Gradients) -> Vec<Vec<f64>> {
        let mut net = net.clone();
        let wide = |v: Vec<f32>| v.into_iter().map(f64::from).collect();
        net.layers_mut()
            .iter()
            .flat_map(|l| {
                [
                    wide(values(l.weight.val().grad(grads).unwrap()).unwrap()),
                    wide(values(l.bias.as_ref().unwrap().val().grad(grads).unwrap()).unwrap()),
                ]
            })
            .collect()
    }
}
