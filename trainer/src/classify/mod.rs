//! Classifiers.

pub mod dnn;
pub mod svm;
mod svm_solver;
