//! The main job through the real programs: real speech -> corpus -> features -> mixup-GAN and
//! classifier -> ONNX bundle -> an emotion, on voices the model never heard.

use ser_tests::{fail, onnx_runtime, ser_run, ser_train, succeed};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A fit that takes seconds: small nets, few epochs, the same stages as the real one.
const CONFIG: &str = r#"
seed = 3

[autoencoder]
code_size = 8
hidden = [48, 24]
pretrain_epochs = 3

[gan]
epochs = 3
discriminator_hidden = [32, 32]

[classifier]
hidden = [32]
learning_rate = 1e-3
encoder_learning_rate = 1e-3
epochs = 60
"#;

fn recordings(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder was just made") {
            let path = entry.expect("readable entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "flac") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn predictions(output: &str) -> Vec<Value> {
    output
        .lines()
        .map(|line| serde_json::from_str(line).expect("one JSON object a line"))
        .collect()
}

/// Copies the committed recordings of real speech to `folder`: those of the speakers in `held_out`, or all others.
fn speech(folder: &Path, held_out: &[&str], are_held_out: bool) {
    let all = ser_tests::root().join("tests/data/emodb");
    for entry in all.read_dir().expect("committed recordings") {
        let speaker = entry.expect("readable entry").path();
        let name = speaker.file_name().and_then(|n| n.to_str()).expect("name");
        if !speaker.is_dir() || held_out.contains(&name) != are_held_out {
            continue;
        }
        let to = folder.join(name);
        std::fs::create_dir_all(&to).expect("folder");
        for entry in speaker.read_dir().expect("a speaker's folder") {
            let file = entry.expect("readable entry").path();
            let name = file.file_name().expect("name");
            std::fs::copy(&file, to.join(name)).expect("copied");
        }
    }
}

/// The emotion in the name of a recording of EMO-DB.
fn emotion(file: &Path) -> &'static str {
    let name = file.file_name().and_then(|n| n.to_str()).expect("name");
    match name.as_bytes()[5] {
        b'W' => "angry",
        b'F' => "happy",
        b'N' => "neutral",
        _ => "sad",
    }
}

/// Makes synthetic voices in `folder`.
fn voices(folder: &Path, speakers: u32, per_label: u32, seed: u32) {
    let options = format!("--speakers {speakers} --per-label {per_label} --seed {seed}");
    succeed(
        ser_train()
            .arg("synth-corpus")
            .arg(folder)
            .args(options.split(' ')),
    );
}

/// Runs `ser-train COMMAND INPUT … -o OUTPUT`.
fn make(command: &[&str], input: &Path, options: &[&Path], output: &Path) {
    succeed(
        ser_train()
            .args(command)
            .arg(input)
            .args(options)
            .arg("-o")
            .arg(output)
            .env("SOURCE_DATE_EPOCH", "1700000000"),
    );
}

