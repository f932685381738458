//! The recogniser: any chunking gives the same bits, with and without a heap.

mod common;

use std::sync::OnceLock;

use common::tiny::{LABELS, Tiny};
use common::wav::{Wav, vowel};
use proptest::prelude::*;
use ser_features::{
    Config, FEATURE_COUNT, FeatureGroup, FeatureGroups, FeatureSet, PushError, memory_len,
};
use ser_runtime::audio::{Pcm, decode_audio};
use ser_runtime::engine::{Engine, EngineError, check_width};
use ser_runtime::extract::{Extracted, extract};
use ser_runtime::hearing::Hearing;
use ser_runtime::model::{EngineKind, Model};
use ser_runtime::prediction::{Decision, Prediction, Reason};
use ser_runtime::recognizer::{OwnedRecognizer, Recognizer, RecognizerError, scratch_len};

const RATE: u32 = 16_000;

fn voice(seconds: f32) -> Pcm {
    decode_audio(
        &Wav::S16.file(RATE, 1, &vowel(RATE, 150.0, seconds)),
        "voice",
    )
    .unwrap()
}

fn model() -> (tempfile::TempDir, Model) {
    let folder = tempfile::tempdir().unwrap();
    Tiny::new(FEATURE_COUNT, 31).write(&folder.path().join("model"));
    let model = Model::open(folder.path().join("model"), EngineKind::Tract).unwrap();
    (folder, model)
}

/// The features of a whole recording at its own rate.
fn whole(pcm: &Pcm) -> Extracted {
    let heard = extract(pcm, FeatureSet::Emobase2010, &Hearing::WHOLE).unwrap();
    heard.utterances.into_iter().next().unwrap()
}

/// What a device without a heap would bring: a model that is a few numbers in the program.
struct Fixed;

impl Engine for Fixed {
    fn feature_count(&self) -> usize {
        FEATURE_COUNT
    }

    fn code_len(&self) -> usize {
        2
    }

    fn label_count(&self) -> usize {
        3
    }

    fn encode(&mut self, features: &[f32], code: &mut [f32]) -> Result<(), EngineError> {
        check_width("code", code, 2)?;
        code.copy_from_slice(&[features[0], features[100]]);
        Ok(())
    }

    fn classify(&mut self, code: &[f32], logits: &mut [f32]) -> Result<(), EngineError> {
        check_width("logits", logits, 3)?;
        logits.copy_from_slice(&[code[0], code[1], 0.0]);
        Ok(())
    }
}

fn config(max_samples: usize) -> Config {
    Config::for_samples(RATE, max_samples, FeatureSet::Emobase2010)
}

fn in_chunks(pcm: &Pcm, sizes: impl Iterator<Item = usize>) -> Prediction {
    static LABEL_NAMES: OnceLock<Vec<String>> = OnceLock::new();
    let labels = LABEL_NAMES.get_or_init(|| LABELS.map(str::to_owned).to_vec());
    const SECONDS: usize = 2;
    const MEMORY: usize = memory_len(RATE, SECONDS * 100);
    // Static memory and stack only: nothing here asks for a heap.
    let mut memory = [0.0; MEMORY];
    let mut scratch = [0.0; 5];
    let mut recognizer = Recognizer::new(
        config(SECONDS * RATE as usize - 2_000),
        Fixed,
        Decision::at(1.5),
        &mut memory[..],
        &mut scratch[..],
    )
    .unwrap();
    let mut rest = pcm.samples.as_slice();
    for size in sizes {
        let (chunk, left) = rest.split_at(size.min(rest.len()));
        recognizer.push(chunk).unwrap();
        rest = left;
    }
    recognizer.push(rest).unwrap();
    recognizer.finish().unwrap().named(labels)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_chunking_gives_the_same_bits(sizes in proptest::collection::vec(0_usize..3_000, 0..20)) {
        let pcm = voice(0.6);
        prop_assert_eq!(in_chunks(&pcm, sizes.into_iter()), in_chunks(&pcm, std::iter::empty()));
    }
}

