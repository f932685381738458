//! Machines that are not this one: compiler, emulators, and how programs are built and run there.

use crate::setup;
use crate::shell::{Result, capture, cargo, root, run};
use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A machine that programs are built for and run on.
pub struct Machine {
    /// Name on the command line and in tables.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    kind: Kind,
}

enum Kind {
    /// This computer.
    Host,
    /// Linux on another processor.
    Linux {
        target: &'static str,
        emulator: &'static str,
        libraries: &'static str,
    },
    /// No operating system.
    Bare {
        target: &'static str,
        cpu: &'static str,
        /// QEMU's name of the board.
        board: &'static str,
        /// Name of the family of boards, which the build scripts of the firmware read.
        family: &'static str,
    },
}

/// The machine called `name`.
///
/// # Errors
/// There is none.
pub fn machine(name: &str) -> Result<&'static Machine> {
    let found = MACHINES.iter().find(|m| m.name == name);
    found.ok_or_else(|| format!("no machine {name:?}"))
}

/// All machines, this computer first.
pub static MACHINES: [Machine; 5] = [
    Machine {
        name: "host",
        about: "this computer",
        kind: Kind::Host,
    },
    Machine {
        name: "aarch64",
        about: "64-bit ARM, as on a Raspberry Pi",
        kind: Kind::Linux {
            target: "aarch64-unknown-linux-gnu",
            emulator: "qemu-aarch64",
            libraries: "/usr/aarch64-linux-gnu",
        },
    },
    Machine {
        name: "cortex-m4f",
        about: "f32 in hardware, f64 in software",
        kind: Kind::Bare {
            target: "thumbv7em-none-eabihf",
            cpu: "cortex-m4",
            board: "mps2-an386",
            family: "mps2",
        },
    },
    Machine {
        name: "cortex-m7",
        about: "f32 and f64 in hardware",
        kind: Kind::Bare {
            target: "thumbv7em-none-eabihf",
            cpu: "cortex-m7",
            board: "mps2-an500",
            family: "mps2",
        },
    },
    Machine {
        name: "cortex-m55",
        about: "f32 and f64 in hardware, vectors (Helium)",
        kind: Kind::Bare {
            target: "thumbv8m.main-none-eabihf",
            cpu: "cortex-m55",
            board: "mps3-an547",
            family: "mps3",
        },
    },
];

/// Debian packages that link programs for aarch64.
const CROSS_PACKAGES: [(&str, &str); 2] = [
    ("gcc-aarch64-linux-gnu", "/usr/bin/aarch64-linux-gnu-gcc"),
    (
        "libc6-dev-arm64-cross",
        "/usr/aarch64-linux-gnu/lib/libc.so.6",
    ),
];

/// Compiler and emulators, in a folder of their own.
pub struct Toolchain {
    folder: PathBuf,
    linker: PathBuf,
}

impl Toolchain {
    /// Installs what is missing.
    pub fn install() -> Result<Self> {
        if ARCH != "x86_64" {
            return Err(format!(
                "the compiler for other machines comes as x86_64 packages from Debian; this is {ARCH}"
            ));
        }
        setup::debian_packages(&CROSS_PACKAGES)?;
        let folder = root().join(".cache/embedded");
        if !folder.join("bin/rustc").exists() {
            run(Command::new("bash")
                .arg(root().join("xtask/src/embedded.sh"))
                .arg(&folder))
            .map_err(|e| format!("{e}; Debian 12 with its security sources is needed"))?;
        }
        let rustc = || Command::new("rustc");
        let sysroot = capture(rustc().args(["--print", "sysroot"]), false)?;
        let linker =
            Path::new(sysroot.trim()).join("lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld");
        if !linker.exists() {
            return Err(format!(
                "no linker at {}: rustup's toolchains bring it",
                linker.display()
            ));
        }
        Ok(Self { folder, linker })
    }

    fn bin(&self, program: &str) -> PathBuf {
        self.folder.join("bin").join(program)
    }

    /// Builds the program NAME of the crate in `firmware-examples/NAME` for `machine`.
    pub fn build(&self, machine: &Machine, name: &str) -> Result<PathBuf> {
        let manifest = format!("firmware-examples/{name}/Cargo.toml");
        self.build_with(machine, name, &["--manifest-path", &manifest])
    }

