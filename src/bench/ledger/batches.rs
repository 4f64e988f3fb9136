//! Whole batches through the two stages: one executes in memory while the one before is written and synced.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use hundi_ledger::sqlite::{self, Changes, Commit, CommitError, Disk, Options, State};
use hundi_ledger::{CreateAccountStatus, CreateTransferStatus, Timestamp, TransferId, engine};

use super::workload::{Shape, Workload};
use super::{Run, Task};
use crate::failure::{Failure, While as _};

/// Where the ledger's clock starts: it runs a millisecond for each batch, so that every run has the same file.
const START: Timestamp = Timestamp(1_700_000_000_000_000_000);
const BATCH_TIME_NS: u64 = 1_000_000;

/// Runs all transfers on a fresh file.
pub(super) fn run(task: &Task<'_>, batch: usize) -> Result<Run, Failure> {
    let (state, disk) =
        sqlite::open(task.path, Options::default()).or_fail(|| format!("{}", task.path.display()))?;
    std::thread::scope(|scope| {
        let (to_disk, from_engine) = bounded(1);
        let (to_engine, durable) = unbounded();
        scope.spawn(move || write(disk, &from_engine, &to_engine));
        let mut stages = Stages { task, state, to_disk, durable, time: START, handed_in: VecDeque::new() };
        stages.create_accounts(task.shape, batch)?;
        stages.create_transfers(Workload::new(*task.shape, 1), batch)
    })
}

/// The second stage. It ends with the first, or after a failure.
fn write(mut disk: Disk, changes: &Receiver<Changes>, done: &Sender<Result<(Commit, Instant), CommitError>>) {
    for changes in changes {
        let commit = disk.commit(changes, |_| Ok(Vec::new()));
        let failed = commit.is_err();
        if done.send(commit.map(|commit| (commit, Instant::now()))).is_err() || failed {
            return;
        }
    }
}

/// A batch that is not on disk yet.
struct HandedIn {
    at: Instant,
    /// Its transfers, if what is acknowledged is to be listed.
    ids: Vec<TransferId>,
}

/// The first stage, and the way to the second and back.
struct Stages<'a> {
    task: &'a Task<'a>,
    state: State,
    to_disk: Sender<Changes>,
    durable: Receiver<Result<(Commit, Instant), CommitError>>,
    time: Timestamp,
    handed_in: VecDeque<HandedIn>,
}

impl Stages<'_> {
    fn create_accounts(&mut self, shape: &Shape, batch: usize) -> Result<(), Failure> {
        for accounts in Workload::accounts(shape, batch) {
            let time = self.next_time(accounts.len());
            let results = engine::create_accounts(&mut self.state, time, &accounts);
            let results = results.or_fail(|| "creating accounts".to_owned())?;
            assert!(results.iter().all(|result| result.status == CreateAccountStatus::Created));
            self.hand_in(HandedIn { at: Instant::now(), ids: Vec::new() })?;
        }
        self.wait_for_all(&mut Vec::new())
    }

    fn create_transfers(mut self, mut workload: Workload, batch: usize) -> Result<Run, Failure> {
        let Task { transfers, acknowledged, progress, .. } = *self.task;
        let mut latencies = Vec::new();
        let tenth = (transfers / 10).max(1);
        let (begun, mut left) = (Instant::now(), transfers);
        let (mut first_tenth, mut last_begun) = (None, None);
        while left > 0 {
            let size = usize::try_from(left).unwrap_or(usize::MAX).min(batch);
            let time = self.next_time(size);
            let events = workload.batch(time, size);
            let ids = acknowledged.map(|_| events.iter().map(|transfer| transfer.id).collect());
            let handed_in = HandedIn { at: Instant::now(), ids: ids.unwrap_or_default() };
            let results = engine::create_transfers(&mut self.state, time, &events);
            let results = results.or_fail(|| "creating transfers".to_owned())?;
            let failed = results.iter().find(|result| result.status != CreateTransferStatus::Created);
            assert!(
                failed.is_none(),
                "every transfer of the benchmark is sound, and one was refused: {failed:?}"
            );
            self.hand_in(handed_in)?;
            left -= size as u64;
            while let Ok(done) = self.durable.try_recv() {
                self.note_durable(done, &mut latencies)?;
            }
            if transfers - left >= tenth {
                first_tenth.get_or_insert_with(|| begun.elapsed());
            }
            if left <= tenth {
                last_begun.get_or_insert_with(Instant::now);
            }
            progress.set_position(transfers - left);
        }
        self.wait_for_all(&mut latencies)?;
        Ok(Run {
            elapsed: begun.elapsed(),
            latencies,
            expected: workload.expected(),
            first_tenth: first_tenth.unwrap_or_default(),
            last_tenth: last_begun.map(|at| at.elapsed()).unwrap_or_default(),
        })
    }

    fn next_time(&mut self, size: usize) -> Timestamp {
        self.time = Timestamp(self.time.0 + BATCH_TIME_NS.max(size as u64));
        self.time
    }

    fn hand_in(&mut self, batch: HandedIn) -> Result<(), Failure> {
        self.handed_in.push_back(batch);
        let gone = || "the disk stopped".to_owned();
        let sent = self.to_disk.send(self.state.take_changes());
        match sent {
            Ok(()) => Ok(()),
            // Its last word says why.
            Err(error) => {
                while let Ok(done) = self.durable.recv() {
                    self.note_durable(done, &mut Vec::new())?;
                }
                Err(error).or_fail(gone)
            }
        }
    }

    fn note_durable(
        &mut self,
        done: Result<(Commit, Instant), CommitError>,
        latencies: &mut Vec<Duration>,
    ) -> Result<(), Failure> {
        let (commit, at) = done.or_fail(|| "writing a batch".to_owned())?;
        self.state.handle_durable(commit.seq);
        if let Some(handed_in) = self.handed_in.pop_front() {
            latencies.push(at.duration_since(handed_in.at));
            if let Some(list) = self.task.acknowledged {
                list.add(&handed_in.ids)?;
            }
        }
        Ok(())
    }

    fn wait_for_all(&mut self, latencies: &mut Vec<Duration>) -> Result<(), Failure> {
        while !self.handed_in.is_empty() {
            let done = self.durable.recv().or_fail(|| "the disk stopped".to_owned())?;
            self.note_durable(done, latencies)?;
        }
        Ok(())
    }
}
