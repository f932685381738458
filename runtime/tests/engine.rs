//! Engines: the same numbers as the model computed by hand, the same numbers from each other, and no graph that is not the manifest's.

mod common;

use std::io::Write as _;
use std::path::Path;

use common::Random;
use common::tiny::{LABELS, Tiny, Writer};
use ser_runtime::bundle::{self, Bundle, Manifest};
use ser_runtime::engine::tract::TractEngine;
use ser_runtime::engine::{Engine, EngineError, LoadError};
use ser_runtime::prediction::softmax;

/// Largest difference between engines, and between an engine and the model by hand, that passes.
const TOLERANCE: f64 = 1e-5;

fn open(tiny: &Tiny, dir: &Path) -> Bundle {
    tiny.write(dir);
    Bundle::open(dir).unwrap()
}

fn rows(width: usize) -> Vec<Vec<f32>> {
    let mut random = Random::new(11);
    // The last rows reach the clip of the normaliser.
    [1.0, 3.0, 10.0, 1e6]
        .iter()
        .map(|scale| (0..width).map(|_| random.float() * scale).collect())
        .collect()
}

fn compare(engine: &mut dyn Engine, tiny: &Tiny) {
    let width = tiny.normaliser.offset.len();
    assert_eq!(
        (
            engine.feature_count(),
            engine.code_len(),
            engine.label_count()
        ),
        (width, 5, LABELS.len())
    );
    let (mut code, mut logits) = (vec![0.0; 5], vec![0.0; LABELS.len()]);
    for row in rows(width) {
        let (code_by_hand, logits_by_hand) = tiny.by_hand(&row);
        engine.encode(&row, &mut code).unwrap();
        engine.classify(&code, &mut logits).unwrap();
        for (found, expected) in code
            .iter()
            .zip(code_by_hand)
            .chain(logits.iter().zip(logits_by_hand))
        {
            assert!(
                (f64::from(*found) - expected).abs() < TOLERANCE * (1.0 + expected.abs()),
                "{found} instead of {expected}"
            );
        }
    }
    let short = engine.encode(&[0.0], &mut code);
    assert_eq!(
        short,
        Err(EngineError::Width {
            what: "features",
            found: 1,
            expected: width
        })
    );
    let wide = engine.classify(&code, &mut [0.0; 4]);
    assert_eq!(
        wide,
        Err(EngineError::Width {
            what: "logits",
            found: 4,
            expected: 3
        })
    );
    let nan = engine.encode(&vec![f32::NAN; width], &mut code);
    assert_eq!(nan, Err(EngineError::NotFinite { what: "features" }));
}

#[test]
fn tract_equals_the_model_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    for width in [4, 1582] {
        let tiny = Tiny::new(width, 21);
        let bundle = open(&tiny, &folder.path().join(width.to_string()));
        compare(&mut TractEngine::load(&bundle).unwrap(), &tiny);
    }
}

