//! What stands before the classifier - generator and reduction - fitted once for all settings of a method.

use burn::tensor::Device;
use serde_json::{Map, json};

use super::ExperimentError;
use super::config::{Experiment, Reduction, Synthesis};
use super::plan::Recipe;
use super::split::Prepared;
use crate::augment::{self, Covariance, EpochLosses, Synthetic};
use crate::config::Config;
use crate::data::batches::{Rows, shuffled};
use crate::data::mixup::{Mixer, Pool};
use crate::data::stream;
use crate::gan::common::output_activation;
use crate::gan::mixup_gan::MixupGan;
use crate::gan::schedule::{self, Kind};
use crate::gan::{cycle_gan, prior_gan};
use crate::reduce::autoencoder::{Autoencoder, AutoencoderConfig};
use crate::reduce::pca::Pca;
use crate::reduce::smacof::{Smacof, SmacofConfig};

/// Fitted parts of a method on the training rows of one fold and seed; each is made when it is first asked for.
#[derive(Debug, Default)]
pub(super) struct Upstream {
    gan: Option<(MixupGan, Vec<EpochLosses>)>,
    synthetic: Option<Synthetic>,
    reducer: Option<(Reducer, Vec<EpochLosses>)>,
}

/// A fitted reduction; the mixup-GAN's encoder is the GAN's own.
#[derive(Debug)]
enum Reducer {
    Pca(Pca),
    Smacof(Smacof),
    Autoencoder(Autoencoder),
}

/// Codes of the three sides, on one scale.
#[derive(Clone, Debug)]
pub(super) struct Codes {
    pub(super) train: Rows,
    pub(super) validation: Rows,
    pub(super) test: Rows,
}

/// What upstream parts are fitted with.
pub(super) struct Fit<'a> {
    pub(super) experiment: &'a Experiment,
    pub(super) recipe: &'a Recipe,
    pub(super) config: &'a Config,
    pub(super) rows: &'a Prepared,
    pub(super) device: &'a Device,
}

impl Fit<'_> {
    fn mixer(&self) -> Result<Mixer, ExperimentError> {
        Mixer::new(&self.config.mixup).ok_or(ExperimentError::Method {
            what: "mixup",
            reason: "mixup.alpha is not a positive number".into(),
        })
    }
}

impl Upstream {
    /// Losses of what was fitted so far.
    pub(super) fn losses(&self) -> Vec<(&'static str, Vec<EpochLosses>)> {
        let mut out = Vec::new();
        if let Some((_, losses)) = &self.gan {
            out.push(("mixup-gan", losses.clone()));
        }
        if let Some(s) = self.synthetic.as_ref().filter(|s| !s.losses.is_empty()) {
            out.push(("generator", s.losses.clone()));
        }
        if let Some((_, losses)) = self.reducer.as_ref().filter(|r| !r.1.is_empty()) {
            out.push(("autoencoder", losses.clone()));
        }
        out
    }

    fn gan(&mut self, fit: &Fit<'_>) -> Result<&MixupGan, ExperimentError> {
        let made = match self.gan.take() {
            Some(made) => made,
            None => train_gan(fit)?,
        };
        Ok(&self.gan.insert(made).0)
    }

    /// Synthetic rows in feature space.
    pub(super) fn synthetic(&mut self, fit: &Fit<'_>) -> Result<&Synthetic, ExperimentError> {
        let made = match self.synthetic.take() {
            Some(made) => made,
            None => self.synthesise(fit)?,
        };
        Ok(self.synthetic.insert(made))
    }

    fn synthesise(&mut self, fit: &Fit<'_>) -> Result<Synthetic, ExperimentError> {
        let (train, seed) = (&fit.rows.train, fit.recipe.seed);
        let kind = fit.config.normaliser.kind;
        let wanted = match fit.config.synthetic.rows {
            0 => train.len(),
            n => n,
        };
        let made = match fit.recipe.synthesis {
            Synthesis::None => {
                return Err(ExperimentError::Method {
                    what: "synthesis",
                    reason: "the method has none".into(),
                });
            }
            Synthesis::MixupGan => {
                let mixer = fit.mixer()?;
                let gan = self.gan(fit)?;
                let (values, targets) =
                    schedule::synthetic_rows(gan, fit.config, train, &mixer, "experiment")?;
                Ok(Synthetic {
                    values,
                    targets,
                    losses: Vec::new(),
                })
            }
            Synthesis::PriorGan | Synthesis::ConditionalGan => {
                let mut config = fit.experiment.prior_gan.clone();
                config.conditional = fit.recipe.synthesis == Synthesis::ConditionalGan;
                prior_gan::synthesise(&config, train, kind, wanted, seed, fit.device)
            }
            Synthesis::CycleGan => cycle_gan::synthesise(
                &fit.experiment.cycle_gan,
                train,
                &fit.rows.source,
                kind,
                wanted,
                seed,
                fit.device,
            ),
            Synthesis::Mixup => augment::mixup_copies(train, &fit.mixer()?, wanted, seed),
            Synthesis::Noise => {
                let std = fit.experiment.controls.noise;
                augment::noise_copies(train, kind, std, wanted, seed)
            }
            Synthesis::ClassGaussian => {
                augment::class_gaussians(train, kind, Covariance::Full, wanted, seed)
            }
        };
        made.map_err(|e| ExperimentError::Method {
            what: "synthesis",
            reason: e.to_string(),
        })
    }

