//! A spoken clip in flash -> 1582 features -> int8 model -> label, over semihosting. Cortex-M4F: 512 KB of flash, 256 KB of RAM, with the compact model.
//!
//! Compiled for a computer it is an ordinary program that prints the same lines but for those that begin with `#`.
#![cfg_attr(target_os = "none", no_std, no_main)]

use ser_example_recognise::{Memory, extractor_memory, run};
use ser_runtime::include_model;

include!(concat!(env!("OUT_DIR"), "/clip.rs"));

/// Floats of memory: the extractor's follows from the length of the clip, the others hold a model of up to 2048 inputs and 256 codes.
const EXTRACTOR: usize = extractor_memory(CLIP.len());
const ENGINE: usize = 4096;
const CODES: usize = 272;

fn model() -> &'static [u8] {
    include_model!(concat!(env!("OUT_DIR"), "/model.ser"))
}

#[cfg(not(target_os = "none"))]
fn main() -> std::process::ExitCode {
    let mut text = String::new();
    let memory = Memory {
        extractor: &mut vec![0.0; EXTRACTOR],
        engine: &mut vec![0.0; ENGINE],
        codes: &mut vec![0.0; CODES],
    };
    let done = run(&mut text, model(), &CLIP, memory, |work| {
        work();
        0
    });
    print!("{text}");
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(_) => std::process::ExitCode::FAILURE,
    }
}

#[cfg(target_os = "none")]
mod firmware {
    use cortex_m::singleton;
    use cortex_m_rt::entry;
    use cortex_m_semihosting::{hio, hprintln};
    use panic_semihosting as _;
    use ser_qemu_support::{InstructionCounter, Machine, exit, linked_size, stack_high_water};

    use super::{CLIP, CODES, ENGINE, EXTRACTOR, Memory};

    #[entry]
    fn main() -> ! {
        let (Some(peripherals), Ok(mut out)) = (cortex_m::Peripherals::take(), hio::hstdout())
        else {
            exit(false)
        };
        let (Some(extractor), Some(engine), Some(codes)) = (
            singleton!(: [f32; EXTRACTOR] = [0.0; EXTRACTOR]),
            singleton!(: [f32; ENGINE] = [0.0; ENGINE]),
            singleton!(: [f32; CODES] = [0.0; CODES]),
        ) else {
            exit(false)
        };
        let memory = Memory {
            extractor,
            engine,
            codes,
        };
        let counter = InstructionCounter::start(peripherals.SYST, Machine::Mps2);
        let done = super::run(&mut out, super::model(), &CLIP, memory, |work| {
            counter.count(work).0
        });
        let (flash, ram) = linked_size();
        hprintln!(
            "# flash {} bytes, static RAM {} bytes, stack {} bytes at most",
            flash,
            ram,
            stack_high_water()
        );
        exit(done.is_ok())
    }
}
