//! The ledger in one SQLite file. How it is laid out and why: `docs/storage.md`.

mod backup;
mod balances;
mod changes;
mod disk;
mod entry;
mod error;
mod frames;
mod guard;
mod hasher;
mod ids;
mod load;
mod lock;
mod log;
mod lookup;
mod number;
mod open;
pub(crate) mod reads;
mod rows;
mod schema;
mod snapshot;
mod state;
mod transaction;
mod verify;
mod write;

pub use backup::backup;
pub use changes::{Changes, Flush};
pub use disk::{Commit, Disk};
pub use entry::Slot;
pub use error::{CommitError, OpenError, ReadError};
pub(crate) use lookup::Reader;
pub use open::{Options, open};
pub use schema::AppSchema;
pub use snapshot::{AccountName, Snapshot};
pub use state::{Savepoint, State};
pub use transaction::{StepError, TransactionError, Tx};
pub use verify::{Verified, VerifyError, verify};
