//! The voice source: pulses of air through the glottis, and breath.

use std::f64::consts::PI;

use rand::Rng;

use super::voice::{Delivery, noise, normal};

/// Ratio of the opening to the closing time of a pulse.
const SPEED_QUOTIENT: f64 = 2.2;

/// Derivative of a Rosenberg pulse train (Rosenberg 1971, pulse C), the flow as the lips radiate it, with jitter and
/// shimmer from cycle to cycle, a low-pass that sets the spectral tilt, and breath noise that follows the opening.
#[derive(Debug)]
pub(super) struct Source {
    sample_rate: f64,
    /// Place in the current cycle, 0 to 1.
    phase: f64,
    period_factor: f64,
    amplitude: f64,
    tilt: f64,
    jitter: f64,
    opening: f64,
    closing: f64,
    breath: f64,
    low_pass: f64,
}

impl Source {
    pub fn new(delivery: &Delivery, sample_rate: f64) -> Self {
        let open = delivery.open_quotient;
        Self {
            sample_rate,
            phase: 0.0,
            period_factor: 1.0,
            amplitude: 1.0,
            tilt: 1.0 - (-2.0 * PI * delivery.tilt_hz / sample_rate).exp(),
            jitter: delivery.jitter,
            opening: open * SPEED_QUOTIENT / (1.0 + SPEED_QUOTIENT),
            closing: open / (1.0 + SPEED_QUOTIENT),
            breath: delivery.breath,
            low_pass: 0.0,
        }
    }

    /// The next sample at the given fundamental frequency (Hz).
    pub fn next(&mut self, pitch_hz: f64, rng: &mut impl Rng) -> f64 {
        self.phase += pitch_hz * self.period_factor / self.sample_rate;
        if self.phase >= 1.0 {
            self.phase -= self.phase.floor();
            self.period_factor = 1.0 + normal(rng, self.jitter);
            self.amplitude = 1.0 + normal(rng, 5.0 * self.jitter);
        }
        let (flow, derivative) = self.pulse();
        self.low_pass += self.tilt * (self.amplitude * derivative - self.low_pass);
        self.low_pass + self.breath * (0.3 + flow) * noise(rng)
    }

    /// Flow (0 to 1) and its derivative with respect to the phase.
    fn pulse(&self) -> (f64, f64) {
        if self.phase < self.opening {
            let angle = PI * self.phase / self.opening;
            (
                0.5 * (1.0 - angle.cos()),
                0.5 * PI / self.opening * angle.sin(),
            )
        } else if self.phase < self.opening + self.closing {
            let angle = 0.5 * PI * (self.phase - self.opening) / self.closing;
            (angle.cos(), -0.5 * PI / self.closing * angle.sin())
        } else {
            (0.0, 0.0)
        }
    }
}
