//! Events as numbers, which a page reads from memory.

use ser_runtime::live::Event;
use ser_runtime::prediction::{Outcome, Reason};

/// Most labels that an event has room for.
const LABELS: usize = 16;
/// Numbers of an event: kind (0 start, 1 update, 2 end, 3 discarded, 4 failed), start and end in
/// seconds, whether it goes on where the one before was cut, whether it was cut, index of the label
/// or -1, index of the reason or -1, flags by bit, level in dB of full scale, seconds of voice or
/// -1, number of probabilities, and these.
pub const EVENT_LEN: usize = 11 + LABELS;

/// Reasons by their index.
pub const REASONS: [Reason; 6] = [
    Reason::NoSpeech,
    Reason::TooShort,
    Reason::Silent,
    Reason::Unvoiced,
    Reason::NotInRange,
    Reason::LowConfidence,
];

/// Flags by their bit.
pub const FLAGS: [&str; 6] = [
    "too short",
    "silent",
    "clipped: too loud for the recorder",
    "too little voiced speech",
    "narrow band: as over a telephone",
    "samples out of range",
];

/// The numbers of an event of a stream at `rate` Hz.
pub fn numbers(event: &Event<'_>, rate: f64) -> [f64; EVENT_LEN] {
    let (kind, span) = match event {
        Event::Start { span } => (0, span),
        Event::Update { span, .. } => (1, span),
        Event::End { span, .. } => (2, span),
        Event::Discarded { span, .. } => (3, span),
        Event::Failed { span, .. } => (4, span),
    };
    let mut out = [0.0; EVENT_LEN];
    out[0] = f64::from(kind);
    out[1] = span.start as f64 / rate;
    out[2] = span.end as f64 / rate;
    out[3] = f64::from(u8::from(span.continued));
    (out[5], out[6], out[9]) = (-1.0, -1.0, -1.0);
    match event {
        Event::Start { .. } | Event::Failed { .. } => {}
        Event::Discarded { reason, .. } => out[6] = place(*reason),
        Event::Update { outcome, .. } => fill(&mut out, outcome),
        Event::End { outcome, cut, .. } => {
            out[4] = f64::from(u8::from(*cut));
            fill(&mut out, outcome);
        }
    }
    out
}

fn place(reason: Reason) -> f64 {
    let place = REASONS.iter().position(|known| *known == reason);
    place.map_or(-1.0, |place| place as f64)
}

fn fill(out: &mut [f64; EVENT_LEN], outcome: &Outcome<'_>) {
    match outcome.label {
        Ok(label) => out[5] = label as f64,
        Err(reason) => out[6] = place(reason),
    }
    let quality = &outcome.quality;
    let flags = [
        quality.too_short,
        quality.silent,
        quality.clipped,
        quality.unvoiced,
        quality.narrow_band,
        quality.not_in_range,
    ];
    let raised = flags.iter().enumerate().filter(|(_, raised)| **raised);
    out[7] = f64::from(raised.map(|(bit, _)| 1_u32 << bit).sum::<u32>());
    out[8] = f64::from(quality.rms_dbfs);
    out[9] = quality.voiced_s.map_or(-1.0, f64::from);
    let count = outcome.probabilities.len().min(LABELS);
    out[10] = count as f64;
    for (to, probability) in out[11..].iter_mut().zip(outcome.probabilities) {
        *to = f64::from(*probability);
    }
}
