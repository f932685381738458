//! Reference data for the tests of this crate.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
// the unit tests of the crate, which is `no_std`, use this module too
use std::vec::Vec;

use ser_features::{Config, Extractor, FEATURE_COUNT, FeatureSet, Features};

#[path = "../../examples/parity/wav.rs"]
pub mod wav;

/// The workspace's folder.
pub fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .find(|folder| folder.join("Cargo.lock").is_file())
        .unwrap_or(here)
}

/// The shared folder, or `None` with a loud line.
pub fn shared(sub: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SER_SHARED")
        .map_or_else(|| workspace().join("../shared"), PathBuf::from)
        .join(sub);
    if root.is_dir() {
        return Some(root);
    }
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED: {} is not there (set SER_SHARED to the shared folder): this test checked nothing",
        root.display()
    );
    None
}

/// A committed golden: sampling rate, samples, openSMILE's features.
pub fn golden(name: &str) -> (u32, Vec<i16>, [f32; FEATURE_COUNT]) {
    let folder = workspace().join("tests/golden/features");
    let read = |kind: &str| {
        fs::read_to_string(folder.join(format!("{name}.{kind}.txt"))).expect("golden file")
    };
    let samples = read("samples");
    let (rate, samples) = samples.split_once('\n').expect("rate line");
    let samples = samples
        .split_whitespace()
        .map(|v| v.parse().expect("sample"))
        .collect();
    let features: Vec<f32> = read("functionals")
        .lines()
        .map(|v| v.parse().expect("value"))
        .collect();
    (
        rate.parse().expect("rate"),
        samples,
        features.try_into().expect("1582 values"),
    )
}

/// Names of the committed goldens.
pub const GOLDENS: [&str; 6] = [
    "sh_070ms",
    "sh_080ms",
    "sh_090ms",
    "sh_130ms",
    "sh_300ms",
    "sh_400ms_pulse",
];

/// Features of a whole recording in one push.
pub fn extract(set: FeatureSet, rate: u32, samples: &[f32]) -> Features {
    let mut extractor =
        Extractor::owned(Config::for_samples(rate, samples.len(), set)).expect("configuration");
    extractor.push(samples).expect("push");
    let mut features = Features::zeroed();
    extractor.finish(&mut features).expect("finish");
    features
}
