//! Emotion transfer by CycleGANs (Bao, Neumann, Vu 2019, "CycleGAN-based Emotion Style Transfer as Data Augmentation
//! for Speech Emotion Recognition", Interspeech).
//!
//! For each emotion one CycleGAN between an unlabelled source set and that emotion's training rows: feed-forward
//! generators G (source to target) and F (back) on feature vectors and a discriminator on either side. G and F minimise
//! adversarial losses (non-saturating), the cycle consistency |F(G(s)) - s| + |G(F(t)) - t| (mean over elements, Zhu et
//! al. 2017; in units of the training values' spread, so that its weight means the same under each normaliser), and the
//! cross-entropy of a classifier on G(s) with the target emotion as label. The classifier is trained before on the
//! training rows and is then left as it is. Synthetic rows are G(s) and carry the target emotion.
//!
//! Ours, as in [`prior_gan`](super::prior_gan): dropout in the discriminators, and noise on their inputs that fades out.

use burn::tensor::{Device, Tensor};
use rand_chacha::ChaCha8Rng;
use ser_runtime::normalise::NormaliserKind;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::common::{Means, Player, noisy, output_activation, shape};
use crate::augment::{
    AugmentError, EpochLosses, Synthetic, check_input, check_output, check_values, draws,
    epoch_losses, first_problem, members, proportions, spread,
};
use crate::classify::dnn::Dnn;
use crate::config::{Balance, ClassifierInput, Config, range};
use crate::data::batches::{Rows, shuffled};
use crate::data::stream;
use crate::model::Activation;
use crate::nn::{BackendError, Dropout, Mlp, bce_real, matrix, soft_cross_entropy, values};

const METHOD: &str = "cycle-gan";

/// Settings of [`synthesise`]. In a file, keys that are left out keep their defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CycleGanConfig {
    /// Weight of the adversarial losses of G and F.
    pub adversarial_weight: f64,
    /// Weight of the cycle-consistency losses.
    pub cycle_weight: f64,
    /// Weight of the classifier's cross-entropy on G's rows; 0: no classifier.
    pub classification_weight: f64,
    /// Widths of the hidden layers of G and F.
    pub generator_hidden: Vec<usize>,
    /// Widths of the discriminators' hidden layers.
    pub discriminator_hidden: Vec<usize>,
    /// Widths of the classifier's hidden layers.
    pub classifier_hidden: Vec<usize>,
    /// Slope of the leaky ReLU below 0.
    pub leaky_slope: f64,
    /// Share of the hidden units of G and F that dropout silences in training.
    pub generator_dropout: f64,
    /// The same for the discriminators.
    pub discriminator_dropout: f64,
    /// The same for the classifier.
    pub classifier_dropout: f64,
    /// Standard deviation of the noise on the discriminators' inputs in the first epoch, in units of the
    /// training values' own (about their features' means); it falls linearly to 0 after the last.
    pub input_noise: f64,
    /// Adam's step size for G and F.
    pub generator_learning_rate: f64,
    /// Adam's step size for the discriminators.
    pub discriminator_learning_rate: f64,
    /// Adam's step size for the classifier.
    pub classifier_learning_rate: f64,
    /// Adam's β₁ for G, F and the discriminators.
    pub beta1: f64,
    /// Epochs of each CycleGAN.
    pub epochs: usize,
    /// An epoch draws as many pairs as the larger of source and target has rows, but no more than this.
    pub rows_per_epoch: usize,
    /// Epochs of the classifier.
    pub classifier_epochs: usize,
    /// Rows of a batch, from either side.
    pub batch_size: usize,
}

impl Default for CycleGanConfig {
    fn default() -> Self {
        Self {
            adversarial_weight: 1.0,
            cycle_weight: 5.0,
            classification_weight: 1.0,
            generator_hidden: vec![256],
            discriminator_hidden: vec![128],
            classifier_hidden: vec![128],
            leaky_slope: 0.2,
            generator_dropout: 0.0,
            discriminator_dropout: 0.5,
            classifier_dropout: 0.5,
            input_noise: 0.5,
            generator_learning_rate: 2e-4,
            discriminator_learning_rate: 2e-4,
            classifier_learning_rate: 3e-4,
            beta1: 0.5,
            epochs: 20,
            rows_per_epoch: 500,
            classifier_epochs: 20,
            batch_size: 64,
        }
    }
}

