//! A microphone -> utterances -> 1582 features -> int8 model -> labels, over semihosting. Cortex-M7: 2 MB of flash, 512 KB of RAM, as an STM32H743 or an i.MX RT has at least.
//!
//! Compiled for a computer it is an ordinary program that prints the same lines but for those that begin with `#`.
#![cfg_attr(target_os = "none", no_std, no_main)]

use ser_runtime::include_model;

include!(concat!(env!("OUT_DIR"), "/clip.rs"));

fn model() -> &'static [u8] {
    include_model!(concat!(env!("OUT_DIR"), "/model.ser"))
}

ser_example_recognise::program!(
    Mps2,
    ser_example_recognise::extractor_memory(10_000),
    4_096,
    272,
    ser_example_recognise::ADAPT
);
