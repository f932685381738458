//! Intervals and tests for scores over folds and seeds.

use rand::RngExt;
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::data::stream;
use crate::metrics::mean_std;

/// Folds up to which every sign pattern is looked at: 2¹⁶ of them.
const EXACT_SIGNS: usize = 16;
/// Sign patterns drawn where there are too many to look at them all.
const DRAWN_SIGNS: usize = 100_000;

/// P(T ≤ t) of Student's distribution with `freedom` degrees of freedom; `None` where `freedom` is not above 0 or `t` is not a number.
pub fn student_cdf(t: f64, freedom: f64) -> Option<f64> {
    (!t.is_nan()).then_some(())?;
    Some(StudentsT::new(0.0, 1.0, freedom).ok()?.cdf(t))
}

/// The t with P(T ≤ t) = `p`; `None` where `freedom` is not above 0 or `p` not inside (0, 1).
pub fn student_quantile(p: f64, freedom: f64) -> Option<f64> {
    if !(p > 0.0 && p < 1.0) {
        return None;
    }
    let t = StudentsT::new(0.0, 1.0, freedom).ok()?;
    Some(t.inverse_cdf(p))
}

/// A mean with its confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Interval {
    /// Mean.
    pub mean: f64,
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
}

/// Mean and Student's interval at `level` (such as 0.95), for independent values: mean ± t s / √n.
///
/// Scores of several seeds on the same folds are independent given the data: the interval then speaks of other seeds, not of other speakers.
/// `None` for fewer than two values.
pub fn mean_interval(values: &[f64], level: f64) -> Option<Interval> {
    let (mean, Some(deviation)) = mean_std(values)? else {
        return None;
    };
    let n = values.len() as f64;
    let half = student_quantile(0.5 + 0.5 * level, n - 1.0)? * deviation / n.sqrt();
    Some(Interval {
        mean,
        lower: mean - half,
        upper: mean + half,
    })
}

/// A mean difference, its 95 % interval and the two-sided p-value of "there is none".
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PairedTest {
    /// Mean difference.
    pub mean: f64,
    /// Lower end of the 95 % interval.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
    /// Two-sided p-value.
    pub p: f64,
}

/// The corrected resampled t-test (Nadeau and Bengio 2003; for repeated cross-validation Bouckaert and Frank 2004) of `differences`, one for
/// each fold and seed, where a share `test_share` of the rows is tested in each fold (1 / folds in cross-validation).
///
/// Training sets of different folds overlap, so the variance of the mean is taken as (1 / n + test / train) s² instead of s² / n.
/// All differences equal: the interval is the mean itself, and p is 1 for a mean of 0, else 0. `None` for fewer than two values, for values
/// that are not finite, or where `test_share` is not inside (0, 1).
pub fn corrected_resampled_t(differences: &[f64], test_share: f64) -> Option<PairedTest> {
    if !(test_share > 0.0 && test_share < 1.0) || differences.iter().any(|d| !d.is_finite()) {
        return None;
    }
    let (mean, Some(deviation)) = mean_std(differences)? else {
        return None;
    };
    let n = differences.len() as f64;
    let error = deviation * (1.0 / n + test_share / (1.0 - test_share)).sqrt();
    let half = student_quantile(0.975, n - 1.0)? * error;
    let p = if error > 0.0 {
        2.0 * student_cdf(-(mean / error).abs(), n - 1.0)?
    } else {
        f64::from(u8::from(mean == 0.0))
    };
    Some(PairedTest {
        mean,
        lower: mean - half,
        upper: mean + half,
        p,
    })
}

/// Paired t-test of independent differences: mean, 95 % interval and two-sided p. `None` for fewer than two, or one that
/// is not finite.
pub fn paired_t(differences: &[f64]) -> Option<PairedTest> {
    let interval = mean_interval(differences, 0.95)?;
    let (mean, Some(deviation)) = mean_std(differences)? else {
        return None;
    };
    let n = differences.len() as f64;
    let p = if deviation > 0.0 {
        2.0 * student_cdf(-(mean / (deviation / n.sqrt())).abs(), n - 1.0)?
    } else {
        f64::from(u8::from(mean == 0.0))
    };
    Some(PairedTest {
        mean,
        lower: interval.lower,
        upper: interval.upper,
        p,
    })
}

