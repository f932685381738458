//! `ser-run` as a user meets it.

mod common;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::tiny::{LABELS, Tiny};
use common::wav::{Wav, vowel};
use ser_features::{FEATURE_COUNT, FeatureSet, feature_names};
use ser_runtime::audio::read_audio;
use ser_runtime::extract::extract_features;
use serde_json::Value;

struct Fixture {
    folder: tempfile::TempDir,
    bundle: PathBuf,
    id: String,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bundle = folder.path().join("model");
        let id = Tiny::new(FEATURE_COUNT, 31).write(&bundle).id;
        Self { folder, bundle, id }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn model(&self) -> &str {
        self.bundle.to_str().unwrap()
    }
}

fn run(args: &[&str], input: &[u8]) -> Output {
    run_in(
        Command::new(env!("CARGO_BIN_EXE_ser-run")).args(args),
        input,
    )
}

fn run_in(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that ends early closes the pipe.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
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
        for flag in ["too_short", "silent", "clipped", "unvoiced"] {
            assert_eq!(line["quality"][flag], Value::Bool(false), "{line}");
        }
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
            fixture.file("truncated.wav", &voice[..voice.len() / 2]),
            "truncated",
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
            fixture.file("short.wav", &Wav::S16.file(16_000, 1, &[0.1; 100])),
            "too short",
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
        stderr.contains("7 of 8 files got no prediction"),
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
fn features_come_as_csv_and_json() {
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
        let expected = extract_features(&pcm, set).unwrap().features;
        let names = feature_names(set);
        let output = run(&["features", path(&voice), "--set", id], b"");
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
                &["features", path(&voice), "--set", id, "--format", "json"],
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
fn info_is_readable_and_whole() {
    let fixture = Fixture::new();
    let output = run(&["info", "-m", fixture.model()], b"");
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "tiny",
        &fixture.id,
        "angry, calm, sad",
        "emobase2010",
        "16000 Hz",
        "temperature 1.7",
        "z-score, clipped at ±10",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let json: Value =
        serde_json::from_slice(&run(&["info", "-m", fixture.model(), "--json"], b"").stdout)
            .unwrap();
    let file: Value =
        serde_json::from_slice(&fs::read(fixture.bundle.join("bundle.json")).unwrap()).unwrap();
    assert_eq!(json, file);
}

#[test]
fn bad_bundles_and_arguments_fail_before_any_file() {
    let fixture = Fixture::new();
    let good = fixture.file(
        "good.wav",
        &Wav::S16.file(16_000, 1, &vowel(16_000, 150.0, 0.6)),
    );
    let encoder = fixture.bundle.join("encoder.onnx");
    let mut bytes = fs::read(&encoder).unwrap();
    bytes[100] ^= 1;
    fs::write(&encoder, bytes).unwrap();
    let output = run(&["predict", "-m", fixture.model(), path(&good)], b"");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    assert!(
        stderr(&output).contains("encoder.onnx") && stderr(&output).contains("SHA-256"),
        "{}",
        stderr(&output)
    );

    let missing = run(&["predict", "-m", "/no/such/bundle", path(&good)], b"");
    assert!(
        missing.status.code() == Some(1) && stderr(&missing).contains("/no/such/bundle"),
        "{}",
        stderr(&missing)
    );
    let elsewhere = fixture.folder.path().join("elsewhere");
    Tiny::new(4, 1).write(&elsewhere);
    let no_extractor = run(&["predict", "-m", path(&elsewhere), path(&good)], b"");
    assert!(
        no_extractor.status.code() == Some(1) && stderr(&no_extractor).contains("made elsewhere"),
        "{}",
        stderr(&no_extractor)
    );
    for args in [
        &["predict", "-m", fixture.model()][..],
        &["predict", path(&good)],
        &["predict", "-m", "x", "--engine", "abacus", "f"],
        &["fly"],
    ] {
        let output = run(args, b"");
        assert_eq!(output.status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_reader_that_leaves_is_no_panic() {
    let fixture = Fixture::new();
    let voice = fixture.file(
        "voice.wav",
        &Wav::S16.file(16_000, 1, &vowel(16_000, 150.0, 0.7)),
    );
    for format in ["csv", "json"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ser-run"));
        let mut child = command
            .args(["features", path(&voice), "--format", format])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            (output.status.code(), stderr(&output).as_str()),
            (Some(1), ""),
            "{format}"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_under_the_output_is_an_error() {
    let fixture = Fixture::new();
    let voice = fixture.file(
        "voice.wav",
        &Wav::S16.file(16_000, 1, &vowel(16_000, 150.0, 0.7)),
    );
    for args in [
        &["features", path(&voice)][..],
        &["predict", "-m", fixture.model(), path(&voice)],
        &["info", "-m", fixture.model()],
    ] {
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_ser-run"))
            .args(args)
            .stdout(full)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(
            stderr(&output).contains("No space left"),
            "{args:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn a_missing_onnx_runtime_is_explained() {
    let fixture = Fixture::new();
    let voice = fixture.file(
        "voice.wav",
        &Wav::S16.file(16_000, 1, &vowel(16_000, 150.0, 0.7)),
    );
    let args = [
        "predict",
        "-m",
        fixture.model(),
        "--engine",
        "ort",
        path(&voice),
    ];
    let output = run_in(
        Command::new(env!("CARGO_BIN_EXE_ser-run"))
            .args(args)
            .env("ORT_DYLIB_PATH", "/no/such/libonnxruntime.so"),
        b"",
    );
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(!text.contains("panicked"), "{text}");
    if cfg!(feature = "ort") {
        for part in [
            "pip install onnxruntime",
            "ORT_DYLIB_PATH",
            "/no/such/libonnxruntime.so",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    } else {
        assert!(text.contains("--features ort"), "{text}");
    }
}

#[cfg(feature = "ort")]
#[test]
fn engines_agree_on_a_recording() {
    if std::env::var_os("ORT_DYLIB_PATH").is_none() {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: ser-run --engine ort, since ORT_DYLIB_PATH is not set"
        );
        return;
    }
    let fixture = Fixture::new();
    let voice = fixture.file(
        "voice.wav",
        &Wav::S16.file(16_000, 1, &vowel(16_000, 150.0, 0.7)),
    );
    let of = |engine| {
        let output = run(
            &[
                "predict",
                "-m",
                fixture.model(),
                "--engine",
                engine,
                path(&voice),
            ],
            b"",
        );
        assert!(output.status.success(), "{}", stderr(&output));
        lines(&output).remove(0)
    };
    let (tract, ort) = (of("tract"), of("ort"));
    assert_eq!(tract["label"], ort["label"]);
    for label in LABELS {
        let difference = tract["probabilities"][label].as_f64().unwrap()
            - ort["probabilities"][label].as_f64().unwrap();
        assert!(difference.abs() < 1e-5, "{label}: {difference}");
    }
}

#[test]
fn bench_engines_times_what_there_is_and_names_what_is_left_out() {
    let fixture = Fixture::new();
    let small = ["--rounds", "3", "--calls", "2"];
    let run = |extra: &[&str]| {
        let args = [
            &["bench", "engines", "-m", fixture.model()],
            &small[..],
            extra,
        ]
        .concat();
        let output = run(&args, b"");
        assert!(output.status.success(), "{}", stderr(&output));
        output
    };
    let report: Value = serde_json::from_slice(&run(&["--json"]).stdout).unwrap();
    assert_eq!(
        (&report["rounds"], &report["threads"]),
        (&3.into(), &1.into())
    );
    let engines = report["engines"].as_array().unwrap();
    assert_eq!(engines[0]["engine"], "tract");
    for engine in engines {
        let call = &engine["call"];
        assert!(
            call["min"].as_f64() > Some(0.0) && call["min"].as_f64() <= call["median"].as_f64()
        );
        assert!(engine["bytes"].as_u64() > Some(1582 * 5 * 4));
    }
    // The tiny bundle has no flat files.
    let left_out = report["left_out"].as_array().unwrap();
    let reason = |name: &str| {
        let found = left_out.iter().find(|l| l["engine"] == name).expect(name);
        found["reason"].as_str().unwrap().to_owned()
    };
    assert!(reason("static").contains("ser-train export"));
    assert!(reason("static-int8").contains("--calibrate"));
    let table = String::from_utf8(run(&[]).stdout).unwrap();
    assert!(
        table.contains("tract") && table.contains("left out: static-int8"),
        "{table}"
    );
}
