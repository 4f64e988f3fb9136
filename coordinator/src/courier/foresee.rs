//! What a vote would lead to, for a shell that passes it on before it has checked it.

use std::sync::Arc;

use hundi_protocol::{Order, UnixMillis, Verified, Vote};

use super::carried::{Carried, Stage};
use super::{Caller, CommitOrder, Courier};
use crate::flaw::Flaws;

/// What a vote leads to if it is good. Nothing of it has happened: [`Courier::handle_vote`] is what counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreseen {
    /// The payer's bank is asked.
    Question {
        /// The order.
        order: Arc<Order>,
        /// The other votes that go with the question.
        votes: Vec<Verified<Vote>>,
    },
    /// The payment is settled, and these customers are told.
    Answer {
        /// Who asked.
        to: Vec<Caller>,
        /// The order.
        order: Arc<Order>,
        /// The other votes that prove it.
        votes: Vec<Verified<Vote>>,
    },
}

impl<F: Flaws> Courier<F> {
    /// What [`handle_vote`](Self::handle_vote) would do now for a payment that waits for nothing but this vote: `None` for a NO,
    /// for a vote after which others are still awaited, and where all banks are asked at the same time.
    ///
    /// The vote need not be checked for this, and changes nothing. Whoever is sent what it leads to checks it, and drops what does not
    /// hold.
    pub fn foresee(&self, now: UnixMillis, vote: &Vote) -> Option<Foreseen> {
        let carried = self.carried.get(&vote.payment)?;
        let is_asking = carried.stage == Stage::Asking && self.policy.commit_order == CommitOrder::PayerLast;
        if !is_asking || !vote.decision.is_yes() {
            return None;
        }
        let missing: Vec<_> = carried.missing().collect();
        let payer = carried.order.payer_bank();
        let Carried { order, votes, callers, .. } = &**carried;
        match missing[..] {
            [last] if *last == vote.bank => {
                Some(Foreseen::Answer { to: callers.clone(), order: Arc::clone(order), votes: votes.clone() })
            }
            [one, other] if [one, other].contains(&&vote.bank) && [one, other].contains(&payer) => {
                let is_asked =
                    vote.bank == *payer || carried.is_asked(payer) || self.must_resolve(now, carried);
                (!is_asked).then(|| Foreseen::Question { order: Arc::clone(order), votes: votes.clone() })
            }
            _ => None,
        }
    }
}
