//! The static engine of a bundle on a machine with an operating system.

use std::sync::Arc;

use ser_features::FeatureGroups;

use super::compute::{classify, encode};
use super::{AlignedBytes, Precision, StaticModel};
use crate::bundle::{Bundle, Manifest};
use crate::engine::{Engine, EngineError, LoadError};

/// Name of the f32 file inside a bundle.
pub const F32_FILE: &str = "model-f32.ser";
/// Name of the int8 file inside a bundle.
pub const INT8_FILE: &str = "model-int8.ser";

/// A [`StaticEngine`](super::StaticEngine) that owns its model; clones share it and have scratch memory of their own.
///
/// The file is read once, not memory-mapped: [`Bundle::open`] reads and hashes every file anyway, a map of a file that another process
/// changes or cuts short would be undefined behaviour behind checks that had passed, and a model is a few megabytes.
/// [`StaticModel::from_bytes`] takes a map as well as any other bytes.
#[derive(Debug, Clone)]
pub struct OwnedStaticEngine {
    file: Arc<AlignedBytes>,
    scratch: Vec<f32>,
    feature_count: usize,
    code_len: usize,
    label_count: usize,
    groups: FeatureGroups,
}

impl OwnedStaticEngine {
    /// The engine of a flat file.
    ///
    /// # Errors
    /// See [`StaticModel::from_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, super::StaticModelError> {
        let file = AlignedBytes::copy_of(bytes);
        let model = StaticModel::from_bytes(file.as_slice())?;
        let (feature_count, code_len) = (model.feature_count(), model.code_len());
        let (label_count, scratch) = (model.label_count(), model.scratch_len());
        let groups = model.groups();
        drop(model);
        Ok(Self {
            file: Arc::new(file),
            scratch: vec![0.0; scratch],
            feature_count,
            code_len,
            label_count,
            groups,
        })
    }

    /// Loads the flat file of `bundle` with this precision and checks that it is of the same model as the graphs.
    ///
    /// # Errors
    /// [`LoadError::NotExported`] for a bundle without it, [`LoadError::Bundle`], [`LoadError::Static`].
    pub fn load(bundle: &Bundle, precision: Precision) -> Result<Self, LoadError> {
        let (file, export) = match precision {
            Precision::F32 => (F32_FILE, "--engine static"),
            Precision::Int8 => (INT8_FILE, "--engine static --int8 --calibrate TABLE"),
        };
        let name = bundle.dir.display().to_string();
        if !bundle.manifest.files.contains_key(file) {
            return Err(LoadError::NotExported {
                bundle: name,
                file,
                export,
            });
        }
        let engine = Self::from_bytes(&bundle.read(file)?).map_err(|source| LoadError::Static {
            bundle: name.clone(),
            file,
            source,
        })?;
        match engine.difference(bundle, precision) {
            None => Ok(engine),
            Some(what) => Err(LoadError::OtherModel {
                bundle: name,
                file,
                what,
                export,
            }),
        }
    }

    /// What the file says otherwise than the bundle.
    fn difference(&self, bundle: &Bundle, precision: Precision) -> Option<&'static str> {
        // Checked before; an engine that cannot borrow its model differs in everything.
        let Ok(model) = self.model() else {
            return Some("its content");
        };
        let m = &bundle.manifest;
        let pairs = [
            (model.precision() == precision, "its precision"),
            (model.bundle_id() == m.id.as_bytes(), "the bundle's id"),
            (model.labels().eq(m.labels.iter()), "the labels"),
            (
                model.decision() == m.decision(),
                "the temperature, or the least probability of a label",
            ),
            (model.heard_as(m), "how recordings were heard"),
            (
                model.feature_set() == m.feature_set.id
                    && model.feature_count() == m.feature_set.count
                    && model.extractor_version() == m.feature_set.extractor_version,
                "the feature set",
            ),
            (model.code_len() == m.encoder.output_dim, "the code"),
        ];
        pairs.iter().find(|(same, _)| !same).map(|(_, what)| *what)
    }

    /// The model.
    ///
    /// # Errors
    /// None that [`Self::from_bytes`] would not have given.
    pub fn model(&self) -> Result<StaticModel<'_>, super::StaticModelError> {
        StaticModel::borrow(self.file.as_slice())
    }
}

impl StaticModel<'_> {
    /// Whether it says of its training recordings what the manifest says.
    fn heard_as(&self, manifest: &Manifest) -> bool {
        let hearing = manifest.hearing.as_ref();
        let cut = hearing.and_then(|h| h.cut.as_ref());
        self.sample_rate == hearing.and_then(|h| h.sample_rate)
            && self.segmenter() == cut.map(|c| c.segmenter.as_str())
            && cut.is_none_or(|c| c.config.fingerprint() == self.cut_fingerprint)
    }
}

/// The model, borrowed anew for each call: that costs some hundred nanoseconds, and no struct has to borrow from itself.
fn borrow(file: &AlignedBytes) -> Result<StaticModel<'_>, EngineError> {
    StaticModel::borrow(file.as_slice()).map_err(|error| EngineError::Library {
        engine: "static",
        message: error.to_string(),
    })
}

impl Engine for OwnedStaticEngine {
    fn feature_count(&self) -> usize {
        self.feature_count
    }

    fn code_len(&self) -> usize {
        self.code_len
    }

    fn label_count(&self) -> usize {
        self.label_count
    }

    fn groups(&self) -> FeatureGroups {
        self.groups
    }

    fn encode(&mut self, features: &[f32], code: &mut [f32]) -> Result<(), EngineError> {
        encode(&borrow(&self.file)?, &mut self.scratch, features, code)
    }

    fn classify(&mut self, code: &[f32], logits: &mut [f32]) -> Result<(), EngineError> {
        classify(&borrow(&self.file)?, &mut self.scratch, code, logits)
    }
}