#[test]
fn model_and_recogniser_agree_with_the_model_by_hand() {
    let pcm = voice(1.0);
    let extracted = whole(&pcm);
    let tiny = Tiny::new(FEATURE_COUNT, 31);
    let (_, logits) = tiny.by_hand(extracted.features.as_slice());
    let exp: Vec<f64> = logits
        .iter()
        .map(|l| (l / f64::from(tiny.temperature)).exp())
        .collect();
    let expected: Vec<f64> = exp.iter().map(|e| e / exp.iter().sum::<f64>()).collect();

    let (_folder, mut model) = model();
    let prediction = model.predict_whole(&pcm).unwrap();
    for ((label, found), (name, expected)) in prediction
        .probabilities
        .iter()
        .zip(LABELS.iter().zip(&expected))
    {
        assert_eq!(label, name);
        assert!(
            (f64::from(*found) - expected).abs() < 1e-5,
            "{found} instead of {expected}"
        );
    }
    let best = (0..3)
        .max_by(|&a, &b| expected[a].total_cmp(&expected[b]))
        .unwrap();
    assert_eq!(
        (prediction.label.as_deref(), prediction.confidence),
        (Ok(LABELS[best]), Some(prediction.probabilities[best].1))
    );
    assert_eq!(
        (prediction.duration_s, prediction.quality),
        (1.0, extracted.quality)
    );
    let quality = prediction.quality;
    assert!(quality.unfit().is_none() && !quality.clipped, "{quality:?}");

    let mut recognizer = model.recognizer(RATE, 20_000).unwrap();
    let samples: Vec<i16> = pcm
        .samples
        .iter()
        .map(|v| (v * 32_767.0).round() as i16)
        .collect();
    samples
        .chunks(777)
        .for_each(|chunk| recognizer.push_i16(chunk).unwrap());
    let labels = LABELS.map(str::to_owned);
    assert_eq!(
        recognizer.finish().unwrap().named(&labels),
        prediction,
        "16-bit samples"
    );
    assert_eq!(recognizer.features(), &extracted.features);
    assert_eq!(
        recognizer.finish().unwrap().named(&labels),
        prediction,
        "finish ends nothing"
    );
    recognizer.reset();
    assert!(
        matches!(recognizer.finish(), Err(RecognizerError::Finish(_))),
        "a reset recogniser has heard nothing"
    );
    recognizer.push(&pcm.samples).unwrap();
    assert_eq!(
        recognizer.finish().unwrap().named(&labels),
        prediction,
        "after reset"
    );
}

#[test]
fn a_full_memory_keeps_what_it_has() {
    let pcm = voice(1.0);
    let (_folder, mut model) = model();
    let mut recognizer = model.recognizer(RATE, 8_000).unwrap();
    let taken = match recognizer.push(&pcm.samples) {
        Err(RecognizerError::Push(PushError::Full { taken })) => taken,
        other => panic!("{other:?}"),
    };
    assert!((8_000..8_400).contains(&taken), "{taken}");
    let outcome = recognizer.finish().unwrap();
    assert_eq!(outcome.samples, taken as u64);
    let labels = LABELS.map(str::to_owned);
    let kept = outcome.named(&labels);
    recognizer.reset();
    recognizer.push(&pcm.samples[..taken]).unwrap();
    assert_eq!(recognizer.finish().unwrap().named(&labels), kept);

    recognizer.reset();
    let samples: Vec<i16> = pcm
        .samples
        .iter()
        .map(|v| (v * 32_767.0).round() as i16)
        .collect();
    match recognizer.push_i16(&samples) {
        Err(RecognizerError::Push(PushError::Full { taken: again })) => assert_eq!(again, taken),
        other => panic!("{other:?}"),
    }
}

