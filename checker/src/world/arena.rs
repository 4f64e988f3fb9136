//! All states of single nodes that came up so far, each kept once, and the steps between them, each taken once.
//!
//! A node's step depends on nothing but the node and what happens to it: the cores are pure. So the world need not
//! hold nodes, only their numbers, and a step of the world is mostly a look-up. Millions of states of the world
//! share a few thousand states of nodes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use hundi_protocol::{Decision, Outcome, Reason, may_send};

use super::facts::Facts;
use super::key::key;
use super::packet::Packet;
use super::pool::Pool;
use super::properties::Prop;
use super::scenario::{BANKS_MAX, NODES_MAX, Scenario};
use super::step::{Body, Bug, CHORES_MAX, Event, Nodes, To};

/// The most packets to one node.
pub(crate) const PACKETS_MAX: usize = 128;

/// What happens to a node, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// See [`Event::Tick`].
    Tick,
    /// See [`Event::Timer`].
    Timer,
    /// See [`Event::Sync`].
    Sync,
    /// See [`Event::Write`].
    Write,
    /// See [`Event::Written`].
    Written,
    /// See [`Event::Crash`].
    Crash,
    /// See [`Event::Restart`].
    Restart,
    /// The chore of this place.
    Chore(u8),
    /// The packet of this number on the node's wire.
    Deliver(u8),
}

const FIRST_CHORE: usize = 8;
const FIRST_PACKET: usize = FIRST_CHORE + CHORES_MAX;
const INPUTS: usize = FIRST_PACKET + PACKETS_MAX;

impl Input {
    fn place(self) -> usize {
        match self {
            Input::Tick => 0,
            Input::Timer => 1,
            Input::Sync => 2,
            Input::Write => 3,
            Input::Written => 4,
            Input::Crash => 5,
            Input::Restart => 6,
            Input::Chore(chore) => FIRST_CHORE + usize::from(chore),
            Input::Deliver(packet) => FIRST_PACKET + usize::from(packet),
        }
    }
}

/// What was said in a step, in bits: who voted how, who acknowledged, what customers heard.
///
/// From bit 0, eight bits of orders for each bank: YES; from bit 32 NO; from bit 64 acknowledged; from bit 96
/// customers heard of a commit; from bit 104 of an abort; then single bits.
pub(crate) mod said {
    pub(crate) const NO: u32 = 32;
    pub(crate) const ACK: u32 = 64;
    pub(crate) const TOLD_COMMIT: u32 = 96;
    pub(crate) const TOLD_ABORT: u32 = 104;
    pub(crate) const BANK_TO_BANK: u128 = 1 << 112;
    pub(crate) const BELOW_FLOOR: u128 = 1 << 113;
    pub(crate) const HAS_HOLDS: u128 = 1 << 114;
}

/// A step of a node, taken once.
#[derive(Debug)]
pub(crate) struct Taken {
    /// The node after it.
    pub(crate) body: u32,
    /// What it put on each wire, as bits.
    pub(crate) sends: Box<[(u8, u128)]>,
    /// In order: wire and packet.
    pub(crate) sequence: Box<[(u8, u8)]>,
    /// What was said.
    pub(crate) said: u128,
    /// The chores that were answered with success.
    pub(crate) done: u32,
    /// Orders that customers got an answer for, whatever it was.
    pub(crate) answered: u8,
    /// The properties that this step broke.
    pub(crate) stain: u32,
}

struct Entry {
    body: Body,
    facts: Facts,
    /// For each input: 0 not yet taken, 1 changes nothing, else the number of the step plus 2.
    next: Box<[AtomicU32]>,
}

/// The packets on one wire, numbered as they come up.
struct Wire {
    packets: Box<[OnceLock<Packet>]>,
    numbers: Mutex<BTreeMap<Packet, u8>>,
}

impl Wire {
    fn new() -> Self {
        Wire { packets: (0..PACKETS_MAX).map(|_| OnceLock::new()).collect(), numbers: Mutex::default() }
    }

    fn slot(&self, packet: u8) -> &OnceLock<Packet> {
        &self.packets[usize::from(packet)]
    }
}

const SHARDS: usize = 64;

