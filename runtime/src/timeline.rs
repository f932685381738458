//! What is said in a recording, utterance by utterance, and in all.

use crate::adapt::Adapt;
use crate::engine::Engine;
use crate::live::{Event, LiveError, OwnedLiveRecognizer, Span};
use crate::prediction::{Decision, Prediction, Reason};
use crate::quality::{Quality, QualityMeter};
use crate::recognizer::RecognizerError;

/// An utterance of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Utterance {
    /// Where it lies, in samples at the recording's rate.
    pub span: Span,
    /// What it is.
    pub prediction: Prediction,
}

/// The utterances of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    /// Sampling rate of the recording, in Hz.
    pub sample_rate: u32,
    /// Samples heard.
    pub samples: u64,
    /// What is speech, in order; an utterance that is unfit has no label.
    pub utterances: Vec<Utterance>,
    /// What else stood out of the background, and why it is no utterance.
    pub discarded: Vec<(Span, Reason)>,
    /// Of everything together: the probabilities of the utterances, weighted by their length. Its
    /// duration is that of the speech. Without a fit utterance it has no label.
    pub summary: Prediction,
}

impl Timeline {
    /// The utterances that are speech fit for recognition, in order.
    pub fn speech(&self) -> impl Iterator<Item = &Utterance> {
        let fit = |u: &&Utterance| u.prediction.quality.unfit().is_none();
        self.utterances.iter().filter(fit)
    }

    /// Seconds of speech.
    pub fn speech_s(&self) -> f64 {
        self.seconds(self.speech().map(|u| u.span.samples()).sum())
    }

    /// Seconds of the recording.
    pub fn duration_s(&self) -> f64 {
        self.seconds(self.samples)
    }

    /// Where sample `at` lies, in seconds.
    pub fn seconds(&self, at: u64) -> f64 {
        at as f64 / f64::from(self.sample_rate)
    }
}

/// Recognises a recording that is pushed piece by piece, in memory that grows by its utterances
/// alone.
pub struct TimelineRecognizer<E, A = ()> {
    live: OwnedLiveRecognizer<E, A>,
    rate: u32,
    labels: Vec<String>,
    decision: Decision,
    meter: QualityMeter,
    utterances: Vec<Utterance>,
    discarded: Vec<(Span, Reason)>,
    failed: Option<RecognizerError>,
}

impl<E: Engine, A: Adapt> TimelineRecognizer<E, A> {
    /// Around a live recogniser of a stream at `rate` Hz.
    pub fn new(
        live: OwnedLiveRecognizer<E, A>,
        rate: u32,
        labels: Vec<String>,
        decision: Decision,
    ) -> Self {
        Self {
            live,
            rate,
            labels,
            decision,
            meter: QualityMeter::new(rate),
            utterances: Vec::new(),
            discarded: Vec::new(),
            failed: None,
        }
    }

    /// Takes mono samples on the scale -1..1, in any chunking.
    ///
    /// # Errors
    /// [`CutError::NotFinite`](crate::cut::CutError::NotFinite): nothing of the chunk was taken.
    pub fn push(&mut self, samples: &[f32]) -> Result<(), LiveError> {
        let Self {
            live,
            labels,
            utterances,
            discarded,
            failed,
            ..
        } = self;
        live.push(samples, |e| {
            keep(e, labels, utterances, discarded, failed);
        })?;
        self.meter.push(samples);
        Ok(())
    }

    /// The recording ends here.
    ///
    /// # Errors
    /// What went wrong with the first utterance that could not be recognised.
    pub fn finish(mut self) -> Result<Timeline, RecognizerError> {
        let Self {
            live,
            labels,
            utterances,
            discarded,
            failed,
            ..
        } = &mut self;
        live.finish(|e| keep(e, labels, utterances, discarded, failed));
        if let Some(error) = self.failed {
            return Err(error);
        }
        let summary = self.summary();
        Ok(Timeline {
            sample_rate: self.rate,
            samples: self.live.position(),
            utterances: self.utterances,
            discarded: self.discarded,
            summary,
        })
    }

    fn summary(&self) -> Prediction {
        if let [one] = self.utterances.as_slice() {
            return one.prediction.clone();
        }
        let fit = || {
            let all = self.utterances.iter().map(|u| &u.prediction);
            all.filter(|p| p.quality.unfit().is_none())
        };
        let seconds: f64 = fit().map(|p| f64::from(p.duration_s)).sum();
        let qualities: Vec<(Quality, f64)> = fit()
            .map(|p| (p.quality, f64::from(p.duration_s)))
            .collect();
        let Some(quality) = Quality::of_all(&qualities) else {
            return Prediction {
                label: Err(self.reason()),
                probabilities: Vec::new(),
                confidence: None,
                duration_s: 0.0,
                quality: self.meter.quality(0, None),
            };
        };
        let probabilities: Vec<f32> = (0..self.labels.len())
            .map(|label| {
                let sum: f64 = fit()
                    .filter_map(|p| {
                        let share = f64::from(p.duration_s) / seconds;
                        Some(f64::from(p.probabilities.get(label)?.1) * share)
                    })
                    .sum();
                sum as f32
            })
            .collect();
        let name = |i: usize| self.labels.get(i).cloned().unwrap_or_default();
        Prediction {
            label: self.decision.label(&probabilities).map(name),
            confidence: probabilities.iter().copied().reduce(f32::max),
            probabilities: self.labels.iter().cloned().zip(probabilities).collect(),
            duration_s: seconds as f32,
            quality,
        }
    }

    /// Why nothing in the recording has a label: what is said of the longest thing that stood out.
    fn reason(&self) -> Reason {
        let unfit = self
            .utterances
            .iter()
            .filter_map(|u| Some((u.span, u.prediction.quality.unfit()?)));
        let longest = unfit
            .chain(self.discarded.iter().copied())
            .max_by_key(|(span, _)| span.samples());
        longest.map_or(Reason::NoSpeech, |(_, reason)| reason)
    }
}

fn keep(
    event: Event<'_>,
    labels: &[String],
    utterances: &mut Vec<Utterance>,
    discarded: &mut Vec<(Span, Reason)>,
    failed: &mut Option<RecognizerError>,
) {
    match event {
        Event::End { span, outcome, .. } => utterances.push(Utterance {
            span,
            prediction: outcome.named(labels),
        }),
        Event::Discarded { span, reason } => discarded.push((span, reason)),
        Event::Failed { error, .. } => *failed = failed.take().or(Some(error)),
        Event::Start { .. } | Event::Update { .. } => {}
    }
}
