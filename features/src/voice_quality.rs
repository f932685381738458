//! Jitter and shimmer from the waveform (SPEC section 7).

use core::array;

use crate::frame::{Geometry, PERIOD_SEARCH};
use crate::parabola;
use crate::sums::{sum, sum_by};

/// Jitter and shimmer of one pitch frame.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct VoiceQuality {
    /// Mean difference of neighbouring periods over the mean period, ≤ 1.
    pub jitter_local: f32,
    /// Mean difference of neighbouring differences over the mean period, ≤ 1.
    pub jitter_ddp: f32,
    /// Mean amplitude difference of neighbouring periods over the mean amplitude, ≤ 1.
    pub shimmer_local: f32,
}

/// What is carried from frame to frame.
#[derive(Clone, Debug)]
pub(crate) struct PeriodTracker {
    hop: usize,
    hop_ceil: usize,
    frame: usize,
    /// Seconds per sample.
    period: f64,
    /// Absolute index of the first sample not yet walked over.
    position: u64,
    /// Samples between `position` and the frame.
    lag: usize,
    /// Last period, and last difference of periods, in seconds; 0: none.
    last_period: f32,
    last_difference: f32,
    held: VoiceQuality,
}

/// A maximum of the correlation over the lags.
struct Peak {
    /// Lag counted from the smallest one.
    index: usize,
    /// Correlations below, at and above it.
    around: [f64; 3],
}

#[derive(Default)]
struct Accumulator {
    periods: (f32, u32),
    differences: (f32, u32),
    second_differences: (f32, u32),
    amplitude: f32,
    amplitude_difference: f32,
}

impl PeriodTracker {
    pub fn new(geometry: &Geometry) -> Self {
        Self {
            hop: geometry.hop,
            hop_ceil: geometry.hop_ceil,
            frame: geometry.frame_b,
            period: 1.0 / f64::from(geometry.sample_rate),
            position: 0,
            lag: 0,
            last_period: 0.0,
            last_difference: 0.0,
            held: VoiceQuality::default(),
        }
    }

    pub fn reset(&mut self) {
        (self.position, self.lag) = (0, 0);
        self.forget();
    }

    fn forget(&mut self) {
        (self.last_period, self.last_difference) = (0.0, 0.0);
        self.held = VoiceQuality::default();
    }

    /// Measures pitch frame `n` with pitch `f0` (Hz; 0: unvoiced). `samples` starts at the absolute index `base` and reaches at least to the end
    /// of stream B frame n + 1 and 2·τmax samples back from its start;
    /// `bounds` has room for half the longest period.
    pub fn push(
        &mut self,
        n: u64,
        f0: f32,
        samples: &[f32],
        base: u64,
        bounds: &mut Bounds<'_>,
    ) -> VoiceQuality {
        let start = (n + 1) * self.hop as u64;
        let need_hop = self.hop_ceil + self.lag;
        if f0 <= 0.0 {
            if self.position + self.lag as u64 != start {
                self.position = start;
            }
            self.position += need_hop as u64;
            self.lag = 0;
            self.forget();
            return VoiceQuality::default();
        }
        let tau = (1.0 / f64::from(f0)) / self.period;
        let tau_round = libm::round(tau) as usize;
        let tau_min = libm::floor((1.0 - PERIOD_SEARCH) * tau) as usize;
        let tau_max = libm::ceil((1.0 + PERIOD_SEARCH) * tau) as usize;
        let mut need = need_hop.max(2 * tau_max + 2).min(self.lag + self.frame);
        if self.position + self.lag as u64 != start {
            self.position = start;
            need = need.min(self.frame);
        }
        let from = self.position.saturating_sub(base).min(samples.len() as u64) as usize;
        let block = &samples[from..(from + need).min(samples.len())];

        let (sums, advance) = self.walk(block, need_hop, [tau_min, tau_round, tau_max], bounds);
        self.lag = need_hop - advance;
        self.position += advance as u64;
        self.output(&sums)
    }

    /// Steps from period to period through `block`; returns the sums and the samples to advance.
    fn walk(
        &mut self,
        block: &[f32],
        need_hop: usize,
        [tau_min, tau_round, tau_max]: [usize; 3],
        bounds: &mut Bounds<'_>,
    ) -> (Accumulator, usize) {
        let mut sums = Accumulator::default();
        let (mut q, mut advance) = (0, 0);
        let mut lowest: Option<f32> = None;
        while q + 2 * tau_max + 1 < block.len() {
            match peak(&block[q..], tau_min, tau_max, bounds) {
                None => q += tau_round.max(1),
                Some(peak) => {
                    let lag = tau_min + peak.index;
                    let before = peak_to_peak(&block[q..q + lag]);
                    q += lag;
                    let after = peak_to_peak(&block[q..q + lag]);
                    let i = peak.index as f64;
                    let (at, height) = parabola::vertex([i - 1.0, i, i + 1.0], peak.around);
                    let period = ((tau_min as f64 + at).abs() * self.period) as f32;
                    let floor = match lowest {
                        Some(floor) if floor <= height as f32 => floor,
                        _ => height as f32,
                    };
                    lowest = Some(floor);
                    if height > f64::from(floor) {
                        self.accept(period, before, after, &mut sums);
                    }
                }
            }
            if q + 1 < need_hop {
                advance = q;
            }
        }
        (sums, advance)
    }

