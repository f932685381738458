//! Scores of a classifier: recall, unweighted average recall (UAR), confusion, calibration error.

use serde::{Deserialize, Serialize};

/// Counts of (true class, predicted class).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// `counts[truth][prediction]`.
    pub counts: Vec<Vec<u64>>,
}

impl Confusion {
    /// No row counted yet.
    pub fn new(classes: usize) -> Self {
        Self {
            counts: vec![vec![0; classes]; classes],
        }
    }

    /// Counts rows given as (truth, prediction); classes beyond the matrix are left out.
    pub fn of(classes: usize, pairs: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let mut out = Self::new(classes);
        for (truth, prediction) in pairs {
            if let Some(cell) = out
                .counts
                .get_mut(truth)
                .and_then(|r| r.get_mut(prediction))
            {
                *cell += 1;
            }
        }
        out
    }

    /// Adds the counts of `other`.
    pub fn add(&mut self, other: &Self) {
        for (a, b) in self.counts.iter_mut().zip(&other.counts) {
            for (a, b) in a.iter_mut().zip(b) {
                *a += b;
            }
        }
    }

    /// Share of each class's rows that were recognised; `None` for a class without rows.
    pub fn recalls(&self) -> Vec<Option<f64>> {
        self.counts
            .iter()
            .enumerate()
            .map(|(c, row)| {
                let rows: u64 = row.iter().sum();
                (rows > 0).then(|| row[c] as f64 / rows as f64)
            })
            .collect()
    }

    /// Unweighted average recall over the classes that have rows; `None` without any row.
    pub fn uar(&self) -> Option<f64> {
        let recalls: Vec<f64> = self.recalls().into_iter().flatten().collect();
        (!recalls.is_empty()).then(|| recalls.iter().sum::<f64>() / recalls.len() as f64)
    }

    /// Share of all rows that were recognised; `None` without any row.
    pub fn accuracy(&self) -> Option<f64> {
        let rows: u64 = self.counts.iter().flatten().sum();
        let right: u64 = self.counts.iter().enumerate().map(|(c, r)| r[c]).sum();
        (rows > 0).then(|| right as f64 / rows as f64)
    }
}

/// Scores of repeated cross-validation: a value for each seed, and the counts of all.
#[derive(Clone, Debug, PartialEq)]
pub struct OverSeeds {
    /// Unweighted average recall over the pooled predictions of a seed's folds.
    pub uar: Vec<f64>,
    /// Mean of the folds' own UARs.
    pub mean_fold_uar: Vec<f64>,
    /// Share of rows recognised, pooled.
    pub accuracy: Vec<f64>,
    /// Recall of each class, pooled, mean over seeds; `None` for a class without rows.
    pub recall: Vec<Option<f64>>,
    /// Counts of all seeds.
    pub confusion: Confusion,
}

impl OverSeeds {
    /// Pools the folds of each seed.
    pub fn of(classes: usize, seeds: impl IntoIterator<Item = Vec<Confusion>>) -> Self {
        let mut out = Self {
            uar: Vec::new(),
            mean_fold_uar: Vec::new(),
            accuracy: Vec::new(),
            recall: Vec::new(),
            confusion: Confusion::new(classes),
        };
        let mut recalls = vec![Vec::new(); classes];
        for folds in seeds {
            let mut pooled = Confusion::new(classes);
            folds.iter().for_each(|fold| pooled.add(fold));
            let own: Vec<f64> = folds.iter().filter_map(Confusion::uar).collect();
            out.uar.extend(pooled.uar());
            out.accuracy.extend(pooled.accuracy());
            out.mean_fold_uar.extend(mean_std(&own).map(|m| m.0));
            for (all, recall) in recalls.iter_mut().zip(pooled.recalls()) {
                all.extend(recall);
            }
            out.confusion.add(&pooled);
        }
        out.recall = recalls.iter().map(|r| mean_std(r).map(|m| m.0)).collect();
        out
    }
}

/// softmax(logits / temperature) of one row, in double precision.
pub fn softmax(logits: &[f32], temperature: f64) -> Vec<f64> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits
        .iter()
        .map(|&l| (f64::from(l - top) / temperature).exp())
        .collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|p| p / sum).collect()
}

