//! GANs from a low-dimensional prior to the feature space (Sahu, Gupta, Espy-Wilson 2018, "On Enhancing Speech Emotion
//! Recognition using Generative Adversarial Networks", Interspeech): vanilla, and conditioned on the emotion.
//!
//! The prior is a mixture of as many Gaussians as there are classes, their means evenly spaced on a circle in its first
//! two dimensions. The conditional GAN shows the class to generator and discriminator, and draws codes of class c from
//! component c. The vanilla GAN sees no label: components are equally likely, and after training each is given the
//! class whose training rows it resembles, one to one, such that the squared distances between the means of the
//! components' rows and of the classes are least in sum (ours: the paper leaves open how such rows get labels).
//!
//! Also ours, because a discriminator learns a few hundred rows by heart within seconds: dropout in it, and Gaussian
//! noise on its inputs that fades out over training (Sønderby et al. 2017, Arjovsky & Bottou 2017).

use burn::tensor::{Device, Tensor};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use ser_runtime::normalise::NormaliserKind;
use serde::{Deserialize, Serialize};

use super::common::{Means, Player, noisy, normals, output_activation, shape};
use crate::augment::{
    AugmentError, Synthetic, by_class, check_input, check_output, epoch_losses, first_problem,
    mean_of, members, proportions, spread,
};
use crate::config::range;
use crate::data::batches::{Rows, shuffled};
use crate::data::stream;
use crate::model::Activation;
use crate::nn::{BackendError, bce_real, matrix, values};

const METHOD: &str = "prior-gan";
/// Rows whose mean stands for a component of the vanilla GAN.
const PROBES: usize = 256;

/// Settings of [`synthesise`]. In a file, keys that are left out keep their defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PriorGanConfig {
    /// Whether generator and discriminator see the class; not read from files.
    #[serde(skip)]
    pub conditional: bool,
    /// Dimensions of the prior, at least 2.
    pub latent: usize,
    /// Distance of the components' means from the origin.
    pub radius: f64,
    /// Standard deviation of each component in every dimension.
    pub std: f64,
    /// Widths of the generator's hidden layers.
    pub generator_hidden: Vec<usize>,
    /// Widths of the discriminator's hidden layers.
    pub discriminator_hidden: Vec<usize>,
    /// Slope of the leaky ReLU below 0.
    pub leaky_slope: f64,
    /// Share of the generator's hidden units that dropout silences in training.
    pub generator_dropout: f64,
    /// The same for the discriminator.
    pub discriminator_dropout: f64,
    /// Standard deviation of the noise on the discriminator's inputs in the first epoch, in units of the
    /// training values' own (about their features' means); it falls linearly to 0 after the last.
    pub input_noise: f64,
    /// Adam's step size.
    pub generator_learning_rate: f64,
    /// Adam's step size.
    pub discriminator_learning_rate: f64,
    /// Adam's β₁.
    pub beta1: f64,
    /// Generator steps after each discriminator step.
    pub generator_steps: usize,
    /// Passes over the training rows.
    pub epochs: usize,
    /// Rows of a batch.
    pub batch_size: usize,
}

impl Default for PriorGanConfig {
    fn default() -> Self {
        Self {
            conditional: true,
            latent: 2,
            radius: 2.0,
            std: 0.5,
            generator_hidden: vec![128, 256],
            discriminator_hidden: vec![256, 128],
            leaky_slope: 0.2,
            generator_dropout: 0.0,
            discriminator_dropout: 0.5,
            input_noise: 0.5,
            generator_learning_rate: 2e-4,
            discriminator_learning_rate: 2e-4,
            beta1: 0.5,
            generator_steps: 1,
            epochs: 100,
            batch_size: 64,
        }
    }
}

