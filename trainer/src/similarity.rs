//! How like real rows synthetic rows are: whether a classifier can tell them apart, whether they lie where real rows lie, and whether they
//! are more than copies of training rows.
//!
//! Of tables with more than [`MOST_ROWS`] rows a seeded choice of so many is looked at, so that the cost stays bounded.

use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::classify::svm::{Kernel, Svm, SvmConfig, SvmError, balance};
use crate::data::stream;
use crate::gram::{centred, column_means, own_squared_distances, squared_distances};
use crate::reduce::{ReduceError, check};
use crate::stats::auc;

/// Rows of either table that are looked at.
pub const MOST_ROWS: usize = 2000;
/// Folds of the two-sample test.
const FOLDS: usize = 5;
/// A synthetic row is a near copy when it is nearer to a training row than this share of the median distance between training rows and
/// their nearest neighbours.
pub const NEAR_COPY: f64 = 0.1;

/// Why rows cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimilarityError {
    /// Rows that cannot be used.
    #[error("{table} rows: {source}")]
    Rows {
        /// "real", "synthetic" or "training".
        table: &'static str,
        /// What is wrong.
        source: ReduceError,
    },
    /// Too few rows.
    #[error("{table} rows: {rows} are too few, this needs {least}")]
    TooFew {
        /// "real", "synthetic" or "training".
        table: &'static str,
        /// Rows handed in.
        rows: usize,
        /// Rows needed.
        least: usize,
    },
    /// The classifier of the two-sample test failed.
    #[error(transparent)]
    Svm(#[from] SvmError),
    /// The backend failed.
    #[error(transparent)]
    Backend(#[from] crate::nn::BackendError),
}

/// The rows of `x`, or a choice of [`MOST_ROWS`] of them in their order.
fn sample(
    table: &'static str,
    x: &[f32],
    width: usize,
    least: usize,
    seed: u64,
) -> Result<Vec<f32>, SimilarityError> {
    let n = check(x, width, 0).map_err(|source| SimilarityError::Rows { table, source })?;
    if n < least {
        return Err(SimilarityError::TooFew {
            table,
            rows: n,
            least,
        });
    }
    if n <= MOST_ROWS {
        return Ok(x.to_vec());
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut stream(seed, &format!("sample of {table} rows"), n));
    order.truncate(MOST_ROWS);
    order.sort_unstable();
    let rows = order.iter().flat_map(|&i| &x[i * width..(i + 1) * width]);
    Ok(rows.copied().collect())
}

/// Area under the ROC curve of a classifier that tells real from synthetic rows, by 5-fold cross-validation: 0.5 where it cannot, 1 where it
/// always can (below 0.5 by chance alone, or where the same rows stand in both tables).
///
/// The classifier is an RBF SVM with C = 1, γ = 1 / width and balanced classes on features standardised over both tables together. Folds are
/// drawn from `seed`, each with its share of both tables; the AUC is the mean over folds, by ranks, ties counting one half. Rows that come
/// from one another (a synthetic row made from a real one) may fall on both sides of a split.
///
/// # Errors
/// Values that are no rows or not finite; fewer than 10 rows of a table; the classifier failed.
pub fn two_sample_auc(
    real: &[f32],
    synthetic: &[f32],
    width: usize,
    seed: u64,
) -> Result<f64, SimilarityError> {
    let mut x = sample("real", real, width, 2 * FOLDS, seed)?;
    let reals = x.len() / width;
    x.extend(sample("synthetic", synthetic, width, 2 * FOLDS, seed)?);
    standardise(&mut x, width);
    let n = x.len() / width;
    let class: Vec<usize> = (0..n).map(|i| usize::from(i >= reals)).collect();
    let mut fold = vec![0; n];
    for (k, rows) in [0..reals, reals..n].into_iter().enumerate() {
        let mut order: Vec<usize> = rows.collect();
        order.shuffle(&mut stream(seed, "two-sample folds", k));
        for (place, i) in order.into_iter().enumerate() {
            fold[i] = place % FOLDS;
        }
    }
    let config = SvmConfig::new(
        Kernel::Rbf {
            gamma: 1.0 / width as f64,
        },
        1.0,
    );
    let weight = balance(&class, &vec![1.0; n], 2);
    let areas = (0..FOLDS)
        .into_par_iter()
        .map(|held_out| {
            let train: Vec<f64> = (0..n)
                .map(|i| if fold[i] == held_out { 0.0 } else { weight[i] })
                .collect();
            let svm = Svm::fit(&x, width, &class, &train, 2, &config)?;
            let rows: Vec<usize> = (0..n).filter(|&i| fold[i] == held_out).collect();
            let test: Vec<f32> = rows
                .iter()
                .flat_map(|&i| &x[i * width..(i + 1) * width])
                .copied()
                .collect();
            let decisions: Vec<f64> = svm.decisions(&test)?.into_iter().map(|d| -d[0]).collect();
            let positive: Vec<bool> = rows.iter().map(|&i| class[i] == 1).collect();
            // Each fold has rows of both tables, and decisions are finite.
            Ok(auc(&decisions, &positive).unwrap_or(f64::NAN))
        })
        .collect::<Result<Vec<f64>, SvmError>>()?;
    Ok(areas.iter().sum::<f64>() / FOLDS as f64)
}

fn standardise(x: &mut [f32], width: usize) {
    let means = column_means(x, width);
    let n = (x.len() / width) as f64;
    let mut squares = vec![0.0f64; width];
    for row in x.chunks_exact(width) {
        for ((s, v), m) in squares.iter_mut().zip(row).zip(&means) {
            *s += (f64::from(*v) - m).powi(2);
        }
    }
    for row in x.chunks_exact_mut(width) {
        for ((v, m), s) in row.iter_mut().zip(&means).zip(&squares) {
            let deviation = (s / n).sqrt();
            *v = if deviation > 0.0 {
                ((f64::from(*v) - m) / deviation) as f32
            } else {
                0.0
            };
        }
    }
}

/// Density and coverage (Naeem et al. 2020, eq. 3 and 4).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DensityCoverage {
    /// How many balls around real rows, of radius the distance to their k-th nearest real row, a synthetic row lies in, over k: about 1 for
    /// rows of the same distribution, more where synthetic rows crowd the middle.
    pub density: f64,
    /// Share of those balls that hold a synthetic row: near 1 where synthetic rows are as spread out as real ones.
    pub coverage: f64,
}

