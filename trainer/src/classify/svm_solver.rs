//! Sequential minimal optimisation of a two-class C-SVC.
//!
//! The dual in signed coefficients β = y α: maximise Σ yᵢ βᵢ - ½ βᵀ K β subject to Σ βᵢ = 0 and lowerᵢ ≤ βᵢ ≤ upperᵢ
//! ([0, Cᵢ] for the first class, [-Cᵢ, 0] for the second). v = y - K β is its gradient; each step moves βᵢ up and βⱼ down by
//! the same amount. i has the largest v of those that can go up, j promises the largest gain to second order of those that can go down
//! (Fan, Chen and Lin 2005, "Working set selection using second order information", WSS 2; of equal ones the last, as in LIBSVM,
//! so that the path of the iteration is LIBSVM's).

use std::collections::HashMap;
use std::sync::Arc;

use super::svm::Kernel;
use crate::simd::{dot, exp_of_negative, squared_distance, vectorised};

/// Curvature below which a pair of rows counts as this (the kernel is only semidefinite; two rows may be equal).
const LEAST_CURVATURE: f64 = 1e-12;
/// Rows scanned between two looks for the best so far.
const BLOCK: usize = 256;
/// Kernel values that a pair of classes keeps where the kernel matrix is too large to be held (256 MiB).
const CACHED_VALUES: usize = 64 << 20;

/// Kernel rows of the training rows of two classes.
pub(super) enum PairRows<'k> {
    /// Slices of a matrix `[n, n]` over all training rows.
    Matrix {
        /// Row-major.
        values: &'k [f32],
        /// Its size.
        n: usize,
        /// Start of the first class's rows and their number.
        first: (usize, usize),
        /// The same for the second class.
        second: (usize, usize),
    },
    /// Computed when asked for.
    Computed(RowCache<'k>),
}

/// The most recently used kernel rows.
pub(super) struct RowCache<'k> {
    kernel: Kernel,
    width: usize,
    first: &'k [f32],
    second: &'k [f32],
    capacity: usize,
    rows: HashMap<usize, (u64, Arc<[f32]>)>,
    clock: u64,
}

impl<'k> RowCache<'k> {
    /// Of rows `[n, width]` of two classes.
    pub(super) fn new(
        kernel: Kernel,
        width: usize,
        first: &'k [f32],
        second: &'k [f32],
        limit: Option<usize>,
    ) -> Self {
        let n = (first.len() + second.len()) / width.max(1);
        Self {
            kernel,
            width,
            first,
            second,
            capacity: limit.unwrap_or((CACHED_VALUES / n.max(1)).max(2)),
            rows: HashMap::new(),
            clock: 0,
        }
    }

    fn fetch(&mut self, i: usize) -> Arc<[f32]> {
        self.clock += 1;
        if let Some((used, row)) = self.rows.get_mut(&i) {
            *used = self.clock;
            return row.clone();
        }
        if self.rows.len() >= self.capacity {
            let oldest = self.rows.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(oldest) = oldest.map(|(&i, _)| i) {
                self.rows.remove(&oldest);
            }
        }
        let row = self.compute(i);
        self.rows.insert(i, (self.clock, row.clone()));
        row
    }

    fn row(&self, i: usize) -> &'k [f32] {
        let n = self.first.len() / self.width;
        if i < n {
            &self.first[i * self.width..(i + 1) * self.width]
        } else {
            &self.second[(i - n) * self.width..(i - n + 1) * self.width]
        }
    }

    fn compute(&self, i: usize) -> Arc<[f32]> {
        let x = self.row(i);
        let others = self
            .first
            .chunks_exact(self.width)
            .chain(self.second.chunks_exact(self.width));
        vectorised(|| match self.kernel {
            Kernel::Linear => others.map(|y| dot(x, y)).collect(),
            Kernel::Rbf { gamma } => others
                .map(|y| exp_of_negative(-gamma as f32 * squared_distance(x, y)))
                .collect(),
        })
    }
}

/// One row's kernel values with the first and with the second class.
enum Row<'k> {
    Slices(&'k [f32], &'k [f32]),
    Shared(Arc<[f32]>, usize),
}

impl Row<'_> {
    fn parts(&self) -> [&[f32]; 2] {
        match self {
            Self::Slices(first, second) => [first, second],
            Self::Shared(row, split) => {
                let (first, second) = row.split_at(*split);
                [first, second]
            }
        }
    }

    fn at(&self, i: usize) -> f64 {
        let [first, second] = self.parts();
        f64::from(if i < first.len() {
            first[i]
        } else {
            second[i - first.len()]
        })
    }
}

impl<'k> PairRows<'k> {
    /// Rows of the first class.
    fn split(&self) -> usize {
        match self {
            Self::Matrix { first, .. } => first.1,
            Self::Computed(cache) => cache.first.len() / cache.width.max(1),
        }
    }

