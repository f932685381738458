//! Training through wgpu on a software Vulkan driver (lavapipe): the GPU path runs and agrees with the CPU.
#![cfg(feature = "gpu")]

mod support;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use support::{CONFIG, table};

/// Where Debian's mesa-vulkan-drivers puts lavapipe; `VK_ICD_FILENAMES` overrides it.
const LAVAPIPE: &str = "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json";

fn fit(dir: &Path, device: &str, output: &str, icd: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ser-train"))
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .env("VK_ICD_FILENAMES", icd)
        .arg("fit")
        .arg(dir.join("features.parquet"))
        .arg("-c")
        .arg(dir.join("config.toml"))
        .args(["--device", device, "-o"])
        .arg(dir.join(output))
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn workplace() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    table(3, 4, 3)
        .write(&dir.path().join("features.parquet"))
        .unwrap();
    let config = CONFIG
        .replace("hidden = [24, 12]", "hidden = [8]")
        .replace("pretrain_epochs = 6", "pretrain_epochs = 2")
        .replace("epochs = 4", "epochs = 1")
        .replace("epochs = 25", "epochs = 2\nselect = \"last\"");
    std::fs::write(dir.path().join("config.toml"), config).unwrap();
    dir
}

/// Every number of `metrics.jsonl`, line by line.
fn numbers(run: &Path) -> Vec<Vec<(String, f64)>> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    text.lines()
        .map(|line| {
            let line: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(line).unwrap();
            line.into_iter()
                .filter_map(|(k, v)| Some((k, v.as_f64()?)))
                .collect()
        })
        .collect()
}

#[test]
fn wgpu_agrees_with_the_cpu() {
    let icd = std::env::var("VK_ICD_FILENAMES").unwrap_or_else(|_| LAVAPIPE.into());
    if !Path::new(&icd).exists() {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: no Vulkan driver at {icd}; install mesa-vulkan-drivers or set VK_ICD_FILENAMES"
        );
        return;
    }
    let dir = workplace();
    let gpu = fit(dir.path(), "wgpu", "gpu", &icd);
    assert!(gpu.status.success(), "{}", stderr(&gpu));
    assert!(stderr(&gpu).contains("device: wgpu: "), "{}", stderr(&gpu));
    let cpu = fit(dir.path(), "cpu", "cpu", &icd);
    assert!(cpu.status.success(), "{}", stderr(&cpu));
    let (gpu, cpu) = (
        numbers(&dir.path().join("gpu")),
        numbers(&dir.path().join("cpu")),
    );
    assert_eq!((gpu.len(), cpu.len()), (5, 5));
    for (g, c) in gpu.iter().flatten().zip(cpu.iter().flatten()) {
        assert_eq!(g.0, c.0);
        // A row near a decision boundary may fall to the other side; losses move by rounding alone.
        let tolerance = if g.0.contains("accuracy") || g.0.contains("uar") {
            0.15
        } else {
            1e-3
        };
        assert!(
            (g.1 - c.1).abs() <= tolerance * c.1.abs().max(1.0),
            "{}: gpu {} cpu {}",
            g.0,
            g.1,
            c.1
        );
    }
    // A run begun on one device is not silently continued on another.
    let mixed = Command::new(env!("CARGO_BIN_EXE_ser-train"))
        .arg("fit")
        .arg(dir.path().join("features.parquet"))
        .arg("-c")
        .arg(dir.path().join("config.toml"))
        .args(["--device", "cpu", "--resume", "-o"])
        .arg(dir.path().join("gpu"))
        .output()
        .unwrap();
    assert_eq!(mixed.status.code(), Some(1));
    assert!(stderr(&mixed).contains("device wgpu"), "{}", stderr(&mixed));
}

#[test]
fn auto_says_why_it_takes_the_cpu_and_no_driver_is_an_error_not_a_panic() {
    let dir = workplace();
    // With every driver hidden there is no adapter. A machine with another graphics API may still have one.
    for device in ["auto", "wgpu"] {
        let output = Command::new(env!("CARGO_BIN_EXE_ser-train"))
            .env("VK_ICD_FILENAMES", "/nonexistent.json")
            .env("VK_DRIVER_FILES", "/nonexistent.json")
            .env("__EGL_VENDOR_LIBRARY_FILENAMES", "/nonexistent.json")
            .arg("fit")
            .arg(dir.path().join("features.parquet"))
            .arg("-c")
            .arg(dir.path().join("config.toml"))
            .args(["--device", device, "-o"])
            .arg(dir.path().join(device))
            .output()
            .unwrap();
        let text = stderr(&output);
        assert!(!text.contains("panicked"), "{text}");
        if device == "auto" {
            assert!(
                output.status.success() && text.contains("device: "),
                "{text}"
            );
            assert!(
                !text.contains("device: cpu") || text.contains("no GPU is used: "),
                "{text}"
            );
        } else {
            let found = output.status.success() && text.contains("device: wgpu");
            let refused =
                output.status.code() == Some(1) && text.contains("--device wgpu: no usable device");
            assert!(found || refused, "{text}");
        }
    }
}