    fn accept(&mut self, period: f32, before: f32, after: f32, sums: &mut Accumulator) {
        add(&mut sums.periods, period);
        if self.last_period > 0.0 {
            let difference = (self.last_period - period).abs();
            add(&mut sums.differences, difference);
            if self.last_difference > 0.0 {
                add(
                    &mut sums.second_differences,
                    (self.last_difference - difference).abs(),
                );
            }
            self.last_difference = difference;
        }
        self.last_period = period;
        sums.amplitude += (before + after) / 2.0;
        sums.amplitude_difference += (before - after).abs();
    }

    fn output(&mut self, sums: &Accumulator) -> VoiceQuality {
        if sums.periods.1 == 0 {
            return self.held;
        }
        let mean_period = sums.periods.0 / sums.periods.1 as f32;
        let relative = |(sum, count): (f32, u32), held: &mut f32| {
            if count == 0 {
                return 0.0;
            }
            *held = (sum / count as f32 / mean_period).min(1.0);
            *held
        };
        let shimmer = if sums.amplitude == 0.0 {
            0.0
        } else {
            sums.amplitude_difference / sums.amplitude
        };
        self.held.shimmer_local = shimmer.min(1.0);
        VoiceQuality {
            jitter_local: relative(sums.differences, &mut self.held.jitter_local),
            jitter_ddp: relative(sums.second_differences, &mut self.held.jitter_ddp),
            shimmer_local: self.held.shimmer_local,
        }
    }
}

fn add((sum, count): &mut (f32, u32), value: f32) {
    *sum += value;
    *count += 1;
}

/// Extremes that run side by side.
const EXTREMES: usize = 8;

/// Range of the interior samples 1..=len−2 of a period.
fn peak_to_peak(period: &[f32]) -> f32 {
    let interior = period
        .get(1..period.len().saturating_sub(1))
        .unwrap_or_default();
    let Some(&first) = interior.first() else {
        return 0.0;
    };
    let (mut low, mut high) = ([first; EXTREMES], [first; EXTREMES]);
    let (chunks, rest) = interior.as_chunks::<EXTREMES>();
    let least = |a: f32, b: f32| if b < a { b } else { a };
    for chunk in chunks {
        for lane in 0..EXTREMES {
            low[lane] = least(low[lane], chunk[lane]);
            high[lane] = -least(-high[lane], -chunk[lane]);
        }
    }
    let low = low.iter().chain(rest).fold(first, |a, &b| least(a, b));
    let high = high.iter().chain(rest).fold(first, |a, &b| -least(-a, -b));
    high - low
}

/// Working memory of the search: bounds of the correlation by lag.
pub(crate) struct Bounds<'a> {
    pub low: &'a mut [f32],
    pub high: &'a mut [f32],
}

/// Highest strict interior maximum of the correlation of neighbouring stretches over lags `tau_min..=tau_max`, the last interior one excluded;
/// the first of equals.
///
/// Fast arithmetic bounds every correlation; the definition itself is evaluated only where, by the bounds, the maximum may lie.
fn peak(w: &[f32], tau_min: usize, tau_max: usize, bounds: &mut Bounds<'_>) -> Option<Peak> {
    let lags = tau_max - tau_min;
    let (low, high) = (bounds.low.get_mut(..lags)?, bounds.high.get_mut(..lags)?);
    bound_correlations(w, tau_min, low, high);
    let mut best: Option<Peak> = None;
    loop {
        let mut next: Option<usize> = None;
        for index in 1..lags.saturating_sub(1) {
            let candidate = high[index] > low[index - 1] && high[index] > low[index + 1];
            if candidate && next.is_none_or(|n| high[index] > high[n]) {
                next = Some(index);
            }
        }
        let Some(index) = next else { return best };
        if best
            .as_ref()
            .is_some_and(|b| b.around[1] > f64::from(high[index]))
        {
            return best;
        }
        // examined: never a candidate again
        high[index] = f32::NEG_INFINITY;
        let around = correlations(w, tau_min + index);
        let better = best.as_ref().is_none_or(|b| {
            around[1] > b.around[1] || (around[1] == b.around[1] && index < b.index)
        });
        if around[0] < around[1] && around[1] > around[2] && better {
            best = Some(Peak { index, around });
        }
    }
}

/// Unit roundoff of f32.
const ROUNDOFF: f64 = f32::EPSILON as f64 / 2.0;
/// Partial sums of a fast product.
const PARTIAL: usize = 16;

