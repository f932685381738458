//! What the Cortex-M examples do: a clip in flash to an emotion, in memory that the caller owns.
//!
//! Lines that begin with `#` are measurements of one machine; all others must be the same, bit for bit, on every machine.
#![no_std]

use core::fmt::{self, Write};

use ser_features::{Config, FeatureSet, memory_len};
use ser_runtime::engine::Engine;
use ser_runtime::engine::static_model::{StaticEngine, StaticModel};
use ser_runtime::recognizer::{Recognizer, scratch_len};

/// Samples that arrive at once, as from a DMA buffer: 10 ms.
const CHUNK: usize = 160;

/// Sampling rate of the clip.
pub const SAMPLE_RATE: u32 = 16_000;

/// Frames of 10 ms that hold `samples` samples.
pub const fn frames(samples: usize) -> usize {
    Config::for_samples(SAMPLE_RATE, samples, FeatureSet::Emobase2010).max_frames
}

/// Floats that the extractor needs for a clip of `samples` samples.
pub const fn extractor_memory(samples: usize) -> usize {
    memory_len(SAMPLE_RATE, frames(samples))
}

/// Memory of the caller, static on a device.
pub struct Memory<'a> {
    /// [`extractor_memory`] floats.
    pub extractor: &'a mut [f32],
    /// The engine's scratch memory.
    pub engine: &'a mut [f32],
    /// Code and probabilities.
    pub codes: &'a mut [f32],
}

/// Why there is no label.
#[derive(Debug)]
pub struct Failed;

impl From<fmt::Error> for Failed {
    fn from(_: fmt::Error) -> Self {
        Self
    }
}

/// Recognises `clip` and prints label and probabilities to `out`; `count` measures some work in instructions.
///
/// # Errors
/// [`Failed`], after a line that says why.
pub fn run(
    out: &mut impl Write,
    model: &[u8],
    clip: &[i16],
    memory: Memory<'_>,
    mut count: impl FnMut(&mut dyn FnMut()) -> u64,
) -> Result<(), Failed> {
    let parsed = match StaticModel::from_bytes(model) {
        Ok(parsed) => parsed,
        Err(error) => return fail(out, "the model", &error),
    };
    let (labels, temperature) = (parsed.labels(), parsed.temperature());
    let Some(feature_set) = parsed.built_in_features() else {
        return fail(out, "the model", &"its features are not built in");
    };
    let config = Config::for_samples(SAMPLE_RATE, clip.len(), feature_set);
    let mut engine = match StaticEngine::new(parsed, memory.engine) {
        Ok(engine) => engine,
        Err(error) => return fail(out, "the engine", &error),
    };

    // an inference alone: what it costs does not depend on the features
    let (mut code, mut logits) = ([0.0; 256], [0.0; 16]);
    let code = &mut code[..engine.code_len().min(256)];
    let logits = &mut logits[..engine.label_count().min(16)];
    let features = ser_features::Features::zeroed();
    let mut done = true;
    let inference = count(&mut || {
        done &= engine.encode(features.as_slice(), code).is_ok();
        done &= engine.classify(code, logits).is_ok();
    });
    if !done {
        return fail(out, "the engine", &"it failed on features of 0");
    }

    let needed = scratch_len(&engine);
    if memory.codes.len() < needed {
        return fail(out, "the memory for codes", &needed);
    }
    let mut recognizer =
        match Recognizer::new(config, engine, temperature, memory.extractor, memory.codes) {
            Ok(recognizer) => recognizer,
            Err(error) => return fail(out, "the recogniser", &error),
        };
    let mut pushed = Ok(());
    let pushing = count(&mut || {
        for chunk in clip.chunks(CHUNK) {
            pushed = recognizer.push_i16(chunk);
            if pushed.is_err() {
                break;
            }
        }
    });
    if let Err(error) = pushed {
        return fail(out, "the samples", &error);
    }
    // a first time to count, a second time to keep the result
    let finishing = count(&mut || {
        let _ = recognizer.finish();
    });
    let outcome = match recognizer.finish() {
        Ok(outcome) => outcome,
        Err(error) => return fail(out, "the utterance", &error),
    };

    let name = labels.clone().nth(outcome.label).unwrap_or("?");
    writeln!(out, "label {name}")?;
    for (label, probability) in labels.zip(outcome.probabilities.iter()) {
        writeln!(
            out,
            "  {label:<10} {probability:.6} {:08x}",
            probability.to_bits()
        )?;
    }
    let samples = clip.len() as u64;
    let per_second = pushing * u64::from(SAMPLE_RATE) / samples;
    writeln!(
        out,
        "# clip: {samples} samples, {:.2} s",
        outcome.duration_s
    )?;
    writeln!(out, "# model: {} bytes", model.len())?;
    writeln!(
        out,
        "# instructions: {per_second} per second of audio, {inference} per inference, {finishing} per finish"
    )?;
    Ok(())
}

fn fail(out: &mut impl Write, what: &str, why: &dyn fmt::Display) -> Result<(), Failed> {
    let _ = writeln!(out, "{what}: {why}");
    Err(Failed)
}

/// The program of a board: `main` for the board and for a computer, around `CLIP` (a static array of samples) and `fn model() -> &'static [u8]`.
/// `$machine` is the variant of `ser_qemu_support::Machine`.
#[macro_export]
macro_rules! program {
    ($machine:ident) => {
        /// Floats of memory: the extractor's follows from the length of the clip, the others hold a model of up to 2048 inputs and 256 codes.
        const EXTRACTOR: usize = $crate::extractor_memory(CLIP.len());
        const ENGINE: usize = 4096;
        const CODES: usize = 272;

        #[cfg(not(target_os = "none"))]
        fn main() -> std::process::ExitCode {
            let mut text = String::new();
            let memory = $crate::Memory {
                extractor: &mut vec![0.0; EXTRACTOR],
                engine: &mut vec![0.0; ENGINE],
                codes: &mut vec![0.0; CODES],
            };
            let done = $crate::run(&mut text, model(), &CLIP, memory, |work| {
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

            use super::{CLIP, CODES, ENGINE, EXTRACTOR};

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
                let memory = $crate::Memory {
                    extractor,
                    engine,
                    codes,
                };
                let counter = InstructionCounter::start(peripherals.SYST, Machine::$machine);
                let done = $crate::run(&mut out, super::model(), &CLIP, memory, |work| {
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
    };
}
