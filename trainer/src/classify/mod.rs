//! Classifiers.

pub mod dnn;