/// The states of nodes of one scenario, and the steps between them.
pub struct Arena {
    /// What it is about.
    pub scenario: Scenario,
    /// The deliberate bug.
    pub bug: Bug,
    entries: Pool<Entry>,
    steps: Pool<Taken>,
    numbers: Box<[Mutex<HashMap<u128, u32>>]>,
    wires: [Wire; NODES_MAX + 1],
    /// Fingerprints of what is known to settle: see `settle.rs`.
    pub(crate) settling: Box<[Mutex<HashSet<u64>>]>,
}

impl std::fmt::Debug for Arena {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Arena({}, {} node states)", self.scenario.name, self.entries.len())
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Arena {
    /// An arena with nothing in it yet.
    pub fn new(scenario: Scenario, bug: Bug) -> Self {
        Arena {
            scenario,
            bug,
            entries: Pool::new(),
            steps: Pool::new(),
            numbers: (0..SHARDS).map(|_| Mutex::default()).collect(),
            wires: std::array::from_fn(|_| Wire::new()),
            settling: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// The nodes and how they step.
    pub fn nodes(&self) -> Nodes<'_> {
        Nodes { scenario: &self.scenario, bug: self.bug }
    }

    /// How many states of nodes came up, and how many steps were taken.
    pub fn size(&self) -> (usize, usize) {
        (self.entries.len(), self.steps.len())
    }

    /// The wire to customers and operators.
    pub fn outside(&self) -> usize {
        NODES_MAX
    }

    /// A node's state by number.
    pub fn body(&self, body: u32) -> &Body {
        &self.entries.get(body).body
    }

    /// What a node's state means.
    pub fn facts(&self, body: u32) -> &Facts {
        &self.entries.get(body).facts
    }

    /// A packet by wire and number.
    pub fn packet(&self, wire: usize, packet: u8) -> &Packet {
        self.wires[wire].slot(packet).get().expect("numbers come from this arena")
    }

    /// The number of a node's state.
    pub fn intern(&self, node: usize, body: Body) -> u32 {
        let key = key(node, &body);
        let shard = &self.numbers[usize::try_from(key % SHARDS as u128).unwrap_or_default()];
        if let Some(number) = lock(shard).get(&key) {
            return *number;
        }
        let facts = Facts::of(&self.scenario, node, &body);
        let mut shard = lock(shard);
        *shard.entry(key).or_insert_with(|| {
            let next = (0..INPUTS).map(|_| AtomicU32::new(0)).collect();
            self.entries.push(Entry { body, facts, next })
        })
    }

    /// The number of a packet on a wire.
    pub fn number(&self, wire: usize, packet: &Packet) -> u8 {
        let wire = &self.wires[wire];
        let mut numbers = lock(&wire.numbers);
        if let Some(number) = numbers.get(packet) {
            return *number;
        }
        assert!(
            numbers.len() < PACKETS_MAX,
            "the configuration sends too many different messages to one node"
        );
        let number = u8::try_from(numbers.len()).expect("bounded above");
        assert!(wire.slot(number).set(packet.clone()).is_ok(), "each number is given once");
        numbers.insert(packet.clone(), number);
        number
    }

    /// The number of a packet that is known already.
    pub fn find_packet(&self, wire: usize, holds: impl Fn(&Packet) -> bool) -> Option<u8> {
        let numbers = lock(&self.wires[wire].numbers);
        numbers.iter().find(|(packet, _)| holds(packet)).map(|(_, number)| *number)
    }

    /// The step that an input makes a node take; `None` if it changes nothing.
    pub(crate) fn taken(&self, node: usize, body: u32, input: Input) -> Option<&Taken> {
        let entry = self.entries.get(body);
        let place = &entry.next[input.place()];
        let number = match place.load(Ordering::Acquire) {
            0 => {
                let number =
                    self.take(node, body, &entry.body, input).map_or(1, |taken| self.steps.push(taken) + 2);
                place.store(number, Ordering::Release);
                number
            }
            number => number,
        };
        (number != 1).then(|| self.steps.get(number - 2))
    }

    fn take(&self, node: usize, number: u32, body: &Body, input: Input) -> Option<Taken> {
        let event = match input {
            Input::Tick => Event::Tick,
            Input::Timer => Event::Timer,
            Input::Sync => Event::Sync,
            Input::Write => Event::Write,
            Input::Written => Event::Written,
            Input::Crash => Event::Crash,
            Input::Restart => Event::Restart,
            Input::Chore(chore) => {
                let (bank, work) = &self.scenario.chores[usize::from(chore)];
                if *bank != node {
                    return None;
                }
                Event::Chore(usize::from(chore), work)
            }
            Input::Deliver(packet) => Event::Deliver(self.packet(node, packet)),
        };
        let stepped = self.nodes().step(node, body, event)?;
        let body = self.intern(node, stepped.body);
        let mut taken = Taken {
            body,
            sends: Box::default(),
            sequence: Box::default(),
            said: 0,
            done: 0,
            answered: 0,
            stain: stepped.stain,
        };
        let mut sequence = Vec::new();
        for (to, packet) in &stepped.sends {
            if let (To::Node(to), Some(kind)) = (to, packet.kind())
                && !may_send(&self.scenario.peer(node), &self.scenario.peer(*to), kind)
            {
                taken.stain |= Prop::RolesAreKept.bit();
            }
            let wire = match to {
                To::Node(to) if self.scenario.banks.get(*to).is_some_and(|bank| bank.liar) => continue,
                To::Node(to) => *to,
                To::Outside => self.outside(),
            };
            self.note(node, *to, packet, &mut taken);
            let send = (u8::try_from(wire).expect("few nodes"), self.number(wire, packet));
            if !sequence.contains(&send) {
                sequence.push(send);
            }
        }
        let mut sends = BTreeMap::<u8, u128>::new();
        for (wire, packet) in &sequence {
            *sends.entry(*wire).or_default() |= 1 << packet;
        }
        taken.sends = sends.into_iter().collect();
        taken.sequence = sequence.into();
        let nothing = body == number && taken.sends.is_empty() && taken.stain == 0;
        (!nothing).then_some(taken)
    }

    /// Notes what a packet says.
    fn note(&self, node: usize, to: To, packet: &Packet, taken: &mut Taken) {
        let order = |payment| self.scenario.order_of(payment).expect("only planned orders are paid") as u32;
        let of_bank = node as u32 * 8;
        match packet {
            Packet::Vote(vote) => {
                let vote = vote.statement();
                let bit = of_bank + order(&vote.payment);
                taken.said |= match vote.decision {
                    Decision::Yes => 1 << bit,
                    Decision::No(_) => 1 << (said::NO + bit),
                };
                if vote.decision == Decision::No(Reason::BelowFloor) {
                    taken.said |= said::BELOW_FLOOR;
                }
                if matches!(to, To::Node(to) if to < self.scenario.banks.len()) {
                    taken.said |= said::BANK_TO_BANK;
                }
            }
            Packet::Outcome { certificate, .. } if node < self.scenario.banks.len() => {
                if certificate.outcome() == Outcome::Commit {
                    taken.said |= 1 << (of_bank + order(&certificate.payment()));
                }
                if matches!(to, To::Node(to) if to < self.scenario.banks.len()) {
                    taken.said |= said::BANK_TO_BANK;
                }
            }
            Packet::Ack(ack) => taken.said |= 1 << (said::ACK + of_bank + order(&ack.statement().payment)),
            Packet::Answer { certificate, .. } => {
                let order = order(&certificate.payment());
                taken.answered |= 1 << order;
                taken.said |= match certificate.outcome() {
                    Outcome::Commit => 1 << (said::TOLD_COMMIT + order),
                    Outcome::Abort => 1 << (said::TOLD_ABORT + order),
                };
            }
            Packet::Declined { payment, .. } => taken.answered |= 1 << order(payment),
            Packet::Done { chore, answer, .. } => match answer {
                Ok(()) => taken.done |= 1 << chore,
                Err(hundi_bank_node::AccountRefusal::HasHolds) => taken.said |= said::HAS_HOLDS,
                Err(_) => {}
            },
            _ => {}
        }
    }
}

const _: () = assert!(BANKS_MAX * 8 == said::NO as usize, "one byte of orders for each bank");
