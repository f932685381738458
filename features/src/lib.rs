//! The 1582 `emobase2010` features of an utterance (INTERSPEECH 2010 paralinguistics): streaming, `no_std`, no heap.
//!
//! # Why
//!
//! Models of emotion and other paralinguistic states are trained on these features, and a model is only as good as the sameness of its
//! features: what runs on the device must be what made the training table. So there is one extractor for both, and it gives openSMILE's
//! numbers: on 36 reference utterances (8 to 48 kHz) and on 675 real recordings every one of the 1582 features agrees with openSMILE 3.0 within
//! 1e-3 of its value, or of 1 % of its contour's scale where the value is smaller (`parity`, feature `std`). No code of
//! openSMILE is in it.
//!
//! # How
//!
//! From a buffer:
//!
//! ```
//! # #[cfg(feature = "alloc")] {
//! use ser_features::{Config, Extractor, FeatureSet, Features, feature_name};
//!
//! let samples: Vec<f32> = (0..16_000).map(|i| 0.3 * (i as f32 * 0.06).sin().powi(5)).collect();
//! let config = Config::for_samples(16_000, samples.len(), FeatureSet::Emobase2010);
//! let mut extractor = Extractor::owned(config)?;
//! extractor.push(&samples)?;
//! let mut features = Features::zeroed();
//! extractor.finish(&mut features)?;
//! for (index, value) in features.as_slice().iter().enumerate().take(3) {
//!     println!("{} = {value}", feature_name(FeatureSet::Emobase2010, index).unwrap());
//! }
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! From a stream, in static memory, with the low-level descriptors as they are ready:
//!
//! ```
//! use ser_features::{Config, Extractor, FeatureGroups, FeatureSet, Features, memory_len};
//!
//! let config = Config { sample_rate: 16_000, max_frames: 200, feature_set: FeatureSet::Emobase2010, groups: FeatureGroups::ALL };
//! let mut memory = [0.0; memory_len(16_000, 200)]; // on a microcontroller: a static
//! let mut extractor = Extractor::new(config, &mut memory)?;
//! let mut row = 0;
//! for chunk in (0..100).map(|_| [1000i16, -2000, 500, 0].repeat(40)) {
//!     extractor.push_i16(&chunk)?;
//!     while let Some(descriptors) = extractor.lld_row(row) {
//!         println!("loudness {}, F0 {} Hz", descriptors[0], descriptors[34]);
//!         row += 1;
//!     }
//! }
//! let mut features = Features::zeroed();
//! extractor.finish(&mut features)?;
//! extractor.reset(); // ready for the next utterance, tables kept
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The features do not depend on the chunks, bit for bit. `finish` ends nothing: push on, and finish again covers it all. An utterance
//! longer than `max_frames` gives [`PushError::Full`], and `finish` then gives the features of what fits.
//!
//! # What the features mean
//!
//! | index | contours × functionals | contours |
//! |---|---|---|
//! | 0 | 34 × 21 | `pcm_loudness_sma`; `pcm_fftMag_mfcc_sma[0..14]`; `logMelFreqBand_sma[0..7]` (20–6500 Hz); `lspFreq_sma[0..7]` (line spectral frequencies, radians at 11 kHz); `F0finEnv_sma` (pitch held through pauses, Hz); `voicingFinalUnclipped_sma` (0..1) |
//! | 714 | 34 × 21 | their slopes over five frames, `_sma_de` |
//! | 1428 | 4 × 19 | `F0final_sma` (Hz); `jitterLocal_sma`; `jitterDDP_sma`; `shimmerLocal_sma`; frames of value 0 left out |
//! | 1504 | 4 × 19 | their slopes, `_sma_de` |
//! | 1580 | 2 | `F0final__Turn_numOnsets` (voiced stretches); `F0final__Turn_duration` (seconds) |
//!
//! All contours are smoothed over three frames of 10 ms. The functionals, in order:
//!
//! | suffix | meaning |
//! |---|---|
//! | `maxPos`, `minPos` | where the first maximum, minimum lies, 0..1 of the length |
//! | `amean` | mean |
//! | `linregc1`, `linregc2`, `linregerrA`, `linregerrQ` | slope per frame and offset of the regression line; mean absolute and mean squared error of it |
//! | `stddev`, `skewness`, `kurtosis` | of the population; kurtosis of a Gaussian is 3 |
//! | `quartile1`–`3`, `iqr1-2`, `iqr2-3`, `iqr1-3` | quartiles and their differences |
//! | `percentile1.0`, `percentile99.0`, `pctlrange0-1` | outer percentiles and their difference (`F0final`, jitter and shimmer have `percentile99.0` only) |
//! | `upleveltime75`, `upleveltime90` | share of frames above 75 %, 90 % of the range |
//!
//! [`all_features`] lists all 1582 with their meaning, [`feature_name`] gives every name. [`FeatureSet::Is10ParalingCompat`] is the sibling set
//! with the same layout.
//!
//! # What it costs
//!
//! Memory, all of it the caller's: 15.6 kB per second of `max_frames`, and a fixed part for tables and scratch (the struct itself is below 2 kB):
//!
//! | sampling rate, Hz | 8000 | 16000 | 22050 | 44100 | 48000 | 96000 |
//! |---|---|---|---|---|---|---|
//! | fixed memory, kB | 118 | 149 | 409 | 502 | 506 | 696 |
//!
//! A model that reads few features needs less: groups that [`Config::groups`] leaves out ([`FeatureGroup`]) are neither computed nor stored, and their
//! features are 0; the others keep their bits. At 16 kHz:
//!
//! | groups | fixed memory, kB | per second of `max_frames`, kB |
//! |---|---|---|
//! | all | 149 | 15.6 |
//! | all but voice quality | 146 | 14.4 |
//! | loudness, MFCC, log-mel, LSP | 115 | 13.2 |
//! | all but LSP | 52 | 12.4 |
//! | loudness, MFCC, log-mel, pitch | 49 | 11.2 |
//! | loudness, MFCC, log-mel | 18 | 10.0 |
//! | loudness, MFCC | 17 | 6.8 |
//!
//! [`Config::memory_len`] gives the floats of a configuration, as a constant where it is one; `cargo run --release -p ser-features --features std
//! --example instructions` prints both tables.
//!
//! Time: 192 000 instructions per 10-ms frame of fully voiced audio at 16 kHz on x86-64 (SSE2 only), counted by
//!
//! ```text
//! cargo build --release -p ser-features --features std --example instructions
//! for n in 1 2; do valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/instructions $n; done
//! ```
//!
//! (difference of the totals over 995 frames). On a Cortex-M7 (`-C target-cpu=cortex-m7`) 420 000 instructions per frame of half-voiced speech at 16 kHz, on a
//! Cortex-M4F, whose f64 is software, 1.3 million (`cargo xtask machines`). `cargo bench -p ser-features --features std` gives the time on your machine, in all and by
//! [`Stage`].
//!
//! # Cargo features
//!
//! None by default. `alloc`: `Extractor::owned` and names as strings. `std`: the cost by stage and `parity`.
//!
//! # The same bits everywhere
//!
//! No result depends on the machine: every elementary function is `libm`'s, sums have a fixed order, nothing is contracted. `cargo xtask
//! machines` extracts twelve recordings (8 to 48 kHz) on x86-64, aarch64, Cortex-M4F (f64 in software), Cortex-M7 and Cortex-M55 (with vector
//! instructions) under QEMU: the largest difference of all 18984 features is 0, bit for bit.
//!
//! Contours are stored as `f32`. Half precision would save 76 bytes a frame at the price of the equality: with contours rounded to binary16
//! 91.8 % of the features of the 675 recordings still agree with openSMILE (F0 86 %, LSP 78 %), so there is no such variant.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(test)]
extern crate self as ser_features;
#[cfg(any(feature = "std", test))]
#[cfg_attr(test, macro_use)]
extern crate std;

#[doc = include_str!("../FEATURES.md")]
pub mod all_features {}

mod analysis;
mod delta;
mod error;
mod extractor;
mod features;
mod fft;
mod frame;
mod functionals;
#[cfg(all(test, feature = "std"))]
mod goldens;
mod groups;
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
mod passes;
mod pitch;
mod resample;
mod smooth;
mod spline;
mod stage;
mod sums;
mod twiddles;
mod voice_quality;
mod window;

pub use error::{ConfigError, FinishError, PushError};
pub use extractor::{Config, Extractor, memory_len};
pub use features::Features;
pub use frame::{MAX_SAMPLE_RATE, MIN_SAMPLE_RATE};
pub use groups::{FeatureGroup, FeatureGroups};
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
