//! Rows made from training rows: what every method of augmentation returns, and the controls that a GAN is to be
//! measured against - noisy copies, samples of a Gaussian for each class, and mixup alone.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use ser_runtime::normalise::NormaliserKind;

use crate::config::{ConfigError, range};
use crate::data::batches::Rows;
use crate::data::mixup::{Mixer, Pool};
use crate::data::stream;
use crate::gan::common::normals;
use crate::nn::BackendError;

/// Synthetic rows. Apart from [`mixup_copies`], methods write them class by class, with hard labels, and with each
/// class as frequent as among the training rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Synthetic {
    /// `[rows, width]` row-major, normalised as the training rows are.
    pub values: Vec<f32>,
    /// `[rows, classes]` row-major; each row sums to 1.
    pub targets: Vec<f32>,
    /// What training reported, an entry an epoch; empty for methods without training.
    pub losses: Vec<EpochLosses>,
}

/// Mean losses of one epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochLosses {
    /// What was trained: a class where each has its own networks; `None` where all share them.
    pub class: Option<usize>,
    /// From 1.
    pub epoch: usize,
    /// Losses and accuracies by name; all finite.
    pub numbers: Map<String, Value>,
}

/// Why rows cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum AugmentError {
    /// A value of a method's configuration out of its range.
    #[error("{method}: `{key}` {problem}")]
    Value {
        /// The method.
        method: &'static str,
        /// The key of its configuration.
        key: &'static str,
        /// What is wrong, and what to write instead.
        problem: String,
    },
    /// No rows asked for.
    #[error("{method}: no synthetic rows asked for; ask for at least 1")]
    NoneAsked {
        /// The method.
        method: &'static str,
    },
    /// Rows to learn from that are none, or not of one width.
    #[error(
        "{method}: {values} values are no {what} rows of {width} features: give one or more whole rows"
    )]
    Shape {
        /// The method.
        method: &'static str,
        /// "training" or "source".
        what: &'static str,
        /// Values given.
        values: usize,
        /// Features of a row.
        width: usize,
    },
    /// NaN or infinity among the rows to learn from.
    #[error(
        "{method}: {what} row {row}, feature {column} (both from 1) is {value}; mend or remove that row"
    )]
    NotFinite {
        /// The method.
        method: &'static str,
        /// "training" or "source".
        what: &'static str,
        /// From 1.
        row: usize,
        /// From 1.
        column: usize,
        /// NaN, inf or -inf.
        value: f32,
    },
    /// A class too small for a covariance.
    #[error(
        "class {class} has {rows} training row(s), but a Gaussian needs at least 2: add rows of it or leave it out"
    )]
    SmallClass {
        /// Its index, from 0.
        class: usize,
        /// Its rows.
        rows: usize,
    },
    /// Training went astray.
    #[error(
        "{method}{}: `{loss}` is not a finite number in epoch {epoch}; try smaller learning rates",
        .class.map_or(String::new(), |c| format!(" of class {c}"))
    )]
    Diverged {
        /// The method.
        method: &'static str,
        /// Whose networks, where each class has its own (from 0).
        class: Option<usize>,
        /// From 1.
        epoch: usize,
        /// Name of the loss, or "synthetic rows".
        loss: String,
    },
    /// The configuration of the classifier that judges synthetic rows.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The tensor backend failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl Synthetic {
    /// Rows of the given classes, class by class as `counts` says.
    pub(crate) fn labelled(values: Vec<f32>, counts: &[usize], losses: Vec<EpochLosses>) -> Self {
        let classes = counts.len();
        let mut targets = vec![0.0; counts.iter().sum::<usize>() * classes];
        let labels = by_class(counts);
        for (row, c) in targets.chunks_exact_mut(classes.max(1)).zip(labels) {
            row[c] = 1.0;
        }
        Self {
            values,
            targets,
            losses,
        }
    }

    /// SHA-256 of values and targets, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for part in [&self.values, &self.targets] {
            hash.update((part.len() as u64).to_le_bytes());
            for v in part {
                hash.update(v.to_le_bytes());
            }
        }
        hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
    }
}

/// The class of each row where class c has `counts[c]` rows, class by class.
pub(crate) fn by_class(counts: &[usize]) -> impl Iterator<Item = usize> + '_ {
    counts
        .iter()
        .enumerate()
        .flat_map(|(c, &n)| std::iter::repeat_n(c, n))
}