/// Cross-entropy -log p(truth), averaged within each class and then over the classes that have rows, so that it weighs
/// classes as UAR does. `logits` is `[rows, classes]` row-major. `None` without any row.
pub fn balanced_cross_entropy(logits: &[f32], classes: usize, truth: &[usize]) -> Option<f64> {
    let mut sums = vec![(0.0f64, 0u32); classes];
    for (row, &t) in logits.chunks_exact(classes.max(1)).zip(truth) {
        let p = softmax(row, 1.0)[t].max(f64::MIN_POSITIVE);
        sums[t].0 -= p.ln();
        sums[t].1 += 1;
    }
    let means: Vec<f64> = sums
        .iter()
        .filter(|s| s.1 > 0)
        .map(|s| s.0 / f64::from(s.1))
        .collect();
    (!means.is_empty()).then(|| means.iter().sum::<f64>() / means.len() as f64)
}

/// Expected calibration error: the mean gap between confidence and accuracy over `bins` equal bins of confidence,
/// weighted by their rows (Guo et al. 2017, eq. 5). `logits` is `[rows, classes]` row-major. `None` without any row.
pub fn expected_calibration_error(
    logits: &[f32],
    classes: usize,
    truth: &[usize],
    temperature: f64,
    bins: usize,
) -> Option<f64> {
    if truth.is_empty() || bins == 0 || classes == 0 {
        return None;
    }
    let mut sums = vec![(0.0f64, 0.0f64); bins];
    for (row, &t) in logits.chunks_exact(classes).zip(truth) {
        let p = softmax(row, temperature);
        let (best, confidence) =
            p.iter()
                .copied()
                .enumerate()
                .fold(
                    (0, f64::NEG_INFINITY),
                    |top, (i, p)| if p > top.1 { (i, p) } else { top },
                );
        let bin = ((confidence * bins as f64) as usize).min(bins - 1);
        sums[bin].0 += confidence;
        sums[bin].1 += f64::from(u8::from(best == t));
    }
    Some(sums.iter().map(|(c, a)| (c - a).abs()).sum::<f64>() / truth.len() as f64)
}

/// Mean and sample standard deviation (n - 1); no deviation for fewer than two values.
pub fn mean_std(values: &[f64]) -> Option<(f64, Option<f64>)> {
    let n = values.len() as f64;
    if values.is_empty() {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n;
    let std = (values.len() > 1)
        .then(|| (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt());
    Some((mean, std))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uar_averages_recalls_over_classes_with_rows() {
        let c = Confusion::of(3, [(0, 0), (0, 0), (0, 1), (0, 0), (1, 1), (1, 0)]);
        assert_eq!(c.recalls(), [Some(0.75), Some(0.5), None]);
        assert_eq!(c.uar(), Some(0.625));
        assert_eq!(c.accuracy(), Some(4.0 / 6.0));
        assert_eq!(Confusion::new(2).uar(), None);
    }

    #[test]
    fn calibration_error_of_a_sure_and_half_right_classifier_is_a_half() {
        let logits = [100.0, 0.0, 100.0, 0.0];
        let e = expected_calibration_error(&logits, 2, &[0, 1], 1.0, 10).unwrap();
        assert!((e - 0.5).abs() < 1e-9);
        // A temperature so high that confidence is a half makes the same classifier calibrated.
        assert!(expected_calibration_error(&logits, 2, &[0, 1], 1e9, 10).unwrap() < 1e-6);
    }

    #[test]
    fn balanced_cross_entropy_weighs_classes_alike() {
        // Class 0 twice with p = 1/2, class 1 once with p = 1/2: each class contributes ln 2.
        let e = balanced_cross_entropy(&[0.0; 6], 2, &[0, 0, 1]).unwrap();
        assert!((e - 2f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn deviation_is_the_sample_one() {
        assert_eq!(mean_std(&[1.0, 3.0]), Some((2.0, Some(2f64.sqrt()))));
        assert_eq!(mean_std(&[1.0]), Some((1.0, None)));
        assert_eq!(mean_std(&[]), None);
    }
}
