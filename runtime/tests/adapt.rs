//! Adaptive normalisation: what it computes, and states that go to disk and back.

mod common;

use common::Random;
use proptest::prelude::*;
use ser_runtime::adapt::{
    Adapt, AdaptConfig, AdaptError, AdaptiveNormaliser, OwnedAdapter, memory_len, state_len,
};
use ser_runtime::normalise::{Normaliser, NormaliserKind};

const WIDTH: usize = 4;

fn fixed() -> Normaliser {
    Normaliser {
        kind: NormaliserKind::ZScore,
        // The last column was constant in training.
        offset: vec![10.0, -3.0, 0.0, 7.0],
        scale: vec![2.0, 0.1, 1.0, 0.0],
        clip: Some(10.0),
    }
}

fn adapter(config: AdaptConfig) -> OwnedAdapter {
    OwnedAdapter::owned(&fixed(), config).unwrap()
}

/// Rows of another channel: every column shifted by 3 training deviations and twice as wide.
fn rows(count: usize) -> Vec<[f32; WIDTH]> {
    let mut random = Random::new(9);
    let mut row = || {
        let z = 3.0 + 2.0 * 3_f32.sqrt() * random.float();
        [10.0 + z / 2.0, -3.0 + z / 0.1, z, 5.0]
    };
    (0..count).map(|_| row()).collect()
}

#[test]
fn the_first_utterance_is_left_as_it_is_and_the_channel_becomes_the_norm() {
    let mut adapter = adapter(AdaptConfig::default());
    let rows = rows(2_000);
    let mut first = rows[0];
    adapter.adapt(&mut first, true);
    assert_eq!(first, rows[0]);
    let mut seen = Vec::new();
    for row in &rows[1..] {
        let mut row = *row;
        adapter.adapt(&mut row, true);
        fixed().apply(&mut row).unwrap();
        seen.push(row);
    }
    let late = &seen[1_000..];
    for column in 0..3 {
        let mean = late.iter().map(|r| f64::from(r[column])).sum::<f64>() / 999.0;
        let square = late
            .iter()
            .map(|r| f64::from(r[column]).powi(2))
            .sum::<f64>()
            / 999.0;
        let deviation = (square - mean * mean).sqrt();
        assert!(mean.abs() < 0.1, "column {column}: mean {mean}");
        assert!(
            (deviation - 1.0).abs() < 0.1,
            "column {column}: deviation {deviation}"
        );
    }
    assert!(
        late.iter().all(|r| r[3] == 0.0),
        "a constant column stays 0"
    );
    assert_eq!(adapter.weight(), AdaptConfig::default().horizon);
}

#[test]
fn the_formula_by_hand() {
    let config = AdaptConfig {
        mean_prior: 1.0,
        variance_prior: 2.0,
        ..AdaptConfig::default()
    };
    let mut adapter = adapter(config);
    // z = 1, then 3, in the third column: mean 2, variance 1, after weight 2.
    for z in [1.0, 3.0] {
        adapter.adapt(&mut [10.0, -3.0, z, 7.0], true);
    }
    let mut row = [10.0, -3.0, 4.0, 7.0];
    adapter.adapt(&mut row, false);
    let (mean, variance) = (2.0 / 3.0 * 2.0, 0.5 * 1.0 + 0.5);
    assert!(
        (row[2] - (4.0 - mean) / f32::sqrt(variance)).abs() < 1e-6,
        "{row:?}"
    );
    assert_eq!(adapter.weight(), 2.0, "an update teaches nothing");
}

#[test]
fn an_outlier_moves_little() {
    let mut adapter = adapter(AdaptConfig::default());
    for row in rows(20) {
        adapter.adapt(&mut row.clone(), true);
    }
    let mut before = [10.0, -3.0, 3.0, 7.0];
    adapter.adapt(&mut before, false);
    adapter.adapt(&mut [1e30, -1e30, 1e30, 1e30], true);
    adapter.adapt(&mut [f32::MAX, f32::MIN, f32::MAX, f32::MAX], true);
    let mut after = [10.0, -3.0, 3.0, 7.0];
    adapter.adapt(&mut after, false);
    assert!(after.iter().all(|v| v.is_finite()));
    assert!((after[2] - before[2]).abs() < 1.5, "{before:?} {after:?}");
}

