//! The mixup-GAN (PROTOCOL section 1): encoder E, generator G, discriminator D and their training steps.
//!
//! E and G are pre-trained as an autoencoder on mixed rows; then every batch brings an autoencoder step on E and G
//! (eq. 3), a generator step on G alone (eq. 4, non-saturating) and a discriminator step on D. D's real side takes
//! [`RealRows`] and nothing else, so that a mixed row cannot pass for a real one.

use burn::tensor::{Device, Tensor};
use rand_chacha::ChaCha8Rng;
use ser_runtime::normalise::NormaliserKind;

use crate::config::Config;
use crate::data::mixup::{MixedBatch, RealRows};
use crate::data::stream;
use crate::model::{Activation, DenseLayer};
use crate::nn::{
    Adam, AdamConfig, BackendError, Dropout, Mlp, Shape, bce_fake, bce_real, matrix,
    reconstruction, values,
};

/// E, G and D with their optimisers.
#[derive(Clone, Debug)]
pub struct MixupGan {
    /// Features to codes.
    pub encoder: Mlp,
    /// Codes to features.
    pub generator: Mlp,
    /// Features to one logit, positive for real.
    pub discriminator: Mlp,
    optimisers: Optimisers,
    dropout: f32,
    input_dropout: f32,
    discriminator_dropout: f32,
    device: Device,
}

/// One Adam for each network and loss.
#[derive(Clone, Debug)]
struct Optimisers {
    encoder: Adam,
    decoder: Adam,
    generator: Adam,
    discriminator: Adam,
}

/// Step sizes of one batch.
#[derive(Clone, Copy, Debug)]
pub struct LearningRates {
    /// Autoencoder step on E and G.
    pub autoencoder: f64,
    /// Generator step on G.
    pub generator: f64,
    /// Discriminator step on D.
    pub discriminator: f64,
}

/// What a discriminator step saw, as device tensors that need not be read at once.
#[derive(Clone, Debug)]
pub struct DiscriminatorStep {
    /// Binary cross-entropy, real and fake halves added.
    pub loss: Tensor<1>,
    /// Share of real rows called real.
    pub real_accuracy: Tensor<1>,
    /// Share of synthetic rows called fake.
    pub fake_accuracy: Tensor<1>,
}

impl MixupGan {
    /// Untrained networks for rows of `width` features; `purpose` tells the phases of a run apart.
    pub fn new(config: &Config, width: usize, purpose: &str, device: &Device) -> Self {
        let (encoder, generator, discriminator) = shapes(config, width);
        let net = |shape: &Shape, name: &str| {
            Mlp::new(
                shape,
                &mut stream(config.seed, &format!("{purpose} initial {name}"), 0),
                device,
            )
        };
        let adam = || Adam::new(AdamConfig::new(0.0));
        let decayed = || Adam::new(AdamConfig::new(config.autoencoder.weight_decay));
        Self {
            encoder: net(&encoder, "encoder"),
            generator: net(&generator, "generator"),
            discriminator: net(&discriminator, "discriminator"),
            optimisers: Optimisers {
                encoder: decayed(),
                decoder: decayed(),
                generator: adam(),
                discriminator: adam(),
            },
            dropout: config.autoencoder.dropout as f32,
            input_dropout: config.autoencoder.input_dropout as f32,
            discriminator_dropout: config.gan.discriminator_dropout as f32,
            device: device.clone(),
        }
    }

