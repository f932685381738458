//! The recogniser behind the C interface, without a pointer.

use std::ffi::{CStr, CString, c_int};

use ser_runtime::adapt::{self, Adapt, AdaptConfig, AdaptiveNormaliser};
use ser_runtime::cut::{CutConfig, CutError, Span};
use ser_runtime::engine::static_model::{StaticEngine, StaticModel};
use ser_runtime::hearing::DEFAULT_RATE;
use ser_runtime::live::{self, Event, LiveConfig, LiveError, OwnedLiveRecognizer};
use ser_runtime::prediction::{Outcome, Reason};
use ser_runtime::quality::Quality;
use ser_runtime::recognizer::{Recognizer, scratch_len};

use crate::code;
use crate::memory::{AlignedCopy, zeros};
use crate::{Failure, ser_event, ser_options};

type Engine = StaticEngine<'static, Vec<f32>>;
type Normaliser = AdaptiveNormaliser<Vec<f32>, Vec<f32>>;

/// The normaliser, which may be asked to rest.
struct Switch {
    normaliser: Normaliser,
    on: bool,
}

impl Adapt for Switch {
    fn adapt(&mut self, features: &mut [f32], learn: Option<f32>) {
        if self.on {
            self.normaliser.adapt(features, learn);
        }
    }
}

/// A live recogniser of a model that it owns.
pub struct Live {
    // Before the bytes that its engine borrows: fields are dropped in this order.
    recognizer: OwnedLiveRecognizer<Engine, Switch>,
    _model: AlignedCopy,
    rate: f64,
    cut_as_trained: bool,
    abstain_below: f32,
}

/// What callbacks see beside the event: names with a NUL behind them.
pub type Labels = [CString];

impl Live {
    /// A recogniser of a copy of `model`, and its labels.
    pub fn new(
        model: &[u8],
        rate: u32,
        options: &ser_options,
    ) -> Result<(Self, Vec<CString>), Failure> {
        let copy = AlignedCopy::of(model)?;
        let bad_model = |error: &dyn std::fmt::Display| Failure::new(code::BAD_MODEL, error);
        // SAFETY: the copy's bytes never move or change, and outlive the engine: both are fields
        // of `Live`, the engine the earlier one, and nothing borrowed from it is given away.
        let bytes: &'static [u8] = unsafe { &*std::ptr::from_ref(copy.as_slice()) };
        let parsed = StaticModel::from_bytes(bytes).map_err(|e| bad_model(&e))?;
        let set = parsed.built_in_features().ok_or_else(|| {
            bad_model(&"the model reads features that were made elsewhere; it knows no audio")
        })?;
        let labels: Result<Vec<CString>, _> = parsed.labels().map(CString::new).collect();
        let labels = labels.map_err(|e| bad_model(&e))?;

        let config = config(options);
        config.cut.validate().map_err(|e| Failure::of(&e.into()))?;
        // A model that does not say was trained before models said: at this rate.
        let model_rate = parsed.sample_rate().unwrap_or(DEFAULT_RATE);
        if !(8_000..=96_000).contains(&rate) {
            return Err(Failure::new(
                code::BAD_OPTION,
                &format!("a sampling rate of {rate} Hz: 8000 to 96000 are possible"),
            ));
        }
        let mut decision = parsed.decision();
        // Negative asks for the model's own; NaN and what is above 1 is refused below.
        if !(options.abstain_below < 0.0) {
            decision.abstain_below = options.abstain_below;
        }
        if !(0.0..=1.0).contains(&decision.abstain_below) {
            return Err(Failure::new(
                code::BAD_OPTION,
                &format!(
                    "abstain_below is {}: a probability, or a negative number for the model's own",
                    decision.abstain_below
                ),
            ));
        }
        let adapt = Switch {
            normaliser: normaliser(&parsed)?,
            on: options.adapt != 0,
        };
        let cut_as_trained = parsed.cut_as(&config.cut);
        let scratch = zeros(parsed.scratch_len())?;
        let engine = StaticEngine::new(parsed, scratch).map_err(|e| bad_model(&e))?;
        let extractor = config.cut.extractor(model_rate, set);
        let groups = ser_runtime::engine::Engine::groups(&engine);
        let needed = extractor.with_groups(extractor.groups.intersection(groups));
        let memory = zeros(needed.memory_len())?;
        let codes = zeros(scratch_len(&engine))?;
        let recognizer = Recognizer::new(extractor, engine, decision, memory, codes)
            .map_err(|e| Failure::new(code::BAD_MODEL, &e))?;
        let delay = zeros(live::memory_len(rate, model_rate, &config.cut.segment))?;
        let recognizer = OwnedLiveRecognizer::new(rate, recognizer, delay, config, adapt)
            .map_err(|e| Failure::of(&e))?;
        let new = Self {
            recognizer,
            _model: copy,
            rate: f64::from(rate),
            cut_as_trained,
            abstain_below: decision.abstain_below,
        };
        Ok((new, labels))
    }