impl PriorGanConfig {
    /// Whether all values are in range.
    ///
    /// # Errors
    /// [`AugmentError::Value`] for the first that is not.
    pub fn check(&self) -> Result<(), AugmentError> {
        let latent = if self.latent < 2 {
            Err("must be at least 2: the prior's components lie on a circle".into())
        } else {
            range::widths(&[self.latent])
        };
        let all = [
            ("latent", latent),
            ("radius", range::not_negative(self.radius)),
            ("std", range::positive(self.std)),
            ("generator_hidden", range::widths(&self.generator_hidden)),
            (
                "discriminator_hidden",
                range::widths(&self.discriminator_hidden),
            ),
            ("leaky_slope", range::share(self.leaky_slope)),
            ("generator_dropout", range::share(self.generator_dropout)),
            (
                "discriminator_dropout",
                range::share(self.discriminator_dropout),
            ),
            ("input_noise", range::not_negative(self.input_noise)),
            (
                "generator_learning_rate",
                range::positive(self.generator_learning_rate),
            ),
            (
                "discriminator_learning_rate",
                range::positive(self.discriminator_learning_rate),
            ),
            ("beta1", range::share(self.beta1)),
            ("generator_steps", range::natural(self.generator_steps)),
            ("epochs", range::natural(self.epochs)),
            ("batch_size", range::natural(self.batch_size)),
        ];
        first_problem(METHOD, all)
    }
}

/// Trains the GAN on `train` and draws `rows` rows from it.
///
/// # Errors
/// A configuration out of range, training rows that are none or not finite, losses that are not finite, a failing backend.
pub fn synthesise(
    config: &PriorGanConfig,
    train: &Rows,
    kind: NormaliserKind,
    rows: usize,
    seed: u64,
    device: &Device,
) -> Result<Synthetic, AugmentError> {
    config.check()?;
    check_input(METHOD, train, rows)?;
    let mut gan = PriorGan::new(config, train, kind, seed, device);
    let unit = spread(train);
    let mut losses = Vec::with_capacity(config.epochs);
    for epoch in 1..=config.epochs {
        let mut rng = stream(seed, "prior-gan epoch", epoch);
        let left = (config.epochs + 1 - epoch) as f64 / config.epochs as f64;
        let noise = config.input_noise * unit * left;
        let mut means = Means::default();
        for indices in shuffled(train.len(), config.batch_size, &mut rng) {
            gan.step(train, &indices, noise as f32, &mut means, &mut rng)?;
        }
        losses.push(epoch_losses(METHOD, None, epoch, means.finish()?)?);
    }
    let counts = proportions(train, rows);
    let component_of = if config.conditional {
        (0..train.classes).collect()
    } else {
        gan.match_classes(train, &mut stream(seed, "prior-gan probes", 0))?
    };
    let mut rng = stream(seed, "prior-gan rows", 0);
    let components: Vec<usize> = by_class(&counts).map(|c| component_of[c]).collect();
    let out = gan.generate(&components, &mut rng)?;
    check_output(METHOD, None, config.epochs, &out)?;
    Ok(Synthetic::labelled(out, &counts, losses))
}

struct PriorGan<'c> {
    config: &'c PriorGanConfig,
    classes: usize,
    /// What the discriminator is shown for "this is the class": the one-hot label alone is one column beside
    /// hundreds of features and would long go unheard, so it is made as long as an average row of features.
    label_scale: f32,
    generator: Player,
    discriminator: Player,
    device: Device,
}

impl<'c> PriorGan<'c> {
    fn new(
        config: &'c PriorGanConfig,
        train: &Rows,
        kind: NormaliserKind,
        seed: u64,
        device: &Device,
    ) -> Self {
        let labels = if config.conditional { train.classes } else { 0 };
        let square: f64 = train.values.iter().map(|v| f64::from(*v).powi(2)).sum();
        Self {
            config,
            classes: train.classes,
            label_scale: (square / train.len() as f64).sqrt() as f32,
            generator: Player::new(
                &shape(
                    config.latent + labels,
                    &config.generator_hidden,
                    train.width,
                    config.leaky_slope,
                    output_activation(kind),
                ),
                seed,
                "prior-gan initial generator",
                config.beta1,
                config.generator_learning_rate,
                config.generator_dropout,
                device,
            ),
            discriminator: Player::new(
                &shape(
                    train.width + labels,
                    &config.discriminator_hidden,
                    1,
                    config.leaky_slope,
                    Activation::Linear,
                ),
                seed,
                "prior-gan initial discriminator",
                config.beta1,
                config.discriminator_learning_rate,
                config.discriminator_dropout,
                device,
            ),
            device: device.clone(),
        }
    }

