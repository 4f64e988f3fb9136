//! Where callers leave their requests for the engine's thread.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::LedgerError;
use super::group::{GroupPromise, Seat};
use super::reply::Promise;
use crate::sqlite::{Changes, Commit, CommitError, Disk, State};
use crate::{Account, CreateAccountResult, CreateTransferResult, Transfer};

/// Events that may wait in the queue; more calls are refused.
const WAITING_EVENTS_MAX: usize = 1 << 20;

/// Transfers for which a group's memory is kept: half a megabyte.
const SPARE_MAX: usize = 4096;

/// A read of the state: runs on the engine's thread, and gives what is to be said once all it saw is durable. Refused, it is
/// given the reason.
pub(super) type Read = Box<dyn FnOnce(Result<&State, LedgerError>) -> Said + Send>;

/// What is said when it is durable, or an error instead.
pub(super) type Said = Box<dyn FnOnce(Result<(), LedgerError>) + Send>;

/// What a caller wants.
pub(super) enum Request {
    Accounts(Vec<Account>, Promise<Vec<CreateAccountResult>>),
    Transfers(Vec<Transfer>, Promise<Vec<CreateTransferResult>>),
    Transfer(Transfer, Promise<CreateTransferResult>),
    /// Of callers who block, each with one: batches of their own that are answered together.
    Group(Vec<Transfer>, GroupPromise),
    Read(Read),
    /// The state and the disk, for a transaction on the caller's thread.
    Lease(Promise<Lease>),
}

impl Request {
    /// How many events it counts for.
    pub(super) fn events(&self) -> usize {
        match self {
            Self::Accounts(batch, _) => batch.len() + 1,
            Self::Transfers(batch, _) => batch.len() + 1,
            Self::Group(transfers, _) => transfers.len(),
            Self::Transfer(..) | Self::Read(_) | Self::Lease(_) => 1,
        }
    }
}

impl Request {
    pub(super) fn refuse(self, error: LedgerError) {
        match self {
            Self::Accounts(_, promise) => promise.keep(Err(error)),
            Self::Transfers(_, promise) => promise.keep(Err(error)),
            Self::Transfer(_, promise) => promise.keep(Err(error)),
            Self::Group(_, promise) => promise.keep(Err(error)),
            Self::Lease(promise) => promise.keep(Err(error)),
            Self::Read(read) => read(Err(error))(Ok(())),
        }
    }
}

/// The whole ledger, lent to a caller. The engine's thread waits until it is back.
pub(super) struct Lease {
    pub(super) state: Box<State>,
    pub(super) disk: Box<Disk>,
}

/// What the disk's thread is to do.
pub(super) struct Job {
    pub(super) disk: Box<Disk>,
    pub(super) changes: Changes,
}

/// What it did.
pub(super) struct Done {
    pub(super) disk: Box<Disk>,
    pub(super) result: Result<Commit, CommitError>,
}

/// What the engine's thread finds when it looks.
pub(super) enum Event {
    /// The disk's thread is done.
    Done(Box<Done>),
    /// A lease is back; with an error if its commit failed.
    Returned(Box<Lease>, Option<LedgerError>),
}

/// How the engine's thread sleeps: until an event comes, so many events wait in requests, or the time is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sleep {
    pub(super) time: Duration,
    /// At least one.
    pub(super) wanted: usize,
}

#[derive(Default)]
struct Inside {
    requests: VecDeque<Request>,
    events: VecDeque<Event>,
    waiting_events: usize,
    /// For the next group: memory that is there, for all callers wait while one of them fetches new.
    spare: Vec<Transfer>,
    /// The engine's thread waits for a signal: an event, or so many waiting events.
    asleep: Option<usize>,
    /// No more requests are taken.
    closed: bool,
}

impl Inside {
    /// Whether another request may come in.
    fn check(&self) -> Result<(), LedgerError> {
        if self.closed {
            Err(LedgerError::Closed)
        } else if self.waiting_events >= WAITING_EVENTS_MAX {
            Err(LedgerError::Busy)
        } else {
            Ok(())
        }
    }
}

