//! What only leads to rows: ids, statuses of pending transfers, names.

use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};

use super::super::entry::{Entry, read_id_or_zero, read_timestamp};
use super::super::ids::{Cut, IndexedTo, Point, Run, Runs};
use super::super::lookup::Lookup;
use super::books::Books;
use super::{VerifyError, bad};
use crate::{EventKind, Phase, Timestamp, TransferId};

/// What the indexes must hold so far.
pub(super) struct Indexes<'a> {
    lookup: &'a Lookup,
    indexed: IndexedTo,
    runs: Runs,
    cut: Cut,
    /// The point up to which ids are said to be indexed was met.
    reached: bool,
    run_rows: u64,
    pendings: u64,
    burnt: u64,
    burnt_rows: u64,
}

impl<'a> Indexes<'a> {
    pub(super) fn new(lookup: &'a Lookup, indexed: IndexedTo) -> Self {
        Self {
            lookup,
            indexed,
            runs: Runs::default(),
            cut: Cut::default(),
            reached: false,
            run_rows: 0,
            pendings: 0,
            burnt: 0,
            burnt_rows: 0,
        }
    }

    pub(super) fn event(&mut self, entry: &Entry) -> Result<(), VerifyError> {
        self.status(entry)?;
        let (id, at) = (entry.transfer.id, entry.timestamp());
        if id == TransferId::ZERO {
            return Ok(());
        }
        self.runs.push(id, at, &mut self.cut);
        if self.runs.finished_to() == self.indexed.transfers {
            self.reached = true;
        }
        while let Some(run) = self.cut.runs.pop() {
            self.run(&run)?;
        }
        while let Some((id, at)) = self.cut.scattered.pop() {
            self.scattered(id, at)?;
        }
        Ok(())
    }

    /// Whether the index may be said to reach that far.
    pub(super) fn reach(&self, indexed: IndexedTo) -> bool {
        (self.reached || indexed.transfers == Point::default()) && indexed.burnt <= self.burnt
    }

    /// A finished run is on disk exactly so, unless it is newer than the index claims to be.
    fn run(&mut self, run: &Run) -> Result<(), VerifyError> {
        let mut statement = self
            .lookup
            .connection
            .prepare_cached("SELECT first, last_id, last FROM transfer_runs WHERE id = ?")?;
        let mut rows = statement.query([run.first_id])?;
        let Some(row) = rows.next()? else {
            let lags = run.last > self.indexed.transfers.at;
            return if lags { Ok(()) } else { bad("transfer_runs", hex(run.first_id), "missing") };
        };
        let found = (read_timestamp(row, 0)?, read_id_or_zero(row, 1)?, read_timestamp(row, 2)?);
        if found != (run.first, run.last_id.0, run.last) {
            return bad("transfer_runs", hex(run.first_id), "does not say where the run's transfers are");
        }
        self.run_rows += 1;
        Ok(())
    }

    /// A scattered id leads to its transfer, and no rising transfer has it.
    fn scattered(&self, id: TransferId, at: Timestamp) -> Result<(), VerifyError> {
        match self.lookup.scattered_time(id)? {
            Some(found) if found == at => {}
            None if at > self.indexed.transfers.at => {}
            Some(found) => return bad("transfer_ids", hex(id), format!("leads to {found}, not to {at}")),
            None => return bad("transfer_ids", hex(id), "missing"),
        }
        match self.lookup.rising_time(id)? {
            None => Ok(()),
            Some(itself) if itself == at => Ok(()), // It stands between the transfers of a run.
            Some(other) => bad("events", at, format!("its id is that of the transfer at {other}")),
        }
    }

    pub(super) fn burnt(&mut self, id: TransferId) -> Result<(), VerifyError> {
        self.burnt += 1;
        match self.lookup.scattered_time(id)? {
            Some(Timestamp::ZERO) => {
                self.burnt_rows += 1;
                Ok(())
            }
            None if self.burnt > self.indexed.burnt => Ok(()),
            found => bad("burnt", self.burnt, format!("its id leads to {found:?} in transfer_ids")),
        }
    }

