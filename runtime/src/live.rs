//! An endless stream in, one prediction per utterance out: a [`Cutter`] and a [`Recognizer`]
//! joined, without a heap.
//!
//! [`LiveRecognizer::push`] takes samples in any chunking and calls back with [`Event`]s.
//! Positions are samples since the start of the stream, at its own rate, whatever the model's is.
//! The events do not depend on the chunks, bit for bit, and the memory does not depend on the
//! length of the stream: the extractor holds one utterance, a delay line what lies before a
//! decision. Silence costs next to nothing, extractor and conversion rest.
//!
//! An utterance that is longer than [`CutConfig::max_utterance_ms`] is cut there: it ends with
//! `cut`, and the next one starts with `continued` at the very next sample and is judged by
//! itself.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

use core::convert::Infallible;

#[cfg(feature = "alloc")]
use ser_features::FeatureSet;
use ser_features::FinishError;

use crate::adapt::Adapt;
use crate::cut::{self, CutError, Cutter, Sink};
pub use crate::cut::{CutConfig, Span};
use crate::engine::Engine;
use crate::pcm::in_blocks;
#[cfg(feature = "alloc")]
use crate::prediction::Decision;
use crate::prediction::{Outcome, Reason};
use crate::recognizer::{Recognizer, RecognizerError};
use crate::segment::{SegmentConfig, Segmenter, Verdict};

/// What a live recogniser is to do.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LiveConfig {
    /// How the stream is cut into utterances.
    pub cut: CutConfig,
    /// A prediction each time that so many milliseconds of an utterance were heard, 70 to
    /// 60 000; 0 for none. Default 0.
    pub update_ms: u32,
}

/// Below 70 ms there are no features.
const UPDATE_MS: core::ops::RangeInclusive<u32> = 70..=60_000;

/// Why a live recogniser cannot be made, or takes no samples.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// The stream cannot be cut.
    #[error(transparent)]
    Cut(#[from] CutError),
    /// The recogniser cannot be made.
    #[error(transparent)]
    Recognizer(#[from] RecognizerError),
    /// The time between updates is out of range.
    #[error("an update each {ms} ms: 0 for none, or 70 to 60000 are possible")]
    Update {
        /// The setting.
        ms: u32,
    },
}

/// What happened in the stream.
#[derive(Debug, PartialEq)]
pub enum Event<'a> {
    /// An utterance started.
    Start {
        /// Where; `end` is `start`.
        span: Span,
    },
    /// An utterance is going on.
    Update {
        /// What was heard of it.
        span: Span,
        /// The prediction for that.
        outcome: Outcome<'a>,
    },
    /// An utterance ended.
    End {
        /// Where it lies.
        span: Span,
        /// Whether it was cut for its length and goes on.
        cut: bool,
        /// The prediction.
        outcome: Outcome<'a>,
    },
    /// What had started was no speech, or too short for an utterance.
    Discarded {
        /// Where it lies.
        span: Span,
        /// Why.
        reason: Reason,
    },
    /// An utterance ended, and there is no prediction for it. The stream goes on.
    Failed {
        /// Where it lies.
        span: Span,
        /// Why.
        error: RecognizerError,
    },
}

/// Recognises the utterances of an endless stream; see the [module](self).
///
/// `E`, `M` and `S` are the [`Recognizer`]'s, `R` is memory of [`cut::memory_len`] floats, `A` an
/// [`AdaptiveNormaliser`](crate::adapt::AdaptiveNormaliser) or `()`.
pub struct LiveRecognizer<E, M, S, R, A = ()> {
    cutter: Cutter<R>,
    hearing: Hearing<E, M, S, A>,
}

/// What stands behind the cutter.
struct Hearing<E, M, S, A> {
    recognizer: Recognizer<E, M, S>,
    adapt: A,
    /// Why the utterance at hand has no prediction.
    failed: Option<RecognizerError>,
}

/// Floats of memory that a live recogniser needs beside the [`Recognizer`]'s, for a stream at
/// `rate` Hz and a model at `model_rate` Hz.
pub const fn memory_len(rate: u32, model_rate: u32, config: &SegmentConfig) -> usize {
    cut::memory_len(rate, model_rate, config)
}

/// A live recogniser that owns its memory.
#[cfg(feature = "alloc")]
pub type OwnedLiveRecognizer<E, A = ()> = LiveRecognizer<E, Vec<f32>, Vec<f32>, Vec<f32>, A>;

#[cfg(feature = "alloc")]
impl<E: Engine, A: Adapt> OwnedLiveRecognizer<E, A> {
    /// A live recogniser of a stream at `rate` Hz that owns its memory, for a model at
    /// `model_rate` Hz; see [`LiveRecognizer::new`].
    ///
    /// # Errors
    /// As [`LiveRecognizer::new`] and [`Recognizer::new`].
    pub fn owned(
        rate: u32,
        model_rate: u32,
        feature_set: FeatureSet,
        config: LiveConfig,
        engine: E,
        decision: Decision,
        adapt: A,
    ) -> Result<Self, LiveError> {
        let cutter = cut::OwnedCutter::owned(rate, model_rate, &config.cut)?;
        let extractor = config.cut.extractor(model_rate, feature_set);
        let recognizer = Recognizer::owned(extractor, engine, decision)?;
        Self::joined(cutter, recognizer, config.update_ms, adapt)
    }
}

