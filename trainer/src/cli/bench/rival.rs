//! PyTorch in a process of its own, asked for one round at a time so that rounds take turns.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;
use serde_json::{Value, json};

/// What a user without PyTorch is told to do.
pub(super) const INSTALL: &str = "install it (`python3 -m venv torch && torch/bin/pip install torch`) and give `--python torch/bin/python`";

const PROGRAM: &str = include_str!("rival.py");

/// The process.
pub(super) struct Rival {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// What it says of itself.
    pub(super) versions: Value,
}

/// Seconds that a round took.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Round {
    /// By the clock.
    pub(super) wall: f64,
    /// Of all processors together; `None` where the system does not say.
    pub(super) cpu: Option<f64>,
}

impl Rival {
    /// Starts PyTorch; the error is in words for the user.
    pub(super) fn start(python: &Path, threads: usize, gpu: bool) -> Result<Self, String> {
        let mut child = Command::new(python)
            .args(["-c", PROGRAM])
            .env("OMP_NUM_THREADS", threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("{e}; {INSTALL}"))?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the process has no pipes".into());
        };
        let mut rival = Self {
            child,
            requests,
            answers: BufReader::new(answers),
            versions: Value::Null,
        };
        rival.versions = rival
            .ask(&json!({"threads": threads, "gpu": gpu}))
            .map_err(|e| {
                if e.contains("import torch") {
                    format!("{e}; {INSTALL}")
                } else {
                    e
                }
            })?;
        Ok(rival)
    }

    /// Makes the networks that the next rounds train.
    pub(super) fn make(&mut self, network: &Value) -> Result<(), String> {
        let mut request = network.clone();
        request["do"] = json!("make");
        self.ask(&request).map(drop)
    }

    /// Trains for `steps` steps.
    pub(super) fn round(&mut self, steps: usize, fused: bool) -> Result<Round, String> {
        let answer = self.ask(&json!({"do": "run", "steps": steps, "fused": fused}))?;
        serde_json::from_value(answer).map_err(|e| e.to_string())
    }

    fn ask(&mut self, request: &Value) -> Result<Value, String> {
        // A process that ended for want of PyTorch has still said why.
        let sent = writeln!(self.requests, "{request}").and_then(|()| self.requests.flush());
        let mut line = String::new();
        let read = self.answers.read_line(&mut line);
        match (sent, read) {
            (_, Ok(0)) => Err("the process ended without an answer".into()),
            (_, Err(e)) => Err(e.to_string()),
            (_, Ok(_)) => {
                let answer: Value = serde_json::from_str(&line)
                    .map_err(|_| format!("it answered {:?}", line.trim()))?;
                match answer.get("error").and_then(Value::as_str) {
                    Some(error) => Err(error.into()),
                    None => Ok(answer),
                }
            }
        }
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        // Nothing is left to be done about a process that is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
