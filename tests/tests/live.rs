//! Live streams and adaptation with the programs: what espeak-ng says, and real speech where it is at hand.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use ser_runtime::audio::read_audio;
use ser_tests::{espeak, root, ser_run, ser_train, shared, succeed};
use serde_json::Value;

/// Recordings with a second of near silence before each, as 16-bit samples, and where each lies.
fn call(recordings: &[PathBuf]) -> (Vec<u8>, u32, Vec<(u64, u64)>) {
    let (mut bytes, mut rate, mut places) = (Vec::new(), 0, Vec::new());
    for path in recordings {
        let pcm = read_audio(path).expect("a recording");
        rate = pcm.sample_rate;
        for i in 0..rate {
            bytes.extend((i16::from(i % 7 == 0)).to_le_bytes());
        }
        let start = bytes.len() as u64 / 2;
        for sample in pcm.samples {
            bytes.extend(((sample * 32_767.0) as i16).to_le_bytes());
        }
        places.push((start, bytes.len() as u64 / 2));
    }
    (bytes, rate, places)
}

fn stream(input: &[u8], arguments: &[&str]) -> Vec<Value> {
    let mut child = ser_run()
        .args(["stream", "-m"])
        .arg(root().join("models/emodb-4class"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("ser-run starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input).expect("it reads all");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("one JSON object a line"))
        .filter(|line: &Value| line["event"] == "utterance")
        .collect()
}

fn number(line: &Value, field: &str) -> u64 {
    line[field].as_u64().expect("a position")
}

#[test]
fn what_espeak_says_in_a_stream_is_cut_out() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let texts = [
        "Der Lappen liegt auf dem Eisschrank.",
        "In sieben Stunden wird es soweit sein.",
    ];
    let files: Vec<PathBuf> = (0..texts.len())
        .map(|i| folder.path().join(format!("{i}.wav")))
        .collect();
    for (text, file) in texts.iter().zip(&files) {
        if !espeak("de", text, file) {
            return;
        }
    }
    let (input, rate, places) = call(&files);
    let lines = stream(&input, &["--rate", &rate.to_string(), "--adapt"]);
    assert_eq!(lines.len(), 2, "{lines:?}");
    let margin = u64::from(rate) / 4;
    for (line, (start, end)) in lines.iter().zip(places) {
        assert!(number(line, "start") + margin >= start && number(line, "end") <= end + margin);
        assert_eq!(line["quality"]["unvoiced"], false, "{line}");
    }
}

#[test]
fn real_speech_in_a_stream_is_cut_out() {
    let Some(shared) = shared("real speech in a stream") else {
        return;
    };
    let mut files = flac_files(&shared.join("data/ravdess/RAV01"));
    files.truncate(10);
    assert_eq!(files.len(), 10);
    let (input, _, places) = call(&files);
    let lines = stream(&input, &[]);
    assert_eq!(lines.len(), files.len(), "{lines:?}");
    for (line, (start, end)) in lines.iter().zip(places) {
        assert!(
            number(line, "start") >= start && number(line, "end") <= end,
            "{line}"
        );
        assert!(line["quality"]["unvoiced"] == false && line["quality"]["silent"] == false);
    }
}

fn flac_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a speaker's folder");
    let mut files: Vec<PathBuf> = entries.map(|e| e.expect("an entry").path()).collect();
    files.sort();
    files
}

/// The goal of adaptive normalisation, on a corpus of another language: as good as statistics of the whole corpus after 15 to 30 utterances
/// of a speaker, and over all utterances better than the fixed normaliser.
#[test]
fn adaptation_reaches_whole_corpus_statistics() {
    let Some(shared) = shared("adaptation on RAVDESS") else {
        return;
    };
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = |name: &str| folder.path().join(name);
    let labels = "angry,happy,neutral,sad";
    succeed(
        ser_train()
            .args(["corpus", "ravdess"])
            .arg(shared.join("data/ravdess"))
            .arg("-o")
            .arg(at("r.csv"))
            .args(["--labels", labels]),
    );
    succeed(
        ser_train()
            .arg("extract")
            .arg(at("r.csv"))
            .arg("-o")
            .arg(at("r.parquet")),
    );
    succeed(
        ser_train()
            .arg("adapt")
            .arg(at("r.parquet"))
            .arg("-m")
            .arg(root().join("models/emodb-4class"))
            .arg("-o")
            .arg(at("out")),
    );
    let svg = std::fs::read_to_string(at("out/adapt.svg")).expect("a plot");
    assert!(svg.contains("utterances heard"));
    let text = std::fs::read(at("out/adapt.json")).expect("results");
    let result: Value = serde_json::from_slice(&text).expect("JSON");
    let uar = |value: &Value| value.as_f64().expect("a UAR");
    let (fixed, whole) = (uar(&result["fixed"]), uar(&result["whole_table"]));
    for run in result["runs"].as_array().expect("runs") {
        // Emotions in long blocks, the table's order, may fall below the fixed normaliser.
        assert!(
            run["order"] != "random" || uar(&run["adaptive"]) > fixed,
            "{run}"
        );
        if run["unit"] == "speaker" && run["order"] == "random" {
            assert!(uar(&run["after_15_to_30"]) >= whole, "{run}");
        }
    }
}
