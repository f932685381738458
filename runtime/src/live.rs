//! An endless stream in, one prediction per utterance out: [`Segmenter`] and [`Recognizer`] joined, without a heap.
//!
//! [`LiveRecognizer::push`] takes samples in any chunking and calls back with [`Event`]s. Positions are samples since the start of the
//! stream. The events do not depend on the chunks, bit for bit, and the memory does not depend on the length of the stream: the extractor
//! holds one utterance, a delay line holds the pre-roll and what a pause keeps back. Silence costs next to nothing, the extractor rests.
//!
//! A stream at another rate than the model's is [resampled](crate::resample) on its way; positions are those of the stream all the same.
//!
//! An utterance that is longer than [`LiveConfig::max_utterance_ms`] is cut there: it ends with `cut`, and the next one starts with
//! `continued` at the very next sample.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

use core::convert::Infallible;

use ser_features::{Config, FeatureSet, FinishError, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, PushError};

use crate::adapt::Adapt;
use crate::engine::Engine;
use crate::pcm::in_blocks;
use crate::prediction::Outcome;
use crate::recognizer::{Recognizer, RecognizerError};
use crate::resample::{self, ResampleError, Resampler};
use crate::segment::{Activity, SegmentConfig, SegmentError, Segmenter, Verdict, delay_len};

/// What a live recogniser is to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LiveConfig {
    /// When utterances start and end.
    pub segment: SegmentConfig,
    /// Longest utterance in milliseconds, 500 to 60 000. Default 10 000. It decides the extractor's memory: 15.6 kB a second.
    pub max_utterance_ms: u32,
    /// A prediction each time that so many milliseconds of the utterance were heard; 0 for none. Default 0.
    pub update_ms: u32,
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            segment: SegmentConfig::default(),
            max_utterance_ms: 10_000,
            update_ms: 0,
        }
    }
}

/// Samples that are converted at once: they lie on the stack.
const BLOCK: usize = 64;

/// Samples in `ms` milliseconds.
fn samples_in(ms: u32, rate: u32) -> u64 {
    u64::from(ms) * u64::from(rate) / 1_000
}

impl LiveConfig {
    /// The extractor's configuration for a stream at `rate` Hz.
    pub fn extractor(&self, rate: u32, feature_set: FeatureSet) -> Config {
        let longest = samples_in(self.max_utterance_ms, rate);
        Config::for_samples(
            rate,
            usize::try_from(longest).unwrap_or(usize::MAX),
            feature_set,
        )
    }
}

