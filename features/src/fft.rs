//! Real FFT of a zero-padded frame (SPEC section 4): positive exponent, unnormalised.
//!
//! A real transform of length N is a complex one of length N/2 (Stockham, radix 4, one radix-2 pass where needed) and a split.
//! Real and imaginary parts live in separate slices, so that every pass is a loop over contiguous floats.

use core::f64::consts::PI;

/// Floats of the twiddle table for real transforms up to length `fft` (3/4 of a circle, cosines then sines).
pub(crate) const fn table_len(fft: usize) -> usize {
    2 * (fft / 4 * 3)
}

/// Roots of unity `e^{2πit/N}`, t < 3N/4, computed in f64.
#[derive(Clone, Copy)]
pub(crate) struct Twiddles<'a> {
    size: usize,
    cos: &'a [f32],
    sin: &'a [f32],
}

/// Fills a table of [`table_len`] floats.
pub(crate) fn fill_table(size: usize, table: &mut [f32]) {
    let (cos, sin) = table.split_at_mut(size / 4 * 3);
    for (t, (c, s)) in cos.iter_mut().zip(sin).enumerate() {
        let angle = 2.0 * PI * t as f64 / size as f64;
        *c = libm::cos(angle) as f32;
        *s = libm::sin(angle) as f32;
    }
}

impl<'a> Twiddles<'a> {
    pub fn new(size: usize, table: &'a [f32]) -> Self {
        let (cos, sin) = table.split_at(size / 4 * 3);
        Self { size, cos, sin }
    }
}

/// Transforms the `fft` real values in `data` (`fft` a power of two ≥ 16, at most the table's size).
///
/// On return `re[k]`, `im[k]` hold bins 0..=fft/2. `data` is overwritten; `re` and `im` have at least fft/2 + 1 floats.
pub(crate) fn real_fft(twiddles: Twiddles<'_>, data: &mut [f32], re: &mut [f32], im: &mut [f32]) {
    let fft = data.len();
    let n = fft / 2;
    for ((pair, r), i) in data.chunks_exact(2).zip(re.iter_mut()).zip(im.iter_mut()) {
        *r = pair[0];
        *i = pair[1];
    }
    let (data_re, data_im) = data.split_at_mut(n);
    let in_data = complex_fft(twiddles, [&mut re[..n], &mut im[..n]], [data_re, data_im]);
    if !in_data {
        data_re.copy_from_slice(&re[..n]);
        data_im.copy_from_slice(&im[..n]);
    }
    split(twiddles, data_re, data_im, re, im);
}

/// Bins of the real transform from the complex transform of even (real part) and odd (imaginary part) samples.
fn split(twiddles: Twiddles<'_>, z_re: &[f32], z_im: &[f32], re: &mut [f32], im: &mut [f32]) {
    let n = z_re.len();
    let step = twiddles.size / (2 * n);
    re[0] = z_re[0] + z_im[0];
    im[0] = 0.0;
    re[n] = z_re[0] - z_im[0];
    im[n] = 0.0;
    for k in 1..=n / 2 {
        let (a, b, c, d) = (z_re[k], z_im[k], z_re[n - k], z_im[n - k]);
        let (even_re, even_im) = (0.5 * (a + c), 0.5 * (b - d));
        let (odd_re, odd_im) = (0.5 * (b + d), 0.5 * (c - a));
        let (w_re, w_im) = (twiddles.cos[k * step], twiddles.sin[k * step]);
        let t_re = odd_re * w_re - odd_im * w_im;
        let t_im = odd_re * w_im + odd_im * w_re;
        re[k] = even_re + t_re;
        im[k] = even_im + t_im;
        re[n - k] = even_re - t_re;
        im[n - k] = t_im - even_im;
    }
}

/// Complex transform, in place or into `other`: returns whether the result lies in `other`.
fn complex_fft(twiddles: Twiddles<'_>, data: [&mut [f32]; 2], other: [&mut [f32]; 2]) -> bool {
    let n = data[0].len();
    let [mut x_re, mut x_im] = data;
    let [mut y_re, mut y_im] = other;
    let mut swapped = false;
    let mut stride = 1;
    let mut length = n;
    while length >= 4 {
        radix4(twiddles, length, stride, (x_re, x_im), (y_re, y_im));
        (x_re, x_im, y_re, y_im) = (y_re, y_im, x_re, x_im);
        swapped = !swapped;
        length /= 4;
        stride *= 4;
    }
    if length == 2 {
        for (x, y) in [(x_re, y_re), (x_im, y_im)] {
            let (x0, x1) = x.split_at(stride);
            let (y0, y1) = y.split_at_mut(stride);
            for (((&a, &b), p), q) in x0.iter().zip(x1).zip(y0).zip(y1) {
                *p = a + b;
                *q = a - b;
            }
        }
        swapped = !swapped;
    }
    swapped
}