/// `rows` parted among the classes in proportion to their training rows (largest remainders get the odd ones).
pub(crate) fn proportions(train: &Rows, rows: usize) -> Vec<usize> {
    let total = train.len().max(1) as u128;
    let mut found = vec![0u128; train.classes];
    for &c in &train.class {
        found[c] += 1;
    }
    let share = |n: u128| n * rows as u128;
    let mut counts: Vec<usize> = found.iter().map(|&n| (share(n) / total) as usize).collect();
    let mut order: Vec<usize> = (0..train.classes).collect();
    order.sort_by_key(|&c| std::cmp::Reverse(share(found[c]) % total));
    let left = rows.saturating_sub(counts.iter().sum());
    for c in order.into_iter().take(left) {
        counts[c] += 1;
    }
    counts
}

/// `count` of `among`, each equally often (to within one), in random order.
pub(crate) fn draws(among: &[usize], count: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut out = Vec::with_capacity(count);
    let mut order = among.to_vec();
    while out.len() < count && !order.is_empty() {
        order.shuffle(rng);
        out.extend(order.iter().take(count - out.len()));
    }
    out
}

/// Indices of the training rows of class `c`.
pub(crate) fn members(train: &Rows, c: usize) -> Vec<usize> {
    (0..train.len()).filter(|&i| train.class[i] == c).collect()
}

/// Refuses what no method can work with: no rows, ragged rows, values that are not finite, nothing asked for.
pub(crate) fn check_input(
    method: &'static str,
    train: &Rows,
    rows: usize,
) -> Result<(), AugmentError> {
    if rows == 0 {
        return Err(AugmentError::NoneAsked { method });
    }
    check_values(method, "training", &train.values, train.width)?;
    if train.values.len() != train.len() * train.width {
        return Err(AugmentError::Shape {
            method,
            what: "training",
            values: train.values.len(),
            width: train.width,
        });
    }
    Ok(())
}

/// Refuses values that are not whole rows of finite numbers.
pub(crate) fn check_values(
    method: &'static str,
    what: &'static str,
    values: &[f32],
    width: usize,
) -> Result<(), AugmentError> {
    if values.is_empty() || width == 0 || !values.len().is_multiple_of(width) {
        return Err(AugmentError::Shape {
            method,
            what,
            values: values.len(),
            width,
        });
    }
    match values.iter().position(|v| !v.is_finite()) {
        Some(i) => Err(AugmentError::NotFinite {
            method,
            what,
            row: i / width + 1,
            column: i % width + 1,
            value: values[i],
        }),
        None => Ok(()),
    }
}

