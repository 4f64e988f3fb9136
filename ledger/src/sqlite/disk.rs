//! The only writer of the file.

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};

use super::changes::{Changes, Flush, chain};
use super::error::{CommitError, ReadError};
use super::guard::Guard;
use super::ids::IdWriter;
use super::lock::Ownership;
use super::log::{CheckpointPlan, LogFile};
use super::note::{self, Lost, Note};
use super::place::Place;
use super::rescue;
use super::room::Room;
use super::write::{integer, write_balances, write_changes};
use crate::CommitSeq;

/// Rows in a commit up to which the log is given room ahead: for a larger one, to write its room twice would cost
/// more than a file that grows.
const ROOM_ROWS_MAX: usize = 1024;

/// A commit that is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its place in the chain.
    pub seq: CommitSeq,
    /// The hash over it and all before it.
    pub hash: [u8; 32],
}

/// Who syncs a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyncedBy {
    /// SQLite, before it shows the transaction to readers and returns.
    Sqlite,
    /// [`Disk::sync`], afterwards.
    Disk,
}

/// A commit that is written and waits for its sync.
#[derive(Clone, Copy, Debug)]
struct Unsynced {
    commit: Commit,
    rows: usize,
}

/// The write connection: writes each commit in one transaction, synced before [`Disk::commit`] or [`Disk::sync`] returns.
///
/// After any error it refuses all further commits: open the file again.
#[derive(Debug)]
pub struct Disk {
    pub(super) connection: Connection,
    path: PathBuf,
    /// Where the file is; `None` only where SQLite has files of its own.
    file: Option<Place>,
    last: Commit,
    unsynced: Option<Unsynced>,
    /// As the connection is set.
    synced_by: SyncedBy,
    poisoned: bool,
    /// The log had lost its name, and what it holds is saved.
    saved: bool,
    bounds: Bounds,
    plan: CheckpointPlan,
    log: LogFile,
    room: Room,
    pub(super) ids: IdWriter,
    pub(super) guard: Guard,
    ownership: Ownership,
}

impl Disk {
    pub(super) fn new(
        (connection, guard, plan): (Connection, Guard, CheckpointPlan),
        (file, log): (Option<Place>, LogFile),
        path: PathBuf,
        last: Commit,
        ids: IdWriter,
        ownership: Ownership,
    ) -> Self {
        Self {
            connection,
            path,
            file,
            last,
            unsynced: None,
            synced_by: SyncedBy::Sqlite,
            poisoned: false,
            saved: false,
            bounds: Bounds::new(),
            plan,
            log,
            room: Room::default(),
            ids,
            guard,
            ownership,
        }
    }

    /// The last commit on disk; number 0 and zeros in a new file.
    #[must_use]
    pub fn last_commit(&self) -> Commit {
        self.last
    }

    /// The commit of that number, if the file has it: number 0 and zeros is what every file begins with.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn find_commit(&self, seq: CommitSeq) -> Result<Option<Commit>, ReadError> {
        note::find_commit(&self.connection, seq)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the changes and the application's rows in one transaction and syncs it: when this returns, a crash
    /// cannot take it back. The bytes that `app` returns are hashed into the chain, unless they are empty.
    ///
    /// # Errors
    /// Any error is final. See [`CommitError`] for what is known of the commit then.
    pub fn commit(
        &mut self,
        changes: Changes,
        app: impl FnOnce(&Connection) -> rusqlite::Result<Vec<u8>>,
    ) -> Result<Commit, CommitError> {
        let commit = self.write_transaction(&changes, app, SyncedBy::Sqlite)?;
        self.committed(commit, changes.len())?;
        Ok(commit)
    }

    /// Writes as [`Disk::commit`] does, and leaves it to [`Disk::sync`] to make it durable, on another thread if you like. Until
    /// that has returned a crash can take it back, so nothing may be said about it; but who reads the file sees it already.
    ///
    /// # Errors
    /// As [`Disk::commit`].
    pub fn write(
        &mut self,
        changes: Changes,
        app: impl FnOnce(&Connection) -> rusqlite::Result<Vec<u8>>,
    ) -> Result<(), CommitError> {
        let commit = self.write_transaction(&changes, app, SyncedBy::Disk)?;
        self.unsynced = Some(Unsynced { commit, rows: changes.len() });
        self.unharmed();
        Ok(())
    }

