//! The reads of `LEDGER.md` over the state: accounts from memory, events from memory or the file.
//!
//! An account's events are found along its chain (`debit_prev`, `credit_prev`), newest first; everything else is a
//! scan by timestamp.

use std::collections::VecDeque;

use rusqlite::Connection;

use super::entry::{Balances, Entry, SELECT_ENTRY, Slot, read_entry};
use super::error::ReadError;
use super::number::Number;
use super::state::State;
use crate::{
    Account, AccountBalance, AccountFilter, AccountId, ChangeEvent, ChangeEventsFilter, EventKind, Known,
    QueryFilter, Reads, Timestamp, Transfer, TransferId,
};

/// Where events and accounts are found.
pub(crate) trait Source {
    /// The event at that time; it must exist.
    fn event(&self, at: Timestamp) -> Result<Entry, ReadError>;
    /// The account in a slot; its balances do not matter.
    fn held_account(&self, slot: Slot) -> Result<Account, ReadError>;
    /// A connection for scans.
    fn connection(&self) -> &Connection;
}

/// The start of an account's chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChainStart {
    pub(super) slot: Slot,
    pub(super) head: Timestamp,
}

impl Source for State {
    fn event(&self, at: Timestamp) -> Result<Entry, ReadError> {
        self.entry(at)
    }
    fn held_account(&self, slot: Slot) -> Result<Account, ReadError> {
        Ok(self.accounts[slot.index()].account)
    }
    fn connection(&self) -> &Connection {
        &self.lookup.connection
    }
}

/// Reads see what is on disk: they ask for a state of which everything is durable.
impl Reads for State {
    type Error = ReadError;

    fn lookup_accounts(&self, ids: &[AccountId]) -> Result<Vec<Account>, ReadError> {
        self.check_durable()?;
        Ok(self.accounts_of(ids))
    }

    fn lookup_transfers(&self, ids: &[TransferId]) -> Result<Vec<Transfer>, ReadError> {
        self.check_durable()?;
        self.transfers_of(ids)
    }

    fn get_account_transfers(&self, filter: &AccountFilter) -> Result<Vec<Transfer>, ReadError> {
        self.check_durable()?;
        account_transfers(self, self.chain_start(filter.account_id), filter)
    }

    fn get_account_balances(&self, filter: &AccountFilter) -> Result<Vec<AccountBalance>, ReadError> {
        self.check_durable()?;
        account_balances(self, self.chain_start(filter.account_id), filter)
    }

    fn query_accounts(&self, filter: &QueryFilter) -> Result<Vec<Account>, ReadError> {
        self.check_durable()?;
        Ok(self.matching_accounts(filter))
    }

    fn query_transfers(&self, filter: &QueryFilter) -> Result<Vec<Transfer>, ReadError> {
        self.check_durable()?;
        matching_transfers(self, filter)
    }

    fn get_change_events(&self, filter: &ChangeEventsFilter) -> Result<Vec<ChangeEvent>, ReadError> {
        self.check_durable()?;
        change_events(self, filter)
    }
}

/// What memory answers, possibly ahead of the disk: the caller holds the answer back until it is durable.
impl State {
    /// The account with this id, in memory: possibly ahead of the disk.
    #[must_use]
    pub fn account_by_id(&self, id: AccountId) -> Option<&Account> {
        self.by_id.get(&id).map(|slot| &self.accounts[slot.index()].account)
    }

    pub(crate) fn accounts_of(&self, ids: &[AccountId]) -> Vec<Account> {
        ids.iter().filter_map(|id| self.account_by_id(*id).copied()).collect()
    }

