//! The ending in sums: what each payment moved, and what each account should hold.

use std::collections::BTreeMap;

use hundi_bank_node::{MemoryBooks, OwnAccount, Step, transfer_id};
use hundi_ledger::{AccountId, Phase};
use hundi_protocol::{AccountRef, Direction, Order};

use super::{End, Given, currency, harm};
use crate::world::facts::{clearing_of, expected_balances, small};
use crate::world::properties::Prop;
use crate::world::step::Body;

impl End<'_> {
    /// What a payment has moved on the account of each of its legs, over all banks that have books to look at.
    pub(super) fn moved<'o>(&self, order: &'o Order) -> Vec<(Direction, u128, &'o AccountRef)> {
        let mut moved: Vec<_> = order.legs().iter().map(|leg| (leg.direction, 0u128, &leg.account)).collect();
        for (node, _, books) in self.books_that_count() {
            let bank = &self.model.scenario().banks[node].name;
            for (place, (_, sum, _)) in moved.iter_mut().enumerate().filter(|(_, leg)| leg.2.bank == *bank) {
                let entry = |step| books.ledger_ref().transfer_by_id(transfer_id(order, place, step));
                let booked = entry(Step::Book)
                    .filter(|(_, phase)| matches!(phase, Phase::Single | Phase::Posted))
                    .map_or(0, |(transfer, _)| transfer.amount.0);
                let late = entry(Step::Late).map_or(0, |(transfer, _)| transfer.amount.0);
                *sum = sum.saturating_add(booked).saturating_add(late);
            }
        }
        moved
    }

    /// What a payment took from its payer, and what it gave to all payees together.
    pub(super) fn taken_and_given(&self, order: &Order) -> (u128, u128) {
        let sum = |direction| {
            let legs = self.moved(order).into_iter().filter(|leg| leg.0 == direction);
            legs.fold(0u128, |sum, leg| sum.saturating_add(leg.1))
        };
        (sum(Direction::Debit), sum(Direction::Credit))
    }

    pub(super) fn moved_text(&self, (place, order): Given<'_>) -> String {
        let unit = currency(order);
        let (taken, given): (Vec<_>, Vec<_>) =
            self.moved(order).into_iter().partition(|leg| leg.0 == Direction::Debit);
        let taken: Vec<String> =
            taken.iter().map(|(_, sum, account)| format!("{sum} {unit} from {account}")).collect();
        let given: Vec<String> =
            given.iter().map(|(_, sum, account)| format!("{sum} {unit} to {account}")).collect();
        format!("p{} has taken {} and given {}", place + 1, taken.join(", "), given.join(", "))
    }

    /// The payments that took and gave different sums though some bank refused them or took them back.
    pub(super) fn moved_amiss(&self) -> Option<String> {
        let amiss = self.orders().filter_map(|(place, order)| {
            let banks = &self.model.scenario().banks;
            let refused: Vec<_> = self
                .books_that_count()
                .filter(|(node, _, _)| {
                    let facts = self.model.arena.facts(self.world.bodies[*node]);
                    (facts.abort | facts.disk_refused | facts.released) & 1 << place != 0
                })
                .map(|(node, _, _)| &banks[node].name)
                .collect();
            if refused.is_empty() {
                return None;
            }
            let (unit, name, payer) = (currency(order), place + 1, order.payer());
            let who = |has: bool| {
                let legs = self.moved(order).into_iter().filter(|leg| leg.0 == Direction::Credit);
                let named = legs.filter(|leg| (leg.1 > 0) == has).map(|leg| leg.2.to_string());
                named.collect::<Vec<String>>().join(" and ")
            };
            let (taken, given) = self.taken_and_given(order);
            if taken > given {
                let lost = taken - given;
                return Some(format!(
                    "{lost} {unit} of p{name} are lost: {payer} has paid them, and {} does not get them",
                    who(false)
                ));
            }
            let made = given.checked_sub(taken).filter(|made| *made > 0)?;
            let paid = match refused.contains(&order.payer_bank()) {
                true => format!("{payer} has not paid them and never will"),
                false => format!("{payer} has not paid them, and with a no on p{name} in the world need not"),
            };
            Some(format!("{made} {unit} of p{name} come from nowhere: {} has them, {paid}", who(true)))
        });
        let amiss: Vec<String> = amiss.collect();
        (!amiss.is_empty()).then(|| amiss.join("; "))
    }

    /// R10 in numbers: what each bank's clearing account should hold by its payments, and what it holds.
    pub(super) fn clearing(&self) -> (Vec<String>, String) {
        let scenario = self.model.scenario();
        let (mut found, mut harms) = (Vec::new(), Vec::new());
        for (place, unit) in scenario.currencies().into_iter().enumerate() {
            let (mut all_due, mut all) = (0i64, 0i64);
            let mut lines = Vec::new();
            for (node, name, _) in self.books_that_count() {
                let facts = self.model.arena.facts(self.world.bodies[node]);
                let committed = || self.orders().filter(|(order, _)| facts.commit & 1 << order != 0);
                let due = committed().fold(0i64, |sum, (_, order)| {
                    sum.wrapping_add(clearing_of(scenario, node, order)[place])
                });
                let is = facts.clearing[place];
                (all_due, all) = (all_due.wrapping_add(due), all.wrapping_add(is));
                let names: Vec<String> = committed().map(|(order, _)| format!("p{}", order + 1)).collect();
                let why = match (names.is_empty(), due) {
                    (true, _) => "no payment committed".to_owned(),
                    (false, 0..) => format!("{} committed: it owes the others", names.join(", ")),
                    (false, _) => format!("{} committed: the others owe it", names.join(", ")),
                };
                let mark = if is == due { "" } else { "  <- differs" };
                lines.push(format!(
                    "{name}: clearing should be {due} {unit} ({why}) and is {is} {unit}{mark}"
                ));
            }
            if all != all_due {
                found.append(&mut lines);
                found
                    .push(format!("over all banks: clearing should be {all_due} {unit} and is {all} {unit}"));
                let sum = all.abs_diff(all_due);
                harms.push(match all > all_due {
                    true => {
                        format!("{sum} {unit} that one bank owes can be claimed by no other: they are lost")
                    }
                    false => {
                        format!(
                            "{sum} {unit} that a bank gives out are owed by no other: they come from nowhere"
                        )
                    }
                });
            }
        }
        found.extend(self.orders().map(|given| self.moved_text(given)));
        for (node, name, books) in self.books_that_count() {
            found.extend(self.differing(node, books).iter().map(|line| format!("{name}: {line}")));
        }
        (found, harms.join("; "))
    }

    /// Every account with another balance than deposits and records make, in memory and on disk.
    pub(super) fn balances(&self) -> (Vec<String>, String) {
        let mut found = self.standings();
        for (node, name, body) in self.banks() {
            let versions: Vec<(&str, &MemoryBooks)> = match body {
                Body::Bank(bank) => vec![("in memory", bank.participant.books()), ("on disk", &bank.disk)],
                Body::BankDown { disk, .. } => vec![("on disk", disk)],
                _ => Vec::new(),
            };
            for (place, books) in versions {
                let lines = self.differing(node, books);
                found.extend(lines.iter().map(|line| format!("{name}, {place}: {line}")));
            }
        }
        (found, self.moved_amiss().unwrap_or_else(|| harm(Prop::LedgerFollowsVotes).to_owned()))
    }

    /// The accounts of a bank that hold another balance than deposits and records make.
    fn differing(&self, node: usize, books: &MemoryBooks) -> Vec<String> {
        let expected = expected_balances(self.model.scenario(), node, books);
        let customers = books.customers().iter();
        let mut names: BTreeMap<AccountId, String> =
            customers.map(|(name, customer)| (customer.account, name.to_string())).collect();
        for unit in self.model.scenario().currencies() {
            names.extend(OwnAccount::ALL.map(|own| (own.id(unit), own.name(unit))));
        }
        let mut lines = Vec::new();
        for account in books.ledger_ref().accounts() {
            let should = expected.get(&account.id).copied().unwrap_or_default();
            let is = [
                account.debits_pending.0,
                account.debits_posted.0,
                account.credits_pending.0,
                account.credits_posted.0,
            ];
            let name = names.get(&account.id).map_or("an unknown account", String::as_str);
            // Pending entries first; both sides in one figure, credits less debits.
            for (kind, debits, credits) in [("on hold on", 0, 2), ("posted on", 1, 3)] {
                if (is[debits], is[credits]) != (should[debits], should[credits]) {
                    let net = |sums: [u128; 4]| small(sums[credits]).wrapping_sub(small(sums[debits]));
                    lines.push(format!("{kind} {name}: should be {} and is {}", net(should), net(is)));
                }
            }
        }
        lines
    }
}
