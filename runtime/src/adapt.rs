//! Adaptive normalisation: a model that still works on a voice or a microphone that it never heard.
//!
//! The fixed normaliser inside the encoder knows the training corpus. Another room, microphone or
//! speaker shifts every feature, and a model then falls towards chance. [`AdaptiveNormaliser`]
//! keeps running statistics of one channel or speaker, without labels, in fixed memory of the
//! caller: it starts at the training values and moves to the channel's own as utterances
//! accumulate.
//!
//! # How
//!
//! Everything happens on the scale of the fixed normaliser, z = (x - offset) · scale, where the
//! training corpus has mean 0 and variance 1. After utterances of total weight n with running mean
//! m and variance v, the adapted value is
//!
//! ```text
//! a = n / (n + mean_prior)        b = n / (n + variance_prior)
//! z' = (z - a·m) / sqrt(b·v + 1 - b)
//! ```
//!
//! and the encoder gets the x' whose fixed z is z', so that every engine and every bundle works as
//! it is. An utterance is mapped first and learnt afterwards: the first one gets exactly the fixed
//! normaliser. It counts by the seconds of voice in it ([`utterance_weight`]), so that a long
//! utterance in pieces teaches what the whole does. A value further than `outlier` adapted standard
//! deviations from the adapted mean is learnt as if it lay there: after utterances of weights w,
//! none of them has moved the mean by more than its share w / n of `outlier` deviations, whatever
//! it was. The weight stops growing at `horizon`, from where old utterances fade away.
//!
//! What may teach is the caller's to say: an utterance that is speech. What is taken for one by
//! mistake does little harm: a cough with 0.2 s of voice, whatever its features, and one ordinary
//! utterance, in either order, leave the mean 0.4 training deviations away.
//!
//! The mean moves at once and the variance slowly (the defaults of [`AdaptConfig`]). UAR of four
//! emotions, 100 random orders (`ser-train adapt --orders 100 --outlier 10`), every utterance of
//! weight 1, on a corpus of another language than the model's:
//!
//! | | EMO-DB model on RAVDESS | RAVDESS model on EMO-DB |
//! |---|---|---|
//! | fixed normaliser | 0.344 | 0.303 |
//! | statistics of the whole corpus (transductive) | 0.469 | 0.455 |
//! | statistics of the whole speaker (transductive) | 0.482 | 0.500 |
//! | adaptive, a speaker each, all utterances | 0.471 | 0.462 |
//! | adaptive, a speaker each, after 15 to 30 utterances | 0.491 | 0.481 |
//! | adaptive, all speakers on one channel, all utterances | 0.464 | 0.447 |
//! | adaptive, all speakers on one channel, after 15 to 30 utterances | 0.447 | 0.419 |
//! | adaptive, a speaker each, sorted by emotion (the tables' order) | 0.367 | 0.482 |
//!
//! The defaults were chosen by these figures, so on other voices expect somewhat less than the
//! table says.
//!
//! The limit of 3 deviations costs something, mostly in the first utterances, where a channel's own
//! shift cannot be told from an accident. The EMO-DB model on RAVDESS, 100 random orders from
//! features of today's extractor:
//!
//! | | limit 10 | limit 3 |
//! |---|---|---|
//! | a speaker each, all utterances | 0.476 | 0.468 |
//! | a speaker each, after 1 to 6 utterances | 0.446 | 0.419 |
//! | a speaker each, after 15 to 30 utterances | 0.497 | 0.497 |
//! | all speakers on one channel, all utterances | 0.468 | 0.461 |
//!
//! Weights by seconds of voice instead of 1 (20 orders, limit 3): 0.466 against 0.471 for a speaker
//! each, 0.464 against 0.458 on one channel.
//!
//! A mean that waits for two utterances (`mean_prior` 2) costs 0.05 in the first column. A channel
//! that many voices share needs more than 30 utterances.

use crate::crc32::{crc32, crc32_of};

/// How fast the statistics move.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdaptConfig {
    /// Utterances that the training mean counts for; 0 or more. Default 0.1.
    pub mean_prior: f32,
    /// Utterances that the training variance counts for; 0 or more. Default 20.
    pub variance_prior: f32,
    /// Limit of what is learnt, in adapted standard deviations from the adapted mean; positive.
    /// Default 3.
    pub outlier: f32,
    /// Largest weight of what was learnt, in ordinary utterances; at least 1. Default 500.
    pub horizon: f32,
}

impl Default for AdaptConfig {
    fn default() -> Self {
        Self {
            mean_prior: 0.1,
            variance_prior: 20.0,
            outlier: 3.0,
            horizon: 500.0,
        }
    }
}

