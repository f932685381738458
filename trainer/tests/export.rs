//! Export end to end: graphs, bundle, engines, crash safety.
//!
//! ONNX Runtime takes part where `ORT_DYLIB_PATH` is set, onnx's own checker where `SER_PYTHON` (or
//! `python3`) has the `onnx` package; `cargo xtask test` sees to both.
#![recursion_limit = "256"]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use ser_runtime::bundle::{Bundle, Manifest, Score};
use ser_runtime::normalise::{Normaliser, NormaliserKind};
use ser_trainer::export::bundle::{self, BundleOptions};
use ser_trainer::export::onnx::{self, GraphText};
use ser_trainer::export::onnx_read;
use ser_trainer::model::{Activation, DenseLayer, FitOutcome, HeldOut, TrainedModel};
use ser_trainer::table::{FeatureSetTag, FeatureTable, RowMeta};
use ser_trainer::verify::{EngineKind, Source, Verifier};
use tract_onnx::prelude::{
    Framework, InferenceModelExt, IntoRunnable, IntoTensor, tract_ndarray, tvec,
};

const SLOPE: f32 = 0.01;

fn dense(
    rng: &mut ChaCha8Rng,
    inputs: usize,
    outputs: usize,
    activation: Activation,
) -> DenseLayer {
    let limit = (3.0 / inputs as f32).sqrt();
    DenseLayer {
        inputs,
        outputs,
        weight: (0..inputs * outputs)
            .map(|_| rng.random_range(-limit..limit))
            .collect(),
        bias: (0..outputs).map(|_| rng.random_range(-0.2..0.2)).collect(),
        activation,
    }
}

/// Leaky ReLU between layers of these widths, nothing after the last.
fn chain(rng: &mut ChaCha8Rng, widths: &[usize]) -> Vec<DenseLayer> {
    let last = widths.len().saturating_sub(2);
    let pairs = widths.windows(2).enumerate();
    pairs
        .map(|(i, w)| {
            let activation = if i == last {
                Activation::Linear
            } else {
                Activation::LeakyRelu(SLOPE)
            };
            dense(rng, w[0], w[1], activation)
        })
        .collect()
}

/// Rows whose columns differ in size as features do; column 2 is constant.
fn rows(rng: &mut ChaCha8Rng, count: usize, width: usize) -> Vec<f32> {
    let value = |column: usize| match column {
        2 => 7.5,
        _ => 10f32.powi((column * 5 % 7) as i32 - 3) * rng.random_range(-1.0..3.0),
    };
    (0..count * width).map(|i| i % width).map(value).collect()
}

fn model(
    seed: u64,
    kind: NormaliserKind,
    clip: Option<f32>,
    encoder: &[usize],
    classifier: &[usize],
) -> TrainedModel {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let width = encoder.first().or(classifier.first()).copied().unwrap();
    let training = rows(&mut rng, 40, width);
    TrainedModel {
        normaliser: Normaliser::fit(kind, training.chunks_exact(width), clip).unwrap(),
        encoder: chain(&mut rng, encoder),
        classifier: chain(&mut rng, classifier),
        labels: (0..*classifier.last().unwrap())
            .map(|i| format!("label {i}"))
            .collect(),
    }
}

/// Every shape that training can leave behind.
fn models() -> Vec<(&'static str, TrainedModel)> {
    use NormaliserKind::{MinMax, ZScore};
    let mut mixed = model(6, ZScore, None, &[12, 8, 6, 4], &[4, 5, 3]);
    mixed.encoder[0].activation = Activation::Relu;
    mixed.encoder[1].activation = Activation::Sigmoid;
    mixed.encoder[2].activation = Activation::LeakyRelu(0.0);
    mixed.classifier[0].activation = Activation::LeakyRelu(0.3);
    vec![
        (
            "paper's widths, z-score, clip",
            model(1, ZScore, Some(5.0), &[1582, 1000, 500, 25], &[25, 400, 4]),
        ),
        ("min-max", model(2, MinMax, None, &[30, 20, 2], &[2, 16, 4])),
        (
            "min-max with clip",
            model(3, MinMax, Some(0.5), &[30, 20, 2], &[2, 16, 4]),
        ),
        ("empty encoder", model(4, ZScore, None, &[], &[50, 20, 5])),
        (
            "empty encoder with clip",
            model(5, ZScore, Some(1.0), &[], &[50, 20, 5]),
        ),
        ("all activations", mixed),
        (
            "linear all through",
            model(7, ZScore, None, &[9, 3], &[3, 2]),
        ),
    ]
}