/// Requests and events on their way to the engine's thread.
#[derive(Default)]
pub(super) struct Queue {
    inside: Mutex<Inside>,
    signal: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, mut inside: MutexGuard<'_, Inside>) {
        if inside.asleep.take().is_some() {
            drop(inside);
            self.signal.notify_one();
        }
    }

    /// A request was left.
    fn wake_for_requests(&self, inside: MutexGuard<'_, Inside>) {
        if inside.asleep.is_some_and(|wanted| inside.waiting_events >= wanted) {
            self.wake(inside);
        }
    }

    /// Leaves a request, or answers it at once with why not.
    pub(super) fn push(&self, request: Request) {
        let mut inside = self.lock();
        if let Err(refusal) = inside.check() {
            drop(inside);
            return request.refuse(refusal);
        }
        inside.waiting_events += request.events();
        inside.requests.push_back(request);
        self.wake_for_requests(inside);
    }

    /// Leaves a transfer of a caller who will block, in the group that waits last in the queue.
    pub(super) fn join(&self, transfer: Transfer) -> Result<Seat, LedgerError> {
        let mut inside = self.lock();
        inside.check()?;
        inside.waiting_events += 1;
        let seat = match inside.requests.back_mut() {
            Some(Request::Group(transfers, promise)) => {
                transfers.push(transfer);
                promise.seat(transfers.len() - 1)
            }
            _ => {
                let promise = GroupPromise::new();
                let seat = promise.seat(0);
                let mut transfers = std::mem::take(&mut inside.spare);
                transfers.push(transfer);
                inside.requests.push_back(Request::Group(transfers, promise));
                seat
            }
        };
        self.wake_for_requests(inside);
        Ok(seat)
    }

    pub(super) fn report(&self, event: Event) {
        let mut inside = self.lock();
        inside.events.push_back(event);
        self.wake(inside);
    }

    /// Takes no more requests.
    pub(super) fn close(&self) {
        let mut inside = self.lock();
        inside.closed = true;
        self.wake(inside);
    }

    /// Takes no more requests, and tells those that still wait that the ledger is closed.
    pub(super) fn shut(&self) {
        let mut inside = self.lock();
        inside.closed = true;
        let waiting = std::mem::take(&mut inside.requests);
        inside.waiting_events = 0;
        drop(inside); // Waiters are woken without the lock.
        waiting.into_iter().for_each(|request| request.refuse(LedgerError::Closed));
    }

    /// Moves what is there to the engine's thread. Returns whether the queue is closed.
    pub(super) fn take(
        &self,
        requests: &mut VecDeque<Request>,
        events: &mut VecDeque<Event>,
        sleep: Option<Sleep>,
    ) -> bool {
        let mut inside = self.lock();
        let wanted = requests.is_empty(); // Else they stay here, where they are counted.
        if let Some(sleep) = sleep {
            let for_requests = if wanted { sleep.wanted.max(1) } else { usize::MAX };
            if inside.waiting_events < for_requests && inside.events.is_empty() && !inside.closed {
                inside.asleep = Some(for_requests);
                let waited = self.signal.wait_timeout(inside, sleep.time);
                inside = waited.unwrap_or_else(PoisonError::into_inner).0;
                inside.asleep = None;
            }
        }
        if wanted {
            requests.append(&mut inside.requests);
            inside.waiting_events = 0;
        }
        events.append(&mut inside.events);
        inside.closed
    }

    /// Gives a group's memory back.
    pub(super) fn recycle(&self, mut transfers: Vec<Transfer>) {
        transfers.clear();
        let mut inside = self.lock();
        if (inside.spare.capacity()..=SPARE_MAX).contains(&transfers.capacity()) {
            inside.spare = transfers;
        }
    }

    /// How many events wait.
    pub(super) fn waiting_events(&self) -> usize {
        self.lock().waiting_events
    }
}
