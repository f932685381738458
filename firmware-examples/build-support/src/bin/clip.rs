//! `clip OUT.wav`: the clip that the firmware holds, as a WAV file.

use std::fs;
use std::path::PathBuf;

use ser_build_support::{Result, SAMPLE_RATE, clip};

fn main() -> Result<()> {
    let out = PathBuf::from(std::env::args().nth(1).ok_or("usage: clip OUT.wav")?);
    let samples = clip(&std::env::temp_dir(), 4.0)?;
    let bytes = 2 * samples.len() as u32;
    let mut wav = Vec::from(*b"RIFF");
    wav.extend((36 + bytes).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16u32.to_le_bytes());
    // PCM, one channel
    wav.extend([1, 0, 1, 0]);
    wav.extend(SAMPLE_RATE.to_le_bytes());
    wav.extend((2 * SAMPLE_RATE).to_le_bytes());
    // two bytes a frame, 16 bits a sample
    wav.extend([2, 0, 16, 0]);
    wav.extend(b"data");
    wav.extend(bytes.to_le_bytes());
    wav.extend(samples.iter().flat_map(|s| s.to_le_bytes()));
    fs::write(&out, wav).map_err(|e| format!("{}: {e}", out.display()))?;
    Ok(())
}