impl<E, M, S, R, A> LiveRecognizer<E, M, S, R, A>
where
    E: Engine,
    M: AsRef<[f32]> + AsMut<[f32]>,
    S: AsMut<[f32]>,
    R: AsRef<[f32]> + AsMut<[f32]>,
    A: Adapt,
{
    /// A live recogniser of a stream at `rate` Hz around `recognizer`, whose rate is the model's
    /// and whose memory may cut an utterance before [`CutConfig::max_utterance_ms`] does
    /// ([`CutConfig::extractor`] makes it large enough).
    ///
    /// # Errors
    /// [`LiveError::Cut`], [`LiveError::Update`].
    pub fn new(
        rate: u32,
        recognizer: Recognizer<E, M, S>,
        memory: R,
        config: LiveConfig,
        adapt: A,
    ) -> Result<Self, LiveError> {
        let model_rate = recognizer.config().sample_rate;
        let cutter = Cutter::new(rate, model_rate, memory, &config.cut)?;
        Self::joined(cutter, recognizer, config.update_ms, adapt)
    }

    fn joined(
        mut cutter: Cutter<R>,
        mut recognizer: Recognizer<E, M, S>,
        update_ms: u32,
        adapt: A,
    ) -> Result<Self, LiveError> {
        if update_ms != 0 && !UPDATE_MS.contains(&update_ms) {
            return Err(LiveError::Update { ms: update_ms });
        }
        recognizer.reset();
        cutter.tell_every(update_ms);
        cutter.limit(recognizer.config().max_samples());
        Ok(Self {
            cutter,
            hearing: Hearing {
                recognizer,
                adapt,
                failed: None,
            },
        })
    }

    /// Takes mono samples on the scale -1..1, in any chunking, and calls `on` with what happened.
    ///
    /// # Errors
    /// [`CutError::NotFinite`]: nothing of the chunk was taken. What goes wrong with one utterance
    /// is an [`Event::Failed`].
    pub fn push(&mut self, samples: &[f32], on: impl FnMut(Event<'_>)) -> Result<(), LiveError> {
        let mut sink = Listener {
            hearing: &mut self.hearing,
            on,
        };
        Ok(self.cutter.push(samples, &mut sink)?)
    }

    /// [`push`](Self::push) for 16-bit samples: x / 32767.
    pub fn push_i16(&mut self, samples: &[i16], mut on: impl FnMut(Event<'_>)) {
        let Ok(()) = in_blocks(samples, |_, block| {
            // Whole numbers are finite: nothing can be refused.
            let _ = self.push(block, &mut on);
            Ok::<(), Infallible>(())
        });
    }

    /// The stream ends here, or pauses for long: an utterance that is going on ends. More samples
    /// may follow.
    pub fn finish(&mut self, on: impl FnMut(Event<'_>)) {
        self.cutter.finish(&mut Listener {
            hearing: &mut self.hearing,
            on,
        });
    }

    /// Forgets the stream: positions count from 0 again. What was adapted stays.
    pub fn reset(&mut self) {
        self.cutter.reset();
        self.hearing.recognizer.reset();
        self.hearing.failed = None;
    }

    /// Samples of the stream that were heard.
    pub fn position(&self) -> u64 {
        self.cutter.segmenter().position()
    }

    /// What cuts the stream.
    pub fn segmenter(&self) -> &Segmenter {
        self.cutter.segmenter()
    }

    /// What stands between extractor and encoder.
    pub fn adapt(&self) -> &A {
        &self.hearing.adapt
    }

    /// What stands between extractor and encoder, to reset it or to restore its state.
    pub fn adapt_mut(&mut self) -> &mut A {
        &mut self.hearing.adapt
    }
}

/// Turns what the cutter finds into events.
struct Listener<'h, E, M, S, A, F> {
    hearing: &'h mut Hearing<E, M, S, A>,
    on: F,
}

impl<E, M, S, A, F> Sink for Listener<'_, E, M, S, A, F>
where
    E: Engine,
    M: AsRef<[f32]> + AsMut<[f32]>,
    S: AsMut<[f32]>,
    A: Adapt,
    F: FnMut(Event<'_>),
{
    fn start(&mut self, span: Span) {
        self.hearing.recognizer.reset();
        self.hearing.failed = None;
        (self.on)(Event::Start { span });
    }

    fn samples(&mut self, samples: &[f32]) {
        if self.hearing.failed.is_none() {
            // The cutter hands over finite samples, and no more than fit; should the extractor
            // refuse them, the utterance is reported and left.
            self.hearing.failed = self.hearing.recognizer.push(samples).err();
        }
    }

    fn heard(&mut self, span: Span) {
        if self.hearing.failed.is_some() {
            return;
        }
        let Hearing {
            recognizer, adapt, ..
        } = &mut *self.hearing;
        // An update that fails is made up for by the end.
        if let Ok(outcome) = recognizer.finish_adapted(adapt, false) {
            (self.on)(Event::Update { span, outcome });
        }
    }

    fn end(&mut self, span: Span, cut: bool, verdict: Verdict) {
        if let Some(reason) = Reason::of(verdict) {
            return (self.on)(Event::Discarded { span, reason });
        }
        if let Some(error) = self.hearing.failed.take() {
            return (self.on)(Event::Failed { span, error });
        }
        let Hearing {
            recognizer, adapt, ..
        } = &mut *self.hearing;
        (self.on)(match recognizer.finish_adapted(adapt, true) {
            Ok(outcome) => Event::End { span, cut, outcome },
            Err(RecognizerError::Finish(FinishError::TooShort { .. })) => Event::Discarded {
                span,
                reason: Reason::TooShort,
            },
            Err(error) => Event::Failed { span, error },
        });
    }
}
