//! How a program that runs for days is ended.

use std::process;
use std::sync::mpsc::SyncSender;
use std::thread;

use super::CliError;

/// Exit status after a second signal: that of a program that SIGINT ended.
const SECOND_SIGNAL: i32 = 130;

/// Sends a message on the first SIGINT, SIGTERM or SIGHUP, behind what waits in the queue. A second
/// one ends the program at once, whatever it waits for: a reader of its output that reads no more
/// must not keep it alive.
pub(super) fn on_signal<T: Send + 'static>(
    sender: SyncSender<T>,
    message: impl Fn() -> T + Send + 'static,
) -> Result<(), CliError> {
    let mut told = false;
    ctrlc::set_handler(move || {
        if told {
            process::exit(SECOND_SIGNAL);
        }
        told = true;
        let (sender, message) = (sender.clone(), message());
        // Where the queue is full this waits, and this thread must hear the next signal.
        let waiting = thread::Builder::new().spawn(move || {
            // Nobody receives any more: the program is ending already.
            let _ = sender.send(message);
        });
        if waiting.is_err() {
            process::exit(SECOND_SIGNAL);
        }
    })
    .map_err(|source| CliError::Signals {
        message: source.to_string(),
    })
}
