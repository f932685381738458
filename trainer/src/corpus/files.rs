//! Audio and label files in a folder and those below it.

use std::path::{Path, PathBuf};

use super::{CorpusError, Finding};

/// Deepest nesting that is searched: beyond any corpus, but an end to a link that leads back up.
const MAX_DEPTH: usize = 32;

/// What was found below a folder.
#[derive(Default)]
pub(super) struct Below {
    /// The wanted files, sorted by path.
    pub files: Vec<PathBuf>,
    /// Folders that cannot be read, with the reason.
    pub unreadable: Vec<String>,
}

impl Below {
    /// The warning about folders that cannot be read.
    pub fn finding(&self) -> Option<Finding> {
        (!self.unreadable.is_empty()).then(|| Finding {
            what: format!(
                "{} folders cannot be read, so that nothing in them is taken",
                self.unreadable.len()
            ),
            examples: self.unreadable.clone(),
        })
    }
}

/// The wanted files in `root` and below; hidden files and folders are passed over, as are folders that cannot be
/// read, apart from `root` itself.
///
/// # Errors
/// [`CorpusError`]: `root` cannot be read, or folders without end.
pub(super) fn files_below(
    root: &Path,
    wanted: &dyn Fn(&Path) -> bool,
) -> Result<Below, CorpusError> {
    let mut below = Below::default();
    let entries = std::fs::read_dir(root).map_err(|source| CorpusError::Io {
        path: root.to_owned(),
        action: "read",
        source,
    })?;
    visit(root, entries, 0, wanted, &mut below)?;
    below.files.sort();
    Ok(below)
}

fn visit(
    folder: &Path,
    entries: std::fs::ReadDir,
    depth: usize,
    wanted: &dyn Fn(&Path) -> bool,
    below: &mut Below,
) -> Result<(), CorpusError> {
    if depth > MAX_DEPTH {
        let message = format!("more than {MAX_DEPTH} folders deep; does a link lead back up?");
        return Err(CorpusError::Empty {
            path: folder.to_owned(),
            message,
        });
    }
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) => {
                below.unreadable.push(format!("{}: {e}", folder.display()));
                return Ok(());
            }
        };
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            match std::fs::read_dir(&path) {
                Ok(entries) => visit(&path, entries, depth + 1, wanted, below)?,
                Err(e) => below.unreadable.push(format!(
                    "{}: {e}{}",
                    path.display(),
                    crate::atomic::read_hint(&e)
                )),
            }
        } else if wanted(&path) {
            below.files.push(path);
        }
    }
    Ok(())
}

pub(super) fn is_audio(file: &Path) -> bool {
    file.extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("wav") || e.eq_ignore_ascii_case("flac"))
}

/// The name without its extension.
pub(super) fn stem(file: &Path) -> String {
    file.file_stem()
        .map(|s| s.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Name of the folder that holds the file.
pub(super) fn folder_name(file: &Path) -> String {
    file.parent()
        .and_then(Path::file_name)
        .map(|s| s.to_string_lossy().into_owned())
        .unwrap_or_default()
}
