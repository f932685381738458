//! What the cross-crate tests share: where the programs, the reference data and outside tools are.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The workspace root.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// One of the project's programs, as built by `cargo build --release`.
///
/// # Panics
/// If it has not been built: a test that quietly ran without it would prove nothing.
pub fn program(name: &str) -> Command {
    let test = std::env::current_exe().expect("a test knows its own path");
    let path = test
        .ancestors()
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| panic!("{name} is not built: run `cargo xtask test`"));
    Command::new(path)
}

/// `ser-train`.
pub fn ser_train() -> Command {
    program("ser-train")
}

/// `ser-run`.
pub fn ser_run() -> Command {
    program("ser-run")
}

/// The team's reference folder, `../shared` beside the checkout (or `SER_SHARED`).
/// Says loudly that `what` is skipped where it is absent: on standard error itself, since cargo swallows what the print macros of a passing test say.
pub fn shared(what: &str) -> Option<PathBuf> {
    let folder =
        std::env::var_os("SER_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    if folder.join("data/manifest.csv").exists() {
        return Some(folder);
    }
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED: {what}: no reference data at {}",
        folder.display()
    );
    None
}

/// Whether ONNX Runtime can be loaded; says loudly that `what` is skipped where it cannot.
pub fn onnx_runtime(what: &str) -> bool {
    let found = std::env::var_os("ORT_DYLIB_PATH").is_some_and(|path| Path::new(&path).exists());
    if !found {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: {what}: ORT_DYLIB_PATH names no ONNX Runtime (cargo xtask test sets it)"
        );
    }
    found
}

/// Lets espeak-ng say `text` into a 22.05 kHz WAV file; `false`, said loudly, where it is not installed.
pub fn espeak(voice: &str, text: &str, to: &Path) -> bool {
    match Command::new("espeak-ng")
        .args(["-v", voice, "-w"])
        .arg(to)
        .arg(text)
        .status()
    {
        Ok(status) => {
            assert!(status.success(), "espeak-ng failed: {status}");
            true
        }
        Err(e) => {
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: espeak-ng cannot be started ({e}); cargo xtask test installs it"
            );
            false
        }
    }
}

/// Runs a command that must succeed and returns its standard output.
///
/// # Panics
/// If it cannot be started or fails; the message holds what it printed.
pub fn succeed(command: &mut Command) -> String {
    let output = run(command);
    assert!(
        output.status.success(),
        "{command:?} failed: {}\n{}\n{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// Runs a command that must fail with an ordinary exit status - no panic, no signal - and
/// returns what it printed to standard error.
///
/// # Panics
/// If it succeeds, panics or dies by a signal.
pub fn fail(command: &mut Command) -> String {
    let output = run(command);
    let errors = text(&output.stderr);
    assert!(!output.status.success(), "{command:?} should have failed");
    assert!(
        output.status.code().is_some_and(|code| code != 101) && !errors.contains("panicked at"),
        "{command:?} broke down instead of reporting an error: {}\n{errors}",
        output.status
    );
    errors
}

/// Runs a command to its end.
///
/// # Panics
/// If it cannot be started.
pub fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"))
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The bytes of a 16-bit PCM WAV file, samples interleaved.
pub fn wav(sample_rate: u32, channels: u16, samples: &[i16]) -> Vec<u8> {
    let data = 2 * samples.len() as u32;
    let mut bytes = Vec::with_capacity(44 + data as usize);
    bytes.extend(b"RIFF");
    bytes.extend((36 + data).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16u32.to_le_bytes());
    bytes.extend(1u16.to_le_bytes());
    bytes.extend(channels.to_le_bytes());
    bytes.extend(sample_rate.to_le_bytes());
    bytes.extend((sample_rate * u32::from(channels) * 2).to_le_bytes());
    bytes.extend((channels * 2).to_le_bytes());
    bytes.extend(16u16.to_le_bytes());
    bytes.extend(b"data");
    bytes.extend(data.to_le_bytes());
    for sample in samples {
        bytes.extend(sample.to_le_bytes());
    }
    bytes
}
