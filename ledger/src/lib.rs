//! A double-entry ledger inside your process, on SQLite.

mod account;
mod flags;
mod ids;
mod status;
mod store;

pub use account::{Account, Transfer};
pub use flags::{AccountFlags, TransferFlags};
pub use ids::{AccountId, Amount, Code, CommitSeq, LedgerCode, Timestamp, TransferId};
pub use status::{
    CreateAccountResult, CreateAccountStatus, CreateTransferResult, CreateTransferStatus, UnknownStatus,
};
pub use store::{Event, EventKind, Known, Last, Phase, Store};
