//! What computes: one trait, behind it tract (the default), ONNX Runtime, the static engine for devices, and whatever a device brings along.

#[cfg(any(feature = "tract", feature = "ort"))]
mod graph;
#[cfg(feature = "std")]
mod load;
#[cfg(feature = "ort")]
pub mod ort;
mod shared;
pub mod static_model;
#[cfg(feature = "tract")]
pub mod tract;

#[cfg(any(feature = "tract", feature = "ort"))]
pub use graph::{Graph, GraphOutput, GraphSpec, OnnxEngine};
#[cfg(feature = "std")]
pub use load::LoadError;
pub use shared::SharedEngine;

#[cfg(feature = "alloc")]
use alloc::boxed::Box;

use ser_features::FeatureGroups;

/// Encoder and classifier of one model. Needs neither a heap nor an operating system.
pub trait Engine {
    /// Features that the encoder reads.
    fn feature_count(&self) -> usize;

    /// Elements of the code between encoder and classifier.
    fn code_len(&self) -> usize;

    /// Labels that the classifier tells apart.
    fn label_count(&self) -> usize;

    /// Groups of features that the encoder reads; a [`Recognizer`](crate::recognizer::Recognizer) leaves the others at 0 without computing them.
    fn groups(&self) -> FeatureGroups {
        FeatureGroups::ALL
    }

    /// Raw (not normalised) features to a code; the normaliser is part of the encoder.
    ///
    /// # Errors
    /// [`EngineError::Width`] unless `features` has [`Self::feature_count`] and `code` [`Self::code_len`] elements;
    /// [`EngineError::NotFinite`] for features that are not finite, or where the code overflows.
    fn encode(&mut self, features: &[f32], code: &mut [f32]) -> Result<(), EngineError>;

    /// A code to one logit a label, before temperature and softmax.
    ///
    /// # Errors
    /// [`EngineError::Width`] unless `code` has [`Self::code_len`] and `logits` [`Self::label_count`] elements;
    /// [`EngineError::NotFinite`] for a code that is not finite, or where a logit overflows.
    fn classify(&mut self, code: &[f32], logits: &mut [f32]) -> Result<(), EngineError>;
}

/// An engine behind a pointer is an engine.
macro_rules! forward {
    ($pointer:ty) => {
        impl<E: Engine + ?Sized> Engine for $pointer {
            fn feature_count(&self) -> usize {
                (**self).feature_count()
            }

            fn code_len(&self) -> usize {
                (**self).code_len()
            }

            fn label_count(&self) -> usize {
                (**self).label_count()
            }

            fn groups(&self) -> FeatureGroups {
                (**self).groups()
            }

            fn encode(&mut self, features: &[f32], code: &mut [f32]) -> Result<(), EngineError> {
                (**self).encode(features, code)
            }

            fn classify(&mut self, code: &[f32], logits: &mut [f32]) -> Result<(), EngineError> {
                (**self).classify(code, logits)
            }
        }
    };
}

forward!(&mut E);
#[cfg(feature = "alloc")]
forward!(Box<E>);

/// Why a computation failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EngineError {
    /// A slice has not the length that the model needs.
    #[error("{what} has {found} elements, the model needs {expected}")]
    Width {
        /// Which slice.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length that the model needs.
        expected: usize,
    },
    /// NaN or infinity, given to the model or by it.
    #[error("{what} hold a number that is not finite")]
    NotFinite {
        /// Which slice.
        what: &'static str,
    },
    /// The engine computes for another handle ([`SharedEngine`]).
    #[error("the engine is busy")]
    Busy,
    /// The library behind the engine failed.
    #[cfg(feature = "std")]
    #[error("{engine}: {message}")]
    Library {
        /// The engine.
        engine: &'static str,
        /// What it said.
        message: String,
    },
}

/// Refuses a slice of another length.
pub fn check_width(what: &'static str, slice: &[f32], expected: usize) -> Result<(), EngineError> {
    if slice.len() == expected {
        Ok(())
    } else {
        Err(EngineError::Width {
            what,
            found: slice.len(),
            expected,
        })
    }
}

/// Refuses NaN and infinity. Inputs need it too: a clip in the graph may turn NaN into an ordinary number.
pub fn check_finite(what: &'static str, slice: &[f32]) -> Result<(), EngineError> {
    if slice.iter().all(|v| v.is_finite()) {
        Ok(())
    } else {
        Err(EngineError::NotFinite { what })
    }
}
