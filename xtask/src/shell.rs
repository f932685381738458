//! Running other programs: each is echoed before it starts, and a failure names it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// What went wrong, in words for the person at the terminal.
pub type Result<T> = std::result::Result<T, String>;

/// The workspace root: the folder above `xtask/`.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// The cargo that runs this xtask.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

fn words(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let mut line = name.to_string_lossy().into_owned();
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}

/// Echoes and runs `command`; its output goes to ours. Prints how long it took.
pub fn run(command: &mut Command) -> Result<()> {
    let line = words(command);
    println!("$ {line}");
    let start = Instant::now();
    let status = command
        .status()
        .map_err(|e| format!("cannot start `{line}`: {e}"))?;
    if !status.success() {
        return Err(format!("`{line}` failed ({status})"));
    }
    println!("  ({:.1} s)", start.elapsed().as_secs_f64());
    Ok(())
}

/// Runs `command` quietly and returns what it printed to standard output.
/// `accept_failure` keeps the output of a command whose exit status is not 0.
pub fn capture(command: &mut Command, accept_failure: bool) -> Result<String> {
    let line = words(command);
    let output = command
        .stdout(Stdio::piped())
        .spawn()
        .and_then(|child| child.wait_with_output())
        .map_err(|e| format!("cannot start `{line}`: {e}"))?;
    if !output.status.success() && !accept_failure {
        return Err(format!("`{line}` failed ({})", output.status));
    }
    String::from_utf8(output.stdout)
        .map_err(|_| format!("`{line}` printed something that is not UTF-8"))
}

/// Whether `program --version` (or whichever `args`) can be run at all.
pub fn available(program: &str, args: &[&str]) -> bool {
    Command::new(program)
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
