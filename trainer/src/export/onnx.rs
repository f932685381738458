//! ONNX writer: the two graphs of a bundle as `ModelProto` bytes.
//!
//! | file | input | nodes | outputs |
//! |---|---|---|---|
//! | `encoder.onnx` | `features` `[N, d]`, raw | `Sub`, `Mul`, (`Clip`), then `Gemm` + activation per layer | `code` `[N, z]` |
//! | `classifier.onnx` | `code` `[N, z]` | `Gemm` + activation per layer; `Div`, `Softmax` | `logits` `[N, c]`, `probabilities` `[N, c]` |
//!
//! `N` is a free dimension. The normaliser is part of the encoder graph, so that any ONNX runtime
//! gets it right. `probabilities` is `softmax(logits / temperature)` with the calibration
//! temperature. [`super::onnx_read`] is the way back.

use prost::Message;
use ser_runtime::normalise::{NormaliserError, NormaliserKind};
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, attribute_proto, tensor_proto,
    type_proto,
};

use crate::model::{Activation, DenseLayer, ModelError, TrainedModel};

/// Version of the ONNX file layout that is written.
pub const IR_VERSION: i64 = 8;
/// Version of the default operator set that the graphs use.
pub const OPSET: i64 = 18;
/// `producer_name` of the graphs.
pub const PRODUCER: &str = "ser-trainer";

/// Name of the encoder's input.
pub const FEATURES: &str = "features";
/// Name of the encoder's output and of the classifier's input.
pub const CODE: &str = "code";
/// Name of the classifier's first output.
pub const LOGITS: &str = "logits";
/// Name of the classifier's second output.
pub const PROBABILITIES: &str = "probabilities";

/// Metadata key of the encoder that holds the kind of normaliser, `z-score` or `min-max`.
pub const NORMALISER_KEY: &str = "ser_edge.normaliser";
/// Metadata key of the classifier that holds the labels as a JSON array, in output order.
pub const LABELS_KEY: &str = "ser_edge.labels";

/// A model that cannot be written as ONNX.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// The parts of the model do not fit together.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The normaliser is unusable.
    #[error(transparent)]
    Normaliser(#[from] NormaliserError),
    /// A parameter is infinite or not a number.
    #[error("{what}: element {index} is {value}; training diverged, try a lower learning rate")]
    NotFinite {
        /// Which array.
        what: String,
        /// Where in it, row-major.
        index: usize,
        /// The offending value.
        value: f32,
    },
    /// The calibration temperature is not a positive finite number.
    #[error("calibration temperature is {0}, it must be positive and finite")]
    Temperature(f32),
}

/// Text that goes into both graphs.
#[derive(Debug, Clone, Default)]
pub struct GraphText {
    /// One line that says which model this is.
    pub description: String,
    /// Further `metadata_props`, in the order in which they are written.
    pub metadata: Vec<(String, String)>,
}

/// Writes `encoder.onnx`: raw features `[N, d]` to code `[N, z]`.
///
/// An encoder without layers is the normaliser alone, `z = d`.
///
/// # Errors
/// Shapes that do not chain, arrays of the wrong length, numbers that are not finite.
pub fn encoder(model: &TrainedModel, text: &GraphText) -> Result<Vec<u8>, OnnxError> {
    check(model)?;
    let normaliser = &model.normaliser;
    let (width, code) = (model.width(), model.code_len());
    let mut graph = Graph::new("encoder", FEATURES, width);
    graph.proto.doc_string = format!(
        "{} Encoder: raw features [N, {width}] -> code [N, {code}]. The first nodes are the normaliser: \
         (features - offset) * scale{}.",
        text.description,
        if normaliser.clip.is_some() {
            ", clipped"
        } else {
            ""
        }
    );
    graph.with_vector("Sub", "feature_offset", &normaliser.offset);
    graph.with_vector("Mul", "feature_scale", &normaliser.scale);
    if let Some(limit) = normaliser.clip {
        let low = graph.tensor("clip_low", &[], &[-limit]);
        let high = graph.tensor("clip_high", &[], &[limit]);
        graph.node("Clip", vec![low, high], vec![]);
    }
    graph.layers("encoder", &model.encoder);
    graph.output(CODE, code);
    let kind = match normaliser.kind {
        NormaliserKind::ZScore => "z-score",
        NormaliserKind::MinMax => "min-max",
    };
    Ok(graph.finish(text, &[(NORMALISER_KEY, kind.to_owned())]))
}

/// Writes `classifier.onnx`: code `[N, z]` to logits and calibrated probabilities `[N, c]`.
///
/// # Errors
/// As [`encoder`]; also a temperature that is not positive and finite.
pub fn classifier(
    model: &TrainedModel,
    temperature: f32,
    text: &GraphText,
) -> Result<Vec<u8>, OnnxError> {
    if !(temperature.is_finite() && temperature > 0.0) {
        return Err(OnnxError::Temperature(temperature));
    }
    check(model)?;
    let (code, logits) = (model.code_len(), model.labels.len());
    let mut graph = Graph::new("classifier", CODE, code);
    graph.proto.doc_string = format!(
        "{} Classifier: code [N, {code}] -> logits [N, {logits}] and probabilities [N, {logits}] = \
         softmax(logits / {temperature}), both in the order of the metadata entry {LABELS_KEY}.",
        text.description
    );
    graph.layers("classifier", &model.classifier);
    graph.output(LOGITS, logits);
    graph.with_vector("Div", "temperature", &[temperature]);
    graph.node("Softmax", vec![], vec![int_attribute("axis", -1)]);
    graph.output(PROBABILITIES, logits);
    let labels = serde_json::Value::from(model.labels.clone()).to_string();
    Ok(graph.finish(text, &[(LABELS_KEY, labels)]))
}

