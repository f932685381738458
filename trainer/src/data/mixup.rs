//! Mixup (eq. 1 and 2) with a record of which rows are real.

use rand::{Rng, RngExt, seq::SliceRandom};
use rand_distr::{Beta, Distribution};

use super::batches::Rows;
use crate::config::{MixupConfig, Pairing};

/// A batch whose first rows are real (λ = 1) and whose other rows are mixtures.
#[derive(Clone, Debug)]
pub struct MixedBatch {
    width: usize,
    classes: usize,
    values: Vec<f32>,
    targets: Vec<f32>,
    lambda: Vec<f32>,
    real: usize,
}

/// Rows of a batch that were not mixed: the only thing that the discriminator takes as real.
///
/// Nothing but [`MixedBatch::real`] makes one.
#[derive(Clone, Copy, Debug)]
pub struct RealRows<'b> {
    values: &'b [f32],
    width: usize,
}

impl RealRows<'_> {
    /// `[rows, width]` row-major.
    pub fn values(&self) -> &[f32] {
        self.values
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.width
    }
}

impl MixedBatch {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.lambda.len()
    }

    /// All rows, `[rows, width]` row-major, the real ones first.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Soft labels of all rows, `[rows, classes]` row-major.
    pub fn targets(&self) -> &[f32] {
        &self.targets
    }

    /// λ of each row; 1 for real ones, strictly between 0 and 1 for mixed ones.
    pub fn lambda(&self) -> &[f32] {
        &self.lambda
    }

    /// The real rows.
    pub fn real(&self) -> RealRows<'_> {
        RealRows {
            values: &self.values[..self.real * self.width],
            width: self.width,
        }
    }

    /// Values of the mixed rows, for tests that poison them.
    #[cfg(test)]
    pub(crate) fn mixed_values_mut(&mut self) -> &mut [f32] {
        &mut self.values[self.real * self.width..]
    }

    /// Feature columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Label columns.
    pub fn classes(&self) -> usize {
        self.classes
    }
}

/// Draws partners and λ.
#[derive(Clone, Debug)]
pub struct Mixer {
    beta: Beta<f32>,
    real_share: f64,
    pairing: Pairing,
}

impl Mixer {
    /// `None` where α is no positive number (which [`crate::config::Config`] refuses).
    pub fn new(config: &MixupConfig) -> Option<Self> {
        let alpha = config.alpha as f32;
        Some(Self {
            beta: Beta::new(alpha, alpha).ok()?,
            real_share: config.real_share,
            pairing: config.pairing,
        })
    }

    /// The rows `indices` of `rows`, of which a random choice stays real (the configured share, rounded up, so
    /// that no batch is without a real row) and the others are mixed with a partner from `pool`.
    ///
    /// Partners under `pairing = "same-label"` come from the rows of `pool` with the same hard label.
    pub fn batch<R: Rng + ?Sized>(
        &self,
        rows: &Rows,
        indices: &[usize],
        pool: &Pool,
        rng: &mut R,
    ) -> MixedBatch {
        let real = ((indices.len() as f64 * self.real_share).ceil() as usize)
            .clamp(1.min(indices.len()), indices.len());
        self.mix(rows, indices, real, pool, rng)
    }

    /// As [`batch`](Self::batch), with no row left real.
    pub fn mixtures<R: Rng + ?Sized>(
        &self,
        rows: &Rows,
        indices: &[usize],
        pool: &Pool,
        rng: &mut R,
    ) -> MixedBatch {
        self.mix(rows, indices, 0, pool, rng)
    }

    /// `indices` in random order, the first `real` of them unmixed.
    fn mix<R: Rng + ?Sized>(
        &self,
        rows: &Rows,
        indices: &[usize],
        real: usize,
        pool: &Pool,
        rng: &mut R,
    ) -> MixedBatch {
        let mut order = indices.to_vec();
        order.shuffle(rng);
        let mut batch = MixedBatch {
            width: rows.width,
            classes: rows.classes,
            values: Vec::with_capacity(order.len() * rows.width),
            targets: Vec::with_capacity(order.len() * rows.classes),
            lambda: Vec::with_capacity(order.len()),
            real,
        };
        for (place, &i) in order.iter().enumerate() {
            if place < real {
                batch.values.extend_from_slice(rows.row(i));
                batch.targets.extend_from_slice(rows.target(i));
                batch.lambda.push(1.0);
                continue;
            }
            let lambda = self.inner_lambda(rng);
            let partners = pool.partners(self.pairing, rows.class[i]);
            let j = partners[rng.random_range(0..partners.len())];
            let mix = |a: &[f32], b: &[f32], out: &mut Vec<f32>| {
                out.extend(
                    a.iter()
                        .zip(b)
                        .map(|(a, b)| lambda * a + (1.0 - lambda) * b),
                );
            };
            mix(rows.row(i), rows.row(j), &mut batch.values);
            mix(rows.target(i), rows.target(j), &mut batch.targets);
            batch.lambda.push(lambda);
        }
        batch
    }

