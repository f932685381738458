//! A tiny model: a bundle with hand-written graphs, and the same model computed by hand.

use std::path::Path;

use prost::Message;
use ser_features::FeatureSet;
use ser_runtime::bundle::{
    self, Calibration, ClassifierInfo, EncoderInfo, FORMAT_VERSION, FeatureSetInfo, Manifest,
    Producer,
};
use ser_runtime::hearing::Hearing;
use ser_runtime::normalise::{Normaliser, NormaliserKind};
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, attribute_proto, tensor_proto, type_proto,
};

use super::{Random, by_level};

pub const LABELS: [&str; 3] = ["angry", "calm", "sad"];
const SLOPE: f32 = 0.01;

/// Two dense layers: features -> leaky code -> logits.
#[derive(Clone)]
pub struct Tiny {
    pub normaliser: Normaliser,
    pub code: usize,
    pub weights: [Vec<f32>; 2],
    pub biases: [Vec<f32>; 2],
    pub temperature: f32,
}

impl Tiny {
    /// A model of `features` features with weights from a fixed seed.
    pub fn new(features: usize, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let code = 5;
        let mut vector =
            |len: usize, scale: f32| (0..len).map(|_| random.float() * scale).collect::<Vec<_>>();
        let weight = (1.0 / features as f32).sqrt();
        Self {
            normaliser: Normaliser {
                kind: NormaliserKind::ZScore,
                offset: vector(features, 2.0),
                scale: vector(features, 0.5).iter().map(|v| v.abs()).collect(),
                clip: Some(10.0),
            },
            code,
            weights: [
                vector(features * code, weight),
                vector(code * LABELS.len(), 1.0),
            ],
            biases: [vector(code, 0.1), vector(LABELS.len(), 0.1)],
            temperature: 1.7,
        }
    }

    /// Code and logits of one row, in double precision, step by step.
    pub fn by_hand(&self, features: &[f32]) -> (Vec<f64>, Vec<f64>) {
        let dense = |input: &[f64], layer: usize, outputs: usize| -> Vec<f64> {
            (0..outputs)
                .map(|o| {
                    let sum: f64 = input
                        .iter()
                        .enumerate()
                        .map(|(i, v)| v * f64::from(self.weights[layer][i * outputs + o]))
                        .sum();
                    sum + f64::from(self.biases[layer][o])
                })
                .collect()
        };
        let Normaliser { offset, scale, .. } = &self.normaliser;
        let normalised: Vec<f64> = features
            .iter()
            .zip(offset)
            .zip(scale)
            .map(|((x, o), s)| ((f64::from(*x) - f64::from(*o)) * f64::from(*s)).clamp(-10.0, 10.0))
            .collect();
        let leaky = |v: f64| if v < 0.0 { v * f64::from(SLOPE) } else { v };
        let code: Vec<f64> = dense(&normalised, 0, self.code)
            .into_iter()
            .map(leaky)
            .collect();
        let logits = dense(&code, 1, LABELS.len());
        (code, logits)
    }

    pub fn encoder(&self) -> Vec<u8> {
        let width = self.normaliser.offset.len();
        let mut graph = Writer::new("features", width);
        graph.constant("offset", &[width], &self.normaliser.offset);
        graph.constant("scale", &[width], &self.normaliser.scale);
        graph.constant("low", &[], &[-10.0]);
        graph.constant("high", &[], &[10.0]);
        graph.constant("w", &[width, self.code], &self.weights[0]);
        graph.constant("b", &[self.code], &self.biases[0]);
        graph.node("Sub", &["features", "offset"], "centred", vec![]);
        graph.node("Mul", &["centred", "scale"], "scaled", vec![]);
        graph.node("Clip", &["scaled", "low", "high"], "clipped", vec![]);
        graph.node("Gemm", &["clipped", "w", "b"], "dense", vec![]);
        graph.node("LeakyRelu", &["dense"], "code", vec![float("alpha", SLOPE)]);
        graph.output("code", self.code);
        graph.finish()
    }

    pub fn classifier(&self) -> Vec<u8> {
        let mut graph = Writer::new("code", self.code);
        graph.constant("w", &[self.code, LABELS.len()], &self.weights[1]);
        graph.constant("b", &[LABELS.len()], &self.biases[1]);
        graph.constant("temperature", &[], &[self.temperature]);
        graph.node("Gemm", &["code", "w", "b"], "logits", vec![]);
        graph.node("Div", &["logits", "temperature"], "cooled", vec![]);
        graph.node(
            "Softmax",
            &["cooled"],
            "probabilities",
            vec![int("axis", -1)],
        );
        // Probabilities first: engines must go by name, not by position.
        graph.output("probabilities", LABELS.len());
        graph.output("logits", LABELS.len());
        graph.finish()
    }

