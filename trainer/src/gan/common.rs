//! What the GANs have in common: a network with its optimiser, the discriminator's step, the losses of an epoch.

use burn::tensor::{Device, Tensor};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use ser_runtime::normalise::NormaliserKind;
use serde_json::{Map, Value, json};

use super::mixup_gan::DiscriminatorStep;
use crate::data::stream;
use crate::model::Activation;
use crate::nn::{
    Adam, AdamConfig, BackendError, Dropout, Mlp, Shape, bce_fake, bce_real, matrix, values,
};

/// Sums of named one-element tensors over the batches of an epoch; read from the device once, at its end.
#[derive(Default)]
pub(crate) struct Means {
    sums: Vec<(&'static str, Tensor<1>, usize)>,
}

impl Means {
    pub(crate) fn add<const N: usize>(&mut self, numbers: [(&'static str, Tensor<1>); N]) {
        for (name, value) in numbers {
            match self.sums.iter_mut().find(|(n, ..)| *n == name) {
                Some((_, sum, count)) => {
                    *sum = sum.clone() + value;
                    *count += 1;
                }
                None => self.sums.push((name, value, 1)),
            }
        }
    }

    /// Means by name; a number that is not finite is `null`.
    pub(crate) fn finish(self) -> Result<Map<String, Value>, BackendError> {
        let mut out = Map::new();
        for (name, sum, count) in self.sums {
            let sum = values(sum)?.first().copied().unwrap_or(f32::NAN);
            out.insert(name.into(), json!(f64::from(sum) / count as f64));
        }
        Ok(out)
    }
}

/// The output activation that reaches all normalised rows and not much else: a sigmoid under min-max, linear under z-score.
pub(crate) fn output_activation(kind: NormaliserKind) -> Activation {
    match kind {
        NormaliserKind::MinMax => Activation::Sigmoid,
        NormaliserKind::ZScore => Activation::Linear,
    }
}

/// The shape `first` → `hidden` → `last` with leaky ReLUs between.
pub(crate) fn shape(
    first: usize,
    hidden: &[usize],
    last: usize,
    leaky_slope: f64,
    output: Activation,
) -> Shape {
    let mut widths = vec![first];
    widths.extend(hidden);
    widths.push(last);
    Shape {
        widths,
        hidden: Activation::LeakyRelu(leaky_slope as f32),
        output,
    }
}

/// `len` draws from a normal distribution of mean 0.
pub(crate) fn normals<R: Rng + ?Sized>(len: usize, std: f32, rng: &mut R) -> Vec<f32> {
    (0..len)
        .map(|_| {
            let draw: f32 = StandardNormal.sample(rng);
            std * draw
        })
        .collect()
}

/// `x` with Gaussian noise on every element; as it is where `std` is 0.
pub(crate) fn noisy(x: Tensor<2>, std: f32, rng: &mut ChaCha8Rng) -> Tensor<2> {
    if std == 0.0 {
        return x;
    }
    let [rows, columns] = x.dims();
    let device = x.device().without_autodiff();
    x + matrix(normals(rows * columns, std, rng), rows, &device)
}

/// A network with its own Adam, step size and dropout.
#[derive(Clone, Debug)]
pub(crate) struct Player {
    pub(crate) net: Mlp,
    adam: Adam,
    rate: f64,
    dropout: f32,
}

impl Player {
    /// Fresh weights from the stream of `seed` and `purpose`.
    pub(crate) fn new(
        shape: &Shape,
        seed: u64,
        purpose: &str,
        beta1: f64,
        rate: f64,
        dropout: f64,
        device: &Device,
    ) -> Self {
        let config = AdamConfig {
            beta1: beta1 as f32,
            ..AdamConfig::new(0.0)
        };
        Self {
            net: Mlp::new(shape, &mut stream(seed, purpose, 0), device),
            adam: Adam::new(config),
            rate,
            dropout: dropout as f32,
        }
    }

    /// A pass in training, with gradients for this network.
    pub(crate) fn forward(&self, x: Tensor<2>, rng: &mut ChaCha8Rng) -> Tensor<2> {
        self.net
            .forward(x, &mut Dropout::new(self.dropout, 0.0, rng))
    }

    /// A pass in another's training: dropout as in this network's own, but its weights are constants.
    pub(crate) fn forward_frozen(&self, x: Tensor<2>, rng: &mut ChaCha8Rng) -> Tensor<2> {
        self.net
            .frozen()
            .forward(x, &mut Dropout::new(self.dropout, 0.0, rng))
    }

    /// The trained network at work: no dropout, no gradients.
    pub(crate) fn output(&self, x: Tensor<2>) -> Tensor<2> {
        self.net.frozen().forward(x, &mut Dropout::off())
    }

    pub(crate) fn step(
        &mut self,
        gradients: &mut burn::tensor::Gradients,
    ) -> Result<(), BackendError> {
        let rate = self.rate;
        self.adam.step(&mut self.net, gradients, |_| rate)
    }

    /// As a discriminator: one step towards calling `real` real and `fake` fake.
    pub(crate) fn tell_apart(
        &mut self,
        real: Tensor<2>,
        fake: Tensor<2>,
        rng: &mut ChaCha8Rng,
    ) -> Result<DiscriminatorStep, BackendError> {
        let on_real = self.forward(real, rng);
        let on_fake = self.forward(fake, rng);
        let loss = bce_real(on_real.clone()) + bce_fake(on_fake.clone());
        self.step(&mut loss.backward())?;
        let share = |right: Tensor<2, burn::tensor::Bool>| right.float().mean().without_autodiff();
        Ok(DiscriminatorStep {
            loss: loss.without_autodiff(),
            real_accuracy: share(on_real.without_autodiff().greater_scalar(0.0)),
            fake_accuracy: share(on_fake.without_autodiff().lower_scalar(0.0)),
        })
    }
}
