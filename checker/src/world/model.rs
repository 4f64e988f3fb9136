//! The world as stateright's model.

use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use stateright::{Model, Property};

use super::arena::{Arena, Input, said};
use super::facts::{Facts, clearing_of};
use super::packet::Packet;
use super::properties::{Prop, Witness};
use super::scenario::{BANKS_MAX, Crashes, Disk, NODES_MAX, ORDERS_MAX, Scenario};
use super::step::{Body, Bug, To};

/// A state of the world: the numbers of its nodes' states and the packets on its wires, in bits. Nothing in it
/// points anywhere, and it is copied, compared and hashed as it lies.
#[derive(Clone, Copy, Debug)]
pub struct World {
    /// The state of each node, by number.
    pub(crate) bodies: [u32; NODES_MAX],
    /// How many crashes there were, where they are counted.
    pub(crate) crashes: u8,
    /// The properties that steps broke on the way here.
    pub(crate) stain: u32,
    /// The packets on each node's wire, by number; last, what customers and operators got.
    pub(crate) wires: [u128; NODES_MAX + 1],
    /// What was said on the way here. Follows from the wires.
    pub(crate) said: u128,
    /// The chores that were answered with success. Follows from the wires.
    pub(crate) done: u32,
    /// The steps from the beginning to here on the way that was found first. Tells no states apart.
    pub(crate) depth: u16,
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        self.bodies == other.bodies
            && self.wires == other.wires
            && (self.crashes, self.stain) == (other.crashes, other.stain)
    }
}
impl Eq for World {}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Of fixed size, so no length is written. Wires and pairs of numbers go as words.
        for pair in self.bodies.chunks(2) {
            state.write_u64(u64::from(pair[0]) << 32 | u64::from(pair[pair.len() - 1]));
        }
        for wire in self.wires {
            state.write_u128(wire);
        }
        state.write_u64(u64::from(self.stain) << 8 | u64::from(self.crashes));
    }
}

/// What can happen to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Time passes for everybody.
    Tick,
    /// Something happens to one node.
    At {
        /// The node.
        node: u8,
        /// What.
        input: Input,
    },
}

/// A scenario as stateright explores it.
#[derive(Debug)]
pub struct HundiModel {
    /// The states of nodes, and the steps between them.
    pub arena: Arc<Arena>,
    /// For each property the length of the shortest way to a state that breaks it. A later, longer one is not
    /// reported: stateright keeps the last discovery of a property, not the first.
    shortest: [AtomicU16; 32],
    /// The properties that are looked at, as bits; all but in a hunt for a certain one.
    watched: u32,
    /// What a commit leaves on the clearing accounts of each bank, for each order.
    clearing: [[[i64; 2]; ORDERS_MAX]; BANKS_MAX],
    /// For each bank, the orders that name it.
    named: [u8; BANKS_MAX],
    /// The orders that name a bank that lies.
    lied: u8,
    /// The orders.
    all: u8,
    /// Whether every coordinator asks the payer's bank last.
    payer_last: bool,
    /// Whether coordinators do as they like: then nothing is asked of them.
    at_will: bool,
    liars: u8,
}

impl HundiModel {
    /// The model of a scenario, with a deliberate bug or without.
    #[must_use]
    pub fn new(scenario: Scenario, bug: Bug) -> Self {
        Self::over(Arc::new(Arena::new(scenario, bug)))
    }

    /// The model over an arena that others use too.
    #[must_use]
    pub fn over(arena: Arc<Arena>) -> Self {
        let scenario = &arena.scenario;
        let mut clearing = [[[0; 2]; ORDERS_MAX]; BANKS_MAX];
        let mut named = [0; BANKS_MAX];
        let mut liars = 0;
        for (bank, spec) in scenario.banks.iter().enumerate() {
            named[bank] = scenario.orders_at(bank);
            liars |= u8::from(spec.liar) << bank;
            for (place, planned) in scenario.orders.iter().enumerate() {
                clearing[bank][place] = clearing_of(scenario, bank, &planned.order);
            }
        }
        let payer_last = scenario
            .coordinators
            .iter()
            .all(|coordinator| coordinator.commit_order == hundi_coordinator::CommitOrder::PayerLast);
        let at_will = scenario.coordinators.iter().any(|coordinator| coordinator.at_will);
        HundiModel {
            watched: u32::MAX,
            shortest: std::array::from_fn(|_| AtomicU16::new(u16::MAX)),
            clearing,
            named,
            lied: scenario.orders_with_liars(),
            all: scenario.orders_where(|_| true),
            payer_last,
            at_will,
            liars,
            arena,
        }
    }

