//! Why a flat file is refused.

use ser_features::EXTRACTOR_VERSION;

use super::format::{ALIGNMENT, FORMAT_VERSION, MAX_LAYERS, MAX_WIDTH};

/// Why bytes are not a usable flat model file, or why no engine can be made from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StaticModelError {
    /// The bytes end before the file does.
    #[error("the file ends inside {what}: {needed} bytes are needed, {found} are left")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Bytes that it takes.
        needed: usize,
        /// Bytes that are left.
        found: usize,
    },
    /// The bytes do not begin with [`MAGIC`](super::MAGIC).
    #[error("not a flat model file: it does not begin with SER-FLAT")]
    Magic,
    /// Another layout.
    #[error(
        "format version {found}; this program reads version {FORMAT_VERSION}. Export the model again: ser-train export BUNDLE --engine static"
    )]
    Version {
        /// Its version.
        found: u32,
    },
    /// The bytes do not begin at a multiple of [`ALIGNMENT`].
    #[error(
        "the bytes begin {off} past a multiple of {ALIGNMENT}; align them, in a program with include_model!"
    )]
    Misaligned {
        /// Address modulo [`ALIGNMENT`].
        off: usize,
    },
    /// More or fewer bytes than the header says.
    #[error("{found} bytes, but the header says {stated}")]
    Length {
        /// Length in the header.
        stated: usize,
        /// Bytes given.
        found: usize,
    },
    /// The content was changed or damaged.
    #[error("CRC-32 is {found:08x}, the header says {stated:08x}; the file was changed or damaged")]
    Crc {
        /// CRC-32 in the header.
        stated: u32,
        /// CRC-32 of the content.
        found: u32,
    },
    /// The model was trained on features of other names or another order than those of its feature set.
    #[error(
        "the names hash is not that of the feature set; the model was trained on other features"
    )]
    NamesHash,
    /// The model was trained on features of another extractor.
    #[error(
        "trained on features of another extractor version than {EXTRACTOR_VERSION:?}, which is built in; train again, or use a matching program"
    )]
    ExtractorVersion,
    /// More layers than an engine takes.
    #[error("{found} layers, at most {MAX_LAYERS} are supported")]
    Layers {
        /// Encoder and classifier layers.
        found: usize,
    },
    /// A field of the header, or a table behind it, holds something unusable.
    #[error("{field} {reason}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Part of a layer holds something unusable.
    #[error("layer {layer}: {field} {reason}")]
    Layer {
        /// Which, from 0; classifier layers follow those of the encoder.
        layer: usize,
        /// The part.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A layer is wider than 2^20, or than 8-bit weights allow.
    #[error("layer {layer}: {width} {side}, outside 1 to {MAX_WIDTH}")]
    Width {
        /// Which, from 0; classifier layers follow those of the encoder.
        layer: usize,
        /// "inputs" or "outputs".
        side: &'static str,
        /// The width.
        width: usize,
    },
    /// A layer does not read what comes before it.
    #[error("layer {layer}: reads {found} numbers, gets {expected}")]
    Chain {
        /// Which, from 0; classifier layers follow those of the encoder.
        layer: usize,
        /// Inputs of the layer.
        found: usize,
        /// Numbers that it gets.
        expected: usize,
    },
    /// The classifier has not one output a label.
    #[error("the classifier has {found} outputs for {labels} labels")]
    Outputs {
        /// Its outputs.
        found: usize,
        /// Labels.
        labels: usize,
    },
    /// The scratch memory is too small.
    #[error("{found} floats of scratch memory, {needed} are needed")]
    Scratch {
        /// Its length.
        found: usize,
        /// [`StaticModel::scratch_len`](super::StaticModel::scratch_len).
        needed: usize,
    },
}
