//! Evaluation of the windowed frame at 11 kHz from its spectrum (SPEC section 5.6).

use core::f64::consts::PI;

use crate::frame::Geometry;

/// Bins above DC that enter, k = 1..=`bins`, and whether the Nyquist bin does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resampler {
    outputs: usize,
    bins: usize,
    nyquist: bool,
    half_fft: usize,
}

impl Resampler {
    pub const fn new(geometry: &Geometry) -> Self {
        let outputs = geometry.resampled;
        let used = if geometry.fft_a < outputs {
            geometry.fft_a
        } else {
            outputs
        };
        Self {
            outputs,
            bins: used / 2 - 1,
            nyquist: outputs >= geometry.fft_a,
            half_fft: geometry.fft_a / 2,
        }
    }

    /// Floats of the table: a row of cosines and a row of sines per bin.
    pub const fn table_len(&self) -> usize {
        2 * (self.bins + self.nyquist as usize) * self.outputs
    }

    pub fn fill_table(&self, geometry: &Geometry, table: &mut [f32]) {
        let nu = self.outputs as f64 * geometry.fft_a as f64 / geometry.frame_a as f64;
        for (row, pair) in table.chunks_exact_mut(2 * self.outputs).enumerate() {
            let k = if row < self.bins {
                row + 1
            } else {
                self.half_fft
            };
            let (cos, sin) = pair.split_at_mut(self.outputs);
            for (i, (c, s)) in cos.iter_mut().zip(sin).enumerate() {
                let angle = 2.0 * PI * (k * i) as f64 / nu;
                *c = libm::cos(angle) as f32;
                *s = libm::sin(angle) as f32;
            }
        }
    }

    /// `out` (`I` samples) from the bins of the stream A frame.
    pub fn apply(&self, table: &[f32], re: &[f32], im: &[f32], out: &mut [f32]) {
        out.fill(re[0]);
        let (rows, nyquist) = table.split_at(2 * self.bins * self.outputs);
        if self.nyquist {
            let r = re[self.half_fft];
            for (o, &c) in out.iter_mut().zip(nyquist) {
                *o += r * c;
            }
        }
        for ((pair, &r), &i) in rows
            .chunks_exact(2 * self.outputs)
            .zip(&re[1..])
            .zip(&im[1..])
        {
            let (cos, sin) = pair.split_at(self.outputs);
            for ((o, &c), &s) in out.iter_mut().zip(cos).zip(sin) {
                *o = (*o + r * c) + i * s;
            }
        }
        let scale = self.half_fft as f32;
        for o in out {
            *o /= scale;
        }
    }
}
