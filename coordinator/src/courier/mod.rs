//! Carries payments from bank to bank (DESIGN §3).
//!
//! A courier decides nothing: the votes are the decision, and a certificate of them is the outcome. So losing
//! one loses nothing, and any number can carry the same order side by side.
//!
//! Pure: no clock, no socket, no disk. Call a `handle_*` method for each input, then [`poll`](Courier::poll)
//! the effects until `None`. Its memory of what is under way ([`Effect::Remember`]) only spares customers the
//! trouble of asking again after a restart.

mod carried;
mod foresee;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hundi_protocol::{
    Ack, BankName, Certificate, Digest, DoubleVote, Order, UnixMillis, Verified, Vote, outcome,
};

use crate::flaw::{Flaw, Flaws, Sound};
use carried::{Carried, Stage};
pub use foresee::Foreseen;

/// How many payments a full coordinator looks at for one that it can let go.
const ROOM_LOOKS: usize = 64;

/// In which order the banks are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CommitOrder {
    /// The payees' banks first; then the payer's, whose YES is the commit. No payer's money waits for another bank.
    #[default]
    PayerLast,
    /// All banks at once: one round trip less, and the payer's money is held meanwhile.
    Parallel,
}

/// Waiting times in milliseconds, and bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// The order of asking.
    pub commit_order: CommitOrder,
    /// How long to wait before asking or telling a silent bank again; doubles each time.
    pub again_after_ms: u64,
    /// The longest wait between two tries.
    pub again_max_ms: u64,
    /// How long to wait for votes before asking the silent banks to answer or refuse (R5).
    pub patience_ms: u64,
    /// How many payments may be under way; more are turned away until some are settled.
    pub carried_max: usize,
    /// How many certificates of settled payments are kept at hand for repeats and questions. The banks have them all; many more would
    /// have left the processor's cache before they are let go, which costs more than to make them.
    pub recall_max: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            commit_order: CommitOrder::PayerLast,
            again_after_ms: 500,
            again_max_ms: 8_000,
            patience_ms: 30_000,
            carried_max: 65_536,
            recall_max: 512,
        }
    }
}

/// Who asked: a number that the shell gives to each connection of a payment app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Caller(pub u64);

/// What the courier knows of a payment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Progress {
    /// Nothing: never carried here, or settled long ago. The outcome is with the banks.
    Unknown,
    /// Under way, with the votes so far.
    UnderWay(Vec<Verified<Vote>>),
    /// Proven.
    Settled(Arc<Certificate>),
}

/// Why an order is not carried. No bank has been asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Declined {
    /// Too many payments are under way; submit it again later, or to another coordinator.
    #[error("too many payments are under way; submit it again later, or to another coordinator")]
    Busy,
    /// None of the banks that the order names is in this network.
    #[error("none of the banks that the order names is in this network")]
    UnknownBanks,
}

/// What the shell is to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Keep the order in mind over a restart. Nothing waits for it.
    Remember(Arc<Order>),
    /// The payment is settled at every bank: drop the order.
    Forget(Digest),
    /// Ask a bank for its vote.
    Prepare {
        /// The bank.
        to: BankName,
        /// The order.
        order: Arc<Order>,
        /// The other banks' votes so far.
        votes: Vec<Verified<Vote>>,
    },
    /// Ask a bank to answer or refuse (R5).
    Resolve {
        /// The bank.
        to: BankName,
        /// The order.
        order: Arc<Order>,
    },
    /// Bring a bank the proof.
    Outcome {
        /// The bank.
        to: BankName,
        /// The proof.
        certificate: Arc<Certificate>,
        /// It was told before, and has not acknowledged: perhaps it never heard of the payment.
        again: bool,
    },
    /// Bring the customer the proof.
    Answer {
        /// Who asked.
        to: Caller,
        /// The proof.
        certificate: Arc<Certificate>,
    },
    /// Tell the customer what is known.
    Status {
        /// Who asked.
        to: Caller,
        /// The payment.
        payment: Digest,
        /// What is known of it.
        progress: Progress,
    },
    /// Turn an order away.
    Decline {
        /// Who asked.
        to: Caller,
        /// The payment.
        payment: Digest,
        /// Why.
        why: Declined,
    },
    /// A bank voted both ways: two votes that prove it (R12).
    Report(DoubleVote),
}

/// Carries orders and votes between banks. Pure: no clock, no socket, no disk.
///
/// To drive it: a `handle_*` method for each input, then [`poll`](Self::poll) the effects until `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Courier<F = Sound> {
    policy: Policy,
    flaws: F,
    /// The banks of the network.
    banks: BTreeSet<BankName>,
    /// Boxed, for the map moves its entries about.
    carried: BTreeMap<Digest, Box<Carried>>,
    due: BTreeSet<(UnixMillis, Digest)>,
    settled: BTreeMap<Digest, Arc<Certificate>>,
    settled_order: VecDeque<Digest>,
    effects: VecDeque<Effect>,
}

/// Equal couriers hash equally; a hash does not tell when things are due (see `Carried`).
impl<F: Hash> Hash for Courier<F> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Courier { policy, flaws, banks, carried, due: _, settled, settled_order, effects } = self;
        (policy, flaws, banks, carried, settled, settled_order, effects).hash(state);
    }
}

