//! The recogniser's side of `ser-run listen`: what the callback of a sound card handed over.

use std::io::Write;
use std::iter::repeat_n;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::CliError;
use super::live::Session;
use crate::capture::{CaptureOutput, Taken};

/// What comes beside the samples.
#[derive(Debug)]
pub(super) enum Message {
    /// The device has a trouble that it gets over.
    Trouble(String),
    /// The device gives no more samples.
    Failed(String),
    /// The user ends it.
    Signal,
}

/// How long nothing is looked at where nothing came.
const PAUSE: Duration = Duration::from_millis(10);
/// Frames that are recognised at once, at most.
const FRAMES: usize = 1_024;
/// Seconds of audio between two reports of losses.
const REPORT_EVERY_S: u64 = 10;

/// Samples that were lost, until somebody is told.
#[derive(Debug, Default)]
struct Losses {
    dropped: usize,
    silenced: usize,
    /// Frames heard at which the next report is due.
    due: u64,
}

impl Losses {
    fn any(&self) -> bool {
        self.dropped + self.silenced > 0
    }

    /// Says what was lost, if anything was.
    fn report(&mut self, channels: usize, rate: u32, say: &mut impl FnMut(&str)) {
        let ms = |samples: usize| (samples / channels) as f64 * 1e3 / f64::from(rate);
        if self.dropped > 0 {
            say(&format!(
                "{:.0} ms of audio came faster than they were recognised and were lost; \
                 silence takes their place",
                ms(self.dropped)
            ));
        }
        if self.silenced > 0 {
            say(&format!(
                "{:.0} ms of audio held a sample that is not a finite number; \
                 silence takes their place",
                ms(self.silenced)
            ));
        }
        (self.dropped, self.silenced) = (0, 0);
    }
}

/// Why it ends.
enum End {
    Signal,
    Failed(String),
}

/// What comes from the device, on its way to the recogniser.
struct Ears<'a, F> {
    capture: CaptureOutput,
    messages: &'a Receiver<Message>,
    channels: usize,
    rate: u32,
    block: Vec<f32>,
    frames: u64,
    losses: Losses,
    /// What the device's last trouble was, and until when it is not said again.
    trouble: (String, u64),
    say: F,
}

impl<F: FnMut(&str)> Ears<'_, F> {
    /// Recognises what came next and returns how many samples that were; 0 where nothing came.
    fn hear(&mut self, session: &mut Session<'_>, out: &mut impl Write) -> Result<usize, CliError> {
        let heard = match self.capture.take(&mut self.block) {
            Taken::Samples(n) => {
                session.push(self.block[..n].iter().copied(), out)?;
                n
            }
            Taken::Gap(missing) => {
                self.losses.dropped += missing;
                let mut left = missing;
                while left > 0 {
                    let n = left.min(self.block.len());
                    session.push(repeat_n(0.0, n), out)?;
                    left -= n;
                }
                missing
            }
            Taken::Nothing => 0,
        };
        self.frames += (heard / self.channels) as u64;
        self.losses.silenced += self.capture.silenced();
        if self.losses.any() && self.frames >= self.losses.due {
            self.report();
            self.losses.due = self.frames + REPORT_EVERY_S * u64::from(self.rate);
        }
        Ok(heard)
    }

    fn report(&mut self) {
        self.losses.report(self.channels, self.rate, &mut self.say);
    }

    fn end(&mut self, wait: Duration) -> Option<End> {
        match self.messages.recv_timeout(wait) {
            Ok(Message::Trouble(what)) => {
                if what != self.trouble.0 || self.frames >= self.trouble.1 {
                    (self.say)(&format!("microphone: {what}"));
                    self.trouble = (what, self.frames + REPORT_EVERY_S * u64::from(self.rate));
                }
                None
            }
            Ok(Message::Failed(error)) => Some(End::Failed(error)),
            Ok(Message::Signal) | Err(RecvTimeoutError::Disconnected) => Some(End::Signal),
            Err(RecvTimeoutError::Timeout) => None,
        }
    }
}