    /// Builds `program`, which cargo finds by `arguments`, for `machine`; build scripts of firmware read the family of boards from `MACHINE`.
    pub fn build_with(
        &self,
        machine: &Machine,
        program: &str,
        arguments: &[&str],
    ) -> Result<PathBuf> {
        let artifacts = artifacts();
        let mut command = cargo_for_examples(arguments);
        let folder = match machine.kind {
            Kind::Host => "",
            Kind::Linux { target, .. } => {
                command
                    .args(["--target", target])
                    .env("RUSTC", self.bin("rustc"))
                    .env(variable(target, "LINKER"), "aarch64-linux-gnu-gcc");
                target
            }
            Kind::Bare {
                target,
                cpu,
                family,
                ..
            } => {
                self.build_std(&mut command, target, "build-std=core");
                command
                    .env("RUSTFLAGS", format!("-C target-cpu={cpu} -D warnings"))
                    .env("MACHINE", family);
                target
            }
        };
        run(&mut command)?;
        // another machine of the same target overwrites it
        let built = artifacts.join(folder).join("release").join(program);
        let kept = artifacts.join(format!("{program}-{}", machine.name));
        fs::copy(&built, &kept).map_err(|e| format!("{}: {e}", built.display()))?;
        Ok(kept)
    }

    /// Builds the library of the crate in `firmware-examples/NAME` as NAME.wasm.
    pub fn build_wasm(&self, name: &str) -> Result<PathBuf> {
        let target = "wasm32-unknown-unknown";
        let manifest = format!("firmware-examples/{name}/Cargo.toml");
        let mut command = cargo_for_examples(&["--manifest-path", &manifest]);
        self.build_std(&mut command, target, "build-std=std,panic_abort");
        run(&mut command)?;
        Ok(artifacts()
            .join(target)
            .join("release")
            .join(format!("{name}.wasm")))
    }

    /// Lets cargo build the standard library itself.
    fn build_std(&self, command: &mut Command, target: &str, what: &str) {
        command
            .args(["--target", target, "-Z", what])
            .env("RUSTC", self.bin("rustc"))
            .env("RUSTC_BOOTSTRAP", "1")
            .env(variable(target, "LINKER"), &self.linker);
    }

    /// Runs a program that [`build`](Self::build) made and returns what it printed.
    pub fn run(&self, machine: &Machine, program: &Path, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("timeout");
        command.arg("300");
        match machine.kind {
            Kind::Host => command.arg(program),
            Kind::Linux {
                emulator,
                libraries,
                ..
            } => command
                .arg(self.bin(emulator))
                .args(["-L", libraries])
                .arg(program),
            Kind::Bare { board, .. } => command
                .arg(self.bin("qemu-system-arm"))
                .args(["-machine", board, "-display", "none", "-monitor", "none"])
                .args(["-serial", "none", "-icount", "shift=6"])
                .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
                .arg(program),
        };
        command.args(arguments);
        capture(&mut command, false)
    }
}

/// Where the programs for all machines are built.
pub fn artifacts() -> PathBuf {
    root().join("target/embedded")
}

/// `cargo build` of an example, apart from the workspace's own artefacts.
pub fn cargo_for_examples(arguments: &[&str]) -> Command {
    let mut command = cargo();
    command
        .args(["build", "--quiet", "--release", "--locked"])
        .args(arguments)
        .env("CARGO_TARGET_DIR", artifacts())
        .env_remove("RUSTFLAGS");
    command
}

/// Manifests of the crates in `firmware-examples`, which the workspace does not cover.
pub fn firmware_manifests() -> Result<Vec<PathBuf>> {
    let folder = root().join("firmware-examples");
    let entries = fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut manifests: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path().join("Cargo.toml")))
        .filter(|manifest| manifest.exists())
        .collect();
    manifests.sort();
    Ok(manifests)
}

/// Cargo's variable for a setting of a target.
fn variable(target: &str, setting: &str) -> String {
    let target = target.to_uppercase().replace(['-', '.'], "_");
    format!("CARGO_TARGET_{target}_{setting}")
}

/// The number before `unit` in the first comment that holds `word`; `-` where there is none.
pub fn number_before(printed: &str, word: &str, unit: &str) -> String {
    printed
        .lines()
        .filter(|l| l.starts_with('#') && l.contains(word))
        .find_map(|l| l.split_once(unit)?.0.rsplit(' ').next())
        .filter(|n| *n != "0")
        .unwrap_or("-")
        .to_owned()
}
