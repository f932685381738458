//! Loudness (SPEC section 5.1).

/// Loudness of a raw stream A frame: the Hamming-weighted intensity, of which only the first sample enters, to the power 0.3.
pub(crate) fn loudness(frame: &[f32]) -> f32 {
    let first = f64::from(frame[0]);
    let intensity = 0.08 * first * first / (0.54 * frame.len() as f64 - 0.46);
    libm::pow(intensity / 1e-6, 0.3) as f32
}
