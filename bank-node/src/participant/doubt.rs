//! In doubt, a bank asks the other banks itself: nobody waits for a coordinator (R5).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hundi_protocol::{Digest, Outcome, UnixMillis};

use super::{Effect, Fault, Participant, Policy};
use crate::books::Books;
use crate::flaw::{Flaw, Flaws};

/// Due at a time that nobody has set yet.
const SINCE_RESTART: UnixMillis = UnixMillis(0);

/// When to ask about each payment in doubt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Doubts {
    due: BTreeSet<(UnixMillis, Digest)>,
    /// When it is due, and how long to wait after that.
    waits: BTreeMap<Digest, (UnixMillis, u64)>,
}

impl Doubts {
    /// After a restart nobody knows how long a payment has waited. Its wait begins with the first look at the clock:
    /// to ask at once would make other banks refuse what a courier is about to finish.
    pub(super) fn after_restart(open: Vec<Digest>, policy: Policy) -> Self {
        let mut doubts = Doubts::default();
        for digest in open {
            doubts.set(digest, SINCE_RESTART, policy.doubt_after_ms);
        }
        doubts
    }

    pub(super) fn insert(&mut self, digest: Digest, now: UnixMillis, policy: Policy) {
        self.set(digest, UnixMillis(now.0 + policy.doubt_after_ms), policy.doubt_after_ms);
    }

    /// What is due when.
    pub(super) fn iter(&self) -> impl Iterator<Item = (UnixMillis, &Digest)> {
        self.due.iter().map(|(at, digest)| (*at, digest))
    }

    pub(super) fn remove(&mut self, digest: &Digest) {
        if let Some((at, _)) = self.waits.remove(digest) {
            self.due.remove(&(at, *digest));
        }
    }

    fn set(&mut self, digest: Digest, at: UnixMillis, wait_ms: u64) {
        self.remove(&digest);
        self.waits.insert(digest, (at, wait_ms));
        self.due.insert((at, digest));
    }

    /// The payments to ask about now; each waits longer until its next turn.
    fn take_due(&mut self, now: UnixMillis, policy: Policy) -> Vec<Digest> {
        let due: Vec<Digest> =
            self.due.iter().take_while(|(at, _)| *at <= now).map(|(_, digest)| *digest).collect();
        let mut asked = Vec::with_capacity(due.len());
        for digest in &due {
            let (at, wait_ms) = self.waits[digest];
            if at == SINCE_RESTART && wait_ms > 0 {
                self.insert(*digest, now, policy);
                continue;
            }
            asked.push(*digest);
            let longer_ms = wait_ms.saturating_mul(2).min(policy.doubt_again_max_ms);
            self.set(*digest, UnixMillis(now.0.saturating_add(wait_ms)), longer_ms);
        }
        asked
    }
}

impl<B: Books, F: Flaws> Participant<B, F> {
    /// Time has passed.
    ///
    /// # Errors
    /// A [`Fault`] of this node itself; it must stop.
    pub fn handle_time(&mut self, now: UnixMillis) -> Result<(), Fault<B::Error>> {
        for digest in self.doubts.take_due(now, self.policy) {
            let Some(payment) = self.books.recent_payment(&digest).cloned() else { continue };
            let expired = now >= payment.order.expires_at();
            if self.flaws.has(Flaw::VoidWithoutProof) || (expired && self.flaws.has(Flaw::ExpireYes)) {
                self.settle(now, &payment, Outcome::Abort)?;
                continue;
            }
            // Those that voted YES are asked too: they may know the outcome by now, and the silent ones may be gone.
            for bank in payment.order.banks().iter().filter(|bank| **bank != self.bank) {
                self.outbox.push(Effect::Resolve { to: bank.clone(), order: Arc::clone(&payment.order) });
            }
        }
        Ok(())
    }

    /// When [`handle_time`](Self::handle_time) next has something to do.
    pub fn next_time(&self) -> Option<UnixMillis> {
        self.doubts.due.first().map(|(at, _)| *at)
    }
}
