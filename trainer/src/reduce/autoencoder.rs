//! The autoencoder baseline (PROTOCOL section 1): width - 1000 - 750 - 500 - code - 500 - 750 - 1000 - width with ReLU.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{ReduceError, check};
use crate::classify::svm::hex;
use crate::config::range;
use crate::data::batches::{Rows, shuffled};
use crate::data::mixup::{Mixer, Pool};
use crate::data::stream;
use crate::model::{Activation, DenseLayer};
use crate::nn::{
    Adam, AdamConfig, BackendError, Dropout, Mlp, Shape, matrix, reconstruction, values,
};

/// Rows that pass through the network at once after training.
const AT_ONCE: usize = 2048;

/// Settings of [`Autoencoder::fit`]. In a file, keys that are left out keep their defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AutoencoderConfig {
    /// Widths of the encoder's hidden layers; the decoder has them in reverse.
    pub hidden: Vec<usize>,
    /// Columns of the code, which is linear; not read from files.
    #[serde(skip)]
    pub code: usize,
    /// After the decoder's last layer: linear for standardised features, a sigmoid for features in [0, 1]; not read from files.
    #[serde(skip, default = "linear")]
    pub output: Activation,
    /// Share of hidden units dropped in training.
    pub dropout: f64,
    /// Adam's step size.
    pub learning_rate: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Rows of a step.
    pub batch_size: usize,
    /// Passes over the training rows at most.
    pub epochs: usize,
    /// Epochs without a lower validation error after which training ends.
    pub patience: usize,
}

fn linear() -> Activation {
    Activation::Linear
}

impl Default for AutoencoderConfig {
    fn default() -> Self {
        Self::new(25)
    }
}

impl AutoencoderConfig {
    /// Whether all values are in range.
    ///
    /// # Errors
    /// What is wrong with the first that is not.
    pub fn check(&self) -> Result<(), String> {
        for (key, checked) in [
            ("hidden", range::widths(&self.hidden)),
            ("dropout", range::share(self.dropout)),
            ("learning_rate", range::positive(self.learning_rate)),
            ("weight_decay", range::not_negative(self.weight_decay)),
            ("batch_size", range::natural(self.batch_size)),
            ("epochs", range::natural(self.epochs)),
            ("patience", range::natural(self.patience)),
        ] {
            checked.map_err(|p| format!("`{key}` {p}"))?;
        }
        Ok(())
    }

    /// The baseline's widths, a linear output, no dropout, step size 1e-4, batches of 64, 200 epochs, patience 20.
    pub fn new(code: usize) -> Self {
        Self {
            hidden: vec![1000, 750, 500],
            code,
            output: Activation::Linear,
            dropout: 0.0,
            learning_rate: 1e-4,
            weight_decay: 0.0,
            batch_size: 64,
            epochs: 200,
            patience: 20,
        }
    }
}

/// A trained autoencoder.
#[derive(Clone, Debug)]
pub struct Autoencoder {
    width: usize,
    code: usize,
    encoder: Vec<DenseLayer>,
    decoder: Vec<DenseLayer>,
    validation_errors: Vec<f64>,
    device: Device,
}

impl Autoencoder {
    /// Trains on `train`, mixed anew in each epoch where there is a `mixer`, and keeps the epoch with the lowest reconstruction error on
    /// `validation`; without validation rows, the last epoch.
    ///
    /// # Errors
    /// No training rows (or, to be mixed, no recorded ones), validation rows of another width, the backend failed.
    pub fn fit(
        config: &AutoencoderConfig,
        train: &Rows,
        mixer: Option<&Mixer>,
        validation: &Rows,
        seed: u64,
        device: &Device,
    ) -> Result<Self, ReduceError> {
        let width = train.width;
        check(&train.values, width, 1)?;
        check(&validation.values, width, 0)?;
        if mixer.is_some() && train.recorded == 0 {
            return Err(ReduceError::Shape { values: 0, width });
        }
        if config.code == 0 {
            return Err(ReduceError::Dimensions {
                wanted: 0,
                rows: train.len(),
                width,
                most: width,
            });
        }
        let mut widths = vec![width];
        widths.extend(&config.hidden);
        widths.push(config.code);
        let shape = |widths, output| Shape {
            widths,
            hidden: Activation::Relu,
            output,
        };
        let encoder = shape(widths.clone(), Activation::Linear);
        widths.reverse();
        let decoder = shape(widths, config.output);
        let mut rng = stream(seed, "autoencoder initial encoder", config.code);
        let net = Mlp::new(&encoder, &mut rng, device);
        let depth = net.depth();
        let mut rng = stream(seed, "autoencoder initial decoder", config.code);
        let mut net = net.then(Mlp::new(&decoder, &mut rng, device));
        let mut adam = Adam::new(AdamConfig::new(config.weight_decay));
        let pool = Pool::new(train);
        let mut validation_errors: Vec<f64> = Vec::new();
        let mut best: Option<(usize, f64, Vec<DenseLayer>)> = None;
        for epoch in 0..config.epochs {
            let mut rng = stream(seed, "autoencoder epoch", epoch);
            for indices in shuffled(train.len(), config.batch_size, &mut rng) {
                let x = match mixer {
                    Some(mixer) => mixer
                        .batch(train, &indices, &pool, &mut rng)
                        .values()
                        .to_vec(),
                    None => {
                        let rows = indices.iter().flat_map(|&i| train.row(i));
                        rows.copied().collect()
                    }
                };
                let x = matrix(x, indices.len(), device);
                let mut dropout = Dropout::new(config.dropout as f32, 0.0, &mut rng);
                let loss = reconstruction(x.clone(), net.forward(x, &mut dropout));
                let mut grads = loss.backward();
                adam.step(&mut net, &mut grads, |_| config.learning_rate)?;
            }
            if validation.is_empty() {
                continue;
            }
            let error = error(&net, &validation.values, width, device)?;
            validation_errors.push(error);
            match &best {
                Some((_, least, _)) if error >= *least => {}
                _ => best = Some((epoch, error, net.to_layers()?)),
            }
            if best
                .as_ref()
                .is_some_and(|(at, ..)| epoch - at >= config.patience)
            {
                break;
            }
        }
        let mut encoder = match best {
            Some((_, _, layers)) => layers,
            None => net.to_layers()?,
        };
        let decoder = encoder.split_off(depth);
        Ok(Self {
            width,
            code: config.code,
            encoder,
            decoder,
            validation_errors,
            device: device.clone(),
        })
    }

