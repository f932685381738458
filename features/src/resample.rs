//! Evaluation of the windowed frame at 11 kHz from its spectrum (SPEC section 5.6).
//!
//! The sum over the bins runs in the specified order for each output, so that LSP agree in full. Where the period ν is a multiple of 32 (8, 16 and
//! 32 kHz: 352) one cosine and one sine serve the outputs i, ν/2 − i, ν/2 + i and ν − i.
//!
//! Outputs are computed in blocks whose sums stay in registers over all bins; the table lies in the order in which it is read.

use core::f64::consts::TAU;
use core::slice;

use crate::frame::Geometry;

/// Columns of a block where a column has one output.
const WIDE: usize = 32;
/// Columns of a block where a column has four outputs. The quarter period is a multiple of it.
const FOLDED: usize = 8;

/// Which bins and outputs take part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resampler {
    outputs: usize,
    /// Bins 1..=`bins` enter, beside DC.
    bins: usize,
    /// The Nyquist bin enters too.
    nyquist: bool,
    half_fft: usize,
    /// ν where it is a multiple of 4·[`FOLDED`] that the symmetry can use, else 0.
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
        let whole = (outputs * geometry.fft_a).is_multiple_of(4 * FOLDED * geometry.frame_a);
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

    /// Columns of a block.
    const fn width(&self) -> usize {
        if self.period > 0 { FOLDED } else { WIDE }
    }

    /// Blocks of columns: outputs whose cosines and sines are stored.
    const fn blocks(&self) -> usize {
        if self.period > 0 {
            self.period / 4 / FOLDED
        } else {
            self.outputs.div_ceil(WIDE)
        }
    }

    /// Floats of a block's table.
    const fn block_len(&self) -> usize {
        self.rows() * 2 * self.width()
    }

    /// Bin of a row of a table.
    fn bin(&self, row: usize) -> usize {
        match (self.nyquist, row) {
            (true, 0) => self.half_fft,
            (true, row) => row,
            (false, row) => row + 1,
        }
    }

    /// Bins of a block's table, DC not among them: the Nyquist bin where it enters, then the others in order.
    const fn rows(&self) -> usize {
        self.bins + self.nyquist as usize
    }

    /// Floats of the table: by block and bin, cosines and sines of the block's columns; then, where columns have four outputs, by bin cosine and
    /// sine of the column at the quarter period, which has two.
    pub const fn table_len(&self) -> usize {
        let quarter = if self.period > 0 { self.rows() * 2 } else { 0 };
        self.blocks() * self.block_len() + quarter
    }

    /// Floats that [`apply`](Self::apply) fills, at least `least`.
    pub const fn scratch_len(&self, least: usize) -> usize {
        if self.outputs > least {
            self.outputs
        } else {
            least
        }
    }

    pub fn fill_table(&self, geometry: &Geometry, table: &mut [f32]) {
        let nu = self.outputs as f64 * geometry.fft_a as f64 / geometry.frame_a as f64;
        let fill = |rows: &mut [f32], first: usize, width: usize| {
            for (row, pair) in rows.chunks_exact_mut(2 * width).enumerate() {
                let (cos, sin) = pair.split_at_mut(width);
                for (i, (c, s)) in cos.iter_mut().zip(sin).enumerate() {
                    let angle = TAU * (self.bin(row) * (first + i)) as f64 / nu;
                    (*c, *s) = (libm::cos(angle) as f32, libm::sin(angle) as f32);
                }
            }
        };
        let width = self.width();
        let mut blocks = table.chunks_exact_mut(self.block_len());
        for (block, rows) in blocks.by_ref().enumerate() {
            fill(rows, block * width, width);
        }
        fill(blocks.into_remainder(), self.period / 4, 1);
    }

    /// The resampled frame, in `scratch` ([`scratch_len`](Self::scratch_len) floats), from the bins of the stream A frame.
    pub fn apply<'a>(
        &self,
        table: &[f32],
        re: &[f32],
        im: &[f32],
        scratch: &'a mut [f32],
    ) -> &'a mut [f32] {
        let out = &mut scratch[..self.outputs];
        let nyquist = self
            .nyquist
            .then_some((re[self.half_fft], im[self.half_fft]));
        let bins = Bins {
            dc: re[0],
            nyquist,
            re: &re[1..][..self.bins],
            im: &im[1..][..self.bins],
        };
        let blocks = table.chunks_exact(self.block_len());
        if self.period == 0 {
            for (rows, out) in blocks.zip(out.chunks_mut(WIDE)) {
                out.copy_from_slice(&bins.sums(rows)[..out.len()]);
            }
        } else {
            let quarter = blocks.remainder();
            for (block, rows) in blocks.enumerate() {
                let first = block * FOLDED;
                // the fourth are outputs in the last blocks only
                let (sums, at_quarter) = if self.period - first >= self.outputs + FOLDED {
                    bins.folded_sums::<false, false>(rows, &[])
                } else if 4 * (first + FOLDED) < self.period {
                    bins.folded_sums::<true, false>(rows, &[])
                } else {
                    bins.folded_sums::<true, true>(rows, quarter)
                };
                // those of the last block stay
                [out[self.period / 4], out[3 * self.period / 4]] = at_quarter;
                self.unfold(first, sums, out);
            }
        }
        let scale = self.half_fft as f32;
        for o in &mut *out {
            *o /= scale;
        }
        out
    }

    /// Puts the outputs of the columns from `first` on in their places.
    fn unfold(&self, first: usize, [a, b, c, d]: [[f32; FOLDED]; 4], out: &mut [f32]) {
        let half = self.period / 2;
        for lane in 0..FOLDED {
            let i = first + lane;
            (out[i], out[half - i], out[half + i]) = (a[lane], b[lane], c[lane]);
            if let Some(o) = out.get_mut(self.period - i) {
                *o = d[lane];
            }
        }
    }
}

