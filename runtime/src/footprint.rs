//! What a model takes of a microcontroller's memory, stated before it is tried.

use ser_features::{Config, FeatureSet};

use crate::engine::static_model::StaticModel;

/// Flash for code, constants and vectors of a program that recognises with a flat model, in bytes: what `firmware-examples/cortex-m7-qemu`
/// takes (175 kB) without its clip and its model, rounded up.
pub const CODE_BYTES: usize = 176 * 1024;
/// RAM for the stack, the recogniser itself upon it, in bytes: the high-water mark of `firmware-examples/cortex-m7-qemu` (29 kB), rounded up.
pub const STACK_BYTES: usize = 32 * 1024;

/// Flash and RAM of a program that recognises with a flat model, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "std", derive(serde::Serialize, serde::Deserialize))]
pub struct Footprint {
    /// The flat file.
    pub model: usize,
    /// The extractor's memory for the groups of features that the model reads.
    pub extractor: usize,
    /// Scratch memory of engine and recogniser.
    pub scratch: usize,
}

impl Footprint {
    /// Of `model`, whose file has `file_bytes` bytes, for utterances of up to `seconds` at `sample_rate` Hz. `None` for a model whose features are
    /// not built in, for a rate that the extractor does not take, and for a length that is not a positive number.
    pub fn new(
        model: &StaticModel<'_>,
        file_bytes: usize,
        sample_rate: u32,
        seconds: f64,
    ) -> Option<Self> {
        let set = model.built_in_features()?;
        let extractor = extractor_bytes(set, model.groups(), sample_rate, seconds)?;
        let codes = model.code_len() + model.label_count();
        Some(Self {
            model: file_bytes,
            extractor,
            scratch: size_of::<f32>() * (model.scratch_len() + codes),
        })
    }

    /// The model and [`CODE_BYTES`].
    pub const fn flash(&self) -> usize {
        self.model.saturating_add(CODE_BYTES)
    }

    /// Extractor, scratch memory and [`STACK_BYTES`].
    pub const fn ram(&self) -> usize {
        self.extractor
            .saturating_add(self.scratch)
            .saturating_add(STACK_BYTES)
    }
}

fn extractor_bytes(
    set: FeatureSet,
    groups: ser_features::FeatureGroups,
    sample_rate: u32,
    seconds: f64,
) -> Option<usize> {
    if !(seconds.is_finite() && seconds > 0.0) {
        return None;
    }
    let samples = libm::ceil(seconds * f64::from(sample_rate)) as usize;
    let config = Config::for_samples(sample_rate, samples, set).with_groups(groups);
    match config.memory_len() {
        0 => None,
        floats => floats.checked_mul(size_of::<f32>()),
    }
}
