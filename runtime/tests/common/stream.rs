//! Endless streams for the live recogniser, and a model that needs no heap.

use ser_features::FEATURE_COUNT;
use ser_runtime::engine::{Engine, EngineError, check_width};
use ser_runtime::live::{Event, Span};

use super::Random;
use super::wav::vowel;

/// What a device without a heap would bring: a model that is a few numbers in the program.
pub struct Fixed;

impl Engine for Fixed {
    fn feature_count(&self) -> usize {
        FEATURE_COUNT
    }

    fn code_len(&self) -> usize {
        2
    }

    fn label_count(&self) -> usize {
        3
    }

    fn encode(&mut self, features: &[f32], code: &mut [f32]) -> Result<(), EngineError> {
        check_width("code", code, 2)?;
        code.copy_from_slice(&[features[0], features[100] * 0.01]);
        Ok(())
    }

    fn classify(&mut self, code: &[f32], logits: &mut [f32]) -> Result<(), EngineError> {
        check_width("logits", logits, 3)?;
        logits.copy_from_slice(&[code[0], code[1], 0.0]);
        Ok(())
    }
}

/// Faint noise with vowels at `voices`: (start, length, pitch) in seconds and Hz.
pub fn stream(rate: u32, seconds: f32, voices: &[(f32, f32, f32)]) -> Vec<f32> {
    let mut random = Random::new(5);
    let mut samples: Vec<f32> = (0..(seconds * rate as f32) as usize)
        .map(|_| 3e-4 * random.float())
        .collect();
    for &(start, length, pitch) in voices {
        let at = (start * rate as f32) as usize;
        for (sample, voice) in samples[at..].iter_mut().zip(vowel(rate, pitch, length)) {
            *sample += voice as f32;
        }
    }
    samples
}

/// An event that owns what it says, down to the bits.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    pub what: &'static str,
    pub span: Span,
    pub bits: Vec<u32>,
    pub cut: bool,
}

impl Said {
    pub fn of(event: &Event<'_>) -> Self {
        let bits = |p: &[f32]| p.iter().map(|v| v.to_bits()).collect();
        let (what, span, bits, cut) = match event {
            Event::Start { span } => ("start", *span, vec![], false),
            Event::Update { span, outcome } => {
                ("update", *span, bits(outcome.probabilities), false)
            }
            Event::End { span, cut, outcome } => ("end", *span, bits(outcome.probabilities), *cut),
            Event::Discarded { span, .. } => ("discarded", *span, vec![], false),
            Event::Failed { span, error } => panic!("{span:?}: {error}"),
        };
        Self {
            what,
            span,
            bits,
            cut,
        }
    }
}
