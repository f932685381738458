//! The utterances of a stream, as the segmenter cuts them.
//!
//! ```text
//! spans RATE [--frames] [--push SAMPLES] < samples.f32
//! ```
//!
//! Samples: f32, little-endian, mono. A line for each utterance: `span`, first sample, first sample after it, verdict. With
//! `--frames` one for each frame that was decided: `frame`, its number, probability of a voice. The last line counts the frames in
//! which the detector of voices ran.

use std::io::{BufReader, Read};

use ser_runtime::segment::{Activity, SegmentConfig, Segmenter, frame_len};
use ser_runtime::voice::LOOK_AHEAD;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const USAGE: &str = "usage: spans RATE [--frames] [--push SAMPLES]";
    let mut args = std::env::args().skip(1);
    let rate = args.next().ok_or(USAGE)?.parse()?;
    let (mut frames, mut chunk) = (false, 4096_usize);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--frames" => frames = true,
            "--push" => chunk = args.next().ok_or(USAGE)?.parse()?,
            _ => return Err(USAGE.into()),
        }
    }
    let mut segmenter = Segmenter::new(rate, SegmentConfig::default())?;
    let mut input = BufReader::new(std::io::stdin().lock());
    let (mut bytes, mut start, mut listened) = (vec![0; 4 * chunk.max(1)], 0, 0_u64);
    loop {
        let mut filled = 0;
        while filled < bytes.len() {
            match input.read(&mut bytes[filled..])? {
                0 => break,
                n => filled += n,
            }
        }
        let samples: Vec<f32> = bytes[..filled]
            .as_chunks::<4>()
            .0
            .iter()
            .map(|&b| f32::from_le_bytes(b))
            .collect();
        let mut rest = &samples[..];
        while !rest.is_empty() {
            let (taken, activity) = segmenter.push(rest);
            rest = &rest[taken..];
            if activity.is_some() && frames {
                let heard = segmenter.position() / frame_len(rate) as u64;
                if let Some(frame) = heard.checked_sub(1 + LOOK_AHEAD as u64) {
                    println!("frame {frame} {:.4}", segmenter.voice_probability());
                }
            }
            listened += u64::from(activity.is_some() && segmenter.voice_features().is_some());
            match activity {
                Some(Activity::Start { at }) => start = at,
                Some(Activity::End { at, verdict }) => println!("span {start} {at} {verdict:?}"),
                _ => {}
            }
        }
        if filled < bytes.len() {
            break;
        }
    }
    if let Some((at, verdict)) = segmenter.finish() {
        println!("span {start} {at} {verdict:?}");
    }
    println!("# listened {listened}");
    Ok(())
}
