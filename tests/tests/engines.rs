//! One bundle, every engine: tract, ONNX Runtime and the graphs that burn-onnx imported at build
//! time give the same codes and logits for the same features.
#![recursion_limit = "256"]
#![allow(missing_docs)]

use burn::prelude::*;
use ser_runtime::bundle::Bundle;
use ser_runtime::engine::Engine;
use ser_runtime::engine::tract::TractEngine;
use ser_tests::{onnx_runtime, root};

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

#[test]
fn onnx_runtime_agrees_with_tract() {
    if !onnx_runtime("ONNX Runtime against tract") {
        return;
    }
    let bundle = shipped();
    let mut tract = TractEngine::load(&bundle).expect("tract takes the bundle");
    let mut ort =
        ser_runtime::engine::ort::OrtEngine::load(&bundle).expect("ONNX Runtime takes the bundle");
    for features in rows(&bundle) {
        let (a, b) = (run(&mut tract, &features), run(&mut ort, &features));
        assert!(
            difference(&a.0, &b.0) <= TOLERANCE && difference(&a.1, &b.1) <= TOLERANCE,
            "{a:?} {b:?}"
        );
    }
}
