//! What the segmenter costs: give it some seconds of a sound, under an instruction counter.
//!
//! ```text
//! segment_cost zeros|quiet|white|car|voice SECONDS RATE
//! ```
//!
//! The difference between two lengths is free of the start; the sound is made once and repeats every second.

use std::f32::consts::TAU;

use ser_runtime::segment::{SegmentConfig, Segmenter};

fn second(kind: &str, rate: u32) -> Option<Vec<f32>> {
    let mut seed = 1_u32;
    let mut white = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as f32 / 8_388_608.0 - 1.0
    };
    let samples = 0..rate;
    Some(match kind {
        "zeros" => samples.map(|_| 0.0).collect(),
        "quiet" => samples.map(|_| 5e-4 * white()).collect(),
        "white" => samples.map(|_| 0.03 * white()).collect(),
        "car" => {
            let pole = 1.0 - TAU * 30.0 / rate as f32;
            let mut low = 0.0;
            let mut next = |_| {
                low = pole * low + (1.0 - pole) * white();
                0.5 * low
            };
            samples.map(&mut next).collect()
        }
        // Harmonics that come and go four times a second: the detector never rests.
        "voice" => {
            let at = |i| {
                let t = i as f32 / rate as f32;
                let phase = TAU * (140.0 * t + 3.0 * (TAU * 2.0 * t).sin());
                let sum: f32 = (1..20).map(|k| (k as f32 * phase).sin() / k as f32).sum();
                0.2 * sum * (0.5 - 0.5 * (TAU * 4.0 * t).cos()).powi(4) + 1e-4 * white()
            };
            samples.map(at).collect()
        }
        _ => return None,
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const USAGE: &str = "usage: segment_cost zeros|quiet|white|car|voice SECONDS RATE";
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [kind, seconds, rate] = &args[..] else {
        return Err(USAGE.into());
    };
    let rate = rate.parse()?;
    let sound = second(kind, rate).ok_or(USAGE)?;
    let mut segmenter = Segmenter::new(rate, SegmentConfig::default())?;
    let mut listened = 0_u32;
    for _ in 0..seconds.parse::<u32>()? {
        let mut rest = &sound[..];
        while !rest.is_empty() {
            let (taken, activity) = segmenter.push(rest);
            rest = &rest[taken..];
            listened += u32::from(activity.is_some() && segmenter.voice_features().is_some());
        }
    }
    println!(
        "{} bytes of state, the detector of voices heard {listened} frames",
        size_of::<Segmenter>()
    );
    Ok(())
}
