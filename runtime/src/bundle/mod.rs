//! The model bundle: a folder that holds everything a device needs, and the checks that keep a wrong one from being used.
//!
//! | file | holds |
//! |---|---|
//! | `bundle.json` | the [`Manifest`] |
//! | `encoder.onnx` | raw features `[N, d]` to code `[N, z]`, normaliser inside |
//! | `classifier.onnx` | code `[N, z]` to logits and probabilities `[N, c]` |
//! | `model-f32.ser`, `model-int8.ser` | both graphs in one flat file each, for the static engine; absent from bundles that it does not run |
//! | `MODEL_CARD.md` | for people |
//! | `SHA256SUMS` | SHA-256 of all of them, `bundle.json` too, as `sha256sum -c` reads it |

mod manifest;
mod names;
mod write;

pub use manifest::{
    Abstain, Calibration, ClassifierInfo, EncoderInfo, FeatureSetInfo, FileInfo, Manifest,
    Producer, Score,
};
pub use names::{bundle_id, names_sha256, sha256_hex};
pub use write::{add, write};

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ser_features::{EXTRACTOR_VERSION, FeatureSet};

/// Layout of bundles that this version writes.
pub const FORMAT_VERSION: u32 = 2;
/// Layouts that it reads: bundles of format 1 do not say how their recordings were heard.
pub const FORMAT_VERSIONS: core::ops::RangeInclusive<u32> = 1..=FORMAT_VERSION;
/// Name of the manifest inside a bundle.
pub const MANIFEST_FILE: &str = "bundle.json";
/// Name of the checksum list inside a bundle.
pub const CHECKSUMS_FILE: &str = "SHA256SUMS";
/// Largest `bundle.json` that is read.
const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// Name of the bundle's folder inside the folder that a training run writes.
pub const BUNDLE_FOLDER: &str = "bundle";

/// The bundle that is meant by `dir`: itself, or what a training run wrote to
/// [`BUNDLE_FOLDER`] inside it.
pub fn find(dir: &Path) -> PathBuf {
    let inside = dir.join(BUNDLE_FOLDER);
    let is_bundle = |dir: &Path| dir.join(MANIFEST_FILE).is_file();
    if !is_bundle(dir) && is_bundle(&inside) {
        inside
    } else {
        dir.to_owned()
    }
}

