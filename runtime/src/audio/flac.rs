//! FLAC, through symphonia.

use std::io::ErrorKind;

use symphonia::core::codecs::CodecParameters;
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::FormatReader;
use symphonia::core::io::MediaSourceStream;
use symphonia::default::formats::FlacReader;

use super::mix::Mixer;
use super::{AudioError, Pcm, check_channels, check_rate, decoder_failed, finished, make_decoder};

/// Decodes from `fLaC` on; the sample count and the MD5 sum of the header must fit where they are given.
pub(super) fn decode(file: &str, stream: MediaSourceStream<'_>) -> Result<Pcm, AudioError> {
    let malformed = |reason: String| AudioError::Malformed {
        file: file.to_owned(),
        reason,
    };
    let mut reader =
        FlacReader::try_new(stream, Default::default()).map_err(|error| match error {
            SymphoniaError::IoError(e) if e.kind() == ErrorKind::UnexpectedEof => {
                AudioError::TruncatedHeader {
                    file: file.to_owned(),
                }
            }
            other => decoder_failed(file, other),
        })?;
    let track = reader.tracks().first();
    let declared = track
        .and_then(|t| t.num_frames)
        .filter(|&frames| frames > 0);
    let params = match track.and_then(|t| t.codec_params.as_ref()) {
        Some(CodecParameters::Audio(params)) => params.clone(),
        _ => return Err(malformed("no audio track".to_owned())),
    };
    let rate = params.sample_rate.unwrap_or(0);
    check_rate(file, rate)?;
    check_channels(file, params.channels.as_ref().map_or(0, |c| c.count()))?;
    let mut decoder = make_decoder(file, &params)?;
    let mut mixer = Mixer::new(&params, rate);
    loop {
        let packet = match reader.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            // What is missing is told by the count below.
            Err(SymphoniaError::IoError(e)) if e.kind() == ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(decoder_failed(file, error)),
        };
        match decoder.decode(&packet) {
            Ok(buffer) => mixer.push(file, &buffer)?,
            Err(SymphoniaError::IoError(e)) if e.kind() == ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(decoder_failed(file, error)),
        }
    }
    let decoded = mixer.samples.len() as u64;
    match declared {
        Some(declared) if decoded < declared => Err(AudioError::Truncated {
            file: file.to_owned(),
            decoded,
            declared,
        }),
        Some(declared) if decoded > declared => Err(malformed(format!(
            "its header declares {declared} samples per channel, {decoded} are there"
        ))),
        _ if decoder.finalize().verify_ok == Some(false) => Err(malformed(
            "the samples do not fit the MD5 sum in its header".to_owned(),
        )),
        _ => finished(file, rate, mixer.channels, mixer.samples),
    }
}
