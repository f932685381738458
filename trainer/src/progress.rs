//! Progress on a terminal as a bar, elsewhere (logs, CI, pipes) as plain lines.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Progress of a task of known length, on standard error. May be shared between threads.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    plain: Option<Mutex<Plain>>,
    label: String,
}

#[derive(Debug)]
struct Plain {
    last: Instant,
    next_percent: u64,
    start: Instant,
}

/// Without a terminal: a line at each tenth of the way, at the end and every so often if that takes long …
const PLAIN_INTERVAL: Duration = Duration::from_secs(30);
/// … but not faster than anybody reads.
const PLAIN_PAUSE: Duration = Duration::from_secs(2);

impl Progress {
    /// A task named `label` of `total` steps.
    #[must_use]
    pub fn new(label: impl Into<String>, total: u64) -> Self {
        let label = label.into();
        if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(total);
            if let Ok(style) = ProgressStyle::with_template(
                "{prefix} {bar:30} {pos}/{len} {elapsed}<{eta} {wide_msg}",
            ) {
                bar.set_style(style);
            }
            bar.set_prefix(label.clone());
            bar.enable_steady_tick(Duration::from_millis(200));
            Self {
                bar,
                plain: None,
                label,
            }
        } else {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
            let now = Instant::now();
            let plain = Plain {
                last: now,
                next_percent: 10,
                start: now,
            };
            Self {
                bar,
                plain: Some(Mutex::new(plain)),
                label,
            }
        }
    }

    /// `steps` more are done.
    pub fn add(&self, steps: u64) {
        self.bar.inc(steps);
        let Some(plain) = &self.plain else { return };
        // A poisoned lock only means that another thread died while printing.
        let mut plain = plain
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let (done, total) = (self.bar.position(), self.bar.length().unwrap_or(0).max(1));
        let percent = done * 100 / total;
        let pause = plain.last.elapsed();
        let due = percent >= plain.next_percent && pause >= PLAIN_PAUSE;
        if due || pause >= PLAIN_INTERVAL || done == total {
            plain.last = Instant::now();
            plain.next_percent = percent / 10 * 10 + 10;
            let seconds = plain.start.elapsed().as_secs_f64();
            let message = self.bar.message();
            let gap = if message.is_empty() { "" } else { ": " };
            eprintln!(
                "{}: {done}/{total} ({percent} %, {seconds:.0} s){gap}{message}",
                self.label
            );
        }
    }

    /// A short text beside the bar (on plain lines: at the end of the next line).
    pub fn message(&self, text: impl Into<String>) {
        self.bar.set_message(text.into());
    }

    /// A line of its own that does not tear the bar.
    pub fn note(&self, line: impl AsRef<str>) {
        if self.plain.is_some() {
            eprintln!("{}", line.as_ref());
        } else {
            self.bar.println(line);
        }
    }

    /// Takes the bar off the screen. Call before printing results.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
