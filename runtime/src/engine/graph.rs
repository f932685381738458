//! What the ONNX engines have in common: two graphs behind one [`Engine`], and which outputs of which graph.

use ser_features::FeatureGroups;

use super::{Engine, EngineError, LoadError, check_finite, check_width};
use crate::bundle::{Bundle, ClassifierInfo, EncoderInfo};
use crate::prediction::softmax;

/// Largest difference between the probabilities of the classifier graph and `softmax(logits / temperature)` of the manifest.
const CALIBRATION_TOLERANCE: f32 = 1e-4;

/// Name and width of one output of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphOutput {
    /// Its name.
    pub name: String,
    /// Elements per row.
    pub width: usize,
}

/// A graph as the manifest declares it.
pub struct GraphSpec<'a> {
    pub(super) bundle: String,
    pub(super) file: &'a str,
    pub(super) engine: &'static str,
    pub(super) onnx: &'a [u8],
    pub(super) input: GraphOutput,
    pub(super) outputs: Vec<GraphOutput>,
}

impl<'a> GraphSpec<'a> {
    /// Encoder and classifier of `bundle`, for `engine`. The classifier's outputs are logits, then probabilities.
    fn pair(bundle: &'a Bundle, engine: &'static str) -> Result<(Self, Self), LoadError> {
        let port = |name: &str, width| GraphOutput {
            name: name.to_owned(),
            width,
        };
        let EncoderInfo {
            file,
            input,
            output,
            input_dim,
            output_dim,
            ..
        } = &bundle.manifest.encoder;
        let encoder = Self {
            bundle: bundle.dir.display().to_string(),
            file,
            engine,
            onnx: &bundle.encoder,
            input: port(input, *input_dim),
            outputs: vec![port(output, *output_dim)],
        };
        let ClassifierInfo {
            file,
            input,
            logits,
            probabilities,
            input_dim,
            output_dim,
            ..
        } = &bundle.manifest.classifier;
        let classifier = Self {
            bundle: bundle.dir.display().to_string(),
            file,
            engine,
            onnx: &bundle.classifier,
            input: port(input, *input_dim),
            outputs: vec![port(logits, *output_dim), port(probabilities, *output_dim)],
        };
        for graph in [&encoder, &classifier] {
            if refers_to_files(graph.onnx) {
                return Err(graph
                    .refused("holds weights in another file; export it with its weights inside"));
            }
        }
        Ok((encoder, classifier))
    }

    /// This graph is refused.
    pub(super) fn refused(&self, reason: impl ToString) -> LoadError {
        LoadError::Graph {
            bundle: self.bundle.clone(),
            file: self.file.to_owned(),
            engine: self.engine,
            reason: reason.to_string(),
        }
    }
}

/// One ONNX graph in some library.
pub trait Graph: Sized {
    /// The library, as messages name it.
    const NAME: &'static str;

    /// Loads the graph; checks names, element type and dimensions of every input and output against `spec`.
    ///
    /// # Errors
    /// [`LoadError::Library`] where there is no usable library, [`LoadError::Graph`].
    fn load(spec: &GraphSpec<'_>) -> Result<Self, LoadError>;

    /// Runs one row; fills the first outputs, as many as `into` has.
    ///
    /// # Errors
    /// [`EngineError::Library`].
    fn run(&mut self, row: &[f32], into: &mut [&mut [f32]]) -> Result<(), EngineError>;
}

/// A bundle's graphs in one library, ready to run one row at a time.
pub struct OnnxEngine<G> {
    encoder: G,
    classifier: G,
    feature_count: usize,
    code_len: usize,
    label_count: usize,
    groups: FeatureGroups,
}

impl<G: Graph> OnnxEngine<G> {
    /// Loads both graphs; checks names, element type and dimensions of every input and output against the manifest, and the graph's
    /// probabilities against the manifest's temperature.
    ///
    /// # Errors
    /// [`LoadError::Library`] where the library is loaded at run time and none is usable, [`LoadError::Graph`], [`LoadError::Calibration`].
    pub fn load(bundle: &Bundle) -> Result<Self, LoadError> {
        let (encoder, classifier) = GraphSpec::pair(bundle, G::NAME)?;
        let mut engine = Self {
            encoder: G::load(&encoder)?,
            classifier: G::load(&classifier)?,
            feature_count: encoder.input.width,
            code_len: classifier.input.width,
            label_count: bundle.manifest.classifier.output_dim,
            groups: bundle.manifest.groups(),
        };
        let code = test_code(engine.code_len);
        let mut logits = vec![0.0; engine.label_count];
        let mut probabilities = logits.clone();
        let run = engine
            .classifier
            .run(&code, &mut [&mut logits, &mut probabilities]);
        run.map_err(|error| classifier.refused(error))?;
        check_calibration(bundle, logits, &probabilities)?;
        engine.check_groups(bundle, &encoder)?;
        Ok(engine)
    }

