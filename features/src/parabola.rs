//! Vertex of the parabola through three points (SPEC section 7, end).

/// Position and value of the vertex, by the general formula in f64, evaluated left to right.
///
/// The formula cancels for large abscissae, and its own rounding decides which periods are accepted: the order of evaluation is part
/// of the definition. Where the points lie on a line, the largest of the three.
pub(crate) fn vertex(x: [f64; 3], y: [f64; 3]) -> (f64, f64) {
    let [x1, x2, x3] = x;
    let [y1, y2, y3] = y;
    let den =
        x1 * x1 * x2 + x2 * x2 * x3 + x3 * x3 * x1 - x3 * x3 * x2 - x2 * x2 * x1 - x1 * x1 * x3;
    if den != 0.0 {
        let alpha = (y1 * x2 + y2 * x3 + y3 * x1 - y3 * x2 - y2 * x1 - y1 * x3) / den;
        if alpha != 0.0 {
            let beta = (x1 * x1 * y2 + x2 * x2 * y3 + x3 * x3 * y1
                - x3 * x3 * y2
                - x2 * x2 * y1
                - x1 * x1 * y3)
                / den;
            let gamma = (x1 * x1 * x2 * y3 + x2 * x2 * x3 * y1 + x3 * x3 * x1 * y2
                - x3 * x3 * x2 * y1
                - x2 * x2 * x1 * y3
                - x1 * x1 * x3 * y2)
                / den;
            let position = -beta / (2.0 * alpha);
            return (position, gamma - alpha * position * position);
        }
    }
    let mut best = (x1, y1);
    for (position, value) in [(x2, y2), (x3, y3)] {
        if value > best.1 {
            best = (position, value);
        }
    }
    best
}
