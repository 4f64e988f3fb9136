//! Votes that go on before this coordinator has checked them.
//!
//! A bank believes no coordinator: it checks the votes that come with a question, and drops the question if one does not hold. Nor does
//! a customer: it checks the votes of a certificate. So while payments have the network almost to themselves, the next in line need
//! not wait until this node has checked as well. Here nothing counts before it is checked, and bad votes are complained of as ever.

use hundi_protocol::{
    ConnectionId, Digest, Inbound, Link, Message, Peer, Signed, UncheckedCertificate, Vote,
};

use super::core::signed;
use crate::courier::{Caller, Courier, Foreseen};

/// With more payments under way a turn has many votes, which share a check.
const UNDER_WAY_MAX: usize = 8;

/// What went out ahead in this turn: of which payment, and to whom (`None`: the question to the payer's bank).
#[derive(Debug, Default)]
pub(super) struct Ahead(Vec<(Digest, Option<Caller>)>);

impl Ahead {
    /// Sends what the votes of this turn lead to if they are good. Whether there was anything to send.
    pub(super) fn pass_on(&mut self, courier: &Courier, link: &Link, turn: &[Inbound]) -> bool {
        self.0.clear();
        if courier.under_way() > UNDER_WAY_MAX {
            return false;
        }
        for Inbound { peer, messages, .. } in turn {
            let sender = peer.as_bank();
            for message in messages {
                if let Message::Vote { vote } = message
                    && sender.as_ref() == Some(&vote.unverified().bank)
                {
                    self.pass(courier, link, vote);
                }
            }
        }
        !self.0.is_empty()
    }

    fn pass(&mut self, courier: &Courier, link: &Link, vote: &Signed<Vote>) {
        let payment = vote.unverified().payment;
        let with = |others: &[_]| signed(others).into_iter().chain([vote.clone()]).collect::<Vec<_>>();
        match courier.foresee(vote.unverified()) {
            Some(Foreseen::Question { order, votes }) if !self.has(payment, None) => {
                self.0.push((payment, None));
                let to = Peer::bank(order.payer_bank().clone());
                link.send(&to, vec![Message::Prepare { order, votes: with(&votes) }]);
            }
            Some(Foreseen::Answer { to, order, votes }) => {
                let certificate = UncheckedCertificate { order, votes: with(&votes) };
                for caller in to {
                    if self.has(payment, Some(caller)) {
                        continue;
                    }
                    self.0.push((payment, Some(caller)));
                    let certificate = certificate.clone();
                    link.reply(ConnectionId(caller.0), vec![Message::Outcome { certificate }]);
                }
            }
            _ => {}
        }
    }

    /// Whether this went out ahead.
    pub(super) fn has(&self, payment: Digest, to: Option<Caller>) -> bool {
        self.0.contains(&(payment, to))
    }

    /// A vote on this payment turned out to be bad: what is sent on it later is not what went out.
    pub(super) fn retract(&mut self, payment: Digest) {
        self.0.retain(|(other, _)| *other != payment);
    }
}
