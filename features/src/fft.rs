//! Real FFT of a zero-padded frame (SPEC section 4): positive exponent, unnormalised, f32.
//!
//! LSP, and voicing of frames that hold a few non-zero samples only, depend on the rounding errors of the transform. So its operation order is the one
//! that SPEC section 4 names: split radix, with the twiddles of the frequencies 4k + 2 deferred to the next pass. In formulas, with
//! a block of m values in quarters a₀ … a₃ (index j < m/4) and e(x) = exp(2πi·x):
//!
//! * a *plain* block is to become its DFT: quarters (a₀+a₂)+(a₁+a₃), (a₀+a₂)−(a₁+a₃), e(j/m)·((a₀−a₂)+i(a₁−a₃)), e(3j/m)·((a₀−a₂)−i(a₁−a₃));
//!   the second is then a shifted block, the others are plain.
//! * a *shifted* block is to become the DFT of e(j/2m)·a: quarters u+v, u−v, s+t, s−t with u = e(j/2m)·(a₀+i·a₂), v = e(j/2m+1/8)·(a₁+i·a₃),
//!   s = e(3j/2m)·(a₀−i·a₂), t = e(3j/2m+3/8)·(a₁−i·a₃); the second and the fourth are then shifted blocks.
//!
//! Rotations by 1/8 and 3/8 of a circle add before they scale. The first pass takes every other twiddle from the sum of its neighbours.

use crate::lanes::{self, LANES, Vector};
use crate::passes::{self, Pass};
use crate::twiddles::Twiddles;

/// Transform of real frames of one length. Its tables live in the caller's memory.
#[derive(Clone, Debug)]
pub(crate) struct RealFft {
    /// Complex points: half the frame.
    points: usize,
    twiddles: Twiddles,
}

impl RealFft {
    /// Floats of the tables for frames of `size` samples (a power of two ≥ 256).
    pub const fn table_len(size: usize) -> usize {
        let points = size / 2;
        // first pass, split
        let mut len = points + points;
        let mut m = points / 4;
        while m > 16 {
            // plain and shifted blocks
            len += 3 * m;
            m /= 4;
        }
        len
    }

    /// Fills `table` ([`table_len`](Self::table_len) floats).
    pub fn new(size: usize, table: &mut [f32]) -> Self {
        let points = size / 2;
        let twiddles = Twiddles::new(points);
        let (first, mut rest) = table.split_at_mut(points);
        twiddles.fill_first(first);
        let mut m = points / 4;
        while m > 16 {
            let (plain, later) = rest.split_at_mut(m);
            twiddles.fill_plain(points / (2 * m), plain);
            let (shifted, later) = later.split_at_mut(2 * m);
            twiddles.fill_shifted(points / (4 * m), shifted);
            rest = later;
            m /= 4;
        }
        twiddles.fill_split(rest);
        Self { points, twiddles }
    }

    /// Transforms the frame in `data` (overwritten). On return `re[k]`, `im[k]` hold bins 0..=size/2, `mag[k]` their magnitudes.
    pub fn apply(
        &self,
        table: &[f32],
        data: &mut [f32],
        re: &mut [f32],
        im: &mut [f32],
        mag: &mut [f32],
    ) {
        let n = self.points;
        let (a, b) = (
            lanes::vectors_mut(&mut re[..n]),
            lanes::vectors_mut(&mut im[..n]),
        );
        let diagonal = self.twiddles.diagonal;
        let (first, mut rest) = table.split_at(n);
        passes::first(diagonal, rows(first), data, a, b);
        let mut m = n / 4;
        while m > 16 {
            let (plain, later) = rest.split_at(m);
            let (shifted, later) = later.split_at(2 * m);
            let pass = Pass {
                diagonal,
                plain: rows(plain),
                shifted: rows(shifted),
            };
            if m == 32 {
                pass.apply_short::<8>(a, b);
            } else {
                pass.apply(m / LANES, a, b);
            }
            rest = later;
            m /= 4;
        }
        let (out_re, out_im) = data.split_at_mut(n);
        if m == 16 {
            let (plain, shifted) = self.twiddles.sixteen();
            let pass = Pass {
                diagonal,
                plain: &[plain],
                shifted: &[shifted],
            };
            pass.apply_short::<4>(a, b);
            passes::last_fours(diagonal, a, b, out_re, out_im);
        } else {
            passes::last_eights(diagonal, self.twiddles.sixteenth[1], a, b, out_re, out_im);
        }
        passes::split(rows(rest), out_re, out_im, [re, im, mag]);
    }
}

/// Rows of a table, one for each [`LANES`] columns.
fn rows<const N: usize>(table: &[f32]) -> &[[Vector; N]] {
    lanes::vectors(table).as_chunks().0
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn equals_the_definition() {
        for size in [256, 512, 1024, 2048, 4096] {
            let mut table = vec![0.0; RealFft::table_len(size)];
            let fft = RealFft::new(size, &mut table);
            let mut seed = 1u32;
            let x: Vec<f32> = (0..size)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (seed >> 8) as f32 / (1 << 23) as f32 - 1.0
                })
                .collect();
            let mut data = x.clone();
            let (mut re, mut im) = (vec![0.0; size / 2 + 1], vec![0.0; size / 2 + 1]);
            let mut mag = vec![0.0; size / 2 + 1];
            fft.apply(&table, &mut data, &mut re, &mut im, &mut mag);
            let mut worst = 0.0f64;
            for k in 0..=size / 2 {
                let (mut er, mut ei) = (0.0, 0.0);
                for (j, &v) in x.iter().enumerate() {
                    let angle = core::f64::consts::TAU * ((j * k) % size) as f64 / size as f64;
                    er += f64::from(v) * angle.cos();
                    ei += f64::from(v) * angle.sin();
                }
                worst = worst
                    .max((er - f64::from(re[k])).abs())
                    .max((ei - f64::from(im[k])).abs());
            }
            // the transform of this noise is about sqrt(N/3) per bin
            assert!(
                worst < 1e-6 * (size as f64).sqrt(),
                "size {size}: {worst:e}"
            );
        }
    }
}
