//! The rows of one commit, table by table.

use rusqlite::{Connection, params};

use super::changes::{BalanceRow, Changes};
use super::entry::{Entry, Slot};
use super::ids::{IdWriter, Run};
use super::number::Number;
use super::rows::{Binder, Table, insert_rows};
use crate::{Account, EventKind, Phase, Timestamp, TransferId};

static ACCOUNTS: Table = Table::new(
    "INSERT OR ROLLBACK INTO accounts(n, id, ledger, code, flags, timestamp, user_data_128, user_data_64, \
             user_data_32)",
    9,
);
static EVENTS: Table = Table::new(
    "INSERT OR ROLLBACK INTO events(timestamp, id, debit, credit, amount, flags, code, debit_prev, \
             credit_prev, after_debit_debits_pending, after_debit_debits_posted, after_debit_credits_pending, \
             after_debit_credits_posted, after_credit_debits_pending, after_credit_debits_posted, \
             after_credit_credits_pending, after_credit_credits_posted, pending, timeout, user_data_128, \
             user_data_64, user_data_32)",
    22,
);
static BALANCES: Table = Table::new(
    "INSERT OR REPLACE INTO balances(n, head, debits_pending, debits_posted, credits_pending, \
             credits_posted, closed)",
    7,
);
static PENDINGS: Table = Table::new("INSERT OR ROLLBACK INTO pendings(timestamp, status, expires_at)", 3);
static BURNT: Table = Table::new("INSERT OR ROLLBACK INTO burnt(id)", 1);
static RUNS: Table = Table::new("INSERT OR ROLLBACK INTO transfer_runs(id, first, last_id, last)", 4);
static IDS: Table = Table::new("INSERT OR REPLACE INTO transfer_ids(id, timestamp)", 2);

/// Rows that say what happened; everything else is an index of them.
pub(super) struct Rows<'a> {
    pub(super) first_account: Slot,
    pub(super) accounts: &'a [Account],
    pub(super) entries: &'a [Entry],
    pub(super) burnt: &'a [TransferId],
}

/// Everything but the row in `commits`.
pub(super) fn write_changes(
    connection: &Connection,
    changes: &Changes,
    ids: &mut IdWriter,
) -> rusqlite::Result<()> {
    let written = changes.written;
    let rows = Rows {
        first_account: changes.first_account.plus(written.accounts),
        accounts: &changes.accounts[written.accounts..],
        entries: &changes.entries[written.events..],
        burnt: &changes.burnt[written.burnt..],
    };
    write_rows(connection, &rows)?;
    write_late(connection, changes)?;
    insert_rows(connection, &RUNS, &changes.ids.cut.runs, bind_run)?;
    insert_rows(connection, &IDS, &ids.next(&changes.ids), bind_id)?;
    ids.gather(&changes.ids);
    write_balances(connection, &changes.balances)
}

/// Balances as they are now.
pub(super) fn write_balances(connection: &Connection, balances: &[BalanceRow]) -> rusqlite::Result<()> {
    insert_rows(connection, &BALANCES, balances, bind_balances)
}

/// New accounts, events with the phases that they change, and burnt ids.
pub(super) fn write_rows(connection: &Connection, rows: &Rows<'_>) -> rusqlite::Result<()> {
    let numbered: Vec<(i64, &Account)> = (rows.first_account.number()..).zip(rows.accounts).collect();
    insert_rows(connection, &ACCOUNTS, &numbered, bind_account)?;
    insert_rows(connection, &EVENTS, rows.entries, bind_event)?;
    write_pendings(connection, rows.entries)?;
    insert_rows(connection, &BURNT, rows.burnt, |row, id| row.bind(id.0.to_be_bytes()))
}

fn bind_account(row: &mut Binder<'_, '_>, (number, account): &(i64, &Account)) -> rusqlite::Result<()> {
    row.bind(number)?;
    row.bind(account.id.0.to_be_bytes())?;
    row.bind(account.ledger.0)?;
    row.bind(account.code.0)?;
    row.bind(account.flags.0)?;
    row.bind(account.timestamp)?;
    row.bind(optional(account.user_data_128))?;
    row.bind(Number(account.user_data_64.into()))?;
    row.bind(account.user_data_32)
}

