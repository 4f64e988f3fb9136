//! A real node held against the model's: the first difference, in a line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use hundi_bank_node::{BankRecord, Books, Effect, MemoryBooks, Participant};
use hundi_ledger::{Account, EventKind, Known, Store, Timestamp, Transfer, TransferFlags};
use hundi_protocol::{Decision, Signed, Verified, Vote};

use super::bank::RealBank;
use super::world::{RealNode, RealWorld};
use crate::world::{Body, HundiModel, PAYMENT, Packet, Scenario, World};

/// `what` is to be the same on both sides.
fn same<T: PartialEq + Debug>(what: impl std::fmt::Display, real: &T, model: &T) -> Result<(), String> {
    if real == model { Ok(()) } else { Err(format!("{what}: {real:?} for real, {model:?} in the model")) }
}

impl RealWorld<'_> {
    /// Compares these nodes, their disks, and everything under way.
    pub(super) fn compare(
        &mut self,
        model: &HundiModel,
        world: &World,
        nodes: Range<usize>,
    ) -> Result<(), String> {
        for node in nodes {
            let name = self.scenario.node_name(node).to_owned();
            let body = model.arena.body(world.bodies[node]);
            self.compare_node(node, body).map_err(|what| format!("{name}: {what}"))?;
        }
        let names: Vec<&str> = (0..self.nodes.len()).map(|node| self.scenario.node_name(node)).collect();
        for (wire, to) in names.into_iter().chain(["outside"]).enumerate() {
            let wire_in_model = if wire == self.nodes.len() { model.arena.outside() } else { wire };
            let sent = model.packets(world, wire_in_model);
            let real: BTreeSet<&Packet> = self.wires[wire].keys().collect();
            let text = |packet: &&&Packet| packet.text(self.scenario);
            if let Some(only) = real.difference(&sent).next() {
                return Err(format!("on the wire to {to}, for real only: {}", text(&only)));
            }
            if let Some(only) = sent.difference(&real).next() {
                return Err(format!("on the wire to {to}, in the model only: {}", text(&only)));
            }
        }
        Ok(())
    }

    /// Compares one node and its disk.
    pub(super) fn compare_node(&mut self, node: usize, body: &Body) -> Result<(), String> {
        let clock = self.clocks[node];
        let disk = match body {
            Body::Bank(bank) => Some(&bank.disk),
            Body::BankDown { disk, .. } => Some(disk),
            _ => None,
        };
        let record = disk.map(|_| self.on_disk(node)).transpose()?;
        match (&mut self.nodes[node], body) {
            (RealNode::Bank(real), Body::Bank(model)) => {
                same("time", &clock, &model.clock)?;
                memory(self.scenario, real, &model.participant)?;
            }
            (RealNode::Down, Body::BankDown { clock: at, .. }) => same("time", &clock, at)?,
            (RealNode::Courier(real), Body::Courier(model)) => {
                same("time", &clock, &model.clock)?;
                same("orders kept in mind", &real.remembered.keys().copied().collect(), &model.remembered)?;
                same("orders on disk", &self.memories[node].keys().copied().collect(), &model.disk)?;
                same("payments under way", &real.courier.under_way(), &model.courier.under_way())?;
                // A hash leaves out when waits end, which in the model is any time.
                same("hash of all in memory", &hash(&real.courier), &hash(&model.courier))?;
            }
            (RealNode::Down, Body::CourierDown { clock: at, disk }) => {
                same("time", &clock, at)?;
                same("orders on disk", &self.memories[node].keys().copied().collect(), disk)?;
            }
            (RealNode::Anybody { votes, .. }, Body::Anybody { votes: model, .. }) => {
                same("votes known", votes, model)?;
            }
            (RealNode::Liar, Body::Liar) => {}
            (RealNode::Stopped { why }, Body::Stopped { why: model }) => same("stopped", why, model)?,
            (RealNode::Stopped { why }, _) => return Err(format!("stopped: {why}")),
            (_, Body::Stopped { why }) => return Err(format!("goes on, and stopped in the model: {why}")),
            _ => return Err("is up on one side only".to_owned()),
        }
        match (record, disk) {
            (Some(record), Some(books)) => on_disk(self.scenario, &record, books),
            _ => Ok(()),
        }
    }
}

