//! The live recogniser: events at the right places, the same ones in any chunking, at every rate.

mod common;

use common::by_level;
use common::stream::{Fixed, Said, stream};
use common::wav::Wav;
use proptest::prelude::*;
use ser_features::FeatureSet;
use ser_runtime::adapt::{Adapt, AdaptConfig, OwnedAdapter, utterance_weight};
use ser_runtime::cut::CutError;
use ser_runtime::live::{CutConfig, Event, LiveConfig, LiveError, OwnedLiveRecognizer};
use ser_runtime::normalise::{Normaliser, NormaliserKind};
use ser_runtime::prediction::Decision;
use ser_runtime::recognizer::Recognizer;
use ser_runtime::segment::{SegmentConfig, SegmentError};

const RATE: u32 = 16_000;
const VOICES: [(f32, f32, f32); 3] = [(0.7, 0.8, 140.0), (2.4, 1.7, 210.0), (4.9, 0.5, 120.0)];

fn live<A: Adapt>(rate: u32, config: LiveConfig, adapt: A) -> OwnedLiveRecognizer<Fixed, A> {
    OwnedLiveRecognizer::owned(
        rate,
        RATE,
        FeatureSet::Emobase2010,
        config,
        Fixed,
        Decision::at(1.5),
        adapt,
    )
    .unwrap()
}

fn config() -> LiveConfig {
    LiveConfig {
        cut: by_level(),
        update_ms: 0,
    }
}

fn adapter() -> OwnedAdapter {
    let fixed = Normaliser {
        kind: NormaliserKind::ZScore,
        offset: vec![0.5; ser_features::FEATURE_COUNT],
        scale: vec![0.25; ser_features::FEATURE_COUNT],
        clip: Some(10.0),
    };
    OwnedAdapter::owned(&fixed, AdaptConfig::default()).unwrap()
}

fn heard(
    live: &mut OwnedLiveRecognizer<Fixed, impl Adapt>,
    samples: &[f32],
    sizes: &[usize],
) -> Vec<Said> {
    let mut said = Vec::new();
    let mut rest = samples;
    for &size in sizes.iter().chain([&usize::MAX]) {
        let (chunk, left) = rest.split_at(size.min(rest.len()));
        live.push(chunk, |event| said.push(Said::of(&event)))
            .unwrap();
        rest = left;
    }
    live.finish(|event| said.push(Said::of(&event)));
    said
}

#[test]
fn utterances_are_where_they_are_at_every_rate() {
    for rate in [8_000, 16_000, 22_050, 44_100, 48_000] {
        let samples = stream(rate, 5.6, &VOICES);
        let mut live = live(rate, config(), ());
        let said = heard(&mut live, &samples, &[]);
        let ends: Vec<&Said> = said.iter().filter(|s| s.what == "end").collect();
        assert_eq!((said.len(), ends.len()), (6, 3), "{rate} Hz: {said:?}");
        for (end, (start, length, _)) in ends.iter().zip(VOICES) {
            let at = |samples: u64| samples as f32 / rate as f32;
            let from = at(end.span.start) - (start - 0.06);
            let to = at(end.span.end) - (start + length + 0.06).min(5.6);
            assert!(from.abs() < 0.04 && to.abs() < 0.04, "{rate} Hz: {end:?}");
        }
        // Nothing is left of the stream after a reset.
        live.reset();
        assert_eq!(heard(&mut live, &samples, &[]), said, "{rate} Hz");
    }
}

#[test]
fn an_utterance_is_what_a_recogniser_makes_of_its_samples() {
    let samples = stream(RATE, 5.6, &VOICES);
    let config = config();
    for said in heard(&mut live(RATE, config, ()), &samples, &[]) {
        if said.what != "end" {
            continue;
        }
        let extractor = config.cut.extractor(RATE, FeatureSet::Emobase2010);
        let mut recognizer = Recognizer::owned(extractor, Fixed, Decision::at(1.5)).unwrap();
        let span = said.span.start as usize..said.span.end as usize;
        recognizer.push(&samples[span]).unwrap();
        let outcome = recognizer.finish().unwrap();
        let bits: Vec<u32> = outcome.probabilities.iter().map(|v| v.to_bits()).collect();
        assert_eq!(said.bits, bits);
    }
}

