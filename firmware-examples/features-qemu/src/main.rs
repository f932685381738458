//! Prints the bits of all features of a few recordings, the same program on every machine.
//!
//! One line per recording and sampling rate: name, rate, then 1582 hexadecimal words. Lines that begin with `#` tell what it cost.
//! On a machine with an operating system it is an ordinary program; without one it is firmware that talks by semihosting.
#![cfg_attr(target_os = "none", no_std, no_main)]

use core::fmt::{self, Write};

use ser_features::{Config, Extractor, FeatureGroups, FeatureSet, Features, memory_len};

include!(concat!(env!("OUT_DIR"), "/recordings.rs"));

/// Each recording is also taken as if it had these rates, where it is long enough.
const RATES: [u32; 7] = [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000];
/// Longest recording in pitch frames: 0.4 s at 16 kHz is 0.8 s at 8 kHz.
const MAX_FRAMES: usize = 75;
const MEMORY: usize = memory_len(48_000, MAX_FRAMES);

/// Samples that arrive at once.
const CHUNK: usize = 160;

/// A line that is written at once: a system call a word would be slow.
struct Line<'a, W> {
    out: &'a mut W,
}

impl<W: Write> Line<'_, W> {
    fn words(&mut self, features: &Features) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b' '; 9 * 64];
        for values in features.as_slice().chunks(64) {
            for (place, value) in text.chunks_exact_mut(9).zip(values) {
                let mut bits = value.to_bits();
                for digit in place[1..].iter_mut().rev() {
                    *digit = DIGITS[(bits & 15) as usize];
                    bits >>= 4;
                }
            }
            let text = &text[..9 * values.len()];
            self.out
                .write_str(core::str::from_utf8(text).map_err(|_| fmt::Error)?)?;
        }
        self.out.write_char('\n')
    }
}

/// Prints everything; `count` measures some work.
fn run<W: Write>(
    out: &mut W,
    memory: &mut [f32],
    mut count: impl FnMut(&mut dyn FnMut()) -> u64,
) -> fmt::Result {
    let mut features = Features::zeroed();
    for &(name, own_rate, samples) in RECORDINGS {
        for rate in RATES {
            let config = Config {
                sample_rate: rate,
                max_frames: MAX_FRAMES,
                feature_set: FeatureSet::Emobase2010,
                groups: FeatureGroups::ALL,
            };
            if rate != own_rate && name != "sh_300ms" {
                continue;
            }
            let Ok(mut extractor) = Extractor::new(config, &mut memory[..]) else {
                writeln!(out, "# {name} {rate}: no extractor")?;
                return Err(fmt::Error);
            };
            let mut good = true;
            let instructions = count(&mut || {
                for chunk in samples.chunks(CHUNK) {
                    good &= extractor.push_i16(chunk).is_ok();
                }
                good &= extractor.finish(&mut features).is_ok();
            });
            if !good {
                writeln!(out, "# {name} {rate}: no features")?;
                return Err(fmt::Error);
            }
            let frames = extractor.frames() as u64;
            writeln!(
                out,
                "# {name} {rate}: {frames} frames, {} voiced, {} instructions a frame",
                extractor.voiced_frames(),
                instructions / frames
            )?;
            write!(out, "{name} {rate}")?;
            Line { out: &mut *out }.words(&features)?;
        }
    }
    Ok(())
}

#[cfg(not(target_os = "none"))]
fn main() -> std::process::ExitCode {
    let mut text = String::new();
    let done = run(&mut text, &mut vec![0.0; MEMORY], |work| {
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
    use cortex_m_rt::entry;
    use cortex_m_semihosting::{hio, hprintln};
    use panic_semihosting as _;
    use ser_qemu_support::{InstructionCounter, Machine, exit, stack_high_water};

    #[entry]
    fn main() -> ! {
        let machine = match env!("MACHINE") {
            "mps3" => Machine::Mps3,
            _ => Machine::Mps2,
        };
        let (Some(peripherals), Ok(mut out)) = (cortex_m::Peripherals::take(), hio::hstdout())
        else {
            exit(false)
        };
        let Some(memory) = cortex_m::singleton!(: [f32; super::MEMORY] = [0.0; super::MEMORY])
        else {
            exit(false)
        };
        let counter = InstructionCounter::start(peripherals.SYST, machine);
        let done = super::run(&mut out, memory, |work| counter.count(work).0);
        hprintln!(
            "# {} bytes for the extractor, {} bytes of stack at most",
            size_of_val(memory),
            stack_high_water()
        );
        exit(done.is_ok())
    }
}
