//! One node: what it is between two events, and what an event does to it.
//!
//! This is the place of the processes' shells: it hands inputs to the very cores that they run and carries their
//! effects away. A write to disk is an event of its own, and a crash forgets what was not written (R8).

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use hundi_bank_node::{
    Effect as BankEffect, Fault, Flaw as BankFlaw, MemoryBooks, Participant, Policy as BankPolicy,
};
use hundi_coordinator::{
    Caller, CommitOrder, Courier, Effect as CourierEffect, Flaw as CourierFlaw, Policy as CourierPolicy,
};
use hundi_ledger::{CommitSeq, MemoryStore};
use hundi_protocol::{
    Ack, Authorised, BankName, Certificate, Decision, Digest, Order, UnixMillis, Verified, Vote,
};

use super::oracle;
use super::packet::Packet;
use super::properties::Prop;
use super::quiet;
use super::scenario::{Chore, LATER, START, Scenario};

/// The most chores of a scenario.
pub(crate) const CHORES_MAX: usize = 24;

/// The deliberate bug of every bank and coordinator of a world, if any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bug {
    /// Of the banks.
    pub bank: Option<BankFlaw>,
    /// Of the coordinators.
    pub coordinator: Option<CourierFlaw>,
}

/// The participant of the model: the production code, over books in memory.
pub type ModelParticipant = Participant<MemoryBooks, Option<BankFlaw>>;
/// The courier of the model: the production code.
pub type ModelCourier = Courier<Option<CourierFlaw>>;

/// A bank that is up.
#[derive(Clone, Debug)]
pub struct BankUp {
    /// The time here, as a place in [`Scenario::clock`].
    pub clock: u8,
    /// What is in memory, with all that was recorded.
    pub participant: ModelParticipant,
    /// What is on disk.
    pub disk: Arc<MemoryBooks>,
    /// What the disk is writing.
    pub writing: Option<(CommitSeq, Arc<MemoryBooks>)>,
}

/// A coordinator that is up.
#[derive(Clone, Debug)]
pub struct CourierUp {
    /// The time here, as a place in [`Scenario::clock`].
    pub clock: u8,
    /// What is in memory.
    pub courier: ModelCourier,
    /// The orders that it wants to remember over a restart.
    pub remembered: BTreeSet<Digest>,
    /// The orders that it would remember.
    pub disk: BTreeSet<Digest>,
}

/// One node between two events.
#[derive(Clone, Debug)]
pub enum Body {
    /// A bank that is up.
    Bank(Box<BankUp>),
    /// A bank that crashed: only its disk is left.
    BankDown {
        /// The time here.
        clock: u8,
        /// What is on disk.
        disk: Arc<MemoryBooks>,
    },
    /// A coordinator that is up.
    Courier(Box<CourierUp>),
    /// A coordinator that crashed.
    CourierDown {
        /// The time here.
        clock: u8,
        /// The orders that it remembers.
        disk: BTreeSet<Digest>,
    },
    /// Any number of coordinators, of which nothing matters but the votes that banks cast: what they could send is on
    /// the wires at once.
    Anybody {
        /// The orders, as bits, that customers gave.
        orders: u8,
        /// Every vote that any of them could know.
        votes: BTreeSet<Verified<Vote>>,
    },
    /// A bank that says and signs what it likes: everything it could say is on the wires from the start.
    Liar,
    /// A node that stopped for good by a fault of its own. No sound node does.
    Stopped {
        /// What it said.
        why: String,
    },
}

