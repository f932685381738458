//! Resampling of the stream B spectrum to an octave axis by a natural cubic spline (SPEC section 6.2).
//!
//! Abscissae depend on the sampling rate only, so the tridiagonal system is factorised once: per frame two linear recurrences and one
//! weighted sum of four values per output remain.

use crate::frame::{FRAME_B_SECONDS, Geometry};
use crate::lanes::{self, LANES, Lanes};

/// Lowest frequency of the octave axis, in Hz.
const LOW_HZ: f64 = 25.0;

/// Floats of the table per spectrum bin.
pub(crate) const TABLE_ROWS: usize = 8;

/// Stretches of the recurrences that run side by side: the lanes.
const CHAINS: usize = 8;
/// Steps by which a stretch begins early: the recurrences forget by a factor of 3.7 a step, so that nothing of the start is left in an f32.
const WARM_UP: usize = 24;

fn log2(x: f64) -> f64 {
    libm::log(x) / core::f64::consts::LN_2
}

/// The octave axis: `bins` points from 25 Hz to the highest bin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OctaveAxis {
    /// log₂ of 25 Hz.
    pub first: f32,
    /// Octaves between points.
    pub step: f32,
    /// Points per octave.
    pub points_per_octave: f32,
}

/// Tables of the spline, each as long as the spectrum.
pub(crate) struct Spline<'a> {
    /// 1/h of the interval above a source point.
    inverse_width: &'a [f32],
    /// Factor of the right-hand side in the forward pass.
    pivot: &'a [f32],
    /// Forward recurrence, in the order of [`Places`].
    forward: &'a [f32],
    /// Backward recurrence, in the order of [`Places`].
    backward: &'a [f32],
    /// Lower source point of a target, as the bits of an integer.
    lower: &'a [f32],
    /// Weight of the upper source value.
    value: &'a [f32],
    /// Weights of the second derivatives below and above.
    curve_low: &'a [f32],
    curve_high: &'a [f32],
}

/// Computes axis and tables (`table`: [`TABLE_ROWS`] floats per bin), in f64.
pub(crate) fn fill_table(geometry: &Geometry, table: &mut [f32]) -> OctaveAxis {
    let bins = geometry.bins_b();
    let duration = FRAME_B_SECONDS * geometry.fft_b as f64 / geometry.frame_b as f64;
    let spacing = 1.0 / f64::from(duration as f32);
    let last = (bins - 1) as f64;
    let source = |i: usize| match i {
        0 => 2.0 * log2(spacing) - log2(2.0 * spacing),
        _ => log2(i as f64 * spacing),
    };
    let (t0, t1) = (log2(LOW_HZ), log2(spacing * last));

    let [
        inverse_width,
        pivot,
        forward,
        backward,
        lower,
        value,
        curve_low,
        curve_high,
    ] = rows_mut(bins, table);
    forward.fill(0.0);
    backward.fill(0.0);
    pivot.fill(0.0);
    let places = Places::new(bins);
    let mut above = source(0);
    let (mut width_below, mut ratio) = (0.0, 0.0);
    for i in 0..bins - 1 {
        let here = above;
        above = source(i + 1);
        let width = above - here;
        inverse_width[i] = (1.0 / width) as f32;
        if i > 0 {
            let inverse = 1.0 / ((width_below + width) / 3.0 - width_below / 6.0 * ratio);
            ratio = width / 6.0 * inverse;
            let place = places.of(i);
            pivot[i] = inverse as f32;
            forward[place] = (width_below / 6.0 * inverse) as f32;
            backward[place] = ratio as f32;
        }
        width_below = width;
    }

    let mut at = 1;
    for j in 0..bins {
        let t = t0 + j as f64 * (t1 - t0) / last;
        while at < bins - 1 && source(at) < t {
            at += 1;
        }
        let (low, high) = (source(at - 1), source(at));
        let width = high - low;
        let b = (t - low) / width;
        let a = 1.0 - b;
        lower[j] = f32::from_bits(at as u32 - 1);
        value[j] = b as f32;
        curve_low[j] = ((a * a * a - a) * width * width / 6.0) as f32;
        curve_high[j] = ((b * b * b - b) * width * width / 6.0) as f32;
    }

    let octaves = log2(spacing * last / LOW_HZ);
    OctaveAxis {
        first: t0 as f32,
        step: ((t1 as f32 - t0 as f32) / last as f32),
        points_per_octave: (bins as f64 / octaves) as f32,
    }
}

/// Where second derivatives lie: a row of [`CHAINS`] holds one point of each stretch, point 0 comes last.
#[derive(Clone, Copy)]
struct Places {
    /// log₂ of the length of a stretch: the spectrum has a power of two points, and one.
    bits: u32,
    last: usize,
}

impl Places {
    fn new(bins: usize) -> Self {
        let last = bins - 1;
        Self {
            bits: (last / CHAINS).trailing_zeros(),
            last,
        }
    }

    #[inline(always)]
    fn of(self, i: usize) -> usize {
        match i.checked_sub(1) {
            Some(i) => (i & ((1 << self.bits) - 1)) * CHAINS + (i >> self.bits),
            None => self.last,
        }
    }
}

fn rows_mut(bins: usize, table: &mut [f32]) -> [&mut [f32]; TABLE_ROWS] {
    let mut rows = table.chunks_exact_mut(bins);
    core::array::from_fn(|_| rows.next().unwrap_or_default())
}

impl<'a> Spline<'a> {
    pub fn new(bins: usize, table: &'a [f32]) -> Self {
        let row = |i: usize| &table[i * bins..(i + 1) * bins];
        Self {
            inverse_width: row(0),
            pivot: row(1),
            forward: row(2),
            backward: row(3),
            lower: row(4),
            value: row(5),
            curve_low: row(6),
            curve_high: row(7),
        }
    }

