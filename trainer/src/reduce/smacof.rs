//! Metric multidimensional scaling by majorising the stress (SMACOF; de Leeuw 1977, Borg and Groenen 2005, chapter 8).
//!
//! The raw stress Σ_{i<j} (d_ij - δ_ij)², δ the Euclidean distances of the rows and d those of their images, falls with every
//! Guttman transform zᵢ ← 1/n Σⱼ δ_ij / d_ij (zᵢ - zⱼ). One matrix of n² f32 is held (122 MB for 5,531 rows).

use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::pca::Pca;
use super::{ReduceError, check};
use crate::classify::svm::hex;
use crate::config::range;
use crate::data::stream;
use crate::gram::{centred, column_means, own_squared_distances};
use crate::simd::{dot, squared_distance, vectorised};

/// Images whose distances are computed at once.
const TILE: usize = 512;
/// Nearest training rows from the middle of whose images a new row starts.
const NEIGHBOURS: usize = 5;

/// Where the images start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// The first principal components.
    Pca,
    /// Normally distributed around 0.
    Random,
}

/// Settings of [`Smacof::fit`]. In a file, keys that are left out keep their defaults.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmacofConfig {
    /// Guttman transforms at most.
    pub max_iterations: usize,
    /// The iteration ends when the stress falls by less than this share of Σ_{i<j} δ_ij².
    pub tolerance: f64,
    /// Where the images start.
    pub start: Start,
    /// For a random start; not read from files.
    #[serde(skip)]
    pub seed: u64,
}

impl SmacofConfig {
    /// Whether all values are in range.
    ///
    /// # Errors
    /// What is wrong with the first that is not.
    pub fn check(&self) -> Result<(), String> {
        range::natural(self.max_iterations).map_err(|p| format!("`max_iterations` {p}"))?;
        range::not_negative(self.tolerance).map_err(|p| format!("`tolerance` {p}"))
    }
}

impl Default for SmacofConfig {
    /// 300 transforms, 1e-6, from the principal components.
    fn default() -> Self {
        Self {
            max_iterations: 300,
            tolerance: 1e-6,
            start: Start::Pca,
            seed: 0,
        }
    }
}

/// Training rows and their images.
#[derive(Clone, Debug)]
pub struct Smacof {
    width: usize,
    dimensions: usize,
    config: SmacofConfig,
    means: Vec<f64>,
    /// Centred training rows.
    x: Vec<f32>,
    images: Vec<f32>,
    stress: Vec<f64>,
    normaliser: f64,
}

impl Smacof {
    /// Images of the rows of `x`, `[rows, width]` row-major, in `dimensions` dimensions.
    ///
    /// # Errors
    /// Values that are no rows or not finite, more dimensions than can be had, a failure of the backend.
    pub fn fit(
        x: &[f32],
        width: usize,
        dimensions: usize,
        config: &SmacofConfig,
    ) -> Result<Self, ReduceError> {
        let n = check(x, width, 2)?;
        let start = match config.start {
            Start::Pca => Pca::fit(x, width, dimensions)?.transform(x)?,
            Start::Random => {
                let mut rng = stream(config.seed, "smacof start", dimensions);
                let z = |_| StandardNormal.sample(&mut rng);
                (0..n * dimensions).map(z).collect()
            }
        };
        Self::fit_from(x, width, start, config)
    }

    /// As [`fit`](Self::fit), from given images `[rows, dimensions]`; `config.start` and `config.seed` are not looked at.
    ///
    /// # Errors
    /// As [`fit`](Self::fit); images that are not as many rows.
    pub fn fit_from(
        x: &[f32],
        width: usize,
        start: Vec<f32>,
        config: &SmacofConfig,
    ) -> Result<Self, ReduceError> {
        let n = check(x, width, 2)?;
        let dimensions = start.len() / n;
        if dimensions == 0 || dimensions >= n || check(&start, dimensions, n)? != n {
            return Err(ReduceError::Dimensions {
                wanted: dimensions,
                rows: n,
                width,
                most: n - 1,
            });
        }
        let means = column_means(x, width);
        let x = centred(x, &means);
        let mut delta = own_squared_distances(&x, width)?;
        let row_sums: Vec<f64> = delta
            .par_chunks_exact_mut(n)
            .map(|row| {
                let sum = row.iter().map(|d| f64::from(*d)).sum();
                vectorised(|| row.iter_mut().for_each(|d| *d = d.sqrt()));
                sum
            })
            .collect();
        let normaliser = 0.5 * row_sums.iter().sum::<f64>();
        let mut images = start;
        let mut stress: Vec<f64> = Vec::new();
        loop {
            let (now, next) = guttman(&delta, &images, dimensions);
            let fell = stress.last().map(|before| before - now);
            stress.push(now);
            let settled = fell.is_some_and(|fell| fell <= config.tolerance * normaliser);
            if settled || stress.len() > config.max_iterations {
                break;
            }
            images = next;
        }
        Ok(Self {
            width,
            dimensions,
            config: *config,
            means,
            x,
            images,
            stress,
            normaliser,
        })
    }

