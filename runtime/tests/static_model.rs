//! The static engine: the numbers of the model computed by hand, a bound on what 8 bits cost, and no byte sequence that gets past the checks
//! with a panic.

mod common;

use common::Random;
use common::flat::flat_model;
use proptest::prelude::*;
use ser_runtime::engine::static_model::{
    Activation, AlignedBytes, Dense, FlatModel, OwnedStaticEngine, Precision, StaticEngine,
    StaticModel, StaticModelError, crc32, input_ranges,
};
use ser_runtime::engine::{Engine, EngineError};

fn rows(width: usize, count: usize) -> Vec<Vec<f32>> {
    let mut random = Random::new(11);
    (0..count)
        .map(|row| {
            // Every fourth row reaches the clip of the normaliser.
            let scale = [1.0, 0.3, 2.0, 1e4][row % 4];
            (0..width).map(|_| random.float() * scale).collect()
        })
        .collect()
}

/// Code and logits in double precision.
fn by_hand(model: &FlatModel, features: &[f32]) -> (Vec<f64>, Vec<f64>) {
    let indices: Vec<usize> = match &model.selection {
        Some(selection) => selection.iter().map(|&i| i as usize).collect(),
        None => (0..features.len()).collect(),
    };
    let n = &model.normaliser;
    let clip = n.clip.map_or(f64::INFINITY, f64::from);
    let mut values: Vec<f64> = indices
        .iter()
        .enumerate()
        .map(|(j, &i)| {
            let z = (f64::from(features[i]) - f64::from(n.offset[j])) * f64::from(n.scale[j]);
            z.clamp(-clip, clip)
        })
        .collect();
    let mut code = values.clone();
    for (index, layer) in model.encoder.iter().chain(&model.classifier).enumerate() {
        values = (0..layer.outputs)
            .map(|o| {
                let products = values
                    .iter()
                    .enumerate()
                    .map(|(i, v)| v * f64::from(layer.weight[i * layer.outputs + o]));
                let y = products.sum::<f64>() + f64::from(layer.bias[o]);
                match layer.activation {
                    Activation::Linear => y,
                    Activation::Relu => y.max(0.0),
                    Activation::LeakyRelu(slope) if y < 0.0 => y * f64::from(slope),
                    Activation::LeakyRelu(_) => y,
                    Activation::Sigmoid => 1.0 / (1.0 + (-y).exp()),
                }
            })
            .collect();
        if index + 1 == model.encoder.len() {
            code.clone_from(&values);
        }
    }
    (code, values)
}

fn run(engine: &mut dyn Engine, features: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (mut code, mut logits) = (
        vec![0.0; engine.code_len()],
        vec![0.0; engine.label_count()],
    );
    engine.encode(features, &mut code).unwrap();
    engine.classify(&code, &mut logits).unwrap();
    (code, logits)
}

fn calibrated(model: &FlatModel, rows: &[Vec<f32>]) -> Vec<u8> {
    let file = AlignedBytes::copy_of(&model.f32_file().unwrap());
    let ranges = input_ranges(
        &StaticModel::from_bytes(file.as_slice()).unwrap(),
        rows.iter().map(Vec::as_slice),
    );
    model.int8_file(&ranges.unwrap()).unwrap()
}

fn largest(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    found
        .iter()
        .zip(expected)
        .map(|(a, b)| (f64::from(*a) - b).abs() / (1.0 + b.abs()))
        .fold(0.0, f64::max)
}

#[test]
fn both_precisions_equal_the_model_by_hand() {
    // Widths below, at and above the unit of rows; blocks of rows that end early; no encoder; one that reads every third feature.
    for widths in [
        &[1582, 400, 256, 4][..],
        &[5, 3, 2],
        &[16, 33, 32, 31, 3],
        &[70, 2],
    ] {
        for every in [1, 3] {
            let model = flat_model(widths, every, 3);
            let rows = rows(model.feature_count, 40);
            let mut float = OwnedStaticEngine::from_bytes(&model.f32_file().unwrap()).unwrap();
            let mut int8 = OwnedStaticEngine::from_bytes(&calibrated(&model, &rows)).unwrap();
            assert_eq!(
                (float.feature_count(), float.label_count()),
                (model.feature_count, *widths.last().unwrap())
            );
            for row in &rows {
                let (code, logits) = by_hand(&model, row);
                let found = run(&mut float, row);
                assert!(largest(&found.0, &code) < 1e-5 && largest(&found.1, &logits) < 1e-5);
                let found = run(&mut int8, row);
                // Weights of 8 bits: some 0.5 % of the spread of a sum each layer.
                assert!(
                    largest(&found.0, &code) < 0.08 && largest(&found.1, &logits) < 0.08,
                    "{widths:?}: {} {}",
                    largest(&found.0, &code),
                    largest(&found.1, &logits)
                );
            }
        }
    }
}