/// One Stockham pass: `length`/4 butterflies of four rows of `stride` values each.
fn radix4(
    twiddles: Twiddles<'_>,
    length: usize,
    stride: usize,
    x: (&[f32], &[f32]),
    y: (&mut [f32], &mut [f32]),
) {
    let quarter = length / 4;
    let step = twiddles.size / length;
    let row = quarter * stride;
    let rows = |v: &'_ [f32]| -> [core::ops::Range<usize>; 4] {
        debug_assert!(v.len() >= 4 * row);
        [0, 1, 2, 3].map(|i| i * row..(i + 1) * row)
    };
    let re = rows(x.0).map(|r| &x.0[r]);
    let im = rows(x.1).map(|r| &x.1[r]);
    for p in 0..quarter {
        let w = [p * step, 2 * p * step, 3 * p * step].map(|t| (twiddles.cos[t], twiddles.sin[t]));
        let at = p * stride..(p + 1) * stride;
        let [a_re, b_re, c_re, d_re] = [0, 1, 2, 3].map(|i| &re[i][at.clone()]);
        let [a_im, b_im, c_im, d_im] = [0, 1, 2, 3].map(|i| &im[i][at.clone()]);
        let out = 4 * p * stride..4 * (p + 1) * stride;
        let (p_re, q_re, r_re, s_re) = quarters(&mut y.0[out.clone()], stride);
        let (p_im, q_im, r_im, s_im) = quarters(&mut y.1[out], stride);
        for i in 0..stride {
            let (ac_re, ac_im) = (a_re[i] + c_re[i], a_im[i] + c_im[i]);
            let (am_re, am_im) = (a_re[i] - c_re[i], a_im[i] - c_im[i]);
            let (bd_re, bd_im) = (b_re[i] + d_re[i], b_im[i] + d_im[i]);
            // j·(b − d)
            let (jb_re, jb_im) = (d_im[i] - b_im[i], b_re[i] - d_re[i]);
            p_re[i] = ac_re + bd_re;
            p_im[i] = ac_im + bd_im;
            (q_re[i], q_im[i]) = times(w[0], am_re + jb_re, am_im + jb_im);
            (r_re[i], r_im[i]) = times(w[1], ac_re - bd_re, ac_im - bd_im);
            (s_re[i], s_im[i]) = times(w[2], am_re - jb_re, am_im - jb_im);
        }
    }
}

/// Complex product.
#[inline(always)]
fn times((c, s): (f32, f32), re: f32, im: f32) -> (f32, f32) {
    (re * c - im * s, re * s + im * c)
}

/// Four equal rows of a slice.
#[inline(always)]
fn quarters(v: &mut [f32], stride: usize) -> (&mut [f32], &mut [f32], &mut [f32], &mut [f32]) {
    let (ab, cd) = v.split_at_mut(2 * stride);
    let (a, b) = ab.split_at_mut(stride);
    let (c, d) = cd.split_at_mut(stride);
    (a, b, c, d)
}

/// Magnitudes of bins: `mag = sqrt(re² + im²)`.
pub(crate) fn magnitude(re: &[f32], im: &[f32], mag: &mut [f32]) {
    for ((m, &r), &i) in mag.iter_mut().zip(re).zip(im) {
        *m = libm::sqrtf(r * r + i * i);
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn equals_the_definition() {
        for size in [64, 128, 512, 1024, 2048] {
            let mut table = vec![0.0; table_len(size)];
            fill_table(size, &mut table);
            for fft in [size, size / 2] {
                let mut seed = 1u32;
                let x: Vec<f32> = (0..fft)
                    .map(|_| {
                        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        (seed >> 8) as f32 / (1 << 23) as f32 - 1.0
                    })
                    .collect();
                let mut data = x.clone();
                let (mut re, mut im) = (vec![0.0; fft / 2 + 1], vec![0.0; fft / 2 + 1]);
                real_fft(Twiddles::new(size, &table), &mut data, &mut re, &mut im);
                let mut worst = 0.0f64;
                for k in 0..=fft / 2 {
                    let (mut er, mut ei) = (0.0, 0.0);
                    for (j, &v) in x.iter().enumerate() {
                        let angle = 2.0 * PI * ((j * k) % fft) as f64 / fft as f64;
                        er += f64::from(v) * angle.cos();
                        ei += f64::from(v) * angle.sin();
                    }
                    worst = worst
                        .max((er - f64::from(re[k])).abs())
                        .max((ei - f64::from(im[k])).abs());
                }
                // the transform of unit noise is about sqrt(N/3) per bin
                assert!(worst < 1e-6 * (fft as f64).sqrt(), "size {fft}: {worst:e}");
            }
        }
    }
}
