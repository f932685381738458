//! From a stream to the speech in it: what every entry point hears, decided once.
//!
//! A [`Cutter`] finds utterances with a [`Segmenter`] at the stream's own rate, and brings those,
//! and nothing else, to the model's rate. A [`Sink`] takes what it finds: a live recogniser, the
//! extraction of a training table, or whoever only wants the places. The outcome does not depend
//! on the chunks, bit for bit, and the memory not on the length of the stream: a delay line holds
//! what lies before a decision, and silence costs the segmenter alone.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

use ser_features::{Config, FeatureSet, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE};

use crate::crc32::crc32_of;
use crate::resample::{self, ResampleError, Resampler};
use crate::segment::{Activity, SegmentConfig, SegmentError, Segmenter, Verdict, delay_len};

/// Shortest and longest utterance that [`CutConfig::max_utterance_ms`] may ask for.
const UTTERANCE_MS: core::ops::RangeInclusive<u32> = 500..=60_000;

/// How a stream is cut into utterances.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(
    feature = "std",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct CutConfig {
    /// When utterances start and end.
    pub segment: SegmentConfig,
    /// Longest utterance in milliseconds, 500 to 60 000; a longer one is cut there. Default
    /// 10 000. It decides the extractor's memory: 15.6 kB a second.
    pub max_utterance_ms: u32,
}

impl Default for CutConfig {
    fn default() -> Self {
        Self {
            segment: SegmentConfig::default(),
            max_utterance_ms: 10_000,
        }
    }
}

impl CutConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`CutError::MaxUtterance`], [`CutError::Segment`].
    pub fn validate(&self) -> Result<(), CutError> {
        if !UTTERANCE_MS.contains(&self.max_utterance_ms) {
            return Err(CutError::MaxUtterance {
                ms: self.max_utterance_ms,
            });
        }
        Ok(self.segment.validate()?)
    }

    /// A number that differs where settings differ, for flat model files, which have no room for
    /// the settings themselves: CRC-32 of their values in the order of the fields, little-endian.
    pub fn fingerprint(&self) -> u32 {
        let max = self.max_utterance_ms.to_le_bytes();
        crc32_of(self.segment.numbers().into_iter().flatten().chain(max))
    }

    /// The extractor's configuration for utterances at `model_rate` Hz.
    pub fn extractor(&self, model_rate: u32, feature_set: FeatureSet) -> Config {
        // A conversion may round the number of samples up.
        let longest = samples_in(self.max_utterance_ms, model_rate) + 1;
        let longest = usize::try_from(longest).unwrap_or(usize::MAX);
        Config::for_samples(model_rate, longest, feature_set)
    }
}

/// Samples in `ms` milliseconds.
pub(crate) fn samples_in(ms: u32, rate: u32) -> u64 {
    u64::from(ms) * u64::from(rate) / 1_000
}

