//! Functionals of a contour (SPEC section 9).

use core::ops::Range;

use crate::sums::{sum, sum_by};

/// Functionals of a group 1 contour.
pub(crate) const GROUP1: usize = 21;
/// Functionals of a group 2 contour.
pub(crate) const GROUP2: usize = 19;
/// The two that group 2 leaves out: percentile1.0 and pctlrange0-1.
pub(crate) const GROUP1_ONLY: [usize; 2] = [16, 18];

/// Functionals of `z`, in the order of SPEC section 9; all 0 for an empty contour. `z` is reordered.
///
/// `relative` divides the positions of the extrema by the length.
pub(crate) fn functionals(z: &mut [f32], relative: bool) -> [f32; GROUP1] {
    let mut out = [0.0; GROUP1];
    let Some(&first) = z.first() else { return out };
    let m = z.len() as f64;

    let (mut max, mut min, mut max_at, mut min_at) = (first, first, 0, 0);
    for (i, &v) in z.iter().enumerate() {
        if v > max {
            (max, max_at) = (v, i);
        }
        if v < min {
            (min, min_at) = (v, i);
        }
    }
    let position = |i: usize| {
        if relative {
            i as f32 / z.len() as f32
        } else {
            i as f32
        }
    };
    out[0] = position(max_at);
    out[1] = position(min_at);

    let mean = (sum(z) / m) as f32;
    out[2] = mean;
    let mean = f64::from(mean);

    let (slope, offset) = regression(z, mean, first);
    out[3] = finite(slope);
    out[4] = finite(offset);
    out[5] = finite(sum_by(z, |i, v| (v - (slope * i + offset)).abs()) / m);
    out[6] = finite(
        sum_by(z, |i, v| {
            let error = v - (slope * i + offset);
            error * error
        }) / m,
    );

    let moment = |power: fn(f64) -> f64| sum_by(z, |_, v| power(v - mean));
    let variance = moment(|d| d * d) / m;
    let deviation = libm::sqrt(variance);
    out[7] = deviation as f32;
    if variance > 0.0 {
        out[8] = (moment(|d| d * d * d) / (m * variance * deviation)) as f32;
        out[9] = (moment(|d| d * d * d * d) / (m * variance * variance)) as f32;
    }

    let range = max - min;
    for (o, level) in out[19..].iter_mut().zip([0.75, 0.90]) {
        let threshold = level * range + min;
        *o = (z.iter().filter(|&&v| v > threshold).count() as f64 / m) as f32;
    }

    let [p01, q1, q2, q3, p99] = quantiles(z);
    out[10..19].copy_from_slice(&[
        q1,
        q2,
        q3,
        q2 - q1,
        q3 - q2,
        q3 - q1,
        p01,
        p99,
        (p99 - p01).abs(),
    ]);
    out
}

/// Slope per frame and offset of the regression line.
fn regression(z: &[f32], mean: f64, first: f32) -> (f64, f64) {
    if z.len() == 1 {
        return (0.0, f64::from(first));
    }
    let m = z.len() as f64;
    let s1 = m * (m - 1.0) / 2.0;
    let s2 = m * (m - 1.0) * (2.0 * m - 1.0) / 6.0;
    let y = mean * m;
    let x = sum_by(z, |i, v| i * v);
    let offset = (y - x * s1 / s2) / (m - s1 * s1 / s2);
    ((x - offset * s1) / s2, offset)
}

fn finite(v: f64) -> f32 {
    if v.is_finite() { v as f32 } else { 0.0 }
}

/// Quantiles 0.01, 0.25, 0.50, 0.75, 0.99, linear between order statistics.
fn quantiles(z: &mut [f32]) -> [f32; 5] {
    let last = z.len() - 1;
    // (first order statistic, weights of it and of the next) by quantile
    let places = [0.01, 0.25, 0.50, 0.75, 0.99].map(|p| {
        let u = p * last as f64;
        let (below, above) = (libm::floor(u), libm::ceil(u));
        (below as usize, (above - u) as f32, (u - below) as f32)
    });
    let [p01, q1, median, q3, p99] = places.map(|(at, ..)| at);
    if z.len() < SELECT_FROM {
        z.sort_unstable_by(f32::total_cmp);
    } else {
        // the median first: the others lie in one half each, outside the two statistics that are in their places
        put_in_order(z, median, 0..last + 1);
        put_in_order(z, q1, 0..median);
        put_in_order(z, p01, 0..q1);
        put_in_order(z, q3, median + 2..last + 1);
        put_in_order(z, p99, q3 + 2..last + 1);
    }
    places.map(|(at, low, high)| {
        if low == 0.0 && high == 0.0 {
            z[at]
        } else {
            z[at] * low + z[at + 1] * high
        }
    })
}

/// Shorter contours are sorted; longer ones have room for the five pairs of statistics.
const SELECT_FROM: usize = 32;

/// Brings order statistics `at` and `at` + 1 of z to their places, given that those of `range` are among `z[range]`.
fn put_in_order(z: &mut [f32], at: usize, range: Range<usize>) {
    let (_, _, above) = z[range.clone()].select_nth_unstable_by(at - range.start, f32::total_cmp);
    // the next one is the least of those above
    let next = above
        .iter()
        .enumerate()
        .min_by(|a, b| a.1.total_cmp(b.1))
        .map(|(i, _)| i);
    if let Some(next) = next {
        above.swap(0, next);
    }
}