    /// Syncs what [`Disk::write`] has written; gives the last commit that is on disk now. Does not copy the log: see
    /// [`Disk::is_checkpoint_due`].
    ///
    /// # Errors
    /// Any error is final, as in [`Disk::commit`].
    pub fn sync(&mut self) -> Result<Commit, CommitError> {
        self.start()?;
        self.unharmed();
        Ok(self.last)
    }

    /// Whether the log has become long enough to be copied; says so once, and again when as much again has come.
    pub fn is_checkpoint_due(&mut self) -> bool {
        self.plan.is_due()
    }

    fn write_transaction(
        &mut self,
        changes: &Changes,
        app: impl FnOnce(&Connection) -> rusqlite::Result<Vec<u8>>,
        synced_by: SyncedBy,
    ) -> Result<Commit, CommitError> {
        let last = self.begin(synced_by)?;
        if changes.seq.0 != last.seq.0 + 1 {
            return Err(CommitError::OutOfOrder { found: changes.seq.0, expected: last.seq.0 + 1 });
        }
        let (connection, ids) = (&self.connection, &mut self.ids);
        self.bounds.transaction(connection, || {
            let app = app(connection).map_err(CommitError::App)?;
            finish(connection, &last, changes, ids, &app).map_err(CommitError::Unknown)
        })
    }

    /// Before a transaction: as [`Disk::start`], and sees to who will sync it. Gives the last commit.
    pub(super) fn begin(&mut self, synced_by: SyncedBy) -> Result<Commit, CommitError> {
        self.start()?;
        if self.synced_by != synced_by {
            let level = match synced_by {
                SyncedBy::Sqlite => "FULL",
                // SQLite still syncs what keeps the file whole: the log's beginning, and both files when it copies the log.
                SyncedBy::Disk => "NORMAL",
            };
            self.connection.pragma_update(None, "synchronous", level).map_err(CommitError::Unknown)?;
            let is_full = self
                .connection
                .query_row("PRAGMA synchronous", [], |row| row.get::<_, i64>(0))
                .map_err(CommitError::Unknown)?
                == 2;
            assert_eq!(
                is_full,
                synced_by == SyncedBy::Sqlite,
                "SQLite takes the setting between transactions"
            );
            self.synced_by = synced_by;
        }
        Ok(self.last)
    }

    /// Refuses if an earlier commit failed, and syncs what waits for it; from here on every way out but
    /// [`Disk::committed`] and [`Disk::unharmed`] is final.
    fn start(&mut self) -> Result<(), CommitError> {
        if self.poisoned {
            return Err(CommitError::Poisoned);
        }
        self.poisoned = true;
        if let Some(Unsynced { commit, rows }) = self.unsynced.take() {
            self.log.sync().map_err(CommitError::Sync)?;
            self.check_in_place()?;
            self.last = commit;
            self.make_room(rows);
        }
        Ok(())
    }

    /// The transaction is on disk.
    pub(super) fn committed(&mut self, commit: Commit, rows: usize) -> Result<(), CommitError> {
        self.check_in_place()?;
        self.last = commit;
        self.checkpoint_if_large(rows).map_err(CommitError::Unknown)?;
        self.poisoned = false;
        Ok(())
    }

    /// Whether the next one to open the ledger will find what is written.
    fn check_in_place(&mut self) -> Result<(), CommitError> {
        let unseen = |path: &Path, source| CommitError::Unseen { path: path.into(), source };
        let file_kept = match &self.file {
            Some(file) => file.is_kept().map_err(|error| unseen(file.path(), error))?,
            None => true,
        };
        let log_kept = self.log.is_in_place().map_err(|error| unseen(self.log.path(), error))?;
        if file_kept && log_kept {
            return Ok(());
        }
        let saved = self.leave_word(file_kept, log_kept);
        let displaced = self.file.as_ref().filter(|_| !file_kept).map_or(self.log.path(), Place::path);
        Err(CommitError::Displaced { path: displaced.into(), saved })
    }

