//! C interface to the recogniser; `include/ser_recognizer.h` is its documentation.
//!
//! `unsafe` is what a C interface is made of: every function checks its pointers for null and trusts the caller for their lengths, as the
//! header says. Nothing below panics.

use std::ffi::{CString, c_char, c_int, c_void};
use std::slice;

use ser_runtime::engine::static_model::OwnedStaticEngine;
use ser_runtime::recognizer::{OwnedRecognizer, RecognizerError};
use ser_runtime::{Config, FinishError, PushError};

const OK: c_int = 0;
const NULL_POINTER: c_int = 1;
const BAD_MODEL: c_int = 2;
const BAD_CONFIG: c_int = 3;
const NOT_FINITE: c_int = 4;
const FULL: c_int = 5;
const TOO_SHORT: c_int = 6;
const OVERFLOW: c_int = 7;
const NO_RESULT: c_int = 8;

/// A recogniser that owns its memory.
#[allow(non_camel_case_types, reason = "the name in the header")]
pub struct ser_recognizer {
    recognizer: OwnedRecognizer<OwnedStaticEngine>,
    labels: Vec<CString>,
    /// Empty before the first result.
    probabilities: Vec<f32>,
}

fn open(model: &[u8], sample_rate: u32, max_seconds: f64) -> Result<ser_recognizer, c_int> {
    let engine = OwnedStaticEngine::from_bytes(model).map_err(|_| BAD_MODEL)?;
    let (feature_set, labels, temperature) = {
        let model = engine.model().map_err(|_| BAD_MODEL)?;
        let labels: Result<Vec<CString>, _> = model.labels().map(CString::new).collect();
        (
            model.built_in_features().ok_or(BAD_MODEL)?,
            labels.map_err(|_| BAD_MODEL)?,
            model.temperature(),
        )
    };
    if !(max_seconds > 0.0 && max_seconds <= 86_400.0) {
        return Err(BAD_CONFIG);
    }
    let samples = (max_seconds * f64::from(sample_rate)) as usize;
    let config = Config::for_samples(sample_rate, samples, feature_set);
    Ok(ser_recognizer {
        recognizer: OwnedRecognizer::owned(config, engine, temperature).map_err(|e| code(&e))?,
        labels,
        probabilities: Vec::new(),
    })
}

fn code(error: &RecognizerError) -> c_int {
    match error {
        RecognizerError::Push(PushError::Full { .. }) => FULL,
        RecognizerError::Push(_) => NOT_FINITE,
        RecognizerError::Finish(FinishError::TooShort { .. }) => TOO_SHORT,
        RecognizerError::Finish(_) | RecognizerError::Engine(_) => OVERFLOW,
        RecognizerError::FeatureCount { .. } | RecognizerError::Temperature { .. } => BAD_MODEL,
        _ => BAD_CONFIG,
    }
}

/// Makes a recogniser.
///
/// # Safety
/// `model` points to `model_bytes` bytes; `out` is null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_recognizer_new(
    model: *const c_void,
    model_bytes: usize,
    sample_rate: u32,
    max_seconds: f64,
    out: *mut *mut ser_recognizer,
) -> c_int {
    // SAFETY: the caller's promise
    let Some(out) = (unsafe { out.as_mut() }) else {
        return NULL_POINTER;
    };
    *out = std::ptr::null_mut();
    if model.is_null() {
        return NULL_POINTER;
    }
    // SAFETY: not null, and the caller's promise
    let model = unsafe { slice::from_raw_parts(model.cast::<u8>(), model_bytes) };
    match open(model, sample_rate, max_seconds) {
        Ok(recognizer) => {
            *out = Box::into_raw(Box::new(recognizer));
            OK
        }
        Err(code) => code,
    }
}

/// Frees a recogniser.
///
/// # Safety
/// `recognizer` is null or from [`ser_recognizer_new`], and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_recognizer_free(recognizer: *mut ser_recognizer) {
    if !recognizer.is_null() {
        // SAFETY: the caller's promise
        drop(unsafe { Box::from_raw(recognizer) });
    }
}

