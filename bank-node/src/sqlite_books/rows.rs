//! The bank's rows of one commit: collected by the books, written by the disk, hashed into the chain.

use std::sync::Arc;

use hundi_ledger::{AccountId, CommitSeq};
use hundi_protocol::{
    AccountName, BankName, Currency, Decision, Digest, DoubleVote, Order, OrderId, Outcome, PublicKey,
    Signed, UnixMillis, Verified, Vote,
};
use rusqlite::{CachedStatement, Connection};
use sha2::{Digest as _, Sha256};

use crate::books::{Customer, OwnAccount, Payment};

/// One change of the bank's own tables.
#[derive(Clone, Debug)]
pub(super) enum Row {
    OpenCustomer {
        name: AccountName,
        customer: Customer,
    },
    CloseCustomer {
        name: AccountName,
    },
    NameOwnAccounts {
        currency: Currency,
    },
    /// `n`: its place in the order of voting.
    Vote {
        n: i64,
        payment: Payment,
    },
    Settle(Settled),
    /// A commit after an abort (R12).
    LateCommit {
        order_id: OrderId,
        digest: Digest,
        evidence: Vec<Verified<Vote>>,
    },
    DoubleVote(DoubleVote),
    Owner {
        bank: BankName,
        key: PublicKey,
    },
    Floor(UnixMillis),
    Drop {
        upto: UnixMillis,
    },
}

/// The outcome of the payment that was the `n`th, and in doubt.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    pub(super) n: i64,
    pub(super) digest: Digest,
    pub(super) outcome: Outcome,
    pub(super) evidence: Vec<Verified<Vote>>,
}

/// The code of an outcome in the file.
pub(super) fn outcome_code(outcome: Outcome) -> i64 {
    match outcome {
        Outcome::Abort => 0,
        Outcome::Commit => 1,
    }
}

/// The other banks' votes as they are kept: postcard of a list of signed votes.
pub(super) fn evidence_bytes(evidence: &[Verified<Vote>]) -> Vec<u8> {
    let votes: Vec<&Signed<Vote>> = evidence.iter().map(Verified::signed).collect();
    postcard::to_allocvec(&votes).expect("plain data is written to memory")
}

fn hash_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// The size of an entry of `refusals`.
pub(super) const REFUSAL_SIZE: usize = 40;

/// What the table `refusals` keeps of one refusal: when its order expires, and the hash of everything in its row.
pub(super) fn refusal_entry(
    vote: i64,
    claims_order_id: bool,
    evidence: &[u8],
    jws: &[u8],
    expires_at: i64,
) -> [u8; REFUSAL_SIZE] {
    let hash = hash_of(&[b"no", &vote.to_be_bytes(), &[u8::from(claims_order_id)], evidence, jws]);
    let mut entry = [0; REFUSAL_SIZE];
    entry[..8].copy_from_slice(&expires_at.to_be_bytes());
    entry[8..].copy_from_slice(&hash);
    entry
}

/// Hashes of rows that stay for good. They are sorted before they are hashed together, so that a reader finds
/// the same value from the tables, whatever the order of writing.
#[derive(Default)]
pub(super) struct RowHashes(Vec<[u8; 32]>);

impl RowHashes {
    fn add(&mut self, parts: &[&[u8]]) {
        self.0.push(hash_of(parts));
    }

    pub(super) fn customer_opened(
        &mut self,
        name: &str,
        account: AccountId,
        currency: &str,
        key: Option<&[u8]>,
    ) {
        let account = account.0.to_be_bytes();
        self.add(&[b"open", name.as_bytes(), &account, currency.as_bytes(), key.unwrap_or_default()]);
    }

    pub(super) fn customer_closed(&mut self, name: &str) {
        self.add(&[b"close", name.as_bytes()]);
    }

    /// A YES.
    pub(super) fn yes(&mut self, claims_order_id: bool, jws: &[u8]) {
        self.add(&[b"yes", &[u8::from(claims_order_id)], jws]);
    }

    /// The refusals of the commit, which may be dropped (R7): their hashes' hash is in the chain.
    pub(super) fn refusals(&mut self, last_expires_at: i64, hash: &[u8]) {
        self.add(&[b"refusals", &last_expires_at.to_be_bytes(), hash]);
    }

    pub(super) fn settled(&mut self, digest: &[u8], outcome: i64, evidence: &[u8]) {
        self.add(&[b"settled", digest, &outcome.to_be_bytes(), evidence]);
    }

    pub(super) fn double_vote(&mut self, digest: &[u8], yes: &[u8], no: &[u8]) {
        self.add(&[b"double vote", digest, yes, no]);
    }

    pub(super) fn late_commit(&mut self, digest: &[u8], evidence: &[u8]) {
        self.add(&[b"late commit", digest, evidence]);
    }

    pub(super) fn owner(&mut self, bank: &str, key: &[u8]) {
        self.add(&[b"owner", bank.as_bytes(), key]);
    }