    fn fetch(&mut self, i: usize) -> Row<'k> {
        match self {
            Self::Matrix {
                values,
                n,
                first,
                second,
            } => {
                let row = if i < first.1 {
                    first.0 + i
                } else {
                    second.0 + i - first.1
                };
                let values: &'k [f32] = values;
                let row = &values[row * *n..(row + 1) * *n];
                Row::Slices(
                    &row[first.0..first.0 + first.1],
                    &row[second.0..second.0 + second.1],
                )
            }
            Self::Computed(cache) => {
                let split = cache.first.len() / cache.width.max(1);
                Row::Shared(cache.fetch(i), split)
            }
        }
    }

    /// K(xᵢ, xᵢ) of every row.
    fn diagonal(&self) -> Vec<f64> {
        match self {
            Self::Matrix {
                values,
                n,
                first,
                second,
            } => (first.0..first.0 + first.1)
                .chain(second.0..second.0 + second.1)
                .map(|i| f64::from(values[i * n + i]))
                .collect(),
            Self::Computed(cache) => (0..(cache.first.len() + cache.second.len()) / cache.width)
                .map(|i| match cache.kernel {
                    Kernel::Linear => f64::from(dot(cache.row(i), cache.row(i))),
                    Kernel::Rbf { .. } => 1.0,
                })
                .collect(),
        }
    }
}

/// What the iteration ends with.
pub(super) struct Solution {
    /// Signed coefficients, first class first.
    pub(super) beta: Vec<f64>,
    /// The decision is Σ β K + bias, positive for the first class.
    pub(super) bias: f64,
    /// Whether the optimality conditions hold to the tolerance.
    pub(super) converged: bool,
}

/// v with what keeps a row out of a choice: 0, or an infinity where β is at its bound.
struct State {
    v: Vec<f64>,
    up: Vec<f64>,
    down: Vec<f64>,
}

/// Extremes of v: the largest of those that can go up, with the start of its block, and the least of those that can go down.
#[derive(Clone, Copy)]
struct Extremes {
    most: f64,
    block: usize,
    least: f64,
}

impl Extremes {
    const NONE: Self = Self {
        most: f64::NEG_INFINITY,
        block: 0,
        least: f64::INFINITY,
    };
}

/// Solves the dual for bounds `c` (all above 0) of the rows of the first and then of the second class.
pub(super) fn solve(
    mut rows: PairRows<'_>,
    c: &[f64],
    tolerance: f64,
    max_iterations: usize,
) -> Solution {
    let (n, split) = (c.len(), rows.split());
    let first = |t: usize| t < split;
    let lower = |t: usize| if first(t) { 0.0 } else { -c[t] };
    let upper = |t: usize| if first(t) { c[t] } else { 0.0 };
    let diagonal = rows.diagonal();
    let mut beta = vec![0.0f64; n];
    let mut state = State {
        v: (0..n).map(|t| if first(t) { 1.0 } else { -1.0 }).collect(),
        up: (0..n)
            .map(|t| if first(t) { 0.0 } else { f64::NEG_INFINITY })
            .collect(),
        down: (0..n)
            .map(|t| if first(t) { f64::INFINITY } else { 0.0 })
            .collect(),
    };
    let zeros = vec![0.0f32; n];
    let (z1, z2) = zeros.split_at(split);
    let mut found = state.advance([z1, z2], [z1, z2], 0.0);
    let mut iterations = 0;
    let mut converged = true;
    while found.most - found.least >= tolerance {
        if iterations == max_iterations {
            converged = false;
            break;
        }
        iterations += 1;
        let Some(i) = state.index_of(found) else {
            break;
        };
        let row_i = rows.fetch(i);
        let Some(j) = state.partner(&row_i, &diagonal, found.most, diagonal[i]) else {
            break;
        };
        let row_j = rows.fetch(j);
        let curvature = (diagonal[i] + diagonal[j] - 2.0 * row_i.at(j)).max(LEAST_CURVATURE);
        let wanted = (state.v[i] - state.v[j]) / curvature;
        let (room_i, room_j) = (upper(i) - beta[i], beta[j] - lower(j));
        let step = wanted.min(room_i).min(room_j);
        beta[i] = if step == room_i {
            upper(i)
        } else {
            beta[i] + step
        };
        beta[j] = if step == room_j {
            lower(j)
        } else {
            beta[j] - step
        };
        for t in [i, j] {
            state.up[t] = if beta[t] < upper(t) {
                0.0
            } else {
                f64::NEG_INFINITY
            };
            state.down[t] = if beta[t] > lower(t) {
                0.0
            } else {
                f64::INFINITY
            };
        }
        found = state.advance(row_i.parts(), row_j.parts(), step);
    }
    let free: Vec<f64> = (0..n)
        .filter(|&t| lower(t) < beta[t] && beta[t] < upper(t))
        .map(|t| state.v[t])
        .collect();
    let bias = if free.is_empty() {
        0.5 * (found.most + found.least)
    } else {
        free.iter().sum::<f64>() / free.len() as f64
    };
    Solution {
        beta,
        bias,
        converged,
    }
}

