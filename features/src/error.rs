//! What can go wrong, by step.

use core::fmt;

/// Why an extractor cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The sampling rate lies outside [`MIN_SAMPLE_RATE`](crate::MIN_SAMPLE_RATE)..=[`MAX_SAMPLE_RATE`](crate::MAX_SAMPLE_RATE).
    SampleRate {
        /// The rate asked for, in Hz.
        sample_rate: u32,
    },
    /// `max_frames` is 0: no feature vector could ever come out.
    MaxFrames,
    /// The caller's memory is too small.
    Memory {
        /// Floats needed: [`memory_len`](crate::memory_len).
        needed: usize,
        /// Floats given.
        given: usize,
    },
    /// The allocator refused the memory.
    OutOfMemory {
        /// Floats needed: [`memory_len`](crate::memory_len).
        needed: usize,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SampleRate { sample_rate } => write!(
                f,
                "sampling rate {sample_rate} Hz is not supported: it must lie in {}..={} Hz (resample the audio first)",
                crate::MIN_SAMPLE_RATE,
                crate::MAX_SAMPLE_RATE
            ),
            Self::MaxFrames => {
                f.write_str("max_frames is 0: give at least one pitch frame (10 ms)")
            }
            Self::Memory { needed, given } => write!(
                f,
                "the extractor needs memory for {needed} floats, it got {given}"
            ),
            Self::OutOfMemory { needed } => {
                write!(f, "no memory for {needed} floats: lower max_frames")
            }
        }
    }
}

impl core::error::Error for ConfigError {}

/// Why samples were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushError {
    /// A sample is NaN or infinite. Nothing of the chunk was taken; what was pushed before is kept.
    NotFinite {
        /// Position in the chunk.
        index: usize,
    },
    /// The contour memory (`max_frames`) is full. The samples up to here are kept: `finish` gives their features.
    Full {
        /// Samples of the chunk that were taken.
        taken: usize,
    },
    /// The memory behind the extractor has become shorter since it was made. Nothing was taken.
    Memory,
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFinite { index } => {
                write!(f, "sample {index} of the chunk is NaN or infinite")
            }
            Self::Full { taken } => write!(
                f,
                "the utterance is longer than max_frames allows: {taken} samples of this chunk were taken, finish() gives the features so far"
            ),
            Self::Memory => f.write_str("the memory behind the extractor has shrunk"),
        }
    }
}

impl core::error::Error for PushError {}

/// Why there are no features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FinishError {
    /// The utterance is shorter than two 60-ms frames (70 ms).
    TooShort {
        /// Samples pushed.
        samples: u64,
        /// Samples that the shortest utterance has.
        needed: u64,
    },
    /// A feature overflowed: the samples are far outside −1..1.
    NotFinite {
        /// The first such feature.
        index: usize,
    },
    /// The memory behind the extractor has become shorter since it was made.
    Memory,
}

impl fmt::Display for FinishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { samples, needed } => {
                write!(
                    f,
                    "the utterance is too short: {samples} samples, at least {needed} (70 ms) are needed"
                )
            }
            Self::NotFinite { index } => write!(
                f,
                "feature {index} overflowed: samples must be on the scale -1..1"
            ),
            Self::Memory => f.write_str("the memory behind the extractor has shrunk"),
        }
    }
}

impl core::error::Error for FinishError {}
