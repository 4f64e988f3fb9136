//! The world once more, of real banks on real files: each event done as the processes would do it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;

use hundi_bank_node::BankRecord;
use hundi_coordinator::{Caller, Courier, Effect, Flaw};
use hundi_protocol::{BankName, Digest, Order, Peer, UnixMillis, Verified, Verifier, Vote};

use super::bank::{RealBank, on_disk};
use super::wire::{Frame, customers, operator};
use crate::world::{Bug, Input, Nodes, Packet, Scenario, To, courier_policy, quiet};

/// A coordinator that is up. Orders that it keeps over a restart are kept as their signed bytes.
pub(super) struct RealCourier {
    pub(super) courier: Courier<Option<Flaw>>,
    verifier: Verifier,
    pub(super) remembered: BTreeMap<Digest, Arc<Order>>,
}

/// One node.
pub(super) enum RealNode {
    Bank(Box<RealBank>),
    Courier(Box<RealCourier>),
    Down,
    /// Any number of coordinators: every vote that they know, and the keys that they check it with.
    Anybody {
        votes: BTreeSet<Verified<Vote>>,
        verifier: Box<Verifier>,
    },
    Liar,
    Stopped {
        why: String,
    },
}

/// Packets on their way to one node, each under what its sender said.
pub(super) type Wire = BTreeMap<Packet, Option<Frame>>;

/// All nodes, what is on the wires, and what is on disks.
pub(super) struct RealWorld<'a> {
    pub(super) scenario: &'a Scenario,
    bug: Bug,
    dir: PathBuf,
    orders: u8,
    pub(super) nodes: Vec<RealNode>,
    pub(super) clocks: Vec<u8>,
    /// By node; last, what customers and operators got.
    pub(super) wires: Vec<Wire>,
    /// What each coordinator keeps over a restart.
    pub(super) memories: Vec<BTreeMap<Digest, Vec<u8>>>,
}

impl<'a> RealWorld<'a> {
    /// The world at the beginning, its files in an empty folder.
    pub(super) fn new(scenario: &'a Scenario, bug: Bug, orders: u8, dir: PathBuf) -> Result<Self, String> {
        let nodes = scenario.nodes();
        let mut world = RealWorld {
            scenario,
            bug,
            dir,
            orders,
            nodes: Vec::new(),
            clocks: vec![0; nodes],
            wires: vec![Wire::new(); nodes + 1],
            memories: vec![BTreeMap::new(); nodes],
        };
        for node in 0..nodes {
            let new = world.first(node)?;
            world.nodes.push(new);
        }
        for node in 0..nodes {
            let sends = match &world.nodes[node] {
                RealNode::Liar => world.steps().lies(node, orders),
                RealNode::Anybody { votes, .. } => world.steps().at_will(node, orders, votes),
                _ => Vec::new(),
            };
            // What is said to the outside before anything happened is said of nothing.
            let sends = sends.into_iter().filter(|(to, _)| *to != To::Outside).collect();
            world.send(node, sends)?;
        }
        for planned in scenario.orders_in(orders) {
            for to in planned.sent_to.iter().map(|coordinator| scenario.banks.len() + coordinator) {
                if !scenario.is_at_will(to) {
                    world.submit(to, &planned.order)?;
                }
            }
        }
        world.act_at_will()?;
        Ok(world)
    }

