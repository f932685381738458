//! One bundle, every engine: tract, ONNX Runtime, the static engine and the graphs that burn-onnx imported at build
//! time give the same codes and logits for the same features.
#![recursion_limit = "256"]
#![allow(missing_docs)]

use burn::prelude::*;
use ser_runtime::bundle::Bundle;
use ser_runtime::engine::tract::TractEngine;
use ser_runtime::engine::{Engine, EngineError};
use ser_runtime::model::{EngineKind, Model};
use ser_tests::{fail, onnx_runtime, root, ser_run, ser_train, shared, succeed};

#[allow(clippy::all, unused, unused_qualifications)]
mod encoder {
    include!(concat!(env!("OUT_DIR"), "/model/encoder.rs"));
}
#[allow(clippy::all, unused, unused_qualifications)]
mod classifier {
    include!(concat!(env!("OUT_DIR"), "/model/classifier.rs"));
}

/// The engines may differ by rounding only.
const TOLERANCE: f32 = 1e-4;

fn shipped() -> Bundle {
    Bundle::open(root().join("models/emodb-4class")).expect("the shipped bundle opens")
}

/// Feature vectors spread like real ones: around the training mean, some far outside it.
fn rows(bundle: &Bundle) -> Vec<Vec<f32>> {
    let normaliser = &bundle.manifest.normaliser;
    let mut state = 7u32;
    (0..16)
        .map(|row| {
            let spread = [0.0, 0.5, 1.0, 3.0, 30.0][row % 5];
            normaliser
                .offset
                .iter()
                .zip(&normaliser.scale)
                .map(|(offset, scale)| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let z = (state >> 8) as f32 / (1 << 23) as f32 - 1.0;
                    offset
                        + if *scale == 0.0 {
                            0.0
                        } else {
                            spread * z / scale
                        }
                })
                .collect()
        })
        .collect()
}

