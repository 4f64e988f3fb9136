//! Many callers with one transfer each at a time: they share disk writes through the ledger's handle.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use hundi_ledger::{CreateAccountStatus, CreateTransferStatus, Ledger, LedgerError};

use super::workload::{Expected, Workload};
use super::{Run, Task};
use crate::failure::{Failure, While as _};

/// Accounts created in one call.
const ACCOUNTS_AT_ONCE: usize = 8_189;

/// How far all callers are together.
struct Shared {
    next: AtomicU64,
    /// How long each transfer took, in nanoseconds, by place: in one piece of memory that is there before the clock starts.
    latencies: Vec<AtomicU64>,
    begun: Instant,
    /// When the first tenth was over and when the last began, in nanoseconds from the beginning.
    first_tenth: AtomicU64,
    last_tenth: AtomicU64,
}

/// Why a caller stopped early.
enum Stopped {
    /// The ledger took no more calls: it had stopped for another reason, which the caller whom it concerned was told.
    Closed(Failure),
    /// For a reason of its own.
    Failed(Failure),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Runs all transfers on a fresh file, each caller on a thread of its own.
pub(super) fn run(task: &Task<'_>, callers: u64) -> Result<Run, Failure> {
    let Task { path, shape, transfers, .. } = *task;
    let ledger = Ledger::open(path).or_fail(|| format!("{}", path.display()))?;
    for accounts in Workload::accounts(shape, ACCOUNTS_AT_ONCE) {
        let results = ledger.create_accounts(accounts).or_fail(|| "creating accounts".to_owned())?;
        assert!(results.iter().all(|result| result.status == CreateAccountStatus::Created));
    }
    let shared = Shared {
        next: AtomicU64::new(0),
        latencies: (0..transfers).map(|_| AtomicU64::new(0)).collect(),
        begun: Instant::now(),
        first_tenth: AtomicU64::new(0),
        last_tenth: AtomicU64::new(0),
    };
    let done: Vec<Result<Expected, Stopped>> = std::thread::scope(|scope| {
        let call = |caller| {
            let (ledger, shared) = (ledger.clone(), &shared);
            let workload = Workload::new(*shape, caller + 1).among(callers);
            scope.spawn(move || call(&ledger, workload, shared, task))
        };
        let threads: Vec<_> = (0..callers).map(call).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    let elapsed = shared.begun.elapsed();
    let (mut expected, mut closed) = (Expected::default(), None);
    for part in done {
        match part {
            Ok(part) => expected.add(part),
            Err(Stopped::Failed(why)) => return Err(why),
            Err(Stopped::Closed(why)) => closed = Some(why),
        }
    }
    closed.map_or(Ok(()), Err)?;
    let latencies =
        shared.latencies.into_iter().map(|time| Duration::from_nanos(time.into_inner())).collect();
    let (first, last) = (shared.first_tenth.into_inner(), shared.last_tenth.into_inner());
    let last_tenth = elapsed.saturating_sub(Duration::from_nanos(last));
    Ok(Run { elapsed, latencies, expected, first_tenth: Duration::from_nanos(first), last_tenth })
}

/// One caller: asks, waits for the answer, asks again.
fn call(
    ledger: &Ledger,
    mut workload: Workload,
    shared: &Shared,
    task: &Task<'_>,
) -> Result<Expected, Stopped> {
    let Task { transfers, acknowledged, progress, .. } = *task;
    let tenth = transfers / 10;
    loop {
        let place = shared.next.fetch_add(1, Relaxed);
        if place >= transfers {
            return Ok(workload.expected());
        }
        let since = |then: Instant| u64::try_from(then.elapsed().as_nanos()).unwrap_or(u64::MAX);
        match place {
            _ if place == tenth => shared.first_tenth.store(since(shared.begun), Relaxed),
            _ if place == transfers - tenth => shared.last_tenth.store(since(shared.begun), Relaxed),
            _ => {}
        }
        let transfer = workload.transfer(place + 1);
        let asked = Instant::now();
        let result = ledger.create_transfer(transfer);
        let closed = matches!(result, Err(LedgerError::Closed));
        let result = result.or_fail(|| "creating a transfer".to_owned()).map_err(|why| match closed {
            true => Stopped::Closed(why),
            false => Stopped::Failed(why),
        })?;
        let latency = usize::try_from(place).ok().and_then(|place| shared.latencies.get(place));
        latency.expect("one for each transfer").store(since(asked), Relaxed);
        let status = result.status;
        assert_eq!(status, CreateTransferStatus::Created, "every transfer of the benchmark is sound");
        if let Some(list) = acknowledged {
            list.add(&[transfer.id])?;
        }
        if place.is_multiple_of(1_024) {
            progress.set_position(place);
        }
    }
}
