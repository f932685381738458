//! A bundle and an engine: the short way from a recording to a prediction.

use std::path::Path;
use std::str::FromStr;

use ser_features::{Config, FeatureSet};

use crate::adapt::Adapt;
use crate::audio::Pcm;
use crate::bundle::{Bundle, BundleError};
use crate::cut::CutConfig;
use crate::engine::static_model::{OwnedStaticEngine, Precision};
use crate::engine::{Engine, LoadError};
use crate::live::{LiveConfig, LiveError, OwnedLiveRecognizer};
use crate::prediction::{Decision, Prediction};
use crate::recognizer::{OwnedRecognizer, RecognizerError};
use crate::resample::{ResampleError, resample};
use crate::timeline::{Timeline, TimelineRecognizer};

/// Which engine computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// tract, pure Rust.
    Tract,
    /// ONNX Runtime; its library is loaded when the program runs.
    Ort,
    /// The flat file with 32-bit weights.
    Static,
    /// The flat file with 8-bit weights.
    StaticInt8,
}

impl EngineKind {
    /// Every engine.
    pub const ALL: [Self; 4] = [Self::Tract, Self::Ort, Self::Static, Self::StaticInt8];

    /// tract where it is part of the build, else [`Self::Static`].
    pub const DEFAULT: Self = if cfg!(feature = "tract") {
        Self::Tract
    } else {
        Self::Static
    };

    /// The name by which [`FromStr`] knows it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tract => "tract",
            Self::Ort => "ort",
            Self::Static => "static",
            Self::StaticInt8 => "static-int8",
        }
    }
}

