//! Equality with openSMILE: committed goldens always, the reference folder where it is at hand.
#![cfg(feature = "std")]

mod common;

use std::fs;

use ser_features::parity::Comparison;
use ser_features::{FEATURE_COUNT, FeatureSet, feature_names};

#[test]
fn committed_goldens_agree() {
    for name in common::GOLDENS {
        let (rate, samples, reference) = common::golden(name);
        let samples: Vec<f32> = samples.iter().map(|&v| f32::from(v) / 32767.0).collect();
        let comparison = Comparison::new(
            &reference,
            &common::extract(FeatureSet::Emobase2010, rate, &samples),
        );
        assert!(
            comparison.misses.is_empty(),
            "{name}: {:?}",
            comparison.misses
        );
    }
}

#[test]
fn reference_folder_agrees() {
    let Some(folder) = common::shared("is10/reference") else {
        return;
    };
    for (set, table) in FeatureSet::ALL
        .into_iter()
        .zip(["functionals_all.csv", "functionals_compat_all.csv"])
    {
        let text = fs::read_to_string(folder.join(table)).expect("table");
        for row in text.lines().skip(1) {
            let (name, values) = row.split_once(',').expect("name");
            let values: Vec<f32> = values
                .split(',')
                .map(|v| v.parse().expect("value"))
                .collect();
            let values: [f32; FEATURE_COUNT] = values.try_into().expect("1582 values");
            let name = name.trim_end_matches(".wav");
            let (rate, samples) = common::wav::read(&folder.join(format!("audio/{name}.wav")));
            let comparison = Comparison::new(&values, &common::extract(set, rate, &samples));
            assert!(
                comparison.misses.is_empty(),
                "{set} {name}: {:?}",
                comparison.misses
            );
        }
    }
}

#[test]
fn names_are_opensmiles() {
    let Some(folder) = common::shared("is10") else {
        return;
    };
    let text = fs::read_to_string(folder.join("names.txt")).expect("names");
    let names = feature_names(FeatureSet::Emobase2010);
    assert_eq!(names, text.lines().collect::<Vec<_>>());
    let table =
        fs::read_to_string(folder.join("reference/functionals_compat_all.csv")).expect("table");
    let header: Vec<&str> = table
        .lines()
        .next()
        .expect("header")
        .split(',')
        .skip(1)
        .collect();
    assert_eq!(feature_names(FeatureSet::Is10ParalingCompat), header);
}
