//! A story walked for real: banks on SQLite files, messages as bytes, real signatures, in one process.
//!
//! The story's steps are taken in the model and, one by one, by [`Participant`](hundi_bank_node::Participant)s over
//! [`SqliteBooks`](hundi_bank_node::SqliteBooks) and by couriers. Every message is signed by its bank, encoded into a
//! frame, decoded and verified where it arrives. A write is a SQLite transaction, synced; a crash drops the bank
//! and all that was not written; a restart opens the file again. After each step every node, its disk, and everything
//! under way must be what the model says, so that the model's verdict holds for the real thing too.
//!
//! | file | what is in it |
//! |---|---|
//! | `world.rs` | all nodes and wires, and what an event does to them |
//! | `bank.rs` | a bank on its file |
//! | `wire.rs` | packets as bytes |
//! | `compare.rs` | the first difference between a real node and the model's |

mod bank;
mod compare;
mod wire;
mod world;

use std::path::Path;

use hundi_protocol::UncheckedCertificate;

use crate::audit::audit;
use crate::story::{Story, Walk};
use crate::world::{Action, Bank, HundiModel, Input, Packet, Prop, World};
use world::RealWorld;

/// How a story went for real.
#[derive(Debug)]
pub struct RealWalk {
    /// How it went in the model, beside it.
    pub walk: Walk,
    /// The first difference, and after how many steps.
    pub difference: Option<(usize, String)>,
    /// Whether a fault-free run from the end settles everything that is open; `None` where the story broke
    /// something else and nothing can be asked of what follows.
    pub settles: Option<bool>,
    /// What the audit of the banks' files says against anybody, at the very end. It takes every bank's file and sums
    /// of up to 126 bits: nothing is audited where a bank lies, and so has no file, or has an account near the limit.
    pub offences: Vec<String>,
}

impl Story {
    /// Walks the story in the model and for real, side by side, with the files in the empty folder `dir`.
    ///
    /// Where nothing is broken on the way, or the broken property is about settling, a fault-free run follows, in both.
    /// At the end the files are audited.
    ///
    /// # Errors
    /// When the folder cannot be used: a line that says why.
    pub fn walk_for_real(&self, model: &HundiModel, dir: &Path) -> Result<RealWalk, String> {
        let bug = model.arena.bug;
        let mut real = RealWorld::new(model.scenario(), bug, self.orders, dir.to_owned())?;
        let mut difference = None;
        let all = 0..model.scenario().nodes();
        if let Err(what) = real.compare(model, &model.initial(self.orders), all.clone()) {
            difference = Some((0, what));
        }
        let mut steps = 0;
        let walk = self.walk_with(model, &mut |action, after| {
            if difference.is_some() {
                return;
            }
            steps += 1;
            let touched = match action {
                Action::Tick => all.clone(),
                Action::At { node, .. } => usize::from(node)..usize::from(node) + 1,
            };
            let done = real.take(model, action).and_then(|()| real.compare(model, after, touched));
            difference = done.err().map(|what| (steps, what));
        });
        let settling = [
            Prop::Settles,
            Prop::SettlesWithoutCoordinators,
            Prop::SettlesWithoutBanksAsking,
            Prop::SettlesWithoutOneBank,
        ];
        let of_settling = walk.broken.is_none_or(|(prop, _)| settling.contains(&prop));
        let mut settles = None;
        if difference.is_none() && of_settling {
            let (actions, after, ends) = model.fault_free(&walk.world, walk.broken.map(|(prop, _)| prop));
            settles = Some(ends);
            let steps = walk.taken.len();
            difference = real.settle(model, &actions, &after).err().map(|(more, what)| (steps + more, what));
        }
        let offences = real.offences()?;
        Ok(RealWalk { walk, difference, settles, offences })
    }
}

impl RealWorld<'_> {
    fn take(&mut self, model: &HundiModel, action: Action) -> Result<(), String> {
        match action {
            Action::Tick => (0..self.nodes.len()).try_for_each(|node| self.step(node, Input::Tick, None)),
            Action::At { node, input } => {
                let node = usize::from(node);
                let packet = match input {
                    Input::Deliver(packet) => Some(model.arena.packet(node, packet).clone()),
                    _ => None,
                };
                self.step(node, input, packet.as_ref())
            }
        }
    }

    /// A fault-free run: what was under way is lost, and customers ask again.
    fn settle(
        &mut self,
        model: &HundiModel,
        actions: &[Action],
        after: &World,
    ) -> Result<(), (usize, String)> {
        self.wires.iter_mut().take(self.scenario.nodes()).for_each(|wire| wire.clear());
        for (place, action) in actions.iter().enumerate() {
            let here = |what| (place + 1, what);
            if let Action::At { node, input: Input::Deliver(packet) } = action
                && let Packet::Submit(order) = model.arena.packet(usize::from(*node), *packet)
            {
                self.submit(usize::from(*node), order).map_err(here)?;
            }
            self.take(model, *action).map_err(here)?;
        }
        let end = |what| (actions.len(), format!("after a run without faults: {what}"));
        // Coordinators at will have no part in it; what they would make of it by themselves is not asked.
        for node in (0..self.nodes.len()).filter(|node| !self.scenario.is_at_will(*node)) {
            let name = self.scenario.node_name(node).to_owned();
            let body = model.arena.body(after.bodies[node]);
            self.compare_node(node, body).map_err(|what| end(format!("{name}: {what}")))?;
        }
        Ok(())
    }

    /// What speaks against anybody in the banks' files and in what customers were told.
    fn offences(&self) -> Result<Vec<String>, String> {
        let beyond = |bank: &Bank| bank.customers.iter().any(|(_, _, deposit)| deposit.0 >= 1 << 126);
        if self.scenario.banks.iter().any(|bank| bank.liar || beyond(bank)) {
            return Ok(Vec::new());
        }
        let records = (0..self.scenario.banks.len()).map(|bank| self.on_disk(bank));
        let records = records.collect::<Result<Vec<_>, _>>()?;
        let told: Vec<UncheckedCertificate> = self.wires[self.scenario.nodes()]
            .keys()
            .filter_map(|packet| match packet {
                Packet::Answer { certificate, .. } => Some(certificate.to_unchecked()),
                _ => None,
            })
            .collect();
        let findings = audit(self.scenario.directory(), &records, told);
        Ok(findings.offences.iter().map(ToString::to_string).collect())
    }
}
