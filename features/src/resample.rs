//! Evaluation of the windowed frame at 11 kHz from its spectrum (SPEC section 5.6).
//!
//! The sum over the bins runs in the specified order for each output, so that LSP agree in full. Where the period ν is a multiple of 4 (8, 16 and
//! 32 kHz: 352) one cosine and one sine serve the outputs i, ν/2 − i, ν/2 + i and ν − i.

use core::f64::consts::TAU;

use crate::frame::Geometry;

/// Bins that one pass over the outputs adds.
const GROUP: usize = 4;

/// Which bins and outputs take part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resampler {
    outputs: usize,
    /// Bins 1..=`bins` enter, beside DC.
    bins: usize,
    /// The Nyquist bin enters too.
    nyquist: bool,
    half_fft: usize,
    /// ν where it is a multiple of 4 that the symmetry can use, else 0.
    period: usize,
}

impl Resampler {
    pub const fn new(geometry: &Geometry) -> Self {
        let outputs = geometry.resampled;
        let used = if geometry.fft_a < outputs {
            geometry.fft_a
        } else {
            outputs
        };
        let whole = (outputs * geometry.fft_a).is_multiple_of(4 * geometry.frame_a);
        let period = outputs * geometry.fft_a / geometry.frame_a;
        // every output must be one of the four
        let folds = whole && outputs <= period && 4 * outputs > 3 * period;
        Self {
            outputs,
            bins: used / 2 - 1,
            nyquist: outputs >= geometry.fft_a,
            half_fft: geometry.fft_a / 2,
            period: if folds { period } else { 0 },
        }
    }

    /// Outputs whose cosines and sines are stored.
    const fn columns(&self) -> usize {
        if self.period > 0 {
            self.period / 4 + 1
        } else {
            self.outputs
        }
    }

    /// Rows of the table: the Nyquist bin where it enters, the bins in order, zeros up to a whole group.
    const fn rows(&self) -> usize {
        (self.bins + self.nyquist as usize).next_multiple_of(GROUP)
    }

    /// Floats of the table: by bin, cosines and sines of all columns.
    pub const fn table_len(&self) -> usize {
        self.rows() * 2 * self.columns()
    }

    /// Floats that [`apply`](Self::apply) fills or works in, at least `least`.
    pub const fn scratch_len(&self, least: usize) -> usize {
        let needed = self.outputs
            + if self.period > 0 {
                4 * self.columns()
            } else {
                0
            };
        if needed > least { needed } else { least }
    }

    /// Bin of a table row, `None` for the zeros at the end.
    fn bin(&self, row: usize) -> Option<usize> {
        match (self.nyquist, row) {
            (true, 0) => Some(self.half_fft),
            (true, row) => Some(row),
            (false, row) => Some(row + 1),
        }
        .filter(|&k| k == self.half_fft || k <= self.bins)
    }

    pub fn fill_table(&self, geometry: &Geometry, table: &mut [f32]) {
        let nu = self.outputs as f64 * geometry.fft_a as f64 / geometry.frame_a as f64;
        for (row, pair) in table.chunks_exact_mut(2 * self.columns()).enumerate() {
            let (cos, sin) = pair.split_at_mut(self.columns());
            for (i, (c, s)) in cos.iter_mut().zip(sin).enumerate() {
                (*c, *s) = match self.bin(row) {
                    Some(k) => {
                        let angle = TAU * (k * i) as f64 / nu;
                        (libm::cos(angle) as f32, libm::sin(angle) as f32)
                    }
                    None => (0.0, 0.0),
                };
            }
        }
    }

    /// The resampled frame, in `scratch` ([`scratch_len`](Self::scratch_len) floats), from the bins of the stream A frame.
    pub fn apply<'a>(
        &self,
        table: &[f32],
        re: &[f32],
        im: &[f32],
        scratch: &'a mut [f32],
    ) -> &'a mut [f32] {
        let (out, scratch) = scratch.split_at_mut(self.outputs);
        let columns = self.columns();
        if self.period == 0 {
            out.fill(re[0]);
            for (group, rows) in table.chunks_exact(GROUP * 2 * columns).enumerate() {
                add_group(out, rows, columns, 0, self.group(group, re, im, [1.0; 4]));
            }
        } else {
            let scratch = &mut scratch[..4 * columns];
            scratch.fill(re[0]);
            // outputs i, ν/2 − i, ν/2 + i, ν − i
            let (first, rest) = scratch.split_at_mut(columns);
            let (second, rest) = rest.split_at_mut(columns);
            let (third, fourth) = rest.split_at_mut(columns);
            let needed = self.period + 1 - self.outputs;
            for (group, rows) in table.chunks_exact(GROUP * 2 * columns).enumerate() {
                let bins = |signs| self.group(group, re, im, signs);
                add_group(first, rows, columns, 0, bins([1.0, 1.0, 1.0, 1.0]));
                add_group(second, rows, columns, 0, bins([-1.0, 1.0, 1.0, -1.0]));
                add_group(third, rows, columns, 0, bins([-1.0, -1.0, 1.0, 1.0]));
                add_group(
                    &mut fourth[needed..],
                    rows,
                    columns,
                    needed,
                    bins([1.0, -1.0, 1.0, -1.0]),
                );
            }
            let half = self.period / 2;
            for i in 0..columns {
                (out[i], out[half - i], out[half + i]) = (first[i], second[i], third[i]);
            }
            for i in needed..columns {
                out[self.period - i] = fourth[i];
            }
        }
        let scale = self.half_fft as f32;
        for o in &mut *out {
            *o /= scale;
        }
        out
    }

    /// Real and imaginary parts of the bins of a group, with `signs`: of the two parts of odd bins, then of even bins.
    fn group(&self, group: usize, re: &[f32], im: &[f32], signs: [f32; 4]) -> [(f32, f32); GROUP] {
        let mut bins = [(0.0, 0.0); GROUP];
        for (i, bin) in bins.iter_mut().enumerate() {
            if let Some(k) = self.bin(group * GROUP + i) {
                let [of_re, of_im] = if k % 2 == 1 {
                    [signs[0], signs[1]]
                } else {
                    [signs[2], signs[3]]
                };
                *bin = (of_re * re[k], of_im * im[k]);
            }
        }
        bins
    }
}

/// Adds a group of bins to the outputs whose columns begin at `first`.
fn add_group(y: &mut [f32], rows: &[f32], columns: usize, first: usize, bins: [(f32, f32); GROUP]) {
    let n = y.len();
    let row = |i: usize| &rows[i * columns + first..][..n];
    let ([c0, s0, c1, s1], [c2, s2, c3, s3]) = ([0, 1, 2, 3].map(row), [4, 5, 6, 7].map(row));
    let [(r0, i0), (r1, i1), (r2, i2), (r3, i3)] = bins;
    for (at, y) in y.iter_mut().enumerate() {
        let two = (((*y + r0 * c0[at]) + i0 * s0[at]) + r1 * c1[at]) + i1 * s1[at];
        *y = (((two + r2 * c2[at]) + i2 * s2[at]) + r3 * c3[at]) + i3 * s3[at];
    }
}
