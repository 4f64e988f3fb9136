//! Messages waiting for one connection.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::message::Message;

/// Filled from any thread, emptied by the connection's writer.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    /// Wakes the writer.
    filled: Notify,
    /// Wakes a client that waits for room.
    emptied: Notify,
    messages_max: usize,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Message>,
    state: State,
}

/// How far the connection is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// Messages go in and out.
    #[default]
    Open,
    /// Nothing goes in; the writer sends the rest, then closes.
    Finishing,
    /// Over.
    Closed,
}

impl Outbox {
    pub(crate) fn new(messages_max: usize) -> Self {
        Self { queue: Mutex::default(), filled: Notify::new(), emptied: Notify::new(), messages_max }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // No code that could panic runs under the lock, so its content is sound whatever the flag says.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends messages; the oldest go where there is no room. Returns how many were dropped.
    pub(crate) fn push(&self, messages: impl IntoIterator<Item = Message>) -> u64 {
        let mut queue = self.lock();
        if queue.state != State::Open {
            return messages.into_iter().map(|_| 1).sum();
        }
        queue.messages.extend(messages);
        let excess = queue.messages.len().saturating_sub(self.messages_max);
        queue.messages.drain(..excess);
        drop(queue);
        self.filled.notify_one();
        excess as u64
    }

    /// Moves at most `max` messages to `out`, and tells how far the connection is.
    pub(crate) fn take(&self, max: usize, out: &mut Vec<Message>) -> State {
        let mut queue = self.lock();
        let count = queue.messages.len().min(max);
        out.extend(queue.messages.drain(..count));
        let state = queue.state;
        drop(queue);
        if count > 0 {
            self.emptied.notify_waiters();
        }
        state
    }

    /// Ends the connection and gives back what was not sent.
    pub(crate) fn close(&self) -> VecDeque<Message> {
        let mut queue = self.lock();
        queue.state = State::Closed;
        let rest = std::mem::take(&mut queue.messages);
        drop(queue);
        self.filled.notify_one();
        self.emptied.notify_waiters();
        rest
    }

    /// Takes nothing more, and ends the connection once all is sent.
    pub(crate) fn finish(&self) {
        let mut queue = self.lock();
        if queue.state == State::Open {
            queue.state = State::Finishing;
        }
        drop(queue);
        self.filled.notify_one();
    }

    /// Waits until something was pushed or the state changed. Only the writer may wait here.
    pub(crate) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Waits until less than half is used; `false` when the connection is over.
    pub(crate) async fn room(&self) -> bool {
        loop {
            let emptied = self.emptied.notified();
            {
                let queue = self.lock();
                if queue.state != State::Open {
                    return false;
                }
                if queue.messages.len() <= self.messages_max / 2 {
                    return true;
                }
            }
            emptied.await;
        }
    }
}
