//! Training side of ser-edge: labelled recordings in, a model bundle and result tables out.
//!
//! The stages are types, so that one cannot be left out: a [`corpus::Corpus`] (who says what with which
//! emotion, and where the recording lies) becomes a [`table::FeatureTable`] (one row of features per
//! utterance), and a table becomes a trained model.
//!
//! Every stage is a subcommand of `ser-train` (see [`cli`]) and a library call.
#![recursion_limit = "256"]

pub mod adapt;
pub mod atomic;
pub mod augment;
pub mod classify;
pub mod cli;
pub mod config;
pub mod corpus;
pub mod data;
pub mod device;
pub mod error;
pub mod evaluate;
pub mod experiment;
pub mod export;
pub mod extract;
pub mod fit;
pub mod gan;
mod gram;
pub mod metrics;
pub mod model;
pub mod nn;
pub mod plots;
pub mod progress;
pub mod reduce;
pub mod report;
mod simd;
pub mod similarity;
pub mod stats;
pub mod table;
pub mod verify;
mod workers;

pub use error::Error;