    /// Eq. 3: one step on E and G towards ‖x - G(E(x))‖² = 0. Returns the loss per element.
    ///
    /// # Errors
    /// The backend failed.
    pub fn autoencoder_step(
        &mut self,
        batch: &MixedBatch,
        learning_rate: f64,
        rng: &mut ChaCha8Rng,
    ) -> Result<Tensor<1>, BackendError> {
        let x = self.tensor(batch.values(), batch.rows());
        let code = self.encoder.forward(
            x.clone(),
            &mut Dropout::new(self.dropout, self.input_dropout, rng),
        );
        let x_hat = self
            .generator
            .forward(code, &mut Dropout::new(self.dropout, 0.0, rng));
        let loss = reconstruction(x, x_hat);
        let mut grads = loss.backward();
        self.optimisers
            .encoder
            .step(&mut self.encoder, &mut grads, |_| learning_rate)?;
        self.optimisers
            .decoder
            .step(&mut self.generator, &mut grads, |_| learning_rate)?;
        Ok(loss.without_autodiff())
    }

    /// Eq. 4 for G, non-saturating: one step on G alone towards D calling G(E(x)) real. Returns the loss.
    ///
    /// # Errors
    /// The backend failed.
    pub fn generator_step(
        &mut self,
        codes: Tensor<2>,
        learning_rate: f64,
        rng: &mut ChaCha8Rng,
    ) -> Result<Tensor<1>, BackendError> {
        let fake = self
            .generator
            .forward(codes, &mut Dropout::new(self.dropout, 0.0, rng));
        let judge = self.discriminator.frozen();
        let loss = bce_real(judge.forward(
            fake,
            &mut Dropout::new(self.discriminator_dropout, 0.0, rng),
        ));
        let mut grads = loss.backward();
        self.optimisers
            .generator
            .step(&mut self.generator, &mut grads, |_| learning_rate)?;
        Ok(loss.without_autodiff())
    }

    /// Eq. 4 for D: one step on D alone towards calling `real` real and G(codes) fake.
    ///
    /// # Errors
    /// The backend failed.
    pub fn discriminator_step(
        &mut self,
        real: RealRows<'_>,
        codes: Tensor<2>,
        learning_rate: f64,
        rng: &mut ChaCha8Rng,
    ) -> Result<DiscriminatorStep, BackendError> {
        let fake = self
            .generator
            .frozen()
            .forward(codes, &mut Dropout::new(self.dropout, 0.0, rng));
        let real = self.tensor(real.values(), real.rows());
        let mut judge = |x| {
            let mut dropout = Dropout::new(self.discriminator_dropout, 0.0, rng);
            self.discriminator.forward(x, &mut dropout)
        };
        let on_real = judge(real);
        let on_fake = judge(fake);
        let loss = bce_real(on_real.clone()) + bce_fake(on_fake.clone());
        let mut grads = loss.backward();
        self.optimisers
            .discriminator
            .step(&mut self.discriminator, &mut grads, |_| learning_rate)?;
        let share = |right: Tensor<2, burn::tensor::Bool>| right.float().mean().without_autodiff();
        Ok(DiscriminatorStep {
            loss: loss.without_autodiff(),
            real_accuracy: share(on_real.without_autodiff().greater_scalar(0.0)),
            fake_accuracy: share(on_fake.without_autodiff().lower_scalar(0.0)),
        })
    }

    /// All three steps on one batch, in the paper's order. Returns the losses of eq. 3 and of G, and D's step.
    ///
    /// # Errors
    /// The backend failed.
    pub fn adversarial_step(
        &mut self,
        batch: &MixedBatch,
        rates: LearningRates,
        rng: &mut ChaCha8Rng,
    ) -> Result<(Tensor<1>, Tensor<1>, DiscriminatorStep), BackendError> {
        let reconstruction = self.autoencoder_step(batch, rates.autoencoder, rng)?;
        let x = self.tensor(batch.values(), batch.rows());
        let codes = self
            .encoder
            .frozen()
            .forward(x, &mut Dropout::new(self.dropout, self.input_dropout, rng));
        let generator = self.generator_step(codes.clone(), rates.generator, rng)?;
        let discriminator =
            self.discriminator_step(batch.real(), codes, rates.discriminator, rng)?;
        Ok((reconstruction, generator, discriminator))
    }

