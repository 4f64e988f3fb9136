//! A double-entry ledger inside your process, on SQLite.
//!
//! # Five minutes
//!
//! **An account** holds one kind of money. **A transfer** moves an amount from one account (which it *debits*) to
//! another (which it *credits*). Nothing else changes a balance, so debits equal credits at any time, and every
//! balance can be explained by transfers.
//!
//! ```
//! use hundi_ledger::{Account, CreateTransferStatus, Currency, MemoryStore, Reads, Timestamp, Transfer, engine};
//!
//! let rupee = Currency::iso("INR").expect("a currency of ISO 4217");
//! let (bank, asha) = (1_u128, 2_u128);            // ids are yours: u128, or UUIDs
//! let (wallet, deposit) = (10_u16, 20_u16);       // codes too: what an account is, why a transfer was made
//!
//! let mut ledger = MemoryStore::new();
//! let accounts = [bank, asha].map(|id| Account::new(id, rupee.ledger(), wallet));
//! engine::create_accounts(&mut ledger, Timestamp(10), &accounts)?;
//!
//! // 500.00 from the bank to Asha. Amounts are integers, in minor units: paise.
//! let amount = rupee.parse("500.00")?;
//! let transfer = Transfer::new(1, bank, asha, amount, rupee.ledger(), deposit);
//! let results = engine::create_transfers(&mut ledger, Timestamp(20), &[transfer])?;
//! assert_eq!(results[0].status, CreateTransferStatus::Created);
//!
//! let found = ledger.lookup_accounts(&[asha.into()])?;
//! assert_eq!(rupee.money(found[0].credits_posted).to_string(), "500.00 INR");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What Asha owns is `credits_posted − debits_posted` of her account: money that the bank owes her. An account
//! of the other kind, like the bank's cash, counts the other way round. A limit keeps an account from
//! going below zero: [`AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS`] for Asha,
//! [`AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS`] for cash.
//!
//! ## A refusal is a result
//!
//! Each event of a batch gets a result. `Err` is kept for a disk that fails. Of several reasons to refuse,
//! the result is the one that [`CreateTransferStatus`] declares first.
//!
//! ```
//! # use hundi_ledger::*;
//! # let mut ledger = MemoryStore::new();
//! let limited = AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS;
//! let accounts = [Account::new(1, 356, 10), Account::new(2, 356, 10).with_flags(limited)];
//! engine::create_accounts(&mut ledger, Timestamp(10), &accounts)?;
//! let batch = [
//!     Transfer::new(1, 1, 2, 100, 356, 20),
//!     Transfer::new(2, 2, 1, 101, 356, 20), // one paisa more than there is
//! ];
//! let results = engine::create_transfers(&mut ledger, Timestamp(20), &batch)?;
//! assert_eq!(results[1].status, CreateTransferStatus::ExceedsCredits);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ## Try again without fear
//!
//! The id makes a transfer happen once. If you do not know whether a transfer took place, send it again: the same one
//! is `exists`, and moves nothing. An id whose transfer was refused for a reason that may pass (no funds, no such
//! account) is burnt: it stays refused, as `id_already_failed`, so a late repeat cannot do what you were told
//! had failed. Take a new id for a new try.
//!
//! ```
//! # use hundi_ledger::*;
//! # let mut ledger = MemoryStore::new();
//! # engine::create_accounts(&mut ledger, Timestamp(10), &[Account::new(1, 356, 10), Account::new(2, 356, 10)])?;
//! let transfer = Transfer::new(TransferId::now(), 1, 2, 100, 356, 20); // a new id: UUID version 7
//! let first = engine::create_transfers(&mut ledger, Timestamp(20), &[transfer])?[0];
//! let again = engine::create_transfers(&mut ledger, Timestamp(30), &[transfer])?[0];
//! assert_eq!(again.status, CreateTransferStatus::Exists);
//! assert_eq!(again.timestamp, first.timestamp);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ## Two phases: hold now, take later
//!
//! A *pending* transfer reserves its amount: it counts against limits but is nobody's yet. A *post* takes
//! it, or less; a *void* releases it; so does its timeout.
//!
//! ```
//! # use hundi_ledger::*;
//! # let mut ledger = MemoryStore::new();
//! # engine::create_accounts(&mut ledger, Timestamp(10), &[Account::new(1, 356, 10), Account::new(2, 356, 10)])?;
//! let hold = Transfer::new(1, 1, 2, 100, 356, 20).pending(60); // for 60 seconds
//! let take = Transfer::post(2, 1).with_amount(80);             // the other 20 are released
//! let results = engine::create_transfers(&mut ledger, Timestamp(20), &[hold, take])?;
//! assert!(results.iter().all(|result| result.status == CreateTransferStatus::Created));
//! let account = ledger.lookup_accounts(&[AccountId(1)])?[0];
//! assert_eq!((account.debits_pending, account.debits_posted), (Amount(0), Amount(80)));
//!
//! let hold = Transfer::new(3, 1, 2, 100, 356, 20).pending(60);
//! engine::create_transfers(&mut ledger, Timestamp(30), &[hold])?;
//! let after_a_minute = Timestamp(60_000_000_030); // nanoseconds
//! assert_eq!(engine::expire(&mut ledger, after_a_minute)?, [TransferId(3)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ## All or nothing
//!
//! A transfer with the flag `linked` stands or falls with the next one of the batch. So a sale and its fee, or the
//! two legs of an exchange of currencies, are one chain.
//!
//! ```
//! # use hundi_ledger::*;
//! # let mut ledger = MemoryStore::new();
//! # let accounts = [1, 2, 3].map(|id| Account::new(id, 356, 10));
//! # engine::create_accounts(&mut ledger, Timestamp(10), &accounts)?;
//! let (buyer, seller, nobody) = (1, 2, 9);
//! let sale = Transfer::new(1, buyer, seller, 1_000, 356, 20).linked();
//! let fee = Transfer::new(2, seller, nobody, 30, 356, 21);
//! let results = engine::create_transfers(&mut ledger, Timestamp(20), &[sale, fee])?;
//! assert_eq!(results[0].status, CreateTransferStatus::LinkedEventFailed);
//! assert_eq!(results[1].status, CreateTransferStatus::CreditAccountNotFound);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ## Asking
//!
//! [`Reads`] answers: accounts and transfers by id, the transfers of an account, its balance after each of
//! them (with the flag `history`), queries over your own `user_data`, and all changes in order.
//!
//! ```
//! # use hundi_ledger::*;
//! # let mut ledger = MemoryStore::new();
//! # engine::create_accounts(&mut ledger, Timestamp(10), &[Account::new(1, 356, 10), Account::new(2, 356, 10)])?;
//! let order = 4711;
//! let transfer = Transfer { user_data_64: order, ..Transfer::new(1, 1, 2, 100, 356, 20) };
//! engine::create_transfers(&mut ledger, Timestamp(20), &[transfer])?;
//! let of_order = QueryFilter { user_data_64: order, ..QueryFilter::all(10) };
//! assert_eq!(ledger.query_transfers(&of_order)?.len(), 1);
//! let latest = ledger.get_account_transfers(&AccountFilter::of(2, 10).reversed())?;
//! assert_eq!(latest[0].amount, Amount(100));
//! let changes = ledger.get_change_events(&ChangeEventsFilter::all(10))?;
//! assert_eq!(changes[0].credit_account.credits_posted, Amount(100));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ## In a file
//!
//! [`sqlite::open`] gives the same ledger on disk: a state that executes, and a disk that makes durable.
//! What a result says holds once its changes are committed.
//!
//! ```
//! # use hundi_ledger::*;
//! # let folder = tempfile::tempdir()?;
//! let path = folder.path().join("ledger.db");
//! let (mut state, mut disk) = sqlite::open(&path, sqlite::Options::default())?;
//! engine::create_accounts(&mut state, Timestamp(10), &[Account::new(1, 356, 10)])?;
//! let commit = disk.commit(state.take_changes(), |_| Ok(Vec::new()))?; // your own rows go in here
//! state.handle_durable(commit.seq);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Parts
//!
//! - [`engine`]: what a batch does, as a pure function of state, time and batch.
//! - [`Store`]: what an engine needs to remember by; [`MemoryStore`] and [`sqlite::State`] are two.
//! - [`Currency`], [`Money`], [`Currencies`]: amounts as people write them.
//! - [`export`]: journals for hledger and beancount, tables, and statements of ISO 20022; [`Statement`].
//! - [`script`]: the ledger as lines of JSON, for other languages and bug reports.
//!
//! The data model and the results are those of TigerBeetle 0.17, so that its documentation applies.

