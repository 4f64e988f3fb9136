//! Filling the state from the file: all accounts, then the newest events, which balances and ids on disk may lag.

use rusqlite::{Connection, Row};

use super::balances::Sweep;
use super::entry::{Slot, narrow, read_balances, read_id_or_zero, read_number, read_timestamp};
use super::error::ReadError;
use super::ids::{Cut, IdWriter, Ids, IndexedTo, Runs};
use super::lookup::Lookup;
use super::open::LastCommit;
use super::schema::{FLAG_CREDIT_CLOSED, FLAG_DEBIT_CLOSED};
use super::state::{Held, State, Tuning};
use crate::{Account, AccountFlags, AccountId, Code, LedgerCode, Timestamp, TransferId};

/// The state after the last commit, and the ids that the index lags.
pub(super) fn state(
    lookup: Lookup,
    last: &LastCommit,
    tuning: Tuning,
) -> Result<(State, IdWriter), ReadError> {
    let mut state = State::new(lookup, last.seq, last.last, tuning);
    load_accounts(&mut state)?;
    replay_balances(&mut state, last.balances_from)?;
    let gathered = replay_ids(&mut state, last.indexed)?;
    load_expiring(&mut state)?;
    Ok((state, IdWriter::resume(&gathered)))
}

/// The columns that [`read_held`] wants, to be followed by conditions on `a`.
pub(super) const SELECT_HELD: &str = "SELECT a.n, a.id, a.ledger, a.code, a.flags, a.timestamp, a.user_data_128, \
    a.user_data_64, a.user_data_32, b.head, b.debits_pending, b.debits_posted, b.credits_pending, \
    b.credits_posted, b.closed FROM accounts a LEFT JOIN balances b ON b.n = a.n ";

/// One account, with balances that may lag.
pub(super) fn read_account(lookup: &Lookup, slot: Slot) -> Result<Account, ReadError> {
    let mut statement = lookup.connection.prepare_cached(&format!("{SELECT_HELD}WHERE a.n = ?"))?;
    let mut rows = statement.query([slot.number()])?;
    match rows.next()? {
        Some(row) => Ok(read_held(row)?.account),
        None => Err(ReadError::Damaged(format!("account number {} is missing", slot.number()))),
    }
}

