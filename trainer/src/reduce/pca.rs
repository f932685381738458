//! Principal components by subspace iteration on the smaller of covariance and Gram matrix.

use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::{ReduceError, check};
use crate::classify::svm::hex;
use crate::data::stream;
use crate::gram::{centred, column_means, inner_products};
use crate::simd::vectorised;

/// Vectors iterated beyond those asked for, at least: the iteration gains by the gap behind the last of them.
const EXTRA: usize = 15;
/// Products between two orthonormalisations.
const STEPS: usize = 4;
/// Rounds of [`STEPS`] products.
const ROUNDS: usize = 500;
/// A vector has settled when ‖A u - λ u‖ is below this share of the largest eigenvalue.
const SETTLED: f64 = 1e-6;

/// A fitted projection to the directions of largest variance.
#[derive(Clone, Debug)]
pub struct Pca {
    width: usize,
    means: Vec<f64>,
    /// `[components, width]`, orthonormal rows; in each the entry of largest magnitude is positive.
    components: Vec<f64>,
    variance: Vec<f64>,
    ratio: Vec<f64>,
}

impl Pca {
    /// The first `components` principal components of `x`, `[rows, width]` row-major.
    ///
    /// The products of rows are taken in f32, all else in f64. The start vectors come from a fixed seed: equal rows give equal components.
    ///
    /// # Errors
    /// Values that are no rows or not finite, more components than rows or features, no convergence, a failure of the backend.
    pub fn fit(x: &[f32], width: usize, components: usize) -> Result<Self, ReduceError> {
        let n = check(x, width, 2)?;
        let most = width.min(n);
        if components == 0 || components > most {
            return Err(ReduceError::Dimensions {
                wanted: components,
                rows: n,
                width,
                most,
            });
        }
        let means = column_means(x, width);
        let x = centred(x, &means);
        let freedom = (n - 1) as f64;
        let wide = width > n;
        // Rows of `a` are what inner products are taken between: columns of x, or its rows where these are fewer.
        let (a, length) = if wide {
            (x.clone(), width)
        } else {
            (transposed(&x, width), n)
        };
        let size = most;
        let matrix: Vec<f64> = products(&a, length, size)?;
        let total: f64 = (0..size).map(|i| matrix[i * size + i]).sum();
        let (values, vectors) = largest_eigenpairs(&matrix, size, components)?;
        let mut out = if wide {
            // u of x xᵀ gives the direction xᵀ u.
            vectors
                .par_chunks_exact(size)
                .map(|u| {
                    let mut direction = vec![0.0f64; width];
                    for (row, &u) in x.chunks_exact(width).zip(u) {
                        for (d, v) in direction.iter_mut().zip(row) {
                            *d += u * f64::from(*v);
                        }
                    }
                    direction
                })
                .collect::<Vec<_>>()
                .concat()
        } else {
            vectors
        };
        orthonormalise(&mut out, width);
        for component in out.chunks_exact_mut(width) {
            let mut peak = 0.0f64;
            for v in component.iter() {
                if v.abs() > peak.abs() {
                    peak = *v;
                }
            }
            if peak < 0.0 {
                component.iter_mut().for_each(|v| *v = -*v);
            }
        }
        Ok(Self {
            width,
            means,
            components: out,
            variance: values.iter().map(|l| l.max(0.0) / freedom).collect(),
            ratio: values
                .iter()
                .map(|l| if total > 0.0 { l.max(0.0) / total } else { 0.0 })
                .collect(),
        })
    }

    /// Coordinates of the rows of `x`, `[rows, components]`.
    ///
    /// # Errors
    /// Values that are no whole rows or not finite.
    pub fn transform(&self, x: &[f32]) -> Result<Vec<f32>, ReduceError> {
        check(x, self.width, 0)?;
        let rows: Vec<Vec<f32>> = x
            .par_chunks_exact(self.width)
            .map(|row| {
                let centred: Vec<f64> = row
                    .iter()
                    .zip(&self.means)
                    .map(|(v, m)| f64::from(*v) - m)
                    .collect();
                vectorised(|| {
                    self.components
                        .chunks_exact(self.width)
                        .map(|c| dot(&centred, c) as f32)
                        .collect()
                })
            })
            .collect();
        Ok(rows.concat())
    }

