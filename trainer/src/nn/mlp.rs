//! The one network shape of the paper: affine layers with an activation and dropout between them.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData, activation};
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;

use super::{BackendError, matrix, values};
use crate::model::{Activation, DenseLayer};

/// Widths and activations of an [`Mlp`].
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Columns of the input, of each hidden layer and of the output.
    pub widths: Vec<usize>,
    /// After every layer but the last.
    pub hidden: Activation,
    /// After the last layer.
    pub output: Activation,
}

/// Affine layers, each followed by its activation; dropout after hidden layers and, if asked for, on the input.
#[derive(Module, Debug)]
pub struct Mlp {
    layers: Vec<Linear>,
    #[module(skip)]
    activations: Vec<Activation>,
}

/// What dropout does in a forward pass.
#[derive(Debug)]
pub struct Dropout<'r> {
    /// Share of hidden units set to zero (the others grow by 1 / (1 - share)).
    pub hidden: f32,
    /// The same for inputs.
    pub input: f32,
    /// Where masks come from; `None`: no dropout, as after training.
    pub rng: Option<&'r mut ChaCha8Rng>,
}

impl<'r> Dropout<'r> {
    /// No dropout: the network as it will be used.
    pub fn off() -> Self {
        Dropout {
            hidden: 0.0,
            input: 0.0,
            rng: None,
        }
    }

    /// Dropout as in training.
    pub fn new(hidden: f32, input: f32, rng: &'r mut ChaCha8Rng) -> Self {
        Dropout {
            hidden,
            input,
            rng: Some(rng),
        }
    }

    fn apply(&mut self, x: Tensor<2>, share: f32) -> Tensor<2> {
        match &mut self.rng {
            Some(rng) if share > 0.0 => {
                let [rows, columns] = x.dims();
                let mask = mask(rows * columns, share, rng);
                let device = x.device().without_autodiff();
                x * matrix(mask, rows, &device)
            }
            _ => x,
        }
    }
}

/// `len` factors: 0 with probability `share`, else 1 / (1 - share). 16 random bits decide each.
fn mask(len: usize, share: f32, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let keep = 1.0 / (1.0 - share);
    let below = (share * 65536.0).round() as u32;
    let mut bits = vec![0u8; len * 2];
    rng.fill_bytes(&mut bits);
    bits.as_chunks::<2>()
        .0
        .iter()
        .map(|b| {
            if u32::from(u16::from_le_bytes(*b)) < below {
                0.0
            } else {
                keep
            }
        })
        .collect()
}

impl Mlp {
    /// Fresh weights and biases, uniform in ±1/√inputs.
    pub fn new(shape: &Shape, rng: &mut ChaCha8Rng, device: &Device) -> Self {
        let layers = shape
            .widths
            .windows(2)
            .enumerate()
            .map(|(i, w)| {
                let bound = 1.0 / (w[0].max(1) as f32).sqrt();
                let mut draw =
                    |n: usize| (0..n).map(|_| rng.random_range(-bound..=bound)).collect();
                DenseLayer {
                    inputs: w[0],
                    outputs: w[1],
                    weight: draw(w[0] * w[1]),
                    bias: draw(w[1]),
                    activation: if i + 2 == shape.widths.len() {
                        shape.output
                    } else {
                        shape.hidden
                    },
                }
            })
            .collect::<Vec<_>>();
        Self::from_layers(&layers, device)
    }

    /// The network of given layers, ready to be trained.
    pub fn from_layers(layers: &[DenseLayer], device: &Device) -> Self {
        let device = device.clone().autodiff();
        Self {
            layers: layers
                .iter()
                .map(|l| Linear {
                    weight: Param::from_tensor(Tensor::from_data(
                        TensorData::new(l.weight.clone(), [l.inputs, l.outputs]),
                        &device,
                    )),
                    bias: Some(Param::from_tensor(Tensor::from_data(
                        TensorData::new(l.bias.clone(), [l.outputs]),
                        &device,
                    ))),
                })
                .collect(),
            activations: layers.iter().map(|l| l.activation).collect(),
        }
    }

