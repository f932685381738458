//! Linear prediction of order 8 by autocorrelation (SPEC section 5.7).

/// Prediction order.
pub(crate) const ORDER: usize = 8;

/// Coefficients a₁..a₈ of the inverse filter `1 + Σ a_m z^{−m}` of `y`.
pub(crate) fn lpc(y: &[f32]) -> [f32; ORDER] {
    let mut r = [0.0f32; ORDER + 1];
    for (lag, sum) in r.iter_mut().enumerate() {
        let late = y.get(lag..).unwrap_or(&[]);
        for (&a, &b) in late.iter().zip(y) {
            *sum += a * b;
        }
    }
    levinson_durbin(&r)
}

fn levinson_durbin(r: &[f32; ORDER + 1]) -> [f32; ORDER] {
    let mut a = [0.0f32; ORDER];
    let mut error = r[0];
    for m in 0..ORDER {
        if error == 0.0 {
            break;
        }
        let mut s = r[m + 1];
        for i in 0..m {
            s += a[i] * r[m - i];
        }
        let kappa = (-1.0 / error) * s;
        let old = a;
        for i in 0..m {
            a[i] = old[i] + kappa * old[m - 1 - i];
        }
        a[m] = kappa;
        error *= 1.0 - kappa * kappa;
    }
    a
}
