//! `ser-run predict` as a user meets it.

mod common;

use std::fs;

use common::program::{Fixture, lines, objects, path, run, stderr, succeed};
use common::stream::stream;
use common::tiny::LABELS;
use common::wav::{Wav, vowel};
use serde_json::{Value, json};

/// Two utterances of different lengths and voices, as (start, length, pitch).
const VOICES: [(f32, f32, f32); 2] = [(1.0, 0.8, 140.0), (3.0, 1.6, 210.0)];

fn wav(rate: u32, channels: u16, samples: &[f32]) -> Vec<u8> {
    let samples: Vec<f64> = samples.iter().map(|&v| v.into()).collect();
    Wav::S16.file(rate, channels, &samples)
}

/// One sample of each in turn.
fn interleaved(left: &[f32], right: &[f32]) -> Vec<f32> {
    left.iter().zip(right).flat_map(|(&l, &r)| [l, r]).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value}"))
}

#[test]
fn predict_prints_a_line_a_file() {
    let fixture = Fixture::new();
    let voice = fixture.file(
        "voice.wav",
        &Wav::S16.file(16_000, 1, &vowel(16_000, 150.0, 1.0)),
    );
    let stereo = fixture.file(
        "stereo.wav",
        &Wav::F32.file(44_100, 2, &vowel(44_100, 200.0, 1.0)),
    );
    let output = run(
        &[
            "predict",
            "-m",
            fixture.model(),
            path(&voice),
            path(&stereo),
        ],
        b"",
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let lines = lines(&output);
    assert_eq!(lines.len(), 2);
    assert_eq!(
        [&lines[0]["channel"], &lines[0]["channels"]],
        [&json!(0), &json!(1)]
    );
    assert_eq!(
        [&lines[1]["channel"], &lines[1]["channels"]],
        [&json!("mix"), &json!(2)]
    );
    assert_eq!(lines[1]["sample_rate"], 44_100);
    for (line, (file, duration)) in lines.iter().zip([(&voice, 1.0), (&stereo, 0.5)]) {
        assert_eq!(
            (line["file"].as_str(), line["bundle"].as_str()),
            (file.to_str(), Some(fixture.id.as_str()))
        );
        let probabilities = line["probabilities"].as_object().unwrap();
        assert_eq!(probabilities.len(), 3);
        let sum: f64 = LABELS
            .iter()
            .map(|&l| probabilities[l].as_f64().unwrap())
            .sum();
        assert!((sum - 1.0).abs() < 1e-6);
        let label = line["label"].as_str().unwrap();
        assert_eq!(line["confidence"], probabilities[label]);
        assert!(
            probabilities
                .values()
                .all(|p| p.as_f64() <= line["confidence"].as_f64())
        );
        assert!(
            (line["duration_s"].as_f64().unwrap() - duration).abs() < 1e-3,
            "{line}"
        );
        for flag in ["too_short", "silent", "clipped", "unvoiced", "not_in_range"] {
            assert_eq!(line["quality"][flag], Value::Bool(false), "{line}");
        }
        assert_eq!(line["reason"], Value::Null);
        assert!(line["speech"]["share"].as_f64() > Some(0.8), "{line}");
        assert_eq!(line["speech"]["spans"].as_array().unwrap().len(), 1);
        assert!(line["utterances"].is_null(), "one says it all: {line}");
        assert_eq!(line["warnings"], Value::Array(vec![]));
    }
}

#[test]
fn bad_files_are_reported_and_the_others_done() {
    let fixture = Fixture::new();
    let voice = Wav::S16.file(16_000, 1, &vowel(16_000, 150.0, 0.6));
    let good = fixture.file("good.wav", &voice);
    let bad = [
        (fixture.folder.path().join("missing.wav"), "No such file"),
        (
            fixture.file("text.wav", b"just some text, long enough"),
            "not a WAV or FLAC",
        ),
        (
            fixture.file("empty.wav", &Wav::S16.file(16_000, 1, &[])),
            "no samples",
        ),
        (
            fixture.file("nan.wav", &Wav::F32.file(16_000, 1, &[0.0, f64::NAN])),
            "sample 1",
        ),
        (
            fixture.file("fast.wav", &Wav::S16.file(192_000, 1, &[0.1; 1_000])),
            "192000 Hz",
        ),
    ];
    let mut args = vec!["predict", "-m", fixture.model()];
    args.extend(bad.iter().map(|(file, _)| path(file)));
    args.push(path(&good));
    let output = run(&args, b"");
    assert_eq!(output.status.code(), Some(1));
    let (lines, stderr) = (lines(&output), stderr(&output));
    assert_eq!(lines.len(), bad.len() + 1);
    for (line, (file, says)) in lines.iter().zip(&bad) {
        assert_eq!(line["file"].as_str(), file.to_str());
        let error = line["error"].as_str().expect("an error line");
        assert!(error.contains(says), "{error}");
        assert!(stderr.contains(error), "also on standard error: {error}");
        assert_eq!(
            error.matches(path(file)).count(),
            1,
            "the file is named, once: {error}"
        );
    }
    assert!(
        lines[bad.len()]["label"].is_string(),
        "the good file is done"
    );
    assert!(
        stderr.contains("5 of 6 files got no prediction"),
        "{stderr}"
    );
}

#[test]
fn standard_input_may_be_wav_or_raw() {
    let fixture = Fixture::new();
    let wav = Wav::S16.file(16_000, 2, &vowel(16_000, 150.0, 1.0));
    let from_wav = run(&["predict", "-m", fixture.model(), "-"], &wav);
    assert!(from_wav.status.success(), "{}", stderr(&from_wav));
    let raw = [
        "predict",
        "-m",
        fixture.model(),
        "--raw",
        "s16le",
        "--rate",
        "16000",
        "--channels",
        "2",
        "-",
    ];
    let from_raw = run(&raw, &wav[44..]);
    assert!(from_raw.status.success(), "{}", stderr(&from_raw));
    assert_eq!(lines(&from_wav), lines(&from_raw));
    assert_eq!(lines(&from_raw)[0]["file"], "-");
    for odd in [
        &["--raw", "s16le"][..],
        &["--rate", "8000"],
        &["--raw", "s16be", "--rate", "8000"],
        &["--raw", "u8", "--rate", "8000", "--channels", "0"],
    ] {
        let args = [&["predict", "-m", fixture.model(), "-"], odd].concat();
        assert_eq!(run(&args, b"").status.code(), Some(2), "{odd:?}");
    }
}

#[test]
fn several_utterances_are_a_timeline_and_a_weighted_mean() {
    let fixture = Fixture::new();
    let file = fixture.file("call.wav", &wav(16_000, 1, &stream(16_000, 6.0, &VOICES)));
    let out = succeed(&["predict", "-m", fixture.model(), path(&file)], b"");
    let line = &objects(&out)[0];
    let utterances = line["utterances"].as_array().unwrap();
    assert_eq!(utterances.len(), 2, "{line}");
    let spans = line["speech"]["spans"].as_array().unwrap();
    for ((utterance, span), (start, length, _)) in utterances.iter().zip(spans).zip(VOICES) {
        let (from, to) = (number(&utterance["start_s"]), number(&utterance["end_s"]));
        assert!((from - f64::from(start)).abs() < 0.12, "{utterance}");
        assert!((to - f64::from(start + length)).abs() < 0.12, "{utterance}");
        assert_eq!(span, &json!([from, to]));
        assert!((number(&utterance["duration_s"]) - (to - from)).abs() < 1e-3);
        assert!(utterance["label"].is_string() && utterance["quality"].is_object());
    }
    let weights: Vec<f64> = utterances
        .iter()
        .map(|u| number(&u["duration_s"]))
        .collect();
    let all: f64 = weights.iter().sum();
    for label in LABELS {
        let mean: f64 = utterances
            .iter()
            .zip(&weights)
            .map(|(u, weight)| number(&u["probabilities"][label]) * weight / all)
            .sum();
        assert!((number(&line["probabilities"][label]) - mean).abs() < 1e-6);
    }
    assert!((number(&line["speech"]["seconds"]) - all).abs() < 1e-3);
    assert!((number(&line["speech"]["share"]) - all / 6.0).abs() < 1e-3);
    assert_eq!(number(&line["duration_s"]), 6.0, "of the recording");

    let whole = ["predict", "-m", fixture.model(), "--whole", path(&file)];
    let output = run(&whole, b"");
    let whole = &lines(&output)[0];
    assert!(whole["speech"].is_null() && whole["utterances"].is_null());
    assert_ne!(whole["probabilities"], line["probabilities"]);
    let text = stderr(&output);
    assert!(
        text.contains("note") && text.contains("taken whole"),
        "{text}"
    );
}

#[test]
fn without_speech_there_is_no_label() {
    let fixture = Fixture::new();
    let silence = fixture.file("silence.wav", &wav(16_000, 1, &[0.0; 32_000]));
    let short = fixture.file("short.wav", &wav(16_000, 1, &[0.1; 100]));
    let click = fixture.file(
        "click.wav",
        &wav(8_000, 1, &stream(8_000, 2.0, &[(1.0, 0.1, 150.0)])),
    );
    let voice = fixture.file("voice.wav", &wav(16_000, 1, &stream(16_000, 6.0, &VOICES)));
    let files = [&silence, &short, &click, &voice];
    let mut args = vec!["predict", "-m", fixture.model()];
    args.extend(files.map(|f| path(f)));
    let found = objects(&succeed(&args, b""));
    for (line, reason) in found.iter().zip(["no speech", "no speech", "too short"]) {
        assert_eq!(
            (&line["label"], &line["uncertain"], &line["reason"]),
            (&Value::Null, &json!(true), &json!(reason)),
            "{line}"
        );
        assert_eq!(
            (&line["confidence"], &line["probabilities"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(
            line["speech"],
            json!({"seconds": 0.0, "share": 0.0, "spans": []})
        );
    }
    assert!(found[3]["label"].is_string());
    // Of an unfit recording that is taken whole no number is shown, either.
    let whole = succeed(
        &["predict", "-m", fixture.model(), "--whole", path(&silence)],
        b"",
    );
    assert_eq!(objects(&whole)[0]["reason"], "silent");
    assert_eq!(objects(&whole)[0]["confidence"], Value::Null);

    args.push("--fail-without-speech");
    let output = run(&args, b"");
    assert_eq!((output.status.code(), lines(&output)), (Some(3), found));
    assert!(stderr(&output).contains("3 of 4 recordings hold no speech"));
    let fine = [
        "predict",
        "-m",
        fixture.model(),
        "--fail-without-speech",
        path(&voice),
    ];
    succeed(&fine, b"");
}

#[test]
fn abstaining_is_the_bundles_unless_asked_for() {
    let fixture = Fixture::new();
    let voice = fixture.file(
        "voice.wav",
        &wav(16_000, 1, &stream(16_000, 2.5, &VOICES[..1])),
    );
    let args = [
        "predict",
        "-m",
        fixture.model(),
        "--abstain",
        "1",
        path(&voice),
    ];
    let line = &objects(&succeed(&args, b""))[0];
    assert_eq!(
        (&line["label"], &line["reason"]),
        (&Value::Null, &json!("low confidence"))
    );
    assert!(
        number(&line["confidence"]) < 1.0,
        "the numbers are still shown"
    );
}

#[test]
fn channels_are_chosen() {
    let fixture = Fixture::new();
    let (left, right) = (
        stream(16_000, 6.0, &VOICES[..1]),
        stream(16_000, 6.0, &VOICES[1..]),
    );
    let both = fixture.file("both.wav", &wav(16_000, 2, &interleaved(&left, &right)));
    let alone = [
        fixture.file("left.wav", &wav(16_000, 1, &left)),
        fixture.file("right.wav", &wav(16_000, 1, &right)),
    ];
    let of = |channel: &str, file| {
        let args = [
            "predict",
            "-m",
            fixture.model(),
            "--channel",
            channel,
            path(file),
        ];
        objects(&succeed(&args, b""))
    };
    let all = of("all", &both);
    assert_eq!(all.len(), 2);
    for (index, (line, file)) in all.iter().zip(&alone).enumerate() {
        assert_eq!(
            (&line["channel"], &line["channels"]),
            (&json!(index), &json!(2))
        );
        let expected = &of("mix", file)[0];
        for field in ["label", "probabilities", "confidence", "speech", "quality"] {
            assert_eq!(line[field], expected[field], "{field} of channel {index}");
        }
        assert_eq!(&of(&index.to_string(), &both)[0], line);
    }
    let args = [
        "predict",
        "-m",
        fixture.model(),
        "--channel",
        "2",
        path(&both),
    ];
    let output = run(&args, b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("no channel 2"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_folder_stands_for_the_recordings_below_it() {
    let fixture = Fixture::new();
    let voice = wav(16_000, 1, &stream(16_000, 2.5, &VOICES[..1]));
    for name in [
        "calls/b.WAV",
        "calls/a/z.wav",
        "calls/a/flac-by-name-only",
        "calls/c.wave",
    ] {
        fixture.file(name, &voice);
    }
    fixture.file("calls/._b.WAV", b"a Macintosh's notes about b.WAV");
    fixture.file(
        "calls/readme.txt",
        b"These are the calls of the twelfth of May, cut by hand.",
    );
    let mp3 = [&[0xff, 0xfb, 0x90, 0x64][..], &[0; 413]]
        .concat()
        .repeat(4);
    fixture.file("calls/d.mp3", &mp3);
    let folder = fixture.folder.path().join("calls");
    let output = run(&["predict", "-m", fixture.model(), path(&folder)], b"");
    assert!(output.status.success(), "{}", stderr(&output));
    let files: Vec<String> = lines(&output)
        .iter()
        .map(|l| l["file"].as_str().unwrap().replace(path(&folder), ""))
        .collect();
    assert_eq!(
        files,
        ["/a/flac-by-name-only", "/a/z.wav", "/b.WAV", "/c.wave"]
    );
    let text = stderr(&output);
    assert!(
        text.contains("2, such as") && text.contains("an MP3 file"),
        "{text}"
    );

    let empty = fixture.folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let output = run(&["predict", "-m", fixture.model(), path(&empty)], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("holds no recordings"));
}

#[test]
fn what_is_odd_about_a_file_is_told_and_refused_if_wanted() {
    let fixture = Fixture::new();
    let voice = wav(16_000, 1, &stream(16_000, 6.0, &VOICES));
    let cut_off = fixture.file("cut-off.wav", &voice[..voice.len() / 2]);
    let args = ["predict", "-m", fixture.model(), path(&cut_off)];
    let line = &objects(&succeed(&args, b""))[0];
    let warning = line["warnings"][0].as_str().unwrap();
    assert!(warning.contains("truncated"), "{warning}");
    assert!(line["label"].is_string());
    let strict = [&args[..], &["--strict"]].concat();
    let output = run(&strict, b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        lines(&output)[0]["error"]
            .as_str()
            .unwrap()
            .contains("truncated")
    );
}

#[test]
fn tables_for_people_and_for_spreadsheets() {
    let fixture = Fixture::new();
    let call = fixture.file(
        "the call.wav",
        &wav(16_000, 1, &stream(16_000, 6.0, &VOICES)),
    );
    let silence = fixture.file("a,b.wav", &wav(16_000, 1, &[0.0; 32_000]));
    let with = |format| {
        let args = [
            "predict",
            "-m",
            fixture.model(),
            "--format",
            format,
            path(&call),
            path(&silence),
        ];
        String::from_utf8(succeed(&args, b"")).unwrap()
    };
    let table = with("table");
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(
        rows.len(),
        5,
        "a header, a file, its two utterances, a file: {table}"
    );
    assert!(
        rows[1].contains("the call.wav") && rows[1].contains("█"),
        "{table}"
    );
    assert!(rows[1].contains("2 utterances"), "{table}");
    assert!(
        rows[2].starts_with("  ") && rows[2].contains(" to "),
        "{table}"
    );
    assert!(rows[4].contains("no speech"), "{table}");

    let csv = with("csv");
    let mut rows = csv.lines();
    let columns: Vec<&str> = rows.next().unwrap().split(',').collect();
    let rows: Vec<&str> = rows.collect();
    assert_eq!(rows.len(), 2, "{csv}");
    let fields: Vec<&str> = rows[0].split(',').collect();
    assert_eq!(fields.len(), columns.len(), "{csv}");
    let field = |name: &str| fields[columns.iter().position(|c| *c == name).unwrap()];
    assert_eq!((field("utterances"), field("uncertain")), ("2", "false"));
    let sum: f64 = LABELS
        .map(|l| field(l).parse::<f64>().unwrap())
        .iter()
        .sum();
    assert!((sum - 1.0).abs() < 1e-5);
    assert!(
        rows[1].starts_with('"') && rows[1].contains("no speech"),
        "{csv}"
    );
}

#[test]
fn what_was_learnt_goes_from_file_to_file_and_from_run_to_run() {
    let fixture = Fixture::new();
    let voice = wav(16_000, 1, &stream(16_000, 6.0, &VOICES));
    let (one, two) = (fixture.file("1.wav", &voice), fixture.file("2.wav", &voice));
    let state = fixture.folder.path().join("state");
    let of = |extra: &[&str], files: &[&str]| {
        let args = [&["predict", "-m", fixture.model()], extra, files].concat();
        let found = objects(&succeed(&args, b""));
        let probabilities = found
            .iter()
            .map(|l| l["utterances"][0]["probabilities"].clone());
        probabilities.collect::<Vec<_>>()
    };
    let fixed = of(&[], &[path(&one), path(&two)]);
    let adapted = of(&["--adapt"], &[path(&one), path(&two)]);
    assert_eq!(fixed[0], fixed[1]);
    assert_eq!(
        adapted[0], fixed[0],
        "the first utterance has the fixed normaliser"
    );
    assert_ne!(adapted[1], fixed[0]);
    let kept = ["--adapt", "--state", path(&state)];
    let first = of(&kept, &[path(&one)]);
    let second = of(&kept, &[path(&two)]);
    assert_eq!([&first[0], &second[0]], [&adapted[0], &adapted[1]]);
}