#[test]
fn borrowed_and_owned_engines_give_the_same_bits() {
    let model = flat_model(&[100, 40, 20, 3], 1, 5);
    let rows = rows(100, 8);
    for file in [model.f32_file().unwrap(), calibrated(&model, &rows)] {
        let mut owned = OwnedStaticEngine::from_bytes(&file).unwrap();
        let aligned = AlignedBytes::copy_of(&file);
        let model = StaticModel::from_bytes(aligned.as_slice()).unwrap();
        let mut scratch = vec![f32::NAN; model.scratch_len()];
        let mut borrowed = StaticEngine::new(model.clone(), scratch.as_mut_slice()).unwrap();
        for row in &rows {
            assert_eq!(run(&mut owned, row), run(&mut borrowed, row));
        }
        let needed = model.scratch_len();
        assert_eq!(
            StaticEngine::new(model, vec![0.0; needed - 1]).unwrap_err(),
            StaticModelError::Scratch {
                found: needed - 1,
                needed
            }
        );
    }
}

/// What the same bits on every machine means: these were written down on x86-64 and must come out anywhere.
#[test]
fn results_are_these_bits() {
    let model = flat_model(&[48, 40, 20, 3], 1, 5);
    let rows = rows(48, 4);
    let bits = |file: &[u8]| {
        let mut engine = OwnedStaticEngine::from_bytes(file).unwrap();
        let words = rows.iter().flat_map(|row| run(&mut engine, row).1);
        crc32(&words.flat_map(f32::to_le_bytes).collect::<Vec<u8>>())
    };
    let found = [
        bits(&model.f32_file().unwrap()),
        bits(&calibrated(&model, &rows)),
    ];
    assert_eq!(found, [0x8b03_3f46, 0x5b89_bb13], "{found:#010x?}");
}

#[test]
fn a_model_says_what_it_is() {
    let model = flat_model(&[100, 40, 20, 3], 3, 5);
    let file = AlignedBytes::copy_of(&model.f32_file().unwrap());
    let read = StaticModel::from_bytes(file.as_slice()).unwrap();
    assert_eq!(read.precision(), Precision::F32);
    assert_eq!(read.labels().collect::<Vec<_>>(), model.labels);
    assert_eq!(read.decision(), model.decision);
    assert_eq!(read.sample_rate(), model.sample_rate);
    assert_eq!(read.segmenter(), Some("cutter-1"));
    assert_eq!(read.feature_set(), model.feature_set);
    assert_eq!(read.built_in_features(), None);
    assert_eq!(read.extractor_version(), model.extractor_version);
    assert_eq!(read.names_sha256(), &model.names_sha256);
    assert_eq!(read.bundle_id(), &model.bundle_id);
    assert_eq!(
        read.selection().map(|i| i as u32).collect::<Vec<_>>(),
        model.selection.unwrap()
    );
}

#[test]
fn inputs_are_checked() {
    let model = flat_model(&[9, 4, 2], 3, 5);
    let rows = rows(model.feature_count, 8);
    for file in [model.f32_file().unwrap(), calibrated(&model, &rows)] {
        let mut engine = OwnedStaticEngine::from_bytes(&file).unwrap();
        let mut code = [0.0; 4];
        let width = |what, found, expected| {
            Err(EngineError::Width {
                what,
                found,
                expected,
            })
        };
        assert_eq!(
            engine.encode(&[0.0; 3], &mut code),
            width("features", 3, 27)
        );
        assert_eq!(
            engine.encode(&[0.0; 27], &mut code[..1]),
            width("code", 1, 4)
        );
        assert_eq!(engine.classify(&code, &mut [0.0; 3]), width("logits", 3, 2));
        for bad in [f32::NAN, f32::INFINITY] {
            let mut features = [0.0; 27];
            // Not read.
            features[1] = bad;
            assert_eq!(engine.encode(&features, &mut code), Ok(()));
            features[3] = bad;
            assert_eq!(
                engine.encode(&features, &mut code),
                Err(EngineError::NotFinite { what: "features" })
            );
            assert_eq!(
                engine.classify(&[0.0, bad, 0.0, 0.0], &mut [0.0; 2]),
                Err(EngineError::NotFinite { what: "code" })
            );
        }
    }
}

