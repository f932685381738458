//! Power spectrum and autocorrelation of a frame: a plain radix-2 transform in a kilobyte of tables.
//!
//! The extractor's transform is bound to its large tables in the caller's memory; this one is small and as exact as the detector needs.

use core::f32::consts::TAU;

/// Longest transform, in real samples.
pub(super) const MOST: usize = 512;
const HALF: usize = MOST / 2;
const QUARTER: usize = MOST / 4;

#[derive(Debug, Clone)]
pub(super) struct Fft {
    /// Real samples: 256 or 512.
    size: usize,
    /// cos(2πk/512) over half of the circle.
    cosines: [f32; HALF + 1],
}

impl Fft {
    pub fn new(size: usize) -> Self {
        debug_assert!(size.is_power_of_two() && (8..=MOST).contains(&size));
        let mut cosines = [0.0; HALF + 1];
        for (k, c) in cosines.iter_mut().enumerate() {
            *c = libm::cosf(TAU * k as f32 / MOST as f32);
        }
        cosines[QUARTER] = 0.0;
        Self { size, cosines }
    }

    pub fn size(&self) -> usize {
        self.size
    }

    /// exp(-2πi·k/512) for k up to half of the circle.
    fn turn(&self, k: usize) -> (f32, f32) {
        (self.cosines[k], -self.cosines[k.abs_diff(QUARTER)])
    }

    /// Calls `put` with each bin, 0 to size/2, of the transform of the `size` real samples in `data`, which are overwritten.
    pub fn apply(&self, data: &mut [f32; MOST], mut put: impl FnMut(usize, f32, f32)) {
        let n = self.size / 2;
        self.complex(&mut data[..2 * n]);
        // Samples 2j and 2j+1 stood for a complex one: their spectra are the even and odd parts.
        let step = MOST / self.size;
        for k in 0..=n / 2 {
            let (a, b) = (k % n, (n - k) % n);
            let (ar, ai) = (data[2 * a], data[2 * a + 1]);
            let (br, bi) = (data[2 * b], data[2 * b + 1]);
            let (er, ei) = (0.5 * (ar + br), 0.5 * (ai - bi));
            let (or, oi) = (0.5 * (ai + bi), 0.5 * (br - ar));
            let (c, s) = self.turn(k * step);
            let (tr, ti) = (or * c - oi * s, or * s + oi * c);
            put(k, er + tr, ei + ti);
            if n - k != k {
                put(n - k, er - tr, ti - ei);
            }
        }
    }

    /// The complex transform, in place; `data`: real and imaginary parts in turn.
    fn complex(&self, data: &mut [f32]) {
        let n = data.len() / 2;
        let mut j = 0;
        for i in 1..n {
            let mut bit = n / 2;
            while j & bit != 0 {
                j ^= bit;
                bit /= 2;
            }
            j |= bit;
            if i < j {
                data.swap(2 * i, 2 * j);
                data.swap(2 * i + 1, 2 * j + 1);
            }
        }
        // The first two passes need no products.
        for [ar, ai, br, bi, cr, ci, dr, di] in data.as_chunks_mut::<8>().0 {
            let (sr, si, tr, ti) = (*ar + *br, *ai + *bi, *ar - *br, *ai - *bi);
            let (ur, ui, vr, vi) = (*cr + *dr, *ci + *di, *cr - *dr, *ci - *di);
            (*ar, *ai, *cr, *ci) = (sr + ur, si + ui, sr - ur, si - ui);
            (*br, *bi, *dr, *di) = (tr + vi, ti - vr, tr - vi, ti + vr);
        }
        let mut half = 4;
        while half < n {
            let step = MOST / (2 * half);
            for block in data.chunks_exact_mut(4 * half) {
                let (low, high) = block.split_at_mut(2 * half);
                let (low, high) = (low.as_chunks_mut::<2>().0, high.as_chunks_mut::<2>().0);
                for (k, (a, b)) in low.iter_mut().zip(high).enumerate() {
                    let (c, s) = self.turn(k * step);
                    let (tr, ti) = (b[0] * c - b[1] * s, b[0] * s + b[1] * c);
                    *b = [a[0] - tr, a[1] - ti];
                    *a = [a[0] + tr, a[1] + ti];
                }
            }
            half *= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn equals_the_definition() {
        for size in [256, 512] {
            let fft = Fft::new(size);
            let mut data = [0.0; MOST];
            let mut seed = 1_u32;
            for v in &mut data[..size] {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *v = (seed >> 8) as f32 / 8_388_608.0 - 1.0;
            }
            let given = data;
            let mut seen = 0;
            fft.apply(&mut data, |k, re, im| {
                let (mut r, mut i) = (0.0, 0.0);
                for (j, &v) in given[..size].iter().enumerate() {
                    let angle = std::f64::consts::TAU * ((j * k) % size) as f64 / size as f64;
                    r += f64::from(v) * angle.cos();
                    i -= f64::from(v) * angle.sin();
                }
                assert!((r - f64::from(re)).abs() < 1e-4, "{size} {k}: {r} {re}");
                assert!((i - f64::from(im)).abs() < 1e-4, "{size} {k}: {i} {im}");
                seen += 1;
            });
            assert_eq!(seen, size / 2 + 1);
        }
    }
}