    /// Refuses an encoder that reads a feature of a group that it does not read according to the manifest.
    fn check_groups(&mut self, bundle: &Bundle, encoder: &GraphSpec<'_>) -> Result<(), LoadError> {
        if self.groups == FeatureGroups::ALL {
            return Ok(());
        }
        let mut code_of = |row: &[f32]| {
            let mut code = vec![0.0; self.code_len];
            let run = self.encoder.run(row, &mut [&mut code]);
            run.map_err(|error| encoder.refused(error)).map(|()| code)
        };
        let mut row = bundle.manifest.normaliser.offset.clone();
        let without = code_of(&row)?;
        for (index, value) in row.iter_mut().enumerate() {
            if !self.groups.contains_feature(index) {
                *value += 1.0 + value.abs();
            }
        }
        if code_of(&row)? == without {
            return Ok(());
        }
        let left_out = FeatureGroups::ALL.difference(self.groups);
        Err(encoder.refused(format!(
            "reads features of the groups {left_out}, whose scale in the manifest is 0; export it again"
        )))
    }
}

impl<G: Graph> Engine for OnnxEngine<G> {
    fn feature_count(&self) -> usize {
        self.feature_count
    }

    fn code_len(&self) -> usize {
        self.code_len
    }

    fn label_count(&self) -> usize {
        self.label_count
    }

    fn groups(&self) -> FeatureGroups {
        self.groups
    }

    fn encode(&mut self, features: &[f32], code: &mut [f32]) -> Result<(), EngineError> {
        check_width("features", features, self.feature_count())?;
        check_width("code", code, self.code_len())?;
        check_finite("features", features)?;
        self.encoder.run(features, &mut [&mut *code])?;
        check_finite("code", code)
    }

    fn classify(&mut self, code: &[f32], logits: &mut [f32]) -> Result<(), EngineError> {
        check_width("code", code, self.code_len())?;
        check_width("logits", logits, self.label_count())?;
        check_finite("code", code)?;
        self.classifier.run(code, &mut [&mut *logits])?;
        check_finite("logits", logits)
    }
}

/// A code that is not all zeros, so that a wrong temperature shows.
fn test_code(len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i % 7) as f32 - 3.0) * 0.25).collect()
}

/// Compares the probabilities that the classifier graph gave with those of its logits and the manifest's temperature.
fn check_calibration(
    bundle: &Bundle,
    mut logits: Vec<f32>,
    probabilities: &[f32],
) -> Result<(), LoadError> {
    let temperature = bundle.manifest.calibration.temperature;
    softmax(&mut logits, temperature);
    let difference = logits
        .iter()
        .zip(probabilities)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    if difference <= CALIBRATION_TOLERANCE {
        return Ok(());
    }
    let (bundle, file) = (
        bundle.dir.display().to_string(),
        bundle.manifest.classifier.file.clone(),
    );
    Err(LoadError::Calibration {
        bundle,
        file,
        temperature,
        difference,
    })
}

