//! Sums in f64 whose order of operations is fixed, whatever the machine's vector width.

/// Independent partial sums.
const LANES: usize = 8;

/// Σ f(i, zᵢ) in f64.
#[inline(always)]
pub(crate) fn sum_by(z: &[f32], f: impl Fn(f64, f64) -> f64) -> f64 {
    let mut partial = [0.0f64; LANES];
    let chunks = z.chunks_exact(LANES);
    let rest = chunks.remainder();
    let whole = z.len() - rest.len();
    for (c, chunk) in chunks.enumerate() {
        for (lane, (p, &v)) in partial.iter_mut().zip(chunk).enumerate() {
            *p += f((c * LANES + lane) as f64, f64::from(v));
        }
    }
    for (lane, (p, &v)) in partial.iter_mut().zip(rest).enumerate() {
        *p += f((whole + lane) as f64, f64::from(v));
    }
    let [a, b, c, d, e, f, g, h] = partial;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// Σ zᵢ in f64.
pub(crate) fn sum(z: &[f32]) -> f64 {
    sum_by(z, |_, v| v)
}
