//! The transfers of a benchmark: the same for every run with the same options.

use std::collections::VecDeque;

use clap::ValueEnum;
use hundi_ledger::{Account, AccountFlags, Amount, Timestamp, Transfer};

use super::zipf::Zipf;

/// Where transfers' ids come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ids {
    /// Rising with time, as UUID version 7 and ULID are
    #[default]
    Time,
    /// All 128 bits random, as UUID version 4 is
    Random,
}

/// What a workload is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) accounts: u64,
    pub(crate) ids: Ids,
    /// How many of 100 transfers are pending. Each is posted or voided by a later transfer, as far as the rest of
    /// the 100 reaches.
    pub(crate) pending_percent: u64,
    pub(crate) zipf: bool,
    pub(crate) history: bool,
}

/// Every account's ledger and code; every transfer's.
const LEDGER: u32 = 1;
const CODE: u16 = 1;
/// A pending transfer waits for so many others before its second phase.
const OPEN_FOR: usize = 2_000;
/// The largest amount of one transfer.
const AMOUNT_MAX: u64 = 1_000;

/// xorshift64*: fast, repeatable, and good enough to spread load.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Below `bound`, evenly enough.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }
}

/// What the books must show afterwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) transfers: u64,
    pub(super) posted: u128,
    pub(super) pending: u128,
}

impl Expected {
    /// Adds what another part of the run did.
    pub(super) fn add(&mut self, other: Expected) {
        self.transfers += other.transfers;
        self.posted += other.posted;
        self.pending += other.pending;
    }
}

/// Makes transfers.
#[derive(Debug)]
pub(super) struct Workload {
    shape: Shape,
    open_for: usize,
    random: Random,
    zipf: Option<Zipf>,
    /// Pending transfers that are to be resolved: id and amount.
    open: VecDeque<(u128, u64)>,
    expected: Expected,
}

impl Workload {
    pub(super) fn new(shape: Shape, seed: u64) -> Self {
        let zipf = shape.zipf.then(|| Zipf::new(shape.accounts));
        let random = Random::new(seed);
        Self { shape, open_for: OPEN_FOR, random, zipf, open: VecDeque::new(), expected: Expected::default() }
    }

    /// The same as one of `callers` that share the pending transfers between them.
    pub(super) fn among(mut self, callers: u64) -> Self {
        self.open_for = OPEN_FOR / usize::try_from(callers).unwrap_or(OPEN_FOR).clamp(1, OPEN_FOR);
        self
    }

    /// The accounts, in batches of at most `batch`.
    pub(super) fn accounts(shape: &Shape, batch: usize) -> impl Iterator<Item = Vec<Account>> {
        let flags = if shape.history { AccountFlags::HISTORY } else { AccountFlags::NONE };
        let (all, step) = (shape.accounts, batch as u64);
        (1..=all).step_by(batch).map(move |first| {
            let ids = first..=all.min(first + step - 1);
            ids.map(|id| Account::new(u128::from(id), LEDGER, CODE).with_flags(flags)).collect()
        })
    }

    /// The next `size` transfers, to be executed at `time`. They count as done: the books are held against them.
    pub(super) fn batch(&mut self, time: Timestamp, size: usize) -> Vec<Transfer> {
        let first = time.0 - size as u64 + 1;
        (first..=time.0).map(|at| self.transfer(at)).collect()
    }

    /// One transfer with an id of the nanosecond `at`, which rises from call to call.
    pub(super) fn transfer(&mut self, at: u64) -> Transfer {
        let high = match self.shape.ids {
            Ids::Time => at,
            Ids::Random => self.random.next(),
        };
        let id = u128::from(high) << 64 | u128::from(self.random.next());
        self.expected.transfers += 1;
        let kind = self.random.below(100);
        let pending = self.shape.pending_percent;
        if kind >= pending && kind < pending * 2 && self.open.len() > self.open_for {
            return self.second_phase(id);
        }
        let (debit, credit) = self.two_accounts();
        let amount = 1 + self.random.below(AMOUNT_MAX);
        let transfer = Transfer::new(id, debit, credit, u128::from(amount), LEDGER, CODE);
        if kind < pending {
            self.open.push_back((id, amount));
            self.expected.pending += u128::from(amount);
            return transfer.pending(0);
        }
        self.expected.posted += u128::from(amount);
        transfer
    }

    /// Posts nine of ten, voids the tenth.
    fn second_phase(&mut self, id: u128) -> Transfer {
        let (pending, amount) = self.open.pop_front().unwrap_or_default();
        self.expected.pending -= u128::from(amount);
        if self.random.below(10) == 0 {
            return Transfer::void(id, pending);
        }
        self.expected.posted += u128::from(amount);
        Transfer::post(id, pending).with_amount(Amount::MAX)
    }

    fn two_accounts(&mut self) -> (u128, u128) {
        let accounts = self.shape.accounts;
        let debit = self.account();
        let credit = self.account();
        // The next one, where both are the same.
        let credit = if credit == debit { (credit + 1) % accounts } else { credit };
        (u128::from(debit + 1), u128::from(credit + 1))
    }

    /// An account, counted from 0.
    fn account(&mut self) -> u64 {
        match &self.zipf {
            None => self.random.below(self.shape.accounts),
            Some(zipf) => zipf.pick(self.random.next()),
        }
    }

    pub(super) fn expected(&self) -> Expected {
        self.expected
    }
}
