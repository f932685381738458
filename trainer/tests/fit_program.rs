//! `ser-train fit` and `evaluate` as programs: killed at any moment they go on to the same end, and what they refuse they
//! refuse in words.

mod support;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use support::{CONFIG, table};

fn ser_train() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ser-train"));
    command.env("SOURCE_DATE_EPOCH", "1700000000");
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", stderr(&output));
}

/// Standard error of a command that must end with status 1, without a panic.
fn fail(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{command:?}\n{text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

/// A folder with a table and a configuration whose training takes some seconds: many epochs, a checkpoint after each.
fn workplace(epochs: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    table(5, 6, 3)
        .write(&dir.path().join("features.parquet"))
        .unwrap();
    let config = CONFIG
        .replace("hidden = [24, 12]", "hidden = [300, 200]")
        .replace("pretrain_epochs = 6", "pretrain_epochs = 8")
        .replace("epochs = 25", epochs)
        + "[card]\nname = \"the model\"\n";
    std::fs::write(dir.path().join("config.toml"), config).unwrap();
    dir
}

fn command(verb: &str, dir: &Path, output: &str) -> Command {
    let mut c = ser_train();
    c.arg(verb)
        .arg(dir.join("features.parquet"))
        .arg("-c")
        .arg(dir.join("config.toml"))
        .args(["--device", "cpu", "-o"])
        .arg(dir.join(output));
    c
}

/// Starts `command`, kills it with SIGKILL after `life`; true where it had ended well by itself.
fn killed(command: &mut Command, life: Duration) -> bool {
    let mut child = command
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let born = Instant::now();
    while born.elapsed() < life {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{command:?} ended with {status}");
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    false
}

/// Kills again and again, each life a little longer, until the program ends by itself; at least `least` times.
fn kill_until_done(mut command: impl FnMut() -> Command, whole: Duration, least: u32) {
    let mut kills = 0;
    let mut life = whole / 12;
    while !killed(&mut command(), life) {
        kills += 1;
        life = life.mul_f64(1.15);
        assert!(
            kills < 60,
            "killed {kills} times, and it still has not ended"
        );
    }
    assert!(kills >= least, "only killed {kills} times");
}

#[test]
fn fit_killed_at_any_moment_ends_with_the_same_files() {
    let dir = workplace("epochs = 25\nrows = \"real+synthetic\"");
    let at = |name: &str| dir.path().join(name);
    let start = Instant::now();
    succeed(&mut command("fit", dir.path(), "whole"));
    let whole = start.elapsed();
    let resume = || {
        let mut c = command("fit", dir.path(), "parts");
        c.arg("--resume");
        c
    };
    kill_until_done(resume, whole, 2);
    for file in [
        "metrics.jsonl",
        "checkpoint",
        "config.toml",
        "bundle/encoder.onnx",
        "bundle/classifier.onnx",
    ] {
        let read = |run: &str| std::fs::read(at(run).join(file)).unwrap();
        assert!(
            read("whole") == read("parts"),
            "{file} differs from that of the uninterrupted run"
        );
    }
    // Nothing half written is left lying about; a kill may orphan a temporary file, but under no final name.
    // The card names the command that made it, and the manifest the card's hash: all else is the same.
    let manifest = |run: &str| {
        let text = std::fs::read(at(run).join("bundle/bundle.json")).unwrap();
        let mut manifest: serde_json::Value = serde_json::from_slice(&text).unwrap();
        manifest["files"]["MODEL_CARD.md"].take();
        manifest
    };
    assert_eq!(manifest("whole"), manifest("parts"));
    let names = |run: &str| {
        let entries = std::fs::read_dir(at(run)).unwrap();
        let names = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|n| !n.starts_with('.')).collect();
        names.sort();
        names
    };
    assert_eq!(names("whole"), names("parts"));
}

#[test]
fn evaluate_killed_at_any_moment_ends_with_the_same_scores() {
    let dir = workplace("epochs = 6");
    let start = Instant::now();
    let evaluate = |output: &str, jobs: &str| {
        let mut c = command("evaluate", dir.path(), output);
        c.args(["--seeds", "2", "--jobs", jobs]);
        c
    };
    succeed(&mut evaluate("whole.json", "2"));
    let whole = start.elapsed();
    kill_until_done(|| evaluate("parts.json", "1"), whole, 2);
    let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    assert!(read("whole.json") == read("parts.json"));
    assert!(!dir.path().join("parts.json.partial").exists());

    // Finished folds of another configuration are not mixed in.
    let mut child = evaluate("other.json", "1")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let partial = dir.path().join("other.json.partial");
    let folds = || std::fs::read_to_string(&partial).map_or(0, |t| t.lines().count());
    while folds() < 2 {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before a fold was seen"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let path = dir.path().join("config.toml");
    let changed = std::fs::read_to_string(&path)
        .unwrap()
        .replace("\nepochs = 6", "\nepochs = 7");
    std::fs::write(&path, changed).unwrap();
    let e = fail(&mut evaluate("other.json", "1"));
    assert!(
        e.contains("other.json.partial") && e.contains("classifier.epochs = 6 (now 7)"),
        "{e}"
    );
}

#[test]
fn ctrl_c_stops_after_the_epoch_with_a_checkpoint_to_go_on_from() {
    let dir = workplace("epochs = 400\nselect = \"last\"");
    let mut child = command("fit", dir.path(), "run")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let metrics = dir.path().join("run/metrics.jsonl");
    while !std::fs::read_to_string(&metrics).is_ok_and(|t| t.contains("classifier")) {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before it could be interrupted"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    succeed(Command::new("kill").args(["-INT", &child.id().to_string()]));
    let output = child.wait_with_output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("--resume"), "{text}");
    assert!(dir.path().join("run/checkpoint").is_file() && !dir.path().join("run/bundle").exists());
    let e = fail(&mut command("fit", dir.path(), "run"));
    assert!(e.contains("has not ended"), "{e}");
}

#[test]
fn the_printed_configuration_is_one_and_mistakes_in_one_are_named() {
    let printed = ser_train()
        .args(["fit", "--print-config"])
        .output()
        .unwrap();
    assert!(printed.status.success());
    let text = String::from_utf8(printed.stdout).unwrap();
    ser_trainer::config::Config::from_toml(&text, "printed").unwrap();
    assert!(
        text.lines().filter(|l| l.starts_with('#')).count() > 40,
        "keys are explained"
    );

    let dir = workplace("epochs = 1");
    std::fs::write(
        dir.path().join("config.toml"),
        "[classifier]\nlearning_rat = 1e-3\n",
    )
    .unwrap();
    for verb in ["fit", "evaluate"] {
        let e = fail(&mut command(verb, dir.path(), "out"));
        assert!(
            e.contains("config.toml")
                && e.contains("`classifier.learning_rat`")
                && e.contains("`classifier.learning_rate`"),
            "{e}"
        );
    }
    std::fs::write(dir.path().join("config.toml"), "seed = 1\nseed = 2\n").unwrap();
    assert!(fail(&mut command("fit", dir.path(), "out")).contains("line 2"));
    let e = fail(
        ser_train()
            .args(["fit", "no-such.parquet", "-o"])
            .arg(dir.path().join("out")),
    );
    assert!(e.contains("no-such.parquet"), "{e}");
    assert!(
        !dir.path().join("out").exists(),
        "a refused command leaves nothing behind"
    );
}

#[test]
fn bad_tables_are_refused_by_the_program() {
    let dir = workplace("epochs = 1");
    table(1, 4, 1)
        .write(&dir.path().join("features.parquet"))
        .unwrap();
    let e = fail(&mut command("fit", dir.path(), "out"));
    assert!(
        e.contains("one speaker") && e.contains("made/s0") && e.contains("validation.by"),
        "{e}"
    );
    let e = fail(&mut command("evaluate", dir.path(), "out.json"));
    assert!(e.contains("one speaker"), "{e}");
    let mut once = table(3, 3, 1);
    once.meta[0].emotion = "bored".into();
    once.write(&dir.path().join("features.parquet")).unwrap();
    let e = fail(&mut command("fit", dir.path(), "out"));
    assert!(
        e.contains("'bored' occurs once (row 1, s0/angry0.wav)"),
        "{e}"
    );
}

#[test]
#[cfg(not(feature = "cuda"))]
fn a_device_that_is_not_compiled_in_names_its_feature() {
    let dir = workplace("epochs = 1");
    let mut c = ser_train();
    c.arg("fit")
        .arg(dir.path().join("features.parquet"))
        .args(["--device", "cuda", "-o"])
        .arg(dir.path().join("out"));
    let e = fail(&mut c);
    assert!(e.contains("ser-trainer/cuda"), "{e}");
}

#[test]
#[cfg(unix)]
fn a_disk_that_fills_up_is_reported_and_the_run_goes_on_once_there_is_room() {
    let dir = workplace("epochs = 3");
    let c = command("fit", dir.path(), "run");
    // A limit on the size of any file stands in for a full disk: write(2) fails in the same place.
    let mut limited = Command::new("bash");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\""])
        .arg(c.get_program())
        .args(c.get_args());
    let e = fail(&mut limited);
    assert!(e.contains("checkpoint"), "{e}");
    assert!(
        !dir.path().join("run/checkpoint").exists(),
        "half a checkpoint stands under the final name"
    );
    succeed(command("fit", dir.path(), "run").arg("--resume"));
}
