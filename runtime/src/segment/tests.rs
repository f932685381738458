extern crate std;

use std::vec::Vec;

use super::*;

/// The level alone decides: these sounds are no voices.
fn level_alone() -> SegmentConfig {
    SegmentConfig {
        voice_onset: 0.0,
        voice_release: 0.0,
        ..SegmentConfig::default()
    }
}

/// White noise of `noise` and, from `sound.0` to `sound.1` seconds, a tone of `tone`, both in dBFS.
fn stream(rate: u32, seconds: f32, noise: f32, tone: f32, sound: (f32, f32)) -> Vec<f32> {
    let amplitude = |db: f32| 10_f32.powf(db / 20.0);
    let mut state = 1_u32;
    (0..(seconds * rate as f32) as usize)
        .map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let white = (state >> 8) as f32 / 8_388_608.0 - 1.0;
            let t = i as f32 / rate as f32;
            let voice = (t * 300.0 * core::f32::consts::TAU).sin() * core::f32::consts::SQRT_2;
            let on = f32::from(u8::from((sound.0..sound.1).contains(&t)));
            white * 3_f32.sqrt() * amplitude(noise) + on * voice * amplitude(tone)
        })
        .collect()
}

fn run(segmenter: &mut Segmenter, samples: &[f32], chunk: usize) -> Vec<Activity> {
    let mut seen = Vec::new();
    for mut rest in samples.chunks(chunk) {
        while !rest.is_empty() {
            let (taken, activity) = segmenter.push(rest);
            rest = &rest[taken..];
            seen.extend(activity);
        }
    }
    seen
}

fn utterances(seen: &[Activity]) -> Vec<(u64, u64, Verdict)> {
    let mut start = None;
    let mut found = Vec::new();
    for activity in seen {
        match *activity {
            Activity::Start { at } => start = Some(at),
            Activity::End { at, verdict } => found.push((start.take().unwrap(), at, verdict)),
            _ => {}
        }
    }
    found
}

#[test]
fn what_stands_out_is_found_at_every_rate_and_in_any_chunking() {
    for rate in [
        8_000, 11_025, 16_000, 22_255, 24_414, 44_056, 47_999, 96_000,
    ] {
        let samples = stream(rate, 5.0, -65.0, -25.0, (2.0, 3.2));
        let mut segmenter = Segmenter::new(rate, level_alone()).unwrap();
        let seen = run(&mut segmenter, &samples, 777);
        let found = utterances(&seen);
        assert_eq!(found.len(), 1, "{rate} Hz: {found:?}");
        let (start, end, verdict) = found[0];
        let seconds = |at: u64| at as f32 / rate as f32;
        assert!((seconds(start) - 1.94).abs() < 0.03, "{rate} Hz: {found:?}");
        assert!((seconds(end) - 3.26).abs() < 0.04, "{rate} Hz: {found:?}");
        assert_eq!(verdict, Verdict::Speech);
        segmenter.reset();
        assert_eq!(run(&mut segmenter, &samples, 1), seen);
    }
}

#[test]
fn a_start_lies_in_the_delay_line_and_nothing_is_taken_back() {
    let config = SegmentConfig {
        pre_roll_ms: 200,
        attack_ms: 200,
        ..level_alone()
    };
    let mut samples = stream(16_000, 8.0, -70.0, -25.0, (2.0, 3.2));
    for (i, v) in samples.iter_mut().enumerate() {
        // Pieces of 60 ms with gaps: the longest way back to the start.
        *v *= if i / 960 % 2 == 0 { 1.0 } else { 1e-3 };
    }
    let mut segmenter = Segmenter::new(16_000, config).unwrap();
    let delay = delay_len(16_000, &config) as u64;
    let (mut certain, mut count) = (0, 0);
    let mut rest = &samples[..];
    while !rest.is_empty() {
        let (taken, activity) = segmenter.push(rest);
        rest = &rest[taken..];
        match activity {
            Some(Activity::Start { at }) => {
                assert!(at + delay >= segmenter.position(), "{at}");
                assert!(at >= certain);
                (certain, count) = (at, count + 1);
            }
            Some(Activity::Speech { until } | Activity::End { at: until, .. }) => {
                assert!(until.max(certain) + delay >= segmenter.position());
                certain = certain.max(until);
            }
            _ => {}
        }
    }
    assert!(count > 0);
}

