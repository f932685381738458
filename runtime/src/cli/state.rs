//! What `--state` names: the statistics of each channel, kept from one run to the next.

use std::io;
use std::path::{Path, PathBuf};

use super::{CliError, warn};
use crate::adapt::OwnedAdapter;

/// Seconds of audio after which changed statistics are written again; they are always written at
/// the end.
const SAVE_EVERY_S: u64 = 60;

/// The file of one channel.
pub(super) struct StateFile {
    path: PathBuf,
    /// Revision of the statistics that lie in the file.
    saved: u64,
    /// Position in the stream at which they were last written, or could not be.
    tried: u64,
    /// Samples from one attempt to the next.
    every: u64,
    /// What was wrong the last time that something was said.
    failed: Option<io::ErrorKind>,
}

impl StateFile {
    /// The file of channel `channel` of a stream of `of` channels at `rate` Hz, and what it holds,
    /// if it is there. A stream of one channel has `given` itself; otherwise it is `given.K`,
    /// whichever channels are chosen. Where `alone` is chosen and has no such file, `given` itself
    /// is read: there the statistics of a channel chosen alone were once kept.
    ///
    /// # Errors
    /// [`CliError::State`]: the file is there and cannot be used.
    pub(super) fn open(
        given: &Path,
        channel: u16,
        of: u16,
        alone: bool,
        rate: u32,
        adapter: &mut OwnedAdapter,
    ) -> Result<Self, CliError> {
        let path = if of > 1 {
            let mut name = given.as_os_str().to_owned();
            name.push(format!(".{channel}"));
            PathBuf::from(name)
        } else {
            given.to_owned()
        };
        let known = load(&path, adapter)?;
        let moved = !known && of > 1 && alone && load(given, adapter)?;
        if moved {
            warn(&format!(
                "{} is taken for channel {channel}; from now on its statistics are kept in {}",
                given.display(),
                path.display()
            ));
        }
        let revision = adapter.revision();
        Ok(Self {
            path,
            // What comes from another file is written even if nothing is learnt.
            saved: if moved {
                revision.wrapping_sub(1)
            } else {
                revision
            },
            tried: 0,
            every: SAVE_EVERY_S * u64::from(rate),
            failed: None,
        })
    }

    /// Writes the statistics if they changed, and if it is time or `now`; `at` is the position in
    /// the stream. Where that fails the stream goes on: it is said once for each kind of failure,
    /// and tried again later.
    pub(super) fn save(&mut self, adapter: &OwnedAdapter, at: u64, now: bool) {
        let due = now || at.saturating_sub(self.tried) >= self.every;
        if adapter.revision() == self.saved || !due {
            return;
        }
        self.tried = at;
        match adapter.save_file(&self.path) {
            Ok(()) => (self.saved, self.failed) = (adapter.revision(), None),
            Err(error) => {
                let kind = Some(error.kind());
                if self.failed != kind {
                    warn(&format!(
                        "{}: what was learnt is not saved: {error}; {}. Recognition goes on; \
                         it is tried again every {SAVE_EVERY_S} s of audio and at the end",
                        self.path.display(),
                        advice(error.kind())
                    ));
                }
                self.failed = kind;
            }
        }
    }
}

/// Takes the statistics of a file: false where there is no such file.
fn load(path: &Path, adapter: &mut OwnedAdapter) -> Result<bool, CliError> {
    match adapter.load_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(CliError::State {
            file: path.display().to_string(),
            source,
        }),
    }
}

/// What to do where a file cannot be written.
fn advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => "create its folder",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "allow this user to write in its folder"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on the disk",
        _ => "see to its folder and its disk",
    }
}
