//! States and steps in words that a payments engineer reads: who sent what, what was on disk, who crashed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hundi_bank_node::{Books, Effect, MemoryBooks, Payment, Step, transfer_id};
use hundi_ledger::Phase;
use hundi_protocol::{Decision, Direction, Order, Outcome};

use super::arena::Input;
use super::model::{Action, HundiModel, World};
use super::packet::chore_text;
use super::scenario::Scenario;
use super::step::{BankUp, Body};

impl HundiModel {
    /// An action in a line. Different actions in one state have different lines, and the line of an action is the same
    /// in every run: stories are saved in them.
    #[must_use]
    pub fn action_text(&self, action: Action) -> String {
        let Action::At { node, input } = action else { return "time passes".to_owned() };
        let node = usize::from(node);
        let name = self.scenario().node_name(node);
        match input {
            Input::Tick => format!("time passes at {name}"),
            Input::Timer => format!("{name} has waited long enough"),
            Input::Sync => format!("{name} writes to disk"),
            Input::Write => format!("{name} starts a write to disk"),
            Input::Written => format!("{name}'s disk has written"),
            Input::Crash => format!("{name} crashes"),
            Input::Restart => format!("{name} starts again"),
            Input::Chore(chore) => {
                let chore = &self.scenario().chores[usize::from(chore)].1;
                format!("{name}'s operator: {}", chore_text(chore))
            }
            Input::Deliver(packet) => {
                let packet = self.arena.packet(node, packet).text(self.scenario());
                format!("{name} hears: {packet}")
            }
        }
    }

    /// What an action did, in a line each: what changed in the books, what was lost, what was sent.
    #[must_use]
    pub fn step_text(&self, before: &World, action: Action, after: &World) -> Vec<String> {
        let scenario = self.scenario();
        let mut lines = Vec::new();
        if let Action::At { node, input } = action {
            let node = usize::from(node);
            let (old, new) = (self.arena.body(before.bodies[node]), self.arena.body(after.bodies[node]));
            changes(scenario, node, input, old, new, &mut lines);
        } else if let Some(time) = self.time(after) {
            lines.push(format!("it is {time} ms"));
        }
        for wire in 0..after.wires.len() {
            let mut news = after.wires[wire] & !before.wires[wire];
            while news != 0 {
                let packet = self.arena.packet(wire, u8::try_from(news.trailing_zeros()).unwrap_or_default());
                news &= news - 1;
                let to = if wire < scenario.nodes() { scenario.node_name(wire) } else { "outside" };
                lines.push(format!("sent to {to}: {}", packet.text(scenario)));
            }
        }
        lines
    }

    /// An order in a line.
    pub(super) fn order_text(&self, place: usize) -> String {
        let order = &self.scenario().orders[place].order;
        let legs = order.legs()[1..].iter();
        let legs: Vec<String> =
            legs.map(|leg| format!("{} {} to {}", leg.amount, leg.currency, leg.account)).collect();
        let (name, expiry) = (place + 1, order.expires_at());
        format!("p{name}: {} pays {} until {expiry} ms", order.payer(), legs.join(" and "))
    }

    fn time(&self, world: &World) -> Option<u64> {
        let clock = self.arena.facts(world.bodies[0]).clock;
        self.scenario().clock.get(usize::from(clock)).map(|time| time.0)
    }

    /// A state, a line for each thing worth knowing.
    #[must_use]
    pub fn world_text(&self, world: &World) -> String {
        let scenario = self.scenario();
        let mut text = String::new();
        for place in 0..scenario.orders.len() {
            let _ = writeln!(text, "{}", self.order_text(place));
        }
        for node in 0..scenario.nodes() {
            let body = self.arena.body(world.bodies[node]);
            let _ = writeln!(text, "{}: {}", scenario.node_name(node), body_text(scenario, node, body));
        }
        for (wire, packets) in world.wires.iter().enumerate() {
            let mut packets = *packets;
            while packets != 0 {
                let packet =
                    self.arena.packet(wire, u8::try_from(packets.trailing_zeros()).unwrap_or_default());
                packets &= packets - 1;
                let to = if wire < scenario.nodes() { scenario.node_name(wire) } else { "outside" };
                let _ = writeln!(text, "on the wire to {to}: {}", packet.text(scenario));
            }
        }
        text
    }
}