    /// Looks at one property only.
    #[must_use]
    pub fn watching(mut self, prop: Prop) -> Self {
        self.watched = prop.bit();
        self
    }

    /// The scenario.
    #[must_use]
    pub fn scenario(&self) -> &Scenario {
        &self.arena.scenario
    }

    /// The world at the beginning, with these orders given.
    #[must_use]
    pub fn initial(&self, orders: u8) -> World {
        let arena = &self.arena;
        let mut world = World {
            bodies: [u32::MAX; NODES_MAX],
            crashes: 0,
            stain: 0,
            wires: [0; NODES_MAX + 1],
            said: 0,
            done: 0,
            depth: 0,
        };
        let scenario = self.scenario();
        for node in 0..scenario.nodes() {
            world.bodies[node] = arena.intern(node, arena.nodes().initial(node, orders));
            let sends = match arena.body(world.bodies[node]) {
                Body::Liar => arena.nodes().lies(node, orders),
                Body::Anybody { orders, votes } => arena.nodes().at_will(node, *orders, votes),
                _ => Vec::new(),
            };
            for (to, packet) in sends {
                let To::Node(to) = to else { continue };
                if !scenario.banks.get(to).is_some_and(|bank| bank.liar) {
                    world.wires[to] |= 1 << arena.number(to, &packet);
                }
            }
        }
        for node in 0..scenario.nodes() {
            self.act_at_will(&mut world, node);
        }
        for (place, planned) in scenario.orders.iter().enumerate() {
            if orders & 1 << place == 0 {
                continue;
            }
            for coordinator in &planned.sent_to {
                let to = scenario.banks.len() + coordinator;
                if scenario.is_at_will(to) {
                    continue;
                }
                world.wires[to] |= 1 << arena.number(to, &Packet::Submit(Arc::clone(&planned.order)));
            }
        }
        world
    }

    /// The world after an action; `None` if it changes nothing.
    #[must_use]
    pub fn after(&self, world: &World, action: Action) -> Option<World> {
        let mut next = *world;
        next.depth = next.depth.saturating_add(1);
        match action {
            Action::Tick => {
                for node in 0..self.scenario().nodes() {
                    self.step(&mut next, node, Input::Tick);
                }
            }
            Action::At { node, input } => {
                if input == Input::Crash {
                    match self.scenario().crashes {
                        Crashes::Never => return None,
                        Crashes::AtMost(most) if world.crashes >= most => return None,
                        Crashes::AtMost(_) => next.crashes += 1,
                        Crashes::Any => {}
                    }
                }
                self.step(&mut next, usize::from(node), input);
            }
        }
        (next != *world).then_some(next)
    }

    fn step(&self, world: &mut World, node: usize, input: Input) {
        let Some(taken) = self.arena.taken(node, world.bodies[node], input) else { return };
        world.bodies[node] = taken.body;
        for (wire, packets) in &taken.sends {
            world.wires[usize::from(*wire)] |= packets;
        }
        world.said |= taken.said;
        world.done |= taken.done;
        world.stain |= taken.stain;
        if let Some((node, _)) = taken.sends.iter().find(|(to, _)| {
            usize::from(*to) < self.scenario().nodes() && self.scenario().is_at_will(usize::from(*to))
        }) {
            self.act_at_will(world, usize::from(*node));
        }
    }

    /// Coordinators at will know at once what is sent to them.
    fn act_at_will(&self, world: &mut World, node: usize) {
        if !self.scenario().is_at_will(node) {
            return;
        }
        while world.wires[node] != 0 {
            let packet = u8::try_from(world.wires[node].trailing_zeros()).unwrap_or_default();
            world.wires[node] &= world.wires[node] - 1;
            self.step(world, node, Input::Deliver(packet));
        }
    }