    /// Takes samples.
    pub fn push(
        &mut self,
        samples: &[f32],
        labels: &Labels,
        on: impl FnMut(&ser_event),
    ) -> Result<(), Failure> {
        let mut tell = teller(self.rate, labels, on);
        let pushed = self.recognizer.push(samples, |event| tell(&event));
        pushed.map_err(|e| Failure::of(&e))
    }

    /// Takes 16-bit samples.
    pub fn push_i16(&mut self, samples: &[i16], labels: &Labels, on: impl FnMut(&ser_event)) {
        let mut tell = teller(self.rate, labels, on);
        self.recognizer.push_i16(samples, |event| tell(&event));
    }

    /// The stream ends or pauses.
    pub fn finish(&mut self, labels: &Labels, on: impl FnMut(&ser_event)) {
        let mut tell = teller(self.rate, labels, on);
        self.recognizer.finish(|event| tell(&event));
    }

    /// Forgets the stream.
    pub fn reset(&mut self) {
        self.recognizer.reset();
    }

    /// Samples heard.
    pub fn position(&self) -> u64 {
        self.recognizer.position()
    }

    /// Whether an utterance is going on.
    pub fn in_speech(&self) -> bool {
        self.recognizer.segmenter().in_speech()
    }

    /// Whether the training recordings were cut as the stream is.
    pub fn cut_as_trained(&self) -> bool {
        self.cut_as_trained
    }

    /// Least probability of a label.
    pub fn abstain_below(&self) -> f32 {
        self.abstain_below
    }

    /// Switches adaptation on or off.
    pub fn switch(&mut self, on: bool) {
        self.recognizer.adapt_mut().on = on;
    }

    /// How much was learnt.
    pub fn learnt(&self) -> f64 {
        f64::from(self.recognizer.adapt().normaliser.weight())
    }

    /// Forgets what was learnt.
    pub fn forget(&mut self) {
        self.recognizer.adapt_mut().normaliser.reset();
    }

    /// Bytes of the state.
    pub fn state_len(&self) -> usize {
        adapt::state_len(self.recognizer.adapt().normaliser.width())
    }

    /// Writes the state.
    pub fn save(&self, bytes: &mut [u8]) -> Result<(), Failure> {
        let saved = self.recognizer.adapt().normaliser.save(bytes);
        saved.map_err(|e| Failure::new(code::BAD_STATE, &e))
    }

    /// Goes on from a state.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let restored = self.recognizer.adapt_mut().normaliser.restore(bytes);
        restored.map_err(|e| Failure::new(code::BAD_STATE, &e))
    }
}

impl Failure {
    fn of(error: &LiveError) -> Self {
        let code = match error {
            LiveError::Cut(CutError::NotFinite { .. }) => code::NOT_FINITE,
            LiveError::Recognizer(_) => code::BAD_MODEL,
            _ => code::BAD_OPTION,
        };
        Self::new(code, error)
    }
}

fn config(options: &ser_options) -> LiveConfig {
    LiveConfig {
        cut: CutConfig {
            max_utterance_ms: options.max_utterance_ms,
            ..CutConfig::default()
        },
        update_ms: options.update_ms,
    }
}

