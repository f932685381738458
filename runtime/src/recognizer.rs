//! Samples in, a prediction out: extractor, engine and calibration joined, without a heap.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

use ser_features::{
    Config, ConfigError, Extractor, FeatureGroups, Features, FinishError, PushError,
};

use crate::adapt::{Adapt, utterance_weight};
use crate::engine::{Engine, EngineError};
use crate::pcm::in_blocks;
use crate::prediction::{Decision, Outcome, softmax};
use crate::quality::QualityMeter;

/// Recognises one utterance after the other.
///
/// The extractor's memory `M` and the scratch memory `S` are the caller's: arrays, mutable slices or vectors. Nothing else is allocated, so
/// what the recogniser needs is known before the first sample.
///
/// [`push`](Self::push) takes samples in chunks of any size, [`finish`](Self::finish) gives the result of what was pushed since the start or
/// the last [`reset`](Self::reset); the result does not depend on the chunks.
pub struct Recognizer<E, M, S> {
    extractor: Extractor<M>,
    engine: E,
    scratch: S,
    features: Features,
    meter: QualityMeter,
    decision: Decision,
}

/// A recogniser that owns its memory.
#[cfg(feature = "alloc")]
pub type OwnedRecognizer<E> = Recognizer<E, Vec<f32>, Vec<f32>>;

