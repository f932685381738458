//! 16-bit PCM WAV files.

use std::fs;
use std::path::Path;
use std::vec::Vec;

/// A 16-bit PCM WAV file as mono samples on the scale of the specification.
pub fn read(path: &Path) -> (u32, Vec<f32>) {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert_eq!(
        (&bytes[..4], &bytes[8..12]),
        (&b"RIFF"[..], &b"WAVE"[..]),
        "{}",
        path.display()
    );
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let (mut at, mut rate, mut channels) = (12, 0, 1);
    while at + 8 <= bytes.len() {
        let (id, len) = (&bytes[at..at + 4], u32_at(at + 4) as usize);
        at += 8;
        if id == b"fmt " {
            channels = usize::from(u16::from_le_bytes([bytes[at + 2], bytes[at + 3]]));
            rate = u32_at(at + 4);
        } else if id == b"data" {
            let samples: Vec<f32> = bytes[at..at + len]
                .chunks_exact(2)
                .map(|b| f32::from(i16::from_le_bytes([b[0], b[1]])))
                .collect();
            let mono = samples
                .chunks_exact(channels)
                .map(|c| c.iter().sum::<f32>() / channels as f32 / 32767.0)
                .collect();
            return (rate, mono);
        }
        at += len + len % 2;
    }
    panic!("{}: no data chunk", path.display());
}
