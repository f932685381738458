//! One recording to features: the same path for training tables and for `ser-run`.

use ser_features::{Config, ConfigError, Extractor, FeatureSet, Features, FinishError, PushError};

use crate::audio::Pcm;
use crate::quality::{Quality, QualityMeter};

/// The features of a recording and what was measured beside them.
#[derive(Debug, Clone, PartialEq)]
pub struct Extracted {
    /// The 1582 features, all finite.
    pub features: Features,
    /// How fit the recording is.
    pub quality: Quality,
    /// Frames of the pitch contour (10 ms each).
    pub pitch_frames: usize,
    /// Those of them that are voiced.
    pub voiced_frames: usize,
}

/// Why a recording has no features.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtractError {
    /// The extractor cannot be made for this recording.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The samples were not taken.
    #[error(transparent)]
    Push(#[from] PushError),
    /// Too short, or samples far out of range.
    #[error(transparent)]
    Finish(#[from] FinishError),
}

/// Extracts the features of `set` from a whole recording at its own sampling rate.
///
/// # Errors
/// [`ExtractError`]: a rate outside the extractor's range, a sample that is not finite, a recording shorter than 70 ms.
pub fn extract_features(pcm: &Pcm, set: FeatureSet) -> Result<Extracted, ExtractError> {
    let mut extractor =
        Extractor::owned(Config::for_samples(pcm.sample_rate, pcm.samples.len(), set))?;
    let mut meter = QualityMeter::new();
    extractor.push(&pcm.samples)?;
    meter.push(&pcm.samples);
    let mut features = Features::zeroed();
    extractor.finish(&mut features)?;
    let (pitch_frames, voiced_frames) = (extractor.pitch_frames(), extractor.voiced_frames());
    Ok(Extracted {
        features,
        quality: meter.quality(pcm.sample_rate, pitch_frames, Some(voiced_frames)),
        pitch_frames,
        voiced_frames,
    })
}
