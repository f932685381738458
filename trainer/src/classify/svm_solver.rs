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
/// Steps after which a problem is looked over for rows that no longer matter.
const SHRINK_AFTER: usize = 1000;
/// Rows of a shrunk problem at most: its matrix is held (64 MiB).
const SHRUNK_ROWS: usize = 4096;
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

/// The iterate of a problem or of a part of its rows.
struct State {
    beta: Vec<f64>,
    lower: Vec<f64>,
    upper: Vec<f64>,
    /// K(xᵢ, xᵢ).
    diagonal: Vec<f64>,
    /// The gradient y - K β.
    v: Vec<f64>,
    /// 0, or -∞ where β is at its upper bound.
    up: Vec<f64>,
    /// 0, or ∞ where β is at its lower bound.
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
    let split = rows.split();
    let (first, second) = c.split_at(split);
    let zeros = |part: &[f64]| vec![0.0; part.len()];
    let mut state = State {
        beta: zeros(c),
        lower: zeros(first)
            .into_iter()
            .chain(second.iter().map(|c| -c))
            .collect(),
        upper: first.iter().copied().chain(zeros(second)).collect(),
        diagonal: rows.diagonal(),
        v: (0..c.len())
            .map(|t| if t < split { 1.0 } else { -1.0 })
            .collect(),
        up: zeros(c),
        down: zeros(c),
    };
    (0..c.len()).for_each(|t| state.set_bounds(t));
    let mut left = max_iterations;
    let found = state.settle(&mut rows, tolerance, &mut left);
    let free: Vec<f64> = (0..c.len())
        .filter(|&t| state.is_free(t))
        .map(|t| state.v[t])
        .collect();
    Solution {
        bias: if free.is_empty() {
            0.5 * (found.most + found.least)
        } else {
            free.iter().sum::<f64>() / free.len() as f64
        },
        beta: state.beta,
        converged: found.most - found.least < tolerance,
    }
}

impl State {
    /// Iterates until no pair of rows violates optimality by `tolerance` or no iteration is left.
    ///
    /// Now and then the rows that can still matter are solved as a problem of their own (shrinking): those away from their bounds, and those
    /// at a bound that could yet form a violating pair. Their kernel matrix is copied, so that the loops over it stay dense.
    fn settle(&mut self, rows: &mut PairRows<'_>, tolerance: f64, left: &mut usize) -> Extremes {
        let mut found = self.iterate(rows, tolerance, self.beta.len().min(SHRINK_AFTER), left);
        while found.most - found.least >= tolerance && *left > 0 {
            let active: Vec<usize> = (0..self.beta.len())
                .filter(|&t| {
                    let (up, down) = (self.up[t] == 0.0, self.down[t] == 0.0);
                    (up && (down || self.v[t] > found.least)) || (down && self.v[t] < found.most)
                })
                .collect();
            if active.len() <= self.beta.len() / 2 && active.len() <= SHRUNK_ROWS {
                self.settle_part(rows, &active, tolerance, left);
            }
            found = self.iterate(rows, tolerance, self.beta.len().min(SHRINK_AFTER), left);
        }
        found
    }

    /// Settles `active` rows with all others held, and brings v of all rows up to date.
    fn settle_part(
        &mut self,
        rows: &mut PairRows<'_>,
        active: &[usize],
        tolerance: f64,
        left: &mut usize,
    ) {
        let split = active.partition_point(|&t| t < rows.split());
        let mut values = Vec::with_capacity(active.len() * active.len());
        for &i in active {
            let row = rows.fetch(i);
            let [first, second] = row.parts();
            values.extend(active[..split].iter().map(|&t| first[t]));
            values.extend(active[split..].iter().map(|&t| second[t - first.len()]));
        }
        let of = |all: &[f64]| active.iter().map(|&t| all[t]).collect::<Vec<f64>>();
        let mut part = State {
            beta: of(&self.beta),
            lower: of(&self.lower),
            upper: of(&self.upper),
            diagonal: of(&self.diagonal),
            v: of(&self.v),
            up: of(&self.up),
            down: of(&self.down),
        };
        let mut of_part = PairRows::Matrix {
            values: &values,
            n: active.len(),
            first: (0, split),
            second: (split, active.len() - split),
        };
        part.settle(&mut of_part, tolerance, left);
        for (&t, &beta) in active.iter().zip(&part.beta) {
            let moved = beta - self.beta[t];
            if moved == 0.0 {
                continue;
            }
            self.beta[t] = beta;
            self.set_bounds(t);
            let row = rows.fetch(t);
            let [first, second] = row.parts();
            let (v1, v2) = self.v.split_at_mut(first.len());
            vectorised(|| {
                for (v, k) in [(v1, first), (v2, second)] {
                    for (v, k) in v.iter_mut().zip(k) {
                        *v -= moved * f64::from(*k);
                    }
                }
            });
        }
    }

    /// At most `most_steps` steps.
    fn iterate(
        &mut self,
        rows: &mut PairRows<'_>,
        tolerance: f64,
        most_steps: usize,
        left: &mut usize,
    ) -> Extremes {
        let zeros = vec![0.0f32; self.beta.len()];
        let (first, second) = zeros.split_at(rows.split());
        let mut found = self.advance([first, second], [first, second], 0.0);
        for _ in 0..most_steps {
            if *left == 0 || found.most - found.least < tolerance {
                break;
            }
            let Some(i) = self.index_of(found) else {
                break;
            };
            *left -= 1;
            let row_i = rows.fetch(i);
            let Some(j) = self.partner(&row_i, found.most, self.diagonal[i]) else {
                break;
            };
            let row_j = rows.fetch(j);
            let curvature = self.diagonal[i] + self.diagonal[j] - 2.0 * row_i.at(j);
            let wanted = (self.v[i] - self.v[j]) / curvature.max(LEAST_CURVATURE);
            let room_i = self.upper[i] - self.beta[i];
            let room_j = self.beta[j] - self.lower[j];
            let step = wanted.min(room_i).min(room_j);
            // Bounds are met exactly, so that they can be told by comparing.
            self.beta[i] = if step == room_i {
                self.upper[i]
            } else {
                self.beta[i] + step
            };
            self.beta[j] = if step == room_j {
                self.lower[j]
            } else {
                self.beta[j] - step
            };
            self.set_bounds(i);
            self.set_bounds(j);
            found = self.advance(row_i.parts(), row_j.parts(), step);
        }
        found
    }

    fn set_bounds(&mut self, t: usize) {
        self.up[t] = if self.beta[t] < self.upper[t] {
            0.0
        } else {
            f64::NEG_INFINITY
        };
        self.down[t] = if self.beta[t] > self.lower[t] {
            0.0
        } else {
            f64::INFINITY
        };
    }

    fn is_free(&self, t: usize) -> bool {
        self.up[t] == 0.0 && self.down[t] == 0.0
    }

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
    fn partner(&self, k_i: &Row<'_>, most: f64, d_i: f64) -> Option<usize> {
        let mut best = (0.0f64, None);
        let mut start = 0;
        for k in k_i.parts() {
            let end = start + k.len();
            let (v, down, d) = (
                &self.v[start..end],
                &self.down[start..end],
                &self.diagonal[start..end],
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
