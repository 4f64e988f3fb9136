//! What an owner that lost sight of its files leaves in the file that it locks: the last commit that was acknowledged.
//!
//! Whoever opens or reads the ledger next must find that commit there. So it does not matter how the log was lost, whether it could be
//! saved, or what stands in its place by now.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, ffi};

use super::disk::Commit;
use super::error::{Behind, OpenError, ReadError};
use super::lock::{cannot_open, side_file};
use super::log::log_path;
use super::{rescue, schema, unlogged};
use crate::CommitSeq;

/// Room for a note, made when there is room on the disk: it is written on a full one.
const SIZE: usize = 256;
/// Begins a note.
const COMMIT: &str = "commit";
/// Before the number of the copy in which the log was saved.
const COPY: &str = "copy";

/// What was not in its place when an owner failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// Nothing: something else had failed.
    Nothing,
    /// The log.
    Log,
    /// The file itself, and maybe the log too.
    File,
}

impl Lost {
    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "kept",
            Self::Log => "log",
            Self::File => "file",
        }
    }
}

/// The last commit that was acknowledged before an owner failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) commit: Commit,
    pub(super) lost: Lost,
    /// In which copy the log is, if it could be saved: see [`rescue`].
    pub(super) copy: Option<usize>,
}

impl Note {
    /// What is noted beside the ledger.
    pub(super) fn read(ledger: &Path) -> Result<Option<Self>, OpenError> {
        let side = side_file(ledger);
        let mut text = Vec::new();
        match File::open(&side).and_then(|file| file.take(SIZE as u64).read_to_end(&mut text)) {
            Ok(_) => {}
            // Who may read the ledger may still not be allowed to look at its owner's lock.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
                return Ok(None);
            }
            Err(error) => return Err(cannot_open(&side, error)),
        }
        let text = String::from_utf8_lossy(&text);
        match text.starts_with(COMMIT) {
            true => Self::parse(&text).map(Some).ok_or_else(|| {
                let what =
                    "what is noted there of a lost log is not legible; remove it if nothing is missing";
                cannot_open(&side, io::Error::other(what))
            }),
            false => Ok(None),
        }
    }

    pub(super) fn write(&self, side: &mut File) -> io::Result<()> {
        fill(side, &self.to_string())?;
        side.sync_data()
    }

    fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let ([COMMIT, seq, digits, lost], copy) = words.split_first_chunk()? else { return None };
        let copy = match copy {
            [] => None,
            [COPY, n] => Some(n.parse().ok()?),
            _ => return None,
        };
        let (pairs, []) = digits.as_bytes().as_chunks::<2>() else { return None };
        let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let hash: Option<Vec<u8>> = pairs.iter().map(byte).collect();
        let commit = Commit { seq: CommitSeq(seq.parse().ok()?), hash: hash?.try_into().ok()? };
        let lost = [Lost::Nothing, Lost::Log, Lost::File].into_iter().find(|known| known.name() == *lost)?;
        Some(Self { commit, lost, copy })
    }

    /// Before SQLite looks at the ledger: sees to it that nothing makes it worse, and puts the log back that was saved; says which copy
    /// that is. Only its owner may call this.
    pub(super) fn prepare(&self, ledger: &Path) -> Result<Option<usize>, OpenError> {
        self.check_begun(ledger)?;
        let log = log_path(ledger);
        let is_kept = self.lost == Lost::Nothing && rescue::length(&log).is_ok_and(|length| length > 0);
        if !is_kept {
            Self::check_alone(ledger)?;
        }
        match self.copy {
            // To which file it belongs nobody can say if that was replaced.
            Some(copy) if self.lost == Lost::Log => {
                let is_back = rescue::put_back(&log, copy).map_err(|error| cannot_open(&log, error))?;
                Ok(is_back.then_some(copy))
            }
            _ => Ok(None),
        }
    }

    /// Refuses, before SQLite looks at it, a ledger of which not even a beginning is there, for SQLite would begin it anew.
    pub(super) fn check_begun(&self, ledger: &Path) -> Result<(), OpenError> {
        for path in [ledger, &log_path(ledger)] {
            if rescue::length(path).map_err(|error| cannot_open(path, error))? > 0 {
                return Ok(());
            }
        }
        Err(self.behind(ledger, None))
    }

    /// Refuses a ledger that others still have open: they may have the log that is lost, and share its index with whoever opens the
    /// ledger now, which may have another.
    fn check_alone(ledger: &Path) -> Result<(), OpenError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let look = || {
            let connection = Connection::open_with_flags(unlogged::plain(ledger), flags)?;
            connection.busy_timeout(Duration::from_secs(1))?; // A reader may be about to end.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
            schema::is_empty(&connection)
        };
        match look().map_err(|error| error.sqlite_error_code()) {
            Err(Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)) => {
                Err(OpenError::HeldOpen(ledger.into()))
            }
            _ => Ok(()), // Whoever looks closer says what is wrong with it.
        }
    }

    /// Refuses a ledger that has not the commit.
    pub(super) fn check(&self, ledger: &Path, connection: &Connection) -> Result<(), OpenError> {
        // In a file that is not even begun there is no table to ask.
        let found = match schema::is_empty(connection).map_err(|error| self.explain(ledger, error.into()))? {
            true => None,
            false => find_commit(connection, self.commit.seq)
                .map_err(|error| self.explain(ledger, error.into()))?,
        };
        if found == Some(self.commit) { Ok(()) } else { Err(self.behind(ledger, None)) }
    }

    /// What is wrong with the file may be that its log is missing.
    pub(super) fn explain(&self, ledger: &Path, error: OpenError) -> OpenError {
        let is_short = match &error {
            OpenError::Damaged(_) => true,
            // The log is shorter than its index says.
            OpenError::Sqlite(error) => {
                error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_IOERR_SHORT_READ)
            }
            _ => false,
        };
        if is_short { self.behind(ledger, Some(error.to_string())) } else { error }
    }

    fn behind(&self, ledger: &Path, reason: Option<String>) -> OpenError {
        let log = log_path(ledger);
        OpenError::from(Box::new(Behind {
            path: ledger.into(),
            acknowledged: self.commit.seq,
            replaced: self.lost == Lost::File,
            reason,
            saved: self.copy.map(|copy| rescue::copy_of(&log, copy)),
            log,
            lock: side_file(ledger),
        }))
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{COMMIT} {} ", self.commit.seq.0)?;
        self.commit.hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, " {}", self.lost.name())?;
        self.copy.map_or(Ok(()), |copy| write!(f, " {COPY} {copy}"))?;
        f.write_str("\n")
    }
}

