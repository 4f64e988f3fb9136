//! A double-entry ledger inside your process, on SQLite.
//!
//! One file, no server: accounts, transfers in two phases, limits that hold, and your own tables in the same
//! transaction. What a call has answered is on disk. Anyone can query the file, verify it and export it.
//!
//! # Five minutes
//!
//! **An account** holds one kind of money. **A transfer** moves an amount from one account (which it *debits*) to
//! another (which it *credits*). Nothing else changes a balance, so debits equal credits at any time, and every
//! balance can be explained by transfers.
//!
//! ```
//! use hundi_ledger::{Account, AccountFlags, CreateTransferStatus, Currency, Ledger, Transfer};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("ledger.db");
//! let ledger = Ledger::open(&path)?;              // one file; created if it is not there
//! let rupee = Currency::iso("INR").expect("a currency of ISO 4217");
//!
//! let (cash, asha) = (1_u128, 2_u128);            // ids are yours: u128, UUIDs, or AccountId::now()
//! let (till, wallet) = (1_u16, 2_u16);            // so are codes: what an account is, why a transfer was made
//! let deposit = 10_u16;
//! ledger.create_accounts(vec![
//!     Account::new(cash, rupee.ledger(), till),
//!     Account::new(asha, rupee.ledger(), wallet).with_flags(AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS),
//! ])?;
//!
//! // 500.00 from the till to Asha. Amounts are integers, in minor units: paise.
//! let amount = rupee.parse("500.00")?;
//! let transfer = Transfer::new(1, cash, asha, amount, rupee.ledger(), deposit);
//! let result = ledger.create_transfer(transfer)?; // on disk, when this returns
//! assert_eq!(result.status, CreateTransferStatus::Created);
//!
//! let account = ledger.lookup_account(asha)?.expect("just created");
//! assert_eq!(rupee.money(account.credit_available()).to_string(), "500.00 INR");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What Asha owns is `credits_posted − debits_posted` of her account: money that you owe her. An account of the other
//! kind, like your cash, counts the other way round. A limit keeps an account from going below zero:
//! [`AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS`] for Asha, [`AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS`] for
//! cash. [`Account::credit_available`] and [`Account::debit_available`] say what is left to give, holds taken off.
//!
//! ## A refusal is a result
//!
//! Each event of a batch gets a result, in order. `Err` is kept for a disk that fails. Of several reasons to refuse,
//! the result is the one that [`CreateTransferStatus`] declares first.
//!
//! ```
//! # use hundi_ledger::*;
//! # let folder = tempfile::tempdir()?;
//! # let ledger = Ledger::open(folder.path().join("ledger.db"))?;
//! let limited = AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS;
//! let created = ledger.create_accounts(vec![Account::new(1, 356, 10), Account::new(2, 356, 10).with_flags(limited)])?;
//! assert!(created.iter().all(|result| result.status == CreateAccountStatus::Created));
//! let results = ledger.create_transfers(vec![
//!     Transfer::new(1, 1, 2, 100, 356, 20),
//!     Transfer::new(2, 2, 1, 101, 356, 20), // one paisa more than there is
//! ])?;
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
//! # let folder = tempfile::tempdir()?;
//! # let ledger = Ledger::open(folder.path().join("ledger.db"))?;
//! # ledger.create_accounts(vec![Account::new(1, 356, 10), Account::new(2, 356, 10)])?;
//! let transfer = Transfer::new(TransferId::now(), 1, 2, 100, 356, 20); // a new id: UUID version 7
//! let first = ledger.create_transfer(transfer)?;
//! let again = ledger.create_transfer(transfer)?;
//! assert_eq!(again.status, CreateTransferStatus::Exists);
//! assert_eq!(again.timestamp, first.timestamp);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ## Two phases: hold now, take later
//!
//! A *pending* transfer reserves its amount: it counts against limits but is nobody's yet. A *post* takes
//! it, or less; a *void* releases it; so does its timeout, by itself.
//!
//! ```
//! # use hundi_ledger::*;
//! # let folder = tempfile::tempdir()?;
//! # let ledger = Ledger::open(folder.path().join("ledger.db"))?;
//! # ledger.create_accounts(vec![Account::new(1, 356, 10), Account::new(2, 356, 10)])?;
//! ledger.create_transfer(Transfer::new(1, 1, 2, 100, 356, 20).pending(60))?; // for 60 seconds
//! ledger.create_transfer(Transfer::post(2, 1).with_amount(80))?;             // the other 20 are released
//! let account = ledger.lookup_account(1)?.expect("created above");
//! assert_eq!((account.debits_pending, account.debits_posted), (Amount(0), Amount(80)));
//!
//! ledger.create_transfer(Transfer::new(3, 1, 2, 100, 356, 20).pending(0))?;  // until somebody decides
//! ledger.create_transfer(Transfer::void(4, 3))?;
//! let too_late = ledger.create_transfer(Transfer::post(5, 3))?;
//! assert_eq!(too_late.status, CreateTransferStatus::PendingTransferAlreadyVoided);
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
//! # let folder = tempfile::tempdir()?;
//! # let ledger = Ledger::open(folder.path().join("ledger.db"))?;
//! # ledger.create_accounts([1, 2, 3].map(|id| Account::new(id, 356, 10)).to_vec())?;
//! let (buyer, seller, nobody) = (1, 2, 9);
//! let sale = Transfer::new(1, buyer, seller, 1_000, 356, 20).linked();
//! let fee = Transfer::new(2, seller, nobody, 30, 356, 21);
//! let results = ledger.create_transfers(vec![sale, fee])?;
//! assert_eq!(results[0].status, CreateTransferStatus::LinkedEventFailed);
//! assert_eq!(results[1].status, CreateTransferStatus::CreditAccountNotFound);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ## Your rows and your money
//!
//! [`Ledger::transaction`] runs your own SQL and transfers in one transaction of the same file: both are there, or
//! neither. An error that you return rolls everything back. Use an error type of your own, with `From` for the ledger's verbs
//! ([`sqlite::StepError`]), your SQL ([`rusqlite::Error`]) and the ledger itself ([`LedgerError`]). Your tables are created with
//! the file, and migrated, by an [`AppSchema`](sqlite::AppSchema). Give an account a name, too, and say what a ledger counts that
//! is no ISO currency ([`sqlite::Tx::set_currency`]): for people, views and exports.
//!
//! ```
//! # use hundi_ledger::*;
//! use hundi_ledger::sqlite::{AppSchema, Options, StepError};
//!
//! #[derive(Debug)]
//! enum ShopError {
//!     Refused(CreateTransferStatus),
//!     Failed(String),
//! }
//! impl From<StepError> for ShopError {
//!     fn from(error: StepError) -> Self {
//!         Self::Failed(error.to_string())
//!     }
//! }
//! // The same for rusqlite::Error and LedgerError.
//! # impl From<rusqlite::Error> for ShopError {
//! #     fn from(error: rusqlite::Error) -> Self { Self::Failed(error.to_string()) }
//! # }
//! # impl From<LedgerError> for ShopError {
//! #     fn from(error: LedgerError) -> Self { Self::Failed(error.to_string()) }
//! # }
//!
//! const SHOP: AppSchema = AppSchema {
//!     name: "shop",
//!     version: 1,
//!     create: "CREATE TABLE shop_orders(id INTEGER PRIMARY KEY, what TEXT NOT NULL) STRICT",
//!     migrations: &[],
//!     payment: "",
//! };
//! # fn main() -> Result<(), ShopError> {
//! # let folder = tempfile::tempdir().expect("a folder");
//! # let path = folder.path().join("shop.db");
//! let ledger = Ledger::open_with(&path, Options { app: Some(SHOP), ..Options::default() }, SystemClock)
//!     .expect("a new file");
//! let sell = |order: u32, what: &str, price: u128| {
//!     let sold = ledger.transaction(|tx| -> Result<(), ShopError> {
//!         tx.sql().execute("INSERT INTO shop_orders VALUES (?, ?)", (order, what))?;
//!         let results = tx.create_transfers(&[Transfer::new(u128::from(order), 2, 1, price, 356, 20)])?;
//!         match CreateTransferResult::first_refusal(&results) {
//!             Some((_, why)) => Err(ShopError::Refused(why)), // The order is not there either.
//!             None => Ok(()),
//!         }
//!     });
//!     sold.map_err(TransactionError::flatten)
//! };
//! ledger.transaction(|tx| -> Result<(), ShopError> {
//!     let wallet = Account::new(2, 356, 10).with_flags(AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS);
//!     tx.create_accounts(&[Account::new(1, 356, 10), wallet])?;
//!     tx.create_transfers(&[Transfer::new(1, 1, 2, 100_00, 356, 19)])?;
//!     Ok(tx.name_account(2.into(), "customers:asha", Some("INR"))?)
//! }).map_err(TransactionError::flatten)?;
//! sell(4711, "tea", 60_00)?;
//! let refused = sell(4712, "more tea", 60_00);
//! assert!(matches!(refused, Err(ShopError::Refused(CreateTransferStatus::ExceedsCredits))));
//! # Ok(())
//! # }
//! ```
//!
//! ## Threads and tasks
//!
//! A [`Ledger`] is cheap to clone and to be used from any thread: the calls of all of them share disk writes, so a
//! thousand callers are about as fast as one large batch. Every call has a form that ends in `_async`, for any executor.
//! [`Ledger::open_with`] takes a [`Clock`], so that tests have their own time. After [`LedgerError::Unknown`] (the disk
//! failed) open the file again and repeat with the same ids.
//!
//! ```
//! # use hundi_ledger::*;
//! # let folder = tempfile::tempdir()?;
//! # let ledger = Ledger::open(folder.path().join("ledger.db"))?;
//! # ledger.create_accounts(vec![Account::new(1, 356, 10), Account::new(2, 356, 10)])?;
//! async fn pay(ledger: Ledger, transfer: Transfer) -> Result<bool, LedgerError> {
//!     Ok(ledger.create_transfer_async(transfer).await?.status == CreateTransferStatus::Created)
//! }
//!
//! let pay_many = |first: u128| {
//!     let ledger = ledger.clone();
//!     std::thread::spawn(move || -> Result<(), LedgerError> {
//!         for id in first..first + 10 {
//!             ledger.create_transfer(Transfer::new(id, 1, 2, 5, 356, 20))?;
//!         }
//!         Ok(())
//!     })
//! };
//! for thread in [1, 101, 201].map(pay_many) {
//!     thread.join().expect("no panic")?;
//! }
//! assert_eq!(ledger.lookup_account(2)?.expect("created above").credits_posted, Amount(150));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ## Asking
//!
//! [`Reads`] answers: accounts and transfers by id, the transfers of an account, its balance after each of
//! them (with the flag `history`), queries over your own `user_data`, and all changes in order. [`Statement`] is an
//! account's posted lines with running balances; [`Ledger::balances_at`] looks back to any time.
//!
//! ```
//! # use hundi_ledger::*;
//! # let folder = tempfile::tempdir()?;
//! # let ledger = Ledger::open(folder.path().join("ledger.db"))?;
//! # ledger.create_accounts(vec![Account::new(1, 356, 10), Account::new(2, 356, 10)])?;
//! let order = 4711;
//! let transfer = Transfer { user_data_64: order, ..Transfer::new(1, 1, 2, 100, 356, 20) };
//! ledger.create_transfer(transfer)?;
//! let of_order = QueryFilter { user_data_64: order, ..QueryFilter::all(10) };
//! assert_eq!(ledger.query_transfers(&of_order)?.len(), 1);
//! let latest = ledger.get_account_transfers(&AccountFilter::of(2, 10).reversed())?;
//! assert_eq!(latest[0].amount, Amount(100));
//! let changes = ledger.get_change_events(&ChangeEventsFilter::all(10))?;
//! assert_eq!(changes[0].credit_account.credits_posted, Amount(100));
//! let statement = Statement::read(&ledger, AccountId(2), Timestamp::FIRST, Timestamp::LAST)?.expect("account 2");
//! assert_eq!(statement.lines[0].credits_posted, Amount(100));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ## Trust, and the way out
//!
//! Any SQLite client reads the file while you write it: views `v_accounts`, `v_transfers`, `v_commits`. The command line
//! `hundi ledger` does too. [`sqlite::verify`] computes every balance and the chain of commits again from the first row,
//! [`sqlite::backup`] copies the file while it is in use, and [`export`] writes the books for hledger, beancount,
//! spreadsheets and banks.
//!
//! ```
//! # use hundi_ledger::*;
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("ledger.db");
//! # let ledger = Ledger::open(&path)?;
//! # ledger.create_accounts(vec![Account::new(1, 356, 10), Account::new(2, 356, 10)])?;
//! ledger.create_transfer(Transfer::new(1, 1, 2, 12_50, 356, 20))?;
//! assert_eq!(sqlite::verify(&path)?.transfers, 1);
//!
//! let snapshot = sqlite::Snapshot::open(&path)?; // one moment of the file, beside its owner
//! let mut journal = Vec::new();
//! export::hledger(&snapshot, &export::Labels::read(&snapshot)?, &mut journal)?;
//! assert!(String::from_utf8(journal)?.contains("12.50 INR"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Without a file
//!
//! The engine is a pure function of state, time and batch, over any [`Store`]: in memory for tests and models, or over
//! [`sqlite::open`] when you drive the disk yourself. Time comes from you, in nanoseconds.
//!
//! ```
//! use hundi_ledger::{Account, MemoryStore, Timestamp, Transfer, TransferId, engine};
//!
//! let mut ledger = MemoryStore::new();
//! engine::create_accounts(&mut ledger, Timestamp(10), &[Account::new(1, 356, 10), Account::new(2, 356, 10)])?;
//! let hold = Transfer::new(3, 1, 2, 100, 356, 20).pending(60);
//! engine::create_transfers(&mut ledger, Timestamp(30), &[hold])?;
//! let after_a_minute = Timestamp(60_000_000_030);
//! assert_eq!(engine::expire(&mut ledger, after_a_minute)?, [TransferId(3)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Parts
//!
//! - [`Ledger`]: the handle for applications; start with `examples/wallet.rs`, `marketplace.rs`, `shop.rs`, `exchange.rs`.
//! - [`Currency`], [`Money`], [`Currencies`]: amounts as people write them, assets of your own.
//! - [`Reads`], [`Statement`], [`export`]: what is in it, for programs, people and auditors.
//! - [`sqlite`]: the file: your own transactions, snapshots, verification, backup.
//! - [`engine`], [`Store`], [`MemoryStore`]: what a batch does, and what it needs to remember by.
//! - [`script`]: the ledger as lines of JSON, for other languages and bug reports.
//!
//! The data model and the results are those of TigerBeetle 0.17, so that its documentation applies.

mod account;
mod clock;
mod currency;
#[deny(clippy::disallowed_methods, clippy::disallowed_types, clippy::iter_over_hash_type)] // Pure.
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
