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
    check("proof-anyone", 7889);
    check("liar", 1332);
    check("liar-payer", 3373);
    check("refusals", 6499);
    check("shapes", 17311);
    check("stranger", 1791);
    check("hot-held", 66_209);
}

/// For each mutant what its story finds at the end, and what that costs.
#[rustfmt::skip]
const ENDINGS: &[(&str, &str, &str)] = &[
    ("forget-order-ids", "p2 has taken 40 INR from ann@alpha", "30 INR for p1 and 40 INR for p2"),
    ("vote-afresh", "beta on p1: no (malformed) (60 to bob: posted at once)", "60 INR of p1 come from nowhere: bob@beta has them"),
    ("yes-without-entry", "over all banks: clearing should be -60 INR and is 0 INR", "60 INR that one bank owes can be claimed by no other"),
    ("commit-on-first-yes", "beta on p1: no (resolved)", "40 INR of p1 come from nowhere: cid@gamma has them"),
    ("post-without-proof", "beta on p1: no (resolved)", "60 INR of p1 are lost: ann@alpha has paid them"),
    ("void-without-proof", "alpha on p1: yes, aborted (60 from ann: released)", "ann@alpha has not paid them and never will"),
    ("forget-resolved-no", "customers may have been told that p1 is an abort", "ann@alpha has not paid them and never will"),
    ("ignore-resolve", "in such a run beta sends nothing", "60 INR of ann@alpha stay on hold"),
    ("timeout-on-hold", "the ledger refused to settle payment p1: PendingTransferExpired", "can never give 60 to bob"),
    ("expire-yes", "beta on p1: yes, committed (60 to bob: posted at once)", "60 INR of p1 come from nowhere"),
    ("drop-yes", "no record (60 from ann: on hold), which its floor of 20000 ms makes a no", "60 INR of p1 come from nowhere"),
    ("drop-without-floor", "on disk still: no (resolved); said to others: no", "60 INR of p1 come from nowhere"),
    ("send-before-sync", "said to others: yes, and also no", "60 INR of p1 come from nowhere"),
    ("post-again", "p1 has taken 0 INR from ann@alpha and given 120 INR to bob@beta", "60 INR that a bank gives out"),
    ("mirror-on-cash", "beta: posted on #cash-INR: should be 0 and is -60", "60 INR that one bank owes"),
    ("clamp-amount", "alpha: posted on amy: should be -1 and is 0", "1 INR that a bank gives out"),
    ("ignore-two-faces", "alpha knows beta's yes and beta's no on p1; proofs that it keeps: 0", "cannot be made to pay"),
    ("no-outranks-yes", "60 from ann: released), by beta's yes, beta's no", "the complete yes set proves a commit"),
    ("close-over-holds", "the ledger refused to settle payment p1: CreditAccountAlreadyClosed", "can never give 100 to bob"),
    ("refuse-post", "alpha: posted on ann: should be 40 and is 100", "60 INR that a bank gives out"),
    ("ask-payer-early", "alpha on p1: yes, in doubt (60 from ann: on hold)", "neither spend 60 INR nor get them back"),
    ("ask-once", "no node sends anything, however long", "never hears what became of the 60 INR"),
    ("tell-once", "at its end beta on p1: yes, in doubt", "bob@beta waits for 60 INR that ann@alpha has paid"),
];

#[test]
fn every_mutant_is_caught_by_the_harm_that_it_does_and_its_story_ends_in_sums_and_names() {
    for mutant in mutants::ALL {
        let name = mutant.name;
        let report = hunt(mutant, Limits::default(), &mut |_| {});
        let story = report.story.unwrap_or_else(|| panic!("{name} is not caught"));
        assert_eq!(story.property, mutant.harm.name(), "{name}");
        let ending = story.ending.as_ref().unwrap_or_else(|| panic!("{name} has no ending"));
        let row = ENDINGS.iter().find(|(of, _, _)| *of == name);
        let (_, found, harm) = row.unwrap_or_else(|| panic!("nothing is expected of {name}"));
        assert!(ending.found.iter().any(|line| line.contains(found)), "{name}: {found:?} in\n{story}");
        assert!(ending.harm.contains(harm), "{name}: {harm:?} in\n{story}");
        let text = story.to_string();
        let told = [&story.given[0], &ending.expected, &ending.found[0], &ending.harm];
        assert!(told.into_iter().all(|line| text.contains(line.as_str())), "{name}: {text}");
    }
}

#[test]
fn a_hunt_that_was_cut_short_says_so() {
    let mutant = mutants::by_name("drop-without-floor").expect("a mutant");
    let report = hunt(mutant, Limits { threads: 1, states_max: Some(2_000) }, &mut |_| {});
    assert!(report.story.is_none());
    assert!(report.unfinished.is_some_and(|why| why.contains("stopped after")));
    let report = hunt(mutant, Limits { threads: 2, states_max: None }, &mut |_| {});
    let steps = report.story.map(|story| story.steps.len());
    assert_eq!(steps, Some(6), "several threads, and still a shortest story");
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
