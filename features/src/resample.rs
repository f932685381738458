//! Evaluation of the windowed frame at 11 kHz from its spectrum (SPEC section 5.6).
//!
//! The sum over the bins runs in the specified order for each output, so that LSP agree in full. Where the period ν is a multiple of 4 (8, 16 and
//! 32 kHz: 352) one cosine and one sine serve the outputs i, ν/2 − i, ν/2 + i and ν − i.

use core::f64::consts::TAU;

use crate::frame::Geometry;

/// Columns of the table come in multiples of it, so that loops over them have no rest.
const PAD: usize = 8;
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

    /// Outputs whose cosines and sines are stored, and padding.
    const fn columns(&self) -> usize {
        let columns = if self.period > 0 {
            self.period / 4 + 1
        } else {
            self.outputs
        };
        columns.next_multiple_of(PAD)
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
        let needed = self.outputs + self.columns() * if self.period > 0 { 4 } else { 1 };
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
        let groups = table
            .chunks_exact(GROUP * 2 * columns)
            .enumerate()
            .map(|(group, rows)| (rows, self.group(group, re, im)));
        if self.period == 0 {
            let sums = &mut scratch[..columns];
            sums.fill(re[0]);
            for (rows, bins) in groups {
                add(sums, &columns_of(rows, columns), bins);
            }
            out.copy_from_slice(&sums[..out.len()]);
        } else {
            let scratch = &mut scratch[..4 * columns];
            scratch.fill(re[0]);
            // outputs i, ν/2 − i, ν/2 + i, ν − i
            let (first, rest) = scratch.split_at_mut(columns);
            let (second, rest) = rest.split_at_mut(columns);
            let (third, fourth) = rest.split_at_mut(columns);
            // the fourth are outputs from column `from` on only
            let (from, quarter, half) = (
                self.period + 1 - self.outputs,
                self.period / 4,
                self.period / 2,
            );
            let padded = from / PAD * PAD;
            for (rows, bins) in groups {
                let fourth = &mut fourth[padded..];
                if self.nyquist {
                    add_folded::<false>([first, second, third, fourth], rows, columns, bins);
                } else {
                    add_folded::<true>([first, second, third, fourth], rows, columns, bins);
                }
            }
            for i in 0..=quarter {
                (out[i], out[half - i], out[half + i]) = (first[i], second[i], third[i]);
            }
            for i in from..=quarter {
                out[self.period - i] = fourth[i];
            }
        }
        let scale = self.half_fft as f32;
        for o in &mut *out {
            *o /= scale;
        }
        out
    }

    /// Real and imaginary parts of the bins of a group.
    fn group(&self, group: usize, re: &[f32], im: &[f32]) -> [(f32, f32); GROUP] {
        let mut bins = [(0.0, 0.0); GROUP];
        for (i, bin) in bins.iter_mut().enumerate() {
            if let Some(k) = self.bin(group * GROUP + i) {
                *bin = (re[k], im[k]);
            }
        }
        bins
    }
}

/// Rows of a group: cosines and sines of a bin in turn.
#[inline(always)]
fn columns_of(rows: &[f32], columns: usize) -> [&[f32]; 2 * GROUP] {
    let mut out: [&[f32]; 2 * GROUP] = [&[]; 2 * GROUP];
    for (row, o) in rows.chunks_exact(columns).zip(&mut out) {
        *o = row;
    }
    out
}

/// Adds a group of bins to the outputs of the last columns.
#[inline(always)]
fn add(y: &mut [f32], rows: &[&[f32]; 2 * GROUP], bins: [(f32, f32); GROUP]) {
    let n = y.len() / PAD * PAD;
    let y = &mut y[..n];
    let last = |row: usize| &rows[row][rows[row].len() - n..];
    let (c0, s0, c1, s1) = (last(0), last(1), last(2), last(3));
    let (c2, s2, c3, s3) = (last(4), last(5), last(6), last(7));
    let [(r0, i0), (r1, i1), (r2, i2), (r3, i3)] = bins;
    for at in 0..n {
        let two = (((y[at] + r0 * c0[at]) + i0 * s0[at]) + r1 * c1[at]) + i1 * s1[at];
        y[at] = (((two + r2 * c2[at]) + i2 * s2[at]) + r3 * c3[at]) + i3 * s3[at];
    }
}

/// Adds a group of bins, the first odd or even and so on in turn, to three outputs per
/// column and to the fourth of the last columns. About the quarter and the half period the cosines
/// of odd bins change sign; about the quarter period the sines of even bins, about the half period those of odd bins do.
#[inline(never)]
fn add_folded<const FIRST_ODD: bool>(
    [first, second, third, fourth]: [&mut [f32]; 4],
    rows: &[f32],
    columns: usize,
    bins: [(f32, f32); GROUP],
) {
    let rows = columns_of(rows, columns);
    let [(r0, i0), (r1, i1), (r2, i2), (r3, i3)] = bins;
    add(fourth, &rows, [(r0, -i0), (r1, -i1), (r2, -i2), (r3, -i3)]);
    let n = columns / PAD * PAD;
    let [c0, s0, c1, s1, c2, s2, c3, s3] = rows;
    let (c0, s0, c1, s1) = (&c0[..n], &s0[..n], &c1[..n], &s1[..n]);
    let (c2, s2, c3, s3) = (&c2[..n], &s2[..n], &c3[..n], &s3[..n]);
    fold::<FIRST_ODD>(
        &mut first[..n],
        &mut second[..n],
        &mut third[..n],
        [c0, s0, c1, s1, c2, s2, c3, s3],
        bins,
    );
}

/// The three outputs of [`add_folded`] that every column has; all slices are equally long.
#[inline(always)]
fn fold<const FIRST_ODD: bool>(
    first: &mut [f32],
    second: &mut [f32],
    third: &mut [f32],
    [c0, s0, c1, s1, c2, s2, c3, s3]: [&[f32]; 2 * GROUP],
    [(r0, i0), (r1, i1), (r2, i2), (r3, i3)]: [(f32, f32); GROUP],
) {
    let n = first.len();
    let odd = |(a, b, c): (f32, f32, f32), p: f32, q: f32| ((a + p) + q, (b - p) + q, (c - p) - q);
    let even = |(a, b, c): (f32, f32, f32), p: f32, q: f32| ((a + p) + q, (b + p) - q, (c + p) + q);
    for at in 0..n {
        let mut y = (first[at], second[at], third[at]);
        let products = [
            (r0 * c0[at], i0 * s0[at]),
            (r1 * c1[at], i1 * s1[at]),
            (r2 * c2[at], i2 * s2[at]),
            (r3 * c3[at], i3 * s3[at]),
        ];
        if FIRST_ODD {
            y = odd(y, products[0].0, products[0].1);
            y = even(y, products[1].0, products[1].1);
            y = odd(y, products[2].0, products[2].1);
            y = even(y, products[3].0, products[3].1);
        } else {
            y = even(y, products[0].0, products[0].1);
            y = odd(y, products[1].0, products[1].1);
            y = even(y, products[2].0, products[2].1);
            y = odd(y, products[3].0, products[3].1);
        }
        (first[at], second[at], third[at]) = y;
    }
}
