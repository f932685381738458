//! Audio in, emotion out: runs a ser-edge bundle on a device.
#![cfg_attr(not(feature = "std"), no_std)]

#[cfg(feature = "alloc")]
extern crate alloc;

#[cfg(feature = "std")]
pub mod audio;
#[cfg(feature = "std")]
pub mod bundle;
#[cfg(feature = "cli")]
pub mod cli;
pub mod engine;
#[cfg(feature = "std")]
pub mod extract;
#[cfg(any(feature = "tract", feature = "ort"))]
pub mod model;
#[cfg(feature = "alloc")]
pub mod normalise;
pub mod prediction;
pub mod quality;
pub mod recognizer;
