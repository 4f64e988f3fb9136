//! One payment on its way.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hundi_protocol::{BankName, Certificate, Order, Outcome, UnixMillis, Verified, Vote};

use super::{Caller, CommitOrder};

/// How many callers of one payment are answered; a caller beyond them asks again.
const CALLERS_MAX: usize = 16;

/// Some of the banks that an order names: a bit for each, at its place in [`Order::banks`], which are 16 at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Banks(u16);

impl Banks {
    pub(super) fn contains(self, place: usize) -> bool {
        self.0 & (1 << place) != 0
    }

    fn insert(&mut self, place: usize) {
        self.0 |= 1 << place;
    }

    fn remove(&mut self, place: usize) {
        self.0 &= !(1 << place);
    }

    fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<usize> for Banks {
    fn from_iter<I: IntoIterator<Item = usize>>(places: I) -> Self {
        let mut banks = Banks::default();
        places.into_iter().for_each(|place| banks.insert(place));
        banks
    }
}

/// What the courier is doing for a payment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// Collecting votes.
    Asking,
    /// Telling the banks the outcome.
    Telling {
        certificate: Arc<Certificate>,
        /// The banks that may hold for it and have not acknowledged.
        silent: Banks,
    },
}

/// A payment on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Carried {
    pub(super) order: Arc<Order>,
    /// At most a YES and a NO of each bank, sorted: which came first makes no difference.
    pub(super) votes: Vec<Verified<Vote>>,
    pub(super) callers: Vec<Caller>,
    pub(super) since: UnixMillis,
    pub(super) due: UnixMillis,
    pub(super) wait_ms: u64,
    pub(super) stage: Stage,
    /// Asked since the last wait, so that a vote does not make the courier ask the others again.
    asked: Banks,
    /// Asked at any time: may hold for this payment.
    involved: Banks,
    /// Asked with every other bank's YES and in no other way: its YES settles it, so it need not be told. One that was
    /// also asked without them may have answered *that*, and the question with the proof may be lost.
    informed: Banks,
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
            votes: Vec::new(),
            callers: caller.into_iter().collect(),
            since,
            due,
            wait_ms,
            stage: Stage::Asking,
            asked: Banks::default(),
            involved: Banks::default(),
            informed: Banks::default(),
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
        let place = self.votes.partition_point(|other| *other < vote);
        self.votes.insert(place, vote);
        true
    }

    /// Whether a bank that has not voted is to be asked now.
    pub(super) fn is_turn_of(&self, place: usize, commit_order: CommitOrder) -> bool {
        match commit_order {
            CommitOrder::Parallel => true,
            CommitOrder::PayerLast => {
                self.order.banks()[place] != *self.order.payer_bank() || self.others_voted_yes(place)
            }
        }
    }

    /// Notes that a bank is asked, to resolve or to vote; `false` if it has voted, or was asked since the last wait.
    pub(super) fn may_ask(&mut self, place: usize, resolve: bool) -> bool {
        let bank = &self.order.banks()[place];
        if self.asked.contains(place) || self.votes.iter().any(|vote| vote.statement().bank == *bank) {
            return false;
        }
        if resolve || !self.others_voted_yes(place) {
            self.informed.remove(place);
        } else if !self.involved.contains(place) {
            self.informed.insert(place);
        }
        self.involved.insert(place);
        self.asked.insert(place);
        true
    }

    pub(super) fn forget_asked(&mut self) {
        self.asked = Banks::default();
    }

    /// Whether every bank but the one at `place` has voted YES.
    fn others_voted_yes(&self, place: usize) -> bool {
        let mut others = self.order.banks().iter().enumerate().filter(|(other, _)| *other != place);
        others.all(|(_, other)| self.said(other, true))
    }

    /// The banks that have not voted YES.
    pub(super) fn missing(&self) -> impl Iterator<Item = &BankName> {
        self.order.banks().iter().filter(|bank| !self.said(bank, true))
    }

    /// Whether a bank has been asked since the last wait.
    pub(super) fn is_asked(&self, bank: &BankName) -> bool {
        self.order
            .banks()
            .iter()
            .enumerate()
            .any(|(place, other)| other == bank && self.asked.contains(place))
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
        let may_hold = |(place, bank): &(usize, &BankName)| match outcome {
            Outcome::Commit => !self.informed.contains(*place),
            Outcome::Abort => self.involved.contains(*place) && !self.said(bank, false),
        };
        let silent = self.order.banks().iter().enumerate().filter(may_hold).map(|(place, _)| place).collect();
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
                if let Some(place) = self.order.banks().iter().position(|other| other == bank) {
                    silent.remove(place);
                }
                silent.is_empty()
            }
        }
    }
}
