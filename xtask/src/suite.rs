//! `cargo xtask test`: everything that CI runs, in the order in which a fault is cheapest to find.

use crate::embedded::{self, Toolchain};
use crate::setup;
use crate::shell::{self, Result, cargo};
use crate::{firmware, machines};
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

/// One set of features for every step, so that the heavy dependencies are compiled once:
/// the defaults and the GPU path, which the tests drive on a software Vulkan driver.
const FEATURES: [&str; 3] = ["--workspace", "--features", "ser-trainer/gpu"];

pub fn workspace(subcommand: &str) -> Command {
    let mut command = cargo();
    command
        .args([subcommand, "--release", "--locked"])
        .args(FEATURES);
    command
}

/// Runs the whole suite.
pub fn run() -> Result<()> {
    let start = Instant::now();
    shell::run(cargo().args(["fmt", "--all", "--check"]))?;
    for manifest in embedded::firmware_manifests()? {
        shell::run(
            cargo()
                .args(["fmt", "--check", "--manifest-path"])
                .arg(manifest),
        )?;
    }
    let tools = setup::test_tools()?;

    // The small crates must compile in each layer of their features.
    for (package, features) in [
        ("ser-features", ""),
        ("ser-features", "alloc"),
        ("ser-features", "std"),
        ("ser-runtime", ""),
        ("ser-runtime", "std"),
    ] {
        check_alone(package, features)?;
    }

    shell::run(workspace("clippy").args(["--all-targets", "--", "-D", "warnings"]))?;
    // Builds the programs too, which the end-to-end tests run. No separate `cargo build` before it: that would choose other
    // features for the shared dependencies and compile them twice.
    let mut tests = workspace("test");
    tools.apply(&mut tests);
    shell::run(&mut tests)?;
    shell::run(
        workspace("doc")
            .arg("--no-deps")
            .env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    match Toolchain::install() {
        Ok(toolchain) => {
            machines::run(&toolchain)?;
            firmware::run(&toolchain, false)?;
        }
        Err(reason) => println!("SKIPPED: nothing ran on emulated machines: {reason}"),
    }
    println!(
        "everything passed in {:.0} s",
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

fn check_alone(package: &str, features: &str) -> Result<()> {
    shell::run(cargo().args([
        "check",
        "--quiet",
        "--release",
        "--locked",
        "--lib",
        "--package",
        package,
        "--no-default-features",
        "--features",
        features,
    ]))
}

/// `cargo xtask parity`: the features crate's own comparison with openSMILE, over the team's reference data.
pub fn parity(arguments: &[String]) -> Result<()> {
    let mut command = cargo();
    command.args([
        "run",
        "--quiet",
        "--release",
        "--locked",
        "--package",
        "ser-features",
        "--features",
        "std",
        "--example",
        "parity",
        "--",
    ]);
    if !arguments.iter().any(|a| a == "--shared") {
        let shared = std::env::var_os("SER_SHARED")
            .map_or_else(|| shell::root().join("../shared"), PathBuf::from);
        if !shared.exists() {
            return Err(format!(
                "no reference data at {}: name the folder with --shared or SER_SHARED",
                shared.display()
            ));
        }
        command.arg("--shared").arg(shared);
    }
    shell::run(command.args(arguments))
}