#[test]
fn long_utterances_are_cut_and_nothing_is_lost_between() {
    let samples = stream(RATE, 6.0, &[(0.5, 4.2, 150.0)]);
    let config = LiveConfig {
        cut: CutConfig {
            max_utterance_ms: 1_000,
            ..by_level()
        },
        update_ms: 400,
    };
    let said = heard(&mut live(RATE, config, ()), &samples, &[]);
    let ends: Vec<&Said> = said.iter().filter(|s| s.what == "end").collect();
    assert!(ends.len() >= 4, "{said:?}");
    for (index, pair) in ends.windows(2).enumerate() {
        assert_eq!(pair[0].span.end, pair[1].span.start);
        assert_eq!(
            (pair[0].cut, pair[1].span.continued),
            (true, true),
            "{index}"
        );
        assert_eq!(pair[0].span.end - pair[0].span.start, 16_000);
    }
    assert!(!ends[0].span.continued && !ends[ends.len() - 1].cut);
    let updates: Vec<u64> = said
        .iter()
        .filter(|s| s.what == "update" && s.span.start == ends[0].span.start)
        .map(|s| s.span.end - s.span.start)
        .collect();
    assert_eq!(updates, [6_400, 12_800], "every 400 ms of the utterance");
}

#[test]
fn short_noises_are_discarded_and_the_end_of_the_stream_ends_an_utterance() {
    let samples = stream(RATE, 2.4, &[(0.5, 0.09, 150.0), (1.6, 0.8, 150.0)]);
    let said = heard(&mut live(RATE, config(), ()), &samples, &[]);
    let whats: Vec<&str> = said.iter().map(|s| s.what).collect();
    assert_eq!(whats, ["start", "discarded", "start", "end"]);
    assert_eq!(said[3].span.end, samples.len() as u64);
}

#[test]
fn a_sample_that_is_no_number_is_refused_with_its_chunk() {
    let mut live = live(RATE, config(), ());
    live.push(&[0.0; 100], |_| panic!("silence")).unwrap();
    let error = live.push(&[0.0, f32::NAN], |_| panic!("refused"));
    let refused = LiveError::Cut(CutError::NotFinite { index: 1 });
    assert_eq!(error, Err(refused));
    assert_eq!(live.position(), 100);
    // Enormous but finite samples make no features; the utterance is reported and the stream goes on.
    let huge: Vec<f32> = (0..16_000)
        .map(|i| if i % 50 < 25 { 1e30 } else { -1e30 })
        .collect();
    live.push(&huge, |_| {}).unwrap();
    let mut said = Vec::new();
    for _ in 0..2 {
        live.push(&stream(RATE, 3.0, &[(1.5, 0.8, 150.0)]), |event| {
            said.push(match event {
                Event::Failed { .. } => "failed",
                Event::End { .. } => "end",
                _ => "other",
            });
        })
        .unwrap();
    }
    assert!(said.contains(&"end"), "{said:?}");
}

#[test]
fn bad_set_ups_are_refused() {
    let make = |rate, config| {
        let decision = Decision::at(1.0);
        OwnedLiveRecognizer::owned(
            rate,
            RATE,
            FeatureSet::Emobase2010,
            config,
            Fixed,
            decision,
            (),
        )
        .map(|_| ())
    };
    let default = LiveConfig::default();
    assert!(matches!(
        make(7_000, default),
        Err(LiveError::Cut(CutError::Segment(
            SegmentError::SampleRate { rate: 7_000 }
        )))
    ));
    // Whatever lies within the range is taken, however odd its ratio to the model's rate.
    for rate in [8_000, 22_255, 24_414, 44_056, 44_101, 47_999, 95_999] {
        assert_eq!(make(rate, default), Ok(()), "{rate}");
    }
    for ms in [0, 499, 60_001, u32::MAX] {
        let cut = CutConfig {
            max_utterance_ms: ms,
            ..default.cut
        };
        let error = LiveError::Cut(CutError::MaxUtterance { ms });
        assert_eq!(make(RATE, LiveConfig { cut, ..default }), Err(error));
    }
    for ms in [1, 69, 60_001, u32::MAX] {
        let config = LiveConfig {
            update_ms: ms,
            ..default
        };
        assert_eq!(make(RATE, config), Err(LiveError::Update { ms }));
    }
    let segment = SegmentConfig {
        hangover_ms: 0,
        ..SegmentConfig::default()
    };
    let cut = CutConfig {
        segment,
        ..default.cut
    };
    assert!(make(RATE, LiveConfig { cut, ..default }).is_err());
}

