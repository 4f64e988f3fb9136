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

/// SHA-256 over everything that a commit says: three counts, then accounts, events and burnt ids in order of
/// execution.
pub(super) struct Content(Sha256);

impl Content {
    pub(super) fn new(accounts: usize, events: usize, burnt: usize) -> Self {
        let mut hash = Sha256::new_with_prefix(b"hundi/content/v1\0");
        for count in [accounts, events, burnt] {
            hash.update((count as u64).to_le_bytes());
        }
        Self(hash)
    }

    pub(super) fn account(&mut self, account: &Account) {
        self.0.update(account_content(account));
    }

    pub(super) fn event(&mut self, entry: &Entry) {
        self.0.update(entry.content());
    }

    pub(super) fn burnt(&mut self, id: TransferId) {
        self.0.update(id.0.to_le_bytes());
    }

    pub(super) fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }

    /// All at once.
    pub(super) fn of(accounts: &[Account], entries: &[Entry], burnt: &[TransferId]) -> [u8; 32] {
        let mut content = Self::new(accounts.len(), entries.len(), burnt.len());
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