    /// The manifest; names of a set made elsewhere where the width is not that of emobase2010.
    pub fn manifest(&self) -> Manifest {
        let count = self.normaliser.offset.len();
        let feature_set = if count == ser_features::FEATURE_COUNT {
            FeatureSetInfo::built_in(FeatureSet::Emobase2010)
        } else {
            FeatureSetInfo::new(
                "elsewhere",
                &(0..count).map(|i| format!("f{i}")).collect::<Vec<_>>(),
            )
        };
        Manifest {
            format_version: FORMAT_VERSION,
            id: String::new(),
            name: "tiny".to_owned(),
            created: "2026-01-01T00:00:00Z".to_owned(),
            producer: Producer {
                name: "tests".to_owned(),
                version: "0".to_owned(),
            },
            feature_set,
            labels: LABELS.map(str::to_owned).to_vec(),
            normaliser: self.normaliser.clone(),
            sample_rates: vec![16_000],
            hearing: Some(
                Hearing {
                    sample_rate: Some(16_000),
                    cut: Some(by_level()),
                }
                .into(),
            ),
            audio: "features are taken at the recording's own rate".to_owned(),
            encoder: EncoderInfo {
                file: "encoder.onnx".to_owned(),
                input: "features".to_owned(),
                output: "code".to_owned(),
                input_dim: count,
                output_dim: self.code,
                opset: 18,
            },
            classifier: ClassifierInfo {
                file: "classifier.onnx".to_owned(),
                input: "code".to_owned(),
                logits: "logits".to_owned(),
                probabilities: "probabilities".to_owned(),
                input_dim: self.code,
                output_dim: LABELS.len(),
                opset: 18,
            },
            calibration: Calibration {
                temperature: self.temperature,
                fitted_on: "nothing".to_owned(),
                ece_before: Some(0.1),
                ece_after: None,
                abstain: None,
            },
            training: serde_json::json!({"seed": 1}),
            data: serde_json::json!({"rows": 0}),
            scores: vec![],
            versions: [("tests".to_owned(), "0".to_owned())].into(),
            files: [].into(),
        }
    }

    /// Writes the bundle and returns its completed manifest.
    pub fn write(&self, dir: &Path) -> Manifest {
        let (encoder, classifier) = (self.encoder(), self.classifier());
        let files: [(&str, &[u8]); 3] = [
            ("encoder.onnx", &encoder),
            ("classifier.onnx", &classifier),
            ("MODEL_CARD.md", b"# tiny\n"),
        ];
        bundle::write(dir, &self.manifest(), &files).unwrap()
    }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        r#type: attribute_proto::AttributeType::Float as i32,
        f: value,
        ..Default::default()
    }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        r#type: attribute_proto::AttributeType::Int as i32,
        i: value,
        ..Default::default()
    }
}

/// Just enough of an ONNX writer for [`Tiny`]; the trainer has the real one.
pub struct Writer(GraphProto);

impl Writer {
    pub fn new(input: &str, width: usize) -> Self {
        Self(GraphProto {
            name: "tiny".to_owned(),
            input: vec![port(input, width)],
            ..Default::default()
        })
    }

    pub fn constant(&mut self, name: &str, dims: &[usize], values: &[f32]) {
        self.0.initializer.push(TensorProto {
            name: name.to_owned(),
            dims: dims.iter().map(|&d| d as i64).collect(),
            data_type: tensor_proto::DataType::Float as i32,
            raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            ..Default::default()
        });
    }

    pub fn node(
        &mut self,
        op: &str,
        inputs: &[&str],
        output: &str,
        attribute: Vec<AttributeProto>,
    ) {
        self.0.node.push(NodeProto {
            name: format!("{op}_{output}"),
            op_type: op.to_owned(),
            input: inputs.iter().map(|&i| i.to_owned()).collect(),
            output: vec![output.to_owned()],
            attribute,
            ..Default::default()
        });
    }

    pub fn output(&mut self, name: &str, width: usize) {
        self.0.output.push(port(name, width));
    }

    pub fn finish(self) -> Vec<u8> {
        ModelProto {
            ir_version: 8,
            producer_name: "tests".to_owned(),
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: 18,
            }],
            graph: Some(self.0),
            ..Default::default()
        }
        .encode_to_vec()
    }
}

/// `[N, width]` floats.
fn port(name: &str, width: usize) -> ValueInfoProto {
    let dim = [
        dimension::Value::DimParam("N".to_owned()),
        dimension::Value::DimValue(width as i64),
    ]
    .map(|value| Dimension {
        value: Some(value),
        ..Default::default()
    });
    let tensor = type_proto::Tensor {
        elem_type: tensor_proto::DataType::Float as i32,
        shape: Some(TensorShapeProto { dim: dim.to_vec() }),
    };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..Default::default()
        }),
        ..Default::default()
    }
}