/// Whether an ONNX model asks for a file beside it (`TensorProto.external_data` or `data_location = EXTERNAL`) anywhere.
///
/// A walk over the protobuf wire format that follows every path on which ONNX nests tensors: model → graph and functions, graph → nodes,
/// initializers and sparse initializers, node → attributes, attribute → tensors, graphs, sparse tensors. Bytes that are not protobuf give
/// `false`: the engine's own parser refuses those.
fn refers_to_files(onnx: &[u8]) -> bool {
    #[derive(Clone, Copy)]
    enum Message {
        Model,
        Training,
        Function,
        Graph,
        Node,
        Attribute,
        SparseTensor,
        Tensor,
    }
    fn child(message: Message, field: u64) -> Option<Message> {
        Some(match (message, field) {
            (Message::Model, 7) | (Message::Training, 1 | 2) => Message::Graph,
            (Message::Model, 20) => Message::Training,
            (Message::Model, 25) => Message::Function,
            (Message::Function, 7) | (Message::Graph, 1) => Message::Node,
            (Message::Function, 11) | (Message::Node, 5) => Message::Attribute,
            (Message::Graph, 5) | (Message::Attribute, 5 | 10) | (Message::SparseTensor, 1 | 2) => {
                Message::Tensor
            }
            (Message::Graph, 15) | (Message::Attribute, 22 | 23) => Message::SparseTensor,
            (Message::Attribute, 6 | 11) => Message::Graph,
            _ => return None,
        })
    }
    fn varint(bytes: &mut &[u8]) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = bytes.split_first()?;
            *bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
    fn take<'b>(bytes: &mut &'b [u8], count: u64) -> Option<&'b [u8]> {
        let (taken, rest) = bytes.split_at_checked(usize::try_from(count).ok()?)?;
        *bytes = rest;
        Some(taken)
    }

    // A stack of its own: hostile nesting must not exhaust the thread's.
    let mut pending = vec![(Message::Model, onnx)];
    while let Some((message, mut bytes)) = pending.pop() {
        while let Some(key) = varint(&mut bytes) {
            let (field, wire) = (key >> 3, key & 7);
            let external = matches!(message, Message::Tensor) && (field == 13 || field == 14);
            let done = match wire {
                0 => varint(&mut bytes).map(|value| external && value == 1),
                1 => take(&mut bytes, 8).map(|_| false),
                2 => varint(&mut bytes)
                    .and_then(|len| take(&mut bytes, len))
                    .map(|body| {
                        if let Some(child) = child(message, field) {
                            pending.push((child, body));
                        }
                        external && field == 13
                    }),
                5 => take(&mut bytes, 4).map(|_| false),
                _ => None,
            };
            match done {
                Some(true) => return true,
                Some(false) => {}
                None => break,
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::refers_to_files;

    /// A length-delimited field.
    fn nested(field: u8, body: &[u8]) -> Vec<u8> {
        let mut out = vec![field << 3 | 2];
        out.push(u8::try_from(body.len()).unwrap());
        out.extend(body);
        out
    }

    #[test]
    fn weights_in_other_files_are_found_wherever_they_hide() {
        // TensorProto: data_location (14, varint) = EXTERNAL (1), or an external_data (13) entry.
        for tensor in [vec![14 << 3, 1], nested(13, b"\x0a\x01k")] {
            let initializer = nested(7, &nested(5, &tensor));
            assert!(refers_to_files(&initializer));
            let constant = nested(5, &nested(5, &tensor));
            let in_node = nested(7, &nested(1, &constant));
            assert!(refers_to_files(&in_node));
            let subgraph = nested(7, &nested(1, &nested(5, &nested(6, &nested(5, &tensor)))));
            assert!(refers_to_files(&subgraph));
        }
        // data_location = DEFAULT, and the same numbers outside a tensor, are harmless.
        assert!(!refers_to_files(&nested(7, &nested(5, &[14 << 3, 0]))));
        assert!(!refers_to_files(&nested(7, &[14 << 3, 1])));
    }

    #[test]
    fn hostile_bytes_end() {
        for bytes in [
            &b""[..],
            &[0xff; 64],
            &[0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
            &[0x3a, 5, 1],
        ] {
            assert!(!refers_to_files(bytes));
        }
        let mut deep = Vec::new();
        for _ in 0..20 {
            deep = nested(
                7,
                &nested(1, &nested(5, &nested(6, &deep[..deep.len().min(100)]))),
            );
        }
        assert!(!refers_to_files(&deep));
    }
}
