//! A log that lost its name while it was in use: what it holds is saved, if that can be done.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::error::OpenError;
use super::lock::cannot_open;
use super::log::log_path;

/// How many copies may stand beside a log.
const COPIES_MAX: usize = 99;

/// Writes what `from` holds to a file beside the log's name; gives the copy's number. The log's writer may do this between its commits.
///
/// Not under the log's own name: any SQLite that has the ledger open, and is the last to close it, removes what has that. And to copy the
/// log into the ledger's file would leave that a mixture where a reader does not let the whole log be copied.
pub(super) fn save(mut from: &File, log: &Path) -> io::Result<usize> {
    let (copy, mut to) = create_copy(from, log)?;
    let length = from.metadata()?.len();
    let copied = from
        .seek(SeekFrom::Start(0))
        .and_then(|_| io::copy(&mut from, &mut to))
        .and_then(|copied| to.sync_all().map(|()| copied));
    match copied {
        Ok(copied) if copied == length => {
            sync_folder(log);
            Ok(copy)
        }
        other => {
            fs::remove_file(copy_of(log, copy))?;
            Err(other.err().unwrap_or(ErrorKind::UnexpectedEof.into()))
        }
    }
}

/// Moves a log out of the way of another ledger's file, as if it had been saved.
pub(super) fn put_aside(log: &Path) -> io::Result<usize> {
    let is_free = |n: &usize| {
        copy_of(log, *n).symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound)
    };
    let copy = (1..=COPIES_MAX).find(is_free).ok_or(ErrorKind::AlreadyExists)?;
    fs::rename(log, copy_of(log, copy))?;
    sync_folder(log);
    Ok(copy)
}

/// Gives a copy the log's name too, unless another log stands there by now, or somebody has moved the copy; says whether it did. The
/// copy's own name stays until it is known that nothing is missing.
pub(super) fn put_back(log: &Path, copy: usize) -> io::Result<bool> {
    let copy = copy_of(log, copy);
    if !copy.exists() {
        return Ok(false);
    }
    match log.symlink_metadata() {
        // A reader that found no log has left an empty one.
        Ok(found) if found.is_file() && found.len() == 0 => fs::remove_file(log)?,
        Ok(_) => return Ok(false),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    if fs::hard_link(&copy, log).is_err() {
        fs::rename(&copy, log)?; // Not every file system has links.
    }
    sync_folder(log);
    Ok(true)
}

/// Removes a copy's own name.
pub(super) fn forget(log: &Path, copy: usize) {
    let copy = copy_of(log, copy);
    if let Err(error) = fs::remove_file(&copy)
        && error.kind() != ErrorKind::NotFound
    {
        tracing::warn!(%error, "{} is not needed any more, and could not be removed", copy.display());
    }
}

fn sync_folder(log: &Path) {
    if let Some(Err(error)) = log.parent().map(|folder| File::open(folder)?.sync_all()) {
        tracing::warn!(%error, "what was saved of {} has its name, but that may not be on disk", log.display());
    }
}

/// The first of the copies that stand beside a log.
pub(super) fn first_copy(log: &Path) -> Option<PathBuf> {
    Some(copy_of(log, 1)).filter(|copy| copy.symlink_metadata().is_ok())
}

pub(super) fn copy_of(log: &Path, n: usize) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(".saved");
    if n > 1 {
        name.push(format!(".{n}"));
    }
    name.into()
}

/// Refuses a ledger of which only the log is there: SQLite would remove that, and does so even for those who only read. Refuses a log
/// that is a link too, which SQLite does not follow.
pub(super) fn refuse_remains(ledger: &Path) -> Result<(), OpenError> {
    let log = log_path(ledger);
    if log.symlink_metadata().is_ok_and(|found| found.is_symlink()) {
        let why =
            io::Error::other("it is a symbolic link, and SQLite follows none: put the log itself there");
        return Err(cannot_open(&log, why));
    }
    let length = |path: &Path| length(path).map_err(|error| cannot_open(path, error));
    if length(ledger)? == 0 && length(&log)? > 0 {
        return Err(OpenError::FileGone { path: ledger.to_path_buf(), log });
    }
    Ok(())
}

/// In bytes; none if there is no such file.
pub(super) fn length(path: &Path) -> io::Result<u64> {
    match path.metadata() {
        Ok(found) => Ok(found.len()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

/// A new file beside the log, whatever others stand there.
fn create_copy(from: &File, log: &Path) -> io::Result<(usize, File)> {
    for copy in 1..=COPIES_MAX {
        match create_as(from, &copy_of(log, copy)) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => return made.map(|file| (copy, file)),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// A file that the same people may read and write as the other.
#[cfg(unix)]
fn create_as(other: &File, path: &Path) -> io::Result<File> {
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
    let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
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
    OpenOptions::new().create_new(true).write(true).open(path)
}
