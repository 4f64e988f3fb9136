//! The thread that owns the state: executes what callers leave while the disk's thread writes what it handed over.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use super::LedgerError;
use super::gather::Gather;
use super::group::GroupPromise;
use super::queue::{Done, Event, Job, Lease, Queue, Request, Said, Sleep};
use super::reply::Promise;
use crate::clock::Clock;
use crate::engine::BadTime;
use crate::sqlite::{CommitError, Disk, ReadError, State};
use crate::{CreateAccountResult, CreateTransferResult, Store, Timestamp, engine};

/// Events in one commit from which on the next batch waits for the next commit.
const COMMIT_EVENTS_MAX: usize = 1 << 16;
/// Events in one commit up to which this thread writes it itself: to wake the disk's thread, and to be woken by it, takes
/// longer than to execute so many.
const OWN_COMMIT_EVENTS_MAX: usize = 128;
/// Expiries in one pass.
const EXPIRE_MAX: usize = 8_189;
/// The longest sleep: the clock of an application may jump.
const SLEEP_MAX: Duration = Duration::from_millis(100);

/// Without calls for so long, the ledger tidies up.
const REST_AFTER: Duration = Duration::from_secs(1);

/// A result that waits for its commit.
enum Answer {
    Accounts(Promise<Vec<CreateAccountResult>>, Vec<CreateAccountResult>),
    Transfers(Promise<Vec<CreateTransferResult>>, Vec<CreateTransferResult>),
    Transfer(Promise<CreateTransferResult>, CreateTransferResult),
    Group(GroupPromise, Vec<CreateTransferResult>),
    Said(Said),
}

impl Answer {
    fn give(self, outcome: &Result<(), LedgerError>) {
        let outcome = outcome.clone();
        match self {
            Self::Accounts(promise, results) => promise.keep(outcome.map(|()| results)),
            Self::Transfers(promise, results) => promise.keep(outcome.map(|()| results)),
            Self::Transfer(promise, result) => promise.keep(outcome.map(|()| result)),
            Self::Group(promise, results) => promise.keep(outcome.map(|()| results)),
            Self::Said(said) => said(outcome),
        }
    }

    /// How many callers block until this is given.
    fn callers(&self) -> usize {
        match self {
            Self::Group(_, results) => results.len(),
            _ => 0,
        }
    }
}

/// The answer to a batch that has no time left.
fn no_time<T: Send + 'static>(promise: Promise<T>, error: BadTime) -> Answer {
    Answer::Said(Box::new(move |outcome: Result<(), LedgerError>| {
        promise.keep(outcome.and(Err(LedgerError::Time(error))));
    }))
}

/// Everything that the engine's thread owns.
pub(super) struct EngineThread {
    pub(super) queue: Arc<Queue>,
    pub(super) clock: Arc<dyn Clock>,
    /// `None` while lent to a caller.
    pub(super) state: Option<Box<State>>,
    /// `None` while the disk's thread or a caller has it.
    pub(super) disk: Option<Box<Disk>>,
    pub(super) jobs: SyncSender<Job>,
    requests: VecDeque<Request>,
    /// Wait for the changes that the state holds.
    next: Vec<Answer>,
    /// Wait for the commit that the disk's thread is writing.
    writing: Vec<Answer>,
    /// When that commit was begun.
    begun: Instant,
    gather: Gather,
    pending_events: usize,
    idle_since: Option<Instant>,
    rested: bool,
    failure: Option<LedgerError>,
}

impl EngineThread {
    pub(super) fn new(
        queue: Arc<Queue>,
        clock: Arc<dyn Clock>,
        (state, disk): (State, Disk),
        jobs: SyncSender<Job>,
    ) -> Self {
        Self {
            queue,
            clock,
            state: Some(Box::new(state)),
            disk: Some(Box::new(disk)),
            jobs,
            requests: VecDeque::new(),
            next: Vec::new(),
            writing: Vec::new(),
            begun: Instant::now(),
            gather: Gather::new(),
            pending_events: 0,
            idle_since: None,
            rested: true,
            failure: None,
        }
    }

    /// Runs until the queue is closed and everything taken is answered, or a commit fails.
    pub(super) fn run(mut self) {
        let ended = catch_unwind(AssertUnwindSafe(|| self.serve()));
        match ended {
            Ok(()) if self.failure.is_none() => self.close(),
            Ok(()) => self.fail(),
            Err(_) => {
                self.failure = Some(CommitError::Panicked.into()); // The panic itself is on stderr.
                self.fail();
            }
        }
    }

