//! What memory does not hold, read from the file: a read-only connection with one statement for each question.

use std::cell::RefCell;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::entry::{Entry, SELECT_ENTRY, Slot, read_entry, read_id_or_zero, read_timestamp};
use super::error::{OpenError, ReadError};
use super::hasher::IdMap;
use super::identity;
use super::load::read_account;
use super::lock::refuse_foreign;
use super::log;
use super::note::Note;
use super::reads::Source;
use super::rescue;
use super::unlogged;
use crate::{Account, Phase, Timestamp, TransferId};

/// A connection that only reads, and sees what is committed.
#[derive(Debug)]
pub(super) struct Lookup {
    pub(super) connection: Connection,
}

/// Pages that a reading connection may hold, in KiB.
const CACHE_KIB: i64 = 32 * 1024;

impl Lookup {
    pub(super) fn open(path: &Path) -> Result<Self, ReadError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(unlogged::plain(path), flags)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        connection.pragma_update(None, "query_only", true)?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Self { connection })
    }

    /// [`Lookup::open`] that says so when there is no file.
    ///
    /// Looks at the log first: see [`log`].
    pub(super) fn open_existing(path: &Path) -> Result<Self, OpenError> {
        refuse_foreign(path)?;
        rescue::refuse_remains(path)?;
        let Some(note) = Note::read(path)? else { return Self::open_checked(path) };
        note.check_begun(path)?;
        let lookup = Self::open_checked(path).map_err(|error| note.explain(path, error))?;
        note.check(path, &lookup.connection)?;
        Ok(lookup)
    }

    fn open_checked(path: &Path) -> Result<Self, OpenError> {
        log::check_beside_owner(path)?;
        let lookup = Self::open(path).map_err(|error| match error {
            ReadError::Sqlite(_) if !path.exists() => OpenError::NotFound(path.to_path_buf()),
            other => other.into(),
        })?;
        identity::check(&lookup.connection, path)?;
        Ok(lookup)
    }

    /// The event at that time.
    pub(super) fn entry(&self, at: Timestamp) -> Result<Option<Entry>, ReadError> {
        let mut statement =
            self.connection.prepare_cached(&format!("{SELECT_ENTRY}WHERE e.timestamp = ?"))?;
        let mut rows = statement.query([at])?;
        rows.next()?.map(read_entry).transpose()
    }

    /// Whether there is an event at that time.
    pub(super) fn has_event(&self, at: Timestamp) -> Result<bool, ReadError> {
        let mut statement = self.connection.prepare_cached("SELECT 1 FROM events WHERE timestamp = ?")?;
        Ok(statement.exists([at])?)
    }

    /// What became of the pending transfer of that time.
    pub(super) fn phase(&self, at: Timestamp) -> Result<Phase, ReadError> {
        let mut statement =
            self.connection.prepare_cached("SELECT status FROM pendings WHERE timestamp = ?")?;
        let status: Option<u8> = statement.query_row([at], |row| row.get(0)).optional()?;
        let status =
            status.ok_or_else(|| ReadError::Damaged(format!("pending transfer {at} has no status")))?;
        read_phase(status)
            .ok_or_else(|| ReadError::Damaged(format!("pending transfer {at}: status {status}")))
    }

    /// The time of the transfer with this id; 0 if the id is burnt.
    pub(super) fn transfer_time(
        &self,
        id: TransferId,
        in_runs: bool,
    ) -> Result<Option<Timestamp>, ReadError> {
        match self.scattered_time(id)? {
            None if in_runs => self.rising_time(id),
            found => Ok(found),
        }
    }

    /// [`Lookup::transfer_time`] for ids that are indexed one by one.
    pub(super) fn scattered_time(&self, id: TransferId) -> Result<Option<Timestamp>, ReadError> {
        let mut statement =
            self.connection.prepare_cached("SELECT timestamp FROM transfer_ids WHERE id = ?")?;
        let mut rows = statement.query([id.0.to_be_bytes()])?;
        rows.next()?.map(|row| read_timestamp(row, 0)).transpose()
    }

    /// [`Lookup::scattered_time`] of many ids, best in order, under one lock of the file.
    pub(super) fn scattered_times(
        &self,
        ids: &[TransferId],
        mut found: impl FnMut(TransferId, Option<Timestamp>) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let _moment = self.connection.unchecked_transaction()?;
        let mut statement =
            self.connection.prepare_cached("SELECT timestamp FROM transfer_ids WHERE id = ?")?;
        for id in ids {
            statement.raw_bind_parameter(1, id.0.to_be_bytes())?;
            let mut rows = statement.raw_query();
            let at = rows.next()?.map(|row| read_timestamp(row, 0)).transpose()?;
            drop(rows);
            found(*id, at)?;
        }
        Ok(())
    }

    /// [`Lookup::transfer_time`] for ids in runs.
    pub(super) fn rising_time(&self, id: TransferId) -> Result<Option<Timestamp>, ReadError> {
        let key = id.0.to_be_bytes();
        let mut statement = self.connection.prepare_cached(
            "SELECT first, last, last_id FROM transfer_runs WHERE id <= ? ORDER BY id DESC LIMIT 1",
        )?;
        let mut rows = statement.query([key])?;
        let Some(run) = rows.next()? else { return Ok(None) };
        let (first, last) = (read_timestamp(run, 0)?, read_timestamp(run, 1)?);
        if read_id_or_zero(run, 2)? < id.0 {
            return Ok(None);
        }
        let mut statement = self
            .connection
            .prepare_cached("SELECT timestamp FROM events WHERE timestamp BETWEEN ? AND ? AND id = ?")?;
        let mut rows = statement.query((first, last, key))?;
        rows.next()?.map(|row| read_timestamp(row, 0)).transpose()
    }
}

/// A connection for reads on any thread, with the accounts that it has met.
#[derive(Debug)]
pub(crate) struct Reader {
    lookup: Lookup,
    accounts: RefCell<IdMap<u32, Account>>,
}

/// Accounts that a reader remembers.
const READER_ACCOUNTS_MAX: usize = 1 << 16;

impl Reader {
    pub(crate) fn open(path: &Path) -> Result<Self, ReadError> {
        Ok(Self { lookup: Lookup::open(path)?, accounts: RefCell::default() })
    }
}

impl Source for Reader {
    fn event(&self, at: Timestamp) -> Result<Entry, ReadError> {
        self.lookup.entry(at)?.ok_or_else(|| ReadError::Damaged(format!("event {at} is missing")))
    }

    fn held_account(&self, slot: Slot) -> Result<Account, ReadError> {
        let mut accounts = self.accounts.borrow_mut();
        if let Some(account) = accounts.get(&slot.0) {
            return Ok(*account);
        }
        if accounts.len() >= READER_ACCOUNTS_MAX {
            accounts.clear();
        }
        let account = read_account(&self.lookup, slot)?;
        accounts.insert(slot.0, account);
        Ok(account)
    }

    fn connection(&self) -> &Connection {
        &self.lookup.connection
    }
}

/// The phase of a status in `pendings`.
pub(super) fn read_phase(status: u8) -> Option<Phase> {
    [Phase::Pending, Phase::Posted, Phase::Voided, Phase::Expired]
        .into_iter()
        .find(|phase| *phase as u8 == status)
}