    pub(crate) fn transfers_of(&self, ids: &[TransferId]) -> Result<Vec<Transfer>, ReadError> {
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            if let Known::Yes(transfer, _) = self.known(*id)? {
                found.push(transfer);
            }
        }
        Ok(found)
    }

    pub(crate) fn matching_accounts(&self, filter: &QueryFilter) -> Vec<Account> {
        let Some(range) = filter.range() else { return Vec::new() };
        let first = self.accounts.partition_point(|held| held.account.timestamp < *range.start());
        let end = self.accounts.partition_point(|held| held.account.timestamp <= *range.end());
        let accounts = self.accounts[first..end].iter().map(|held| &held.account);
        let matching = accounts.filter(|account| filter.matches_account(account)).copied();
        let limit = filter.limit as usize;
        if filter.is_reversed() {
            matching.rev().take(limit).collect()
        } else {
            matching.take(limit).collect()
        }
    }

    pub(crate) fn chain_start(&self, id: AccountId) -> Option<ChainStart> {
        let slot = *self.by_id.get(&id)?;
        Some(ChainStart { slot, head: self.accounts[slot.index()].head })
    }

    /// An account's balances after its last event at or before `at`; zeros before its first. `None` if there is no
    /// such account.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn balances_at(&self, id: AccountId, at: Timestamp) -> Result<Option<AccountBalance>, ReadError> {
        self.check_durable()?;
        self.chain_start(id).map(|start| balances_at(self, start, at)).transpose()
    }

    fn check_durable(&self) -> Result<(), ReadError> {
        if self.is_changed() || self.durable() != self.taken() { Err(ReadError::NotDurable) } else { Ok(()) }
    }
}

pub(crate) fn account_transfers(
    source: &impl Source,
    start: Option<ChainStart>,
    filter: &AccountFilter,
) -> Result<Vec<Transfer>, ReadError> {
    walk(source, start, filter, |entry| {
        let wanted = entry.kind != EventKind::Expired && filter.matches(&entry.transfer);
        Ok(wanted.then_some(entry.transfer))
    })
}

pub(crate) fn account_balances(
    source: &impl Source,
    start: Option<ChainStart>,
    filter: &AccountFilter,
) -> Result<Vec<AccountBalance>, ReadError> {
    walk(source, start, filter, |entry| Ok(change_event(source, entry, entry.transfer)?.balance_for(filter)))
}

/// Everything that changed an account's balances, expiries too, with the balances after it.
pub(crate) fn statement(
    source: &impl Source,
    start: Option<ChainStart>,
    filter: &AccountFilter,
) -> Result<Vec<ChangeEvent>, ReadError> {
    walk(source, start, filter, |entry| {
        filter.matches(&entry.transfer).then(|| full_event(source, entry)).transpose()
    })
}

pub(crate) fn balances_at(
    source: &impl Source,
    start: ChainStart,
    at: Timestamp,
) -> Result<AccountBalance, ReadError> {
    let mut next = start.head;
    while next > at {
        next = source.event(next)?.side(start.slot).0;
    }
    let mut account = source.held_account(start.slot)?;
    let balances =
        if next == Timestamp::ZERO { Balances::default() } else { *source.event(next)?.side(start.slot).1 };
    balances.put(&mut account);
    let mut balance = AccountBalance::of(&account, at);
    if next != Timestamp::ZERO && has_late_events(source.connection())? {
        hold_again(source, (start.slot, next), at, &mut balance)?;
    }
    Ok(balance)
}

/// Whether an event was ever executed after one with a higher timestamp: imported after an expiry.
fn has_late_events(connection: &Connection) -> Result<bool, ReadError> {
    let mut statement = connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM late_events)")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// Takes back what expiries after `at` have released, though they were executed before the event `next` of the account.
fn hold_again(
    source: &impl Source,
    (slot, mut next): (Slot, Timestamp),
    at: Timestamp,
    balance: &mut AccountBalance,
) -> Result<(), ReadError> {
    while next != Timestamp::ZERO {
        let entry = source.event(next)?;
        if entry.kind == EventKind::Expired && entry.timestamp() > at {
            let held =
                if entry.debit == slot { &mut balance.debits_pending } else { &mut balance.credits_pending };
            *held = held.checked_add(entry.transfer.amount).ok_or_else(|| {
                ReadError::Damaged(format!("the expiry {next} released more than there was"))
            })?;
        }
        next = entry.side(slot).0;
    }
    Ok(())
}

pub(crate) fn matching_transfers(
    source: &impl Source,
    filter: &QueryFilter,
) -> Result<Vec<Transfer>, ReadError> {
    let Some(range) = filter.range() else { return Ok(Vec::new()) };
    let order = if filter.is_reversed() { "DESC" } else { "ASC" };
    let sql = format!(
        "{SELECT_ENTRY}WHERE e.timestamp BETWEEN ?1 AND ?2 AND e.id IS NOT NULL {} \
         ORDER BY e.timestamp {order} LIMIT ?3",
        conditions(filter)
    );
    let mut found = Vec::new();
    let mut statement = source.connection().prepare_cached(&sql)?;
    statement.raw_bind_parameter(1, range.start())?;
    statement.raw_bind_parameter(2, range.end())?;
    statement.raw_bind_parameter(3, filter.limit)?;
    bind_conditions(&mut statement, filter)?;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        found.push(read_entry(row)?.transfer);
    }
    Ok(found)
}

