//! When balances are written: not with each event but in a sweep over all accounts, so that a page of the table is
//! written once for many events. The newest events, which the sweep has not covered, are read again on opening.

use super::changes::BalanceRow;
use super::entry::{Balances, Slot};
use super::state::Held;
use crate::Timestamp;

/// Which accounts have changed since their balances were written, and how far the sweep is.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// Events in which one sweep covers all accounts; opening reads at most twice as many again.
    events: usize,
    /// One bit for each account.
    changed: Vec<u64>,
    /// The next account of the sweep.
    next: usize,
    /// Balances are on disk for all events up to this time.
    pub(super) from: Timestamp,
    /// The newest event when the sweep began.
    began: Timestamp,
}

impl Sweep {
    /// Continues after `from`, with the events up to `newest` known to be marked.
    pub(super) fn resume(from: Timestamp, newest: Timestamp, events: usize) -> Self {
        Self { events, from, began: newest, ..Self::default() }
    }

    /// The account's balances have to be written some time; returns whether that is news.
    pub(super) fn mark(&mut self, slot: Slot) -> bool {
        let word = slot.index() / 64;
        if word >= self.changed.len() {
            self.changed.resize(word + 1, 0);
        }
        let bit = 1 << (slot.index() % 64);
        let news = self.changed[word] & bit == 0;
        self.changed[word] |= bit;
        news
    }

    /// The rows that are to be written with a commit of so many events, the newest at `newest`.
    pub(super) fn take(&mut self, accounts: &[Held], events: usize, newest: Timestamp) -> Vec<BalanceRow> {
        let share = (accounts.len() * events).div_ceil(self.events.max(1));
        let upto = (self.next + share.next_multiple_of(64)).min(accounts.len());
        let rows = self.rows(accounts, self.next, upto);
        self.next = upto;
        if upto == accounts.len() {
            self.next = 0;
            self.from = self.began;
            self.began = newest;
        }
        rows
    }

    /// All rows that lag.
    pub(super) fn take_all(&mut self, accounts: &[Held], newest: Timestamp) -> Vec<BalanceRow> {
        self.next = 0;
        self.from = newest;
        self.began = newest;
        self.rows(accounts, 0, accounts.len())
    }

    /// The changed accounts from `first` up to and without `end`; both are multiples of 64, or the end of all.
    fn rows(&mut self, accounts: &[Held], first: usize, end: usize) -> Vec<BalanceRow> {
        let mut rows = Vec::new();
        let words = self.changed.len().min(end.div_ceil(64));
        for word in first / 64..words {
            let mut bits = std::mem::take(&mut self.changed[word]);
            while bits != 0 {
                let index = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let Some(held) = accounts.get(index) else { continue }; // Marked, then rolled back.
                rows.push(BalanceRow {
                    slot: Slot::at(index),
                    head: held.head,
                    balances: Balances::of(&held.account),
                });
            }
        }
        rows
    }
}
