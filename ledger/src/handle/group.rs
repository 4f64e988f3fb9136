//! Calls of one transfer each that are answered together: whoever blocks on one waits beside the others and is woken
//! by the same signal, for to wake threads one by one costs more than their transfers.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::LedgerError;
use crate::CreateTransferResult;

/// All results in order of the calls, or why there are none.
type Answer = Result<Vec<CreateTransferResult>, LedgerError>;

#[derive(Default)]
struct Shared {
    answer: Mutex<Option<Answer>>,
    signal: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<Answer>> {
        // Nobody panics while holding it: a poisoned lock is as good as another.
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers a group. Dropped without an answer, everyone is told that the ledger is closed.
pub(super) struct GroupPromise(Arc<Shared>);

impl GroupPromise {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    /// What the caller with this place in the group waits for.
    pub(super) fn seat(&self, place: usize) -> Seat {
        Seat { shared: Arc::clone(&self.0), place }
    }

    pub(super) fn keep(self, answer: Answer) {
        self.put(answer);
    }

    fn put(&self, answer: Answer) {
        let mut slot = self.0.lock();
        if slot.is_none() {
            *slot = Some(answer);
            drop(slot);
            self.0.signal.notify_all();
        }
    }
}

impl Drop for GroupPromise {
    fn drop(&mut self) {
        self.put(Err(LedgerError::Closed));
    }
}

/// One caller's place in a group.
pub(super) struct Seat {
    shared: Arc<Shared>,
    place: usize,
}

impl Seat {
    /// Blocks until the group is answered.
    pub(super) fn wait(self) -> Result<CreateTransferResult, LedgerError> {
        let mut answer = self.shared.lock();
        loop {
            match &*answer {
                Some(Ok(results)) => return Ok(results[self.place]),
                Some(Err(error)) => return Err(error.clone()),
                None => answer = self.shared.signal.wait(answer).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}
