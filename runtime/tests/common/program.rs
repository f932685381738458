//! `ser-run` as a user starts it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use ser_features::FEATURE_COUNT;
use serde_json::Value;

use super::tiny::Tiny;

/// A folder with a tiny bundle.
pub struct Fixture {
    pub folder: tempfile::TempDir,
    pub bundle: PathBuf,
    pub id: String,
}

impl Fixture {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bundle = folder.path().join("model");
        let id = Tiny::new(FEATURE_COUNT, 31).write(&bundle).id;
        Self { folder, bundle, id }
    }

    /// Writes a file, and the folders that it lies in.
    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    pub fn model(&self) -> &str {
        path(&self.bundle)
    }
}

pub fn run(args: &[&str], input: &[u8]) -> Output {
    run_in(
        Command::new(env!("CARGO_BIN_EXE_ser-run")).args(args),
        input,
    )
}

pub fn run_in(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that ends early closes the pipe.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().unwrap()
}

/// What a command printed that must succeed.
pub fn succeed(args: &[&str], input: &[u8]) -> Vec<u8> {
    let output = run(args, input);
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    output.stdout
}

/// The objects that were printed, one a line.
pub fn objects(stdout: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}

pub fn lines(output: &Output) -> Vec<Value> {
    objects(&output.stdout)
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
