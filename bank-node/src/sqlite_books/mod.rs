//! A bank's books in one SQLite file: ledger, votes and customers together, so that one transaction covers
//! them (R2).
//!
//! [`SqliteBooks`] executes in memory and collects what is to be written; [`BankDisk`] writes it in one
//! transaction, on whatever thread; [`SqliteBooks::handle_durable`] then lets the cache forget.

mod cache;
mod reader;
mod rows;
mod schema;
mod verify;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hundi_ledger::CommitSeq;
use hundi_ledger::sqlite::{self, Changes, Commit, CommitError, Disk, OpenError, Options, ReadError, State};
use hundi_protocol::{
    AccountName, BadProof, BankName, Currency, Digest, DoubleVote, MalformedOrder, Order, OrderId, Outcome,
    PublicKey, UnixMillis, Verified, Verifier, Vote,
};

use crate::books::{Books, Customer, Payment};
use cache::Cache;
use reader::Reader;
use rows::{Row, Settled};
pub use schema::BANK_SCHEMA;
pub use verify::first_bad_bank_row;

/// Transfers at hand: a payment's second phase comes soon after the first or is looked for on disk. Few, so that they stay in
/// the processor's cache: a ring of 131,072 is new to it at every turn, and was a seventh of a bank's time.
const RECENT_EVENTS: usize = 8_192;
/// Pages that the writer holds, in KiB. Wherever a commit splits an index's page, SQLite walks over all of them.
const CACHE_KIB: u32 = 2 * 1024;
/// The write-ahead log that is copied into the file, in KiB. Commits are small and go through the log quickly: a short one stays
/// in the processor's caches, and whoever copies it, the disk's thread or the core, is away for a few milliseconds instead of a hundred.
const LOG_KIB: u32 = 4 * 1024;

/// Why a bank's books cannot be opened or read. A node that meets it must stop.
#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    /// The ledger's part could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The ledger's part could not be read.
    #[error(transparent)]
    Ledger(#[from] ReadError),
    /// SQLite could not read the bank's tables.
    #[error("reading the bank's file: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file is another bank's.
    #[error(
        "this is the file of bank {found}, not of {expected} (or {expected} has another signing key now)"
    )]
    OtherBank {
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: BankName,
    },
    /// The books do not balance.
    #[error(
        "debits and credits differ over all accounts: the file was changed from outside; bring a good copy back"
    )]
    Unbalanced,
    /// A row that this program did not write so.
    #[error("damaged row in table {table}: {what}")]
    Damaged {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        what: String,
    },
}

impl BooksError {
    fn damaged(table: &'static str, what: impl std::fmt::Display) -> Self {
        BooksError::Damaged { table, what: what.to_string() }
    }
}

impl From<MalformedOrder> for BooksError {
    fn from(error: MalformedOrder) -> Self {
        BooksError::damaged("payments", error)
    }
}

impl From<BadProof> for BooksError {
    fn from(error: BadProof) -> Self {
        BooksError::damaged("payments", error)
    }
}

/// Everything that one commit of a bank writes.
#[derive(Debug)]
pub struct WriteSet {
    changes: Changes,
    rows: Vec<Row>,
}

impl WriteSet {
    /// The commit that this will be.
    pub fn seq(&self) -> CommitSeq {
        self.changes.seq()
    }

    /// How many rows of the bank's own tables it writes: one for each vote and outcome.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }
}

/// The one writer of a bank's file.
#[derive(Debug)]
pub struct BankDisk(Disk);

impl BankDisk {
    /// Writes a set in one transaction and syncs it.
    ///
    /// # Errors
    /// A failed write or sync is final: nobody knows what is on disk until the file is opened again.
    pub fn commit(&mut self, set: WriteSet) -> Result<Commit, CommitError> {
        let seq = set.changes.seq();
        self.0.commit(set.changes, |tx| rows::write(tx, seq, &set.rows))
    }

    /// Writes a set in one transaction that is not durable before [`Disk::sync`].
    ///
    /// # Errors
    /// As [`BankDisk::commit`].
    pub fn write(&mut self, set: WriteSet) -> Result<(), CommitError> {
        let seq = set.changes.seq();
        self.0.write(set.changes, |tx| rows::write(tx, seq, &set.rows))
    }

    /// The ledger's disk, for syncs, checkpoints and backups.
    pub fn ledger(&mut self) -> &mut Disk {
        &mut self.0
    }
}

