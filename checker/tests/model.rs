//! Small configurations to the end, every mutant, and what keeps the checker honest.

use hundi_checker::world::{Bug, HundiModel, Prop, Scenario};
use hundi_checker::{Limits, configs, explore, hunt, mutants};

fn config(name: &str) -> Scenario {
    configs::by_name(name).expect("a configuration")
}

/// Exhausts a configuration and pins the number of its states: a change of it is a change of the protocol, or of
/// what the model sees of it, and wants a reason.
fn check(name: &str, unique: usize) {
    let report = explore(config(name), Limits { threads: 2, states_max: None }, &mut |_| {});
    let failed: Vec<_> = report.properties.iter().filter(|property| !property.holds).collect();
    assert!(
        report.is_proved(),
        "{name}: {failed:?}\n{}",
        report.story.map_or_else(String::new, |s| s.to_string())
    );
    assert_eq!(report.unique, unique, "{name}");
}

#[test]
fn small_configurations_hold_in_every_state() {
    check("anyone", 7889);
    check("anyone-pipelined", 8816);
    check("liar", 1332);
    check("liar-payer", 3373);
    check("refusals", 6499);
    check("shapes", 17311);
    check("stranger", 1791);
    check("hot-held", 66_209);
}

#[test]
fn every_mutant_is_caught_by_the_harm_that_it_does() {
    for mutant in mutants::ALL {
        let report = hunt(mutant, &mut |_| {});
        let story = report.story.unwrap_or_else(|| panic!("{} is not caught", mutant.name));
        assert_eq!(story.property, mutant.harm.name(), "{}", mutant.name);
    }
}

#[test]
fn every_rule_has_a_mutant_and_every_mutant_a_configuration() {
    for rule in 1..=13 {
        let rule = format!("R{rule}");
        assert!(mutants::ALL.iter().any(|mutant| mutant.rule == rule), "{rule}");
    }
    for mutant in mutants::ALL {
        assert_eq!(mutant.scenario().name, mutant.config);
        assert_eq!(mutants::ALL.iter().filter(|other| other.name == mutant.name).count(), 1);
    }
    for flaw in hundi_bank_node::Flaw::ALL {
        assert!(mutants::ALL.iter().any(|mutant| mutant.bug.bank == Some(*flaw)), "{flaw:?}");
    }
    for flaw in hundi_coordinator::Flaw::ALL {
        assert!(mutants::ALL.iter().any(|mutant| mutant.bug.coordinator == Some(*flaw)), "{flaw:?}");
    }
}

#[test]
fn configurations_have_names_of_their_own_and_show_something() {
    let all = configs::all();
    for (_, scenario) in &all {
        assert_eq!(
            all.iter().filter(|(_, other)| other.name == scenario.name).count(),
            1,
            "{}",
            scenario.name
        );
        assert!(!scenario.witnesses.is_empty(), "{} would pass if nothing happened", scenario.name);
    }
}

#[test]
fn a_search_that_was_cut_short_proves_nothing() {
    let report = explore(config("anyone"), Limits { threads: 1, states_max: Some(2_000) }, &mut |_| {});
    assert!(!report.exhausted);
    assert!(!report.is_proved());
    assert!(
        report.properties.iter().filter(|property| property.kind == "always").all(|property| !property.holds)
    );
}

#[test]
fn a_model_that_watches_one_property_sees_no_other() {
    let model = HundiModel::new(config("anyone"), Bug::default()).watching(Prop::OneVote);
    let names: Vec<_> = stateright::Model::properties(&model).iter().map(|property| property.name).collect();
    assert!(names.contains(&Prop::OneVote.name()));
    assert!(!names.contains(&Prop::PayerLast.name()));
}
