//! Brings samples to a rate from 8 to 16 kHz: an integer part of the stream's own.

use core::f32::consts::{PI, TAU};

use ser_features::MAX_SAMPLE_RATE;

use super::sane;

/// The decimated rate is at least this, in Hz.
const LOWEST: u32 = 8_000;
/// Coefficients of the filter for each factor of decimation: flat to 3.3 kHz of 4, 50 dB down from 4.7 kHz on.
const TAPS_PER_FACTOR: usize = 20;
const MOST_TAPS: usize = (MAX_SAMPLE_RATE / LOWEST) as usize * TAPS_PER_FACTOR;
/// Sums run in this many lanes.
const LANES: usize = 4;

#[derive(Debug, Clone)]
pub(super) struct Decimator {
    rate: u32,
    factor: usize,
    taps: [f32; MOST_TAPS],
    /// The last samples, a ring; `next` is where the next one goes.
    ring: [f32; MOST_TAPS],
    next: usize,
    /// Samples until the next output.
    wait: usize,
}

impl Decimator {
    pub fn new(rate: u32) -> Self {
        let factor = (rate / LOWEST) as usize;
        let mut new = Self {
            rate: rate / factor as u32,
            factor,
            taps: [0.0; MOST_TAPS],
            ring: [0.0; MOST_TAPS],
            next: 0,
            wait: factor,
        };
        let len = new.len();
        let middle = (len - 1) as f32 / 2.0;
        let mut sum = 0.0;
        for (i, tap) in new.taps[..len].iter_mut().enumerate() {
            // The corner is half of the lowest rate: 0.5 / factor of the stream's rate. No tap lies in the middle.
            let x = PI * (i as f32 - middle) / factor as f32;
            let hamming = 0.54 - 0.46 * libm::cosf(TAU * i as f32 / (len - 1) as f32);
            *tap = libm::sinf(x) / x * hamming;
            sum += *tap;
        }
        new.taps[..len].iter_mut().for_each(|tap| *tap /= sum);
        new
    }

    fn len(&self) -> usize {
        self.factor * TAPS_PER_FACTOR
    }

    /// The rate of what comes out, rounded down to whole Hz.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    pub fn reset(&mut self) {
        self.ring = [0.0; MOST_TAPS];
        (self.next, self.wait) = (0, self.factor);
    }

    /// Calls `give` with each sample that comes out.
    pub fn take(&mut self, samples: &[f32], mut give: impl FnMut(f32)) {
        if self.factor == 1 {
            samples.iter().for_each(|&v| give(sane(v)));
            return;
        }
        let len = self.len();
        for &v in samples {
            self.ring[self.next] = sane(v);
            self.next = if self.next + 1 == len {
                0
            } else {
                self.next + 1
            };
            self.wait -= 1;
            if self.wait == 0 {
                self.wait = self.factor;
                let (new, old) = self.ring[..len].split_at(self.next);
                let (first, second) = self.taps[..len].split_at(old.len());
                give(dot(old, first) + dot(new, second));
            }
        }
    }
}

/// Sum of products in a fixed order.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::vec::Vec;

    /// Gain in dB of a tone of `hz` at `rate` Hz.
    fn gain(rate: u32, hz: f32) -> f32 {
        let mut decimator = Decimator::new(rate);
        let tone: Vec<f32> = (0..rate / 4)
            .map(|i| {
                libm::sin(f64::from(hz * i as f32) * std::f64::consts::TAU / f64::from(rate)) as f32
            })
            .collect();
        let mut out = Vec::new();
        decimator.take(&tone, |v| out.push(v));
        let heard = &out[100..];
        let mean = heard.iter().map(|v| v * v).sum::<f32>() / heard.len() as f32;
        10.0 * (2.0 * mean).log10()
    }

    #[test]
    fn the_band_of_speech_passes_and_what_would_fold_into_it_does_not() {
        for rate in [16_000, 22_050, 24_414, 44_100, 48_000, 96_000] {
            assert!(gain(rate, 1_000.0).abs() < 0.1, "{rate}");
            assert!(
                gain(rate, 3_200.0).abs() < 0.3,
                "{rate}: {}",
                gain(rate, 3_200.0)
            );
            let folding = rate as f32 / (rate / 8_000) as f32 - 3_200.0;
            assert!(
                gain(rate, folding) < -45.0,
                "{rate}: {}",
                gain(rate, folding)
            );
        }
    }
}