fn outcome(model: TrainedModel) -> FitOutcome {
    let mut rng = ChaCha8Rng::seed_from_u64(99);
    let (width, classes) = (model.normaliser.offset.len(), model.labels.len());
    let values = rows(&mut rng, 24, width);
    let logits = model.logits(&values).unwrap();
    let labels = (0..24).map(|i| i % classes).collect();
    FitOutcome {
        rows: values,
        feature_set: "custom".into(),
        hearing: None,
        feature_names: (0..width).map(|i| format!("feature {i}")).collect(),
        sample_rates: vec![16_000, 44_100],
        held_out: Some(HeldOut {
            source: "speakers a, b".into(),
            logits,
            labels,
        }),
        metrics: Vec::new(),
        config: serde_json::json!({ "seed": 1 }),
        data: serde_json::json!({ "rows_by_label": { "label 0": 20, "label 1": 30 }, "speakers": ["a", "b"] }),
        scores: vec![Score {
            protocol: "validation".into(),
            metric: "UAR".into(),
            value: 0.75,
            std: None,
            detail: serde_json::json!({ "labels": ["label 0", "label 1"], "confusion": [[15, 5], [15, 15]] }),
        }],
        versions: BTreeMap::from([("ser-trainer".into(), "test".into())]),
        model,
    }
}

fn options() -> BundleOptions {
    BundleOptions {
        name: "test".into(),
        command: "ser-train fit table.parquet -o out".into(),
        created: Some(1_700_000_000),
        ..Default::default()
    }
}

fn engines() -> Vec<EngineKind> {
    let mut engines = vec![EngineKind::Tract, EngineKind::Burn];
    if std::env::var_os("ORT_DYLIB_PATH").is_some() {
        engines.push(EngineKind::Ort);
    } else {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: ONNX Runtime takes no part, since ORT_DYLIB_PATH is not set (cargo xtask test sets it)"
        );
    }
    engines
}

#[test]
fn engines_agree_on_every_shape_of_model() {
    let engines = engines();
    for (name, model) in models() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bundle");
        bundle::write(&path, &outcome(model), &options()).unwrap();
        let bundle = Bundle::open(&path).unwrap();
        let width = bundle.manifest.feature_set.count;
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let source = Source {
            name: name.into(),
            values: rows(&mut rng, 6, width),
        };
        let differences = Verifier::load(&bundle, &engines)
            .unwrap()
            .compare(&source)
            .unwrap();
        assert_eq!(differences.len(), engines.len() * (engines.len() - 1) / 2);
        for d in differences {
            assert_eq!(d.rows, 6);
            let most = d.code.max(d.logits).max(d.probabilities);
            assert!(most <= 1e-5, "{name}: {d:?}");
        }
    }
}

