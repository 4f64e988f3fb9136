//! One payment on its way.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hundi_protocol::{BankName, Certificate, Order, Outcome, UnixMillis, Verified, Vote};

use super::{Caller, CommitOrder};

/// How many callers of one payment are answered; a caller beyond them asks again.
const CALLERS_MAX: usize = 16;

/// What the courier is doing for a payment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// Collecting votes.
    Asking,
    /// Telling the banks the outcome.
    Telling {
        certificate: Arc<Certificate>,
        /// The banks that may hold for it and have not acknowledged.
        silent: BTreeSet<BankName>,
    },
}

/// A payment on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Carried {
    pub(super) order: Arc<Order>,
    /// At most a YES and a NO of each bank, in an order that does not depend on which came first.
    pub(super) votes: BTreeSet<Verified<Vote>>,
    pub(super) callers: Vec<Caller>,
    pub(super) since: UnixMillis,
    pub(super) due: UnixMillis,
    pub(super) wait_ms: u64,
    pub(super) stage: Stage,
    /// Asked since the last wait, so that a vote does not make the courier ask the others again.
    asked: BTreeSet<BankName>,
    /// Asked at any time: may hold for this payment.
    involved: BTreeSet<BankName>,
    /// Asked with every other bank's YES and in no other way: its YES settles it, so it need not be told. One that was
    /// also asked without them may have answered *that*, and the question with the proof may be lost.
    informed: BTreeSet<BankName>,
}

/// Equal values hash equally, but a hash does not tell *when* something is due: the checker lets any wait end at
/// any time, and there carried payments that differ in nothing else behave alike.
impl Hash for Carried {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Carried { order, votes, callers, since, due: _, wait_ms: _, stage, asked, involved, informed } =
            self;
        (order, votes, callers, since, stage, asked, involved, informed).hash(state);
    }
}

impl Carried {
    pub(super) fn new(
        order: Arc<Order>,
        since: UnixMillis,
        due: UnixMillis,
        wait_ms: u64,
        caller: Option<Caller>,
    ) -> Self {
        Carried {
            order,
            votes: BTreeSet::new(),
            callers: caller.into_iter().collect(),
            since,
            due,
            wait_ms,
            stage: Stage::Asking,
            asked: BTreeSet::new(),
            involved: BTreeSet::new(),
            informed: BTreeSet::new(),
        }
    }

    pub(super) fn add_caller(&mut self, caller: Caller) {
        if self.callers.len() < CALLERS_MAX && !self.callers.contains(&caller) {
            self.callers.push(caller);
        }
    }

    /// Whether the vote is news: of a bank of this order, and not said before.
    pub(super) fn add_vote(&mut self, vote: Verified<Vote>) -> bool {
        let says = vote.statement();
        let said = |other: &Verified<Vote>| {
            other.statement().bank == says.bank
                && other.statement().decision.is_yes() == says.decision.is_yes()
        };
        if !self.order.banks().contains(&says.bank) || self.votes.iter().any(said) {
            return false;
        }
        self.votes.insert(vote)
    }

    /// Whether a bank that has not voted is to be asked now.
    pub(super) fn is_turn_of(&self, bank: &BankName, commit_order: CommitOrder) -> bool {
        match commit_order {
            CommitOrder::Parallel => true,
            CommitOrder::PayerLast => bank != self.order.payer_bank() || self.others_voted_yes(bank),
        }
    }

    /// Notes that `bank` is asked, to resolve or to vote; `false` if it has voted, or was asked since the last wait.
    pub(super) fn may_ask(&mut self, bank: &BankName, resolve: bool) -> bool {
        if self.votes.iter().any(|vote| &vote.statement().bank == bank) || self.asked.contains(bank) {
            return false;
        }
        let first = self.involved.insert(bank.clone());
        if resolve || !self.others_voted_yes(bank) {
            self.informed.remove(bank);
        } else if first {
            self.informed.insert(bank.clone());
        }
        self.asked.insert(bank.clone())
    }

    pub(super) fn forget_asked(&mut self) {
        self.asked.clear();
    }

    /// Whether every bank but `bank` has voted YES.
    fn others_voted_yes(&self, bank: &BankName) -> bool {
        self.order.banks().iter().filter(|other| *other != bank).all(|other| self.said(other, true))
    }

    fn said(&self, bank: &BankName, yes: bool) -> bool {
        self.votes
            .iter()
            .any(|vote| &vote.statement().bank == bank && vote.statement().decision.is_yes() == yes)
    }

    pub(super) fn outcome(&self) -> Option<Outcome> {
        match &self.stage {
            Stage::Asking => None,
            Stage::Telling { certificate, .. } => Some(certificate.outcome()),
        }
    }

    /// The votes prove the outcome: moves on to telling the banks that may hold for this payment.
    pub(super) fn conclude(&mut self) -> Option<Arc<Certificate>> {
        let certificate = Arc::new(Certificate::new(Arc::clone(&self.order), &self.votes)?);
        let outcome = certificate.outcome();
        let silent = match outcome {
            Outcome::Commit => {
                self.order.banks().iter().filter(|bank| !self.informed.contains(*bank)).collect()
            }
            Outcome::Abort => self.involved.iter().filter(|bank| !self.said(bank, false)).collect::<Vec<_>>(),
        };
        let silent = silent.into_iter().cloned().collect();
        self.stage = Stage::Telling { certificate: Arc::clone(&certificate), silent };
        Some(certificate)
    }

    pub(super) fn all_told(&self) -> bool {
        matches!(&self.stage, Stage::Telling { silent, .. } if silent.is_empty())
    }

    /// Takes note that `bank` has the outcome; `true` once all have.
    pub(super) fn acknowledge(&mut self, bank: &BankName) -> bool {
        match &mut self.stage {
            Stage::Asking => false,
            Stage::Telling { silent, .. } => {
                silent.remove(bank);
                silent.is_empty()
            }
        }
    }
}