/// Why a live recogniser cannot be made, or takes no samples.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LiveError {
    /// The segmenter cannot be made.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The recogniser cannot be made.
    #[error(transparent)]
    Recognizer(#[from] RecognizerError),
    /// The stream's rate cannot be brought to the model's.
    #[error(transparent)]
    Resample(#[from] ResampleError),
    /// The longest utterance is out of range.
    #[error("an utterance of at most {ms} ms: 500 to 60000 are possible")]
    MaxUtterance {
        /// The setting.
        ms: u32,
    },
    /// The memory is too small.
    #[error("{found} floats of memory for the delay line, {needed} are needed")]
    Memory {
        /// Its length.
        found: usize,
        /// [`memory_len`].
        needed: usize,
    },
    /// A sample is NaN or infinite; nothing of the chunk was taken.
    #[error("sample {index} of the chunk (counted from 0) is not a finite number")]
    NotFinite {
        /// Its index in the chunk.
        index: usize,
    },
}

/// Where an utterance lies. Positions are samples since the start of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "std", derive(serde::Serialize))]
pub struct Span {
    /// First sample.
    pub start: u64,
    /// First sample after it, or after what was heard of it so far.
    pub end: u64,
    /// Whether it goes on where the one before was cut.
    pub continued: bool,
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
    /// What had started was too short for an utterance.
    Discarded {
        /// Where it lies.
        span: Span,
    },
    /// An utterance ended, and there is no prediction for it. The stream goes on.
    Failed {
        /// Where it lies.
        span: Span,
        /// Why.
        error: RecognizerError,
    },
}

/// An utterance that is going on.
#[derive(Debug, Clone, Copy)]
struct Utterance {
    start: u64,
    /// The extractor has the samples before this one.
    fed: u64,
    updates: u64,
    continued: bool,
    /// Whether its start was reported; what follows a cut starts with its first sample.
    announced: bool,
}

impl Utterance {
    fn new(start: u64, continued: bool) -> Self {
        Self {
            start,
            fed: start,
            updates: 0,
            continued,
            announced: false,
        }
    }

    fn len(&self) -> u64 {
        self.fed - self.start
    }
}

/// Recognises the utterances of an endless stream; see the [module](self).
///
/// `E`, `M` and `S` are the [`Recognizer`]'s, `R` is memory of [`memory_len`] floats, `A` an
/// [`AdaptiveNormaliser`](crate::adapt::AdaptiveNormaliser) or `()`.
pub struct LiveRecognizer<E, M, S, R, A = ()> {
    recognizer: Recognizer<E, M, S>,
    segmenter: Segmenter,
    /// The delay line, then what the resampler needs.
    memory: R,
    delay_len: usize,
    /// None where the stream has the model's rate.
    resampler: Option<Resampler>,
    adapt: A,
    longest: u64,
    update: u64,
    utterance: Option<Utterance>,
}

/// Floats of memory that a live recogniser needs beside the [`Recognizer`]'s, for a stream at `rate` Hz and a model at `model_rate` Hz.
pub const fn memory_len(rate: u32, model_rate: u32, config: &SegmentConfig) -> usize {
    delay_len(model_rate, config) + resample::memory_len(rate, model_rate)
}

/// A live recogniser that owns its memory.
#[cfg(feature = "alloc")]
pub type OwnedLiveRecognizer<E, A = ()> = LiveRecognizer<E, Vec<f32>, Vec<f32>, Vec<f32>, A>;

#[cfg(feature = "alloc")]
impl<E: Engine, A: Adapt> OwnedLiveRecognizer<E, A> {
    /// A live recogniser of a stream at `rate` Hz that owns its memory, for a model at `model_rate` Hz; see [`LiveRecognizer::new`].
    ///
    /// # Errors
    /// As [`LiveRecognizer::new`] and [`Recognizer::new`].
    pub fn owned(
        rate: u32,
        model_rate: u32,
        feature_set: FeatureSet,
        config: LiveConfig,
        engine: E,
        temperature: f32,
        adapt: A,
    ) -> Result<Self, LiveError> {
        check(model_rate, &config)?;
        let extractor = config.extractor(model_rate, feature_set);
        let recognizer = Recognizer::owned(extractor, engine, temperature)?;
        let memory = alloc::vec![0.0; memory_len(rate, model_rate, &config.segment)];
        Self::new(rate, recognizer, memory, config, adapt)
    }
}

/// Refuses settings before anything is made after them.
fn check(rate: u32, config: &LiveConfig) -> Result<Segmenter, LiveError> {
    if !(500..=60_000).contains(&config.max_utterance_ms) {
        return Err(LiveError::MaxUtterance {
            ms: config.max_utterance_ms,
        });
    }
    Ok(Segmenter::new(rate, config.segment)?)
}

impl<E, M, S, R, A> LiveRecognizer<E, M, S, R, A>
where
    E: Engine,
    M: AsRef<[f32]> + AsMut<[f32]>,
    S: AsMut<[f32]>,
    R: AsRef<[f32]> + AsMut<[f32]>,
    A: Adapt,
{
    /// A live recogniser of a stream at `rate` Hz around `recognizer`, whose rate is the model's and whose memory may cut an utterance
    /// before [`LiveConfig::max_utterance_ms`] does ([`LiveConfig::extractor`] makes it large enough).
    ///
    /// # Errors
    /// [`LiveError::Segment`], [`LiveError::MaxUtterance`], [`LiveError::Memory`], [`LiveError::Resample`].
    pub fn new(
        rate: u32,
        recognizer: Recognizer<E, M, S>,
        mut memory: R,
        config: LiveConfig,
        adapt: A,
    ) -> Result<Self, LiveError> {
        if !(MIN_SAMPLE_RATE..=MAX_SAMPLE_RATE).contains(&rate) {
            return Err(SegmentError::SampleRate { rate }.into());
        }
        let model_rate = recognizer.config().sample_rate;
        let segmenter = check(model_rate, &config)?;
        let delay_len = delay_len(model_rate, &config.segment);
        let needed = memory_len(rate, model_rate, &config.segment);
        let found = memory.as_ref().len();
        let Some((_, filter)) = memory
            .as_mut()
            .split_at_mut_checked(delay_len)
            .filter(|_| found >= needed)
        else {
            return Err(LiveError::Memory { found, needed });
        };
        let resampler = if rate == model_rate {
            None
        } else {
            Some(Resampler::new(rate, model_rate, filter)?)
        };
        let mut new = Self {
            recognizer,
            segmenter,
            memory,
            delay_len,
            resampler,
            adapt,
            longest: samples_in(config.max_utterance_ms, model_rate),
            update: samples_in(config.update_ms, model_rate),
            utterance: None,
        };
        new.recognizer.reset();
        Ok(new)
    }

    /// Takes mono samples on the scale -1..1, in any chunking, and calls `on` with what happened.
    ///
    /// # Errors
    /// [`LiveError::NotFinite`]: nothing of the chunk was taken. What goes wrong with one utterance is an [`Event::Failed`].
    pub fn push(
        &mut self,
        samples: &[f32],
        mut on: impl FnMut(Event<'_>),
    ) -> Result<(), LiveError> {
        if let Some(index) = samples.iter().position(|v| !v.is_finite()) {
            return Err(LiveError::NotFinite { index });
        }
        self.bring(samples, &mut on);
        Ok(())
    }

    /// [`push`](Self::push) for 16-bit samples: x / 32767.
    pub fn push_i16(&mut self, samples: &[i16], mut on: impl FnMut(Event<'_>)) {
        let Ok(()) = in_blocks(samples, |_, block| {
            self.bring(block, &mut on);
            Ok::<(), Infallible>(())
        });
    }

    /// The stream ends here, or pauses for long: an utterance that is going on ends. More samples may follow; behind a resampler they start
    /// a new piece, and positions may then be off by one sample a piece.
    pub fn finish(&mut self, mut on: impl FnMut(Event<'_>)) {
        let mut block = [0.0; BLOCK];
        while let Some(resampler) = &mut self.resampler {
            let given = resampler.finish(&mut self.memory.as_mut()[self.delay_len..], &mut block);
            if given == 0 {
                break;
            }
            self.take(&block[..given], &mut on);
        }
        if let Some((at, verdict)) = self.segmenter.finish() {
            self.feed(at, &mut on);
            self.close(verdict, &mut on);
        }
        if let Some(resampler) = &mut self.resampler {
            resampler.reset(&mut self.memory.as_mut()[self.delay_len..]);
        }
    }

    /// Forgets the stream: positions count from 0 again. What was adapted stays.
    pub fn reset(&mut self) {
        self.segmenter.reset();
        self.recognizer.reset();
        self.utterance = None;
        if let Some(resampler) = &mut self.resampler {
            resampler.reset(&mut self.memory.as_mut()[self.delay_len..]);
        }
    }

    /// Samples of the stream that were looked at; a resampler looks a few milliseconds ahead.
    pub fn position(&self) -> u64 {
        self.in_stream(self.segmenter.position())
    }

    /// What cuts the stream.
    pub fn segmenter(&self) -> &Segmenter {
        &self.segmenter
    }

    /// What stands between extractor and encoder.
    pub fn adapt(&self) -> &A {
        &self.adapt
    }

    /// What stands between extractor and encoder, to reset it or to restore its state.
    pub fn adapt_mut(&mut self) -> &mut A {
        &mut self.adapt
    }

    /// Where a sample at the model's rate lies in the stream.
    fn in_stream(&self, at: u64) -> u64 {
        match &self.resampler {
            Some(resampler) => resampler.input_position(at),
            None => at,
        }
    }

    fn span(&self, utterance: &Utterance) -> Span {
        Span {
            start: self.in_stream(utterance.start),
            end: self.in_stream(utterance.fed),
            continued: utterance.continued,
        }
    }

    /// Brings samples to the model's rate and takes them.
    fn bring(&mut self, mut rest: &[f32], on: &mut impl FnMut(Event<'_>)) {
        let mut block = [0.0; BLOCK];
        while let Some(resampler) = &mut self.resampler {
            let memory = &mut self.memory.as_mut()[self.delay_len..];
            let (taken, given) = resampler.step(memory, rest, &mut block);
            rest = &rest[taken..];
            self.take(&block[..given], on);
            if taken == 0 && given == 0 {
                return;
            }
        }
        self.take(rest, on);
    }

    fn take(&mut self, mut rest: &[f32], on: &mut impl FnMut(Event<'_>)) {
        while !rest.is_empty() {
            let at = self.segmenter.position();
            let (taken, activity) = self.segmenter.push(rest);
            let (now, later) = rest.split_at(taken);
            rest = later;
            self.remember(at, now);
            match activity {
                None | Some(Activity::Silence) => {}
                Some(Activity::Start { at }) => {
                    self.recognizer.reset();
                    self.utterance = Some(Utterance::new(at, false));
                    self.feed(self.segmenter.position(), on);
                }
                Some(Activity::Speech { until }) => self.feed(until, on),
                Some(Activity::End { at, verdict }) => {
                    self.feed(at, on);
                    self.close(verdict, on);
                }
            }
        }
    }

    /// Writes samples, the first of which is sample `at` of the stream, to the delay line.
    fn remember(&mut self, at: u64, samples: &[f32]) {
        let delay = &mut self.memory.as_mut()[..self.delay_len];
        let index = (at % delay.len() as u64) as usize;
        let (first, second) = samples.split_at(samples.len().min(delay.len() - index));
        delay[index..index + first.len()].copy_from_slice(first);
        delay[..second.len()].copy_from_slice(second);
    }

    /// Gives the extractor the samples before `until`, which all lie in the delay line, with cuts and updates on the way.
    fn feed(&mut self, until: u64, on: &mut impl FnMut(Event<'_>)) {
        while let Some(mut utterance) = self.utterance.filter(|u| u.fed < until) {
            if !utterance.announced {
                utterance.announced = true;
                on(Event::Start {
                    span: self.span(&utterance),
                });
            }
            let span = self.span(&utterance);
            let delay = &self.memory.as_ref()[..self.delay_len];
            let index = (utterance.fed % delay.len() as u64) as usize;
            let mut wanted = (until - utterance.fed)
                .min((delay.len() - index) as u64)
                .min(self.longest - utterance.len());
            if self.update > 0 {
                let next = (utterance.updates + 1) * self.update;
                wanted = wanted.min(next - utterance.len());
            }
            let samples = &delay[index..index + wanted as usize];
            let (taken, full) = match self.recognizer.push(samples) {
                Ok(()) => (wanted, false),
                Err(RecognizerError::Push(PushError::Full { taken })) => {
                    (wanted.min(taken as u64), true)
                }
                // Samples were checked when they came; should the extractor refuse them, the utterance is reported and left.
                Err(error) => {
                    on(Event::Failed { span, error });
                    self.recognizer.reset();
                    self.utterance = Some(Utterance::new(until, true));
                    continue;
                }
            };
            utterance.fed += taken;
            if self.update > 0 && utterance.len() == (utterance.updates + 1) * self.update {
                utterance.updates += 1;
                // Below 70 ms there are no features yet; an update that fails is made up for by the end.
                let span = self.span(&utterance);
                if let Ok(outcome) = self.recognizer.finish_adapted(&mut self.adapt, false) {
                    on(Event::Update { span, outcome });
                }
            }
            self.utterance = Some(utterance);
            if full || utterance.len() == self.longest {
                self.end(utterance, true, on);
                self.segmenter.cut();
                self.recognizer.reset();
                // An extractor that takes nothing at all must not hold up the stream.
                let next = if utterance.len() == 0 {
                    until
                } else {
                    utterance.fed
                };
                self.utterance = Some(Utterance::new(next, true));
            }
        }
    }

    /// The utterance is over.
    fn close(&mut self, verdict: Verdict, on: &mut impl FnMut(Event<'_>)) {
        let Some(utterance) = self.utterance.take().filter(|u| u.announced) else {
            return;
        };
        if verdict == Verdict::Speech {
            self.end(utterance, false, on);
        } else {
            on(Event::Discarded {
                span: self.span(&utterance),
            });
        }
    }

    /// Reports the prediction for what the extractor has.
    fn end(&mut self, utterance: Utterance, cut: bool, on: &mut impl FnMut(Event<'_>)) {
        let span = self.span(&utterance);
        match self.recognizer.finish_adapted(&mut self.adapt, true) {
            Ok(outcome) => on(Event::End { span, cut, outcome }),
            Err(RecognizerError::Finish(FinishError::TooShort { .. })) => {
                on(Event::Discarded { span });
            }
            Err(error) => on(Event::Failed { span, error }),
        }
    }
}
