//! What can go wrong between the ledger and its file, and whose fault it is.

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::CommitSeq;

/// Why a file could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process (or handle of this one) has the file open for writing.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// There is no such file and it was not to be created.
    #[error("{} does not exist", .0.display())]
    NotFound(PathBuf),
    /// The log was lost while the ledger was in use, and with it commits that were acknowledged: see [`CommitError::Displaced`].
    #[error(transparent)]
    Behind(#[from] Box<Behind>),
    /// The log was lost while the ledger was in use, and somebody still has the ledger open, maybe with the log that is lost.
    #[error(
        "{} is still open in another program, or in this one, which may have the log that was lost: close it there, and open the ledger again",
        .0.display()
    )]
    HeldOpen(PathBuf),
    /// The file is gone, and its log is not.
    #[error(
        "{} is gone or empty, and its log {} is not: bring that very file back, for a backup does not fit the log; or, if it was removed on purpose, move the log away too",
        .path.display(), .log.display()
    )]
    FileGone {
        /// The file.
        path: PathBuf,
        /// Its log.
        log: PathBuf,
    },
    /// An SQLite file of another program.
    #[error("the file is not a ledger")]
    NotALedger,
    /// Written by a newer version of the ledger or of the application.
    #[error("{what}: the file has version {found}, this program knows up to {known}; use a newer program")]
    Newer {
        /// What is newer.
        what: String,
        /// The version in the file.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// The file belongs to another application.
    #[error("the file belongs to the application {found}, not {expected}")]
    OtherApplication {
        /// The name in the file.
        found: String,
        /// The name asked for.
        expected: String,
    },
    /// The file contradicts itself; the text says where.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// SQLite would not give the durability that the ledger needs.
    #[error("SQLite refused `{setting}`: it answered `{answer}`")]
    Setting {
        /// The pragma and its wanted value.
        setting: &'static str,
        /// What it was instead.
        answer: String,
    },
    /// The operating system.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The reason.
        source: std::io::Error,
    },
    /// SQLite.
    #[error("SQLite: {0}")]
    Sqlite(rusqlite::Error),
}

/// A ledger that lacks commits that were acknowledged.
#[derive(Debug)]
pub struct Behind {
    /// The file.
    pub path: PathBuf,
    /// A commit that should be there.
    pub acknowledged: CommitSeq,
    /// The file itself was moved or replaced while it was in use.
    pub replaced: bool,
    /// What SQLite says of what is there.
    pub reason: Option<String>,
    /// Where the log belongs.
    pub log: PathBuf,
    /// Where what it held was saved, if it was.
    pub saved: Option<PathBuf>,
    /// What bears the note.
    pub lock: PathBuf,
}

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, log) = (self.path.display(), self.log.display());
        write!(f, "commit {} was acknowledged and is not in {path}", self.acknowledged)?;
        if let Some(reason) = &self.reason {
            write!(f, " ({reason})")?;
        }
        match self.replaced {
            true => write!(
                f,
                ", which was moved or replaced in use: put the file that was in use there, and its log at {log}"
            )?,
            false => {
                write!(f, ": its log {log} was lost or replaced, or the file was; put back what was there")?
            }
        }
        match &self.saved {
            None => write!(f, " (no copy of the log was saved)")?,
            Some(saved) if self.replaced => write!(f, " (which is in {})", saved.display())?,
            Some(saved) => write!(
                f,
                " (the log was saved as {}, and is put back by whoever opens the ledger to write, if its place is free)",
                saved.display()
            )?,
        }
        write!(f, "; or remove {} to go on without what is missing", self.lock.display())
    }
}

impl std::error::Error for Behind {}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        match damage(&error) {
            Some(what) => Self::Damaged(what),
            None => Self::Sqlite(error),
        }
    }
}

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Damaged(what) => Self::Damaged(what),
            ReadError::Sqlite(error) => error.into(),
            ReadError::NotDurable => Self::Damaged(error.to_string()),
        }
    }
}

