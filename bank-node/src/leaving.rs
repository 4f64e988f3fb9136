//! What leaves a bank at one time, signed: the one place where effects become statements.

use std::sync::Arc;

use hundi_protocol::{Ack, BankName, Certificate, Digest, DoubleVote, Order, Peer, Signer, Verified, Vote};

use crate::books::Books;
use crate::flaw::Flaws;
use crate::participant::{AccountAnswer, Effect, Participant};

/// Everything that a participant lets go now, with one signature for all of it. The shell sends it; the checker's replay
/// does too, so that both show the same.
#[derive(Debug, Default)]
pub struct Leaving {
    /// This bank's votes, each with who asked.
    pub votes: Vec<(Peer, Verified<Vote>)>,
    /// The proofs of settled payments, each with who asked.
    pub proofs: Vec<(Peer, Certificate)>,
    /// Payments whose votes on record do not prove the outcome on record: a fault of this bank's file.
    pub unproven: Vec<Digest>,
    /// Acknowledgements, each with who brought the outcome.
    pub acks: Vec<(Peer, Verified<Ack>)>,
    /// Questions to other banks (R5).
    pub questions: Vec<(BankName, Arc<Order>)>,
    /// Answers to operators, by the number of the request.
    pub answers: Vec<(u64, AccountAnswer)>,
    /// Proofs against two-faced banks (R12).
    pub reports: Vec<DoubleVote>,
}

impl Leaving {
    /// Takes what may leave, and signs it as this bank.
    ///
    /// # Panics
    /// When `signer` is another bank's: that is a fault of the program.
    pub fn take<B: Books, F: Flaws>(participant: &mut Participant<B, F>, signer: &Signer) -> Self {
        let mut leaving = Leaving::default();
        let (mut voters, mut acknowledged, mut proving) = (Vec::new(), Vec::new(), Vec::new());
        let (mut votes, mut proven, mut acks) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(effect) = participant.poll() {
            match effect {
                Effect::Vote { to, vote } => {
                    voters.push(to);
                    votes.push(vote);
                }
                Effect::Proof { to, order, votes, vote } => {
                    proving.push((to, order, votes));
                    proven.push(vote);
                }
                Effect::Ack { to, payment } => {
                    acknowledged.push(to);
                    acks.push(Ack { payment, bank: participant.bank().clone() });
                }
                Effect::Resolve { to, order } => leaving.questions.push((to, order)),
                Effect::Answer { ticket, answer } => leaving.answers.push((ticket, answer)),
                Effect::Report(proof) => leaving.reports.push(proof),
            }
        }
        votes.append(&mut proven);
        let (votes, acks) = signer.sign_write(votes, acks);
        let mut votes = votes.into_iter();
        leaving.votes = voters.into_iter().zip(votes.by_ref()).collect();
        for ((to, order, others), own) in proving.into_iter().zip(votes) {
            match Certificate::new(order, others.iter().chain([&own])) {
                Some(proof) => leaving.proofs.push((to, proof)),
                None => leaving.unproven.push(own.statement().payment),
            }
        }
        leaving.acks = acknowledged.into_iter().zip(acks).collect();
        leaving
    }
}