    fn steps(&self) -> Nodes<'a> {
        Nodes { scenario: self.scenario, bug: self.bug }
    }

    fn first(&self, node: usize) -> Result<RealNode, String> {
        match self.scenario.banks.get(node) {
            Some(bank) if bank.liar => Ok(RealNode::Liar),
            Some(_) => {
                let bank = RealBank::found(&self.dir, self.scenario, node, self.bug.bank)?;
                Ok(RealNode::Bank(Box::new(bank)))
            }
            None if self.scenario.is_at_will(node) => {
                let verifier = Box::new(self.verifier());
                Ok(RealNode::Anybody { votes: BTreeSet::new(), verifier })
            }
            None => self.start_courier(node),
        }
    }

    fn start_courier(&self, node: usize) -> Result<RealNode, String> {
        let parsed = self.memories[node].iter().map(|(digest, jws)| Ok((*digest, Order::parse(jws)?)));
        let remembered: BTreeMap<Digest, Arc<Order>> =
            parsed.collect::<Result<_, hundi_protocol::MalformedOrder>>().map_err(|e| e.to_string())?;
        let banks: BTreeSet<BankName> = self.scenario.banks.iter().map(|bank| bank.name.clone()).collect();
        let order = self.scenario.coordinators[node - self.scenario.banks.len()].commit_order;
        let policy = courier_policy(order, self.scenario.recall_max);
        // The model hands them over in the order of the scenario.
        let kept = self
            .scenario
            .orders
            .iter()
            .filter_map(|planned| remembered.get(&planned.order.digest()).cloned());
        let courier =
            Courier::with_flaws(self.now(node), banks, policy, kept.collect(), self.bug.coordinator);
        let verifier = self.verifier();
        Ok(RealNode::Courier(Box::new(RealCourier { courier, verifier, remembered })))
    }

    fn verifier(&self) -> Verifier {
        Verifier::new(self.scenario.directory().clone())
    }

    fn now(&self, node: usize) -> UnixMillis {
        self.scenario.clock[usize::from(self.clocks[node])]
    }

    /// What is on a bank's disk.
    pub(super) fn on_disk(&self, bank: usize) -> Result<BankRecord, String> {
        on_disk(&self.dir, self.scenario, bank)
    }

    /// Does to a node what the input says; `packet` is what it delivers.
    pub(super) fn step(&mut self, node: usize, input: Input, packet: Option<&Packet>) -> Result<(), String> {
        match input {
            Input::Tick => {
                let last = self.scenario.clock.len() - 1;
                self.clocks[node] = self.clocks[node].saturating_add(1).min(u8::try_from(last).unwrap_or(0));
            }
            Input::Crash => self.nodes[node] = RealNode::Down, // Files are left as they lie.
            Input::Restart => {
                if matches!(self.nodes[node], RealNode::Down) {
                    self.nodes[node] = match node < self.scenario.banks.len() {
                        true => {
                            let bank = RealBank::open(&self.dir, self.scenario, node, self.bug.bank)?;
                            RealNode::Bank(Box::new(bank))
                        }
                        false => self.start_courier(node)?,
                    };
                    self.drain(node)?;
                }
            }
            input => {
                let frame = packet.map(|packet| self.frame(node, packet)).transpose()?;
                let sound = std::mem::replace(&mut self.nodes[node], RealNode::Down);
                let now = self.now(node);
                let done =
                    quiet::catch(AssertUnwindSafe(|| self.act(node, sound, input, frame, packet, now)));
                self.nodes[node] = match done {
                    Ok(Ok(after)) => after,
                    Ok(Err(Failed::Stopped(why))) => RealNode::Stopped { why },
                    Ok(Err(Failed::Wire(why))) => return Err(why),
                    Err(why) => RealNode::Stopped { why: format!("panicked: {why}") },
                };
                self.drain(node)?;
            }
        }
        self.act_at_will()
    }

    fn frame(&self, node: usize, packet: &Packet) -> Result<Frame, String> {
        let text = || packet.text(self.scenario);
        let found = self.wires[node].get(packet).ok_or_else(|| format!("nobody sent: {}", text()))?;
        found.clone().ok_or_else(|| format!("no message: {}", text()))
    }

    fn act(
        &mut self,
        place: usize,
        mut node: RealNode,
        input: Input,
        frame: Option<Frame>,
        packet: Option<&Packet>,
        now: UnixMillis,
    ) -> Result<RealNode, Failed> {
        match &mut node {
            RealNode::Bank(bank) => match frame {
                Some(frame) => {
                    let heard = heard(&frame, &mut bank.verifier, packet)?;
                    bank.deliver(&heard, now).map_err(Failed::Stopped)?;
                }
                None => bank.act(self.scenario, place, input, now).map_err(Failed::Stopped)?,
            },
            RealNode::Courier(courier) => match frame {
                Some(frame) => {
                    let heard = heard(&frame, &mut courier.verifier, packet)?;
                    courier.deliver(self.scenario, heard, now);
                }
                None if input == Input::Timer => courier.courier.handle_time(now),
                None if input == Input::Sync => {
                    let kept = courier.remembered.iter();
                    self.memories[place] =
                        kept.map(|(digest, order)| (*digest, order.bytes().to_vec())).collect();
                }
                None => {}
            },
            _ => {}
        }
        Ok(node)
    }

    /// Puts what a node wants to say on the wires, as bytes.
    fn drain(&mut self, place: usize) -> Result<(), String> {
        let sends = match &mut self.nodes[place] {
            RealNode::Bank(bank) => bank.drain(self.scenario, place)?,
            RealNode::Courier(courier) => courier.drain(self.scenario, place),
            _ => return Ok(()),
        };
        self.send(place, sends)
    }

    fn send(&mut self, from: usize, sends: Vec<(To, Packet)>) -> Result<(), String> {
        let scenario = self.scenario;
        let from = scenario.peer(from);
        for (to, packet) in sends {
            let (wire, to) = match to {
                To::Node(to) if scenario.banks.get(to).is_some_and(|bank| bank.liar) => continue,
                To::Node(to) => (to, scenario.peer(to)),
                To::Outside if from.as_bank().is_some() => (scenario.nodes(), operator(&from)),
                To::Outside => (scenario.nodes(), customers()),
            };
            if let Entry::Vacant(place) = self.wires[wire].entry(packet) {
                let frame = Frame::encode(place.key(), from.clone(), &to)?;
                place.insert(frame);
            }
        }
        Ok(())
    }

    /// A customer sends an order, for the first time or again.
    pub(super) fn submit(&mut self, to: usize, order: &Arc<Order>) -> Result<(), String> {
        let packet = Packet::Submit(Arc::clone(order));
        let frame = Frame::encode(&packet, customers(), &self.scenario.peer(to))?;
        self.wires[to].insert(packet, frame);
        Ok(())
    }

    /// Coordinators at will know at once what is sent to them, and say all that they can.
    fn act_at_will(&mut self) -> Result<(), String> {
        for place in 0..self.nodes.len() {
            let RealNode::Anybody { votes, verifier } = &mut self.nodes[place] else { continue };
            let before = votes.len();
            for (packet, frame) in std::mem::take(&mut self.wires[place]) {
                let frame = frame.ok_or("nothing is only logged to a coordinator")?;
                match heard(&frame, verifier, Some(&packet)).map_err(Failed::into_text)? {
                    Packet::Vote(vote) => votes.extend([vote]),
                    Packet::Outcome { certificate, .. } => votes.extend(certificate.votes().iter().cloned()),
                    _ => {}
                }
            }
            if votes.len() > before {
                let votes = votes.clone();
                let sends = self.steps().at_will(place, self.orders, &votes);
                self.send(place, sends)?;
            }
        }
        Ok(())
    }
}