/// Why an adaptive normaliser cannot be made, or a state not be used.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum AdaptError {
    /// Offset, scale and memory do not fit.
    #[error("{what} has {found} elements, {needed} are needed")]
    Length {
        /// Which slice.
        what: &'static str,
        /// Its length.
        found: usize,
        /// Length that is needed.
        needed: usize,
    },
    /// A setting makes no sense.
    #[error("adaptation setting {field} is {value}: {reason}")]
    Setting {
        /// The setting.
        field: &'static str,
        /// Its value.
        value: f32,
        /// What is wrong.
        reason: &'static str,
    },
    /// The bundle's normaliser has another kind.
    #[error(
        "the bundle's normaliser is not a z-score: its training mean and variance are unknown, so nothing can be adapted"
    )]
    Kind,
    /// The bytes are no state, or are damaged.
    #[error("adaptation state: {reason}")]
    State {
        /// What is wrong.
        reason: &'static str,
    },
}

/// Seconds of voice in an ordinary utterance: the median of the shipped model's training
/// recordings.
pub const ORDINARY_VOICED_S: f32 = 1.3;

/// What an utterance with so many seconds of voice counts for in learning: an ordinary one counts
/// 1, a piece of one its share. The pieces of a long utterance count together what the whole does.
pub fn utterance_weight(voiced_s: f32) -> f32 {
    voiced_s / ORDINARY_VOICED_S
}

/// What stands between extractor and encoder. `()` leaves the features as they are.
pub trait Adapt {
    /// Changes the raw features of an utterance in place, before the encoder sees them.
    ///
    /// `learn` is `None` while the utterance goes on, and where it may teach nothing. With a
    /// weight, in ordinary utterances (see [`utterance_weight`]), what comes later is changed in
    /// the light of it, too. A weight that is not a positive number teaches nothing.
    fn adapt(&mut self, features: &mut [f32], learn: Option<f32>);
}

impl Adapt for () {
    fn adapt(&mut self, _: &mut [f32], _: Option<f32>) {}
}

impl<A: Adapt> Adapt for Option<A> {
    fn adapt(&mut self, features: &mut [f32], learn: Option<f32>) {
        if let Some(adapter) = self {
            adapter.adapt(features, learn);
        }
    }
}

impl<A: Adapt> Adapt for &mut A {
    fn adapt(&mut self, features: &mut [f32], learn: Option<f32>) {
        (**self).adapt(features, learn);
    }
}

/// Floats of memory that an [`AdaptiveNormaliser`] of `width` features needs: mean and variance of
/// each.
pub const fn memory_len(width: usize) -> usize {
    2 * width
}

/// Bytes of the state of an [`AdaptiveNormaliser`] of `width` features.
pub const fn state_len(width: usize) -> usize {
    HEADER + 4 * memory_len(width) + 4
}

const MAGIC: [u8; 8] = *b"SERADAPT";
const STATE_VERSION: u32 = 1;
/// Magic, version, width, CRC of the fixed normaliser, weight.
const HEADER: usize = 8 + 4 + 4 + 4 + 4;
/// Smallest share of the training variance that a column is taken to have: a column that never
/// moves must not divide by 0.
const MIN_VARIANCE: f32 = 1e-4;

/// Running statistics of one channel or speaker; see the [module](self).
///
/// `N` holds the fixed normaliser's offset and scale (slices in flash, or vectors), `M` is memory
/// of [`memory_len`] floats.
#[derive(Debug, Clone)]
pub struct AdaptiveNormaliser<N, M> {
    offset: N,
    scale: N,
    memory: M,
    config: AdaptConfig,
    /// CRC-32 of offset and scale: a state belongs to one fixed normaliser.
    fixed: u32,
    weight: f32,
    revision: u64,
}

impl<N: AsRef<[f32]>, M: AsRef<[f32]> + AsMut<[f32]>> AdaptiveNormaliser<N, M> {
    /// Starts at the training values: `offset` and `scale` of a z-score normaliser, as they are in
    /// the bundle.
    ///
    /// # Errors
    /// [`AdaptError::Length`], [`AdaptError::Setting`].
    pub fn new(offset: N, scale: N, memory: M, config: AdaptConfig) -> Result<Self, AdaptError> {
        let width = offset.as_ref().len();
        let fits = |what, found, needed| {
            if found == needed {
                Ok(())
            } else {
                Err(AdaptError::Length {
                    what,
                    found,
                    needed,
                })
            }
        };
        fits("the normaliser's scale", scale.as_ref().len(), width)?;
        fits(
            "the adaptation memory",
            memory.as_ref().len(),
            memory_len(width),
        )?;
        let check = |field, value: f32, least: f32, reason| {
            if value.is_finite() && value >= least {
                Ok(())
            } else {
                Err(AdaptError::Setting {
                    field,
                    value,
                    reason,
                })
            }
        };
        check("mean_prior", config.mean_prior, 0.0, "it must be 0 or more")?;
        check(
            "variance_prior",
            config.variance_prior,
            0.0,
            "it must be 0 or more",
        )?;
        check(
            "outlier",
            config.outlier,
            f32::MIN_POSITIVE,
            "it must be positive",
        )?;
        check("horizon", config.horizon, 1.0, "it must be 1 or more")?;
        let fixed = crc32_of(
            [&offset, &scale]
                .into_iter()
                .flat_map(|part| part.as_ref())
                .flat_map(|v| v.to_le_bytes()),
        );
        let mut new = Self {
            offset,
            scale,
            memory,
            config,
            fixed,
            weight: 0.0,
            revision: 0,
        };
        new.reset();
        Ok(new)
    }