/// Bounds of the correlations at lags `tau_min`, `tau_min` + 1, …: infinite where fast arithmetic says nothing.
// apart from its caller the compiler keeps the sums in registers
#[inline(never)]
fn bound_correlations(w: &[f32], tau_min: usize, low: &mut [f32], high: &mut [f32]) {
    let square = |v: f32| f64::from(v) * f64::from(v);
    let (x, rest) = w.split_at(tau_min);
    let y = &rest[..tau_min];
    let (mut sum_x, mut sum_y) = (sum(x), sum(y));
    let (mut xx, mut yy) = (sum_by(x, |_, v| v * v), sum_by(y, |_, v| v * v));
    for (i, (low, high)) in low.iter_mut().zip(high).enumerate() {
        let lag = tau_min + i;
        let inverse = 1.0 / lag as f64;
        let xy = f64::from(product(&w[..lag], &w[lag..2 * lag]));
        let scale =
            1.0 / libm::sqrt((xx - sum_x * sum_x * inverse) * (yy - sum_y * sum_y * inverse));
        let correlation = (xy - sum_x * sum_y * inverse) * scale;
        // each partial sum and the sum of them err by a roundoff per addition, relative to sqrt(xx·yy), twice that for everything else; a product
        // too small for a normal f32 errs by half the smallest f32 at most
        let error =
            2.0 * ROUNDOFF * (lag / PARTIAL + 2 * PARTIAL) as f64 * libm::sqrt(xx * yy) * scale
                + lag as f64 * f64::from(f32::from_bits(1)) * scale
                + 1e-9;
        // a margin that rounding to f32 and the error bound of f64 sums cannot eat
        let (below, above) = (correlation - error, correlation + error);
        (*low, *high) = if error < 0.1 && correlation.abs() < 2.0 {
            ((below - 1e-7) as f32, (above + 1e-7) as f32)
        } else {
            (f32::NEG_INFINITY, f32::INFINITY)
        };
        // on to the next lag: x gains one sample, y loses its first and gains two
        let (moved, last, beyond) = (w[lag], w[2 * lag], w[2 * lag + 1]);
        sum_x += f64::from(moved);
        sum_y += f64::from(last) + f64::from(beyond) - f64::from(moved);
        xx += square(moved);
        yy += square(last) + square(beyond) - square(moved);
    }
}

/// Σ x·y in f32, in independent partial sums.
#[inline(always)]
fn product(x: &[f32], y: &[f32]) -> f32 {
    let mut partial = [0.0f32; PARTIAL];
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<PARTIAL>(), y.as_chunks::<PARTIAL>());
    for (x, y) in x.iter().zip(y) {
        for ((p, &a), &b) in partial.iter_mut().zip(x).zip(y) {
            *p += a * b;
        }
    }
    for ((p, &a), &b) in partial.iter_mut().zip(x_rest).zip(y_rest) {
        *p += a * b;
    }
    partial.iter().sum()
}

/// Pearson correlations of w[..L] and w[L..2L] for L = `lag` − 1, `lag`, `lag` + 1: two passes of sequential sums in f64. NaN where a stretch is
/// constant.
///
/// The order of the sums is part of the definition (see [`parabola::vertex`]); the three lags run side by side.
#[expect(clippy::needless_range_loop, reason = "one index for several rows")]
// apart from its caller the compiler keeps the sums in registers
#[inline(never)]
fn correlations(w: &[f32], lag: usize) -> [f64; 3] {
    let lags = [lag - 1, lag, lag + 1];
    let common = lags[0];
    let x = &w[..common];
    let y = lags.map(|l| &w[l..l + common]);
    let tail = |which: usize| {
        (common..lags[which]).map(move |i| (f64::from(w[i]), f64::from(w[lags[which] + i])))
    };

    let (mut sum_x, mut sum_y) = ([0.0f64; 3], [0.0f64; 3]);
    for (i, &a) in x.iter().enumerate() {
        for k in 0..3 {
            sum_x[k] += f64::from(a);
            sum_y[k] += f64::from(y[k][i]);
        }
    }
    for k in 0..3 {
        for (a, b) in tail(k) {
            sum_x[k] += a;
            sum_y[k] += b;
        }
    }
    let mean = |sum: [f64; 3]| -> [f64; 3] { array::from_fn(|k| sum[k] / lags[k] as f64) };
    let (mean_x, mean_y) = (mean(sum_x), mean(sum_y));

    let (mut xy, mut xx, mut yy) = ([0.0f64; 3], [0.0f64; 3], [0.0f64; 3]);
    let mut add = |k: usize, a: f64, b: f64| {
        let (dx, dy) = (a - mean_x[k], b - mean_y[k]);
        xy[k] += dx * dy;
        xx[k] += dx * dx;
        yy[k] += dy * dy;
    };
    for (i, &a) in x.iter().enumerate() {
        for k in 0..3 {
            add(k, f64::from(a), f64::from(y[k][i]));
        }
    }
    for k in 0..3 {
        for (a, b) in tail(k) {
            add(k, a, b);
        }
    }
    array::from_fn(|k| xy[k] / (libm::sqrt(xx[k]) * libm::sqrt(yy[k])))
}
