//! The way back from the bundle's ONNX files to dense layers.
//!
//! `ser-train verify` computes with burn what the files say, not what the trainer had in memory:
//! a fault of the writer then shows as a difference between engines. Only graphs of the shape
//! that [`super::onnx`] writes are read; anything else is an error that names the node.

use prost::Message;
use ser_runtime::normalise::{Normaliser, NormaliserKind};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, tensor_proto,
};

use super::onnx::{CODE, FEATURES, LABELS_KEY, LOGITS, NORMALISER_KEY, PROBABILITIES};
use crate::model::{Activation, DenseLayer, TrainedModel};

/// An ONNX file that is not one of ours, or is damaged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxReadError {
    /// The bytes are no `ModelProto`.
    #[error("{file}: not an ONNX file: {source}")]
    Decode {
        /// `encoder.onnx` or `classifier.onnx`.
        file: &'static str,
        /// What protobuf says.
        source: prost::DecodeError,
    },
    /// The graph is not of the shape that the trainer writes.
    #[error("{file}: {what}")]
    Shape {
        /// `encoder.onnx` or `classifier.onnx`.
        file: &'static str,
        /// What is unexpected, with the node's name.
        what: String,
    },
}

/// The model that the two files hold, and the calibration temperature.
///
/// # Errors
/// Files that are not ONNX, or graphs that [`super::onnx`] would not write.
pub fn read(encoder: &[u8], classifier: &[u8]) -> Result<(TrainedModel, f32), OnnxReadError> {
    let (normaliser, encoder) = read_encoder(encoder)?;
    let (classifier, temperature, labels) = read_classifier(classifier)?;
    Ok((
        TrainedModel {
            normaliser,
            encoder,
            classifier,
            labels,
        },
        temperature,
    ))
}

fn read_encoder(bytes: &[u8]) -> Result<(Normaliser, Vec<DenseLayer>), OnnxReadError> {
    let file = File::open("encoder.onnx", bytes)?;
    let mut chain = file.chain(FEATURES)?;
    let offset = chain.expect("Sub")?.vector(1)?;
    let scale = chain.expect("Mul")?.vector(1)?;
    let bounds = match chain.next_if("Clip")? {
        Some(node) => Some((node.scalar(1)?, node.scalar(2)?)),
        None => None,
    };
    let kind = match file.metadata(NORMALISER_KEY)? {
        "z-score" => NormaliserKind::ZScore,
        "min-max" => NormaliserKind::MinMax,
        other => return Err(file.fail(format!("unknown normaliser {other:?}"))),
    };
    if let Some((low, high)) = bounds.filter(|(low, high)| *low != -high) {
        return Err(file.fail(format!("clips to {low}..{high}, which is not symmetric")));
    }
    let normaliser = Normaliser {
        kind,
        offset,
        scale,
        clip: bounds.map(|(_, high)| high),
    };
    normaliser
        .validate()
        .map_err(|e| file.fail(e.to_string()))?;
    let layers = chain.layers()?;
    chain.end(CODE)?;
    Ok((normaliser, layers))
}

fn read_classifier(bytes: &[u8]) -> Result<(Vec<DenseLayer>, f32, Vec<String>), OnnxReadError> {
    let file = File::open("classifier.onnx", bytes)?;
    let mut chain = file.chain(CODE)?;
    let layers = chain.layers()?;
    chain.at(LOGITS)?;
    let temperature = chain.expect("Div")?.scalar(1)?;
    chain.expect("Softmax")?;
    chain.end(PROBABILITIES)?;
    let labels = serde_json::from_str(file.metadata(LABELS_KEY)?)
        .map_err(|e| file.fail(format!("metadata {LABELS_KEY}: {e}")))?;
    Ok((layers, temperature, labels))
}

/// A decoded file with its name for messages.
struct File {
    name: &'static str,
    model: ModelProto,
}

impl File {
    fn open(name: &'static str, bytes: &[u8]) -> Result<Self, OnnxReadError> {
        let model = ModelProto::decode(bytes)
            .map_err(|source| OnnxReadError::Decode { file: name, source })?;
        Ok(Self { name, model })
    }

    fn fail(&self, what: String) -> OnnxReadError {
        OnnxReadError::Shape {
            file: self.name,
            what,
        }
    }

    fn metadata(&self, key: &str) -> Result<&str, OnnxReadError> {
        let mut props = self.model.metadata_props.iter();
        match props.find(|p| p.key == key) {
            Some(p) => Ok(&p.value),
            None => Err(self.fail(format!("metadata entry {key} is missing"))),
        }
    }

    fn chain<'a>(&'a self, input: &'a str) -> Result<Chain<'a>, OnnxReadError> {
        match &self.model.graph {
            Some(graph) => Ok(Chain {
                file: self,
                graph,
                value: input,
                next: 0,
            }),
            None => Err(self.fail("it holds no graph".into())),
        }
    }
}

/// Walks nodes of which each reads the one before it.
struct Chain<'a> {
    file: &'a File,
    graph: &'a GraphProto,
    value: &'a str,
    next: usize,
}

