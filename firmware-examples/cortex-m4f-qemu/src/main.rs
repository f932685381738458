//! A microphone -> utterances -> 1582 features -> int8 model -> labels, over semihosting. Cortex-M4F: 512 KB of flash, 256 KB of RAM, with the compact model.
//!
//! Compiled for a computer it is an ordinary program that prints the same lines but for those that begin with `#`.
#![cfg_attr(target_os = "none", no_std, no_main)]

use ser_runtime::include_model;

include!(concat!(env!("OUT_DIR"), "/clip.rs"));

fn model() -> &'static [u8] {
    include_model!(concat!(env!("OUT_DIR"), "/model.ser"))
}

// The model reads every group of features, whose tables take 148 kB: what is left holds utterances of
// 0.6 s, and no adaptation. A model without the LSP frees 96 kB of it.
ser_example_recognise::program!(Mps2, 39_400, 896, 128, 0);
