//! What is said: syllables of no language, and how they become sound.

use rand::{Rng, RngExt};

use super::filter::{Resonator, Tract};
use super::source::Source;
use super::voice::{Delivery, Speaker, noise, normal, semitones};

/// First three formants of a male voice's vowels, Hz: about [a], [e], [i], [o], [u], [ə] (Peterson & Barney 1952).
const VOWELS: [[f64; 3]; 6] = [
    [730.0, 1090.0, 2440.0],
    [530.0, 1840.0, 2480.0],
    [270.0, 2290.0, 3010.0],
    [570.0, 840.0, 2410.0],
    [300.0, 870.0, 2240.0],
    [500.0, 1500.0, 2500.0],
];

/// The fourth and fifth formant hardly move.
const UPPER_FORMANTS: [f64; 2] = [3500.0, 4500.0];

/// Formants of the murmur of a nasal.
const NASAL: [f64; 3] = [260.0, 1100.0, 2300.0];

/// Shortest and longest utterance without the silence around it, seconds.
const DURATION: std::ops::RangeInclusive<f64> = 1.4..=2.3;

/// What a syllable begins with.
#[derive(Debug, Clone, Copy)]
enum Onset {
    None,
    /// Noise around a frequency (Hz).
    Fricative(f64),
    /// A closure, then a burst around a frequency (Hz).
    Stop(f64),
    Nasal,
}

#[derive(Debug, Clone, Copy)]
struct Syllable {
    onset: Onset,
    vowel: [f64; 3],
    /// Seconds at normal tempo.
    vowel_s: f64,
    /// 0 for an unstressed syllable, up to 1.
    accent: f64,
}

/// Syllables; the same words whoever says them.
#[derive(Debug, Clone)]
pub(super) struct Sentence {
    syllables: Vec<Syllable>,
}

/// A stretch of sound with one target.
#[derive(Debug, Clone, Copy)]
struct Segment {
    seconds: f64,
    formants: [f64; 3],
    voiced: f64,
    /// Level of noise and its frequency, Hz.
    friction: Option<(f64, f64)>,
    accent: f64,
    nasal: bool,
}

impl Sentence {
    /// Six to eight syllables, every second or third stressed.
    pub fn draw(rng: &mut impl Rng) -> Self {
        let count = rng.random_range(6..=8);
        let mut last_stress = 1;
        let syllables = (0..count)
            .map(|_| {
                let onset = match rng.random_range(0..8) {
                    0 => Onset::None,
                    1 => Onset::Fricative(5200.0),
                    2 => Onset::Fricative(2900.0),
                    3 => Onset::Stop(900.0),
                    4 => Onset::Stop(1900.0),
                    5 => Onset::Stop(3400.0),
                    _ => Onset::Nasal,
                };
                last_stress += 1;
                let stressed = last_stress >= 3 || (last_stress == 2 && rng.random_bool(0.5));
                if stressed {
                    last_stress = 0;
                }
                Syllable {
                    onset,
                    vowel: VOWELS[rng.random_range(0..VOWELS.len())],
                    vowel_s: if stressed { 0.19 } else { 0.12 } * rng.random_range(0.85..1.15),
                    accent: if stressed {
                        rng.random_range(0.6..1.0)
                    } else {
                        0.0
                    },
                }
            })
            .collect();
        Self { syllables }
    }

    /// The sentence as this speaker delivers it, samples in ±1, with a little silence before and after.
    pub fn speak(
        &self,
        speaker: &Speaker,
        delivery: &Delivery,
        sample_rate: f64,
        rng: &mut impl Rng,
    ) -> Vec<f32> {
        let segments = self.segments(delivery, rng);
        let count = |s: f64| (s * sample_rate) as usize;
        let spoken: f64 = segments.iter().map(|s| s.seconds).sum();
        let lead = count(rng.random_range(0.05..0.15));
        let tail = count(rng.random_range(0.1..0.25));
        let mut samples = vec![0.0; lead];
        render(&segments, spoken, delivery, sample_rate, rng, &mut samples);
        samples.resize(samples.len() + tail, 0.0);

        let active = &samples[lead..samples.len() - tail];
        let power = active.iter().map(|s| s * s).sum::<f64>() / active.len().max(1) as f64;
        let gain = decibels(delivery.level_db) / power.sqrt().max(1e-12);
        let floor = decibels(speaker.noise_db);
        samples
            .iter()
            .map(|s| limit(gain * s + floor * noise(rng)) as f32)
            .collect()
    }

