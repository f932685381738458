//! `ser-run stream`.

use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, sync_channel};

use clap::Args;

use super::CliError;
use super::live::{LiveArgs, Opened, Session};
use super::signal::on_signal;
use crate::pcm::RawEncoding;

/// Recognise a live stream from standard input.
#[derive(Args)]
pub(super) struct Stream {
    #[command(flatten)]
    live: LiveArgs,
    /// Sampling rate in Hz [default: that of the model's training recordings]
    #[arg(long, value_name = "HZ")]
    rate: Option<u32>,
    /// How a sample is written: s16, f32, alaw, ulaw, u8, s24le, s32le or f64le.
    #[arg(long, value_name = "ENCODING", default_value = "s16")]
    encoding: RawEncoding,
    /// Interleaved channels.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    channels: u16,
}

/// Bytes that are read at once, at most.
const CHUNK: usize = 1 << 16;
/// Chunks that may wait: reading stops while the model is busy, and the pipe fills up.
const WAITING: usize = 4;

enum Message {
    Bytes(Vec<u8>),
    End,
    Failed(io::Error),
    Signal,
}

impl Stream {
    /// Prints events until the input ends or a signal comes. Whatever was heard until then is still recognised.
    pub(super) fn run(&self, out: &mut impl Write) -> Result<(), CliError> {
        let opened = Opened::new(&self.live.model)?;
        let trained_at = opened.manifest.sample_rates.first().copied();
        let rate = self.rate.or(trained_at).ok_or(CliError::Rate)?;
        let mut session = Session::new(&opened, &self.live, rate, self.channels)?;
        let messages = read_in_background()?;
        let sample = self.encoding.bytes();
        let frame = sample * usize::from(self.channels);
        let mut pending = Vec::new();
        let reason = loop {
            match messages.recv().unwrap_or(Message::End) {
                Message::Bytes(bytes) => pending.extend_from_slice(&bytes),
                Message::End => break "end of input",
                Message::Signal => break "signal",
                Message::Failed(source) => {
                    session.finish("input failed", out)?;
                    return Err(CliError::Input(source));
                }
            }
            let whole = pending.len() / frame * frame;
            let values = pending[..whole].chunks_exact(sample);
            let pushed = session.push(values.filter_map(|v| self.encoding.decode(v)), out);
            if let Err(error @ CliError::Live { .. }) = pushed {
                session.finish("bad sample", out)?;
                return Err(error);
            }
            pushed?;
            pending.drain(..whole);
        };
        session.finish(reason, out)?;
        if !pending.is_empty() && reason == "end of input" {
            return Err(CliError::PartFrame {
                rest: pending.len(),
                frame,
            });
        }
        Ok(())
    }
}

/// A thread reads, because a read that waits cannot be told of a signal.
fn read_in_background() -> Result<Receiver<Message>, CliError> {
    let (sender, receiver) = sync_channel(WAITING);
    on_signal(sender.clone(), || Message::Signal)?;
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        let mut buffer = vec![0; CHUNK];
        loop {
            let message = match input.read(&mut buffer) {
                Ok(0) => Message::End,
                Ok(n) => Message::Bytes(buffer[..n].to_vec()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => Message::Failed(e),
            };
            let last = !matches!(message, Message::Bytes(_));
            if sender.send(message).is_err() || last {
                return;
            }
        }
    });
    Ok(receiver)
}
