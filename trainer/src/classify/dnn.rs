//! The DNN classifier: reads codes (behind a frozen or a fine-tuned encoder) or features, learns from soft labels.

use burn::tensor::{Device, Tensor};
use rand_chacha::ChaCha8Rng;

use crate::config::{Balance, ClassifierConfig, ClassifierInput, Config};
use crate::data::batches::{Rows, balanced, shuffled};
use crate::data::mixup::{Mixer, Pool};
use crate::data::stream;
use crate::model::{Activation, DenseLayer};
use crate::nn::{
    Adam, AdamConfig, BackendError, Dropout, Mlp, Shape, matrix, soft_cross_entropy, values,
};

/// A classifier in training.
#[derive(Clone, Debug)]
pub struct Dnn {
    /// E, kept as it is; `None` where the classifier reads features or E is part of `net`.
    front: Option<Mlp>,
    /// What is trained: the classifier, with E before it when fine-tuning.
    net: Mlp,
    /// The moving average of `net` over epochs; empty before the first epoch, and where none is asked for.
    averaged: Vec<DenseLayer>,
    /// Layers of `net` that are E's.
    encoder_depth: usize,
    optimiser: Adam,
    config: ClassifierConfig,
    device: Device,
}

/// Every number that training changes.
#[derive(Clone, Debug, PartialEq)]
pub struct DnnState {
    /// The trained layers.
    pub net: Vec<DenseLayer>,
    /// Their moving average; may be empty.
    pub averaged: Vec<DenseLayer>,
    /// Steps and moments of Adam.
    pub adam: (u32, Vec<Vec<f32>>),
}

impl Dnn {
    /// A fresh classifier behind `encoder` (which is not looked at where the classifier reads features).
    pub fn new(
        config: &Config,
        encoder: Option<&Mlp>,
        inputs: usize,
        classes: usize,
        purpose: &str,
        device: &Device,
    ) -> Self {
        let c = &config.classifier;
        let encoder = encoder.filter(|_| c.input == ClassifierInput::Code);
        let first = if encoder.is_some() {
            config.autoencoder.code_size
        } else {
            inputs
        };
        let mut widths = vec![first];
        widths.extend(&c.hidden);
        widths.push(classes);
        let shape = Shape {
            widths,
            hidden: Activation::LeakyRelu(config.autoencoder.leaky_slope as f32),
            output: Activation::Linear,
        };
        let mut rng = stream(config.seed, &format!("{purpose} initial classifier"), 0);
        let head = Mlp::new(&shape, &mut rng, device);
        let (front, net, encoder_depth) = match encoder {
            Some(e) if c.fine_tune => (None, e.clone().then(head), e.depth()),
            Some(e) => (Some(e.frozen()), head, 0),
            None => (None, head, 0),
        };
        Self {
            front,
            net,
            averaged: Vec::new(),
            encoder_depth,
            optimiser: Adam::new(AdamConfig::new(c.weight_decay)),
            config: c.clone(),
            device: device.clone(),
        }
    }

    /// One pass over `rows`; returns the mean loss of its batches.
    ///
    /// # Errors
    /// The backend failed.
    pub fn epoch(
        &mut self,
        rows: &Rows,
        mixer: Option<&Mixer>,
        rng: &mut ChaCha8Rng,
    ) -> Result<f64, BackendError> {
        let c = &self.config;
        let batches = match c.balance {
            Balance::Batches => balanced(&rows.class, rows.classes, c.batch_size, rng),
            Balance::None | Balance::Weights => shuffled(rows.len(), c.batch_size, rng),
        };
        let weights = match c.balance {
            Balance::Weights => rows.class_weights(),
            Balance::None | Balance::Batches => vec![1.0; rows.classes],
        };
        let pool = Pool::new(rows);
        let count = batches.len().max(1) as f64;
        let mut total: Option<Tensor<1>> = None;
        for indices in batches {
            let (x, y) = draw(rows, &indices, mixer, &pool, rng);
            let loss = self.step(x, &y, &weights, rng)?;
            total = Some(match total {
                Some(sum) => sum + loss,
                None => loss,
            });
        }
        let sum = match total {
            Some(sum) => values(sum)?.first().copied().unwrap_or(f32::NAN),
            None => 0.0,
        };
        self.average()?;
        Ok(f64::from(sum) / count)
    }

