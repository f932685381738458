//! `ser-run listen` (feature `listen`).

use std::io::Write;
use std::sync::mpsc::{SyncSender, sync_channel};

use clap::Args;
use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{Device, ErrorKind, SampleFormat, SizedSample, StreamConfig};

use super::hear::{Message, hear};
use super::live::{LiveArgs, Session};
use super::opened::Opened;
use super::signal::on_signal;
use super::{CliError, warn};
use crate::capture::{CaptureInput, capture};

/// Recognise what a microphone hears.
#[derive(Args)]
pub(super) struct Listen {
    #[command(flatten)]
    live: LiveArgs,
    /// Name of the input device [default: the system's]
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
}

/// Seconds of audio that may wait while the model is busy; what comes then is lost, and that is
/// said.
const WAITING_S: usize = 10;
/// Messages that may wait.
const MESSAGES: usize = 16;

const NO_DEVICE: &str = "there is no input device that works; connect one, or feed `ser-run stream` from another program";

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
        let (sender, messages) = sync_channel(MESSAGES);
        on_signal(sender.clone(), || Message::Signal)?;
        let channels = config.channels;
        let (input, output) = capture(WAITING_S * rate as usize * usize::from(channels));
        let stream = match format {
            SampleFormat::F32 => start(&device, &config, sender, input, |v: f32| v),
            SampleFormat::I16 => start(&device, &config, sender, input, |v: i16| {
                f32::from(v) / 32_767.0
            }),
            SampleFormat::I32 => start(&device, &config, sender, input, |v: i32| {
                v as f32 / 2_147_483_647.0
            }),
            SampleFormat::U8 => start(&device, &config, sender, input, |v: u8| {
                (f32::from(v) - 128.0) / 127.0
            }),
            other => Err(failed(format!("samples of type {other} are not supported"))),
        }?;
        stream.play().map_err(failed)?;
        hear(output, &messages, &mut session, (channels, rate), out, warn)
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

/// Opens the stream; its thread only copies: it never waits and allocates nothing.
fn start<T: SizedSample>(
    device: &Device,
    config: &StreamConfig,
    sender: SyncSender<Message>,
    mut input: CaptureInput,
    convert: impl Fn(T) -> f32 + Send + 'static,
) -> Result<cpal::Stream, CliError> {
    device
        .build_input_stream(
            *config,
            move |data: &[T], _: &_| input.push(data, &convert),
            move |error| {
                let message = match error.kind() {
                    // The stream goes on after these.
                    ErrorKind::Xrun | ErrorKind::RealtimeDenied | ErrorKind::DeviceChanged => {
                        Message::Trouble(error.to_string())
                    }
                    _ => Message::Failed(error.to_string()),
                };
                // Where even this finds no room, the stream has stopped and the next signal ends
                // the program.
                let _ = sender.try_send(message);
            },
            None,
        )
        .map_err(failed)
}
