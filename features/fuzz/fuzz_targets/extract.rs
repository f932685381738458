//! Hostile samples at any rate, in any chunks: no panic, finite features or a named error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ser_features::{Config, Extractor, FeatureGroup, FeatureGroups, FeatureSet, Features, FinishError, PushError};

fuzz_target!(|data: &[u8]| {
    let Some((&[rate_low, rate_high, set, frames, chunk, kind], body)) = data.split_first_chunk::<6>() else { return };
    let config = Config {
        // 6 to 104 kHz: below, within and above what is supported
        sample_rate: 6_000 + u32::from(u16::from_le_bytes([rate_low, rate_high])) * 3 / 2,
        max_frames: usize::from(frames % 40),
        feature_set: FeatureSet::ALL[usize::from(set % 2)],
        groups: FeatureGroup::ALL.into_iter().filter(|&group| set >> (1 + group as u8) & 1 == 0).fold(FeatureGroups::NONE, FeatureGroups::with),
    };
    let Ok(mut extractor) = Extractor::owned(config) else { return };
    let mut features = Features::zeroed();
    let chunk = 1 + usize::from(chunk) * 8;
    // the input over and over, so that few bytes make an utterance
    let rounds = 1 + 6_000 / (body.len() + 1);
    if kind % 2 == 0 {
        let samples: Vec<f32> =
            body.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        for part in samples.chunks(chunk).cycle().take(rounds * samples.len().div_ceil(chunk)) {
            match extractor.push(part) {
                Err(PushError::NotFinite { index }) => assert!(!part[index].is_finite()),
                Err(PushError::Full { taken }) => assert!(taken < part.len()),
                other => assert_eq!(other, Ok(())),
            }
        }
    } else {
        let samples: Vec<i16> = body.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect();
        for part in samples.chunks(chunk).cycle().take(rounds * samples.len().div_ceil(chunk)) {
            match extractor.push_i16(part) {
                Err(PushError::Full { taken }) => assert!(taken < part.len()),
                other => assert_eq!(other, Ok(())),
            }
        }
    }
    match extractor.finish(&mut features) {
        Ok(()) => assert!(features.as_slice().iter().all(|v| v.is_finite())),
        Err(FinishError::TooShort { samples, needed }) => assert!(samples < needed),
        Err(FinishError::NotFinite { index }) => assert!(kind % 2 == 0, "16-bit samples overflowed feature {index}"),
        Err(other) => panic!("{other}"),
    }
});
