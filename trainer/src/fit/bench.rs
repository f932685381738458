//! What a phase of a run works with - normaliser, rows, networks - and the epochs of its stages.

use burn::tensor::Device;
use serde_json::{Map, Value, json};

use ser_features::{FeatureGroups, FeatureSet};
use ser_runtime::normalise::Normaliser;

use super::FitError;
use super::training::{Best, Phase};
use crate::classify::dnn::Dnn;
use crate::classify::stopping;
use crate::config::Config;
use crate::data::batches::Rows;
use crate::data::folds::Fold;
use crate::data::mixup::Mixer;
use crate::data::stream;
use crate::data::task::Task;
use crate::gan::mixup_gan::MixupGan;
use crate::gan::schedule::{self, Kind};

/// Sets the scale of features outside `groups` to 0: they are 0 for every row, and an exported model does not read them.
fn leave_out(
    task: &Task<'_>,
    groups: FeatureGroups,
    normaliser: &mut Normaliser,
) -> Result<(), FitError> {
    if groups == FeatureGroups::ALL {
        return Ok(());
    }
    let id = &task.table.feature_set.id;
    if FeatureSet::from_id(id).is_none() {
        return Err(FitError::NoGroups { set: id.clone() });
    }
    for (index, scale) in normaliser.scale.iter_mut().enumerate() {
        if !groups.contains_feature(index) {
            *scale = 0.0;
        }
    }
    Ok(())
}

/// What the current phase works with.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) normaliser: Normaliser,
    train: Rows,
    pub(super) held_out: Rows,
    mixer: Mixer,
    pub(super) gan: Option<MixupGan>,
    pub(super) dnn: Option<(Dnn, Rows)>,
    pub(super) best: Option<Best>,
}

impl Bench {
    pub(super) fn new(
        config: &Config,
        task: &Task<'_>,
        split: &Fold,
        phase: Phase,
        device: &Device,
    ) -> Result<Self, FitError> {
        let (train, held_out) = match phase {
            Phase::Search => (split.train.clone(), split.held_out.clone()),
            Phase::Refit => {
                let mut all = [split.train.as_slice(), &split.held_out].concat();
                all.sort_unstable();
                (all, Vec::new())
            }
        };
        let clip = (config.normaliser.clip > 0.0).then_some(config.normaliser.clip as f32);
        let mut normaliser = Normaliser::fit(
            config.normaliser.kind,
            train.iter().map(|&i| task.features(i)),
            clip,
        )?;
        leave_out(task, config.features.set(), &mut normaliser)?;
        let purpose = match phase {
            Phase::Search => "search",
            Phase::Refit => "refit",
        };
        let gan = config
            .needs_autoencoder()
            .then(|| MixupGan::new(config, task.width(), purpose, device));
        Ok(Self {
            train: normalised(task, &train, &normaliser)?,
            held_out: normalised(task, &held_out, &normaliser)?,
            normaliser,
            mixer: Mixer::new(&config.mixup).ok_or(FitError::Misfit)?,
            gan,
            dnn: None,
            best: None,
        })
    }

    pub(super) fn pretrain(
        &mut self,
        config: &Config,
        purpose: &str,
        epoch: usize,
    ) -> Result<Map<String, Value>, FitError> {
        let mut numbers = self.gan_epoch(Kind::Pretrain, config, purpose, epoch)?;
        self.reconstruction_of_held_out(&mut numbers)?;
        Ok(numbers)
    }

    pub(super) fn adversarial(
        &mut self,
        config: &Config,
        purpose: &str,
        epoch: usize,
    ) -> Result<Map<String, Value>, FitError> {
        let mut numbers = self.gan_epoch(Kind::Adversarial, config, purpose, epoch)?;
        self.reconstruction_of_held_out(&mut numbers)?;
        Ok(numbers)
    }

    fn gan_epoch(
        &mut self,
        kind: Kind,
        config: &Config,
        purpose: &str,
        epoch: usize,
    ) -> Result<Map<String, Value>, FitError> {
        let gan = self.gan.as_mut().ok_or(FitError::Misfit)?;
        let (rows, mixer) = (&self.train, &self.mixer);
        Ok(schedule::epoch(
            gan, kind, config, rows, mixer, purpose, epoch,
        )?)
    }

    fn reconstruction_of_held_out(&self, numbers: &mut Map<String, Value>) -> Result<(), FitError> {
        if let (Some(gan), false) = (&self.gan, self.held_out.is_empty()) {
            let error = gan.reconstruction_error(&self.held_out.values, self.held_out.len())?;
            numbers.insert("validation_reconstruction_loss".into(), json!(error));
        }
        Ok(())
    }

    /// The rows that `[classifier] rows` asks for; synthetic ones are made here, from mixed training rows.
    pub(super) fn classifier_rows(&self, config: &Config, purpose: &str) -> Result<Rows, FitError> {
        let wanted = config.classifier.rows;
        let mut rows = if wanted.real() {
            self.train.clone()
        } else {
            Rows::recorded(self.train.width, self.train.classes, Vec::new(), Vec::new())
        };
        if wanted.synthetic() {
            let gan = self.gan.as_ref().ok_or(FitError::Misfit)?;
            let (values, targets) =
                schedule::synthetic_rows(gan, config, &self.train, &self.mixer, purpose)?;
            rows.push_synthetic(&values, &targets);
        }
        Ok(rows)
    }

    pub(super) fn classify(
        &mut self,
        config: &Config,
        purpose: &str,
        epoch: usize,
    ) -> Result<Map<String, Value>, FitError> {
        let (dnn, rows) = self.dnn.as_mut().ok_or(FitError::Misfit)?;
        let mut rng = stream(config.seed, purpose, epoch);
        let mixer = config.classifier.mixup.then_some(&self.mixer);
        let loss = dnn.epoch(rows, mixer, &mut rng)?;
        let mut numbers = Map::new();
        numbers.insert("train_loss".into(), json!(loss));
        if !self.held_out.is_empty() {
            stopping::judge(dnn, &self.held_out, &mut numbers)?;
        }
        Ok(numbers)
    }
}

/// Rows of the task, normalised.
fn normalised(
    task: &Task<'_>,
    indices: &[usize],
    normaliser: &Normaliser,
) -> Result<Rows, FitError> {
    let mut values = Vec::with_capacity(indices.len() * task.width());
    for &i in indices {
        let start = values.len();
        values.extend_from_slice(task.features(i));
        normaliser.apply(&mut values[start..])?;
    }
    Ok(Rows::recorded(
        task.width(),
        task.labels.len(),
        values,
        indices.iter().map(|&i| task.classes[i]).collect(),
    ))
}