    /// Whether the action changes the world, without building the next one.
    fn changes(&self, world: &World, node: usize, input: Input) -> bool {
        self.arena.taken(node, world.bodies[node], input).is_some_and(|taken| {
            taken.body != world.bodies[node]
                || taken.stain & !world.stain != 0
                || taken.sends.iter().any(|(wire, packets)| {
                    let wire = usize::from(*wire);
                    match wire < self.scenario().nodes() && self.scenario().is_at_will(wire) {
                        true => self.is_news(world, wire, *packets),
                        false => packets & !world.wires[wire] != 0,
                    }
                })
        })
    }

    fn is_news(&self, world: &World, node: usize, mut packets: u128) -> bool {
        while packets != 0 {
            let packet = u8::try_from(packets.trailing_zeros()).unwrap_or_default();
            packets &= packets - 1;
            if self.changes(world, node, Input::Deliver(packet)) {
                return true;
            }
        }
        false
    }

    fn facts(&self, world: &World) -> [&Facts; NODES_MAX] {
        let nodes = self.scenario().nodes();
        std::array::from_fn(|node| self.arena.facts(world.bodies[if node < nodes { node } else { 0 }]))
    }

    /// What is broken here, and what can be seen here.
    #[must_use]
    pub fn verdict(&self, world: &World) -> (u32, u64) {
        thread_local! {
            static LAST: Cell<Option<Judged>> = const { Cell::new(None) };
        }
        let me = std::ptr::from_ref(self).addr();
        if let Some((model, last, verdict)) = LAST.get()
            && model == me
            && last == *world
        {
            return verdict;
        }
        let (broken, seen) = self.judge(world);
        let verdict = (broken & self.watched, seen);
        LAST.set(Some((me, *world, verdict)));
        verdict
    }

    fn judge(&self, world: &World) -> (u32, u64) {
        let nodes = self.scenario().nodes();
        let banks = self.scenario().banks.len();
        let facts = self.facts(world);
        let (mut broken, mut seen) = (world.stain, 0);
        for facts in &facts[..nodes] {
            broken |= facts.broken;
            seen |= facts.seen;
        }
        if broken & Prop::NodesDoNotStop.bit() != 0 {
            return (broken, seen);
        }
        let honest = || (0..banks).filter(|bank| self.liars & 1 << bank == 0);
        let mut ends = Ends { commits_everywhere: self.all & !self.lied, ..Ends::default() };
        let mut clearing = [0i64; 2];
        for bank in honest() {
            let (all, facts, named) = (&facts, facts[bank], self.named[bank]);
            ends.posted |= facts.posted;
            ends.committed |= facts.commit;
            ends.aborted |= facts.abort | facts.disk_refused;
            ends.released |= facts.released;
            ends.refused |= facts.disk_refused;
            let missing = named & !facts.disk_yes;
            ends.not_all_yes |= missing;
            // A bank may post in the transaction of its own YES: that is proof for itself, and for nobody else.
            let elsewhere =
                honest().filter(|other| *other != bank).fold(0, |bits, other| bits | all[other].posted);
            ends.unbacked |= elsewhere & missing;
            ends.commits_everywhere &= !named | facts.commit;
            ends.held |= facts.payer_held;
            if facts.down {
                ends.down_in_doubt |= facts.open;
            }
            for (currency, sum) in clearing.iter_mut().enumerate() {
                *sum = sum.wrapping_add(facts.clearing[currency]);
                for (order, of_order) in self.clearing[bank].iter().enumerate() {
                    if facts.commit & 1 << order != 0 {
                        *sum = sum.wrapping_sub(of_order[currency]);
                    }
                }
            }
            broken |= self.said(world, bank, facts);
        }
        if clearing != [0; 2] {
            broken |= Prop::MoneyIsConserved.bit();
        }
        broken |= self.ends(world, &ends);
        if self.watched & SETTLING != 0 && broken & self.watched == 0 {
            broken |= self.unsettled(world);
        }
        seen |= self.seen(world, &ends, &facts[..nodes]);
        (broken, seen)
    }

