//! Groups that are left out: what is wanted keeps its bits, the rest is 0 and takes neither memory nor time.
#![cfg(feature = "std")]

mod common;

use proptest::prelude::*;
use ser_features::{
    Config, Extractor, FEATURE_COUNT, FeatureGroup, FeatureGroups, FeatureSet, Features, LLD_COUNT,
    Stage, feature_name, lld_name, memory_len,
};

/// All 64 sets.
fn subsets() -> impl Iterator<Item = FeatureGroups> {
    (0u8..64).map(subset)
}

fn subset(bits: u8) -> FeatureGroups {
    FeatureGroup::ALL
        .into_iter()
        .filter(|&group| bits >> group as u8 & 1 == 1)
        .fold(FeatureGroups::NONE, FeatureGroups::with)
}

/// Features in their bits, and rows of descriptors, of one recording in chunks.
fn extract(config: Config, samples: &[i16], chunk: usize) -> (Vec<u32>, Vec<[f32; LLD_COUNT]>) {
    let mut memory = vec![f32::NAN; config.memory_len()];
    let mut extractor = Extractor::new(config, &mut memory[..]).unwrap();
    for part in samples.chunks(chunk) {
        extractor.push_i16(part).unwrap();
    }
    let mut features = Features::from([f32::NAN; FEATURE_COUNT]);
    extractor.finish(&mut features).unwrap();
    let rows = (0..extractor.lld_rows()).map(|row| extractor.lld_row(row).unwrap());
    let rows = rows.collect();
    let bits = features.as_slice().iter().map(|v| v.to_bits()).collect();
    (bits, rows)
}