/// `ser-train verify` as a program: exit status, standard output, standard error.
fn ser_train_verify(
    arguments: &[&std::ffi::OsStr],
    onnx_runtime: Option<&str>,
) -> (bool, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ser-train"));
    command.arg("verify").args(arguments);
    if let Some(library) = onnx_runtime {
        command.env("ORT_DYLIB_PATH", library);
    }
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.success(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn the_program_compares_tables_and_says_what_it_lacks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bundle");
    let fitted = outcome(models().remove(1).1);
    bundle::write(&path, &fitted, &options()).unwrap();
    let width = fitted.feature_names.len();
    let meta = |i: usize| RowMeta {
        path: format!("{i}.wav"),
        corpus: "test".into(),
        speaker: "a".into(),
        session: None,
        gender: None,
        emotion: "label 0".into(),
        sample_rate: None,
        start_s: None,
        duration_s: None,
        copy: None,
    };
    let mut table = FeatureTable {
        feature_set: FeatureSetTag::custom(),
        names: fitted.feature_names.clone(),
        rows: 4,
        values: rows(&mut ChaCha8Rng::seed_from_u64(5), 4, width),
        meta: (0..4).map(meta).collect(),
    };
    let good = dir.path().join("good.csv");
    table.write(&good).unwrap();
    table.names[6] = "another".into();
    let bad = dir.path().join("bad.parquet");
    table.write(&bad).unwrap();

    let (bundle, good, bad) = (path.as_os_str(), good.as_os_str(), bad.as_os_str());
    let two = ["--engines".as_ref(), "tract,burn".as_ref()];
    let (ok, out, err) =
        ser_train_verify(&[bundle, "--features".as_ref(), good, two[0], two[1]], None);
    assert!(
        ok && out.contains("tract – burn") && out.contains("the engines agree"),
        "{out}{err}"
    );

    let (ok, _, err) =
        ser_train_verify(&[bundle, "--features".as_ref(), bad, two[0], two[1]], None);
    assert!(
        !ok && err.contains("column 7") && err.contains("another") && err.contains("feature 6"),
        "{err}"
    );

    // The default asks for ONNX Runtime: without it there is no silent comparison of the other two.
    let (ok, _, err) = ser_train_verify(
        &[bundle, "--features".as_ref(), good],
        Some("/no/such/library.so"),
    );
    let hints = [
        "ONNX Runtime",
        "pip install onnxruntime",
        "ORT_DYLIB_PATH",
        "--engines tract,burn",
    ];
    assert!(!ok && hints.iter().all(|hint| err.contains(hint)), "{err}");

    let (ok, _, err) = ser_train_verify(&[bundle, "a.wav".as_ref(), two[0], two[1]], None);
    assert!(!ok && err.contains("--features TABLE"), "{err}");
}

#[test]
fn a_batch_of_rows_gives_what_single_rows_give() {
    for (name, model) in models() {
        let (width, classes) = (model.normaliser.offset.len(), model.labels.len());
        let values = rows(&mut ChaCha8Rng::seed_from_u64(8), 5, width);
        let temperature = 1.7;
        let text = GraphText::default();
        let encoder = onnx::encoder(&model, &text).unwrap();
        let classifier = onnx::classifier(&model, temperature, &text).unwrap();
        let code = run_tract(&encoder, &values, width).remove(0);
        assert_close(name, &code, &model.encode(&values).unwrap());
        let outputs = run_tract(&classifier, &code, code.len() / 5);
        let logits = model.logits(&values).unwrap();
        assert_close(name, &outputs[0], &logits);
        let mut expected = Vec::new();
        for row in logits.chunks_exact(classes) {
            let e: Vec<f64> = row
                .iter()
                .map(|&z| (f64::from(z) / f64::from(temperature)).exp())
                .collect();
            expected.extend(e.iter().map(|v| (v / e.iter().sum::<f64>()) as f32));
        }
        assert_close(name, &outputs[1], &expected);
    }
}

/// All outputs of an ONNX graph with one input `[rows, width]`, the batch left free.
fn run_tract(graph: &[u8], values: &[f32], width: usize) -> Vec<Vec<f32>> {
    let model = tract_onnx::onnx().model_for_read(&mut &*graph).unwrap();
    let runnable = model.into_optimized().unwrap().into_runnable().unwrap();
    let input =
        tract_ndarray::Array2::from_shape_vec((values.len() / width, width), values.to_vec())
            .unwrap();
    let outputs = runnable.run(tvec!(input.into_tensor().into())).unwrap();
    outputs
        .iter()
        .map(|o| {
            o.to_plain_array_view::<f32>()
                .unwrap()
                .iter()
                .copied()
                .collect()
        })
        .collect()
}

fn assert_close(name: &str, a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len(), "{name}");
    let most = a
        .iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(most <= 1e-5, "{name}: off by {most}");
}