impl Courier {
    /// Starts with the orders that it kept in mind before a restart.
    pub fn open(
        now: UnixMillis,
        banks: BTreeSet<BankName>,
        policy: Policy,
        remembered: Vec<Arc<Order>>,
    ) -> Self {
        Courier::with_flaws(now, banks, policy, remembered, Sound)
    }
}

impl<F: Flaws> Courier<F> {
    /// [`open`](Courier::open) with deliberate bugs, for the checker.
    pub fn with_flaws(
        now: UnixMillis,
        banks: BTreeSet<BankName>,
        policy: Policy,
        remembered: Vec<Arc<Order>>,
        flaws: F,
    ) -> Self {
        let mut courier = Courier {
            policy,
            flaws,
            banks,
            carried: BTreeMap::new(),
            due: BTreeSet::new(),
            settled: BTreeMap::new(),
            settled_order: VecDeque::new(),
            effects: VecDeque::new(),
        };
        for order in remembered {
            courier.carry(now, order, None);
        }
        courier
    }

    /// What to do next; call until `None` after every `handle_*`.
    #[must_use]
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// How many payments are under way.
    pub fn under_way(&self) -> usize {
        self.carried.len()
    }

    /// When [`handle_time`](Self::handle_time) next has something to do.
    pub fn next_time(&self) -> Option<UnixMillis> {
        self.due.first().map(|(at, _)| *at)
    }

    /// A customer submits an order, for the first time or again (R9).
    pub fn handle_submit(&mut self, now: UnixMillis, caller: Caller, order: Arc<Order>) {
        let digest = order.digest();
        if let Some(certificate) = self.proof(&digest) {
            self.effects.push_back(Effect::Answer { to: caller, certificate });
        } else if let Some(carried) = self.carried.get_mut(&digest) {
            carried.add_caller(caller);
        } else if self.carried.len() >= self.policy.carried_max && !self.make_room() {
            self.decline(caller, digest, Declined::Busy);
        } else if order.banks().iter().all(|bank| !self.banks.contains(bank)) {
            self.decline(caller, digest, Declined::UnknownBanks);
        } else {
            self.effects.push_back(Effect::Remember(Arc::clone(&order)));
            self.carry(now, order, Some(caller));
        }
    }

    /// A customer asks what became of a payment.
    pub fn handle_status(&mut self, caller: Caller, payment: Digest) {
        let progress = match (self.proof(&payment), self.carried.get(&payment)) {
            (Some(certificate), _) => Progress::Settled(certificate),
            (None, Some(carried)) => Progress::UnderWay(carried.votes.clone()),
            (None, None) => Progress::Unknown,
        };
        self.effects.push_back(Effect::Status { to: caller, payment, progress });
    }

    /// A bank's vote.
    pub fn handle_vote(&mut self, now: UnixMillis, vote: Verified<Vote>) {
        let digest = vote.statement().payment;
        let Some(carried) = self.carried.get_mut(&digest) else {
            // Settled: a late repeat, or the other half of a proof (R12).
            let known = self.settled.get(&digest).map(|certificate| certificate.votes());
            if let Some(proof) = known.and_then(|votes| votes.iter().find_map(|o| DoubleVote::of(o, &vote))) {
                self.effects.push_back(Effect::Report(proof));
            }
            return;
        };
        if let Some(proof) = carried.votes.iter().find_map(|other| DoubleVote::of(other, &vote)) {
            self.effects.push_back(Effect::Report(proof)); // R12
        }
        if !carried.add_vote(vote) {
            return; // Heard before (R9), or not a bank of this order.
        }
        let proven = outcome(&carried.order, &carried.votes); // R3
        match carried.outcome() {
            None if proven.is_none() => self.ask(now, digest),
            known if proven != known => self.settle(now, digest),
            _ => {}
        }
    }

    /// A bank that has settled a payment answers with the whole proof.
    pub fn handle_outcome(&mut self, now: UnixMillis, certificate: &Certificate) {
        for vote in certificate.votes() {
            self.handle_vote(now, vote.clone());
        }
    }

    /// A bank has the outcome on disk.
    pub fn handle_ack(&mut self, ack: &Verified<Ack>) {
        let ack = ack.statement();
        let Some(carried) = self.carried.get_mut(&ack.payment) else { return };
        if carried.acknowledge(&ack.bank) {
            self.forget(ack.payment);
        }
    }

    /// Time has passed: asks and tells again what went unanswered.
    pub fn handle_time(&mut self, now: UnixMillis) {
        let due: Vec<Digest> =
            self.due.iter().take_while(|(at, _)| *at <= now).map(|(_, digest)| *digest).collect();
        for digest in due {
            let carried = self.carried.get_mut(&digest).expect("what is due is carried");
            self.due.remove(&(carried.due, digest));
            carried.wait_ms = carried.wait_ms.saturating_mul(2).min(self.policy.again_max_ms);
            carried.due = UnixMillis(now.0.saturating_add(carried.wait_ms));
            self.due.insert((carried.due, digest));
            match &carried.stage {
                Stage::Asking => {
                    carried.forget_asked();
                    if !self.flaws.has(Flaw::AskOnce) {
                        self.ask(now, digest);
                    }
                }
                Stage::Telling { .. } => self.tell_banks(digest, true),
            }
        }
    }

