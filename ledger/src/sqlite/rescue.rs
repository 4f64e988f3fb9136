//! A log that lost its name while it was in use: what it holds is saved, if that can be done.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::error::OpenError;
use super::lock::cannot_open;
use super::log::log_path;

/// How many copies may stand beside a log.
const COPIES_MAX: usize = 9;

/// Writes what `from` holds to a file beside the log's name, and gives it that name, if it may and no other log stands there; says where
/// it is. The log's writer may do this between its commits.
///
/// To copy the log into the ledger's file instead would leave that a mixture where a reader does not let the whole log be copied.
pub(super) fn save(mut from: &File, log: &Path, may_take_name: bool) -> io::Result<PathBuf> {
    let (saved, mut to) = create_beside(from, log)?;
    let length = from.metadata()?.len();
    let copied = from
        .seek(SeekFrom::Start(0))
        .and_then(|_| io::copy(&mut from, &mut to))
        .and_then(|copied| to.sync_all().map(|()| copied));
    match copied {
        Ok(copied) if copied == length => {}
        other => {
            fs::remove_file(&saved)?;
            return Err(other.err().unwrap_or(ErrorKind::UnexpectedEof.into()));
        }
    }
    // A reader that found no log has left an empty one.
    let is_free = match log.symlink_metadata() {
        Ok(found) => found.is_file() && found.len() == 0,
        Err(error) => error.kind() == ErrorKind::NotFound,
    };
    let name = if may_take_name && is_free { log.to_path_buf() } else { saved.clone() };
    rename(&saved, &name)?;
    Ok(name)
}

/// Moves a log out of the way of another ledger's file.
pub(super) fn put_aside(log: &Path) -> io::Result<PathBuf> {
    let is_free =
        |copy: &PathBuf| copy.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound);
    let name = (1..=COPIES_MAX).map(|n| beside(log, n)).find(is_free).ok_or(ErrorKind::AlreadyExists)?;
    rename(log, &name)?;
    Ok(name)
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    if let Some(Err(error)) = to.parent().map(|folder| File::open(folder)?.sync_all()) {
        tracing::warn!(%error, "{} has its name, but that may not be on disk", to.display());
    }
    Ok(())
}

/// The copies that stand beside a log.
pub(super) fn saved(log: &Path) -> Vec<PathBuf> {
    (1..=COPIES_MAX).map(|n| beside(log, n)).filter(|copy| copy.symlink_metadata().is_ok()).collect()
}

fn beside(log: &Path, n: usize) -> PathBuf {
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
fn create_beside(from: &File, log: &Path) -> io::Result<(PathBuf, File)> {
    for n in 1..=COPIES_MAX {
        let path = beside(log, n);
        match create_as(from, &path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => return made.map(|file| (path, file)),
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
