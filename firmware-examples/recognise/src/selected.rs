//! Adaptation of the features that a model reads, and of no others: offset and scale stay in flash,
//! and there is memory for no more than is needed.

use ser_runtime::adapt::{Adapt, AdaptConfig, AdaptError, AdaptiveNormaliser, memory_len};

/// Indices as `StaticModel::selection` gives them.
pub trait Indices: ExactSizeIterator<Item = usize> + DoubleEndedIterator + Clone {}

impl<I: ExactSizeIterator<Item = usize> + DoubleEndedIterator + Clone> Indices for I {}

/// An adaptive normaliser of a model's selection. Features that the model does not read are left
/// with values that mean nothing.
pub struct Selected<'a, I> {
    /// Indices of the features that are read, ascending.
    selection: I,
    normaliser: AdaptiveNormaliser<&'a [f32], &'a mut [f32]>,
}

impl<'a, I: Indices> Selected<'a, I> {
    /// Starts at the training values: offset and scale of what `selection` reads. `memory` may be
    /// larger than is needed.
    ///
    /// # Errors
    /// [`AdaptError::Length`], [`AdaptError::Setting`].
    pub fn new(
        selection: I,
        (offset, scale): (&'a [f32], &'a [f32]),
        memory: &'a mut [f32],
        config: AdaptConfig,
    ) -> Result<Self, AdaptError> {
        let (found, needed) = (memory.len(), memory_len(offset.len()));
        let memory = memory.get_mut(..needed).ok_or(AdaptError::Length {
            what: "the adaptation memory",
            found,
            needed,
        })?;
        let normaliser = AdaptiveNormaliser::new(offset, scale, memory, config)?;
        Ok(Self {
            selection,
            normaliser,
        })
    }

    /// How much was learnt, in ordinary utterances.
    pub fn learnt(&self) -> f32 {
        self.normaliser.weight()
    }
}

impl<I: Indices> Adapt for Selected<'_, I> {
    fn adapt(&mut self, features: &mut [f32], learn: Option<f32>) {
        // The selection ascends: what is read moves to the front, and back from the end.
        for (to, from) in self.selection.clone().enumerate() {
            features[to] = features[from];
        }
        let width = self.normaliser.width();
        self.normaliser.adapt(&mut features[..width], learn);
        for (from, to) in self.selection.clone().enumerate().rev() {
            features[to] = features[from];
        }
    }
}
