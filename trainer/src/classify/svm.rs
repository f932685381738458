//! C-SVC with a linear or an RBF kernel, one machine for each pair of classes, with a weight for each row.
//!
//! The optimiser is in `svm_solver.rs`; the working sets, the tolerance and the order of rows and votes are those of LIBSVM as
//! scikit-learn's `SVC` calls it, so that predictions agree with it (the committed test and `ser-train bench svm` count them).

use rayon::prelude::*;
use sha2::{Digest, Sha256};

pub use super::svm_grid::{Grid, GridPoint, balance, grid_search, scale_gamma, soft_rows};
use super::svm_solver::{PairRows, RowCache, Solution, solve};
use crate::gram::{
    centred, column_means, gram, inner_products, own_squared_distances, squared_distances,
};
use crate::nn::BackendError;
use crate::simd::{dot_wide, exp_of_negative, vectorised};

/// Training rows up to which the kernel matrix is held (1 GiB); above, its rows are computed when needed.
pub(super) const MATRIX_ROWS: usize = 1 << 14;
/// Rows whose kernel values with the support vectors are computed at once.
const PREDICTED_AT_ONCE: usize = 1024;

/// Similarity of two rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kernel {
    /// xᵀ y.
    Linear,
    /// exp(-γ ‖x - y‖²).
    Rbf {
        /// γ, above 0.
        gamma: f64,
    },
}

/// Settings of [`Svm::fit`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SvmConfig {
    /// Similarity of rows.
    pub kernel: Kernel,
    /// C, the bound of a coefficient of a row of weight 1; above 0.
    pub c: f64,
    /// The iteration ends when no pair of rows violates the optimality conditions by this much (LIBSVM: 1e-3).
    pub tolerance: f64,
    /// Steps of one pair of classes after which the iteration is given up; see [`Svm::converged`].
    pub max_iterations: usize,
}

impl SvmConfig {
    /// Tolerance 1e-3 and ten million steps, as LIBSVM.
    pub fn new(kernel: Kernel, c: f64) -> Self {
        Self {
            kernel,
            c,
            tolerance: 1e-3,
            max_iterations: 10_000_000,
        }
    }
}

