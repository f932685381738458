//! The stages of a training run, one epoch at a time: pre-training, GAN, classifier, and (with `refit`) the same
//! again on all rows.
//!
//! An epoch is a function of the configuration, the rows, the networks before it, and its own number: nothing else is
//! carried along. That is what makes a run that was killed and taken up end where an uninterrupted one ends.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::FitError;
use super::bench::Bench;
use crate::classify::dnn::{Dnn, DnnState};
use crate::classify::stopping::{self, Judged};
use crate::config::{ClassifierInput, Config, Select};
use crate::data::folds::Fold;
use crate::data::task::Task;
use crate::gan::mixup_gan::{GanState, MixupGan};
use crate::model::{DenseLayer, HeldOut, TrainedModel};
use crate::nn::BackendError;

/// Which rows are learned from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Training rows; held-out rows choose the epoch.
    Search,
    /// All rows, for the number of epochs found.
    Refit,
}

/// What is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Pretrain,
    Gan,
    Classifier,
}

/// What one epoch did.
#[derive(Clone, Debug, PartialEq)]
pub struct Epoch {
    /// "pretrain", "gan" or "classifier", with "refit " before it in the second pass.
    pub stage: &'static str,
    /// Its number within the stage, from 1.
    pub number: usize,
    /// Epochs of the stage at most.
    pub of: usize,
    /// Whether the stage ends with it.
    pub last: bool,
    /// Losses and scores by name.
    pub numbers: Map<String, Value>,
}

/// The best classifier so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Best {
    /// Epoch it was found at, from 1.
    pub epoch: usize,
    /// Its UAR on the held-out rows.
    pub uar: f64,
    /// Its balanced cross-entropy there.
    pub loss: f64,
    /// Its trained layers.
    pub net: Vec<DenseLayer>,
}

/// How far a run has come, without the networks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Stages ended.
    pub stage: usize,
    /// Epochs ended of the current stage.
    pub epoch: usize,
    /// Epochs since the best one.
    pub since_best: usize,
    /// Classifier epochs that the search found.
    pub chosen_epochs: Option<usize>,
    /// Held-out logits of the search's classifier.
    pub held_out: Option<HeldOut>,
}

/// Everything that a checkpoint must hold to go on.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// How far the run has come.
    pub progress: Progress,
    /// E, G, D and their optimisers.
    pub gan: Option<GanState>,
    /// The classifier, in its stage.
    pub dnn: Option<DnnState>,
    /// The best classifier so far.
    pub best: Option<Best>,
    /// The finished model's layers: encoder, classifier.
    pub finished: Option<[Vec<DenseLayer>; 2]>,
}

/// A training run between two epochs.
#[derive(Debug)]
pub struct Training<'t> {
    config: Config,
    task: &'t Task<'t>,
    split: Fold,
    device: Device,
    plan: Vec<(Phase, Stage)>,
    progress: Progress,
    bench: Bench,
    finished: Option<TrainedModel>,
}

impl<'t> Training<'t> {
    /// A run on the rows of `split` before its first epoch.
    ///
    /// # Errors
    /// Rows that the normaliser cannot be fitted on.
    pub fn new(
        config: &Config,
        task: &'t Task<'t>,
        split: Fold,
        device: &Device,
    ) -> Result<Self, FitError> {
        let plan = plan(config);
        let bench = Bench::new(config, task, &split, Phase::Search, device)?;
        let mut new = Self {
            config: config.clone(),
            task,
            split,
            device: device.clone(),
            plan,
            progress: Progress::default(),
            bench,
            finished: None,
        };
        new.enter()?;
        Ok(new)
    }

    /// Takes up a run where [`state`](Self::state) was taken.
    ///
    /// # Errors
    /// As [`new`](Self::new); a state that does not fit the configuration.
    pub fn resume(mut self, state: State) -> Result<Self, FitError> {
        let misfit = || FitError::Misfit;
        self.progress = state.progress;
        if let Some([encoder, classifier]) = state.finished {
            let phase = self.plan.last().map_or(Phase::Search, |p| p.0);
            self.bench = self.bench_for(phase)?;
            self.finished = Some(self.model(encoder, classifier)?);
            return Ok(self);
        }
        let &(phase, stage) = self.plan.get(self.progress.stage).ok_or_else(misfit)?;
        self.bench = self.bench_for(phase)?;
        self.bench.gan = match (self.bench.gan.take(), state.gan) {
            (Some(gan), Some(state)) => Some(gan.with_state(state).ok_or_else(misfit)?),
            (None, None) => None,
            _ => return Err(misfit()),
        };
        if stage == Stage::Classifier {
            self.enter()?;
            let (dnn, _) = self.bench.dnn.as_mut().ok_or_else(misfit)?;
            dnn.set_state(state.dnn.ok_or_else(misfit)?);
            self.bench.best = state.best;
        }
        Ok(self)
    }