    /// Back to the training values.
    pub fn reset(&mut self) {
        self.memory.as_mut().fill(0.0);
        self.weight = 0.0;
        self.revision = self.revision.wrapping_add(1);
    }

    /// Features.
    pub fn width(&self) -> usize {
        self.offset.as_ref().len()
    }

    /// Weight of what was learnt, in ordinary utterances, at most [`AdaptConfig::horizon`].
    pub fn weight(&self) -> f32 {
        self.weight
    }

    /// Another number after everything that changes the statistics: an utterance learnt, a reset, a
    /// state restored. What has to be written again is told by it; it is not part of the state.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Shares of the channel's own mean and of its own variance.
    fn shares(&self) -> (f32, f32) {
        let share = |prior: f32| {
            if self.weight > 0.0 {
                self.weight / (self.weight + prior)
            } else {
                0.0
            }
        };
        (
            share(self.config.mean_prior),
            share(self.config.variance_prior),
        )
    }

    /// Writes the state, which [`Self::restore`] reads on any machine: little-endian, with a
    /// checksum.
    ///
    /// # Errors
    /// [`AdaptError::Length`] unless `out` has [`state_len`] bytes.
    pub fn save(&self, out: &mut [u8]) -> Result<(), AdaptError> {
        let (found, needed) = (out.len(), state_len(self.width()));
        if found != needed {
            return Err(AdaptError::Length {
                what: "the state",
                found,
                needed,
            });
        }
        let header = [
            STATE_VERSION,
            self.width() as u32,
            self.fixed,
            self.weight.to_bits(),
        ];
        let words = header
            .into_iter()
            .chain(self.memory.as_ref().iter().map(|v| v.to_bits()));
        let bytes = MAGIC.into_iter().chain(words.flat_map(u32::to_le_bytes));
        for (to, byte) in out.iter_mut().zip(bytes) {
            *to = byte;
        }
        let (content, checksum) = out.split_at_mut(needed - 4);
        checksum.copy_from_slice(&crc32(content).to_le_bytes());
        Ok(())
    }

    /// Goes on from a state that [`Self::save`] wrote for the same fixed normaliser. Nothing
    /// changes where it is refused.
    ///
    /// # Errors
    /// [`AdaptError::State`]: another length, version or normaliser, a wrong checksum, numbers that
    /// no statistics have.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), AdaptError> {
        let refuse = |reason| Err(AdaptError::State { reason });
        if !state.starts_with(&MAGIC) {
            return refuse("the bytes are not one");
        }
        let words = || {
            let (words, _) = state[MAGIC.len()..].as_chunks::<4>();
            words.iter().map(|word| u32::from_le_bytes(*word))
        };
        let mut head = words();
        if head.next() != Some(STATE_VERSION) {
            return refuse("it was written by another version; remove it to start anew");
        }
        if head.next() != Some(self.width() as u32) || state.len() != state_len(self.width()) {
            return refuse("it is of another size; it is cut off or belongs to another model");
        }
        let Some((content, checksum)) = state.split_last_chunk::<4>() else {
            return refuse("it is cut off");
        };
        if crc32(content) != u32::from_le_bytes(*checksum) {
            return refuse("its checksum is wrong; it is damaged, remove it to start anew");
        }
        if head.next() != Some(self.fixed) {
            return refuse(
                "it belongs to a model with another normaliser; remove it to start anew",
            );
        }
        let weight = f32::from_bits(head.next().unwrap_or(u32::MAX));
        if !(weight.is_finite() && weight >= 0.0) {
            return refuse("its weight is not a number of utterances");
        }
        let values = || {
            head.clone()
                .map(f32::from_bits)
                .take(memory_len(self.width()))
        };
        if values().any(|v| !v.is_finite()) || values().skip(self.width()).any(|v| v < 0.0) {
            return refuse("its statistics are not finite or a variance is negative");
        }
        for (to, word) in self.memory.as_mut().iter_mut().zip(head) {
            *to = f32::from_bits(word);
        }
        self.weight = weight.min(self.config.horizon);
        self.revision = self.revision.wrapping_add(1);
        Ok(())
    }
}

