//! The vocal tract: second-order resonators, one per formant.

use std::f64::consts::PI;

/// A digital resonator of unit gain at 0 Hz (Klatt 1980, eq. 1 and 2).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Resonator {
    a: f64,
    b: f64,
    c: f64,
    y1: f64,
    y2: f64,
}

impl Resonator {
    /// Moves the resonance to `frequency` with `bandwidth`, both in Hz; what rings goes on ringing.
    pub fn tune(&mut self, frequency: f64, bandwidth: f64, sample_rate: f64) {
        let radius = (-PI * bandwidth / sample_rate).exp();
        self.c = -radius * radius;
        self.b = 2.0 * radius * (2.0 * PI * frequency / sample_rate).cos();
        self.a = 1.0 - self.b - self.c;
    }

    pub fn next(&mut self, x: f64) -> f64 {
        let y = self.a * x + self.b * self.y1 + self.c * self.y2;
        self.y2 = self.y1;
        self.y1 = y;
        y
    }
}

/// Resonators in cascade; those too close to half the sampling rate pass the sound on unchanged.
#[derive(Debug)]
pub(super) struct Tract {
    sample_rate: f64,
    resonators: [Resonator; 5],
    active: usize,
}

impl Tract {
    pub fn new(sample_rate: f64) -> Self {
        Self {
            sample_rate,
            resonators: [Resonator::default(); 5],
            active: 0,
        }
    }

    /// Moves the formants, in Hz and ascending, to their places; `damping` widens the first.
    pub fn tune(&mut self, formants: [f64; 5], damping: f64) {
        self.active = 0;
        for (i, (resonator, frequency)) in self.resonators.iter_mut().zip(formants).enumerate() {
            if frequency > 0.45 * self.sample_rate {
                break;
            }
            let bandwidth = 50.0 + 0.03 * frequency + if i == 0 { damping } else { 0.0 };
            resonator.tune(frequency, bandwidth, self.sample_rate);
            self.active = i + 1;
        }
    }

    pub fn next(&mut self, x: f64) -> f64 {
        self.resonators[..self.active]
            .iter_mut()
            .fold(x, |x, r| r.next(x))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resonator_has_its_peak_where_it_is_tuned() {
        let rate = 16000.0;
        let gain = |frequency: f64| {
            let mut r = Resonator::default();
            r.tune(700.0, 80.0, rate);
            let out: Vec<f64> = (0..8000)
                .map(|n| r.next((2.0 * PI * frequency * n as f64 / rate).sin()))
                .collect();
            out[4000..].iter().fold(0.0f64, |m, v| m.max(v.abs()))
        };
        // At the peak of a resonance of unit gain at 0 Hz: about frequency / bandwidth.
        assert!((gain(700.0) - 700.0 / 80.0).abs() < 0.5, "{}", gain(700.0));
        assert!((gain(20.0) - 1.0).abs() < 0.01);
        assert!(gain(3000.0) < 0.1);
    }
}
