//! Resampling of the stream B spectrum to an octave axis by a natural cubic spline (SPEC section 6.2).
//!
//! Abscissae depend on the sampling rate only, so the tridiagonal system is factorised once: per frame two linear recurrences and one
//! weighted sum of four values per output remain.

use crate::frame::{FRAME_B_SECONDS, Geometry};

/// Lowest frequency of the octave axis, in Hz.
const LOW_HZ: f64 = 25.0;

/// Floats of the table per spectrum bin.
pub(crate) const TABLE_ROWS: usize = 8;

/// Stretches of the recurrences that run side by side.
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
    /// Forward recurrence.
    forward: &'a [f32],
    /// Backward recurrence.
    backward: &'a [f32],
    /// Upper source point of a target, as the bits of an integer.
    upper: &'a [f32],
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
        upper,
        value,
        curve_low,
        curve_high,
    ] = rows_mut(bins, table);
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
            pivot[i] = inverse as f32;
            forward[i] = (width_below / 6.0 * inverse) as f32;
            backward[i] = ratio as f32;
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
        upper[j] = f32::from_bits(at as u32);
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
            upper: row(4),
            value: row(5),
            curve_low: row(6),
            curve_high: row(7),
        }
    }

    /// `out[j]` = spline through `y` at point j of the octave axis; `curve` is scratch. All as long as the spectrum.
    #[expect(clippy::needless_range_loop, reason = "one index for several rows")]
    pub fn apply(&self, y: &[f32], curve: &mut [f32], out: &mut [f32]) {
        let last = y.len() - 1;
        curve[0] = 0.0;
        curve[last] = 0.0;
        let slope = |i: usize| (y[i + 1] - y[i]) * self.inverse_width[i];
        for i in 1..last {
            curve[i] = (slope(i) - slope(i - 1)) * self.pivot[i];
        }
        let starts: [usize; CHAINS + 1] = core::array::from_fn(|c| 1 + c * (last - 1) / CHAINS);
        let length = starts[1] - starts[0];

        let mut state = [0.0f32; CHAINS];
        for back in (1..=WARM_UP).rev() {
            for chain in 1..CHAINS {
                let i = starts[chain] - back;
                state[chain] = curve[i] - self.forward[i] * state[chain];
            }
        }
        for step in 0..length {
            for chain in 0..CHAINS {
                let i = starts[chain] + step;
                state[chain] = curve[i] - self.forward[i] * state[chain];
                curve[i] = state[chain];
            }
        }
        for chain in 0..CHAINS {
            for i in starts[chain] + length..starts[chain + 1] {
                state[chain] = curve[i] - self.forward[i] * state[chain];
                curve[i] = state[chain];
            }
        }

        let mut state = [0.0f32; CHAINS];
        for ahead in (0..WARM_UP).rev() {
            for chain in 0..CHAINS - 1 {
                let i = starts[chain + 1] + ahead;
                state[chain] = curve[i] - self.backward[i] * state[chain];
            }
        }
        for step in 1..=length {
            for chain in 0..CHAINS {
                let i = starts[chain + 1] - step;
                state[chain] = curve[i] - self.backward[i] * state[chain];
                curve[i] = state[chain];
            }
        }
        for chain in 0..CHAINS {
            for i in (starts[chain]..starts[chain + 1] - length).rev() {
                state[chain] = curve[i] - self.backward[i] * state[chain];
                curve[i] = state[chain];
            }
        }
        for (j, o) in out.iter_mut().enumerate() {
            let at = self.upper[j].to_bits() as usize;
            let (low, high) = (y[at - 1], y[at]);
            // In a frame of a few non-zero samples the spectrum is flat but for its last bits, and the peaks that the pitch search finds
            // hang on them: all that is small is added up before the one rounding at the scale of the spectrum.
            let bend = self.curve_low[j] * curve[at - 1] + self.curve_high[j] * curve[at];
            *o = low + (self.value[j] * (high - low) + bend);
        }
    }
}
