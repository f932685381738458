//! `ser-run stream`.

use std::io;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use clap::Args;

use super::input::{STANDARD_INPUT, open_file};
use super::live::{LiveArgs, Session};
use super::opened::Opened;
use super::signal::on_signal;
use super::{CliError, warn};
use crate::audio::{
    AudioError, AudioInfo, AudioReader, AudioWarning, Channels, Explicit, RawFormat, ReadOptions,
};
use crate::hearing::DEFAULT_RATE;
use crate::pcm::RawEncoding;

/// Recognise a stream from standard input or a file.
///
/// Input that starts with the header of a WAV or FLAC recording is read as such; anything else is
/// headerless PCM, unless it is known to be another format, which is refused by name.
///
/// Exit status 0: the stream was heard to its end, speech in it or not; 1: it could not be read;
/// 3: see --fail-without-speech.
#[derive(Args)]
pub(super) struct Stream {
    #[command(flatten)]
    live: LiveArgs,
    /// Sampling rate in Hz [default: that of the header, else that of the model]
    #[arg(long, value_name = "HZ")]
    rate: Option<u32>,
    /// How a sample is written: s16, f32, alaw, ulaw, u8, s24le, s32le or f64le [default: that of
    /// the header, else s16]
    #[arg(long, value_name = "ENCODING")]
    encoding: Option<RawEncoding>,
    /// Interleaved channels [default: those of the header, else 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    channels: Option<u16>,
    /// Refuse input about which anything is odd; without it that is a warning.
    #[arg(long)]
    strict: bool,
    /// A recording of any length, or a file of headerless PCM [default: standard input]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// What [`AudioInfo::container`] says of input without a header.
const HEADERLESS: &str = "headerless PCM";

/// Blocks that may wait: reading stops while the model is busy, and the pipe fills up.
const WAITING: usize = 4;

enum Message {
    /// The input can be read.
    Opened(AudioInfo),
    /// The next samples of each chosen channel.
    Samples(Vec<Vec<f32>>),
    End(Vec<AudioWarning>),
    Failed(AudioError),
    Signal,
}

impl Stream {
    /// Prints events until the input ends or a signal comes. Whatever was heard until then is still recognised.
    pub(super) fn run(&self, out: &mut impl Write) -> Result<(), CliError> {
        let opened = Opened::new(&self.live.model)?;
        let known = self.rate.or_else(|| opened.rate());
        let raw = RawFormat {
            encoding: self.encoding.unwrap_or(RawEncoding::S16le),
            sample_rate: known.unwrap_or(DEFAULT_RATE),
            channels: self.channels.unwrap_or(1),
        };
        let messages = self.read_in_background(raw)?;
        let (mut rate, mut channels) = (raw.sample_rate, raw.channels);
        let ended = match messages.recv() {
            Ok(Message::Opened(info)) => {
                (rate, channels) = (info.sample_rate, info.channels);
                if info.container == HEADERLESS {
                    self.check_headerless(known)?;
                }
                None
            }
            Ok(Message::Signal) => Some("signal"),
            // What ends at once was a stream all the same.
            Ok(Message::Failed(AudioError::Empty { .. })) | Err(_) => Some("end of input"),
            Ok(Message::Failed(error)) => return Err(error.into()),
            // They come behind `Opened`.
            Ok(Message::Samples(_) | Message::End(_)) => Some("end of input"),
        };
        let mut session = Session::new(&opened, &self.live, rate, channels)?;
        let reason = match ended {
            Some(reason) => reason,
            None => self.hear(&messages, &mut session, out)?,
        };
        session.finish(reason, out)?;
        session.verdict()
    }

    /// Recognises what is read, and returns why there is no more.
    fn hear(
        &self,
        messages: &Receiver<Message>,
        session: &mut Session<'_>,
        out: &mut impl Write,
    ) -> Result<&'static str, CliError> {
        loop {
            match messages.recv() {
                Ok(Message::Samples(signals)) => session.push_signals(&signals, out)?,
                Ok(Message::End(warnings)) => {
                    for warning in &warnings {
                        warn(&format!("{}: {warning}", self.name()));
                    }
                    session.warned(warnings);
                    return Ok("end of input");
                }
                Ok(Message::Signal) => return Ok("signal"),
                Ok(Message::Failed(error)) => {
                    let reason = match error {
                        AudioError::NonFinite { .. } => "bad sample",
                        _ => "input failed",
                    };
                    session.finish(reason, out)?;
                    return Err(error.into());
                }
                Ok(Message::Opened(_)) => {}
                Err(_) => return Ok("end of input"),
            }
        }
    }

    /// Input without a header is what it is said to be: its rate must be known, and of a file it
    /// must be said at all.
    fn check_headerless(&self, known: Option<u32>) -> Result<(), CliError> {
        if self.path().is_some() && self.encoding.is_none() && self.rate.is_none() {
            return Err(CliError::NoHeader { file: self.name() });
        }
        known.map(|_| ()).ok_or(CliError::Rate)
    }

    /// The file, if it is none of standard input's names.
    fn path(&self) -> Option<&Path> {
        self.file.as_deref().filter(|path| *path != Path::new("-"))
    }

    fn name(&self) -> String {
        let path = self.path();
        path.map_or_else(|| STANDARD_INPUT.to_owned(), |p| p.display().to_string())
    }

    /// A thread reads, because a read that waits cannot be told of a signal.
    fn read_in_background(&self, raw: RawFormat) -> Result<Receiver<Message>, CliError> {
        let (sender, receiver) = sync_channel(WAITING);
        on_signal(sender.clone(), || Message::Signal)?;
        let given = Explicit {
            sample_rate: self.rate,
            channels: self.channels,
            encoding: self.encoding,
        };
        let (path, name) = (self.path().map(Path::to_owned), self.name());
        let (channels, strict) = (self.live.channel, self.strict);
        std::thread::spawn(move || {
            let reader = match path {
                Some(path) => {
                    open_file(&path).and_then(|file| AudioReader::detect(file, raw, given, &name))
                }
                None => AudioReader::detect(io::stdin(), raw, given, &name),
            };
            let reader = reader.and_then(|r| r.with_options(ReadOptions { strict }));
            let sent = match reader {
                Ok(reader) => send_all(reader, channels, &sender),
                Err(error) => Err(error),
            };
            if let Err(error) = sent {
                // Nobody receives any more: the program is ending already.
                let _ = sender.send(Message::Failed(error));
            }
        });
        Ok(receiver)
    }
}

/// Reads to the end, or until nobody receives any more.
fn send_all(
    mut reader: AudioReader<'_>,
    channels: Channels,
    sender: &SyncSender<Message>,
) -> Result<(), AudioError> {
    if sender.send(Message::Opened(reader.info().clone())).is_err() {
        return Ok(());
    }
    let mut signals = Vec::new();
    while reader.read_signals(channels, &mut signals)? {
        let message = Message::Samples(std::mem::take(&mut signals));
        if sender.send(message).is_err() {
            return Ok(());
        }
    }
    // As above.
    let _ = sender.send(Message::End(reader.warnings().to_vec()));
    Ok(())
}
