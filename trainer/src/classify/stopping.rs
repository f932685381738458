//! Training a DNN classifier to the epoch that validation rows like best.

use burn::tensor::Device;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::dnn::Dnn;
use crate::augment::EpochLosses;
use crate::config::{Config, Metric, Select};
use crate::data::batches::{Rows, largest};
use crate::data::mixup::Mixer;
use crate::data::stream;
use crate::experiment::ExperimentError;
use crate::metrics::{Confusion, balanced_cross_entropy};
use crate::model::DenseLayer;
use crate::nn::BackendError;

/// UAR and balanced cross-entropy on validation rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// Unweighted average recall.
    pub uar: f64,
    /// Balanced cross-entropy.
    pub loss: f64,
}

impl Judged {
    /// Whether it is better than `other`.
    pub fn beats(self, other: Self, metric: Metric) -> bool {
        match metric {
            Metric::Uar => {
                self.uar > other.uar || (self.uar == other.uar && self.loss < other.loss)
            }
            Metric::Loss => self.loss < other.loss,
        }
    }
}

/// The classifier's scores on rows with known labels, as `validation_uar` and `validation_loss` (`null` where they are
/// not finite).
///
/// # Errors
/// The backend failed.
pub fn judge(dnn: &Dnn, rows: &Rows, numbers: &mut Map<String, Value>) -> Result<(), BackendError> {
    let logits = dnn.logits(rows)?;
    let predicted = logits.chunks_exact(rows.classes).map(largest);
    let confusion = Confusion::of(rows.classes, rows.class.iter().copied().zip(predicted));
    numbers.insert("validation_uar".into(), json!(confusion.uar()));
    let loss = balanced_cross_entropy(&logits, rows.classes, &rows.class);
    numbers.insert("validation_loss".into(), json!(loss));
    Ok(())
}

/// What [`judge`] wrote.
pub fn judged(numbers: &Map<String, Value>) -> Option<Judged> {
    let number = |key| numbers.get(key).and_then(Value::as_f64);
    Some(Judged {
        uar: number("validation_uar")?,
        loss: number("validation_loss")?,
    })
}

/// A trained classifier.
#[derive(Debug)]
pub struct Fitted {
    /// With the weights of the chosen epoch.
    pub dnn: Dnn,
    /// That epoch, from 1.
    pub epochs: usize,
    /// UAR on the validation rows at that epoch; none without such rows.
    pub validation_uar: Option<f64>,
    /// Epoch by epoch.
    pub losses: Vec<EpochLosses>,
}

/// Trains `[classifier]` on `rows` (features or codes, whatever their width), mixing batches anew if there is a
/// `mixer`, and goes back to the best epoch on `validation` where the configuration says so.
///
/// # Errors
/// The backend failed, a loss is not finite.
pub fn fit(
    config: &Config,
    rows: &Rows,
    validation: &Rows,
    mixer: Option<&Mixer>,
    device: &Device,
) -> Result<Fitted, ExperimentError> {
    let mut dnn = Dnn::new(config, None, rows.width, rows.classes, "experiment", device);
    let mut best: Option<(usize, Judged, Vec<DenseLayer>)> = None;
    let mut losses = Vec::new();
    for epoch in 1..=config.classifier.epochs {
        let mut rng = stream(config.seed, "classifier", epoch);
        let mut numbers = Map::new();
        numbers.insert(
            "train_loss".into(),
            json!(dnn.epoch(rows, mixer, &mut rng)?),
        );
        if !validation.is_empty() {
            judge(&dnn, validation, &mut numbers)?;
        }
        if let Some((what, _)) = numbers.iter().find(|(_, v)| v.is_null()) {
            return Err(ExperimentError::Diverged {
                stage: "the classifier".into(),
                epoch,
                what: what.clone(),
            });
        }
        if let Some(now) = judged(&numbers) {
            let better = best
                .as_ref()
                .is_none_or(|b| now.beats(b.1, config.validation.metric));
            if better {
                best = Some((epoch, now, dnn.net()?));
            }
        }
        losses.push(EpochLosses {
            class: None,
            epoch,
            numbers,
        });
        let since = best.as_ref().map_or(0, |b| epoch - b.0);
        if config.validation.patience > 0 && since >= config.validation.patience {
            break;
        }
    }
    let mut epochs = losses.len();
    let mut validation_uar = losses
        .last()
        .and_then(|l| judged(&l.numbers))
        .map(|j| j.uar);
    if let (Select::Best, Some((epoch, judged, net))) = (config.classifier.select, best) {
        dnn.set_net(&net);
        epochs = epoch;
        validation_uar = Some(judged.uar);
    }
    Ok(Fitted {
        dnn,
        epochs,
        validation_uar,
        losses,
    })
}

/// SHA-256, in hexadecimal, of the classifier's weights and biases.
///
/// # Errors
/// The backend failed.
pub fn digest(dnn: &Dnn) -> Result<String, BackendError> {
    let mut hash = Sha256::new();
    for layer in dnn.net()? {
        for v in layer.weight.iter().chain(&layer.bias) {
            hash.update(v.to_le_bytes());
        }
    }
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}