/// Why a step was not taken.
enum Failed {
    /// The node stopped.
    Stopped(String),
    /// The bytes did not arrive as what was sent.
    Wire(String),
}

impl Failed {
    fn into_text(self) -> String {
        match self {
            Failed::Stopped(why) | Failed::Wire(why) => why,
        }
    }
}

/// What a node makes of a frame: it must be what its sender put in.
fn heard(frame: &Frame, verifier: &mut Verifier, sent: Option<&Packet>) -> Result<Packet, Failed> {
    let heard = frame.decode(verifier).map_err(Failed::Wire)?;
    match sent {
        Some(sent) if *sent != heard => Err(Failed::Wire(format!("{sent:?} was heard as {heard:?}"))),
        _ => Ok(heard),
    }
}

impl RealCourier {
    fn deliver(&mut self, scenario: &Scenario, packet: Packet, now: UnixMillis) {
        match packet {
            Packet::Submit(order) => {
                let caller = scenario.order_of(&order.digest()).expect("only planned orders are sent");
                self.courier.handle_submit(now, Caller(caller as u64), order);
            }
            Packet::Vote(vote) => self.courier.handle_vote(now, vote),
            Packet::Outcome { certificate, .. } => self.courier.handle_outcome(now, &certificate),
            Packet::Ack(ack) => self.courier.handle_ack(&ack),
            _ => {}
        }
    }

    fn drain(&mut self, scenario: &Scenario, place: usize) -> Vec<(To, Packet)> {
        let from: Peer = scenario.peer(place);
        let mut sends = Vec::new();
        while let Some(effect) = self.courier.poll() {
            let from = from.clone();
            let (to, packet) = match effect {
                Effect::Remember(order) => {
                    self.remembered.insert(order.digest(), order);
                    continue;
                }
                Effect::Forget(payment) => {
                    self.remembered.remove(&payment);
                    continue;
                }
                Effect::Status { .. } => continue, // No customer asks for one.
                Effect::Prepare { to, order, votes } => (Some(to), Packet::Prepare { from, order, votes }),
                Effect::Resolve { to, order } => (Some(to), Packet::Resolve { from, order }),
                Effect::Outcome { to, certificate, again } => {
                    let packet = scenario.telling(&to, from, certificate, again);
                    (Some(to), packet)
                }
                Effect::Answer { certificate, .. } => (None, Packet::Answer { from: from.name, certificate }),
                Effect::Decline { payment, .. } => (None, Packet::Declined { from: from.name, payment }),
                Effect::Report(proof) => (None, Packet::Report { from, proof }),
            };
            match to {
                None => sends.push((To::Outside, packet)),
                Some(bank) => {
                    sends.extend(scenario.bank_of(&bank).map(|to| (To::Node(to), packet)));
                }
            }
        }
        sends
    }
}