/// The recogniser and the samples behind two pointers.
///
/// # Safety
/// `recognizer` is null or from [`ser_recognizer_new`]; `samples` points to `count` values (it may be null if `count` is 0).
unsafe fn arguments<'a, T>(
    recognizer: *mut ser_recognizer,
    samples: *const T,
    count: usize,
) -> Option<(&'a mut ser_recognizer, &'a [T])> {
    // SAFETY: the caller's promise
    let recognizer = unsafe { recognizer.as_mut() }?;
    if count == 0 {
        return Some((recognizer, &[]));
    }
    // SAFETY: not null, and the caller's promise
    (!samples.is_null()).then(|| (recognizer, unsafe { slice::from_raw_parts(samples, count) }))
}

fn pushed(result: Result<(), RecognizerError>) -> c_int {
    result.map_or_else(|e| code(&e), |()| OK)
}

/// Takes float samples.
///
/// # Safety
/// As `arguments`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_recognizer_push_f32(
    recognizer: *mut ser_recognizer,
    samples: *const f32,
    count: usize,
) -> c_int {
    // SAFETY: the caller's promise
    match unsafe { arguments(recognizer, samples, count) } {
        Some((r, samples)) => pushed(r.recognizer.push(samples)),
        None => NULL_POINTER,
    }
}

/// Takes 16-bit samples.
///
/// # Safety
/// As `arguments`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_recognizer_push_i16(
    recognizer: *mut ser_recognizer,
    samples: *const i16,
    count: usize,
) -> c_int {
    // SAFETY: the caller's promise
    match unsafe { arguments(recognizer, samples, count) } {
        Some((r, samples)) => pushed(r.recognizer.push_i16(samples)),
        None => NULL_POINTER,
    }
}

/// Recognises what was pushed.
///
/// # Safety
/// Both pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_recognizer_finish(
    recognizer: *mut ser_recognizer,
    label: *mut usize,
) -> c_int {
    // SAFETY: the caller's promise
    let (Some(r), Some(label)) = (unsafe { (recognizer.as_mut(), label.as_mut()) }) else {
        return NULL_POINTER;
    };
    match r.recognizer.finish() {
        Ok(outcome) => {
            r.probabilities.clear();
            r.probabilities.extend_from_slice(outcome.probabilities);
            *label = outcome.label;
            OK
        }
        Err(error) => code(&error),
    }
}

/// Forgets the utterance.
///
/// # Safety
/// `recognizer` is null or from [`ser_recognizer_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_recognizer_reset(recognizer: *mut ser_recognizer) -> c_int {
    // SAFETY: the caller's promise
    match unsafe { recognizer.as_mut() } {
        Some(r) => {
            r.recognizer.reset();
            r.probabilities.clear();
            OK
        }
        None => NULL_POINTER,
    }
}

/// Number of labels.
///
/// # Safety
/// `recognizer` is null or from [`ser_recognizer_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_recognizer_labels(recognizer: *const ser_recognizer) -> usize {
    // SAFETY: the caller's promise
    unsafe { recognizer.as_ref() }.map_or(0, |r| r.labels.len())
}

/// Name of a label.
///
/// # Safety
/// `recognizer` is null or from [`ser_recognizer_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_recognizer_label(
    recognizer: *const ser_recognizer,
    label: usize,
) -> *const c_char {
    // SAFETY: the caller's promise
    unsafe { recognizer.as_ref() }
        .and_then(|r| r.labels.get(label))
        .map_or(std::ptr::null(), |name| name.as_ptr())
}

/// Probability of a label.
///
/// # Safety
/// Both pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_recognizer_probability(
    recognizer: *const ser_recognizer,
    label: usize,
    probability: *mut f32,
) -> c_int {
    // SAFETY: the caller's promise
    let (Some(r), Some(out)) = (unsafe { (recognizer.as_ref(), probability.as_mut()) }) else {
        return NULL_POINTER;
    };
    match r.probabilities.get(label) {
        Some(&p) => {
            *out = p;
            OK
        }
        None => NO_RESULT,
    }
}
