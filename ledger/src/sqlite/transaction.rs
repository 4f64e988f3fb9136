//! The application's own rows and its transfers in one transaction: both or neither.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use rusqlite::{Connection, TransactionBehavior, params};
use thiserror::Error;

use super::changes::Written;
use super::currencies;
use super::disk::{self, Commit, Disk, SyncedBy};
use super::error::{CommitError, ReadError};
use super::guard::Guard;
use super::ids::IdWriter;
use super::state::State;
use super::verify::name_digest;
use crate::clock::Clock;
use crate::{
    Account, AccountId, CreateAccountResult, CreateTransferResult, Currency, Known, Phase, Store, Timestamp,
    Transfer, TransferId,
    engine::{self, BadTime},
};

/// Why a transaction was not committed.
#[derive(Debug, Error)]
pub enum TransactionError<E> {
    /// The closure said no: nothing was written, in the ledger or elsewhere. Business as usual.
    #[error(transparent)]
    App(E),
    /// The closure said yes, but a statement of its own (`INSERT OR ROLLBACK`, for instance) had rolled the transaction
    /// back: nothing was written, and the disk can be used further.
    #[error("a statement of the application rolled the transaction back: nothing was written")]
    RolledBack,
    /// The disk failed; the file must be opened again.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// Why a step inside a transaction failed. The transaction is lost, whatever the closure returns.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StepError {
    /// The ledger could not read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The rows could not be written.
    #[error("SQLite: {0}")]
    Write(#[from] rusqlite::Error),
    /// An earlier step failed, or a statement of the application rolled the transaction back.
    #[error("an earlier step of this transaction failed, or it was rolled back")]
    Failed,
    /// The clock, or the ledger's last timestamp, leaves no time for the batch. Nothing was done.
    #[error(transparent)]
    Time(#[from] BadTime),
}

/// An open transaction: the ledger and the application's SQL, committed together or not at all.
///
/// What the ledger's verbs write here is seen at once by SQL on [`Tx::sql`], and by others after the commit.
pub struct Tx<'a> {
    state: &'a mut State,
    sql: rusqlite::Transaction<'a>,
    clock: &'a dyn Clock,
    guard: &'a Guard,
    app: Vec<u8>,
    failed: bool,
}

impl std::fmt::Debug for Tx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tx").field("failed", &self.failed).finish_non_exhaustive()
    }
}

impl<'a> Tx<'a> {
    /// SQL in this transaction, for the application's own tables. What would harm the ledger is refused as "not
    /// authorized": writing its tables, ending the transaction, savepoints ([`Tx::savepoint`] is one that memory
    /// follows), attaching other files, and setting pragmas.
    #[must_use]
    pub fn sql(&self) -> &rusqlite::Transaction<'a> {
        &self.sql
    }

    /// [`create_accounts`](engine::create_accounts) in this transaction, at the clock's time.
    ///
    /// # Errors
    /// When the disk fails. That a batch's events are refused is no error: look at the results.
    pub fn create_accounts(&mut self, batch: &[Account]) -> Result<Vec<CreateAccountResult>, StepError> {
        self.step(batch.len(), |state, time| engine::create_accounts(state, time, batch))
    }

    /// [`create_transfers`](engine::create_transfers) in this transaction, at the clock's time.
    ///
    /// # Errors
    /// When the disk fails. That a batch's events are refused is no error: look at the results.
    pub fn create_transfers(&mut self, batch: &[Transfer]) -> Result<Vec<CreateTransferResult>, StepError> {
        self.step(batch.len(), |state, time| engine::create_transfers(state, time, batch))
    }

    /// The account, as this transaction has left it so far.
    #[must_use]
    pub fn account(&self, id: AccountId) -> Option<&Account> {
        self.state.account_by_id(id)
    }

    /// The transfer and what became of its reservation, as this transaction has left it so far.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn transfer(&mut self, id: TransferId) -> Result<Option<(Transfer, Phase)>, StepError> {
        match self.state.transfer(id)? {
            Known::Yes(transfer, phase) => Ok(Some((transfer, phase))),
            Known::No | Known::Burnt => Ok(None),
        }
    }

    /// Gives an account a name, unique in the file, and the code of its currency: for people, views and exports.
    ///
    /// # Errors
    /// When the name belongs to another account, or the disk fails.
    pub fn name_account(
        &mut self,
        id: AccountId,
        name: &str,
        currency: Option<&str>,
    ) -> rusqlite::Result<()> {
        let currency = currency.filter(|code| !code.is_empty());
        let digest = name_digest(id.0, name, currency);
        let sql = "INSERT INTO account_names(account, name, currency, digest) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT(account) DO UPDATE SET name = ?2, currency = ?3, digest = ?4";
        self.sql.prepare_cached(sql)?.execute(params![id, name, currency, digest]).map(|_| ())
    }

    /// Says what a ledger counts, for people and exports: its currency's code and how many digits follow the point. Needed
    /// for currencies and assets of one's own; those of ISO 4217 are known. The same ledger again replaces it.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn set_currency(&mut self, currency: Currency) -> rusqlite::Result<()> {
        let _own = self.guard.own();
        currencies::write(&self.sql, currency)
    }

    /// Adds bytes that stand for the application's rows: their hash enters the commit chain.
    pub fn chain(&mut self, bytes: &[u8]) {
        self.app.extend_from_slice(bytes);
    }

    /// Runs a part of the transaction that can be undone alone: when `part` returns an error, what it did in the
    /// ledger and in SQL is rolled back, and the rest of the transaction goes on.
    ///
    /// # Errors
    /// The part's own, or [`StepError`] when the disk fails.
    pub fn savepoint<R, E: From<StepError>>(
        &mut self,
        part: impl FnOnce(&mut Self) -> Result<R, E>,
    ) -> Result<R, E> {
        let (app, written) = (self.app.len(), self.state.written);
        self.execute("SAVEPOINT hundi_part")?;
        let savepoint = self.state.savepoint();
        let done = catch_unwind(AssertUnwindSafe(|| part(self)));
        let lost = self.sql.is_autocommit(); // Rolled back as a whole: there is no part any more.
        if let (Ok(Ok(_)), false) = (&done, lost) {
            self.state.release(savepoint);
        } else {
            self.state.rollback(savepoint);
            self.state.written = written;
            self.app.truncate(app);
            if !lost {
                self.execute("ROLLBACK TO hundi_part")?;
            }
        }
        if !lost {
            self.execute("RELEASE hundi_part")?;
        }
        match done {
            Ok(Ok(_)) if lost => Err(StepError::Failed.into()),
            Ok(done) => done,
            Err(panic) => resume_unwind(panic),
        }
    }

    fn execute(&mut self, sql: &str) -> Result<(), StepError> {
        if self.sql.is_autocommit() {
            return Err(StepError::Failed);
        }
        let _own = self.guard.own();
        let done = self.sql.execute_batch(sql);
        self.failed |= done.is_err();
        Ok(done?)
    }

    /// Runs the engine on a batch of so many events and writes the rows; any failure loses the transaction.
    fn step<R>(
        &mut self,
        events: usize,
        run: impl FnOnce(&mut State, Timestamp) -> Result<R, ReadError>,
    ) -> Result<R, StepError> {
        if self.failed || self.sql.is_autocommit() {
            return Err(StepError::Failed);
        }
        let last = self.state.last();
        let time = engine::next_time(last, self.clock.now(), events);
        engine::check_time(last, time, events)?;
        self.failed = true;
        let _own = self.guard.own();
        let results = run(self.state, time)?;
        self.state.write_part(&self.sql)?;
        self.failed = false;
        Ok(results)
    }
}

