//! Windows of the two frame streams, and pre-emphasis (SPEC sections 5.2, 5.3, 6.1).

use core::f64::consts::PI;

/// Symmetric Hamming window, evaluated in f64.
pub(crate) fn hamming(table: &mut [f32]) {
    let last = (table.len() - 1) as f64;
    for (i, w) in table.iter_mut().enumerate() {
        *w = (0.54 - 0.46 * libm::cos(2.0 * PI * i as f64 / last)) as f32;
    }
}

/// Gaussian window with σ = a quarter of the half-width, evaluated in f64.
pub(crate) fn gauss(table: &mut [f32]) {
    let half = (table.len() - 1) as f64 / 2.0;
    for (i, w) in table.iter_mut().enumerate() {
        let x = (i as f64 - half) / (0.25 * half);
        *w = libm::exp(-0.5 * x * x) as f32;
    }
}

/// Factor of the pre-emphasis.
const EMPHASIS: f32 = 0.97;

/// Pre-emphasis inside the frame, then the window: `out[i] = (x[i] − 0.97·x[i−1])·w[i]`.
///
/// `frame`, `window` and `out` have the same length, at least 1.
pub(crate) fn emphasise_and_window(frame: &[f32], window: &[f32], out: &mut [f32]) {
    out[0] = (1.0 - EMPHASIS) * frame[0] * window[0];
    let tail = out[1..]
        .iter_mut()
        .zip(&frame[1..])
        .zip(frame)
        .zip(&window[1..]);
    for (((o, &x), &before), &w) in tail {
        *o = (x - EMPHASIS * before) * w;
    }
}

/// `out[i] = x[i]·w[i]`.
pub(crate) fn apply(frame: &[f32], window: &[f32], out: &mut [f32]) {
    for ((o, &x), &w) in out.iter_mut().zip(frame).zip(window) {
        *o = x * w;
    }
}
