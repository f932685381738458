//! `ser-run stream` as a user meets it.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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
        let samples = stream(rate, 4.2, &VOICES).len();
        let (output, lines) = run(folder.path(), args, &input);
        assert!(output.status.success(), "{args:?}: {output:?}");
        assert_eq!(events(&lines), TWO, "{args:?}");
        for (line, (start, length, _)) in [&lines[1], &lines[3]].into_iter().zip(VOICES) {
            let at = |field: &str| line[field].as_f64().unwrap() / f64::from(rate);
            assert!(
                (at("start") - f64::from(start - 0.06)).abs() < 0.05,
                "{args:?}: {line}"
            );
            assert!(
                (at("end") - f64::from(start + length + 0.06)).abs() < 0.05,
                "{args:?}: {line}"
            );
            assert!(line["label"].is_string() && line["cut"] == false, "{line}");
            assert_eq!(line["quality"]["unvoiced"], false, "{args:?}: {line}");
        }
        let end = &lines[4];
        assert_eq!(end["samples"], samples);
        assert_eq!(
            (&end["utterances"], &end["no_speech"], &end["reason"]),
            (&2.into(), &false.into(), &"end of input".into())
        );
        let lengths = [1, 3]
            .map(|i| lines[i]["end_s"].as_f64().unwrap() - lines[i]["start_s"].as_f64().unwrap());
        let speech = end["speech_s"].as_f64().unwrap();
        assert!((speech - lengths.iter().sum::<f64>()).abs() < 1e-9);
        assert_eq!(lines[1]["sample_rate"], rate);
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

/// One channel of several is the same voice, chosen alone or with the others.
#[test]
fn a_channel_has_one_state_however_it_is_chosen() {
    let folder = bundle();
    let state = folder.path().join("state");
    let name = state.to_str().unwrap();
    let both = stream(16_000, 4.2, &VOICES);
    let both = encoded(Wav::S16, both.iter().flat_map(|&v| [v, v]));
    let args = ["--channels", "2", "--adapt", "--state", name];
    let with = |channel| [&args[..], &["--channel", channel]].concat();
    let (_, all) = run(folder.path(), &with("all"), &both);
    let (zero, one) = (format!("{name}.0"), format!("{name}.1"));
    assert!(!state.exists() && Path::new(&one).exists());
    let learnt = fs::read(&zero).unwrap();
    let (_, alone) = run(folder.path(), &with("0"), &both);
    let first = |lines: &[Value]| {
        let is = |l: &&Value| l["event"] == "utterance" && l["channel"] == 0;
        lines.iter().find(is).unwrap()["probabilities"].clone()
    };
    assert_ne!(
        first(&all),
        first(&alone),
        "it went on from what `all` had learnt"
    );
    assert_ne!(fs::read(&zero).unwrap(), learnt);
    assert!(!state.exists());

    // What a channel chosen alone once wrote is still read, and kept under its new name from then
    // on.
    fs::remove_file(&zero).unwrap();
    fs::remove_file(&one).unwrap();
    fs::write(&state, &learnt).unwrap();
    let (output, moved) = run(folder.path(), &with("0"), &both);
    assert_eq!(first(&moved), first(&alone));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("warning") && text.contains(&zero), "{text}");
    assert_eq!(fs::read(&state).unwrap(), learnt);
    assert!(Path::new(&zero).exists());
    let silence = encoded(Wav::S16, vec![0.0; 32_000]);
    fs::remove_file(&zero).unwrap();
    run(folder.path(), &with("0"), &silence);
    assert_eq!(
        fs::read(&zero).unwrap(),
        learnt,
        "even if nothing is learnt"
    );
}

#[test]
fn a_state_that_cannot_be_saved_is_a_warning() {
    let folder = bundle();
    let state = folder.path().join("missing").join("state");
    let args = ["--adapt", "--state", state.to_str().unwrap()];
    // Three times that it is tried: after 60 s, after 120 s and at the end.
    let voices: Vec<_> = (0..9)
        .map(|i| (2.0 + 15.0 * i as f32, 1.0, 150.0))
        .collect();
    let input = encoded(Wav::S16, stream(16_000, 135.0, &voices));
    let (output, lines) = run(folder.path(), &args, &input);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        lines.iter().filter(|l| l["event"] == "utterance").count(),
        9
    );
    assert_eq!(lines.last().unwrap()["event"], "end-of-stream");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(text.matches("warning").count(), 1, "{text}");
    assert!(
        text.contains(state.to_str().unwrap()) && text.contains("create its folder"),
        "{text}"
    );
    // A folder that appears is used.
    fs::create_dir(state.parent().unwrap()).unwrap();
    let (output, _) = run(folder.path(), &args, &input);
    assert!(output.stderr.is_empty() && state.exists());
}