    /// R8: what this bank said is on its disk.
    fn said(&self, world: &World, bank: usize, facts: &Facts) -> u32 {
        let bits =
            |from: u32| u8::try_from(world.said >> (from + bank as u32 * 8) & 0xff).unwrap_or_default();
        let (yes, no, ack) = (bits(0), bits(said::NO), bits(said::ACK));
        let mut broken = 0;
        if yes & no != 0 {
            broken |= Prop::OneVote.bit();
        }
        if yes & !facts.disk_yes != 0 || no & !facts.disk_refused != 0 || ack & !facts.disk_settled != 0 {
            broken |= Prop::SaidIsOnDisk.bit();
        }
        let chores = self.scenario().chores.iter().enumerate();
        let here = chores.filter(|(_, (at, _))| *at == bank).fold(0, |bits, (place, _)| bits | 1u32 << place);
        if world.done & here & !facts.disk_done != 0 {
            broken |= Prop::OperatorsAreToldTrue.bit();
        }
        broken
    }

    fn ends(&self, world: &World, ends: &Ends) -> u32 {
        let mut broken = 0;
        let told = |from: u32| u8::try_from(world.said >> from & 0xff).unwrap_or_default();
        let (told_commit, told_abort) = (told(said::TOLD_COMMIT), told(said::TOLD_ABORT));
        let posted = ends.posted | ends.committed;
        if posted & (ends.aborted | ends.released) & !self.lied != 0 {
            broken |= Prop::NoSplitOutcome.bit();
        }
        if ends.unbacked != 0 {
            broken |= Prop::ProofBeforePost.bit();
        }
        if ends.released & !ends.refused & !self.lied != 0 {
            broken |= Prop::ProofBeforeVoid.bit();
        }
        let taken_back = told_commit & ends.not_all_yes
            | (told_commit & told_abort | told_abort & posted | told_abort & !ends.refused) & !self.lied;
        if taken_back != 0 {
            broken |= Prop::ToldStaysTrue.bit();
        }
        if self.payer_last && ends.held != 0 {
            broken |= Prop::PayerLast.bit();
        }
        broken
    }

    fn seen(&self, world: &World, ends: &Ends, facts: &[&Facts]) -> u64 {
        let mut seen = 0;
        let mut note = |when: bool, witness: Witness| {
            if when {
                seen |= witness.bit();
            }
        };
        note(ends.commits_everywhere != 0, Witness::Commit);
        note(ends.released != 0, Witness::Abort);
        note(world.said >> said::TOLD_COMMIT & 0xff != 0, Witness::ToldCommit);
        note(world.said >> said::TOLD_ABORT & 0xff != 0, Witness::ToldAbort);
        note(ends.down_in_doubt & ends.posted != 0, Witness::Recovery);
        note(facts.iter().filter(|facts| facts.down).count() >= 2, Witness::TwoDown);
        note(world.said & said::BANK_TO_BANK != 0, Witness::ResolveBetweenBanks);
        note(world.said & said::BELOW_FLOOR != 0, Witness::UnderTheFloor);
        note(world.said & said::HAS_HOLDS != 0, Witness::ClosingRefused);
        seen
    }

    /// Notes the first way to a broken property; `false` for this and every longer one.
    fn is_fine(&self, world: &World, place: usize) -> bool {
        if place >= 32 || self.verdict(world).0 & 1 << place == 0 {
            return true;
        }
        self.shortest[place].fetch_min(world.depth, Ordering::Relaxed) <= world.depth
    }
}

/// The properties that take a fault-free run to check.
const SETTLING: u32 = Prop::Settles.bit()
    | Prop::SettlesWithoutCoordinators.bit()
    | Prop::SettlesWithoutBanksAsking.bit()
    | Prop::SettlesWithoutOneBank.bit();

/// A model by its address, a state of it, and the verdict.
type Judged = (usize, World, (u32, u64));

/// How payments stand over all honest banks; sets of orders as bits.
#[derive(Default)]
struct Ends {
    posted: u8,
    committed: u8,
    aborted: u8,
    released: u8,
    refused: u8,
    not_all_yes: u8,
    /// Posted at one bank, and another bank's YES is not on disk.
    unbacked: u8,
    commits_everywhere: u8,
    held: u8,
    down_in_doubt: u8,
}

