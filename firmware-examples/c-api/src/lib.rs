//! C interface to the live recogniser; `include/ser_recognizer.h` is its documentation.
//!
//! `unsafe` is what a C interface is made of: every function checks its pointers for null and
//! alignment and trusts the caller for their lengths, as the header says. A panic, which none of
//! this should give, becomes the code `SER_INTERNAL` at the boundary.

mod live;
mod memory;

use std::cell::RefCell;
use std::ffi::{CString, c_char, c_int, c_void};
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::{ptr, slice};

use live::Live;

/// The codes of the header.
mod code {
    use std::ffi::c_int;

    pub const OK: c_int = 0;
    pub const NULL_POINTER: c_int = 1;
    pub const BAD_MODEL: c_int = 2;
    pub const BAD_OPTION: c_int = 3;
    pub const NOT_FINITE: c_int = 4;
    pub const BAD_POINTER: c_int = 5;
    pub const BAD_STATE: c_int = 6;
    pub const NO_MEMORY: c_int = 7;
    pub const BUSY: c_int = 8;
    pub const INTERNAL: c_int = 9;
}

/// A code and its words.
pub(crate) struct Failure {
    code: c_int,
    words: String,
}

impl Failure {
    fn new(code: c_int, words: &dyn Display) -> Self {
        Self {
            code,
            words: words.to_string(),
        }
    }

    fn null(what: &str) -> Self {
        Self::new(code::NULL_POINTER, &format!("{what} is NULL"))
    }
}

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
}

/// `ser_options` of the header.
#[repr(C)]
#[allow(non_camel_case_types, reason = "the name in the header")]
pub struct ser_options {
    size: u32,
    max_utterance_ms: u32,
    update_ms: u32,
    abstain_below: f32,
    adapt: i32,
}

impl ser_options {
    fn defaults() -> Self {
        Self {
            size: size_of::<Self>() as u32,
            max_utterance_ms: ser_runtime::cut::CutConfig::default().max_utterance_ms,
            update_ms: 0,
            abstain_below: -1.0,
            adapt: 1,
        }
    }
}

/// `ser_event` of the header.
#[repr(C)]
#[allow(non_camel_case_types, reason = "the name in the header")]
pub struct ser_event {
    kind: i32,
    label: i32,
    reason: i32,
    flags: u32,
    start: u64,
    end: u64,
    start_s: f64,
    end_s: f64,
    continued: i32,
    cut: i32,
    label_text: *const c_char,
    reason_text: *const c_char,
    probabilities: *const f32,
    probability_count: usize,
    rms_dbfs: f32,
    peak: f32,
    clipped_fraction: f32,
    voiced_s: f32,
}

/// `ser_on_event` of the header.
#[allow(non_camel_case_types, reason = "the name in the header")]
pub type ser_on_event = Option<extern "C" fn(user: *mut c_void, event: *const ser_event)>;

/// A recogniser that owns its memory.
#[allow(non_camel_case_types, reason = "the name in the header")]
pub struct ser_recognizer {
    /// Locked for the time of a call: a call from within a callback finds it so.
    live: Mutex<Live>,
    labels: Vec<CString>,
}

/// Runs the body of a function: its failure, or a panic, becomes a code.
fn guarded(body: impl FnOnce() -> Result<(), Failure>) -> c_int {
    let done = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| Err(broken()));
    match done {
        Ok(()) => code::OK,
        Err(failure) => {
            let words: Vec<u8> = failure.words.bytes().filter(|b| *b != 0).collect();
            let words = CString::new(words).unwrap_or_default();
            LAST_ERROR.with_borrow_mut(|last| *last = words);
            failure.code
        }
    }
}

fn broken() -> Failure {
    Failure::new(code::INTERNAL, &"a fault of the library: please report it")
}

/// A value that a function gives, or `otherwise`.
fn value<T>(otherwise: T, body: impl FnOnce() -> Option<T>) -> T {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Some(value)) => value,
        _ => otherwise,
    }
}

impl ser_recognizer {
    fn lock(&self) -> Result<MutexGuard<'_, Live>, Failure> {
        self.live.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Failure::new(
                code::BUSY,
                &"the recogniser is at work: called from a callback, or from two threads",
            ),
            TryLockError::Poisoned(_) => broken(),
        })
    }
}

/// The recogniser behind a pointer.
///
/// # Safety
/// `recognizer` is null or from [`ser_recognizer_new`].
unsafe fn get<'a>(recognizer: *const ser_recognizer) -> Result<&'a ser_recognizer, Failure> {
    // SAFETY: the caller's promise
    unsafe { recognizer.as_ref() }.ok_or_else(|| Failure::null("the recogniser"))
}

