//! Temperature scaling (Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2).
//!
//! One number T > 0 divides the logits before the softmax. It moves no decision, only how sure the
//! model claims to be. T is the one that gives held-out rows the highest likelihood, held back by a
//! weak prior: ln T ~ N(0, [`PRIOR_DEVIATION`]²). A few hundred rows drown the prior; a dozen rows,
//! which by luck may be all right or all wrong, cannot make the model claim certainty or nothing.

use ser_runtime::bundle::{Abstain, Calibration};
use ser_runtime::prediction::argmax;

use crate::metrics;
use crate::model::HeldOut;

/// Smallest temperature that is tried.
pub const MIN_TEMPERATURE: f64 = 0.05;
/// Largest temperature that is tried.
pub const MAX_TEMPERATURE: f64 = 20.0;

/// Standard deviation of ln T before any row was seen: T lies between 0.37 and 2.7 with 95 %.
pub const PRIOR_DEVIATION: f64 = 0.5;

/// Bins of confidence over which the expected calibration error is taken.
pub const ECE_BINS: usize = 15;

/// Held-out logits that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum CalibrateError {
    /// The number of logits is not rows times classes.
    #[error("{logits} held-out logits for {rows} rows of {classes} classes")]
    Shape {
        /// Number of logits.
        logits: usize,
        /// Number of labels.
        rows: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A label is no class index.
    #[error("held-out row {row} has class {label}, the model knows {classes}")]
    Label {
        /// Row index, from 0.
        row: usize,
        /// Its class index.
        label: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A logit is infinite or not a number.
    #[error(
        "held-out row {row} has the logit {value}; training diverged, try a lower learning rate"
    )]
    NotFinite {
        /// Row index, from 0.
        row: usize,
        /// The offending logit.
        value: f32,
    },
}

/// Fits the temperature on held-out rows; without any, T = 1 and the record says so.
///
/// # Errors
/// Logits that do not fit the labels or are not finite.
pub fn calibrate(
    held_out: Option<&HeldOut>,
    classes: usize,
) -> Result<Calibration, CalibrateError> {
    let Some(held_out) = held_out.filter(|h| !h.labels.is_empty()) else {
        return Ok(Calibration {
            temperature: 1.0,
            fitted_on: "nothing: no rows were held out, probabilities are uncalibrated".into(),
            ece_before: None,
            ece_after: None,
            abstain: None,
        });
    };
    let HeldOut {
        source,
        logits,
        labels,
    } = held_out;
    check(logits, labels, classes)?;
    let temperature = fit_temperature(logits, labels, classes);
    let ece = |t: f64| metrics::expected_calibration_error(logits, classes, labels, t, ECE_BINS);
    Ok(Calibration {
        temperature: temperature as f32,
        fitted_on: format!("{} rows: {source}", labels.len()),
        ece_before: ece(1.0),
        ece_after: ece(f64::from(temperature as f32)),
        abstain: abstention(logits, labels, classes, temperature as f32, source),
    })
}

/// The probability below which a label is rather withheld: the one at which right labels less wrong ones are most, on
/// held-out rows; a wrong label is taken to cost what a right one is worth. None where every label is worth giving.
fn abstention(
    logits: &[f32],
    labels: &[usize],
    classes: usize,
    temperature: f32,
    source: &str,
) -> Option<Abstain> {
    let mut rows: Vec<(f32, bool)> = logits
        .chunks_exact(classes)
        .zip(labels)
        .map(|(row, &label)| {
            let mut probabilities = row.to_vec();
            ser_runtime::prediction::softmax(&mut probabilities, temperature);
            let best = argmax(&probabilities);
            (probabilities[best], best == label)
        })
        .collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut gain, mut best) = (0_i64, (0_i64, 0));
    for (given, (_, right)) in rows.iter().enumerate() {
        gain += if *right { 1 } else { -1 };
        // Of equals the one that says more.
        if gain >= best.0 {
            best = (gain, given + 1);
        }
    }
    let given = best.1;
    if given == 0 || given == rows.len() {
        return None;
    }
    let right = |rows: &[(f32, bool)]| rows.iter().filter(|(_, right)| *right).count() as f64;
    let below = f32::midpoint(rows[given - 1].0, rows[given].0);
    Some(Abstain {
        below,
        coverage: given as f64 / rows.len() as f64,
        accuracy: Some(right(&rows[..given]) / given as f64),
        accuracy_of_all: right(&rows) / rows.len() as f64,
        chosen_on: format!(
            "{} rows: {source}; right labels less wrong ones are most",
            rows.len()
        ),
    })
}