/// What happens to a node.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Its clock goes on to the next value.
    Tick,
    /// It wakes up at the time that it asked for.
    Timer,
    /// What was recorded is handed to the disk and written, with nothing in between.
    Sync,
    /// What was recorded is handed to the disk.
    Write,
    /// The disk has written it.
    Written,
    /// It crashes.
    Crash,
    /// It starts again.
    Restart,
    /// Its operator does something.
    Chore(usize, &'a Chore),
    /// A message arrives.
    Deliver(&'a Packet),
}

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum To {
    /// To this node.
    Node(usize),
    /// To customers and operators.
    Outside,
}

/// What an event did.
#[derive(Clone, Debug)]
pub struct Stepped {
    /// The node after it.
    pub body: Body,
    /// What it sent.
    pub sends: Vec<(To, Packet)>,
    /// The properties that this step broke, as bits of [`Prop`].
    pub stain: u32,
}

impl Stepped {
    fn quiet(body: Body) -> Self {
        Stepped { body, sends: Vec::new(), stain: 0 }
    }

    fn stopped(why: String) -> Self {
        Stepped { body: Body::Stopped { why }, sends: Vec::new(), stain: Prop::NodesDoNotStop.bit() }
    }
}

/// The nodes of a world and how they step.
#[derive(Debug)]
pub struct Nodes<'a> {
    /// The world.
    pub scenario: &'a Scenario,
    /// Its deliberate bug.
    pub bug: Bug,
}

/// In the model a wait may end at any moment, so none is counted.
pub(crate) const BANK_POLICY: BankPolicy = BankPolicy { doubt_after_ms: 0, doubt_again_max_ms: 0 };

/// The same, for coordinators.
pub(crate) fn courier_policy(commit_order: CommitOrder, recall_max: usize) -> CourierPolicy {
    CourierPolicy {
        commit_order,
        again_after_ms: 0,
        again_max_ms: 0,
        patience_ms: LATER.0 - START.0,
        carried_max: 64,
        recall_max,
    }
}

