//! One answer from one thread to one waiter, who blocks or polls.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use super::LedgerError;

enum Slot<T> {
    Waiting(Option<Waker>),
    Ready(Result<T, LedgerError>),
    Taken,
}

struct Shared<T>(Mutex<Slot<T>>);

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Slot<T>> {
        // Nobody panics while holding it: a poisoned lock is as good as another.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, answer: Result<T, LedgerError>) {
        let mut slot = self.lock();
        let waiting = match &mut *slot {
            Slot::Waiting(waker) => waker.take(),
            Slot::Ready(_) | Slot::Taken => return,
        };
        *slot = Slot::Ready(answer);
        drop(slot);
        if let Some(waker) = waiting {
            waker.wake();
        }
    }
}

/// An answer that is on its way: block with [`Reply::wait`], or `.await` it on any executor.
#[must_use = "the ledger works on it either way, but nobody will know the result"]
pub struct Reply<T>(Arc<Shared<T>>);

impl<T> std::fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reply")
    }
}

/// Gives the answer. Dropped without one, the waiter is told that the ledger is closed.
pub(super) struct Promise<T>(Arc<Shared<T>>);

/// A promise and its reply.
pub(super) fn promise<T>() -> (Promise<T>, Reply<T>) {
    let shared = Arc::new(Shared(Mutex::new(Slot::Waiting(None))));
    (Promise(Arc::clone(&shared)), Reply(shared))
}

impl<T> Promise<T> {
    pub(super) fn keep(self, answer: Result<T, LedgerError>) {
        self.0.put(answer);
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        self.0.put(Err(LedgerError::Closed));
    }
}

impl<T> Future for Reply<T> {
    type Output = Result<T, LedgerError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slot = self.0.lock();
        match std::mem::replace(&mut *slot, Slot::Taken) {
            Slot::Ready(answer) => Poll::Ready(answer),
            Slot::Waiting(_) => {
                *slot = Slot::Waiting(Some(context.waker().clone()));
                Poll::Pending
            }
            Slot::Taken => panic!("a reply is polled until it is ready and not after"),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

thread_local! {
    /// One waker for all waits of a thread.
    static UNPARK: Waker = Waker::from(Arc::new(Unpark(std::thread::current())));
}

impl<T> Reply<T> {
    /// Blocks until the answer is there.
    ///
    /// # Errors
    /// The answer's.
    pub fn wait(mut self) -> Result<T, LedgerError> {
        UNPARK.with(|waker| {
            let mut context = Context::from_waker(waker);
            loop {
                match Pin::new(&mut self).poll(&mut context) {
                    Poll::Ready(answer) => return answer,
                    Poll::Pending => std::thread::park(),
                }
            }
        })
    }
}