#[test]
fn states_go_to_bytes_and_back() {
    let mut taught = adapter(AdaptConfig::default());
    rows(17)
        .iter()
        .for_each(|row| taught.adapt(&mut row.clone(), true));
    let mut bytes = vec![0; state_len(WIDTH)];
    taught.save(&mut bytes).unwrap();
    let mut other = adapter(AdaptConfig::default());
    other.restore(&bytes).unwrap();
    assert_eq!(other.weight(), 17.0);
    for row in rows(30) {
        let (mut a, mut b) = (row, row);
        taught.adapt(&mut a, true);
        other.adapt(&mut b, true);
        assert_eq!(a.map(f32::to_bits), b.map(f32::to_bits));
    }
    // Little-endian, whatever the machine.
    assert_eq!(
        (&bytes[..8], &bytes[8..16]),
        (&b"SERADAPT"[..], &[1, 0, 0, 0, 4, 0, 0, 0][..])
    );

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    taught.save_file(&path).unwrap();
    taught.save_file(&path).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    other.load_file(&path).unwrap();
    assert_eq!(other.weight(), taught.weight());
    assert!(
        taught
            .save_file(&folder.path().join("no/such/folder"))
            .is_err()
    );
}

#[test]
fn foreign_states_and_settings_are_refused() {
    let mut bytes = vec![0; state_len(WIDTH)];
    adapter(AdaptConfig::default()).save(&mut bytes).unwrap();
    let mut other = fixed();
    other.offset[1] = -3.5;
    let mut other = OwnedAdapter::owned(&other, AdaptConfig::default()).unwrap();
    let error = other.restore(&bytes).unwrap_err();
    assert!(error.to_string().contains("another normaliser"), "{error}");
    let mut min_max = fixed();
    min_max.kind = NormaliserKind::MinMax;
    assert!(matches!(
        OwnedAdapter::owned(&min_max, AdaptConfig::default()),
        Err(AdaptError::Kind)
    ));
    let config = AdaptConfig {
        mean_prior: -1.0,
        ..AdaptConfig::default()
    };
    assert!(matches!(
        OwnedAdapter::owned(&fixed(), config),
        Err(AdaptError::Setting {
            field: "mean_prior",
            ..
        })
    ));
    let memory = [0.0; memory_len(WIDTH) - 1];
    let (offset, scale) = ([0.0; WIDTH], [1.0; WIDTH]);
    let short = AdaptiveNormaliser::new(&offset[..], &scale[..], memory, AdaptConfig::default());
    assert!(matches!(short, Err(AdaptError::Length { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_damaged_state_is_refused_and_changes_nothing(
        at in 0..state_len(WIDTH), flip in 1_u8.., cut in 0..state_len(WIDTH)
    ) {
        let mut taught = adapter(AdaptConfig::default());
        rows(5).iter().for_each(|row| taught.adapt(&mut row.clone(), true));
        let mut bytes = vec![0; state_len(WIDTH)];
        taught.save(&mut bytes).unwrap();
        let good = bytes.clone();
        bytes[at] ^= flip;
        prop_assert!(taught.restore(&bytes).is_err());
        prop_assert!(taught.restore(&good[..cut]).is_err());
        let mut again = vec![0; state_len(WIDTH)];
        taught.save(&mut again).unwrap();
        prop_assert_eq!(again, good);
    }

    #[test]
    fn any_features_give_finite_features(rows in proptest::collection::vec(proptest::array::uniform4(-1e38_f32..1e38), 1..20)) {
        let mut adapter = adapter(AdaptConfig::default());
        for mut row in rows {
            adapter.adapt(&mut row, true);
            prop_assert!(row.iter().all(|v| v.is_finite()), "{:?}", row);
        }
    }
}