fn check(bytes: &[u8]) -> Result<(), StaticModelError> {
    StaticModel::from_bytes(AlignedBytes::copy_of(bytes).as_slice()).map(drop)
}

/// Makes the CRC that of the content.
fn with_crc(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() >= 16 {
        let crc = crc32(&bytes[16..]).to_le_bytes();
        bytes[12..16].copy_from_slice(&crc);
    }
    bytes
}

#[test]
fn each_fault_is_named() {
    let model = flat_model(&[32, 16, 2], 1, 5);
    let file = model.f32_file().unwrap();
    assert_eq!(check(&file), Ok(()));
    let put = |at: usize, new: &[u8]| {
        let mut bytes = file.clone();
        bytes[at..at + new.len()].copy_from_slice(new);
        bytes
    };
    let word = |at, value: u32| with_crc(put(at, &value.to_le_bytes()));
    let number = |at, value: f32| with_crc(put(at, &value.to_le_bytes()));
    let one_off = AlignedBytes::copy_of(&[&[0], file.as_slice()].concat());
    assert_eq!(
        StaticModel::from_bytes(&one_off.as_slice()[1..]).err(),
        Some(StaticModelError::Misaligned { off: 1 })
    );
    for len in 0..file.len() {
        assert!(check(&file[..len]).is_err());
        // With the length and the CRC put right, too: what follows is missing then.
        let mut cut = file[..len].to_vec();
        if len >= 20 {
            cut[16..20].copy_from_slice(&(len as u32).to_le_bytes());
        }
        assert!(check(&with_crc(cut)).is_err());
    }
    let texts_end = 128 + 48;
    let layer = texts_end + 2 * 32 * 4;
    let weights = layer + 32;
    for (bytes, says) in [
        (put(0, b"ONNX"), "SER-FLAT"),
        (put(8, &[3]), "format version 3"),
        (put(200, &[0x55]), "CRC-32"),
        (
            [file.clone(), vec![0; 16]].concat(),
            "bytes, but the header",
        ),
        (word(20, 7), "precision"),
        (word(24, 0), "feature count"),
        (word(24, 1 << 30), "feature count"),
        (word(28, 33), "selected features"),
        (word(28, 0), "selected features"),
        (word(32, 40), "layers"),
        (word(32, u32::MAX), "layers"),
        (word(36, 0), "classifier layers"),
        (word(36, 2), "ends inside"),
        (word(40, 1), "labels"),
        (word(40, 3), "2 outputs for 3 labels"),
        (number(44, f32::NAN), "temperature"),
        (number(44, 0.0), "temperature"),
        (number(48, -1.0), "clip"),
        (word(52, 0), "layer 0"),
        (word(52, u32::MAX), "texts"),
        (number(56, 1.5), "abstention"),
        (number(56, f32::NAN), "abstention"),
        (word(60, 7_999), "sampling rate"),
        (with_crc(put(112, b"no name")), "segmenter"),
        (with_crc(put(130, &[0xff])), "texts"),
        (number(texts_end, f32::NAN), "offset"),
        (number(texts_end + 128, -1.0), "scale"),
        (word(layer, 31), "reads 31 numbers, gets 32"),
        (word(layer, 0), "0 inputs"),
        (word(layer + 4, u32::MAX), "outputs"),
        (word(layer + 8, 9), "activation"),
        (number(layer + 12, f32::INFINITY), "slope"),
        (number(weights, f32::NAN), "layer 0: weights"),
        (number(weights + 32 * 16 * 4, f32::NAN), "layer 0: biases"),
    ] {
        let error = check(&bytes).expect_err(says).to_string();
        assert!(error.contains(says), "{says}: {error}");
    }

    let int8 = calibrated(&model, &rows(32, 4));
    let put = |at: usize, value: f32| {
        let mut bytes = int8.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        with_crc(bytes)
    };
    for (bytes, says) in [
        (put(layer + 16, 0.0), "layer 0: input step"),
        (put(layer + 16, f32::NAN), "layer 0: input step"),
        (
            put(weights + 32 * 16, f32::INFINITY),
            "layer 0: weight steps",
        ),
    ] {
        let error = check(&bytes).expect_err(says).to_string();
        assert!(error.contains(says), "{says}: {error}");
    }
}