    fn serve(&mut self) {
        let mut events = VecDeque::new();
        loop {
            let sleep = self.sleep();
            let closed = self.queue.take(&mut self.requests, &mut events, sleep);
            self.gather.end(self.requests.iter().map(Request::events).sum());
            let came = !self.requests.is_empty() || !events.is_empty();
            for event in events.drain(..) {
                match event {
                    Event::Done(done) => self.finish(*done),
                    Event::Returned(lease, failure) => {
                        self.state = Some(lease.state);
                        self.disk = Some(lease.disk);
                        self.failure = self.failure.take().or(failure);
                    }
                }
            }
            if self.failure.is_none() {
                self.execute();
                if !self.gather.is_open() {
                    self.hand_over();
                }
            }
            if self.failure.is_some() && (self.disk.is_some() || self.state.is_none()) {
                return; // Not before the disk's thread has said how its commit ended.
            }
            if closed && self.is_idle() {
                return;
            }
            self.rest(came);
        }
    }

    /// Whether nothing can be done before something comes in.
    fn may_sleep(&self) -> bool {
        let blocked =
            self.failure.is_some() || self.state.is_none() || self.disk.is_none() && self.must_wait();
        self.requests.is_empty() || blocked
    }

    /// Whether the first request has to wait for the disk.
    fn must_wait(&self) -> bool {
        self.pending_events >= COMMIT_EVENTS_MAX || matches!(self.requests.front(), Some(Request::Lease(_)))
    }

    fn is_idle(&self) -> bool {
        self.requests.is_empty() && self.next.is_empty() && self.state.is_some() && self.disk.is_some()
    }

    /// How to wait for callers who come back, or else for anything, if there is nothing to do.
    fn sleep(&self) -> Option<Sleep> {
        if !self.may_sleep() {
            return None;
        }
        let idle = || Sleep { time: self.idle_time(), wanted: 1 };
        Some(self.gather.sleep(Instant::now).unwrap_or_else(idle))
    }

    /// Until the next expiry, at most [`SLEEP_MAX`] if there is one.
    fn idle_time(&self) -> Duration {
        let state = self.state.as_ref().filter(|state| state.last().any() < Timestamp::LAST);
        let due = state.and_then(|state| state.next_expiry());
        match due {
            Some(at) => Duration::from_nanos(at.0.saturating_sub(self.clock.now().0)).min(SLEEP_MAX),
            None if self.rested => Duration::from_secs(3600),
            None => REST_AFTER,
        }
    }

    /// With nothing to do for a while: what lags on disk catches up, so that the file opens fast.
    fn rest(&mut self, came: bool) {
        if came {
            self.idle_since = None;
            self.rested = false;
            return;
        }
        let idle_since = *self.idle_since.get_or_insert_with(Instant::now);
        if self.rested || idle_since.elapsed() < REST_AFTER || !self.is_idle() {
            return;
        }
        match self.settle() {
            // A reader may keep a part of the log from being copied: that is tried again.
            Ok(whole) => (self.rested, self.idle_since) = (whole, None),
            Err(error) => self.failure = Some(error.into()),
        }
    }

    /// Writes what lags behind the events; says whether all of it is in the file.
    fn settle(&mut self) -> Result<bool, CommitError> {
        let (Some(state), Some(disk)) = (&mut self.state, &mut self.disk) else { return Ok(true) };
        disk.flush(&state.take_flush())?;
        disk.checkpoint()
    }

    fn execute(&mut self) {
        let Some(mut state) = self.state.take() else { return };
        if let Err(error) = self.expire(&mut state) {
            self.failure = Some(error.into());
        }
        while self.failure.is_none() && self.pending_events < COMMIT_EVENTS_MAX {
            match self.requests.pop_front() {
                None => break,
                Some(Request::Lease(promise)) => {
                    let drained = !state.is_changed() && self.next.is_empty();
                    match self.disk.take() {
                        Some(disk) if drained => return promise.keep(Ok(Lease { state, disk })),
                        disk => {
                            self.disk = disk;
                            self.requests.push_front(Request::Lease(promise));
                            break;
                        }
                    }
                }
                Some(request) => match self.execute_one(&mut state, request) {
                    Ok(answer) => self.next.push(answer),
                    Err(error) => self.failure = Some(error.into()),
                },
            }
        }
        self.state = Some(state);
        if self.failure.is_some() {
            self.queue.close();
        }
    }

    fn execute_one(&mut self, state: &mut State, request: Request) -> Result<Answer, ReadError> {
        let (last, now) = (state.last(), self.clock.now());
        let time = |events: usize| {
            let time = engine::next_time(last, now, events);
            engine::check_time(last, time, events).map(|()| time)
        };
        Ok(match request {
            Request::Transfer(transfer, promise) => match time(1) {
                Ok(time) => {
                    self.pending_events += 1;
                    let results = engine::create_transfers(state, time, &[transfer])?;
                    Answer::Transfer(promise, results[0])
                }
                Err(error) => no_time(promise, error),
            },
            Request::Group(transfers, promise) => match time(transfers.len()) {
                Ok(_) => {
                    self.pending_events += transfers.len();
                    let mut results = Vec::with_capacity(transfers.len());
                    for transfer in &transfers {
                        let time = engine::next_time(state.last(), now, 1);
                        results.extend(engine::create_transfers(
                            state,
                            time,
                            std::slice::from_ref(transfer),
                        )?);
                    }
                    self.queue.recycle(transfers);
                    Answer::Group(promise, results)
                }
                Err(error) => Answer::Said(Box::new(move |outcome: Result<(), LedgerError>| {
                    promise.keep(outcome.and(Err(LedgerError::Time(error))));
                })),
            },
            Request::Transfers(batch, promise) => match time(batch.len()) {
                Ok(time) => {
                    self.pending_events += batch.len();
                    Answer::Transfers(promise, engine::create_transfers(state, time, &batch)?)
                }
                Err(error) => no_time(promise, error),
            },
            Request::Accounts(batch, promise) => match time(batch.len()) {
                Ok(time) => {
                    self.pending_events += batch.len();
                    Answer::Accounts(promise, engine::create_accounts(state, time, &batch)?)
                }
                Err(error) => no_time(promise, error),
            },
            Request::Read(read) => Answer::Said(read(Ok(state))),
            Request::Lease(_) => unreachable!("leases are given in `execute`"),
        })
    }