mod account;
mod clock;
mod currency;
pub mod engine;
pub mod export;
mod flags;
mod handle;
mod ids;
mod memory;
mod reads;
pub mod script;
pub mod sqlite;
mod statement;
mod status;
mod store;

/// The SQLite that holds the file: for the application's own SQL in [`sqlite::Tx::sql`].
pub use rusqlite;

pub use account::{Account, Transfer};
pub use clock::{Clock, SystemClock};
pub use currency::{
    BadCurrency, BadMoney, CURRENCY_CODE_BYTES_MAX, Currencies, Currency, MINOR_DIGITS_MAX, Money,
};
pub use flags::{AccountFilterFlags, AccountFlags, QueryFilterFlags, TransferFlags};
pub use handle::{Ledger, LedgerError, Reply, TransactionError};
pub use ids::{AccountId, Amount, Code, CommitSeq, LedgerCode, Timestamp, TransferId};
pub use memory::{MemorySavepoint, MemoryStore};
pub use reads::{AccountBalance, AccountFilter, ChangeEvent, ChangeEventsFilter, QueryFilter, Reads};
pub use statement::{Statement, StatementLine};
pub use status::{
    CreateAccountResult, CreateAccountStatus, CreateTransferResult, CreateTransferStatus, UnknownStatus,
};
pub use store::{Event, EventKind, Known, Last, Phase, Store};
