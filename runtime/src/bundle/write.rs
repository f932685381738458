//! Writing a bundle so that a crash leaves either the old one, the new one or none, never a half.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{
    Bundle, BundleError, CHECKSUMS_FILE, FileInfo, MANIFEST_FILE, Manifest, bundle_id, checksums,
    sha256_hex,
};

/// Writes `files` (name, content) and `manifest` to the folder `dir`; its `id` and `files` are filled in here, and the completed manifest
/// is returned. Both graphs must be among `files`.
///
/// Everything goes to a hidden folder beside `dir` first and is renamed when it is complete. An existing bundle is replaced; an existing
/// folder that is not a bundle is left alone.
///
/// # Errors
/// [`BundleError::Occupied`], any error of [`Manifest::validate`], [`BundleError::Field`] for a graph that is not among `files`,
/// [`BundleError::Io`] (a full disk, say), after which nothing is left behind and an earlier bundle is as it was.
pub fn write(
    dir: impl AsRef<Path>,
    manifest: &Manifest,
    files: &[(&str, &[u8])],
) -> Result<Manifest, BundleError> {
    let dir = dir.as_ref();
    let bundle = dir.display().to_string();
    let io_error = |file: &Path, source| BundleError::Io {
        bundle: bundle.clone(),
        file: file.display().to_string(),
        source,
    };

    let mut manifest = manifest.clone();
    manifest.files = files
        .iter()
        .map(|(name, bytes)| {
            (
                (*name).to_owned(),
                FileInfo {
                    bytes: bytes.len() as u64,
                    sha256: sha256_hex(bytes),
                },
            )
        })
        .collect();
    let sum = |field: &str, name: &str| match manifest.files.get(name) {
        Some(info) => Ok(info.sha256.clone()),
        None => Err(BundleError::Field {
            bundle: bundle.clone(),
            field: field.to_owned(),
            reason: format!("{name} is not among the files"),
        }),
    };
    manifest.id = bundle_id(
        &sum("encoder.file", &manifest.encoder.file)?,
        &sum("classifier.file", &manifest.classifier.file)?,
    );
    manifest.validate(&bundle)?;
    let mut json =
        serde_json::to_vec_pretty(&manifest).map_err(|source| BundleError::Manifest {
            bundle: bundle.clone(),
            source,
        })?;
    json.push(b'\n');
    // JSON has no NaN and no infinity: what cannot be read back must not be written.
    if !matches!(Manifest::parse(&json, &bundle), Ok(read) if read == manifest) {
        let (field, reason) = (
            "scores or calibration".to_owned(),
            "hold a number that is not finite".to_owned(),
        );
        return Err(BundleError::Field {
            bundle,
            field,
            reason,
        });
    }

    let name = dir.file_name().ok_or_else(|| {
        io_error(
            dir,
            io::Error::new(io::ErrorKind::InvalidInput, "has no name"),
        )
    })?;
    let hidden = |kind: &str| {
        dir.with_file_name(format!(
            ".{}.{kind}-{}",
            name.to_string_lossy(),
            std::process::id()
        ))
    };
    let replaces = match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_some(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => false,
        Err(source) => return Err(io_error(dir, source)),
    };
    if replaces && !dir.join(MANIFEST_FILE).is_file() {
        return Err(BundleError::Occupied { bundle });
    }

    if let Some(parent) = dir.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(|e| io_error(parent, e))?;
    }
    let staged = Staged(hidden("new"));
    // A crash of an earlier process with this id may have left one.
    remove_if_there(&staged.0).map_err(|e| io_error(&staged.0, e))?;
    fs::create_dir(&staged.0).map_err(|e| io_error(&staged.0, e))?;
    let checksums = checksums(&manifest, &json);
    let own = [
        (MANIFEST_FILE, json.as_slice()),
        (CHECKSUMS_FILE, checksums.as_bytes()),
    ];
    for (name, bytes) in files.iter().copied().chain(own) {
        let path = staged.0.join(name);
        write_synced(&path, bytes).map_err(|e| io_error(&path, e))?;
    }

    if replaces {
        let old = hidden("old");
        remove_if_there(&old).map_err(|e| io_error(&old, e))?;
        fs::rename(dir, &old).map_err(|e| io_error(dir, e))?;
        if let Err(source) = fs::rename(&staged.0, dir) {
            // Best effort: the first error is the one to report.
            let _ = fs::rename(&old, dir);
            return Err(io_error(dir, source));
        }
        fs::remove_dir_all(&old).map_err(|e| io_error(&old, e))?;
    } else {
        fs::rename(&staged.0, dir).map_err(|e| io_error(dir, e))?;
    }
    Ok(manifest)
}

/// Adds `files` (name, content) to the bundle in `dir`, or replaces those of the same name; the completed manifest is returned. The graphs,
/// and with them the bundle's id, stay what they are.
///
/// # Errors
/// As [`Bundle::open`] and [`write()`]; [`BundleError::Field`] for a file that is one of the graphs.
pub fn add(dir: impl AsRef<Path>, files: &[(&str, &[u8])]) -> Result<Manifest, BundleError> {
    let bundle = Bundle::open(dir)?;
    let manifest = &bundle.manifest;
    for (name, _) in files {
        if [&manifest.encoder.file, &manifest.classifier.file].contains(&&(*name).to_owned()) {
            return Err(BundleError::Field {
                bundle: bundle.dir.display().to_string(),
                field: "files".to_owned(),
                reason: format!("{name} is a graph, which cannot be replaced"),
            });
        }
    }
    let kept = manifest.files.keys();
    let kept = kept.filter(|kept| files.iter().all(|(name, _)| name != kept));
    let kept: Vec<(&str, Vec<u8>)> = kept
        .map(|name| Ok((name.as_str(), bundle.read(name)?)))
        .collect::<Result<_, BundleError>>()?;
    let all: Vec<(&str, &[u8])> = kept
        .iter()
        .map(|(name, bytes)| (*name, bytes.as_slice()))
        .chain(files.iter().copied())
        .collect();
    write(&bundle.dir, manifest, &all)
}

fn remove_if_there(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A folder that is removed unless it was renamed away.
struct Staged(PathBuf);

impl Drop for Staged {
    fn drop(&mut self) {
        // Nothing is there after success; after a failure that failure is what the caller hears of.
        let _ = fs::remove_dir_all(&self.0);
    }
}
