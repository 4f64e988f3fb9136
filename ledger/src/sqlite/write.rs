//! The rows of one commit, table by table.

use rusqlite::{Connection, params};

use super::changes::{BalanceRow, Changes};
use super::entry::Entry;
use super::ids::Run;
use super::number::Number;
use super::rows::{Binder, Table, insert_rows};
use crate::{Account, EventKind, Phase, Timestamp, TransferId};

const ACCOUNTS: Table = Table {
    insert: "INSERT OR ROLLBACK INTO accounts(n, id, ledger, code, flags, timestamp, user_data_128, user_data_64, \
             user_data_32)",
    columns: 9,
};
const EVENTS: Table = Table {
    insert: "INSERT OR ROLLBACK INTO events(timestamp, id, debit, credit, amount, flags, code, debit_prev, \
             credit_prev, after_debit_debits_pending, after_debit_debits_posted, after_debit_credits_pending, \
             after_debit_credits_posted, after_credit_debits_pending, after_credit_debits_posted, \
             after_credit_credits_pending, after_credit_credits_posted, pending, timeout, user_data_128, \
             user_data_64, user_data_32)",
    columns: 22,
};
const BALANCES: Table = Table {
    insert: "INSERT OR REPLACE INTO balances(n, head, debits_pending, debits_posted, credits_pending, \
             credits_posted, closed)",
    columns: 7,
};
const PENDINGS: Table =
    Table { insert: "INSERT OR ROLLBACK INTO pendings(timestamp, status, expires_at)", columns: 3 };
const BURNT: Table = Table { insert: "INSERT OR ROLLBACK INTO burnt(id)", columns: 1 };
const RUNS: Table =
    Table { insert: "INSERT OR ROLLBACK INTO transfer_runs(id, first, last_id, last)", columns: 4 };
const IDS: Table = Table { insert: "INSERT OR REPLACE INTO transfer_ids(id, timestamp)", columns: 2 };

/// Everything but the row in `commits`.
pub(super) fn write_changes(connection: &Connection, changes: &Changes) -> rusqlite::Result<()> {
    let numbered: Vec<(i64, &Account)> = (changes.first_account.number()..).zip(&changes.accounts).collect();
    insert_rows(connection, &ACCOUNTS, &numbered, bind_account)?;
    insert_rows(connection, &EVENTS, &changes.entries, bind_event)?;
    write_pendings(connection, &changes.entries)?;
    write_late(connection, changes)?;
    insert_rows(connection, &BURNT, &changes.burnt, |row, id| row.bind(id.0.to_be_bytes()))?;
    insert_rows(connection, &RUNS, &changes.ids.runs, bind_run)?;
    insert_rows(connection, &IDS, &changes.ids.scattered, bind_id)?;
    insert_rows(connection, &BALANCES, &changes.balances, bind_balances)
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
        let phase = match entry.kind {
            EventKind::SinglePhase | EventKind::Pending => continue,
            EventKind::Posted => Phase::Posted,
            EventKind::Voided => Phase::Voided,
            EventKind::Expired => Phase::Expired,
        };
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
