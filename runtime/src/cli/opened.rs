//! An open model whose engine the recognisers of all channels share.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};

use ser_features::{Config, FeatureSet};

use super::{CliError, ModelArgs};
use crate::adapt::{Adapt, AdaptConfig, OwnedAdapter};
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

    /// What adapts to the voice of `channel` (`None` for the mean of all), with what was kept
    /// beside `state`, and the file where that is.
    pub(super) fn adapter(
        &self,
        state: Option<&Path>,
        channel: Option<u16>,
    ) -> Result<(OwnedAdapter, Option<PathBuf>), CliError> {
        let mut adapter = OwnedAdapter::owned(&self.manifest.normaliser, AdaptConfig::default())?;
        let state = state.map(|path| match channel {
            None | Some(0) => path.to_owned(),
            Some(channel) => {
                let mut name = path.as_os_str().to_owned();
                name.push(format!(".{channel}"));
                PathBuf::from(name)
            }
        });
        if let Some(path) = &state {
            match adapter.load_file(path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                other => other.map_err(state_error(path))?,
            }
        }
        Ok((adapter, state))
    }
}

/// The engine as the recognisers of all channels see it.
pub(super) type Shared<'e> = SharedEngine<'e, Box<dyn Engine + Send>>;

/// The error for a file of statistics.
pub(super) fn state_error(path: &Path) -> impl Fn(io::Error) -> CliError {
    let file = path.display().to_string();
    move |source| CliError::State {
        file: file.clone(),
        source,
    }
}