fn run(engine: &mut dyn Engine, features: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let mut code = vec![0.0; engine.code_len()];
    let mut logits = vec![0.0; engine.label_count()];
    engine.encode(features, &mut code).expect("encoded");
    engine.classify(&code, &mut logits).expect("classified");
    (code, logits)
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

#[test]
fn burn_onnx_imports_our_graphs_and_agrees_with_tract() {
    let bundle = shipped();
    let mut tract = TractEngine::load(&bundle).expect("tract takes the bundle");
    let device = Device::flex();
    let generated = concat!(env!("OUT_DIR"), "/model");
    let encoder = encoder::Model::from_file(format!("{generated}/encoder.bpk"), &device);
    let classifier = classifier::Model::from_file(format!("{generated}/classifier.bpk"), &device);
    for features in rows(&bundle) {
        let (code, logits) = run(&mut tract, &features);
        let width = features.len();
        let input = Tensor::<2>::from_data(TensorData::new(features, [1, width]), &device);
        let burn_code = encoder.forward(input);
        let (burn_logits, _probabilities) = classifier.forward(burn_code.clone());
        let values = |t: Tensor<2>| t.into_data().try_to_vec::<f32>().expect("f32 output");
        let (burn_code, burn_logits) = (values(burn_code), values(burn_logits));
        assert!(
            difference(&code, &burn_code) <= TOLERANCE,
            "code: {code:?} {burn_code:?}"
        );
        assert!(
            difference(&logits, &burn_logits) <= TOLERANCE,
            "logits: {logits:?} {burn_logits:?}"
        );
    }
}

/// What every engine must do with the same bundle, `tolerance` being how far its logits may be from tract's.
fn parity(kind: EngineKind, tolerance: f32) {
    let bundle = shipped();
    let labels = bundle.manifest.labels.len();
    let rows = rows(&bundle);
    let mut tract = TractEngine::load(&bundle).expect("tract takes the bundle");
    let mut model = Model::new(bundle, kind).unwrap_or_else(|e| panic!("{}: {e}", kind.name()));
    let engine = model.engine();
    assert_eq!(engine.feature_count(), ser_features::FEATURE_COUNT);
    assert_eq!((engine.code_len(), engine.label_count()), (256, labels));
    for row in &rows {
        let (a, b) = (run(&mut tract, row), run(engine, row));
        assert!(
            difference(&a.0, &b.0) <= tolerance && difference(&a.1, &b.1) <= tolerance,
            "{}: code {}, logits {}",
            kind.name(),
            difference(&a.0, &b.0),
            difference(&a.1, &b.1)
        );
        assert_eq!(b, run(engine, row), "the same row twice");
    }
    let (mut code, mut logits) = ([0.0; 256], vec![0.0; labels]);
    let refused = engine.encode(&rows[0][1..], &mut code).unwrap_err();
    assert!(refused.to_string().contains("1581 elements"), "{refused}");
    let refused = engine.classify(&code[1..], &mut logits).unwrap_err();
    assert!(refused.to_string().contains("255 elements"), "{refused}");
    let mut bad = rows[0].clone();
    for value in [f32::NAN, f32::INFINITY] {
        bad[1581] = value;
        let not_finite = EngineError::NotFinite { what: "features" };
        assert_eq!(engine.encode(&bad, &mut code), Err(not_finite));
    }
}

#[test]
fn parity_of_tract() {
    parity(EngineKind::Tract, 0.0);
}

#[test]
fn parity_of_onnx_runtime() {
    if onnx_runtime("ONNX Runtime against tract") {
        parity(EngineKind::Ort, TOLERANCE);
    }
}

#[test]
fn parity_of_static() {
    parity(EngineKind::Static, TOLERANCE);
}

#[test]
fn parity_of_static_int8() {
    // 8-bit weights are an approximation: some tenths of a percent of codes that reach 10 here.
    parity(EngineKind::StaticInt8, 0.1);
}

#[test]
fn a_bundle_without_flat_files_says_how_to_make_them() {
    let mut bundle = shipped();
    bundle.manifest.files.remove("model-int8.ser");
    let error = Model::new(bundle, EngineKind::StaticInt8)
        .err()
        .expect("refused");
    let text = error.to_string();
    assert!(
        text.contains("model-int8.ser") && text.contains("ser-train export"),
        "{text}"
    );
}

/// `ser-train export` as a program: into a copy of the shipped bundle that lacks the files, and into a file of its own.
#[test]
fn exported_files_are_those_of_the_shipped_bundle() {
    let Some(shared) = shared("export calibrated on EMO-DB") else {
        return;
    };
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = |name: &str| folder.path().join(name);
    let source = root().join("models/emodb-4class");
    let read = |name: &str| std::fs::read(source.join(name)).expect(name);
    let mut manifest = shipped().manifest;
    manifest.files.clear();
    let names = ["encoder.onnx", "classifier.onnx", "MODEL_CARD.md"];
    let contents = names.map(read);
    let files: Vec<(&str, &[u8])> = names
        .into_iter()
        .zip(contents.iter().map(Vec::as_slice))
        .collect();
    ser_runtime::bundle::write(at("bundle"), &manifest, &files).expect("bundle written");

    let predict = |engine: &str| {
        let mut command = ser_run();
        command
            .args(["predict", "--engine", engine, "-m"])
            .arg(at("bundle"));
        command.arg(shared.join("data/emodb/EMO03/03a02Wc.flac"));
        command
    };
    assert!(fail(&mut predict("static")).contains("ser-train export"));
    succeed(
        ser_train()
            .args(["corpus", "emodb"])
            .arg(shared.join("data/emodb"))
            .args(["--labels", "angry,happy,neutral,sad", "-o"])
            .arg(at("corpus.csv")),
    );
    succeed(
        ser_train()
            .arg("extract")
            .arg(at("corpus.csv"))
            .arg("-o")
            .arg(at("table.parquet")),
    );
    let export = |more: &[&std::path::Path]| {
        let mut command = ser_train();
        command
            .arg("export")
            .arg(at("bundle"))
            .args(["--engine", "static"])
            .args(more);
        command
    };
    let (int8, calibrate, output) = ("--int8".as_ref(), "--calibrate".as_ref(), "-o".as_ref());
    succeed(&mut export(&[]));
    let report = succeed(&mut export(&[int8, calibrate, &at("table.parquet")]));
    assert!(report.contains("same label for 100.00 %"), "{report}");
    succeed(&mut export(&[
        int8,
        calibrate,
        &at("table.parquet"),
        output,
        &at("alone.ser"),
    ]));
    // The 8-bit file was calibrated on copies with other ends and noise, too, which are not at hand.
    let name = "model-f32.ser";
    assert!(
        std::fs::read(at("bundle").join(name)).expect(name) == read(name),
        "{name} changed"
    );
    assert!(std::fs::read(at("alone.ser")).expect("alone.ser") == read("model-int8.ser"));
    for engine in ["tract", "static", "static-int8"] {
        let line = succeed(&mut predict(engine));
        assert!(line.contains("\"label\":\"angry\""), "{engine}: {line}");
    }
    let narrow = fail(&mut export(&[int8]));
    assert!(narrow.contains("--calibrate"), "{narrow}");
}

#[test]
fn a_flat_file_of_another_model_is_refused() {
    for change in [
        |b: &mut Bundle| b.manifest.id = "0000000000000000".into(),
        |b: &mut Bundle| b.manifest.calibration.temperature += 0.5,
        |b: &mut Bundle| b.manifest.labels.swap(0, 1),
    ] {
        let mut bundle = shipped();
        change(&mut bundle);
        let error = Model::new(bundle, EngineKind::Static)
            .err()
            .expect("refused");
        assert!(error.to_string().contains("another model"), "{error}");
    }
}
