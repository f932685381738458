//! The static engine: a model in one flat file, borrowed where it lies (flash, [`include_model!`](crate::include_model), a memory map)
//! and computed without a heap or an operating system.
//!
//! ```
//! use ser_runtime::engine::static_model::{StaticEngine, StaticModel, StaticModelError};
//! use ser_runtime::engine::Engine;
//!
//! fn recognise(file: &[u8], features: &[f32]) -> Result<(), Box<dyn core::error::Error>> {
//!     let model = StaticModel::from_bytes(file)?; // e.g. include_model!("model-int8.ser")
//!     let (mut code, mut logits) = ([0.0; 256], [0.0; 4]);
//!     let mut engine = StaticEngine::new(model, [0.0; 2048])?; // at least model.scratch_len()
//!     engine.encode(features, &mut code)?;
//!     engine.classify(&code, &mut logits)?;
//!     Ok(())
//! }
//! ```
//!
//! # Two precisions
//!
//! **f32**: what the ONNX graphs compute, up to the order of sums. **int8**: weights are 8-bit integers with one step an output
//! (symmetric, largest weight = 127). The inputs of a layer are integers of 14 bits (fewer above 2048 inputs, so that no sum leaves 32
//! bits) with one step a layer, taken from the largest input on calibration rows. 16-bit multipliers are what SSE2, AVX2, NEON and Cortex-M have, so the
//! wider activations cost no time beside 8-bit ones, and the first layer's normalised features keep their precision.
//!
//! Both give the same bits on every machine: the sum of a row has a fixed order (see `kernel`), no operation is fused, rounding is to
//! the nearest, ties to even, and `libm` has the only transcendental function.
//!
//! # The file
//!
//! Little-endian; every array begins at a multiple of 16 bytes and is filled up to one with zeros.
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 8 | [`MAGIC`] |
//! | 8 | 4 | format version, [`FORMAT_VERSION`]; in version 1 the fields from 56 and from 112 on are 0 |
//! | 12 | 4 | CRC-32 (ISO-HDLC) of everything behind it |
//! | 16 | 4 | length of the file |
//! | 20 | 4 | precision: 0 f32, 1 int8 |
//! | 24 | 4 | features that the extractor gives |
//! | 28 | 4 | features that the model reads |
//! | 32 | 4, 4, 4 | encoder layers, classifier layers, labels |
//! | 44 | 4 | calibration temperature, f32 |
//! | 48 | 4 | limit of normalised features, f32; infinity for none |
//! | 52 | 4 | bytes of the texts |
//! | 56 | 4 | least probability of a label, f32; 0 always gives one |
//! | 60 | 4 | sampling rate of the training features in Hz; 0 for the recordings' own |
//! | 64 | 32 | SHA-256 of the feature names |
//! | 96 | 16 | id of the bundle it was exported from |
//! | 112 | 12 | id of the segmenter that cut the training recordings, filled up with zeros; none for whole ones |
//! | 124 | 4 | [`CutConfig::fingerprint`] of its settings |
//! | 128 | | texts, each a 16-bit length and UTF-8: feature set id, extractor version, the labels |
//! | | | indices of the features that the model reads, u32, ascending; absent where it reads all |
//! | | | offset, then scale of each of them, f32: normalised = clip((x - offset) · scale) |
//! | | | the layers |
//!
//! A layer: inputs, outputs, activation (0 linear, 1 ReLU, 2 leaky ReLU, 3 sigmoid), slope, step of the input (int8), 12 bytes of 0; then
//! the weights, one row an output, rows filled up with zeros to a multiple of 16 elements; for int8 the step of each row, f32; the biases, f32.
//!
//! # Checks
//!
//! [`StaticModel::from_bytes`] looks at every byte once: magic, version, alignment, length, CRC, sizes, that layers fit each other, that
//! no number is NaN or infinite, that a built-in feature set has the names and the extractor version of this program. After that nothing
//! can fail but an input of the wrong length or with NaN in it.