/// One payment's record: `yes, in doubt`.
fn record_text(payment: &Payment) -> String {
    match (payment.decision, payment.settled) {
        (Decision::No(reason), _) => format!("no ({reason})"),
        (Decision::Yes, None) => "yes, in doubt".to_owned(),
        (Decision::Yes, Some(Outcome::Commit)) => "yes, committed".to_owned(),
        (Decision::Yes, Some(Outcome::Abort)) => "yes, aborted".to_owned(),
    }
}

/// All that a bank's books say, as facts that can be compared one by one.
fn books_facts(scenario: &Scenario, node: usize, books: &MemoryBooks) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    for payment in books.payments().values() {
        facts.insert(scenario.order_name(&payment.order.digest()), record_text(payment));
    }
    for order in scenario.orders.iter().map(|planned| &planned.order) {
        for (place, leg) in order.legs().iter().enumerate() {
            if leg.account.bank != scenario.banks[node].name {
                continue;
            }
            let name = scenario.order_name(&order.digest());
            let verb = if leg.direction == Direction::Debit { "from" } else { "to" };
            let ledger = books.ledger_ref();
            if let Some((entry, phase)) = ledger.transfer_by_id(transfer_id(order, place, Step::Book)) {
                let state = match phase {
                    Phase::Single => "posted at once",
                    Phase::Pending => "on hold",
                    Phase::Posted => "posted",
                    Phase::Voided => "released",
                    Phase::Expired => "expired",
                };
                let what = format!("{name}: {} {verb} {}", entry.amount, leg.account.name);
                facts.insert(what, state.to_owned());
            }
            if let Some((entry, _)) = ledger.transfer_by_id(transfer_id(order, place, Step::Late)) {
                facts.insert(
                    format!("{name}: {} {verb} {}, late", entry.amount, leg.account.name),
                    "posted".to_owned(),
                );
            }
        }
    }
    for (name, customer) in books.customers() {
        if let Some(account) = books.ledger_ref().account_by_id(customer.account) {
            let closed = if customer.closed { ", closed" } else { "" };
            let balance = account.credits_posted.0.wrapping_sub(account.debits_posted.0);
            let held = match (account.debits_pending.0, account.credits_pending.0) {
                (0, 0) => String::new(),
                (out, 0) => format!(", {out} on hold"),
                (0, announced) => format!(", {announced} announced"),
                (out, announced) => format!(", {out} on hold, {announced} announced"),
            };
            facts.insert(format!("{name} has"), format!("{balance}{held}{closed}"));
        }
    }
    if books.floor().0 > 0 {
        facts.insert("floor".to_owned(), books.floor().to_string());
    }
    for proof in books.double_votes() {
        let vote = proof.yes().statement();
        facts.insert(
            format!("proof that {} voted both ways on", vote.bank),
            scenario.order_name(&vote.payment),
        );
    }
    facts
}

/// What the books say of one order: `yes, in doubt (60 from ann: on hold)`.
pub(super) fn order_facts(scenario: &Scenario, node: usize, order: &Order, books: &MemoryBooks) -> String {
    let name = scenario.order_name(&order.digest());
    let facts = books_facts(scenario, node, books);
    let record = facts.get(&name).map_or("no record", String::as_str);
    let legs = facts.iter().filter_map(|(what, state)| {
        let leg = what.strip_prefix(&name)?.strip_prefix(": ")?;
        Some(format!("{leg}: {state}"))
    });
    let legs: Vec<String> = legs.collect();
    if legs.is_empty() { record.to_owned() } else { format!("{record} ({})", legs.join(", ")) }
}