#[test]
fn files_read_back_as_the_model_that_was_written() {
    for (name, mut model) in models() {
        let text = GraphText::default();
        let encoder = onnx::encoder(&model, &text).unwrap();
        let classifier = onnx::classifier(&model, 0.8, &text).unwrap();
        let (back, temperature) = onnx_read::read(&encoder, &classifier).unwrap();
        for layer in model.encoder.iter_mut().chain(&mut model.classifier) {
            // The same function, written as the simpler of the two.
            if layer.activation == Activation::LeakyRelu(0.0) {
                layer.activation = Activation::Relu;
            }
        }
        assert_eq!(temperature, 0.8, "{name}");
        assert_eq!(back.normaliser, model.normaliser, "{name}");
        assert_eq!(back.encoder, model.encoder, "{name}");
        assert_eq!(back.classifier, model.classifier, "{name}");
        assert_eq!(back.labels, model.labels, "{name}");
        assert!(
            onnx_read::read(&classifier, &encoder).is_err(),
            "{name}: swapped files"
        );
        assert!(
            onnx_read::read(&encoder[..encoder.len() / 2], &classifier).is_err(),
            "{name}: truncated"
        );
    }
}

#[test]
fn a_constant_column_has_no_influence() {
    let model = model(2, NormaliserKind::MinMax, None, &[30, 20, 2], &[2, 16, 4]);
    assert_eq!(model.normaliser.scale[2], 0.0);
    let graph = onnx::encoder(&model, &GraphText::default()).unwrap();
    let mut row = rows(&mut ChaCha8Rng::seed_from_u64(3), 1, 30);
    let before = run_tract(&graph, &row, 30);
    row[2] = -1e6;
    assert_eq!(run_tract(&graph, &row, 30), before);
    row[3] *= 2.0;
    assert_ne!(run_tract(&graph, &row, 30), before);
}

#[test]
fn onnx_checker_passes_every_graph() {
    let python = std::env::var("SER_PYTHON").unwrap_or_else(|_| "python3".into());
    let has_onnx = Command::new(&python)
        .args(["-c", "import onnx"])
        .output()
        .is_ok_and(|o| o.status.success());
    if !has_onnx {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: {python} has no onnx package (cargo xtask test installs it and sets SER_PYTHON)"
        );
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for (i, (_, model)) in models().iter().enumerate() {
        let text = GraphText {
            description: "A test.".into(),
            metadata: vec![("key".into(), "value".into())],
        };
        for (kind, bytes) in [
            ("encoder", onnx::encoder(model, &text).unwrap()),
            ("classifier", onnx::classifier(model, 1.25, &text).unwrap()),
        ] {
            let path = dir.path().join(format!("{kind}{i}.onnx"));
            fs::write(&path, bytes).unwrap();
            paths.push(path);
        }
    }
    let script = "
import sys, onnx
for path in sys.argv[1:]:
    m = onnx.load(path)
    onnx.checker.check_model(m, full_check=True)
    assert m.ir_version == 8 and m.opset_import[0].version == 18, path
    assert m.producer_name == 'ser-trainer' and m.producer_version and m.doc_string and m.graph.doc_string, path
    assert {p.key for p in m.metadata_props} > {'key'}, path
    for v in list(m.graph.input) + list(m.graph.output):
        d = v.type.tensor_type.shape.dim
        assert d[0].dim_param == 'N' and d[1].dim_value > 0, (path, v)
    ops = {n.op_type for n in m.graph.node}
    assert ops <= {'Sub', 'Mul', 'Clip', 'Gemm', 'LeakyRelu', 'Relu', 'Sigmoid', 'Div', 'Softmax'}, ops
";
    let output = Command::new(&python)
        .arg("-c")
        .arg(script)
        .args(&paths)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_manifest_holds_what_the_training_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bundle");
    let (_, model) = models().remove(1);
    let fitted = outcome(model.clone());
    let written = bundle::write(&path, &fitted, &options()).unwrap();
    let Bundle {
        manifest, encoder, ..
    } = Bundle::open(&path).unwrap();
    assert_eq!(manifest, written);
    let Manifest {
        name,
        created,
        labels,
        normaliser,
        sample_rates,
        calibration,
        training,
        data,
        scores,
        ..
    } = manifest;
    assert_eq!(
        (name.as_str(), created.as_str()),
        ("test", "2023-11-14T22:13:20Z")
    );
    assert_eq!(
        (labels, normaliser),
        (model.labels.clone(), model.normaliser.clone())
    );
    assert_eq!(
        (sample_rates, training, data),
        (fitted.sample_rates, fitted.config, fitted.data)
    );
    assert_eq!(scores, fitted.scores);
    assert!(calibration.temperature > 0.0 && calibration.fitted_on.contains("speakers a, b"));
    assert_eq!(encoder, fs::read(path.join("encoder.onnx")).unwrap());
    assert!(manifest.files.contains_key("MODEL_CARD.md"));

    let card = fs::read_to_string(path.join("MODEL_CARD.md")).unwrap();
    for part in [
        "# Model card: test",
        &manifest.id,
        "| label 0 | 20 | 40 % |",
        "| label 0 | 0.750 | 0.500 | 0.600 | 20 |",
        "| label 1 | 15 | 15 |",
        "ser-train fit table.parquet -o out",
        "## Limits",
        "## Uses not intended",
        "## Licence",
        "16000 Hz, 44100 Hz",
    ] {
        assert!(card.contains(part), "{part:?} is missing from\n{card}");
    }
}