impl CycleGanConfig {
    /// Whether all values are in range.
    ///
    /// # Errors
    /// [`AugmentError::Value`] for the first that is not.
    pub fn check(&self) -> Result<(), AugmentError> {
        let all = [
            (
                "adversarial_weight",
                range::not_negative(self.adversarial_weight),
            ),
            ("cycle_weight", range::not_negative(self.cycle_weight)),
            (
                "classification_weight",
                range::not_negative(self.classification_weight),
            ),
            ("generator_hidden", range::widths(&self.generator_hidden)),
            (
                "discriminator_hidden",
                range::widths(&self.discriminator_hidden),
            ),
            ("classifier_hidden", range::widths(&self.classifier_hidden)),
            ("leaky_slope", range::share(self.leaky_slope)),
            ("generator_dropout", range::share(self.generator_dropout)),
            (
                "discriminator_dropout",
                range::share(self.discriminator_dropout),
            ),
            ("classifier_dropout", range::share(self.classifier_dropout)),
            ("input_noise", range::not_negative(self.input_noise)),
            (
                "generator_learning_rate",
                range::positive(self.generator_learning_rate),
            ),
            (
                "discriminator_learning_rate",
                range::positive(self.discriminator_learning_rate),
            ),
            (
                "classifier_learning_rate",
                range::positive(self.classifier_learning_rate),
            ),
            ("beta1", range::share(self.beta1)),
            ("epochs", range::natural(self.epochs)),
            ("rows_per_epoch", range::natural(self.rows_per_epoch)),
            ("classifier_epochs", range::natural(self.classifier_epochs)),
            ("batch_size", range::natural(self.batch_size)),
        ];
        first_problem(METHOD, all)
    }
}

/// Trains a CycleGAN for each class of `train` and moves `rows` rows of `source` (`[n, width]`, normalised) to the classes.
///
/// Within a class each source row is used equally often (to within one): rows repeat where a class is to have more rows
/// than the source.
///
/// # Errors
/// A configuration out of range, training or source rows that are none or not finite, losses that are not finite, a
/// failing backend.
pub fn synthesise(
    config: &CycleGanConfig,
    train: &Rows,
    source: &[f32],
    kind: NormaliserKind,
    rows: usize,
    seed: u64,
    device: &Device,
) -> Result<Synthetic, AugmentError> {
    config.check()?;
    check_input(METHOD, train, rows)?;
    check_values(METHOD, "source", source, train.width)?;
    let counts = proportions(train, rows);
    let mut losses = Vec::new();
    let judge = match config.classification_weight {
        0.0 => None,
        _ => Some(classifier(config, train, seed, device, &mut losses)?),
    };
    let mut out = Vec::with_capacity(rows * train.width);
    for (class, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let mut gan = CycleGan::new(config, train, kind, class, judge.clone(), seed, device);
        let sides = Sides {
            source,
            train,
            target: members(train, class),
        };
        for epoch in 1..=config.epochs {
            let numbers = gan.epoch(&sides, seed, epoch)?;
            losses.push(epoch_losses(METHOD, Some(class), epoch, numbers)?);
        }
        let mut rng = stream(seed, "cycle-gan rows", class);
        let sources: Vec<usize> = (0..source.len() / train.width).collect();
        let chosen = sides.source_rows(&draws(&sources, count, &mut rng));
        let moved = values(gan.forward.output(matrix(chosen, count, device)))?;
        check_output(METHOD, Some(class), config.epochs, &moved)?;
        out.extend(moved);
    }
    Ok(Synthetic::labelled(out, &counts, losses))
}