/// Why a machine cannot be trained or asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SvmError {
    /// Values, classes and weights do not belong to the same rows.
    #[error("{values} values are not {rows} rows of {width} features with {weights} weights")]
    Shape {
        /// Values handed in.
        values: usize,
        /// Classes handed in.
        rows: usize,
        /// Features of a row.
        width: usize,
        /// Weights handed in.
        weights: usize,
    },
    /// A value is infinite or not a number.
    #[error("row {row}, feature {column} is {value}; leave the row out or mend the feature")]
    Value {
        /// From 0.
        row: usize,
        /// From 0.
        column: usize,
        /// What stands there.
        value: f32,
    },
    /// A class that there is not.
    #[error("row {row} has class {class}, but there are {classes} classes")]
    Class {
        /// From 0.
        row: usize,
        /// Its class.
        class: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A weight that is negative or not finite.
    #[error("row {row} has weight {weight}; weights are finite and not negative")]
    Weight {
        /// From 0.
        row: usize,
        /// Its weight.
        weight: f64,
    },
    /// No row has a weight above 0.
    #[error("there is no row with a weight above 0 to learn from")]
    Empty,
    /// A setting outside its range.
    #[error("{name} = {value}: must be finite and above 0")]
    Setting {
        /// "C", "gamma", "tolerance".
        name: &'static str,
        /// What was given.
        value: f64,
    },
    /// A grid search without candidates or without validation rows.
    #[error("the grid search has no {0}")]
    Grid(&'static str),
    /// The backend failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// A trained classifier.
#[derive(Clone, Debug)]
pub struct Svm {
    width: usize,
    classes: usize,
    config: SvmConfig,
    /// Mean of the training rows, taken off every row: neither kernel's decision changes, f32 products are more exact.
    means: Vec<f64>,
    /// Centred support vectors, `[rows, width]`, class by class.
    support: Vec<f32>,
    machines: Machines,
}

/// The decision functions over rows sorted by class.
#[derive(Clone, Debug)]
pub(super) struct Machines {
    /// Classes that have rows, ascending.
    present: Vec<usize>,
    /// Where the rows of each present class start; one more entry than classes.
    starts: Vec<usize>,
    pairs: Vec<Pair>,
    converged: bool,
}

/// One machine; its classes are places in [`Machines::present`].
#[derive(Clone, Debug)]
struct Pair {
    first: usize,
    second: usize,
    /// Signed coefficients of all rows of the first and of the second class.
    beta: [Vec<f64>; 2],
    bias: f64,
}

impl Svm {
    /// Trains on `x`, `[rows, width]` row-major. Row `i` is of class `class[i]` and its coefficient is bounded by C · `weight[i]`;
    /// rows of weight 0 are left out. A class without rows is never predicted.
    ///
    /// # Errors
    /// Lengths, values, classes, weights or settings that cannot be used; the backend failed.
    pub fn fit(
        x: &[f32],
        width: usize,
        class: &[usize],
        weight: &[f64],
        classes: usize,
        config: &SvmConfig,
    ) -> Result<Self, SvmError> {
        check_config(config)?;
        let sorted = Sorted::new(x, width, class, weight, classes)?;
        let machines = if sorted.rows() > MATRIX_ROWS {
            sorted.solve_computed(config, None)
        } else {
            let mut matrix = sorted.products(config.kernel)?;
            apply_kernel(&mut matrix, config.kernel);
            sorted.solve_matrix(&matrix, config)
        };
        Ok(sorted.finish(machines, config))
    }

    /// The class of each row of `x`, `[rows, width]`: that with most votes, of equal ones the first.
    ///
    /// # Errors
    /// Values that are no whole rows or not finite; the backend failed.
    pub fn predict(&self, x: &[f32]) -> Result<Vec<usize>, SvmError> {
        self.each_row(x, |machines, row| machines.vote(row))
    }

    /// For each row and class, `[rows, classes]`: votes, and a share below 1/3 for the sum s of the class's decisions, s / (3 (|s| + 1)).
    ///
    /// The largest is that of [`predict`](Self::predict): where votes are equal and decisions would say otherwise, the predicted class is
    /// lifted just above. Classes without training rows have -1.
    ///
    /// # Errors
    /// As [`predict`](Self::predict).
    pub fn scores(&self, x: &[f32]) -> Result<Vec<f32>, SvmError> {
        let rows = self.each_row(x, |machines, row| machines.scores(row, self.classes))?;
        Ok(rows.concat())
    }

    /// The decision of each pair of classes that have training rows, pairs in the order (0, 1), (0, 2), …, for each row of `x`: positive for the
    /// first class of the pair. Not bounded.
    ///
    /// # Errors
    /// As [`predict`](Self::predict).
    pub fn decisions(&self, x: &[f32]) -> Result<Vec<Vec<f64>>, SvmError> {
        self.each_row(x, |machines, row| {
            vectorised(|| machines.decisions(row).map(|(_, d)| d).collect())
        })
    }

    fn each_row<T: Send>(
        &self,
        x: &[f32],
        judge: impl Fn(&Machines, &[f32]) -> T + Sync,
    ) -> Result<Vec<T>, SvmError> {
        let n = x.len().checked_div(self.width).unwrap_or(0);
        check_values(x, self.width, n, n)?;
        let mut out = Vec::with_capacity(n);
        for block in x.chunks((PREDICTED_AT_ONCE * self.width).max(1)) {
            let block = centred(block, &self.means);
            let mut k = match self.config.kernel {
                Kernel::Linear => inner_products(&block, &self.support, self.width)?,
                Kernel::Rbf { .. } => squared_distances(&block, &self.support, self.width)?,
            };
            apply_kernel(&mut k, self.config.kernel);
            let judged: Vec<T> = match self.support_vectors() {
                0 => (0..block.len() / self.width)
                    .map(|_| judge(&self.machines, &[]))
                    .collect(),
                s => k
                    .par_chunks_exact(s)
                    .map(|row| judge(&self.machines, row))
                    .collect(),
            };
            out.extend(judged);
        }
        Ok(out)
    }

    /// The settings.
    pub fn config(&self) -> &SvmConfig {
        &self.config
    }

    /// Number of training rows that a decision rests on.
    pub fn support_vectors(&self) -> usize {
        self.machines.starts.last().copied().unwrap_or(0)
    }

    /// Whether every pair of classes reached the tolerance within the allowed steps.
    pub fn converged(&self) -> bool {
        self.machines.converged
    }

    /// SHA-256 over settings, means, support vectors, coefficients and biases: equal for equal machines alone.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(format!("{:?} {} {}", self.config, self.width, self.classes));
        self.means.iter().for_each(|m| hash.update(m.to_le_bytes()));
        self.support
            .iter()
            .for_each(|v| hash.update(v.to_le_bytes()));
        let m = &self.machines;
        hash.update(format!("{:?} {:?}", m.present, m.starts));
        for pair in &m.pairs {
            for b in pair.beta.iter().flatten().chain([&pair.bias]) {
                hash.update(b.to_le_bytes());
            }
        }
        hex(&hash.finalize())
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

impl Machines {
    /// Σ β K + bias of each pair for one row of kernel values.
    fn decisions<'m>(&'m self, row: &'m [f32]) -> impl Iterator<Item = (&'m Pair, f64)> {
        self.pairs.iter().map(move |pair| {
            let part = |k: usize| &row[self.starts[k]..self.starts[k + 1]];
            let sum = dot_wide(part(pair.first), &pair.beta[0])
                + dot_wide(part(pair.second), &pair.beta[1]);
            (pair, sum + pair.bias)
        })
    }

    /// Votes and summed decisions of each present class.
    #[inline(always)]
    fn count(&self, row: &[f32]) -> Vec<(u32, f64)> {
        let mut votes = vec![(0, 0.0); self.present.len()];
        for (pair, decision) in self.decisions(row) {
            let winner = if decision > 0.0 {
                pair.first
            } else {
                pair.second
            };
            votes[winner].0 += 1;
            votes[pair.first].1 += decision;
            votes[pair.second].1 -= decision;
        }
        votes
    }

    pub(super) fn vote(&self, row: &[f32]) -> usize {
        self.present[winner(&vectorised(|| self.count(row)))]
    }

    fn scores(&self, row: &[f32], classes: usize) -> Vec<f32> {
        let votes = vectorised(|| self.count(row));
        let mut out = vec![-1.0f32; classes];
        for (&class, &(votes, sum)) in self.present.iter().zip(&votes) {
            out[class] = (f64::from(votes) + sum / (3.0 * (sum.abs() + 1.0))) as f32;
        }
        let predicted = self.present[winner(&votes)];
        for class in (0..classes).filter(|&c| c != predicted) {
            if out[class] >= out[predicted] {
                out[predicted] = out[class].next_up();
            }
        }
        out
    }
}

/// The first with the largest number of votes.
fn winner(votes: &[(u32, f64)]) -> usize {
    let mut best = 0;
    for (k, v) in votes.iter().enumerate() {
        if v.0 > votes[best].0 {
            best = k;
        }
    }
    best
}

/// Checked training rows, centred and in the order of their classes.
pub(super) struct Sorted {
    width: usize,
    classes: usize,
    pub(super) means: Vec<f64>,
    pub(super) x: Vec<f32>,
    weight: Vec<f64>,
    present: Vec<usize>,
    starts: Vec<usize>,
}

impl Sorted {
    pub(super) fn new(
        x: &[f32],
        width: usize,
        class: &[usize],
        weight: &[f64],
        classes: usize,
    ) -> Result<Self, SvmError> {
        check_values(x, width, class.len(), weight.len())?;
        if let Some(row) = class.iter().position(|&c| c >= classes) {
            return Err(SvmError::Class {
                row,
                class: class[row],
                classes,
            });
        }
        if let Some(row) = weight.iter().position(|w| !w.is_finite() || *w < 0.0) {
            return Err(SvmError::Weight {
                row,
                weight: weight[row],
            });
        }
        let mut order: Vec<usize> = (0..class.len()).filter(|&i| weight[i] > 0.0).collect();
        if order.is_empty() || width == 0 {
            return Err(SvmError::Empty);
        }
        order.sort_by_key(|&i| class[i]);
        let mut rows = Vec::with_capacity(order.len() * width);
        for &i in &order {
            rows.extend_from_slice(&x[i * width..(i + 1) * width]);
        }
        let means = column_means(&rows, width);
        let (mut present, mut starts) = (Vec::new(), Vec::new());
        for (place, &i) in order.iter().enumerate() {
            if present.last() != Some(&class[i]) {
                present.push(class[i]);
                starts.push(place);
            }
        }
        starts.push(order.len());
        Ok(Self {
            width,
            classes,
            x: centred(&rows, &means),
            means,
            weight: order.iter().map(|&i| weight[i]).collect(),
            present,
            starts,
        })
    }

    pub(super) fn rows(&self) -> usize {
        self.weight.len()
    }

    /// Inner products for the linear kernel, squared distances for the other.
    pub(super) fn products(&self, kernel: Kernel) -> Result<Vec<f32>, BackendError> {
        match kernel {
            Kernel::Linear => gram(&self.x, self.width),
            Kernel::Rbf { .. } => own_squared_distances(&self.x, self.width),
        }
    }

    fn class_rows(&self, k: usize) -> std::ops::Range<usize> {
        self.starts[k]..self.starts[k + 1]
    }

    pub(super) fn solve_matrix(&self, matrix: &[f32], config: &SvmConfig) -> Machines {
        self.solve(config, |first, second| {
            let part = |k: usize| (self.starts[k], self.class_rows(k).len());
            PairRows::Matrix {
                values: matrix,
                n: self.rows(),
                first: part(first),
                second: part(second),
            }
        })
    }

    pub(super) fn solve_computed(&self, config: &SvmConfig, limit: Option<usize>) -> Machines {
        let w = self.width;
        self.solve(config, |first, second| {
            let part = |k: usize| &self.x[self.starts[k] * w..self.starts[k + 1] * w];
            PairRows::Computed(RowCache::new(
                config.kernel,
                w,
                part(first),
                part(second),
                limit,
            ))
        })
    }

    fn solve<'k>(
        &self,
        config: &SvmConfig,
        rows: impl Fn(usize, usize) -> PairRows<'k> + Sync,
    ) -> Machines {
        let k = self.present.len();
        let pairs: Vec<(usize, usize)> = (0..k)
            .flat_map(|a| (a + 1..k).map(move |b| (a, b)))
            .collect();
        let solved: Vec<(Pair, bool)> = pairs
            .into_par_iter()
            .map(|(first, second)| {
                let c: Vec<f64> = self
                    .class_rows(first)
                    .chain(self.class_rows(second))
                    .map(|i| config.c * self.weight[i])
                    .collect();
                let Solution {
                    mut beta,
                    bias,
                    converged,
                } = solve(
                    rows(first, second),
                    &c,
                    config.tolerance,
                    config.max_iterations,
                );
                let of_second = beta.split_off(self.class_rows(first).len());
                let pair = Pair {
                    first,
                    second,
                    beta: [beta, of_second],
                    bias,
                };
                (pair, converged)
            })
            .collect();
        Machines {
            present: self.present.clone(),
            starts: self.starts.clone(),
            converged: solved.iter().all(|s| s.1),
            pairs: solved.into_iter().map(|s| s.0).collect(),
        }
    }

    /// Keeps the rows that have a coefficient.
    pub(super) fn finish(self, machines: Machines, config: &SvmConfig) -> Svm {
        let mut used = vec![false; self.rows()];
        for pair in &machines.pairs {
            for (k, beta) in [pair.first, pair.second].into_iter().zip(&pair.beta) {
                for (u, b) in used[self.starts[k]..].iter_mut().zip(beta) {
                    *u |= *b != 0.0;
                }
            }
        }
        let mut support = Vec::new();
        for (row, _) in self
            .x
            .chunks_exact(self.width)
            .zip(&used)
            .filter(|(_, u)| **u)
        {
            support.extend_from_slice(row);
        }
        let before = |i: usize| used[..i].iter().filter(|u| **u).count();
        let starts = self.starts.iter().map(|&s| before(s)).collect();
        let pairs = machines.pairs.into_iter().map(|pair| {
            let kept = |k: usize, beta: &[f64]| {
                let used = &used[self.starts[k]..];
                let both = beta.iter().zip(used).filter(|(_, u)| **u);
                both.map(|(b, _)| *b).collect()
            };
            Pair {
                beta: [
                    kept(pair.first, &pair.beta[0]),
                    kept(pair.second, &pair.beta[1]),
                ],
                ..pair
            }
        });
        Svm {
            width: self.width,
            classes: self.classes,
            config: *config,
            machines: Machines {
                present: machines.present,
                starts,
                pairs: pairs.collect(),
                converged: machines.converged,
            },
            means: self.means,
            support,
        }
    }
}

/// Turns squared distances into RBF kernel values; inner products are left as they are.
pub(super) fn apply_kernel(products: &mut [f32], kernel: Kernel) {
    if let Kernel::Rbf { gamma } = kernel {
        let factor = -gamma as f32;
        products.par_chunks_mut(1 << 14).for_each(|part| {
            vectorised(|| {
                part.iter_mut()
                    .for_each(|d| *d = exp_of_negative(factor * *d));
            });
        });
    }
}

pub(super) fn check_values(
    x: &[f32],
    width: usize,
    rows: usize,
    weights: usize,
) -> Result<(), SvmError> {
    if x.len() != rows * width || weights != rows {
        return Err(SvmError::Shape {
            values: x.len(),
            rows,
            width,
            weights,
        });
    }
    match x.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(at) => Err(SvmError::Value {
            row: at / width,
            column: at % width,
            value: x[at],
        }),
    }
}

pub(super) fn check_config(config: &SvmConfig) -> Result<(), SvmError> {
    let gamma = match config.kernel {
        Kernel::Linear => 1.0,
        Kernel::Rbf { gamma } => gamma,
    };
    for (name, value) in [
        ("C", config.c),
        ("tolerance", config.tolerance),
        ("gamma", gamma),
    ] {
        if !value.is_finite() || value <= 0.0 {
            return Err(SvmError::Setting { name, value });
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "svm_tests.rs"]
mod tests;
