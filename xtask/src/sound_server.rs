//! A sound card for programs on a machine that has none: a PulseAudio of its own, whose microphone
//! hears what is played.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::browser::{Running, start};
use crate::shell::Result;

/// Debian's package and the program that it brings.
pub const PULSEAUDIO: (&str, &str) = ("pulseaudio", "/usr/bin/pulseaudio");

/// A sound server that ends with the value.
pub struct SoundServer {
    folder: PathBuf,
    _process: Running,
}

impl SoundServer {
    /// Starts it, with its socket in `folder`.
    pub fn start(folder: &Path) -> Result<Self> {
        let wrong = |e: std::io::Error| format!("{}: {e}", folder.display());
        fs::create_dir_all(folder).map_err(wrong)?;
        // It refuses a folder that others can read.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(wrong)?;
        let mut command = Command::new(PULSEAUDIO.1);
        command.args([
            "-n",
            "--daemonize=no",
            "--exit-idle-time=-1",
            "--use-pid-file=no",
        ]);
        command.args([
            "-L",
            "module-null-sink",
            "-L",
            "module-native-protocol-unix",
        ]);
        set(&mut command, folder);
        let process = start(&mut command)?;
        let socket = folder.join("pulse/native");
        for _ in 0..100 {
            if socket.exists() {
                return Ok(Self {
                    folder: folder.to_owned(),
                    _process: process,
                });
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(format!("pulseaudio made no {}", socket.display()))
    }

    /// Lets a program use it.
    pub fn apply<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        set(command, &self.folder)
    }

    /// Plays a WAV file, which takes as long as it is; its microphone hears it.
    pub fn play(&self, file: &Path) -> Result<()> {
        let mut command = Command::new("paplay");
        let status = self.apply(command.arg(file)).status();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("paplay {}: {status}", file.display())),
            Err(e) => Err(format!("cannot start paplay: {e}")),
        }
    }
}

fn set<'c>(command: &'c mut Command, folder: &Path) -> &'c mut Command {
    command
        .env("XDG_RUNTIME_DIR", folder)
        .env("PULSE_RUNTIME_PATH", folder.join("pulse"))
        .env("HOME", folder)
}
