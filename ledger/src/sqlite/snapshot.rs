//! Reading a file without owning it: for tools beside a running process.

use std::path::Path;

use super::currencies;
use super::disk::Commit;
use super::entry::read_id_or_zero;
use super::error::{OpenError, ReadError};
use super::load;
use super::lookup::Lookup;
use super::open::last_commit;
use super::reads::statement;
use super::schema;
use super::state::{State, Tuning};
use crate::{
    Account, AccountBalance, AccountFilter, AccountId, ChangeEvent, ChangeEventsFilter, Currency,
    QueryFilter, Reads, Timestamp, Transfer, TransferId,
};

/// An account's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountName {
    /// The account.
    pub account: AccountId,
    /// Unique in the file.
    pub name: String,
    /// The code of its currency.
    pub currency: Option<String>,
}

/// A ledger's file as it was when this was opened; others may go on writing.
///
/// While it lives, the write-ahead log of a busy file grows: do not keep it.
#[derive(Debug)]
pub struct Snapshot {
    state: State,
    last: Commit,
}

impl Snapshot {
    /// Opens the file for reading.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let lookup = Lookup::open_existing(path)?;
        lookup.connection.execute_batch("BEGIN")?; // Ends with the connection.
        schema::check_format(&lookup.connection)?;
        schema::check_objects(&lookup.connection)?;
        let last = last_commit(&lookup.connection)?;
        let commit = Commit { seq: last.seq, hash: last.hash };
        let (state, _) = load::state(lookup, &last, Tuning { recent_events: 0, lag_events: 1 })?;
        Ok(Self { state, last: commit })
    }

    /// The last commit that is seen.
    #[must_use]
    pub fn last_commit(&self) -> Commit {
        self.last
    }

    /// An account's statement: see [`Ledger::statement`](crate::Ledger::statement).
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn statement(&self, filter: &AccountFilter) -> Result<Vec<ChangeEvent>, ReadError> {
        statement(&self.state, self.state.chain_start(filter.account_id), filter)
    }

    /// An account's balances at a time: see [`State::balances_at`].
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn balances_at(&self, id: AccountId, at: Timestamp) -> Result<Option<AccountBalance>, ReadError> {
        self.state.balances_at(id, at)
    }

    /// The currencies that were said with [`Tx::set_currency`](super::Tx::set_currency), by ledger.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn currencies(&self) -> Result<Vec<Currency>, ReadError> {
        currencies::read(&self.state.lookup.connection)
    }

    /// All names, in order of account.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn names(&self) -> Result<Vec<AccountName>, ReadError> {
        let sql = "SELECT account, name, currency FROM account_names ORDER BY account";
        let mut statement = self.state.lookup.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut names = Vec::new();
        while let Some(row) = rows.next()? {
            let account = AccountId(read_id_or_zero(row, 0)?);
            names.push(AccountName { account, name: row.get(1)?, currency: row.get(2)? });
        }
        Ok(names)
    }
}

impl Reads for Snapshot {
    type Error = ReadError;

    fn lookup_accounts(&self, ids: &[AccountId]) -> Result<Vec<Account>, ReadError> {
        self.state.lookup_accounts(ids)
    }
    fn lookup_transfers(&self, ids: &[TransferId]) -> Result<Vec<Transfer>, ReadError> {
        self.state.lookup_transfers(ids)
    }
    fn get_account_transfers(&self, filter: &AccountFilter) -> Result<Vec<Transfer>, ReadError> {
        self.state.get_account_transfers(filter)
    }
    fn get_account_balances(&self, filter: &AccountFilter) -> Result<Vec<AccountBalance>, ReadError> {
        self.state.get_account_balances(filter)
    }
    fn query_accounts(&self, filter: &QueryFilter) -> Result<Vec<Account>, ReadError> {
        self.state.query_accounts(filter)
    }
    fn query_transfers(&self, filter: &QueryFilter) -> Result<Vec<Transfer>, ReadError> {
        self.state.query_transfers(filter)
    }
    fn get_change_events(&self, filter: &ChangeEventsFilter) -> Result<Vec<ChangeEvent>, ReadError> {
        self.state.get_change_events(filter)
    }
}
