//! Keeps every message back until the record that justifies it is on disk (R8).

use std::collections::VecDeque;

use hundi_ledger::CommitSeq;

/// Messages in the order in which they were decided, each with the commit that it waits for.
///
/// The participant [`record`](Self::record)s a write, the shell [`cut`](Self::cut)s what was recorded into a
/// disk transaction, and [`handle_durable`](Self::handle_durable) lets go what that transaction justifies.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Outbox<M> {
    /// Everything up to here is on disk.
    durable: CommitSeq,
    /// The last transaction handed to the disk.
    cut: CommitSeq,
    /// The transaction that will hold the newest write.
    recorded: CommitSeq,
    held: VecDeque<(CommitSeq, M)>,
}

impl<M> Outbox<M> {
    /// An empty outbox over a store whose last commit is `durable`.
    pub fn new(durable: CommitSeq) -> Self {
        Outbox { durable, cut: durable, recorded: durable, held: VecDeque::new() }
    }

    /// Notes that the next transaction has something to write.
    pub fn record(&mut self) {
        self.recorded = CommitSeq(self.cut.0 + 1);
    }

    /// Adds a message that may leave when all that is recorded so far is on disk.
    ///
    /// That is at times later than its own record needs, and never earlier.
    pub fn push(&mut self, message: M) {
        self.held.push_back((self.recorded, message));
    }

    /// Closes the transaction that collects writes and returns its number, or `None` if nothing was written.
    #[must_use]
    pub fn cut(&mut self) -> Option<CommitSeq> {
        (self.recorded > self.cut).then(|| {
            self.cut = self.recorded;
            self.cut
        })
    }

    /// The disk has everything up to `upto`.
    ///
    /// # Panics
    /// If `upto` goes back, or names a transaction that was never cut: the shell is broken.
    pub fn handle_durable(&mut self, upto: CommitSeq) {
        assert!(upto >= self.durable, "the log only grows");
        assert!(upto <= self.cut, "only what was cut can be on disk");
        self.durable = upto;
    }

    /// The next message that may leave.
    #[must_use]
    pub fn poll(&mut self) -> Option<M> {
        let (after, _) = self.held.front()?;
        if *after > self.durable {
            return None; // R8
        }
        self.held.pop_front().map(|(_, message)| message)
    }

    /// The next message, on disk or not: what a node that breaks R8 would send.
    #[must_use]
    pub(crate) fn poll_too_early(&mut self) -> Option<M> {
        self.held.pop_front().map(|(_, message)| message)
    }

    /// What waits: each message with the number of disk transactions that must still complete before it may leave.
    pub fn held(&self) -> impl Iterator<Item = (u64, &M)> {
        self.held.iter().map(|(after, message)| (after.0.saturating_sub(self.durable.0), message))
    }

    /// Whether a message waits for the disk.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether something was recorded and not yet cut.
    pub fn has_uncut(&self) -> bool {
        self.recorded > self.cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_waits_for_its_record_and_nothing_else() {
        let mut outbox = Outbox::new(CommitSeq(7));
        outbox.push("needs nothing new");
        outbox.record();
        outbox.push("needs commit 8");
        assert_eq!(outbox.poll(), Some("needs nothing new"));
        assert_eq!(outbox.poll(), None);
        assert_eq!(outbox.cut(), Some(CommitSeq(8)));
        assert_eq!(outbox.cut(), None, "nothing recorded since");
        outbox.record();
        outbox.push("needs commit 9");
        outbox.handle_durable(CommitSeq(8));
        assert_eq!(outbox.poll(), Some("needs commit 8"));
        assert_eq!(outbox.poll(), None);
        assert_eq!(outbox.cut(), Some(CommitSeq(9)));
        outbox.handle_durable(CommitSeq(9));
        assert_eq!(outbox.poll(), Some("needs commit 9"));
        assert!(outbox.is_empty());
    }

    #[test]
    #[should_panic(expected = "the log only grows")]
    fn durability_does_not_go_back() {
        let mut outbox = Outbox::<()>::new(CommitSeq(2));
        outbox.handle_durable(CommitSeq(1));
    }
}