/// Why a bundle is refused or cannot be written. Every message names the bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The folder is not there, or holds no `bundle.json`.
    #[error("{bundle}: not a bundle: {reason}")]
    NotABundle {
        /// The bundle.
        bundle: String,
        /// What is missing.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("bundle {bundle}: {file}: {source}")]
    Io {
        /// The bundle.
        bundle: String,
        /// The file.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file that the manifest names is not there.
    #[error("bundle {bundle}: file {file} is missing; copy the whole folder again")]
    MissingFile {
        /// The bundle.
        bundle: String,
        /// The file.
        file: String,
    },
    /// A file of the bundle is a link to somewhere else, or not a regular file.
    #[error(
        "bundle {bundle}: {file} leads outside the bundle or is not a regular file; nothing outside the folder is read"
    )]
    Outside {
        /// The bundle.
        bundle: String,
        /// The file.
        file: String,
    },
    /// `bundle.json` is not JSON, or has a missing or unknown field.
    #[error("bundle {bundle}: {MANIFEST_FILE}: {source}")]
    Manifest {
        /// The bundle.
        bundle: String,
        /// What and where.
        source: serde_json::Error,
    },
    /// The bundle has another layout.
    #[error(
        "bundle {bundle}: format version {found}; this program reads versions up to {FORMAT_VERSION}. Export the model again, or use a matching ser-run"
    )]
    FormatVersion {
        /// The bundle.
        bundle: String,
        /// Its version.
        found: u32,
    },
    /// The bundle's features are unknown and it does not name them.
    #[error(
        "bundle {bundle}: feature set {found:?} is unknown; this program extracts {} and {}",
        FeatureSet::Emobase2010.id(),
        FeatureSet::Is10ParalingCompat.id()
    )]
    FeatureSet {
        /// The bundle.
        bundle: String,
        /// Its feature set.
        found: String,
    },
    /// The bundle was trained on features of other names or another order.
    #[error(
        "bundle {bundle}: names hash of feature set {set} is {found}, expected {expected}; the model was trained on other features"
    )]
    NamesHash {
        /// The bundle.
        bundle: String,
        /// Its feature set.
        set: String,
        /// The hash in the manifest.
        found: String,
        /// The hash of the names.
        expected: String,
    },
    /// The bundle was trained on features of another extractor.
    #[error(
        "bundle {bundle}: trained on features of extractor version {found:?}; this program extracts version {EXTRACTOR_VERSION:?}. Train again, or use a matching ser-run"
    )]
    ExtractorVersion {
        /// The bundle.
        bundle: String,
        /// Its extractor version.
        found: String,
    },
    /// Some field contradicts another one or cannot be used.
    #[error("bundle {bundle}: {MANIFEST_FILE}: {field}: {reason}")]
    Field {
        /// The bundle.
        bundle: String,
        /// The field.
        field: String,
        /// What is wrong.
        reason: String,
    },
    /// A file was changed after export.
    #[error(
        "bundle {bundle}: {file}: SHA-256 is {found}, expected {expected}; the file was changed or damaged, copy the bundle again"
    )]
    Sha256 {
        /// The bundle.
        bundle: String,
        /// The file.
        file: String,
        /// Its SHA-256.
        found: String,
        /// The SHA-256 that was recorded.
        expected: String,
    },
    /// `SHA256SUMS` is not the list that belongs to the bundle.
    #[error(
        "bundle {bundle}: {CHECKSUMS_FILE} does not fit the files; it was changed or damaged, copy the bundle again"
    )]
    Checksums {
        /// The bundle.
        bundle: String,
    },
    /// The target of a write exists and is something else.
    #[error("{bundle}: exists and is not a bundle; choose another folder or remove it")]
    Occupied {
        /// The folder.
        bundle: String,
    },
}

/// A bundle whose every byte was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// Where it was read from.
    pub dir: PathBuf,
    /// What it says about itself.
    pub manifest: Manifest,
    /// The encoder graph, ONNX.
    pub encoder: Vec<u8>,
    /// The classifier graph, ONNX.
    pub classifier: Vec<u8>,
}

impl Bundle {
    /// Reads and checks the bundle in `dir`. Only files inside `dir` are read.
    ///
    /// # Errors
    /// See [`BundleError`]: an unknown format version, feature set or extractor version, another names hash, a missing, changed or
    /// outside file, contradicting dimensions.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, BundleError> {
        let dir = dir.as_ref();
        let reader = Reader::new(dir)?;
        let json = reader
            .read(MANIFEST_FILE, MAX_MANIFEST_BYTES)
            .map_err(|error| match error {
                BundleError::MissingFile { bundle, file } => BundleError::NotABundle {
                    bundle,
                    reason: format!("it holds no {file}"),
                },
                other => other,
            })?;
        let manifest = Manifest::parse(&json, &reader.bundle)?;
        manifest.validate(&reader.bundle)?;

        let (mut encoder, mut classifier) = (None, None);
        for (name, info) in &manifest.files {
            let bytes = reader.read_checked(name, info)?;
            if *name == manifest.encoder.file {
                encoder = Some(bytes);
            } else if *name == manifest.classifier.file {
                classifier = Some(bytes);
            }
        }
        let unlisted = |field: &str, file: &str| BundleError::Field {
            bundle: reader.bundle.clone(),
            field: field.to_owned(),
            reason: format!("{file} is not listed under files"),
        };
        let encoder = encoder.ok_or_else(|| unlisted("encoder.file", &manifest.encoder.file))?;
        let classifier =
            classifier.ok_or_else(|| unlisted("classifier.file", &manifest.classifier.file))?;

