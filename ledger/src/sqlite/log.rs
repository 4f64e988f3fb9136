//! The write-ahead log that an earlier process left behind.
//!
//! When a sync fails, the kernel keeps what it could not write where the next reader finds it, and forgets that it is
//! not on disk: a later sync succeeds without writing it. A process that ended after a failed sync may have
//! left such a log. SQLite would take its commits for durable. So before SQLite looks at it, the log is written
//! over itself and synced: then either it is on disk, or opening fails.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;

use super::error::OpenError;
use super::frames;
use super::lock::Ownership;
use super::place::{self, Place};
use super::rescue;

/// Bytes that are written over at a time.
const CHUNK: usize = 1 << 20;

/// Makes sure that what can be read from the log is on disk. The caller owns the file: nobody else writes.
pub(super) fn make_durable(ledger: &Path) -> Result<(), OpenError> {
    let path = log_path(ledger);
    let io = |source| OpenError::Io { what: format!("cannot sync the log {}", path.display()), source };
    let mut file = match OpenOptions::new().read(true).write(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
    };
    let mut chunk = vec![0; CHUNK];
    let mut at = 0;
    loop {
        let length = file.read(&mut chunk).map_err(io)?;
        if length == 0 {
            break;
        }
        file.seek(SeekFrom::Start(at)).map_err(io)?;
        file.write_all(&chunk[..length]).map_err(io)?;
        at += length as u64;
    }
    if at == 0 { Ok(()) } else { file.sync_all().map_err(io) }
}

/// Refuses a log whose damage would hide commits that were on disk. The caller owns the file, or nobody does.
pub(super) fn check(ledger: &Path) -> Result<(), OpenError> {
    let path = log_path(ledger);
    match frames::first_damaged(&path) {
        Ok(None) => Ok(()),
        Ok(Some(frame)) => Err(OpenError::Damaged(format!(
            "{}, frame {frame}: not what was written there, and commits that were on disk stand behind it",
            path.display()
        ))),
        Err(source) => Err(OpenError::Io { what: format!("cannot read the log {}", path.display()), source }),
    }
}

/// [`check`] for a reader: what looks like damage while an owner writes is not.
pub(super) fn check_beside_owner(ledger: &Path) -> Result<(), OpenError> {
    match check(ledger) {
        Err(OpenError::Damaged(_)) => match Ownership::take(ledger) {
            Err(OpenError::InUse(_)) => Ok(()), // The owner has looked at it when it opened the file.
            _nobody_writes => check(ledger),
        },
        other => other,
    }
}

/// Where SQLite keeps the log of a file: beside the real one, where this name is a link to it.
pub(super) fn log_path(ledger: &Path) -> PathBuf {
    let mut name = place::real(ledger).into_os_string();
    name.push("-wal");
    PathBuf::from(name)
}

/// The log's file, opened beside SQLite, which makes it with the first look at the ledger and keeps it as long as a connection is
/// open. (SQLite has no locks on it that closing it could end.)
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: Option<File>,
    /// Where the file is; `None` only where SQLite has files of its own.
    place: Option<Place>,
    /// How it is synced there.
    sync_there: Option<SyncLog>,
}

/// Syncs the log of that name.
pub(super) type SyncLog = fn(&Path) -> io::Result<()>;

