//! A bank: the participant of the commit protocol, and the process around it.
//!
//! [`Participant`] is the pure core, the same code in production and in the model checker. [`Books`] is what it
//! keeps, in memory ([`MemoryBooks`]) or in one SQLite file.

mod books;
mod file;
mod flaw;
mod leaving;
mod memory_books;
#[deny(clippy::disallowed_methods, clippy::disallowed_types, clippy::iter_over_hash_type)] // Pure.
mod outbox;
#[deny(clippy::disallowed_methods, clippy::disallowed_types, clippy::iter_over_hash_type)] // Pure.
mod participant;
pub mod process;
mod record;
mod sqlite_books;

pub use books::{
    Books, Customer, OwnAccount, Payment, Step, customer_account_id, ledger_code, transfer_id,
    transfer_user_data,
};
pub use file::{BANK_FILE, FileError, read_bank_file};
pub use flaw::{Flaw, Flaws, Sound};
pub use leaving::Leaving;
pub use memory_books::MemoryBooks;
pub use outbox::Outbox;
pub use participant::{AccountAnswer, AccountRefusal, AccountRequest, Effect, Fault, Participant, Policy};
pub use record::{AccountRecord, BankRecord, CustomerRecord, EntryRecord, PaymentRecord};
pub use sqlite_books::{BANK_SCHEMA, BankDisk, BooksError, SqliteBooks, WriteSet, first_bad_bank_row};
