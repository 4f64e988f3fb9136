//! What a caller of the handle is told when something fails that is not a matter of business.

use std::sync::Arc;

use thiserror::Error;

use crate::engine::BadTime;
use crate::sqlite::{CommitError, ReadError, StepError};

/// Why a call gave no result. Cheap to clone: everyone who waits for a failed commit is told the same.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The commit that held the call failed: nobody knows whether it is on disk. Open the file again and look: a
    /// repeat with the same ids is safe.
    #[error("unknown whether it is on disk: {0}")]
    Unknown(Arc<CommitError>),
    /// The ledger was closed, or stopped after a failed commit, before it took the call: nothing happened.
    #[error("the ledger is closed")]
    Closed,
    /// Too many calls wait already; nothing happened.
    #[error("too many calls are waiting")]
    Busy,
    /// The file could not be read.
    #[error(transparent)]
    Read(Arc<ReadError>),
    /// The handle was used inside its own [`Ledger::transaction`](crate::Ledger::transaction), which would wait for itself;
    /// nothing happened. Use the [`Tx`](crate::sqlite::Tx) there.
    #[error("the ledger is used inside its own transaction: use the transaction's verbs")]
    InTransaction,
    /// A statement of the application (`INSERT OR ROLLBACK`, for instance) had rolled its transaction back, yet the closure
    /// returned a result: nothing was written.
    #[error("a statement of the application rolled the transaction back: nothing was written")]
    RolledBack,
    /// The clock, or the ledger's last timestamp, leaves no time for the batch; nothing happened.
    #[error(transparent)]
    Time(BadTime),
}

impl From<ReadError> for LedgerError {
    fn from(error: ReadError) -> Self {
        Self::Read(Arc::new(error))
    }
}

impl From<CommitError> for LedgerError {
    fn from(error: CommitError) -> Self {
        Self::Unknown(Arc::new(error))
    }
}

/// Why a transaction with the application's rows gave no result.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TransactionError<E> {
    /// The closure returned an error; everything was rolled back.
    #[error(transparent)]
    App(E),
    /// The ledger failed, or is closed.
    #[error(transparent)]
    Ledger(LedgerError),
}

impl<E: From<LedgerError>> TransactionError<E> {
    /// The application's error, which has room for the ledger's: `ledger.transaction(…).map_err(TransactionError::flatten)?`
    pub fn flatten(self) -> E {
        match self {
            Self::App(error) => error,
            Self::Ledger(error) => error.into(),
        }
    }
}

impl<E> From<LedgerError> for TransactionError<E> {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

/// A step that failed inside a transaction, for closures whose error is [`LedgerError`].
impl From<StepError> for LedgerError {
    fn from(error: StepError) -> Self {
        match error {
            StepError::Read(error) => error.into(),
            StepError::Write(error) => CommitError::Unknown(error).into(),
            StepError::Failed => CommitError::Ended.into(),
            StepError::Time(error) => Self::Time(error),
        }
    }
}
