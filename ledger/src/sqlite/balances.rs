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
    /// How far beyond `next` the sweep should be, in accounts times `events`: of small commits only every so many
    /// writes balances, of 64 accounts together.
    due: usize,
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
        let of_one = self.events.max(1);
        self.due += accounts.len() * events;
        let due = self.next + self.due / of_one;
        let upto = if due >= accounts.len() { accounts.len() } else { due / 64 * 64 };
        let rows = self.rows(accounts, self.next, upto);
        self.due -= (upto - self.next) * of_one;
        self.next = upto;
        if upto == accounts.len() {
            (self.next, self.due) = (0, 0);
            self.from = self.began;
            self.began = newest;
        }
        rows
    }

    /// All rows that lag.
    pub(super) fn take_all(&mut self, accounts: &[Held], newest: Timestamp) -> Vec<BalanceRow> {
        (self.next, self.due) = (0, 0);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Account;

    fn accounts(count: usize) -> Vec<Held> {
        let account = |id| Held { account: Account::new(id, 1, 1), head: Timestamp::ZERO };
        (1..=count as u128).map(account).collect()
    }

    /// Commits of `events` events, each of which changes all accounts, until one sweep is over: the rows of each.
    fn one_sweep(sweep: &mut Sweep, accounts: &[Held], events: usize) -> Vec<usize> {
        let (mut rows, before) = (Vec::new(), sweep.began);
        while sweep.began == before {
            (0..accounts.len()).for_each(|place| {
                sweep.mark(Slot::at(place));
            });
            let newest = Timestamp(before.0 + rows.len() as u64 + 1);
            rows.push(sweep.take(accounts, events, newest).len());
        }
        rows
    }

    #[test]
    fn a_sweep_covers_all_accounts_in_so_many_events() {
        for (count, lag, events, commits) in [
            (1_000, 4_096, 64, 64),
            (1_000, 4_096, 1, 4_096),
            (10, 100, 1, 100),
            (65, 100, 7, 15),
            (9, 100, 500, 1),
        ] {
            let accounts = accounts(count);
            let mut sweep = Sweep::resume(Timestamp::ZERO, Timestamp::FIRST, lag);
            for _ in 0..2 {
                let rows = one_sweep(&mut sweep, &accounts, events);
                assert_eq!(rows.len(), commits, "{count} accounts, {events} events in a commit");
                assert_eq!(rows.iter().sum::<usize>(), count);
                let share = (count * events).div_ceil(lag);
                assert!(
                    rows.iter().all(|rows| *rows < share + 64),
                    "none writes more than its share: {rows:?}"
                );
            }
        }
    }

    #[test]
    fn small_commits_write_no_balances_most_of_the_time() {
        let accounts = accounts(10_000);
        let mut sweep = Sweep::resume(Timestamp::ZERO, Timestamp::FIRST, 1 << 17);
        let rows = one_sweep(&mut sweep, &accounts, 64);
        assert!(rows.iter().filter(|rows| **rows == 0).count() > rows.len() * 9 / 10);
    }
}
