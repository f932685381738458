//! Holds engines against each other: tract, ONNX Runtime, burn and the static engine on the same features.
//!
//! burn computes with weights read back from the bundle's ONNX files, so a fault of the writer shows
//! as much as one of an engine. Each engine classifies its own code: the differences are those of
//! the whole chain.

use std::fmt;
use std::path::{Path, PathBuf};

use ser_runtime::audio::{AudioError, read_audio};
use ser_runtime::bundle::{Bundle, BundleError};
use ser_runtime::engine::static_model::{F32_FILE, INT8_FILE, OwnedStaticEngine, Precision};
use ser_runtime::engine::tract::TractEngine;
use ser_runtime::engine::{Engine, EngineError, LoadError};
use ser_runtime::extract::{ExtractError, extract};
use ser_runtime::prediction::softmax;

use crate::export::onnx_read::{self, OnnxReadError};
use crate::model::{ModelError, TrainedModel};
use crate::table::{FeatureTable, TableError};

/// Largest difference of two engines' logits that still counts as agreement.
pub const TOLERANCE: f32 = 1e-4;
/// The same for a probability where one of the engines has 8-bit weights: they are an approximation, and only a gross fault is one here.
/// What they cost in recall is measured by `ser-train export --int8` and `ser-train evaluate --int8`.
pub const INT8_TOLERANCE: f32 = 0.05;

/// An implementation that computes a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum EngineKind {
    /// tract, the runtime's default.
    Tract,
    /// ONNX Runtime.
    Ort,
    /// burn on the CPU, the trainer's own.
    Burn,
    /// The static engine with 32-bit weights.
    Static,
    /// The static engine with 8-bit weights.
    StaticInt8,
}

impl EngineKind {
    /// tract, ONNX Runtime and burn, which run any bundle, and the static engine for the files that `bundle` has.
    pub fn all_of(bundle: &Bundle) -> Vec<Self> {
        let mut all = vec![Self::Tract, Self::Ort, Self::Burn];
        for (file, kind) in [(F32_FILE, Self::Static), (INT8_FILE, Self::StaticInt8)] {
            if bundle.manifest.files.contains_key(file) {
                all.push(kind);
            }
        }
        all
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tract => "tract",
            Self::Ort => "ort",
            Self::Burn => "burn",
            Self::Static => "static",
            Self::StaticInt8 => "static-int8",
        })
    }
}

/// Why engines could not be compared, or that they disagree.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The bundle is refused.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The bundle's ONNX files are not of the kind that the trainer writes.
    #[error("bundle {}: {source}", bundle.display())]
    Read {
        /// The bundle.
        bundle: PathBuf,
        /// What is wrong.
        source: OnnxReadError,
    },
    /// A recording cannot be read.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// Nothing in a recording is speech.
    #[error("{}: {reason}: there are no features to compare", path.display())]
    Speechless {
        /// The recording.
        path: PathBuf,
        /// Why.
        reason: &'static str,
    },
    /// A recording gives no features.
    #[error("{}: {source}", path.display())]
    Extract {
        /// The recording.
        path: PathBuf,
        /// Why.
        source: ExtractError,
    },
    /// The feature table cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The columns of the table are not those of the bundle.
    #[error("{}: column {column} is {found}, the bundle reads {expected} there", path.display())]
    Columns {
        /// The table.
        path: PathBuf,
        /// Index of the first wrong column, from 1.
        column: usize,
        /// Its name, or that it is missing.
        found: String,
        /// The name that the bundle expects, or that there is none.
        expected: String,
    },
    /// The bundle's features do not come from recordings.
    #[error(
        "bundle {}: its features ({set}) were not extracted from recordings by this program; \
         give a table with the same columns instead: --features TABLE",
        bundle.display()
    )]
    NoExtractor {
        /// The bundle.
        bundle: PathBuf,
        /// Its feature set.
        set: String,
    },
    /// ONNX Runtime is not there.
    #[error("ONNX Runtime cannot be used: {reason}; or leave it out with --engines tract,burn")]
    NoOnnxRuntime {
        /// What went wrong.
        reason: String,
    },
    /// An engine refuses the bundle.
    #[error("{engine}: {source}")]
    Load {
        /// Which engine.
        engine: EngineKind,
        /// Its words.
        source: LoadError,
    },
    /// An engine refuses a row.
    #[error("{engine}, {place}: {source}")]
    Engine {
        /// Which engine.
        engine: EngineKind,
        /// The row.
        place: String,
        /// Its words.
        source: EngineError,
    },
    /// burn's part failed.
    #[error("burn, {place}: {source}")]
    Burn {
        /// The row.
        place: String,
        /// Its words.
        source: ModelError,
    },
    /// Fewer than two different engines were asked for.
    #[error("at least two different engines are needed for a comparison: --engines tract,burn")]
    TooFewEngines,
    /// The table of differences cannot be printed.
    #[error("cannot write to standard output: {source}")]
    Output {
        /// Why.
        source: std::io::Error,
    },
    /// There is nothing to compute on.
    #[error("nothing to compare on: give recordings, or a table with --features")]
    NothingToCompare,
    /// Two engines disagree.
    #[error(
        "{first} and {second} disagree on {place}: their {what} differ by {difference:.3e}, more than {tolerance:.0e}"
    )]
    Disagree {
        /// One engine.
        first: EngineKind,
        /// The other.
        second: EngineKind,
        /// The recording, or the row of the table.
        place: String,
        /// "logits" or "probabilities".
        what: &'static str,
        /// Largest difference of one.
        difference: f32,
        /// What passes.
        tolerance: f32,
    },
}