    /// Whoever opens the ledger next must find what was acknowledged. What a log without a name holds this process alone still has:
    /// saves it, and says where.
    fn leave_word(&mut self, file_kept: bool, log_kept: bool) -> Option<PathBuf> {
        if self.file.is_none() || self.last.seq.0 == 0 {
            return None; // SQLite has files of its own, of which nothing can be seen; or nothing was acknowledged.
        }
        let lost = match (file_kept, log_kept) {
            (true, true) => Lost::Nothing,
            (true, false) => Lost::Log,
            (false, _) => Lost::File,
        };
        if self.saved && lost != Lost::Nothing {
            return None; // It has been said, and which copy it is.
        }
        let mut note = Note { commit: self.last, lost, copy: None };
        self.note(&note);
        let log = self.log.path().display();
        let saved = match lost {
            Lost::Nothing => return None,
            // Another file must not meet it.
            Lost::File if log_kept => self.log.put_aside(),
            Lost::File | Lost::Log => self.log.save(),
        };
        match saved {
            Ok(copy) => {
                let path = rescue::copy_of(self.log.path(), copy);
                tracing::error!("what {log} held is in {}", path.display());
                self.saved = true;
                note.copy = Some(copy);
                self.note(&note);
                Some(path)
            }
            Err(error) => {
                tracing::error!(%error, "what {log} held could not be saved");
                None
            }
        }
    }

    fn note(&mut self, note: &Note) {
        if let Err(error) = self.ownership.note(note) {
            tracing::error!(%error, "{}: could not note that commit {} was acknowledged", self.path.display(), note.commit.seq);
        }
    }

    /// The transaction was rolled back, cleanly.
    pub(super) fn unharmed(&mut self) {
        self.poisoned = false;
    }

    /// Brings balances on disk up to date with the events. All taken changes must be committed.
    ///
    /// # Errors
    /// Any error is final, as in [`Disk::commit`].
    pub fn flush(&mut self, flush: &Flush) -> Result<(), CommitError> {
        let last = self.begin(SyncedBy::Sqlite)?;
        if !flush.balances.is_empty() {
            let write = |connection: &Connection| {
                write_balances(connection, &flush.balances)?;
                connection
                    .prepare_cached("UPDATE commits SET balances_from = ? WHERE seq = ?")?
                    .execute(params![flush.balances_from, last.seq])
            };
            let connection = &self.connection;
            self.bounds.transaction(connection, || write(connection).map_err(CommitError::Unknown))?;
        }
        self.unharmed();
        Ok(())
    }

    /// Copies the write-ahead log into the file; worth doing when nothing else is to be done. Says whether all of it is there now: a
    /// reader may keep the rest from being copied, until it ends.
    ///
    /// # Errors
    /// Any error is final, as in [`Disk::commit`].
    pub fn checkpoint(&mut self) -> Result<bool, CommitError> {
        self.start()?;
        self.check_in_place()?;
        let whole = checkpoint(&self.connection).map_err(CommitError::Unknown)?;
        self.unharmed();
        Ok(whole)
    }

    /// Copies the log into the file when it is large; else sees that the next commits find room in it.
    fn checkpoint_if_large(&mut self, rows: usize) -> rusqlite::Result<()> {
        if self.plan.is_due() {
            checkpoint(&self.connection)?;
        } else {
            self.make_room(rows);
        }
        Ok(())
    }

    /// Sees that the commits after one of so many rows find room in the log.
    fn make_room(&mut self, rows: usize) {
        if rows <= ROOM_ROWS_MAX {
            self.room.make(&mut self.log, self.plan.log_pages(), self.plan.pages_max());
        }
    }
}

impl Drop for Disk {
    /// A disk that never failed leaves one file: closing the last connection copies the log and removes it.
    fn drop(&mut self) {
        if self.poisoned {
            // Whatever it was that failed: the log may be gone too, to make room, say.
            let file_kept = self.file.as_ref().is_none_or(|file| file.is_kept().unwrap_or(true));
            let log_kept = self.log.is_in_place().unwrap_or(true);
            self.leave_word(file_kept, log_kept);
        } else if let Err(error) = self.check_in_place() {
            tracing::error!(%error, "the log is not copied into the file");
        } else {
            let copied = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false);
            debug_assert!(copied.is_ok(), "a flag of the connection");
        }
    }
}

