//! The way back: burn-onnx turns the shipped model's ONNX graphs into Rust, and a test runs them.

use burn_onnx::ModelGen;

fn main() {
    for graph in ["encoder.onnx", "classifier.onnx"] {
        let path = format!("../models/emodb-4class/{graph}");
        println!("cargo:rerun-if-changed={path}");
        ModelGen::new()
            .input(&path)
            .out_dir("model/")
            .run_from_script();
    }
}
