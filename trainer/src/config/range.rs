//! What numbers a configuration may hold: each function says what is wrong with a value, or nothing.

/// Widest layer: two neighbours of this width take 1.6 GB.
const WIDEST: usize = 20_000;
/// Most hidden layers of one network: with the output layers, encoder and classifier are as deep as a flat model file may be.
const DEEPEST: usize = ser_runtime::engine::static_model::MAX_LAYERS / 2 - 1;
/// Most epochs, rows of a batch, synthetic rows.
const MOST: usize = 1_000_000;

fn unless(right: bool, problem: impl Into<String>) -> Result<(), String> {
    if right { Ok(()) } else { Err(problem.into()) }
}

/// 0 <= x < 1.
pub(crate) fn share(x: f64) -> Result<(), String> {
    unless(
        (0.0..1.0).contains(&x),
        "must be at least 0 and less than 1",
    )
}

/// 0 < x < ∞.
pub(crate) fn positive(x: f64) -> Result<(), String> {
    unless(x > 0.0 && x.is_finite(), "must be greater than 0")
}

/// 0 <= x < ∞.
pub(crate) fn not_negative(x: f64) -> Result<(), String> {
    unless(x >= 0.0 && x.is_finite(), "must not be negative")
}

/// A number of epochs or rows.
pub(crate) fn natural(x: usize) -> Result<(), String> {
    unless(
        (1..=MOST).contains(&x),
        format!("must lie between 1 and {MOST}"),
    )
}

/// Widths of layers.
pub(crate) fn widths(w: &[usize]) -> Result<(), String> {
    unless(
        w.len() <= DEEPEST,
        format!("must hold at most {DEEPEST} layers"),
    )?;
    unless(
        w.iter().all(|x| (1..=WIDEST).contains(x)),
        format!("must hold widths between 1 and {WIDEST}"),
    )
}