#[test]
fn a_sound_that_goes_on_becomes_the_floor() {
    let noise = stream(16_000, 12.0, -35.0, -25.0, (0.0, 0.0));
    let mut segmenter = Segmenter::new(16_000, SegmentConfig::default()).unwrap();
    run(&mut segmenter, &noise, 160);
    assert!(
        (segmenter.floor_dbfs() + 35.5).abs() < 1.0,
        "{}",
        segmenter.floor_dbfs()
    );
    assert!(!segmenter.in_speech());
}

#[test]
fn digital_silence_is_no_floor() {
    let mut segmenter = Segmenter::new(16_000, level_alone()).unwrap();
    let mut samples = stream(16_000, 12.0, -45.0, 0.0, (0.0, 0.0));
    for (i, v) in samples.iter_mut().enumerate() {
        if i % 40_000 < 320 {
            *v = 0.0;
        }
    }
    run(&mut segmenter, &samples, 160);
    assert!(
        (segmenter.floor_dbfs() + 45.5).abs() < 1.2,
        "{}",
        segmenter.floor_dbfs()
    );
    let before = segmenter.floor_dbfs();
    run(&mut segmenter, &[0.0; 160_000], 160);
    assert_eq!(segmenter.floor_dbfs(), before);
}

#[test]
fn clicks_start_nothing_and_bursts_are_too_short() {
    let mut segmenter = Segmenter::new(16_000, level_alone()).unwrap();
    let click = stream(16_000, 2.0, -70.0, -10.0, (1.0, 1.005));
    assert!(utterances(&run(&mut segmenter, &click, 160)).is_empty());
    let burst = stream(16_000, 2.0, -70.0, -10.0, (1.0, 1.1));
    let found = utterances(&run(&mut segmenter, &burst, 160));
    assert!(
        matches!(found[..], [(_, _, Verdict::TooShort)]),
        "{found:?}"
    );
}

#[test]
fn what_follows_a_cut_is_judged_by_itself() {
    let samples = stream(16_000, 3.0, -65.0, -20.0, (1.0, 2.0));
    for (cut_at, expected) in [(1.5, Verdict::Speech), (2.02, Verdict::TooShort)] {
        let mut segmenter = Segmenter::new(16_000, level_alone()).unwrap();
        let (before, after) = samples.split_at((cut_at * 16_000.0) as usize);
        run(&mut segmenter, before, 160);
        assert!(segmenter.speech_ms() >= 400, "{}", segmenter.speech_ms());
        segmenter.cut();
        assert_eq!(segmenter.speech_ms(), 0);
        let seen = run(&mut segmenter, after, 160);
        let ends: Vec<_> = seen
            .iter()
            .filter_map(|a| match a {
                Activity::End { verdict, .. } => Some(*verdict),
                _ => None,
            })
            .collect();
        assert_eq!(ends, [expected], "{cut_at}");
    }
}

#[test]
fn the_end_of_the_stream_ends_the_utterance() {
    let samples = stream(16_000, 2.5, -65.0, -20.0, (1.0, 2.5));
    let mut segmenter = Segmenter::new(16_000, level_alone()).unwrap();
    run(&mut segmenter, &samples, 160);
    assert_eq!(segmenter.finish(), Some((40_000, Verdict::Speech)));
    assert_eq!(segmenter.finish(), None);
    // The stream goes on: what was decided at its end is not decided again.
    let later = utterances(&run(
        &mut segmenter,
        &stream(16_000, 3.0, -65.0, -20.0, (1.0, 2.0)),
        160,
    ));
    assert_eq!(later.len(), 1);
    assert!(later[0].0 > 40_000 + 14_000, "{later:?}");
}

#[test]
fn a_hangover_that_ends_with_the_stream_loses_nothing() {
    for pause in (0..1_000).step_by(10) {
        let seconds = 2.0 + pause as f32 / 1_000.0;
        let samples = stream(16_000, seconds, -65.0, -20.0, (1.0, 2.0));
        let mut segmenter = Segmenter::new(16_000, level_alone()).unwrap();
        let mut found = utterances(&run(&mut segmenter, &samples, 160));
        found.extend(segmenter.finish().map(|(at, verdict)| (0, at, verdict)));
        assert!(
            matches!(found[..], [(_, _, Verdict::Speech)]),
            "{pause} ms: {found:?}"
        );
    }
}

