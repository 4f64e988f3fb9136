//! The reads of `LEDGER.md` over the state: accounts from memory, events from memory or the file.
//!
//! An account's events are found along its chain (`debit_prev`, `credit_prev`), newest first; everything else is a
//! scan by timestamp.

use std::collections::VecDeque;

use super::entry::{Balances, Entry, SELECT_ENTRY, Slot, read_entry};
use super::error::ReadError;
use super::number::Number;
use super::state::State;
use crate::{
    Account, AccountBalance, AccountFilter, AccountId, ChangeEvent, ChangeEventsFilter, EventKind, Known,
    QueryFilter, Reads, Timestamp, Transfer, TransferId,
};

/// Reads see what is on disk: they ask for a state of which everything is durable.
impl Reads for State {
    type Error = ReadError;

    fn lookup_accounts(&self, ids: &[AccountId]) -> Result<Vec<Account>, ReadError> {
        self.check_durable()?;
        Ok(ids.iter().filter_map(|id| self.account_by_id(*id).copied()).collect())
    }

    fn lookup_transfers(&self, ids: &[TransferId]) -> Result<Vec<Transfer>, ReadError> {
        self.check_durable()?;
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            if let Known::Yes(transfer, _) = self.known(*id)? {
                found.push(transfer);
            }
        }
        Ok(found)
    }

    fn get_account_transfers(&self, filter: &AccountFilter) -> Result<Vec<Transfer>, ReadError> {
        self.walk(filter, |_, entry| filter.matches(&entry.transfer).then_some(entry.transfer))
    }

    fn get_account_balances(&self, filter: &AccountFilter) -> Result<Vec<AccountBalance>, ReadError> {
        self.walk(filter, |state, entry| state.change_event(entry, entry.transfer).balance_for(filter))
    }

    fn query_accounts(&self, filter: &QueryFilter) -> Result<Vec<Account>, ReadError> {
        self.check_durable()?;
        let Some(range) = filter.range() else { return Ok(Vec::new()) };
        let first = self.accounts.partition_point(|held| held.account.timestamp < *range.start());
        let end = self.accounts.partition_point(|held| held.account.timestamp <= *range.end());
        let accounts = self.accounts[first..end].iter().map(|held| &held.account);
        let matching = accounts.filter(|account| filter.matches_account(account)).copied();
        let limit = filter.limit as usize;
        Ok(if filter.is_reversed() {
            matching.rev().take(limit).collect()
        } else {
            matching.take(limit).collect()
        })
    }

    fn query_transfers(&self, filter: &QueryFilter) -> Result<Vec<Transfer>, ReadError> {
        self.check_durable()?;
        let Some(range) = filter.range() else { return Ok(Vec::new()) };
        let order = if filter.is_reversed() { "DESC" } else { "ASC" };
        let sql = format!(
            "{SELECT_ENTRY}WHERE e.timestamp BETWEEN ?1 AND ?2 AND e.id IS NOT NULL {} ORDER BY e.timestamp {order} LIMIT ?3",
            conditions(filter)
        );
        let mut found = Vec::new();
        let mut statement = self.lookup.connection.prepare_cached(&sql)?;
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

    fn get_change_events(&self, filter: &ChangeEventsFilter) -> Result<Vec<ChangeEvent>, ReadError> {
        self.check_durable()?;
        let Some(range) = filter.range() else { return Ok(Vec::new()) };
        let sql = format!("{SELECT_ENTRY}WHERE e.timestamp BETWEEN ? AND ? ORDER BY e.timestamp LIMIT ?");
        let mut statement = self.lookup.connection.prepare_cached(&sql)?;
        let mut rows = statement.query((range.start(), range.end(), filter.limit))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let entry = read_entry(row)?;
            let transfer = if entry.kind == EventKind::Expired {
                self.entry(entry.pending)?.transfer
            } else {
                entry.transfer
            };
            found.push(self.change_event(&entry, transfer));
        }
        Ok(found)
    }
}

impl State {
    /// The account with this id, in memory: possibly ahead of the disk.
    #[must_use]
    pub fn account_by_id(&self, id: AccountId) -> Option<&Account> {
        self.by_id.get(&id).map(|slot| &self.accounts[slot.index()].account)
    }

    /// An account's balances after its last event at or before `at`; zeros before its first. `None` if there is no
    /// such account.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn balances_at(&self, id: AccountId, at: Timestamp) -> Result<Option<AccountBalance>, ReadError> {
        self.check_durable()?;
        let Some(slot) = self.by_id.get(&id) else { return Ok(None) };
        let mut next = self.accounts[slot.index()].head;
        while next > at {
            next = self.entry(next)?.side(*slot).0;
        }
        let mut account = self.accounts[slot.index()].account;
        let balances =
            if next == Timestamp::ZERO { Balances::default() } else { *self.entry(next)?.side(*slot).1 };
        balances.put(&mut account);
        Ok(Some(AccountBalance::of(&account, at)))
    }

    fn check_durable(&self) -> Result<(), ReadError> {
        if self.is_changed() || self.durable() != self.taken() { Err(ReadError::NotDurable) } else { Ok(()) }
    }

    /// Follows an account's chain and keeps what `pick` gives for its transfers, in the filter's order.
    fn walk<R>(
        &self,
        filter: &AccountFilter,
        pick: impl Fn(&Self, &Entry) -> Option<R>,
    ) -> Result<Vec<R>, ReadError> {
        self.check_durable()?;
        let (Some(range), Some(slot)) = (filter.range(), self.by_id.get(&filter.account_id)) else {
            return Ok(Vec::new());
        };
        let limit = filter.limit as usize;
        let mut found = VecDeque::new();
        let mut next = self.accounts[slot.index()].head;
        while next != Timestamp::ZERO {
            let entry = self.entry(next)?;
            next = entry.side(*slot).0;
            if entry.kind == EventKind::Expired || entry.timestamp() > *range.end() {
                continue; // Of a chain only the transfers are in order of time; expiries can stand anywhere.
            }
            if entry.timestamp() < *range.start() {
                break;
            }
            let Some(picked) = pick(self, &entry) else { continue };
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

    fn change_event(&self, entry: &Entry, transfer: Transfer) -> ChangeEvent {
        let after = |slot: Slot, balances: &Balances| {
            let mut account = self.accounts[slot.index()].account;
            balances.put(&mut account);
            account
        };
        ChangeEvent {
            timestamp: entry.timestamp(),
            kind: entry.kind,
            transfer,
            debit_account: after(entry.debit, &entry.after_debit),
            credit_account: after(entry.credit, &entry.after_credit),
        }
    }
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