/// What lies behind a pointer and a count.
///
/// # Safety
/// `start` points to `count` values, or is null, or is not aligned.
unsafe fn array<'a, T>(what: &str, start: *const T, count: usize) -> Result<&'a [T], Failure> {
    if count == 0 {
        return Ok(&[]);
    }
    if start.is_null() {
        return Err(Failure::null(what));
    }
    let bytes = count.checked_mul(size_of::<T>());
    if !start.is_aligned() || bytes.is_none_or(|bytes| isize::try_from(bytes).is_err()) {
        return Err(Failure::new(
            code::BAD_POINTER,
            &format!("{what}: not aligned, or more than memory can hold"),
        ));
    }
    // SAFETY: not null, aligned, not too long, and the caller's promise
    Ok(unsafe { slice::from_raw_parts(start, count) })
}

/// Calls back.
fn caller(on_event: ser_on_event, user: *mut c_void) -> impl FnMut(&ser_event) {
    move |event| {
        if let Some(on_event) = on_event {
            on_event(user, event);
        }
    }
}

/// Words for the last failure of this thread.
#[unsafe(no_mangle)]
pub extern "C" fn ser_last_error() -> *const c_char {
    LAST_ERROR.with_borrow(|words| words.as_ptr())
}

/// Fills in the defaults.
///
/// # Safety
/// `options` is null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_options_init(options: *mut ser_options) {
    if !options.is_null() {
        // SAFETY: not null, and the caller's promise
        unsafe { options.write(ser_options::defaults()) };
    }
}

/// Makes a recogniser.
///
/// # Safety
/// `model` points to `model_bytes` bytes; `options` is null or valid; `out` is null or may be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_recognizer_new(
    model: *const c_void,
    model_bytes: usize,
    sample_rate: u32,
    options: *const ser_options,
    out: *mut *mut ser_recognizer,
) -> c_int {
    guarded(|| {
        if out.is_null() {
            return Err(Failure::null("out"));
        }
        // SAFETY: not null, and the caller's promise
        unsafe { out.write(ptr::null_mut()) };
        if model.is_null() {
            return Err(Failure::null("the model"));
        }
        // SAFETY: the caller's promise
        let model = unsafe { array("the model", model.cast::<u8>(), model_bytes) }?;
        let defaults = ser_options::defaults();
        // SAFETY: the caller's promise
        let options = unsafe { options.as_ref() }.unwrap_or(&defaults);
        if options.size != defaults.size {
            return Err(Failure::new(
                code::BAD_OPTION,
                &"the options' size is not sizeof(ser_options): call ser_options_init first",
            ));
        }
        let (live, labels) = Live::new(model, sample_rate, options)?;
        let live = Mutex::new(live);
        let new = Box::into_raw(Box::new(ser_recognizer { live, labels }));
        // SAFETY: as above
        unsafe { out.write(new) };
        Ok(())
    })
}

/// Frees a recogniser.
///
/// # Safety
/// `recognizer` is null or from [`ser_recognizer_new`], and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_recognizer_free(recognizer: *mut ser_recognizer) {
    guarded(|| {
        // SAFETY: the caller's promise
        let busy = unsafe { get(recognizer) }?.live.try_lock();
        if matches!(busy, Err(TryLockError::WouldBlock)) {
            return Ok(());
        }
        drop(busy);
        // SAFETY: not null, and the caller's promise
        drop(unsafe { Box::from_raw(recognizer) });
        Ok(())
    });
}

/// Takes float samples.
///
/// # Safety
/// `recognizer` is null or from [`ser_recognizer_new`]; `samples` points to `count` values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_recognizer_push_f32(
    recognizer: *mut ser_recognizer,
    samples: *const f32,
    count: usize,
    on_event: ser_on_event,
    user: *mut c_void,
) -> c_int {
    guarded(|| {
        // SAFETY: the caller's promise
        let (r, samples) = unsafe { (get(recognizer)?, array("samples", samples, count)?) };
        let mut live = r.lock()?;
        live.push(samples, &r.labels, caller(on_event, user))
    })
}

/// Takes 16-bit samples.
///
/// # Safety
/// As [`ser_recognizer_push_f32`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_recognizer_push_i16(
    recognizer: *mut ser_recognizer,
    samples: *const i16,
    count: usize,
    on_event: ser_on_event,
    user: *mut c_void,
) -> c_int {
    guarded(|| {
        // SAFETY: the caller's promise
        let (r, samples) = unsafe { (get(recognizer)?, array("samples", samples, count)?) };
        let mut live = r.lock()?;
        live.push_i16(samples, &r.labels, caller(on_event, user));
        Ok(())
    })
}

/// The stream ends or pauses.
///
/// # Safety
/// `recognizer` is null or from [`ser_recognizer_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_recognizer_finish(
    recognizer: *mut ser_recognizer,
    on_event: ser_on_event,
    user: *mut c_void,
) -> c_int {
    guarded(|| {
        // SAFETY: the caller's promise
        let r = unsafe { get(recognizer) }?;
        r.lock()?.finish(&r.labels, caller(on_event, user));
        Ok(())
    })
}

/// Runs `change` on the recogniser.
///
/// # Safety
/// `recognizer` is null or from [`ser_recognizer_new`].
unsafe fn change(recognizer: *mut ser_recognizer, change: impl FnOnce(&mut Live)) -> c_int {
    guarded(|| {
        // SAFETY: the caller's promise
        change(&mut *unsafe { get(recognizer) }?.lock()?);
        Ok(())
    })
}

