//! How fast transfers reach the disk, in batches, each synced: the engine's thread and the disk's thread, as a program
//! would run them. `cargo bench -p hundi-ledger --bench store -- 1000000 10000 time 0` (transfers, accounts, ids,
//! percent pending).

#![allow(clippy::unwrap_used, clippy::float_arithmetic, reason = "a benchmark")]

mod shared;

use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::time::{Duration, Instant};

use hundi_ledger::sqlite::{self, Changes, Disk, Options, State};
use hundi_ledger::{AccountFlags, CommitSeq, CreateTransferStatus, Timestamp, engine};
use shared::{BATCH, Shape, TemporaryFile, Transfers, create_accounts};

/// What this thread has used of a processor: other programs on the machine do not count. The kernel brings it up to date
/// every few milliseconds, so it is asked at the ends only.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(0))
}

/// Processor time of the two stages; the engine's makes the transfers, too.
struct Busy {
    engine: Duration,
    disk: Duration,
}

fn main() {
    let arguments: Vec<String> = std::env::args().filter(|argument| argument != "--bench").collect();
    let number = |at: usize, default: u64| arguments.get(at).map_or(default, |text| text.parse().unwrap());
    let transfers = number(1, 1_000_000) as usize;
    let shape = Shape {
        accounts: number(2, 10_000),
        random_ids: arguments.get(3).is_some_and(|text| text == "random"),
        pending_percent: number(4, 0),
    };
    let file = TemporaryFile::new("store");
    let (mut state, mut disk) = sqlite::open(file.path(), Options::default()).unwrap();
    let time = create_accounts(&mut state, shape.accounts, AccountFlags::NONE, |state| {
        let commit = disk.commit(state.take_changes(), |_| Ok(Vec::new())).unwrap();
        state.handle_durable(commit.seq);
    });

    let started = Instant::now();
    let (busy, marks) = run((&mut state, disk), Transfers::new(shape), transfers, time);
    let elapsed = started.elapsed();
    let per = |busy: Duration| busy.as_nanos() as f64 / transfers as f64;
    println!(
        "{:.0}/s; ns of processor per transfer: engine {:.0}, disk {:.0}; bytes {:.0}; so far {marks:?}",
        transfers as f64 / elapsed.as_secs_f64(),
        per(busy.engine),
        per(busy.disk),
        std::fs::metadata(file.path()).unwrap().len() as f64 / transfers as f64,
    );
    drop(state);
    let begun = Instant::now();
    drop(sqlite::open(file.path(), Options::default()).unwrap());
    println!("reopened in {} ms", begun.elapsed().as_millis());
}

/// The engine's stage here, the disk's on a thread of its own. Gives the rate after each tenth, too.
fn run(
    (state, disk): (&mut State, Disk),
    mut generator: Transfers,
    transfers: usize,
    mut time: u64,
) -> (Busy, Vec<u64>) {
    let (started, begun, mut marks) = (Instant::now(), cpu(), Vec::new());
    let busy = std::thread::scope(|scope| {
        let (to_disk, from_engine) = sync_channel(1);
        let (to_engine, from_disk) = channel();
        let disk = scope.spawn(move || write(disk, &from_engine, &to_engine));
        let mut left = transfers;
        while left > 0 {
            let size = left.min(BATCH);
            left -= size;
            time += 10_000_000;
            let batch = generator.batch(time, size);
            let results = engine::create_transfers(state, Timestamp(time), &batch).unwrap();
            assert!(results.iter().all(|result| result.status == CreateTransferStatus::Created));
            to_disk.send(state.take_changes()).unwrap();
            while let Ok(seq) = from_disk.try_recv() {
                state.handle_durable(seq);
            }
            if (transfers - left) % (transfers / 10).max(1) < BATCH {
                marks.push(((transfers - left) as f64 / started.elapsed().as_secs_f64()) as u64);
            }
        }
        drop(to_disk);
        Busy { engine: cpu() - begun, disk: disk.join().unwrap() }
    });
    (busy, marks)
}

/// Writes and syncs batch after batch; how much of a processor that took.
fn write(mut disk: Disk, changes: &Receiver<Changes>, done: &Sender<CommitSeq>) -> Duration {
    for changes in changes {
        let commit = disk.commit(changes, |_| Ok(Vec::new())).unwrap();
        let _ = done.send(commit.seq);
    }
    cpu()
}