    /// Releases what is due, before anything else happens at this time.
    fn expire(&mut self, state: &mut State) -> Result<(), ReadError> {
        let now = self.clock.now();
        if state.next_expiry().is_none_or(|at| at > now) || self.pending_events >= COMMIT_EVENTS_MAX {
            return Ok(());
        }
        let time = engine::next_time(state.last(), now, 1);
        if engine::check_time(state.last(), time, 1).is_err() {
            return Ok(()); // No time is left: what is due is refused all the same when somebody wants to post it.
        }
        self.pending_events += engine::expire_at_most(state, time, EXPIRE_MAX)?.len();
        Ok(())
    }

    /// Writes what there is, if the disk is free: a small commit here, a large one on the disk's thread.
    fn hand_over(&mut self) {
        if self.failure.is_some() {
            return;
        }
        let Some(state) = &mut self.state else { return };
        let Some(mut disk) = self.disk.take() else { return };
        if !state.is_changed() {
            self.disk = Some(disk);
            // Nothing waits for the disk: what was read is durable.
            return self.next.drain(..).for_each(|answer| answer.give(&Ok(())));
        }
        let changes = state.take_changes();
        let events = std::mem::take(&mut self.pending_events);
        self.writing = std::mem::take(&mut self.next);
        self.begun = Instant::now();
        if events <= OWN_COMMIT_EVENTS_MAX {
            let result = disk.commit(changes, |_| Ok(Vec::new()));
            return self.finish(Done { disk, result });
        }
        // The disk's thread takes jobs for as long as this thread lives.
        if self.jobs.send(Job { disk, changes }).is_err() {
            self.failure = Some(LedgerError::Closed);
        }
    }

    /// A commit is done: callers are answered.
    fn finish(&mut self, done: Done) {
        self.disk = Some(done.disk);
        let outcome = match done.result {
            Ok(commit) => {
                if let Some(state) = &mut self.state {
                    state.handle_durable(commit.seq);
                }
                Ok(())
            }
            Err(error) => Err(LedgerError::from(error)),
        };
        let answers = std::mem::take(&mut self.writing);
        let callers: usize = answers.iter().map(Answer::callers).sum();
        if let Err(error) = &outcome {
            self.failure = Some(error.clone());
        } else if callers == 0 && self.pending_events > OWN_COMMIT_EVENTS_MAX {
            self.hand_over(); // The disk first: to wake many takes a while.
        }
        let commit = self.begun.elapsed();
        // Who is answered may be back before all are: such a caller is not one who waited already.
        let before = self.queue.waiting_events();
        answers.into_iter().for_each(|answer| answer.give(&outcome));
        if callers > 0 {
            self.gather.begin(callers, before, commit);
        }
    }

    /// After a failed commit nobody knows what is on disk: everyone is told so, and no more is taken.
    fn fail(&mut self) {
        let failure = self.failure.take().unwrap_or(LedgerError::Closed);
        let waiting = self.writing.drain(..).chain(self.next.drain(..));
        let outcome = Err(failure);
        waiting.for_each(|answer| answer.give(&outcome));
        // What is left in `requests` was not begun: dropping a promise says "closed", and so does the queue.
    }

    /// Leaves a file that opens fast.
    fn close(&mut self) {
        if let Err(error) = self.settle() {
            tracing::warn!(%error, "closing the ledger; nothing that was acknowledged is lost");
        }
    }
}

impl Drop for EngineThread {
    /// Whoever still waits, or comes later, is told.
    fn drop(&mut self) {
        self.queue.shut();
    }
}

/// The disk's thread: writes one job after the other.
pub(super) fn run_disk(jobs: &std::sync::mpsc::Receiver<Job>, queue: &Queue) {
    while let Ok(Job { mut disk, changes }) = jobs.recv() {
        let commit = AssertUnwindSafe(|| disk.commit(changes, |_| Ok(Vec::new())));
        let result = catch_unwind(commit).unwrap_or(Err(CommitError::Panicked));
        queue.report(Event::Done(Box::new(Done { disk, result })));
    }
}
