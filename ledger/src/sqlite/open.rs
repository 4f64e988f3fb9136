//! Opening a file: settings, schema, and bringing memory up to what the file says.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};

use super::changes::chain;
use super::disk::{Commit, Disk};
use super::error::OpenError;
use super::guard::Guard;
use super::identity;
use super::ids::{IndexedTo, Point};
use super::load;
use super::lock::Ownership;
use super::log;
use super::lookup::Lookup;
use super::note::Note;
use super::place::{self, Place};
use super::rescue;
use super::schema::{self, AppSchema};
use super::state::{State, Tuning};
use super::unlogged;
use crate::{CommitSeq, Last, Timestamp};

/// How a file is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Create the file if it does not exist.
    pub create: bool,
    /// The application's own tables.
    pub app: Option<AppSchema>,
    /// How many of the newest events memory holds (about 300 bytes each), so that repeats and second phases of
    /// recent transfers need no disk.
    pub recent_events: usize,
    /// How many events balances on disk may lag, twice at most; the index of ids up to four times more. Opening reads
    /// them again: smaller opens faster, larger writes less.
    pub lag_events: usize,
    /// Pages of the file that the writing connection holds, in KiB.
    pub cache_kib: u32,
    /// The write-ahead log, in KiB, from which on a commit copies it into the file. A commit that does so takes as long as
    /// there is much to copy; and what is copied often is written over while it is in the processor's caches. A longer
    /// log writes a page once that many commits have changed.
    pub log_kib: u32,
    /// How [`Disk::sync`] syncs the log where SQLite has files of its own (a VFS), which nobody else can open. It is given the
    /// ledger's real path with `-wal` at its end. A log that is a file of the operating system is synced as ever besides.
    pub sync_log: Option<fn(&Path) -> std::io::Result<()>>,
}

impl Default for Options {
    fn default() -> Self {
        // Small enough for the processor's caches; and where a commit splits a page SQLite walks over all that it holds.
        Self {
            create: true,
            app: None,
            recent_events: 1 << 15,
            lag_events: 1 << 17,
            cache_kib: 16 * 1024,
            log_kib: 8 * 1024,
            sync_log: None,
        }
    }
}

/// What the last row of `commits` says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LastCommit {
    pub(super) seq: CommitSeq,
    pub(super) hash: [u8; 32],
    pub(super) last: Last,
    pub(super) balances_from: Timestamp,
    pub(super) indexed: IndexedTo,
}

/// Opens a ledger's file for writing, or creates it.
///
/// # Errors
/// See [`OpenError`]; among others when another process has it open for writing.
pub fn open(path: impl AsRef<Path>, options: Options) -> Result<(State, Disk), OpenError> {
    let path = path.as_ref();
    if !options.create && !path.exists() {
        return Err(OpenError::NotFound(path.to_path_buf()));
    }
    let ownership = Ownership::take(path)?;
    rescue::refuse_remains(path)?;
    let log = log::log_path(path);
    let Some(note) = Note::read(path)? else {
        if let Some(saved) = rescue::first_copy(&log) {
            tracing::warn!("{} stands beside the ledger: what was saved of a log once", saved.display());
        }
        return open_owned(path, options, ownership, None);
    };
    let put_back = note.prepare(path)?;
    let opened = open_owned(path, options, ownership, Some(note));
    if let (Ok(_), Some(copy)) = (&opened, put_back) {
        rescue::forget(&log, copy);
    }
    opened.map_err(|error| note.explain(path, error))
}

/// [`open`] by its only owner; `note` is what the one before has left.
fn open_owned(
    path: &Path,
    options: Options,
    mut ownership: Ownership,
    note: Option<Note>,
) -> Result<(State, Disk), OpenError> {
    log::check(path)?;
    log::make_durable(path)?;
    let mut connection = connect(path, &options)?;
    let _ = schema::is_empty(&connection)?; // With the first look SQLite opens the log.
    // A name that is a link may come to lead elsewhere; what counts is where the log is looked for.
    let real = place::real(path);
    let look_after = |source| OpenError::Io { what: format!("cannot look after {}", path.display()), source };
    let file = Place::of(real.clone()).map_err(look_after)?;
    let log = log::LogFile::new(path, options.sync_log).map_err(look_after)?;
    if let Some(note) = note {
        note.check(path, &connection)?;
    }
    identity::check(&connection, path)?;
    prepare_schema(&mut connection, options.app.as_ref())?;
    let guard = Guard::install(&mut connection)?;
    let length = log::Length::watch(&mut connection)?;
    let last = last_commit(&connection)?;
    let tuning = Tuning { recent_events: options.recent_events, lag_events: options.lag_events };
    let lookup = Lookup::open(&real)?;
    let (state, ids) = load::state(lookup, &last, tuning)?;
    let commit = Commit { seq: last.seq, hash: last.hash };
    let plan = log::CheckpointPlan::new(length, options.log_kib);
    if let Err(error) = ownership.clear_note() {
        // What was noted is true of this file; and there may be no room to note anything later.
        tracing::debug!(%error, "{}: no room made for a note", path.display());
    }
    Ok((
        state,
        Disk::new((connection, guard, plan), (file, log), PathBuf::from(path), commit, ids, ownership),
    ))
}