#[test]
fn what_adapts_learns_once_an_utterance_and_changes_the_next() {
    let samples = stream(RATE, 5.6, &VOICES);
    let mut adapting = live(
        RATE,
        LiveConfig {
            update_ms: 200,
            ..config()
        },
        Some(adapter()),
    );
    let revision = |live: &OwnedLiveRecognizer<Fixed, Option<OwnedAdapter>>| {
        live.adapt().as_ref().unwrap().revision()
    };
    let before = revision(&adapting);
    let first = heard(&mut adapting, &samples, &[]);
    // The utterance of half a second with its margins is long enough to learn from, too.
    assert_eq!(revision(&adapting) - before, 3);
    let weight = adapting.adapt().as_ref().unwrap().weight();
    let voiced: f32 = VOICES.iter().map(|v| v.1).sum();
    assert!(
        (weight / utterance_weight(voiced) - 1.0).abs() < 0.05,
        "{weight}"
    );
    adapting.reset();
    assert_ne!(heard(&mut adapting, &samples, &[]), first);
    adapting.adapt_mut().as_mut().unwrap().reset();
    adapting.reset();
    assert_eq!(heard(&mut adapting, &samples, &[]), first);
    let fixed = heard(
        &mut live(
            RATE,
            LiveConfig {
                update_ms: 200,
                ..config()
            },
            (),
        ),
        &samples,
        &[],
    );
    let of = |said: &[Said], n: usize| said.iter().filter(|s| s.what == "end").nth(n).cloned();
    assert_eq!(
        of(&fixed, 0),
        of(&first, 0),
        "the first one has the fixed normaliser"
    );
    assert_ne!(of(&fixed, 1), of(&first, 1));
}

#[test]
fn sixteen_bit_samples_are_the_same_samples() {
    let samples: Vec<i16> = stream(RATE, 3.0, &[(1.0, 1.0, 160.0)])
        .iter()
        .map(|v| (v * 32_767.0) as i16)
        .collect();
    let mut bytes = Vec::new();
    samples.iter().for_each(|s| bytes.extend(s.to_le_bytes()));
    let pcm = ser_runtime::audio::decode_audio(&Wav::S16.file_of(RATE, 1, &bytes), "x").unwrap();
    let from_floats = heard(&mut live(RATE, config(), ()), &pcm.samples, &[]);
    let (mut said, mut live) = (Vec::new(), live(RATE, config(), ()));
    for chunk in samples.chunks(777) {
        live.push_i16(chunk, |event| said.push(Said::of(&event)));
    }
    live.finish(|event| said.push(Said::of(&event)));
    assert_eq!(said, from_floats);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_chunking_gives_the_same_events(
        rate in proptest::sample::select(vec![8_000_u32, 16_000, 44_100, 48_000]),
        update_ms in proptest::sample::select(vec![0_u32, 130]),
        sizes in proptest::collection::vec(prop_oneof![0_usize..40, 0_usize..30_000], 0..200),
    ) {
        let samples = stream(rate, 3.4, &VOICES[..2]);
        let cut = CutConfig { max_utterance_ms: 900, ..by_level() };
        let config = LiveConfig { cut, update_ms };
        let whole = heard(&mut live(rate, config, Some(adapter())), &samples, &[]);
        prop_assert!(whole.len() > 5);
        let pieces = heard(&mut live(rate, config, Some(adapter())), &samples, &sizes);
        prop_assert_eq!(pieces, whole);
    }
}
