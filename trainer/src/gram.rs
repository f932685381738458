//! Inner products and distances between all rows of two tables, by the CPU backend's matrix product.

use burn::tensor::Device;
use rayon::prelude::*;

use crate::nn::{BackendError, matrix, values};
use crate::simd::{dot, vectorised};

/// Rows of a symmetric product that are computed at once.
const BLOCK: usize = 1024;

/// a bᵀ for `a` `[m, width]` and `b` `[n, width]`: `[m, n]`, all row-major.
///
/// # Errors
/// The backend failed.
pub(crate) fn inner_products(a: &[f32], b: &[f32], width: usize) -> Result<Vec<f32>, BackendError> {
    let (m, n) = (rows(a, width), rows(b, width));
    if m == 0 || n == 0 {
        return Ok(Vec::new());
    }
    let device = Device::flex();
    let a = matrix(a.to_vec(), m, &device);
    let b = matrix(b.to_vec(), n, &device);
    values(a.matmul(b.transpose()))
}

/// x xᵀ for `x` `[n, width]`: `[n, n]`, exactly symmetric.
///
/// # Errors
/// The backend failed.
pub(crate) fn gram(x: &[f32], width: usize) -> Result<Vec<f32>, BackendError> {
    let n = rows(x, width);
    let mut out = vec![0.0f32; n * n];
    for start in (0..n).step_by(BLOCK) {
        let end = (start + BLOCK).min(n);
        let block = inner_products(&x[start * width..end * width], &x[..end * width], width)?;
        for (i, row) in block.chunks_exact(end).enumerate() {
            let i = start + i;
            out[i * n..i * n + i + 1].copy_from_slice(&row[..=i]);
        }
    }
    mirror(&mut out, n);
    Ok(out)
}

/// Copies the lower triangle to the upper one, tile by tile.
fn mirror(out: &mut [f32], n: usize) {
    const TILE: usize = 32;
    for row in (0..n).step_by(TILE) {
        for column in (0..=row).step_by(TILE) {
            for i in row..(row + TILE).min(n) {
                for j in column..(column + TILE).min(i) {
                    out[j * n + i] = out[i * n + j];
                }
            }
        }
    }
}

/// Squared norm of each row.
pub(crate) fn squared_norms(x: &[f32], width: usize) -> Vec<f32> {
    vectorised(|| x.chunks_exact(width.max(1)).map(|r| dot(r, r)).collect())
}

/// Turns inner products `[m, n]` into squared Euclidean distances in place; `a` and `b` are the squared norms.
pub(crate) fn to_squared_distances(products: &mut [f32], a: &[f32], b: &[f32]) {
    products
        .par_chunks_mut(b.len().max(1))
        .zip(a)
        .for_each(|(row, &norm)| {
            vectorised(|| {
                for (p, &other) in row.iter_mut().zip(b) {
                    *p = (norm + other - 2.0 * *p).max(0.0);
                }
            });
        });
}

/// Squared Euclidean distances between the rows of `a` and `b`, `[m, n]`.
///
/// Rows should be centred: what cancels is the size of their norms.
///
/// # Errors
/// The backend failed.
pub(crate) fn squared_distances(
    a: &[f32],
    b: &[f32],
    width: usize,
) -> Result<Vec<f32>, BackendError> {
    let mut out = inner_products(a, b, width)?;
    to_squared_distances(&mut out, &squared_norms(a, width), &squared_norms(b, width));
    Ok(out)
}

/// Squared Euclidean distances between all rows of `x`, `[n, n]`; exactly symmetric, with zeros on the diagonal.
///
/// # Errors
/// The backend failed.
pub(crate) fn own_squared_distances(x: &[f32], width: usize) -> Result<Vec<f32>, BackendError> {
    let n = rows(x, width);
    let mut out = gram(x, width)?;
    // The diagonal of the product itself, so that a row is at distance 0 from its copies.
    let norms: Vec<f32> = (0..n).map(|i| out[i * n + i]).collect();
    to_squared_distances(&mut out, &norms, &norms);
    for i in 0..n {
        out[i * n + i] = 0.0;
    }
    Ok(out)
}

/// Mean of each column, in double precision.
pub(crate) fn column_means(x: &[f32], width: usize) -> Vec<f64> {
    let n = rows(x, width).max(1) as f64;
    let mut sums = vec![0.0f64; width];
    for row in x.chunks_exact(width.max(1)) {
        for (s, v) in sums.iter_mut().zip(row) {
            *s += f64::from(*v);
        }
    }
    sums.into_iter().map(|s| s / n).collect()
}

/// The rows less `means`.
pub(crate) fn centred(x: &[f32], means: &[f64]) -> Vec<f32> {
    let mut out = Vec::with_capacity(x.len());
    for row in x.chunks_exact(means.len().max(1)) {
        out.extend(
            row.iter()
                .zip(means)
                .map(|(v, m)| (f64::from(*v) - m) as f32),
        );
    }
    out
}

/// Whole rows in `x`.
pub(crate) fn rows(x: &[f32], width: usize) -> usize {
    x.len().checked_div(width).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_and_distances_equal_the_definition() {
        let (n, width) = (1100, 3);
        let x: Vec<f32> = (0..n * width).map(|i| (i as f32 * 0.618).sin()).collect();
        let g = gram(&x, width).unwrap();
        let d = own_squared_distances(&x, width).unwrap();
        let e = squared_distances(&x[..6], &x, width).unwrap();
        for i in (0..n).step_by(97) {
            for j in (0..n).step_by(13) {
                let (a, b) = (&x[i * width..][..width], &x[j * width..][..width]);
                let product: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                let distance: f32 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
                assert!((g[i * n + j] - product).abs() < 1e-5, "{i} {j}");
                assert!((d[i * n + j] - distance).abs() < 1e-5, "{i} {j}");
                assert_eq!(d[i * n + j], d[j * n + i]);
            }
        }
        assert!(e.iter().zip(&d).all(|(a, b)| (a - b).abs() < 1e-5));
        assert!(inner_products(&[], &x, width).unwrap().is_empty());
    }
}
