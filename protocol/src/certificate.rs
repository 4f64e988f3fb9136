//! The proof of a payment's outcome, checkable by anyone who has the banks' public keys.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::name::BankName;
use crate::order::{LEGS_MAX, Order};
use crate::signed::{BadProof, Signed, Verified, Verifier};
use crate::value::Digest;
use crate::vote::{Decision, Outcome, Reason, Vote, outcome};

/// The most votes beside an order in one message: a YES and a NO of every bank.
pub const VOTES_MAX: usize = 2 * LEGS_MAX;

/// An order and the votes that prove how it ended. Only checked votes get in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Certificate {
    order: Arc<Order>,
    votes: Vec<Verified<Vote>>,
    outcome: Outcome,
}

impl Certificate {
    /// The certificate that the votes make, or `None` while they prove no outcome.
    ///
    /// It keeps what is needed and no more: for COMMIT one YES of every bank, by name; for ABORT one NO, rather a
    /// bank's own reason than one that repeats another's.
    pub fn new<'a>(order: Arc<Order>, votes: impl IntoIterator<Item = &'a Verified<Vote>>) -> Option<Self> {
        Self::of(order, votes.into_iter().cloned().collect())
    }

    /// [`Certificate::new`] of votes that nobody else needs.
    fn of(order: Arc<Order>, mut votes: Vec<Verified<Vote>>) -> Option<Self> {
        let outcome = outcome(&order, &votes)?;
        let named = |vote: &Vote| vote.payment == order.digest() && order.banks().contains(&vote.bank);
        match outcome {
            Outcome::Commit => {
                votes.retain(|vote| named(vote.statement()) && vote.statement().decision.is_yes());
                votes.sort();
                votes.dedup();
            }
            Outcome::Abort => {
                votes.retain(|vote| named(vote.statement()) && !vote.statement().decision.is_yes());
                votes.sort_by_key(|vote| (reason_of(vote).is_some_and(Reason::is_secondary), vote.clone()));
                votes.truncate(1);
            }
        }
        Some(Self { order, votes, outcome })
    }

    /// The order.
    #[must_use]
    pub fn order(&self) -> &Arc<Order> {
        &self.order
    }

    /// The digest of the order.
    #[must_use]
    pub fn payment(&self) -> Digest {
        self.order.digest()
    }

    /// The votes that prove the outcome.
    #[must_use]
    pub fn votes(&self) -> &[Verified<Vote>] {
        &self.votes
    }

    /// The votes of the other banks, for one that has its own.
    pub fn votes_beside<'a>(&'a self, bank: &'a BankName) -> impl Iterator<Item = &'a Verified<Vote>> {
        self.votes.iter().filter(move |vote| vote.statement().bank != *bank)
    }

    /// How the payment ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Why it was refused, if it was.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.votes.iter().find_map(reason_of)
    }

    /// The form that is sent: to be checked by whoever receives it.
    #[must_use]
    pub fn to_unchecked(&self) -> UncheckedCertificate {
        UncheckedCertificate {
            order: Arc::clone(&self.order),
            votes: self.votes.iter().map(|vote| vote.signed().clone()).collect(),
        }
    }

    /// The binary form, complete in itself.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Writing plain data to memory has nothing that could fail.
        postcard::to_allocvec(&self.to_unchecked()).unwrap_or_default()
    }

    /// Reads and checks the binary form.
    ///
    /// # Errors
    /// [`BadCertificate`].
    pub fn from_bytes(bytes: &[u8], verifier: &mut Verifier) -> Result<Self, BadCertificate> {
        match postcard::take_from_bytes::<UncheckedCertificate>(bytes) {
            Ok((unchecked, [])) => unchecked.check(verifier),
            _ => Err(BadCertificate::Malformed),
        }
    }
}

fn reason_of(vote: &Verified<Vote>) -> Option<Reason> {
    match vote.statement().decision {
        Decision::No(reason) => Some(reason),
        Decision::Yes => None,
    }
}

/// A certificate as somebody sent it: it may prove nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UncheckedCertificate {
    /// The order.
    #[serde(with = "crate::order::shared")]
    pub order: Arc<Order>,
    /// The votes.
    #[serde(with = "crate::wire::votes")]
    pub votes: Vec<Signed<Vote>>,
}

/// Why a certificate proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadCertificate {
    /// Not the bytes of a certificate.
    #[error("not a certificate")]
    Malformed,
    /// One of the votes.
    #[error(transparent)]
    BadProof(#[from] BadProof),
    /// The votes are genuine, and prove no outcome of this order.
    #[error("the votes prove no outcome")]
    ProvesNothing,
}

impl UncheckedCertificate {
    /// Checks every vote, and that together they prove an outcome.
    ///
    /// # Errors
    /// [`BadCertificate`].
    pub fn check(self, verifier: &mut Verifier) -> Result<Certificate, BadCertificate> {
        let votes: Vec<_> =
            self.votes.into_iter().map(|vote| verifier.verify(vote)).collect::<Result<_, _>>()?;
        Certificate::of(self.order, votes).ok_or(BadCertificate::ProvesNothing)
    }
}
