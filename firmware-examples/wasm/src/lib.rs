//! The live recogniser for a web page: no imports, no JavaScript glue, everything on the visitor's
//! machine.
//!
//! [`start`] makes a recogniser of a stream at the device's own rate. The page writes mono samples
//! (-1..1) to [`chunk`] and calls [`push`], and [`finish`] at the end; what happened is then taken
//! from a queue with [`next_event`].

mod event;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::Display;

use event::{EVENT_LEN, numbers};
use ser_runtime::adapt::{AdaptConfig, AdaptiveNormaliser, memory_len};
use ser_runtime::engine::static_model::{StaticEngine, StaticModel};
use ser_runtime::hearing::DEFAULT_RATE;
use ser_runtime::include_model;
use ser_runtime::live::{Event, LiveConfig, OwnedLiveRecognizer};

/// Samples that one call of [`push`] takes at most.
const CHUNK: usize = 4096;
/// How often the page hears of an utterance that is going on.
const UPDATE_MS: u32 = 500;

type Adapter = AdaptiveNormaliser<Vec<f32>, Vec<f32>>;
type Live = OwnedLiveRecognizer<StaticEngine<'static, Vec<f32>>, Option<Adapter>>;

/// A recogniser, and what was not yet asked for.
struct State {
    live: Live,
    rate: f64,
    chunk: Box<[f32; CHUNK]>,
    events: VecDeque<[f64; EVENT_LEN]>,
    /// The event that [`next_event`] gave last.
    event: [f64; EVENT_LEN],
    labels: Vec<&'static str>,
    abstain_below: f32,
    cut_as_trained: bool,
}

thread_local! {
    static STATE: RefCell<Option<State>> = const { RefCell::new(None) };
    static ERROR: RefCell<String> = const { RefCell::new(String::new()) };
}

fn with<T>(otherwise: T, f: impl FnOnce(&mut State) -> T) -> T {
    STATE.with_borrow_mut(|state| state.as_mut().map_or(otherwise, f))
}

fn new(rate: u32, adapt: bool) -> Result<State, String> {
    let words = |error: &dyn Display| error.to_string();
    let model = StaticModel::from_bytes(include_model!(concat!(env!("OUT_DIR"), "/model.ser")))
        .map_err(|e| words(&e))?;
    let labels: Vec<_> = model.labels().collect();
    let decision = model.decision();
    let set = model
        .built_in_features()
        .ok_or("the model's features were made elsewhere: it knows no audio")?;
    let config = LiveConfig {
        update_ms: UPDATE_MS,
        ..LiveConfig::default()
    };
    let cut_as_trained = model.cut_as(&config.cut);
    // A model that does not say was trained before models said: at this rate.
    let model_rate = model.sample_rate().unwrap_or(DEFAULT_RATE);
    let adapter = if adapt {
        Some(adapter(&model).map_err(|e| words(&e))?)
    } else {
        None
    };
    let scratch = vec![0.0; model.scratch_len()];
    let engine = StaticEngine::new(model, scratch).map_err(|e| words(&e))?;
    let live = Live::owned(rate, model_rate, set, config, engine, decision, adapter)
        .map_err(|e| words(&e))?;
    Ok(State {
        live,
        rate: f64::from(rate),
        chunk: Box::new([0.0; CHUNK]),
        events: VecDeque::new(),
        event: [0.0; EVENT_LEN],
        labels,
        abstain_below: decision.abstain_below,
        cut_as_trained,
    })
}

fn adapter(model: &StaticModel<'_>) -> Result<Adapter, ser_runtime::adapt::AdaptError> {
    let width = model.feature_count();
    let (mut offset, mut scale) = (vec![0.0; width], vec![0.0; width]);
    model.normaliser_into(&mut offset, &mut scale);
    let memory = vec![0.0; memory_len(width)];
    Adapter::new(offset, scale, memory, AdaptConfig::default())
}

