//! How a story ends: what should have been, what is, and what it costs whom.

mod stuck;
mod sums;
mod words;

use std::fmt::Write as _;

use hundi_bank_node::{Books, MemoryBooks, Payment, Step, transfer_id};
use hundi_ledger::Phase;
use hundi_protocol::{AccountName, Currency, Direction, DoubleVote, Order};
use serde::{Deserialize, Serialize};

use super::arena::said;
use super::describe::{books_text, order_facts};
use super::model::{HundiModel, World};
use super::packet::votes_text;
use super::properties::Prop;
use super::step::Body;
use words::{expected, harm};

/// The end of a story, for a reader who has seen nothing but the story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// What the broken property asks for here.
    pub expected: String,
    /// What is there instead: names, sums, records.
    pub found: Vec<String>,
    /// What that costs, and whom.
    pub harm: String,
}

impl HundiModel {
    /// What a story begins with: the orders given, the money in the accounts, and who may do what.
    #[must_use]
    pub fn beginning(&self, orders: u8) -> Vec<String> {
        let scenario = self.scenario();
        let given = scenario.orders.iter().enumerate().filter(|(place, _)| orders & 1 << place != 0);
        let mut lines: Vec<String> = given.clone().map(|(place, _)| self.order_text(place)).collect();
        for bank in &scenario.banks {
            let concerned = |(name, _, _): &&(AccountName, Currency, _)| {
                let legs = || given.clone().flat_map(|(_, planned)| planned.order.legs());
                orders == 0 || legs().any(|leg| leg.account.bank == bank.name && leg.account.name == *name)
            };
            let customers = bank.customers.iter().filter(concerned);
            let customers: Vec<String> =
                customers.map(|(name, currency, amount)| format!("{name} has {amount} {currency}")).collect();
            let lies = if bank.liar { "; it lies: it votes both ways as it likes" } else { "" };
            if !customers.is_empty() || bank.liar {
                lines.push(format!("{}: {}{lies}", bank.name, customers.join(", ")));
            }
        }
        if let Some(anybody) = scenario.coordinators.iter().find(|coordinator| coordinator.at_will) {
            let name = &anybody.name;
            lines.push(format!("{name}: any number of coordinators; any may ask, bring or repeat anything"));
        }
        lines
    }

    /// What a world looks like in which a property does not hold, and what is wrong with it. `before` is the world one
    /// step earlier: a node that stops takes its books with it.
    #[must_use]
    pub fn ending(&self, before: &World, world: &World, orders: u8, prop: Prop) -> Ending {
        let end = End { model: self, before, world, given: orders };
        let (found, harm) = match prop {
            Prop::NodesDoNotStop => end.stopped(),
            Prop::MoneyIsConserved => end.clearing(),
            Prop::BooksBalance | Prop::LedgerFollowsVotes => end.balances(),
            Prop::OneOrderPerId => end.order_ids(),
            Prop::PayerLast => end.frozen(),
            Prop::TwoFacedIsCaught => end.unproven_faces(),
            Prop::Settles
            | Prop::SettlesWithoutCoordinators
            | Prop::SettlesWithoutBanksAsking
            | Prop::SettlesWithoutOneBank => end.stuck(prop),
            Prop::WithinLimits
            | Prop::ClosedIsEmpty
            | Prop::FloorRises
            | Prop::HonestIsNotAccused
            | Prop::RolesAreKept
            | Prop::OperatorsAreToldTrue => (end.books(), harm(prop).to_owned()),
            Prop::NoSplitOutcome
            | Prop::ProofBeforePost
            | Prop::ProofBeforeVoid
            | Prop::OneVote
            | Prop::RecordsStay
            | Prop::SaidIsOnDisk
            | Prop::ToldStaysTrue
            | Prop::VotesAreDeserved
            | Prop::RefusalLeavesNothing
            | Prop::HoldsDoNotExpire
            | Prop::AsksWhatIsOpen => (end.standings(), end.moved_amiss().unwrap_or(harm(prop).to_owned())),
        };
        Ending { expected: expected(prop).to_owned(), found, harm }
    }
}

/// An order's place and the order.
type Given<'a> = (usize, &'a Order);

/// The world at the end of a story.
struct End<'a> {
    model: &'a HundiModel,
    before: &'a World,
    world: &'a World,
    /// The orders that were given, as bits.
    given: u8,
}

