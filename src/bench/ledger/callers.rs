//! Many callers with one transfer each at a time: they share disk writes through the ledger's handle.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use hundi_ledger::{CreateAccountStatus, CreateTransferStatus, Ledger};
use indicatif::ProgressBar;

use super::Run;
use super::workload::{Expected, Shape, Workload};
use crate::failure::{Failure, While as _};

/// Accounts created in one call.
const ACCOUNTS_AT_ONCE: usize = 8_189;

/// How far all callers are together.
struct Shared {
    next: AtomicU64,
    transfers: u64,
    begun: Instant,
    /// When the first tenth was over and when the last began, in nanoseconds from the beginning.
    first_tenth: AtomicU64,
    last_tenth: AtomicU64,
}

/// Runs all transfers on a fresh file, each caller on a thread of its own.
pub(super) fn run(
    path: &Path,
    shape: &Shape,
    transfers: u64,
    callers: u64,
    progress: &ProgressBar,
) -> Result<Run, Failure> {
    let ledger = Ledger::open(path).or_fail(|| format!("{}", path.display()))?;
    for accounts in Workload::accounts(shape, ACCOUNTS_AT_ONCE) {
        let results = ledger.create_accounts(accounts).or_fail(|| "creating accounts".to_owned())?;
        assert!(results.iter().all(|result| result.status == CreateAccountStatus::Created));
    }
    let shared = Shared {
        next: AtomicU64::new(0),
        transfers,
        begun: Instant::now(),
        first_tenth: AtomicU64::new(0),
        last_tenth: AtomicU64::new(0),
    };
    let done: Vec<Result<(Vec<Duration>, Expected), Failure>> = std::thread::scope(|scope| {
        let call = |caller| {
            let (ledger, shared) = (ledger.clone(), &shared);
            let workload = Workload::new(*shape, caller + 1).among(callers);
            scope.spawn(move || call(&ledger, workload, shared, progress))
        };
        let threads: Vec<_> = (0..callers).map(call).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    let elapsed = shared.begun.elapsed();
    let (mut latencies, mut expected) = (Vec::new(), Expected::default());
    for done in done {
        let (of_caller, part) = done?;
        latencies.extend(of_caller);
        expected.add(part);
    }
    let (first, last) = (shared.first_tenth.into_inner(), shared.last_tenth.into_inner());
    let last_tenth = elapsed.saturating_sub(Duration::from_nanos(last));
    Ok(Run { elapsed, latencies, expected, first_tenth: Duration::from_nanos(first), last_tenth })
}

/// One caller: asks, waits for the answer, asks again.
fn call(
    ledger: &Ledger,
    mut workload: Workload,
    shared: &Shared,
    progress: &ProgressBar,
) -> Result<(Vec<Duration>, Expected), Failure> {
    let mut latencies = Vec::new();
    let tenth = shared.transfers / 10;
    loop {
        let place = shared.next.fetch_add(1, Relaxed);
        if place >= shared.transfers {
            return Ok((latencies, workload.expected()));
        }
        let now = || u64::try_from(shared.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        match place {
            _ if place == tenth => shared.first_tenth.store(now(), Relaxed),
            _ if place == shared.transfers - tenth => shared.last_tenth.store(now(), Relaxed),
            _ => {}
        }
        let transfer = workload.transfer(place + 1);
        let asked = Instant::now();
        let result = ledger.create_transfer(transfer).or_fail(|| "creating a transfer".to_owned())?;
        latencies.push(asked.elapsed());
        let status = result.status;
        assert_eq!(status, CreateTransferStatus::Created, "every transfer of the benchmark is sound");
        if place.is_multiple_of(1_024) {
            progress.set_position(place);
        }
    }
}
