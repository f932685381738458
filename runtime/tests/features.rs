//! `ser-run features` as a user meets it.

mod common;

use std::fs;

use common::by_level;
use common::program::{Fixture, lines, path, run, stderr, succeed};
use common::stream::stream;
use common::wav::{Wav, vowel};
use ser_features::{FEATURE_COUNT, FeatureSet, feature_names};
use ser_runtime::audio::read_audio;
use ser_runtime::bundle::Bundle;
use ser_runtime::extract::extract;
use ser_runtime::hearing::Hearing;
use serde_json::Value;

/// As published protocols take features.
const PUBLISHED: [&str; 4] = ["features", "--whole", "--at", "native"];
/// Two utterances, as (start, length, pitch).
const VOICES: [(f32, f32, f32); 2] = [(1.0, 0.8, 140.0), (3.0, 1.6, 210.0)];

fn wav(rate: u32, channels: u16, samples: &[f32]) -> Vec<u8> {
    let samples: Vec<f64> = samples.iter().map(|&v| v.into()).collect();
    Wav::S16.file(rate, channels, &samples)
}

/// A CSV without quotes, cell by cell.
fn cells(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|l| l.split(',').collect()).collect()
}

#[test]
fn whole_recordings_come_as_csv_and_json() {
    let fixture = Fixture::new();
    let voice = fixture.file(
        "voice.wav",
        &Wav::S16.file(16_000, 1, &vowel(16_000, 150.0, 0.7)),
    );
    let pcm = read_audio(&voice).unwrap();
    for (set, id) in [
        (FeatureSet::Emobase2010, "emobase2010"),
        (FeatureSet::Is10ParalingCompat, "is10-paraling-compat"),
    ] {
        let heard = extract(&pcm, set, &Hearing::WHOLE).unwrap();
        let expected = &heard.utterances[0].features;
        let names = feature_names(set);
        let output = run(
            &[&PUBLISHED[..], &["--set", id, path(&voice)]].concat(),
            b"",
        );
        assert!(output.status.success(), "{}", stderr(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        let mut rows = text.lines();
        assert_eq!(rows.next(), Some("name,value"));
        let parsed: Vec<(&str, f32)> = rows
            .map(|row| {
                row.split_once(',')
                    .map(|(n, v)| (n, v.parse().unwrap()))
                    .unwrap()
            })
            .collect();
        let wanted: Vec<(&str, f32)> = names
            .iter()
            .map(String::as_str)
            .zip(expected.as_slice().iter().copied())
            .collect();
        assert_eq!(parsed, wanted);

        let json: Value = serde_json::from_slice(
            &run(
                &[
                    &PUBLISHED[..],
                    &["--set", id, "--format", "json", path(&voice)],
                ]
                .concat(),
                b"",
            )
            .stdout,
        )
        .unwrap();
        assert_eq!(
            (json["feature_set"].as_str(), json["sample_rate"].as_u64()),
            (Some(id), Some(16_000))
        );
        let features = json["features"].as_object().unwrap();
        assert_eq!(features.len(), FEATURE_COUNT);
        for (name, value) in wanted {
            assert_eq!(features[name].as_f64().unwrap() as f32, value, "{name}");
        }
    }
    let error = run(&["features", "/no/such.wav"], b"");
    assert!(!error.status.success() && stderr(&error).contains("/no/such.wav"));
}

#[test]
fn a_bundle_decides_rate_cut_and_set() {
    let fixture = Fixture::new();
    let call = fixture.file("call.wav", &wav(44_100, 1, &stream(44_100, 6.0, &VOICES)));
    let out = succeed(&["features", "-m", fixture.model(), path(&call)], b"");
    let text = String::from_utf8(out).unwrap();
    let rows = cells(&text);
    assert_eq!(rows.len(), 3, "a header and two utterances");
    assert_eq!(rows[0][..3], ["file", "start", "end"]);
    assert_eq!(rows[0][3..], feature_names(FeatureSet::Emobase2010));
    let manifest = Bundle::open(&fixture.bundle).unwrap().manifest;
    let pcm = read_audio(&call).unwrap();
    let heard = extract(&pcm, FeatureSet::Emobase2010, &manifest.hears(44_100)).unwrap();
    for (row, utterance) in rows[1..].iter().zip(&heard.utterances) {
        let place: Vec<f64> = row[1..3].iter().map(|v| v.parse().unwrap()).collect();
        let span = utterance.span;
        assert_eq!(place, [span.start, span.end].map(|at| at as f64 / 44_100.0));
        let values: Vec<f32> = row[3..].iter().map(|v| v.parse().unwrap()).collect();
        assert_eq!(values, utterance.features.as_slice());
        assert_eq!(utterance.sample_rate, 16_000);
    }
    // Where the bundle decides, nothing else does.
    for other in [&["--set", "emobase2010"][..], &["--at", "8000"]] {
        let args = [&["features", "-m", fixture.model(), path(&call)], other].concat();
        assert_eq!(run(&args, b"").status.code(), Some(2), "{other:?}");
    }
}

#[test]
fn tables_are_written_whole_and_row_by_row() {
    let fixture = Fixture::new();
    let call = stream(16_000, 6.0, &VOICES);
    let both: Vec<f32> = call.iter().flat_map(|&v| [v, 0.0]).collect();
    let one = fixture.file("one.wav", &wav(16_000, 1, &call));
    let two = fixture.file("two.wav", &wav(16_000, 2, &both));
    let text = fixture.file(
        "text.wav",
        b"no recording at all, but a text that is long enough",
    );
    let table = fixture.folder.path().join("table.csv");
    let args = [
        "features",
        "-m",
        fixture.model(),
        "--channel",
        "all",
        "-o",
        path(&table),
    ];
    succeed(&[&args[..], &[path(&one), path(&two)]].concat(), b"");
    let written = fs::read_to_string(&table).unwrap();
    let rows = cells(&written);
    assert_eq!(rows[0][..4], ["file", "start", "end", "channel"]);
    assert!(rows.iter().all(|r| r.len() == 4 + FEATURE_COUNT));
    let places: Vec<_> = rows[1..].iter().map(|r| (r[0], r[3])).collect();
    let (one_name, two_name) = (path(&one), path(&two));
    assert_eq!(
        places,
        [
            (one_name, "0"),
            (one_name, "0"),
            (two_name, "0"),
            (two_name, "0")
        ],
        "the second channel is silent"
    );
    assert_eq!(rows[1][4..], rows[3][4..]);

    // What can be had is written, and what cannot is told.
    let output = run(&[&args[..], &[path(&text), path(&one)]].concat(), b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("1 of 2 files got no features"),
        "{}",
        stderr(&output)
    );
    assert_eq!(cells(&fs::read_to_string(&table).unwrap()).len(), 3);
    assert!(!table.with_extension("csv.part").exists());

    for (name, says) in [
        ("table.parquet", "ser-train extract"),
        ("one.wav", "ends in .csv"),
        ("missing/table.csv", "cannot write"),
    ] {
        let to = fixture.folder.path().join(name);
        let args = ["features", "-o", path(&to), path(&one)];
        let output = run(&args, b"");
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(
            stderr(&output).contains(says),
            "{name}: {}",
            stderr(&output)
        );
    }
    assert!(read_audio(&one).is_ok(), "the recording was left alone");
}

#[test]
fn without_speech_there_is_nothing_to_measure() {
    let fixture = Fixture::new();
    let silence = fixture.file("silence.wav", &wav(16_000, 1, &[0.0; 32_000]));
    let output = run(&["features", path(&silence)], b"");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    let text = stderr(&output);
    assert!(
        text.contains("no speech") && text.contains("--whole"),
        "{text}"
    );
    let whole = ["features", "--whole", "--format", "json", path(&silence)];
    let object: Value = serde_json::from_slice(&succeed(&whole, b"")).unwrap();
    assert_eq!(object["quality"]["silent"], true);
}

#[test]
fn json_is_an_object_an_utterance() {
    let fixture = Fixture::new();
    let call = fixture.file("call.wav", &wav(8_000, 1, &stream(8_000, 6.0, &VOICES)));
    let args = [
        "features",
        "-m",
        fixture.model(),
        "--format",
        "json",
        path(&call),
    ];
    let output = run(&args, b"");
    let found = lines(&output);
    assert_eq!(found.len(), 2);
    let hearing = Hearing {
        sample_rate: Some(16_000),
        cut: Some(by_level()),
    };
    let heard = extract(
        &read_audio(&call).unwrap(),
        FeatureSet::Emobase2010,
        &hearing,
    )
    .unwrap();
    for (object, utterance) in found.iter().zip(&heard.utterances) {
        assert_eq!(object["features_rate"], 16_000);
        assert_eq!(object["sample_rate"], 8_000);
        let start = utterance.span.start as f64 / 8_000.0;
        assert_eq!(object["start_s"].as_f64(), Some(start));
        assert_eq!(object["features"].as_object().unwrap().len(), FEATURE_COUNT);
    }
}