    /// Weights and biases on the host.
    ///
    /// # Errors
    /// The backend cannot hand them over.
    pub fn to_layers(&self) -> Result<Vec<DenseLayer>, BackendError> {
        self.layers
            .iter()
            .zip(&self.activations)
            .map(|(l, &activation)| {
                let weight = l.weight.val();
                let [inputs, outputs] = weight.dims();
                Ok(DenseLayer {
                    inputs,
                    outputs,
                    weight: values(weight)?,
                    bias: match &l.bias {
                        Some(bias) => values(bias.val())?,
                        None => vec![0.0; outputs],
                    },
                    activation,
                })
            })
            .collect()
    }

    /// `self` followed by `next`.
    pub fn then(mut self, next: Self) -> Self {
        self.layers.extend(next.layers);
        self.activations.extend(next.activations);
        self
    }

    /// Number of layers.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// A view without gradients: what passes through it is a constant to whoever is trained.
    pub fn frozen(&self) -> Self {
        self.valid()
    }

    /// `[rows, inputs]` to `[rows, outputs]`.
    pub fn forward(&self, x: Tensor<2>, dropout: &mut Dropout<'_>) -> Tensor<2> {
        let share = dropout.input;
        let mut x = dropout.apply(x, share);
        for (i, (layer, &function)) in self.layers.iter().zip(&self.activations).enumerate() {
            x = match function {
                Activation::Linear => layer.forward(x),
                Activation::LeakyRelu(slope) => {
                    activation::leaky_relu(layer.forward(x), f64::from(slope))
                }
                Activation::Relu => activation::relu(layer.forward(x)),
                Activation::Sigmoid => activation::sigmoid(layer.forward(x)),
            };
            // A linear layer inside a chain is the code: dropout belongs between hidden layers.
            if i + 1 < self.layers.len() && function != Activation::Linear {
                let share = dropout.hidden;
                x = dropout.apply(x, share);
            }
        }
        x
    }

    /// The layers themselves, for the optimiser.
    pub(super) fn layers_mut(&mut self) -> &mut [Linear] {
        &mut self.layers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::stream;

    #[test]
    fn masks_have_their_share_of_zeros_and_mean_one() {
        for share in [0.1, 0.5, 0.8] {
            let m = mask(200_000, share, &mut stream(1, "mask", 0));
            let zeros = m.iter().filter(|&&x| x == 0.0).count() as f32 / m.len() as f32;
            let mean = m.iter().sum::<f32>() / m.len() as f32;
            assert!(
                (zeros - share).abs() < 0.005 && (mean - 1.0).abs() < 0.02,
                "{share}: {zeros} {mean}"
            );
        }
    }

    #[test]
    fn layers_survive_the_round_trip_and_forward_agrees_with_them() {
        let device = Device::flex();
        let shape = Shape {
            widths: vec![3, 5, 2],
            hidden: Activation::LeakyRelu(0.01),
            output: Activation::Sigmoid,
        };
        let net = Mlp::new(&shape, &mut stream(1, "init", 0), &device);
        let layers = net.to_layers().unwrap();
        assert_eq!(
            Mlp::from_layers(&layers, &device).to_layers().unwrap(),
            layers
        );
        let x = [0.3f32, -1.0, 2.0];
        let y = values(net.forward(matrix(x.to_vec(), 1, &device), &mut Dropout::off())).unwrap();
        let mut by_hand = x.to_vec();
        for l in &layers {
            by_hand = (0..l.outputs)
                .map(|o| {
                    let s = l.bias[o]
                        + (0..l.inputs)
                            .map(|i| by_hand[i] * l.weight[i * l.outputs + o])
                            .sum::<f32>();
                    match l.activation {
                        Activation::Sigmoid => 1.0 / (1.0 + (-s).exp()),
                        _ if s < 0.0 => 0.01 * s,
                        _ => s,
                    }
                })
                .collect();
        }
        assert!(
            y.iter().zip(&by_hand).all(|(a, b)| (a - b).abs() < 1e-5),
            "{y:?} {by_hand:?}"
        );
    }
}