impl<'a> Chain<'a> {
    fn take(&mut self) -> Result<Op<'a>, OnnxReadError> {
        let Some(node) = self.graph.node.get(self.next) else {
            return Err(self.file.fail(format!("the graph ends at {}", self.value)));
        };
        let (Some(input), Some(output)) = (node.input.first(), node.output.first()) else {
            return Err(self
                .file
                .fail(format!("node {} lacks input or output", node.name)));
        };
        if input != self.value {
            return Err(self.file.fail(format!(
                "node {} reads {input:?} where {:?} was expected",
                node.name, self.value
            )));
        }
        self.next += 1;
        self.value = output;
        Ok(Op {
            file: self.file,
            graph: self.graph,
            node,
        })
    }

    fn next_if(&mut self, op: &str) -> Result<Option<Op<'a>>, OnnxReadError> {
        match self.graph.node.get(self.next) {
            Some(node) if node.op_type == op => self.take().map(Some),
            _ => Ok(None),
        }
    }

    fn expect(&mut self, op: &str) -> Result<Op<'a>, OnnxReadError> {
        let found = self.take()?;
        if found.node.op_type == op {
            Ok(found)
        } else {
            Err(found.fail(&format!(
                "is a {}, not the {op} that belongs here",
                found.node.op_type
            )))
        }
    }

    fn layers(&mut self) -> Result<Vec<DenseLayer>, OnnxReadError> {
        let mut layers = Vec::new();
        while let Some(gemm) = self.next_if("Gemm")? {
            if let Some(a) = gemm.node.attribute.first() {
                return Err(gemm.fail(&format!("has the attribute {}, not written by us", a.name)));
            }
            let (weight, dims) = gemm.tensor(1)?;
            let &[inputs, outputs] = dims.as_slice() else {
                return Err(gemm.fail("has a weight that is no matrix"));
            };
            let bias = gemm.vector(2)?;
            if bias.len() != outputs {
                return Err(gemm.fail(&format!("has {} biases for {outputs} outputs", bias.len())));
            }
            let activation = if let Some(op) = self.next_if("LeakyRelu")? {
                Activation::LeakyRelu(op.float("alpha")?)
            } else if self.next_if("Relu")?.is_some() {
                Activation::Relu
            } else if self.next_if("Sigmoid")?.is_some() {
                Activation::Sigmoid
            } else {
                Activation::Linear
            };
            layers.push(DenseLayer {
                inputs,
                outputs,
                weight,
                bias,
                activation,
            });
        }
        Ok(layers)
    }

    /// The value reached must have this name.
    fn at(&self, name: &str) -> Result<(), OnnxReadError> {
        if self.value == name {
            Ok(())
        } else {
            Err(self.file.fail(format!(
                "the chain is at {:?} where {name:?} belongs",
                self.value
            )))
        }
    }

    /// The chain must end here, at the value `name`.
    fn end(&self, name: &str) -> Result<(), OnnxReadError> {
        self.at(name)?;
        match self.graph.node.get(self.next) {
            Some(node) => Err(self.file.fail(format!("node {} follows {name}", node.name))),
            None => Ok(()),
        }
    }
}

/// A node with what its inputs and attributes refer to.
struct Op<'a> {
    file: &'a File,
    graph: &'a GraphProto,
    node: &'a NodeProto,
}

impl Op<'_> {
    fn fail(&self, what: &str) -> OnnxReadError {
        self.file.fail(format!("node {} {what}", self.node.name))
    }

    fn initializer(&self, index: usize) -> Result<&TensorProto, OnnxReadError> {
        let name = self.node.input.get(index);
        let tensor = name.and_then(|n| self.graph.initializer.iter().find(|t| t.name == *n));
        tensor.ok_or_else(|| self.fail(&format!("has no constant input {index}")))
    }

    fn tensor(&self, index: usize) -> Result<(Vec<f32>, Vec<usize>), OnnxReadError> {
        let tensor = self.initializer(index)?;
        let dims: Option<Vec<usize>> = tensor
            .dims
            .iter()
            .map(|&d| usize::try_from(d).ok())
            .collect();
        let count = dims
            .as_ref()
            .and_then(|dims| dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d)));
        let (values, rest) = tensor.raw_data.as_chunks::<4>();
        match dims {
            Some(dims)
                if tensor.data_type == tensor_proto::DataType::Float as i32
                    && rest.is_empty()
                    && count == Some(values.len()) =>
            {
                Ok((
                    values.iter().map(|&b| f32::from_le_bytes(b)).collect(),
                    dims,
                ))
            }
            _ => Err(self.fail(&format!(
                "has a constant {} that is not float32 raw data of shape {:?}",
                tensor.name, tensor.dims
            ))),
        }
    }

    fn vector(&self, index: usize) -> Result<Vec<f32>, OnnxReadError> {
        let (values, dims) = self.tensor(index)?;
        match dims.len() {
            1 => Ok(values),
            _ => Err(self.fail(&format!("has an input {index} that is no vector"))),
        }
    }

    fn scalar(&self, index: usize) -> Result<f32, OnnxReadError> {
        match self.tensor(index)?.0.as_slice() {
            &[value] => Ok(value),
            _ => Err(self.fail(&format!("has an input {index} that is no single number"))),
        }
    }

    fn float(&self, name: &str) -> Result<f32, OnnxReadError> {
        let attribute: Option<&AttributeProto> =
            self.node.attribute.iter().find(|a| a.name == name);
        attribute
            .map(|a| a.f)
            .ok_or_else(|| self.fail(&format!("lacks the attribute {name}")))
    }
}