#[test]
fn features_of_another_extractor_are_refused() {
    let names = ser_features::feature_names(ser_features::FeatureSet::Emobase2010);
    let hash = ser_runtime::bundle::names_sha256(&names);
    let mut model = flat_model(&[1582, 3, 2], 1, 5);
    model.feature_set = "emobase2010".into();
    model.extractor_version = ser_features::EXTRACTOR_VERSION.into();
    assert_eq!(model.f32_file().unwrap_err(), StaticModelError::NamesHash);
    for (i, byte) in model.names_sha256.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hash[2 * i..2 * i + 2], 16).unwrap();
    }
    assert!(model.f32_file().is_ok());
    model.extractor_version = "0".into();
    assert_eq!(
        model.f32_file().unwrap_err(),
        StaticModelError::ExtractorVersion
    );
    let mut narrow = flat_model(&[10, 3, 2], 1, 5);
    narrow.feature_set = "emobase2010".into();
    let error = narrow.f32_file().unwrap_err().to_string();
    assert!(error.contains("feature count"), "{error}");
}

#[test]
fn parts_that_do_not_fit_are_not_written() {
    let whole = flat_model(&[10, 4, 2], 1, 5);
    let case = |change: &dyn Fn(&mut FlatModel)| {
        let mut model = whole.clone();
        change(&mut model);
        model.f32_file().unwrap_err().to_string()
    };
    for (error, says) in [
        (
            case(&|m| m.encoder[0].weight.truncate(3)),
            "inputs times outputs",
        ),
        (case(&|m| m.encoder[0].bias.push(0.0)), "one an output"),
        (case(&|m| m.encoder[0].weight[3] = f32::NAN), "not finite"),
        (case(&|m| m.classifier.clear()), "classifier layers"),
        (case(&|m| m.labels.truncate(1)), "labels"),
        (case(&|m| m.labels[0].clear()), "no name"),
        (case(&|m| m.normaliser.offset.truncate(9)), "normaliser"),
        (case(&|m| m.selection = Some(vec![0; 10])), "ascending"),
        (
            case(&|m| {
                m.selection = Some(vec![3; 10]);
                m.feature_count = 20;
            }),
            "ascending",
        ),
    ] {
        assert!(error.contains(says), "{says}: {error}");
    }
    assert!(whole.int8_file(&[1.0]).is_err());
    for range in [0.0, f32::NAN, f32::INFINITY, -1.0] {
        let error = whole.int8_file(&[1.0, range]).unwrap_err().to_string();
        assert!(error.contains("layer 1: range"), "{error}");
    }
}

#[test]
fn rows_of_zeros_and_tiny_weights_become_zeros() {
    let mut model = flat_model(&[10, 4, 2], 1, 5);
    let Dense { weight, .. } = &mut model.encoder[0];
    for (k, w) in weight.iter_mut().enumerate() {
        match k % 4 {
            0 => *w = 0.0,
            1 => *w = f32::from_bits(3),
            _ => {}
        }
    }
    let rows = rows(10, 4);
    let mut engine = OwnedStaticEngine::from_bytes(&calibrated(&model, &rows)).unwrap();
    for row in &rows {
        let code = run(&mut engine, row).0;
        for o in [0, 1] {
            let layer = &model.encoder[0];
            let expected = match layer.activation {
                Activation::LeakyRelu(slope) if layer.bias[o] < 0.0 => layer.bias[o] * slope,
                _ => layer.bias[o],
            };
            assert_eq!(code[o], expected);
        }
    }
}

