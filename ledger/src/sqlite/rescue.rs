//! A log that lost its name while it was in use: what it holds is saved, and nobody opens the ledger without it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::error::OpenError;

/// Behind the log's name, where another log has that by now.
const SAVED: &str = ".saved";
/// Until the copy is complete, and after a crash or on a full disk for good.
const PARTIAL: &str = ".saved.partial";

/// Writes what `from` holds to the log's name, if no other log stands there, or else to a file beside it; gives the name. The log's
/// writer may do this between its commits, and again if it failed.
///
/// To copy the log into the ledger's file instead would leave that a mixture where a reader does not let the whole log be copied.
pub(super) fn save(mut from: &File, log: &Path) -> io::Result<PathBuf> {
    let (partial, saved) = (beside(log, PARTIAL), beside(log, SAVED));
    if saved.try_exists()? {
        return Err(ErrorKind::AlreadyExists.into());
    }
    let mut to = create_as(from, &partial)?;
    from.seek(SeekFrom::Start(0))?;
    io::copy(&mut from, &mut to)?;
    to.sync_all()?;
    // A reader that found no log has left an empty one.
    let name = if length(log)? == 0 { log.to_path_buf() } else { saved };
    fs::rename(&partial, &name)?;
    if let Some(Err(error)) = log.parent().map(|folder| File::open(folder)?.sync_all()) {
        tracing::warn!(%error, "{} has its name, but that may not be on disk", name.display());
    }
    Ok(name)
}

/// Refuses to open a ledger of which a part was saved and not brought back.
pub(super) fn refuse_leftover(log: &Path) -> Result<(), OpenError> {
    for (ending, complete) in [(SAVED, true), (PARTIAL, false)] {
        let saved = beside(log, ending);
        if saved.symlink_metadata().is_ok() {
            return Err(OpenError::LogSaved { saved, log: log.to_path_buf(), complete });
        }
    }
    Ok(())
}

/// Refuses to make a new file beside the log of one that is gone: SQLite would remove the log.
pub(super) fn refuse_orphan(ledger: &Path, log: &Path) -> Result<(), OpenError> {
    let length = |path: &Path| {
        length(path)
            .map_err(|source| OpenError::Io { what: format!("cannot open {}", path.display()), source })
    };
    if length(ledger)? == 0 && length(log)? > 0 {
        return Err(OpenError::FileGone { path: ledger.to_path_buf(), log: log.to_path_buf() });
    }
    Ok(())
}

/// In bytes; none if there is no such file.
fn length(path: &Path) -> io::Result<u64> {
    match path.metadata() {
        Ok(found) => Ok(found.len()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

fn beside(log: &Path, ending: &str) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// A file that the same people may read and write as the other.
#[cfg(unix)]
fn create_as(other: &File, path: &Path) -> io::Result<File> {
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
    let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    let (wanted, found) = (other.metadata()?, file.metadata()?);
    if (wanted.uid(), wanted.gid()) != (found.uid(), found.gid()) {
        fchown(&file, Some(wanted.uid()), Some(wanted.gid()))?;
    }
    file.set_permissions(wanted.permissions())?;
    Ok(file)
}

#[cfg(not(unix))]
fn create_as(_: &File, path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(true).write(true).open(path)
}
