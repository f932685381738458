//! The one network shape of the paper: affine layers with an activation and dropout between them.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData, activation};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::mask::Mask;
use super::{BackendError, dense, is_host, matrix, values};
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

    /// Factors for `[rows, columns]`, where there is dropout at all.
    fn draw(&mut self, [rows, columns]: [usize; 2], share: f32) -> Option<Mask> {
        match &mut self.rng {
            Some(rng) if share > 0.0 => Some(Mask::draw(rows * columns, share, rng)),
            _ => None,
        }
    }
}

fn apply(mask: Option<Mask>, x: Tensor<2>) -> Tensor<2> {
    match mask {
        Some(mask) => {
            let device = x.device().without_autodiff();
            let rows = x.dims()[0];
            x * matrix(mask.to_vec(), rows, &device)
        }
        None => x,
    }
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
        let on_host = is_host(&x.device().without_autodiff());
        self.forward_with(x, dropout, on_host)
    }

    /// As [`forward`](Self::forward); `fused` asks for the operation of [`dense`], which only the CPU backend has.
    fn forward_with(&self, x: Tensor<2>, dropout: &mut Dropout<'_>, fused: bool) -> Tensor<2> {
        let mask = dropout.draw(x.dims(), dropout.input);
        let mut x = apply(mask, x);
        for (i, (layer, &function)) in self.layers.iter().zip(&self.activations).enumerate() {
            // A linear layer inside a chain is the code: dropout belongs between hidden layers.
            let mask = if i + 1 < self.layers.len() && function != Activation::Linear {
                let outputs = layer.weight.val().dims()[1];
                dropout.draw([x.dims()[0], outputs], dropout.hidden)
            } else {
                None
            };
            x = match &layer.bias {
                Some(bias) if fused && dense::covers(function) => {
                    dense::dense(x, layer.weight.val(), bias.val(), function, mask)
                }
                _ => {
                    let y = layer.forward(x);
                    let y = match function {
                        Activation::Linear => y,
                        Activation::LeakyRelu(slope) => activation::leaky_relu(y, f64::from(slope)),
                        Activation::Relu => activation::relu(y),
                        Activation::Sigmoid => activation::sigmoid(y),
                    };
                    apply(mask, y)
                }
            };
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
    use crate::nn::{Adam, AdamConfig, bce_fake, bce_real, reconstruction, soft_cross_entropy};

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

    /// Gradients of every parameter of `own` for a loss through `own` (twice) and a frozen network, by either path.
    fn gradients(own: &Mlp, judge: &Mlp, share: f32, loss: usize, fused: bool) -> Vec<Vec<f32>> {
        let device = Device::flex();
        let numbers = |n: usize, f: f32| (0..n).map(|i| (i as f32 * f).sin()).collect::<Vec<_>>();
        let input = |f| matrix(numbers(6 * 7, f), 6, &device.clone().autodiff()).require_grad();
        let (x, other) = (input(0.7), input(1.9));
        let target = || matrix(numbers(6 * 4, 0.3), 6, &device);
        let mut rng = stream(1, "drop", 0);
        let mut out = |x: &Tensor<2>| {
            let mut dropout = Dropout::new(share, share / 2.0, &mut rng);
            let y = own.forward_with(x.clone(), &mut dropout, fused);
            judge.forward_with(y, &mut dropout, fused)
        };
        let (first, second) = (out(&x), out(&other));
        let mut grads = match loss {
            0 => reconstruction(target(), first) + reconstruction(target(), second),
            1 => bce_real(first) + bce_fake(second),
            _ => soft_cross_entropy(first, target().abs()) + bce_real(second),
        }
        .backward();
        let mut own = own.clone();
        let layers = own.layers_mut().iter_mut();
        let mut all: Vec<_> = layers
            .flat_map(|l| {
                let bias = l.bias.as_ref().unwrap().val().grad_remove(&mut grads);
                [
                    values(l.weight.val().grad_remove(&mut grads).unwrap()).unwrap(),
                    values(bias.unwrap()).unwrap(),
                ]
            })
            .collect();
        for x in [x, other] {
            all.push(values(x.grad_remove(&mut grads).unwrap()).unwrap());
        }
        assert!(
            judge
                .layers
                .iter()
                .all(|l| l.weight.val().grad(&grads).is_none())
        );
        all
    }

    #[test]
    fn the_fused_layers_and_burns_own_operations_have_the_same_gradients() {
        for (hidden, output) in [
            (Activation::LeakyRelu(0.01), Activation::Linear),
            (Activation::Relu, Activation::Sigmoid),
            (Activation::Sigmoid, Activation::LeakyRelu(0.0)),
            (Activation::Linear, Activation::Relu),
        ] {
            let net = |widths: &[usize], name| {
                let shape = Shape {
                    widths: widths.to_vec(),
                    hidden,
                    output,
                };
                Mlp::new(&shape, &mut stream(1, name, 0), &Device::flex())
            };
            let own = net(&[7, 9, 8, 5], "own");
            let judge = net(&[5, 11, 4], "judge").frozen();
            for share in [0.0, 0.4] {
                for loss in 0..3 {
                    let fused = gradients(&own, &judge, share, loss, true);
                    let plain = gradients(&own, &judge, share, loss, false);
                    for (f, p) in fused.iter().zip(&plain) {
                        assert_eq!(f.len(), p.len());
                        for (f, p) in f.iter().zip(p) {
                            assert!(
                                (f - p).abs() < 1e-5 * p.abs().max(1.0),
                                "{hidden:?} {share} {loss}: {f} {p}"
                            );
                        }
                    }
                }
            }
        }
    }

    /// Products and passes of this size are cut into parts.
    #[test]
    fn training_gives_the_same_numbers_on_any_number_of_threads() {
        let train = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                let device = Device::flex();
                let shape = Shape {
                    widths: vec![330, 700, 330],
                    hidden: Activation::LeakyRelu(0.01),
                    output: Activation::Linear,
                };
                let mut net = Mlp::new(&shape, &mut stream(1, "init", 0), &device);
                let mut adam = Adam::new(AdamConfig::new(0.0));
                let x: Vec<f32> = (0..64 * 330).map(|i| (i as f32 * 0.7).sin()).collect();
                for i in 0..3 {
                    let x = matrix(x.clone(), 64, &device);
                    let mut rng = stream(1, "drop", i);
                    let y = net.forward(x.clone(), &mut Dropout::new(0.5, 0.1, &mut rng));
                    let mut grads = reconstruction(x, y).backward();
                    adam.step(&mut net, &mut grads, |_| 1e-3).unwrap();
                }
                net.to_layers().unwrap()
            })
        };
        let one = train(1);
        assert!(one == train(2) && one == train(3));
    }
}
