//! One writer at a time: whoever holds the lock on the side file `<ledger>.lock`.
//!
//! The lock is the operating system's: it ends with the process, however that ends. Readers do not take it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::error::OpenError;
use super::schema::APPLICATION_ID;
use super::unlogged;

/// Held for as long as the file is open for writing.
#[derive(Debug)]
pub(super) struct Ownership {
    _file: File,
}

impl Ownership {
    /// Takes the lock or says who is refused.
    pub(super) fn take(path: &Path) -> Result<Self, OpenError> {
        refuse_foreign(path)?;
        let side = side_file(path)?;
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).open(&side).map_err(|source| {
                OpenError::Io { what: format!("cannot open {}", side.display()), source }
            })?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_path_buf())),
            Err(TryLockError::Error(source)) => {
                Err(OpenError::Io { what: format!("cannot lock {}", side.display()), source })
            }
        }
    }
}

/// Refuses what cannot be a ledger, before SQLite or a side file leaves something beside it. A missing file may become one.
pub(super) fn refuse_foreign(path: &Path) -> Result<(), OpenError> {
    let io = |source| OpenError::Io { what: format!("cannot open {}", path.display()), source };
    match path.metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        found => match found.map_err(io)? {
            what if what.is_file() => {}
            what if what.is_dir() => return Err(io(ErrorKind::IsADirectory.into())),
            _ => return Err(io(std::io::Error::other("it is no regular file"))),
        },
    }
    match look_at(path) {
        Ok((APPLICATION_ID, _)) => Ok(()),
        // Empty, as a ledger's file is while the log holds all that was ever written.
        Ok((0, 0)) => Ok(()),
        Ok(_) => Err(OpenError::NotALedger),
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Err(OpenError::Damaged("it is not an SQLite file".into())),
            Some(ErrorCode::CannotOpen) => why_not(path).map_or(Ok(()), |source| Err(io(source))),
            _ => Ok(()), // Whoever looks closer says what is wrong with it.
        },
    }
}

/// Whose file it says it is, and how many tables, indexes and views it has.
fn look_at(path: &Path) -> rusqlite::Result<(i32, i64)> {
    let connection = unlogged::open(path)?;
    let application = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let objects = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok((application, objects))
}

/// What the system says about a file that SQLite could not open.
fn why_not(path: &Path) -> Option<std::io::Error> {
    match File::open(path) {
        Err(error) => Some(error),
        Ok(file) => {
            std::mem::forget(file); // To close it might end locks: see `unlogged`.
            None
        }
    }
}

/// Beside the real file, so that two names of one file share a lock.
fn side_file(path: &Path) -> Result<PathBuf, OpenError> {
    let real = match path.canonicalize() {
        Ok(real) => real,
        Err(error) if error.kind() == ErrorKind::NotFound => path.to_path_buf(),
        Err(source) => {
            return Err(OpenError::Io { what: format!("cannot resolve {}", path.display()), source });
        }
    };
    let mut name = real.into_os_string();
    name.push(".lock");
    Ok(PathBuf::from(name))
}
