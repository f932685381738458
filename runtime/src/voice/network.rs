//! The network: one gated recurrent layer and one output (Cho et al. 2014, with the reset gate after the matrix product).

use super::analysis::FEATURES;
use super::table::{HIDDEN, INPUT, INPUT_BIAS, OUTPUT, OUTPUT_BIAS, STATE, STATE_BIAS};

/// Parameters of the network.
pub const PARAMETERS: usize = 3 * HIDDEN * (FEATURES + HIDDEN + 2) + HIDDEN + 1;

#[derive(Debug, Clone)]
pub(super) struct Network {
    state: [f32; HIDDEN],
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + libm::expf(-x))
}

/// One row for each unit: a gate before its nonlinearity.
fn rows<const N: usize>(weights: &[[f32; N]], bias: &[f32], x: &[f32; N]) -> [f32; HIDDEN] {
    let mut out = [0.0; HIDDEN];
    for ((out, row), bias) in out.iter_mut().zip(weights).zip(bias) {
        let (w, _) = row.as_chunks::<4>();
        let (v, _) = x.as_chunks::<4>();
        let mut sums = [0.0; 4];
        for (w, v) in w.iter().zip(v) {
            for ((sum, w), v) in sums.iter_mut().zip(w).zip(v) {
                *sum += w * v;
            }
        }
        *out = bias + ((sums[0] + sums[1]) + (sums[2] + sums[3]));
    }
    out
}

impl Network {
    pub fn new() -> Self {
        const {
            assert!(FEATURES.is_multiple_of(4) && HIDDEN.is_multiple_of(4));
        }
        Self {
            state: [0.0; HIDDEN],
        }
    }

    pub fn reset(&mut self) {
        self.state = [0.0; HIDDEN];
    }

    /// Takes a frame, gives a probability.
    pub fn step(&mut self, x: &[f32; FEATURES]) -> f32 {
        let gate = |g: usize, h: &[f32; HIDDEN]| {
            let part = g * HIDDEN..(g + 1) * HIDDEN;
            (
                rows(&INPUT[part.clone()], &INPUT_BIAS[part.clone()], x),
                rows(&STATE[part.clone()], &STATE_BIAS[part], h),
            )
        };
        let (reset_x, reset_h) = gate(0, &self.state);
        let (update_x, update_h) = gate(1, &self.state);
        let (new_x, new_h) = gate(2, &self.state);
        let mut sum = OUTPUT_BIAS;
        for (i, state) in self.state.iter_mut().enumerate() {
            let reset = sigmoid(reset_x[i] + reset_h[i]);
            let update = sigmoid(update_x[i] + update_h[i]);
            let new = libm::tanhf(new_x[i] + reset * new_h[i]);
            *state = new + update * (*state - new);
            sum += OUTPUT[i] * *state;
        }
        sigmoid(sum)
    }
}
