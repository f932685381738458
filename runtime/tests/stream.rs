//! `ser-run stream` as a user meets it.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use common::stream::stream;
use common::tiny::Tiny;
use common::wav::Wav;
use ser_features::FEATURE_COUNT;
use serde_json::Value;

const VOICES: [(f32, f32, f32); 2] = [(0.6, 0.9, 140.0), (2.4, 1.1, 210.0)];

fn bundle() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    Tiny::new(FEATURE_COUNT, 31).write(&folder.path().join("model"));
    folder
}

fn start(folder: &Path, args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_ser-run"))
        .args(["stream", "-m"])
        .arg(folder.join("model"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn run(folder: &Path, args: &[&str], input: &[u8]) -> (Output, Vec<Value>) {
    let mut child = start(folder, args);
    let mut stdin = child.stdin.take().unwrap();
    // A program that ends early closes the pipe.
    let _ = stdin.write_all(input);
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().map(|l| serde_json::from_str(l).expect(l));
    (output, lines.collect())
}

fn encoded(encoding: Wav, samples: impl IntoIterator<Item = f32>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for sample in samples {
        encoding.encode(f64::from(sample), &mut bytes);
    }
    bytes
}

/// The code of G.711 whose sample lies nearest.
fn g711(decode: fn(u8) -> i16, sample: f32) -> u8 {
    let wanted = (sample * 32_767.0) as i32;
    (0..=255)
        .min_by_key(|&code| (i32::from(decode(code)) - wanted).abs())
        .unwrap()
}

fn events(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|l| l["event"].as_str().unwrap()).collect()
}

const TWO: [&str; 5] = ["start", "utterance", "start", "utterance", "end-of-stream"];

#[test]
fn every_encoding_and_rate_finds_the_utterances() {
    let folder = bundle();
    let at16 = stream(16_000, 4.2, &VOICES);
    let at8 = stream(8_000, 4.2, &VOICES);
    let at48 = stream(48_000, 4.2, &VOICES);
    let alaw: Vec<u8> = at8
        .iter()
        .map(|&v| g711(ser_runtime::pcm::alaw, v))
        .collect();
    let ulaw: Vec<u8> = at8
        .iter()
        .map(|&v| g711(ser_runtime::pcm::ulaw, v))
        .collect();
    let cases: [(&[&str], Vec<u8>, u32); 5] = [
        (&[], encoded(Wav::S16, at16.clone()), 16_000),
        (&["--encoding", "f32"], encoded(Wav::F32, at16), 16_000),
        (&["--encoding", "alaw", "--rate", "8000"], alaw, 8_000),
        (&["--encoding", "ulaw", "--rate", "8000"], ulaw, 8_000),
        (&["--rate", "48000"], encoded(Wav::S16, at48), 48_000),
    ];
    for (args, input, rate) in cases {
        let (output, lines) = run(folder.path(), args, &input);
        assert!(output.status.success(), "{args:?}: {output:?}");
        assert_eq!(events(&lines), TWO, "{args:?}");
        for (line, (start, length, _)) in [&lines[1], &lines[3]].into_iter().zip(VOICES) {
            let at = |field: &str| line[field].as_f64().unwrap() / f64::from(rate);
            assert!(
                (at("start") - f64::from(start - 0.2)).abs() < 0.05,
                "{args:?}: {line}"
            );
            assert!(
                (at("end") - f64::from(start + length + 0.2)).abs() < 0.05,
                "{args:?}: {line}"
            );
            assert!(line["label"].is_string() && line["cut"] == false, "{line}");
            assert_eq!(line["quality"]["unvoiced"], false, "{args:?}: {line}");
        }
        assert_eq!(lines[4]["samples"], (4.2 * f64::from(rate)) as u64);
    }
}

#[test]
fn each_channel_is_a_stream_of_its_own() {
    let folder = bundle();
    let (left, right) = (
        stream(16_000, 4.2, &VOICES[..1]),
        stream(16_000, 4.2, &VOICES[1..]),
    );
    let both = left.iter().zip(&right).flat_map(|(&l, &r)| [l, r]);
    let both = encoded(Wav::S16, both);
    let (_, all) = run(folder.path(), &["--channels", "2"], &both);
    assert_eq!(events(&all), TWO);
    let (_, alone) = run(folder.path(), &[], &encoded(Wav::S16, right));
    let of = |lines: &[Value], channel: u64| {
        let mut line = lines
            .iter()
            .find(|l| l["event"] == "utterance" && l["channel"] == channel)
            .unwrap()
            .clone();
        line["channel"] = 0.into();
        line
    };
    assert_eq!(of(&all, 1), of(&alone, 0));
    let (_, one) = run(folder.path(), &["--channels", "2", "--channel", "1"], &both);
    assert_eq!(of(&one, 1), of(&alone, 0));
    assert_eq!(events(&one), ["start", "utterance", "end-of-stream"]);
    let (output, _) = run(folder.path(), &["--channels", "2", "--channel", "2"], &both);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no channel 2"));
}

#[test]
fn the_state_of_adaptation_is_kept_from_run_to_run() {
    let folder = bundle();
    let state = folder.path().join("state");
    let args = ["--adapt", "--state", state.to_str().unwrap()];
    let input = encoded(Wav::S16, stream(16_000, 4.2, &VOICES));
    let (_, first) = run(folder.path(), &args, &input);
    let (_, second) = run(folder.path(), &args, &input);
    assert_eq!(events(&second), TWO);
    assert_ne!(first[1]["probabilities"], second[1]["probabilities"]);
    let (_, fixed) = run(folder.path(), &[], &input);
    assert_eq!(
        fixed[1], first[1],
        "the first utterance has the fixed normaliser"
    );
    let mut bytes = fs::read(&state).unwrap();
    bytes[100] ^= 1;
    fs::write(&state, bytes).unwrap();
    let (output, lines) = run(folder.path(), &args, &input);
    assert_eq!((output.status.code(), lines.len()), (Some(1), 0));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        text.contains(state.to_str().unwrap()) && text.contains("checksum"),
        "{text}"
    );
}

#[test]
fn an_unsure_model_gives_no_label() {
    let folder = bundle();
    let input = encoded(Wav::S16, stream(16_000, 2.5, &VOICES[..1]));
    let (_, lines) = run(folder.path(), &["--abstain", "1"], &input);
    let line = &lines[1];
    assert!(
        line["label"].is_null() && line["uncertain"] == true,
        "{line}"
    );
    assert!(line["confidence"].as_f64().unwrap() < 1.0);
    let (_, lines) = run(folder.path(), &["--abstain", "0.01"], &input);
    assert!(lines[1]["label"].is_string() && lines[1]["uncertain"] == false);
}

#[test]
fn what_is_wrong_with_the_input_is_said_after_what_was_heard() {
    let folder = bundle();
    let mut input = encoded(Wav::S16, stream(16_000, 1.4, &VOICES[..1]));
    input.push(1);
    let (output, lines) = run(folder.path(), &[], &input);
    assert_eq!(events(&lines), ["start", "utterance", "end-of-stream"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not a whole 2-byte frame"));

    let mut input = encoded(Wav::F32, stream(16_000, 1.4, &VOICES[..1]));
    input.extend(f32::NAN.to_le_bytes());
    let (output, lines) = run(folder.path(), &["--encoding", "f32"], &input);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(events(&lines).last(), Some(&"end-of-stream"));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not a finite number"));
    for args in [
        &["--encoding", "mp3"][..],
        &["--channels", "0"],
        &["--abstain", "2"],
        &["--state", "x"],
        &["--channel", "left"],
    ] {
        assert_eq!(
            run(folder.path(), args, b"").0.status.code(),
            Some(2),
            "{args:?}"
        );
    }
    for args in [
        &["--rate", "4000"][..],
        &["--rate", "96001"],
        &["--max-utterance-ms", "1"],
    ] {
        assert_eq!(
            run(folder.path(), args, b"").0.status.code(),
            Some(1),
            "{args:?}"
        );
    }
}

/// Events come while the stream goes on, and a signal ends it without losing what was said.
#[cfg(unix)]
#[test]
fn events_come_at_once_and_a_signal_loses_nothing() {
    for signal in ["-INT", "-TERM"] {
        let folder = bundle();
        let mut child = start(folder.path(), &["--update-ms", "300"]);
        let mut stdin = child.stdin.take().unwrap();
        let input = encoded(Wav::S16, stream(16_000, 3.1, &VOICES));
        stdin.write_all(&input).unwrap();
        stdin.flush().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut seen = Vec::new();
        // The second utterance is going on: it was announced, and updated.
        while seen
            .iter()
            .filter(|l: &&Value| l["event"] == "start")
            .count()
            < 2
            || seen.last().is_none_or(|l| l["event"] != "update")
        {
            let mut line = String::new();
            assert!(out.read_line(&mut line).unwrap() > 0, "{seen:?}");
            seen.push(serde_json::from_str(&line).unwrap());
        }
        std::thread::sleep(Duration::from_millis(100));
        let pid = child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        let mut rest = String::new();
        out.read_to_string(&mut rest).unwrap();
        seen.extend(
            rest.lines()
                .map(|l| serde_json::from_str::<Value>(l).unwrap()),
        );
        assert!(child.wait().unwrap().success(), "{signal}");
        drop(stdin);
        let ends: Vec<&Value> = seen.iter().filter(|l| l["event"] == "utterance").collect();
        assert_eq!(ends.len(), 2, "{signal}: {seen:?}");
        assert_eq!(ends[1]["end"], 49_600, "all that was sent");
        let last = seen.last().unwrap();
        assert_eq!(
            (&last["event"], &last["reason"]),
            (&"end-of-stream".into(), &"signal".into())
        );
    }
}
