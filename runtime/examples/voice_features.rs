//! What the detector of voices sees of a stream, for training it.
//!
//! ```text
//! voice_features RATE < samples.f32 > features.f32
//! ```
//!
//! Samples: f32, little-endian, mono. For each frame of 10 ms the features follow, or NaN for all of them where the detector rests.

use std::io::{BufReader, BufWriter, Read, Write};

use ser_runtime::segment::{SegmentConfig, Segmenter};
use ser_runtime::voice::analysis::FEATURES;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rate = std::env::args()
        .nth(1)
        .ok_or("usage: voice_features RATE")?;
    let mut segmenter = Segmenter::new(rate.parse()?, SegmentConfig::default())?;
    let mut bytes = Vec::new();
    BufReader::new(std::io::stdin().lock()).read_to_end(&mut bytes)?;
    let samples: Vec<f32> = bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|&b| f32::from_le_bytes(b))
        .collect();
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut rest = &samples[..];
    while !rest.is_empty() {
        let (taken, activity) = segmenter.push(rest);
        rest = &rest[taken..];
        if activity.is_some() {
            let features = segmenter.voice_features().copied();
            for v in features.unwrap_or([f32::NAN; FEATURES]) {
                out.write_all(&v.to_le_bytes())?;
            }
        }
    }
    out.flush()?;
    Ok(())
}