    /// λ ~ Beta(α, α) inside (0, 1): for small α, f32 rounds a good part of the draws to 0 or 1, and those
    /// would be real rows booked as mixed ones.
    fn inner_lambda<R: Rng + ?Sized>(&self, rng: &mut R) -> f32 {
        self.beta
            .sample(rng)
            .clamp(f32::EPSILON, 1.0 - f32::EPSILON)
    }
}

/// Rows that may be mixed in, by class.
#[derive(Clone, Debug)]
pub struct Pool {
    all: Vec<usize>,
    by_class: Vec<Vec<usize>>,
}

impl Pool {
    /// The recordings among `rows`; synthetic rows are never partners.
    pub fn new(rows: &Rows) -> Self {
        let all: Vec<usize> = (0..rows.recorded).collect();
        let mut by_class = vec![Vec::new(); rows.classes];
        for &i in &all {
            by_class[rows.class[i]].push(i);
        }
        Self { all, by_class }
    }

    fn partners(&self, pairing: Pairing, class: usize) -> &[usize] {
        match pairing {
            Pairing::Any => &self.all,
            Pairing::SameLabel => &self.by_class[class],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::stream;

    fn rows() -> Rows {
        // Row i is (i, 10 i), class i mod 2.
        let values = (0..12).flat_map(|i| [i as f32, 10.0 * i as f32]).collect();
        Rows::recorded(2, 2, values, (0..12).map(|i| i % 2).collect())
    }

    fn mixer(alpha: f64, real_share: f64, pairing: Pairing) -> Mixer {
        Mixer::new(&MixupConfig {
            alpha,
            real_share,
            pairing,
        })
        .unwrap()
    }

    #[test]
    fn the_stated_share_is_real_and_untouched_and_the_rest_is_strictly_mixed() {
        let rows = rows();
        let pool = Pool::new(&rows);
        let indices: Vec<usize> = (0..12).collect();
        for alpha in [0.01, 0.2, 2.0] {
            let batch = mixer(alpha, 0.3, Pairing::Any).batch(
                &rows,
                &indices,
                &pool,
                &mut stream(3, "t", 0),
            );
            assert_eq!((batch.rows(), batch.real().rows()), (12, 4));
            assert!(batch.lambda()[..4].iter().all(|&l| l == 1.0));
            assert!(batch.lambda()[4..].iter().all(|&l| l > 0.0 && l < 1.0));
            for row in batch.real().values().chunks(2) {
                assert!(row[1] == 10.0 * row[0] && row[0].fract() == 0.0);
            }
            for (row, y) in batch.values().chunks(2).zip(batch.targets().chunks(2)) {
                assert!(
                    (row[1] - 10.0 * row[0]).abs() < 1e-3,
                    "convex combinations stay on the line"
                );
                assert!((y[0] + y[1] - 1.0).abs() < 1e-6, "soft labels sum to one");
            }
        }
    }

    #[test]
    fn labels_are_mixed_with_the_same_lambda_as_features() {
        let values = vec![0.0, 1.0];
        let rows = Rows::recorded(1, 2, values, vec![0, 1]);
        let batch = mixer(1.0, 0.5, Pairing::Any).batch(
            &rows,
            &[0, 1, 0, 1, 0, 1],
            &Pool::new(&rows),
            &mut stream(1, "t", 1),
        );
        for (x, y) in batch.values().iter().zip(batch.targets().chunks(2)) {
            // The feature of row 1 is 1 and its label is class 1, so x is the weight of class 1.
            assert!((y[1] - x).abs() < 1e-6);
        }
    }

    #[test]
    fn same_label_pairs_keep_hard_labels() {
        let rows = rows();
        let batch = mixer(0.5, 0.1, Pairing::SameLabel).batch(
            &rows,
            &[0, 1, 2, 3, 4, 5, 6, 7],
            &Pool::new(&rows),
            &mut stream(1, "t", 2),
        );
        assert!(
            batch
                .targets()
                .iter()
                .all(|&y| y.abs() < 1e-6 || (y - 1.0).abs() < 1e-6)
        );
    }

    #[test]
    fn lambda_has_the_moments_of_its_beta_distribution() {
        let m = mixer(0.4, 0.5, Pairing::Any);
        let mut rng = stream(9, "t", 0);
        let n = 20_000;
        let draws: Vec<f64> = (0..n)
            .map(|_| f64::from(m.inner_lambda(&mut rng)))
            .collect();
        let mean = draws.iter().sum::<f64>() / n as f64;
        let var = draws.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / n as f64;
        // Beta(a, a): mean 1/2, variance 1 / (4 (2a + 1)).
        assert!(
            (mean - 0.5).abs() < 0.01 && (var - 1.0 / (4.0 * 1.8)).abs() < 0.005,
            "{mean} {var}"
        );
    }
}