/// The first key whose value is out of range, as an error.
pub(crate) fn first_problem<const N: usize>(
    method: &'static str,
    keys: [(&'static str, Result<(), String>); N],
) -> Result<(), AugmentError> {
    for (key, verdict) in keys {
        verdict.map_err(|problem| AugmentError::Value {
            method,
            key,
            problem,
        })?;
    }
    Ok(())
}

/// The losses of an epoch, all of which must be finite.
pub(crate) fn epoch_losses(
    method: &'static str,
    class: Option<usize>,
    epoch: usize,
    numbers: Map<String, Value>,
) -> Result<EpochLosses, AugmentError> {
    let astray = numbers.iter().find(|(_, value)| !value.is_number());
    match astray {
        Some((loss, _)) => Err(AugmentError::Diverged {
            method,
            class,
            epoch,
            loss: loss.clone(),
        }),
        None => Ok(EpochLosses {
            class,
            epoch,
            numbers,
        }),
    }
}

/// Refuses synthetic values that are not finite: the last step of training may have been the one that went astray.
pub(crate) fn check_output(
    method: &'static str,
    class: Option<usize>,
    epoch: usize,
    values: &[f32],
) -> Result<(), AugmentError> {
    if values.iter().all(|v| v.is_finite()) {
        return Ok(());
    }
    Err(AugmentError::Diverged {
        method,
        class,
        epoch,
        loss: "synthetic rows".into(),
    })
}

/// Which covariance [`class_gaussians`] gives its Gaussians.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Covariance {
    /// The class's sample covariance (of rank rows - 1 at most).
    Full,
    /// Its diagonal: features are independent.
    Diagonal,
}

/// Copies of training rows with Gaussian noise on every feature, of `std` times the feature's standard deviation over
/// the training rows; within a class, each row is copied equally often (to within one). Under min-max values stay in 0..=1.
///
/// # Errors
/// No rows, values that are not finite, or a negative `std`.
pub fn noise_copies(
    train: &Rows,
    kind: NormaliserKind,
    std: f64,
    rows: usize,
    seed: u64,
) -> Result<Synthetic, AugmentError> {
    const METHOD: &str = "noise copies";
    first_problem(METHOD, [("std", range::not_negative(std))])?;
    check_input(METHOD, train, rows)?;
    let counts = proportions(train, rows);
    let deviations = deviations_of(train);
    let mut rng = stream(seed, "noise copies", 0);
    let mut out = Vec::with_capacity(rows * train.width);
    for (c, &count) in counts.iter().enumerate() {
        for i in draws(&members(train, c), count, &mut rng) {
            let noise = normals(train.width, std as f32, &mut rng);
            let noisy = train.row(i).iter().zip(&deviations).zip(noise);
            out.extend(noisy.map(|((x, d), e)| x + d * e));
        }
    }
    keep_in_range(kind, &mut out);
    Ok(Synthetic::labelled(out, &counts, Vec::new()))
}

/// Samples of one Gaussian for each class, with the class's sample mean and (co)variance (divisor n - 1). Under min-max
/// values are then limited to 0..=1, which moves those moments a little.
///
/// A full covariance needs no decomposition: mean + Σᵢ εᵢ (xᵢ - mean) / √(n - 1) with independent standard normal ε
/// has exactly the sample covariance.
///
/// # Errors
/// No rows, values that are not finite, or a class of a single row.
pub fn class_gaussians(
    train: &Rows,
    kind: NormaliserKind,
    covariance: Covariance,
    rows: usize,
    seed: u64,
) -> Result<Synthetic, AugmentError> {
    check_input("class Gaussians", train, rows)?;
    let counts = proportions(train, rows);
    let mut rng = stream(seed, "class Gaussians", 0);
    let mut out = Vec::with_capacity(rows * train.width);
    for (class, &count) in counts.iter().enumerate() {
        if count == 0 {
            continue;
        }
        let members = members(train, class);
        let n = members.len();
        if n < 2 {
            return Err(AugmentError::SmallClass { class, rows: n });
        }
        let mean = mean_of(train, &members);
        let root = ((n - 1) as f32).sqrt();
        let centred: Vec<Vec<f32>> = members
            .iter()
            .map(|&i| {
                let row = train.row(i).iter().zip(&mean);
                row.map(|(x, m)| (x - m) / root).collect()
            })
            .collect();
        let std: Vec<f32> = (0..train.width)
            .map(|f| {
                centred
                    .iter()
                    .map(|row| row[f] * row[f])
                    .sum::<f32>()
                    .sqrt()
            })
            .collect();
        for _ in 0..count {
            let mut row = mean.clone();
            match covariance {
                Covariance::Full => {
                    for (e, x) in normals(n, 1.0, &mut rng).into_iter().zip(&centred) {
                        row.iter_mut().zip(x).for_each(|(r, x)| *r += e * x);
                    }
                }
                Covariance::Diagonal => {
                    let e = normals(train.width, 1.0, &mut rng);
                    let scaled = e.iter().zip(&std).map(|(e, s)| e * s);
                    row.iter_mut().zip(scaled).for_each(|(r, x)| *r += x);
                }
            }
            out.extend(row);
        }
    }
    keep_in_range(kind, &mut out);
    Ok(Synthetic::labelled(out, &counts, Vec::new()))
}

/// Mixtures of training rows (eq. 1 and 2) with their soft labels; every recording is the first partner equally often
/// (to within one), and none is left unmixed, whatever share of a batch the mixer leaves real.
///
/// # Errors
/// No rows, or values that are not finite.
pub fn mixup_copies(
    train: &Rows,
    mixer: &Mixer,
    rows: usize,
    seed: u64,
) -> Result<Synthetic, AugmentError> {
    const METHOD: &str = "mixup copies";
    check_input(METHOD, train, rows)?;
    // Partners are recordings; so are the rows that they are mixed with.
    check_values(
        METHOD,
        "training",
        &train.values[..train.recorded * train.width],
        train.width,
    )?;
    let recorded: Vec<usize> = (0..train.recorded).collect();
    let mut rng = stream(seed, "mixup copies", 0);
    let indices = draws(&recorded, rows, &mut rng);
    let batch = mixer.mixtures(train, &indices, &Pool::new(train), &mut rng);
    Ok(Synthetic {
        values: batch.values().to_vec(),
        targets: batch.targets().to_vec(),
        losses: Vec::new(),
    })
}

/// Mean of the rows `indices`.
pub(crate) fn mean_of(train: &Rows, indices: &[usize]) -> Vec<f32> {
    let mut sum = vec![0.0f64; train.width];
    for &i in indices {
        for (s, x) in sum.iter_mut().zip(train.row(i)) {
            *s += f64::from(*x);
        }
    }
    let n = indices.len().max(1) as f64;
    sum.into_iter().map(|s| (s / n) as f32).collect()
}

/// Standard deviation of each feature over all rows.
fn deviations_of(train: &Rows) -> Vec<f32> {
    let mean = mean_of(train, &(0..train.len()).collect::<Vec<_>>());
    let mut squares = vec![0.0f64; train.width];
    for row in train.values.chunks_exact(train.width.max(1)) {
        for ((s, x), m) in squares.iter_mut().zip(row).zip(&mean) {
            *s += f64::from(x - m).powi(2);
        }
    }
    let n = train.len().max(1) as f64;
    squares.iter().map(|s| (s / n).sqrt() as f32).collect()
}

/// Root mean square, over all values, of the deviations from the features' means: the unit in which noise is stated.
pub(crate) fn spread(train: &Rows) -> f64 {
    let mean = mean_of(train, &(0..train.len()).collect::<Vec<_>>());
    let rows = train.values.chunks_exact(train.width.max(1));
    let square: f64 = rows
        .flat_map(|row| row.iter().zip(&mean))
        .map(|(x, m)| f64::from(x - m).powi(2))
        .sum();
    (square / train.values.len().max(1) as f64).sqrt()
}

fn keep_in_range(kind: NormaliserKind, values: &mut [f32]) {
    if kind == NormaliserKind::MinMax {
        for v in values {
            *v = v.clamp(0.0, 1.0);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::MixupConfig;
    use crate::config::Pairing;

    /// Two Gaussian classes of 60 and 30 rows in 6 dimensions, 3 apart in the first two of them; under min-max squeezed into 0..1.
    pub(crate) fn toy(kind: NormaliserKind, seed: u64) -> Rows {
        let class: Vec<usize> = (0..90).map(|i| usize::from(i % 3 == 2)).collect();
        let mut rng = stream(seed, "toy", 0);
        let mut values = Vec::new();
        for &c in &class {
            let row = normals(6, 0.7, &mut rng);
            let centre = if c == 0 { -1.5 } else { 1.5 };
            values.extend(row.iter().enumerate().map(|(f, x)| match f {
                0 => x + centre,
                1 => x - centre,
                _ => *x,
            }));
        }
        if kind == NormaliserKind::MinMax {
            values
                .iter_mut()
                .for_each(|v| *v = 1.0 / (1.0 + (-*v).exp()));
        }
        Rows::recorded(6, 2, values, class)
    }

    /// Share of `test` that lies nearest to the mean of its own class among the synthetic rows.
    pub(crate) fn nearest_mean_accuracy(made: &Synthetic, test: &Rows) -> f64 {
        let mut rows = Rows::recorded(test.width, test.classes, Vec::new(), Vec::new());
        rows.push_synthetic(&made.values, &made.targets);
        let means: Vec<Vec<f32>> = (0..test.classes)
            .map(|c| mean_of(&rows, &members(&rows, c)))
            .collect();
        let right = (0..test.len()).filter(|&i| {
            let nearness = means.iter().map(|m| {
                let d = m.iter().zip(test.row(i)).map(|(a, b)| (a - b) * (a - b));
                -d.sum::<f32>()
            });
            let nearness: Vec<f32> = nearness.collect();
            crate::data::batches::largest(&nearness) == test.class[i]
        });
        right.count() as f64 / test.len() as f64
    }

    /// What must hold of the rows of any method with hard labels on [`toy`]: 2 : 1, class by class, finite, in range.
    pub(crate) fn check_toy(made: &Synthetic, kind: NormaliserKind, rows: usize) {
        assert_eq!(
            (made.values.len(), made.targets.len()),
            (rows * 6, rows * 2)
        );
        let of_first = rows * 2 / 3;
        for (i, y) in made.targets.chunks(2).enumerate() {
            let expected = if i < of_first { [1.0, 0.0] } else { [0.0, 1.0] };
            assert_eq!(y, expected);
        }
        assert!(made.values.iter().all(|v| v.is_finite()));
        if kind == NormaliserKind::MinMax {
            assert!(made.values.iter().all(|v| (0.0..=1.0).contains(v)));
        }
    }

    const Z: NormaliserKind = NormaliserKind::ZScore;
    const MM: NormaliserKind = NormaliserKind::MinMax;

    #[test]
    fn classes_keep_their_proportions() {
        let rows = |class: Vec<usize>| Rows::recorded(1, 4, vec![0.0; class.len()], class);
        let of = |class, n| proportions(&rows(class), n);
        assert_eq!(of(vec![0, 0, 0, 1, 2, 2], 12), [6, 2, 4, 0]);
        assert_eq!(of(vec![0, 0, 0, 1, 2, 2], 4), [2, 1, 1, 0]);
        assert_eq!(of(vec![3], 5), [0, 0, 0, 5]);
        for n in 1..40 {
            assert_eq!(
                of(vec![0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 3], n)
                    .iter()
                    .sum::<usize>(),
                n
            );
        }
    }

    #[test]
    fn noise_copies_are_training_rows_with_noise_of_that_size() {
        let train = toy(Z, 1);
        let exact = noise_copies(&train, Z, 0.0, 180, 1).unwrap();
        check_toy(&exact, Z, 180);
        for row in exact.values.chunks(6) {
            let copies = exact.values.chunks(6).filter(|r| *r == row).count();
            assert_eq!(copies, 2, "each row twice");
            assert!((0..90).any(|i| train.row(i) == row));
        }
        let made = noise_copies(&train, Z, 0.3, 9000, 1).unwrap();
        check_toy(&made, Z, 9000);
        // Within a class the variance grows by that of the noise; the class means stay.
        let grown = 0.09 * deviations_of(&train)[0].powi(2);
        let spread = |values: Vec<f32>| {
            let n = values.len() as f32;
            let mean = values.iter().sum::<f32>() / n;
            (
                mean,
                values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / n,
            )
        };
        let (m0, v0) = spread(
            members(&train, 0)
                .iter()
                .map(|&i| train.row(i)[0])
                .collect(),
        );
        let (m1, v1) = spread(made.values.chunks(6).take(6000).map(|r| r[0]).collect());
        assert!(
            (m0 - m1).abs() < 0.02 && (v1 - v0 - grown).abs() < 0.05 * grown.max(0.4),
            "{m0} {m1} {v0} {v1} {grown}"
        );
        check_toy(&noise_copies(&toy(MM, 1), MM, 0.5, 90, 1).unwrap(), MM, 90);
        assert_eq!(
            made.digest(),
            noise_copies(&train, Z, 0.3, 9000, 1).unwrap().digest()
        );
        assert_ne!(
            made.digest(),
            noise_copies(&train, Z, 0.3, 9000, 2).unwrap().digest()
        );
    }

    #[test]
    fn class_gaussians_have_the_moments_of_their_class() {
        // Feature 1 is twice feature 0, plus a little; the classes differ in mean and spread.
        let class: Vec<usize> = (0..40).map(|i| i % 2).collect();
        let mut rng = stream(3, "t", 0);
        let values = class
            .iter()
            .flat_map(|&c| {
                let e = normals(2, 1.0, &mut rng);
                let x = c as f32 * 5.0 + e[0] * (1.0 + c as f32);
                [x, 2.0 * x + 0.3 * e[1]]
            })
            .collect();
        let train = Rows::recorded(2, 2, values, class);
        let moments = |rows: Vec<&[f32]>, divisor: f64| {
            let n = rows.len() as f64;
            let mean = |f: usize| rows.iter().map(|r| f64::from(r[f])).sum::<f64>() / n;
            let (a, b) = (mean(0), mean(1));
            let product = |f: usize, g: usize, p: f64, q: f64| {
                let all = rows
                    .iter()
                    .map(|r| (f64::from(r[f]) - p) * (f64::from(r[g]) - q));
                all.sum::<f64>() / divisor
            };
            [
                a,
                b,
                product(0, 0, a, a),
                product(1, 1, b, b),
                product(0, 1, a, b),
            ]
        };
        for covariance in [Covariance::Full, Covariance::Diagonal] {
            let made = class_gaussians(&train, Z, covariance, 20_000, 1).unwrap();
            for c in 0..2 {
                let real = members(&train, c)
                    .into_iter()
                    .map(|i| train.row(i))
                    .collect();
                let mut want = moments(real, 19.0);
                if covariance == Covariance::Diagonal {
                    want[4] = 0.0;
                }
                let rows = made
                    .values
                    .chunks(2)
                    .skip(c * 10_000)
                    .take(10_000)
                    .collect();
                let got = moments(rows, 10_000.0);
                // Six standard errors of 10,000 draws of a Gaussian.
                let (s0, s1) = (want[2].sqrt(), want[3].sqrt());
                let errors = [s0, s1, 1.5 * s0 * s0, 1.5 * s1 * s1, 1.5 * s0 * s1];
                for ((g, w), e) in got.iter().zip(want).zip(errors) {
                    assert!((g - w).abs() < 0.06 * e, "{got:?} {want:?}");
                }
            }
        }
        let made = class_gaussians(&toy(MM, 2), MM, Covariance::Full, 60, 1).unwrap();
        check_toy(&made, MM, 60);
        let lonely = Rows::recorded(1, 2, vec![1.0, 2.0, 3.0], vec![0, 0, 1]);
        let error = class_gaussians(&lonely, Z, Covariance::Full, 3, 1).unwrap_err();
        assert!(matches!(
            error,
            AugmentError::SmallClass { class: 1, rows: 1 }
        ));
    }

    #[test]
    fn mixup_copies_mix_every_row_and_its_label_alike() {
        let train = Rows::recorded(1, 2, vec![0.0, 1.0], vec![0, 1]);
        let mixer = Mixer::new(&MixupConfig {
            alpha: 1.0,
            real_share: 1.0,
            pairing: Pairing::Any,
        })
        .unwrap();
        let made = mixup_copies(&train, &mixer, 501, 1).unwrap();
        assert_eq!(made.values.len(), 501);
        for (x, y) in made.values.iter().zip(made.targets.chunks(2)) {
            assert!((y[1] - x).abs() < 1e-6 && (y[0] + y[1] - 1.0).abs() < 1e-6);
        }
        // Half of the partners are the row itself; the others lie strictly between.
        let between = made
            .values
            .iter()
            .filter(|v| **v > 0.0 && **v < 1.0)
            .count();
        assert!((200..300).contains(&between), "{between}");
        assert_eq!(
            made.digest(),
            mixup_copies(&train, &mixer, 501, 1).unwrap().digest()
        );
    }

    #[test]
    fn unusable_input_is_refused_by_name() {
        let mut rows = toy(Z, 1);
        let noise = |rows: &Rows, std, n| noise_copies(rows, Z, std, n, 1).unwrap_err().to_string();
        assert!(noise(&rows, 0.1, 0).contains("at least 1"));
        assert!(noise(&rows, -0.1, 5).contains("`std` must not be negative"));
        rows.values[13] = f32::NAN;
        let message = noise(&rows, 0.1, 5);
        assert!(
            message.contains("training row 3, feature 2") && message.contains("NaN"),
            "{message}"
        );
        rows.values.pop();
        assert!(noise(&rows, 0.1, 5).contains("539 values"));
        let none = Rows::recorded(6, 2, Vec::new(), Vec::new());
        assert!(noise(&none, 0.1, 5).contains("0 values"));
    }

    #[test]
    fn the_digest_sees_values_and_targets() {
        let made = noise_copies(&toy(Z, 1), Z, 0.1, 9, 1).unwrap();
        let mut other = made.clone();
        other.values[3] += 1e-3;
        let mut third = made.clone();
        third.targets.swap(0, 1);
        assert!(made.digest() != other.digest() && made.digest() != third.digest());
        assert_eq!(made.digest().len(), 64);
    }
}