#[test]
fn hostile_samples_do_no_harm() {
    for rate in [8_000, 16_000, 24_414, 96_000] {
        for config in [SegmentConfig::default(), level_alone()] {
            let mut segmenter = Segmenter::new(rate, config).unwrap();
            let monsters = [
                f32::MAX,
                f32::NAN,
                f32::INFINITY,
                -1e30,
                f32::NEG_INFINITY,
                f32::MIN,
            ];
            let denormals = [1e-40, -3e-42, f32::MIN_POSITIVE, 1e-45];
            for _ in 0..rate {
                run(&mut segmenter, &monsters, 2);
            }
            for _ in 0..rate {
                run(&mut segmenter, &denormals, 3);
            }
            run(
                &mut segmenter,
                &stream(rate, 8.0, -65.0, -20.0, (9.0, 9.0)),
                160,
            );
            assert!(segmenter.floor_dbfs().is_finite() && !segmenter.in_speech());
            assert!(segmenter.voice_probability().is_finite());
        }
    }
    let mut segmenter = Segmenter::new(16_000, level_alone()).unwrap();
    run(&mut segmenter, &[f32::MAX, f32::NAN, -1e30], 2);
    let sound = stream(16_000, 8.0, -65.0, -20.0, (6.0, 7.0));
    assert_eq!(utterances(&run(&mut segmenter, &sound, 160)).len(), 1);
}

#[test]
fn settings_are_checked() {
    let default = SegmentConfig::default();
    for (config, field) in [
        (
            SegmentConfig {
                attack_ms: 5,
                ..default
            },
            "attack_ms",
        ),
        (
            SegmentConfig {
                attack_ms: 210,
                ..default
            },
            "attack_ms",
        ),
        (
            SegmentConfig {
                tail_ms: 600,
                ..default
            },
            "tail_ms",
        ),
        (
            SegmentConfig {
                onset_db: 2.0,
                ..default
            },
            "onset_db",
        ),
        (
            SegmentConfig {
                onset_db: 1e6,
                ..default
            },
            "onset_db",
        ),
        (
            SegmentConfig {
                release_db: f32::NAN,
                ..default
            },
            "release_db",
        ),
        (
            SegmentConfig {
                pre_roll_ms: 20_000,
                ..default
            },
            "pre_roll_ms",
        ),
        (
            SegmentConfig {
                voice_onset: 1.5,
                ..default
            },
            "voice_onset",
        ),
        (
            SegmentConfig {
                voice_release: 0.9,
                ..default
            },
            "voice_onset",
        ),
        (
            SegmentConfig {
                min_voice_ms: 20_000,
                ..default
            },
            "min_voice_ms",
        ),
    ] {
        match Segmenter::new(16_000, config) {
            Err(SegmentError::Setting { field: found, .. }) => assert_eq!(found, field),
            other => panic!("{field}: {other:?}"),
        }
    }
    assert!(matches!(
        Segmenter::new(7_999, default),
        Err(SegmentError::SampleRate { rate: 7_999 })
    ));
}

#[test]
fn the_stream_may_end_at_any_time_behind_an_utterance() {
    for pause in 0..80 {
        let seconds = 2.2 + pause as f32 * 0.01;
        let samples = stream(16_000, seconds, -70.0, -25.0, (1.0, 2.2));
        let mut segmenter = Segmenter::new(16_000, level_alone()).unwrap();
        let seen = run(&mut segmenter, &samples, 160);
        let mut found = utterances(&seen);
        let start = seen.iter().find_map(|a| match *a {
            Activity::Start { at } => Some(at),
            _ => None,
        });
        found.extend(segmenter.finish().map(|(at, v)| (start.unwrap(), at, v)));
        assert_eq!(found.len(), 1, "{pause}0 ms: {found:?}");
        let end = found[0].1 as f32 / 16_000.0;
        assert!((end - seconds.min(2.26)).abs() < 0.04, "{pause}0 ms: {end}");
        assert_eq!(found[0].2, Verdict::Speech);
        assert_eq!(segmenter.finish(), None, "once is enough");
    }
}