    /// Number of components.
    pub fn components(&self) -> usize {
        self.variance.len()
    }

    /// Variance along each component (n - 1).
    pub fn explained_variance(&self) -> &[f64] {
        &self.variance
    }

    /// Share of each component in the variance of all features.
    pub fn explained_variance_ratio(&self) -> &[f64] {
        &self.ratio
    }

    /// SHA-256 over means and components.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(format!("pca {} {}", self.width, self.components()));
        for v in self.means.iter().chain(&self.components) {
            hash.update(v.to_le_bytes());
        }
        hex(&hash.finalize())
    }
}

fn transposed(x: &[f32], width: usize) -> Vec<f32> {
    let n = x.len() / width;
    let mut out = vec![0.0; x.len()];
    for (i, row) in x.chunks_exact(width).enumerate() {
        for (j, v) in row.iter().enumerate() {
            out[j * n + i] = *v;
        }
    }
    out
}

/// a aᵀ of `a`, `[size, length]`; sums over more than 512 products are taken in f64.
fn products(a: &[f32], length: usize, size: usize) -> Result<Vec<f64>, ReduceError> {
    const AT_ONCE: usize = 512;
    let mut out = vec![0.0f64; size * size];
    for start in (0..length).step_by(AT_ONCE) {
        let end = (start + AT_ONCE).min(length);
        let part: Vec<f32> = a
            .chunks_exact(length)
            .flat_map(|row| &row[start..end])
            .copied()
            .collect();
        let part = inner_products(&part, &part, end - start)?;
        for (o, p) in out.iter_mut().zip(part) {
            *o += f64::from(p);
        }
    }
    // The product may round the two halves differently.
    for i in 0..size {
        for j in 0..i {
            out[i * size + j] = out[j * size + i];
        }
    }
    Ok(out)
}

