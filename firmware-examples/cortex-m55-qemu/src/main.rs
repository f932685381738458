//! A microphone -> utterances -> 1582 features -> int8 model -> labels, over semihosting. Cortex-M55: code in ITCM, data in DTCM, the model in QSPI flash.
//!
//! Compiled for a computer it is an ordinary program that prints the same lines but for those that begin with `#`.
#![cfg_attr(target_os = "none", no_std, no_main)]

use ser_runtime::engine::static_model::Aligned;

include!(concat!(env!("OUT_DIR"), "/clip.rs"));

const FILE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/model.ser"));

/// The model, in a section of its own: it is larger than the ITCM.
#[cfg_attr(target_os = "none", unsafe(link_section = ".model"))]
static MODEL: Aligned<[u8; FILE.len()]> =
    Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/model.ser")));

fn model() -> &'static [u8] {
    &MODEL.0
}

ser_example_recognise::program!(
    Mps3,
    ser_example_recognise::extractor_memory(10_000),
    4_096,
    272,
    ser_example_recognise::ADAPT
);
