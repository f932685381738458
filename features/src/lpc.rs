//! Linear prediction of order 8 by autocorrelation (SPEC section 5.7).

use crate::lanes::Lanes;

/// Prediction order.
pub(crate) const ORDER: usize = 8;

/// Coefficients a₁..a₈ of the inverse filter `1 + Σ a_m z^{−m}` of `y`, which is reversed on return.
pub(crate) fn lpc(y: &mut [f32]) -> [f32; ORDER] {
    levinson_durbin(&autocorrelation(y))
}

/// r_l = Σ y_i·y_{i−l}, summed over ascending i for each lag: the lags are the lanes.
fn autocorrelation(y: &mut [f32]) -> [f32; ORDER + 1] {
    // reversed, the samples before a sample follow it
    y.reverse();
    let mut energy = 0.0;
    let mut lags = Lanes([0.0; ORDER]);
    let whole = y.len().saturating_sub(ORDER);
    for at in (whole..y.len()).rev() {
        energy += y[at] * y[at];
        for (sum, &before) in lags.0.iter_mut().zip(&y[at + 1..]) {
            *sum += y[at] * before;
        }
    }
    // windows from the last to the first: `array_windows` costs as much again as the sums
    let mut windows = &y[..];
    while let Some(&[now, before @ ..]) = windows.last_chunk::<{ ORDER + 1 }>() {
        windows = &windows[..windows.len() - 1];
        energy += now * now;
        lags = lags + Lanes::splat(now) * Lanes(before);
    }
    let mut r = [energy; ORDER + 1];
    r[1..].copy_from_slice(&lags.0);
    r
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