    /// `out[j]` = spline through `y` at point j of the octave axis; `work` and `curve` are scratch. All as long as the
    /// spectrum.
    pub fn apply(&self, y: &[f32], work: &mut [f32], curve: &mut [f32], out: &mut [f32]) {
        self.right_side(y, curve);
        self.solve(curve, work);
        self.evaluate(y, curve, out);
    }

    /// Right-hand side of the tridiagonal system, in natural order; 0 at the last point.
    fn right_side(&self, y: &[f32], out: &mut [f32]) {
        let inner = y.len() - 2;
        let (below, here, above) = (&y[..inner], &y[1..][..inner], &y[2..]);
        let (width_below, width_above) = (
            &self.inverse_width[..inner],
            &self.inverse_width[1..][..inner],
        );
        let pivot = &self.pivot[1..][..inner];
        out[inner + 1] = 0.0;
        let out = &mut out[1..][..inner];
        for i in 0..inner {
            out[i] = ((above[i] - here[i]) * width_above[i]
                - (here[i] - below[i]) * width_below[i])
                * pivot[i];
        }
    }

    /// Second derivatives at the points, in place of the right-hand side; `work` is scratch.
    fn solve(&self, curve: &mut [f32], work: &mut [f32]) {
        let rows: &mut [Row] = work.as_chunks_mut().0;
        let length = rows.len();
        for (i, stretches) in curve[1..].chunks_exact(LANES * length).enumerate() {
            let [a, b, c, d] = lanes::parts(stretches, length).map(lanes::vectors);
            for (j, rows) in rows.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
                let columns = lanes::transposed([a[j], b[j], c[j], d[j]]);
                for (row, column) in rows.iter_mut().zip(columns) {
                    row.as_chunks_mut::<LANES>().0[i] = column;
                }
            }
        }
        let forward = &self.forward.as_chunks().0[..length];
        let backward = &self.backward.as_chunks().0[..length];
        let warm = WARM_UP.min(length);
        let tail = length - warm;
        let [a, b, c, d, e, f, g, _] =
            run(rows[tail..].iter().zip(&forward[tail..]), [0.0; CHAINS]);
        // each stretch goes on where the one before it ends
        substitute(rows.iter_mut().zip(forward), [0.0, a, b, c, d, e, f, g]);
        let [_, b, c, d, e, f, g, h] = run(
            rows[..warm].iter().zip(&backward[..warm]).rev(),
            [0.0; CHAINS],
        );
        substitute(
            rows.iter_mut().zip(backward).rev(),
            [b, c, d, e, f, g, h, 0.0],
        );
        curve[0] = 0.0;
        for (i, stretches) in curve[1..].chunks_exact_mut(LANES * length).enumerate() {
            let [a, b, c, d] = lanes::parts_mut(stretches, length).map(lanes::vectors_mut);
            for (j, rows) in rows.as_chunks::<LANES>().0.iter().enumerate() {
                let columns = rows.map(|row| row.as_chunks::<LANES>().0[i]);
                [a[j], b[j], c[j], d[j]] = lanes::transposed(columns);
            }
        }
    }

    fn evaluate(&self, y: &[f32], curve: &[f32], out: &mut [f32]) {
        let (fours, rest) = out.as_chunks_mut::<LANES>();
        for (j, out) in fours.iter_mut().enumerate() {
            *out = self.targets(j * LANES, y, curve);
        }
        for (j, out) in rest.iter_mut().enumerate() {
            [*out] = self.targets(fours.len() * LANES + j, y, curve);
        }
    }

    /// Targets from `first` on.
    #[inline(always)]
    fn targets<const L: usize>(&self, first: usize, y: &[f32], curve: &[f32]) -> [f32; L] {
        let weights = |x: &[f32]| {
            let mut out = Lanes::splat(0.0);
            out.0.copy_from_slice(&x[first..first + L]);
            out
        };
        let curve = &curve[..y.len()];
        let last = y.len() - 2;
        let (mut low, mut high) = (Lanes::<L>::splat(0.0), Lanes::<L>::splat(0.0));
        let (mut below, mut above) = (low, high);
        for (lane, at) in self.lower[first..first + L].iter().enumerate() {
            let at = (at.to_bits() as usize).min(last);
            (low.0[lane], high.0[lane]) = (y[at], y[at + 1]);
            (below.0[lane], above.0[lane]) = (curve[at], curve[at + 1]);
        }
        let bend = weights(self.curve_low) * below + weights(self.curve_high) * above;
        // In a frame of a few non-zero samples the spectrum is flat but for its last bits, and the peaks that the pitch search finds
        // hang on them: all that is small is added up before the one rounding at the scale of the spectrum.
        (low + (weights(self.value) * (high - low) + bend)).0
    }
}

/// A point of each stretch.
type Row = [f32; CHAINS];

/// Where a recurrence over rows and factors ends.
// apart from its caller, as the next one, the compiler keeps the state in vectors
#[inline(never)]
fn run<'a>(rows: impl Iterator<Item = (&'a Row, &'a Row)>, mut state: Row) -> Row {
    for (row, factor) in rows {
        state = step(row, factor, state);
    }
    state
}

/// A recurrence in place.
#[inline(never)]
fn substitute<'a>(rows: impl Iterator<Item = (&'a mut Row, &'a Row)>, mut state: Row) {
    for (row, factor) in rows {
        state = step(row, factor, state);
        *row = state;
    }
}

#[inline(always)]
fn step(row: &Row, factor: &Row, state: Row) -> Row {
    let mut next = *row;
    for chain in 0..CHAINS {
        next[chain] -= factor[chain] * state[chain];
    }
    next
}
