//! The ending of a story after which something is never settled: the run without faults, and what it leaves open.

use std::collections::BTreeSet;

use hundi_protocol::{Direction, Order};

use super::{End, currency};
use crate::world::arena::Input;
use crate::world::model::Action;
use crate::world::packet::Packet;
use crate::world::properties::Prop;
use crate::world::step::Body;

impl End<'_> {
    /// The run without faults that should have settled everything: what was said in it, and what is left open.
    pub(super) fn stuck(&self, prop: Prop) -> (Vec<String>, String) {
        let (actions, after, _) = self.model.fault_free(self.world, Some(prop));
        let mut found = self.said_in(&actions);
        let end = End { world: &after, ..*self };
        let mut harms = Vec::new();
        for (place, order) in end.orders() {
            let is_open = |node: usize| self.model.arena.facts(after.bodies[node]).open & 1 << place != 0;
            let open: Vec<_> = end.banks().filter(|(node, _, _)| is_open(*node)).collect();
            found.extend(
                open.iter().map(|bank| format!("at its end {}", end.standing((place, order), *bank))),
            );
            let name = place + 1;
            if !open.is_empty() {
                let open: Vec<&str> = open.iter().map(|(_, name, _)| *name).collect();
                harms.push(format!("p{name} never ends: {}", end.waiting(order, &open).join(", ")));
            } else if prop == Prop::Settles {
                let (payer, sum) = (order.payer(), order.legs()[0].amount);
                harms.push(format!(
                    "{payer} never hears what became of the {sum} {} of p{name}",
                    currency(order)
                ));
            }
        }
        for node in 0..self.model.scenario().nodes() {
            if let Body::Courier(courier) = self.model.arena.body(after.bodies[node])
                && courier.courier.under_way() > 0
            {
                let (name, count) = (self.model.scenario().node_name(node), courier.courier.under_way());
                found.push(format!(
                    "at its end {name} still waits for the banks' answers, on {count} of the payments"
                ));
            }
        }
        (found, harms.join("; "))
    }

    /// Who waits for what, with a payment in doubt at these banks.
    fn waiting(&self, order: &Order, open: &[&str]) -> Vec<String> {
        let (taken, _) = self.taken_and_given(order);
        let legs = order.legs().iter().filter(|leg| open.contains(&leg.account.bank.as_str()));
        legs.map(|leg| {
            let (account, sum, unit) = (&leg.account, leg.amount, leg.currency);
            match leg.direction {
                Direction::Debit => format!("{sum} {unit} of {account} stay on hold, to be spent by nobody"),
                Direction::Credit if taken > 0 => {
                    format!("{account} waits for {sum} {unit} that {} has paid", order.payer())
                }
                Direction::Credit => format!("{account} waits for {sum} {unit}"),
            }
        })
        .collect()
    }

    /// The messages of a run, each with how often it was sent, and who sent nothing.
    fn said_in(&self, actions: &[Action]) -> Vec<String> {
        let (model, scenario) = (self.model, self.model.scenario());
        let mut bodies = self.world.bodies;
        let mut sent: Vec<(String, usize)> = Vec::new();
        let (mut asked, mut spoke) = (BTreeSet::new(), BTreeSet::new());
        for action in actions {
            let Action::At { node, input } = *action else { continue };
            let node = usize::from(node);
            if let Input::Deliver(packet) = input
                && matches!(model.arena.packet(node, packet), Packet::Submit(_))
            {
                asked.insert(node);
            }
            let Some(taken) = model.arena.taken(node, bodies[node], input) else { continue };
            bodies[node] = taken.body;
            for (wire, packet) in &taken.sequence {
                let wire = usize::from(*wire);
                let to = if wire < scenario.nodes() { scenario.node_name(wire) } else { "outside" };
                spoke.insert(node);
                asked.insert(wire);
                let line = format!("to {to}: {}", model.arena.packet(wire, *packet).text(scenario));
                match sent.iter_mut().find(|(said, _)| *said == line) {
                    Some((_, times)) => *times += 1,
                    None => sent.push((line, 1)),
                }
            }
        }
        if sent.is_empty() {
            return vec!["in such a run no node sends anything, however long it goes on".to_owned()];
        }
        let times = |times: usize| if times == 1 { "once".to_owned() } else { format!("{times} times") };
        let said =
            sent.into_iter().map(|(line, count)| format!("in such a run, sent {} {line}", times(count)));
        let silent = asked.difference(&spoke).filter(|node| **node < scenario.banks.len());
        let silent = silent.map(|node| format!("in such a run {} sends nothing", scenario.node_name(*node)));
        said.chain(silent).collect()
    }
}
