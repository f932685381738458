//! `ser-train run` and `plan` as programs: killed runs go on, failed cells stop nobody else, and a folder belongs to
//! one run.

mod support;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::table;

const EXPERIMENT: &str = r#"
name = "small"
title = "A small experiment"
seeds = 2
protocols = ["strict", "speaker"]
[split]
by = "speaker"
folds = 3
[training]
normaliser = { kind = "z-score", clip = 5.0 }
autoencoder = { code_size = 3, hidden = [200, 100], pretrain_epochs = 6, learning_rate = 1e-3, batch_size = 8 }
gan = { epochs = 3, discriminator_hidden = [100] }
classifier = { hidden = [60], learning_rate = 2e-3, epochs = 10, batch_size = 8 }
validation = { by = "speaker", fraction = 0.3, patience = 5 }
[[method]]
id = "mixup-gan"
title = "mixup-GAN"
synthesis = "mixup-gan"
mixup = true
settings = ["real", "synthetic", "real+synthetic"]
paper = { real = [60.51, 0.57] }
[[method]]
id = "pca"
title = "PCA & SVM"
reduction = "pca"
classifier = "svm-rbf"
"#;

fn workplace(experiment: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    table(6, 4, 3)
        .write(&dir.path().join("features.parquet"))
        .unwrap();
    std::fs::write(dir.path().join("small.toml"), experiment).unwrap();
    dir
}

fn ser_train(dir: &Path, verb: &str) -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_ser-train"));
    c.current_dir(dir)
        .args([verb, "small.toml", "--features", "features.parquet"]);
    c
}

fn output(command: &mut Command, status: i32) -> Output {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{command:?}\n{text}");
    assert!(!text.contains("panicked"), "{text}");
    output
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// `results.json` without times.
fn results(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("results.json")).unwrap();
    let mut value: Value = serde_json::from_str(&text).unwrap();
    value["summary"]["cell_seconds"] = Value::Null;
    for cell in value["cells"].as_array_mut().unwrap() {
        cell["seconds"] = Value::Null;
        cell["losses"] = Value::Null;
    }
    value
}

fn cells(folder: &Path) -> usize {
    match std::fs::read_dir(folder.join("cells")) {
        Ok(entries) => entries
            .filter(|e| {
                let name = e.as_ref().unwrap().file_name();
                name.to_string_lossy().ends_with(".json")
                    && !name.to_string_lossy().starts_with('.')
            })
            .count(),
        Err(_) => 0,
    }
}

#[test]
fn a_run_killed_again_and_again_ends_like_one_that_was_not() {
    let dir = workplace(EXPERIMENT);
    let path = dir.path();
    output(ser_train(path, "run").args(["-o", "whole"]), 0);
    let all = cells(&path.join("whole"));
    assert_eq!(all, 2 * 2 * 3 * 4);
    let mut kills = 0;
    for attempt in 1..200 {
        let mut child = ser_train(path, "run")
            .args(["-o", "killed", "--resume", "--jobs", "2"])
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(40 + 25 * attempt));
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    assert!(kills > 0, "the run was too quick to be killed");
    assert_eq!(results(&path.join("killed")), results(&path.join("whole")));
    for name in ["tables.md", "tables.tex", "experiment.toml", "report.html"] {
        let whole = std::fs::read_to_string(path.join("whole").join(name)).unwrap();
        assert!(!whole.is_empty(), "{name}");
    }
    let text = std::fs::read_to_string(path.join("whole/tables.md")).unwrap();
    assert!(
        text.contains("## Strict")
            && text.contains("## Speaker")
            && text.contains("(paper: 60.51 ± 0.57)"),
        "{text}"
    );

    // What is done is kept: nothing is computed twice.
    let cell = path.join("whole/cells");
    let first = std::fs::read_dir(&cell)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let before = std::fs::metadata(&first).unwrap().modified().unwrap();
    output(ser_train(path, "run").args(["-o", "whole", "--resume"]), 0);
    assert_eq!(
        std::fs::metadata(&first).unwrap().modified().unwrap(),
        before
    );
    // A folder belongs to one run, and --resume has to be meant.
    let words = stderr(&output(ser_train(path, "run").args(["-o", "whole"]), 1));
    assert!(words.contains("--resume"), "{words}");
    let words = stderr(&output(
        ser_train(path, "run").args(["-o", "whole", "--resume", "--seeds", "3"]),
        1,
    ));
    assert!(words.contains("another description"), "{words}");
    // A cell that was cut (by a crash of the file system, say) is named.
    std::fs::write(&first, "{\"id\":").unwrap();
    let words = stderr(&output(
        ser_train(path, "run").args(["-o", "whole", "--resume"]),
        1,
    ));
    assert!(
        words.contains(&first.file_name().unwrap().to_string_lossy()[..]),
        "{words}"
    );
}

