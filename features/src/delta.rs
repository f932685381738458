//! Delta regression of half-width 2 (SPEC section 8).

/// Deltas of the smoothed contour `s` into `out`. Left of the contour its first value stands, right of it 0.
///
/// `out` is two shorter than `s` except for contours of one or two frames.
pub(crate) fn delta(s: &[f32], out: &mut [f32]) {
    let regress = |far_back: f32, back: f32, ahead: f32, far_ahead: f32| {
        ((ahead - back) + 2.0 * (far_ahead - far_back)) / 10.0
    };
    let left = |n: usize, back: usize| s.get(n.saturating_sub(back)).copied().unwrap_or(0.0);
    let right = |n: usize| s.get(n).copied().unwrap_or(0.0);
    let head = out.len().min(2);
    let (edge, inner) = out.split_at_mut(head);
    for (n, d) in edge.iter_mut().enumerate() {
        *d = regress(left(n, 2), left(n, 1), right(n + 1), right(n + 2));
    }
    for (d, w) in inner.iter_mut().zip(s.windows(5)) {
        *d = regress(w[0], w[1], w[3], w[4]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slope_of_a_line_and_short_contours() {
        let line = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        let mut d = [0.0; 4];
        delta(&line, &mut d);
        assert_eq!(d, [0.5, 0.8, 1.0, 1.0]);
        let mut one = [0.0];
        delta(&[3.0, 4.0], &mut one);
        assert_eq!(one, [((4.0 - 3.0) + 2.0 * (0.0 - 3.0)) / 10.0]);
        delta(&[3.0], &mut one);
        assert_eq!(one, [((0.0 - 3.0) + 2.0 * (0.0 - 3.0)) / 10.0]);
    }
}
