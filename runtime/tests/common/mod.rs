//! What several tests need: sounds, a tiny model, the way to the shared recordings.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

#[cfg(feature = "std")]
pub mod flac;
#[cfg(feature = "std")]
pub mod flat;
#[cfg(feature = "std")]
pub mod odd;
#[cfg(all(feature = "tract", feature = "cli"))]
pub mod program;
pub mod riff;
pub mod stream;
#[cfg(feature = "tract")]
pub mod tiny;
pub mod wav;

use std::path::{Path, PathBuf};

use ser_runtime::cut::CutConfig;
use ser_runtime::segment::SegmentConfig;

/// `shared/PART` beside the repository or above it, if it is there.
pub fn shared(part: &str) -> Option<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|dir| dir.join("shared").join(part))
        .find(|dir| dir.is_dir())
}

/// A small generator with a fixed seed (xorshift64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    /// 0 to `end`, without it.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// -1 to 1.
    pub fn float(&mut self) -> f32 {
        (self.next() as f64 / (1_u64 << 52) as f64 - 1.0) as f32
    }
}

/// Cuts by the level alone: what stands out is an utterance, voice or not. Tests that are not about
/// the detector of voices do not depend on what it makes of synthetic sounds.
pub fn by_level() -> CutConfig {
    CutConfig {
        segment: SegmentConfig {
            voice_onset: 0.0,
            voice_release: 0.0,
            ..SegmentConfig::default()
        },
        ..CutConfig::default()
    }
}

/// The recording of EMO-DB called `name` (`EMO03/03a01Wa`), which lies in the repository.
pub fn emodb(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/emodb");
    folder.join(name).with_extension("flac")
}