fn normaliser(model: &StaticModel<'_>) -> Result<Normaliser, Failure> {
    let width = model.feature_count();
    let (mut offset, mut scale) = (zeros(width)?, zeros(width)?);
    model.normaliser_into(&mut offset, &mut scale);
    let memory = zeros(adapt::memory_len(width))?;
    AdaptiveNormaliser::new(offset, scale, memory, AdaptConfig::default())
        .map_err(|e| Failure::new(code::BAD_MODEL, &e))
}

/// Turns events into those of C.
fn teller(rate: f64, labels: &Labels, mut on: impl FnMut(&ser_event)) -> impl FnMut(&Event<'_>) {
    move |event| {
        let (kind, span) = match event {
            Event::Start { span } => (0, span),
            Event::Update { span, .. } => (1, span),
            Event::End { span, .. } => (2, span),
            Event::Discarded { span, .. } => (3, span),
            Event::Failed { span, .. } => (4, span),
        };
        let mut told = ser_event::at(kind, span, rate);
        match event {
            Event::Start { .. } | Event::Failed { .. } => {}
            Event::Discarded { reason, .. } => told.set_reason(*reason),
            Event::Update { outcome, .. } => told.set_outcome(outcome, labels),
            Event::End { outcome, cut, .. } => {
                told.cut = c_int::from(*cut);
                told.set_outcome(outcome, labels);
            }
        }
        on(&told);
    }
}

impl ser_event {
    fn at(kind: i32, span: &Span, rate: f64) -> Self {
        Self {
            kind,
            label: -1,
            reason: 0,
            flags: 0,
            start: span.start,
            end: span.end,
            start_s: span.start as f64 / rate,
            end_s: span.end as f64 / rate,
            continued: c_int::from(span.continued),
            cut: 0,
            label_text: std::ptr::null(),
            reason_text: std::ptr::null(),
            probabilities: std::ptr::null(),
            probability_count: 0,
            rms_dbfs: 0.0,
            peak: 0.0,
            clipped_fraction: 0.0,
            voiced_s: -1.0,
        }
    }

    fn set_reason(&mut self, reason: Reason) {
        let (number, text) = words(reason);
        self.reason = number;
        self.reason_text = text.as_ptr();
    }

    fn set_outcome(&mut self, outcome: &Outcome<'_>, labels: &Labels) {
        match outcome.label {
            Err(reason) => self.set_reason(reason),
            Ok(index) => {
                self.label = i32::try_from(index).unwrap_or(-1);
                self.label_text = labels.get(index).map_or(std::ptr::null(), |l| l.as_ptr());
            }
        }
        if !outcome.probabilities.is_empty() {
            self.probabilities = outcome.probabilities.as_ptr();
            self.probability_count = outcome.probabilities.len();
        }
        let Quality {
            too_short,
            silent,
            clipped,
            unvoiced,
            narrow_band,
            not_in_range,
            ..
        } = outcome.quality;
        let flags = [
            too_short,
            silent,
            clipped,
            unvoiced,
            narrow_band,
            not_in_range,
        ];
        let raised = flags.iter().enumerate().filter(|(_, raised)| **raised);
        self.flags = raised.map(|(bit, _)| 1 << bit).sum();
        self.rms_dbfs = outcome.quality.rms_dbfs;
        self.peak = outcome.quality.peak;
        self.clipped_fraction = outcome.quality.clipped_fraction;
        self.voiced_s = outcome.quality.voiced_s.unwrap_or(-1.0);
    }
}

/// A reason's number in the header, and its words.
fn words(reason: Reason) -> (i32, &'static CStr) {
    match reason {
        Reason::NoSpeech => (1, c"no speech"),
        Reason::TooShort => (2, c"too short"),
        Reason::Silent => (3, c"silent"),
        Reason::Unvoiced => (4, c"too little voiced speech"),
        Reason::NotInRange => (5, c"samples out of range"),
        Reason::LowConfidence => (6, c"low confidence"),
        _ => (7, c"another reason"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_runtime() {
        for reason in [
            Reason::NoSpeech,
            Reason::TooShort,
            Reason::Silent,
            Reason::Unvoiced,
            Reason::NotInRange,
            Reason::LowConfidence,
        ] {
            assert_eq!(words(reason).1.to_str(), Ok(reason.words()));
        }
    }
}