/// Recognises what comes until a signal comes or the device fails. Samples that are missing are
/// silence, so that positions stay those of the device, and `say` says so.
///
/// # Errors
/// [`CliError::Microphone`] where the device fails; what was heard until then is recognised.
pub(super) fn hear(
    capture: CaptureOutput,
    messages: &Receiver<Message>,
    session: &mut Session<'_>,
    (channels, rate): (u16, u32),
    out: &mut impl Write,
    say: impl FnMut(&str),
) -> Result<(), CliError> {
    let channels = usize::from(channels);
    let mut ears = Ears {
        capture,
        messages,
        channels,
        rate,
        block: vec![0.0; FRAMES * channels],
        frames: 0,
        losses: Losses::default(),
        trouble: (String::new(), 0),
        say,
    };
    let end = loop {
        let heard = ears.hear(session, out)?;
        let wait = if heard > 0 { Duration::ZERO } else { PAUSE };
        if let Some(end) = ears.end(wait) {
            break end;
        }
    };
    // What was handed over before the end is heard, and no more: more may come all the time.
    let mut waiting = ears.capture.waiting();
    while waiting > 0 {
        match ears.hear(session, out)? {
            0 => break,
            heard => waiting = waiting.saturating_sub(heard),
        }
    }
    ears.report();
    match end {
        End::Signal => session.finish("signal", out),
        End::Failed(error) => {
            session.finish("device failed", out)?;
            Err(CliError::Microphone(error))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::mpsc::sync_channel;

    use clap::Parser;
    use serde_json::Value;

    use super::*;
    use crate::capture::capture;
    use crate::cli::live::LiveArgs;
    use crate::cli::opened::Opened;

    #[derive(Parser)]
    struct Args {
        #[command(flatten)]
        live: LiveArgs,
    }

    const RATE: u32 = 16_000;

    fn repository(path: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
    }

    /// Something like speech: syllables of changing vowels, with a pitch that moves.
    fn speech(seconds: f32) -> impl Iterator<Item = f32> {
        let mut phase = 0.0_f32;
        (0..(seconds * RATE as f32) as usize).map(move |i| {
            let t = i as f32 / RATE as f32;
            let pitch = 140.0 + 30.0 * (5.3 * t).sin() - 15.0 * t;
            phase = (phase + pitch / RATE as f32).fract();
            let loudness = 0.02 + 0.08 * (4.0 * std::f32::consts::PI * t).sin().abs();
            let formants = [
                500.0 + 250.0 * (11.0 * t).sin(),
                1_500.0 - 500.0 * (11.0 * t).sin(),
            ];
            let harmonic = |k: u8| {
                let near =
                    |formant: f32| 1.0 / (1.0 + ((pitch * f32::from(k) - formant) / 120.0).powi(2));
                let level: f32 = formants.into_iter().map(near).sum();
                (level + 0.02) * (std::f32::consts::TAU * phase * f32::from(k)).sin()
            };
            loudness * (1..25).map(harmonic).sum::<f32>()
        })
    }

    /// Speech twice, two seconds of silence around each: on the left channel of two.
    fn calls() -> Vec<f32> {
        let silence = || repeat_n(0.0, 2 * RATE as usize);
        let left = silence().chain(speech(2.0)).chain(silence());
        let left = left.chain(speech(1.5)).chain(silence());
        left.flat_map(|v| [v, 0.0]).collect()
    }

    /// What is printed and said where `samples` and then `last` come, and so many may wait.
    fn heard(
        samples: &[f32],
        capacity: usize,
        last: impl IntoIterator<Item = Message>,
    ) -> (Result<(), CliError>, Vec<Value>, Vec<String>) {
        let model = repository("models/emodb-4class");
        let args = Args::parse_from([
            "test".as_ref(),
            "--engine".as_ref(),
            "static".as_ref(),
            "-m".as_ref(),
            model.as_os_str(),
        ]);
        let opened = Opened::new(&args.live.model).unwrap();
        let mut session = Session::new(&opened, &args.live, RATE, 2).unwrap();
        let (mut input, output) = capture(capacity);
        for buffer in samples.chunks(960) {
            input.push(buffer, |v| v);
        }
        let (sender, messages) = sync_channel(4);
        last.into_iter().for_each(|m| sender.send(m).unwrap());
        let (mut out, mut said) = (Vec::new(), Vec::new());
        let say = |what: &str| said.push(what.to_owned());
        let done = hear(output, &messages, &mut session, (2, RATE), &mut out, say);
        let lines = String::from_utf8(out).unwrap();
        let lines = lines.lines().map(|l| serde_json::from_str(l).unwrap());
        (done, lines.collect(), said)
    }

    fn utterances(lines: &[Value]) -> Vec<&Value> {
        lines.iter().filter(|l| l["event"] == "utterance").collect()
    }

    #[test]
    fn a_bad_buffer_is_a_gap_and_what_comes_later_is_heard() {
        let mut samples = calls();
        let (done, whole, said) = heard(&samples, samples.len(), [Message::Signal]);
        assert!(done.is_ok() && said.is_empty(), "{said:?}");
        assert_eq!(utterances(&whole).len(), 2, "{whole:?}");
        // In the first pause.
        samples[30_000] = f32::NAN;
        let (done, holed, said) = heard(&samples, samples.len(), [Message::Signal]);
        assert!(done.is_ok());
        assert_eq!(holed, whole, "silence is heard in the place of silence");
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("30 ms of audio held"), "{said:?}");
        // In the first utterance, which is heard all the same.
        samples[80_000] = f32::INFINITY;
        let (done, holed, said) = heard(&samples, samples.len(), [Message::Signal]);
        assert!(done.is_ok());
        assert_eq!(utterances(&holed).last(), utterances(&whole).last());
        assert!(said[0].starts_with("60 ms of audio held"), "{said:?}");
    }

    #[test]
    fn what_finds_no_room_is_silence_and_positions_stay() {
        let samples = calls();
        // Room up to the second pause.
        let (done, lines, said) = heard(&samples, samples.len() / 2, [Message::Signal]);
        assert!(done.is_ok());
        assert_eq!(utterances(&lines).len(), 1, "{lines:?}");
        let last = lines.last().unwrap();
        assert_eq!(last["event"], "end-of-stream");
        assert_eq!(last["samples"], samples.len() / 2);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("were lost"), "{said:?}");
    }

    #[test]
    fn a_device_that_fails_is_an_error_behind_what_was_heard() {
        let samples = calls();
        let failed = Message::Failed("unplugged".into());
        let (done, lines, _) = heard(&samples, samples.len(), [failed]);
        assert_eq!(done.unwrap_err().to_string(), "microphone: unplugged");
        assert_eq!(utterances(&lines).len(), 2);
        assert_eq!(lines.last().unwrap()["reason"], "device failed");
    }

    #[test]
    fn a_trouble_that_passes_is_told_and_ends_nothing() {
        let samples = calls();
        let trouble = Message::Trouble("samples came late".into());
        let (done, lines, said) = heard(&samples, samples.len(), [trouble, Message::Signal]);
        assert!(done.is_ok());
        assert_eq!(said, ["microphone: samples came late"]);
        assert_eq!(utterances(&lines).len(), 2);
    }
}
