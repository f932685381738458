//! `instructions [ROUNDS]`: extracts ten seconds of a synthetic voice at 16 kHz so many times, for instruction counts that do not depend on
//! the machine's mood:
//!
//! ```text
//! cargo build --release -p ser-features --features std --example instructions
//! for n in 1 2; do valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/instructions $n; done
//! ```
//!
//! The difference of the two totals, over 995 frames, is the count per frame.

use std::error::Error;

use ser_features::{
    Config, Extractor, FeatureGroup, FeatureGroups, FeatureSet, Features, memory_len,
};

/// The sets in the table of the crate's documentation.
const GROUPS: [FeatureGroups; 7] = {
    use FeatureGroup::{LogMel, Loudness, Lsp, Mfcc, Pitch, VoiceQuality};
    [
        FeatureGroups::ALL,
        FeatureGroups::of(&[Loudness, Mfcc, LogMel, Lsp, Pitch]),
        FeatureGroups::of(&[Loudness, Mfcc, LogMel, Pitch, VoiceQuality]),
        FeatureGroups::of(&[Loudness, Mfcc, LogMel, Pitch]),
        FeatureGroups::of(&[Loudness, Mfcc, LogMel, Lsp]),
        FeatureGroups::of(&[Loudness, Mfcc, LogMel]),
        FeatureGroups::of(&[Loudness, Mfcc]),
    ]
};

fn main() -> Result<(), Box<dyn Error>> {
    let rounds: usize = std::env::args().nth(1).map_or(Ok(1), |v| v.parse())?;
    for rate in [8_000, 16_000, 22_050, 44_100, 48_000, 96_000] {
        println!(
            "{rate} Hz: fixed memory {} kB",
            (4 * memory_len(rate, 0)).div_ceil(1000)
        );
    }
    println!("16000 Hz, by groups: fixed memory, and memory per second of max_frames");
    for groups in GROUPS {
        let len = |max_frames| {
            let config = Config {
                sample_rate: 16_000,
                max_frames,
                feature_set: FeatureSet::Emobase2010,
                groups,
            };
            4 * config.memory_len()
        };
        println!(
            "{:.1} kB, {:.1} kB: {groups}",
            len(0) as f64 / 1e3,
            (len(100) - len(0)) as f64 / 1e3
        );
    }
    // a pulse train with vibrato and a little noise, through two resonances
    let (mut phase, mut seed) = (0.0f32, 1u32);
    let mut state = [[0.0f32; 2]; 2];
    let samples: Vec<f32> = (0..160_000)
        .map(|i| {
            phase += (140.0 + 20.0 * (i as f32 * 4e-4).sin()) / 16_000.0;
            let pulse = if phase >= 1.0 { 1.0 } else { 0.0 };
            phase -= pulse;
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let mut x = pulse + 1e-3 * ((seed >> 8) as f32 / (1 << 23) as f32 - 1.0);
            for (s, (a, b)) in state.iter_mut().zip([(1.86, -0.94), (1.35, -0.9)]) {
                x += a * s[0] + b * s[1];
                *s = [x, s[0]];
            }
            0.02 * x
        })
        .collect();
    let mut extractor = Extractor::owned(Config::for_samples(
        16_000,
        samples.len(),
        FeatureSet::Emobase2010,
    ))?;
    let mut features = Features::zeroed();
    for _ in 0..rounds {
        extractor.reset();
        extractor.push(&samples)?;
        extractor.finish(&mut features)?;
    }
    println!(
        "{} frames, {} voiced",
        extractor.frames(),
        extractor.voiced_frames()
    );
    Ok(())
}
