//! Machines that are not this one: aarch64 and three Cortex-M under QEMU.

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

/// All machines, this computer first.
pub const MACHINES: [Machine; 5] = [
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

    /// Builds the program of the crate in `firmware-examples/NAME` for `machine`, which is told its own name in `MACHINE`.
    pub fn build(
        &self,
        machine: &Machine,
        name: &str,
        settings: &[(&str, &str)],
    ) -> Result<PathBuf> {
        let artifacts = root().join("target/embedded");
        let mut command = cargo();
        command
            .args([
                "build",
                "--quiet",
                "--release",
                "--locked",
                "--manifest-path",
            ])
            .arg(format!("firmware-examples/{name}/Cargo.toml"))
            .env("CARGO_TARGET_DIR", &artifacts)
            .env_remove("RUSTFLAGS")
            .envs(settings.iter().copied());
        let folder = match machine.kind {
            Kind::Host => String::new(),
            Kind::Linux { target, .. } => {
                command
                    .args(["--target", target])
                    .env("RUSTC", self.bin("rustc"))
                    .env(variable(target, "LINKER"), "aarch64-linux-gnu-gcc");
                target.to_owned()
            }
            Kind::Bare {
                target,
                cpu,
                family,
                ..
            } => {
                command
                    .args(["--target", target, "-Z", "build-std=core"])
                    .env("RUSTC", self.bin("rustc"))
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("RUSTFLAGS", format!("-C target-cpu={cpu} -D warnings"))
                    .env("MACHINE", family)
                    .env(variable(target, "LINKER"), &self.linker);
                target.to_owned()
            }
        };
        run(&mut command)?;
        // another machine of the same target overwrites it
        let built = artifacts.join(folder).join("release").join(name);
        let kept = artifacts.join(format!("{name}-{}", machine.name));
        fs::copy(&built, &kept).map_err(|e| format!("{}: {e}", built.display()))?;
        Ok(kept)
    }

    /// Runs a program that [`build`](Self::build) made and returns what it printed.
    pub fn run(&self, machine: &Machine, program: &Path) -> Result<String> {
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
        capture(&mut command, false)
    }
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

/// Builds and runs `features-qemu` on every machine and compares the bits of the features with this computer's.
pub fn machines(toolchain: &Toolchain) -> Result<()> {
    let mut expected: Option<Vec<Recording>> = None;
    let mut lines = vec![format!(
        "{:<12} {:>9} {:>10} {:>12} {:>14} {:>9}",
        "machine", "features", "different", "largest |Δ|", "instructions*", "stack, B"
    )];
    let mut all_equal = true;
    for machine in &MACHINES {
        let program = toolchain.build(machine, "features-qemu", &[])?;
        let printed = toolchain.run(machine, &program)?;
        let ours = recordings(&printed).map_err(|e| format!("{}: {e}", machine.name))?;
        let reference = expected.get_or_insert_with(|| ours.clone());
        let difference = compare(reference, &ours).map_err(|e| format!("{}: {e}", machine.name))?;
        all_equal &= difference.count == 0;
        lines.push(format!(
            "{:<12} {:>9} {:>10} {:>12e} {:>14} {:>9}  {}",
            machine.name,
            difference.compared,
            difference.count,
            difference.largest,
            number_before(&printed, "sh_300ms 16000", " instructions"),
            number_before(&printed, "# ", " bytes of stack"),
            machine.about
        ));
    }
    println!("{}", lines.join("\n"));
    println!("* per 10-ms frame of half-voiced speech at 16 kHz, counted by the emulator");
    if all_equal {
        println!("every machine gives the same bits");
        Ok(())
    } else {
        Err("the features depend on the machine".to_owned())
    }
}

/// Name and rate of a recording, and the bits of its features.
#[derive(Clone)]
struct Recording {
    name: String,
    bits: Vec<u32>,
}

fn recordings(printed: &str) -> Result<Vec<Recording>> {
    let mut out = Vec::new();
    for line in printed.lines().filter(|l| !l.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (Some(name), Some(bits)) = (words.get(..2), words.get(2..)) else {
            return Err(format!("unexpected line {line:?}"));
        };
        let bits: std::result::Result<Vec<u32>, _> =
            bits.iter().map(|w| u32::from_str_radix(w, 16)).collect();
        out.push(Recording {
            name: name.join(" "),
            bits: bits.map_err(|e| format!("{name:?}: {e}"))?,
        });
    }
    if out.is_empty() {
        return Err("it printed no features".to_owned());
    }
    Ok(out)
}

/// What differs between two machines.
struct Difference {
    compared: usize,
    count: usize,
    largest: f32,
}

fn compare(expected: &[Recording], ours: &[Recording]) -> Result<Difference> {
    let mut out = Difference {
        compared: 0,
        count: 0,
        largest: 0.0,
    };
    if expected.len() != ours.len() {
        return Err(format!("{} recordings, not {}", ours.len(), expected.len()));
    }
    for (a, b) in expected.iter().zip(ours) {
        if a.name != b.name || a.bits.len() != b.bits.len() || a.bits.len() != 1582 {
            return Err(format!("{}: {} features", b.name, b.bits.len()));
        }
        for (&x, &y) in a.bits.iter().zip(&b.bits) {
            out.compared += 1;
            if x != y {
                out.count += 1;
                let difference = (f32::from_bits(x) - f32::from_bits(y)).abs();
                out.largest = out.largest.max(difference);
            }
        }
    }
    Ok(out)
}

/// The number before `unit` in the first comment that holds `word`; `-` where there is none.
fn number_before(printed: &str, word: &str, unit: &str) -> String {
    printed
        .lines()
        .filter(|l| l.starts_with('#') && l.contains(word))
        .find_map(|l| l.split_once(unit)?.0.rsplit(' ').next())
        .filter(|n| *n != "0")
        .unwrap_or("-")
        .to_owned()
}
