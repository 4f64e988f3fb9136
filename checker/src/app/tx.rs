//! What an app and its invariants see.

use hundi_ledger::{
    Account, AccountId, Amount, CreateAccountResult, CreateTransferResult, MemoryStore, Phase, Store as _,
    Timestamp, Transfer, TransferId, engine,
};

use super::App;

/// A transaction of the ledger with the app's rows: the same verbs as [`hundi_ledger::sqlite::Tx`], without the disk.
pub struct Tx<'a, A: App> {
    /// The app's tables, as this transaction has left them so far.
    pub rows: &'a mut A::Rows,
    pub(super) ledger: &'a mut MemoryStore,
    pub(super) now: Timestamp,
    pub(super) ids: &'a mut u64,
}

impl<A: App> Tx<'_, A> {
    /// Creates accounts; one result for each, in order.
    pub fn create_accounts(&mut self, batch: &[Account]) -> Vec<CreateAccountResult> {
        let time = engine::next_time(self.ledger.last(), self.now, batch.len());
        let Ok(results) = engine::create_accounts(self.ledger, time, batch);
        results
    }

    /// Creates transfers; one result for each, in order.
    pub fn create_transfers(&mut self, batch: &[Transfer]) -> Vec<CreateTransferResult> {
        let time = engine::next_time(self.ledger.last(), self.now, batch.len());
        let Ok(results) = engine::create_transfers(self.ledger, time, batch);
        results
    }

    /// The account, as this transaction has left it so far.
    #[must_use]
    pub fn account(&self, id: impl Into<AccountId>) -> Option<&Account> {
        self.ledger.account_by_id(id.into())
    }

    /// The transfer and what became of its reservation, as this transaction has left it so far.
    #[must_use]
    pub fn transfer(&self, id: impl Into<TransferId>) -> Option<(&Transfer, Phase)> {
        self.ledger.transfer_by_id(id.into())
    }

    /// An id that nobody has had, as [`TransferId::now`] would give: another one each time.
    pub fn new_id(&mut self) -> u128 {
        *self.ids += 1;
        NEW_IDS + u128::from(*self.ids)
    }
}

/// Above any id that an app would write down by hand.
const NEW_IDS: u128 = 1 << 96;

/// A state, for invariants to look at.
pub struct View<'a, A: App> {
    /// The app's tables.
    pub rows: &'a A::Rows,
    pub(super) ledger: &'a MemoryStore,
    pub(super) answers: &'a dyn Fn(usize) -> Option<bool>,
}

impl<A: App> View<'_, A> {
    /// The account.
    #[must_use]
    pub fn account(&self, id: impl Into<AccountId>) -> Option<&Account> {
        self.ledger.account_by_id(id.into())
    }

    /// What is posted on an account, debits and credits; zeros if there is no such account.
    #[must_use]
    pub fn balance(&self, id: impl Into<AccountId>) -> (Amount, Amount) {
        self.account(id)
            .map_or_else(Default::default, |account| (account.debits_posted, account.credits_posted))
    }

    /// What is on hold on an account, debits and credits; zeros if there is no such account.
    #[must_use]
    pub fn holds(&self, id: impl Into<AccountId>) -> (Amount, Amount) {
        self.account(id)
            .map_or_else(Default::default, |account| (account.debits_pending, account.credits_pending))
    }

    /// The transfer and what became of its reservation.
    #[must_use]
    pub fn transfer(&self, id: impl Into<TransferId>) -> Option<(&Transfer, Phase)> {
        self.ledger.transfer_by_id(id.into())
    }

    /// All transfers, by id, each with what became of its reservation.
    pub fn transfers(&self) -> impl Iterator<Item = (&Transfer, Phase)> {
        self.ledger.transfers()
    }

    /// What the client of a request (by its place in [`App::requests`]) was told last: done, refused, or nothing yet.
    #[must_use]
    pub fn answer(&self, request: usize) -> Option<bool> {
        (self.answers)(request)
    }
}
