//! Adaptive normalisation: what it computes, and states that go to disk and back.

mod common;

use common::Random;
use proptest::prelude::*;
use ser_runtime::adapt::{
    Adapt, AdaptConfig, AdaptError, AdaptiveNormaliser, ORDINARY_VOICED_S, OwnedAdapter,
    memory_len, state_len, utterance_weight,
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
    adapter.adapt(&mut first, Some(1.0));
    assert_eq!(first, rows[0]);
    let mut seen = Vec::new();
    for row in &rows[1..] {
        let mut row = *row;
        adapter.adapt(&mut row, Some(1.0));
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
    // z = 1, then 2, in the third column: mean 1.5, variance 0.25, after weight 2.
    for z in [1.0, 2.0] {
        adapter.adapt(&mut [10.0, -3.0, z, 7.0], Some(1.0));
    }
    let mut row = [10.0, -3.0, 4.0, 7.0];
    adapter.adapt(&mut row, None);
    let (mean, variance) = (2.0 / 3.0 * 1.5, 0.5 * 0.25 + 0.5);
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
        adapter.adapt(&mut row.clone(), Some(1.0));
    }
    let mut before = [10.0, -3.0, 3.0, 7.0];
    adapter.adapt(&mut before, None);
    adapter.adapt(&mut [1e30, -1e30, 1e30, 1e30], Some(1.0));
    adapter.adapt(&mut [f32::MAX, f32::MIN, f32::MAX, f32::MAX], Some(1.0));
    let mut after = [10.0, -3.0, 3.0, 7.0];
    adapter.adapt(&mut after, None);
    assert!(after.iter().all(|v| v.is_finite()));
    assert!((after[2] - before[2]).abs() < 0.5, "{before:?} {after:?}");
}

/// The mean that later utterances are seen against, in the third column.
fn centre(adapter: &mut OwnedAdapter) -> f32 {
    let mut row = [10.0, -3.0, 0.0, 7.0];
    adapter.adapt(&mut row, None);
    let mut other = [10.0, -3.0, 1.0, 7.0];
    adapter.adapt(&mut other, None);
    // z' = (z - centre) / spread
    -row[2] / (other[2] - row[2])
}

fn at(z: f32) -> [f32; WIDTH] {
    [10.0, -3.0, z, 7.0]
}

/// A cough, a slammed door, a laugh: whatever its features are and wherever it comes, it moves the mean by
/// its share of three deviations.
#[test]
fn one_utterance_moves_the_mean_by_its_share() {
    const COUGH: f32 = 40.0;
    for (place, count) in [(0, 1), (0, 2), (1, 2), (0, 5), (2, 5), (4, 5), (10, 20)] {
        for weight in [0.1, 0.5, 1.0] {
            let mut adapter = adapter(AdaptConfig::default());
            for i in 0..count {
                if i == place {
                    adapter.adapt(&mut at(COUGH), Some(weight));
                } else {
                    adapter.adapt(&mut at(0.0), Some(1.0));
                }
            }
            let share = weight / (weight + (count - 1) as f32);
            let most = 3.0 * share;
            let moved = centre(&mut adapter);
            assert!(
                moved > 0.0 && moved <= most,
                "{place} of {count}, weight {weight}: {moved} > {most}"
            );
        }
    }
    // The first two utterances, a cough of a fifth of a second of voice among them.
    for cough_first in [true, false] {
        let mut adapter = adapter(AdaptConfig::default());
        let cough = (at(COUGH), utterance_weight(0.2));
        let voice = (at(0.0), 1.0);
        for (mut row, weight) in if cough_first {
            [cough, voice]
        } else {
            [voice, cough]
        } {
            adapter.adapt(&mut row, Some(weight));
        }
        assert!(centre(&mut adapter) < 0.4);
    }
}

#[test]
fn voice_counts_and_not_pieces() {
    assert_eq!(utterance_weight(ORDINARY_VOICED_S), 1.0);
    let whole = utterance_weight(5.2);
    for pieces in [1, 4, 13] {
        let mut taught = adapter(AdaptConfig::default());
        taught.adapt(&mut at(0.5), Some(1.0));
        for _ in 0..pieces {
            taught.adapt(&mut at(2.5), Some(utterance_weight(5.2 / pieces as f32)));
        }
        assert!((taught.weight() - 1.0 - whole).abs() < 1e-4);
        let mean = (0.5 + 2.5 * whole) / (1.0 + whole);
        let weight = taught.weight();
        let wanted = mean * weight / (weight + AdaptConfig::default().mean_prior);
        let found = centre(&mut taught);
        assert!(
            (found - wanted).abs() < 1e-4,
            "{pieces} pieces: {found}, not {wanted}"
        );
    }
}

#[test]
fn a_weight_that_is_no_number_teaches_nothing() {
    let mut adapter = adapter(AdaptConfig::default());
    adapter.adapt(&mut at(1.0), Some(1.0));
    let (weight, revision) = (adapter.weight(), adapter.revision());
    for bad in [0.0, -1.0, f32::NAN, f32::NEG_INFINITY] {
        adapter.adapt(&mut at(2.0), Some(bad));
        assert_eq!(
            (adapter.weight(), adapter.revision()),
            (weight, revision),
            "{bad}"
        );
    }
    adapter.adapt(&mut at(2.0), Some(f32::INFINITY));
    assert_eq!(adapter.weight(), AdaptConfig::default().horizon);
    let mut row = at(2.0);
    adapter.adapt(&mut row, None);
    assert!(row.iter().all(|v| v.is_finite()));
}

#[test]
fn the_revision_tells_of_every_change_even_beyond_the_horizon() {
    let mut adapter = adapter(AdaptConfig {
        horizon: 3.0,
        ..AdaptConfig::default()
    });
    let mut last = adapter.revision();
    let mut changed = |adapter: &OwnedAdapter| {
        let now = adapter.revision();
        std::mem::replace(&mut last, now) != now
    };
    for row in rows(10) {
        adapter.adapt(&mut row.clone(), None);
        assert!(!changed(&adapter), "an update");
        adapter.adapt(&mut row.clone(), Some(1.0));
        assert!(changed(&adapter), "an utterance");
    }
    assert_eq!(adapter.weight(), 3.0);
    let mut bytes = vec![0; state_len(WIDTH)];
    adapter.save(&mut bytes).unwrap();
    assert!(!changed(&adapter));
    adapter.restore(&bytes).unwrap();
    assert!(changed(&adapter), "a restored state");
    adapter.reset();
    assert!(changed(&adapter), "a reset");
}

#[test]
fn states_go_to_bytes_and_back() {
    let mut taught = adapter(AdaptConfig::default());
    rows(17)
        .iter()
        .for_each(|row| taught.adapt(&mut row.clone(), Some(1.0)));
    let mut bytes = vec![0; state_len(WIDTH)];
    taught.save(&mut bytes).unwrap();
    let mut other = adapter(AdaptConfig::default());
    other.restore(&bytes).unwrap();
    assert_eq!(other.weight(), 17.0);
    for row in rows(30) {
        let (mut a, mut b) = (row, row);
        taught.adapt(&mut a, Some(1.0));
        other.adapt(&mut b, Some(1.0));
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
        rows(5).iter().for_each(|row| taught.adapt(&mut row.clone(), Some(1.0)));
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
            adapter.adapt(&mut row, Some(1.0));
            prop_assert!(row.iter().all(|v| v.is_finite()), "{:?}", row);
        }
    }
}