    /// All that [`resume`](Self::resume) needs.
    ///
    /// # Errors
    /// The backend failed.
    pub fn state(&self) -> Result<State, BackendError> {
        let going = self.finished.is_none();
        let gan = self.bench.gan.as_ref().filter(|_| going);
        let dnn = self.bench.dnn.as_ref().filter(|_| going);
        Ok(State {
            progress: self.progress.clone(),
            gan: gan.map(MixupGan::to_state).transpose()?,
            dnn: dnn.map(|(dnn, _)| dnn.to_state()).transpose()?,
            best: self.bench.best.clone().filter(|_| going),
            finished: self
                .finished
                .as_ref()
                .map(|m| [m.encoder.clone(), m.classifier.clone()]),
        })
    }

    /// The model, once the last epoch has run.
    pub fn finished(&self) -> Option<&TrainedModel> {
        self.finished.as_ref()
    }

    /// Held-out logits of the classifier that the search chose, once it has.
    pub fn held_out(&self) -> Option<&HeldOut> {
        self.progress.held_out.as_ref()
    }

    /// Whether the held-out rows have a say in which classifier is kept.
    pub fn held_out_rows_choose(&self) -> bool {
        self.config.held_out_rows_choose()
    }

    /// Classifier epochs that the search chose, once it has.
    pub fn chosen_epochs(&self) -> Option<usize> {
        self.progress.chosen_epochs
    }

    /// Runs the next epoch; `None` where the run is finished.
    ///
    /// # Errors
    /// The backend failed, or a loss is no longer finite.
    pub fn epoch(&mut self) -> Result<Option<Epoch>, FitError> {
        let Some(&(phase, stage)) = self.plan.get(self.progress.stage) else {
            return Ok(None);
        };
        let number = self.progress.epoch + 1;
        let (of, numbers) = match stage {
            Stage::Pretrain => (
                self.config.autoencoder.pretrain_epochs,
                self.bench
                    .pretrain(&self.config, name(phase, stage), number)?,
            ),
            Stage::Gan => (
                self.config.gan.epochs,
                self.bench
                    .adversarial(&self.config, name(phase, stage), number)?,
            ),
            Stage::Classifier => (
                self.classifier_epochs(phase),
                self.bench
                    .classify(&self.config, name(phase, stage), number)?,
            ),
        };
        for (key, value) in &numbers {
            // JSON has no NaN: a number that is not finite became null.
            if value.is_null() {
                return Err(FitError::Diverged {
                    stage: name(phase, stage),
                    epoch: number,
                    what: key.clone(),
                });
            }
        }
        self.progress.epoch = number;
        let mut last = number >= of;
        if stage == Stage::Classifier && phase == Phase::Search {
            last |= self.judge(number, &numbers)?;
        }
        if last {
            self.leave(phase, stage)?;
        }
        Ok(Some(Epoch {
            stage: name(phase, stage),
            number,
            of,
            last,
            numbers,
        }))
    }

    fn classifier_epochs(&self, phase: Phase) -> usize {
        match (phase, self.progress.chosen_epochs) {
            (Phase::Refit, Some(chosen)) => chosen,
            _ => self.config.classifier.epochs,
        }
    }

    /// Keeps the classifier if it is the best so far; says whether patience has run out.
    fn judge(&mut self, epoch: usize, numbers: &Map<String, Value>) -> Result<bool, FitError> {
        let Some(now) = stopping::judged(numbers) else {
            return Ok(false);
        };
        let Judged { uar, loss } = now;
        let beats = |b: &Best| {
            let best = Judged {
                uar: b.uar,
                loss: b.loss,
            };
            now.beats(best, self.config.validation.metric)
        };
        let better = self.bench.best.as_ref().is_none_or(beats);
        if better {
            let net = match &self.bench.dnn {
                Some((dnn, _)) => dnn.net()?,
                None => Vec::new(),
            };
            self.bench.best = Some(Best {
                epoch,
                uar,
                loss,
                net,
            });
            self.progress.since_best = 0;
        } else {
            self.progress.since_best += 1;
        }
        let patience = self.config.validation.patience;
        Ok(patience > 0 && self.progress.since_best >= patience)
    }