#[test]
fn bad_samples_and_bad_set_ups_are_refused() {
    let (_folder, mut model) = model();
    let mut recognizer = model.recognizer(RATE, 16_000).unwrap();
    recognizer.push(&[0.1; 100]).unwrap();
    for bad in [f32::NAN, f32::INFINITY] {
        let error = recognizer.push(&[0.0, bad]).unwrap_err();
        assert_eq!(
            error,
            RecognizerError::Push(PushError::NotFinite { index: 1 })
        );
    }
    assert!(
        matches!(recognizer.finish(), Err(RecognizerError::Finish(_))),
        "100 samples are too few"
    );
    assert!(model.recognizer(192_000, 1_000).is_err());
    assert!(model.recognizer(0, 1_000).is_err());

    let memory = || vec![0.0; memory_len(RATE, 100)];
    let set_up = |decision, scratch: usize, memory: Vec<f32>| {
        let config = Config {
            sample_rate: RATE,
            max_frames: 100,
            feature_set: FeatureSet::Emobase2010,
            groups: FeatureGroups::ALL,
        };
        Recognizer::new(config, Fixed, decision, memory, vec![0.0; scratch]).map(drop)
    };
    assert_eq!(scratch_len(&Fixed), 5);
    assert_eq!(set_up(Decision::at(1.0), 5, memory()), Ok(()));
    assert_eq!(
        set_up(Decision::at(1.0), 4, memory()),
        Err(RecognizerError::Scratch {
            found: 4,
            needed: 5
        })
    );
    assert!(matches!(
        set_up(Decision::at(0.0), 5, memory()),
        Err(RecognizerError::Temperature { .. })
    ));
    assert!(matches!(
        set_up(Decision::at(f32::NAN), 5, memory()),
        Err(RecognizerError::Temperature { .. })
    ));
    for abstain_below in [-0.1, 1.1, f32::NAN] {
        let decision = Decision {
            temperature: 1.0,
            abstain_below,
        };
        let refused = set_up(decision, 5, memory());
        assert!(matches!(refused, Err(RecognizerError::Abstain { .. })));
    }
    assert!(matches!(
        set_up(Decision::at(1.0), 5, vec![0.0; 10]),
        Err(RecognizerError::Config(_))
    ));
}

/// [`Fixed`], which says what it reads: loudness and an MFCC.
struct Few;

impl Engine for Few {
    fn feature_count(&self) -> usize {
        Fixed.feature_count()
    }

    fn code_len(&self) -> usize {
        Fixed.code_len()
    }

    fn label_count(&self) -> usize {
        Fixed.label_count()
    }

    fn groups(&self) -> FeatureGroups {
        FeatureGroups::of_features([0, 100])
    }

    fn encode(&mut self, features: &[f32], code: &mut [f32]) -> Result<(), EngineError> {
        Fixed.encode(features, code)
    }

    fn classify(&mut self, code: &[f32], logits: &mut [f32]) -> Result<(), EngineError> {
        Fixed.classify(code, logits)
    }
}

#[test]
fn groups_that_the_model_does_not_read_are_left_out() {
    let pcm = voice(1.0);
    let all = config(pcm.samples.len());
    let few = all.with_groups(FeatureGroups::of_features([0, 100]));
    assert!(few.memory_len() < all.memory_len() / 3);
    let mut full = OwnedRecognizer::owned(all, Fixed, Decision::at(1.0)).unwrap();
    let memory = vec![f32::NAN; few.memory_len()];
    let mut narrow = Recognizer::new(all, Few, Decision::at(1.0), memory, vec![0.0; 5]).unwrap();
    full.push(&pcm.samples).unwrap();
    narrow.push(&pcm.samples).unwrap();
    let (full_outcome, narrow_outcome) = (full.finish().unwrap(), narrow.finish().unwrap());
    assert_eq!(narrow_outcome.probabilities, full_outcome.probabilities);
    assert!(full_outcome.quality.voiced_fraction.is_some());
    let quality = narrow_outcome.quality;
    assert!(quality.voiced_fraction.is_none() && !quality.unvoiced);
    assert_eq!(narrow.features().as_slice()[1580..], [0.0; 2]);
    assert_eq!(
        narrow.features().as_slice()[..21],
        full.features().as_slice()[..21]
    );

    let without_mfcc = all.with_groups(FeatureGroups::of(&[FeatureGroup::Loudness]));
    let error = OwnedRecognizer::owned(without_mfcc, Few, Decision::at(1.0)).err();
    let missing = FeatureGroups::of(&[FeatureGroup::Mfcc]);
    assert_eq!(error, Some(RecognizerError::Groups { missing }));
}

/// A tiny bundle whose normaliser has scale 0 for the features of `left_out`.
fn without(left_out: FeatureGroups) -> Tiny {
    let mut tiny = Tiny::new(FEATURE_COUNT, 31);
    for (index, scale) in tiny.normaliser.scale.iter_mut().enumerate() {
        if left_out.contains_feature(index) {
            *scale = 0.0;
        }
    }
    tiny
}

