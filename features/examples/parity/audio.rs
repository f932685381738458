//! Recordings as mono samples on the scale of the specification: integers over 2^(bits−1) − 1, mean over channels.

use std::error::Error;
use std::fs::File;
use std::path::Path;

use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::formats::{FormatOptions, TrackType, probe::Hint};
use symphonia::core::io::MediaSourceStream;

/// Sampling rate and samples of a 16-bit FLAC file.
pub fn read_flac(path: &Path) -> Result<(u32, Vec<f32>), Box<dyn Error>> {
    let stream = MediaSourceStream::new(Box::new(File::open(path)?), Default::default());
    let mut format = symphonia::default::get_probe().probe(
        &Hint::new(),
        stream,
        FormatOptions::default(),
        Default::default(),
    )?;
    let track = format
        .default_track(TrackType::Audio)
        .ok_or("no audio track")?;
    let parameters = track
        .codec_params
        .as_ref()
        .and_then(|p| p.audio())
        .ok_or("no audio parameters")?
        .clone();
    let rate = parameters.sample_rate.ok_or("no sampling rate")?;
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(&parameters, &AudioDecoderOptions::default())?;
    let mut samples = Vec::new();
    let mut packet_samples: Vec<i16> = Vec::new();
    while let Some(packet) = format.next_packet()? {
        let decoded = decoder.decode(&packet)?;
        let channels = decoded.spec().channels().count();
        packet_samples.clear();
        decoded.copy_to_vec_interleaved(&mut packet_samples);
        samples.extend(packet_samples.chunks_exact(channels).map(|frame| {
            let sum: f32 = frame.iter().map(|&v| f32::from(v)).sum();
            sum / channels as f32 / 32767.0
        }));
    }
    Ok((rate, samples))
}
