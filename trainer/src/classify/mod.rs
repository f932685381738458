//! Classifiers.

pub mod dnn;
pub mod stopping;
pub mod svm;
mod svm_grid;
mod svm_solver;
