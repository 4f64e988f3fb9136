//! What is on the wires.

use std::sync::Arc;

use hundi_bank_node::AccountAnswer;
use hundi_protocol::{
    Ack, Certificate, Decision, Digest, DoubleVote, Kind, NodeName, Order, Outcome, Peer, Verified, Vote,
};

use super::scenario::{Chore, Scenario};

/// A message, as the cores take it: orders parsed, votes verified.
///
/// Each is made once and then stays on its wire for good: delivered again, late, or never (R9).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Packet {
    /// Customer → coordinator: an order, for the first time or again.
    Submit(Arc<Order>),
    /// Coordinator → bank: vote.
    Prepare {
        /// Who asks.
        from: Peer,
        /// The order.
        order: Arc<Order>,
        /// The votes so far.
        votes: Vec<Verified<Vote>>,
    },
    /// Bank → whoever asked.
    Vote(Verified<Vote>),
    /// Coordinator or bank → bank: answer or refuse.
    Resolve {
        /// Who asks.
        from: Peer,
        /// The order.
        order: Arc<Order>,
    },
    /// The proof of an outcome.
    Outcome {
        /// Who brings it.
        from: Peer,
        /// The proof.
        certificate: Arc<Certificate>,
    },
    /// Coordinator → bank that has voted: the other banks' votes, which prove the outcome.
    Proof {
        /// Who brings it.
        from: Peer,
        /// The votes.
        votes: Vec<Verified<Vote>>,
    },
    /// Bank → coordinator: the outcome is in the books.
    Ack(Verified<Ack>),
    /// Coordinator → customer: the proof.
    Answer {
        /// Which coordinator.
        from: NodeName,
        /// The proof.
        certificate: Arc<Certificate>,
    },
    /// Coordinator → customer: not carried.
    Declined {
        /// Which coordinator.
        from: NodeName,
        /// The payment.
        payment: Digest,
    },
    /// Bank → operator: what came of a chore.
    Done {
        /// The bank, by place.
        bank: usize,
        /// The chore, by place.
        chore: usize,
        /// What came of it.
        answer: AccountAnswer,
    },
    /// Any node → its operator: a bank votes both ways (R12).
    Report {
        /// Who found it.
        from: Peer,
        /// The proof.
        proof: DoubleVote,
    },
}

impl Packet {
    /// What it says, in a line. Different packets to one node have different lines.
    #[must_use]
    pub fn text(&self, scenario: &Scenario) -> String {
        let name = |order: &Order| scenario.order_name(&order.digest());
        match self {
            Packet::Submit(order) => format!("submit {}", name(order)),
            Packet::Prepare { from, order, votes } if votes.is_empty() => {
                format!("{} asks for a vote on {}", from.name, name(order))
            }
            Packet::Prepare { from, order, votes } => {
                format!("{} asks for a vote on {}, with {}", from.name, name(order), votes_text(votes))
            }
            Packet::Vote(vote) => {
                let vote = vote.statement();
                format!("{} votes {} on {}", vote.bank, vote.decision, scenario.order_name(&vote.payment))
            }
            Packet::Resolve { from, order } => format!("{} asks to resolve {}", from.name, name(order)),
            Packet::Outcome { from, certificate } => {
                format!("{} proves {}", from.name, certificate_text(certificate, scenario))
            }
            Packet::Proof { from, votes } => {
                let payment = votes.first().map(|vote| scenario.order_name(&vote.statement().payment));
                let payment = payment.unwrap_or_else(|| "nothing".into());
                format!("{} proves {payment} by {}", from.name, votes_text(votes))
            }
            Packet::Ack(ack) => {
                let ack = ack.statement();
                format!("{} has the outcome of {}", ack.bank, scenario.order_name(&ack.payment))
            }
            Packet::Answer { from, certificate } => {
                format!("{from} tells the customer: {}", certificate_text(certificate, scenario))
            }
            Packet::Declined { from, payment } => {
                format!("{from} declines {}", scenario.order_name(payment))
            }
            Packet::Done { bank, chore, answer } => {
                let said = match answer {
                    Ok(()) => "done".to_owned(),
                    Err(refusal) => format!("refused: {refusal}"),
                };
                format!("{}: {}: {said}", scenario.banks[*bank].name, chore_text(&scenario.chores[*chore].1))
            }
            Packet::Report { from, proof } => {
                let (yes, no) = (proof.yes().statement(), proof.no().statement());
                let payment = scenario.order_name(&yes.payment);
                format!("{} reports: {} voted yes and {} on {payment}", from.name, yes.bank, no.decision)
            }
        }
    }

    /// The node that sent it; none for customers.
    #[must_use]
    pub fn sender(&self, scenario: &Scenario) -> Option<usize> {
        match self {
            Packet::Submit(_) => None,
            Packet::Prepare { from, .. }
            | Packet::Resolve { from, .. }
            | Packet::Outcome { from, .. }
            | Packet::Proof { from, .. }
            | Packet::Report { from, .. } => scenario.node_of_peer(from),
            Packet::Vote(vote) => scenario.bank_of(&vote.statement().bank),
            Packet::Ack(ack) => scenario.bank_of(&ack.statement().bank),
            Packet::Answer { from, .. } | Packet::Declined { from, .. } => scenario.node_of(from.as_str()),
            Packet::Done { bank, .. } => Some(*bank),
        }
    }

    /// Which kind of message between nodes it is; none for what goes to customers and operators.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        Some(match self {
            Packet::Submit(_) => Kind::Submit,
            Packet::Prepare { .. } => Kind::Prepare,
            Packet::Vote(_) => Kind::Vote,
            Packet::Resolve { .. } => Kind::Resolve,
            Packet::Outcome { .. } => Kind::Outcome,
            Packet::Proof { .. } => Kind::Proof,
            Packet::Ack(_) => Kind::Ack,
            Packet::Answer { .. } | Packet::Declined { .. } | Packet::Done { .. } | Packet::Report { .. } => {
                return None;
            }
        })
    }

    /// How it ended, if it says so to a customer.
    #[must_use]
    pub fn told(&self) -> Option<(Digest, Outcome)> {
        match self {
            Packet::Answer { certificate, .. } => Some((certificate.payment(), certificate.outcome())),
            _ => None,
        }
    }
}

/// Votes as `beta's yes, gamma's no (expired)`.
pub(crate) fn votes_text(votes: &[Verified<Vote>]) -> String {
    let votes: Vec<String> = votes
        .iter()
        .map(Verified::statement)
        .map(|vote| match vote.decision {
            Decision::Yes => format!("{}'s yes", vote.bank),
            Decision::No(reason) => format!("{}'s no ({reason})", vote.bank),
        })
        .collect();
    votes.join(", ")
}

fn certificate_text(certificate: &Certificate, scenario: &Scenario) -> String {
    let payment = scenario.order_name(&certificate.payment());
    let outcome = match certificate.outcome() {
        Outcome::Commit => "a commit",
        Outcome::Abort => "an abort",
    };
    format!("{payment} is {outcome}, by {}", votes_text(certificate.votes()))
}

/// A chore in a few words.
pub(crate) fn chore_text(chore: &Chore) -> String {
    use hundi_bank_node::AccountRequest as Request;
    match chore {
        Chore::Account(Request::Open { name, currency, .. }) => format!("open {name} in {currency}"),
        Chore::Account(Request::Deposit { name, amount, .. }) => format!("deposit {amount} to {name}"),
        Chore::Account(Request::Close { name }) => format!("close {name}"),
        Chore::Floor(floor) => format!("forget refusals up to {floor}"),
    }
}
