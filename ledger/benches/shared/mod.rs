//! What the benchmarks share: transfers by the batch, accounts for them, and a file that goes away.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "shared by several benchmarks")]

use std::path::{Path, PathBuf};

use hundi_ledger::{Account, AccountFlags, Store, Timestamp, Transfer, engine};

/// Events in a batch: as many as other ledger databases take at once.
pub const BATCH: usize = 8_189;

/// xorshift64: fast, and the same in every run.
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        Self(88_172_645_463_325_252)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// What transfers are made of.
#[derive(Clone, Copy)]
pub struct Shape {
    pub accounts: u64,
    pub random_ids: bool,
    /// So many of 100 are in two phases: pending, or posting one of the last thousand.
    pub pending_percent: u64,
}

/// Makes transfers.
pub struct Transfers {
    shape: Shape,
    random: Random,
    open: Vec<u128>,
}

impl Transfers {
    pub fn new(shape: Shape) -> Self {
        Self { shape, random: Random::new(), open: Vec::new() }
    }

    /// `size` transfers to be executed at `time`.
    pub fn batch(&mut self, time: u64, size: usize) -> Vec<Transfer> {
        (time - size as u64..time).map(|at| self.one(at)).collect()
    }

    fn one(&mut self, at: u64) -> Transfer {
        let Shape { accounts, random_ids, pending_percent } = self.shape;
        let low = u128::from(self.random.next());
        let high = if random_ids { self.random.next() } else { at };
        let id = (u128::from(high) << 64) | low;
        let debit = self.random.next() % accounts + 1;
        let credit = (debit + self.random.next() % (accounts - 1)) % accounts + 1;
        let transfer = |amount: u128| Transfer::new(id, u128::from(debit), u128::from(credit), amount, 1, 1);
        if self.random.next() % 100 >= pending_percent {
            return transfer(u128::from(low as u8));
        }
        if self.open.len() > 1_000 && self.random.next().is_multiple_of(2) {
            return Transfer::post(id, self.open.swap_remove((self.random.next() % 1_000) as usize));
        }
        self.open.push(id);
        transfer(100).pending(0)
    }
}

/// Creates accounts 1 to `count` in batches, and calls `after` each. Returns the time of the last.
pub fn create_accounts<S>(
    store: &mut S,
    count: u64,
    flags: AccountFlags,
    mut after: impl FnMut(&mut S),
) -> u64
where
    S: Store,
    S::Error: std::fmt::Debug,
{
    let mut time = 1_700_000_000_000_000_000;
    for first in (1..=count).step_by(BATCH) {
        let last = (first + BATCH as u64 - 1).min(count);
        let account = |id| Account::new(u128::from(id), 1, 1).with_flags(flags);
        let batch: Vec<Account> = (first..=last).map(account).collect();
        time += 1_000_000;
        engine::create_accounts(store, Timestamp(time), &batch).unwrap();
        after(store);
    }
    time
}

/// A ledger's file where the system keeps temporary ones, removed at the end.
pub struct TemporaryFile(PathBuf);

impl TemporaryFile {
    pub fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("hundi-{name}-{}.db", std::process::id())))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm", ".lock"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", self.0.display()));
        }
    }
}