/// The classifier whose cross-entropy G is to lower, trained on the training rows.
fn classifier(
    config: &CycleGanConfig,
    train: &Rows,
    seed: u64,
    device: &Device,
    losses: &mut Vec<EpochLosses>,
) -> Result<Mlp, AugmentError> {
    let mut c = Config::from_toml("", "the built-in default configuration")?;
    c.seed = seed;
    c.autoencoder.leaky_slope = config.leaky_slope;
    c.classifier.input = ClassifierInput::Features;
    c.classifier.fine_tune = false;
    c.classifier.hidden.clone_from(&config.classifier_hidden);
    c.classifier.dropout = config.classifier_dropout;
    c.classifier.learning_rate = config.classifier_learning_rate;
    c.classifier.batch_size = config.batch_size;
    c.classifier.balance = Balance::Weights;
    let mut dnn = Dnn::new(&c, None, train.width, train.classes, METHOD, device);
    for epoch in 1..=config.classifier_epochs {
        let mut rng = stream(seed, "cycle-gan classifier epoch", epoch);
        let loss = dnn.epoch(train, None, &mut rng)?;
        let numbers = Map::from_iter([("classifier_loss".to_owned(), json!(loss))]);
        losses.push(epoch_losses(METHOD, None, epoch, numbers)?);
    }
    Ok(Mlp::from_layers(&dnn.net()?, device).frozen())
}

/// The rows of either side.
struct Sides<'r> {
    source: &'r [f32],
    train: &'r Rows,
    /// Training rows of the target emotion.
    target: Vec<usize>,
}

impl Sides<'_> {
    fn source_rows(&self, indices: &[usize]) -> Vec<f32> {
        let w = self.train.width;
        let rows = indices.iter().map(|&i| &self.source[i * w..(i + 1) * w]);
        rows.flatten().copied().collect()
    }

    fn target_rows(&self, indices: &[usize]) -> Vec<f32> {
        let rows = indices.iter().map(|&i| self.train.row(i));
        rows.flatten().copied().collect()
    }
}

struct CycleGan<'c> {
    config: &'c CycleGanConfig,
    class: usize,
    classes: usize,
    /// G, from source to target.
    forward: Player,
    /// F, from target to source.
    back: Player,
    source_discriminator: Player,
    target_discriminator: Player,
    judge: Option<Mlp>,
    /// Spread of the training values, in which noise and cycle losses are measured; 1 where there is none.
    unit: f32,
    device: Device,
}

impl<'c> CycleGan<'c> {
    fn new(
        config: &'c CycleGanConfig,
        train: &Rows,
        kind: NormaliserKind,
        class: usize,
        judge: Option<Mlp>,
        seed: u64,
        device: &Device,
    ) -> Self {
        let slope = config.leaky_slope;
        let generator = shape(
            train.width,
            &config.generator_hidden,
            train.width,
            slope,
            output_activation(kind),
        );
        let discriminator = shape(
            train.width,
            &config.discriminator_hidden,
            1,
            slope,
            Activation::Linear,
        );
        let player = |shape, name: &str, rate, dropout| {
            let purpose = format!("cycle-gan class {class} initial {name}");
            Player::new(shape, seed, &purpose, config.beta1, rate, dropout, device)
        };
        let generator = |name| {
            let (rate, dropout) = (config.generator_learning_rate, config.generator_dropout);
            player(&generator, name, rate, dropout)
        };
        let discriminator = |name| {
            let rate = config.discriminator_learning_rate;
            player(&discriminator, name, rate, config.discriminator_dropout)
        };
        let spread = spread(train) as f32;
        Self {
            config,
            class,
            classes: train.classes,
            unit: if spread > 0.0 { spread } else { 1.0 },
            forward: generator("forward generator"),
            back: generator("back generator"),
            source_discriminator: discriminator("source discriminator"),
            target_discriminator: discriminator("target discriminator"),
            judge,
            device: device.clone(),
        }
    }

    fn epoch(
        &mut self,
        sides: &Sides<'_>,
        seed: u64,
        epoch: usize,
    ) -> Result<Map<String, serde_json::Value>, BackendError> {
        let c = self.config;
        let purpose = format!("cycle-gan class {} epoch", self.class);
        let mut rng = stream(seed, &purpose, epoch);
        let left = (c.epochs + 1 - epoch) as f64 / c.epochs as f64;
        let noise = c.input_noise * f64::from(self.unit) * left;
        let sources: Vec<usize> = (0..sides.source.len() / sides.train.width).collect();
        let pairs = sources.len().max(sides.target.len()).min(c.rows_per_epoch);
        let source = draws(&sources, pairs, &mut rng);
        let target = draws(&sides.target, pairs, &mut rng);
        let mut means = Means::default();
        for places in shuffled(pairs, c.batch_size, &mut rng) {
            let pick = |from: &[usize]| places.iter().map(|&i| from[i]).collect::<Vec<_>>();
            let s = sides.source_rows(&pick(&source));
            let t = sides.target_rows(&pick(&target));
            let s = matrix(s, places.len(), &self.device);
            let t = matrix(t, places.len(), &self.device);
            self.step(s, t, noise as f32, &mut means, &mut rng)?;
        }
        means.finish()
    }