#[cfg(feature = "ort")]
#[test]
fn onnx_runtime_equals_the_model_by_hand_and_tract() {
    use ser_runtime::engine::ort::{LIBRARY_VARIABLE, OrtEngine};
    if std::env::var_os(LIBRARY_VARIABLE).is_none() {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: parity of tract and ONNX Runtime, since {LIBRARY_VARIABLE} is not set"
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let tiny = Tiny::new(1582, 22);
    let bundle = open(&tiny, &folder.path().join("model"));
    let (mut ort, mut tract) = (
        OrtEngine::load(&bundle).unwrap(),
        TractEngine::load(&bundle).unwrap(),
    );
    compare(&mut ort, &tiny);
    let mut logits = [[0.0_f32; 3]; 2];
    let mut largest = 0.0_f32;
    for row in rows(1582) {
        for (engine, logits) in [&mut ort as &mut dyn Engine, &mut tract]
            .into_iter()
            .zip(&mut logits)
        {
            let mut code = [0.0; 5];
            engine.encode(&row, &mut code).unwrap();
            engine.classify(&code, logits).unwrap();
        }
        largest = logits[0]
            .iter()
            .zip(logits[1])
            .map(|(a, b)| (a - b).abs())
            .fold(largest, f32::max);
    }
    eprintln!("largest difference of logits between tract and ONNX Runtime: {largest:e}");
    assert!(largest < 1e-4);
    for case in mismatches() {
        let dir = folder.path().join(case.name);
        let error = OrtEngine::load(&case.write(&dir))
            .err()
            .expect(case.name)
            .to_string();
        assert!(error.contains(case.says), "{}: {error}", case.name);
    }
}

/// A bundle that passes every check of files and manifest, but whose graphs are others than it says.
struct Mismatch {
    name: &'static str,
    says: &'static str,
    manifest: Manifest,
    encoder: Vec<u8>,
    classifier: Vec<u8>,
}

impl Mismatch {
    fn write(&self, dir: &Path) -> Bundle {
        bundle::write(
            dir,
            &self.manifest,
            &[
                ("encoder.onnx", &self.encoder),
                ("classifier.onnx", &self.classifier),
            ],
        )
        .unwrap();
        Bundle::open(dir).unwrap()
    }
}

fn mismatches() -> Vec<Mismatch> {
    let tiny = Tiny::new(4, 5);
    let case = |name, says, change: &dyn Fn(&mut Mismatch)| {
        let (manifest, encoder, classifier) = (tiny.manifest(), tiny.encoder(), tiny.classifier());
        let mut case = Mismatch {
            name,
            says,
            manifest,
            encoder,
            classifier,
        };
        change(&mut case);
        case
    };
    vec![
        case("input-name", "input", &|c| {
            c.manifest.encoder.input = "feats".to_owned()
        }),
        case("output-name", "\"z\"", &|c| {
            c.manifest.encoder.output = "z".to_owned()
        }),
        case("logits-name", "\"scores\"", &|c| {
            c.manifest.classifier.logits = "scores".to_owned()
        }),
        case("input-width", "4 floats", &|c| {
            c.encoder = Tiny::new(6, 5).encoder()
        }),
        case("code-width", "6 floats", &|c| {
            c.manifest.encoder.output_dim = 6;
            c.manifest.classifier.input_dim = 6;
        }),
        case("swapped-outputs", "softmax", &|c| {
            let classifier = &mut c.manifest.classifier;
            std::mem::swap(&mut classifier.logits, &mut classifier.probabilities);
        }),
        case("temperature", "calibration", &|c| {
            c.manifest.calibration.temperature = 1.0
        }),
        case("not-onnx", "classifier.onnx", &|c| {
            c.classifier = b"this is not a graph".to_vec()
        }),
        case("empty", "classifier.onnx", &|c| c.classifier = Vec::new()),
        case("unknown-output", "encoder.onnx", &|c| {
            let mut graph = Writer::new("features", 4);
            graph.output("code", 5);
            c.encoder = graph.finish();
        }),
        case("unknown-operator", "encoder.onnx", &|c| {
            let mut graph = Writer::new("features", 4);
            graph.node("Conjure", &["features"], "code", vec![]);
            graph.output("code", 5);
            c.encoder = graph.finish();
        }),
        case("outside-weights", "another file", &|c| {
            use prost::Message;
            let mut model = tract_onnx::pb::ModelProto::decode(c.encoder.as_slice()).unwrap();
            let tensor = &mut model.graph.as_mut().unwrap().initializer[0];
            tensor.raw_data.clear();
            tensor.data_location =
                Some(tract_onnx::pb::tensor_proto::DataLocation::External as i32);
            let entry = |key: &str, value: &str| tract_onnx::pb::StringStringEntryProto {
                key: key.to_owned(),
                value: value.to_owned(),
            };
            tensor.external_data = vec![entry("location", "/etc/hostname"), entry("length", "16")];
            c.encoder = model.encode_to_vec();
        }),
    ]
}

#[test]
fn tract_refuses_graphs_that_are_not_the_manifests() {
    let folder = tempfile::tempdir().unwrap();
    for case in mismatches() {
        let bundle = case.write(&folder.path().join(case.name));
        let error = TractEngine::load(&bundle).err().expect(case.name);
        assert!(
            matches!(
                error,
                LoadError::Graph { .. } | LoadError::Calibration { .. }
            ),
            "{}: {error}",
            case.name
        );
        let text = error.to_string();
        assert!(
            text.contains(case.says) && text.contains(case.name),
            "{}: {text}",
            case.name
        );
    }
}

#[test]
fn hostile_graphs_never_get_past_loading_with_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = Tiny::new(4, 5);
    let mut bundle = open(&tiny, &folder.path().join("model"));
    let whole = bundle.encoder.clone();
    let mut random = Random::new(17);
    let mut refused = 0;
    for _ in 0..400 {
        bundle.encoder = whole.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(bundle.encoder.len());
            bundle.encoder[at] = random.below(256) as u8;
        }
        bundle
            .encoder
            .truncate(whole.len() - random.below(2) * random.below(whole.len()));
        match TractEngine::load(&bundle) {
            Ok(mut engine) => drop(engine.encode(&[0.5; 4], &mut [0.0; 5])),
            Err(_) => refused += 1,
        }
    }
    assert!(
        refused > 100,
        "only {refused} of 400 damaged graphs were refused"
    );
}

#[test]
fn probabilities_of_the_graph_are_those_of_the_logits() {
    // What `check_calibration` compares, seen from outside: a temperature that is right to three digits passes, the others above do not.
    let folder = tempfile::tempdir().unwrap();
    let tiny = Tiny::new(4, 5);
    let bundle = open(&tiny, &folder.path().join("model"));
    let mut engine = TractEngine::load(&bundle).unwrap();
    let (mut code, mut logits) = ([0.0; 5], [0.0; 3]);
    engine.encode(&[1.0, -1.0, 2.0, 0.0], &mut code).unwrap();
    engine.classify(&code, &mut logits).unwrap();
    softmax(&mut logits, bundle.manifest.calibration.temperature);
    assert!(
        (logits.iter().sum::<f32>() - 1.0).abs() < 1e-6
            && logits.iter().all(|p| (0.0..=1.0).contains(p))
    );
}
