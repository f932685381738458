//! The three matrix products of a dense layer, in parts that threads can share.
//!
//! How a product is cut into parts depends on its shape alone, so that every number is the same whatever the number of
//! threads. The only `unsafe` of the networks is here: the kernels of the `gemm` crate take raw pointers.
#![allow(unsafe_code)]

use rayon::prelude::*;

/// A read-only matrix somewhere in a slice.
#[derive(Clone, Copy, Debug)]
struct View<'a> {
    data: &'a [f32],
    row_stride: usize,
    column_stride: usize,
}

impl View<'_> {
    fn holds(&self, rows: usize, columns: usize) -> bool {
        rows == 0
            || columns == 0
            || (rows - 1) * self.row_stride + (columns - 1) * self.column_stride < self.data.len()
    }
}

/// Multiplications that make a part of a product worth its own task.
const PART: usize = 1 << 21;

/// `out` = x·w for x `[rows, inputs]`, w `[inputs, outputs]`, out `[rows, outputs]`, all row-major.
///
/// # Panics
/// Slices whose lengths are others.
pub(super) fn forward(x: &[f32], w: &[f32], rows: usize, inputs: usize, out: &mut [f32]) {
    let outputs = w.len().checked_div(inputs).unwrap_or(0);
    product(
        View {
            data: x,
            row_stride: inputs,
            column_stride: 1,
        },
        View {
            data: w,
            row_stride: outputs,
            column_stride: 1,
        },
        [rows, inputs, outputs],
        out,
    );
}

/// `out` = d·wᵀ for d `[rows, outputs]`, w `[inputs, outputs]`, out `[rows, inputs]`.
///
/// # Panics
/// Slices whose lengths are others.
pub(super) fn input_gradient(d: &[f32], w: &[f32], rows: usize, inputs: usize, out: &mut [f32]) {
    let outputs = w.len().checked_div(inputs).unwrap_or(0);
    product(
        View {
            data: d,
            row_stride: outputs,
            column_stride: 1,
        },
        View {
            data: w,
            row_stride: 1,
            column_stride: outputs,
        },
        [rows, outputs, inputs],
        out,
    );
}

/// `out` = xᵀ·d for x `[rows, inputs]`, d `[rows, outputs]`, out `[inputs, outputs]`.
///
/// # Panics
/// Slices whose lengths are others.
pub(super) fn weight_gradient(x: &[f32], d: &[f32], rows: usize, inputs: usize, out: &mut [f32]) {
    let outputs = d.len().checked_div(rows).unwrap_or(0);
    product(
        View {
            data: x,
            row_stride: 1,
            column_stride: inputs,
        },
        View {
            data: d,
            row_stride: outputs,
            column_stride: 1,
        },
        [inputs, rows, outputs],
        out,
    );
}

/// A pointer into `out`; parts write to disjoint places.
#[derive(Clone, Copy)]
struct Target(*mut f32);
// SAFETY: `product` hands disjoint parts of one exclusively borrowed slice to its tasks.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

impl Target {
    fn start(&self) -> *mut f32 {
        self.0
    }
}

/// `out` = a·b with shapes `[m, k]`, `[k, n]` and `[m, n]` row-major.
fn product(a: View<'_>, b: View<'_>, [m, k, n]: [usize; 3], out: &mut [f32]) {
    assert!(
        a.holds(m, k) && b.holds(k, n) && out.len() == m * n,
        "shapes of a matrix product"
    );
    let by_columns = n >= m;
    let long = if by_columns { n } else { m };
    let parts = (m * n * k / PART).clamp(1, long.div_ceil(64).max(1));
    let step = long.div_ceil(parts).next_multiple_of(16);
    let target = Target(out.as_mut_ptr());
    let part = |first: usize| {
        let count = step.min(long - first);
        let (row, rows, column, columns) = if by_columns {
            (0, m, first, count)
        } else {
            (first, count, 0, n)
        };
        // SAFETY: all three matrices were checked above to hold what is read and written; the parts of `out` are
        // disjoint column or row ranges, and `out` is borrowed exclusively until all of them are done.
        unsafe {
            gemm::gemm(
                rows,
                columns,
                k,
                target.start().add(row * n + column),
                1,
                n as isize,
                false,
                a.data.as_ptr().add(row * a.row_stride),
                a.column_stride as isize,
                a.row_stride as isize,
                b.data.as_ptr().add(column * b.column_stride),
                b.column_stride as isize,
                b.row_stride as isize,
                0.0,
                1.0,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    };
    if out.is_empty() {
        return;
    }
    if step >= long {
        part(0);
    } else {
        (0..long.div_ceil(step))
            .into_par_iter()
            .for_each(|i| part(i * step));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_equal_the_written_out_sums() {
        for (rows, inputs, outputs) in [(1, 1, 1), (5, 7, 3), (64, 130, 401), (3, 1000, 700)] {
            let numbers =
                |n: usize, f: f32| (0..n).map(|i| (i as f32 * f).sin()).collect::<Vec<_>>();
            let (x, w, d) = (
                numbers(rows * inputs, 0.7),
                numbers(inputs * outputs, 1.3),
                numbers(rows * outputs, 2.9),
            );
            let sum = |n: usize, f: &dyn Fn(usize) -> (f32, f32)| {
                (0..n)
                    .map(|i| f(i))
                    .map(|(a, b)| f64::from(a) * f64::from(b))
                    .sum::<f64>() as f32
            };
            let near = |got: &[f32], want: &dyn Fn(usize) -> f32| {
                for (i, g) in got.iter().enumerate().step_by(got.len().div_ceil(500)) {
                    assert!(
                        (g - want(i)).abs() < 1e-3,
                        "{rows} {inputs} {outputs} {i}: {g} {}",
                        want(i)
                    );
                }
            };
            let mut out = vec![f32::NAN; rows * outputs];
            forward(&x, &w, rows, inputs, &mut out);
            near(&out, &|i| {
                let (r, c) = (i / outputs, i % outputs);
                sum(inputs, &|k| (x[r * inputs + k], w[k * outputs + c]))
            });
            let mut out = vec![f32::NAN; rows * inputs];
            input_gradient(&d, &w, rows, inputs, &mut out);
            near(&out, &|i| {
                let (r, c) = (i / inputs, i % inputs);
                sum(outputs, &|k| (d[r * outputs + k], w[c * outputs + k]))
            });
            let mut out = vec![f32::NAN; inputs * outputs];
            weight_gradient(&x, &d, rows, inputs, &mut out);
            near(&out, &|i| {
                let (r, c) = (i / outputs, i % outputs);
                sum(rows, &|k| (x[k * inputs + r], d[k * outputs + c]))
            });
        }
    }
}
