//! `ser-run listen` (feature `listen`).

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use clap::Args;
use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{Device, SampleFormat, SizedSample, StreamConfig};

use super::live::{LiveArgs, Opened, Session};
use super::stream::on_signal;
use super::{CliError, complain};

/// Recognise what a microphone hears.
#[derive(Args)]
pub(super) struct Listen {
    #[command(flatten)]
    live: LiveArgs,
    /// Name of the input device [default: the system's]
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
}

/// Chunks that may wait while the model is busy; later ones are dropped, and that is said.
const WAITING: usize = 1_000;

const NO_DEVICE: &str = "there is no input device that works; connect one, or feed `ser-run stream` from another program";

enum Message {
    Samples(Vec<f32>),
    Failed(String),
    Signal,
}

fn failed(error: impl std::fmt::Display) -> CliError {
    CliError::Microphone(error.to_string())
}

impl Listen {
    /// Prints events until a signal comes or the device fails.
    pub(super) fn run(&self, out: &mut impl Write) -> Result<(), CliError> {
        let opened = Opened::new(&self.live.model)?;
        let device = self.device()?;
        let supported = device
            .default_input_config()
            .map_err(|e| failed(format!("{NO_DEVICE} ({e})")))?;
        let format = supported.sample_format();
        let config = supported.config();
        let rate = supported.sample_rate();
        let mut session = Session::new(&opened, &self.live, rate, config.channels)?;
        let (sender, messages) = sync_channel(WAITING);
        on_signal(sender.clone(), || Message::Signal)?;
        let dropped = Arc::new(AtomicU64::new(0));
        let lost = Arc::clone(&dropped);
        let stream = match format {
            SampleFormat::F32 => start(&device, &config, sender, lost, |v: f32| v),
            SampleFormat::I16 => start(&device, &config, sender, lost, |v: i16| {
                f32::from(v) / 32_767.0
            }),
            SampleFormat::I32 => start(&device, &config, sender, lost, |v: i32| {
                v as f32 / 2_147_483_647.0
            }),
            SampleFormat::U8 => start(&device, &config, sender, lost, |v: u8| {
                (f32::from(v) - 128.0) / 127.0
            }),
            other => Err(failed(format!("samples of type {other} are not supported"))),
        }?;
        stream.play().map_err(failed)?;
        let result = loop {
            match messages.recv() {
                Ok(Message::Samples(samples)) => session.push(samples.into_iter(), out)?,
                Ok(Message::Failed(error)) => break Err(failed(error)),
                Ok(Message::Signal) | Err(_) => break Ok(()),
            }
            let gaps = dropped.swap(0, Ordering::Relaxed);
            if gaps > 0 {
                complain(&failed(format!(
                    "{gaps} chunks came too fast and were lost"
                )));
            }
        };
        drop(stream);
        let reason = if result.is_ok() {
            "signal"
        } else {
            "device failed"
        };
        session.finish(reason, out)?;
        result
    }

    fn device(&self) -> Result<Device, CliError> {
        let host = cpal::default_host();
        let Some(wanted) = &self.device else {
            return host.default_input_device().ok_or_else(|| failed(NO_DEVICE));
        };
        let mut known = Vec::new();
        for device in host.input_devices().map_err(failed)? {
            let name = device.description().map_err(failed)?.name().to_owned();
            if name == *wanted {
                return Ok(device);
            }
            known.push(name);
        }
        Err(failed(format!(
            "there is no input device {wanted:?}; known are: {}",
            known.join(", ")
        )))
    }
}

/// Opens the stream; its thread only copies and never waits.
fn start<T: SizedSample>(
    device: &Device,
    config: &StreamConfig,
    sender: SyncSender<Message>,
    lost: Arc<AtomicU64>,
    convert: impl Fn(T) -> f32 + Send + 'static,
) -> Result<cpal::Stream, CliError> {
    let errors = sender.clone();
    device
        .build_input_stream(
            *config,
            move |data: &[T], _: &_| {
                let samples = data.iter().map(|&v| convert(v)).collect();
                if sender.try_send(Message::Samples(samples)).is_err() {
                    lost.fetch_add(1, Ordering::Relaxed);
                }
            },
            move |error| {
                // Where even this finds no room, the stream has stopped and the next signal ends the program.
                let _ = errors.try_send(Message::Failed(error.to_string()));
            },
            None,
        )
        .map_err(failed)
}