/// What was learnt is kept even if whoever reads the output goes away.
#[cfg(unix)]
#[test]
fn what_was_learnt_is_saved_when_the_output_is_closed() {
    let folder = bundle();
    let state = folder.path().join("state");
    let mut child = start(
        folder.path(),
        &["--adapt", "--state", state.to_str().unwrap()],
    );
    let mut stdin = child.stdin.take().unwrap();
    let input = encoded(Wav::S16, stream(16_000, 4.2, &VOICES));
    let (first, second) = input.split_at(2 * 16_000 * 23 / 10);
    stdin.write_all(first).unwrap();
    stdin.flush().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("\"utterance\"") {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0);
    }
    drop(out);
    // The program ends with the first line that it cannot write.
    let _ = stdin.write_all(second);
    drop(stdin);
    assert!(!child.wait().unwrap().success());
    assert!(state.exists());
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
    let warning = lines[2]["warnings"][0].as_str().unwrap();
    assert!(warning.contains("2-byte frame"), "{warning}");
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains(warning));
    let (output, lines) = run(folder.path(), &["--strict"], &input);
    assert_eq!(events(&lines), ["start", "utterance", "end-of-stream"]);
    assert_eq!(output.status.code(), Some(1));

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

/// A reader that reads no more must not keep the program alive: the first signal waits for it, the
/// second does not.
#[cfg(unix)]
#[test]
fn a_second_signal_ends_a_program_whose_output_is_stuck() {
    let folder = bundle();
    let mut child = start(folder.path(), &["--channels", "64", "--update-ms", "100"]);
    let mut stdin = child.stdin.take().unwrap();
    // Some hundred kilobytes of events, of which the pipe holds 64.
    let voice = stream(8_000, 4.2, &VOICES);
    let input = encoded(Wav::S16, voice.iter().flat_map(|&v| [v; 64]));
    let written = Arc::new(AtomicUsize::new(0));
    let progress = Arc::clone(&written);
    let writer = std::thread::spawn(move || {
        for piece in input.chunks(1 << 12) {
            // It ends where the program does.
            if stdin.write_all(piece).is_err() {
                return;
            }
            progress.fetch_add(1, Ordering::Relaxed);
        }
    });
    let pid = child.id().to_string();
    let interrupt = || {
        let kill = Command::new("kill").args(["-INT", &pid]).status();
        assert!(kill.unwrap().success());
    };
    // Until nothing more is read for a second: the output is stuck.
    let mut last = 0;
    loop {
        std::thread::sleep(Duration::from_secs(1));
        assert!(
            !writer.is_finished(),
            "all was read: the output is not stuck"
        );
        let now = written.load(Ordering::Relaxed);
        if now > 0 && now == last {
            break;
        }
        last = now;
    }
    interrupt();
    std::thread::sleep(Duration::from_millis(500));
    assert!(child.try_wait().unwrap().is_none(), "it waits to finish");
    interrupt();
    let mut waited = 0;
    while child.try_wait().unwrap().is_none() {
        assert!(waited < 200, "a second signal did not end it");
        waited += 1;
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
    writer.join().unwrap();
}

/// A WAV of 16-bit samples.
fn wav(rate: u32, channels: u16, samples: &[f32]) -> Vec<u8> {
    let samples: Vec<f64> = samples.iter().map(|&v| v.into()).collect();
    Wav::S16.file(rate, channels, &samples)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_header_is_followed_and_must_not_be_contradicted() {
    let folder = bundle();
    let samples = stream(44_100, 4.2, &VOICES);
    let input = wav(44_100, 1, &samples);
    let (_, headerless) = run(folder.path(), &["--rate", "44100"], &input[44..]);
    assert_eq!(events(&headerless), TWO);
    for args in [
        &[][..],
        &["--rate", "44100"],
        &["--encoding", "s16", "--channels", "1"],
    ] {
        let (output, lines) = run(folder.path(), args, &input);
        assert!(output.status.success(), "{args:?}: {}", said(&output));
        assert_eq!(lines, headerless, "{args:?}");
    }
    let file = folder.path().join("call.wav");
    fs::write(&file, &input).unwrap();
    let (_, lines) = run(folder.path(), &[file.to_str().unwrap()], b"");
    assert_eq!(lines, headerless);
    for (args, says) in [
        (["--rate", "16000"], "44100 Hz"),
        (["--channels", "2"], "channels 1"),
        (["--encoding", "alaw"], "16-bit PCM"),
    ] {
        let (output, lines) = run(folder.path(), &args, &input);
        assert_eq!(
            (output.status.code(), lines.len()),
            (Some(1), 0),
            "{args:?}"
        );
        assert!(said(&output).contains(says), "{args:?}: {}", said(&output));
    }
}

#[test]
fn what_is_no_recording_is_refused_by_name() {
    let folder = bundle();
    let mp3 = [&[0xff, 0xfb, 0x90, 0x64][..], &[0; 413]]
        .concat()
        .repeat(4);
    let ogg = [b"OggS\0\x02".to_vec(), vec![0; 22], b"OpusHead".to_vec()].concat();
    let text = b"emotion,path\nangry,03a01Wa.wav\nhappy,03a01Fa.wav\nsad,03a02Ta.wav\n".repeat(2);
    for (bytes, says) in [(mp3, "an MP3 file"), (ogg, "Ogg Opus"), (text, "text")] {
        let (output, lines) = run(folder.path(), &[], &bytes);
        assert_eq!((output.status.code(), lines.len()), (Some(1), 0), "{says}");
        assert!(said(&output).contains(says), "{}", said(&output));
    }
    // Standard input without a header is what it is said to be; a file must say something.
    let raw = folder.path().join("call.raw");
    fs::write(&raw, encoded(Wav::S16, stream(16_000, 4.2, &VOICES))).unwrap();
    let name = raw.to_str().unwrap();
    let (output, _) = run(folder.path(), &[name], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("--encoding"), "{}", said(&output));
    let (_, lines) = run(folder.path(), &["--encoding", "s16", name], b"");
    assert_eq!(events(&lines), TWO);
}

#[test]
fn without_speech_the_end_says_so() {
    let folder = bundle();
    let silence = encoded(Wav::S16, vec![0.0; 48_000]);
    for (input, samples) in [(silence.as_slice(), 48_000), (b"", 0)] {
        let (output, lines) = run(folder.path(), &[], input);
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(events(&lines), ["end-of-stream"]);
        let end = &lines[0];
        assert_eq!(
            (&end["samples"], &end["utterances"], &end["no_speech"]),
            (&samples.into(), &0.into(), &true.into())
        );
        let (output, again) = run(folder.path(), &["--fail-without-speech"], input);
        assert_eq!((output.status.code(), again), (Some(3), lines));
    }
    let voice = encoded(Wav::S16, stream(16_000, 4.2, &VOICES));
    let (output, _) = run(folder.path(), &["--fail-without-speech"], &voice);
    assert!(output.status.success());
}

#[test]
fn a_heart_beats_by_the_time_of_the_stream() {
    let folder = bundle();
    let input = encoded(Wav::S16, stream(16_000, 4.2, &VOICES));
    let (_, lines) = run(folder.path(), &["--heartbeat", "0.5"], &input);
    let beats: Vec<&Value> = lines.iter().filter(|l| l["event"] == "heartbeat").collect();
    let at: Vec<f64> = beats.iter().map(|b| b["at_s"].as_f64().unwrap()).collect();
    assert_eq!(at, [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0]);
    let level = |beat: &Value| beat["level_dbfs"].as_f64().unwrap();
    assert!(
        level(beats[0]) < -65.0 && level(beats[1]) > -30.0,
        "{beats:?}"
    );
    assert!(
        beats[1]["in_speech"] == true && beats[4]["utterances"] == 1,
        "{beats:?}"
    );
    assert!(
        beats.iter().all(|b| b["floor_dbfs"].as_f64() < Some(-50.0)),
        "{beats:?}"
    );
    // They change nothing else.
    let (_, without) = run(folder.path(), &[], &input);
    let rest: Vec<Value> = lines
        .iter()
        .filter(|l| l["event"] != "heartbeat")
        .cloned()
        .collect();
    assert_eq!(rest, without);
    for odd in ["0", "-1", "1e9", "often"] {
        let (output, _) = run(folder.path(), &["--heartbeat", odd], b"");
        assert_eq!(output.status.code(), Some(2), "{odd}");
    }
}

#[test]
fn another_cut_than_the_trainings_is_noted_once() {
    let folder = bundle();
    let input = encoded(Wav::S16, stream(16_000, 4.2, &VOICES));
    let (output, _) = run(folder.path(), &[], &input);
    assert_eq!(said(&output), "");
    let (output, lines) = run(folder.path(), &["--hangover-ms", "300"], &input);
    assert_eq!(events(&lines), TWO);
    let text = said(&output);
    assert_eq!(text.matches("note: ").count(), 1, "{text}");
    assert!(text.contains("other settings"), "{text}");
}