/// Rows of features with the name of where they come from.
#[derive(Debug, Clone)]
pub struct Source {
    /// A recording or a table.
    pub name: String,
    /// `rows * d` raw features, row-major.
    pub values: Vec<f32>,
}

impl Source {
    /// The features of the utterances of a recording, as a device hears them for `bundle`.
    ///
    /// # Errors
    /// A recording that cannot be read or holds no speech; a bundle whose features are not extracted.
    pub fn recording(path: &Path, bundle: &Bundle) -> Result<Self, VerifyError> {
        let set = bundle
            .manifest
            .built_in_features()
            .ok_or_else(|| VerifyError::NoExtractor {
                bundle: bundle.dir.clone(),
                set: bundle.manifest.feature_set.id.clone(),
            })?;
        let pcm = read_audio(path)?;
        let hearing = bundle.manifest.hears(pcm.sample_rate);
        let heard = extract(&pcm, set, &hearing).map_err(|source| VerifyError::Extract {
            path: path.into(),
            source,
        })?;
        if heard.utterances.is_empty() {
            return Err(VerifyError::Speechless {
                path: path.into(),
                reason: heard.reason().words(),
            });
        }
        let utterances = heard.utterances.iter();
        Ok(Self {
            name: path.display().to_string(),
            values: utterances
                .flat_map(|u| u.features.as_slice())
                .copied()
                .collect(),
        })
    }

    /// The rows of a feature table with the columns of `bundle`.
    ///
    /// # Errors
    /// A table that cannot be read or has other columns.
    pub fn table(path: &Path, bundle: &Bundle) -> Result<Self, VerifyError> {
        let table = FeatureTable::read(path)?;
        check_columns(path, &table, bundle)?;
        Ok(Self {
            name: path.display().to_string(),
            values: table.values,
        })
    }
}

/// Refuses a table, read from `path`, whose columns are not the features of `bundle`.
///
/// # Errors
/// [`VerifyError::Columns`].
pub fn check_columns(
    path: &Path,
    table: &FeatureTable,
    bundle: &Bundle,
) -> Result<(), VerifyError> {
    let expected = bundle.manifest.feature_names();
    let columns = expected.len().max(table.names.len());
    let Some(column) = (0..columns).find(|&i| expected.get(i) != table.names.get(i)) else {
        return Ok(());
    };
    let at = |names: &[String]| match names.get(column) {
        Some(name) => format!("{name:?}"),
        None => "no column".into(),
    };
    Err(VerifyError::Columns {
        path: path.into(),
        column: column + 1,
        found: at(&table.names),
        expected: at(&expected),
    })
}