    /// G(E(x)) without dropout: synthetic rows, `[rows, width]`.
    ///
    /// # Errors
    /// The backend failed.
    pub fn synthesise(&self, x: &[f32], rows: usize) -> Result<Vec<f32>, BackendError> {
        let codes = self
            .encoder
            .frozen()
            .forward(self.tensor(x, rows), &mut Dropout::off());
        values(self.generator.frozen().forward(codes, &mut Dropout::off()))
    }

    /// E(x) without dropout, `[rows, code_size]`.
    ///
    /// # Errors
    /// The backend failed.
    pub fn encode(&self, x: &[f32], rows: usize) -> Result<Vec<f32>, BackendError> {
        values(
            self.encoder
                .frozen()
                .forward(self.tensor(x, rows), &mut Dropout::off()),
        )
    }

    /// Mean of (x - G(E(x)))² without dropout.
    ///
    /// # Errors
    /// The backend failed.
    pub fn reconstruction_error(&self, x: &[f32], rows: usize) -> Result<f64, BackendError> {
        let x_hat = self.synthesise(x, rows)?;
        let sum: f64 = x
            .iter()
            .zip(&x_hat)
            .map(|(a, b)| f64::from(a - b).powi(2))
            .sum();
        Ok(sum / x.len().max(1) as f64)
    }

    fn tensor(&self, x: &[f32], rows: usize) -> Tensor<2> {
        matrix(x.to_vec(), rows, &self.device)
    }

    /// Forgets the optimisers' moments, which only further steps would need.
    pub fn end_training(&mut self) {
        let o = &mut self.optimisers;
        for adam in [
            &mut o.encoder,
            &mut o.decoder,
            &mut o.generator,
            &mut o.discriminator,
        ] {
            *adam = Adam::new(adam.config());
        }
    }

    /// Every number that training changes: networks with their optimisers, in a fixed order.
    ///
    /// # Errors
    /// The backend failed.
    pub fn to_state(&self) -> Result<GanState, BackendError> {
        let o = &self.optimisers;
        let mut adams = Vec::new();
        for adam in [&o.encoder, &o.decoder, &o.generator, &o.discriminator] {
            adams.push(adam.to_state()?);
        }
        Ok(GanState {
            networks: vec![
                self.encoder.to_layers()?,
                self.generator.to_layers()?,
                self.discriminator.to_layers()?,
            ],
            adams,
        })
    }

    /// Takes over a state of [`to_state`](Self::to_state) of the same configuration; `None` where the shapes are others.
    pub fn with_state(mut self, state: GanState) -> Option<Self> {
        let [encoder, generator, discriminator]: [Vec<DenseLayer>; 3] =
            state.networks.try_into().ok()?;
        let [a, b, c, d]: [_; 4] = state.adams.try_into().ok()?;
        let decayed = self.optimisers.encoder.config();
        let plain = self.optimisers.generator.config();
        self.encoder = Mlp::from_layers(&encoder, &self.device);
        self.generator = Mlp::from_layers(&generator, &self.device);
        self.discriminator = Mlp::from_layers(&discriminator, &self.device);
        let adam = |config, (steps, moments)| Adam::from_state(config, steps, moments);
        self.optimisers = Optimisers {
            encoder: adam(decayed, a),
            decoder: adam(decayed, b),
            generator: adam(plain, c),
            discriminator: adam(plain, d),
        };
        Some(self)
    }
}

/// Every number that training changes.
#[derive(Clone, Debug, PartialEq)]
pub struct GanState {
    /// E, G, D.
    pub networks: Vec<Vec<DenseLayer>>,
    /// Steps and moments of the optimisers of E, G as decoder, G as generator, D.
    pub adams: Vec<(u32, Vec<Vec<f32>>)>,
}