/// Expected calibration error ([`ECE_BINS`] bins) of predictions on rows that neither model nor temperature was fitted on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalibrationError {
    /// At temperature 1.
    pub before: f64,
    /// Each fold at the temperature of the other folds.
    pub after: f64,
}

/// [`CalibrationError`] over `folds`: logits (`[rows, classes]` row-major) and labels of each. None with fewer than two folds.
///
/// # Errors
/// Logits that do not fit the labels or are not finite.
pub fn cross_fitted_error(
    folds: &[(Vec<f32>, Vec<usize>)],
    classes: usize,
) -> Result<Option<CalibrationError>, CalibrateError> {
    if folds.len() < 2 {
        return Ok(None);
    }
    let (mut raw, mut cooled, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for (index, (logits, labels)) in folds.iter().enumerate() {
        check(logits, labels, classes)?;
        let others = || {
            let others = folds.iter().enumerate().filter(|(i, _)| *i != index);
            others.map(|(_, fold)| fold)
        };
        let other_logits: Vec<f32> = others().flat_map(|f| f.0.iter().copied()).collect();
        let other_labels: Vec<usize> = others().flat_map(|f| f.1.iter().copied()).collect();
        let temperature = fit_temperature(&other_logits, &other_labels, classes) as f32;
        raw.extend_from_slice(logits);
        cooled.extend(logits.iter().map(|l| l / temperature));
        all.extend_from_slice(labels);
    }
    let ece =
        |logits: &[f32]| metrics::expected_calibration_error(logits, classes, &all, 1.0, ECE_BINS);
    let errors = ece(&raw).zip(ece(&cooled));
    Ok(errors.map(|(before, after)| CalibrationError { before, after }))
}

fn check(logits: &[f32], labels: &[usize], classes: usize) -> Result<(), CalibrateError> {
    if classes == 0 || labels.len().checked_mul(classes) != Some(logits.len()) {
        return Err(CalibrateError::Shape {
            logits: logits.len(),
            rows: labels.len(),
            classes,
        });
    }
    if let Some(row) = labels.iter().position(|&label| label >= classes) {
        return Err(CalibrateError::Label {
            row,
            label: labels[row],
            classes,
        });
    }
    if let Some(i) = logits.iter().position(|v| !v.is_finite()) {
        return Err(CalibrateError::NotFinite {
            row: i / classes,
            value: logits[i],
        });
    }
    Ok(())
}

/// The T in [[`MIN_TEMPERATURE`], [`MAX_TEMPERATURE`]] of highest posterior probability.
///
/// With β = 1/T the slope of the rows' loss is Σ (Σ_k p_k z_k − z_label); that of the prior is
/// ln β / (σ² β). Halving the interval around the zero of their sum needs no step size and always
/// gives the same bits.
fn fit_temperature(logits: &[f32], labels: &[usize], classes: usize) -> f64 {
    let slope = |beta: f64| -> f64 {
        let prior = beta.ln() / (PRIOR_DEVIATION * PRIOR_DEVIATION * beta);
        let rows: f64 = logits
            .chunks_exact(classes)
            .zip(labels)
            .map(|(row, &label)| {
                let top = row.iter().fold(f32::NEG_INFINITY, |m, &v| m.max(v));
                let (mut sum, mut weighted) = (0.0, 0.0);
                for &z in row {
                    let z = f64::from(z);
                    let e = (beta * (z - f64::from(top))).exp();
                    sum += e;
                    weighted += e * z;
                }
                weighted / sum - f64::from(row[label])
            })
            .sum();
        prior + rows
    };
    let (mut low, mut high) = (1.0 / MAX_TEMPERATURE, 1.0 / MIN_TEMPERATURE);
    if slope(low) >= 0.0 {
        return MAX_TEMPERATURE;
    }
    if slope(high) <= 0.0 {
        return MIN_TEMPERATURE;
    }
    for _ in 0..60 {
        let middle = (low * high).sqrt();
        if slope(middle) < 0.0 {
            low = middle
        } else {
            high = middle
        }
    }
    1.0 / (low * high).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Rows whose label is drawn from softmax(logits / temperature).
    fn drawn(temperature: f64, rows: usize, seed: u64) -> HeldOut {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let logits: Vec<f32> = (0..rows * 4).map(|_| rng.random_range(-6.0..6.0)).collect();
        let labels = logits
            .chunks_exact(4)
            .map(|row| {
                let mut u: f64 = rng.random();
                let drawn = metrics::softmax(row, temperature).iter().position(|p| {
                    u -= p;
                    u < 0.0
                });
                drawn.unwrap_or(3)
            })
            .collect();
        HeldOut {
            source: "drawn".into(),
            logits,
            labels,
        }
    }

    #[test]
    fn the_error_over_folds_never_sees_its_own_rows() {
        let fold = |seed| {
            let HeldOut { logits, labels, .. } = drawn(3.0, 400, seed);
            (logits, labels)
        };
        let folds: Vec<_> = (0..5).map(fold).collect();
        let error = cross_fitted_error(&folds, 4).unwrap().unwrap();
        assert!(error.before > 0.15 && error.after < 0.05, "{error:?}");
        assert_eq!(cross_fitted_error(&folds[..1], 4).unwrap(), None);
        assert!(cross_fitted_error(&[folds[0].clone(), (vec![1.0], vec![0])], 4).is_err());
    }

    #[test]
    fn known_temperature_is_recovered_and_lowers_the_error() {
        for (seed, temperature) in [(1, 0.5), (2, 1.0), (3, 2.5), (4, 4.0)] {
            let fitted = calibrate(Some(&drawn(temperature, 20_000, seed)), 4).unwrap();
            let ratio = f64::from(fitted.temperature) / temperature;
            assert!(
                (0.95..1.05).contains(&ratio),
                "{fitted:?} for {temperature}"
            );
            let (before, after) = (fitted.ece_before.unwrap(), fitted.ece_after.unwrap());
            assert!(after < 0.02, "{fitted:?}");
            if temperature != 1.0 {
                assert!(after < 0.5 * before, "{fitted:?}");
            }
        }
    }

    #[test]
    fn temperature_is_the_most_probable_one() {
        let held_out = drawn(1.7, 500, 9);
        let fitted = fit_temperature(&held_out.logits, &held_out.labels, 4);
        let loss = |t: f64| -> f64 {
            let rows = held_out.logits.chunks_exact(4).zip(&held_out.labels);
            let rows = rows.map(|(row, &label)| -metrics::softmax(row, t)[label].ln());
            rows.sum::<f64>() + 0.5 * (t.ln() / PRIOR_DEVIATION).powi(2)
        };
        assert!(loss(fitted) <= loss(fitted * 1.01) && loss(fitted) <= loss(fitted / 1.01));
    }

    #[test]
    fn a_few_lucky_rows_claim_little_and_many_claim_much() {
        let right = |rows: usize| fit_temperature(&[2.0, 1.0].repeat(rows), &vec![0; rows], 2);
        let wrong = |rows: usize| fit_temperature(&[2.0, 1.0].repeat(rows), &vec![1; rows], 2);
        assert!((0.5..1.0).contains(&right(3)), "{}", right(3));
        assert!((1.0..2.0).contains(&wrong(3)), "{}", wrong(3));
        assert!(right(1000) < 0.2, "{}", right(1000));
        assert_eq!(wrong(1000), MAX_TEMPERATURE);
        // Logits that say nothing leave the prior's own value.
        assert!((fit_temperature(&[0.0; 4], &[0, 1], 2) - 1.0).abs() < 1e-9);
        // Huge logits do not overflow.
        assert!(fit_temperature(&[3e38, -3e38, -3e38, 3e38], &[0, 0], 2).is_finite());
    }

    #[test]
    fn unusable_rows_are_named() {
        let mut h = drawn(1.0, 10, 5);
        h.labels[3] = 4;
        assert_eq!(
            calibrate(Some(&h), 4),
            Err(CalibrateError::Label {
                row: 3,
                label: 4,
                classes: 4
            })
        );
        h.labels[3] = 0;
        h.logits[9] = f32::NAN;
        assert!(matches!(
            calibrate(Some(&h), 4),
            Err(CalibrateError::NotFinite { row: 2, .. })
        ));
        h.logits.pop();
        assert!(matches!(
            calibrate(Some(&h), 4),
            Err(CalibrateError::Shape { .. })
        ));
        let none = calibrate(None, 4).unwrap();
        assert_eq!((none.temperature, none.ece_before), (1.0, None));
        assert!(none.fitted_on.contains("uncalibrated"));
    }
}
