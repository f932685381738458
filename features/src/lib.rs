//! The 1582 `emobase2010` features of an utterance (INTERSPEECH 2010 paralinguistics): streaming, `no_std`, no heap.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(feature = "std", test))]
#[cfg_attr(test, macro_use)]
extern crate std;

mod analysis;
mod delta;
mod error;
mod extractor;
mod features;
mod fft;
mod frame;
mod functionals;
mod lanes;
mod layout;
mod loudness;
mod lpc;
mod lsp;
mod mel;
mod mfcc;
mod names;
mod parabola;
#[cfg(feature = "std")]
pub mod parity;
mod pitch;
mod resample;
mod smooth;
mod spline;
mod stage;
mod sums;
mod voice_quality;
mod window;

pub use error::{ConfigError, FinishError, PushError};
pub use extractor::{Config, Extractor, memory_len};
pub use features::Features;
pub use frame::{MAX_SAMPLE_RATE, MIN_SAMPLE_RATE};
#[cfg(feature = "alloc")]
pub use names::feature_names;
pub use names::{FeatureName, FeatureSet, LldName, feature_name, lld_name};
pub use stage::Stage;

/// Features of an utterance.
pub const FEATURE_COUNT: usize = 1582;
/// Low-level descriptors of a frame.
pub const LLD_COUNT: usize = 38;
/// Changes whenever the features of some recording change by more than rounding.
pub const EXTRACTOR_VERSION: &str = "1";