    /// Images of the training rows together with those of `new`, fitted as one set (transductive: the new rows shape the map).
    /// (training images, new images).
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn fit_joint(
        train: &[f32],
        new: &[f32],
        width: usize,
        dimensions: usize,
        config: &SmacofConfig,
    ) -> Result<(Vec<f32>, Vec<f32>), ReduceError> {
        let n = check(train, width, 1)?;
        check(new, width, 0)?;
        let all = Self::fit(&[train, new].concat(), width, dimensions, config)?;
        let (train, new) = all.images.split_at(n * dimensions);
        Ok((train.to_vec(), new.to_vec()))
    }

    /// Images of the training rows, `[rows, dimensions]`.
    pub fn embedding(&self) -> &[f32] {
        &self.images
    }

    /// Columns of an image.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Raw stress at the start and after each transform; the last one is that of [`embedding`](Self::embedding).
    pub fn stress(&self) -> &[f64] {
        &self.stress
    }

    /// √(stress / Σ δ²) of the embedding: 0 is a perfect map.
    pub fn relative_stress(&self) -> f64 {
        let stress = self.stress.last().copied().unwrap_or(0.0);
        if self.normaliser > 0.0 {
            (stress / self.normaliser).sqrt()
        } else {
            0.0
        }
    }

    /// Images of new rows, each by itself: it minimises Σⱼ (‖y - zⱼ‖ - δⱼ)² to the fixed images of the training rows, starting in
    /// the middle of those of its 5 nearest ones. Other new rows do not matter.
    ///
    /// # Errors
    /// Values that are no whole rows or not finite.
    pub fn place(&self, x: &[f32]) -> Result<Vec<f32>, ReduceError> {
        check(x, self.width, 0)?;
        let columns = Columns::new(&self.images, self.dimensions);
        let placed: Vec<Vec<f32>> = centred(x, &self.means)
            .par_chunks_exact(self.width)
            .map(|row| {
                // Row by row, so that an image does not depend, not even in its last bits, on the company of its row.
                let delta: Vec<f32> = vectorised(|| {
                    self.x
                        .chunks_exact(self.width)
                        .map(|x| squared_distance(row, x).sqrt())
                        .collect()
                });
                self.place_one(&delta, &columns)
            })
            .collect();
        Ok(placed.concat())
    }

    fn place_one(&self, delta: &[f32], columns: &Columns) -> Vec<f32> {
        let n = columns.n;
        let mut nearest: Vec<usize> = (0..n).collect();
        let count = NEIGHBOURS.min(n);
        nearest.select_nth_unstable_by(count - 1, |&a, &b| {
            delta[a].total_cmp(&delta[b]).then(a.cmp(&b))
        });
        let mut y = vec![0.0f32; self.dimensions];
        for &j in &nearest[..count] {
            let image = &self.images[j * self.dimensions..(j + 1) * self.dimensions];
            for (y, z) in y.iter_mut().zip(image) {
                *y += z / count as f32;
            }
        }
        let scale: f64 = delta.iter().map(|d| f64::from(*d).powi(2)).sum();
        let mut before = f64::INFINITY;
        for _ in 0..self.config.max_iterations {
            let pass = columns.pass(&y, delta);
            if before - pass.stress <= self.config.tolerance * scale {
                break;
            }
            before = pass.stress;
            for (k, y) in y.iter_mut().enumerate() {
                let pull = f64::from(*y) * pass.ratios - pass.weighted[k];
                *y = ((columns.sums[k] + pull) / n as f64) as f32;
            }
        }
        y
    }