    pub(super) fn floor(&mut self, expires_at: i64) {
        self.add(&[b"floor", &expires_at.to_be_bytes()]);
    }

    /// The bytes that the ledger hashes into its chain; empty if the commit has no such row.
    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        self.0.sort_unstable();
        self.0.concat()
    }
}

/// Writes the rows into the transaction of the ledger's rows and returns the bytes for the chain.
pub(super) fn write(tx: &Connection, seq: CommitSeq, rows: &[Row]) -> rusqlite::Result<Vec<u8>> {
    let seq = i64::try_from(seq.0).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, i64::MAX))?;
    let mut hashes = RowHashes::default();
    let mut refusals: Vec<[u8; REFUSAL_SIZE]> = Vec::new();
    let mut floor_raised = None;
    let mut settled: Vec<&Settled> = Vec::new();
    let mut votes = VoteWriter { tx, seq, statements: None };
    for row in rows {
        match row {
            Row::OpenCustomer { name, customer } => open_customer(tx, seq, name, customer, &mut hashes)?,
            Row::CloseCustomer { name } => {
                tx.prepare_cached("UPDATE customers SET closed_seq = ? WHERE name = ?")?
                    .execute((seq, name.as_str()))?;
                hashes.customer_closed(name.as_str());
            }
            Row::NameOwnAccounts { currency } => {
                for own in OwnAccount::ALL {
                    name_account(tx, own.id(*currency), &own.name(*currency), *currency)?;
                }
            }
            Row::Vote { n, payment } => votes.write((*n, payment), &mut hashes, &mut refusals)?,
            Row::Settle(outcome) => settled.push(outcome),
            Row::LateCommit { order_id, digest, evidence } => {
                late_commit(tx, seq, (*order_id, *digest), evidence, &mut hashes)?;
            }
            Row::Owner { bank, key } => {
                tx.execute("INSERT INTO owner VALUES (?, ?, ?)", (seq, bank.as_str(), key.as_bytes()))?;
                hashes.owner(bank.as_str(), key.as_bytes());
            }
            Row::DoubleVote(proof) => double_vote(tx, seq, proof, &mut hashes)?,
            Row::Floor(floor) => {
                tx.execute("INSERT OR REPLACE INTO refusal_floors VALUES (?, ?)", (seq, millis(*floor)))?;
                floor_raised = Some(millis(*floor));
            }
            Row::Drop { upto } => {
                tx.execute("DELETE FROM payments WHERE vote <> 0 AND expires_at <= ?", [millis(*upto)])?;
                tx.execute(
                    "UPDATE refusals SET entries = NULL WHERE last_expires_at <= ? AND entries IS NOT NULL",
                    [millis(*upto)],
                )?;
            }
        }
    }
    settle_all(tx, seq, settled, &mut hashes)?;
    keep_refusals(tx, seq, refusals, &mut hashes)?;
    if let Some(floor) = floor_raised {
        hashes.floor(floor);
    }
    Ok(hashes.into_bytes())
}

/// Unix milliseconds are below 2^53.
fn millis(at: UnixMillis) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

fn open_customer(
    tx: &Connection,
    seq: i64,
    name: &AccountName,
    customer: &Customer,
    hashes: &mut RowHashes,
) -> rusqlite::Result<()> {
    let key = customer.key.as_ref().map(PublicKey::as_bytes);
    let currency = customer.currency.as_str();
    tx.prepare_cached("INSERT INTO customers(name, account, currency, key, seq) VALUES (?, ?, ?, ?, ?)")?
        .execute((name.as_str(), customer.account.0.to_be_bytes(), currency, key, seq))?;
    hashes.customer_opened(name.as_str(), customer.account, currency, key.map(|key| key.as_slice()));
    name_account(tx, customer.account, name.as_str(), customer.currency)
}

fn name_account(tx: &Connection, id: AccountId, name: &str, currency: Currency) -> rusqlite::Result<()> {
    tx.prepare_cached("INSERT INTO account_names(account, name, currency) VALUES (?, ?, ?)")?.execute((
        id.0.to_be_bytes(),
        name,
        currency.as_str(),
    ))?;
    Ok(())
}

/// Keeps the list of the commit's refusals and puts its hash into the chain.
fn keep_refusals(
    tx: &Connection,
    seq: i64,
    mut entries: Vec<[u8; REFUSAL_SIZE]>,
    hashes: &mut RowHashes,
) -> rusqlite::Result<()> {
    entries.sort_unstable();
    // Sorted by the time first.
    let Some(last) = entries.last().and_then(|entry| entry.first_chunk()) else { return Ok(()) };
    let last_expires_at = i64::from_be_bytes(*last);
    let entries = entries.concat();
    let hash: [u8; 32] = Sha256::digest(&entries).into();
    tx.prepare_cached("INSERT INTO refusals(seq, last_expires_at, hash, entries) VALUES (?, ?, ?, ?)")?
        .execute((seq, last_expires_at, hash, entries))?;
    hashes.refusals(last_expires_at, &hash);
    Ok(())
}

