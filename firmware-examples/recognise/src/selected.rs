//! Adaptation of the features that a model reads, and of no others: offset and scale stay in flash,
//! and there is memory for no more than is needed.

use ser_runtime::adapt::{Adapt, AdaptConfig, AdaptError, AdaptiveNormaliser, memory_len};
use ser_runtime::engine::static_model::StaticModel;

/// An adaptive normaliser of a model's selection. Features that the model does not read are left
/// with values that mean nothing.
pub struct Selected<'a> {
    model: StaticModel<'a>,
    normaliser: AdaptiveNormaliser<&'a [f32], &'a mut [f32]>,
}

impl<'a> Selected<'a> {
    /// Starts at the training values; `memory` may be larger than is needed.
    ///
    /// # Errors
    /// [`AdaptError::Length`], [`AdaptError::Setting`].
    pub fn new(
        model: StaticModel<'a>,
        memory: &'a mut [f32],
        config: AdaptConfig,
    ) -> Result<Self, AdaptError> {
        let (offset, scale) = model.normaliser();
        let (found, needed) = (memory.len(), memory_len(offset.len()));
        let memory = memory.get_mut(..needed).ok_or(AdaptError::Length {
            what: "the adaptation memory",
            found,
            needed,
        })?;
        let normaliser = AdaptiveNormaliser::new(offset, scale, memory, config)?;
        Ok(Self { model, normaliser })
    }

    /// How much was learnt, in ordinary utterances.
    pub fn learnt(&self) -> f32 {
        self.normaliser.weight()
    }
}

impl Adapt for Selected<'_> {
    fn adapt(&mut self, features: &mut [f32], learn: Option<f32>) {
        // The selection ascends: what is read moves to the front, and back from the end.
        for (to, from) in self.model.selection().enumerate() {
            features[to] = features[from];
        }
        let width = self.normaliser.width();
        self.normaliser.adapt(&mut features[..width], learn);
        for (from, to) in self.model.selection().enumerate().rev() {
            features[to] = features[from];
        }
    }
}