fn hash(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

type Balances = [u128; 4];

fn balances(account: &Account) -> Balances {
    let Account { debits_pending, debits_posted, credits_pending, credits_posted, .. } = account;
    [debits_pending.0, debits_posted.0, credits_pending.0, credits_posted.0]
}

/// What a bank has in memory.
fn memory<F>(
    scenario: &Scenario,
    real: &mut RealBank,
    model: &Participant<MemoryBooks, F>,
) -> Result<(), String>
where
    F: hundi_bank_node::Flaws,
{
    let books = model.books();
    same("customers", real.node.books().customers(), books.customers())?;
    for planned in &scenario.orders {
        let name = scenario.order_name(&planned.order.digest());
        let payment = real.node.books_mut().payment(&planned.order).map_err(|error| error.to_string())?;
        let in_model = books.payments().get(&planned.order.digest());
        same(format_args!("record of {name}"), &payment.as_ref(), &in_model)?;
    }
    same("floor", &real.node.books().floor(), &books.floor())?;
    for account in books.ledger_ref().accounts() {
        let ledger = real.node.books_mut().ledger();
        let slot = ledger.find_account(account.id).map_err(|error| error.to_string())?;
        let found = slot.map(|slot| *ledger.account(slot)).unwrap_or_default();
        let what = |account: &Account| (balances(account), account.flags, account.ledger, account.code);
        same(format_args!("account {}", account.id), &what(&found), &what(account))?;
    }
    for (transfer, phase) in books.ledger_ref().transfers() {
        let known =
            real.node.books_mut().ledger().transfer(transfer.id).map_err(|error| error.to_string())?;
        let timeless = |transfer: &Transfer| Transfer { timestamp: Timestamp(0), ..*transfer };
        let known = match known {
            Known::Yes(transfer, phase) => Some((timeless(&transfer), phase)),
            Known::No | Known::Burnt => None,
        };
        same(format_args!("transfer {}", transfer.id), &known, &Some((timeless(transfer), phase)))?;
    }
    for id in books.ledger_ref().burnt() {
        let known = real.node.books_mut().ledger().transfer(id).map_err(|error| error.to_string())?;
        same(format_args!("transfer {id}"), &known, &Known::Burnt)?;
    }
    same("unwritten", &real.node.has_uncut(), &model.has_uncut())?;
    let held = |held: Vec<(u64, Effect)>| held.into_iter().collect::<BTreeSet<_>>();
    let real_held = real.node.held().map(|(after, effect)| (after, effect.clone())).collect();
    let model_held = model.held().map(|(after, effect)| (after, effect.clone())).collect();
    same("waits for the disk", &held(real_held), &held(model_held))?;
    same("votes gathered", real.node.gathered(), model.gathered())?;
    let doubts: BTreeSet<_> = real.node.doubts().map(|(_, digest)| digest).collect();
    same("in doubt", &doubts, &model.doubts().map(|(_, digest)| digest).collect())
}

/// What a bank has on disk. The copy that was read was verified from its first row.
fn on_disk(scenario: &Scenario, real: &BankRecord, model: &MemoryBooks) -> Result<(), String> {
    if let Some(damage) = &real.damage {
        return Err(format!("on disk: {damage}"));
    }
    let accounts: BTreeMap<_, Balances> = real
        .accounts
        .iter()
        .map(|a| (a.id, [a.debits_pending.0, a.debits_posted.0, a.credits_pending.0, a.credits_posted.0]))
        .collect();
    let in_model = model.ledger_ref().accounts().map(|account| (account.id, balances(account))).collect();
    same("on disk, balances", &accounts, &in_model)?;
    let entries: BTreeSet<_> =
        real.entries.iter().map(|e| (e.id, e.debit, e.credit, e.amount, e.kind)).collect();
    let transfers = model.ledger_ref().transfers().map(|(transfer, _)| transfer);
    let in_model = transfers
        .filter(|transfer| transfer.code == PAYMENT)
        .map(|t| (t.id, t.debit_account_id, t.credit_account_id, t.amount, kind(t)))
        .collect();
    same("on disk, entries of payments", &entries, &in_model)?;
    let signed = |evidence: &[Signed<Vote>]| evidence.iter().map(|v| v.unverified().clone()).collect();
    let verified = |evidence: &[Verified<Vote>]| evidence.iter().map(|v| v.statement().clone()).collect();
    let real_payments: BTreeMap<_, Word> = real
        .payments
        .iter()
        .map(|p| (name(scenario, &p.order), (p.decision, p.settled, signed(&p.evidence))))
        .collect();
    let in_model = model
        .payments()
        .values()
        .map(|p| (name(scenario, &p.order), (p.decision, p.settled, verified(&p.evidence))))
        .collect();
    same("on disk, votes on record", &real_payments, &in_model)?;
    let proofs: BTreeSet<(Vote, Vote)> = real
        .double_votes
        .iter()
        .map(|(yes, no)| (yes.unverified().clone(), no.unverified().clone()))
        .collect();
    let in_model = model
        .double_votes()
        .iter()
        .map(|proof| (proof.yes().statement().clone(), proof.no().statement().clone()))
        .collect();
    same("on disk, proofs against two-faced banks", &proofs, &in_model)?;
    let customers: BTreeMap<_, _> =
        real.customers.iter().map(|c| (&c.name, (c.account, c.currency))).collect();
    let in_model = model
        .customers()
        .iter()
        .map(|(name, customer)| (name, (customer.account, customer.currency)))
        .collect();
    same("on disk, customers", &customers, &in_model)?;
    same("on disk, floor", &real.floor, &model.floor())
}

/// A bank's word on a payment: its vote, the outcome, and the votes that prove it.
type Word = (Decision, Option<hundi_protocol::Outcome>, Vec<Vote>);

fn name(scenario: &Scenario, order: &hundi_protocol::Order) -> String {
    scenario.order_name(&order.digest())
}

fn kind(transfer: &Transfer) -> EventKind {
    let flagged = |flag| transfer.flags.contains(flag);
    match () {
        () if flagged(TransferFlags::PENDING) => EventKind::Pending,
        () if flagged(TransferFlags::POST_PENDING_TRANSFER) => EventKind::Posted,
        () if flagged(TransferFlags::VOID_PENDING_TRANSFER) => EventKind::Voided,
        () => EventKind::SinglePhase,
    }
}