/// Shapes of E, G and D for rows of `width` features.
pub fn shapes(config: &Config, width: usize) -> (Shape, Shape, Shape) {
    let a = &config.autoencoder;
    let hidden = Activation::LeakyRelu(a.leaky_slope as f32);
    let chain = |first: usize, middle: &mut dyn Iterator<Item = usize>, last: usize| {
        let mut widths = vec![first];
        widths.extend(middle);
        widths.push(last);
        widths
    };
    let output = match config.normaliser.kind {
        NormaliserKind::MinMax => Activation::Sigmoid,
        NormaliserKind::ZScore => Activation::Linear,
    };
    let shape = |widths, output| Shape {
        widths,
        hidden,
        output,
    };
    (
        shape(
            chain(width, &mut a.hidden.iter().copied(), a.code_size),
            Activation::Linear,
        ),
        shape(
            chain(a.code_size, &mut a.hidden.iter().rev().copied(), width),
            output,
        ),
        shape(
            chain(
                width,
                &mut config.gan.discriminator_hidden.iter().copied(),
                1,
            ),
            Activation::Linear,
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::batches::Rows;
    use crate::data::mixup::{Mixer, Pool};

    fn config(extra: &str) -> Config {
        let text = format!(
            "[autoencoder]\ncode_size = 2\nhidden = [16, 8]\ndropout = 0.0\n[gan]\ndiscriminator_hidden = [16]\n{extra}"
        );
        Config::from_toml(&text, "test").unwrap()
    }

    /// Rows on a line through 6-dimensional space.
    fn rows() -> Rows {
        let values = (0..40)
            .flat_map(|i| {
                let t = (i as f32 - 20.0) / 10.0;
                [t, -t, 0.5 * t, 2.0 * t, 0.1, -0.3 * t]
            })
            .collect();
        Rows::recorded(
            6,
            2,
            values,
            (0..40).map(|i| usize::from(i >= 20)).collect(),
        )
    }

    fn batch(config: &Config, index: usize) -> MixedBatch {
        let rows = rows();
        let all: Vec<usize> = (0..rows.len()).collect();
        Mixer::new(&config.mixup).unwrap().batch(
            &rows,
            &all,
            &Pool::new(&rows),
            &mut stream(1, "mix", index),
        )
    }

    fn number(t: Tensor<1>) -> f32 {
        values(t).unwrap()[0]
    }

    #[test]
    fn the_autoencoder_learns_to_reconstruct() {
        let config = config("");
        let mut gan = MixupGan::new(&config, 6, "t", &Device::flex());
        let rows = rows();
        let before = gan.reconstruction_error(&rows.values, 40).unwrap();
        for i in 0..300 {
            gan.autoencoder_step(&batch(&config, i), 3e-3, &mut stream(1, "drop", i))
                .unwrap();
        }
        let after = gan.reconstruction_error(&rows.values, 40).unwrap();
        assert!(after < 0.05 * before, "{before} -> {after}");
    }

    #[test]
    fn each_step_moves_its_own_networks_and_no_other() {
        let config = config("");
        let gan = MixupGan::new(&config, 6, "t", &Device::flex());
        let b = batch(&config, 0);
        let codes = || {
            gan.encoder.frozen().forward(
                matrix(b.values().to_vec(), b.rows(), &Device::flex()),
                &mut Dropout::off(),
            )
        };
        let moved = |after: &MixupGan| {
            let nets = |g: &MixupGan| g.to_state().unwrap().networks;
            nets(&gan)
                .iter()
                .zip(&nets(after))
                .map(|(a, b)| a != b)
                .collect::<Vec<_>>()
        };
        let mut ae = gan.clone();
        ae.autoencoder_step(&b, 1e-3, &mut stream(1, "d", 0))
            .unwrap();
        assert_eq!(moved(&ae), [true, true, false]);
        let mut g = gan.clone();
        g.generator_step(codes(), 1e-3, &mut stream(1, "d", 0))
            .unwrap();
        assert_eq!(moved(&g), [false, true, false]);
        let mut d = gan.clone();
        d.discriminator_step(b.real(), codes(), 1e-3, &mut stream(1, "d", 0))
            .unwrap();
        assert_eq!(moved(&d), [false, false, true]);
    }

    /// Mixed rows turned to NaN must not reach D's real side: its loss stays finite and, with codes from clean rows, D
    /// ends exactly where it ends without the poison. Real rows turned to NaN do reach it, so the test can fail.
    #[test]
    fn the_discriminator_never_sees_a_mixed_row_as_real() {
        let config = config("");
        let clean = batch(&config, 3);
        let mut poisoned = clean.clone();
        poisoned.mixed_values_mut().fill(f32::NAN);
        let gan = MixupGan::new(&config, 6, "t", &Device::flex());
        let codes = gan.encoder.frozen().forward(
            matrix(clean.values().to_vec(), clean.rows(), &Device::flex()),
            &mut Dropout::off(),
        );
        let after = |b: &MixedBatch| {
            let mut gan = gan.clone();
            let step = gan
                .discriminator_step(b.real(), codes.clone(), 1e-3, &mut stream(1, "d", 0))
                .unwrap();
            (number(step.loss), gan.discriminator.to_layers().unwrap())
        };
        let (loss, d) = after(&clean);
        let (poisoned_loss, poisoned_d) = after(&poisoned);
        assert!(loss.is_finite());
        assert_eq!((loss, d), (poisoned_loss, poisoned_d));

        let rows = rows();
        let mut bad = rows.clone();
        bad.values.fill(f32::NAN);
        let all: Vec<usize> = (0..40).collect();
        let b = Mixer::new(&config.mixup).unwrap().batch(
            &bad,
            &all,
            &Pool::new(&bad),
            &mut stream(1, "mix", 0),
        );
        assert!(after(&b).0.is_nan());
    }

    #[test]
    fn the_discriminator_learns_to_tell_real_from_synthetic() {
        let config = config("");
        let mut gan = MixupGan::new(&config, 6, "t", &Device::flex());
        let mut last = None;
        for i in 0..150 {
            let b = batch(&config, i);
            let codes = gan.encoder.frozen().forward(
                matrix(b.values().to_vec(), b.rows(), &Device::flex()),
                &mut Dropout::off(),
            );
            last = Some(
                gan.discriminator_step(b.real(), codes, 3e-3, &mut stream(1, "d", i))
                    .unwrap(),
            );
        }
        let last = last.unwrap();
        assert!(number(last.real_accuracy) > 0.9 && number(last.fake_accuracy) > 0.9);
    }

    #[test]
    fn min_max_rows_are_generated_inside_their_range() {
        let mut config = config("");
        config.normaliser.kind = NormaliserKind::MinMax;
        let gan = MixupGan::new(&config, 6, "t", &Device::flex());
        let out = gan.synthesise(&[9.0; 12], 2).unwrap();
        assert!(out.iter().all(|v| (0.0..=1.0).contains(v)));
    }

    #[test]
    fn a_restored_gan_goes_on_bit_for_bit() {
        let config = config("");
        let rates = LearningRates {
            autoencoder: 1e-3,
            generator: 1e-3,
            discriminator: 1e-3,
        };
        let step = |g: &mut MixupGan, i| {
            g.adversarial_step(&batch(&config, i), rates, &mut stream(1, "d", i))
                .unwrap();
        };
        let mut whole = MixupGan::new(&config, 6, "t", &Device::flex());
        (0..4).for_each(|i| step(&mut whole, i));
        let mut parts = MixupGan::new(&config, 6, "t", &Device::flex());
        (0..2).for_each(|i| step(&mut parts, i));
        let state = parts.to_state().unwrap();
        let mut parts = MixupGan::new(&config, 6, "other", &Device::flex())
            .with_state(state)
            .unwrap();
        (2..4).for_each(|i| step(&mut parts, i));
        assert_eq!(whole.to_state().unwrap(), parts.to_state().unwrap());
    }
}
