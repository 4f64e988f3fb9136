//! Reads through the handle. What memory knows is asked on the engine's thread; what has to be scanned is read from
//! the file on the caller's. Either way an answer waits until everything in it is durable.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::queue::Request;
use super::reply::{Reply, promise};
use super::{Ledger, LedgerError};
use crate::sqlite::reads::{
    ChainStart, account_balances, account_transfers, balances_at, change_events, matching_transfers,
    statement,
};
use crate::sqlite::{ReadError, Reader, State};
use crate::{
    Account, AccountBalance, AccountFilter, AccountId, ChangeEvent, ChangeEventsFilter, QueryFilter, Reads,
    Timestamp, Transfer, TransferId,
};

/// Reading connections that are kept for the next caller.
const READERS_MAX: usize = 8;

/// A pool of reading connections.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    free: Mutex<Vec<Reader>>,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf(), free: Mutex::default() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn with<R>(&self, read: impl FnOnce(&Reader) -> Result<R, ReadError>) -> Result<R, LedgerError> {
        let free = || self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = free().pop();
        let reader = kept.map_or_else(|| Reader::open(&self.path), Ok)?;
        let result = read(&reader)?;
        let mut free = free();
        if free.len() < READERS_MAX {
            free.push(reader);
        }
        Ok(result)
    }
}

impl Ledger {
    /// Asks the state on the engine's thread; the answer is given when what it saw is durable.
    pub(super) fn read_state<R: Send + 'static>(
        &self,
        read: impl FnOnce(&State) -> Result<R, ReadError> + Send + 'static,
    ) -> Reply<R> {
        let (promise, reply) = promise();
        let request = Request::Read(Box::new(move |state| {
            let result = state.and_then(|state| Ok(read(state)?));
            Box::new(move |outcome: Result<(), LedgerError>| promise.keep(outcome.and(result)))
        }));
        self.push(request);
        reply
    }

    fn chain_start(&self, id: AccountId) -> Result<Option<ChainStart>, LedgerError> {
        self.read_state(move |state| Ok(state.chain_start(id))).wait()
    }

    /// Runs a read on a thread of its own.
    fn read_async<R: Send + 'static>(
        &self,
        read: impl FnOnce(&Self) -> Result<R, LedgerError> + Send + 'static,
    ) -> Reply<R> {
        self.on_thread("hundi-read", read)
    }

    /// The account with this id.
    ///
    /// # Errors
    /// When the ledger is closed.
    pub fn lookup_account(&self, id: impl Into<AccountId>) -> Result<Option<Account>, LedgerError> {
        let id = id.into();
        self.read_state(move |state| Ok(state.account_by_id(id).copied())).wait()
    }

    /// The transfer with this id.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn lookup_transfer(&self, id: impl Into<TransferId>) -> Result<Option<Transfer>, LedgerError> {
        let id = id.into();
        self.read_state(move |state| Ok(state.transfers_of(&[id])?.pop())).wait()
    }

    /// [`Reads::lookup_accounts`], to be awaited.
    pub fn lookup_accounts_async(&self, ids: Vec<AccountId>) -> Reply<Vec<Account>> {
        self.read_state(move |state| Ok(state.accounts_of(&ids)))
    }

    /// [`Reads::lookup_transfers`], to be awaited.
    pub fn lookup_transfers_async(&self, ids: Vec<TransferId>) -> Reply<Vec<Transfer>> {
        self.read_state(move |state| state.transfers_of(&ids))
    }

    /// [`Reads::query_accounts`], to be awaited.
    pub fn query_accounts_async(&self, filter: QueryFilter) -> Reply<Vec<Account>> {
        self.read_state(move |state| Ok(state.matching_accounts(&filter)))
    }

    /// [`Reads::get_account_transfers`], to be awaited.
    pub fn get_account_transfers_async(&self, filter: AccountFilter) -> Reply<Vec<Transfer>> {
        self.read_async(move |ledger| ledger.get_account_transfers(&filter))
    }

    /// [`Reads::get_account_balances`], to be awaited.
    pub fn get_account_balances_async(&self, filter: AccountFilter) -> Reply<Vec<AccountBalance>> {
        self.read_async(move |ledger| ledger.get_account_balances(&filter))
    }

    /// [`Reads::query_transfers`], to be awaited.
    pub fn query_transfers_async(&self, filter: QueryFilter) -> Reply<Vec<Transfer>> {
        self.read_async(move |ledger| ledger.query_transfers(&filter))
    }

    /// [`Reads::get_change_events`], to be awaited.
    pub fn get_change_events_async(&self, filter: ChangeEventsFilter) -> Reply<Vec<ChangeEvent>> {
        self.read_async(move |ledger| ledger.get_change_events(&filter))
    }

    /// An account's statement: everything that changed its balances, expiries too, with the balances after it. The
    /// account needs no flag for it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn statement(&self, filter: &AccountFilter) -> Result<Vec<ChangeEvent>, LedgerError> {
        let start = self.chain_start(filter.account_id)?;
        self.0.readers.with(|reader| statement(reader, start, filter))
    }

    /// An account's balances after its last event at or before `at`; zeros before its first. `None` if there is no
    /// such account.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn balances_at(
        &self,
        id: impl Into<AccountId>,
        at: Timestamp,
    ) -> Result<Option<AccountBalance>, LedgerError> {
        let start = self.chain_start(id.into())?;
        self.0.readers.with(|reader| start.map(|start| balances_at(reader, start, at)).transpose())
    }
}

/// Blocking reads, with the results of `LEDGER.md`.
impl Reads for Ledger {
    type Error = LedgerError;

    fn lookup_accounts(&self, ids: &[AccountId]) -> Result<Vec<Account>, LedgerError> {
        self.lookup_accounts_async(ids.to_vec()).wait()
    }

    fn lookup_transfers(&self, ids: &[TransferId]) -> Result<Vec<Transfer>, LedgerError> {
        self.lookup_transfers_async(ids.to_vec()).wait()
    }

    fn get_account_transfers(&self, filter: &AccountFilter) -> Result<Vec<Transfer>, LedgerError> {
        let start = self.chain_start(filter.account_id)?;
        self.0.readers.with(|reader| account_transfers(reader, start, filter))
    }

    fn get_account_balances(&self, filter: &AccountFilter) -> Result<Vec<AccountBalance>, LedgerError> {
        let start = self.chain_start(filter.account_id)?;
        self.0.readers.with(|reader| account_balances(reader, start, filter))
    }

    fn query_accounts(&self, filter: &QueryFilter) -> Result<Vec<Account>, LedgerError> {
        self.query_accounts_async(*filter).wait()
    }

    fn query_transfers(&self, filter: &QueryFilter) -> Result<Vec<Transfer>, LedgerError> {
        self.last_commit()?; // What the caller was told is on disk.
        self.0.readers.with(|reader| matching_transfers(reader, filter))
    }

    fn get_change_events(&self, filter: &ChangeEventsFilter) -> Result<Vec<ChangeEvent>, LedgerError> {
        self.last_commit()?; // What the caller was told is on disk.
        self.0.readers.with(|reader| change_events(reader, filter))
    }
}