/// Checks shapes, and that every number is finite: a diverged training must not become a bundle.
fn check(model: &TrainedModel) -> Result<(), OnnxError> {
    model.normaliser.validate()?;
    model.check()?;
    for (graph, layers) in [
        ("encoder", &model.encoder),
        ("classifier", &model.classifier),
    ] {
        for (index, layer) in layers.iter().enumerate() {
            finite(&format!("weight of {graph} layer {index}"), &layer.weight)?;
            finite(&format!("bias of {graph} layer {index}"), &layer.bias)?;
        }
    }
    Ok(())
}

fn finite(what: &str, values: &[f32]) -> Result<(), OnnxError> {
    match values.iter().position(|v| !v.is_finite()) {
        Some(index) => Err(OnnxError::NotFinite {
            what: what.into(),
            index,
            value: values[index],
        }),
        None => Ok(()),
    }
}

/// A graph that grows node by node, each taking the one before it as first input.
struct Graph {
    proto: GraphProto,
    /// Name of the value that the next node reads.
    last: String,
}

impl Graph {
    fn new(name: &str, input: &str, width: usize) -> Self {
        let proto = GraphProto {
            name: name.into(),
            input: vec![value_info(input, width)],
            ..Default::default()
        };
        Self {
            proto,
            last: input.into(),
        }
    }

    /// Adds an initialiser and returns its name.
    fn tensor(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        self.proto.initializer.push(TensorProto {
            name: name.into(),
            dims: dims.iter().map(|&d| d as i64).collect(),
            data_type: tensor_proto::DataType::Float as i32,
            raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            ..Default::default()
        });
        name.into()
    }

    fn node(&mut self, op: &str, extra: Vec<String>, attribute: Vec<AttributeProto>) {
        let index = self.proto.node.len();
        let output = format!("{}_{index}", op.to_lowercase());
        let mut input = vec![std::mem::replace(&mut self.last, output.clone())];
        input.extend(extra);
        self.proto.node.push(NodeProto {
            op_type: op.into(),
            name: format!("{op}_{index}"),
            input,
            output: vec![output],
            attribute,
            ..Default::default()
        });
    }

    /// A node whose second input is the vector `values`.
    fn with_vector(&mut self, op: &str, name: &str, values: &[f32]) {
        let vector = self.tensor(name, &[values.len()], values);
        self.node(op, vec![vector], vec![]);
    }

    fn layers(&mut self, prefix: &str, layers: &[DenseLayer]) {
        for (index, layer) in layers.iter().enumerate() {
            let weight = self.tensor(
                &format!("{prefix}_{index}_weight"),
                &[layer.inputs, layer.outputs],
                &layer.weight,
            );
            let bias = self.tensor(
                &format!("{prefix}_{index}_bias"),
                &[layer.outputs],
                &layer.bias,
            );
            self.node("Gemm", vec![weight, bias], vec![]);
            match layer.activation {
                Activation::Linear => {}
                // A slope of 0 would leave the attribute out: protobuf does not write zeros.
                Activation::LeakyRelu(slope) if slope != 0.0 => {
                    self.node("LeakyRelu", vec![], vec![float_attribute("alpha", slope)]);
                }
                Activation::LeakyRelu(_) | Activation::Relu => self.node("Relu", vec![], vec![]),
                Activation::Sigmoid => self.node("Sigmoid", vec![], vec![]),
            }
        }
    }

    /// Makes the last value a graph output with this name.
    fn output(&mut self, name: &str, width: usize) {
        if let Some(output) = self
            .proto
            .node
            .last_mut()
            .and_then(|node| node.output.first_mut())
        {
            *output = name.into();
        }
        self.last = name.into();
        self.proto.output.push(value_info(name, width));
    }

    fn finish(self, text: &GraphText, own: &[(&str, String)]) -> Vec<u8> {
        let metadata_props = text
            .metadata
            .iter()
            .map(|(key, value)| (key.as_str(), value))
            .chain(own.iter().map(|(key, value)| (*key, value)))
            .map(|(key, value)| StringStringEntryProto {
                key: key.into(),
                value: value.clone(),
            })
            .collect();
        ModelProto {
            ir_version: IR_VERSION,
            producer_name: PRODUCER.into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            model_version: 1,
            doc_string: text.description.clone(),
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: OPSET,
            }],
            metadata_props,
            graph: Some(self.proto),
            ..Default::default()
        }
        .encode_to_vec()
    }
}

/// `[N, width]` floats, `N` free.
fn value_info(name: &str, width: usize) -> ValueInfoProto {
    let dim = |value| Dimension {
        value: Some(value),
        ..Default::default()
    };
    let shape = TensorShapeProto {
        dim: vec![
            dim(dimension::Value::DimParam("N".into())),
            dim(dimension::Value::DimValue(width as i64)),
        ],
    };
    let tensor = type_proto::Tensor {
        elem_type: tensor_proto::DataType::Float as i32,
        shape: Some(shape),
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn float_attribute(name: &str, f: f32) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: attribute_proto::AttributeType::Float as i32,
        f,
        ..Default::default()
    }
}

fn int_attribute(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: attribute_proto::AttributeType::Int as i32,
        i,
        ..Default::default()
    }
}