    /// SHA-256 over settings, training rows and their images.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(format!(
            "{:?} {} {}",
            self.config, self.width, self.dimensions
        ));
        self.means.iter().for_each(|m| hash.update(m.to_le_bytes()));
        for v in self.x.iter().chain(&self.images) {
            hash.update(v.to_le_bytes());
        }
        hex(&hash.finalize())
    }
}

/// Images by columns, for loops over all images.
struct Columns {
    n: usize,
    /// `[dimensions, n]`.
    values: Vec<f32>,
    /// Of each column.
    sums: Vec<f64>,
}

/// What one image needs to know of all others.
struct Pass {
    /// Σⱼ (dⱼ - δⱼ)².
    stress: f64,
    /// Σⱼ δⱼ / dⱼ, without coinciding images.
    ratios: f64,
    /// Σⱼ δⱼ / dⱼ zⱼ.
    weighted: Vec<f64>,
}

impl Columns {
    fn new(images: &[f32], dimensions: usize) -> Self {
        let n = images.len() / dimensions;
        let mut values = vec![0.0; images.len()];
        for (i, image) in images.chunks_exact(dimensions).enumerate() {
            for (k, z) in image.iter().enumerate() {
                values[k * n + i] = *z;
            }
        }
        let sums = values
            .chunks_exact(n)
            .map(|c| c.iter().map(|z| f64::from(*z)).sum())
            .collect();
        Self { n, values, sums }
    }

    fn pass(&self, image: &[f32], delta: &[f32]) -> Pass {
        let mut pass = Pass {
            stress: 0.0,
            ratios: 0.0,
            weighted: vec![0.0; image.len()],
        };
        for start in (0..self.n).step_by(TILE) {
            let end = (start + TILE).min(self.n);
            vectorised(|| self.tile(image, &delta[start..end], start, &mut pass));
        }
        pass
    }

    #[inline(always)]
    fn tile(&self, image: &[f32], delta: &[f32], start: usize, pass: &mut Pass) {
        let m = delta.len();
        let mut distance = [0.0f32; TILE];
        let distance = &mut distance[..m];
        let columns = || {
            self.values
                .chunks_exact(self.n)
                .map(|c| &c[start..start + m])
        };
        for (column, &y) in columns().zip(image) {
            for (d, z) in distance.iter_mut().zip(column) {
                let gap = y - z;
                *d += gap * gap;
            }
        }
        let mut misfit = [0.0f32; TILE];
        let misfit = &mut misfit[..m];
        for ((d, e), &delta) in distance.iter_mut().zip(misfit.iter_mut()).zip(delta) {
            let length = d.sqrt();
            *e = length - delta;
            *d = if length > 0.0 { delta / length } else { 0.0 };
        }
        pass.stress += f64::from(dot(misfit, misfit));
        pass.ratios += f64::from(dot(distance, &[1.0; TILE][..m]));
        for (column, w) in columns().zip(&mut pass.weighted) {
            *w += f64::from(dot(distance, column));
        }
    }
}

