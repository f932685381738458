//! Streaming: chunks do not matter, bad input is refused, memory is bounded.
#![cfg(feature = "std")]

mod common;

use proptest::prelude::*;
use ser_features::{
    Config, ConfigError, Extractor, FeatureGroups, FeatureSet, Features, FinishError, PushError,
    memory_len,
};

const SET: FeatureSet = FeatureSet::Emobase2010;

fn bits(f: &Features) -> Vec<u32> {
    f.as_slice().iter().map(|v| v.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_chunking_gives_the_same_bits(cuts in prop::collection::vec(1usize..2000, 1..40), golden in 0usize..6) {
        let (rate, samples, _) = common::golden(common::GOLDENS[golden]);
        let config = Config::for_samples(rate, samples.len(), SET);
        let mut whole = Extractor::owned(config).unwrap();
        whole.push_i16(&samples).unwrap();
        let mut expected = Features::zeroed();
        whole.finish(&mut expected).unwrap();

        // memory of any content, an utterance before, and a look at the features half-way change nothing
        let mut memory = vec![f32::NAN; memory_len(rate, config.max_frames)];
        let mut parts = Extractor::new(config, &mut memory[..]).unwrap();
        parts.push_i16(&samples[..samples.len() / 2]).unwrap();
        parts.reset();
        let (mut rest, mut got) = (&samples[..], Features::zeroed());
        for &cut in cuts.iter().cycle() {
            let (chunk, later) = rest.split_at(cut.min(rest.len()));
            parts.push_i16(chunk).unwrap();
            let _ = parts.finish(&mut got);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        parts.finish(&mut got).unwrap();
        prop_assert_eq!(bits(&got), bits(&expected));
    }

    #[test]
    fn hostile_samples_never_panic(
        rate in prop_oneof![Just(8_000u32), Just(96_000), 8_000u32..=96_000],
        samples in prop::collection::vec(
            prop_oneof![
                8 => -1.0f32..1.0,
                1 => any::<f32>(),
                1 => prop_oneof![Just(0.0), Just(-0.0), Just(f32::MIN_POSITIVE / 8.0), Just(f32::MAX), Just(f32::MIN), Just(1e20)],
            ],
            0..9000,
        ),
    ) {
        let mut extractor = Extractor::owned(Config { sample_rate: rate, max_frames: 20, feature_set: SET, groups: FeatureGroups::ALL }).unwrap();
        for chunk in samples.chunks(777) {
            match extractor.push(chunk) {
                Ok(()) => {}
                Err(PushError::NotFinite { index }) => prop_assert!(!chunk[index].is_finite()),
                Err(PushError::Full { taken }) => prop_assert!(taken < chunk.len()),
                Err(other) => prop_assert!(false, "{}", other),
            }
        }
        let mut features = Features::zeroed();
        match extractor.finish(&mut features) {
            Ok(()) => prop_assert!(features.as_slice().iter().all(|v| v.is_finite())),
            Err(FinishError::TooShort { .. } | FinishError::NotFinite { .. }) => {}
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}

#[test]
fn too_long_keeps_what_was_measured() {
    let (rate, samples, _) = common::golden("sh_300ms");
    let mut short = Extractor::owned(Config {
        sample_rate: rate,
        max_frames: 10,
        feature_set: SET,
        groups: FeatureGroups::ALL,
    })
    .unwrap();
    let Err(PushError::Full { taken }) = short.push_i16(&samples) else {
        panic!("it must be full")
    };
    assert_eq!(
        short.push_i16(&samples[taken..]),
        Err(PushError::Full { taken: 0 })
    );
    assert_eq!(short.pitch_frames(), 10);
    let mut got = Features::zeroed();
    short.finish(&mut got).unwrap();

    let mut whole = Extractor::owned(Config::for_samples(rate, taken, SET)).unwrap();
    whole.push_i16(&samples[..taken]).unwrap();
    let mut expected = Features::zeroed();
    whole.finish(&mut expected).unwrap();
    assert_eq!(bits(&got), bits(&expected));
}

#[test]
fn bad_configurations_and_samples_are_named() {
    let config = Config {
        sample_rate: 16_000,
        max_frames: 10,
        feature_set: SET,
        groups: FeatureGroups::ALL,
    };
    let error = |c: Config, len: usize| Extractor::new(c, vec![0.0; len]).err();
    assert_eq!(
        error(
            Config {
                sample_rate: 192_000,
                ..config
            },
            0
        ),
        Some(ConfigError::SampleRate {
            sample_rate: 192_000
        })
    );
    assert_eq!(
        error(
            Config {
                max_frames: 0,
                ..config
            },
            1 << 20
        ),
        Some(ConfigError::MaxFrames)
    );
    let needed = memory_len(16_000, 10);
    assert_eq!(
        error(config, needed - 1),
        Some(ConfigError::Memory {
            needed,
            given: needed - 1
        })
    );
    assert_eq!(memory_len(1, 10), 0);
    assert!(
        Extractor::owned(Config {
            max_frames: usize::MAX / 64,
            ..config
        })
        .is_err()
    );

    let mut extractor = Extractor::owned(config).unwrap();
    assert_eq!(
        extractor.push(&[0.0, f32::NAN]),
        Err(PushError::NotFinite { index: 1 })
    );
    assert_eq!(
        extractor.push(&[f32::INFINITY]),
        Err(PushError::NotFinite { index: 0 })
    );
    assert_eq!(extractor.samples(), 0);
    let mut features = Features::zeroed();
    extractor.push(&[0.0; 1119]).unwrap();
    assert_eq!(
        extractor.finish(&mut features),
        Err(FinishError::TooShort {
            samples: 1119,
            needed: 1120
        })
    );
    extractor.push(&[0.0]).unwrap();
    assert_eq!(extractor.finish(&mut features), Ok(()));
}

#[test]
fn rows_of_descriptors_come_as_they_are_ready() {
    let (rate, samples, _) = common::golden("sh_300ms");
    let mut extractor = Extractor::owned(Config::for_samples(rate, samples.len(), SET)).unwrap();
    let mut rows = Vec::new();
    for chunk in samples.chunks(160) {
        extractor.push_i16(chunk).unwrap();
        while let Some(row) = extractor.lld_row(rows.len()) {
            rows.push(row);
        }
    }
    assert_eq!(rows.len(), extractor.frames() - 2);
    let late: Vec<_> = (0..rows.len())
        .map(|n| extractor.lld_row(n).unwrap())
        .collect();
    assert_eq!(rows, late);
    assert!(rows.iter().any(|r| r[34] > 100.0), "the vowel is voiced");
}

/// What is not in the caller's memory must fit a microcontroller's stack or a static.
#[test]
fn the_extractor_itself_is_small() {
    assert!(size_of::<Extractor<&mut [f32]>>() < 2048);
    assert!(size_of::<Features>() == 4 * ser_features::FEATURE_COUNT);
    // 15.6 kB per second of the longest utterance
    assert_eq!(
        memory_len(16_000, 1100) - memory_len(16_000, 1000),
        100 * 39
    );
}