impl Default for EngineKind {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl FromStr for EngineKind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| "known engines are tract, ort, static and static-int8".to_owned())
    }
}

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The bundle is refused.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The engine refuses the bundle.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The engine is not part of this build.
    #[error(
        "engine {engine} is not part of this build; build ser-runtime with `--features {engine}`"
    )]
    NotBuilt {
        /// Its name.
        engine: &'static str,
    },
    /// The model's features were made elsewhere.
    #[error(
        "bundle {bundle}: feature set {set:?} was made elsewhere; no extractor for it is here, so it cannot be used on audio"
    )]
    NoExtractor {
        /// The bundle.
        bundle: String,
        /// Its feature set.
        set: String,
    },
    /// A recording cannot be brought to the model's rate.
    #[error(transparent)]
    Resample(#[from] ResampleError),
    /// A live recogniser cannot be made.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// No result for an utterance.
    #[error(transparent)]
    Recognizer(#[from] RecognizerError),
}

/// A checked bundle with a loaded engine.
pub struct Model {
    bundle: Bundle,
    engine: Box<dyn Engine + Send>,
    abstain_below: Option<f32>,
}

impl Model {
    /// Opens the bundle in `dir` and loads it into an engine.
    ///
    /// # Errors
    /// [`ModelError::Bundle`], [`ModelError::Load`], [`ModelError::NotBuilt`].
    pub fn open(dir: impl AsRef<Path>, kind: EngineKind) -> Result<Self, ModelError> {
        Self::new(Bundle::open(dir)?, kind)
    }

    /// Loads an open bundle into an engine.
    ///
    /// # Errors
    /// [`ModelError::Load`], [`ModelError::NotBuilt`].
    pub fn new(bundle: Bundle, kind: EngineKind) -> Result<Self, ModelError> {
        let engine: Box<dyn Engine + Send> = match kind {
            #[cfg(feature = "tract")]
            EngineKind::Tract => Box::new(crate::engine::tract::TractEngine::load(&bundle)?),
            #[cfg(not(feature = "tract"))]
            EngineKind::Tract => return Err(ModelError::NotBuilt { engine: "tract" }),
            #[cfg(feature = "ort")]
            EngineKind::Ort => Box::new(crate::engine::ort::OrtEngine::load(&bundle)?),
            #[cfg(not(feature = "ort"))]
            EngineKind::Ort => return Err(ModelError::NotBuilt { engine: "ort" }),
            EngineKind::Static => Box::new(OwnedStaticEngine::load(&bundle, Precision::F32)?),
            EngineKind::StaticInt8 => Box::new(OwnedStaticEngine::load(&bundle, Precision::Int8)?),
        };
        Ok(Self {
            bundle,
            engine,
            abstain_below: None,
        })
    }

    /// The bundle.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// The engine.
    pub fn engine(&mut self) -> &mut (dyn Engine + Send + 'static) {
        self.engine.as_mut()
    }

    /// The feature set to extract.
    ///
    /// # Errors
    /// [`ModelError::NoExtractor`] for features that were made elsewhere.
    pub fn feature_set(&self) -> Result<FeatureSet, ModelError> {
        self.bundle
            .manifest
            .built_in_features()
            .ok_or_else(|| ModelError::NoExtractor {
                bundle: self.bundle.dir.display().to_string(),
                set: self.bundle.manifest.feature_set.id.clone(),
            })
    }

    /// A recogniser of utterances of up to `max_samples` samples at `sample_rate` Hz, for samples that arrive piece by piece.
    ///
    /// # Errors
    /// [`ModelError::NoExtractor`], [`ModelError::Recognizer`] for a rate that the extractor does not take.
    pub fn recognizer(
        &mut self,
        sample_rate: u32,
        max_samples: usize,
    ) -> Result<OwnedRecognizer<&mut (dyn Engine + Send + 'static)>, ModelError> {
        let config = Config::for_samples(sample_rate, max_samples, self.feature_set()?);
        let decision = self.decision();
        Ok(OwnedRecognizer::owned(
            config,
            self.engine.as_mut(),
            decision,
        )?)
    }

    /// A recogniser of an endless stream at `rate` Hz, which is brought to the model's rate; `adapt` is `()` or an adaptive normaliser.
    ///
    /// # Errors
    /// [`ModelError::NoExtractor`], [`ModelError::Live`].
    pub fn live<A: Adapt>(
        &mut self,
        rate: u32,
        config: LiveConfig,
        adapt: A,
    ) -> Result<OwnedLiveRecognizer<&mut (dyn Engine + Send + 'static), A>, ModelError> {
        let set = self.feature_set()?;
        let decision = self.decision();
        Ok(OwnedLiveRecognizer::owned(
            rate,
            self.bundle.manifest.model_rate(rate),
            set,
            config,
            self.engine.as_mut(),
            decision,
            adapt,
        )?)
    }

    /// How logits become a label: the bundle's temperature, and the least probability that it asks
    /// for unless [`Self::abstain_below`] was called.
    pub fn decision(&self) -> Decision {
        let own = self.bundle.manifest.decision();
        Decision {
            abstain_below: self.abstain_below.unwrap_or(own.abstain_below),
            ..own
        }
    }

    /// Asks for another least probability of a label than the bundle does, 0 to 1.
    pub fn abstain_below(&mut self, probability: f32) {
        self.abstain_below = Some(probability);
    }

    /// A live recogniser's configuration that cuts a stream as the training recordings were cut.
    pub fn live_config(&self) -> LiveConfig {
        LiveConfig {
            cut: self.cut(),
            update_ms: 0,
        }
    }

    /// How recordings are cut for this model: as the bundle says, by the defaults if it does not.
    pub fn cut(&self) -> CutConfig {
        self.bundle.manifest.cut()
    }

    /// Bundle and engine apart, for [several recognisers with one engine](crate::engine::SharedEngine).
    pub fn into_parts(self) -> (Bundle, Box<dyn Engine + Send>) {
        (self.bundle, self.engine)
    }

    /// A recogniser of a recording at `rate` Hz that is pushed piece by piece, cut as the bundle
    /// says.
    ///
    /// # Errors
    /// As [`Self::live`].
    pub fn recording<A: Adapt>(
        &mut self,
        rate: u32,
        adapt: A,
    ) -> Result<TimelineRecognizer<&mut (dyn Engine + Send + 'static), A>, ModelError> {
        let labels = self.bundle.manifest.labels.clone();
        let decision = self.decision();
        let config = self.live_config();
        let live = self.live(rate, config, adapt)?;
        Ok(TimelineRecognizer::new(live, rate, labels, decision))
    }

    /// The utterances of a recording.
    ///
    /// # Errors
    /// As [`Self::recording`], and [`ModelError::Recognizer`] where an utterance cannot be
    /// recognised.
    pub fn timeline(&mut self, pcm: &Pcm) -> Result<Timeline, ModelError> {
        let mut recording = self.recording(pcm.sample_rate, ())?;
        recording.push(&pcm.samples)?;
        Ok(recording.finish()?)
    }

    /// The prediction for the speech in a recording: the summary of its [`timeline`](Self::timeline).
    ///
    /// # Errors
    /// As [`Self::timeline`].
    pub fn predict(&mut self, pcm: &Pcm) -> Result<Prediction, ModelError> {
        Ok(self.timeline(pcm)?.summary)
    }

    /// The prediction for a whole recording, speech or not, which is brought to the
    /// [model's rate](crate::bundle::Manifest::model_rate) first.
    ///
    /// # Errors
    /// As [`Self::recognizer`], and [`ModelError::Recognizer`] for a recording shorter than 70 ms.
    pub fn predict_whole(&mut self, pcm: &Pcm) -> Result<Prediction, ModelError> {
        let labels = self.bundle.manifest.labels.clone();
        let rate = self.bundle.manifest.model_rate(pcm.sample_rate);
        let samples = resample(&pcm.samples, pcm.sample_rate, rate)?;
        let mut recognizer = self.recognizer(rate, samples.len())?;
        recognizer.push(&samples)?;
        Ok(recognizer.finish()?.named(&labels))
    }
}