/// Density and coverage of `synthetic` rows among `real` ones (each `[rows, width]`) by `k` nearest neighbours (5 in the paper), Euclidean
/// distances. Of large tables, choices from a fixed seed.
///
/// # Errors
/// Values that are no rows or not finite; not more than `k` real rows, no synthetic row; `k` = 0 counts as 1.
pub fn density_coverage(
    real: &[f32],
    synthetic: &[f32],
    width: usize,
    k: usize,
) -> Result<DensityCoverage, SimilarityError> {
    let k = k.max(1);
    let real = sample("real", real, width, k + 1, 0)?;
    let synthetic = sample("synthetic", synthetic, width, 1, 0)?;
    let means = column_means(&real, width);
    let (real, synthetic) = (centred(&real, &means), centred(&synthetic, &means));
    let n = real.len() / width;
    let radius: Vec<f32> = own_squared_distances(&real, width)?
        .par_chunks_exact(n)
        .enumerate()
        .map(|(i, row)| {
            let mut others: Vec<f32> = row[..i].iter().chain(&row[i + 1..]).copied().collect();
            *others.select_nth_unstable_by(k - 1, f32::total_cmp).1
        })
        .collect();
    let made = synthetic.len() / width;
    let counts: Vec<usize> = squared_distances(&real, &synthetic, width)?
        .par_chunks_exact(made)
        .zip(&radius)
        .map(|(row, r)| row.iter().filter(|d| *d < r).count())
        .collect();
    Ok(DensityCoverage {
        density: counts.iter().sum::<usize>() as f64 / (k * made) as f64,
        coverage: counts.iter().filter(|c| **c > 0).count() as f64 / n as f64,
    })
}