    /// A discriminator step on the rows `indices` and as many synthetic ones, then the generator's steps.
    fn step(
        &mut self,
        train: &Rows,
        indices: &[usize],
        noise: f32,
        means: &mut Means,
        rng: &mut ChaCha8Rng,
    ) -> Result<(), BackendError> {
        let real: Vec<f32> = indices
            .iter()
            .flat_map(|&i| train.row(i))
            .copied()
            .collect();
        let components: Vec<usize> = if self.config.conditional {
            indices.iter().map(|&i| train.class[i]).collect()
        } else {
            let mut draw = || rng.random_range(0..self.classes);
            indices.iter().map(|_| draw()).collect()
        };
        let real = noisy(matrix(real, indices.len(), &self.device), noise, rng);
        let codes = self.codes(&components, rng);
        let fake = noisy(self.generator.forward_frozen(codes, rng), noise, rng);
        let real = self.with_labels(real, &components);
        let fake = self.with_labels(fake, &components);
        let d = self.discriminator.tell_apart(real, fake, rng)?;
        means.add([
            ("discriminator_loss", d.loss),
            ("discriminator_accuracy_real", d.real_accuracy),
            ("discriminator_accuracy_fake", d.fake_accuracy),
        ]);
        for _ in 0..self.config.generator_steps {
            let codes = self.codes(&components, rng);
            let fake = noisy(self.generator.forward(codes, rng), noise, rng);
            let fake = self.with_labels(fake, &components);
            let loss = bce_real(self.discriminator.forward_frozen(fake, rng));
            self.generator.step(&mut loss.backward())?;
            means.add([("generator_loss", loss.without_autodiff())]);
        }
        Ok(())
    }

    /// Draws from the given components of the prior, each with its class beside it where the GAN is conditional.
    fn codes(&self, components: &[usize], rng: &mut ChaCha8Rng) -> Tensor<2> {
        let c = self.config;
        let labels = if c.conditional { self.classes } else { 0 };
        let mut codes = Vec::with_capacity(components.len() * (c.latent + labels));
        for &k in components {
            let start = codes.len();
            codes.extend(normals(c.latent, c.std as f32, rng));
            let angle = std::f64::consts::TAU * k as f64 / self.classes as f64;
            codes[start] += (c.radius * angle.cos()) as f32;
            codes[start + 1] += (c.radius * angle.sin()) as f32;
            codes.extend((0..labels).map(|l| f32::from(l == k)));
        }
        matrix(codes, components.len(), &self.device)
    }

    /// Rows as the discriminator sees them.
    fn with_labels(&self, rows: Tensor<2>, classes: &[usize]) -> Tensor<2> {
        if !self.config.conditional {
            return rows;
        }
        let labels: Vec<f32> = classes
            .iter()
            .flat_map(|&c| (0..self.classes).map(move |l| l == c))
            .map(|here| f32::from(here) * self.label_scale)
            .collect();
        let labels = matrix(labels, classes.len(), &rows.device());
        Tensor::cat(vec![rows, labels], 1)
    }

    fn generate(
        &self,
        components: &[usize],
        rng: &mut ChaCha8Rng,
    ) -> Result<Vec<f32>, BackendError> {
        values(self.generator.output(self.codes(components, rng)))
    }

