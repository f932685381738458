//! Line spectral frequencies from the LPC polynomial by Chebyshev grid search and bisection (SPEC section 5.8).
//!
//! Grid and bisection limit the resolution, so the search itself is part of the definition.

use crate::lpc::ORDER;

const HALF: usize = ORDER / 2;
/// Steps of the first search, and of the one that starts over when that finds too few roots.
const STEPS: [f32; 2] = [0.2, 0.05];
const BISECTIONS: usize = 11;

/// Frequencies in radians at the 11 kHz rate, ascending; 0 where a root was not found.
pub(crate) fn lsp(a: &[f32; ORDER]) -> [f32; ORDER] {
    let mut sum = [1.0f32; HALF + 1];
    let mut difference = [1.0f32; HALF + 1];
    for i in 0..HALF {
        sum[i + 1] = (a[i] + a[ORDER - 1 - i]) - sum[i];
        difference[i + 1] = (a[i] - a[ORDER - 1 - i]) + difference[i];
    }
    for c in sum[..HALF].iter_mut().chain(&mut difference[..HALF]) {
        *c *= 2.0;
    }
    let mut out = [0.0; ORDER];
    for step in STEPS {
        out = [0.0; ORDER];
        if search(&sum, &difference, step, &mut out) == ORDER {
            break;
        }
    }
    out
}

/// Value of the polynomial at x = cos ω.
#[inline(always)]
fn value(c: &[f32; HALF + 1], x: f32) -> f32 {
    let twice = 2.0 * x;
    let (mut b0, mut b1) = (0.0, 0.0);
    for &ck in &c[..HALF] {
        (b0, b1) = ((twice * b0 - b1) + ck, b0);
    }
    (-b1 + (0.5 * twice) * b0) + c[HALF]
}

/// Values of the polynomial at several points.
#[inline(always)]
fn values<const L: usize>(c: &[f32; HALF + 1], x: [f32; L]) -> [f32; L] {
    let mut twice = x;
    for v in &mut twice {
        *v *= 2.0;
    }
    let (mut b0, mut b1) = ([0.0f32; L], [0.0f32; L]);
    for &ck in &c[..HALF] {
        let mut next = twice;
        for lane in 0..L {
            next[lane] = (twice[lane] * b0[lane] - b1[lane]) + ck;
        }
        (b0, b1) = (next, b0);
    }
    let mut out = twice;
    for lane in 0..L {
        out[lane] = (-b1[lane] + (0.5 * twice[lane]) * b0[lane]) + c[HALF];
    }
    out
}

/// Bisections whose possible midpoints are evaluated together.
const DEPTH: usize = 3;

/// [`BISECTIONS`] bisections between `left`, where the polynomial has the sign of `at_left`, and `right`: the last midpoint and the right end.
fn bisect(poly: &[f32; HALF + 1], mut left: f32, mut right: f32, mut at_left: f32) -> (f32, f32) {
    let mut middle = left;
    let mut done = 0;
    while done < BISECTIONS {
        // a tree: below node i, 2i + 1 halves the left side and 2i + 2 the right side
        let half = |a: f32, b: f32| 0.5 * (a + b);
        let root = half(left, right);
        let (near, far) = (half(left, root), half(root, right));
        let x = [
            root,
            near,
            far,
            half(left, near),
            half(near, root),
            half(root, far),
            half(far, right),
            root,
        ];
        let f = values(poly, x);
        let mut node = 0;
        for _ in 0..DEPTH.min(BISECTIONS - done) {
            middle = x[node];
            if f[node] * at_left < 0.0 {
                right = middle;
                node = 2 * node + 1;
            } else {
                (left, at_left) = (middle, f[node]);
                node = 2 * node + 2;
            }
        }
        done += DEPTH;
    }
    (middle, right)
}

/// Number of roots found, in order, into `out`.
fn search(
    sum: &[f32; HALF + 1],
    difference: &[f32; HALF + 1],
    delta: f32,
    out: &mut [f32; ORDER],
) -> usize {
    let (mut left, mut right) = (1.0f32, 0.0f32);
    for (j, root) in out.iter_mut().enumerate() {
        let poly = if j % 2 == 0 { sum } else { difference };
        let mut at_left = value(poly, left);
        let mut found = false;
        while !found && right >= -1.0 {
            let mut step = delta * (1.0 - (0.9 * left) * left);
            if at_left.abs() < 0.2 {
                step *= 0.5;
            }
            right = left - step;
            let at_right = value(poly, right);
            if at_left * at_right < 0.0 {
                let middle;
                (middle, right) = bisect(poly, left, right, at_left);
                *root = libm::acos(f64::from(middle.clamp(-1.0, 1.0))) as f32;
                left = middle;
                found = true;
            } else {
                left = right;
                at_left = at_right;
            }
        }
        if !found {
            return j;
        }
    }
    ORDER
}