impl Model for HundiModel {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        self.scenario().given().into_iter().map(|orders| self.initial(orders)).collect()
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.stain & self.watched != 0 {
            return; // Broken on the way: nothing beyond it is of interest.
        }
        let scenario = self.scenario();
        let local: &[Input] = match scenario.disk {
            Disk::OneWrite => &[Input::Sync, Input::Timer, Input::Restart],
            Disk::Pipelined => &[Input::Write, Input::Written, Input::Timer, Input::Restart],
        };
        let mut ticks = false;
        for node in 0..scenario.nodes() {
            let mut offer = |input: Input| {
                if self.changes(world, node, input) {
                    actions.push(Action::At { node: u8::try_from(node).unwrap_or_default(), input });
                }
            };
            let mut wire = world.wires[node];
            while wire != 0 {
                let packet = u8::try_from(wire.trailing_zeros()).unwrap_or_default();
                wire &= wire - 1;
                offer(Input::Deliver(packet));
            }
            let local = local.iter().filter(|input| **input != Input::Timer || scenario.waits_end);
            local.copied().for_each(&mut offer);
            for chore in 0..u8::try_from(scenario.chores.len()).unwrap_or_default() {
                offer(Input::Chore(chore));
            }
            let may_crash = match scenario.crashes {
                Crashes::Never => false,
                Crashes::AtMost(most) => world.crashes < most,
                Crashes::Any => true,
            };
            if may_crash {
                offer(Input::Crash);
            }
            if scenario.own_clocks {
                offer(Input::Tick);
            } else {
                ticks |= self.changes(world, node, Input::Tick);
            }
        }
        if ticks {
            actions.push(Action::Tick);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        self.after(world, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let always = Prop::ALL.iter().filter(|prop| self.applies(**prop) && self.watched & prop.bit() != 0);
        let always = always.map(|prop| Property::always(prop.name(), IS_FINE[*prop as usize]));
        let sometimes = self.scenario().witnesses.iter();
        let sometimes =
            sometimes.map(|witness| Property::sometimes(witness.name(), IS_SEEN[witness.place()]));
        always.chain(sometimes).collect()
    }
}

impl HundiModel {
    /// What is under way to a node.
    pub(crate) fn packets(&self, world: &World, wire: usize) -> std::collections::BTreeSet<&Packet> {
        let all = (0..128u8).filter(|packet| world.wires[wire] >> packet & 1 != 0);
        all.map(|packet| self.arena.packet(wire, packet)).collect()
    }

    /// The orders that name a bank that lies.
    pub(super) fn lied(&self) -> u8 {
        self.lied
    }

    /// The orders that customers send to some coordinator.
    pub(super) fn asked(&self) -> u8 {
        let orders = self.scenario().orders.iter().enumerate();
        let asked = orders.filter(|(_, planned)| !planned.sent_to.is_empty());
        asked.fold(0, |bits, (place, _)| bits | 1 << place)
    }

    /// The orders whose payer's bank is this one.
    pub(super) fn paid_by(&self, bank: usize) -> u8 {
        let scenario = self.scenario();
        scenario.orders_where(|order| order.payer_bank() == &scenario.banks[bank].name)
    }

    /// Whether a property says anything about this scenario.
    #[must_use]
    pub fn applies(&self, prop: Prop) -> bool {
        match prop {
            Prop::PayerLast => self.payer_last,
            Prop::Settles => !self.at_will,
            Prop::SettlesWithoutBanksAsking => !self.at_will && self.scenario().crashes == Crashes::Never,
            Prop::SettlesWithoutOneBank => self.payer_last && self.scenario().banks.len() > 2,
            Prop::TwoFacedIsCaught => self.liars != 0,
            _ => true,
        }
    }
}

/// stateright takes a property's condition as a plain function: one for each bit.
macro_rules! by_bit {
    ($condition:ident, $model:ty, $state:ty) => {
        $crate::world::by_bit!(@each $condition, $model, $state:
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
            32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47)
    };
    (@each $condition:ident, $model:ty, $state:ty: $($bit:literal)*) => {
        [$({
            fn condition(model: &$model, state: &$state) -> bool {
                $condition(model, state, $bit)
            }
            condition as fn(&$model, &$state) -> bool
        },)*]
    };
}
pub(crate) use by_bit;

fn is_fine(model: &HundiModel, world: &World, place: u32) -> bool {
    model.is_fine(world, place as usize)
}

fn is_seen(model: &HundiModel, world: &World, place: u32) -> bool {
    model.verdict(world).1 >> place & 1 != 0
}

type Condition = fn(&HundiModel, &World) -> bool;
const IS_FINE: [Condition; 48] = by_bit!(is_fine, HundiModel, World);
const IS_SEEN: [Condition; 48] = by_bit!(is_seen, HundiModel, World);
