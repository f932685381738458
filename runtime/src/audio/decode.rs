//! Container and codec: symphonia's WAV and FLAC readers, without its probing, which would find a header in the middle of anything.

use std::io::ErrorKind;

use symphonia::core::audio::sample::{i24, u24};
use symphonia::core::audio::{Audio, AudioBuffer, GenericAudioBufferRef};
use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::well_known::CODEC_ID_FLAC;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::FormatReader;
use symphonia::core::io::{MediaSourceStream, ReadBytes, SeekBuffered};
use symphonia::default::formats::{FlacReader, WavReader};

use super::{AudioError, MAX_DURATION_S, Pcm, check_rate, finished};

/// A data chunk of this size or more was written by a program that did not know the length yet (`espeak-ng --stdout`, `sox`, `arecord`).
const STREAMED_WAV_BYTES: u64 = 0x7fff_0000;
/// Most channels that are mixed; more than that is a damaged header rather than a recording.
const MAX_CHANNELS: usize = 64;

/// Decodes one recording from its start.
pub(super) fn decode(file: &str, mut stream: MediaSourceStream<'_>) -> Result<Pcm, AudioError> {
    let head = sniff(file, &mut stream)?;
    let is_flac = head.starts_with(b"fLaC");
    let mut reader: Box<dyn FormatReader + '_> = if is_flac {
        Box::new(FlacReader::try_new(stream, Default::default()).map_err(|e| opening(file, e))?)
    } else if head.len() == 12 && head.starts_with(b"RIFF") && &head[8..] == b"WAVE" {
        Box::new(WavReader::try_new(stream, Default::default()).map_err(|e| opening(file, e))?)
    } else if head.is_empty() {
        return Err(AudioError::Empty {
            file: file.to_owned(),
        });
    } else if head.starts_with(b"RIFF") && head.len() < 12 {
        return Err(AudioError::TruncatedHeader {
            file: file.to_owned(),
        });
    } else if [b"RF64", b"BW64", b"RIFX"]
        .iter()
        .any(|magic| head.starts_with(*magic))
    {
        let kind = String::from_utf8_lossy(&head[..4]).into_owned();
        return Err(AudioError::Unsupported {
            file: file.to_owned(),
            reason: format!("WAV variant {kind} is not supported"),
        });
    } else {
        return Err(AudioError::NotAudio {
            file: file.to_owned(),
            found: format!("\"{}\"", head.escape_ascii()),
        });
    };

    let track = reader.tracks().first();
    let declared = track.and_then(|t| t.num_frames);
    let params = match track.and_then(|t| t.codec_params.as_ref()) {
        Some(CodecParameters::Audio(params)) => params.clone(),
        _ => {
            return Err(AudioError::Malformed {
                file: file.to_owned(),
                reason: "no audio track".to_owned(),
            });
        }
    };
    let rate = params.sample_rate.unwrap_or(0);
    check_rate(file, rate)?;
    let channels = params.channels.as_ref().map_or(0, |c| c.count());
    if channels > MAX_CHANNELS {
        return Err(AudioError::Unsupported {
            file: file.to_owned(),
            reason: format!("{channels} channels, more than {MAX_CHANNELS}"),
        });
    }
    let mut decoder = make_decoder(file, &params)?;
    let mut mixer = Mixer::new(&params, rate);

    loop {
        let packet = match reader.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            // What is missing is told by the count below.
            Err(SymphoniaError::IoError(e)) if e.kind() == ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(failed(file, error)),
        };
        match decoder.decode(&packet) {
            Ok(buffer) => mixer.push(file, &buffer)?,
            Err(SymphoniaError::IoError(e)) if e.kind() == ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(failed(file, error)),
        }
    }

    let decoded = mixer.samples.len() as u64;
    if let Some(declared) = declared.filter(|&frames| frames > 0 && !streamed(&params, frames))
        && decoded != declared
    {
        return Err(if decoded < declared {
            AudioError::Truncated {
                file: file.to_owned(),
                decoded,
                declared,
            }
        } else {
            let reason =
                format!("its header declares {declared} samples per channel, {decoded} are there");
            AudioError::Malformed {
                file: file.to_owned(),
                reason,
            }
        });
    }
    if decoder.finalize().verify_ok == Some(false) {
        return Err(AudioError::Malformed {
            file: file.to_owned(),
            reason: "the samples do not fit the MD5 sum in its header".to_owned(),
        });
    }
    finished(file, rate, mixer.channels, mixer.samples)
}

/// A decoder for `params` that verifies checksums where the format has them.
pub(super) fn make_decoder(
    file: &str,
    params: &AudioCodecParameters,
) -> Result<Box<dyn AudioDecoder>, AudioError> {
    symphonia::default::get_codecs()
        .make_audio_decoder(params, &AudioDecoderOptions::default().verify(true))
        .map_err(|e| failed(file, e))
}

/// Mixes decoded packets to one channel.
pub(super) struct Mixer {
    /// Channels of the source; 0 until the first packet.
    pub(super) channels: u16,
    /// What was decoded so far.
    pub(super) samples: Vec<f32>,
    limit: usize,
    /// Bits by which the decoder shifted its integers up: FLAC fills 32 bits whatever its sample width.
    shift: u32,
}