#[inline(always)]
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0f64; 8];
    for (a, b) in a.iter().zip(b) {
        for k in 0..8 {
            sums[k] += a[k] * b[k];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

/// Gram-Schmidt, twice, on rows of `width`; a row that depends on those before it becomes a unit vector orthogonal to them.
fn orthonormalise(rows: &mut [f64], width: usize) {
    let count = rows.len() / width;
    for i in 0..count {
        let (before, from) = rows.split_at_mut(i * width);
        let row = &mut from[..width];
        let mut spare = 0;
        loop {
            let length = vectorised(|| dot(row, row)).sqrt();
            for _ in 0..2 {
                for other in before.chunks_exact(width) {
                    vectorised(|| {
                        let share = dot(row, other);
                        for (r, o) in row.iter_mut().zip(other) {
                            *r -= share * o;
                        }
                    });
                }
            }
            let left = vectorised(|| dot(row, row)).sqrt();
            if left > 1e-12 * length && left > f64::MIN_POSITIVE {
                row.iter_mut().for_each(|r| *r /= left);
                break;
            }
            if spare == width {
                // More rows than dimensions: nothing orthogonal is left.
                row.fill(0.0);
                break;
            }
            row.fill(0.0);
            row[spare] = 1.0;
            spare += 1;
        }
    }
}

/// The `wanted` largest eigenvalues, falling, of a symmetric positive semidefinite matrix, and their vectors as rows.
fn largest_eigenpairs(
    matrix: &[f64],
    size: usize,
    wanted: usize,
) -> Result<(Vec<f64>, Vec<f64>), ReduceError> {
    let block = (wanted + wanted.max(EXTRA)).min(size);
    let mut rng = stream(0, "pca start", size);
    let mut q: Vec<f64> = (0..block * size)
        .map(|_| StandardNormal.sample(&mut rng))
        .collect();
    orthonormalise(&mut q, size);
    for _ in 0..ROUNDS {
        for _ in 0..STEPS - 1 {
            q = multiply(matrix, &q, size);
            // Powers of the largest eigenvalue must not drown the others.
            orthonormalise(&mut q, size);
        }
        let images = multiply(matrix, &q, size);
        // Rayleigh-Ritz: the eigenpairs of the matrix within the span.
        let mut small = vec![0.0; block * block];
        for i in 0..block {
            for j in 0..=i {
                let (a, b) = (
                    &q[i * size..(i + 1) * size],
                    &images[j * size..(j + 1) * size],
                );
                let product = vectorised(|| dot(a, b));
                small[i * block + j] = product;
                small[j * block + i] = product;
            }
        }
        let (values, turn) = jacobi(small, block);
        let rotated = |rows: &[f64]| {
            let turned: Vec<Vec<f64>> = turn
                .par_chunks_exact(block)
                .map(|turn| {
                    let mut out = vec![0.0; size];
                    for (row, t) in rows.chunks_exact(size).zip(turn) {
                        for (o, r) in out.iter_mut().zip(row) {
                            *o += t * r;
                        }
                    }
                    out
                })
                .collect();
            turned.concat()
        };
        let (vectors, images) = (rotated(&q), rotated(&images));
        let limit = SETTLED * values[0].abs();
        let settled = (0..wanted).all(|k| {
            let at = k * size..(k + 1) * size;
            let error: f64 = images[at.clone()]
                .iter()
                .zip(&vectors[at])
                .map(|(i, v)| (i - values[k] * v).powi(2))
                .sum();
            error.sqrt() <= limit
        });
        if settled {
            return Ok((values[..wanted].to_vec(), vectors[..wanted * size].to_vec()));
        }
        q = images;
        orthonormalise(&mut q, size);
    }
    Err(ReduceError::Unsettled(ROUNDS * STEPS))
}

/// Rows of `q` times the symmetric `matrix`.
fn multiply(matrix: &[f64], q: &[f64], size: usize) -> Vec<f64> {
    let count = q.len() / size;
    // Column-wise results first: each row of the matrix is read once for all vectors.
    let columns: Vec<f64> = matrix
        .par_chunks_exact(size)
        .flat_map_iter(|row| {
            vectorised(|| {
                q.chunks_exact(size)
                    .map(|v| dot(row, v))
                    .collect::<Vec<f64>>()
            })
        })
        .collect();
    let mut out = vec![0.0; q.len()];
    for (i, products) in columns.chunks_exact(count).enumerate() {
        for (k, p) in products.iter().enumerate() {
            out[k * size + i] = *p;
        }
    }
    out
}

/// Eigenvalues, falling, and eigenvectors (rows) of a small symmetric matrix by cyclic Jacobi rotations.
fn jacobi(mut a: Vec<f64>, n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut v = vec![0.0; n * n];
    for i in 0..n {
        v[i * n + i] = 1.0;
    }
    let scale: f64 = a.iter().map(|x| x * x).sum();
    for _ in 0..60 {
        let off: f64 = (0..n)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .map(|(i, j)| a[i * n + j].powi(2))
            .sum();
        if off <= 1e-30 * scale {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                let apq = a[p * n + q];
                if apq == 0.0 {
                    continue;
                }
                let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * apq);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                for k in 0..n {
                    let (x, y) = (a[p * n + k], a[q * n + k]);
                    a[p * n + k] = c * x - s * y;
                    a[q * n + k] = s * x + c * y;
                }
                for k in 0..n {
                    let (x, y) = (a[k * n + p], a[k * n + q]);
                    a[k * n + p] = c * x - s * y;
                    a[k * n + q] = s * x + c * y;
                    let (x, y) = (v[p * n + k], v[q * n + k]);
                    v[p * n + k] = c * x - s * y;
                    v[q * n + k] = s * x + c * y;
                }
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[j * n + j].total_cmp(&a[i * n + i]));
    let values = order.iter().map(|&i| a[i * n + i]).collect();
    let vectors = order
        .iter()
        .flat_map(|&i| v[i * n..(i + 1) * n].iter().copied())
        .collect();
    (values, vectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(n: usize, width: usize) -> Vec<f32> {
        // Directions of falling variance, mixed by a fixed rotation-like sum.
        let mut rng = stream(3, "pca test", n);
        let mut out = Vec::new();
        for _ in 0..n {
            let z: Vec<f32> = (0..width)
                .map(|k| {
                    let z: f32 = StandardNormal.sample(&mut rng);
                    z * 10.0 / (k + 1) as f32
                })
                .collect();
            for j in 0..width {
                let sum: f32 = (0..width)
                    .map(|k| z[k] * ((j * k) as f32 * 0.7 + k as f32).cos())
                    .sum();
                out.push(sum + 5.0);
            }
        }
        out
    }

    fn check_fit(n: usize, width: usize, components: usize) {
        let x = rows(n, width);
        let pca = Pca::fit(&x, width, components).unwrap();
        let y = pca.transform(&x).unwrap();
        let means = column_means(&x, width);
        let total: f64 = x
            .chunks_exact(width)
            .flat_map(|r| {
                r.iter()
                    .zip(&means)
                    .map(|(v, m)| (f64::from(*v) - m).powi(2))
            })
            .sum::<f64>()
            / (n - 1) as f64;
        for a in 0..components {
            for b in 0..=a {
                let product: f64 = (0..n)
                    .map(|i| f64::from(y[i * components + a]) * f64::from(y[i * components + b]))
                    .sum::<f64>()
                    / (n - 1) as f64;
                let expected = if a == b {
                    pca.explained_variance()[a]
                } else {
                    0.0
                };
                let limit = 1e-4 * pca.explained_variance()[0];
                assert!(
                    (product - expected).abs() < limit,
                    "{a} {b}: {product} {expected}"
                );
            }
            let share = pca.explained_variance()[a] / total;
            assert!((pca.explained_variance_ratio()[a] - share).abs() < 1e-5);
        }
        let ratio = pca.explained_variance_ratio();
        assert!(ratio.windows(2).all(|w| w[0] >= w[1]) && ratio.iter().sum::<f64>() < 1.0 + 1e-6);
        assert_eq!(
            pca.digest(),
            Pca::fit(&x, width, components).unwrap().digest()
        );
    }

    #[test]
    fn coordinates_are_uncorrelated_and_carry_the_stated_variance() {
        check_fit(300, 12, 5);
        // More features than rows.
        check_fit(20, 60, 6);
    }

    #[test]
    fn the_direction_is_that_of_largest_variance_with_a_fixed_sign() {
        let x: Vec<f32> = (0..50)
            .flat_map(|i| [-3.0 * i as f32, 4.0 * i as f32])
            .collect();
        let pca = Pca::fit(&x, 2, 1).unwrap();
        assert!((pca.components[0] + 0.6).abs() < 1e-6 && (pca.components[1] - 0.8).abs() < 1e-6);
        assert!((pca.explained_variance_ratio()[0] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn constant_rows_and_bad_input() {
        let pca = Pca::fit(&[1.0; 20], 4, 2).unwrap();
        assert_eq!(pca.transform(&[1.0; 4]).unwrap(), [0.0, 0.0]);
        assert!(matches!(
            Pca::fit(&[1.0; 7], 4, 1),
            Err(ReduceError::Shape { .. })
        ));
        assert!(matches!(
            Pca::fit(&[1.0; 8], 4, 3),
            Err(ReduceError::Dimensions { most: 2, .. })
        ));
        let bad = Pca::fit(&[0.0, f32::NAN, 0.0, 1.0], 2, 1);
        assert!(matches!(
            bad,
            Err(ReduceError::Value {
                row: 0,
                column: 1,
                ..
            })
        ));
    }
}
