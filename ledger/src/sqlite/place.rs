//! Whether a file that is in use is still the one that its name leads to.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// A file and the name under which others will look for it.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    file: FileId,
}

impl Place {
    /// The file that has the name now; `None` if none has (an SQLite with files of its own needs none here).
    pub(super) fn of(path: PathBuf) -> io::Result<Option<Self>> {
        let file = file_at(&path)?;
        Ok(file.map(|file| Self { path, file }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the name still leads to the file.
    pub(super) fn is_kept(&self) -> io::Result<bool> {
        Ok(file_at(&self.path)? == Some(self.file))
    }
}

/// The file's own name, where this one is a link to it; that file need not exist. SQLite looks for the log beside that name.
pub(super) fn real(path: &Path) -> PathBuf {
    let mut real = path.to_path_buf();
    for _ in 0..LINKS_MAX {
        if let Ok(found) = real.canonicalize() {
            return found;
        }
        let Ok(target) = real.read_link() else { break };
        real = real.parent().unwrap_or(Path::new(".")).join(target);
    }
    real
}

/// As many links as Linux follows.
const LINKS_MAX: usize = 40;

/// The file that has the name now; a link is none.
fn file_at(path: &Path) -> io::Result<Option<FileId>> {
    match id_of(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Device and number.
#[cfg(unix)]
type FileId = (u64, u64);

/// Asks for the number alone: with all that [`std::fs::metadata`] asks for, small commits took a tenth longer. (Probably because Linux,
/// from 6.13 on, gives the next write a time of its own once somebody has asked for the last one's.)
#[cfg(target_os = "linux")]
fn id_of(path: &Path) -> io::Result<FileId> {
    use rustix::fs::{AtFlags, CWD, StatxFlags, makedev, statx};
    use rustix::io::Errno;
    match statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::INO) {
        Ok(found) => Ok((makedev(found.stx_dev_major, found.stx_dev_minor), found.stx_ino)),
        Err(Errno::NOSYS | Errno::PERM) => id_by_metadata(path), // An old kernel, or a sandbox.
        Err(error) => Err(error.into()),
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn id_of(path: &Path) -> io::Result<FileId> {
    id_by_metadata(path)
}

#[cfg(unix)]
fn id_by_metadata(path: &Path) -> io::Result<FileId> {
    use std::os::unix::fs::MetadataExt as _;
    let found = path.symlink_metadata()?;
    Ok((found.dev(), found.ino()))
}

#[cfg(not(unix))]
type FileId = (u64, u64);

/// Elsewhere a file that is open keeps its name.
#[cfg(not(unix))]
fn id_of(path: &Path) -> io::Result<FileId> {
    path.symlink_metadata().map(|_| (0, 0))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn both_ways_give_the_same_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(super::id_of(file.path()).unwrap(), super::id_by_metadata(file.path()).unwrap());
    }
}
