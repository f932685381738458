//! Mel-frequency cepstral coefficients 0 to 14 (SPEC section 5.5).

use core::f64::consts::PI;

use crate::mel::MFCC_BANDS;

/// Coefficients, number 0 included.
pub(crate) const MFCC: usize = 15;
/// Floats of the cosine table.
pub(crate) const TABLE_LEN: usize = MFCC * MFCC_BANDS;

/// Fills the DCT-II table, row i = coefficient i.
pub(crate) fn fill_table(table: &mut [f32]) {
    for (i, row) in table.chunks_exact_mut(MFCC_BANDS).enumerate() {
        for (b, c) in row.iter_mut().enumerate() {
            *c = libm::cos(PI * i as f64 / MFCC_BANDS as f64 * (b as f64 + 0.5)) as f32;
        }
    }
}

/// Scale of coefficient i: DCT normalisation and the cepstral lifter of length 22.
pub(crate) fn lifter() -> [f32; MFCC] {
    core::array::from_fn(|i| {
        let lift = (1.0 + 11.0 * libm::sin(PI * i as f64 / 22.0)) as f32;
        libm::sqrt(2.0 / MFCC_BANDS as f64) as f32 * lift
    })
}

/// MFCC of band energies.
pub(crate) fn mfcc(energy: &[f32; MFCC_BANDS], table: &[f32], lifter: &[f32; MFCC]) -> [f32; MFCC] {
    let log = energy.map(|e| libm::logf(if e > 1e-8 { e } else { 1e-8 }));
    let mut out = [0.0; MFCC];
    for ((o, row), &scale) in out
        .iter_mut()
        .zip(table.chunks_exact(MFCC_BANDS))
        .zip(lifter)
    {
        let mut sum = 0.0;
        for (&g, &c) in log.iter().zip(row) {
            sum += g * c;
        }
        *o = sum * scale;
    }
    out
}
