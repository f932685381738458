//! The losses of the paper. All return a tensor of one element that carries gradients.

use burn::tensor::{Tensor, activation};

/// Eq. 3 per element: mean of (x - x̂)² over rows and columns.
pub fn reconstruction(x: Tensor<2>, x_hat: Tensor<2>) -> Tensor<1> {
    (x_hat - x).square().mean()
}

/// Binary cross-entropy of logits whose rows are to be called real: mean of -log σ(l), stable for any l.
pub fn bce_real(logits: Tensor<2>) -> Tensor<1> {
    activation::log_sigmoid(logits).mean().neg()
}

/// Binary cross-entropy of logits whose rows are to be called fake: mean of -log σ(-l).
pub fn bce_fake(logits: Tensor<2>) -> Tensor<1> {
    activation::log_sigmoid(logits.neg()).mean().neg()
}

/// Cross-entropy with soft labels: -Σ t log softmax(logits), where `targets` already carry the rows' weights.
pub fn soft_cross_entropy(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    (activation::log_softmax(logits, 1) * targets).sum().neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{matrix, values};
    use burn::tensor::Device;

    #[test]
    fn bce_is_stable_and_has_the_right_gradient() {
        let device = Device::flex().autodiff();
        for (l, sign) in [
            (0.0f32, 1.0f32),
            (3.0, 1.0),
            (-200.0, 1.0),
            (200.0, 1.0),
            (0.5, -1.0),
            (200.0, -1.0),
        ] {
            let logit = matrix(vec![l], 1, &device).require_grad();
            let loss = if sign > 0.0 {
                bce_real(logit.clone())
            } else {
                bce_fake(logit.clone())
            };
            let mut grads = loss.backward();
            let value = f64::from(values(loss).unwrap()[0]);
            let gradient = f64::from(values(logit.grad_remove(&mut grads).unwrap()).unwrap()[0]);
            let z = f64::from(sign * l);
            let expected = (-z).max(0.0) + (-z.abs()).exp().ln_1p();
            assert!(
                (value - expected).abs() <= 1e-5 * expected.max(1.0),
                "{l}: {value} {expected}"
            );
            let slope = -f64::from(sign) / (1.0 + z.exp());
            assert!((gradient - slope).abs() < 1e-5, "{l}: {gradient} {slope}");
        }
    }

    #[test]
    fn soft_cross_entropy_is_the_textbook_sum() {
        let device = Device::flex().autodiff();
        let loss = soft_cross_entropy(
            matrix(vec![1.0, 2.0, -1.0, 0.0, 0.0, 500.0], 2, &device),
            matrix(vec![0.25, 0.75, 0.0, 0.0, 0.0, 2.0], 2, &device),
        );
        let z = (1f64.exp() + 2f64.exp() + (-1f64).exp()).ln();
        let expected = 0.25 * (z - 1.0) + 0.75 * (z - 2.0);
        assert!((f64::from(values(loss).unwrap()[0]) - expected).abs() < 1e-5);
    }
}