/// Largest differences of two engines over the rows of one source.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The source's name.
    pub source: String,
    /// Number of rows compared.
    pub rows: usize,
    /// One engine.
    pub first: EngineKind,
    /// The other.
    pub second: EngineKind,
    /// Largest |Δ| of a code element; infinite where one is not a number.
    pub code: f32,
    /// Largest |Δ| of a logit.
    pub logits: f32,
    /// Largest |Δ| of a probability.
    pub probabilities: f32,
    /// Index of the row with the largest difference of logits, from 0.
    pub worst_row: usize,
}

impl Difference {
    /// Whether the logits agree within [`TOLERANCE`]; with 8-bit weights, the probabilities within [`INT8_TOLERANCE`].
    #[must_use]
    pub fn agrees(&self) -> bool {
        let (_, difference, tolerance) = self.judged();
        difference <= tolerance
    }

    /// What is compared, how far it is apart, and how far it may be.
    fn judged(&self) -> (&'static str, f32, f32) {
        if [self.first, self.second].contains(&EngineKind::StaticInt8) {
            ("probabilities", self.probabilities, INT8_TOLERANCE)
        } else {
            ("logits", self.logits, TOLERANCE)
        }
    }

    /// The disagreement as an error; `Ok` where there is none.
    ///
    /// # Errors
    /// [`VerifyError::Disagree`].
    pub fn check(&self) -> Result<(), VerifyError> {
        if self.agrees() {
            return Ok(());
        }
        let place = match self.rows {
            1 => self.source.clone(),
            _ => format!("{} row {}", self.source, self.worst_row + 1),
        };
        let (what, difference, tolerance) = self.judged();
        Err(VerifyError::Disagree {
            first: self.first,
            second: self.second,
            place,
            what,
            difference,
            tolerance,
        })
    }
}

/// What one engine makes of all rows of a source.
struct Outputs {
    code: Vec<f32>,
    logits: Vec<f32>,
    probabilities: Vec<f32>,
}

/// The engines to compare, loaded with one bundle.
pub struct Verifier {
    /// Features, code elements and labels of a row.
    widths: (usize, usize, usize),
    temperature: f32,
    engines: Vec<(EngineKind, Loaded)>,
}

enum Loaded {
    Runtime(Box<dyn Engine>),
    Burn {
        model: Box<TrainedModel>,
        temperature: f32,
    },
}

impl Verifier {
    /// Loads `bundle` into each of `engines`; one named twice is loaded once.
    ///
    /// # Errors
    /// Fewer than two engines, a missing ONNX Runtime, files that an engine refuses.
    pub fn load(bundle: &Bundle, engines: &[EngineKind]) -> Result<Self, VerifyError> {
        let mut kinds = engines.to_vec();
        kinds.sort_unstable();
        kinds.dedup();
        if kinds.len() < 2 {
            return Err(VerifyError::TooFewEngines);
        }
        let engines = kinds
            .into_iter()
            .map(|kind| Ok((kind, load(bundle, kind)?)))
            .collect::<Result<_, VerifyError>>()?;
        let m = &bundle.manifest;
        Ok(Self {
            widths: (m.encoder.input_dim, m.encoder.output_dim, m.labels.len()),
            temperature: m.calibration.temperature,
            engines,
        })
    }

