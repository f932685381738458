//! What the live path asks of the heap: nothing after start-up, from the callback of a sound card
//! on, and with tract the same amount for every utterance.
#![allow(
    unsafe_code,
    reason = "a global allocator that counts is unsafe by its trait"
)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use common::by_level;
use common::stream::stream;
use common::tiny::Tiny;
use ser_features::{FEATURE_COUNT, FeatureSet};
use ser_runtime::adapt::{AdaptConfig, OwnedAdapter};
use ser_runtime::capture::{Taken, capture};
use ser_runtime::cut::CutConfig;
use ser_runtime::engine::static_model::OwnedStaticEngine;
use ser_runtime::live::{Event, LiveConfig, OwnedLiveRecognizer};
use ser_runtime::model::{EngineKind, Model};
use ser_runtime::prediction::Decision;

struct Counting;

thread_local! {
    // of this thread alone: the test harness allocates too, to say that a test takes long
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static HELD: Cell<i64> = const { Cell::new(0) };
}

// SAFETY: hands every request to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        HELD.set(HELD.get() + layout.size() as i64);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.set(HELD.get() - layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const RATE: u32 = 16_000;
/// A piece of stream that is heard over and over: two utterances in 20 s.
const PIECE_S: f32 = 20.0;
const VOICES: [(f32, f32, f32); 2] = [(2.0, 1.5, 140.0), (11.0, 2.5, 210.0)];

fn adapter(fixed: &ser_runtime::normalise::Normaliser) -> OwnedAdapter {
    OwnedAdapter::owned(fixed, AdaptConfig::default()).unwrap()
}

/// The shipped model on the static engine, 8 bits.
fn engine() -> OwnedStaticEngine {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../models/emodb-4class/model-int8.ser"
    );
    OwnedStaticEngine::from_bytes(&std::fs::read(file).unwrap()).unwrap()
}

/// Hears `hours` of audio with the static engine; returns allocations, utterances and bytes that
/// are held more than before.
fn hear(rate: u32, hours: f32, cut: CutConfig) -> (u64, u64, i64) {
    let samples = stream(rate, PIECE_S, &VOICES);
    let config = LiveConfig {
        cut,
        update_ms: 500,
    };
    let adapt = adapter(&Tiny::new(FEATURE_COUNT, 31).normaliser);
    let mut live = OwnedLiveRecognizer::owned(
        rate,
        RATE,
        FeatureSet::Emobase2010,
        config,
        engine(),
        Decision::at(1.0),
        adapt,
    )
    .unwrap();
    let (calls, held) = (CALLS.get(), HELD.get());
    let mut utterances = 0;
    for _ in 0..(hours * 3_600.0 / PIECE_S) as usize {
        for chunk in samples.chunks(1_000) {
            let pushed = live.push(chunk, |event| {
                utterances += u64::from(matches!(event, Event::End { .. }));
            });
            assert!(pushed.is_ok());
        }
    }
    (CALLS.get() - calls, utterances, HELD.get() - held)
}

#[test]
fn an_hour_of_audio_allocates_nothing() {
    assert_eq!(hear(RATE, 1.0, by_level()), (0, 360, 0));
    assert_eq!(
        hear(48_000, 0.1, by_level()),
        (0, 36, 0),
        "with a resampler"
    );
    assert_eq!(hear(24_414, 0.1, by_level()), (0, 36, 0), "at an odd rate");
    // Whatever the detector of voices makes of these sounds.
    let (calls, _, held) = hear(RATE, 0.1, CutConfig::default());
    assert_eq!((calls, held), (0, 0), "with the detector of voices");
}

/// The callback of a sound card: with room, without, with a bad sample, with every kind of sample.
#[test]
fn a_callback_allocates_nothing() {
    let (mut input, mut output) = capture(4_000);
    let good = [0.25_f32; 960];
    let mut bad = good;
    bad[7] = f32::NAN;
    let mut block = [0.0; 512];
    let (calls, held) = (CALLS.get(), HELD.get());
    let (mut heard, mut missing, mut silenced) = (0, 0, 0);
    for round in 0..100 {
        for _ in 0..if round % 10 == 0 { 6 } else { 1 } {
            input.push(&good, |v| v);
            input.push(&bad, |v| v);
            input.push(&[1_i16; 960], |v| f32::from(v) / 32_767.0);
        }
        loop {
            match output.take(&mut block) {
                Taken::Samples(n) => heard += n,
                Taken::Gap(n) => missing += n,
                Taken::Nothing => break,
            }
        }
        silenced += output.silenced();
    }
    assert_eq!((CALLS.get() - calls, HELD.get() - held), (0, 0));
    assert_eq!(heard + missing, (90 + 10 * 6) * 3 * 960);
    assert!(missing > 0 && silenced > 0, "{missing} {silenced}");
}

#[test]
#[ignore = "minutes: cargo test --test allocations -- --ignored"]
fn a_day_of_audio_leaves_memory_where_it_was() {
    assert_eq!(hear(RATE, 24.0, by_level()), (0, 24 * 360, 0));
}

#[test]
fn tract_allocates_the_same_for_every_utterance() {
    let folder = tempfile::tempdir().unwrap();
    Tiny::new(FEATURE_COUNT, 31).write(&folder.path().join("model"));
    let mut model = Model::open(folder.path().join("model"), EngineKind::Tract).unwrap();
    let adapt = adapter(&model.bundle().manifest.normaliser);
    let config = model.live_config();
    let mut live = model.live(RATE, config, adapt).unwrap();
    let samples = stream(RATE, PIECE_S, &VOICES);
    let mut at_end = Vec::with_capacity(1_000);
    for _ in 0..50 {
        let pushed = live.push(&samples, |event| {
            if matches!(event, Event::End { .. }) {
                at_end.push((CALLS.get(), HELD.get()));
            }
        });
        assert!(pushed.is_ok());
    }
    // The first one warms the engine up.
    let steps: Vec<u64> = at_end[2..].windows(2).map(|w| w[1].0 - w[0].0).collect();
    assert_eq!(at_end.len(), 100);
    assert!(steps.iter().all(|&s| s == steps[0]), "{steps:?}");
    assert_eq!(at_end[2].1, at_end[99].1, "bytes held");
}