    /// Lets go a settled payment whose banks have not all acknowledged: one bank's outage must not use up the
    /// coordinator, and the bank asks the others itself (R5).
    fn make_room(&mut self) -> bool {
        let told = |digest: &Digest| matches!(self.carried[digest].stage, Stage::Telling { .. });
        let settled = self.due.iter().map(|(_, digest)| *digest).take(ROOM_LOOKS).find(told);
        if let Some(digest) = settled {
            self.forget(digest);
        }
        settled.is_some()
    }

    fn carry(&mut self, now: UnixMillis, order: Arc<Order>, caller: Option<Caller>) {
        let digest = order.digest();
        let due = UnixMillis(now.0.saturating_add(self.policy.again_after_ms));
        let carried = Carried::new(order, now, due, self.policy.again_after_ms, caller);
        self.carried.insert(digest, Box::new(carried));
        self.due.insert((due, digest));
        self.ask(now, digest);
    }

    /// Asks the banks whose turn it is and that have not been asked since the last wait.
    fn ask(&mut self, now: UnixMillis, digest: Digest) {
        let early = self.flaws.has(Flaw::AskPayerEarly);
        let commit_order = if early { CommitOrder::Parallel } else { self.policy.commit_order };
        let resolve = self.must_resolve(now, &self.carried[&digest]);
        let carried = self.carried.get_mut(&digest).expect("the caller found it");
        let order = Arc::clone(&carried.order);
        for (place, bank) in order.banks().iter().enumerate().filter(|(_, bank)| self.banks.contains(*bank)) {
            if !(resolve || carried.is_turn_of(place, commit_order)) || !carried.may_ask(place, resolve) {
                continue;
            }
            let to = bank.clone();
            if resolve {
                self.effects.push_back(Effect::Resolve { to, order: Arc::clone(&order) });
                continue;
            }
            let votes = carried.votes.clone();
            self.effects.push_back(Effect::Prepare { to, order: Arc::clone(&order), votes });
        }
    }

    /// Whether banks are asked to answer or refuse, not to vote (R5).
    fn must_resolve(&self, now: UnixMillis, carried: &Carried) -> bool {
        let hopeless = carried.order.banks().iter().any(|bank| !self.banks.contains(bank));
        hopeless || now.0 >= carried.since.0.saturating_add(self.policy.patience_ms)
    }

    /// The votes prove the outcome: tells the customers, then the banks that hold for it.
    fn settle(&mut self, now: UnixMillis, digest: Digest) {
        let carried = self.carried.get_mut(&digest).expect("the caller found it");
        let Some(certificate) = carried.conclude() else { return };
        for to in std::mem::take(&mut carried.callers) {
            self.effects.push_back(Effect::Answer { to, certificate: Arc::clone(&certificate) });
        }
        self.due.remove(&(carried.due, digest));
        carried.wait_ms = self.policy.again_after_ms;
        carried.due = UnixMillis(now.0.saturating_add(carried.wait_ms));
        self.due.insert((carried.due, digest));
        if carried.all_told() {
            self.forget(digest);
        } else {
            self.tell_banks(digest, false);
            if self.flaws.has(Flaw::TellOnce) {
                self.forget(digest);
            }
        }
    }

    fn tell_banks(&mut self, digest: Digest, again: bool) {
        let Stage::Telling { certificate, silent } = &self.carried[&digest].stage else { return };
        for (place, to) in certificate.order().banks().iter().enumerate() {
            if silent.contains(place) {
                let (to, certificate) = (to.clone(), Arc::clone(certificate));
                self.effects.push_back(Effect::Outcome { to, certificate, again });
            }
        }
    }

    /// Settled everywhere: only the certificate is kept at hand, for a while.
    fn forget(&mut self, digest: Digest) {
        let carried = self.carried.remove(&digest).expect("the caller found it");
        self.due.remove(&(carried.due, digest));
        self.effects.push_back(Effect::Forget(digest));
        if let Stage::Telling { certificate, .. } = carried.stage
            && self.policy.recall_max > 0
        {
            if self.settled_order.len() >= self.policy.recall_max
                && let Some(oldest) = self.settled_order.pop_front()
            {
                self.settled.remove(&oldest);
            }
            if self.settled.insert(digest, certificate).is_none() {
                self.settled_order.push_back(digest);
            }
        }
    }

    fn proof(&self, digest: &Digest) -> Option<Arc<Certificate>> {
        match self.carried.get(digest).map(|carried| &carried.stage) {
            Some(Stage::Telling { certificate, .. }) => Some(Arc::clone(certificate)),
            Some(Stage::Asking) => None,
            None => self.settled.get(digest).cloned(),
        }
    }

    fn decline(&mut self, to: Caller, payment: Digest, why: Declined) {
        self.effects.push_back(Effect::Decline { to, payment, why });
    }
}