    /// Differences of every pair of engines over the rows of `source`.
    ///
    /// # Errors
    /// A row that an engine refuses.
    pub fn compare(&mut self, source: &Source) -> Result<Vec<Difference>, VerifyError> {
        // None of the widths is 0: opening the bundle saw to that.
        let (features, _, labels) = self.widths;
        let rows = source.values.len() / features;
        if rows == 0 {
            return Err(VerifyError::NothingToCompare);
        }
        let mut outputs = Vec::with_capacity(self.engines.len());
        for (kind, engine) in &mut self.engines {
            outputs.push((
                *kind,
                engine.run(*kind, source, self.widths, self.temperature)?,
            ));
        }
        let mut differences = Vec::new();
        for (i, (first, a)) in outputs.iter().enumerate() {
            for (second, b) in &outputs[i + 1..] {
                let (logits, at) = largest(&a.logits, &b.logits);
                differences.push(Difference {
                    source: source.name.clone(),
                    rows,
                    first: *first,
                    second: *second,
                    code: largest(&a.code, &b.code).0,
                    logits,
                    probabilities: largest(&a.probabilities, &b.probabilities).0,
                    worst_row: at / labels,
                });
            }
        }
        Ok(differences)
    }
}

fn load(bundle: &Bundle, kind: EngineKind) -> Result<Loaded, VerifyError> {
    let refused = |source| VerifyError::Load {
        engine: kind,
        source,
    };
    match kind {
        EngineKind::Tract => {
            let engine = TractEngine::load(bundle).map_err(refused)?;
            Ok(Loaded::Runtime(Box::new(engine)))
        }
        EngineKind::Ort => onnx_runtime(bundle),
        EngineKind::Static | EngineKind::StaticInt8 => {
            let precision = match kind {
                EngineKind::StaticInt8 => Precision::Int8,
                _ => Precision::F32,
            };
            let engine = OwnedStaticEngine::load(bundle, precision).map_err(refused)?;
            Ok(Loaded::Runtime(Box::new(engine)))
        }
        EngineKind::Burn => {
            let (model, temperature) = onnx_read::read(&bundle.encoder, &bundle.classifier)
                .map_err(|source| VerifyError::Read {
                    bundle: bundle.dir.clone(),
                    source,
                })?;
            Ok(Loaded::Burn {
                model: Box::new(model),
                temperature,
            })
        }
    }
}

#[cfg(feature = "ort")]
fn onnx_runtime(bundle: &Bundle) -> Result<Loaded, VerifyError> {
    match ser_runtime::engine::ort::OrtEngine::load(bundle) {
        Ok(engine) => Ok(Loaded::Runtime(Box::new(engine))),
        Err(LoadError::Library { reason, .. }) => Err(VerifyError::NoOnnxRuntime { reason }),
        Err(source) => Err(VerifyError::Load {
            engine: EngineKind::Ort,
            source,
        }),
    }
}

#[cfg(not(feature = "ort"))]
fn onnx_runtime(_: &Bundle) -> Result<Loaded, VerifyError> {
    Err(VerifyError::NoOnnxRuntime {
        reason:
            "this ser-train was built without the cargo feature `ort`, build it with --features ort"
                .into(),
    })
}

impl Loaded {
    fn run(
        &mut self,
        kind: EngineKind,
        source: &Source,
        (features, codes, labels): (usize, usize, usize),
        temperature: f32,
    ) -> Result<Outputs, VerifyError> {
        let (code, logits, temperature) = match self {
            Self::Burn { model, temperature } => {
                let failed = |error| VerifyError::Burn {
                    place: source.name.clone(),
                    source: error,
                };
                let code = model.encode(&source.values).map_err(failed)?;
                let logits = model.classify(&code).map_err(failed)?;
                (code, logits, *temperature)
            }
            Self::Runtime(engine) => {
                let rows = source.values.len() / features;
                let (mut code, mut logits) = (vec![0.0; rows * codes], vec![0.0; rows * labels]);
                let outputs = code
                    .chunks_exact_mut(codes)
                    .zip(logits.chunks_exact_mut(labels));
                let inputs = source.values.chunks_exact(features);
                for (row, (input, (code, logits))) in inputs.zip(outputs).enumerate() {
                    engine
                        .encode(input, code)
                        .and_then(|()| engine.classify(code, logits))
                        .map_err(|error| VerifyError::Engine {
                            engine: kind,
                            place: format!("{} row {}", source.name, row + 1),
                            source: error,
                        })?;
                }
                (code, logits, temperature)
            }
        };
        let mut probabilities = logits.clone();
        for row in probabilities.chunks_exact_mut(labels) {
            softmax(row, temperature);
        }
        Ok(Outputs {
            code,
            logits,
            probabilities,
        })
    }
}

