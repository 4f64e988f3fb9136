//! A ledger's books in the formats of other programs: hledger, beancount, spreadsheets, and ISO 20022 statements.
//!
//! Amounts are exact decimals with the minor digits of their currency. Debits are positive, as plain-text accounting
//! has it; a camt.053 statement speaks as a bank to its customer, so there credits are what the account holds. What
//! is only reserved moves nothing: a pending transfer that still waits is shown with amounts of zero, and one that was
//! voided or expired is not in the journals at all. Both journals end with assertions of the balances that the ledger
//! itself keeps, so `hledger check` and `bean-check` prove the export.
//!
//! ```
//! use hundi_ledger::export::{self, Labels};
//! use hundi_ledger::{Account, Currency, MemoryStore, Timestamp, Transfer, engine};
//!
//! let rupee = Currency::iso("INR").expect("a currency of ISO 4217");
//! let mut ledger = MemoryStore::new();
//! let accounts = [Account::new(1, rupee.ledger(), 1), Account::new(2, rupee.ledger(), 1)];
//! engine::create_accounts(&mut ledger, Timestamp(10), &accounts)?;
//! engine::create_transfers(&mut ledger, Timestamp(20), &[Transfer::new(7, 1, 2, 12_50, rupee.ledger(), 1)])?;
//!
//! let mut labels = Labels::new();
//! labels.name_account(1, "cash");
//! labels.name_account(2, "customers:asha");
//! let mut journal = Vec::new();
//! export::hledger(&ledger, &labels, &mut journal)?;
//! let journal = String::from_utf8(journal)?;
//! assert!(journal.contains("    cash               12.50 INR\n    customers:asha    -12.50 INR\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod beancount;
mod books;
mod camt053;
mod civil;
mod csv;
mod decimal;
mod hledger;
mod labels;
mod unique;

use std::io;

use thiserror::Error;

use crate::{AccountId, Amount};

pub use beancount::beancount;
pub use camt053::{camt053, camt053_of};
pub use civil::DateTime;
pub use csv::{csv_accounts, csv_events};
pub use decimal::{Decimal, Net};
pub use hledger::hledger;
pub use labels::Labels;

/// Why an export stopped. What was written until then is not to be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExportError<E> {
    /// The ledger could not be read.
    #[error(transparent)]
    Read(E),
    /// The output could not be written.
    #[error("cannot write the export: {0}")]
    Write(#[from] io::Error),
    /// The transfers of an account do not sum up to its balances: the ledger was written meanwhile (export from a
    /// snapshot), keeps no history, or contradicts itself.
    #[error(
        "account {account}: its transfers sum up to {summed_debits} debits and {summed_credits} credits, but it has \
         {debits} and {credits}"
    )]
    Books {
        /// The account.
        account: AccountId,
        /// The sum of its posted debits.
        summed_debits: Amount,
        /// The sum of its posted credits.
        summed_credits: Amount,
        /// The posted debits that it has.
        debits: Amount,
        /// The posted credits that it has.
        credits: Amount,
    },
    /// The format has no room for something; the text says for what.
    #[error("{0}")]
    Format(String),
}
