//! Triangular mel filterbanks on a power spectrum (SPEC section 5.4).

use crate::frame::{FRAME_A_SECONDS, Geometry};

/// A filterbank of `BANDS` bands; `EDGES` = `BANDS` + 2 corner frequencies. The weights live in the caller's memory.
#[derive(Clone, Debug)]
pub(crate) struct MelBank<const BANDS: usize, const EDGES: usize> {
    /// Segment m, between corners m and m + 1, holds bins `start[m]..start[m + 1]`.
    start: [u16; EDGES],
}

/// Lowest corner, in Hz.
const LOW_HZ: f32 = 20.0;

/// Mel scale, rounded to f32.
fn mel(hz: f32) -> f32 {
    (1127.0 * libm::log(1.0 + f64::from(hz) / 700.0)) as f32
}

impl<const BANDS: usize, const EDGES: usize> MelBank<BANDS, EDGES> {
    /// Computes the falling weight of each bin into `weights` (as long as the spectrum) and the bins of each segment.
    pub fn new(geometry: &Geometry, high_hz: f32, weights: &mut [f32]) -> Self {
        const { assert!(EDGES == BANDS + 2) };
        let duration = FRAME_A_SECONDS * geometry.fft_a as f64 / geometry.frame_a as f64;
        let spacing = (1.0 / duration) as f32;
        let nyquist = (geometry.fft_a as f64 / duration) as f32 / 2.0;
        let high_hz = if high_hz > nyquist { nyquist } else { high_hz };
        let (low, high) = (mel(LOW_HZ), mel(high_hz));
        let width = (high - low) / (BANDS + 1) as f32;
        let corner = |m: usize| low + m as f32 * width;
        let first = libm::roundf(LOW_HZ / spacing) as usize + 1;
        let end = (libm::roundf(high_hz / spacing) as usize).min(geometry.bins_a());

        let mut start = [end as u16; EDGES];
        let mut segment = 0;
        start[0] = first as u16;
        for (n, weight) in weights.iter_mut().enumerate().take(end).skip(first) {
            let z = mel(n as f32 * spacing);
            while segment + 1 < BANDS + 1 && z > corner(segment + 1) {
                segment += 1;
                start[segment] = n as u16;
            }
            let falling = (corner(segment + 1) - z) / (corner(segment + 1) - corner(segment));
            *weight = falling.clamp(0.0, 1.0);
        }
        for s in &mut start[segment + 1..] {
            *s = end as u16;
        }
        Self { start }
    }

    /// Band energies of the magnitude spectrum `mag`.
    pub fn apply(&self, weights: &[f32], mag: &[f32]) -> [f32; BANDS] {
        let mut energy = [0.0; BANDS];
        let mut rising_of_band = 0.0;
        for m in 0..=BANDS {
            let bins = usize::from(self.start[m])..usize::from(self.start[m + 1]);
            let mut falling = rising_of_band;
            let mut rising = 0.0;
            for (&a, &w) in mag[bins.clone()].iter().zip(&weights[bins]) {
                let power = a * a;
                let t = power * w;
                falling += t;
                rising += power - t;
            }
            if m > 0 {
                energy[m - 1] = falling;
            }
            rising_of_band = rising;
        }
        energy
    }
}

/// Bands behind the MFCC, and their upper edge in Hz.
pub(crate) const MFCC_BANDS: usize = 26;
/// Corners of the filterbank behind the MFCC.
pub(crate) const MFCC_EDGES: usize = MFCC_BANDS + 2;
/// Upper edge of the filterbank behind the MFCC, in Hz.
pub(crate) const MFCC_HIGH_HZ: f32 = 8000.0;
/// Log-mel bands.
pub(crate) const LOG_BANDS: usize = 8;
/// Corners of the log-mel filterbank.
pub(crate) const LOG_EDGES: usize = LOG_BANDS + 2;
/// Upper edge of the log-mel bands, in Hz.
pub(crate) const LOG_HIGH_HZ: f32 = 6500.0;

/// Log of band energies, floored at 1e-12 (SPEC section 5.5).
pub(crate) fn log_bands(energy: &[f32; LOG_BANDS]) -> [f32; LOG_BANDS] {
    energy.map(|e| libm::logf(if e > 1e-12 { e } else { 1e-12 }))
}