    /// Moves the average towards the network as this epoch left it.
    fn average(&mut self) -> Result<(), BackendError> {
        let kept = self.config.average as f32;
        if kept == 0.0 {
            return Ok(());
        }
        let newest = self.net.to_layers()?;
        if self.averaged.is_empty() {
            self.averaged = newest;
            return Ok(());
        }
        for (average, newest) in self.averaged.iter_mut().zip(newest) {
            for (a, n) in [
                (&mut average.weight, newest.weight),
                (&mut average.bias, newest.bias),
            ] {
                for (a, n) in a.iter_mut().zip(n) {
                    *a = kept * *a + (1.0 - kept) * n;
                }
            }
        }
        Ok(())
    }

    fn step(
        &mut self,
        x: Vec<f32>,
        y: &[f32],
        weights: &[f32],
        rng: &mut ChaCha8Rng,
    ) -> Result<Tensor<1>, BackendError> {
        let c = &self.config;
        let rows = y.len() / weights.len().max(1);
        let targets = matrix(
            weighted_targets(y, weights, c.label_smoothing as f32),
            rows,
            &self.device,
        );
        let mut x = matrix(x, rows, &self.device);
        if let Some(front) = &self.front {
            x = front.forward(x, &mut Dropout::off());
        }
        let logits = self.net.forward(
            x,
            &mut Dropout::new(c.dropout as f32, c.input_dropout as f32, rng),
        );
        let loss = soft_cross_entropy(logits, targets);
        let mut grads = loss.backward();
        let (tuned, slow, fast) = (self.encoder_depth, c.encoder_learning_rate, c.learning_rate);
        let rate = |layer| if layer < tuned { slow } else { fast };
        self.optimiser.step(&mut self.net, &mut grads, rate)?;
        Ok(loss.without_autodiff())
    }

    /// Logits `[rows, classes]` of normalised rows, without dropout.
    ///
    /// # Errors
    /// The backend failed.
    pub fn logits(&self, rows: &Rows) -> Result<Vec<f32>, BackendError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut x = matrix(rows.values.clone(), rows.len(), &self.device);
        if let Some(front) = &self.front {
            x = front.forward(x, &mut Dropout::off());
        }
        let net = match self.averaged.as_slice() {
            [] => self.net.frozen(),
            layers => Mlp::from_layers(layers, &self.device).frozen(),
        };
        values(net.forward(x, &mut Dropout::off()))
    }

    /// The layers of E as the classifier uses it (empty where it reads features) and those of the classifier.
    ///
    /// # Errors
    /// The backend failed.
    pub fn to_layers(&self) -> Result<(Vec<DenseLayer>, Vec<DenseLayer>), BackendError> {
        let mut net = self.net()?;
        let head = net.split_off(self.encoder_depth);
        match &self.front {
            Some(front) => Ok((front.to_layers()?, head)),
            None => Ok((net, head)),
        }
    }

    /// The trained layers alone (their average, where one is asked for), to come back to with [`set_net`](Self::set_net).
    ///
    /// # Errors
    /// The backend failed.
    pub fn net(&self) -> Result<Vec<DenseLayer>, BackendError> {
        match self.averaged.as_slice() {
            [] => self.net.to_layers(),
            layers => Ok(layers.to_vec()),
        }
    }

    /// Goes back to layers that [`net`](Self::net) gave.
    pub fn set_net(&mut self, layers: &[DenseLayer]) {
        self.net = Mlp::from_layers(layers, &self.device);
        self.averaged.clear();
    }

    /// Every number that training changes.
    ///
    /// # Errors
    /// The backend failed.
    pub fn to_state(&self) -> Result<DnnState, BackendError> {
        Ok(DnnState {
            net: self.net.to_layers()?,
            averaged: self.averaged.clone(),
            adam: self.optimiser.to_state()?,
        })
    }

    /// Takes over a state of [`to_state`](Self::to_state).
    pub fn set_state(&mut self, state: DnnState) {
        self.set_net(&state.net);
        self.averaged = state.averaged;
        let (steps, moments) = state.adam;
        self.optimiser = Adam::from_state(self.optimiser.config(), steps, moments);
    }
}