    /// New pending transfers have a status, and events that resolve one are reflected in it.
    fn status(&mut self, entry: &Entry) -> Result<(), VerifyError> {
        if entry.kind == EventKind::Pending {
            self.pendings += 1;
            let mut statement = self
                .lookup
                .connection
                .prepare_cached("SELECT expires_at FROM pendings WHERE timestamp = ?")?;
            let expires_at: Option<Timestamp> =
                statement.query_row([entry.timestamp()], |row| row.get(0)).optional()?;
            return if expires_at == Some(entry.transfer.expires_at().unwrap_or_default()) {
                Ok(())
            } else {
                bad("pendings", entry.timestamp(), "missing, or expires_at is not that of its transfer")
            };
        }
        let Some(phase) = entry.kind.resolves_to() else { return Ok(()) };
        match self.lookup.phase(entry.pending) {
            Ok(found) if found == phase => Ok(()),
            found => bad("pendings", entry.pending, format!("{found:?}, but the transfer is {phase:?}")),
        }
    }

    /// Nothing is in an index that is nowhere else.
    pub(super) fn finish(self, books: &Books) -> Result<(), VerifyError> {
        let connection = &self.lookup.connection;
        if count_of(connection, "SELECT count(*) FROM pendings")? != self.pendings {
            return bad("pendings", "all", "more rows than pending transfers");
        }
        let open = format!("SELECT count(*) FROM pendings WHERE status = {}", Phase::Pending as u8);
        if count_of(connection, &open)? != books.open_count() as u64 {
            return bad("pendings", "all", "a resolved transfer is pending, or the reverse");
        }
        if count_of(connection, "SELECT count(*) FROM transfer_runs")? != self.run_rows {
            return bad("transfer_runs", "all", "more rows than runs");
        }
        if count_of(connection, "SELECT count(*) FROM transfer_ids WHERE timestamp = 0")? != self.burnt_rows {
            return bad("transfer_ids", "all", "more burnt ids than were burnt");
        }
        let stray = connection
            .query_row(
                "SELECT i.id FROM transfer_ids i LEFT JOIN events e ON e.timestamp = i.timestamp AND e.id = i.id
                WHERE i.timestamp <> 0 AND e.id IS NULL LIMIT 1",
                [],
                |row| row.get::<_, TransferId>(0),
            )
            .optional()?;
        match stray {
            None => Ok(()),
            Some(id) => bad("transfer_ids", hex(id), "leads to no transfer of that id"),
        }
    }
}

fn count_of(connection: &Connection, sql: &str) -> Result<u64, VerifyError> {
    let count: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

fn hex(id: TransferId) -> String {
    format!("{:032x}", id.0)
}

/// What protects a name: the first 8 bytes of SHA-256 over the row.
pub(in super::super) fn name_digest(account: u128, name: &str, currency: Option<&str>) -> [u8; 8] {
    let mut hash = Sha256::new_with_prefix(b"hundi/name/v1\0");
    hash.update(account.to_le_bytes());
    hash.update((name.len() as u64).to_le_bytes());
    hash.update(name);
    hash.update(currency.unwrap_or_default());
    let mut digest = [0; 8];
    digest.copy_from_slice(&hash.finalize()[..8]);
    digest
}

/// Names belong to accounts that exist, and are as they were given. Rows without a digest are the application's to
/// check.
pub(super) fn check_names(connection: &Connection) -> Result<(), VerifyError> {
    let mut statement = connection.prepare(
        "SELECT n.account, n.name, n.currency, n.digest, a.n FROM account_names n LEFT JOIN accounts a ON a.id = n.account",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let account = read_id_or_zero(row, 0)?;
        let (name, currency): (String, Option<String>) = (row.get(1)?, row.get(2)?);
        let digest: Option<[u8; 8]> = row.get(3)?;
        if digest.is_some() && currency.as_deref() == Some("") {
            return bad("account_names", format!("{account:032x}"), "an empty currency was never given");
        }
        if row.get::<_, Option<i64>>(4)?.is_none() {
            return bad("account_names", format!("{account:032x}"), "there is no such account");
        }
        if digest.is_some_and(|digest| digest != name_digest(account, &name, currency.as_deref())) {
            return bad("account_names", format!("{account:032x}"), "not the name that was given");
        }
    }
    Ok(())
}