/// Finds payments that the books let go, on a thread of its own: a digest alone is looked for in every row.
#[derive(Debug)]
pub(crate) struct History(Reader);

impl History {
    pub(crate) fn open(path: &Path, verifier: Verifier) -> Result<Self, BooksError> {
        Reader::open(path, verifier).map(History)
    }

    pub(crate) fn find(&mut self, digest: &Digest) -> Result<Option<Payment>, BooksError> {
        self.0.payment_by_digest(digest)
    }
}

/// A bank's books over its file. It executes in memory and collects what is to be written, for [`BankDisk`] to write in one
/// transaction, on whatever thread.
#[derive(Debug)]
pub struct SqliteBooks {
    ledger: State,
    customers: BTreeMap<AccountName, Arc<Customer>>,
    cache: Cache,
    reader: Reader,
    floor: UnixMillis,
    last_commit: CommitSeq,
    rows: Vec<Row>,
    /// The place of the newest payment in the order of voting.
    voted: i64,
    currencies: Vec<Currency>,
}

impl SqliteBooks {
    /// Opens or creates a bank's file. `verifier` checks the votes that are read back.
    ///
    /// # Errors
    /// [`BooksError`]: the file is in use by another process, damaged, of another version, or not readable.
    pub fn open(path: &Path, verifier: Verifier) -> Result<(Self, BankDisk), BooksError> {
        let options = Options {
            app: Some(BANK_SCHEMA),
            recent_events: RECENT_EVENTS,
            cache_kib: CACHE_KIB,
            log_kib: LOG_KIB,
            ..Options::default()
        };
        let (ledger, disk) = sqlite::open(path, options)?;
        let mut reader = Reader::open(path, verifier)?;
        let customers = reader.customers()?;
        let mut currencies: Vec<Currency> = customers.values().map(|customer| customer.currency).collect();
        currencies.sort();
        currencies.dedup();
        let mut cache = Cache::new(reader.newest_order_id()?);
        for (n, payment) in reader.in_doubt()? {
            cache.insert(n, payment, CommitSeq(0));
        }
        let voted = reader.newest_payment()?;
        let floor = reader.floor()?;
        let last_commit = ledger.taken();
        let rows = Vec::new();
        Ok((
            SqliteBooks { ledger, customers, cache, reader, floor, last_commit, rows, voted, currencies },
            BankDisk(disk),
        ))
    }

    /// Makes sure that the file is this bank's; a new file becomes so with its first commit.
    ///
    /// # Errors
    /// [`BooksError::OtherBank`], or the file cannot be read.
    pub fn claim(&mut self, bank: &BankName, key: PublicKey) -> Result<(), BooksError> {
        match self.reader.owner()? {
            None => self.rows.push(Row::Owner { bank: bank.clone(), key }),
            Some((name, found)) if name == bank.as_str() && found == key.as_bytes() => {}
            Some((found, _)) => return Err(BooksError::OtherBank { found, expected: bank.clone() }),
        }
        Ok(())
    }

    /// Whether debits equal credits over all accounts on disk. Looks at each account.
    ///
    /// # Errors
    /// [`BooksError::Unbalanced`], or the file cannot be read.
    pub fn check_balance(&self) -> Result<(), BooksError> {
        match self.reader.books_balance()? {
            true => Ok(()),
            false => Err(BooksError::Unbalanced),
        }
    }

    /// Takes what was recorded since the last call, for [`BankDisk::commit`].
    pub fn take_changes(&mut self) -> WriteSet {
        let changes = self.ledger.take_changes();
        self.last_commit = changes.seq();
        WriteSet { changes, rows: std::mem::take(&mut self.rows) }
    }

    /// The disk has every commit up to `seq`: the cache may forget what is settled.
    pub fn handle_durable(&mut self, seq: CommitSeq) {
        self.ledger.handle_durable(seq);
        self.cache.handle_durable(seq);
    }

    /// The ledger, to look at.
    pub fn ledger_ref(&self) -> &State {
        &self.ledger
    }

    /// Customers by name.
    pub fn customers(&self) -> &BTreeMap<AccountName, Arc<Customer>> {
        &self.customers
    }

