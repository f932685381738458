//! An open model whose engine the recognisers of all channels share.

use std::cell::RefCell;
use std::path::Path;

use ser_features::{Config, FeatureSet};

use super::state::StateFile;
use super::{CliError, ModelArgs};
use crate::adapt::{Adapt, AdaptConfig, OwnedAdapter};
use crate::audio::Channels;
use crate::bundle::Manifest;
use crate::engine::{Engine, SharedEngine};
use crate::live::{LiveConfig, OwnedLiveRecognizer};
use crate::model::{Model, ModelError};
use crate::prediction::Decision;
use crate::recognizer::OwnedRecognizer;
use crate::timeline::TimelineRecognizer;

/// An open model.
pub(super) struct Opened {
    pub(super) manifest: Manifest,
    set: FeatureSet,
    engine: RefCell<Box<dyn Engine + Send>>,
}

impl Opened {
    pub(super) fn new(args: &ModelArgs) -> Result<Self, CliError> {
        let model = Model::open(args.bundle(), args.engine)?;
        let set = model.feature_set()?;
        let (bundle, engine) = model.into_parts();
        Ok(Self {
            manifest: bundle.manifest,
            set,
            engine: RefCell::new(engine),
        })
    }

    /// Sampling rate, in Hz, of what the model was trained on, where that is known.
    pub(super) fn rate(&self) -> Option<u32> {
        let hearing = self.manifest.hearing.as_ref();
        let native = || self.manifest.sample_rates.first().copied();
        hearing.and_then(|h| h.sample_rate).or_else(native)
    }

    /// How logits become a label, with another least probability than the bundle's if one is given.
    fn decision(&self, abstain_below: Option<f32>) -> Decision {
        let own = self.manifest.decision();
        Decision {
            abstain_below: abstain_below.unwrap_or(own.abstain_below),
            ..own
        }
    }

    fn engine(&self) -> Result<Shared<'_>, CliError> {
        SharedEngine::new(&self.engine)
            .map_err(|e| CliError::Model(ModelError::Recognizer(e.into())))
    }

    /// A recogniser of whole recordings at the model's rate that shares the engine.
    pub(super) fn recognizer(
        &self,
        rate: u32,
        max_samples: usize,
        abstain_below: Option<f32>,
    ) -> Result<OwnedRecognizer<Shared<'_>>, CliError> {
        let config = Config::for_samples(rate, max_samples, self.set);
        OwnedRecognizer::owned(config, self.engine()?, self.decision(abstain_below))
            .map_err(|e| CliError::Model(e.into()))
    }

    /// A live recogniser that shares the engine.
    pub(super) fn live<A: Adapt>(
        &self,
        rate: u32,
        config: LiveConfig,
        abstain_below: Option<f32>,
        adapt: A,
    ) -> Result<OwnedLiveRecognizer<Shared<'_>, A>, CliError> {
        let (engine, decision) = (self.engine()?, self.decision(abstain_below));
        let model_rate = self.manifest.model_rate(rate);
        OwnedLiveRecognizer::owned(rate, model_rate, self.set, config, engine, decision, adapt)
            .map_err(|e| CliError::Model(e.into()))
    }

    /// A recogniser of recordings at `rate` Hz, cut as the bundle says, that shares the engine.
    pub(super) fn recording<A: Adapt>(
        &self,
        rate: u32,
        abstain_below: Option<f32>,
        adapt: A,
    ) -> Result<TimelineRecognizer<Shared<'_>, A>, CliError> {
        let config = LiveConfig {
            cut: self.manifest.cut(),
            update_ms: 0,
        };
        let live = self.live(rate, config, abstain_below, adapt)?;
        let labels = self.manifest.labels.clone();
        let decision = self.decision(abstain_below);
        Ok(TimelineRecognizer::new(live, rate, labels, decision))
    }

    /// What adapts to the voice of one signal of a stream of `of` channels at `rate` Hz, with what
    /// is kept beside `state`, and the file where that is.
    pub(super) fn adapter(
        &self,
        state: Option<&Path>,
        signal: Signal,
        of: u16,
        rate: u32,
    ) -> Result<(OwnedAdapter, Option<StateFile>), CliError> {
        let mut adapter = OwnedAdapter::owned(&self.manifest.normaliser, AdaptConfig::default())?;
        let Some(path) = state else {
            return Ok((adapter, None));
        };
        let alone = matches!(signal.chosen, Channels::One(_));
        let file = match signal.channel {
            Some(channel) => StateFile::open(path, channel, of, alone, rate, &mut adapter),
            // The mean of all channels is one stream.
            None => StateFile::open(path, 0, 1, false, rate, &mut adapter),
        }?;
        Ok((adapter, Some(file)))
    }
}

/// A signal of a recording or stream, and how it was chosen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signal {
    pub(super) chosen: Channels,
    /// The channel, counted from 0; `None` for the mean of several.
    pub(super) channel: Option<u16>,
}

impl Signal {
    /// Signal `index` of those that `chosen` takes of `of` channels.
    pub(super) fn new(chosen: Channels, index: usize, of: u16) -> Self {
        let channel = match of {
            1 => Some(0),
            _ => chosen.number(index),
        };
        Self { chosen, channel }
    }
}

/// The engine as the recognisers of all channels see it.
pub(super) type Shared<'e> = SharedEngine<'e, Box<dyn Engine + Send>>;