    fn leave(&mut self, phase: Phase, stage: Stage) -> Result<(), FitError> {
        if stage == Stage::Classifier && phase == Phase::Search {
            self.end_search()?;
        }
        self.progress.stage += 1;
        self.progress.epoch = 0;
        self.progress.since_best = 0;
        match self.plan.get(self.progress.stage) {
            Some(&(next, _)) => {
                if next != phase {
                    self.bench = self.bench_for(next)?;
                }
                self.enter()
            }
            None => {
                let (encoder, classifier) = match &self.bench.dnn {
                    Some((dnn, _)) => dnn.to_layers()?,
                    None => return Err(FitError::Misfit),
                };
                self.finished = Some(self.model(encoder, classifier)?);
                Ok(())
            }
        }
    }

    /// Goes back to the best classifier, where that is asked for, and keeps its opinion of the held-out rows.
    fn end_search(&mut self) -> Result<(), FitError> {
        let Some((dnn, _)) = &mut self.bench.dnn else {
            return Err(FitError::Misfit);
        };
        let mut epoch = self.progress.epoch;
        if let (Select::Best, Some(best)) = (self.config.classifier.select, &self.bench.best) {
            dnn.set_net(&best.net);
            epoch = best.epoch;
        }
        self.progress.chosen_epochs = Some(epoch);
        if !self.bench.held_out.is_empty() {
            self.progress.held_out = Some(HeldOut {
                source: format!(
                    "{} held out from training; their logits at classifier epoch {epoch}{}",
                    self.split.name,
                    if self.config.validation.refit {
                        ", before the refit on all rows"
                    } else {
                        ""
                    }
                ),
                logits: dnn.logits(&self.bench.held_out)?,
                labels: self.bench.held_out.class.clone(),
            });
        }
        Ok(())
    }

    /// Makes what the stage at hand needs beyond the networks of the stages before it.
    fn enter(&mut self) -> Result<(), FitError> {
        let Some(&(phase, Stage::Classifier)) = self.plan.get(self.progress.stage) else {
            return Ok(());
        };
        let purpose = name(phase, Stage::Classifier);
        let bench = &mut self.bench;
        let rows = bench.classifier_rows(&self.config, purpose)?;
        let encoder = bench.gan.as_ref().map(|g| &g.encoder);
        let dnn = Dnn::new(
            &self.config,
            encoder,
            self.task.width(),
            self.task.labels.len(),
            purpose,
            &self.device,
        );
        if let Some(gan) = &mut bench.gan {
            gan.end_training();
        }
        bench.dnn = Some((dnn, rows));
        Ok(())
    }

    fn bench_for(&self, phase: Phase) -> Result<Bench, FitError> {
        Bench::new(&self.config, self.task, &self.split, phase, &self.device)
    }

    fn model(
        &self,
        encoder: Vec<DenseLayer>,
        classifier: Vec<DenseLayer>,
    ) -> Result<TrainedModel, FitError> {
        let model = TrainedModel {
            normaliser: self.bench.normaliser.clone(),
            encoder: match self.config.classifier.input {
                ClassifierInput::Code => encoder,
                ClassifierInput::Features => Vec::new(),
            },
            classifier,
            labels: self.task.labels.clone(),
        };
        model.check()?;
        Ok(model)
    }
}

/// The stages that the configuration asks for, in order.
fn plan(config: &Config) -> Vec<(Phase, Stage)> {
    let mut stages = Vec::new();
    if config.needs_autoencoder() && config.autoencoder.enabled {
        stages.push(Stage::Pretrain);
        if config.gan.enabled {
            stages.push(Stage::Gan);
        }
    }
    stages.push(Stage::Classifier);
    let phases: &[Phase] = if config.validation.refit {
        &[Phase::Search, Phase::Refit]
    } else {
        &[Phase::Search]
    };
    let with = |phase| stages.iter().map(move |&stage| (phase, stage));
    phases.iter().copied().flat_map(with).collect()
}

fn name(phase: Phase, stage: Stage) -> &'static str {
    match (phase, stage) {
        (Phase::Search, Stage::Pretrain) => "pretrain",
        (Phase::Search, Stage::Gan) => "gan",
        (Phase::Search, Stage::Classifier) => "classifier",
        (Phase::Refit, Stage::Pretrain) => "refit pretrain",
        (Phase::Refit, Stage::Gan) => "refit gan",
        (Phase::Refit, Stage::Classifier) => "refit classifier",
    }
}
