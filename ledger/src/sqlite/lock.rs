//! One writer at a time: whoever holds the lock on the side file `<ledger>.lock`.
//!
//! The lock is the operating system's: it ends with the process, however that ends. Readers do not take it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::error::OpenError;
use super::note::{self, Note};
use super::place::{self, Place};
use super::schema::APPLICATION_ID;
use super::unlogged;

/// Held for as long as the file is open for writing.
#[derive(Debug)]
pub(super) struct Ownership {
    /// Locked; see [`note`].
    file: File,
    side: PathBuf,
    place: Option<Place>,
}

impl Ownership {
    /// Takes the lock or says who is refused.
    pub(super) fn take(path: &Path) -> Result<Self, OpenError> {
        refuse_foreign(path)?;
        let side = side_file(path);
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).open(&side);
        let file = file.map_err(|error| cannot_open(&side, error))?;
        match file.try_lock() {
            Ok(()) => {
                let place = Place::of(side.clone()).map_err(|error| cannot_open(&side, error))?;
                Ok(Self { file, side, place })
            }
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_path_buf())),
            Err(TryLockError::Error(source)) => {
                Err(OpenError::Io { what: format!("cannot lock {}", side.display()), source })
            }
        }
    }

    /// Whoever opens or reads the ledger next must find this commit there.
    pub(super) fn note(&mut self, note: &Note) -> std::io::Result<()> {
        note.write(&mut self.file)?;
        match self.place.as_ref().map_or(Ok(true), Place::is_kept)? {
            true => Ok(()),
            // Somebody has removed or replaced the lock's file too.
            false => note.write(&mut File::create(&self.side)?),
        }
    }

    /// Takes back what an earlier owner noted, and makes room for what this one may have to.
    pub(super) fn clear_note(&mut self) -> std::io::Result<()> {
        note::clear(&mut self.file)
    }
}

pub(super) fn cannot_open(path: &Path, source: std::io::Error) -> OpenError {
    OpenError::Io { what: format!("cannot open {}", path.display()), source }
}

/// Refuses what cannot be a ledger, before SQLite or a side file leaves something beside it. A missing file may become one.
pub(super) fn refuse_foreign(path: &Path) -> Result<(), OpenError> {
    let io = |source| cannot_open(path, source);
    let length = match path.metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        found => match found.map_err(io)? {
            what if what.is_file() => what.len(),
            what if what.is_dir() => return Err(io(ErrorKind::IsADirectory.into())),
            _ => return Err(io(std::io::Error::other("it is no regular file"))),
        },
    };
    let not_sqlite = || OpenError::Damaged("it is not an SQLite file".into());
    match look_at(path) {
        // SQLite takes a file of one byte for an empty one.
        Ok(_) if (1..PAGE_MIN).contains(&length) => Err(not_sqlite()),
        Ok(true) => Ok(()),
        Ok(false) => Err(OpenError::NotALedger),
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Err(not_sqlite()),
            Some(ErrorCode::CannotOpen) => why_not(path).map_or(Ok(()), |source| Err(io(source))),
            _ => Ok(()), // Whoever looks closer says what is wrong with it.
        },
    }
}

/// The smallest page, in bytes.
const PAGE_MIN: u64 = 512;

/// Whether the file can be a ledger's: it says so, or there is nothing in it, as while the log holds all that was ever written.
fn look_at(path: &Path) -> rusqlite::Result<bool> {
    let connection = unlogged::open(path)?;
    let ask = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let application = ask("PRAGMA application_id")?;
    if application != 0 {
        return Ok(application == i64::from(APPLICATION_ID));
    }
    let is_new = ask("PRAGMA user_version")? == 0 && ask("PRAGMA page_count")? <= 1;
    // A schema that cannot be read is somebody's.
    Ok(is_new && ask("SELECT count(*) FROM sqlite_schema").is_ok_and(|objects| objects == 0))
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
pub(super) fn side_file(path: &Path) -> PathBuf {
    let mut name = place::real(path).into_os_string();
    name.push(".lock");
    PathBuf::from(name)
}