    /// A step of G and F, then one of each discriminator.
    fn step(
        &mut self,
        source: Tensor<2>,
        target: Tensor<2>,
        noise: f32,
        means: &mut Means,
        rng: &mut ChaCha8Rng,
    ) -> Result<(), BackendError> {
        let c = self.config;
        let as_target = self.forward.forward(source.clone(), rng);
        let as_source = self.back.forward(target.clone(), rng);
        let cycle = distance(self.back.forward(as_target.clone(), rng), source.clone())
            + distance(self.forward.forward(as_source.clone(), rng), target.clone());
        let cycle = cycle.div_scalar(self.unit);
        let mut deceive = |judge: &Player, fake: &Tensor<2>| {
            let fake = noisy(fake.clone(), noise, rng);
            bce_real(judge.forward_frozen(fake, rng))
        };
        let adversarial = deceive(&self.target_discriminator, &as_target)
            + deceive(&self.source_discriminator, &as_source);
        means.add([
            ("adversarial_loss", adversarial.clone().without_autodiff()),
            ("cycle_loss", cycle.clone().without_autodiff()),
        ]);
        let mut loss =
            adversarial.mul_scalar(c.adversarial_weight) + cycle.mul_scalar(c.cycle_weight);
        if let Some(judge) = &self.judge {
            let logits = judge.forward(as_target.clone(), &mut Dropout::off());
            let error = soft_cross_entropy(logits, self.class_targets(source.dims()[0]));
            means.add([("classification_loss", error.clone().without_autodiff())]);
            loss = loss + error.mul_scalar(c.classification_weight);
        }
        let mut gradients = loss.backward();
        self.forward.step(&mut gradients)?;
        self.back.step(&mut gradients)?;

        let mut tell_apart = |judge: &mut Player, real: Tensor<2>, fake: Tensor<2>| {
            let real = noisy(real, noise, rng);
            let fake = noisy(fake.without_autodiff(), noise, rng);
            judge.tell_apart(real, fake, rng)
        };
        let on_target = tell_apart(&mut self.target_discriminator, target, as_target)?;
        let on_source = tell_apart(&mut self.source_discriminator, source, as_source)?;
        means.add([
            ("target_discriminator_loss", on_target.loss),
            ("target_accuracy_real", on_target.real_accuracy),
            ("target_accuracy_fake", on_target.fake_accuracy),
            ("source_discriminator_loss", on_source.loss),
            ("source_accuracy_real", on_source.real_accuracy),
            ("source_accuracy_fake", on_source.fake_accuracy),
        ]);
        Ok(())
    }

    /// The target emotion for each of `rows` rows, which weigh 1 together.
    fn class_targets(&self, rows: usize) -> Tensor<2> {
        let weight = 1.0 / rows as f32;
        let one = (0..self.classes).map(|k| if k == self.class { weight } else { 0.0 });
        matrix(
            std::iter::repeat_n(one, rows).flatten().collect(),
            rows,
            &self.device,
        )
    }
}