impl LogFile {
    /// The log that SQLite has opened, right after that. `sync_there` syncs it where SQLite has files of its own.
    pub(super) fn new(ledger: &Path, sync_there: Option<SyncLog>) -> io::Result<Self> {
        let path = log_path(ledger);
        let place = Place::of(path.clone())?;
        if place.is_none() && ledger.exists() {
            return Err(io::Error::other(format!(
                "{} was removed while it was being opened",
                path.display()
            )));
        }
        let file = match &place {
            Some(_) => Some(OpenOptions::new().read(true).write(true).open(&path)?),
            None => None,
        };
        Ok(Self { path, file, place, sync_there })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn open(&mut self) -> io::Result<&mut File> {
        match &mut self.file {
            Some(file) => Ok(file),
            none => Ok(none.insert(OpenOptions::new().write(true).open(&self.path)?)),
        }
    }

    #[cfg(test)]
    pub(super) fn replace(&mut self, file: File) {
        self.file = Some(file);
    }

    /// Syncs what anybody has written to it.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if let Some(sync) = self.sync_there {
            sync(&self.path)?;
            if self.place.is_none() {
                return Ok(());
            }
        }
        self.open()?.sync_data()
    }

    /// Whether the next one to open the ledger will find this log. SQLite's locks keep other programs from removing it, unless this
    /// process has lost them (see `unlogged`), or somebody does not ask SQLite.
    pub(super) fn is_in_place(&self) -> io::Result<bool> {
        self.place.as_ref().map_or(Ok(true), Place::is_kept)
    }

    /// Moves it out of the way of another ledger's file.
    pub(super) fn put_aside(&self) -> io::Result<usize> {
        rescue::put_aside(&self.path)
    }

    /// Saves what it holds when it is not in its place: see [`rescue::save`].
    pub(super) fn save(&self) -> io::Result<usize> {
        rescue::save(self.file.as_ref().ok_or(ErrorKind::NotFound)?, &self.path)
    }
}

/// How many pages the log holds, as SQLite says after each commit of a connection: to ask by a pragma would cost a
/// small commit a tenth of its time.
#[derive(Clone, Debug, Default)]
pub(super) struct Length(Arc<AtomicU64>);

impl Length {
    /// Has SQLite say it. (It takes the place of checkpoints by SQLite itself, which are off.)
    pub(super) fn watch(connection: &mut Connection) -> rusqlite::Result<Self> {
        let length = Self::default();
        let told = length.clone();
        connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
            told.0.store(u64::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(length)
    }

    /// After the last commit.
    pub(super) fn pages(&self) -> u64 {
        self.0.load(Ordering::Relaxed) // One thread at a time has the connection.
    }
}

/// When a commit copies the log into the file.
#[derive(Debug)]
pub(super) struct CheckpointPlan {
    length: Length,
    /// How long the log may become before it is copied, in pages.
    pages_max: u64,
    /// The length at which it is copied next.
    next_at: u64,
}

impl CheckpointPlan {
    pub(super) fn new(length: Length, log_kib: u32) -> Self {
        let pages_max = u64::from(log_kib / 4).max(1); // 4 KiB each.
        Self { length, pages_max, next_at: pages_max }
    }

    /// After the last commit, in pages.
    pub(super) fn log_pages(&self) -> u64 {
        self.length.pages()
    }

    /// How long the log becomes when no reader holds it, in pages.
    pub(super) fn pages_max(&self) -> u64 {
        self.pages_max
    }

    /// Whether it is time to copy the log. Where a reader keeps it from beginning again it is not tried
    /// after every commit, but each time that as much again has come.
    pub(super) fn is_due(&mut self) -> bool {
        let pages = self.length.pages();
        if pages < self.pages_max {
            self.next_at = self.pages_max; // It has begun again.
        }
        let is_due = pages >= self.next_at;
        if is_due {
            self.next_at = pages + self.pages_max;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_readers_hold_is_not_copied_at_every_commit() {
        let length = Length::default();
        let mut plan = CheckpointPlan::new(length.clone(), 40);
        let due: Vec<u64> = [3, 9, 10, 11, 19, 20, 25, 31, 32, 4, 9, 12, 13]
            .into_iter()
            .filter(|pages| {
                length.0.store(*pages, Ordering::Relaxed);
                plan.is_due()
            })
            .collect();
        assert_eq!(due, [10, 20, 31, 12], "after 4, where the log has begun again, from ten pages on");
    }

    #[test]
    fn a_file_of_the_operating_system_is_synced_whatever_else_syncs() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = directory.path().join("ledger.db");
        for path in [ledger.clone(), log_path(&ledger)] {
            File::create(path).unwrap();
        }
        for sync_there in [None, Some((|_: &Path| Ok(())) as SyncLog)] {
            let mut log = LogFile::new(&ledger, sync_there).unwrap();
            log.sync().unwrap();
            log.replace(File::open("/dev/null").unwrap()); // It cannot be synced.
            assert!(log.sync().is_err(), "{sync_there:?}");
        }
    }
}