#[test]
fn from_labelled_recordings_to_an_emotion() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = |name: &str| folder.path().join(name);
    let new = ["EMO10", "EMO14"];
    speech(&at("voices"), &new, false);
    speech(&at("new-voices"), &new, true);
    make(&["corpus", "emodb"], &at("voices"), &[], &at("corpus.csv"));
    make(
        &["extract"],
        &at("corpus.csv"),
        &[],
        &at("features.parquet"),
    );
    std::fs::write(at("config.toml"), CONFIG).expect("config written");
    let config = at("config.toml");
    make(
        &["fit"],
        &at("features.parquet"),
        &[Path::new("-c"), &config],
        &at("model"),
    );

    let bundle = at("model/bundle");
    for name in [
        "bundle.json",
        "encoder.onnx",
        "classifier.onnx",
        "model-f32.ser",
        "model-int8.ser",
        "MODEL_CARD.md",
    ] {
        assert!(bundle.join(name).is_file(), "the bundle lacks {name}");
    }
    let metrics = std::fs::read_to_string(at("model/metrics.jsonl")).expect("metrics.jsonl");
    for stage in ["pretrain", "gan", "classifier"] {
        assert!(
            metrics
                .lines()
                .any(|line| line.contains(&format!("\"{stage}\""))),
            "no epoch of stage {stage} in metrics.jsonl"
        );
    }
    assert!(at("model/plots").read_dir().expect("plots folder").count() > 0);

    // Every engine gives the same logits; verify fails above 1e-4.
    let heard = recordings(&at("new-voices"));
    let engines = if onnx_runtime("ONNX Runtime in verify") {
        "tract,ort,burn"
    } else {
        "tract,burn"
    };
    let report = succeed(
        ser_train()
            .arg("verify")
            .arg(&bundle)
            .args(heard.iter().take(3))
            .args(["--engines", engines]),
    );
    assert!(report.contains("logits"), "{report}");

    // The runtime, which knows no trainer.
    let output = succeed(ser_run().args(["predict", "-m"]).arg(&bundle).args(&heard));
    let lines = predictions(&output);
    assert_eq!(lines.len(), heard.len());
    let mut right = 0;
    for (line, file) in lines.iter().zip(&heard) {
        assert_eq!(line["file"].as_str(), file.to_str());
        if line["label"].is_null() {
            assert!(line["reason"].is_string(), "{line}");
            continue;
        }
        let probabilities = line["probabilities"]
            .as_object()
            .expect("probabilities by label");
        let sum: f64 = probabilities.values().filter_map(Value::as_f64).sum();
        assert!((sum - 1.0).abs() < 1e-4, "{line}");
        let label = line["label"].as_str().expect("label");
        let best = probabilities
            .iter()
            .max_by(|a, b| a.1.as_f64().partial_cmp(&b.1.as_f64()).expect("finite"));
        assert_eq!(best.map(|(name, _)| name.as_str()), Some(label), "{line}");
        assert!(
            line["duration_s"].as_f64().is_some_and(|s| s > 0.5),
            "{line}"
        );
        right += usize::from(label == emotion(file));
    }
    // Chance is a quarter.
    assert!(
        right * 2 > heard.len(),
        "only {right} of {} new voices recognised",
        heard.len()
    );

    // One broken file among good ones: the good ones are predicted, the status says that one was not.
    std::fs::write(at("broken.wav"), b"this is a text").expect("written");
    let mut command = ser_run();
    command
        .args(["predict", "-m"])
        .arg(&bundle)
        .arg(&heard[0])
        .arg(at("broken.wav"))
        .arg(&heard[1]);
    let output = ser_tests::run(&mut command);
    assert!(!output.status.success());
    let labelled = predictions(&ser_tests::text(&output.stdout))
        .iter()
        .filter(|line| line["error"].is_null() && line["speech"].is_object())
        .count();
    assert_eq!(labelled, 2);
    assert!(ser_tests::text(&output.stderr).contains("broken.wav"));

    // One byte changed in the bundle: refused by name.
    let encoder = bundle.join("encoder.onnx");
    let mut bytes = std::fs::read(&encoder).expect("encoder.onnx");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&encoder, bytes).expect("written");
    let errors = fail(
        ser_run()
            .args(["predict", "-m"])
            .arg(&bundle)
            .arg(&heard[0]),
    );
    assert!(errors.contains("encoder.onnx"), "{errors}");
}

#[test]
fn the_same_seed_gives_the_same_bundle() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = |name: &str| folder.path().join(name);
    voices(&at("voices"), 3, 2, 5);
    make(
        &["corpus", "manifest"],
        &at("voices"),
        &[],
        &at("corpus.csv"),
    );
    make(&["extract"], &at("corpus.csv"), &[], &at("features.csv"));
    let config = at("config.toml");
    std::fs::write(&config, CONFIG.replace("epochs = 60", "epochs = 4")).expect("config written");
    let fit = || {
        make(
            &["fit"],
            &at("features.csv"),
            &[Path::new("-c"), &config],
            &at("model"),
        );
        let files = ["encoder.onnx", "classifier.onnx", "bundle.json"]
            .map(|file| std::fs::read(at("model/bundle").join(file)).expect("bundle file"));
        std::fs::remove_dir_all(at("model")).expect("removed");
        files
    };
    assert!(
        fit() == fit(),
        "two fits with one seed gave different bundles"
    );
}

#[test]
fn a_full_disk_is_reported_and_leaves_no_half_file() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = |name: &str| folder.path().join(name);
    voices(&at("voices"), 2, 2, 5);
    make(
        &["corpus", "manifest"],
        &at("voices"),
        &[],
        &at("corpus.csv"),
    );
    // A limit on the size of any file stands in for a disk that fills up: write(2) fails in the same place.
    let train = ser_train();
    let errors = fail(
        std::process::Command::new("bash")
            .arg("-c")
            .arg("trap '' XFSZ; ulimit -f 8; exec \"$0\" extract \"$1\" -o \"$2\"")
            .arg(train.get_program())
            .arg(at("corpus.csv"))
            .arg(at("features.parquet")),
    );
    assert!(errors.contains("features.parquet"), "{errors}");
    assert!(
        !at("features.parquet").exists(),
        "a half table was left under the final name"
    );
    // With room again the same command goes on and ends well.
    make(
        &["extract"],
        &at("corpus.csv"),
        &[],
        &at("features.parquet"),
    );
    assert!(at("features.parquet").is_file());
}