impl<'a> End<'a> {
    pub(super) fn orders(&self) -> impl Iterator<Item = Given<'a>> + 'a {
        let (model, given) = (self.model, self.given);
        let all = model.scenario().orders.iter().enumerate();
        all.filter(move |(place, _)| given & 1 << place != 0).map(|(place, planned)| (place, &*planned.order))
    }

    pub(super) fn banks(&self) -> impl Iterator<Item = (usize, &'a str, &'a Body)> + 'a {
        let (model, world) = (self.model, self.world);
        (0..model.scenario().banks.len())
            .map(move |node| (node, model.scenario().node_name(node), model.arena.body(world.bodies[node])))
    }

    /// The books that count at each honest bank: those in memory, or of a bank that is down those on disk.
    pub(super) fn books_that_count(&self) -> impl Iterator<Item = (usize, &'a str, &'a MemoryBooks)> + 'a {
        self.banks().filter_map(|(node, name, body)| Some((node, name, counting(body)?)))
    }

    /// Each bank's word and record on each payment that was given, and what it moved.
    pub(super) fn standings(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for given in self.orders() {
            let banks = self
                .banks()
                .filter(|(node, _, _)| given.1.banks().contains(&self.model.scenario().banks[*node].name));
            lines.extend(banks.map(|bank| self.standing(given, bank)));
            lines.extend(self.told(given.0));
            lines.push(self.moved_text(given));
        }
        lines
    }

    /// `alpha on p1: yes, in doubt (60 from ann: on hold); on disk: nothing; it has said yes`.
    pub(super) fn standing(
        &self,
        (place, order): Given<'_>,
        (node, name, body): (usize, &str, &Body),
    ) -> String {
        let scenario = self.model.scenario();
        let text = |books: &MemoryBooks| {
            let mut text = order_facts(scenario, node, order, books);
            let none = !books.payments().contains_key(&order.digest());
            if none && books.floor() >= order.expires_at() {
                let _ = write!(text, ", which its floor of {} ms makes a no", books.floor());
            }
            let payment = books.payments().get(&order.digest());
            if let Some(evidence) = payment.map(|payment| &payment.evidence).filter(|votes| !votes.is_empty())
            {
                let _ = write!(text, ", by {}", votes_text(evidence));
            }
            text
        };
        let mut line = format!("{name} on p{}: ", place + 1);
        match body {
            Body::Bank(bank) => {
                let (memory, disk) = (text(bank.participant.books()), text(&bank.disk));
                line += &memory;
                if memory != disk {
                    let _ = write!(line, "; on disk still: {disk}");
                }
            }
            Body::BankDown { disk, .. } => line = format!("{line}down, on disk: {}", text(disk)),
            Body::Stopped { .. } => line += "stopped for good",
            _ => line += "lies, and says what it likes",
        }
        let bit = |from: u32| self.world.said >> (from + node as u32 * 8 + place as u32) & 1 != 0;
        match (bit(0), bit(said::NO)) {
            (false, false) => {}
            (true, false) => line += "; said to others: yes",
            (false, true) => line += "; said to others: no",
            (true, true) => line += "; said to others: yes, and also no",
        }
        line
    }

    fn told(&self, place: usize) -> Option<String> {
        let bit = |from: u32| self.world.said >> (from + place as u32) & 1 != 0;
        let told = match (bit(said::TOLD_COMMIT), bit(said::TOLD_ABORT)) {
            (false, false) => return None,
            (true, false) => "a commit",
            (false, true) => "an abort",
            (true, true) => "a commit, and also an abort",
        };
        Some(format!("customers may have been told that p{} is {told}", place + 1))
    }

    /// All that each bank's books say.
    fn books(&self) -> Vec<String> {
        let scenario = self.model.scenario();
        let banks = self.banks().map(|(node, name, body)| match body {
            Body::Bank(bank) => {
                let memory = books_text(scenario, node, bank.participant.books());
                let disk = books_text(scenario, node, &bank.disk);
                let disk = if disk == memory { String::new() } else { format!("; on disk still: {disk}") };
                format!("{name}: {memory}{disk}")
            }
            Body::BankDown { disk, .. } => {
                format!("{name}: down, on disk: {}", books_text(scenario, node, disk))
            }
            Body::Stopped { why } => format!("{name}: stopped: {why}"),
            _ => format!("{name}: lies, and says what it likes"),
        });
        banks.collect()
    }

    fn stopped(&self) -> (Vec<String>, String) {
        let (mut found, mut stranded) = (Vec::new(), Vec::new());
        let scenario = self.model.scenario();
        for node in 0..scenario.nodes() {
            let Body::Stopped { why } = self.model.arena.body(self.world.bodies[node]) else { continue };
            let name = scenario.node_name(node);
            found.push(format!("{name} stopped: {}", scenario.with_order_names(why)));
            let Body::Bank(bank) = self.model.arena.body(self.before.bodies[node]) else { continue };
            let books = bank.participant.books();
            found.push(format!("{name}'s books just before: {}", books_text(scenario, node, books)));
            for (place, order) in self
                .orders()
                .filter(|(_, order)| books.payments().get(&order.digest()).is_some_and(Payment::is_open))
            {
                let legs = order.legs().iter().filter(|leg| leg.account.bank == scenario.banks[node].name);
                let legs: Vec<String> = legs
                    .map(|leg| match leg.direction {
                        Direction::Debit => format!("take {} from {}", leg.amount, leg.account.name),
                        Direction::Credit => format!("give {} to {}", leg.amount, leg.account.name),
                    })
                    .collect();
                stranded.push(format!("voted yes on p{} and can never {}", place + 1, legs.join(" and ")));
            }
        }
        let harm = match stranded.is_empty() {
            true => "a node is out of service, and comes to the same end whenever it starts again".to_owned(),
            false => format!(
                "the bank {}, while the others may commit by its yes; and it serves nobody else",
                stranded.join("; it ")
            ),
        };
        (found, harm)
    }

    fn order_ids(&self) -> (Vec<String>, String) {
        let mut found: Vec<String> = self
            .orders()
            .map(|(place, order)| format!("p{} has the id {}, of {}", place + 1, order.id(), order.payer()))
            .collect();
        found.extend(self.standings());
        let carried = self.orders().filter_map(|(place, order)| {
            let (taken, _) = self.taken_and_given(order);
            (taken > 0).then(|| format!("{taken} {} for p{}", currency(order), place + 1))
        });
        let carried: Vec<String> = carried.collect();
        (found, format!("whoever gives an order again under its id pays again: {}", carried.join(" and ")))
    }

    fn frozen(&self) -> (Vec<String>, String) {
        let mut harms = Vec::new();
        for (place, order) in self.orders() {
            let banks = &self.model.scenario().banks;
            let held = self.books_that_count().any(|(node, _, books)| {
                let entry = books.ledger_ref().transfer_by_id(transfer_id(order, 0, Step::Book));
                banks[node].name == *order.payer_bank() && entry.is_some_and(|(_, at)| at == Phase::Pending)
            });
            if held {
                let (amount, unit) = (order.legs()[0].amount, currency(order));
                let others = order.banks().iter().filter(|bank| *bank != order.payer_bank());
                let others: Vec<String> = others.map(ToString::to_string).collect();
                harms.push(format!(
                    "if {} is not to be reached now, {} can neither spend {amount} {unit} nor get them back (p{})",
                    others.join(" or "),
                    order.payer(),
                    place + 1
                ));
            }
        }
        (self.standings(), harms.join("; "))
    }

    /// Who has heard both words of another bank and kept no proof.
    fn unproven_faces(&self) -> (Vec<String>, String) {
        let mut found = Vec::new();
        for (_, name, body) in self.banks() {
            let Body::Bank(bank) = body else { continue };
            let books = bank.participant.books();
            for (place, order) in self.orders() {
                let gathered = bank.participant.gathered().get(&order.digest()).into_iter().flatten();
                let payment = books.payments().get(&order.digest());
                let known: Vec<_> =
                    gathered.chain(payment.into_iter().flat_map(|payment| &payment.evidence)).collect();
                let proofs = known.iter().flat_map(|a| known.iter().filter_map(|b| DoubleVote::of(a, b)));
                let mut liars: Vec<String> =
                    proofs.map(|proof| proof.yes().statement().bank.to_string()).collect();
                liars.dedup();
                let kept = books.double_votes().len();
                found.extend(liars.iter().map(|liar| {
                    let place = place + 1;
                    format!(
                        "{name} knows {liar}'s yes and {liar}'s no on p{place}; proofs that it keeps: {kept}"
                    )
                }));
            }
        }
        found.extend(self.standings());
        let harm =
            "who voted both ways cannot be made to pay for it: nobody can show both votes side by side";
        (found, harm.to_owned())
    }
}

/// The books that count at a bank, if it has any.
fn counting(body: &Body) -> Option<&MemoryBooks> {
    match body {
        Body::Bank(bank) => Some(bank.participant.books()),
        Body::BankDown { disk, .. } => Some(disk),
        _ => None,
    }
}

fn currency(order: &Order) -> Currency {
    order.legs()[0].currency
}
