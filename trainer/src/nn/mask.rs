//! Dropout masks, drawn on the host.

use std::sync::Arc;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Factors of one dropout: 0 with probability `share`, else 1 / (1 - share). 16 random bits decide each.
#[derive(Clone, Debug)]
pub(super) struct Mask {
    draws: Arc<Vec<u8>>,
    below: u32,
    keep: f32,
}

impl Mask {
    /// `len` factors.
    pub(super) fn draw(len: usize, share: f32, rng: &mut ChaCha8Rng) -> Self {
        let mut bits = vec![0u8; len * 2];
        rng.fill_bytes(&mut bits);
        Self {
            draws: Arc::new(bits),
            below: (share * 65536.0).round() as u32,
            keep: 1.0 / (1.0 - share),
        }
    }

    /// What a unit that stays is multiplied by.
    pub(super) fn keep(&self) -> f32 {
        self.keep
    }

    /// The factors `first..first + len`, fewer at the end.
    pub(super) fn factors(&self, first: usize, len: usize) -> impl Iterator<Item = f32> + '_ {
        let draws = self.draws.as_chunks::<2>().0;
        let end = (first + len).min(draws.len());
        draws[first.min(end)..end].iter().map(|b| {
            if u32::from(u16::from_le_bytes(*b)) < self.below {
                0.0
            } else {
                self.keep
            }
        })
    }

    /// All factors.
    pub(super) fn to_vec(&self) -> Vec<f32> {
        self.factors(0, self.draws.len() / 2).collect()
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
