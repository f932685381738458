//! Pauses around a recording and noise over it, to measure what they do to a model.

use rand::RngExt;
use ser_runtime::audio::Pcm;

use crate::data::stream;

/// What is added to recordings before they are heard.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Room {
    /// Seconds of silence before and behind the recording.
    pub pad_s: f32,
    /// Level of pink noise over all of it, pauses included, in dB relative to full scale.
    pub noise_dbfs: Option<f32>,
}

impl Room {
    /// Adds it to `pcm`; `name` and `seed` decide the noise.
    pub(super) fn around(&self, pcm: &mut Pcm, name: &str, seed: u64) {
        let pad = (f64::from(self.pad_s) * f64::from(pcm.sample_rate)) as usize;
        if pad > 0 {
            let silence = vec![0.0; pad];
            pcm.samples.splice(..0, silence.iter().copied());
            pcm.samples.extend(silence);
        }
        let Some(level) = self.noise_dbfs else {
            return;
        };
        let noise = pink(pcm.samples.len(), seed, name);
        let power = noise.iter().map(|v| v * v).sum::<f64>() / noise.len().max(1) as f64;
        let gain = 10_f64.powf(f64::from(level) / 20.0) / power.sqrt().max(f64::MIN_POSITIVE);
        for (sample, noise) in pcm.samples.iter_mut().zip(noise) {
            *sample += (noise * gain) as f32;
        }
    }
}

/// Noise whose power falls by 3 dB an octave: the sum of random steps that are taken every 1, 2, 4, … samples (Voss's
/// way), white noise on top.
fn pink(samples: usize, seed: u64, name: &str) -> Vec<f64> {
    const OCTAVES: usize = 12;
    let mut random = stream(seed, name, 0);
    let mut draw = || random.random_range(-1.0..1.0_f64);
    let mut held: [f64; OCTAVES] = std::array::from_fn(|_| draw());
    (1..=samples)
        .map(|i| {
            let octave = (i.trailing_zeros() as usize).min(OCTAVES - 1);
            held[octave] = draw();
            held.iter().sum::<f64>() + draw()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(samples: &[f32]) -> f64 {
        let squares: f64 = samples.iter().map(|v| f64::from(*v).powi(2)).sum();
        10.0 * (squares / samples.len() as f64).log10()
    }

    #[test]
    fn pauses_are_as_long_and_noise_as_loud_as_asked_for() {
        let room = Room {
            pad_s: 0.5,
            noise_dbfs: Some(-45.0),
        };
        let silence = || Pcm {
            sample_rate: 8_000,
            channels: 1,
            samples: vec![0.0; 8_000],
        };
        let (mut a, mut b, mut c) = (silence(), silence(), silence());
        room.around(&mut a, "a", 1);
        room.around(&mut b, "a", 1);
        room.around(&mut c, "c", 1);
        assert_eq!(a.samples.len(), 16_000);
        assert!((level(&a.samples) + 45.0).abs() < 0.01);
        assert_eq!(a, b);
        assert_ne!(a, c);
        let mut bare = silence();
        bare.samples.fill(0.25);
        Room::default().around(&mut bare, "a", 1);
        assert_eq!(bare.samples, vec![0.25; 8_000]);
    }

    #[test]
    fn power_falls_by_three_decibels_an_octave() {
        // Powers of differences over 1 and over 8 samples: for white noise they would be equal.
        let noise = pink(1 << 16, 7, "x");
        let step = |by: usize| -> f64 {
            let pairs = noise.iter().zip(&noise[by..]);
            pairs.map(|(a, b)| (a - b).powi(2)).sum::<f64>() / (noise.len() - by) as f64
        };
        assert!(step(8) > 1.3 * step(1), "{} {}", step(8), step(1));
    }
}
