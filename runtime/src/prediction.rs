//! What the recogniser says about an utterance.

#[cfg(feature = "alloc")]
use alloc::{string::String, vec::Vec};

use crate::quality::Quality;

/// The result of an utterance, borrowed from the recogniser that made it: no heap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome<'a> {
    /// Index of the most probable label.
    pub label: usize,
    /// Calibrated probability of each label; they sum to 1.
    pub probabilities: &'a [f32],
    /// Samples of the utterance.
    pub samples: u64,
    /// Its length in seconds.
    pub duration_s: f32,
    /// How fit the recording is.
    pub quality: Quality,
}

impl Outcome<'_> {
    /// Probability of the most probable label.
    pub fn confidence(&self) -> f32 {
        self.probabilities.get(self.label).copied().unwrap_or(0.0)
    }

    /// The outcome with the labels' names; `labels` in the order of the classifier's outputs.
    #[cfg(feature = "alloc")]
    pub fn named(&self, labels: &[String]) -> Prediction {
        Prediction {
            label: labels.get(self.label).cloned().unwrap_or_default(),
            uncertain: false,
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
    /// The most probable label; `null` in JSON where it is [`uncertain`](Self::uncertain).
    pub label: String,
    /// Whether its probability is below what was asked for with [`abstain_below`](Self::abstain_below).
    pub uncertain: bool,
    /// Calibrated probability of each label, in the order of the bundle; they sum to 1.
    pub probabilities: Vec<(String, f32)>,
    /// Probability of [`Self::label`].
    pub confidence: f32,
    /// Length of the utterance in seconds.
    pub duration_s: f32,
    /// How fit the recording is.
    pub quality: Quality,
}

#[cfg(feature = "alloc")]
impl Prediction {
    /// Marks the prediction as uncertain if its confidence is below `threshold`; 0 marks none.
    pub fn abstain_below(mut self, threshold: f32) -> Self {
        self.uncertain = self.confidence < threshold;
        self
    }
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

        let mut out = serializer.serialize_struct("Prediction", 6)?;
        let label = (!self.uncertain).then_some(&self.label);
        out.serialize_field("label", &label)?;
        out.serialize_field("uncertain", &self.uncertain)?;
        out.serialize_field("probabilities", &Map(&self.probabilities))?;
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
