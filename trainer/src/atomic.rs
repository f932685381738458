//! Files that exist either whole or not at all.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Writes `path` through a temporary file in the same folder, synchronised to disk and then renamed.
///
/// A crash, a full disk or an error from `fill` leaves whatever stood at `path` before untouched and no
/// temporary file behind (a `kill -9` may leave one named `.tmp…`). Missing parent folders are created.
///
/// # Errors
/// Whatever `fill` returns, or the I/O error of creating, synchronising or renaming the file.
pub fn write<E, F>(path: &Path, fill: F) -> Result<(), E>
where
    E: From<io::Error>,
    F: FnOnce(&mut BufWriter<&File>) -> Result<(), E>,
{
    let folder = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder)?;
    let temporary = tempfile::NamedTempFile::new_in(folder)?;
    {
        let mut writer = BufWriter::new(temporary.as_file());
        fill(&mut writer)?;
        writer.flush()?;
    }
    temporary.as_file().sync_all()?;
    make_readable(temporary.as_file())?;
    temporary.persist(path).map_err(|e| e.error)?;
    Ok(())
}

/// Temporary files are private to their owner; a finished output is readable like any other file.
#[cfg(unix)]
fn make_readable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_: &File) -> io::Result<()> {
    Ok(())
}

/// What to tell somebody whose write failed: empty unless the cause has a known remedy.
#[must_use]
pub fn write_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            " (the disk is full: free some space and run the same command again)"
        }
        io::ErrorKind::FileTooLarge => " (beyond the size limit for files: raise it and run again)",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            " (choose a folder that you may write to)"
        }
        _ => "",
    }
}

/// What to tell somebody whose read failed: empty unless the cause has a known remedy.
#[must_use]
pub fn read_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => " (you may not read it: change its permissions)",
        io::ErrorKind::IsADirectory => " (it is a folder: name a file in it)",
        _ => "",
    }
}

/// The hint for an error of reading or of writing, as `action` says.
#[must_use]
pub(crate) fn hint(action: &str, error: &io::Error) -> &'static str {
    if action == "read" {
        read_hint(error)
    } else {
        write_hint(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failing_fill_keeps_the_old_file_and_leaves_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.csv");
        write::<io::Error, _>(&path, |w| w.write_all(b"old")).unwrap();
        let failed = write::<io::Error, _>(&path, |w| {
            w.write_all(b"half of the new")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn missing_folders_are_created() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/out.csv");
        write::<io::Error, _>(&path, |w| w.write_all(b"x")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"x");
    }
}