/// The stress of `images` and their Guttman transform.
fn guttman(delta: &[f32], images: &[f32], dimensions: usize) -> (f64, Vec<f32>) {
    let columns = Columns::new(images, dimensions);
    let n = columns.n;
    let mut next = vec![0.0f32; images.len()];
    let stresses: Vec<f64> = next
        .par_chunks_exact_mut(dimensions)
        .zip(images.par_chunks_exact(dimensions))
        .zip(delta.par_chunks_exact(n))
        .map(|((next, image), delta)| {
            let pass = columns.pass(image, delta);
            for ((next, &y), w) in next.iter_mut().zip(image).zip(&pass.weighted) {
                *next = ((f64::from(y) * pass.ratios - w) / n as f64) as f32;
            }
            pass.stress
        })
        .collect();
    (0.5 * stresses.iter().sum::<f64>(), next)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points on a spiral, in 4 dimensions.
    fn spiral(n: usize) -> Vec<f32> {
        (0..n)
            .flat_map(|i| {
                let t = i as f32 * 0.21;
                [t * t.cos(), t * t.sin(), 3.0 * (1.7 * t).cos(), 0.1 * t]
            })
            .collect()
    }

    #[test]
    fn stress_falls_with_every_transform_from_either_start() {
        for start in [Start::Pca, Start::Random] {
            let config = SmacofConfig {
                start,
                tolerance: 0.0,
                max_iterations: 60,
                ..SmacofConfig::default()
            };
            let map = Smacof::fit(&spiral(120), 4, 2, &config).unwrap();
            let stress = map.stress();
            assert!(stress.len() > 20, "{start:?}: {}", stress.len());
            let (first, last) = (stress[0], stress[stress.len() - 1]);
            assert!(last < 0.9 * first, "{start:?}: {first} {last}");
            assert!(
                stress.windows(2).all(|w| w[1] <= w[0] * (1.0 + 1e-6)),
                "{start:?}: {stress:?}"
            );
            // The last stress is that of the embedding, by definition.
            let (x, z) = (spiral(120), map.embedding());
            let distance = |v: &[f32], w: usize, i: usize, j: usize| -> f64 {
                (0..w)
                    .map(|k| (f64::from(v[i * w + k]) - f64::from(v[j * w + k])).powi(2))
                    .sum::<f64>()
                    .sqrt()
            };
            let direct: f64 = (0..120)
                .flat_map(|i| (0..i).map(move |j| (i, j)))
                .map(|(i, j)| (distance(&x, 4, i, j) - distance(z, 2, i, j)).powi(2))
                .sum();
            assert!((direct - last).abs() < 1e-4 * direct, "{direct} {last}");
        }
    }

    #[test]
    fn a_map_of_enough_dimensions_is_perfect() {
        let map = Smacof::fit(&spiral(60), 4, 4, &SmacofConfig::default()).unwrap();
        assert!(map.relative_stress() < 1e-3, "{}", map.relative_stress());
    }

    /// sklearn.manifold.smacof (1.9.1) of the spiral's distances, from zᵢ = (cos i, sin 2i), after exactly 40 transforms (eps = 0).
    #[test]
    fn stress_from_the_same_start_is_scikit_learns() {
        let start = (0..60)
            .flat_map(|i| [(i as f32).cos(), (2.0 * i as f32).sin()])
            .collect();
        let config = SmacofConfig {
            tolerance: 0.0,
            max_iterations: 40,
            ..SmacofConfig::default()
        };
        let map = Smacof::fit_from(&spiral(60), 4, start, &config).unwrap();
        assert_eq!(map.stress().len(), 41);
        let stress = map.stress()[40];
        let sklearn = 14049.764048344321;
        assert!(
            (stress - sklearn).abs() < 1e-4 * sklearn,
            "{stress} {sklearn}"
        );
    }

    #[test]
    fn new_rows_are_placed_where_training_put_them_and_by_themselves() {
        let x = spiral(150);
        let config = SmacofConfig {
            tolerance: 1e-9,
            ..SmacofConfig::default()
        };
        let map = Smacof::fit(&x, 4, 3, &config).unwrap();
        let rows = [10usize, 70, 149];
        let again: Vec<f32> = rows
            .iter()
            .flat_map(|&i| x[i * 4..i * 4 + 4].to_vec())
            .collect();
        let placed = map.place(&again).unwrap();
        for (k, &i) in rows.iter().enumerate() {
            for d in 0..3 {
                let (a, b) = (placed[k * 3 + d], map.embedding()[i * 3 + d]);
                assert!((a - b).abs() < 0.3, "row {i}: {a} {b}");
            }
            assert_eq!(
                map.place(&x[i * 4..i * 4 + 4]).unwrap(),
                placed[k * 3..k * 3 + 3]
            );
        }
        assert!(map.place(&[]).unwrap().is_empty());
        let (train, new) = Smacof::fit_joint(&x, &again, 4, 3, &config).unwrap();
        assert_eq!((train.len(), new.len()), (450, 9));
        for (k, &i) in rows.iter().enumerate() {
            for d in 0..3 {
                assert!((train[i * 3 + d] - new[k * 3 + d]).abs() < 0.05);
            }
        }
    }

    #[test]
    fn equal_rows_and_bad_input() {
        let map = Smacof::fit(&[2.0; 12], 3, 1, &SmacofConfig::default()).unwrap();
        assert!(map.embedding().iter().all(|z| z.is_finite()));
        assert!(Smacof::fit(&[1.0; 3], 3, 1, &SmacofConfig::default()).is_err());
        assert!(Smacof::fit_from(&[1.0; 6], 3, vec![0.0; 5], &SmacofConfig::default()).is_err());
    }
}
