//! A double-entry ledger inside your process, on SQLite.

mod account;
mod currency;
pub mod engine;
mod flags;
mod ids;
mod memory;
mod reads;
pub mod script;
pub mod sqlite;
mod status;
mod store;

pub use account::{Account, Transfer};
pub use currency::{
    BadCurrency, BadMoney, CURRENCY_CODE_BYTES_MAX, Currencies, Currency, MINOR_DIGITS_MAX, Money,
};
pub use flags::{AccountFilterFlags, AccountFlags, QueryFilterFlags, TransferFlags};
pub use ids::{AccountId, Amount, Code, CommitSeq, LedgerCode, Timestamp, TransferId};
pub use memory::{MemorySavepoint, MemoryStore};
pub use reads::{AccountBalance, AccountFilter, ChangeEvent, ChangeEventsFilter, QueryFilter, Reads};
pub use status::{
    CreateAccountResult, CreateAccountStatus, CreateTransferResult, CreateTransferStatus, UnknownStatus,
};
pub use store::{Event, EventKind, Known, Last, Phase, Store};
