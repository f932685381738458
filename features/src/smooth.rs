//! Moving average over three frames (SPEC section 8).

/// Smoother of `N` contours, one frame behind its input.
#[derive(Clone, Debug)]
pub(crate) struct Smoother<const N: usize> {
    before: [f32; N],
    last: [f32; N],
    started: bool,
}

impl<const N: usize> Smoother<N> {
    pub const fn new() -> Self {
        Self {
            before: [0.0; N],
            last: [0.0; N],
            started: false,
        }
    }

    pub fn reset(&mut self) {
        self.started = false;
    }

    /// Takes frame n; gives the smoothed frame n − 1. The left edge repeats the first frame.
    pub fn push(&mut self, x: &[f32; N]) -> Option<[f32; N]> {
        if !self.started {
            self.started = true;
            (self.before, self.last) = (*x, *x);
            return None;
        }
        let smoothed = self.average(x);
        (self.before, self.last) = (self.last, *x);
        Some(smoothed)
    }

    /// The smoothed last frame, were the input to repeat it; `None` before the first.
    pub fn repeat_last(&self) -> Option<[f32; N]> {
        self.started.then(|| self.average(&self.last))
    }

    fn average(&self, next: &[f32; N]) -> [f32; N] {
        core::array::from_fn(|i| ((self.last[i] + self.before[i]) + next[i]) / 3.0)
    }
}
