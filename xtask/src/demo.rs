//! `cargo xtask demo`: the whole way, from labelled recordings to an emotion, on voices that
//! the trainer's own synthesiser makes. Nothing in it is real speech; it shows that the parts
//! fit, not how well a model does on people.

use crate::setup;
use crate::shell::{Result, capture, cargo, root, run};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

struct Programs {
    train: PathBuf,
    run: PathBuf,
    onnx_runtime: Option<PathBuf>,
}

impl Programs {
    fn train(&self) -> Command {
        self.command(&self.train)
    }

    fn run(&self) -> Command {
        self.command(&self.run)
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(root());
        if let Some(library) = &self.onnx_runtime {
            command.env("ORT_DYLIB_PATH", library);
        }
        command
    }
}

/// Runs the demonstration. Its files go to `target/demo`, anew each time.
pub fn run_demo() -> Result<()> {
    let start = Instant::now();
    println!("== build (default features)");
    run(cargo().args(["build", "--release", "--locked"]))?;
    let programs = programs();

    let folder = root().join("target/demo");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)
            .map_err(|e| format!("cannot clear {}: {e}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder)
        .map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
    let at = |name: &str| folder.join(name);

    println!("\n== synthetic voices: made by our own source-filter synthesiser, NOT real speech");
    for (name, speakers, seed) in [("voices", "8", "1"), ("new-voices", "4", "1001")] {
        run(programs.train().arg("synth-corpus").arg(at(name)).args([
            "--speakers",
            speakers,
            "--per-label",
            "6",
            "--seed",
            seed,
        ]))?;
    }

    println!("\n== corpus -> features -> model");
    run(programs
        .train()
        .args(["corpus", "manifest"])
        .arg(at("voices"))
        .arg("-o")
        .arg(at("corpus.csv")))?;
    run(programs
        .train()
        .arg("extract")
        .arg(at("corpus.csv"))
        .arg("-o")
        .arg(at("features.parquet")))?;
    run(programs
        .train()
        .arg("fit")
        .arg(at("features.parquet"))
        .args(["-c", "trainer/configs/demo.toml", "-o"])
        .arg(at("model")))?;
    let bundle = at("model/bundle");

    println!("\n== the same model on every engine");
    let new_voices = wav_files(&at("new-voices"))?;
    let mut verify = programs.train();
    verify
        .arg("verify")
        .arg(&bundle)
        .args(new_voices.iter().take(4));
    if programs.onnx_runtime.is_none() {
        verify.args(["--engines", "tract,burn"]);
    }
    run(&mut verify)?;

    let mut recalls = Vec::new();
    for (title, bundle) in [
        (
            "the model just trained, on voices it never heard",
            bundle.clone(),
        ),
        (
            "models/emodb-4class (German actors) on the same synthetic voices",
            root().join("models/emodb-4class"),
        ),
    ] {
        println!("\n== {title}");
        recalls.push(predict(&programs, &bundle, &new_voices, title)?);
    }

    println!(
        "\n== done in {:.0} s. All of this was synthetic: see models/emodb-4class/MODEL_CARD.md for real speech.",
        start.elapsed().as_secs_f64()
    );
    for line in recalls {
        println!("{line}");
    }
    println!("Look at:");
    for name in [
        "model/report.html",
        "model/plots",
        "model/bundle/MODEL_CARD.md",
    ] {
        let path = at(name);
        if !path.exists() {
            return Err(format!("{} was not made", path.display()));
        }
        println!("  {}", path.display());
    }
    Ok(())
}

fn programs() -> Programs {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let onnx_runtime = setup::onnx_runtime_only()
        .inspect_err(|e| println!("!! ONNX Runtime could not be had ({e}): verify runs without it"))
        .ok();
    Programs {
        train: target.join("release/ser-train"),
        run: target.join("release/ser-run"),
        onnx_runtime,
    }
}

fn wav_files(folder: &Path) -> Result<Vec<PathBuf>> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                walk(&path, files)?;
            } else if path.extension().is_some_and(|e| e == "wav") {
                files.push(path);
            }
        }
        Ok(())
    }
    let mut files = Vec::new();
    walk(folder, &mut files).map_err(|e| format!("cannot list {}: {e}", folder.display()))?;
    files.sort();
    Ok(files)
}

/// Predicts each file, prints the first few lines and returns the recall by label in one line.
fn predict(programs: &Programs, bundle: &Path, files: &[PathBuf], title: &str) -> Result<String> {
    let truth = manifest_labels(files)?;
    let mut command = programs.run();
    command.args(["predict", "-m"]).arg(bundle).args(files);
    println!(
        "$ ser-run predict -m {} … ({} files; the first three lines:)",
        bundle.display(),
        files.len()
    );
    let output = capture(&mut command, false)?;
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (i, line) in output.lines().enumerate() {
        if i < 3 {
            println!("{line}");
        }
        let prediction: Value = serde_json::from_str(line)
            .map_err(|e| format!("ser-run printed no JSON: {e}: {line}"))?;
        let (Some(file), Some(label)) = (prediction["file"].as_str(), prediction["label"].as_str())
        else {
            return Err(format!("a prediction without file or label: {line}"));
        };
        let name = Path::new(file)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let Some(expected) = truth.get(&name) else {
            return Err(format!(
                "a prediction for a file that was not asked for: {file}"
            ));
        };
        let entry = counts.entry(expected.clone()).or_default();
        entry.1 += 1;
        entry.0 += usize::from(label == expected);
    }
    let recalls: Vec<f64> = counts
        .values()
        .map(|(hit, of)| *hit as f64 / *of as f64)
        .collect();
    let uar = recalls.iter().sum::<f64>() / recalls.len().max(1) as f64;
    let by_label: Vec<String> = counts
        .iter()
        .map(|(label, (hit, of))| format!("{label} {hit}/{of}"))
        .collect();
    Ok(format!("UAR {uar:.3} ({}): {title}", by_label.join(", ")))
}

/// file name -> emotion, from the synthetic corpus's own manifest.
fn manifest_labels(files: &[PathBuf]) -> Result<BTreeMap<String, String>> {
    let missing =
        || "the synthetic corpus has no manifest.csv with the columns path and emotion".to_owned();
    let manifest = files
        .first()
        .and_then(|f| {
            f.ancestors()
                .map(|a| a.join("manifest.csv"))
                .find(|m| m.exists())
        })
        .ok_or_else(missing)?;
    let text =
        std::fs::read_to_string(&manifest).map_err(|e| format!("{}: {e}", manifest.display()))?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let column = |name: &str| header.iter().position(|h| *h == name).ok_or_else(missing);
    let (path, emotion) = (column("path")?, column("emotion")?);
    Ok(lines
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            let name = Path::new(fields.get(path)?)
                .file_name()?
                .to_string_lossy()
                .into_owned();
            Some((name, (*fields.get(emotion)?).to_owned()))
        })
        .collect())
}
