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

/// Copies of training rows with Gaussian noise of standard deviation `std` (in units of the normalised features) on
/// every feature; within a class, each row is copied equally often (to within one). Under min-max values stay in 0..=1.
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
    let mut rng = stream(seed, "noise copies", 0);
    let mut out = Vec::with_capacity(rows * train.width);
    for (c, &count) in counts.iter().enumerate() {
        for i in draws(&members(train, c), count, &mut rng) {
            let noise = normals(train.width, std as f32, &mut rng);
            out.extend(train.row(i).iter().zip(noise).map(|(x, e)| x + e));
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

fn keep_in_range(kind: NormaliserKind, values: &mut [f32]) {
    if kind == NormaliserKind::MinMax {
        for v in values {
            *v = v.clamp(0.0, 1.0);
        }
    }
}