pub(crate) fn change_events(
    source: &impl Source,
    filter: &ChangeEventsFilter,
) -> Result<Vec<ChangeEvent>, ReadError> {
    let Some(range) = filter.range() else { return Ok(Vec::new()) };
    let sql = format!("{SELECT_ENTRY}WHERE e.timestamp BETWEEN ? AND ? ORDER BY e.timestamp LIMIT ?");
    let mut statement = source.connection().prepare_cached(&sql)?;
    let mut rows = statement.query((range.start(), range.end(), filter.limit))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(full_event(source, &read_entry(row)?)?);
    }
    Ok(found)
}

/// Follows an account's chain and keeps what `pick` gives, in the filter's order.
fn walk<R>(
    source: &impl Source,
    start: Option<ChainStart>,
    filter: &AccountFilter,
    pick: impl Fn(&Entry) -> Result<Option<R>, ReadError>,
) -> Result<Vec<R>, ReadError> {
    let (Some(range), Some(start)) = (filter.range(), start) else { return Ok(Vec::new()) };
    let limit = filter.limit as usize;
    let mut found = VecDeque::new();
    let mut next = start.head;
    while next != Timestamp::ZERO {
        let entry = source.event(next)?;
        next = entry.side(start.slot).0;
        if entry.timestamp() > *range.end() {
            continue;
        }
        if entry.timestamp() < *range.start() {
            if entry.kind == EventKind::Expired {
                continue; // Of a chain only the transfers are in order of time; expiries can stand anywhere.
            }
            break;
        }
        let Some(picked) = pick(&entry)? else { continue };
        if filter.is_reversed() {
            found.push_back(picked);
            if found.len() == limit {
                break;
            }
        } else {
            found.push_front(picked);
            found.truncate(limit);
        }
    }
    Ok(found.into())
}

/// The event as others follow it: an expiry shows the transfer that expired.
fn full_event(source: &impl Source, entry: &Entry) -> Result<ChangeEvent, ReadError> {
    let transfer = match entry.kind {
        EventKind::Expired => source.event(entry.pending)?.transfer,
        _ => entry.transfer,
    };
    change_event(source, entry, transfer)
}

fn change_event(source: &impl Source, entry: &Entry, transfer: Transfer) -> Result<ChangeEvent, ReadError> {
    let after = |slot: Slot, balances: &Balances| -> Result<Account, ReadError> {
        let mut account = source.held_account(slot)?;
        balances.put(&mut account);
        Ok(account)
    };
    Ok(ChangeEvent {
        timestamp: entry.timestamp(),
        kind: entry.kind,
        transfer,
        debit_account: after(entry.debit, &entry.after_debit)?,
        credit_account: after(entry.credit, &entry.after_credit)?,
    })
}

/// The filter's conditions as SQL; parameters from ?4 on in the order of [`bind_conditions`].
fn conditions(filter: &QueryFilter) -> String {
    let given = [
        (filter.user_data_128 != 0, "AND e.user_data_128 = ?4 "),
        (filter.user_data_64 != 0, "AND e.user_data_64 = ?5 "),
        (filter.user_data_32 != 0, "AND e.user_data_32 = ?6 "),
        (filter.ledger.0 != 0, "AND d.ledger = ?7 "),
        (filter.code.0 != 0, "AND e.code = ?8 "),
    ];
    given.iter().filter(|(given, _)| *given).map(|(_, sql)| *sql).collect()
}

fn bind_conditions(statement: &mut rusqlite::Statement<'_>, filter: &QueryFilter) -> rusqlite::Result<()> {
    let count = statement.parameter_count();
    let mut bind = |index: usize, given: bool, value: &dyn rusqlite::ToSql| {
        if given && index <= count { statement.raw_bind_parameter(index, value) } else { Ok(()) }
    };
    bind(4, filter.user_data_128 != 0, &filter.user_data_128.to_be_bytes())?;
    bind(5, filter.user_data_64 != 0, &Number(filter.user_data_64.into()))?;
    bind(6, filter.user_data_32 != 0, &filter.user_data_32)?;
    bind(7, filter.ledger.0 != 0, &filter.ledger.0)?;
    bind(8, filter.code.0 != 0, &filter.code.0)
}
