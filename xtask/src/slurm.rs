//! `cargo xtask slurm`: an experiment through `trainer/experiments/slurm-array.sh` on a real Slurm, as small as it gets: munged, slurmctld
//! and slurmd of this machine, with keys, configuration and spool in a folder of their own. The system's services are not touched.

use crate::shell::{Result, capture, root, run};
use crate::slurm_daemons::{self, Folder, Slurm};
use crate::suite;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long an array of jobs may take.
const JOBS: Duration = Duration::from_secs(900);

/// Cells of a task: small enough for several tasks.
const CHUNK: usize = 12;

/// Sets up Slurm, submits the script, and compares with a plain run.
pub fn run_slurm() -> Result<()> {
    let start = Instant::now();
    slurm_daemons::install()?;
    let program = program()?;
    let folder = Folder::new()?;
    let at = |name: &str| folder.path().join(name);
    let experiment = Experiment::prepare(&program, &at("data"))?;

    println!("\n== a plain run");
    let mut plain = Command::new(&program);
    plain.arg("run").args(experiment.words());
    capture(plain.arg("-o").arg(at("plain")), false)?;
    let expected = Results::read(&at("plain"))?;

    println!("\n== Slurm in {}", folder.path().display());
    let slurm = Slurm::start(folder.path())?;
    let outcome = through_slurm(&slurm, &program, &experiment, &at("array"), &expected);
    if outcome.is_err() {
        slurm.explain();
    }
    drop(slurm);
    let lines = outcome?;
    println!("\n== done in {:.0} s", start.elapsed().as_secs_f64());
    for line in lines {
        println!("{line}");
    }
    Ok(())
}

/// The array; then once more after a part of its results is gone, as after a crash.
fn through_slurm(
    slurm: &Slurm,
    program: &Path,
    experiment: &Experiment,
    out: &Path,
    expected: &Results,
) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let first = submit(slurm, program, experiment, out)?;
    Results::read(out)?.must_equal(expected)?;
    lines.push(format!(
        "{} cells in {} tasks and a job for the tables: the results of a plain run; {:.0} s",
        expected.cells.len(),
        first.tasks,
        first.seconds
    ));

    let mut lost = 0;
    for (id, before) in expected.cells.keys().zip(0..) {
        // Every other cell of the first task's worth, and the tables.
        if before < CHUNK && before % 2 == 0 {
            remove(&out.join("cells").join(format!("{id}.json")))?;
            lost += 1;
        }
    }
    remove(&out.join("results.json"))?;
    let kept = file_times(&out.join("cells"))?;
    let second = submit(slurm, program, experiment, out)?;
    Results::read(out)?.must_equal(expected)?;
    let now = file_times(&out.join("cells"))?;
    if let Some(name) = kept.iter().find(|(n, t)| now.get(*n) != Some(t)) {
        return Err(format!("{} was computed again", name.0));
    }
    lines.push(format!(
        "submitted again with {lost} cells lost: only those were computed; {:.0} s",
        second.seconds
    ));
    Ok(lines)
}

/// `ser-train`: the one that `SER_TRAIN` names, else built here.
fn program() -> Result<PathBuf> {
    if let Some(program) = std::env::var_os("SER_TRAIN") {
        return std::path::absolute(program).map_err(|e| format!("SER_TRAIN: {e}"));
    }
    run(suite::workspace("build").args(["--bin", "ser-train"]))?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(target.join("release/ser-train"))
}

/// The ready-made experiment `quick` on synthetic voices.
struct Experiment {
    features: PathBuf,
}

impl Experiment {
    fn prepare(program: &Path, folder: &Path) -> Result<Self> {
        println!("\n== synthetic voices");
        let at = |name: &str| folder.join(name);
        let ser_train = || Command::new(program);
        let voices = ["--speakers", "6", "--per-label", "4", "--seed", "1"];
        run(ser_train()
            .arg("synth-corpus")
            .arg(at("voices"))
            .args(voices))?;
        let corpus = ["corpus", "manifest"];
        run(ser_train()
            .args(corpus)
            .arg(at("voices"))
            .arg("-o")
            .arg(at("corpus.csv")))?;
        let features = at("features.parquet");
        run(ser_train()
            .arg("extract")
            .arg(at("corpus.csv"))
            .arg("-o")
            .arg(&features))?;
        Ok(Self { features })
    }