/// Distances to the nearest training row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NearestNeighbour {
    /// Median over synthetic rows.
    pub synthetic: f64,
    /// Median over training rows, each to its nearest other one.
    pub training: f64,
    /// The first over the second: well below 1 means that synthetic rows repeat training rows. `None` where training rows repeat each other.
    pub ratio: Option<f64>,
    /// Share of synthetic rows nearer to a training row than [`NEAR_COPY`] of the median between training rows.
    pub near_copies: f64,
}

/// How near `synthetic` rows are to rows of `train` (each `[rows, width]`), Euclidean. Of large tables, choices from a fixed seed (of training
/// rows too: distances grow a little where there are more than [`MOST_ROWS`]).
///
/// # Errors
/// Values that are no rows or not finite; fewer than two training rows, no synthetic row.
pub fn nearest_neighbour(
    train: &[f32],
    synthetic: &[f32],
    width: usize,
) -> Result<NearestNeighbour, SimilarityError> {
    let train = sample("training", train, width, 2, 0)?;
    let synthetic = sample("synthetic", synthetic, width, 1, 0)?;
    let means = column_means(&train, width);
    let (train, synthetic) = (centred(&train, &means), centred(&synthetic, &means));
    let n = train.len() / width;
    // The nearest row is found among rounded distances; its own distance is then taken exactly, since copies are at 0.
    let exact = |a: &[f32], j: usize| -> f64 {
        let squares = a
            .iter()
            .zip(&train[j * width..(j + 1) * width])
            .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2));
        squares.sum::<f64>().sqrt()
    };
    let nearest = |row: &[f32], but: Option<usize>| {
        let others = row.iter().enumerate().filter(|(j, _)| Some(*j) != but);
        others
            .min_by(|a, b| a.1.total_cmp(b.1))
            .map_or(0, |(j, _)| j)
    };
    let own: Vec<f64> = own_squared_distances(&train, width)?
        .par_chunks_exact(n)
        .zip(train.par_chunks_exact(width))
        .enumerate()
        .map(|(i, (row, x))| exact(x, nearest(row, Some(i))))
        .collect();
    let made: Vec<f64> = squared_distances(&synthetic, &train, width)?
        .par_chunks_exact(n)
        .zip(synthetic.par_chunks_exact(width))
        .map(|(row, x)| exact(x, nearest(row, None)))
        .collect();
    let training = median(&own);
    let near = made.iter().filter(|d| **d < NEAR_COPY * training).count();
    // Where training rows are copies of each other, any copy at all is one too many.
    let near = if training > 0.0 {
        near
    } else {
        made.iter().filter(|d| **d == 0.0).count()
    };
    let synthetic = median(&made);
    Ok(NearestNeighbour {
        synthetic,
        training,
        ratio: (training > 0.0).then(|| synthetic / training),
        near_copies: near as f64 / made.len() as f64,
    })
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    0.5 * (sorted[(n - 1) / 2] + sorted[n / 2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_distr::{Distribution, StandardNormal};

    const WIDTH: usize = 6;

    fn normal(seed: u64, rows: usize, scale: f32, shift: f32) -> Vec<f32> {
        let mut rng = stream(seed, "similarity test", rows);
        (0..rows * WIDTH)
            .map(|_| {
                let z: f32 = StandardNormal.sample(&mut rng);
                scale * z + shift
            })
            .collect()
    }

    #[test]
    fn the_same_distribution_cannot_be_told_apart_and_another_can() {
        let real = normal(1, 300, 1.0, 0.0);
        let auc = |other: &[f32]| two_sample_auc(&real, other, WIDTH, 3).unwrap();
        let same = auc(&normal(2, 300, 1.0, 0.0));
        assert!((same - 0.5).abs() < 0.08, "{same}");
        let shifted = auc(&normal(2, 250, 1.0, 1.0));
        assert!(shifted > 0.9, "{shifted}");
        // The same mean, half the spread: no line tells them apart, the kernel does.
        let narrow = auc(&normal(2, 300, 0.5, 0.0));
        assert!(narrow > 0.85, "{narrow}");
        assert_eq!(same, auc(&normal(2, 300, 1.0, 0.0)));
    }

    #[test]
    fn density_and_coverage_equal_the_definition() {
        let (real, made) = (normal(1, 120, 1.0, 0.0), normal(2, 80, 0.8, 0.2));
        let got = density_coverage(&real, &made, WIDTH, 5).unwrap();
        let distance =
            |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum() };
        let (mut inside, mut covered) = (0, 0);
        for (i, x) in real.chunks_exact(WIDTH).enumerate() {
            let others = real
                .chunks_exact(WIDTH)
                .enumerate()
                .filter(|(j, _)| *j != i);
            let mut others: Vec<f32> = others.map(|(_, y)| distance(x, y)).collect();
            others.sort_by(f32::total_cmp);
            let count = made
                .chunks_exact(WIDTH)
                .filter(|y| distance(x, y) < others[4])
                .count();
            inside += count;
            covered += usize::from(count > 0);
        }
        assert!(
            (got.density - inside as f64 / 400.0).abs() < 0.006,
            "{got:?} {inside}"
        );
        assert!(
            (got.coverage - covered as f64 / 120.0).abs() < 0.009,
            "{got:?} {covered}"
        );
        // All synthetic rows in one place: dense there, nothing covered.
        let one = density_coverage(&real, &[0.0; 80 * WIDTH], WIDTH, 5).unwrap();
        assert!(one.coverage < 0.5 && one.density > 1.0, "{one:?}");
        let far = density_coverage(&real, &normal(2, 80, 1.0, 50.0), WIDTH, 5).unwrap();
        assert_eq!((far.density, far.coverage), (0.0, 0.0));
    }

    #[test]
    fn copies_are_seen() {
        let train = normal(1, 200, 1.0, 100.0);
        let fresh = nearest_neighbour(&train, &normal(2, 200, 1.0, 100.0), WIDTH).unwrap();
        assert!((fresh.ratio.unwrap() - 1.0).abs() < 0.15, "{fresh:?}");
        assert_eq!(fresh.near_copies, 0.0);
        let half: Vec<f32> = [&train[..100 * WIDTH], &normal(2, 100, 1.0, 100.0)].concat();
        let half = nearest_neighbour(&train, &half, WIDTH).unwrap();
        assert_eq!(half.near_copies, 0.5);
        let same = nearest_neighbour(&train, &train, WIDTH).unwrap();
        assert_eq!((same.synthetic, same.near_copies), (0.0, 1.0));
        let flat = nearest_neighbour(&[1.0; 12], &[1.0; 6], WIDTH).unwrap();
        assert_eq!((flat.ratio, flat.near_copies), (None, 1.0));
    }

    #[test]
    fn large_tables_are_sampled_and_bad_ones_named() {
        let many = normal(1, MOST_ROWS + 500, 1.0, 0.0);
        let a = sample("real", &many, WIDTH, 1, 1).unwrap();
        assert_eq!(a.len(), MOST_ROWS * WIDTH);
        assert_ne!(a, sample("real", &many, WIDTH, 1, 2).unwrap());
        let few = two_sample_auc(&many[..5 * WIDTH], &many, WIDTH, 1).unwrap_err();
        assert!(
            few.to_string().contains("real rows: 5 are too few"),
            "{few}"
        );
        let bad = nearest_neighbour(&many, &[f32::NAN; WIDTH], WIDTH).unwrap_err();
        assert!(bad.to_string().contains("synthetic rows: row 0"), "{bad}");
    }
}
