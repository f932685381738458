//! One recording to features: the same path for training tables and for `ser-run`.

use core::ops::Range;
use std::borrow::Cow;

use ser_features::{Config, ConfigError, Extractor, FeatureSet, Features, FinishError, PushError};

use crate::audio::Pcm;
use crate::cut::{CutConfig, CutError, OwnedCutter, Sink, Span};
use crate::hearing::Hearing;
use crate::prediction::Reason;
use crate::quality::{Quality, QualityMeter};
use crate::resample::{ResampleError, resample};
use crate::segment::Verdict;

/// The features of an utterance and what was measured beside them.
#[derive(Debug, Clone, PartialEq)]
pub struct Extracted {
    /// Where it lies in the recording, in samples at the recording's rate.
    pub span: Span,
    /// Rate, in Hz, at which the features were taken.
    pub sample_rate: u32,
    /// The 1582 features, all finite.
    pub features: Features,
    /// How fit the utterance is.
    pub quality: Quality,
    /// Frames of the pitch contour (10 ms each).
    pub pitch_frames: usize,
    /// Those of them that are voiced.
    pub voiced_frames: usize,
}

/// What was found in a recording.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Heard {
    /// The utterances that are fit to learn from or to be recognised, in order. A recording that
    /// was taken whole is one, fit or not.
    pub utterances: Vec<Extracted>,
    /// What else stood out of the background, and why it is none.
    pub discarded: Vec<(Span, Reason)>,
}

impl Heard {
    /// Why there is no utterance: what is said of the longest thing that stood out.
    pub fn reason(&self) -> Reason {
        let longest = self.discarded.iter().max_by_key(|(span, _)| span.samples());
        longest.map_or(Reason::NoSpeech, |&(_, reason)| reason)
    }
}