impl Disk {
    /// Runs `work` with the ledger and SQL in one transaction, and commits it unless `work` returns an error or
    /// panics: then both are rolled back and the disk can be used further.
    ///
    /// # Errors
    /// [`TransactionError::App`] is the closure's own and harmless; any other is final.
    ///
    /// # Panics
    /// When `state` holds changes that were not committed; with the panic of `work`.
    pub fn transaction<R, E>(
        &mut self,
        state: &mut State,
        clock: &dyn Clock,
        work: impl FnOnce(&mut Tx<'_>) -> Result<R, E>,
    ) -> Result<(R, Commit), TransactionError<E>> {
        assert!(!state.is_changed(), "changes before the transaction are committed first");
        let last = self.begin(SyncedBy::Sqlite)?;
        match run((&mut self.connection, &mut self.ids, &self.guard), &last, state, clock, work)? {
            Ended::Committed(result, commit, rows) => {
                self.committed(commit, rows)?;
                Ok((result, commit))
            }
            Ended::RolledBack(error) => {
                self.unharmed();
                Err(error.map_or(TransactionError::RolledBack, TransactionError::App))
            }
            Ended::Panicked(panic) => {
                self.unharmed();
                resume_unwind(panic)
            }
        }
    }
}

/// How a transaction ended without harm.
enum Ended<R, E> {
    Committed(R, Commit, usize),
    /// With the closure's error, unless it gave a result all the same.
    RolledBack(Option<E>),
    Panicked(Box<dyn std::any::Any + Send>),
}

fn run<R, E>(
    (connection, ids, guard): (&mut Connection, &mut IdWriter, &Guard),
    last: &Commit,
    state: &mut State,
    clock: &dyn Clock,
    work: impl FnOnce(&mut Tx<'_>) -> Result<R, E>,
) -> Result<Ended<R, E>, CommitError> {
    let sql =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(CommitError::Unknown)?;
    let savepoint = state.savepoint();
    let mut tx = Tx { state, sql, clock, guard, app: Vec::new(), failed: false };
    let foreign = guard.foreign();
    let done = catch_unwind(AssertUnwindSafe(|| work(&mut tx)));
    drop(foreign);
    let Tx { state, sql, app, failed, .. } = tx;
    // Some conflicts and errors in the closure's SQL roll back; nothing there can commit.
    let rolled_back = sql.is_autocommit();
    if let (Ok(Ok(_)), false) = (&done, failed || rolled_back) {
        state.release(savepoint);
        let changes = state.take_changes();
        let commit = disk::finish(&sql, last, &changes, ids, &app).map_err(CommitError::Unknown)?;
        sql.commit().map_err(CommitError::Unknown)?;
        let Ok(Ok(result)) = done else { unreachable!("matched above") };
        return Ok(Ended::Committed(result, commit, changes.len()));
    }
    state.rollback(savepoint);
    state.written = Written::default();
    if !rolled_back {
        sql.rollback().map_err(CommitError::Unknown)?;
    }
    match done {
        // Whatever the closure made of it: a step that failed means a disk that failed.
        Ok(_) if failed => Err(CommitError::Ended),
        Ok(done) => Ok(Ended::RolledBack(done.err())),
        Err(panic) => Ok(Ended::Panicked(panic)),
    }
}
