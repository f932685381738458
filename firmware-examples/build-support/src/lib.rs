//! For the build scripts of the Cortex-M examples: the spoken clip, the model and the memory map, put where the program finds them.

use std::env;
use std::error::Error;
use std::f64::consts::PI;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a build script gives back.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Sampling rate of the clip.
pub const SAMPLE_RATE: u32 = 16_000;

/// What espeak-ng says.
const SENTENCE: &str = "What a wonderful day!";

/// Prepares `OUT_DIR`: `clip.rs` with `CLIP`, at most `seconds` of speech; `model.ser`, as [`model`] does; and, for bare metal, `memory.x`.
pub fn prepare(model_file: &str, seconds: f64) -> Result<()> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    model(model_file)?;

    let samples = clip(&out, seconds)?;
    let mut source = format!("pub static CLIP: [i16; {}] = [", samples.len());
    for sample in samples {
        write!(source, "{sample},")?;
    }
    source += "];\n";
    fs::write(out.join("clip.rs"), source)?;

    if env::var("CARGO_CFG_TARGET_OS")? == "none" {
        copy(&here.join("memory.x"), &out.join("memory.x"))?;
        println!("cargo:rustc-link-search={}", out.display());
        println!("cargo:rustc-link-arg=-Tlink.x");
    }
    Ok(())
}

/// Puts the flat model file (`SER_MODEL`, else `file`, relative to the crate) into `OUT_DIR` as `model.ser`.
pub fn model(file: &str) -> Result<()> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=SER_MODEL");
    let from = env::var_os("SER_MODEL").map_or_else(|| here.join(file), PathBuf::from);
    copy(
        &from,
        &PathBuf::from(env::var("OUT_DIR")?).join("model.ser"),
    )
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    println!("cargo:rerun-if-changed={}", from.display());
    fs::copy(from, to).map_err(|e| format!("{}: {e}", from.display()))?;
    Ok(())
}

/// The sentence at [`SAMPLE_RATE`], cut to `seconds`; espeak-ng's own recording is left in `out`.
pub fn clip(out: &Path, seconds: f64) -> Result<Vec<i16>> {
    let file = out.join("spoken.wav");
    let status = Command::new("espeak-ng")
        .args(["-v", "en-us", "-s", "160", "-w"])
        .arg(&file)
        .arg(SENTENCE)
        .status()
        .map_err(|e| format!("espeak-ng cannot be started ({e}): apt-get install espeak-ng"))?;
    if !status.success() {
        return Err(format!("espeak-ng failed: {status}").into());
    }
    let wav = fs::read(&file)?;
    let (rate, samples) =
        parse(&wav).ok_or("espeak-ng wrote something that is not 16-bit mono WAV")?;
    let mut samples = resample(&samples, rate);
    samples.truncate((seconds * f64::from(SAMPLE_RATE)) as usize);
    Ok(samples)
}

/// Sampling rate and samples of a 16-bit mono WAV file.
fn parse(wav: &[u8]) -> Option<(u32, Vec<i16>)> {
    let number = |at: usize| Some(u32::from_le_bytes(wav.get(at..at + 4)?.try_into().ok()?));
    let (mut at, mut rate) = (12, None);
    loop {
        let (name, len) = (wav.get(at..at + 4)?, number(at + 4)? as usize);
        let body = wav.get(at + 8..)?;
        let body = &body[..len.min(body.len())];
        match name {
            // format 1 (PCM), one channel
            b"fmt " if body.get(..4)? == [1, 0, 1, 0] => rate = number(at + 12),
            b"data" => {
                let samples = body.as_chunks().0.iter().map(|b| i16::from_le_bytes(*b));
                return Some((rate?, samples.collect()));
            }
            _ => {}
        }
        at += 8 + len.next_multiple_of(2);
    }
}

/// Windowed-sinc interpolation down to [`SAMPLE_RATE`].
fn resample(samples: &[i16], rate: u32) -> Vec<i16> {
    let ratio = f64::from(rate) / f64::from(SAMPLE_RATE);
    let half = 24.0 * ratio.max(1.0);
    let count = (samples.len() as f64 / ratio) as usize;
    let sample = |center: f64| -> f64 {
        let first = (center - half).ceil().max(0.0) as usize;
        let last = ((center + half) as usize).min(samples.len() - 1);
        (first..=last)
            .map(|i| {
                let x = (i as f64 - center) / ratio.max(1.0);
                let sinc = if x == 0.0 {
                    1.0
                } else {
                    (PI * x).sin() / (PI * x)
                };
                let window = 0.5 + 0.5 * (PI * (i as f64 - center) / half).cos();
                f64::from(samples[i]) * sinc * window / ratio.max(1.0)
            })
            .sum()
    };
    (0..count)
        .map(|n| sample(n as f64 * ratio).round().clamp(-32768.0, 32767.0) as i16)
        .collect()
}