#[test]
fn a_failed_cell_is_reported_and_the_others_go_on() {
    let broken = EXPERIMENT.to_owned()
        + "[[method]]\nid = \"broken\"\ntitle = \"broken\"\ntraining = { classifier = { learning_rate = 1e30 } }\n";
    let dir = workplace(&broken);
    let path = dir.path();
    let words = stderr(&output(ser_train(path, "run").args(["-o", "out"]), 1));
    assert!(
        words.contains("12 of 60 cells failed")
            && words.contains("broken")
            && words.contains("diverged"),
        "{words}"
    );
    assert_eq!(cells(&path.join("out")), 48);
    let failed: Vec<_> = std::fs::read_dir(path.join("out/failed"))
        .unwrap()
        .collect();
    assert_eq!(failed.len(), 12);
    assert!(
        !path.join("out/results.json").exists(),
        "no tables with holes"
    );
}

#[test]
fn the_plan_numbers_the_cells_that_run_computes_one_by_one() {
    let dir = workplace(EXPERIMENT);
    let path = dir.path();
    let plan = output(&mut ser_train(path, "plan"), 0);
    let lines: Vec<String> = String::from_utf8(plan.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(lines.len(), 48);
    let count = output(ser_train(path, "plan").arg("--count"), 0);
    assert_eq!(String::from_utf8(count.stdout).unwrap().trim(), "48");
    output(ser_train(path, "run").args(["-o", "out", "--cell", "7"]), 0);
    let id = lines[7].rsplit('\t').next().unwrap();
    assert!(path.join("out/cells").join(format!("{id}.json")).is_file());
    assert_eq!(cells(&path.join("out")), 1);
    output(
        ser_train(path, "run").args(["-o", "out", "--cell", "6-8", "--cell", "0"]),
        0,
    );
    assert_eq!(cells(&path.join("out")), 4);
    let words = stderr(&output(
        ser_train(path, "run").args(["-o", "out", "--cell", "48"]),
        1,
    ));
    assert!(words.contains("0 to 47"), "{words}");
    output(
        ser_train(path, "run").args(["-o", "out", "--cell", "8-6"]),
        2,
    );
}

#[test]
fn bad_requests_are_refused_in_words() {
    let dir = workplace(EXPERIMENT);
    let path = dir.path();
    let mut nothing = Command::new(env!("CARGO_BIN_EXE_ser-train"));
    nothing
        .current_dir(path)
        .args(["run", "small.toml", "-o", "out"]);
    let words = stderr(&output(&mut nothing, 1));
    assert!(words.contains("--features"), "{words}");
    let words = stderr(&output(
        ser_train(path, "run").args(["-o", "out", "--test", "features.parquet"]),
        1,
    ));
    assert!(words.contains("transfer"), "{words}");
    let words = stderr(&output(
        ser_train(path, "run").args(["-o", "out", "--source", "none.parquet"]),
        1,
    ));
    assert!(words.contains("none.parquet"), "{words}");
    let words = stderr(&output(
        ser_train(path, "plan").args(["--protocols", "loose"]),
        1,
    ));
    assert!(words.contains("strict, transductive, speaker"), "{words}");
    let words = stderr(&output(
        ser_train(path, "plan").args(["--methods", "mixup-gan,pcs"]),
        1,
    ));
    assert!(
        words.contains("\"pcs\"") && words.contains("mixup-gan, pca"),
        "{words}"
    );
    let one = output(
        ser_train(path, "plan").args(["--methods", "mixup-gan", "--folds", "2", "--count"]),
        0,
    );
    assert_eq!(
        String::from_utf8(one.stdout).unwrap().trim(),
        "24",
        "three settings, two folds, two seeds, two protocols"
    );
    let ready = output(
        Command::new(env!("CARGO_BIN_EXE_ser-train")).args(["plan", "table1", "--print"]),
        0,
    );
    assert!(
        String::from_utf8(ready.stdout)
            .unwrap()
            .contains("mixup-gan")
    );
}