/// Takes a note back, or makes room for one. (What is taken back may come back in a power cut: it is true of this file.)
pub(super) fn clear(side: &mut File) -> io::Result<()> {
    fill(side, "")
}

/// In one write, over what is there.
fn fill(side: &mut File, text: &str) -> io::Result<()> {
    side.rewind()?;
    side.write_all(format!("{text:SIZE$}").as_bytes())
}

/// Whether `connection`, to the ledger or to a copy of it, has what the ledger's owner acknowledged, as far as that left word: it does
/// where its log is removed or replaced while it is in use.
///
/// # Errors
/// [`OpenError::Behind`], or the file cannot be read.
pub fn check_complete(ledger: impl AsRef<Path>, connection: &Connection) -> Result<(), OpenError> {
    let ledger = ledger.as_ref();
    match Note::read(ledger)? {
        Some(note) => note.check(ledger, connection),
        None => Ok(()),
    }
}

/// The commit of that number, if the file has it: number 0 and zeros is what every file begins with.
pub(super) fn find_commit(connection: &Connection, seq: CommitSeq) -> Result<Option<Commit>, ReadError> {
    if seq.0 == 0 {
        return Ok(Some(Commit { seq, hash: [0; 32] }));
    }
    let mut statement = connection.prepare_cached("SELECT hash FROM commits WHERE seq = ?")?;
    let hash: Option<[u8; 32]> = statement.query_row([seq], |row| row.get(0)).optional()?;
    Ok(hash.map(|hash| Commit { seq, hash }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("app.db");
        assert_eq!(Note::read(&ledger).unwrap(), None);
        let mut side = File::create(side_file(&ledger)).unwrap();
        assert_eq!(Note::read(&ledger).unwrap(), None, "of an older program");
        for seq in [0, 7, u64::MAX] {
            for (lost, copy) in [(Lost::Nothing, None), (Lost::Log, Some(1)), (Lost::File, Some(99))] {
                let note = Note { commit: Commit { seq: CommitSeq(seq), hash: [0xa7; 32] }, lost, copy };
                note.write(&mut side).unwrap();
                assert_eq!(Note::read(&ledger).unwrap(), Some(note));
                assert_eq!(side.metadata().unwrap().len(), SIZE as u64);
                let text = std::fs::read_to_string(side_file(&ledger)).unwrap();
                for torn in
                    [&text[..9], &text[..60], &text[..text.trim().len() - 2], &text.replace("a7", "x7")]
                {
                    std::fs::write(side_file(&ledger), torn).unwrap();
                    assert!(Note::read(&ledger).is_err(), "{torn}");
                }
            }
        }
        std::fs::write(side_file(&ledger), "somebody's").unwrap();
        assert_eq!(Note::read(&ledger).unwrap(), None);
        clear(&mut side).unwrap();
        assert_eq!(Note::read(&ledger).unwrap(), None);
    }
}