    /// Codes of real rows (with as many mixed rows where the method mixes), validation rows and test rows; and,
    /// if asked for, those of synthetic rows.
    pub(super) fn codes(&mut self, fit: &Fit<'_>, train: &Rows) -> Result<Codes, ExperimentError> {
        let rows = fit.rows;
        let size = fit.config.autoencoder.code_size;
        if fit.recipe.reduction == Reduction::SmacofJoint {
            return joint(fit, train, size);
        }
        if fit.recipe.reduction == Reduction::MixupGan {
            let gan = self.gan(fit)?;
            return encoded(rows, train, |r| Ok(gan.encode(&r.values, r.len())?));
        }
        let reducer = match self.reducer.take() {
            Some(made) => made,
            None => fit_reducer(fit, size)?,
        };
        let reducer = &self.reducer.insert(reducer).0;
        encoded(rows, train, |r| reducer.encode(r))
    }
}

/// Codes of all three sides.
fn encoded(
    rows: &Prepared,
    train: &Rows,
    encode: impl Fn(&Rows) -> Result<Vec<f32>, ExperimentError>,
) -> Result<Codes, ExperimentError> {
    Ok(on_one_scale(
        (train, encode(train)?),
        (&rows.validation, encode(&rows.validation)?),
        (&rows.test, encode(&rows.test)?),
    ))
}

fn fit_reducer(fit: &Fit<'_>, size: usize) -> Result<(Reducer, Vec<EpochLosses>), ExperimentError> {
    let fail = |what, e: &dyn std::fmt::Display| ExperimentError::Method {
        what,
        reason: e.to_string(),
    };
    let train = &fit.rows.train;
    Ok(match fit.recipe.reduction {
        Reduction::None | Reduction::SmacofJoint | Reduction::MixupGan => {
            return Err(fail("reduction", &"it has no fitted part"));
        }
        Reduction::Pca => {
            let learned = training_rows(fit, train)?;
            let pca =
                Pca::fit(&learned.values, learned.width, size).map_err(|e| fail("PCA", &e))?;
            (Reducer::Pca(pca), Vec::new())
        }
        Reduction::Smacof => {
            let learned = training_rows(fit, train)?;
            let smacof = Smacof::fit(&learned.values, learned.width, size, &smacof_config(fit))
                .map_err(|e| fail("SMACOF", &e))?;
            (Reducer::Smacof(smacof), Vec::new())
        }
        Reduction::Autoencoder => {
            let mixer = fit.recipe.mixup.then(|| fit.mixer()).transpose()?;
            let config = AutoencoderConfig {
                code: size,
                output: output_activation(fit.config.normaliser.kind),
                ..fit.experiment.autoencoder.clone()
            };
            let autoencoder = Autoencoder::fit(
                &config,
                train,
                mixer.as_ref(),
                &fit.rows.validation,
                fit.recipe.seed,
                fit.device,
            )
            .map_err(|e| fail("autoencoder", &e))?;
            let errors = autoencoder.validation_errors().iter().enumerate();
            let losses = errors.map(|(i, e)| EpochLosses {
                class: None,
                epoch: i + 1,
                numbers: Map::from_iter([("validation_loss".to_owned(), json!(e))]),
            });
            let losses = losses.collect();
            (Reducer::Autoencoder(autoencoder), losses)
        }
    })
}

impl Reducer {
    fn encode(&self, rows: &Rows) -> Result<Vec<f32>, ExperimentError> {
        let reduced = match self {
            Self::Pca(pca) => pca.transform(&rows.values),
            Self::Smacof(smacof) => smacof.place(&rows.values),
            Self::Autoencoder(a) => a.encode(&rows.values, rows.len()),
        };
        reduced.map_err(|e| ExperimentError::Method {
            what: "codes",
            reason: e.to_string(),
        })
    }
}