/// Why a read failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file contradicts itself; the text says where.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// Reads see only what is durable, and this state holds more: commit first.
    #[error("the state holds changes that are not yet on disk")]
    NotDurable,
    /// SQLite.
    #[error("SQLite: {0}")]
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        match damage(&error) {
            Some(what) => Self::Damaged(what),
            None => Self::Sqlite(error),
        }
    }
}

/// What of an SQLite error means that the file's bytes are wrong.
fn damage(error: &rusqlite::Error) -> Option<String> {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match error {
        rusqlite::Error::SqliteFailure(failure, _)
            if matches!(failure.code, DatabaseCorrupt | NotADatabase) =>
        {
            Some(error.to_string())
        }
        // The ledger's statements are fixed: what they name and the file has not is missing in the file.
        rusqlite::Error::SqliteFailure(_, Some(text)) if text.starts_with("no such ") => {
            Some(text.replacen("no such ", "there is no ", 1).replacen(": ", " ", 1))
        }
        rusqlite::Error::SqlInputError { msg, .. } if msg.starts_with("no such ") => {
            Some(msg.replacen("no such ", "there is no ", 1).replacen(": ", " ", 1))
        }
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..) => Some(error.to_string()),
        _ => None,
    }
}

fn whereabouts(saved: Option<&Path>) -> String {
    match saved {
        Some(saved) => format!(
            "what the log held is in {}: open the ledger again, which puts it back or says what to do",
            saved.display()
        ),
        None => "bring it back before the ledger is opened again".to_owned(),
    }
}

/// Why a commit failed. In every case the file must be opened again: what the commit held is *unknown* to be on disk.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The disk or SQLite failed; nobody can say whether the commit will be there after a restart.
    #[error("the commit may or may not be on disk: {0}")]
    Unknown(#[source] rusqlite::Error),
    /// The log could not be synced; nobody can say whether the commit will be there after a restart.
    #[error("the commit may or may not be on disk: syncing the log: {0}")]
    Sync(#[source] std::io::Error),
    /// The ledger's file or its log was removed, moved or replaced while it was in use: by somebody who does not ask SQLite, or
    /// by another program because this process had opened and closed the file by itself, which ends SQLite's locks on it (POSIX).
    /// The next one to open the ledger would not find what was acknowledged, so nothing more is.
    #[error(
        "the commit may or may not be on disk: {} was removed, moved or replaced while it was in use; {}",
        .path.display(), whereabouts(.saved.as_deref())
    )]
    Displaced {
        /// What is not in its place.
        path: PathBuf,
        /// Where what the log held has been written, beside its place. Opening the ledger puts it back if that is free.
        saved: Option<PathBuf>,
    },
    /// Whether the ledger's file and its log are in their places cannot be seen.
    #[error("the commit may or may not be on disk: cannot see whether {} is in its place: {source}", .path.display())]
    Unseen {
        /// What was looked for.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The application's part failed and nothing of the commit was written. The state in memory is ahead of the
    /// file, so it has to be opened again.
    #[error("the application's part of the commit failed, nothing was written: {0}")]
    App(#[source] rusqlite::Error),
    /// A step of the transaction had failed, or something ended the transaction: nothing was written.
    #[error("the transaction was lost before its commit, nothing was written")]
    Ended,
    /// The ledger's code panicked, before the commit or in it: a fault of ours, or of a clock that panics.
    #[error("the ledger panicked: it is not known whether the commit is on disk")]
    Panicked,
    /// An earlier commit failed; nothing was tried.
    #[error("an earlier commit failed: open the file again")]
    Poisoned,
    /// The changes do not follow the last commit.
    #[error("commit {found} does not follow {expected}")]
    OutOfOrder {
        /// The sequence number of the changes.
        found: u64,
        /// The one that was due.
        expected: u64,
    },
}
