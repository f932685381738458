//! `ser-run` as a user meets it: what holds for every subcommand, `info` and `bench`.

mod common;

use std::fs;
#[cfg(feature = "ort")]
use std::io::Write;
use std::process::{Command, Stdio};

#[cfg(feature = "ort")]
use common::program::lines;
use common::program::{Fixture, path, run, run_in, stderr};
#[cfg(feature = "ort")]
use common::tiny::LABELS;
use common::tiny::Tiny;
use common::wav::{Wav, vowel};
use serde_json::Value;

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
        "hears",
        "pauses up to 500 ms",
        "abstains       never",
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
            .args(["features", "--whole", path(&voice), "--format", format])
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
        &["features", "--whole", path(&voice)][..],
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

#[test]
fn a_folder_that_holds_the_bundle_is_found() {
    let fixture = Fixture::new();
    let bundle = fixture.folder.path().join("run").join("bundle");
    Tiny::new(ser_features::FEATURE_COUNT, 31).write(&bundle);
    let voice = fixture.file(
        "voice.wav",
        &Wav::S16.file(16_000, 1, &vowel(16_000, 150.0, 0.7)),
    );
    let run_folder = fixture.folder.path().join("run");
    for args in [
        &["info", "-m", path(&run_folder)][..],
        &["predict", "-m", path(&run_folder), path(&voice)],
        &["features", "-m", path(&run_folder), path(&voice)],
        &["stream", "-m", path(&run_folder), path(&voice)],
    ] {
        let output = run(args, b"");
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    }
}

#[cfg(not(feature = "listen"))]
#[test]
fn listen_says_how_to_get_it() {
    for args in [
        &["listen"][..],
        &["listen", "-m", "model", "--adapt"],
        &["listen", "--help"],
    ] {
        let output = run(args, b"");
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let text = stderr(&output);
        for part in ["--features listen", "libasound2-dev", "ser-run stream"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
    let help = String::from_utf8(run(&["--help"], b"").stdout).unwrap();
    assert!(!help.contains("listen"), "{help}");
}