fn bind_event(row: &mut Binder<'_, '_>, entry: &Entry) -> rusqlite::Result<()> {
    let transfer = &entry.transfer;
    row.bind(transfer.timestamp)?;
    row.bind(optional(transfer.id.0))?;
    row.bind(entry.debit.number())?;
    row.bind(entry.credit.number())?;
    row.bind(Number(transfer.amount.0))?;
    row.bind(entry.row_flags())?;
    row.bind(transfer.code.0)?;
    row.bind(entry.link(entry.debit_prev))?;
    row.bind(entry.link(entry.credit_prev))?;
    for after in [&entry.after_debit, &entry.after_credit] {
        row.bind(Number(after.debits_pending.0))?;
        row.bind(Number(after.debits_posted.0))?;
        row.bind(Number(after.credits_pending.0))?;
        row.bind(Number(after.credits_posted.0))?;
    }
    row.bind(entry.link(entry.pending))?;
    row.bind(transfer.timeout)?;
    row.bind(optional(transfer.user_data_128))?;
    row.bind(Number(transfer.user_data_64.into()))?;
    row.bind(transfer.user_data_32)
}

fn bind_run(row: &mut Binder<'_, '_>, run: &Run) -> rusqlite::Result<()> {
    row.bind(run.first_id.0.to_be_bytes())?;
    row.bind(run.first)?;
    row.bind(run.last_id.0.to_be_bytes())?;
    row.bind(run.last)
}

fn bind_id(row: &mut Binder<'_, '_>, (id, at): &(TransferId, Timestamp)) -> rusqlite::Result<()> {
    row.bind(id.0.to_be_bytes())?;
    row.bind(*at)
}

fn bind_balances(row: &mut Binder<'_, '_>, balance: &BalanceRow) -> rusqlite::Result<()> {
    row.bind(balance.slot.number())?;
    row.bind(balance.head)?;
    row.bind(Number(balance.balances.debits_pending.0))?;
    row.bind(Number(balance.balances.debits_posted.0))?;
    row.bind(Number(balance.balances.credits_pending.0))?;
    row.bind(Number(balance.balances.credits_posted.0))?;
    row.bind(balance.balances.closed)
}

/// New pending transfers, and what became of older ones.
fn write_pendings(connection: &Connection, entries: &[Entry]) -> rusqlite::Result<()> {
    let new: Vec<&Entry> = entries.iter().filter(|entry| entry.kind == EventKind::Pending).collect();
    insert_rows(connection, &PENDINGS, &new, |row, entry| {
        row.bind(entry.timestamp())?;
        row.bind(Phase::Pending as u8)?;
        row.bind(entry.transfer.expires_at().unwrap_or_default())
    })?;
    let mut resolve =
        connection.prepare_cached("UPDATE OR ROLLBACK pendings SET status = ? WHERE timestamp = ?")?;
    for entry in entries {
        let Some(phase) = entry.kind.resolves_to() else { continue };
        let changed = resolve.execute(params![phase as u8, entry.pending])?;
        assert_eq!(changed, 1, "the event {} resolves a pending transfer that is on file", entry.timestamp());
    }
    Ok(())
}

fn write_late(connection: &Connection, changes: &Changes) -> rusqlite::Result<()> {
    for place in &changes.late {
        let at = changes.entries[*place].timestamp();
        connection
            .prepare_cached("INSERT OR ROLLBACK INTO late_events(timestamp, seq, place) VALUES (?, ?, ?)")?
            .execute(params![at, changes.seq, integer(*place)])?;
    }
    Ok(())
}

fn optional(number: u128) -> Option<[u8; 16]> {
    (number != 0).then(|| number.to_be_bytes())
}

/// A count as SQLite holds it: memory holds no more.
pub(super) fn integer(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