/// Why a recogniser cannot be made, or gives no result.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RecognizerError {
    /// The extractor cannot be made.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Samples were not (all) taken.
    #[error(transparent)]
    Push(#[from] PushError),
    /// The utterance has no features.
    #[error(transparent)]
    Finish(#[from] FinishError),
    /// The model failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The model reads other features than the extractor gives.
    #[error("the model reads {found} features, the extractor gives {expected}")]
    FeatureCount {
        /// Features that the model reads.
        found: usize,
        /// Features that the extractor gives.
        expected: usize,
    },
    /// The configuration leaves out what the model reads.
    #[error("the model reads features of the groups {missing}, which the configuration leaves out")]
    Groups {
        /// What is missing.
        missing: FeatureGroups,
    },
    /// The scratch memory is too small.
    #[error("{found} floats of scratch memory, {needed} are needed")]
    Scratch {
        /// Its length.
        found: usize,
        /// [`scratch_len`].
        needed: usize,
    },
    /// The temperature is not a positive number.
    #[error("the calibration temperature is {temperature}, not a positive number")]
    Temperature {
        /// The temperature.
        temperature: f32,
    },
    /// The least probability of a label is no probability.
    #[error("labels are given from a probability of {abstain_below} on, which is not 0 to 1")]
    Abstain {
        /// The probability.
        abstain_below: f32,
    },
}

/// Floats of scratch memory that a recogniser with `engine` needs: the code and one probability a label.
pub fn scratch_len(engine: &impl Engine) -> usize {
    engine.code_len() + engine.label_count()
}

/// `config` for the groups alone that `engine` reads.
fn narrowed(config: Config, engine: &impl Engine) -> Config {
    config.with_groups(config.groups.intersection(engine.groups()))
}

#[cfg(feature = "alloc")]
impl<E: Engine> OwnedRecognizer<E> {
    /// A recogniser that owns its memory; see [`Recognizer::new`].
    ///
    /// # Errors
    /// As [`Recognizer::new`].
    pub fn owned(config: Config, engine: E, decision: Decision) -> Result<Self, RecognizerError> {
        // The extractor's own constructor refuses a rate for which no memory length is known.
        let memory = alloc::vec![0.0; narrowed(config, &engine).memory_len()];
        let scratch = alloc::vec![0.0; scratch_len(&engine)];
        Self::new(config, engine, decision, memory, scratch)
    }
}

impl<E, M, S> Recognizer<E, M, S>
where
    E: Engine,
    M: AsRef<[f32]> + AsMut<[f32]>,
    S: AsMut<[f32]>,
{
    /// A recogniser of utterances of up to `config.max_frames` frames of 10 ms. Only groups of features that the model reads
    /// ([`Engine::groups`]) are computed: `memory` has at least [`Config::memory_len`] floats of the configuration
    /// [`with`](Config::with_groups) those. `scratch` has at least [`scratch_len`]; `decision` turns logits into a label.
    ///
    /// # Errors
    /// [`RecognizerError::Config`], [`RecognizerError::FeatureCount`], [`RecognizerError::Groups`], [`RecognizerError::Scratch`], [`RecognizerError::Temperature`], [`RecognizerError::Abstain`].
    pub fn new(
        config: Config,
        engine: E,
        decision: Decision,
        memory: M,
        mut scratch: S,
    ) -> Result<Self, RecognizerError> {
        let expected = ser_features::FEATURE_COUNT;
        if engine.feature_count() != expected {
            return Err(RecognizerError::FeatureCount {
                found: engine.feature_count(),
                expected,
            });
        }
        let missing = engine.groups().difference(config.groups);
        if !missing.is_empty() {
            return Err(RecognizerError::Groups { missing });
        }
        let (found, needed) = (scratch.as_mut().len(), scratch_len(&engine));
        if found < needed {
            return Err(RecognizerError::Scratch { found, needed });
        }
        let Decision {
            temperature,
            abstain_below,
        } = decision;
        if !(temperature.is_finite() && temperature > 0.0) {
            return Err(RecognizerError::Temperature { temperature });
        }
        if !(0.0..=1.0).contains(&abstain_below) {
            return Err(RecognizerError::Abstain { abstain_below });
        }
        let extractor = Extractor::new(narrowed(config, &engine), memory)?;
        Ok(Self {
            extractor,
            engine,
            scratch,
            features: Features::zeroed(),
            meter: QualityMeter::new(config.sample_rate),
            decision,
        })
    }

    /// Takes mono samples on the scale -1..1, at the rate of the configuration, in any chunking.
    ///
    /// # Errors
    /// [`PushError::NotFinite`]: nothing of the chunk was taken. [`PushError::Full`]: the utterance is longer than the memory; what fits was
    /// taken, and [`finish`](Self::finish) gives its result.
    pub fn push(&mut self, samples: &[f32]) -> Result<(), RecognizerError> {
        let pushed = self.extractor.push(samples);
        let taken = match pushed {
            Ok(()) => samples.len(),
            Err(PushError::Full { taken }) => taken.min(samples.len()),
            Err(_) => 0,
        };
        self.meter.push(&samples[..taken]);
        Ok(pushed?)
    }

    /// [`push`](Self::push) for 16-bit samples: x / 32767.
    ///
    /// # Errors
    /// [`PushError::Full`], as [`push`](Self::push); `taken` counts from the start of `samples`.
    pub fn push_i16(&mut self, samples: &[i16]) -> Result<(), RecognizerError> {
        in_blocks(samples, |start, block| {
            self.push(block).map_err(|error| match error {
                RecognizerError::Push(PushError::Full { taken }) => PushError::Full {
                    taken: start + taken,
                }
                .into(),
                other => other,
            })
        })
    }

    /// The result of everything since the start or the last [`reset`](Self::reset). It ends nothing: more samples may follow, and a later
    /// `finish` covers them too.
    ///
    /// # Errors
    /// [`RecognizerError::Finish`] below 70 ms, [`RecognizerError::Engine`].
    pub fn finish(&mut self) -> Result<Outcome<'_>, RecognizerError> {
        self.finish_adapted(&mut (), false)
    }

    /// [`finish`](Self::finish) with features that `adapt` changes before the model sees them. With `learn`, `adapt` also learns from the
    /// utterance as it was extracted, by its seconds of voice, unless that is [unfit](crate::quality::Quality::unfit): its features then say nothing
    /// about a speaker, and the model is not asked.
    /// [`features`](Self::features) are then the changed ones.
    ///
    /// # Errors
    /// As [`finish`](Self::finish); nothing is learnt where there are no features.
    pub fn finish_adapted(
        &mut self,
        adapt: &mut impl Adapt,
        learn: bool,
    ) -> Result<Outcome<'_>, RecognizerError> {
        self.extractor.finish(&mut self.features)?;
        let Config {
            sample_rate: rate,
            groups,
            ..
        } = self.extractor.config();
        let voiced = groups
            .computes_pitch()
            .then(|| self.extractor.voiced_frames());
        let quality = self.meter.quality(self.extractor.pitch_frames(), voiced);
        let samples = self.meter.samples();
        let duration_s = (samples as f64 / f64::from(rate)) as f32;
        let unfit = quality.unfit();
        // Without a pitch nobody knows how much of it is voice: it counts as an ordinary utterance.
        let weight = || quality.voiced_s.map_or(1.0, utterance_weight);
        let learn = (learn && unfit.is_none()).then(weight);
        adapt.adapt(self.features.as_mut(), learn);
        let mut outcome = Outcome {
            label: unfit.map_or(Ok(0), Err),
            probabilities: &[],
            samples,
            duration_s,
            quality,
        };
        if unfit.is_some() {
            return Ok(outcome);
        }
        let (code_len, labels) = (self.engine.code_len(), self.engine.label_count());
        let scratch = self.scratch.as_mut();
        let too_small = RecognizerError::Scratch {
            found: scratch.len(),
            needed: code_len + labels,
        };
        let Some((code, rest)) = scratch.split_at_mut_checked(code_len) else {
            return Err(too_small);
        };
        let Some(probabilities) = rest.get_mut(..labels) else {
            return Err(too_small);
        };
        self.engine.encode(self.features.as_slice(), code)?;
        self.engine.classify(code, probabilities)?;
        softmax(probabilities, self.decision.temperature);
        outcome.label = self.decision.label(probabilities);
        outcome.probabilities = probabilities;
        Ok(outcome)
    }

    /// Forgets the utterance; tables, model and memory stay.
    pub fn reset(&mut self) {
        self.extractor.reset();
        self.meter.reset();
    }

    /// What the extractor was made for.
    pub fn config(&self) -> Config {
        self.extractor.config()
    }

    /// The features behind the last successful [`finish`](Self::finish), 0 for those of groups that the model does not read; all 0 before it.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// The model.
    pub fn engine(&self) -> &E {
        &self.engine
    }
}
