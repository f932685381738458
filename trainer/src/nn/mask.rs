//! Dropout masks, drawn on the host.

use std::sync::Arc;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Factors of one dropout: 0 with probability `share`, else 1 / (1 - share). 16 random bits decide each.
#[derive(Clone, Debug)]
pub(super) struct Mask {
    draws: Arc<Vec<u16>>,
    below: u32,
    keep: f32,
}

impl Mask {
    /// `len` factors.
    pub(super) fn draw(len: usize, share: f32, rng: &mut ChaCha8Rng) -> Self {
        let mut bits = vec![0u8; len * 2];
        rng.fill_bytes(&mut bits);
        let draws = bits
            .as_chunks::<2>()
            .0
            .iter()
            .map(|&b| u16::from_le_bytes(b));
        Self {
            draws: Arc::new(draws.collect()),
            below: (share * 65536.0).round() as u32,
            keep: 1.0 / (1.0 - share),
        }
    }

    /// What a unit that stays is multiplied by.
    pub(super) fn keep(&self) -> f32 {
        self.keep
    }

    /// Multiplies `out` by the factors from the `first`-th on.
    pub(super) fn apply(&self, first: usize, out: &mut [f32]) {
        let keep = self.keep.to_bits();
        let draws = self.draws.get(first..).unwrap_or_default();
        for (o, &draw) in out.iter_mut().zip(draws) {
            // No branch, which would be mispredicted every other time.
            let kept = 0u32.wrapping_sub(u32::from(u32::from(draw) >= self.below));
            *o *= f32::from_bits(keep & kept);
        }
    }

    /// All factors.
    pub(super) fn to_vec(&self) -> Vec<f32> {
        let mut factors = vec![1.0; self.draws.len()];
        self.apply(0, &mut factors);
        factors
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::stream;

    #[test]
    fn masks_have_their_share_of_zeros_and_mean_one() {
        for share in [0.1, 0.5, 0.8] {
            let m = Mask::draw(200_000, share, &mut stream(1, "mask", 0)).to_vec();
            let zeros = m.iter().filter(|&&x| x == 0.0).count() as f32 / m.len() as f32;
            let mean = m.iter().sum::<f32>() / m.len() as f32;
            assert!(
                (zeros - share).abs() < 0.005 && (mean - 1.0).abs() < 0.02,
                "{share}: {zeros} {mean}"
            );
        }
    }
}