    fn segments(&self, delivery: &Delivery, rng: &mut impl Rng) -> Vec<Segment> {
        let mut segments = Vec::new();
        for s in &self.syllables {
            let quiet = Segment {
                seconds: 0.0,
                formants: s.vowel,
                voiced: 0.0,
                friction: None,
                accent: 0.0,
                nasal: false,
            };
            match s.onset {
                Onset::None => {}
                Onset::Fricative(hz) => segments.push(Segment {
                    seconds: 0.09,
                    friction: Some((0.5, hz)),
                    ..quiet
                }),
                Onset::Stop(hz) => {
                    segments.push(Segment {
                        seconds: 0.05,
                        ..quiet
                    });
                    segments.push(Segment {
                        seconds: 0.015,
                        friction: Some((0.9, hz)),
                        ..quiet
                    });
                }
                Onset::Nasal => segments.push(Segment {
                    seconds: 0.07,
                    voiced: 0.4,
                    formants: NASAL,
                    nasal: true,
                    ..quiet
                }),
            }
            segments.push(Segment {
                seconds: s.vowel_s,
                voiced: 1.0,
                accent: s.accent,
                ..quiet
            });
        }
        if let Some(last) = segments.last_mut() {
            last.seconds *= 1.4;
        }
        for s in &mut segments {
            s.seconds *= (1.0 + normal(rng, 0.06)) / delivery.tempo;
        }
        let total: f64 = segments.iter().map(|s| s.seconds).sum();
        let scale = total.clamp(*DURATION.start(), *DURATION.end()) / total;
        segments.iter_mut().for_each(|s| s.seconds *= scale);
        segments
    }
}

/// Samples between two settings of the resonators.
const CONTROL_INTERVAL: usize = 32;

fn render(
    segments: &[Segment],
    spoken: f64,
    delivery: &Delivery,
    sample_rate: f64,
    rng: &mut impl Rng,
    samples: &mut Vec<f64>,
) {
    let mut source = Source::new(delivery, sample_rate);
    let mut tract = Tract::new(sample_rate);
    let mut friction = Resonator::default();
    // One-pole smoothing of the targets: levels move within 8 ms, formants within 25 ms.
    let pole = |seconds: f64| 1.0 - (-1.0 / (seconds * sample_rate)).exp();
    let (fast, slow) = (pole(0.008), pole(0.025));
    let drift_step = 0.15 / sample_rate.sqrt();
    let mut formants = segments.first().map_or(VOWELS[5], |s| s.formants);
    let (mut voiced, mut friction_level, mut drift, mut damping) = (0.0, 0.0, 0.0, 0.0);
    let accents = accents(segments);
    let mut elapsed = 0.0;
    for segment in segments {
        let length = (segment.seconds * sample_rate) as usize;
        if let Some((_, hz)) = segment.friction {
            friction.tune(hz.min(0.42 * sample_rate), 0.3 * hz, sample_rate);
        }
        let target = segment.friction.map_or(0.0, |(level, _)| level);
        let stress = 1.0 + 0.3 * segment.accent;
        for n in 0..length {
            let time = elapsed + n as f64 / sample_rate;
            for (f, t) in formants.iter_mut().zip(segment.formants) {
                *f += slow * (t - *f);
            }
            damping += fast * (if segment.nasal { 150.0 } else { 0.0 } - damping);
            voiced += fast * (segment.voiced * stress - voiced);
            friction_level += fast * (target - friction_level);
            if n % CONTROL_INTERVAL == 0 {
                let scaled: [f64; 3] = std::array::from_fn(|i| formants[i] * delivery.formants[i]);
                let upper = UPPER_FORMANTS.map(|f| f * delivery.formants[2]);
                tract.tune(
                    [scaled[0], scaled[1], scaled[2], upper[0], upper[1]],
                    damping,
                );
            }
            drift = 0.9998 * drift + drift_step * noise(rng);
            let accent: f64 = accents
                .iter()
                .map(|&(at, height)| height * bump((time - at) / 0.09))
                .sum();
            let declination = -1.5 * time / spoken - 2.0 * bump((time - spoken) / 0.12);
            let pitch = delivery.pitch_hz
                * semitones(delivery.range_st * (accent + 0.35 * declination) + drift);
            let voice = tract.next(voiced * source.next(pitch, rng));
            let hiss = friction_level * friction.next(noise(rng));
            samples.push(voice + hiss);
        }
        elapsed += length as f64 / sample_rate;
    }
}

/// Middle (s) and height of each accent.
fn accents(segments: &[Segment]) -> Vec<(f64, f64)> {
    let mut start = 0.0;
    let mut accents = Vec::new();
    for s in segments {
        if s.accent > 0.0 {
            accents.push((start + 0.5 * s.seconds, s.accent));
        }
        start += s.seconds;
    }
    accents
}

fn bump(x: f64) -> f64 {
    (-0.5 * x * x).exp()
}

fn decibels(db: f64) -> f64 {
    10.0_f64.powf(db / 20.0)
}

/// Unchanged up to 0.7, then bending towards 0.98 like a good microphone amplifier.
fn limit(x: f64) -> f64 {
    const KNEE: f64 = 0.7;
    const ROOM: f64 = 0.28;
    if x.abs() <= KNEE {
        x
    } else {
        x.signum() * (KNEE + ROOM * ((x.abs() - KNEE) / ROOM).tanh())
    }
}