fn differences(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<String> {
    let news = new.iter().filter(|(what, value)| old.get(*what) != Some(value));
    let mut lines: Vec<String> = news.map(|(what, value)| format!("{what}: {value}")).collect();
    let gone = old.iter().filter(|(what, _)| !new.contains_key(*what));
    lines.extend(gone.map(|(what, value)| format!("{what}: {value} — gone")));
    lines
}

fn changes(scenario: &Scenario, node: usize, input: Input, old: &Body, new: &Body, lines: &mut Vec<String>) {
    let facts = |books: &MemoryBooks| books_facts(scenario, node, books);
    let mut say = |prefix: &str, what: Vec<String>| {
        if !what.is_empty() {
            lines.push(format!("{prefix}: {}", what.join("; ")));
        }
    };
    match (old, new) {
        (_, Body::Stopped { why }) => say("stops for good", vec![scenario.with_order_names(why)]),
        (Body::Bank(old), Body::BankDown { disk, .. }) => {
            say("lost, as it was not on disk", differences(&facts(disk), &facts(old.participant.books())));
        }
        (Body::BankDown { .. }, Body::Bank(new)) => {
            let doubts = new.participant.doubts().map(|(_, digest)| scenario.order_name(digest)).collect();
            say("in doubt, from its disk", doubts);
        }
        (Body::Bank(old), Body::Bank(new)) => {
            let (before, after) = (facts(old.participant.books()), facts(new.participant.books()));
            say("in memory", differences(&before, &after));
            if matches!(input, Input::Sync | Input::Written | Input::Write) {
                let target = new.writing.as_ref().map_or(&new.disk, |(_, books)| books);
                let prefix = if input == Input::Write { "being written" } else { "on disk now" };
                say(prefix, differences(&facts(&old.disk), &facts(target)));
            }
            let waits = new.participant.held().count();
            if waits > old.participant.held().count() {
                say("waits for the disk", held(scenario, new));
            }
        }
        _ => {}
    }
}

/// What a bank would say if its disk had written.
fn held(scenario: &Scenario, bank: &BankUp) -> Vec<String> {
    let held = bank.participant.held().map(|(_, effect)| match effect {
        Effect::Vote { to, vote } => {
            format!("vote {} on {} for {}", vote.decision, scenario.order_name(&vote.payment), to.name)
        }
        Effect::Proof { to, vote, .. } => {
            format!("proof of {} for {}", scenario.order_name(&vote.payment), to.name)
        }
        Effect::Ack { to, payment } => format!("receipt of {} for {}", scenario.order_name(payment), to.name),
        Effect::Resolve { to, order } => {
            format!("question about {} for {to}", scenario.order_name(&order.digest()))
        }
        Effect::Answer { answer, .. } => match answer {
            Ok(()) => "answer for the operator: done".to_owned(),
            Err(refusal) => format!("answer for the operator: {refusal}"),
        },
        Effect::Report(proof) => format!("report against {}", proof.yes().statement().bank),
    });
    held.collect()
}

pub(super) fn books_text(scenario: &Scenario, node: usize, books: &MemoryBooks) -> String {
    let facts: Vec<String> =
        books_facts(scenario, node, books).iter().map(|(what, value)| format!("{what} {value}")).collect();
    facts.join("; ")
}

fn body_text(scenario: &Scenario, node: usize, body: &Body) -> String {
    let time = |clock: u8| scenario.clock[usize::from(clock)];
    match body {
        Body::Bank(bank) => {
            let books = bank.participant.books();
            let mut text = format!(
                "up at {} ms\n    in memory  {}",
                time(bank.clock),
                books_text(scenario, node, books)
            );
            if let Some((_, writing)) = &bank.writing {
                let _ = write!(text, "\n    writing    {}", books_text(scenario, node, writing));
            }
            let disk = books_text(scenario, node, &bank.disk);
            let same = disk == books_text(scenario, node, books) && books.floor() == bank.disk.floor();
            let _ = write!(text, "\n    on disk    {}", if same { "the same" } else { &disk });
            for held in held(scenario, bank) {
                let _ = write!(text, "\n    held back  {held}");
            }
            for votes in bank.participant.gathered().values() {
                let votes: Vec<_> = votes.iter().cloned().collect();
                let _ = write!(text, "\n    has heard  {}", super::packet::votes_text(&votes));
            }
            text
        }
        Body::BankDown { clock, disk } => {
            format!("DOWN at {} ms\n    on disk    {}", time(*clock), books_text(scenario, node, disk))
        }
        Body::Courier(courier) => {
            let mut text =
                format!("up at {} ms, {} under way", time(courier.clock), courier.courier.under_way());
            for digest in &courier.remembered {
                let kept = if courier.disk.contains(digest) { "on disk" } else { "not on disk" };
                let _ = write!(text, "\n    remembers  {} ({kept})", scenario.order_name(digest));
            }
            text
        }
        Body::CourierDown { clock, disk } => {
            let orders: Vec<String> = disk.iter().map(|digest| scenario.order_name(digest)).collect();
            format!("DOWN at {} ms, remembers [{}]", time(*clock), orders.join(", "))
        }
        Body::Anybody { votes, .. } => {
            let votes: Vec<_> = votes.iter().cloned().collect();
            format!("any number of coordinators; votes cast: [{}]", super::packet::votes_text(&votes))
        }
        Body::Liar => "a liar: any of its votes may arrive at any time".to_owned(),
        Body::Stopped { why } => format!("STOPPED: {why}"),
    }
}