#[test]
fn the_same_outcome_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let read = |name: &str| {
        let path = dir.path().join(name);
        bundle::write(&path, &outcome(models().remove(2).1), &options()).unwrap();
        files(&path)
    };
    let (a, b) = (read("a"), read("b"));
    assert!(a.len() >= 4);
    assert_eq!(a, b);
}

/// Name and content of every file of a folder.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap());
    entries
        .map(|e| {
            (
                e.file_name().into_string().unwrap(),
                fs::read(e.path()).unwrap(),
            )
        })
        .collect()
}

#[test]
fn a_failed_export_leaves_the_earlier_bundle_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bundle");
    let good = outcome(models().remove(1).1);
    bundle::write(&path, &good, &options()).unwrap();
    let before = files(&path);

    let mut diverged = good.clone();
    diverged.model.encoder[0].weight[3] = f32::NAN;
    let error = bundle::write(&path, &diverged, &options())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("encoder layer 0") && error.contains("element 3"),
        "{error}"
    );

    let mut twice = good.clone();
    twice.model.labels[1] = twice.model.labels[0].clone();
    assert!(
        bundle::write(&path, &twice, &options())
            .unwrap_err()
            .to_string()
            .contains("labels")
    );

    // 1582 columns, but not those of the set that they are said to be.
    let mut renamed = outcome(models().remove(0).1);
    renamed.feature_set = "emobase2010".into();
    let error = bundle::write(&path, &renamed, &options())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("names hash") && error.contains("emobase2010"),
        "{error}"
    );

    assert_eq!(files(&path), before);
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        1,
        "nothing is left beside the bundle"
    );

    // A folder that is no bundle, and a target below a file.
    let other = dir.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("notes.txt"), "keep").unwrap();
    assert!(bundle::write(&other, &good, &options()).is_err());
    assert_eq!(fs::read(other.join("notes.txt")).unwrap(), b"keep");
    assert!(bundle::write(&other.join("notes.txt/bundle"), &good, &options()).is_err());
}

#[test]
fn one_changed_byte_is_refused_by_file_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bundle");
    bundle::write(&path, &outcome(models().remove(1).1), &options()).unwrap();
    for name in [
        "encoder.onnx",
        "classifier.onnx",
        "model-f32.ser",
        "model-int8.ser",
        "MODEL_CARD.md",
    ] {
        let file = path.join(name);
        let mut bytes = fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&file, &bytes).unwrap();
        let error = Bundle::open(&path).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
        bytes[middle] ^= 1;
        fs::write(&file, &bytes).unwrap();
        Bundle::open(&path).unwrap();
    }
}
