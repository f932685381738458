//! The recogniser for a web page: no imports, no JavaScript glue, everything on the visitor's machine.
//!
//! The page writes samples (16 kHz, -1..1) to [`chunk`] and calls [`push`]; [`finish`] gives the label of everything since [`reset`].

use std::cell::RefCell;

use ser_features::{Config, PushError};
use ser_runtime::engine::static_model::{StaticEngine, StaticModel};
use ser_runtime::include_model;
use ser_runtime::recognizer::{OwnedRecognizer, RecognizerError};

/// Sampling rate that the page brings its audio to.
const SAMPLE_RATE: u32 = 16_000;
/// Longest utterance, in samples: 20 s.
const MAX_SAMPLES: usize = 20 * SAMPLE_RATE as usize;
/// Samples that one call of [`push`] takes at most.
const CHUNK: usize = 4096;

/// No label: the utterance is shorter than 70 ms.
const TOO_SHORT: i32 = -1;
/// No label: anything else.
const FAILED: i32 = -2;

struct State {
    recognizer: OwnedRecognizer<StaticEngine<'static, Vec<f32>>>,
    chunk: Box<[f32; CHUNK]>,
    labels: Vec<&'static str>,
    probabilities: Vec<f32>,
}

thread_local! {
    static STATE: RefCell<Option<State>> = const { RefCell::new(None) };
}

fn with<T>(failed: T, f: impl FnOnce(&mut State) -> T) -> T {
    STATE.with_borrow_mut(|state| state.as_mut().map_or(failed, f))
}

fn new() -> Option<State> {
    let model =
        StaticModel::from_bytes(include_model!(concat!(env!("OUT_DIR"), "/model.ser"))).ok()?;
    let labels: Vec<_> = model.labels().collect();
    let temperature = model.temperature();
    let config = Config::for_samples(SAMPLE_RATE, MAX_SAMPLES, model.built_in_features()?);
    let scratch = vec![0.0; model.scratch_len()];
    let engine = StaticEngine::new(model, scratch).ok()?;
    Some(State {
        recognizer: OwnedRecognizer::owned(config, engine, temperature).ok()?,
        chunk: Box::new([0.0; CHUNK]),
        probabilities: vec![0.0; labels.len()],
        labels,
    })
}

/// Makes the recogniser; the number of labels, 0 where the model is not usable.
#[unsafe(no_mangle)]
pub extern "C" fn start() -> usize {
    let state = new();
    let labels = state.as_ref().map_or(0, |s| s.labels.len());
    STATE.set(state);
    labels
}

/// Where [`push`] takes its samples from: room for 4096.
#[unsafe(no_mangle)]
pub extern "C" fn chunk() -> *mut f32 {
    with(std::ptr::null_mut(), |s| s.chunk.as_mut_ptr())
}

/// Takes the first `count` samples of the chunk: how many were taken; fewer where the utterance is full, -2 for samples that are not finite.
#[unsafe(no_mangle)]
pub extern "C" fn push(count: usize) -> i32 {
    with(FAILED, |s| {
        let samples = &s.chunk[..count.min(CHUNK)];
        match s.recognizer.push(samples) {
            Ok(()) => samples.len() as i32,
            Err(RecognizerError::Push(PushError::Full { taken })) => taken as i32,
            Err(_) => FAILED,
        }
    })
}

/// Label of everything since the start or the last [`reset`]; more may follow. -1 below 70 ms.
#[unsafe(no_mangle)]
pub extern "C" fn finish() -> i32 {
    with(FAILED, |s| match s.recognizer.finish() {
        Ok(outcome) => {
            s.probabilities.copy_from_slice(outcome.probabilities);
            outcome.label as i32
        }
        Err(RecognizerError::Finish(ser_features::FinishError::TooShort { .. })) => TOO_SHORT,
        Err(_) => FAILED,
    })
}

/// Probability of a label in the last successful [`finish`].
#[unsafe(no_mangle)]
pub extern "C" fn probability(label: usize) -> f32 {
    with(0.0, |s| s.probabilities.get(label).copied().unwrap_or(0.0))
}

/// Name of a label, UTF-8.
#[unsafe(no_mangle)]
pub extern "C" fn label_text(label: usize) -> *const u8 {
    with(std::ptr::null(), |s| {
        s.labels.get(label).map_or(std::ptr::null(), |l| l.as_ptr())
    })
}

/// Bytes of a label's name.
#[unsafe(no_mangle)]
pub extern "C" fn label_len(label: usize) -> usize {
    with(0, |s| s.labels.get(label).map_or(0, |l| l.len()))
}

/// Forgets the utterance.
#[unsafe(no_mangle)]
pub extern "C" fn reset() {
    with((), |s| s.recognizer.reset());
}