/// The bins that enter the sums.
struct Bins<'a> {
    dc: f32,
    nyquist: Option<(f32, f32)>,
    /// From bin 1 on.
    re: &'a [f32],
    im: &'a [f32],
}

impl Bins<'_> {
    /// Sums of a block where a column has one output.
    fn sums(&self, rows: &[f32]) -> [f32; WIDE] {
        let mut sums = [self.dc; WIDE];
        let mut rows = rows.as_chunks::<WIDE>().0.as_chunks::<2>().0.iter();
        let mut add = |[cos, sin]: &[[f32; WIDE]; 2], re: f32, im: f32| {
            for ((sum, c), s) in sums.iter_mut().zip(cos).zip(sin) {
                *sum = (*sum + re * c) + im * s;
            }
        };
        if let (Some((re, im)), Some(row)) = (self.nyquist, rows.as_slice().first()) {
            add(row, re, im);
            rows.next();
        }
        for ((row, &re), &im) in rows.zip(self.re).zip(self.im) {
            add(row, re, im);
        }
        sums
    }

    /// Sums of a block for the outputs i, ν/2 − i, ν/2 + i and ν − i of each column i, and of the second and fourth for the column at the quarter
    /// period, by bin `quarter`.
    ///
    /// Without `FOURTH` the last of them, without `QUARTER` those at the quarter period are not computed.
    ///
    /// About the quarter period the cosines of odd bins and the sines of even bins change sign, about the half period cosines and sines of odd bins.
    // apart from its caller the compiler keeps the sums in registers
    #[inline(never)]
    fn folded_sums<const FOURTH: bool, const QUARTER: bool>(
        &self,
        rows: &[f32],
        quarter: &[f32],
    ) -> ([[f32; FOLDED]; 4], [f32; 2]) {
        let mut sums = Folded::<FOURTH, QUARTER> {
            columns: [[self.dc; FOLDED]; 4],
            quarter: [self.dc; 2],
            turns: quarter.as_chunks().0.iter(),
        };
        let mut rows = rows.as_chunks::<FOLDED>().0.as_chunks::<2>().0;
        if let (Some((re, im)), Some((row, rest))) = (self.nyquist, rows.split_first()) {
            sums.add::<false>(row, re, im);
            rows = rest;
        }
        let (rows, last_row) = rows.as_chunks::<2>();
        let ((re, last_re), (im, last_im)) = (self.re.as_chunks::<2>(), self.im.as_chunks::<2>());
        for ((row, re), im) in rows.iter().zip(re).zip(im) {
            sums.add::<true>(&row[0], re[0], im[0]);
            sums.add::<false>(&row[1], re[1], im[1]);
        }
        if let ([row], [re], [im]) = (last_row, last_re, last_im) {
            sums.add::<true>(row, *re, *im);
        }
        (sums.columns, sums.quarter)
    }
}

/// Sums of the four outputs of each column, and of the two of the column at the quarter period.
struct Folded<'a, const FOURTH: bool, const QUARTER: bool> {
    columns: [[f32; FOLDED]; 4],
    quarter: [f32; 2],
    /// Cosines and sines of the column at the quarter period.
    turns: slice::Iter<'a, [f32; 2]>,
}

impl<const FOURTH: bool, const QUARTER: bool> Folded<'_, FOURTH, QUARTER> {
    /// Adds an odd or even bin.
    #[inline(always)]
    fn add<const ODD: bool>(&mut self, [cos, sin]: &[[f32; FOLDED]; 2], re: f32, im: f32) {
        let [a, b, c, d] = &mut self.columns;
        for i in 0..FOLDED {
            let (p, q) = (re * cos[i], im * sin[i]);
            a[i] = (a[i] + p) + q;
            if FOURTH {
                d[i] = (d[i] + p) - q;
            }
            (b[i], c[i]) = if ODD {
                ((b[i] - p) + q, (c[i] - p) - q)
            } else {
                ((b[i] + p) - q, (c[i] + p) + q)
            };
        }
        // here and not in a loop of its own, where one addition would wait for the other
        if QUARTER && let Some([cos, sin]) = self.turns.next() {
            let (p, q) = (re * cos, im * sin);
            let [b, d] = self.quarter;
            let b = if ODD { (b - p) + q } else { (b + p) - q };
            self.quarter = [b, (d + p) - q];
        }
    }
}