impl<N: AsRef<[f32]>, M: AsRef<[f32]> + AsMut<[f32]>> Adapt for AdaptiveNormaliser<N, M> {
    /// Columns that only one side has are left alone, as is a column that was constant in training.
    fn adapt(&mut self, features: &mut [f32], learn: Option<f32>) {
        let (a, b) = self.shares();
        let horizon = self.config.horizon;
        let learn = learn.filter(|w| *w > 0.0).map(|w| w.min(horizon));
        // The share of the whole that this utterance will have, and the weight that it adds to.
        let past = self.weight.min(horizon - learn.unwrap_or(0.0));
        let share = learn.map_or(0.0, |weight| weight / (past + weight));
        let width = self.width();
        let (means, variances) = self.memory.as_mut().split_at_mut(width);
        let fixed = self.offset.as_ref().iter().zip(self.scale.as_ref());
        let own = means.iter_mut().zip(variances);
        for ((x, (&offset, &scale)), (mean, variance)) in features.iter_mut().zip(fixed).zip(own) {
            let z = (*x - offset) * scale;
            // A tiny or huge scale may leave the range of f32: such a value is left to the
            // encoder's own limit.
            if scale <= 0.0 || !z.is_finite() {
                continue;
            }
            let centre = a * *mean;
            let spread = libm::sqrtf((b * *variance + (1.0 - b)).max(MIN_VARIANCE));
            if a > 0.0 {
                let mapped = offset + (z - centre) / spread / scale;
                if mapped.is_finite() {
                    *x = mapped;
                }
            }
            if learn.is_some() {
                // One step of West's weighted recurrence (1979).
                let reach = self.config.outlier * spread;
                let delta = z.clamp(centre - reach, centre + reach) - *mean;
                *mean += delta * share;
                *variance = (1.0 - share) * (*variance + delta * delta * share);
            }
        }
        if let Some(weight) = learn {
            self.weight = past + weight;
            self.revision = self.revision.wrapping_add(1);
        }
    }
}

#[cfg(feature = "std")]
mod owned {
    use std::io::{self, Read, Write};
    use std::path::Path;

    use super::{AdaptConfig, AdaptError, AdaptiveNormaliser, memory_len, state_len};
    use crate::normalise::{Normaliser, NormaliserKind};

    /// An adaptive normaliser that owns its memory.
    pub type OwnedAdapter = AdaptiveNormaliser<Vec<f32>, Vec<f32>>;

    impl OwnedAdapter {
        /// Starts at the values of a bundle's normaliser.
        ///
        /// # Errors
        /// [`AdaptError::Kind`] unless it is a z-score; as [`AdaptiveNormaliser::new`].
        pub fn owned(fixed: &Normaliser, config: AdaptConfig) -> Result<Self, AdaptError> {
            if fixed.kind != NormaliserKind::ZScore {
                return Err(AdaptError::Kind);
            }
            let memory = vec![0.0; memory_len(fixed.width())];
            Self::new(fixed.offset.clone(), fixed.scale.clone(), memory, config)
        }

        /// Writes the state to a file that is replaced whole.
        ///
        /// # Errors
        /// What the operating system says.
        pub fn save_file(&self, path: &Path) -> io::Result<()> {
            let mut bytes = vec![0; state_len(self.width())];
            self.save(&mut bytes).map_err(io::Error::other)?;
            let mut part = path.as_os_str().to_owned();
            part.push(format!(".{}.part", std::process::id()));
            let written = std::fs::File::create(&part).and_then(|mut file| {
                file.write_all(&bytes)?;
                file.sync_all()
            });
            let renamed = written.and_then(|()| std::fs::rename(&part, path));
            if renamed.is_err() {
                // The first error is the one that matters.
                let _ = std::fs::remove_file(&part);
            }
            renamed.and_then(|()| sync_folder_of(path))
        }

        /// Reads a state from a file.
        ///
        /// # Errors
        /// What the operating system says; [`AdaptError::State`] as [`io::ErrorKind::InvalidData`].
        pub fn load_file(&mut self, path: &Path) -> io::Result<()> {
            let mut bytes = Vec::new();
            let most = state_len(self.width()) as u64 + 1;
            std::fs::File::open(path)?
                .take(most)
                .read_to_end(&mut bytes)?;
            self.restore(&bytes)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
        }
    }

    /// A new name in a folder outlives a loss of power once the folder is on the disk, too. Other
    /// systems than Unix open no folders, and see to it themselves.
    fn sync_folder_of(path: &Path) -> io::Result<()> {
        if cfg!(not(unix)) {
            return Ok(());
        }
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
        std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

#[cfg(feature = "std")]
pub use owned::OwnedAdapter;
