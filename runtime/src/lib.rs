//! Audio in, emotion out: runs a ser-edge bundle on a device.
#![cfg_attr(not(feature = "std"), no_std)]

#[cfg(feature = "alloc")]
extern crate alloc;

#[cfg(feature = "std")]
pub mod audio;
#[cfg(feature = "std")]
pub mod bundle;
#[cfg(feature = "alloc")]
pub mod normalise;
