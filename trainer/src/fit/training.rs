//! The stages of a training run, one epoch at a time: pre-training, GAN, classifier, and (with `refit`) the same
//! again on all rows.
//!
//! An epoch is a function of the configuration, the rows, the networks before it, and its own number: nothing else is
//! carried along. That is what makes a run that was killed and taken up end where an uninterrupted one ends.

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use ser_runtime::normalise::Normaliser;

use super::FitError;
use crate::classify::dnn::{Dnn, DnnState};
use crate::config::{ClassifierInput, Config, Metric, Select};
use crate::data::batches::{Rows, largest, shuffled};
use crate::data::folds::Fold;
use crate::data::mixup::{Mixer, Pool};
use crate::data::stream;
use crate::data::task::Task;
use crate::gan::mixup_gan::{GanState, LearningRates, MixupGan};
use crate::metrics::{Confusion, balanced_cross_entropy};
use crate::model::{DenseLayer, HeldOut, TrainedModel};
use crate::nn::{BackendError, values};

/// Which rows are learned from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
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

/// What the current phase works with.
#[derive(Debug)]
struct Bench {
    normaliser: Normaliser,
    train: Rows,
    held_out: Rows,
    mixer: Mixer,
    gan: Option<MixupGan>,
    dnn: Option<(Dnn, Rows)>,
    best: Option<Best>,
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
        let number = |key| numbers.get(key).and_then(Value::as_f64);
        let (Some(uar), Some(loss)) = (number("validation_uar"), number("validation_loss")) else {
            return Ok(false);
        };
        let better = self
            .bench
            .best
            .as_ref()
            .is_none_or(|b| match self.config.validation.metric {
                Metric::Uar => uar > b.uar || (uar == b.uar && loss < b.loss),
                Metric::Loss => loss < b.loss,
            });
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

impl Bench {
    fn new(
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
        let clip = (config.normaliser.clip > 0.0).then_some(config.normaliser.clip);
        let normaliser = Normaliser::fit(
            config.normaliser.kind,
            train.iter().map(|&i| task.features(i)),
            clip,
        )?;
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

    fn pretrain(
        &mut self,
        config: &Config,
        purpose: &str,
        epoch: usize,
    ) -> Result<Map<String, Value>, FitError> {
        let gan = self.gan.as_mut().ok_or(FitError::Misfit)?;
        let mut rng = stream(config.seed, purpose, epoch);
        let pool = Pool::new(&self.train);
        let mut means = Means::default();
        for indices in shuffled(self.train.len(), config.autoencoder.batch_size, &mut rng) {
            let batch = self.mixer.batch(&self.train, &indices, &pool, &mut rng);
            let loss = gan.autoencoder_step(&batch, config.autoencoder.learning_rate, &mut rng)?;
            means.add([("reconstruction_loss", loss)]);
        }
        let mut numbers = means.finish()?;
        self.reconstruction_of_held_out(&mut numbers)?;
        Ok(numbers)
    }

    fn adversarial(
        &mut self,
        config: &Config,
        purpose: &str,
        epoch: usize,
    ) -> Result<Map<String, Value>, FitError> {
        let gan = self.gan.as_mut().ok_or(FitError::Misfit)?;
        let mut rng = stream(config.seed, purpose, epoch);
        let pool = Pool::new(&self.train);
        let rates = LearningRates {
            autoencoder: config.gan.autoencoder_learning_rate,
            generator: config.gan.generator_learning_rate,
            discriminator: config.gan.discriminator_learning_rate,
        };
        let mut means = Means::default();
        for indices in shuffled(self.train.len(), config.autoencoder.batch_size, &mut rng) {
            let batch = self.mixer.batch(&self.train, &indices, &pool, &mut rng);
            let (reconstruction, generator, d) = gan.adversarial_step(&batch, rates, &mut rng)?;
            means.add([
                ("reconstruction_loss", reconstruction),
                ("generator_loss", generator),
                ("discriminator_loss", d.loss),
                ("discriminator_accuracy_real", d.real_accuracy),
                ("discriminator_accuracy_fake", d.fake_accuracy),
            ]);
        }
        let mut numbers = means.finish()?;
        self.reconstruction_of_held_out(&mut numbers)?;
        Ok(numbers)
    }

    fn reconstruction_of_held_out(&self, numbers: &mut Map<String, Value>) -> Result<(), FitError> {
        if let (Some(gan), false) = (&self.gan, self.held_out.is_empty()) {
            let error = gan.reconstruction_error(&self.held_out.values, self.held_out.len())?;
            numbers.insert("validation_reconstruction_loss".into(), json!(error));
        }
        Ok(())
    }

    /// The rows that `[classifier] rows` asks for; synthetic ones are made here, from mixed training rows.
    fn classifier_rows(&self, config: &Config, purpose: &str) -> Result<Rows, FitError> {
        let wanted = config.classifier.rows;
        let mut rows = if wanted.real() {
            self.train.clone()
        } else {
            Rows::recorded(self.train.width, self.train.classes, Vec::new(), Vec::new())
        };
        if wanted.synthetic() {
            let gan = self.gan.as_ref().ok_or(FitError::Misfit)?;
            let pool = Pool::new(&self.train);
            let mut left = match config.synthetic.rows {
                0 => self.train.len(),
                n => n,
            };
            let mut round = 0;
            while left > 0 {
                let mut rng = stream(config.seed, &format!("{purpose} synthetic rows"), round);
                for mut indices in
                    shuffled(self.train.len(), config.autoencoder.batch_size, &mut rng)
                {
                    indices.truncate(left);
                    if indices.is_empty() {
                        break;
                    }
                    left -= indices.len();
                    let batch = self.mixer.batch(&self.train, &indices, &pool, &mut rng);
                    let made = gan.synthesise(batch.values(), batch.rows())?;
                    rows.push_synthetic(&made, batch.targets());
                }
                round += 1;
            }
        }
        Ok(rows)
    }

    fn classify(
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
            let logits = dnn.logits(&self.held_out)?;
            let classes = self.held_out.classes;
            let truth = &self.held_out.class;
            let predicted = logits.chunks_exact(classes).map(largest);
            let confusion = Confusion::of(classes, truth.iter().copied().zip(predicted));
            numbers.insert("validation_uar".into(), json!(confusion.uar()));
            let loss = balanced_cross_entropy(&logits, classes, truth);
            numbers.insert("validation_loss".into(), json!(loss));
        }
        Ok(numbers)
    }
}

/// Rows of the task, normalised.
pub(crate) fn normalised(
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

/// Sums of named one-element tensors over the batches of an epoch; read from the device once, at its end.
#[derive(Default)]
struct Means {
    sums: Vec<(&'static str, Tensor<1>)>,
    count: usize,
}

impl Means {
    fn add<const N: usize>(&mut self, numbers: [(&'static str, Tensor<1>); N]) {
        self.count += 1;
        for (name, value) in numbers {
            match self.sums.iter_mut().find(|(n, _)| *n == name) {
                Some((_, sum)) => *sum = sum.clone() + value,
                None => self.sums.push((name, value)),
            }
        }
    }

    fn finish(self) -> Result<Map<String, Value>, BackendError> {
        let mut out = Map::new();
        for (name, sum) in self.sums {
            let sum = values(sum)?.first().copied().unwrap_or(f32::NAN);
            out.insert(name.into(), json!(f64::from(sum) / self.count as f64));
        }
        Ok(out)
    }
}
