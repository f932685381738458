//! Classifiers.

pub mod dnn;
pub mod svm;
mod svm_grid;
mod svm_solver;