/// Two-sided p-value of the sign-flip (paired permutation) test of `differences`, one for each fold: the share of sign patterns whose mean
/// is at least as far from 0.
///
/// Exact up to 16 differences; beyond, 100 000 patterns drawn from `seed`, the observed one counted among them.
/// `None` without any difference, or where one is not finite.
pub fn sign_flip_p(differences: &[f64], seed: u64) -> Option<f64> {
    if differences.is_empty() || differences.iter().any(|d| !d.is_finite()) {
        return None;
    }
    // Rounding in sums of the same numbers in other signs must not turn equal into smaller.
    let scale: f64 = differences.iter().map(|d| d.abs()).sum();
    let observed = differences.iter().sum::<f64>().abs() - 1e-12 * scale;
    let n = differences.len();
    if n <= EXACT_SIGNS {
        let far = (0u32..1 << n).filter(|signs| {
            let signed = differences.iter().enumerate();
            let sum: f64 = signed
                .map(|(i, d)| if signs >> i & 1 == 1 { -d } else { *d })
                .sum();
            sum.abs() >= observed
        });
        return Some(far.count() as f64 / f64::from(1u32 << n));
    }
    let mut rng = stream(seed, "sign flips", n);
    let mut far = 1;
    for _ in 0..DRAWN_SIGNS {
        let sum: f64 = differences
            .iter()
            .map(|d| if rng.random::<bool>() { -d } else { *d })
            .sum();
        far += usize::from(sum.abs() >= observed);
    }
    Some(far as f64 / (DRAWN_SIGNS + 1) as f64)
}

/// Holm's step-down adjustment (Holm 1979): p-values that may be held against the level as if each test were the only one.
/// In the order given.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let n = p_values.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut out = vec![0.0; n];
    let mut floor = 0.0f64;
    for (rank, &i) in order.iter().enumerate() {
        floor = floor.max(((n - rank) as f64 * p_values[i]).min(1.0));
        out[i] = floor;
    }
    out
}