/// Real rows; where the method mixes, as many mixed ones after them.
pub(super) fn training_rows(fit: &Fit<'_>, train: &Rows) -> Result<Rows, ExperimentError> {
    let mut out = train.clone();
    if fit.recipe.mixup {
        let mixer = fit.mixer()?;
        let pool = Pool::new(train);
        let mut rng = stream(fit.recipe.seed, "mixed training rows", 0);
        for indices in shuffled(train.len(), train.len().max(1), &mut rng) {
            let mixed = mixer.mixtures(train, &indices, &pool, &mut rng);
            out.push_synthetic(mixed.values(), mixed.targets());
        }
    }
    Ok(out)
}

fn train_gan(fit: &Fit<'_>) -> Result<(MixupGan, Vec<EpochLosses>), ExperimentError> {
    let (config, train) = (fit.config, &fit.rows.train);
    let mixer = fit.mixer()?;
    let mut gan = MixupGan::new(config, train.width, "experiment", fit.device);
    let mut losses = Vec::new();
    let adversarial = if config.gan.enabled {
        config.gan.epochs
    } else {
        0
    };
    for (kind, name, epochs) in [
        (
            Kind::Pretrain,
            "pretrain",
            config.autoencoder.pretrain_epochs,
        ),
        (Kind::Adversarial, "gan", adversarial),
    ] {
        for number in 1..=epochs {
            let numbers = schedule::epoch(&mut gan, kind, config, train, &mixer, name, number)?;
            if let Some((what, _)) = numbers.iter().find(|(_, v)| v.is_null()) {
                return Err(ExperimentError::Diverged {
                    stage: format!("mixup-GAN ({name})"),
                    epoch: number,
                    what: what.clone(),
                });
            }
            losses.push(EpochLosses {
                class: None,
                epoch: losses.len() + 1,
                numbers,
            });
        }
    }
    gan.end_training();
    Ok((gan, losses))
}

fn smacof_config(fit: &Fit<'_>) -> SmacofConfig {
    SmacofConfig {
        seed: fit.recipe.seed,
        ..fit.experiment.smacof
    }
}

/// SMACOF of training, validation and test rows together.
fn joint(fit: &Fit<'_>, train: &Rows, size: usize) -> Result<Codes, ExperimentError> {
    let rows = fit.rows;
    let held_out = [rows.validation.values.as_slice(), &rows.test.values].concat();
    let (learned, mut placed) = Smacof::fit_joint(
        &train.values,
        &held_out,
        train.width,
        size,
        &smacof_config(fit),
    )
    .map_err(|e| ExperimentError::Method {
        what: "SMACOF",
        reason: e.to_string(),
    })?;
    let test = placed.split_off(rows.validation.len() * size);
    Ok(on_one_scale(
        (train, learned),
        (&rows.validation, placed),
        (&rows.test, test),
    ))
}

/// Moves all codes by the training codes' mean and divides them by one number, the training codes' overall standard
/// deviation: distances keep their proportions, and classifiers meet values around 1.
fn on_one_scale(
    train: (&Rows, Vec<f32>),
    validation: (&Rows, Vec<f32>),
    test: (&Rows, Vec<f32>),
) -> Codes {
    let width = train.1.len() / train.0.len().max(1);
    let count = train.0.len().max(1) as f64;
    let mut mean = vec![0.0f64; width];
    for row in train.1.chunks_exact(width.max(1)) {
        for (m, &v) in mean.iter_mut().zip(row) {
            *m += f64::from(v) / count;
        }
    }
    let spread: f64 = train
        .1
        .chunks_exact(width.max(1))
        .flat_map(|row| row.iter().zip(&mean))
        .map(|(&v, m)| (f64::from(v) - m).powi(2))
        .sum();
    let std = (spread / (count * width.max(1) as f64)).sqrt();
    let factor = if std > 0.0 { 1.0 / std } else { 0.0 };
    let side = |(rows, mut codes): (&Rows, Vec<f32>)| {
        for row in codes.chunks_exact_mut(width.max(1)) {
            for (v, m) in row.iter_mut().zip(&mean) {
                *v = ((f64::from(*v) - m) * factor) as f32;
            }
        }
        Rows {
            width,
            values: codes,
            ..rows.clone()
        }
    };
    Codes {
        train: side(train),
        validation: side(validation),
        test: side(test),
    }
}
