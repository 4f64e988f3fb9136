//! Votes that go on before this coordinator has checked them.
//!
//! A bank believes no coordinator: it checks the votes that come with a question, and drops the question if one does not hold. Nor does
//! a customer: it checks the votes of a certificate. So while payments have the network almost to themselves, the next in line need
//! not wait until this node has checked as well. Here nothing counts before it is checked, and bad votes are complained of as ever.
//!
//! What goes out ahead must be what the courier wants sent once it has the vote, if not in the same order. So that a turn brings nothing
//! in between, a payment on which it has another vote or proof has to wait.

use std::collections::BTreeSet;

use hundi_protocol::{
    BankName, ConnectionId, Digest, Inbound, Link, Message, Peer, Signed, UncheckedCertificate, UnixMillis,
    Vote,
};

use super::core::signed;
use crate::courier::{Caller, Courier, Foreseen};

/// With more payments under way, or more messages to a turn, votes come together and share a check.
const UNDER_WAY_MAX: usize = 8;
const MESSAGES_MAX: usize = 16;

/// What went out ahead in this turn, and whose votes do not.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// Of which payment, and to whom (`None`: the question to the payer's bank).
    sent: Vec<(Digest, Option<Caller>)>,
    /// Banks that sent a vote that did not hold: theirs are checked first from then on.
    distrusted: BTreeSet<BankName>,
}

impl Ahead {
    /// Sends what the votes of this turn lead to if they are good. Whether there was anything to send.
    pub(super) fn pass_on(
        &mut self,
        now: UnixMillis,
        courier: &Courier,
        link: &Link,
        turn: &[Inbound],
    ) -> bool {
        self.sent.clear();
        let messages: usize = turn.iter().map(|frame| frame.messages.len()).sum();
        if courier.under_way() > UNDER_WAY_MAX || messages > MESSAGES_MAX {
            return false;
        }
        let told: Vec<Digest> = turn.iter().flat_map(|frame| &frame.messages).filter_map(tells_of).collect();
        for Inbound { peer, messages, .. } in turn {
            for message in messages {
                if let Message::Vote { vote } = message
                    && let Vote { payment, bank, .. } = vote.unverified()
                    && told.iter().filter(|other| *other == payment).count() == 1
                    && is_own(peer, vote)
                    && !self.distrusted.contains(bank)
                {
                    self.pass(now, courier, link, vote);
                }
            }
        }
        !self.sent.is_empty()
    }

    fn pass(&mut self, now: UnixMillis, courier: &Courier, link: &Link, vote: &Signed<Vote>) {
        let payment = vote.unverified().payment;
        let with = |others: &[_]| signed(others).into_iter().chain([vote.clone()]).collect::<Vec<_>>();
        match courier.foresee(now, vote.unverified()) {
            Some(Foreseen::Question { order, votes }) => {
                self.sent.push((payment, None));
                let to = Peer::bank(order.payer_bank().clone());
                link.send(&to, vec![Message::Prepare { order, votes: with(&votes) }]);
            }
            Some(Foreseen::Answer { to, order, votes }) => {
                let certificate = UncheckedCertificate { order, votes: with(&votes) };
                for caller in to {
                    self.sent.push((payment, Some(caller)));
                    let certificate = certificate.clone();
                    link.reply(ConnectionId(caller.0), vec![Message::Outcome { certificate }]);
                }
            }
            None => {}
        }
    }

    /// Whether this went out ahead.
    pub(super) fn has(&self, payment: Digest, to: Option<Caller>) -> bool {
        self.sent.contains(&(payment, to))
    }

    /// A vote that this peer brought does not hold.
    pub(super) fn distrust(&mut self, peer: &Peer, bank: BankName) {
        if peer.as_bank().as_ref() == Some(&bank) {
            self.distrusted.insert(bank);
        }
    }
}

/// Whether a bank brings its own vote.
fn is_own(peer: &Peer, vote: &Signed<Vote>) -> bool {
    peer.as_bank().as_ref() == Some(&vote.unverified().bank)
}

/// The payment that a message has votes on.
fn tells_of(message: &Message) -> Option<Digest> {
    match message {
        Message::Vote { vote } => Some(vote.unverified().payment),
        Message::Outcome { certificate } => Some(certificate.order.digest()),
        _ => None,
    }
}