/// Area under the ROC curve of `scores` for telling positives from negatives, by ranks, ties counting one half (Mann-Whitney).
/// `None` without positives or without negatives, or with a score that is not a number.
pub fn auc(scores: &[f64], positive: &[bool]) -> Option<f64> {
    if scores.iter().any(|s| s.is_nan()) {
        return None;
    }
    let mut order: Vec<usize> = (0..scores.len().min(positive.len())).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let positives = positive.iter().filter(|p| **p).count() as f64;
    let negatives = order.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return None;
    }
    let mut rank_sum = 0.0;
    let mut start = 0;
    while start < order.len() {
        let score = scores[order[start]];
        let tied = order[start..]
            .iter()
            .take_while(|&&i| scores[i] == score)
            .count();
        // Ranks from 1; tied rows share their mean rank.
        let rank = start as f64 + 0.5 * (tied as f64 + 1.0);
        let among = order[start..start + tied].iter().filter(|&&i| positive[i]);
        rank_sum += rank * among.count() as f64;
        start += tied;
    }
    Some((rank_sum - 0.5 * positives * (positives + 1.0)) / (positives * negatives))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64, tolerance: f64) {
        assert!((a - b).abs() < tolerance, "{a} {b}");
    }

    // Values of scipy 1.17.
    #[test]
    fn students_distribution_is_scipys() {
        for (t, freedom, p) in [
            (2.0, 4.0, 0.941_941_738_241_592_2),
            (-1.3, 24.0, 0.102_974_149_051_058_94),
            (0.1, 1.0, 0.531_725_517_430_553_5),
            (12.0, 3.0, 0.999_377_492_099_605_4),
            (-40.0, 2.5, 7.097_817_145_246_69e-5),
        ] {
            near(student_cdf(t, freedom).unwrap(), p, 1e-10);
        }
        for (p, freedom, t) in [
            (0.975, 4.0, 2.776_445_105_197_793_4),
            (0.975, 24.0, 2.063_898_561_628_024_5),
            (0.995, 1.0, 63.656_741_162_871_526),
            (0.6, 7.5, 0.262_501_898_804_294_86),
            (1e-4, 9.0, -6.010_132_129_081_441),
        ] {
            near(student_quantile(p, freedom).unwrap(), t, 1e-7 * t.abs());
        }
        assert_eq!(student_quantile(1.0, 4.0), None);
        assert_eq!(student_quantile(0.5, 0.0), None);
        assert_eq!(student_cdf(f64::NAN, 4.0), None);
    }

    #[test]
    fn the_interval_of_a_mean_is_scipys() {
        let i = mean_interval(&[0.61, 0.58, 0.63, 0.60, 0.595], 0.95).unwrap();
        near(i.mean, 0.603, 1e-12);
        near(i.lower, 0.579_937_114_835_081_9, 1e-9);
        near(i.upper, 0.626_062_885_164_918, 1e-9);
        assert_eq!(mean_interval(&[0.5], 0.95), None);
    }

    const DIFFERENCES: [f64; 10] = [
        0.012, -0.004, 0.020, 0.007, 0.001, 0.015, -0.002, 0.018, 0.009, 0.003,
    ];

    #[test]
    fn the_corrected_test_is_the_papers_formula() {
        let t = corrected_resampled_t(&DIFFERENCES, 0.2).unwrap();
        near(t.mean, 0.0079, 1e-12);
        near(t.lower, -0.003_287_327_166_894_326, 1e-9);
        near(t.upper, 0.019_087_327_166_894_326, 1e-9);
        near(t.p, 0.144_632_931_609_713_83, 1e-9);
        let none = corrected_resampled_t(&[0.0; 5], 0.2).unwrap();
        assert_eq!((none.p, none.lower, none.upper), (1.0, 0.0, 0.0));
        assert_eq!(corrected_resampled_t(&[0.1; 4], 0.2).unwrap().p, 0.0);
        assert_eq!(corrected_resampled_t(&[0.1, f64::NAN], 0.2), None);
        assert_eq!(corrected_resampled_t(&DIFFERENCES, 1.0), None);
    }

    #[test]
    fn sign_flips_are_scipys_permutation_test() {
        assert_eq!(sign_flip_p(&DIFFERENCES[..5], 1), Some(0.1875));
        assert_eq!(sign_flip_p(&DIFFERENCES, 1), Some(0.021_484_375));
        let twenty: Vec<f64> = DIFFERENCES
            .iter()
            .copied()
            .chain(DIFFERENCES.iter().map(|d| d - 0.003))
            .collect();
        // Two million draws of scipy's.
        near(sign_flip_p(&twenty, 1).unwrap(), 0.003_395, 0.0006);
        assert_eq!(sign_flip_p(&twenty, 7), sign_flip_p(&twenty, 7));
        assert_eq!(sign_flip_p(&[0.0; 3], 1), Some(1.0));
        assert_eq!(sign_flip_p(&[], 1), None);
    }

    #[test]
    fn holm_steps_down_and_never_falls() {
        // R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
        for (a, b) in holm(&[0.01, 0.04, 0.03, 0.005])
            .iter()
            .zip([0.03, 0.06, 0.06, 0.02])
        {
            near(*a, b, 1e-12);
        }
        assert_eq!(holm(&[0.7, 0.9]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn tied_scores_count_one_half() {
        let positive = [false, false, true, true, false, true, true, false];
        let scores = [0.1, 0.4, 0.35, 0.8, 0.4, 0.4, 0.9, 0.05];
        assert_eq!(auc(&scores, &positive), Some(0.8125));
        assert_eq!(auc(&[0.0; 8], &positive), Some(0.5));
        assert_eq!(auc(&scores, &[true; 8]), None);
    }
}
