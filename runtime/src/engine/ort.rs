//! ONNX Runtime, loaded when the program runs: nothing is downloaded or linked at build time.

use std::path::PathBuf;
use std::sync::OnceLock;

use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::{Outlet, TensorElementType, TensorRef, ValueType};

use super::graph::{Graph, GraphOutput, GraphSpec};
use super::{EngineError, LoadError, OnnxEngine};

const NAME: &str = "ONNX Runtime";
/// Environment variable that names the library.
pub const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

/// A bundle's graphs in ONNX Runtime, one thread. The library is the one that [`LIBRARY_VARIABLE`] names (without it, the one that the
/// system finds); it is loaded once a process.
pub type OrtEngine = OnnxEngine<OrtGraph>;

/// The process's environment, and through it the library; what went wrong the first time is said again later.
fn environment() -> Result<&'static Environment, LoadError> {
    static ENVIRONMENT: OnceLock<Result<Environment, String>> = OnceLock::new();
    let found = ENVIRONMENT.get_or_init(|| {
        let named = std::env::var_os(LIBRARY_VARIABLE)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from);
        let path = match &named {
            // A relative path is meant from here; the loader would look beside the program.
            Some(path) if path.exists() => std::path::absolute(path).map_err(|e| e.to_string())?,
            Some(path) => path.clone(),
            None => PathBuf::from(format!(
                "{}onnxruntime{}",
                std::env::consts::DLL_PREFIX,
                std::env::consts::DLL_SUFFIX
            )),
        };
        let said = if named.is_some() {
            ""
        } else {
            " (it is not set)"
        };
        let hint = format!(
            "get the library with `pip install onnxruntime` and set {LIBRARY_VARIABLE}{said} to \
             …/site-packages/onnxruntime/capi/libonnxruntime.so.VERSION, or use the tract engine"
        );
        let builder = ort::init_from(&path).map_err(|e| format!("{e}; {hint}"))?;
        builder
            .with_name("ser-edge")
            .with_telemetry(false)
            .build()
            .map_err(|e| e.to_string())
    });
    found.as_ref().map_err(|reason| LoadError::Library {
        engine: NAME,
        reason: reason.clone(),
    })
}

/// One graph, ready to run.
pub struct OrtGraph {
    session: Session,
    input: GraphOutput,
    outputs: Vec<GraphOutput>,
}

impl Graph for OrtGraph {
    const NAME: &'static str = NAME;

    fn load(spec: &GraphSpec<'_>) -> Result<Self, LoadError> {
        let builder = Session::builder(environment()?).map_err(|e| spec.refused(e))?;
        let builder = builder.with_intra_threads(1).map_err(|e| spec.refused(e))?;
        let mut builder = builder
            .with_optimization_level(GraphOptimizationLevel::Level3)
            .map_err(|e| spec.refused(e))?;
        let session = builder
            .commit_from_memory(spec.onnx)
            .map_err(|e| spec.refused(e))?;

        let [input] = session.inputs() else {
            return Err(spec.refused(format!(
                "has {} inputs, must have one",
                session.inputs().len()
            )));
        };
        check_port(spec, input, "input", &spec.input)?;
        for output in &spec.outputs {
            let found = session
                .outputs()
                .iter()
                .find(|found| found.name() == output.name);
            let found =
                found.ok_or_else(|| spec.refused(format!("has no output {:?}", output.name)))?;
            check_port(spec, found, "output", output)?;
        }
        Ok(Self {
            session,
            input: spec.input.clone(),
            outputs: spec.outputs.clone(),
        })
    }

    fn run(&mut self, row: &[f32], into: &mut [&mut [f32]]) -> Result<(), EngineError> {
        let failed = |error: ort::Error| EngineError::Library {
            engine: NAME,
            message: error.to_string(),
        };
        let input = TensorRef::from_array_view(([1, row.len()], row)).map_err(failed)?;
        let found = self
            .session
            .run(ort::inputs![self.input.name.as_str() => input])
            .map_err(failed)?;
        for (output, into) in self.outputs.iter().zip(into) {
            let missing = || EngineError::Library {
                engine: NAME,
                message: format!("gave no output {:?}", output.name),
            };
            let (shape, values) = found
                .get(&output.name)
                .ok_or_else(missing)?
                .try_extract_tensor::<f32>()
                .map_err(failed)?;
            if values.len() != into.len() {
                let message = format!(
                    "output {:?} has shape {shape:?}, expected [1, {}]",
                    output.name, output.width
                );
                return Err(EngineError::Library {
                    engine: NAME,
                    message,
                });
            }
            into.copy_from_slice(values);
        }
        Ok(())
    }
}

/// Compares what the graph declares with the manifest: the name, `f32`, two dimensions, the second of the manifest's width (or free).
fn check_port(
    spec: &GraphSpec<'_>,
    found: &Outlet,
    what: &str,
    expected: &GraphOutput,
) -> Result<(), LoadError> {
    let width = expected.width as i64;
    let fits = match found.dtype() {
        ValueType::Tensor {
            ty: TensorElementType::Float32,
            shape,
            ..
        } => {
            matches!(**shape, [1 | -1, columns] if columns == width || columns == -1)
        }
        _ => false,
    };
    if found.name() != expected.name {
        return Err(spec.refused(format!(
            "its {what} is {:?}, the manifest says {:?}",
            found.name(),
            expected.name
        )));
    }
    if !fits {
        let declared = found.dtype();
        return Err(spec.refused(format!(
            "{what} {:?} is {declared}, the manifest says {width} floats a row",
            expected.name
        )));
    }
    Ok(())
}