/// What begins and ends the ledger's own transactions: parsed once for a connection, not with each commit.
///
/// A remark that nobody can guess keeps the application's SQL, which shares the connection and may not end a transaction, from
/// finding these statements among those that are ready.
#[derive(Debug)]
struct Bounds {
    begin: String,
    commit: String,
}

impl Bounds {
    fn new() -> Self {
        let remark = RandomState::new().hash_one(());
        Bounds { begin: format!("BEGIN IMMEDIATE -- {remark:x}"), commit: format!("COMMIT -- {remark:x}") }
    }

    /// Does `work` in a transaction and commits that; rolls back if it fails or panics.
    fn transaction<T>(
        &self,
        connection: &Connection,
        work: impl FnOnce() -> Result<T, CommitError>,
    ) -> Result<T, CommitError> {
        let run = |sql: &str| connection.prepare_cached(sql)?.execute([]);
        run(&self.begin).map_err(CommitError::Unknown)?;
        let _open = Open(connection);
        let done = work()?;
        run(&self.commit).map_err(CommitError::Unknown)?;
        Ok(done)
    }
}

/// A transaction that is rolled back unless it has been committed.
struct Open<'a>(&'a Connection);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.0.is_autocommit() {
            let _ = self.0.execute_batch("ROLLBACK"); // What went wrong first is what is told.
        }
    }
}

/// Copies what no reader needs any more, and says whether that was all. A reader that holds the log back is no error.
fn checkpoint(connection: &Connection) -> rusqlite::Result<bool> {
    connection.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?.query_row([], |row| {
        let (busy, pages, copied): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(busy == 0 && pages == copied)
    })
}

/// Writes what is left of a commit, and its link of the chain.
pub(super) fn finish(
    connection: &Connection,
    last: &Commit,
    changes: &Changes,
    ids: &mut IdWriter,
    app: &[u8],
) -> rusqlite::Result<Commit> {
    write_changes(connection, changes, ids)?;
    let app: Option<[u8; 32]> = (!app.is_empty()).then(|| Sha256::digest(app).into());
    let hash = chain(&last.hash, changes.seq, &changes.content, app.as_ref());
    write_commit(connection, changes, &hash, app.as_ref())?;
    Ok(Commit { seq: changes.seq, hash })
}

fn write_commit(
    connection: &Connection,
    changes: &Changes,
    hash: &[u8; 32],
    app: Option<&[u8; 32]>,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO commits(seq, hash, content, app, accounts, events, burnt, last_account, last_transfer, \
         last_expiry, balances_from, ids_from, ids_max, burnt_from) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    )?;
    insert.execute(params![
        changes.seq,
        hash,
        changes.content,
        app,
        integer(changes.accounts.len()),
        integer(changes.entries.len()),
        integer(changes.burnt.len()),
        changes.last.account,
        changes.last.transfer,
        changes.last.expiry,
        changes.balances_from,
        changes.ids.indexed.transfers.at,
        changes.ids.indexed.transfers.max.0.to_be_bytes(),
        changes.ids.indexed.burnt.cast_signed(),
    ])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::sqlite::{Options, open};
    use crate::{Account, Timestamp, engine};

    #[test]
    fn a_sync_that_fails_is_final_and_never_tried_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.db");
        let (mut state, mut disk) = open(&path, Options::default()).unwrap();
        let before = disk.last_commit();
        engine::create_accounts(&mut state, Timestamp(1), &[Account::new(1, 1, 1)]).unwrap();
        disk.write(state.take_changes(), |_| Ok(Vec::new())).unwrap();
        disk.log.replace(File::open("/dev/null").unwrap()); // It cannot be synced.
        let failed = disk.sync();
        assert!(matches!(failed, Err(CommitError::Sync(_))), "{failed:?}");
        disk.log = LogFile::new(&path, None).unwrap();
        engine::create_accounts(&mut state, Timestamp(2), &[Account::new(2, 1, 1)]).unwrap();
        let next = [
            disk.sync().map(|_| ()),
            disk.checkpoint().map(|_| ()),
            disk.commit(state.take_changes(), |_| Ok(Vec::new())).map(|_| ()),
        ];
        assert!(next.iter().all(|tried| matches!(tried, Err(CommitError::Poisoned))), "{next:?}");
        assert_eq!(disk.last_commit(), before);
    }
}
