//! Deliberate bugs in the production state machines, each of which the checker must find.

use std::sync::Arc;

use hundi_bank_node::Flaw as BankFlaw;
use hundi_coordinator::Flaw as CourierFlaw;
use serde::Serialize;

use super::config::{Progress, Violation, run_config};
use crate::configs::{self, Set};
use crate::world::{Arena, Bug, Scenario};

/// A deliberate bug by name.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// Its name, for example `send-before-sync`.
    pub name: String,
    /// The rule that it breaks.
    pub rule: &'static str,
    /// The bug.
    pub bug: Bug,
    /// The configuration in which it shows soonest.
    first: &'static str,
}

/// What the checker made of a mutant.
#[derive(Clone, Debug, Serialize)]
pub struct MutantReport {
    /// The mutant.
    pub name: String,
    /// The rule that it breaks.
    pub rule: &'static str,
    /// Whether a configuration found it.
    pub caught: bool,
    /// The configuration that found it.
    pub config: Option<&'static str>,
    /// The property that it broke.
    pub property: Option<&'static str>,
    /// The length of the shortest story.
    pub steps: Option<usize>,
}

/// Every mutant.
#[must_use]
pub fn mutants() -> Vec<Mutant> {
    let banks = BankFlaw::ALL.iter().map(|flaw| {
        let (rule, first) = of_bank(*flaw);
        Mutant { name: kebab(flaw), rule, bug: Bug { bank: Some(*flaw), coordinator: None }, first }
    });
    let couriers = CourierFlaw::ALL.iter().map(|flaw| {
        let (rule, first) = of_courier(*flaw);
        Mutant { name: kebab(flaw), rule, bug: Bug { bank: None, coordinator: Some(*flaw) }, first }
    });
    banks.chain(couriers).collect()
}

/// The mutant of that name.
#[must_use]
pub fn mutant(name: &str) -> Option<Mutant> {
    mutants().into_iter().find(|mutant| mutant.name == name)
}

/// The rule that a bank's flaw breaks, and the configuration to try first.
fn of_bank(flaw: BankFlaw) -> (&'static str, &'static str) {
    match flaw {
        BankFlaw::ForgetOrderIds => ("R1", "same-id"),
        BankFlaw::VoteAfresh | BankFlaw::YesWithoutEntry => ("R2", "pair"),
        BankFlaw::CommitOnFirstYes => ("R3", "split"),
        BankFlaw::PostWithoutProof | BankFlaw::VoidWithoutProof => ("R4", "pair"),
        BankFlaw::ForgetResolvedNo | BankFlaw::IgnoreResolve => ("R5", "pair"),
        BankFlaw::TimeoutOnHold | BankFlaw::ExpireYes => ("R6", "pair"),
        BankFlaw::DropYes | BankFlaw::DropWithoutFloor => ("R7", "floor"),
        BankFlaw::SendBeforeSync => ("R8", "pair"),
        BankFlaw::PostAgain => ("R9", "pair"),
        BankFlaw::MirrorOnCash => ("R10", "pair"),
        BankFlaw::ClampAmount => ("R11", "hot"),
        BankFlaw::IgnoreTwoFaces | BankFlaw::NoOutranksYes => ("R12", "liar"),
        BankFlaw::CloseOverHolds | BankFlaw::RefusePost => ("R13", "accounts"),
    }
}

/// The rule that a courier's flaw breaks, and the configuration to try first.
fn of_courier(flaw: CourierFlaw) -> (&'static str, &'static str) {
    match flaw {
        CourierFlaw::AskPayerEarly => ("payer-last", "pair"),
        CourierFlaw::AskOnce => ("R9", "calm"),
    }
}

/// `SendBeforeSync` as `send-before-sync`.
fn kebab(name: &impl std::fmt::Debug) -> String {
    let mut kebab = String::new();
    for letter in format!("{name:?}").chars() {
        if letter.is_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.extend(letter.to_lowercase());
    }
    kebab
}

/// Explores the ci configurations with a bug in every node until one of them finds it.
///
/// One thread, so that the story is a shortest one of its configuration.
pub fn run_mutant(
    mutant: &Mutant,
    mut watch: impl FnMut(Progress),
) -> (MutantReport, Option<(Violation, Arc<Arena>)>) {
    let mut scenarios: Vec<Scenario> =
        configs::all().into_iter().filter(|(set, _)| *set == Set::Ci).map(|(_, scenario)| scenario).collect();
    scenarios.sort_by_key(|scenario| scenario.name != mutant.first); // Stable: the others stay small ones first.
    let report = |config, violation: Option<&Violation>| MutantReport {
        name: mutant.name.clone(),
        rule: mutant.rule,
        caught: violation.is_some(),
        config,
        property: violation.map(|violation| violation.property),
        steps: violation.map(|violation| violation.actions.len()),
    };
    for scenario in scenarios {
        let name = scenario.name;
        let (mut searched, arena) = run_config(scenario, mutant.bug, 1, &mut watch);
        if !searched.violations.is_empty() {
            let violation = searched.violations.remove(0);
            return (report(Some(name), Some(&violation)), Some((violation, arena)));
        }
    }
    (report(None, None), None)
}