    /// The payment that holds `order_id` for `payer` (R1).
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn holder_of_id(
        &mut self,
        payer: &AccountName,
        order_id: OrderId,
    ) -> Result<Option<Payment>, BooksError> {
        let claims = |payment: &Payment| payment.claims_order_id && &payment.order.payer().name == payer;
        if let Some(payment) = self.cache.of_order(order_id).find(|payment| claims(payment)) {
            return Ok(Some(payment.clone()));
        }
        if !self.cache.may_be_on_disk(order_id) {
            return Ok(None);
        }
        Ok(self.reader.payments_of_order(order_id)?.into_iter().find(claims))
    }

    /// The payments in doubt.
    pub fn in_doubt(&self) -> impl Iterator<Item = &Payment> {
        self.cache.in_doubt()
    }

    /// The commit that will hold what is recorded now.
    fn next_commit(&self) -> CommitSeq {
        CommitSeq(self.last_commit.0 + 1)
    }
}

impl Books for SqliteBooks {
    type Ledger = State;
    type Error = BooksError;

    fn ledger(&mut self) -> &mut State {
        &mut self.ledger
    }

    fn last_commit(&self) -> CommitSeq {
        self.last_commit
    }

    fn customer(&mut self, name: &AccountName) -> Result<Option<Arc<Customer>>, BooksError> {
        Ok(self.customers.get(name).cloned())
    }

    fn put_customer(&mut self, name: &AccountName, customer: Customer) {
        if !self.currencies.contains(&customer.currency) {
            self.currencies.push(customer.currency);
            self.rows.push(Row::NameOwnAccounts { currency: customer.currency });
        }
        self.rows.push(match customer.closed {
            false => Row::OpenCustomer { name: name.clone(), customer: customer.clone() },
            true => Row::CloseCustomer { name: name.clone() },
        });
        self.customers.insert(name.clone(), Arc::new(customer));
    }

    fn customer_count(&self) -> u64 {
        self.customers.len() as u64
    }

    fn payment(&mut self, order: &Order) -> Result<Option<Payment>, BooksError> {
        if let Some(payment) = self.cache.get(order.id(), &order.digest()) {
            return Ok(Some(payment.clone()));
        }
        match self.cache.may_be_on_disk(order.id()) {
            true => self.reader.payment(order.id(), &order.digest()),
            false => Ok(None),
        }
    }

    fn recent_payment(&self, digest: &Digest) -> Option<&Payment> {
        self.cache.by_digest(digest)
    }

    fn claimant(&mut self, payer: &AccountName, order_id: OrderId) -> Result<Option<Digest>, BooksError> {
        Ok(self.holder_of_id(payer, order_id)?.map(|payment| payment.order.digest()))
    }

    fn insert_payment(&mut self, payment: Payment) {
        self.voted += 1;
        self.rows.push(Row::Vote { n: self.voted, payment: payment.clone() });
        let seq = self.next_commit();
        self.cache.insert(self.voted, payment, seq);
    }

    fn settle_payment(&mut self, order: &Order, outcome: Outcome, evidence: Vec<Verified<Vote>>) {
        let (order_id, digest) = (order.id(), order.digest());
        let seq = self.next_commit();
        self.rows.push(match self.cache.settle(order_id, &digest, outcome, evidence.clone(), seq) {
            Some(n) => Row::Settle(Settled { n, digest, outcome, evidence }),
            None => {
                assert_eq!(outcome, Outcome::Commit, "what is settled can only turn out to be a commit"); // R12
                Row::LateCommit { order_id, digest, evidence }
            }
        });
    }

    fn open_payments(&self) -> Vec<Digest> {
        self.cache.in_doubt().map(|payment| payment.order.digest()).collect()
    }

    fn floor(&self) -> UnixMillis {
        self.floor
    }

    fn raise_floor(&mut self, floor: UnixMillis) {
        assert!(floor >= self.floor, "the floor only rises"); // R7
        self.floor = floor;
        self.rows.push(Row::Floor(floor));
        self.drop_payments(floor, false);
    }

    fn drop_payments(&mut self, upto: UnixMillis, drop_yes: bool) {
        assert!(!drop_yes, "only the checker's flawed banks drop a YES"); // R7
        self.rows.push(Row::Drop { upto });
        self.cache.drop_refusals(upto);
    }

    fn insert_double_vote(&mut self, proof: DoubleVote) {
        self.rows.push(Row::DoubleVote(proof));
    }
}