#[cfg(target_endian = "big")]
compile_error!("flat model files are little-endian and are used in place");

#[cfg(feature = "alloc")]
mod aligned;
mod compute;
mod error;
mod features;
mod format;
mod kernel;
mod layer;
#[cfg(feature = "std")]
mod owned;
#[cfg(feature = "alloc")]
mod write;

pub use crate::crc32::crc32;
#[cfg(feature = "alloc")]
pub use aligned::AlignedBytes;
pub use compute::StaticEngine;
pub use error::StaticModelError;
pub use format::{ALIGNMENT, FORMAT_VERSION, MAGIC, MAX_LAYERS, MAX_WIDTH};
pub use layer::{Activation, Precision};
#[cfg(feature = "std")]
pub use owned::{F32_FILE, INT8_FILE, OwnedStaticEngine};
#[cfg(feature = "alloc")]
pub use write::{Dense, FlatModel, input_ranges};

use ser_features::{
    EXTRACTOR_VERSION, FeatureGroups, FeatureSet, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE,
};

use crate::cut::CutConfig;
use crate::prediction::Decision;
use crate::segment::SEGMENTER_ID;

use format::{CRC_FROM, Cursor, HEADER_LEN, ID_LEN, SEGMENTER_LEN};
use layer::Layer;

/// Bytes at a multiple of [`ALIGNMENT`]; [`include_model!`](crate::include_model) uses it.
#[repr(C, align(16))]
#[derive(Debug)]
pub struct Aligned<T: ?Sized>(pub T);

/// The bytes of a file, as `include_bytes!` gives them, but aligned as [`StaticModel::from_bytes`] needs them.
#[macro_export]
macro_rules! include_model {
    ($path:expr $(,)?) => {{
        static MODEL: &$crate::engine::static_model::Aligned<[u8]> =
            &$crate::engine::static_model::Aligned(*include_bytes!($path));
        &MODEL.0
    }};
}

/// A checked flat model file, borrowed.
#[derive(Debug, Clone)]
pub struct StaticModel<'a> {
    precision: Precision,
    feature_count: usize,
    decision: Decision,
    sample_rate: Option<u32>,
    segmenter: [u8; SEGMENTER_LEN],
    cut_fingerprint: u32,
    names_sha256: [u8; 32],
    bundle_id: [u8; ID_LEN],
    /// Feature set id, extractor version, labels.
    texts: &'a [u8],
    label_count: usize,
    /// Empty where the model reads all features.
    selection: &'a [u32],
    offset: &'a [f32],
    scale: &'a [f32],
    clip: f32,
    layers: heapless::Vec<Layer<'a>, MAX_LAYERS>,
    encoder_layers: usize,
}

