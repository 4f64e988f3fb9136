//! What can be asked of a ledger: look-ups, queries with filters, change events.
//!
//! The meaning of each filter is here, once, for every store. Conditions are ANDed and 0 means no condition; a
//! limit of 0 or an impossible range gives an empty result. Results are in the order of timestamps.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::{
    Account, AccountFilterFlags, AccountFlags, AccountId, Amount, Code, EventKind, LedgerCode,
    QueryFilterFlags, Timestamp, Transfer, TransferId,
};

/// Which transfers, or balances, of one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccountFilter {
    /// The account; without one nothing is found.
    pub account_id: AccountId,
    /// The transfer's.
    pub user_data_128: u128,
    /// The transfer's.
    pub user_data_64: u64,
    /// The transfer's.
    pub user_data_32: u32,
    /// The transfer's.
    pub code: Code,
    /// The first timestamp.
    pub timestamp_min: Timestamp,
    /// The last timestamp.
    pub timestamp_max: Timestamp,
    /// At most so many results.
    pub limit: u32,
    /// With neither `DEBITS` nor `CREDITS` nothing is found.
    pub flags: AccountFilterFlags,
}

/// Which accounts, or transfers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QueryFilter {
    /// The object's.
    pub user_data_128: u128,
    /// The object's.
    pub user_data_64: u64,
    /// The object's.
    pub user_data_32: u32,
    /// The object's.
    pub ledger: LedgerCode,
    /// The object's.
    pub code: Code,
    /// The first timestamp.
    pub timestamp_min: Timestamp,
    /// The last timestamp.
    pub timestamp_max: Timestamp,
    /// At most so many results.
    pub limit: u32,
    /// The order.
    pub flags: QueryFilterFlags,
}

/// Which change events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChangeEventsFilter {
    /// The first timestamp.
    pub timestamp_min: Timestamp,
    /// The last timestamp.
    pub timestamp_max: Timestamp,
    /// At most so many results.
    pub limit: u32,
}

/// An account's balances after a transfer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccountBalance {
    /// The transfer's.
    pub timestamp: Timestamp,
    /// Debits reserved by pending transfers.
    pub debits_pending: Amount,
    /// Debits that took place.
    pub debits_posted: Amount,
    /// Credits reserved by pending transfers.
    pub credits_pending: Amount,
    /// Credits that took place.
    pub credits_posted: Amount,
}

/// One change of balances, as others follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChangeEvent {
    /// When.
    pub timestamp: Timestamp,
    /// What.
    pub kind: EventKind,
    /// The transfer that was created; for an expiry the pending transfer that expired.
    pub transfer: Transfer,
    /// The debit account after the event.
    pub debit_account: Account,
    /// The credit account after the event.
    pub credit_account: Account,
}

/// What every ledger answers. Unknown ids are left out of look-ups.
pub trait Reads {
    /// Why a read failed.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The accounts with these ids, in this order.
    ///
    /// # Errors
    /// When the store cannot read.
    fn lookup_accounts(&self, ids: &[AccountId]) -> Result<Vec<Account>, Self::Error>;

    /// The transfers with these ids, in this order.
    ///
    /// # Errors
    /// When the store cannot read.
    fn lookup_transfers(&self, ids: &[TransferId]) -> Result<Vec<Transfer>, Self::Error>;

    /// The transfers of one account.
    ///
    /// # Errors
    /// When the store cannot read.
    fn get_account_transfers(&self, filter: &AccountFilter) -> Result<Vec<Transfer>, Self::Error>;

    /// The balances of one account after each of its transfers; nothing without its flag `history`.
    ///
    /// # Errors
    /// When the store cannot read.
    fn get_account_balances(&self, filter: &AccountFilter) -> Result<Vec<AccountBalance>, Self::Error>;

    /// Accounts.
    ///
    /// # Errors
    /// When the store cannot read.
    fn query_accounts(&self, filter: &QueryFilter) -> Result<Vec<Account>, Self::Error>;

    /// Transfers.
    ///
    /// # Errors
    /// When the store cannot read.
    fn query_transfers(&self, filter: &QueryFilter) -> Result<Vec<Transfer>, Self::Error>;

    /// Changes of balances, ascending.
    ///
    /// # Errors
    /// When the store cannot read.
    fn get_change_events(&self, filter: &ChangeEventsFilter) -> Result<Vec<ChangeEvent>, Self::Error>;
}

/// The timestamps that a filter allows, or `None` if no object can be among them.
fn range(min: Timestamp, max: Timestamp, limit: u32) -> Option<RangeInclusive<Timestamp>> {
    let possible = |bound: Timestamp| bound == Timestamp::ZERO || bound.is_valid();
    let first = min.max(Timestamp::FIRST);
    let last = if max == Timestamp::ZERO { Timestamp::LAST } else { max };
    (limit > 0 && possible(min) && possible(max) && first <= last).then_some(first..=last)
}

/// Whether a condition holds; zero holds always.
fn holds<T: Default + PartialEq>(condition: T, value: T) -> bool {
    condition == T::default() || condition == value
}

