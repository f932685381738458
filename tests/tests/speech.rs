//! The shipped model on speech: what espeak-ng says, and real recordings where they are at hand.

use ser_tests::{espeak, root, ser_run, shared, succeed, wav};
use serde_json::Value;
use std::collections::BTreeMap;

fn predict(files: &[std::path::PathBuf], options: &[&str]) -> Vec<Value> {
    let output = succeed(
        ser_run()
            .args(["predict", "-m"])
            .arg(root().join("models/emodb-4class"))
            .args(options)
            .args(files),
    );
    output
        .lines()
        .map(|line| serde_json::from_str(line).expect("one JSON object a line"))
        .collect()
}

/// The quality flags that are set.
fn flags(line: &Value) -> Vec<&'static str> {
    ["too_short", "silent", "clipped", "unvoiced"]
        .into_iter()
        .filter(|flag| line["quality"][flag].as_bool().expect("a flag"))
        .collect()
}

#[test]
fn spoken_by_espeak() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("hello.wav");
    if !espeak("de", "Der Lappen liegt auf dem Eisschrank.", &file) {
        return;
    }
    let lines = predict(&[file], &[]);
    let line = &lines[0];
    assert!(
        ["angry", "happy", "neutral", "sad"].contains(&line["label"].as_str().expect("label")),
        "{line}"
    );
    assert!(
        flags(line).is_empty(),
        "ordinary speech carries no quality flag: {line}"
    );
    assert!(
        line["duration_s"]
            .as_f64()
            .is_some_and(|s| (1.0..6.0).contains(&s)),
        "{line}"
    );
}

#[test]
fn poor_audio_is_flagged() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = |name: &str| folder.path().join(name);
    let silence = vec![0i16; 16_000];
    let clipped: Vec<i16> = (0..16_000)
        .map(|i| {
            if (i / 50) % 2 == 0 {
                i16::MAX
            } else {
                i16::MIN
            }
        })
        .collect();
    let mut state = 1u32;
    let noise: Vec<i16> = (0..16_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 20) as i16 - 2048
        })
        .collect();
    for (name, samples, flag) in [
        ("silence.wav", &silence, "silent"),
        ("clipped.wav", &clipped, "clipped"),
        ("noise.wav", &noise, "unvoiced"),
    ] {
        std::fs::write(at(name), wav(16_000, 1, samples)).expect("written");
        let whole = &predict(&[at(name)], &["--whole"])[0];
        assert!(flags(whole).contains(&flag), "{name}: {whole}");
        // Nobody speaks in any of them.
        let line = &predict(&[at(name)], &[])[0];
        assert!(
            line["label"].is_null() && line["uncertain"] == true && line["reason"].is_string(),
            "{name}: {line}"
        );
        assert_eq!(line["confidence"], Value::Null, "{name}");
    }
    // Enough for the features, too little for a judgement.
    std::fs::write(at("short.wav"), wav(16_000, 1, &noise[..1600])).expect("written");
    assert!(flags(&predict(&[at("short.wav")], &["--whole"])[0]).contains(&"too_short"));
}

#[test]
fn the_shipped_model_knows_the_recordings_it_was_fitted_on() {
    let Some(shared) = shared("the shipped model on EMO-DB") else {
        return;
    };
    let manifest = std::fs::read_to_string(shared.join("data/manifest.csv")).expect("manifest");
    let rows: Vec<Vec<&str>> = manifest
        .lines()
        .skip(1)
        .map(|l| l.split(',').collect())
        .filter(|r: &Vec<&str>| r[1] == "emodb")
        .collect();
    assert_eq!(rows.len(), 339);
    let files: Vec<_> = rows
        .iter()
        .map(|r| shared.join("data").join(r[0]))
        .collect();
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (line, row) in predict(&files, &[]).iter().zip(&rows) {
        let entry = counts.entry(row[4]).or_default();
        entry.1 += 1;
        entry.0 += usize::from(line["label"].as_str() == Some(row[4]));
    }
    // Not a measure of quality (the card has that): that extractor, normaliser, graphs and labels still fit together.
    for (label, (hit, of)) in counts {
        assert!(
            hit * 10 >= of * 9,
            "{label}: {hit} of {of} recordings of the training corpus"
        );
    }
}
