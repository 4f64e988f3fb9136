//! What one commit writes: collected by the state in memory, written by the disk.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::entry::{Balances, Entry, Slot, account_content};
use super::ids::IdChanges;
use crate::{Account, CommitSeq, Last, Timestamp, TransferId};

/// An account's balances as they are to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct BalanceRow {
    pub(super) slot: Slot,
    pub(super) head: Timestamp,
    pub(super) balances: Balances,
}

/// Everything that one commit writes. Made by [`State::take_changes`](super::State::take_changes), consumed by
/// [`Disk::commit`](super::Disk::commit), possibly on another thread.
#[derive(Debug)]
pub struct Changes {
    pub(super) seq: CommitSeq,
    pub(super) first_account: Slot,
    pub(super) accounts: Vec<Account>,
    pub(super) entries: Arc<Vec<Entry>>,
    /// The places in `entries` of events with a timestamp below an earlier event's.
    pub(super) late: Vec<usize>,
    pub(super) burnt: Vec<TransferId>,
    pub(super) ids: IdChanges,
    pub(super) balances: Vec<BalanceRow>,
    /// Balances on disk are right up to this time.
    pub(super) balances_from: Timestamp,
    pub(super) last: Last,
    pub(super) content: [u8; 32],
    /// What a transaction has already written.
    pub(super) written: Written,
}

/// Balances to be written though nothing happened, so that opening has less to read.
#[derive(Debug)]
pub struct Flush {
    pub(super) balances: Vec<BalanceRow>,
    pub(super) balances_from: Timestamp,
}

/// How many rows of the next commit are already written, in a transaction that is still open.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    pub(super) accounts: usize,
    pub(super) events: usize,
    pub(super) burnt: usize,
}

impl Changes {
    /// The commit that this will be.
    #[must_use]
    pub fn seq(&self) -> CommitSeq {
        self.seq
    }

    /// How many accounts, events and burnt ids the commit holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.accounts.len() + self.entries.len() + self.burnt.len()
    }

    /// Whether nothing happened. Such a commit can still be written, for the application's rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// SHA-256 over everything that a commit says: the counts and the hashes of its accounts, events and burnt ids, each
/// in order of execution.
#[derive(Default)]
pub(super) struct Content {
    counts: [u64; 3],
    hashes: [Sha256; 3],
}

impl Content {
    fn add(&mut self, list: usize, bytes: &[u8]) {
        self.counts[list] += 1;
        self.hashes[list].update(bytes);
    }

    pub(super) fn account(&mut self, account: &Account) {
        self.add(0, &account_content(account));
    }

    pub(super) fn event(&mut self, entry: &Entry) {
        self.add(1, &entry.content());
    }

    pub(super) fn burnt(&mut self, id: TransferId) {
        self.add(2, &id.0.to_le_bytes());
    }

    pub(super) fn finish(self) -> [u8; 32] {
        let mut hash = Sha256::new_with_prefix(b"hundi/content/v1\0");
        for (count, list) in self.counts.into_iter().zip(self.hashes) {
            hash.update(count.to_le_bytes());
            hash.update(list.finalize());
        }
        hash.finalize().into()
    }

    /// All at once.
    pub(super) fn of(accounts: &[Account], entries: &[Entry], burnt: &[TransferId]) -> [u8; 32] {
        let mut content = Self::default();
        accounts.iter().for_each(|account| content.account(account));
        entries.iter().for_each(|entry| content.event(entry));
        burnt.iter().for_each(|id| content.burnt(*id));
        content.finish()
    }
}

/// The hash of a commit: over the one before, its number, its content and the hash of the application's bytes
/// (zeros if there are none).
pub(super) fn chain(
    previous: &[u8; 32],
    seq: CommitSeq,
    content: &[u8; 32],
    app: Option<&[u8; 32]>,
) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(b"hundi/commit/v1\0");
    hash.update(previous);
    hash.update(seq.0.to_le_bytes());
    hash.update(content);
    hash.update(app.unwrap_or(&[0; 32]));
    hash.finalize().into()
}