/// Why a recording has no features.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractError {
    /// The recording cannot be cut.
    #[error(transparent)]
    Cut(#[from] CutError),
    /// The extractor cannot be made for this recording.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The samples were not taken.
    #[error(transparent)]
    Push(#[from] PushError),
    /// Too short, or samples far out of range.
    #[error(transparent)]
    Finish(#[from] FinishError),
    /// It cannot be brought to the rate.
    #[error(transparent)]
    Resample(#[from] ResampleError),
}

/// Extracts the features of `set` from what `hearing` makes of a recording.
///
/// # Errors
/// [`ExtractError`]: a rate outside the extractor's range, a sample that is not finite, a recording
/// taken whole that is shorter than 70 ms.
pub fn extract(pcm: &Pcm, set: FeatureSet, hearing: &Hearing) -> Result<Heard, ExtractError> {
    match &hearing.cut {
        Some(cut) => extract_speech(pcm, set, hearing.model_rate(pcm.sample_rate), cut),
        None => Ok(Heard {
            utterances: vec![extract_range(
                pcm,
                0..pcm.samples.len(),
                set,
                hearing.sample_rate,
            )?],
            discarded: Vec::new(),
        }),
    }
}

/// Extracts the features of `set` from the samples of `range`, whatever they hold, at `rate` Hz or
/// at the recording's own. A range beyond the recording is limited to it.
///
/// # Errors
/// As [`extract`].
pub fn extract_range(
    pcm: &Pcm,
    range: Range<usize>,
    set: FeatureSet,
    rate: Option<u32>,
) -> Result<Extracted, ExtractError> {
    let end = range.end.min(pcm.samples.len());
    let start = range.start.min(end);
    let mut samples = Cow::Borrowed(&pcm.samples[start..end]);
    let rate = rate.unwrap_or(pcm.sample_rate);
    if rate != pcm.sample_rate {
        samples = Cow::Owned(resample(&samples, pcm.sample_rate, rate)?);
    }
    let mut measure = Measure::new(Config::for_samples(rate, samples.len(), set))?;
    measure.push(&samples)?;
    measure.finish(Span {
        start: start as u64,
        end: end as u64,
        continued: false,
    })
}

fn extract_speech(
    pcm: &Pcm,
    set: FeatureSet,
    rate: u32,
    cut: &CutConfig,
) -> Result<Heard, ExtractError> {
    let mut speech = SpeechExtractor::new(pcm.sample_rate, rate, set, cut)?;
    speech.push(&pcm.samples)?;
    speech.finish()
}

/// Extracts the utterances of a recording that is pushed piece by piece, in memory that grows by
/// its utterances alone. [`extract`] with a cut is this on a recording that lies in memory.
pub struct SpeechExtractor {
    cutter: OwnedCutter,
    collect: Collect,
}

impl SpeechExtractor {
    /// Of a recording at `rate` Hz, with the features of `set` taken at `model_rate` Hz.
    ///
    /// # Errors
    /// [`ExtractError::Cut`], [`ExtractError::Config`]: a rate outside the extractor's range, or
    /// settings that make no sense.
    pub fn new(
        rate: u32,
        model_rate: u32,
        set: FeatureSet,
        cut: &CutConfig,
    ) -> Result<Self, ExtractError> {
        Ok(Self {
            cutter: OwnedCutter::owned(rate, model_rate, cut)?,
            collect: Collect {
                measure: Measure::new(cut.extractor(model_rate, set))?,
                pushed: Ok(()),
                heard: Heard::default(),
                failed: None,
            },
        })
    }

    /// Takes mono samples on the scale -1..1, in any chunking.
    ///
    /// # Errors
    /// [`CutError::NotFinite`]: nothing of the chunk was taken.
    pub fn push(&mut self, samples: &[f32]) -> Result<(), ExtractError> {
        Ok(self.cutter.push(samples, &mut self.collect)?)
    }

    /// The recording ends here.
    ///
    /// # Errors
    /// What went wrong with the first utterance that is speech but has no features.
    pub fn finish(mut self) -> Result<Heard, ExtractError> {
        self.cutter.finish(&mut self.collect);
        self.collect.failed.map_or(Ok(self.collect.heard), Err)
    }
}

/// Extractor and meter of an utterance.
struct Measure {
    extractor: Extractor<Vec<f32>>,
    meter: QualityMeter,
}

impl Measure {
    fn new(config: Config) -> Result<Self, ConfigError> {
        Ok(Self {
            extractor: Extractor::owned(config)?,
            meter: QualityMeter::new(config.sample_rate),
        })
    }

    fn push(&mut self, samples: &[f32]) -> Result<(), PushError> {
        self.extractor.push(samples)?;
        self.meter.push(samples);
        Ok(())
    }

    fn finish(&mut self, span: Span) -> Result<Extracted, ExtractError> {
        let mut features = Features::zeroed();
        self.extractor.finish(&mut features)?;
        let pitch_frames = self.extractor.pitch_frames();
        let voiced_frames = self.extractor.voiced_frames();
        Ok(Extracted {
            span,
            sample_rate: self.extractor.config().sample_rate,
            features,
            quality: self.meter.quality(pitch_frames, Some(voiced_frames)),
            pitch_frames,
            voiced_frames,
        })
    }

    fn reset(&mut self) {
        self.extractor.reset();
        self.meter.reset();
    }
}

/// Extracts every utterance that a cutter finds.
struct Collect {
    measure: Measure,
    /// What became of the samples of the utterance at hand.
    pushed: Result<(), PushError>,
    heard: Heard,
    /// The first utterance that has no features though it is speech.
    failed: Option<ExtractError>,
}

impl Sink for Collect {
    fn start(&mut self, _: Span) {
        self.measure.reset();
        self.pushed = Ok(());
    }

    fn samples(&mut self, samples: &[f32]) {
        if self.pushed.is_ok() {
            self.pushed = self.measure.push(samples);
        }
    }

    fn heard(&mut self, _: Span) {}

    fn end(&mut self, span: Span, _: bool, verdict: Verdict) {
        if let Some(reason) = Reason::of(verdict) {
            self.heard.discarded.push((span, reason));
            return;
        }
        let pushed = self.pushed.map_err(ExtractError::from);
        match pushed.and_then(|()| self.measure.finish(span)) {
            Ok(extracted) => match extracted.quality.unfit() {
                None => self.heard.utterances.push(extracted),
                Some(reason) => self.heard.discarded.push((span, reason)),
            },
            Err(ExtractError::Finish(FinishError::TooShort { .. })) => {
                self.heard.discarded.push((span, Reason::TooShort));
            }
            Err(error) => self.failed = self.failed.take().or(Some(error)),
        }
    }
}
