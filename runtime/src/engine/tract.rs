//! The default engine: tract, pure Rust.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;

use super::graph::{Graph, GraphSpec};
use super::{EngineError, LoadError, OnnxEngine};

const NAME: &str = "tract";

/// A bundle's graphs, optimised by tract.
pub type TractEngine = OnnxEngine<TractGraph>;

/// One graph, ready to run.
pub struct TractGraph {
    state: TypedSimpleState,
    output_widths: Vec<usize>,
}

impl Graph for TractGraph {
    const NAME: &'static str = NAME;

    /// tract panics on some graphs that are valid protobuf but not valid ONNX; that becomes an error here.
    fn load(spec: &GraphSpec<'_>) -> Result<Self, LoadError> {
        catch_unwind(AssertUnwindSafe(|| Self::parse(spec)))
            .unwrap_or_else(|_| Err(spec.refused("the graph is not valid ONNX")))
    }

    fn run(&mut self, row: &[f32], into: &mut [&mut [f32]]) -> Result<(), EngineError> {
        let failed = |error: TractError| EngineError::Library {
            engine: NAME,
            message: format!("{error:#}"),
        };
        let input = Tensor::from_shape(&[1, row.len()], row).map_err(failed)?;
        let outputs = self.state.run(tvec!(input.into_tvalue())).map_err(failed)?;
        for ((output, &width), into) in outputs.iter().zip(&self.output_widths).zip(into) {
            let view = output.to_plain_array_view::<f32>().map_err(failed)?;
            let values = view
                .as_slice()
                .filter(|values| values.len() == width && into.len() == width);
            into.copy_from_slice(values.ok_or_else(|| EngineError::Library {
                engine: NAME,
                message: format!(
                    "an output has shape {:?}, expected [1, {width}]",
                    view.shape()
                ),
            })?);
        }
        Ok(())
    }
}

impl TractGraph {
    fn parse(spec: &GraphSpec<'_>) -> Result<Self, LoadError> {
        let failed = |error: TractError| spec.refused(format!("{error:#}"));
        let mut model = onnx().model_for_read(&mut &*spec.onnx).map_err(failed)?;

        let inputs = model.input_outlets().map_err(failed)?.to_vec();
        let &[input] = inputs.as_slice() else {
            return Err(spec.refused(format!("has {} inputs, must have one", inputs.len())));
        };
        let found = &model.node(input.node).name;
        if *found != spec.input.name {
            return Err(spec.refused(format!(
                "its input is {found:?}, the manifest says {:?}",
                spec.input.name
            )));
        }
        let declared = model.outlet_fact(input).map_err(failed)?.clone();
        let columns = declared
            .shape
            .dims()
            .nth(1)
            .and_then(|dim| dim.concretize());
        let fits = declared.shape.rank() == 2.into()
            && declared.datum_type() == Some(f32::datum_type())
            && columns == Some(spec.input.width.to_dim());
        if !fits {
            return Err(spec.refused(format!(
                "input {found:?} is {declared:?}, the manifest says {} floats a row",
                spec.input.width
            )));
        }
        model
            .set_outlet_fact(input, f32::fact([1, spec.input.width]).into())
            .map_err(failed)?;

        let mut outlets = Vec::with_capacity(spec.outputs.len());
        for output in &spec.outputs {
            let outlets_of_graph = model.output_outlets().map_err(failed)?;
            let outlet = outlets_of_graph
                .iter()
                .copied()
                .find(|&outlet| model.outlet_label(outlet) == Some(&output.name));
            outlets.push(
                outlet.ok_or_else(|| spec.refused(format!("has no output {:?}", output.name)))?,
            );
        }
        model.select_output_outlets(&outlets).map_err(failed)?;

        let model = model.into_optimized().map_err(failed)?;
        for (index, output) in spec.outputs.iter().enumerate() {
            let fact = model.output_fact(index).map_err(failed)?;
            let expected = f32::fact([1, output.width]);
            if fact.datum_type != expected.datum_type || fact.shape != expected.shape {
                return Err(spec.refused(format!(
                    "output {:?} is {fact:?} for one row, the manifest says {} floats",
                    output.name, output.width
                )));
            }
        }
        let state = model
            .into_runnable()
            .and_then(|plan| plan.spawn())
            .map_err(failed)?;
        Ok(Self {
            state,
            output_widths: spec.outputs.iter().map(|o| o.width).collect(),
        })
    }
}