    /// The words after `plan` and `run`.
    fn words(&self) -> [&std::ffi::OsStr; 5] {
        let features = self.features.as_os_str();
        [
            "quick".as_ref(),
            "--features".as_ref(),
            features,
            "--seeds".as_ref(),
            "1".as_ref(),
        ]
    }
}

/// What a run left, without the seconds that it took.
struct Results {
    cells: BTreeMap<String, Value>,
    summary: Value,
    tables: String,
}

impl Results {
    fn read(folder: &Path) -> Result<Self> {
        let text = |file: PathBuf| {
            std::fs::read_to_string(&file)
                .map_err(|e| format!("cannot read {}: {e}", file.display()))
        };
        let json = |file: PathBuf| {
            let name = file.display().to_string();
            let value = serde_json::from_str(&text(file)?);
            value
                .map(without_seconds)
                .map_err(|e| format!("{name}: {e}"))
        };
        let mut cells = BTreeMap::new();
        for name in file_times(&folder.join("cells"))?.into_keys() {
            if let Some(id) = name.strip_suffix(".json") {
                cells.insert(id.to_owned(), json(folder.join("cells").join(&name))?);
            }
        }
        if cells.is_empty() {
            return Err(format!("{}: no cells", folder.display()));
        }
        Ok(Self {
            cells,
            summary: json(folder.join("results.json"))?,
            tables: text(folder.join("tables.md"))?,
        })
    }

    fn must_equal(&self, expected: &Self) -> Result<()> {
        for (id, cell) in &expected.cells {
            if self.cells.get(id) != Some(cell) {
                return Err(format!("cell {id} differs from that of a plain run"));
            }
        }
        if self.cells.len() != expected.cells.len() || self.summary != expected.summary {
            return Err("results.json differs from that of a plain run".to_owned());
        }
        if self.tables != expected.tables {
            return Err("tables.md differs from that of a plain run".to_owned());
        }
        Ok(())
    }
}

fn without_seconds(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(name, _)| !name.ends_with("seconds"))
            .map(|(name, v)| (name, without_seconds(v)))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_seconds).collect(),
        other => other,
    }
}

/// The files of a folder and when each was written.
fn file_times(folder: &Path) -> Result<BTreeMap<String, std::time::SystemTime>> {
    let error = |e| format!("cannot read {}: {e}", folder.display());
    let mut times = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(error)? {
        let entry = entry.map_err(error)?;
        let written = entry.metadata().and_then(|m| m.modified()).map_err(error)?;
        times.insert(entry.file_name().to_string_lossy().into_owned(), written);
    }
    Ok(times)
}

fn remove(file: &Path) -> Result<()> {
    std::fs::remove_file(file).map_err(|e| format!("cannot remove {}: {e}", file.display()))
}

/// An array and its last job that have ended well.
struct Ended {
    tasks: usize,
    seconds: f64,
}

/// Submits the script and waits until all is done.
fn submit(slurm: &Slurm, program: &Path, experiment: &Experiment, out: &Path) -> Result<Ended> {
    let start = Instant::now();
    let script = root().join("trainer/experiments/slurm-array.sh");
    let mut command = slurm.client("bash");
    command
        .arg(script)
        .arg(out)
        .args(experiment.words())
        .env("SER_TRAIN", program)
        .env("SER_CHUNK", CHUNK.to_string())
        .env(
            "SER_SBATCH",
            "--cpus-per-task=1 --mem-per-cpu=500M --time=15",
        )
        .env_remove("SER_TASKS")
        .env_remove("SER_OPTIONS");
    let said = capture(&mut command, false)?;
    print!("{said}");
    let numbers: Vec<usize> = said
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|w| w.parse().ok())
        .collect();
    let [_, tasks, array, tables] = numbers[..] else {
        return Err(format!("slurm-array.sh said something unexpected: {said}"));
    };
    slurm.wait_for_jobs(JOBS)?;
    slurm.must_have_completed(array, tasks)?;
    slurm.must_have_completed(tables, 1)?;
    Ok(Ended {
        tasks,
        seconds: start.elapsed().as_secs_f64(),
    })
}