impl AccountFilter {
    /// The first `limit` transfers of an account, on both sides.
    #[must_use]
    pub fn of(account_id: impl Into<AccountId>, limit: u32) -> Self {
        let flags = AccountFilterFlags::DEBITS | AccountFilterFlags::CREDITS;
        Self { account_id: account_id.into(), limit, flags, ..Self::default() }
    }

    /// The same, the latest first.
    #[must_use]
    pub fn reversed(mut self) -> Self {
        self.flags |= AccountFilterFlags::REVERSED;
        self
    }

    /// Whether the latest come first.
    #[must_use]
    pub fn is_reversed(&self) -> bool {
        self.flags.contains(AccountFilterFlags::REVERSED)
    }

    /// The timestamps to look at, or `None` if nothing can be found.
    #[must_use]
    pub fn range(&self) -> Option<RangeInclusive<Timestamp>> {
        let sides = AccountFilterFlags::DEBITS | AccountFilterFlags::CREDITS;
        let asks = self.account_id != AccountId::ZERO
            && self.account_id != AccountId::MAX
            && self.flags.intersects(sides)
            && self.flags.reserved_bits() == 0;
        if asks { range(self.timestamp_min, self.timestamp_max, self.limit) } else { None }
    }

    /// Whether a transfer inside the range is asked for.
    #[must_use]
    pub fn matches(&self, transfer: &Transfer) -> bool {
        let debits = self.flags.contains(AccountFilterFlags::DEBITS);
        let credits = self.flags.contains(AccountFilterFlags::CREDITS);
        (debits && transfer.debit_account_id == self.account_id
            || credits && transfer.credit_account_id == self.account_id)
            && holds(self.user_data_128, transfer.user_data_128)
            && holds(self.user_data_64, transfer.user_data_64)
            && holds(self.user_data_32, transfer.user_data_32)
            && holds(self.code, transfer.code)
    }
}

impl QueryFilter {
    /// The first `limit` objects.
    #[must_use]
    pub fn all(limit: u32) -> Self {
        Self { limit, ..Self::default() }
    }

    /// The same, the latest first.
    #[must_use]
    pub fn reversed(mut self) -> Self {
        self.flags |= QueryFilterFlags::REVERSED;
        self
    }

    /// Whether the latest come first.
    #[must_use]
    pub fn is_reversed(&self) -> bool {
        self.flags.contains(QueryFilterFlags::REVERSED)
    }

    /// The timestamps to look at, or `None` if nothing can be found.
    #[must_use]
    pub fn range(&self) -> Option<RangeInclusive<Timestamp>> {
        if self.flags.reserved_bits() != 0 {
            return None;
        }
        range(self.timestamp_min, self.timestamp_max, self.limit)
    }

    /// Whether an account inside the range is asked for.
    #[must_use]
    pub fn matches_account(&self, account: &Account) -> bool {
        holds(self.user_data_128, account.user_data_128)
            && holds(self.user_data_64, account.user_data_64)
            && holds(self.user_data_32, account.user_data_32)
            && holds(self.ledger, account.ledger)
            && holds(self.code, account.code)
    }

    /// Whether a transfer inside the range is asked for.
    #[must_use]
    pub fn matches_transfer(&self, transfer: &Transfer) -> bool {
        holds(self.user_data_128, transfer.user_data_128)
            && holds(self.user_data_64, transfer.user_data_64)
            && holds(self.user_data_32, transfer.user_data_32)
            && holds(self.ledger, transfer.ledger)
            && holds(self.code, transfer.code)
    }
}

impl ChangeEventsFilter {
    /// The first `limit` events.
    #[must_use]
    pub fn all(limit: u32) -> Self {
        Self { limit, ..Self::default() }
    }

    /// The timestamps to look at, or `None` if nothing can be found.
    #[must_use]
    pub fn range(&self) -> Option<RangeInclusive<Timestamp>> {
        range(self.timestamp_min, self.timestamp_max, self.limit)
    }
}

impl AccountBalance {
    /// An account's balances at a time.
    #[must_use]
    pub fn of(account: &Account, timestamp: Timestamp) -> Self {
        Self {
            timestamp,
            debits_pending: account.debits_pending,
            debits_posted: account.debits_posted,
            credits_pending: account.credits_pending,
            credits_posted: account.credits_posted,
        }
    }
}

impl ChangeEvent {
    /// The balances of that account in the event, if [`Reads::get_account_balances`] shows it: the account keeps
    /// its history, and a transfer took place that the filter asks for. An expiry is no transfer.
    #[must_use]
    pub fn balance_for(&self, filter: &AccountFilter) -> Option<AccountBalance> {
        if self.kind == EventKind::Expired || !filter.matches(&self.transfer) {
            return None;
        }
        let debits = self.debit_account.id == filter.account_id;
        let account = if debits { &self.debit_account } else { &self.credit_account };
        let keeps = account.flags.contains(AccountFlags::HISTORY);
        keeps.then(|| AccountBalance::of(account, self.timestamp))
    }
}