/// A way to spoil a file.
#[derive(Debug, Clone)]
enum Damage {
    Flip { at: usize, bits: u8 },
    Word { at: usize, value: u32 },
    Truncate { at: usize },
    Splice { from: usize, to: usize, len: usize },
    Insert { at: usize, bytes: Vec<u8> },
}

fn damage() -> impl Strategy<Value = Damage> {
    let value = prop_oneof![
        any::<u32>(),
        0..40_u32,
        Just(u32::MAX),
        Just(f32::NAN.to_bits()),
        Just(f32::MAX.to_bits()),
        Just(f32::NEG_INFINITY.to_bits()),
    ];
    // Mostly among the numbers that say how long things are.
    let at = prop_oneof![0..60_usize, 0..200_usize, any::<usize>()];
    prop_oneof![
        (at.clone(), any::<u8>()).prop_map(|(at, bits)| Damage::Flip { at, bits }),
        (at.clone(), value).prop_map(|(at, value)| Damage::Word { at, value }),
        any::<usize>().prop_map(|at| Damage::Truncate { at }),
        (any::<usize>(), at.clone(), 1..300_usize).prop_map(|(from, to, len)| Damage::Splice {
            from,
            to,
            len
        }),
        (at, prop::collection::vec(any::<u8>(), 1..40))
            .prop_map(|(at, bytes)| Damage::Insert { at, bytes }),
    ]
}

fn spoil(bytes: &mut Vec<u8>, damage: &Damage) {
    let len = bytes.len().max(1);
    match damage {
        Damage::Flip { at, bits } => {
            if let Some(byte) = bytes.get_mut(at % len) {
                *byte ^= bits;
            }
        }
        Damage::Word { at, value } => {
            let at = at % len / 4 * 4;
            if let Some(word) = bytes.get_mut(at..at + 4) {
                word.copy_from_slice(&value.to_le_bytes());
            }
        }
        Damage::Truncate { at } => bytes.truncate(at % len),
        Damage::Splice {
            from,
            to,
            len: count,
        } => {
            let piece: Vec<u8> = bytes
                .iter()
                .skip(from % len)
                .take(*count)
                .copied()
                .collect();
            for (byte, new) in bytes.iter_mut().skip(to % len).zip(piece) {
                *byte = new;
            }
        }
        Damage::Insert { at, bytes: new } => {
            let at = (at % len).min(bytes.len());
            bytes.splice(at..at, new.iter().copied());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Whatever was done to a file: it is refused, or gives an engine that computes or refuses its input. With length and CRC put right,
    /// so that the checks behind them are reached.
    #[test]
    fn damaged_files_never_panic(
        damages in prop::collection::vec(damage(), 0..4),
        int8 in any::<bool>(),
        every in 1..4_usize,
        repair in prop::bool::weighted(0.8),
        feature in any::<f32>(),
    ) {
        let model = flat_model(&[20, 18, 5, 3], every, 5);
        let mut bytes = if int8 {
            model.int8_file(&[10.0, 3.0, 3.0]).unwrap()
        } else {
            model.f32_file().unwrap()
        };
        for damage in &damages {
            spoil(&mut bytes, damage);
        }
        if repair && bytes.len() >= 20 {
            let len = bytes.len() as u32;
            bytes[..8].copy_from_slice(b"SER-FLAT");
            bytes[8..12].copy_from_slice(&1_u32.to_le_bytes());
            bytes[16..20].copy_from_slice(&len.to_le_bytes());
            bytes = with_crc(bytes);
        }
        if let Ok(mut engine) = OwnedStaticEngine::from_bytes(&bytes) {
            let mut code = vec![0.0; engine.code_len()];
            let mut logits = vec![0.0; engine.label_count()];
            let features = vec![feature; engine.feature_count()];
            if engine.encode(&features, &mut code).is_ok() && engine.classify(&code, &mut logits).is_ok() {
                prop_assert!(code.iter().chain(&logits).all(|v| v.is_finite()));
            }
            let _ = engine.classify(&vec![0.5; code.len()], &mut logits);
        }
    }

    #[test]
    fn bytes_at_random_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = check(&bytes);
        let mut led = b"SER-FLAT\x01\0\0\0\0\0\0\0".to_vec();
        led.extend(((bytes.len() + 20) as u32).to_le_bytes());
        led.extend(bytes);
        let _ = check(&with_crc(led));
    }
}
