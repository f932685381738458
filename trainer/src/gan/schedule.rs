//! The paper's order of training (PROTOCOL section 1), epoch by epoch, and the synthetic rows that come out of it.

use serde_json::{Map, Value};

use super::common::Means;
use super::mixup_gan::{LearningRates, MixupGan};
use crate::config::Config;
use crate::data::batches::{Rows, shuffled};
use crate::data::mixup::{Mixer, Pool};
use crate::data::stream;
use crate::nn::BackendError;

/// Which of the two kinds of epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// E and G as an autoencoder on mixed rows.
    Pretrain,
    /// Autoencoder step, generator step, discriminator step on every batch.
    Adversarial,
}

/// One pass over `rows`; returns mean losses by name, `null` for one that is not finite.
///
/// An epoch depends on the configuration, the networks and its own number (from 1) within `purpose` alone.
///
/// # Errors
/// The backend failed.
pub fn epoch(
    gan: &mut MixupGan,
    kind: Kind,
    config: &Config,
    rows: &Rows,
    mixer: &Mixer,
    purpose: &str,
    number: usize,
) -> Result<Map<String, Value>, BackendError> {
    let mut rng = stream(config.seed, purpose, number);
    let pool = Pool::new(rows);
    let rates = LearningRates {
        autoencoder: config.gan.autoencoder_learning_rate,
        generator: config.gan.generator_learning_rate,
        discriminator: config.gan.discriminator_learning_rate,
    };
    let mut means = Means::default();
    for indices in shuffled(rows.len(), config.autoencoder.batch_size, &mut rng) {
        let batch = mixer.batch(rows, &indices, &pool, &mut rng);
        match kind {
            Kind::Pretrain => {
                let rate = config.autoencoder.learning_rate;
                let loss = gan.autoencoder_step(&batch, rate, &mut rng)?;
                means.add([("reconstruction_loss", loss)]);
            }
            Kind::Adversarial => {
                let (reconstruction, generator, d) =
                    gan.adversarial_step(&batch, rates, &mut rng)?;
                means.add([
                    ("reconstruction_loss", reconstruction),
                    ("generator_loss", generator),
                    ("discriminator_loss", d.loss),
                    ("discriminator_accuracy_real", d.real_accuracy),
                    ("discriminator_accuracy_fake", d.fake_accuracy),
                ]);
            }
        }
    }
    means.finish()
}

/// G(E(x̃)) of mixed rows with their soft labels: `([count, width], [count, classes])`; as many as there are `rows`
/// where the configuration says 0.
///
/// # Errors
/// The backend failed.
pub fn synthetic_rows(
    gan: &MixupGan,
    config: &Config,
    rows: &Rows,
    mixer: &Mixer,
    purpose: &str,
) -> Result<(Vec<f32>, Vec<f32>), BackendError> {
    let (mut values, mut targets) = (Vec::new(), Vec::new());
    let pool = Pool::new(rows);
    let mut left = match config.synthetic.rows {
        0 => rows.len(),
        n => n,
    };
    let mut round = 0;
    while left > 0 && !rows.is_empty() {
        let mut rng = stream(config.seed, &format!("{purpose} synthetic rows"), round);
        for mut indices in shuffled(rows.len(), config.autoencoder.batch_size, &mut rng) {
            indices.truncate(left);
            if indices.is_empty() {
                break;
            }
            left -= indices.len();
            let batch = mixer.batch(rows, &indices, &pool, &mut rng);
            values.extend(gan.synthesise(batch.values(), batch.rows())?);
            targets.extend_from_slice(batch.targets());
        }
        round += 1;
    }
    Ok((values, targets))
}