#[test]
fn graphs_leave_out_groups_of_scale_0() {
    let left_out = FeatureGroups::of(&[FeatureGroup::Lsp, FeatureGroup::VoiceQuality]);
    let folder = tempfile::tempdir().unwrap();
    let tiny = without(left_out);
    tiny.write(&folder.path().join("model"));
    let mut model = Model::open(folder.path().join("model"), EngineKind::Tract).unwrap();
    assert_eq!(
        model.engine().groups(),
        FeatureGroups::ALL.difference(left_out)
    );
    let pcm = voice(1.0);
    let prediction = model.predict_whole(&pcm).unwrap();
    let full = whole(&pcm);
    let (_, mut expected) = tiny.by_hand(full.features.as_slice());
    let largest = expected.iter().copied().fold(f64::MIN, f64::max);
    let softmax = |v: &mut f64| *v = ((*v - largest) / f64::from(tiny.temperature)).exp();
    expected.iter_mut().for_each(softmax);
    let sum: f64 = expected.iter().sum();
    for ((_, got), expected) in prediction.probabilities.iter().zip(expected) {
        assert!((f64::from(*got) - expected / sum).abs() < 1e-4);
    }

    // a manifest that says so of a graph that reads them
    let honest = Tiny::new(FEATURE_COUNT, 31);
    let (encoder, classifier) = (honest.encoder(), honest.classifier());
    let files: [(&str, &[u8]); 3] = [
        ("encoder.onnx", &encoder),
        ("classifier.onnx", &classifier),
        ("MODEL_CARD.md", b"# tiny\n"),
    ];
    let lying = folder.path().join("lying");
    ser_runtime::bundle::write(&lying, &tiny.manifest(), &files).unwrap();
    let error = Model::open(&lying, EngineKind::Tract)
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("lsp, voice-quality"), "{error}");
}

#[test]
fn features_made_elsewhere_have_no_recogniser() {
    let folder = tempfile::tempdir().unwrap();
    Tiny::new(4, 1).write(&folder.path().join("model"));
    let mut model = Model::open(folder.path().join("model"), EngineKind::Tract)
        .expect("the bundle itself is fine");
    let error = model.predict(&voice(0.5)).unwrap_err().to_string();
    assert!(error.contains("elsewhere"), "{error}");
}

#[test]
fn quality_of_real_signals() {
    let (_folder, mut model) = model();
    let mut whole = |samples: Vec<f64>| {
        let pcm = decode_audio(&Wav::F32.file(RATE, 1, &samples), "signal").unwrap();
        model.predict_whole(&pcm).unwrap()
    };
    let mut quality = |samples| whole(samples).quality;
    let voiced = quality(vowel(RATE, 150.0, 1.0));
    assert!(
        voiced.unfit().is_none() && voiced.voiced_fraction.is_some_and(|share| share > 0.8),
        "{voiced:?}"
    );
    let short = quality(vowel(RATE, 150.0, 0.2));
    assert!(short.too_short && !short.silent, "{short:?}");
    let silent = quality(vec![0.0; 16_000]);
    assert!(
        silent.silent && silent.unvoiced && silent.rms_dbfs == -120.0,
        "{silent:?}"
    );
    let clipped = quality(
        vowel(RATE, 150.0, 1.0)
            .iter()
            .map(|v| (v * 10.0).clamp(-1.0, 1.0))
            .collect(),
    );
    assert!(
        clipped.clipped && clipped.clipped_fraction > 0.1,
        "{clipped:?}"
    );
    let mut random = common::Random::new(4);
    let noise = quality(
        (0..16_000)
            .map(|_| f64::from(random.float()) * 0.1)
            .collect(),
    );
    assert!(noise.unvoiced && !noise.silent, "{noise:?}");
    let loud = vowel(RATE, 150.0, 1.0);
    let loud = whole(loud.iter().map(|v| v * 32_767.0).collect());
    assert!(loud.quality.not_in_range, "{:?}", loud.quality);
    // An unfit recording has no number that could be mistaken for a probability.
    assert_eq!(loud.label, Err(Reason::NotInRange));
    assert_eq!((loud.confidence, loud.probabilities.len()), (None, 0));
}