impl Nodes<'_> {
    /// The node at the beginning: accounts opened, deposits made, all on disk.
    pub fn initial(&self, node: usize, orders: u8) -> Body {
        let Some(bank) = self.scenario.banks.get(node) else {
            let coordinator = &self.scenario.coordinators[node - self.scenario.banks.len()];
            if coordinator.at_will {
                return Body::Anybody { orders, votes: BTreeSet::new() };
            }
            return self.start_courier(0, coordinator.commit_order, BTreeSet::new());
        };
        if bank.liar {
            return Body::Liar;
        }
        let books = MemoryBooks::new(MemoryStore::compact());
        let mut participant = Participant::with_flaws(bank.name.clone(), books, BANK_POLICY, self.bug.bank);
        for request in self.scenario.first_requests(node) {
            must(participant.handle_account_request(UnixMillis(1), 0, &request));
        }
        self.start_bank(node, 0, Arc::new(participant.into_books()))
    }

    fn start_bank(&self, node: usize, clock: u8, disk: Arc<MemoryBooks>) -> Body {
        let bank = self.scenario.banks[node].name.clone();
        let books = MemoryBooks::clone(&disk);
        let participant = Participant::with_flaws(bank, books, BANK_POLICY, self.bug.bank);
        Body::Bank(Box::new(BankUp { clock, participant, disk, writing: None }))
    }

    fn start_courier(&self, clock: u8, commit_order: CommitOrder, disk: BTreeSet<Digest>) -> Body {
        let banks: BTreeSet<BankName> = self.scenario.banks.iter().map(|bank| bank.name.clone()).collect();
        let orders = self.scenario.orders.iter().map(|planned| &planned.order);
        let remembered = orders.filter(|order| disk.contains(&order.digest())).cloned().collect();
        let courier = Courier::with_flaws(
            self.scenario.clock[usize::from(clock)],
            banks,
            courier_policy(commit_order, self.scenario.recall_max),
            remembered,
            self.bug.coordinator,
        );
        Body::Courier(Box::new(CourierUp { clock, courier, remembered: disk.clone(), disk }))
    }

    /// What the event does to the node; `None` if it cannot happen now, or changes nothing.
    pub fn step(&self, node: usize, body: &Body, event: Event<'_>) -> Option<Stepped> {
        let stepped = quiet::catch(AssertUnwindSafe(|| self.step_unguarded(node, body, event)));
        stepped.unwrap_or_else(|why| Some(Stepped::stopped(format!("panicked: {why}"))))
    }

    fn step_unguarded(&self, node: usize, body: &Body, event: Event<'_>) -> Option<Stepped> {
        match (body, event) {
            (Body::Bank(bank), event) => self.step_bank(node, bank, event),
            (Body::Courier(courier), event) => self.step_courier(node, courier, event),
            (Body::Anybody { orders, votes }, Event::Deliver(packet)) => {
                let mut known = votes.clone();
                match packet {
                    Packet::Vote(vote) => known.extend([vote.clone()]),
                    Packet::Outcome { certificate, .. } => known.extend(certificate.votes().iter().cloned()),
                    _ => return None,
                }
                let sends = self.at_will(node, *orders, &known);
                Some(Stepped { body: Body::Anybody { orders: *orders, votes: known }, sends, stain: 0 })
            }
            (Body::BankDown { clock, disk }, Event::Restart) => {
                let mut started = Stepped::quiet(self.start_bank(node, *clock, Arc::clone(disk)));
                self.drain_bank(node, &mut started);
                Some(started)
            }
            (Body::CourierDown { clock, disk }, Event::Restart) => {
                let order = self.scenario.coordinators[node - self.scenario.banks.len()].commit_order;
                let mut started = Stepped::quiet(self.start_courier(*clock, order, disk.clone()));
                self.drain_courier(node, &mut started);
                Some(started)
            }
            (Body::BankDown { clock, disk }, Event::Tick) => {
                let clock = self.tick(*clock)?;
                Some(Stepped::quiet(Body::BankDown { clock, disk: Arc::clone(disk) }))
            }
            (Body::CourierDown { clock, disk }, Event::Tick) => {
                let clock = self.tick(*clock)?;
                Some(Stepped::quiet(Body::CourierDown { clock, disk: disk.clone() }))
            }
            _ => None,
        }
    }

    fn tick(&self, clock: u8) -> Option<u8> {
        (usize::from(clock) + 1 < self.scenario.clock.len()).then_some(clock + 1)
    }

    fn step_bank(&self, node: usize, bank: &BankUp, event: Event<'_>) -> Option<Stepped> {
        let mut next = bank.clone();
        let now = self.scenario.clock[usize::from(bank.clock)];
        let mut stain = 0;
        match event {
            Event::Tick => next.clock = self.tick(bank.clock)?,
            Event::Timer => {
                bank.participant.next_time().filter(|at| *at <= now)?;
                if let Err(fault) = next.participant.handle_time(now) {
                    return Some(stopped(&fault));
                }
            }
            Event::Sync => {
                let seq = next.participant.cut()?;
                next.disk = Arc::new(next.participant.books().clone());
                next.participant.handle_durable(seq);
            }
            Event::Write => {
                if bank.writing.is_some() {
                    return None;
                }
                let seq = next.participant.cut()?;
                next.writing = Some((seq, Arc::new(next.participant.books().clone())));
            }
            Event::Written => {
                let (seq, books) = next.writing.take()?;
                next.disk = books;
                next.participant.handle_durable(seq);
            }
            Event::Crash => {
                let down = Body::BankDown { clock: bank.clock, disk: Arc::clone(&bank.disk) };
                return Some(Stepped::quiet(down));
            }
            Event::Restart => return None,
            Event::Chore(place, chore) => {
                if let Err(fault) = do_chore(&mut next.participant, now, place, chore) {
                    return Some(stopped(&fault));
                }
            }
            Event::Deliver(packet) => {
                let authority = authority(bank.participant.books(), &bank.participant, packet);
                if let Err(fault) = deliver_to_bank(&mut next.participant, now, packet, authority.as_ref()) {
                    return Some(stopped(&fault));
                }
                stain |= oracle::judge(self.scenario, node, now, bank, &next, packet, authority.as_ref());
            }
        }
        stain |= oracle::compare(bank, &next, event);
        let mut stepped = Stepped { body: Body::Bank(Box::new(next)), sends: Vec::new(), stain };
        self.drain_bank(node, &mut stepped);
        Some(stepped)
    }

    /// Carries away what may leave.
    fn drain_bank(&self, node: usize, stepped: &mut Stepped) {
        let Body::Bank(bank) = &mut stepped.body else { return };
        while let Some(effect) = bank.participant.poll() {
            let books = bank.participant.books();
            match effect {
                BankEffect::Vote { to, vote } => {
                    stepped.stain |= oracle::spoken(books, &self.scenario.orders, &vote);
                    let Some(to) = self.scenario.node_of_peer(&to) else { continue };
                    let vote = self.scenario.signer(node).sign_own(vec![vote]).swap_remove(0);
                    stepped.sends.push((To::Node(to), Packet::Vote(vote)));
                }
                BankEffect::Proof { to, order, votes, vote } => {
                    stepped.stain |= oracle::spoken(books, &self.scenario.orders, &vote);
                    let Some(to) = self.scenario.node_of_peer(&to) else { continue };
                    let own = self.scenario.signer(node).sign_own(vec![vote]).swap_remove(0);
                    let Some(certificate) = Certificate::new(order, votes.iter().chain([&own])) else {
                        stepped.stain |= Prop::ProofBeforePost.bit();
                        continue;
                    };
                    let (from, certificate) = (self.scenario.peer(node), Arc::new(certificate));
                    stepped.sends.push((To::Node(to), Packet::Outcome { from, certificate }));
                }
                BankEffect::Ack { to, payment } => {
                    let Some(to) = self.scenario.node_of_peer(&to) else { continue };
                    let ack = Ack { payment, bank: self.scenario.banks[node].name.clone() };
                    let ack = self.scenario.signer(node).sign_own(vec![ack]).swap_remove(0);
                    stepped.sends.push((To::Node(to), Packet::Ack(ack)));
                }
                BankEffect::Resolve { to, order } => {
                    let Some(to) = self.scenario.bank_of(&to) else { continue };
                    let from = self.scenario.peer(node);
                    stepped.sends.push((To::Node(to), Packet::Resolve { from, order }));
                }
                BankEffect::Answer { ticket, answer } => {
                    let chore = usize::try_from(ticket).expect("tickets are places of chores");
                    stepped.sends.push((To::Outside, Packet::Done { bank: node, chore, answer }));
                }
                BankEffect::Report(proof) => {
                    if !bank.disk.double_votes().contains(&proof) {
                        stepped.stain |= Prop::SaidIsOnDisk.bit();
                    }
                    let from = self.scenario.peer(node);
                    stepped.sends.push((To::Outside, Packet::Report { from, proof }));
                }
            }
        }
    }

    fn step_courier(&self, node: usize, courier: &CourierUp, event: Event<'_>) -> Option<Stepped> {
        let mut next = courier.clone();
        let now = self.scenario.clock[usize::from(courier.clock)];
        match event {
            Event::Tick => next.clock = self.tick(courier.clock)?,
            Event::Timer => {
                courier.courier.next_time().filter(|at| *at <= now)?;
                next.courier.handle_time(now);
            }
            Event::Sync if courier.disk != courier.remembered => next.disk.clone_from(&courier.remembered),
            Event::Crash => {
                let down = Body::CourierDown { clock: courier.clock, disk: courier.disk.clone() };
                return Some(Stepped::quiet(down));
            }
            Event::Deliver(Packet::Submit(order)) => {
                let caller = self.scenario.order_of(&order.digest()).expect("only planned orders are sent");
                next.courier.handle_submit(now, Caller(caller as u64), Arc::clone(order));
            }
            Event::Deliver(Packet::Vote(vote)) => next.courier.handle_vote(now, vote.clone()),
            Event::Deliver(Packet::Outcome { certificate, .. }) => {
                next.courier.handle_outcome(now, certificate)
            }
            Event::Deliver(Packet::Ack(ack)) => next.courier.handle_ack(ack),
            _ => return None,
        }
        let mut stepped = Stepped::quiet(Body::Courier(Box::new(next)));
        self.drain_courier(node, &mut stepped);
        Some(stepped)
    }

    fn drain_courier(&self, node: usize, stepped: &mut Stepped) {
        let Body::Courier(courier) = &mut stepped.body else { return };
        let from = self.scenario.peer(node);
        let mut send = |bank: &BankName, packet: Packet| {
            if let Some(to) = self.scenario.bank_of(bank) {
                stepped.sends.push((To::Node(to), packet));
            }
        };
        let mut outside = Vec::new();
        while let Some(effect) = courier.courier.poll() {
            let from = from.clone();
            match effect {
                CourierEffect::Remember(order) => {
                    courier.remembered.insert(order.digest());
                }
                CourierEffect::Forget(payment) => {
                    courier.remembered.remove(&payment);
                }
                CourierEffect::Prepare { to, order, votes } => {
                    send(&to, Packet::Prepare { from, order, votes });
                }
                CourierEffect::Resolve { to, order } => send(&to, Packet::Resolve { from, order }),
                CourierEffect::Outcome { to, certificate, again } => {
                    send(&to, self.scenario.telling(&to, from, certificate, again));
                }
                CourierEffect::Answer { to: _, certificate } => {
                    outside.push(Packet::Answer { from: from.name, certificate });
                }
                CourierEffect::Decline { to: _, payment, why: _ } => {
                    outside.push(Packet::Declined { from: from.name, payment });
                }
                CourierEffect::Report(proof) => outside.push(Packet::Report { from, proof }),
                CourierEffect::Status { .. } => {}
            }
        }
        stepped.sends.extend(outside.into_iter().map(|packet| (To::Outside, packet)));
    }

    /// Everything that coordinators who know these votes could send.
    pub fn at_will(&self, node: usize, orders: u8, known: &BTreeSet<Verified<Vote>>) -> Vec<(To, Packet)> {
        let scenario = self.scenario;
        let mut sends = Vec::new();
        let given = scenario.orders.iter().enumerate().filter(|(place, _)| orders & 1 << place != 0);
        for order in given.map(|(_, planned)| &planned.order) {
            let cast: Vec<Verified<Vote>> =
                known.iter().filter(|vote| vote.statement().payment == order.digest()).cloned().collect();
            let mut certificates = BTreeSet::new();
            for chosen in 0u32..1 << cast.len() {
                let votes = cast.iter().enumerate().filter(|(place, _)| chosen & 1 << place != 0);
                let votes: Vec<Verified<Vote>> = votes.map(|(_, vote)| vote.clone()).collect();
                certificates.extend(Certificate::new(Arc::clone(order), &votes));
                for bank in
                    order.banks().iter().filter(|bank| votes.iter().all(|v| v.statement().bank != **bank))
                {
                    let Some(to) = scenario.bank_of(bank) else { continue };
                    let (from, order, votes) = (scenario.peer(node), Arc::clone(order), votes.clone());
                    sends.push((To::Node(to), Packet::Prepare { from, order, votes }));
                }
            }
            let foreign = known.iter().filter(|vote| vote.statement().payment != order.digest());
            let foreign: Vec<Verified<Vote>> = foreign.cloned().collect();
            for to in order.banks().iter().filter_map(|bank| scenario.bank_of(bank)) {
                if scenario.mixes_votes && !foreign.is_empty() {
                    let (from, order, votes) = (scenario.peer(node), Arc::clone(order), foreign.clone());
                    sends.push((To::Node(to), Packet::Prepare { from, order, votes }));
                }
                let (from, asked) = (scenario.peer(node), Arc::clone(order));
                sends.push((To::Node(to), Packet::Resolve { from, order: asked }));
                for certificate in &certificates {
                    let (from, certificate) = (scenario.peer(node), Arc::new(certificate.clone()));
                    if scenario.proves_first {
                        let votes = certificate.votes_beside(&scenario.banks[to].name).cloned().collect();
                        sends.push((To::Node(to), Packet::Proof { from: from.clone(), votes }));
                    }
                    sends.push((To::Node(to), Packet::Outcome { from, certificate }));
                }
            }
            for certificate in certificates {
                let (from, certificate) = (scenario.peer(node).name, Arc::new(certificate));
                sends.push((To::Outside, Packet::Answer { from, certificate }));
            }
        }
        sends
    }

    /// Everything that a bank without honour could ever say, to everyone: both votes on each payment, whether it names
    /// the bank or not, the acknowledgement, and demands to resolve.
    pub fn lies(&self, liar: usize, orders: u8) -> Vec<(To, Packet)> {
        let scenario = self.scenario;
        let bank = &scenario.banks[liar].name;
        let mut lies = Vec::new();
        let given = scenario.orders.iter().enumerate().filter(|(place, _)| orders & 1 << place != 0);
        for order in given.map(|(_, planned)| &planned.order) {
            for to in (0..scenario.nodes()).filter(|to| *to != liar) {
                for decision in [Decision::Yes, Decision::No(hundi_protocol::Reason::InsufficientFunds)] {
                    let vote = scenario.vote(liar, order.digest(), decision);
                    lies.push((To::Node(to), Packet::Vote(vote)));
                }
                if to >= scenario.banks.len() {
                    let ack = Ack { payment: order.digest(), bank: bank.clone() };
                    let ack = scenario.signer(liar).sign_own(vec![ack]).swap_remove(0);
                    lies.push((To::Node(to), Packet::Ack(ack)));
                } else if order.banks().contains(&scenario.banks[to].name) {
                    let (from, order) = (scenario.peer(liar), Arc::clone(order));
                    lies.push((To::Node(to), Packet::Resolve { from, order }));
                }
            }
        }
        lies
    }
}