#[test]
fn wanted_features_keep_their_bits_and_the_others_are_zero() {
    for name in common::GOLDENS {
        let (rate, samples, _) = common::golden(name);
        for set in FeatureSet::ALL {
            let all = Config::for_samples(rate, samples.len(), set);
            let (full, full_rows) = extract(all, &samples, samples.len());
            for groups in subsets() {
                let (got, rows) = extract(all.with_groups(groups), &samples, samples.len());
                for (index, (&got, &full)) in got.iter().zip(&full).enumerate() {
                    let expected = if groups.contains_feature(index) {
                        full
                    } else {
                        0
                    };
                    assert_eq!(
                        got,
                        expected,
                        "{name}, {groups}, {}",
                        feature_name(set, index).unwrap()
                    );
                }
                assert_eq!(rows.len(), full_rows.len());
                for (row, full) in rows.iter().zip(&full_rows) {
                    for contour in 0..LLD_COUNT {
                        let wanted = groups.iter().any(|g| g.contours().contains(&contour));
                        let expected = if wanted { full[contour] } else { 0.0 };
                        assert_eq!(
                            row[contour].to_bits(),
                            expected.to_bits(),
                            "{name}, {groups}, contour {contour}"
                        );
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_chunking_gives_the_same_bits(bits in 0u8..64, chunk in 1usize..3000, golden in 0usize..6) {
        let (rate, samples, _) = common::golden(common::GOLDENS[golden]);
        let config = Config::for_samples(rate, samples.len(), FeatureSet::Emobase2010).with_groups(subset(bits));
        prop_assert_eq!(extract(config, &samples, chunk), extract(config, &samples, samples.len()));
    }

    #[test]
    fn every_rate_has_room_for_every_subset(rate in 8_000u32..=96_000, bits in 0u8..64) {
        let samples: Vec<f32> = (0..rate / 5).map(|i| (i as f32 * 900.0 / rate as f32).sin().powi(5)).collect();
        let all = Config::for_samples(rate, samples.len(), FeatureSet::Emobase2010);
        let features = |groups| {
            let mut extractor = Extractor::owned(all.with_groups(groups)).unwrap();
            extractor.push(&samples).unwrap();
            let mut features = Features::zeroed();
            extractor.finish(&mut features).unwrap();
            features
        };
        let (full, got) = (features(FeatureGroups::ALL), features(subset(bits)));
        for (index, (got, full)) in got.as_slice().iter().zip(full.as_slice()).enumerate() {
            let expected = if subset(bits).contains_feature(index) { *full } else { 0.0 };
            prop_assert_eq!(got.to_bits(), expected.to_bits(), "feature {}", index);
        }
    }
}

#[test]
fn what_is_left_out_takes_no_memory_and_no_time() {
    let config = Config::for_samples(16_000, 160_000, FeatureSet::Emobase2010);
    let len = |groups: FeatureGroups| config.with_groups(groups).memory_len();
    assert_eq!(
        len(FeatureGroups::ALL),
        memory_len(16_000, config.max_frames)
    );
    for groups in subsets() {
        for group in FeatureGroup::ALL
            .into_iter()
            .filter(|&g| !groups.contains(g))
        {
            let more = groups.with(group);
            assert!(
                len(more) >= len(groups) + group.contours().len() * config.max_frames,
                "{groups}, {group}"
            );
        }
    }
    const FEW: Config = Config::for_samples(16_000, 160_000, FeatureSet::Emobase2010)
        .with_groups(FeatureGroups::of(&[FeatureGroup::Loudness]));
    const LEN: usize = FEW.memory_len();
    assert_eq!(LEN, 2 * FEW.max_frames + 960 + 160);

    let stages = |groups: FeatureGroups| -> Vec<Stage> {
        let mut extractor = Extractor::owned(config.with_groups(groups)).unwrap();
        extractor.measure_stages(true);
        extractor.push(&[0.1; 16_000]).unwrap();
        let spent = |stage: &Stage| !extractor.stage_time(*stage).unwrap().is_zero();
        let costly = [
            Stage::SpectrumA,
            Stage::Loudness,
            Stage::Resampling,
            Stage::Lpc,
            Stage::Lsp,
            Stage::SpectrumB,
            Stage::Spline,
            Stage::Pitch,
        ];
        costly.into_iter().filter(spent).collect()
    };
    assert_eq!(stages(FeatureGroups::NONE), []);
    assert_eq!(
        stages(FeatureGroups::of(&[FeatureGroup::Loudness])),
        [Stage::Loudness]
    );
    assert_eq!(
        stages(FeatureGroups::of(&[FeatureGroup::Mfcc])),
        [Stage::SpectrumA]
    );
    let pitch = [Stage::SpectrumB, Stage::Spline, Stage::Pitch];
    assert_eq!(stages(FeatureGroups::of(&[FeatureGroup::Pitch])), pitch);
    assert_eq!(
        stages(FeatureGroups::of(&[FeatureGroup::VoiceQuality])),
        pitch
    );
}

/// Each group is the one that the names of its contours and features say.
#[test]
fn groups_agree_with_names() {
    let of_name = |name: &str| match name {
        n if n.starts_with("pcm_loudness") => FeatureGroup::Loudness,
        n if n.starts_with("pcm_fftMag_mfcc") => FeatureGroup::Mfcc,
        n if n.starts_with("logMelFreqBand") => FeatureGroup::LogMel,
        n if n.starts_with("lspFreq") => FeatureGroup::Lsp,
        n if n.starts_with("F0") || n.starts_with("voicing") => FeatureGroup::Pitch,
        n if n.starts_with("jitter") || n.starts_with("shimmer") => FeatureGroup::VoiceQuality,
        other => panic!("{other}"),
    };
    let set = FeatureSet::Emobase2010;
    for index in 0..FEATURE_COUNT {
        let name = feature_name(set, index).unwrap().to_string();
        assert_eq!(
            FeatureGroup::of_feature(index),
            Some(of_name(&name)),
            "{name}"
        );
    }
    assert_eq!(FeatureGroup::of_feature(FEATURE_COUNT), None);
    for contour in 0..LLD_COUNT {
        let group = of_name(&lld_name(set, contour).unwrap().to_string());
        assert!(group.contours().contains(&contour));
    }
    assert_eq!(FeatureGroups::ALL.feature_count(), FEATURE_COUNT);
    for group in FeatureGroup::ALL {
        assert_eq!(FeatureGroup::from_name(group.name()), Some(group));
    }
    let few = FeatureGroups::of_features([3, 1580, FEATURE_COUNT]);
    assert_eq!(few.to_string(), "loudness, pitch");
    assert_eq!(
        FeatureGroups::ALL.difference(few).intersection(few),
        FeatureGroups::NONE
    );
    assert!(FeatureGroups::NONE.is_empty() && !few.is_empty());
}