/// Why a stream cannot be cut.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CutError {
    /// The segmenter cannot be made.
    #[error(transparent)]
    Segment(#[from] SegmentError),
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

/// Where an utterance lies. Positions are samples since the start of the stream, at its own rate.
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

impl Span {
    /// Samples of it.
    pub const fn samples(&self) -> u64 {
        self.end - self.start
    }
}

/// What takes the speech that a [`Cutter`] finds.
pub trait Sink {
    /// An utterance starts, or goes on behind a cut; `span.end` is `span.start`.
    fn start(&mut self, span: Span);

    /// The next samples of it, at the model's rate.
    fn samples(&mut self, samples: &[f32]);

    /// Another [`Cutter::every`] of it was heard.
    fn heard(&mut self, span: Span);

    /// It is over, or with `cut` it has the greatest length and goes on. The verdict speaks of
    /// what was heard since the last `start`.
    fn end(&mut self, span: Span, cut: bool, verdict: Verdict);
}

/// An utterance that is going on.
#[derive(Debug, Clone, Copy)]
struct Utterance {
    start: u64,
    /// The sink has the samples before this one, but for what a conversion looks ahead.
    fed: u64,
    /// How often the sink was told that more was heard.
    told: u64,
    continued: bool,
    /// Whether its start was reported; what follows a cut starts with its first sample.
    started: bool,
}

impl Utterance {
    const fn new(start: u64, continued: bool) -> Self {
        Self {
            start,
            fed: start,
            told: 0,
            continued,
            started: false,
        }
    }

    const fn len(&self) -> u64 {
        self.fed - self.start
    }

    const fn span(&self) -> Span {
        Span {
            start: self.start,
            end: self.fed,
            continued: self.continued,
        }
    }
}

/// Samples that are converted at once: they lie on the stack.
const BLOCK: usize = 64;

/// Floats of memory that a [`Cutter`] needs for a stream at `rate` Hz and a model at `model_rate`.
pub const fn memory_len(rate: u32, model_rate: u32, config: &SegmentConfig) -> usize {
    delay_len(rate, config) + resample::memory_len(rate, model_rate)
}

fn check(rate: u32, model_rate: u32, config: &CutConfig) -> Result<(), CutError> {
    for rate in [rate, model_rate] {
        if !(MIN_SAMPLE_RATE..=MAX_SAMPLE_RATE).contains(&rate) {
            return Err(SegmentError::SampleRate { rate }.into());
        }
    }
    config.validate()
}

/// Cuts a stream into utterances; see the [module](self). `R` is memory of [`memory_len`] floats.
#[derive(Debug)]
pub struct Cutter<R> {
    segmenter: Segmenter,
    /// The delay line, then what the resampler needs.
    memory: R,
    delay_len: usize,
    /// None where the stream has the model's rate.
    resampler: Option<Resampler>,
    rate: u32,
    model_rate: u32,
    longest: u64,
    every: u64,
    utterance: Option<Utterance>,
}

/// A cutter that owns its memory.
#[cfg(feature = "alloc")]
pub type OwnedCutter = Cutter<Vec<f32>>;

#[cfg(feature = "alloc")]
impl OwnedCutter {
    /// A cutter that owns its memory; see [`Cutter::new`].
    ///
    /// # Errors
    /// As [`Cutter::new`].
    pub fn owned(rate: u32, model_rate: u32, config: &CutConfig) -> Result<Self, CutError> {
        // Before memory is asked for: a rate of billions would want gigabytes.
        check(rate, model_rate, config)?;
        let memory = alloc::vec![0.0; memory_len(rate, model_rate, &config.segment)];
        Self::new(rate, model_rate, memory, config)
    }
}

impl<R: AsRef<[f32]> + AsMut<[f32]>> Cutter<R> {
    /// A cutter of a stream at `rate` Hz whose utterances are brought to `model_rate` Hz.
    ///
    /// # Errors
    /// [`CutError`]: a rate outside 8 to 96 kHz, a setting that makes no sense, too little memory.
    pub fn new(
        rate: u32,
        model_rate: u32,
        mut memory: R,
        config: &CutConfig,
    ) -> Result<Self, CutError> {
        check(rate, model_rate, config)?;
        let segmenter = Segmenter::new(rate, config.segment)?;
        let delay_len = delay_len(rate, &config.segment);
        let needed = memory_len(rate, model_rate, &config.segment);
        let found = memory.as_ref().len();
        let Some((_, filter)) = memory
            .as_mut()
            .split_at_mut_checked(delay_len)
            .filter(|_| found >= needed)
        else {
            return Err(CutError::Memory { found, needed });
        };
        let resampler = if rate == model_rate {
            None
        } else {
            Some(Resampler::new(rate, model_rate, filter)?)
        };
        Ok(Self {
            segmenter,
            memory,
            delay_len,
            resampler,
            rate,
            model_rate,
            longest: samples_in(config.max_utterance_ms, rate),
            every: 0,
            utterance: None,
        })
    }

    /// Tells the sink each time that so many milliseconds of an utterance were heard; 0 for never.
    #[must_use]
    pub fn every(self, ms: u32) -> Self {
        Self {
            every: samples_in(ms, self.rate),
            ..self
        }
    }

    /// Cuts utterances where an extractor that holds `samples` samples at the model's rate is full.
    #[must_use]
    pub fn at_most(self, samples: usize) -> Self {
        let fits = if self.resampler.is_none() {
            samples as u64
        } else {
            // The conversion may round up.
            (samples as u64).saturating_sub(1) * u64::from(self.rate) / u64::from(self.model_rate)
        };
        Self {
            longest: self.longest.min(fits).max(1),
            ..self
        }
    }

    /// Takes mono samples on the scale -1..1, in any chunking.
    ///
    /// # Errors
    /// [`CutError::NotFinite`]: nothing of the chunk was taken.
    pub fn push(&mut self, samples: &[f32], sink: &mut impl Sink) -> Result<(), CutError> {
        if let Some(index) = samples.iter().position(|v| !v.is_finite()) {
            return Err(CutError::NotFinite { index });
        }
        let mut rest = samples;
        while !rest.is_empty() {
            let at = self.segmenter.position();
            let (taken, activity) = self.segmenter.push(rest);
            let (now, later) = rest.split_at(taken);
            rest = later;
            self.remember(at, now);
            match activity {
                None | Some(Activity::Silence) => {}
                Some(Activity::Start { at }) => self.utterance = Some(Utterance::new(at, false)),
                Some(Activity::Speech { until }) => self.feed(until, sink),
                Some(Activity::End { at, verdict }) => self.close(at, verdict, sink),
            }
        }
        Ok(())
    }

    /// The stream ends here, or pauses for long: an utterance that is going on ends. More samples
    /// may follow.
    pub fn finish(&mut self, sink: &mut impl Sink) {
        if let Some((at, verdict)) = self.segmenter.finish() {
            self.close(at, verdict, sink);
        }
    }

    /// Forgets the stream: positions count from 0 again.
    pub fn reset(&mut self) {
        self.segmenter.reset();
        self.utterance = None;
        self.rest();
    }

    /// What tells speech from everything else.
    pub fn segmenter(&self) -> &Segmenter {
        &self.segmenter
    }

    /// Sampling rate of the stream, in Hz.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Sampling rate at which the sink gets utterances, in Hz.
    pub fn model_rate(&self) -> u32 {
        self.model_rate
    }

    /// Writes samples, the first of which is sample `at` of the stream, to the delay line.
    fn remember(&mut self, at: u64, samples: &[f32]) {
        let delay = &mut self.memory.as_mut()[..self.delay_len];
        let index = (at % delay.len() as u64) as usize;
        let (first, second) = samples.split_at(samples.len().min(delay.len() - index));
        delay[index..index + first.len()].copy_from_slice(first);
        delay[..second.len()].copy_from_slice(second);
    }

    /// Gives the sink the samples before `until`, which all lie in the delay line, with cuts on
    /// the way.
    fn feed(&mut self, until: u64, sink: &mut impl Sink) {
        while let Some(mut utterance) = self.utterance.filter(|u| u.fed < until) {
            if !utterance.started {
                utterance.started = true;
                sink.start(utterance.span());
            }
            let index = (utterance.fed % self.delay_len as u64) as usize;
            let mut wanted = (until - utterance.fed)
                .min((self.delay_len - index) as u64)
                .min(self.longest - utterance.len());
            if self.every > 0 {
                wanted = wanted.min((utterance.told + 1) * self.every - utterance.len());
            }
            self.forward(index, wanted as usize, sink);
            utterance.fed += wanted;
            if self.every > 0 && utterance.len() == (utterance.told + 1) * self.every {
                utterance.told += 1;
                sink.heard(utterance.span());
            }
            self.utterance = Some(utterance);
            if utterance.len() == self.longest {
                let verdict = self.segmenter.cut();
                self.flush(sink);
                sink.end(utterance.span(), true, verdict);
                self.utterance = Some(Utterance::new(utterance.fed, true));
            }
        }
    }

    /// The utterance ends at `at`.
    fn close(&mut self, at: u64, verdict: Verdict, sink: &mut impl Sink) {
        self.feed(at, sink);
        if let Some(utterance) = self.utterance.take().filter(|u| u.started) {
            self.flush(sink);
            sink.end(utterance.span(), false, verdict);
        }
    }

    /// Brings `count` samples of the delay line to the model's rate.
    fn forward(&mut self, index: usize, count: usize, sink: &mut impl Sink) {
        let (delay, filter) = self.memory.as_mut().split_at_mut(self.delay_len);
        let mut rest = &delay[index..index + count];
        let Some(resampler) = &mut self.resampler else {
            return sink.samples(rest);
        };
        let mut block = [0.0; BLOCK];
        loop {
            let (taken, given) = resampler.step(filter, rest, &mut block);
            rest = &rest[taken..];
            if taken == 0 && given == 0 {
                return;
            }
            sink.samples(&block[..given]);
        }
    }

    /// What the conversion still holds of the utterance.
    fn flush(&mut self, sink: &mut impl Sink) {
        let filter = &mut self.memory.as_mut()[self.delay_len..];
        if let Some(resampler) = &mut self.resampler {
            let mut block = [0.0; BLOCK];
            loop {
                let given = resampler.finish(filter, &mut block);
                if given == 0 {
                    break;
                }
                sink.samples(&block[..given]);
            }
        }
        self.rest();
    }

    /// The conversion starts anew with the next utterance.
    fn rest(&mut self) {
        if let Some(resampler) = &mut self.resampler {
            resampler.reset(&mut self.memory.as_mut()[self.delay_len..]);
        }
    }
}