/// Asks the recogniser; `otherwise` where there is none.
///
/// # Safety
/// `recognizer` is null or from [`ser_recognizer_new`].
unsafe fn ask<T>(
    recognizer: *const ser_recognizer,
    otherwise: T,
    ask: impl FnOnce(&Live) -> T,
) -> T {
    value(otherwise, || {
        // SAFETY: the caller's promise
        let r = unsafe { recognizer.as_ref() }?;
        let live = r.live.try_lock().ok()?;
        Some(ask(&live))
    })
}

/// Forgets the stream.
///
/// # Safety
/// `recognizer` is null or from [`ser_recognizer_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_recognizer_reset(recognizer: *mut ser_recognizer) -> c_int {
    // SAFETY: the caller's promise
    unsafe { change(recognizer, Live::reset) }
}

/// Samples heard.
///
/// # Safety
/// `recognizer` is null or from [`ser_recognizer_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_recognizer_position(recognizer: *const ser_recognizer) -> u64 {
    // SAFETY: the caller's promise
    unsafe { ask(recognizer, 0, Live::position) }
}

/// Whether an utterance is going on.
///
/// # Safety
/// `recognizer` is null or from [`ser_recognizer_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_recognizer_in_speech(recognizer: *const ser_recognizer) -> c_int {
    // SAFETY: the caller's promise
    c_int::from(unsafe { ask(recognizer, false, Live::in_speech) })
}

/// Whether the training recordings were cut as this stream is.
///
/// # Safety
/// `recognizer` is null or from [`ser_recognizer_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_recognizer_cut_as_trained(recognizer: *const ser_recognizer) -> c_int {
    // SAFETY: the caller's promise
    c_int::from(unsafe { ask(recognizer, false, Live::cut_as_trained) })
}

/// Least probability of a label.
///
/// # Safety
/// `recognizer` is null or from [`ser_recognizer_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_recognizer_abstain_below(recognizer: *const ser_recognizer) -> f32 {
    // SAFETY: the caller's promise
    unsafe { ask(recognizer, 0.0, Live::abstain_below) }
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
        .map_or(ptr::null(), |name| name.as_ptr())
}

/// Switches adaptation on or off.
///
/// # Safety
/// `recognizer` is null or from [`ser_recognizer_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_recognizer_adapt(recognizer: *mut ser_recognizer, on: c_int) -> c_int {
    // SAFETY: the caller's promise
    unsafe { change(recognizer, |live| live.switch(on != 0)) }
}

/// How much was learnt.
///
/// # Safety
/// `recognizer` is null or from [`ser_recognizer_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_recognizer_learnt(recognizer: *const ser_recognizer) -> f64 {
    // SAFETY: the caller's promise
    unsafe { ask(recognizer, 0.0, Live::learnt) }
}

/// Forgets what was learnt.
///
/// # Safety
/// `recognizer` is null or from [`ser_recognizer_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_recognizer_forget(recognizer: *mut ser_recognizer) -> c_int {
    // SAFETY: the caller's promise
    unsafe { change(recognizer, Live::forget) }
}

/// Bytes of the state.
///
/// # Safety
/// `recognizer` is null or from [`ser_recognizer_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_recognizer_state_size(recognizer: *const ser_recognizer) -> usize {
    // SAFETY: the caller's promise
    unsafe { ask(recognizer, 0, Live::state_len) }
}

/// Writes the state.
///
/// # Safety
/// `recognizer` is null or from [`ser_recognizer_new`]; `bytes` may be written, `size` bytes of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_recognizer_save_state(
    recognizer: *const ser_recognizer,
    bytes: *mut c_void,
    size: usize,
) -> c_int {
    guarded(|| {
        // SAFETY: the caller's promise
        let live = unsafe { get(recognizer) }?.lock()?;
        if bytes.is_null() {
            return Err(Failure::null("bytes"));
        }
        if size != live.state_len() {
            return Err(Failure::new(
                code::BAD_STATE,
                &format!(
                    "the state has {} bytes, there is room for {size}",
                    live.state_len()
                ),
            ));
        }
        // SAFETY: not null, a few kilobytes, and the caller's promise. C's bytes may never have
        // been written: that they have a value is seen to first.
        let bytes = unsafe {
            ptr::write_bytes(bytes.cast::<u8>(), 0, size);
            slice::from_raw_parts_mut(bytes.cast::<u8>(), size)
        };
        live.save(bytes)
    })
}

/// Goes on from a state.
///
/// # Safety
/// `recognizer` is null or from [`ser_recognizer_new`]; `bytes` points to `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ser_recognizer_load_state(
    recognizer: *mut ser_recognizer,
    bytes: *const c_void,
    size: usize,
) -> c_int {
    guarded(|| {
        // SAFETY: the caller's promise
        let (r, bytes) = unsafe { (get(recognizer)?, array("bytes", bytes.cast::<u8>(), size)?) };
        r.lock()?.restore(bytes)
    })
}
