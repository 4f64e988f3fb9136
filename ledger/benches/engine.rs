//! What the engine costs without a disk: a batch against the state in memory, nothing written.
//! `cargo bench -p hundi-ledger --bench engine` (more of one: `-- state --sample-count 300`).
//!
//! `state` is the memory that runs in front of the disk; `memory_store` the ordered one for models and tests.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

mod shared;

use std::fmt;

use divan::Bencher;
use divan::counter::ItemsCount;
use hundi_ledger::sqlite::{self, Options, State};
use hundi_ledger::{
    AccountFlags, CreateTransferStatus, MemoryStore, Store, Timestamp, Transfer, TransferFlags, engine,
};
use shared::{BATCH, Shape, TemporaryFile, Transfers, create_accounts};

fn main() {
    divan::main();
}

/// What a batch is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    SinglePhase,
    /// Over a million accounts instead of ten thousand: memory outside the processor's caches.
    MillionAccounts,
    RandomIds,
    /// 30 % pending, about half of them resolved.
    TwoPhase,
    /// Chains of two.
    Linked,
    /// Every account has a limit and no money: all are refused.
    Refused,
    /// Every transfer is there already.
    Repeated,
}

const WORK: [Work; 7] = [
    Work::SinglePhase,
    Work::MillionAccounts,
    Work::RandomIds,
    Work::TwoPhase,
    Work::Linked,
    Work::Refused,
    Work::Repeated,
];

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Work {
    fn shape(self) -> Shape {
        let accounts = if self == Self::MillionAccounts { 1_000_000 } else { 10_000 };
        let pending_percent = if self == Self::TwoPhase { 30 } else { 0 };
        Shape { accounts, random_ids: self == Self::RandomIds, pending_percent }
    }

    fn flags(self) -> AccountFlags {
        match self {
            Self::Refused => AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS,
            _ => AccountFlags::NONE,
        }
    }

    fn status(self) -> CreateTransferStatus {
        match self {
            Self::Refused => CreateTransferStatus::ExceedsCredits,
            Self::Repeated => CreateTransferStatus::Exists,
            _ => CreateTransferStatus::Created,
        }
    }
}

/// A store with accounts, and the batches for it.
struct Bench<S> {
    work: Work,
    store: S,
    transfers: Transfers,
    time: u64,
    size: usize,
    last: Vec<Transfer>,
}

impl<S> Bench<S>
where
    S: Store,
    S::Error: fmt::Debug,
{
    fn new(mut store: S, work: Work, size: usize, forget: fn(&mut S)) -> Self {
        let shape = work.shape();
        let time = create_accounts(&mut store, shape.accounts, work.flags(), forget);
        let mut bench = Self { work, store, transfers: Transfers::new(shape), time, size, last: Vec::new() };
        // The branch predictor and the caches; for repeats, what is repeated.
        bench.last = bench.fresh();
        bench.execute(&bench.last.clone());
        forget(&mut bench.store);
        bench
    }

    fn fresh(&mut self) -> Vec<Transfer> {
        self.time += 10_000_000;
        let mut batch = self.transfers.batch(self.time, self.size);
        if self.work == Work::Linked {
            batch.chunks_exact_mut(2).for_each(|pair| pair[0].flags |= TransferFlags::LINKED);
        }
        for transfer in &mut batch {
            transfer.amount.0 += u128::from(self.work == Work::Refused); // 0 exceeds nothing.
        }
        batch
    }

    fn batch(&mut self) -> Vec<Transfer> {
        if self.work == Work::Repeated {
            self.time += 10_000_000;
            return self.last.clone();
        }
        self.fresh()
    }

    fn execute(&mut self, batch: &[Transfer]) -> CreateTransferStatus {
        let results = engine::create_transfers(&mut self.store, Timestamp(self.time), batch).unwrap();
        results[results.len() - 1].status
    }
}

/// As if the disk had written it.
fn forget(state: &mut State) {
    let seq = state.take_changes().seq();
    state.handle_durable(seq);
}

fn measure<S>(bencher: Bencher<'_, '_>, bench: Bench<S>, forget: fn(&mut S))
where
    S: Store,
    S::Error: fmt::Debug,
{
    let (size, status) = (bench.size, bench.work.status());
    let bench = std::cell::RefCell::new(bench);
    bencher
        .counter(ItemsCount::new(size))
        .with_inputs(|| {
            let mut bench = bench.borrow_mut();
            forget(&mut bench.store);
            bench.batch()
        })
        .bench_local_refs(|batch| assert_eq!(bench.borrow_mut().execute(batch), status));
}

/// The state of a new file. `events`: how many of the newest it keeps; what it forgot it would look for on disk.
fn new_state(file: &TemporaryFile, events: usize) -> State {
    let options = Options { recent_events: events, lag_events: events, ..Options::default() };
    sqlite::open(file.path(), options).unwrap().0
}

#[divan::bench(args = WORK, sample_count = 60, sample_size = 1)]
fn state(bencher: Bencher<'_, '_>, work: Work) {
    let file = TemporaryFile::new("engine");
    let state = new_state(&file, 1 << 20);
    measure(bencher, Bench::new(state, work, BATCH, forget), forget);
}

/// Batches of one: what a call costs.
#[divan::bench(sample_count = 2_000, sample_size = 1)]
fn state_one_by_one(bencher: Bencher<'_, '_>) {
    let file = TemporaryFile::new("engine");
    let state = new_state(&file, 1 << 20);
    measure(bencher, Bench::new(state, Work::SinglePhase, 1, forget), forget);
}

/// What is taken for the disk after a batch: the hash of its content, its part of the index of ids, balances.
#[divan::bench(args = [Work::SinglePhase, Work::MillionAccounts, Work::RandomIds], sample_count = 60, sample_size = 1)]
fn take_changes(bencher: Bencher<'_, '_>, work: Work) {
    let file = TemporaryFile::new("engine");
    let state = new_state(&file, 1 << 17); // As in production: it writes what lags.
    let bench = std::cell::RefCell::new(Bench::new(state, work, BATCH, forget));
    bencher
        .counter(ItemsCount::new(BATCH))
        .with_inputs(|| {
            let mut bench = bench.borrow_mut();
            let batch = bench.batch();
            assert_eq!(bench.execute(&batch), work.status());
        })
        .bench_local_values(|()| forget(&mut bench.borrow_mut().store));
}

#[divan::bench(args = WORK, sample_count = 20, sample_size = 1)]
fn memory_store(bencher: Bencher<'_, '_>, work: Work) {
    let nothing: fn(&mut MemoryStore) = |_| {};
    measure(bencher, Bench::new(MemoryStore::new(), work, BATCH, nothing), nothing);
}
