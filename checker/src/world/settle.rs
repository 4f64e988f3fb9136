//! From every state a fault-free run settles every payment.
//!
//! stateright's `eventually` misses cycles, so liveness is checked as a property of each state instead: from here,
//! everything under way on the wires is lost, every node is up again, and from now on nothing fails. Node by node,
//! in turn, wakes up and does what it would do after a wait, and everything that follows is delivered and written
//! before the next one's turn. After a few rounds nothing may be left open.
//!
//! The run of one state passes through states of others, so a set of what is known to settle cuts most runs short.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::arena::{Input, Taken, lock};
use super::model::{Action, HundiModel, World};
use super::packet::Packet;
use super::properties::Prop;
use super::scenario::{Disk, NODES_MAX};

/// How often each node gets its turn. A payment needs three: to ask, to ask the payer's bank, to tell.
const ROUNDS: usize = 8;
/// The most deliveries in one turn; more is a storm of messages.
const TURN_MAX: usize = 4096;

/// Who takes part in a fault-free run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Run {
    /// Everybody, and customers ask again until they have an answer.
    Everybody,
    /// No coordinator.
    Banks,
    /// Everybody, but no bank asks of its own accord, and no customer asks again.
    NoBankAsks,
    /// No coordinator, and not this bank.
    BanksWithout(u8),
}

/// A fault-free run.
struct Runner<'a> {
    model: &'a HundiModel,
    run: Run,
    bodies: [u32; NODES_MAX],
    /// The orders that customers have an answer for.
    answered: u8,
    queue: VecDeque<(u8, u8)>,
    /// The steps taken, where they are asked for.
    trace: Option<Vec<Action>>,
}

impl HundiModel {
    /// The properties of settling that do not hold here.
    pub(super) fn unsettled(&self, world: &World) -> u32 {
        let mut broken = 0;
        let mut check = |run: Run, prop: Prop| {
            if self.applies(prop) && !(Runner::new(self, world, run).settles()) {
                broken |= prop.bit();
            }
        };
        check(Run::Everybody, Prop::Settles);
        check(Run::Banks, Prop::SettlesWithoutCoordinators);
        check(Run::NoBankAsks, Prop::SettlesWithoutBanksAsking);
        for bank in 0..self.scenario().banks.len() {
            let bank = u8::try_from(bank).unwrap_or_default();
            check(Run::BanksWithout(bank), Prop::SettlesWithoutOneBank);
        }
        broken
    }
}

impl HundiModel {
    /// A fault-free run from here, step by step: of the kind that a property of settling asks for, or else of the one
    /// with the most nodes that this scenario knows. Gives the steps, the nodes after them, and whether all is settled.
    pub(crate) fn fault_free(&self, world: &World, broken: Option<Prop>) -> (Vec<Action>, World, bool) {
        let banks = u8::try_from(self.scenario().banks.len()).unwrap_or_default();
        let runs: Vec<Run> = match broken {
            Some(Prop::SettlesWithoutCoordinators) => vec![Run::Banks],
            Some(Prop::SettlesWithoutBanksAsking) => vec![Run::NoBankAsks],
            Some(Prop::SettlesWithoutOneBank) => (0..banks).map(Run::BanksWithout).collect(),
            _ if self.applies(Prop::Settles) => vec![Run::Everybody],
            _ => vec![Run::Banks],
        };
        let mut told = (Vec::new(), *world, true);
        for run in runs {
            let mut runner = Runner::new(self, world, run);
            runner.trace = Some(Vec::new());
            let settles = runner.settles();
            told = (runner.trace.unwrap_or_default(), World { bodies: runner.bodies, ..*world }, settles);
            if !settles {
                break;
            }
        }
        told
    }
}

impl<'a> Runner<'a> {
    fn new(model: &'a HundiModel, world: &World, run: Run) -> Self {
        Runner { model, run, bodies: world.bodies, answered: 0, queue: VecDeque::new(), trace: None }
    }