impl State {
    /// v -= step (Kᵢ - Kⱼ), and the extremes of the result.
    fn advance(&mut self, k_i: [&[f32]; 2], k_j: [&[f32]; 2], step: f64) -> Extremes {
        let mut out = Extremes::NONE;
        let mut start = 0;
        for (k_i, k_j) in k_i.into_iter().zip(k_j) {
            let end = start + k_i.len();
            let (v, up, down) = (
                &mut self.v[start..end],
                &self.up[start..end],
                &self.down[start..end],
            );
            vectorised(|| advance_part(v, up, down, k_i, k_j, step, start, &mut out));
            start = end;
        }
        out
    }

    /// The last row that has the largest v of those that can go up.
    fn index_of(&self, found: Extremes) -> Option<usize> {
        let end = (found.block + BLOCK).min(self.v.len());
        (found.block..end)
            .rev()
            .find(|&t| self.v[t] + self.up[t] == found.most)
    }

    /// The row that can go down and promises most: (v_i - v_j)² / curvature, the last of equal ones.
    fn partner(&self, k_i: &Row<'_>, diagonal: &[f64], most: f64, d_i: f64) -> Option<usize> {
        let mut best = (0.0f64, None);
        let mut start = 0;
        for k in k_i.parts() {
            let end = start + k.len();
            let (v, down, d) = (
                &self.v[start..end],
                &self.down[start..end],
                &diagonal[start..end],
            );
            let mut scores = [0.0f64; BLOCK];
            for at in (0..k.len()).step_by(BLOCK) {
                let to = (at + BLOCK).min(k.len());
                let scores = &mut scores[..to - at];
                let top = vectorised(|| {
                    gains(
                        scores,
                        &v[at..to],
                        &down[at..to],
                        &d[at..to],
                        &k[at..to],
                        most,
                        d_i,
                    )
                });
                if top > 0.0 && top >= best.0 {
                    best = (
                        top,
                        scores
                            .iter()
                            .rposition(|s| *s == top)
                            .map(|t| start + at + t),
                    );
                }
            }
            start = end;
        }
        best.1
    }
}

#[allow(clippy::too_many_arguments)]
#[inline(always)]
fn advance_part(
    v: &mut [f64],
    up: &[f64],
    down: &[f64],
    k_i: &[f32],
    k_j: &[f32],
    step: f64,
    offset: usize,
    out: &mut Extremes,
) {
    let n = v.len();
    let (up, down, k_i, k_j) = (&up[..n], &down[..n], &k_i[..n], &k_j[..n]);
    for at in (0..n).step_by(BLOCK) {
        let to = (at + BLOCK).min(n);
        let mut most = [f64::NEG_INFINITY; 8];
        let mut least = [f64::INFINITY; 8];
        let mut t = at;
        while t < to {
            // A short last group repeats no row and leaves the other lanes alone.
            let lanes = (to - t).min(8);
            if lanes == 8 {
                let w: &mut [f64] = &mut v[t..t + 8];
                let (u, d) = (&up[t..t + 8], &down[t..t + 8]);
                let (a, b) = (&k_i[t..t + 8], &k_j[t..t + 8]);
                for l in 0..8 {
                    let x = w[l] - step * (f64::from(a[l]) - f64::from(b[l]));
                    w[l] = x;
                    let (high, low) = (x + u[l], x + d[l]);
                    most[l] = if high > most[l] { high } else { most[l] };
                    least[l] = if low < least[l] { low } else { least[l] };
                }
            } else {
                for l in 0..lanes {
                    let x = v[t + l] - step * (f64::from(k_i[t + l]) - f64::from(k_j[t + l]));
                    v[t + l] = x;
                    most[l] = most[l].max(x + up[t + l]);
                    least[l] = least[l].min(x + down[t + l]);
                }
            }
            t += 8;
        }
        let most = most.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if most >= out.most {
            out.most = most;
            out.block = offset + at;
        }
        out.least = least.iter().copied().fold(out.least, f64::min);
    }
}

/// Writes the gain of each row of a block and returns the largest; 0 where a row cannot be chosen.
#[inline(always)]
fn gains(
    scores: &mut [f64],
    v: &[f64],
    down: &[f64],
    diagonal: &[f64],
    k: &[f32],
    most: f64,
    d_i: f64,
) -> f64 {
    let n = scores.len();
    let (v, down, diagonal, k) = (&v[..n], &down[..n], &diagonal[..n], &k[..n]);
    for t in 0..n {
        // down is +∞ for rows at their bound: their gap is then below 0.
        let gap = most - (v[t] + down[t]);
        let gap = if gap > 0.0 { gap } else { 0.0 };
        let curvature = d_i + diagonal[t] - 2.0 * f64::from(k[t]);
        let curvature = if curvature > LEAST_CURVATURE {
            curvature
        } else {
            LEAST_CURVATURE
        };
        scores[t] = gap * gap / curvature;
    }
    let mut top = [0.0f64; 8];
    let (groups, rest) = scores.as_chunks::<8>();
    for group in groups {
        for l in 0..8 {
            top[l] = if group[l] > top[l] { group[l] } else { top[l] };
        }
    }
    rest.iter().chain(&top).copied().fold(0.0, f64::max)
}