fn connect(path: &Path, options: &Options) -> Result<Connection, OpenError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(unlogged::plain(path), flags)?;
    connection.busy_timeout(Duration::from_secs(10))?; // A reader may hold the log for a moment.
    connection.pragma_update(None, "cache_size", -i64::from(options.cache_kib))?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "foreign_keys", false)?;
    // It answers before it writes the setting into a new file: only at the statement's end is it known to be there.
    let mut set = connection.prepare("PRAGMA journal_mode = WAL")?;
    let answers: Vec<String> = set.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    drop(set);
    if answers != ["wal"] {
        return Err(OpenError::Setting { setting: "journal_mode = WAL", answer: answers.concat() });
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    let synchronous: i64 = connection.query_row("PRAGMA synchronous", [], |row| row.get(0))?;
    if synchronous != 2 {
        return Err(OpenError::Setting { setting: "synchronous = FULL", answer: synchronous.to_string() });
    }
    // The log is copied when we say so, and its file is kept: writing over it is cheaper than making it grow.
    let _: i64 = connection.query_row("PRAGMA wal_autocheckpoint = 0", [], |row| row.get(0))?;
    let _: i64 = connection.query_row("PRAGMA journal_size_limit = -1", [], |row| row.get(0))?;
    // Else closing after a failed sync would sync again, and copy what may not be in the log.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn prepare_schema(connection: &mut Connection, app: Option<&AppSchema>) -> Result<(), OpenError> {
    let is_empty = schema::is_empty(connection)?;
    if !is_empty {
        schema::check_format(connection)?;
    }
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if is_empty {
        schema::create(&tx, app)?;
    } else {
        schema::migrate(&tx, app)?;
        schema::check_objects(&tx)?;
    }
    Ok(tx.commit()?)
}

/// Reads the last commit and checks that it follows the one before.
pub(super) fn last_commit(connection: &Connection) -> Result<LastCommit, OpenError> {
    let mut statement = connection.prepare(
        "SELECT seq, hash, content, app, last_account, last_transfer, last_expiry, balances_from, ids_from, ids_max,
            burnt_from, coalesce((SELECT p.hash FROM commits p WHERE p.seq = c.seq - 1), zeroblob(32))
        FROM commits c ORDER BY seq DESC LIMIT 1",
    )?;
    let found = statement
        .query_row([], |row| {
            let last = LastCommit {
                seq: row.get(0)?,
                hash: row.get(1)?,
                last: Last { account: row.get(4)?, transfer: row.get(5)?, expiry: row.get(6)? },
                balances_from: row.get(7)?,
                indexed: read_indexed(row, 8)?,
            };
            Ok((
                last,
                row.get::<_, [u8; 32]>(2)?,
                row.get::<_, Option<[u8; 32]>>(3)?,
                row.get::<_, [u8; 32]>(11)?,
            ))
        })
        .optional()?;
    let Some((last, content, app, previous)) = found else { return Ok(LastCommit::default()) };
    if chain(&previous, last.seq, &content, app.as_ref()) != last.hash {
        return Err(OpenError::Damaged(format!(
            "commit {}: its hash does not follow from the one before",
            last.seq
        )));
    }
    Ok(last)
}

/// The columns ids_from, ids_max and burnt_from.
pub(super) fn read_indexed(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<IndexedTo> {
    let transfers = Point { at: row.get(column)?, max: row.get(column + 1)? };
    Ok(IndexedTo { transfers, burnt: row.get::<_, u32>(column + 2)?.into() })
}