    fn settles(&mut self) -> bool {
        let nodes = self.model.scenario().nodes();
        for node in 0..nodes {
            if self.takes_part(node) {
                self.act(node, Input::Restart);
                self.write(node);
            }
        }
        self.queue.clear(); // Whatever a restart sends is lost too: there is another turn.
        let mut passed = Vec::with_capacity(ROUNDS * nodes);
        let mut settled = false;
        for turn in 0..ROUNDS * nodes {
            let node = turn % nodes;
            let fingerprint = self.fingerprint(node);
            let known = || self.trace.is_none() && lock(self.shard(fingerprint)).contains(&fingerprint);
            if self.is_settled() || known() {
                settled = true;
                break;
            }
            passed.push(fingerprint);
            if self.takes_part(node) && !self.turn(node) {
                break;
            }
        }
        if settled || self.is_settled() {
            for fingerprint in passed {
                lock(self.shard(fingerprint)).insert(fingerprint);
            }
            return true;
        }
        false
    }

    fn takes_part(&self, node: usize) -> bool {
        let is_bank = node < self.model.scenario().banks.len();
        match self.run {
            Run::Everybody | Run::NoBankAsks => true,
            Run::Banks => is_bank,
            Run::BanksWithout(gone) => is_bank && node != usize::from(gone),
        }
    }

    /// One node does what it would do after a wait, and all that follows is delivered; `false` if that never ends.
    fn turn(&mut self, node: usize) -> bool {
        let scenario = self.model.scenario();
        let is_bank = node < scenario.banks.len();
        if !is_bank && self.run == Run::Everybody {
            for (place, planned) in scenario.orders.iter().enumerate() {
                if self.answered & 1 << place == 0 && planned.sent_to.contains(&(node - scenario.banks.len()))
                {
                    let submit = Packet::Submit(Arc::clone(&planned.order));
                    let number = self.model.arena.number(node, &submit);
                    self.queue.push_back((u8::try_from(node).unwrap_or_default(), number));
                }
            }
        }
        if !(is_bank && self.run == Run::NoBankAsks) {
            self.act(node, Input::Timer);
        }
        self.write(node);
        for _ in 0..TURN_MAX {
            let Some((wire, packet)) = self.queue.pop_front() else { return true };
            let to = usize::from(wire);
            if to < scenario.nodes() && self.takes_part(to) {
                self.act(to, Input::Deliver(packet));
                self.write(to);
            }
        }
        false
    }

    /// Writes everything that a node recorded.
    fn write(&mut self, node: usize) {
        let inputs: &[Input] = match self.model.scenario().disk {
            Disk::OneWrite => &[Input::Sync],
            Disk::Pipelined => &[Input::Written, Input::Write, Input::Written],
        };
        inputs.iter().for_each(|input| self.act(node, *input));
    }

    fn act(&mut self, node: usize, input: Input) {
        let taken: Option<&Taken> = self.model.arena.taken(node, self.bodies[node], input);
        if let Some(taken) = taken {
            if let Some(trace) = &mut self.trace {
                trace.push(Action::At { node: u8::try_from(node).unwrap_or_default(), input });
            }
            self.bodies[node] = taken.body;
            self.answered |= taken.answered;
            self.queue.extend(taken.sequence.iter().copied());
        }
    }

    /// Nothing is open, nobody waits. Payments that name a liar may stay open: it need not answer.
    fn is_settled(&self) -> bool {
        let (model, nodes) = (self.model, self.model.scenario().nodes());
        let lied = model.lied();
        let quiet = (0..nodes).filter(|node| self.takes_part(*node)).all(|node| {
            let facts = model.arena.facts(self.bodies[node]);
            let excused = match self.run {
                Run::BanksWithout(gone) => lied | model.paid_by(usize::from(gone)),
                _ => lied,
            };
            !facts.down && (facts.idle || (excused != 0 && facts.open & !excused == 0))
        });
        quiet && (self.run != Run::Everybody || model.asked() & !lied & !self.answered == 0)
    }

    fn fingerprint(&self, node: usize) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.run, self.bodies, self.answered, node).hash(&mut hasher);
        hasher.finish()
    }

    fn shard(&self, fingerprint: u64) -> &'a std::sync::Mutex<std::collections::HashSet<u64>> {
        let shards = &self.model.arena.settling;
        &shards[usize::try_from(fingerprint % shards.len() as u64).unwrap_or_default()]
    }
}