fn must<E: std::error::Error>(result: Result<(), Fault<E>>) {
    if let Err(fault) = result {
        panic!("{fault}");
    }
}

fn stopped<E: std::error::Error>(fault: &Fault<E>) -> Stepped {
    Stepped::stopped(fault.to_string())
}

type BankResult = Result<(), Fault<std::convert::Infallible>>;

fn do_chore(participant: &mut ModelParticipant, now: UnixMillis, place: usize, chore: &Chore) -> BankResult {
    match chore {
        Chore::Account(request) => participant.handle_account_request(now, place as u64, request),
        Chore::Floor(floor) => {
            participant.handle_floor(*floor);
            Ok(())
        }
    }
}

/// The order that a packet to a bank asks it to vote on.
fn asked(packet: &Packet) -> Option<&Arc<Order>> {
    match packet {
        Packet::Prepare { order, .. } | Packet::Resolve { order, .. } => Some(order),
        _ => None,
    }
}

/// What the shell checks before it asks the core for a vote: the signature of the payer's registered key.
fn authority(books: &MemoryBooks, bank: &ModelParticipant, packet: &Packet) -> Option<Authorised> {
    let order = asked(packet).filter(|order| order.payer_bank() == bank.bank())?;
    let key = books.customers().get(&order.payer().name)?.key?;
    order.authorise(&key).ok()
}

fn deliver_to_bank(
    participant: &mut ModelParticipant,
    now: UnixMillis,
    packet: &Packet,
    authority: Option<&Authorised>,
) -> BankResult {
    match packet {
        Packet::Prepare { from, order, votes } => {
            participant.handle_prepare(now, from, order, authority, votes)
        }
        Packet::Resolve { from, order } => participant.handle_resolve(now, from, order, authority),
        Packet::Outcome { from, certificate } => {
            participant.handle_outcome(now, from, certificate.order(), certificate.votes())
        }
        Packet::Proof { from, votes } => participant.handle_proof(now, from, votes),
        Packet::Vote(vote) => participant.handle_vote(now, vote),
        _ => Ok(()),
    }
}