/// Mean absolute difference.
fn distance(a: Tensor<2>, b: Tensor<2>) -> Tensor<1> {
    (a - b).abs().mean()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::tests::{check_toy, nearest_mean_accuracy, toy};

    fn small() -> CycleGanConfig {
        CycleGanConfig {
            generator_hidden: vec![32],
            discriminator_hidden: vec![32],
            classifier_hidden: vec![16],
            discriminator_dropout: 0.2,
            classifier_dropout: 0.0,
            generator_learning_rate: 2e-3,
            discriminator_learning_rate: 2e-3,
            classifier_learning_rate: 5e-3,
            epochs: 25,
            batch_size: 32,
            ..CycleGanConfig::default()
        }
    }

    /// Rows of both classes of another draw, for which nothing but their values is handed over.
    fn source(kind: NormaliserKind) -> Vec<f32> {
        toy(kind, 5).values
    }

    fn make(config: &CycleGanConfig, train: &Rows, kind: NormaliserKind, seed: u64) -> Synthetic {
        let device = Device::flex();
        synthesise(config, train, &source(kind), kind, 150, seed, &device).unwrap()
    }

    #[test]
    fn moved_rows_teach_the_emotion_they_were_moved_to() {
        for kind in [NormaliserKind::ZScore, NormaliserKind::MinMax] {
            // The adversarial and cycle losses alone must do, too.
            for weight in [0.0, 1.0] {
                let config = CycleGanConfig {
                    classification_weight: weight,
                    ..small()
                };
                let made = make(&config, &toy(kind, 1), kind, 1);
                check_toy(&made, kind, 150);
                let accuracy = nearest_mean_accuracy(&made, &toy(kind, 2));
                assert!(accuracy > 0.8, "{kind:?} {weight}: {accuracy}");
            }
        }
    }

    #[test]
    fn training_lowers_the_cycle_and_classification_losses() {
        let kind = NormaliserKind::ZScore;
        let made = make(&small(), &toy(kind, 1), kind, 1);
        for class in 0..2 {
            let of: Vec<_> = made
                .losses
                .iter()
                .filter(|l| l.class == Some(class))
                .collect();
            assert_eq!(of.len(), 25);
            for loss in ["cycle_loss", "classification_loss"] {
                let at = |i: usize| of[i].numbers[loss].as_f64().unwrap();
                assert!(at(24) < 0.7 * at(0), "{loss}: {} -> {}", at(0), at(24));
            }
        }
    }

    /// Apart from the classifier and the unit of noise and cycle losses a CycleGAN sees the source and its own emotion: other emotions' rows change nothing.
    #[test]
    fn each_emotion_has_its_own_networks_and_rows() {
        let kind = NormaliserKind::ZScore;
        let config = CycleGanConfig {
            classification_weight: 0.0,
            // The unit of these two is the spread of all training rows.
            input_noise: 0.0,
            cycle_weight: 0.0,
            epochs: 2,
            ..small()
        };
        let train = toy(kind, 1);
        let mut poisoned = train.clone();
        for i in members(&train, 1) {
            poisoned.values[i * 6..(i + 1) * 6].fill(1e6);
        }
        let (a, b) = (
            make(&config, &train, kind, 1),
            make(&config, &poisoned, kind, 1),
        );
        assert!(a.values[..600] == b.values[..600]);
        assert!(a.values[600..] != b.values[600..]);
    }

    #[test]
    fn the_seed_alone_decides_and_a_small_source_will_do() {
        let kind = NormaliserKind::ZScore;
        let config = CycleGanConfig {
            epochs: 2,
            classifier_epochs: 2,
            ..small()
        };
        let digest = |seed| make(&config, &toy(kind, 1), kind, seed).digest();
        assert_eq!(digest(1), digest(1));
        assert_ne!(digest(1), digest(2));
        let few = &source(kind)[..18];
        let made = synthesise(&config, &toy(kind, 1), few, kind, 9, 1, &Device::flex()).unwrap();
        check_toy(&made, kind, 9);
    }

    #[test]
    fn unusable_input_is_refused_by_name() {
        let kind = NormaliserKind::ZScore;
        let fail = |config: &CycleGanConfig, source: &[f32]| {
            let made = synthesise(config, &toy(kind, 1), source, kind, 9, 1, &Device::flex());
            made.unwrap_err().to_string()
        };
        assert!(fail(&small(), &[]).contains("0 values are no source rows of 6 features"));
        assert!(fail(&small(), &[0.0; 7]).contains("7 values"));
        let mut bad = source(kind);
        bad[8] = f32::INFINITY;
        assert!(fail(&small(), &bad).contains("source row 2, feature 3"));
        let wild = CycleGanConfig {
            generator_learning_rate: 1e30,
            ..small()
        };
        let message = fail(&wild, &source(kind));
        assert!(
            message.contains("of class 0") && message.contains("in epoch 1"),
            "{message}"
        );
        let negative = CycleGanConfig {
            cycle_weight: -1.0,
            ..small()
        };
        assert!(fail(&negative, &source(kind)).contains("`cycle_weight` must not be negative"));
        CycleGanConfig::default().check().unwrap();
        assert!(toml::from_str::<CycleGanConfig>("cycles = 1").is_err());
    }
}