impl Mixer {
    /// A mixer for a track at `rate` Hz.
    pub(super) fn new(params: &AudioCodecParameters, rate: u32) -> Self {
        let shift = if params.codec == CODEC_ID_FLAC {
            32 - params.bits_per_sample.unwrap_or(32).clamp(1, 32)
        } else {
            0
        };
        Self {
            channels: 0,
            samples: Vec::new(),
            limit: (MAX_DURATION_S * rate) as usize,
            shift,
        }
    }

    /// Appends one packet.
    pub(super) fn push(
        &mut self,
        file: &str,
        buffer: &GenericAudioBufferRef<'_>,
    ) -> Result<(), AudioError> {
        if self.samples.len() + buffer.frames() > self.limit {
            return Err(AudioError::TooLong {
                file: file.to_owned(),
            });
        }
        self.channels = u16::try_from(buffer.num_planes()).unwrap_or(u16::MAX);
        let shift = self.shift;
        match buffer {
            GenericAudioBufferRef::U8(b) => self.mix(b, 127.0, |v: u8| f32::from(v) - 128.0),
            GenericAudioBufferRef::U16(b) => {
                self.mix(b, 32_767.0, |v: u16| f32::from(v) - 32_768.0)
            }
            GenericAudioBufferRef::U24(b) => self.mix(b, 8_388_607.0, |v: u24| {
                (v.inner() as i32 - 0x80_0000) as f32
            }),
            GenericAudioBufferRef::U32(b) => self.mix(b, 2_147_483_647.0, |v: u32| {
                (i64::from(v) - 0x8000_0000) as f32
            }),
            GenericAudioBufferRef::S8(b) => self.mix(b, 127.0, |v: i8| f32::from(v)),
            GenericAudioBufferRef::S16(b) => self.mix(b, 32_767.0, |v: i16| f32::from(v)),
            GenericAudioBufferRef::S24(b) => self.mix(b, 8_388_607.0, |v: i24| v.inner() as f32),
            GenericAudioBufferRef::S32(b) => {
                let full_scale = ((1_i64 << (31 - shift.min(30))) - 1) as f32;
                self.mix(b, full_scale, |v: i32| (v >> shift) as f32);
            }
            GenericAudioBufferRef::F32(b) => self.mix(b, 1.0, |v: f32| v),
            GenericAudioBufferRef::F64(b) => self.mix(b, 1.0, |v: f64| v as f32),
        }
        Ok(())
    }

    /// Mean over the channels in channel order, then division by `full_scale`, all in `f32` (specification, section 2).
    fn mix<S: symphonia::core::audio::sample::Sample>(
        &mut self,
        buffer: &AudioBuffer<S>,
        full_scale: f32,
        value: impl Fn(S) -> f32,
    ) {
        let start = self.samples.len();
        self.samples.resize(start + buffer.frames(), 0.0);
        let (out, planes) = (&mut self.samples[start..], buffer.num_planes());
        for plane in (0..planes).filter_map(|index| buffer.plane(index)) {
            for (sum, &sample) in out.iter_mut().zip(plane) {
                *sum += value(sample);
            }
        }
        let count = planes as f32;
        for sum in out {
            *sum = *sum / count / full_scale;
        }
    }
}

/// The first bytes, 12 at most, left unread.
fn sniff(file: &str, stream: &mut MediaSourceStream<'_>) -> Result<Vec<u8>, AudioError> {
    let mut head = Vec::with_capacity(12);
    while head.len() < 12 {
        match stream.read_byte() {
            Ok(byte) => head.push(byte),
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => break,
            Err(source) => {
                return Err(AudioError::Io {
                    file: file.to_owned(),
                    source,
                });
            }
        }
    }
    stream.seek_buffered_rev(head.len());
    Ok(head)
}

/// Whether a WAV's length field is a placeholder.
fn streamed(params: &AudioCodecParameters, frames: u64) -> bool {
    let channels = params.channels.as_ref().map_or(1, |c| c.count() as u64);
    let bytes = u64::from(params.bits_per_coded_sample.unwrap_or(8)).div_ceil(8);
    params.codec != CODEC_ID_FLAC && frames.saturating_mul(channels * bytes) >= STREAMED_WAV_BYTES
}

/// An error while the header is read: the end of the file there means that there is no sample at all.
fn opening(file: &str, error: SymphoniaError) -> AudioError {
    match error {
        SymphoniaError::IoError(e) if e.kind() == ErrorKind::UnexpectedEof => {
            AudioError::TruncatedHeader {
                file: file.to_owned(),
            }
        }
        other => failed(file, other),
    }
}

fn failed(file: &str, error: SymphoniaError) -> AudioError {
    let file = file.to_owned();
    match error {
        SymphoniaError::IoError(source) => AudioError::Io { file, source },
        SymphoniaError::Unsupported(reason) => AudioError::Unsupported {
            file,
            reason: reason.to_owned(),
        },
        other => AudioError::Malformed {
            file,
            reason: other.to_string(),
        },
    }
}