/// Features and soft labels of `indices`: recordings mixed (if `mixer` is given), synthetic rows as they are, after them.
fn draw(
    rows: &Rows,
    indices: &[usize],
    mixer: Option<&Mixer>,
    pool: &Pool,
    rng: &mut ChaCha8Rng,
) -> (Vec<f32>, Vec<f32>) {
    let mixable = |&&i: &&usize| mixer.is_some() && i < rows.recorded;
    let (mixed, plain): (Vec<usize>, Vec<usize>) = indices.iter().partition(mixable);
    let (mut x, mut y) = match mixer {
        Some(mixer) if !mixed.is_empty() => {
            let batch = mixer.batch(rows, &mixed, pool, rng);
            (batch.values().to_vec(), batch.targets().to_vec())
        }
        _ => (Vec::new(), Vec::new()),
    };
    for i in plain {
        x.extend_from_slice(rows.row(i));
        y.extend_from_slice(rows.target(i));
    }
    (x, y)
}

/// Targets smoothed (t (1 - s) + s / classes), each row times its weight Σ t_c w_c over the sum of weights: the
/// weighted mean of the rows' cross-entropies once summed.
fn weighted_targets(y: &[f32], weights: &[f32], smoothing: f32) -> Vec<f32> {
    let classes = weights.len().max(1);
    let row_weight = |row: &[f32]| row.iter().zip(weights).map(|(t, w)| t * w).sum::<f32>();
    let sum: f32 = y.chunks_exact(classes).map(row_weight).sum();
    let mut out = Vec::with_capacity(y.len());
    for row in y.chunks_exact(classes) {
        let share = if sum > 0.0 {
            row_weight(row) / sum
        } else {
            0.0
        };
        let even = smoothing / classes as f32;
        out.extend(row.iter().map(|t| share * (t * (1.0 - smoothing) + even)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_carry_weights_and_smoothing_and_sum_to_one() {
        let t = weighted_targets(&[1.0, 0.0, 0.0, 1.0, 0.5, 0.5], &[1.0, 3.0], 0.1);
        assert!((t.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        // Weights 1, 3 and 2 of 6.
        let expected = [
            0.95 / 6.0,
            0.05 / 6.0,
            0.05 / 2.0,
            0.95 / 2.0,
            0.5 / 3.0,
            0.5 / 3.0,
        ];
        assert!(
            t.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6),
            "{t:?}"
        );
    }

    #[test]
    fn synthetic_rows_are_never_mixed() {
        let config = Config::from_toml("", "t").unwrap();
        let mixer = Mixer::new(&config.mixup).unwrap();
        let mut rows = Rows::recorded(1, 2, vec![0.0, 1.0, 2.0, 3.0], vec![0, 1, 0, 1]);
        rows.push_synthetic(&[70.0, 80.0], &[0.6, 0.4, 0.1, 0.9]);
        let mut rng = stream(1, "t", 0);
        let (x, y) = draw(
            &rows,
            &[0, 4, 1, 5, 2],
            Some(&mixer),
            &Pool::new(&rows),
            &mut rng,
        );
        assert_eq!(
            (&x[3..], &y[6..]),
            (&[70.0, 80.0][..], &[0.6, 0.4, 0.1, 0.9][..])
        );
        assert!(x[..3].iter().all(|v| *v <= 3.0));
    }
}