    /// The component that stands for each class (see the module's description).
    fn match_classes(
        &self,
        train: &Rows,
        rng: &mut ChaCha8Rng,
    ) -> Result<Vec<usize>, BackendError> {
        let mut of_components = Vec::with_capacity(self.classes);
        for k in 0..self.classes {
            let made = Rows::recorded(
                train.width,
                1,
                self.generate(&[k; PROBES], rng)?,
                vec![0; PROBES],
            );
            of_components.push(mean_of(&made, &(0..PROBES).collect::<Vec<_>>()));
        }
        let cost: Vec<Vec<f64>> = (0..self.classes)
            .map(|c| {
                let members = members(train, c);
                let mean = mean_of(train, &members);
                of_components
                    .iter()
                    // A class without training rows gets no synthetic ones either: any component will do.
                    .map(|m| {
                        if members.is_empty() {
                            0.0
                        } else {
                            distance(&mean, m)
                        }
                    })
                    .collect()
            })
            .collect();
        Ok(assign(&cost))
    }
}

/// Squared distance.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum()
}

/// The column for each row of a square matrix, one to one, with the least sum of costs: the Hungarian method, by
/// shortest augmenting paths under potentials (O(n³)).
fn assign(cost: &[Vec<f64>]) -> Vec<usize> {
    let n = cost.len();
    let mut row_of: Vec<Option<usize>> = vec![None; n];
    let mut row_potential = vec![0.0f64; n];
    let mut column_potential = vec![0.0f64; n];
    for start in 0..n {
        // Dijkstra over columns: `best` is the reduced length of the shortest path from `start` to each column,
        // `from` the column before it.
        let mut best = vec![f64::INFINITY; n];
        let mut from: Vec<Option<usize>> = vec![None; n];
        let mut done = vec![false; n];
        let (mut row, mut last, mut length) = (start, None, 0.0);
        let end = loop {
            for j in (0..n).filter(|&j| !done[j]) {
                let here = length + cost[row][j] - row_potential[row] - column_potential[j];
                if here < best[j] {
                    (best[j], from[j]) = (here, last);
                }
            }
            let open = (0..n).filter(|&j| !done[j]);
            let Some(next) = open.min_by(|&a, &b| best[a].total_cmp(&best[b])) else {
                break None;
            };
            (done[next], length, last) = (true, best[next], Some(next));
            match row_of[next] {
                Some(taken_by) => row = taken_by,
                None => break Some(next),
            }
        };
        row_potential[start] += length;
        for j in (0..n).filter(|&j| done[j]) {
            if let Some(row) = row_of[j] {
                row_potential[row] += length - best[j];
            }
            column_potential[j] += best[j] - length;
        }
        let mut column = end;
        while let Some(j) = column {
            row_of[j] = match from[j] {
                Some(before) => row_of[before],
                None => Some(start),
            };
            column = from[j];
        }
    }
    let mut out = vec![0; n];
    for (column, row) in row_of.into_iter().enumerate() {
        if let Some(row) = row {
            out[row] = column;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::tests::{check_toy, nearest_mean_accuracy, toy};

    fn small(conditional: bool) -> PriorGanConfig {
        PriorGanConfig {
            conditional,
            generator_hidden: vec![16],
            discriminator_hidden: vec![32],
            discriminator_dropout: 0.2,
            generator_learning_rate: 2e-3,
            discriminator_learning_rate: 2e-3,
            epochs: 60,
            batch_size: 32,
            ..PriorGanConfig::default()
        }
    }

    fn make(config: &PriorGanConfig, train: &Rows, kind: NormaliserKind, seed: u64) -> Synthetic {
        synthesise(config, train, kind, 150, seed, &Device::flex()).unwrap()
    }

    #[test]
    fn conditional_rows_teach_their_label() {
        for kind in [NormaliserKind::ZScore, NormaliserKind::MinMax] {
            let made = make(&small(true), &toy(kind, 1), kind, 1);
            check_toy(&made, kind, 150);
            let accuracy = nearest_mean_accuracy(&made, &toy(kind, 2));
            assert!(accuracy > 0.8, "{kind:?}: {accuracy}");
            assert_eq!(made.losses.len(), 60);
            assert!(made.losses[59].numbers["generator_loss"].is_f64());
        }
    }

    #[test]
    fn components_of_the_vanilla_gan_get_the_class_they_resemble() {
        let kind = NormaliserKind::ZScore;
        let made = make(&small(false), &toy(kind, 1), kind, 1);
        check_toy(&made, kind, 150);
        let accuracy = nearest_mean_accuracy(&made, &toy(kind, 2));
        assert!(accuracy > 0.8, "{accuracy}");
    }

    #[test]
    fn the_vanilla_gan_sees_no_label_and_the_conditional_one_does() {
        let kind = NormaliserKind::ZScore;
        let train = toy(kind, 1);
        let other = Rows::recorded(
            6,
            2,
            train.values.clone(),
            (0..90).map(|i| i / 45).collect(),
        );
        let losses = |conditional, rows: &Rows| {
            let config = PriorGanConfig {
                epochs: 3,
                ..small(conditional)
            };
            make(&config, rows, kind, 1).losses
        };
        assert_eq!(losses(false, &train), losses(false, &other));
        assert_ne!(losses(true, &train), losses(true, &other));
    }

    #[test]
    fn the_seed_alone_decides() {
        let kind = NormaliserKind::ZScore;
        let config = PriorGanConfig {
            epochs: 3,
            ..small(true)
        };
        let digest = |seed| make(&config, &toy(kind, 1), kind, seed).digest();
        assert_eq!(digest(1), digest(1));
        assert_ne!(digest(1), digest(2));
    }

    #[test]
    fn training_that_goes_astray_is_an_error_that_says_when() {
        let config = PriorGanConfig {
            generator_learning_rate: 1e30,
            discriminator_learning_rate: 1e30,
            ..small(true)
        };
        let kind = NormaliserKind::ZScore;
        let error = synthesise(&config, &toy(kind, 1), kind, 9, 1, &Device::flex()).unwrap_err();
        assert!(
            matches!(&error, AugmentError::Diverged { epoch, loss, .. } if *epoch >= 1 && loss.contains("loss")),
            "{error}"
        );
    }

    #[test]
    fn configurations_are_checked_and_may_be_partial() {
        PriorGanConfig::default().check().unwrap();
        let config: PriorGanConfig = toml::from_str("epochs = 7").unwrap();
        assert_eq!((config.epochs, config.latent), (7, 2));
        // The method decides, not the settings that both GANs share.
        assert!(toml::from_str::<PriorGanConfig>("conditional = false").is_err());
        assert!(toml::from_str::<PriorGanConfig>("epoch = 7").is_err());
        let bad = |text: &str| {
            let config: PriorGanConfig = toml::from_str(text).unwrap();
            config.check().unwrap_err().to_string()
        };
        assert!(bad("latent = 1").contains("`latent` must be at least 2"));
        assert!(bad("beta1 = 1.0").contains("`beta1`"));
        assert!(bad("generator_hidden = [0]").contains("`generator_hidden`"));
        assert!(bad("epochs = 0").contains("`epochs`"));
    }

    #[test]
    fn assignments_are_as_cheap_as_the_cheapest_permutation() {
        fn cheapest(cost: &[Vec<f64>], row: usize, free: &mut Vec<usize>) -> f64 {
            if row == cost.len() {
                return 0.0;
            }
            (0..free.len())
                .map(|i| {
                    let column = free.remove(i);
                    let total = cost[row][column] + cheapest(cost, row + 1, free);
                    free.insert(i, column);
                    total
                })
                .fold(f64::INFINITY, f64::min)
        }
        let mut rng = stream(1, "t", 0);
        for n in 1..=6 {
            for _ in 0..20 {
                let cost: Vec<Vec<f64>> = (0..n)
                    .map(|_| (0..n).map(|_| f64::from(rng.random_range(0..20))).collect())
                    .collect();
                let chosen = assign(&cost);
                let mut sorted = chosen.clone();
                sorted.sort_unstable();
                assert_eq!(sorted, (0..n).collect::<Vec<_>>());
                let total: f64 = chosen.iter().enumerate().map(|(r, &c)| cost[r][c]).sum();
                let least = cheapest(&cost, 0, &mut (0..n).collect());
                assert!((total - least).abs() < 1e-9, "{cost:?} {chosen:?}");
            }
        }
        assert!(assign(&[]).is_empty());
    }
}