/// Writes votes. A commit has hundreds of them: their statements are looked for once.
struct VoteWriter<'a> {
    tx: &'a Connection,
    seq: i64,
    statements: Option<[CachedStatement<'a>; 2]>,
}

impl VoteWriter<'_> {
    fn write(
        &mut self,
        (n, payment): (i64, &Payment),
        hashes: &mut RowHashes,
        refusals: &mut Vec<[u8; REFUSAL_SIZE]>,
    ) -> rusqlite::Result<()> {
        let [insert, doubt] = match &mut self.statements {
            Some(statements) => statements,
            none => none.insert([
                self.tx.prepare_cached(
                    "INSERT INTO payments(n, order_id, digest, vote, claims_order_id, expires_at, seq, outcome, \
                     settled_seq, evidence, jws) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                )?,
                self.tx.prepare_cached("INSERT INTO in_doubt(n) VALUES (?)")?,
            ]),
        };
        let order: &Arc<Order> = &payment.order;
        let digest = order.digest();
        let evidence = payment.settled.map(|_| evidence_bytes(&payment.evidence));
        let outcome = payment.settled.map(outcome_code);
        insert.execute((
            n,
            order.id().to_bytes(),
            digest.as_bytes(),
            i64::from(payment.decision.code()),
            payment.claims_order_id,
            millis(order.expires_at()),
            self.seq,
            outcome,
            outcome.map(|_| self.seq),
            &evidence,
            order.bytes(),
        ))?;
        if payment.is_open() {
            doubt.execute([n])?;
        }
        if payment.decision == Decision::Yes {
            hashes.yes(payment.claims_order_id, order.bytes());
            if let (Some(outcome), Some(evidence)) = (outcome, &evidence) {
                hashes.settled(digest.as_bytes(), outcome, evidence);
            }
        } else {
            let (code, claims) = (i64::from(payment.decision.code()), payment.claims_order_id);
            let evidence = evidence.as_deref().unwrap_or_default();
            refusals.push(refusal_entry(code, claims, evidence, order.bytes(), millis(order.expires_at())));
        }
        Ok(())
    }
}

/// Outcomes of payments that were in doubt, in the order of voting: so they go to the table's end, or close to it.
fn settle_all(
    tx: &Connection,
    seq: i64,
    mut settled: Vec<&Settled>,
    hashes: &mut RowHashes,
) -> rusqlite::Result<()> {
    if settled.is_empty() {
        return Ok(());
    }
    settled.sort_unstable_by_key(|settled| settled.n);
    let mut insert =
        tx.prepare_cached("INSERT INTO outcomes(n, outcome, seq, evidence) VALUES (?, ?, ?, ?)")?;
    let mut remove = tx.prepare_cached("DELETE FROM in_doubt WHERE n = ?")?;
    for Settled { n, digest, outcome, evidence } in settled {
        let (outcome, evidence) = (outcome_code(*outcome), evidence_bytes(evidence));
        insert.execute((n, outcome, seq, &evidence))?;
        match remove.execute([n])? {
            1 => {}
            others => return Err(rusqlite::Error::StatementChangedRows(others)), // Not the file that was opened.
        }
        hashes.settled(digest.as_bytes(), outcome, &evidence);
    }
    Ok(())
}

/// A commit after an abort (R12), into a table of its own, for what is in the chain is never overwritten. Repeats are
/// ignored.
fn late_commit(
    tx: &Connection,
    seq: i64,
    (order_id, digest): (OrderId, Digest),
    evidence: &[Verified<Vote>],
    hashes: &mut RowHashes,
) -> rusqlite::Result<()> {
    let evidence = evidence_bytes(evidence);
    let late = tx
        .prepare_cached(
            "INSERT OR IGNORE INTO late_commits(order_id, digest, seq, evidence) VALUES (?, ?, ?, ?)",
        )?
        .execute((order_id.to_bytes(), digest.as_bytes(), seq, &evidence))?;
    if late == 1 {
        hashes.late_commit(digest.as_bytes(), &evidence);
    }
    Ok(())
}

fn double_vote(
    tx: &Connection,
    seq: i64,
    proof: &DoubleVote,
    hashes: &mut RowHashes,
) -> rusqlite::Result<()> {
    let bytes = |vote: &Verified<Vote>| evidence_bytes(std::slice::from_ref(vote));
    let (yes, no) = (bytes(proof.yes()), bytes(proof.no()));
    let says = proof.yes().statement();
    let fresh = tx
        .prepare_cached(
            "INSERT OR IGNORE INTO double_votes(digest, bank, yes, no, seq) VALUES (?, ?, ?, ?, ?)",
        )?
        .execute((says.payment.as_bytes(), says.bank.as_str(), &yes, &no, seq))?;
    if fresh == 1 {
        hashes.double_vote(says.payment.as_bytes(), &yes, &no);
    }
    Ok(())
}
