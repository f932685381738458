//! Audio in, emotion out: runs a ser-edge bundle on a device.
//!
//! A bundle is a folder that the trainer wrote: an encoder and a classifier as ONNX graphs and as flat files for devices, a manifest, checksums. This crate knows no
//! training. It decodes a recording, extracts the features with the very extractor that made the training table, and asks the graphs.
//!
//! ```no_run
//! # #[cfg(feature = "tract")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use ser_runtime::audio::read_audio;
//! use ser_runtime::model::{EngineKind, Model};
//!
//! let mut model = Model::open("models/emodb-4class", EngineKind::Tract)?;
//! let prediction = model.predict(&read_audio("voice.wav".as_ref())?)?;
//! match (prediction.label, prediction.confidence) {
//!     (Ok(label), Some(confidence)) => println!("{label} ({:.0} %)", 100.0 * confidence),
//!     (Ok(label), None) => println!("{label}"),
//!     (Err(reason), _) => println!("no label: {}", reason.words()),
//! }
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "tract"))]
//! # fn main() {}
//! ```
//!
//! Samples that arrive piece by piece go to a [`recognizer`], in chunks of any size:
//!
//! ```no_run
//! # #[cfg(feature = "tract")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use ser_runtime::model::{EngineKind, Model};
//! # let mut microphone = std::iter::empty::<[i16; 160]>();
//! let mut model = Model::open("models/emodb-4class", EngineKind::Tract)?;
//! let labels = model.bundle().manifest.labels.clone();
//! let mut recognizer = model.recognizer(16_000, 10 * 16_000)?;
//! for chunk in microphone.by_ref().take(300) {
//!     recognizer.push_i16(&chunk)?;
//! }
//! if let Ok(label) = recognizer.finish()?.label {
//!     println!("{}", labels[label]);
//! }
//! recognizer.reset();
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "tract"))]
//! # fn main() {}
//! ```
//!
//! An endless stream goes to a [`live`] recogniser, which cuts it into utterances; with an [`adapt`]ive normaliser it gets used to the voice:
//!
//! ```no_run
//! # #[cfg(feature = "tract")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use ser_runtime::model::{EngineKind, Model};
//! # let mut telephone = std::iter::empty::<[i16; 160]>();
//! use ser_runtime::adapt::{AdaptConfig, OwnedAdapter};
//! use ser_runtime::live::Event;
//!
//! let mut model = Model::open("models/emodb-4class", EngineKind::Tract)?;
//! let labels = model.bundle().manifest.labels.clone();
//! let adapter = OwnedAdapter::owned(&model.bundle().manifest.normaliser, AdaptConfig::default())?;
//! let config = model.live_config();
//! let mut live = model.live(8_000, config, adapter)?;
//! for chunk in telephone {
//!     live.push_i16(&chunk, |event| {
//!         if let Event::End { span, outcome, .. } = event
//!             && let Ok(label) = outcome.label
//!         {
//!             println!("samples {} to {}: {}", span.start, span.end, labels[label]);
//!         }
//!     });
//! }
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "tract"))]
//! # fn main() {}
//! ```
//!
//! | feature | adds | needs |
//! |---|---|---|
//! | none | [`engine::Engine`], [`engine::static_model`], [`recognizer`], [`live`], [`segment`], [`adapt`], [`resample`], [`pcm`], [`quality`], [`prediction`], [`footprint`]; memory is the caller's | `core` |
//! | `alloc` | `normalise`, recognisers and predictions that own their memory, the writer of flat model files | `alloc` |
//! | `std` | `audio`, `bundle`, `extract`, `model` | an operating system |
//! | `tract` (default) | the bundle's ONNX graphs in pure Rust | |
//! | `ort` | ONNX Runtime, loaded when the program runs (`ORT_DYLIB_PATH`) | its library |
//! | `cli` (default) | the program `ser-run` | |
//! | `capture` (default) | `capture`: samples from a sound card's callback to the thread that recognises | |
//! | `listen` | `ser-run listen`, a microphone through cpal | ALSA's headers on Linux |
#![cfg_attr(not(feature = "std"), no_std)]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod adapt;
#[cfg(feature = "std")]
pub mod audio;
#[cfg(feature = "std")]
pub mod bundle;
#[cfg(feature = "capture")]
pub mod capture;
#[cfg(feature = "cli")]
pub mod cli;
mod crc32;
pub mod cut;
pub mod engine;
#[cfg(feature = "std")]
pub mod extract;
pub mod footprint;
pub mod hearing;
pub mod live;
#[cfg(feature = "std")]
pub mod model;
#[cfg(feature = "alloc")]
pub mod normalise;
pub mod pcm;
pub mod prediction;
pub mod quality;
pub mod recognizer;
pub mod resample;
pub mod segment;
#[cfg(feature = "std")]
pub mod timeline;
pub mod voice;

/// What [`recognizer`] is made with and may fail with, for programs that depend on this crate alone.
pub use ser_features::{Config, ConfigError, FinishError, PushError};
