//! C interface to `ser-features`; `include/ser_features.h` is its documentation.
//!
//! `unsafe` is what a C interface is made of: every function checks its pointers for null and trusts the caller for their lengths, as the
//! header says. Nothing below panics.
#![allow(unsafe_code, reason = "raw pointers from C")]

use std::ffi::{c_char, c_int};
use std::slice;

use ser_features::{
    Config, Extractor, FEATURE_COUNT, FeatureGroups, FeatureSet, Features, FinishError, LLD_COUNT,
    PushError, feature_name,
};

const OK: c_int = 0;
const NULL_POINTER: c_int = 1;
const BAD_CONFIG: c_int = 2;
const NOT_FINITE: c_int = 3;
const FULL: c_int = 4;
const TOO_SHORT: c_int = 5;
const OVERFLOW: c_int = 6;

/// An extractor that owns its memory.
#[allow(non_camel_case_types, reason = "the name in the header")]
pub struct ser_extractor(Extractor<Vec<f32>>);

fn feature_set(id: c_int) -> Option<FeatureSet> {
    usize::try_from(id)
        .ok()
        .and_then(|id| FeatureSet::ALL.get(id).copied())
}

fn pushed(result: Result<(), PushError>) -> c_int {
    match result {
        Ok(()) => OK,
        Err(PushError::NotFinite { .. }) => NOT_FINITE,
        Err(_) => FULL,
    }
}

/// Makes an extractor.
///
/// # Safety
/// `out` is null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_extractor_new(
    sample_rate: u32,
    max_frames: usize,
    set: c_int,
    out: *mut *mut ser_extractor,
) -> c_int {
    // SAFETY: the caller's promise
    let Some(out) = (unsafe { out.as_mut() }) else {
        return NULL_POINTER;
    };
    *out = std::ptr::null_mut();
    let Some(feature_set) = feature_set(set) else {
        return BAD_CONFIG;
    };
    match Extractor::owned(Config {
        sample_rate,
        max_frames,
        feature_set,
        groups: FeatureGroups::ALL,
    }) {
        Ok(extractor) => {
            *out = Box::into_raw(Box::new(ser_extractor(extractor)));
            OK
        }
        Err(_) => BAD_CONFIG,
    }
}

/// Takes float samples.
///
/// # Safety
/// `extractor` is null or from [`ser_extractor_new`]; `samples` points to `count` values (it may be null if `count` is 0).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_extractor_push_f32(
    extractor: *mut ser_extractor,
    samples: *const f32,
    count: usize,
) -> c_int {
    // SAFETY: the caller's promise
    let Some(extractor) = (unsafe { extractor.as_mut() }) else {
        return NULL_POINTER;
    };
    if count == 0 {
        return OK;
    }
    if samples.is_null() {
        return NULL_POINTER;
    }
    // SAFETY: not null, and the caller's promise
    pushed(
        extractor
            .0
            .push(unsafe { slice::from_raw_parts(samples, count) }),
    )
}

/// Takes 16-bit samples.
///
/// # Safety
/// As [`ser_extractor_push_f32`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_extractor_push_i16(
    extractor: *mut ser_extractor,
    samples: *const i16,
    count: usize,
) -> c_int {
    // SAFETY: the caller's promise
    let Some(extractor) = (unsafe { extractor.as_mut() }) else {
        return NULL_POINTER;
    };
    if count == 0 {
        return OK;
    }
    if samples.is_null() {
        return NULL_POINTER;
    }
    // SAFETY: not null, and the caller's promise
    pushed(
        extractor
            .0
            .push_i16(unsafe { slice::from_raw_parts(samples, count) }),
    )
}

/// Writes the features.
///
/// # Safety
/// `extractor` is null or from [`ser_extractor_new`]; `features` is null or has room for 1582 values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_extractor_finish(
    extractor: *mut ser_extractor,
    features: *mut f32,
) -> c_int {
    // SAFETY: the caller's promise
    let Some(extractor) = (unsafe { extractor.as_mut() }) else {
        return NULL_POINTER;
    };
    if features.is_null() {
        return NULL_POINTER;
    }
    let mut values = Features::zeroed();
    match extractor.0.finish(&mut values) {
        Ok(()) => {
            // SAFETY: not null, and the caller's promise
            unsafe { slice::from_raw_parts_mut(features, FEATURE_COUNT) }
                .copy_from_slice(values.as_slice());
            OK
        }
        Err(FinishError::TooShort { .. }) => TOO_SHORT,
        Err(_) => OVERFLOW,
    }
}

/// Rows of low-level descriptors that are ready; 0 for null.
///
/// # Safety
/// `extractor` is null or from [`ser_extractor_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_extractor_lld_rows(extractor: *const ser_extractor) -> usize {
    // SAFETY: the caller's promise
    unsafe { extractor.as_ref() }.map_or(0, |e| e.0.lld_rows())
}

/// Writes a row of low-level descriptors.
///
/// # Safety
/// `extractor` is null or from [`ser_extractor_new`]; `descriptors` is null or has room for 38 values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_extractor_lld_row(
    extractor: *const ser_extractor,
    row: usize,
    descriptors: *mut f32,
) -> c_int {
    // SAFETY: the caller's promise
    let Some(extractor) = (unsafe { extractor.as_ref() }) else {
        return NULL_POINTER;
    };
    if descriptors.is_null() {
        return NULL_POINTER;
    }
    let Some(values) = extractor.0.lld_row(row) else {
        return FULL;
    };
    // SAFETY: not null, and the caller's promise
    unsafe { slice::from_raw_parts_mut(descriptors, LLD_COUNT) }.copy_from_slice(&values);
    OK
}

/// Forgets the utterance.
///
/// # Safety
/// `extractor` is null or from [`ser_extractor_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_extractor_reset(extractor: *mut ser_extractor) -> c_int {
    // SAFETY: the caller's promise
    let Some(extractor) = (unsafe { extractor.as_mut() }) else {
        return NULL_POINTER;
    };
    extractor.0.reset();
    OK
}

/// Frees an extractor.
///
/// # Safety
/// `extractor` is null or from [`ser_extractor_new`], and not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_extractor_free(extractor: *mut ser_extractor) {
    if !extractor.is_null() {
        // SAFETY: it came from a box, and the caller gives it back
        drop(unsafe { Box::from_raw(extractor) });
    }
}

/// Writes a feature's name.
///
/// # Safety
/// `name` is null or has room for `length` characters.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_feature_name(
    set: c_int,
    index: usize,
    name: *mut c_char,
    length: usize,
) -> usize {
    let Some(full) = feature_set(set).and_then(|set| feature_name(set, index)) else {
        return 0;
    };
    let full = full.to_string();
    if !name.is_null() && length > 0 {
        // SAFETY: not null, and the caller's promise
        let out = unsafe { slice::from_raw_parts_mut(name.cast::<u8>(), length) };
        let kept = full.len().min(length - 1);
        out[..kept].copy_from_slice(&full.as_bytes()[..kept]);
        out[kept] = 0;
    }
    full.len()
}
