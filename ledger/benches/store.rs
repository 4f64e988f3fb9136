//! How fast transfers reach the disk, in batches, each synced: the engine's thread and the disk's thread, as a program
//! would run them. `cargo bench -p hundi-ledger --bench store -- 1000000 10000 time 0` (transfers, accounts, ids,
//! percent pending).

#![allow(clippy::unwrap_used, clippy::float_arithmetic, reason = "a benchmark")]

use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use hundi_ledger::sqlite::{self, Options};
use hundi_ledger::{Account, CreateTransferStatus, Timestamp, Transfer, engine};

const BATCH: usize = 8189;

struct Random(u64);
impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// What this thread has used of a processor: other programs on the machine do not count.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(0))
}

fn main() {
    let arguments: Vec<String> = std::env::args().filter(|argument| argument != "--bench").collect();
    let number = |at: usize, default: u64| arguments.get(at).map_or(default, |text| text.parse().unwrap());
    let (transfers, accounts) = (number(1, 1_000_000) as usize, number(2, 10_000));
    let random_ids = arguments.get(3).is_some_and(|text| text == "random");
    let pending_percent = number(4, 0);
    let path = std::env::temp_dir().join(format!("hundi-bench-{}.db", std::process::id()));
    let (mut state, mut disk) = sqlite::open(&path, Options::default()).unwrap();

    let mut time = 1_700_000_000_000_000_000;
    for first in (1..=accounts).step_by(BATCH) {
        let last = (first + BATCH as u64 - 1).min(accounts);
        let batch: Vec<Account> = (first..=last).map(|id| Account::new(u128::from(id), 1, 1)).collect();
        time += 1_000_000;
        engine::create_accounts(&mut state, Timestamp(time), &batch).unwrap();
        let commit = disk.commit(state.take_changes(), |_| Ok(Vec::new())).unwrap();
        state.handle_durable(commit.seq);
    }

    let mut random = Random(88_172_645_463_325_252);
    let mut open: Vec<u128> = Vec::new();
    let mut next_batch = |time: u64, size: usize| -> Vec<Transfer> {
        (0..size as u64)
            .map(|place| {
                let low = u128::from(random.next());
                let high = if random_ids { random.next() } else { time - size as u64 + place };
                let id = (u128::from(high) << 64) | low;
                let debit = random.next() % accounts + 1;
                let credit = (debit + random.next() % (accounts - 1)) % accounts + 1;
                if random.next() % 100 < pending_percent {
                    if open.len() > 1000 && random.next().is_multiple_of(2) {
                        return Transfer::post(id, open.swap_remove((random.next() % 1000) as usize));
                    }
                    open.push(id);
                    return Transfer::new(id, u128::from(debit), u128::from(credit), 100, 1, 1).pending(0);
                }
                Transfer::new(id, u128::from(debit), u128::from(credit), u128::from(low as u8), 1, 1)
            })
            .collect()
    };

    let started = Instant::now();
    let (mut engine_busy, mut disk_busy, mut generating) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let mut marks = Vec::new();
    std::thread::scope(|scope| {
        let (to_disk, from_engine) = sync_channel::<sqlite::Changes>(1);
        let (to_engine, from_disk) = sync_channel(1024);
        let disk_thread = scope.spawn(move || {
            let mut busy = Duration::ZERO;
            while let Ok(changes) = from_engine.recv() {
                let begun = cpu();
                let commit = disk.commit(changes, |_| Ok(Vec::new())).unwrap();
                busy += cpu() - begun;
                let _ = to_engine.send(commit.seq);
            }
            (disk, busy)
        });
        let mut left = transfers;
        while left > 0 {
            let size = left.min(BATCH);
            left -= size;
            time += 10_000_000;
            let begun = cpu();
            let batch = next_batch(time, size);
            generating += cpu() - begun;
            let begun = cpu();
            let results = engine::create_transfers(&mut state, Timestamp(time), &batch).unwrap();
            assert!(results.iter().all(|result| result.status == CreateTransferStatus::Created));
            let changes = state.take_changes();
            engine_busy += cpu() - begun;
            to_disk.send(changes).unwrap();
            while let Ok(seq) = from_disk.try_recv() {
                state.handle_durable(seq);
            }
            if (transfers - left) % (transfers / 10).max(1) < BATCH {
                marks.push(((transfers - left) as f64 / started.elapsed().as_secs_f64()) as u64);
            }
        }
        drop(to_disk);
        (_, disk_busy) = disk_thread.join().unwrap();
    });
    let elapsed = started.elapsed();
    let per = |busy: Duration| busy.as_nanos() as f64 / transfers as f64;
    println!(
        "{:.0}/s; ns of processor per transfer: engine {:.0}, disk {:.0}, generating {:.0}; bytes {:.0}; so far {marks:?}",
        transfers as f64 / elapsed.as_secs_f64(),
        per(engine_busy),
        per(disk_busy),
        per(generating),
        std::fs::metadata(&path).unwrap().len() as f64 / transfers as f64,
    );
    drop(state);
    let begun = Instant::now();
    drop(sqlite::open(&path, Options::default()).unwrap());
    println!("reopened in {} ms", begun.elapsed().as_millis());
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
    }
}
