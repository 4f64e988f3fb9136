//! Many callers, one transfer each at a time, through the handle: `cargo bench -p hundi-ledger --bench callers -- 64 3`
//! (callers, seconds).

#![allow(clippy::unwrap_used, clippy::float_arithmetic, reason = "a benchmark")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hundi_ledger::{Account, CreateTransferStatus, Ledger, Transfer};

fn main() {
    let arguments: Vec<String> = std::env::args().filter(|argument| argument != "--bench").collect();
    let number = |at: usize, default: u64| arguments.get(at).map_or(default, |text| text.parse().unwrap());
    let (callers, seconds) = (number(1, 64), number(2, 3));
    let path = std::env::temp_dir().join(format!("hundi-callers-{}.db", std::process::id()));
    let ledger = Ledger::open(&path).unwrap();
    ledger.create_accounts((1..=10_000_u128).map(|id| Account::new(id, 1, 1)).collect()).unwrap();

    let (next, stop) = (AtomicU64::new(1), AtomicBool::new(false));
    let begun = Instant::now();
    let mut latencies: Vec<Duration> = std::thread::scope(|scope| {
        let (ledger, next, stop) = (&ledger, &next, &stop);
        let workers: Vec<_> = (0..callers)
            .map(|_| {
                scope.spawn(move || {
                    let mut latencies = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        let id = next.fetch_add(1, Ordering::Relaxed);
                        let (debit, credit) =
                            (u128::from(id % 10_000 + 1), u128::from((id + 1) % 10_000 + 1));
                        let asked = Instant::now();
                        let result = ledger
                            .create_transfer(Transfer::new(u128::from(id), debit, credit, 1, 1, 1))
                            .unwrap();
                        assert_eq!(result.status, CreateTransferStatus::Created);
                        latencies.push(asked.elapsed());
                    }
                    latencies
                })
            })
            .collect();
        std::thread::sleep(Duration::from_secs(seconds));
        stop.store(true, Ordering::Relaxed);
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let elapsed = begun.elapsed();
    latencies.sort_unstable();
    let commits = ledger.last_commit().unwrap().0;
    println!(
        "{:.0}/s by {callers} callers; p50 {:?} p99 {:?}; {:.1} transfers to a commit",
        latencies.len() as f64 / elapsed.as_secs_f64(),
        latencies[latencies.len() / 2],
        latencies[latencies.len() * 99 / 100],
        latencies.len() as f64 / commits as f64,
    );
    drop(ledger);
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
    }
}
