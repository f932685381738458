//! Loops compiled twice: for the instruction set that the build targets, and for AVX2 where the processor has it.
//!
//! Both run the same IEEE operations in the same order (no fused multiply-add is asked for), so that results do not depend on
//! which of the two a machine takes.

/// Lanes of the partial sums in [`dot`] and [`squared_distance`].
const LANES: usize = 16;

/// Runs `f` compiled for the widest instruction set that this processor has.
///
/// Only what is inlined into `f` gains: helpers that it calls need `#[inline(always)]`.
#[inline]
pub(crate) fn vectorised<R>(f: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = pulp::x86::V3::try_new() {
        return pulp::Simd::vectorize(avx2, f);
    }
    f()
}

/// Σ aᵢ bᵢ in [`LANES`] partial sums.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for k in 0..LANES {
            sums[k] += a[k] * b[k];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// Σ aᵢ bᵢ of kernel values and coefficients, in double precision.
#[inline(always)]
pub(crate) fn dot_wide(a: &[f32], b: &[f64]) -> f64 {
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0f64; 8];
    for (a, b) in a.iter().zip(b) {
        for k in 0..8 {
            sums[k] += f64::from(a[k]) * b[k];
        }
    }
    let rest: f64 = a_rest
        .iter()
        .zip(b_rest)
        .map(|(a, b)| f64::from(*a) * b)
        .sum();
    sums.iter().sum::<f64>() + rest
}

/// Σ (aᵢ - bᵢ)² in [`LANES`] partial sums.
#[inline(always)]
pub(crate) fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for k in 0..LANES {
            let d = a[k] - b[k];
            sums[k] += d * d;
        }
    }
    let rest: f32 = a_rest
        .iter()
        .zip(b_rest)
        .map(|(a, b)| (a - b) * (a - b))
        .sum();
    sums.iter().sum::<f32>() + rest
}

/// eˣ for x ≤ 0, to about one unit in the last place; below -87 the result is that of -87 (1.6e-38).
///
/// x = k ln 2 + r with |r| ≤ ln 2 / 2, and eʳ by its Taylor polynomial of degree 7 (relative error below 1e-8).
#[inline(always)]
pub(crate) fn exp_of_negative(x: f32) -> f32 {
    // ln 2 in two parts, the first with enough trailing zeros for k · part to be exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Adding and taking away 1.5 · 2²³ rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 0.0);
    let k = (x * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let r = x - k * LN2_HIGH - k * LN2_LOW;
    let mut p = 1.0 / 5040.0;
    for c in [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        p = p * r + c;
    }
    let power = f32::from_bits(((k as i32 + 127) as u32) << 23);
    p * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_right_to_the_last_bits() {
        for i in 0..=870_000 {
            let x = -1e-4 * i as f32;
            let exact = f64::from(x).exp();
            let relative = (f64::from(exp_of_negative(x)) - exact).abs() / exact;
            assert!(relative < 2.5e-7, "{x}: {relative:e}");
        }
        assert_eq!(exp_of_negative(0.0), 1.0);
        assert!(exp_of_negative(-1e9) < 2e-38);
    }

    #[test]
    fn both_instruction_sets_give_the_same_bits() {
        let a: Vec<f32> = (0..1001).map(|i| (i as f32 * 0.37).sin()).collect();
        let b: Vec<f32> = (0..1001).map(|i| (i as f32 * 0.71).cos()).collect();
        let all = || {
            (
                dot(&a, &b).to_bits(),
                squared_distance(&a, &b).to_bits(),
                exp_of_negative(-a[3].abs()).to_bits(),
            )
        };
        assert_eq!(vectorised(all), all());
        let exact: f64 = a
            .iter()
            .zip(&b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum();
        assert!((f64::from(dot(&a, &b)) - exact).abs() < 1e-4);
    }
}