    /// Codes of `rows` rows, `[rows, code]`.
    ///
    /// # Errors
    /// Values that are not so many rows or not finite; the backend failed.
    pub fn encode(&self, x: &[f32], rows: usize) -> Result<Vec<f32>, ReduceError> {
        if check(x, self.width, 0)? != rows {
            return Err(ReduceError::Shape {
                values: x.len(),
                width: self.width,
            });
        }
        let net = Mlp::from_layers(&self.encoder, &self.device);
        Ok(forward(&net, x, self.width, &self.device)?)
    }

    /// Mean of (x - x̂)² over all values of `x`, `[rows, width]`.
    ///
    /// # Errors
    /// Values that are no whole rows or not finite; the backend failed.
    pub fn reconstruction_error(&self, x: &[f32]) -> Result<f64, ReduceError> {
        check(x, self.width, 1)?;
        let layers = [self.encoder.clone(), self.decoder.clone()].concat();
        let net = Mlp::from_layers(&layers, &self.device);
        Ok(error(&net, x, self.width, &self.device)?)
    }

    /// Columns of a code.
    pub fn code(&self) -> usize {
        self.code
    }

    /// Reconstruction error of the validation rows after each epoch.
    pub fn validation_errors(&self) -> &[f64] {
        &self.validation_errors
    }

    /// SHA-256 over all weights and biases.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for layer in self.encoder.iter().chain(&self.decoder) {
            hash.update(format!(
                "{} {} {:?}",
                layer.inputs, layer.outputs, layer.activation
            ));
            for v in layer.weight.iter().chain(&layer.bias) {
                hash.update(v.to_le_bytes());
            }
        }
        hex(&hash.finalize())
    }
}

/// The network without dropout.
fn forward(net: &Mlp, x: &[f32], width: usize, device: &Device) -> Result<Vec<f32>, BackendError> {
    let net = net.frozen();
    let mut out = Vec::new();
    for block in x.chunks(AT_ONCE * width) {
        let x = matrix(block.to_vec(), block.len() / width, device);
        out.extend(values(net.forward(x, &mut Dropout::off()))?);
    }
    Ok(out)
}

fn error(net: &Mlp, x: &[f32], width: usize, device: &Device) -> Result<f64, BackendError> {
    let x_hat = forward(net, x, width, device)?;
    let squares = x.iter().zip(&x_hat).map(|(a, b)| f64::from(a - b).powi(2));
    Ok(squares.sum::<f64>() / x.len().max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{MixupConfig, Pairing};

    /// Rows on a curved surface of two dimensions.
    fn rows(from: usize, n: usize) -> Rows {
        let values = (from..from + n)
            .flat_map(|i| {
                let (a, b) = ((i as f32 * 0.7).sin(), (i as f32 * 1.3).cos());
                [a, b, a * b, a + b, a - b, a * a]
            })
            .collect();
        Rows::recorded(6, 2, values, (0..n).map(|i| i % 2).collect())
    }

    fn config() -> AutoencoderConfig {
        AutoencoderConfig {
            hidden: vec![16],
            learning_rate: 5e-3,
            batch_size: 16,
            epochs: 60,
            patience: 10,
            ..AutoencoderConfig::new(3)
        }
    }

    #[test]
    fn it_learns_stops_early_and_keeps_the_best_epoch() {
        let (train, valid) = (rows(0, 160), rows(500, 40));
        let device = Device::flex();
        let fit = |seed| Autoencoder::fit(&config(), &train, None, &valid, seed, &device).unwrap();
        let net = fit(1);
        let errors = net.validation_errors();
        let least = errors.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(least < 0.3 * errors[0], "{errors:?}");
        assert_eq!(net.reconstruction_error(&valid.values).unwrap(), least);
        assert_eq!(net.encode(&valid.values, 40).unwrap().len(), 120);
        assert!(net.encode(&valid.values, 39).is_err());
        assert_eq!(net.digest(), fit(1).digest());
        assert_ne!(net.digest(), fit(2).digest());
    }

    #[test]
    fn it_trains_on_mixed_rows_and_refuses_what_it_cannot_use() {
        let (train, none) = (rows(0, 64), rows(0, 0));
        let device = Device::flex();
        let mixup = MixupConfig {
            alpha: 0.2,
            real_share: 0.5,
            pairing: Pairing::Any,
        };
        let mixer = Mixer::new(&mixup).unwrap();
        let short = AutoencoderConfig {
            epochs: 3,
            ..config()
        };
        let fit = |mixer: Option<&Mixer>, rows: &Rows| {
            Autoencoder::fit(&short, rows, mixer, &none, 1, &device)
        };
        let mixed = fit(Some(&mixer), &train).unwrap();
        assert!(mixed.validation_errors().is_empty());
        assert_ne!(mixed.digest(), fit(None, &train).unwrap().digest());
        assert!(fit(None, &none).is_err());
    }
}