/// Makes the recogniser of a mono stream at `rate` Hz, 8000 to 96000, with or without adaptation;
/// one that was there is gone. The number of labels, 0 for a failure: see [`error_text`].
#[unsafe(no_mangle)]
pub extern "C" fn start(rate: u32, adapt: bool) -> usize {
    match new(rate, adapt) {
        Ok(state) => {
            let labels = state.labels.len();
            STATE.set(Some(state));
            labels
        }
        Err(error) => {
            STATE.set(None);
            ERROR.set(error);
            0
        }
    }
}

/// Where [`push`] takes its samples from: room for 4096.
#[unsafe(no_mangle)]
pub extern "C" fn chunk() -> *mut f32 {
    with(std::ptr::null_mut(), |s| s.chunk.as_mut_ptr())
}

/// Takes the first `count` samples of the chunk: how many events wait; -1 for samples that are not
/// finite (none was taken) or without a recogniser.
#[unsafe(no_mangle)]
pub extern "C" fn push(count: usize) -> i32 {
    with(-1, |s| {
        let State {
            live,
            chunk,
            events,
            rate,
            ..
        } = s;
        let on = |event: Event<'_>| events.push_back(numbers(&event, *rate));
        match live.push(&chunk[..count.min(CHUNK)], on) {
            Ok(()) => events.len() as i32,
            Err(error) => {
                ERROR.set(error.to_string());
                -1
            }
        }
    })
}

/// The stream ends or pauses: an utterance that is going on ends. How many events wait; -1 without
/// a recogniser.
#[unsafe(no_mangle)]
pub extern "C" fn finish() -> i32 {
    with(-1, |s| {
        let State {
            live, events, rate, ..
        } = s;
        live.finish(|event| events.push_back(numbers(&event, *rate)));
        events.len() as i32
    })
}

/// The next event, [`event::EVENT_LEN`] numbers that are there until the next call; null if none
/// waits.
#[unsafe(no_mangle)]
pub extern "C" fn next_event() -> *const f64 {
    with(std::ptr::null(), |s| match s.events.pop_front() {
        Some(event) => {
            s.event = event;
            s.event.as_ptr()
        }
        None => std::ptr::null(),
    })
}

/// Whether an utterance is going on.
#[unsafe(no_mangle)]
pub extern "C" fn in_speech() -> bool {
    with(false, |s| s.live.segmenter().in_speech())
}

/// Below this probability there is no label.
#[unsafe(no_mangle)]
pub extern "C" fn abstain_below() -> f32 {
    with(0.0, |s| s.abstain_below)
}

/// Whether the model's training recordings were cut as the stream is.
#[unsafe(no_mangle)]
pub extern "C" fn cut_as_trained() -> bool {
    with(false, |s| s.cut_as_trained)
}

/// A text, UTF-8, by its kind: 0 the name of label `index`, 1 the words of reason `index`, 2 the
/// words of the flag of bit `index`; empty if there is no such.
fn text(kind: u32, index: usize) -> &'static str {
    let found = match kind {
        0 => with(None, |s| s.labels.get(index).copied()),
        1 => event::REASONS.get(index).map(|reason| reason.words()),
        _ => event::FLAGS.get(index).copied(),
    };
    found.unwrap_or_default()
}

/// Where a text lies: 0 the name of label `index`, 1 the words of reason `index`, 2 the words of
/// the flag of bit `index`.
#[unsafe(no_mangle)]
pub extern "C" fn text_at(kind: u32, index: usize) -> *const u8 {
    text(kind, index).as_ptr()
}

/// Bytes of that text; 0 if there is no such.
#[unsafe(no_mangle)]
pub extern "C" fn text_len(kind: u32, index: usize) -> usize {
    text(kind, index).len()
}

/// Words for what went wrong last, UTF-8: there until something else goes wrong.
#[unsafe(no_mangle)]
pub extern "C" fn error_text() -> *const u8 {
    ERROR.with_borrow(|error| error.as_ptr())
}

/// Bytes of [`error_text`].
#[unsafe(no_mangle)]
pub extern "C" fn error_len() -> usize {
    ERROR.with_borrow(String::len)
}