/// Largest |a - b| and its index. Anything that is not a number counts as infinitely far, also from
/// its like, and so do arrays of different lengths.
fn largest(a: &[f32], b: &[f32]) -> (f32, usize) {
    if a.len() != b.len() {
        return (f32::INFINITY, 0);
    }
    let differences = a.iter().zip(b).map(|(a, b)| {
        let d = (a - b).abs();
        if d.is_nan() { f32::INFINITY } else { d }
    });
    let mut worst = (0.0, 0);
    for (index, d) in differences.enumerate() {
        if d > worst.0 {
            worst = (d, index);
        }
    }
    worst
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Activation, DenseLayer};
    use ser_runtime::normalise::{Normaliser, NormaliserKind};

    /// Code = features, logits = code times `weight` and its negative.
    fn engine(weight: f32) -> Loaded {
        let model = TrainedModel {
            normaliser: Normaliser {
                kind: NormaliserKind::ZScore,
                offset: vec![0.0],
                scale: vec![1.0],
                clip: None,
            },
            encoder: Vec::new(),
            classifier: vec![DenseLayer {
                inputs: 1,
                outputs: 2,
                weight: vec![weight, -weight],
                bias: vec![0.0; 2],
                activation: Activation::Linear,
            }],
            labels: vec!["a".into(), "b".into()],
        };
        Loaded::Burn {
            model: Box::new(model),
            temperature: 1.0,
        }
    }

    fn verifier(weights: &[(EngineKind, f32)]) -> Verifier {
        Verifier {
            widths: (1, 1, 2),
            temperature: 1.0,
            engines: weights
                .iter()
                .map(|&(kind, weight)| (kind, engine(weight)))
                .collect(),
        }
    }

    fn source(values: &[f32]) -> Source {
        Source {
            name: "a.wav".into(),
            values: values.to_vec(),
        }
    }

    #[test]
    fn disagreement_names_the_pair_and_the_row() {
        use EngineKind::{Burn, Ort, Tract};
        let mut verifier = verifier(&[(Tract, 1.0), (Ort, 1.0), (Burn, 1.001)]);
        // Row 2 is where 0.001 of the value is more than 1e-4.
        let found = verifier.compare(&source(&[0.01, -0.5, 0.02])).unwrap();
        assert_eq!(found.len(), 3);
        assert!(
            found[0].agrees() && found[0].check().is_ok(),
            "{:?}",
            found[0]
        );
        for (d, first) in [(&found[1], "tract"), (&found[2], "ort")] {
            assert!(!d.agrees());
            assert!(
                (d.logits - 5e-4).abs() < 1e-6 && d.code == 0.0 && d.probabilities > 1e-5,
                "{d:?}"
            );
            let message = d.check().unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("{first} and burn disagree on a.wav row 2")),
                "{message}"
            );
        }
        let small = verifier.compare(&source(&[0.05])).unwrap();
        assert!(small.iter().all(Difference::agrees), "{small:?}");
    }

    #[test]
    fn what_is_not_a_number_never_agrees() {
        assert_eq!(
            largest(&[1.0, f32::NAN], &[1.0, f32::NAN]),
            (f32::INFINITY, 1)
        );
        assert_eq!(
            largest(&[f32::INFINITY], &[f32::INFINITY]),
            (f32::INFINITY, 0)
        );
        assert_eq!(largest(&[1.0], &[]), (f32::INFINITY, 0));
        assert_eq!(largest(&[1.0, 2.0], &[1.5, 2.25]), (0.5, 0));
    }

    #[test]
    fn nothing_to_compare_is_an_error() {
        let mut verifier = verifier(&[(EngineKind::Tract, 1.0), (EngineKind::Burn, 1.0)]);
        assert!(matches!(
            verifier.compare(&source(&[])),
            Err(VerifyError::NothingToCompare)
        ));
    }
}
