//! From a feature table to the batches that the networks see.
//!
//! [`checks`] warns of what teaches the wrong thing, [`task`] checks the table and fixes the classes, [`folds`] decides who is held out, [`batches`] draws
//! rows and [`mixup`] mixes them. [`text`] reads tables and other text that people bring. Every random choice comes from a [`stream`] named after what it is for.

pub mod batches;
pub mod checks;
pub mod folds;
pub mod mixup;
pub mod task;
pub mod text;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// The random numbers for one purpose: a function of the configuration's seed and of the purpose alone, so
/// that a run can be taken up at any epoch, on any device and with any number of threads.
pub fn stream(seed: u64, purpose: &str, index: usize) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update((index as u64).to_le_bytes());
    hash.update(purpose.as_bytes());
    ChaCha8Rng::from_seed(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn streams_differ_by_seed_purpose_and_index_and_repeat_otherwise() {
        let first = |s, p, i| stream(s, p, i).next_u64();
        assert_eq!(first(1, "a", 0), first(1, "a", 0));
        let all = [
            first(1, "a", 0),
            first(2, "a", 0),
            first(1, "b", 0),
            first(1, "a", 1),
        ];
        for i in 0..4 {
            for j in 0..i {
                assert_ne!(all[i], all[j]);
            }
        }
    }
}