fn load_accounts(state: &mut State) -> Result<(), ReadError> {
    let mut statement = state.lookup.connection.prepare(&format!("{SELECT_HELD}ORDER BY a.n"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let number: i64 = row.get(0)?;
        let slot = Slot::from_number(number)?;
        if slot.index() != state.accounts.len() {
            return Err(ReadError::Damaged(format!(
                "account number {} is missing",
                state.accounts.len() + 1
            )));
        }
        let held = read_held(row)
            .map_err(|error| ReadError::Damaged(format!("account number {number}: {error}")))?;
        if state.by_id.insert(held.account.id, slot).is_some() {
            return Err(ReadError::Damaged(format!("account {} is there twice", held.account.id)));
        }
        state.accounts.push(held);
    }
    Ok(())
}

/// The account of a row of [`SELECT_HELD`] as it was created.
pub(super) fn read_created(row: &Row<'_>) -> Result<Account, ReadError> {
    Ok(Account {
        id: AccountId(read_id_or_zero(row, 1)?),
        ledger: LedgerCode(row.get(2)?),
        code: Code(row.get(3)?),
        flags: AccountFlags(row.get(4)?),
        timestamp: read_timestamp(row, 5)?,
        user_data_128: read_id_or_zero(row, 6)?,
        user_data_64: narrow(read_number(row, 7)?)?,
        user_data_32: row.get(8)?,
        ..Account::default()
    })
}

fn read_held(row: &Row<'_>) -> Result<Held, ReadError> {
    let mut account = read_created(row)?;
    let mut head = Timestamp::ZERO;
    if row.get::<_, Option<i64>>(9)?.is_some() {
        head = read_timestamp(row, 9)?;
        read_balances(row, 10, row.get(14)?)?.put(&mut account);
    }
    Ok(Held { account, head })
}

/// Balances are what the newest event says: from the newest back, each account's first is the one that counts.
fn replay_balances(state: &mut State, from: Timestamp) -> Result<(), ReadError> {
    state.sweep = Sweep::resume(from, state.last_event(), state.tuning.lag_events);
    let mut statement = state.lookup.connection.prepare(
        "SELECT timestamp, debit, credit, flags, after_debit_debits_pending, after_debit_debits_posted,
            after_debit_credits_pending, after_debit_credits_posted, after_credit_debits_pending,
            after_credit_debits_posted, after_credit_credits_pending, after_credit_credits_posted
        FROM events WHERE timestamp > ? ORDER BY timestamp DESC",
    )?;
    let mut rows = statement.query([from])?;
    while let Some(row) = rows.next()? {
        for (account, balances, closed_bit) in [(1, 4, FLAG_DEBIT_CLOSED), (2, 8, FLAG_CREDIT_CLOSED)] {
            let slot = Slot::from_number(row.get(account)?)?;
            if !state.sweep.mark(slot) {
                continue;
            }
            let at = read_timestamp(row, 0)?;
            let Some(held) = state.accounts.get_mut(slot.index()) else {
                return Err(ReadError::Damaged(format!("event {at} is of no account")));
            };
            if at > held.head {
                let closed = row.get::<_, u32>(3)? & closed_bit != 0;
                read_balances(row, balances, closed)?.put(&mut held.account);
                held.head = at;
            }
        }
    }
    Ok(())
}

/// Finds the highest ids, and what the index lags: gives the ids to be gathered again.
fn replay_ids(state: &mut State, from: IndexedTo) -> Result<Vec<(TransferId, Timestamp)>, ReadError> {
    let connection = &state.lookup.connection;
    let on_disk = [
        "SELECT id FROM transfer_ids ORDER BY id DESC LIMIT 1",
        "SELECT last_id FROM transfer_runs ORDER BY id DESC LIMIT 1",
    ];
    let [max_scattered, max_rising] = on_disk.map(|sql| first_id(connection, sql));
    let (max_scattered, max_rising) = (max_scattered?, max_rising?);
    let max_then = max_rising.unwrap_or_default().max(from.transfers.max);
    let mut ids = Ids::resume(max_then, max_scattered.unwrap_or_default(), from, state.tuning.lag_events);
    if let Some(last) = max_rising {
        let first = first_id(connection, "SELECT id FROM transfer_runs ORDER BY id LIMIT 1")?;
        ids.widen_runs(first.unwrap_or_default(), last);
    }
    let mut runs = Runs::resume(from.transfers);
    let mut cut = Cut::default();
    let mut statement = connection.prepare(
        "SELECT timestamp, id FROM events WHERE timestamp > ? AND id IS NOT NULL ORDER BY timestamp",
    )?;
    let mut rows = statement.query([from.transfers.at])?;
    while let Some(row) = rows.next()? {
        let (at, id) = (read_timestamp(row, 0)?, TransferId(read_id_or_zero(row, 1)?));
        let scattered = runs.push(id, at, &mut cut);
        ids.replay(id, at, scattered);
    }
    // Finished runs are on disk: each is written with the commit that finishes it.
    let mut gathered = cut.scattered;
    let mut statement = connection.prepare("SELECT id FROM burnt WHERE n > ?")?;
    let mut rows = statement.query([from.burnt.cast_signed()])?;
    while let Some(row) = rows.next()? {
        let id = TransferId(read_id_or_zero(row, 0)?);
        ids.burn(id);
        gathered.push((id, Timestamp::ZERO));
    }
    let burnt: i64 = connection.query_row("SELECT coalesce(max(n), 0) FROM burnt", [], |row| row.get(0))?;
    drop(rows);
    drop(statement);
    ids.replayed(gathered.len());
    (state.burnt_total, state.runs, state.ids) = (burnt.unsigned_abs(), runs, ids);
    Ok(gathered)
}

fn first_id(connection: &Connection, sql: &str) -> Result<Option<TransferId>, ReadError> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    rows.next()?.map(|row| read_id_or_zero(row, 0).map(TransferId)).transpose()
}

fn load_expiring(state: &mut State) -> Result<(), ReadError> {
    let mut statement = state
        .lookup
        .connection
        .prepare("SELECT expires_at, timestamp FROM pendings WHERE status = 1 AND expires_at > 0")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        state.expiring.insert((read_timestamp(row, 0)?, read_timestamp(row, 1)?));
    }
    Ok(())
}
