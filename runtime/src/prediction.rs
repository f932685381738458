//! What the recogniser says about an utterance.

#[cfg(feature = "alloc")]
use alloc::{string::String, vec::Vec};

use crate::quality::Quality;
use crate::segment::Verdict;

/// Why there is no label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "std", derive(serde::Serialize))]
#[non_exhaustive]
pub enum Reason {
    /// Nothing in it was speech.
    #[cfg_attr(feature = "std", serde(rename = "no speech"))]
    NoSpeech,
    /// Too little speech for features that mean anything.
    #[cfg_attr(feature = "std", serde(rename = "too short"))]
    TooShort,
    /// Next to no level.
    #[cfg_attr(feature = "std", serde(rename = "silent"))]
    Silent,
    /// Too little of it is voiced.
    #[cfg_attr(feature = "std", serde(rename = "too little voiced speech"))]
    Unvoiced,
    /// Samples far beyond -1..1.
    #[cfg_attr(feature = "std", serde(rename = "samples out of range"))]
    NotInRange,
    /// The most probable label is less probable than what is asked for.
    #[cfg_attr(feature = "std", serde(rename = "low confidence"))]
    LowConfidence,
}

impl Reason {
    /// In words, as in JSON.
    pub const fn words(self) -> &'static str {
        match self {
            Self::NoSpeech => "no speech",
            Self::TooShort => "too short",
            Self::Silent => "silent",
            Self::Unvoiced => "too little voiced speech",
            Self::NotInRange => "samples out of range",
            Self::LowConfidence => "low confidence",
        }
    }

    /// Why a segmenter's verdict gives no utterance.
    pub const fn of(verdict: Verdict) -> Option<Self> {
        match verdict {
            Verdict::Speech => None,
            Verdict::TooShort => Some(Self::TooShort),
            Verdict::NotVoice => Some(Self::NoSpeech),
        }
    }
}

/// How logits become a label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision {
    /// Divides the logits before the softmax; positive.
    pub temperature: f32,
    /// No label below this probability, 0 to 1; 0 always gives one.
    pub abstain_below: f32,
}

impl Decision {
    /// The most probable label, always, at a temperature.
    pub const fn at(temperature: f32) -> Self {
        Self {
            temperature,
            abstain_below: 0.0,
        }
    }

    /// The label that calibrated `probabilities` speak for, or why there is none.
    pub fn label(&self, probabilities: &[f32]) -> Result<usize, Reason> {
        let best = argmax(probabilities);
        match probabilities.get(best) {
            Some(&p) if p >= self.abstain_below => Ok(best),
            Some(_) => Err(Reason::LowConfidence),
            None => Err(Reason::NoSpeech),
        }
    }
}

/// The result of an utterance, borrowed from the recogniser that made it: no heap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome<'a> {
    /// Index of the most probable label, or why there is none.
    pub label: Result<usize, Reason>,
    /// Calibrated probability of each label; they sum to 1. Empty for an utterance that is
    /// [unfit](Quality::unfit): no number is calibrated for such a one.
    pub probabilities: &'a [f32],
    /// Samples of the utterance, at the model's rate.
    pub samples: u64,
    /// Its length in seconds.
    pub duration_s: f32,
    /// How fit the recording is.
    pub quality: Quality,
}

impl Outcome<'_> {
    /// Probability of the most probable label; none for an unfit utterance.
    pub fn confidence(&self) -> Option<f32> {
        self.probabilities.get(argmax(self.probabilities)).copied()
    }

    /// The outcome with the labels' names; `labels` in the order of the classifier's outputs.
    #[cfg(feature = "alloc")]
    pub fn named(&self, labels: &[String]) -> Prediction {
        Prediction {
            label: self
                .label
                .map(|i| labels.get(i).cloned().unwrap_or_default()),
            probabilities: labels
                .iter()
                .cloned()
                .zip(self.probabilities.iter().copied())
                .collect(),
            confidence: self.confidence(),
            duration_s: self.duration_s,
            quality: self.quality,
        }
    }
}

/// The result of an utterance, with the labels' names.
#[cfg(feature = "alloc")]
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The most probable label, or why there is none: `null` in JSON, with `uncertain` and the
    /// `reason`.
    pub label: Result<String, Reason>,
    /// Calibrated probability of each label, in the order of the bundle; they sum to 1. Empty
    /// (`null` in JSON) for an unfit utterance.
    pub probabilities: Vec<(String, f32)>,
    /// Probability of the most probable label; none for an unfit utterance.
    pub confidence: Option<f32>,
    /// Length of the utterance in seconds.
    pub duration_s: f32,
    /// How fit the recording is.
    pub quality: Quality,
}

#[cfg(feature = "std")]
impl serde::Serialize for Prediction {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;

        /// `{"angry": 0.7, …}` in the order of the labels.
        struct Map<'a>(&'a [(String, f32)]);
        impl serde::Serialize for Map<'_> {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.iter().map(|(label, p)| (label, p)))
            }
        }

        let mut out = serializer.serialize_struct("Prediction", 7)?;
        out.serialize_field("label", &self.label.as_ref().ok())?;
        out.serialize_field("uncertain", &self.label.is_err())?;
        out.serialize_field("reason", &self.label.as_ref().err())?;
        let probabilities = (!self.probabilities.is_empty()).then(|| Map(&self.probabilities));
        out.serialize_field("probabilities", &probabilities)?;
        out.serialize_field("confidence", &self.confidence)?;
        out.serialize_field("duration_s", &self.duration_s)?;
        out.serialize_field("quality", &self.quality)?;
        out.end()
    }
}

/// Turns `values` from logits into `softmax(values / temperature)`, in place. The largest logit is subtracted first, so that nothing
/// overflows; `libm` gives the same result on every machine.
pub fn softmax(values: &mut [f32], temperature: f32) {
    let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for value in values.iter_mut() {
        *value = libm::expf((*value - largest) / temperature);
        sum += *value;
    }
    for value in values {
        *value /= sum;
    }
}

/// Index of the largest value; the first one of equals, 0 for none.
pub fn argmax(values: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_of_known_logits() {
        let mut values = [1.0_f32.ln(), 2.0_f32.ln(), 5.0_f32.ln()];
        softmax(&mut values, 1.0);
        for (value, expected) in values.iter().zip([0.125, 0.25, 0.625]) {
            assert!((value - expected).abs() < 1e-6);
        }
        let mut hot = [0.0, 2.0];
        softmax(&mut hot, 2.0);
        assert!((hot[1] - 1.0 / (1.0 + (-1.0_f32).exp())).abs() < 1e-6);
        let mut huge = [3e38, -3e38, 3e38];
        softmax(&mut huge, 1.0);
        assert_eq!(huge, [0.5, 0.0, 0.5]);
    }

    #[test]
    fn argmax_takes_the_first_of_equals() {
        assert_eq!(argmax(&[0.1, 0.4, 0.4, 0.1]), 1);
        assert_eq!(argmax(&[]), 0);
    }
}
