//! What a [`Svm`] is trained on and with: soft labels as weighted rows, balanced classes, and the search for C and γ.

use rayon::prelude::*;

use super::svm::{
    Kernel, MATRIX_ROWS, Machines, Sorted, Svm, SvmConfig, SvmError, apply_kernel, check_config,
    check_values,
};
use crate::data::batches::Rows;
use crate::gram::{centred, inner_products, squared_distances};
use crate::metrics::Confusion;

/// Soft labels below this are no rows of [`soft_rows`].
const LEAST_LABEL: f32 = 1e-3;

/// 1 / (width · variance of all values of `x`): scikit-learn's `gamma="scale"`; 1 where the variance is 0.
pub fn scale_gamma(x: &[f32], width: usize) -> f64 {
    let n = x.len().max(1) as f64;
    let mean = x.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    let variance = x
        .iter()
        .map(|v| (f64::from(*v) - mean).powi(2))
        .sum::<f64>()
        / n;
    if variance > 0.0 {
        1.0 / (width as f64 * variance)
    } else {
        1.0
    }
}

/// Row weights times summed weight / (classes present · summed weight of the row's class): with weights of 1, n / (k n_c), scikit-learn's
/// `class_weight="balanced"`. Rows of classes beyond `classes` keep their weight.
pub fn balance(class: &[usize], weight: &[f64], classes: usize) -> Vec<f64> {
    let mut mass = vec![0.0f64; classes];
    for (&c, w) in class.iter().zip(weight) {
        if let Some(m) = mass.get_mut(c) {
            *m += w;
        }
    }
    let all: f64 = mass.iter().sum();
    let present = mass.iter().filter(|m| **m > 0.0).count() as f64;
    class
        .iter()
        .zip(weight)
        .map(|(&c, w)| match mass.get(c) {
            Some(m) if *m > 0.0 => w * all / (present * m),
            _ => *w,
        })
        .collect()
}

/// Rows with soft labels as rows with hard labels and weights: (x, class, weight). A row appears once for each class that its label gives
/// at least 1e-3, with that share as its weight.
pub fn soft_rows(rows: &Rows) -> (Vec<f32>, Vec<usize>, Vec<f64>) {
    let (mut x, mut class, mut weight) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..rows.len() {
        for (c, &share) in rows.target(i).iter().enumerate() {
            if share >= LEAST_LABEL {
                x.extend_from_slice(rows.row(i));
                class.push(c);
                weight.push(f64::from(share));
            }
        }
    }
    (x, class, weight)
}

/// Candidates of [`grid_search`].
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// Values of C.
    pub c: Vec<f64>,
    /// Values of γ, as multiples of [`scale_gamma`] of the training rows; not looked at for a linear kernel.
    pub gamma: Vec<f64>,
    /// A linear kernel instead of the RBF.
    pub linear: bool,
}

/// One candidate of a grid search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GridPoint {
    /// C.
    pub c: f64,
    /// γ itself; `None` for the linear kernel.
    pub gamma: Option<f64>,
    /// Unweighted average recall on the validation rows.
    pub uar: f64,
}

/// Trains every candidate on `train` (x, class, weight) and keeps that with the highest UAR on `validation` (x, class); of equal ones that with
/// the smaller C, then with the smaller γ. Products between rows are computed once for all candidates.
///
/// # Errors
/// As [`Svm::fit`]; a grid without candidates, no validation rows.
pub fn grid_search(
    train: (&[f32], &[usize], &[f64]),
    validation: (&[f32], &[usize]),
    width: usize,
    classes: usize,
    grid: &Grid,
) -> Result<(Svm, SvmConfig, Vec<GridPoint>), SvmError> {
    let (x, class, weight) = train;
    let (valid, truth) = validation;
    let sorted = Sorted::new(x, width, class, weight, classes)?;
    check_values(valid, width, truth.len(), truth.len())?;
    if truth.is_empty() {
        return Err(SvmError::Grid("validation rows"));
    }
    let ascending = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values
    };
    let cs = ascending(&grid.c);
    let kernels: Vec<Kernel> = if grid.linear {
        vec![Kernel::Linear]
    } else {
        let scale = scale_gamma(x, width);
        ascending(&grid.gamma)
            .into_iter()
            .map(|multiple| Kernel::Rbf {
                gamma: multiple * scale,
            })
            .collect()
    };
    let mut candidates = Vec::new();
    for &c in &cs {
        for &kernel in &kernels {
            let config = SvmConfig::new(kernel, c);
            check_config(&config)?;
            candidates.push(config);
        }
    }
    let Some(&any) = candidates.first() else {
        return Err(SvmError::Grid("candidates"));
    };
    let uar = |predicted: &[usize]| {
        let pairs = truth.iter().copied().zip(predicted.iter().copied());
        Confusion::of(classes, pairs).uar().unwrap_or(0.0)
    };
    let mut tried: Vec<(SvmConfig, f64, Machines)> = Vec::with_capacity(candidates.len());
    if sorted.rows() > MATRIX_ROWS {
        for config in &candidates {
            let machines = sorted.solve_computed(config, None);
            let svm =
                Sorted::new(x, width, class, weight, classes)?.finish(machines.clone(), config);
            tried.push((*config, uar(&svm.predict(valid)?), machines));
        }
    } else {
        let products = sorted.products(any.kernel)?;
        let valid = centred(valid, &sorted.means);
        let to_valid = match any.kernel {
            Kernel::Linear => inner_products(&valid, &sorted.x, width)?,
            Kernel::Rbf { .. } => squared_distances(&valid, &sorted.x, width)?,
        };
        for &kernel in &kernels {
            let (mut matrix, mut rows) = (products.clone(), to_valid.clone());
            apply_kernel(&mut matrix, kernel);
            apply_kernel(&mut rows, kernel);
            let of_kernel: Vec<_> = candidates
                .par_iter()
                .filter(|config| config.kernel == kernel)
                .map(|config| {
                    let machines = sorted.solve_matrix(&matrix, config);
                    let predicted: Vec<usize> = rows
                        .par_chunks_exact(sorted.rows())
                        .map(|row| machines.vote(row))
                        .collect();
                    (*config, uar(&predicted), machines)
                })
                .collect();
            tried.extend(of_kernel);
        }
    }
    let gamma = |kernel| match kernel {
        Kernel::Linear => None,
        Kernel::Rbf { gamma } => Some(gamma),
    };
    tried.sort_by(|(a, ..), (b, ..)| {
        a.c.total_cmp(&b.c).then(
            gamma(a.kernel)
                .unwrap_or(0.0)
                .total_cmp(&gamma(b.kernel).unwrap_or(0.0)),
        )
    });
    let points: Vec<GridPoint> = tried
        .iter()
        .map(|(config, uar, _)| GridPoint {
            c: config.c,
            gamma: gamma(config.kernel),
            uar: *uar,
        })
        .collect();
    let mut best = 0;
    for (i, point) in points.iter().enumerate() {
        if point.uar > points[best].uar {
            best = i;
        }
    }
    let (config, _, machines) = tried.swap_remove(best);
    Ok((sorted.finish(machines, &config), config, points))
}
