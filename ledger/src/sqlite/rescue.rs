//! A log that lost its name while it was in use: what it holds is saved, and nobody opens the ledger without it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::error::OpenError;
use super::log::log_path;

/// Behind the log's name, where another log has that by now.
const SAVED: &str = ".saved";
/// Until the copy is complete, and after a crash or on a full disk for good.
const PARTIAL: &str = ".saved.partial";

/// Writes what `from` holds to the log's name, or to a file beside it if another log stands there; gives the name. The log's writer
/// may do this between its commits, and again if it failed.
///
/// To copy the log into the ledger's file instead would leave that a mixture where a reader does not let the whole log be copied.
pub(super) fn save(mut from: &File, log: &Path) -> io::Result<PathBuf> {
    let (partial, saved) = (beside(log, PARTIAL), beside(log, SAVED));
    let mut to = create_as(from, &partial)?;
    from.seek(SeekFrom::Start(0))?;
    io::copy(&mut from, &mut to)?;
    to.sync_all()?;
    // A reader that found no log has left an empty one.
    let name = if length(log)? == 0 { log.to_path_buf() } else { saved };
    if name != log && name.try_exists()? {
        return Err(ErrorKind::AlreadyExists.into());
    }
    fs::rename(&partial, &name)?;
    if let Some(Err(error)) = log.parent().map(|folder| File::open(folder)?.sync_all()) {
        tracing::warn!(%error, "{} has its name, but that may not be on disk", name.display());
    }
    Ok(name)
}

/// Refuses to open a ledger of which a part was saved and not brought back, or of which only the log is there: SQLite would remove
/// that, and does so even for those who only read.
pub(super) fn refuse_remains(ledger: &Path) -> Result<(), OpenError> {
    let log = &log_path(ledger);
    for (ending, complete) in [(SAVED, true), (PARTIAL, false)] {
        let saved = beside(log, ending);
        if saved.symlink_metadata().is_ok() {
            return Err(OpenError::LogSaved { saved, log: log.clone(), complete });
        }
    }
    let length = |path: &Path| {
        length(path)
            .map_err(|source| OpenError::Io { what: format!("cannot open {}", path.display()), source })
    };
    if length(ledger)? == 0 && length(log)? > 0 {
        return Err(OpenError::FileGone { path: ledger.to_path_buf(), log: log.clone() });
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
    let is_theirs = (wanted.uid(), wanted.gid()) == (found.uid(), found.gid());
    let given = if is_theirs { Ok(()) } else { fchown(&file, Some(wanted.uid()), Some(wanted.gid())) };
    if let Err(error) = given.and_then(|()| file.set_permissions(wanted.permissions())) {
        tracing::warn!(%error, "{} is this process's own, not its former owner's", path.display());
    }
    Ok(file)
}

#[cfg(not(unix))]
fn create_as(_: &File, path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(true).write(true).open(path)
}