        let expected = bundle_id(
            &manifest.files[&manifest.encoder.file].sha256,
            &manifest.files[&manifest.classifier.file].sha256,
        );
        if manifest.id != expected {
            let reason = format!("is {:?}, but the graphs give {expected:?}", manifest.id);
            return Err(BundleError::Field {
                bundle: reader.bundle,
                field: "id".to_owned(),
                reason,
            });
        }
        let checksums = checksums(&manifest, &json);
        if reader.read(CHECKSUMS_FILE, MAX_MANIFEST_BYTES)? != checksums.as_bytes() {
            return Err(BundleError::Checksums {
                bundle: reader.bundle,
            });
        }
        Ok(Self {
            dir: dir.to_owned(),
            manifest,
            encoder,
            classifier,
        })
    }
}

impl Bundle {
    /// Reads a file of the bundle that [`Self::open`] checked but did not keep, and checks it again.
    ///
    /// # Errors
    /// [`BundleError::MissingFile`] also for one that the manifest does not name, [`BundleError::Io`], [`BundleError::Outside`],
    /// [`BundleError::Sha256`].
    pub fn read(&self, name: &str) -> Result<Vec<u8>, BundleError> {
        let reader = Reader::new(&self.dir)?;
        match self.manifest.files.get(name) {
            Some(info) => reader.read_checked(name, info),
            None => Err(BundleError::MissingFile {
                bundle: reader.bundle,
                file: name.to_owned(),
            }),
        }
    }
}

/// The content of `SHA256SUMS`, sorted by file name.
fn checksums(manifest: &Manifest, json: &[u8]) -> String {
    let mut lines: Vec<_> = manifest
        .files
        .iter()
        .map(|(name, info)| (name.as_str(), info.sha256.clone()))
        .collect();
    lines.push((MANIFEST_FILE, sha256_hex(json)));
    lines.sort();
    lines
        .iter()
        .map(|(name, sha256)| format!("{sha256}  {name}\n"))
        .collect()
}

/// Reads files of one folder and of no other.
struct Reader {
    bundle: String,
    root: PathBuf,
}

impl Reader {
    fn new(dir: &Path) -> Result<Self, BundleError> {
        let bundle = dir.display().to_string();
        match fs::canonicalize(dir) {
            Ok(root) if root.is_dir() => Ok(Self { bundle, root }),
            Ok(_) => Err(BundleError::NotABundle {
                bundle,
                reason: "a bundle is a folder".to_owned(),
            }),
            Err(source) => Err(BundleError::NotABundle {
                bundle,
                reason: source.to_string(),
            }),
        }
    }

    /// The content of `name`, which must be what `info` says.
    fn read_checked(&self, name: &str, info: &FileInfo) -> Result<Vec<u8>, BundleError> {
        let bytes = self.read(name, info.bytes)?;
        let found = sha256_hex(&bytes);
        if found == info.sha256 {
            return Ok(bytes);
        }
        Err(BundleError::Sha256 {
            bundle: self.bundle.clone(),
            file: name.to_owned(),
            found,
            expected: info.sha256.clone(),
        })
    }

    /// The content of `name`. A file that has not the `expected` length is read only up to one byte more, so that its checksum fails.
    fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, BundleError> {
        let failed = |source: io::Error| {
            let (bundle, file) = (self.bundle.clone(), name.to_owned());
            match source.kind() {
                io::ErrorKind::NotFound => BundleError::MissingFile { bundle, file },
                _ => BundleError::Io {
                    bundle,
                    file,
                    source,
                },
            }
        };
        let path = fs::canonicalize(self.root.join(name)).map_err(failed)?;
        if path.parent() != Some(self.root.as_path()) || !path.is_file() {
            return Err(BundleError::Outside {
                bundle: self.bundle.clone(),
                file: name.to_owned(),
            });
        }
        let mut bytes = Vec::new();
        fs::File::open(path)
            .map_err(failed)?
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        Ok(bytes)
    }
}
