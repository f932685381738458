//! One engine behind many recognisers of one thread: the weights are in memory once.

use core::cell::{RefCell, RefMut};

use ser_features::FeatureGroups;

use super::{Engine, EngineError};

/// A handle on an engine that other handles use, too; one computes at a time.
pub struct SharedEngine<'e, E: ?Sized> {
    engine: &'e RefCell<E>,
    feature_count: usize,
    code_len: usize,
    label_count: usize,
    groups: FeatureGroups,
}

impl<'e, E: Engine + ?Sized> SharedEngine<'e, E> {
    /// A handle.
    ///
    /// # Errors
    /// [`EngineError::Busy`] while the engine computes.
    pub fn new(engine: &'e RefCell<E>) -> Result<Self, EngineError> {
        let sizes = engine.try_borrow().map_err(|_| EngineError::Busy)?;
        Ok(Self {
            engine,
            feature_count: sizes.feature_count(),
            code_len: sizes.code_len(),
            label_count: sizes.label_count(),
            groups: sizes.groups(),
        })
    }

    fn borrow(&self) -> Result<RefMut<'e, E>, EngineError> {
        self.engine.try_borrow_mut().map_err(|_| EngineError::Busy)
    }
}

impl<E: Engine + ?Sized> Engine for SharedEngine<'_, E> {
    fn feature_count(&self) -> usize {
        self.feature_count
    }

    fn code_len(&self) -> usize {
        self.code_len
    }

    fn label_count(&self) -> usize {
        self.label_count
    }

    fn groups(&self) -> FeatureGroups {
        self.groups
    }

    fn encode(&mut self, features: &[f32], code: &mut [f32]) -> Result<(), EngineError> {
        self.borrow()?.encode(features, code)
    }

    fn classify(&mut self, code: &[f32], logits: &mut [f32]) -> Result<(), EngineError> {
        self.borrow()?.classify(code, logits)
    }
}