impl<'a> StaticModel<'a> {
    /// Checks a flat file and borrows its arrays; nothing is copied.
    ///
    /// # Errors
    /// [`StaticModelError`], whatever is wrong with the bytes.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, StaticModelError> {
        let mut head = Cursor::new(bytes);
        if head.bytes::<{ MAGIC.len() }>("the header")? != MAGIC {
            return Err(StaticModelError::Magic);
        }
        let found = head.u32("the header")?;
        if !(1..=FORMAT_VERSION).contains(&found) {
            return Err(StaticModelError::Version { found });
        }
        let off = bytes.as_ptr() as usize % ALIGNMENT;
        if off != 0 {
            return Err(StaticModelError::Misaligned { off });
        }
        let (stated, length) = (head.u32("the header")?, head.count("the header")?);
        if length != bytes.len() {
            return Err(StaticModelError::Length {
                stated: length,
                found: bytes.len(),
            });
        }
        let found = crc32(&bytes[CRC_FROM..]);
        if found != stated {
            return Err(StaticModelError::Crc { stated, found });
        }
        let model = Self::borrow(bytes)?;
        model.check_numbers()?;
        model.check_features()?;
        Ok(model)
    }

    /// Shapes, counts and texts; takes the CRC and the numbers in the arrays on trust.
    fn borrow(bytes: &'a [u8]) -> Result<Self, StaticModelError> {
        let field = |field, reason| StaticModelError::Field { field, reason };
        let mut cursor = Cursor::new(bytes);
        let mut head = Cursor::new(cursor.take(HEADER_LEN, "the header")?);
        head.take(20, "the header")?;
        let precision = match head.u32("precision")? {
            0 => Precision::F32,
            1 => Precision::Int8,
            _ => return Err(field("precision", "is neither f32 nor int8")),
        };
        let feature_count = head.count("feature count")?;
        let selected = head.count("selected features")?;
        let encoder_layers = head.count("encoder layers")?;
        let classifier_layers = head.count("classifier layers")?;
        let label_count = head.count("labels")?;
        let temperature = head.f32("temperature")?;
        let clip = head.f32("clip")?;
        let texts_len = head.count("length of the texts")?;
        let abstain_below = head.f32("abstention")?;
        let sample_rate = head.u32("sampling rate")?;
        let names_sha256 = head.bytes("names hash")?;
        let bundle_id = head.bytes("bundle id")?;
        let segmenter: [u8; SEGMENTER_LEN] = head.bytes("segmenter")?;
        let cut_fingerprint = head.u32("the cut")?;
        if !(0.0..=1.0).contains(&abstain_below) {
            return Err(field("abstention", "is not a probability"));
        }
        if sample_rate != 0 && !(MIN_SAMPLE_RATE..=MAX_SAMPLE_RATE).contains(&sample_rate) {
            return Err(field("sampling rate", "is outside the extractor's range"));
        }
        let name = core::str::from_utf8(&segmenter);
        if !name.is_ok_and(|n| {
            n.trim_end_matches('\0')
                .chars()
                .all(|c| c.is_ascii_graphic())
        }) {
            return Err(field("segmenter", "is no name"));
        }

        if feature_count == 0 || feature_count > MAX_WIDTH {
            return Err(field("feature count", "is not between 1 and 2^20"));
        }
        if selected == 0 || selected > feature_count {
            return Err(field(
                "selected features",
                "are not between 1 and the feature count",
            ));
        }
        if !(2..=MAX_WIDTH).contains(&label_count) {
            return Err(field("labels", "are not between 2 and 2^20"));
        }
        if !(temperature.is_finite() && temperature > 0.0) {
            return Err(field("temperature", "is not a positive number"));
        }
        if clip.is_nan() || clip <= 0.0 {
            return Err(field("clip", "is not a positive number"));
        }
        let total = encoder_layers.saturating_add(classifier_layers);
        if total > MAX_LAYERS {
            return Err(StaticModelError::Layers { found: total });
        }
        if classifier_layers == 0 {
            return Err(field("classifier layers", "are none"));
        }

        let texts: &[u8] = cursor.array(texts_len, "texts")?;
        let selection = if selected == feature_count {
            &[]
        } else {
            cursor.array(selected, "selected features")?
        };
        let offset = cursor.array(selected, "offset")?;
        let scale = cursor.array(selected, "scale")?;
        let mut layers = heapless::Vec::new();
        let mut width = selected;
        for index in 0..total {
            let layer = Layer::read(&mut cursor, precision, index)?;
            if layer.inputs != width {
                return Err(StaticModelError::Chain {
                    layer: index,
                    found: layer.inputs,
                    expected: width,
                });
            }
            width = layer.outputs;
            layers
                .push(layer)
                .map_err(|_| StaticModelError::Layers { found: total })?;
        }
        if width != label_count {
            return Err(StaticModelError::Outputs {
                found: width,
                labels: label_count,
            });
        }
        if cursor.left() != 0 {
            return Err(field("length", "is more than header and layers need"));
        }
        let model = Self {
            precision,
            feature_count,
            decision: Decision {
                temperature,
                abstain_below,
            },
            sample_rate: (sample_rate != 0).then_some(sample_rate),
            segmenter,
            cut_fingerprint,
            names_sha256,
            bundle_id,
            texts,
            label_count,
            selection,
            offset,
            scale,
            clip,
            layers,
            encoder_layers,
        };
        model.check_texts()?;
        Ok(model)
    }

    fn check_texts(&self) -> Result<(), StaticModelError> {
        let field = |reason| {
            Err(StaticModelError::Field {
                field: "texts",
                reason,
            })
        };
        let mut texts = Texts(self.texts);
        let mut count = 0;
        while !texts.0.is_empty() {
            match texts.next() {
                None => return field("are cut short or not UTF-8"),
                Some(text) if text.trim().is_empty() || text.contains(char::is_control) => {
                    return field("hold one that is no name");
                }
                Some(_) => count += 1,
            }
        }
        if count == self.label_count + 2 {
            Ok(())
        } else {
            field("are not feature set, extractor version and one name a label")
        }
    }

    fn check_numbers(&self) -> Result<(), StaticModelError> {
        let field = |field, reason| Err(StaticModelError::Field { field, reason });
        let ascending = self.selection.windows(2).all(|pair| pair[0] < pair[1]);
        let largest = self.selection.last().map(|&last| usize::try_from(last));
        if !ascending || largest.is_some_and(|last| !last.is_ok_and(|i| i < self.feature_count)) {
            return field(
                "selected features",
                "are not ascending indices below the feature count",
            );
        }
        if self.offset.iter().any(|v| !v.is_finite()) {
            return field("offset", "holds a number that is not finite");
        }
        if self.scale.iter().any(|v| !(v.is_finite() && *v >= 0.0)) {
            return field("scale", "holds a number that is negative or not finite");
        }
        for (index, layer) in self.layers.iter().enumerate() {
            layer.check_numbers(index)?;
        }
        Ok(())
    }

    fn check_features(&self) -> Result<(), StaticModelError> {
        let Some(set) = self.built_in_features() else {
            return Ok(());
        };
        if self.feature_count != ser_features::FEATURE_COUNT {
            return Err(StaticModelError::Field {
                field: "feature count",
                reason: "is not that of the feature set",
            });
        }
        if self.names_sha256 != features::names_sha256(set) {
            return Err(StaticModelError::NamesHash);
        }
        if self.extractor_version() != EXTRACTOR_VERSION {
            return Err(StaticModelError::ExtractorVersion);
        }
        Ok(())
    }

    /// How the weights are stored.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Features that the extractor gives; the model may read fewer, see [`Self::selection`].
    pub fn feature_count(&self) -> usize {
        self.feature_count
    }

    /// Indices of the features that the model reads, ascending.
    pub fn selection(
        &self,
    ) -> impl ExactSizeIterator<Item = usize> + DoubleEndedIterator + Clone + use<'a> {
        let (selection, count) = (self.selection, self.offset.len());
        (0..count).map(move |i| selection.get(i).map_or(i, |&index| index as usize))
    }

    /// Groups of features that the model reads: those with a selected feature whose scale is not 0. All for a feature set that is not built in.
    pub fn groups(&self) -> FeatureGroups {
        if self.built_in_features().is_none() {
            return FeatureGroups::ALL;
        }
        let read = self.selection().zip(self.scale);
        FeatureGroups::of_features(read.filter_map(|(i, &scale)| (scale != 0.0).then_some(i)))
    }

    /// Elements of the code.
    pub fn code_len(&self) -> usize {
        self.encoder()
            .last()
            .map_or(self.offset.len(), |l| l.outputs)
    }

    /// Labels in the order of the logits.
    pub fn labels(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        Texts(self.texts).skip(2)
    }

    /// Number of labels.
    pub fn label_count(&self) -> usize {
        self.label_count
    }

    /// How logits become a label.
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// Rate, in Hz, at which the training features were taken; `None` for the recordings' own.
    pub fn sample_rate(&self) -> Option<u32> {
        self.sample_rate
    }

    /// Id of the segmenter that cut the training recordings; `None` for whole recordings.
    pub fn segmenter(&self) -> Option<&str> {
        let name = core::str::from_utf8(&self.segmenter).unwrap_or_default();
        Some(name.trim_end_matches('\0')).filter(|name| !name.is_empty())
    }

    /// Whether the training recordings were cut as a stream is cut here by `config`.
    pub fn cut_as(&self, config: &CutConfig) -> bool {
        self.segmenter() == Some(SEGMENTER_ID) && self.cut_fingerprint == config.fingerprint()
    }

    /// Offset and scale of each feature of the [selection](Self::selection), where they lie:
    /// normalised = (x - offset) · scale.
    pub fn normaliser(&self) -> (&'a [f32], &'a [f32]) {
        (self.offset, self.scale)
    }

    /// The fixed normaliser of all features, for an adaptive one: offset 0 and scale 0 for those
    /// that the model does not read. Both slices have [`Self::feature_count`] elements; what lies
    /// beyond is left alone.
    pub fn normaliser_into(&self, offset: &mut [f32], scale: &mut [f32]) {
        offset.fill(0.0);
        scale.fill(0.0);
        for ((index, &from), &by) in self.selection().zip(self.offset).zip(self.scale) {
            if let (Some(o), Some(s)) = (offset.get_mut(index), scale.get_mut(index)) {
                (*o, *s) = (from, by);
            }
        }
    }

    /// Id of the feature set.
    pub fn feature_set(&self) -> &'a str {
        Texts(self.texts).next().unwrap_or_default()
    }

    /// The feature set, if it is one that this program extracts.
    pub fn built_in_features(&self) -> Option<FeatureSet> {
        FeatureSet::from_id(self.feature_set())
    }

    /// Version of the extractor that made the training features.
    pub fn extractor_version(&self) -> &'a str {
        Texts(self.texts).nth(1).unwrap_or_default()
    }

    /// SHA-256 of the feature names, each followed by a line feed.
    pub fn names_sha256(&self) -> &[u8; 32] {
        &self.names_sha256
    }

    /// Id of the bundle that the file was exported from; 16 hexadecimal digits.
    pub fn bundle_id(&self) -> &[u8; 16] {
        &self.bundle_id
    }

    /// Floats of scratch memory that [`StaticEngine`] needs.
    pub fn scratch_len(&self) -> usize {
        let (even, odd) = self.buffers();
        match self.precision {
            Precision::F32 => even + odd,
            // Strides are multiples of 16.
            Precision::Int8 => (even + odd) / 2,
        }
    }

    /// Elements of the two buffers that layers read from in turn.
    fn buffers(&self) -> (usize, usize) {
        let widest = |parity: usize| {
            let strides = |layers: &[Layer<'a>]| {
                let every_other = layers.iter().skip(parity).step_by(2);
                every_other.map(Layer::stride).max().unwrap_or_default()
            };
            strides(self.encoder()).max(strides(self.classifier()))
        };
        (widest(0), widest(1))
    }

    fn encoder(&self) -> &[Layer<'a>] {
        self.layers.get(..self.encoder_layers).unwrap_or_default()
    }

    fn classifier(&self) -> &[Layer<'a>] {
        self.layers.get(self.encoder_layers..).unwrap_or_default()
    }
}

/// Walks texts of a 16-bit length and UTF-8 each; ends at one that is neither.
#[derive(Clone)]
struct Texts<'a>(&'a [u8]);

impl<'a> Iterator for Texts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (len, rest) = self.0.split_first_chunk()?;
        let (text, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
        self.0 = rest;
        str::from_utf8(text).ok()
    }
}
