//! Deliberate bugs, at least one for each rule: the checker finds every one, or it is not to be trusted.

use crate::configs;
use crate::world::{Bug, Prop, Scenario};
use hundi_bank_node::Flaw as Bank;
use hundi_coordinator::Flaw as Coordinator;

/// A deliberate bug and where to look for it.
#[derive(Clone, Copy, Debug)]
pub struct Mutant {
    /// Its name, for `--mutant`.
    pub name: &'static str,
    /// The rule that it breaks.
    pub rule: &'static str,
    /// What the code does wrong.
    pub about: &'static str,
    /// The configuration in which it is looked for.
    pub config: &'static str,
    /// The property that it breaks in the story that is told of it. It breaks others too, often sooner.
    pub harm: Prop,
    /// The bug.
    pub bug: Bug,
}

impl Mutant {
    /// The configuration in which it is looked for.
    ///
    /// # Panics
    /// If the table names one that does not exist; a test looks at all of them.
    #[must_use]
    pub fn scenario(&self) -> Scenario {
        configs::by_name(self.config).expect("the table names configurations")
    }
}

const fn bank(
    name: &'static str,
    rule: &'static str,
    about: &'static str,
    flaw: Bank,
    config: &'static str,
    harm: Prop,
) -> Mutant {
    Mutant { name, rule, about, config, harm, bug: Bug { bank: Some(flaw), coordinator: None } }
}

const fn coordinator(
    name: &'static str,
    rule: &'static str,
    about: &'static str,
    flaw: Coordinator,
    config: &'static str,
    harm: Prop,
) -> Mutant {
    Mutant { name, rule, about, config, harm, bug: Bug { bank: None, coordinator: Some(flaw) } }
}

/// Every mutant.
#[rustfmt::skip]
pub const ALL: &[Mutant] = &[
    bank("forget-order-ids", "R1", "a bank takes a second order with an id already used", Bank::ForgetOrderIds, "same-id", Prop::OneOrderPerId),
    bank("vote-afresh", "R2", "a bank decides afresh when it is asked again", Bank::VoteAfresh, "anyone", Prop::NoSplitOutcome),
    bank("yes-without-entry", "R2", "a bank records a yes and leaves the ledger for later", Bank::YesWithoutEntry, "anyone", Prop::MoneyIsConserved),
    bank("commit-on-first-yes", "R3", "a bank takes one other bank's yes for all of them", Bank::CommitOnFirstYes, "anyone-split", Prop::NoSplitOutcome),
    bank("post-without-proof", "R4", "a bank posts as soon as it has voted yes", Bank::PostWithoutProof, "anyone", Prop::NoSplitOutcome),
    bank("void-without-proof", "R4", "a bank releases its hold when nobody answers", Bank::VoidWithoutProof, "anyone", Prop::NoSplitOutcome),
    bank("forget-resolved-no", "R5", "a bank answers resolve with a no and forgets it", Bank::ForgetResolvedNo, "anyone", Prop::NoSplitOutcome),
    bank("ignore-resolve", "R5", "a bank does not answer resolve", Bank::IgnoreResolve, "anyone", Prop::SettlesWithoutCoordinators),
    bank("timeout-on-hold", "R6", "a bank gives its hold a timeout", Bank::TimeoutOnHold, "anyone", Prop::NodesDoNotStop),
    bank("expire-yes", "R6", "a bank releases its hold once the order has expired", Bank::ExpireYes, "anyone", Prop::NoSplitOutcome),
    bank("drop-yes", "R7", "a bank forgets yes votes below the floor too", Bank::DropYes, "floor", Prop::NoSplitOutcome),
    bank("drop-without-floor", "R7", "a bank forgets refusals, and that it did", Bank::DropWithoutFloor, "floor", Prop::NoSplitOutcome),
    bank("send-before-sync", "R8", "a bank sends before the record is on disk", Bank::SendBeforeSync, "anyone", Prop::NoSplitOutcome),
    bank("post-again", "R9", "a bank books the leg again when the outcome comes again", Bank::PostAgain, "anyone", Prop::MoneyIsConserved),
    bank("mirror-on-cash", "R10", "a bank mirrors the payee's leg on cash, not on clearing", Bank::MirrorOnCash, "anyone", Prop::MoneyIsConserved),
    bank("clamp-amount", "R11", "a bank takes what there is when there is too little", Bank::ClampAmount, "refusals", Prop::MoneyIsConserved),
    bank("ignore-two-faces", "R12", "a bank keeps no proof when another votes both ways", Bank::IgnoreTwoFaces, "liar", Prop::TwoFacedIsCaught),
    bank("no-outranks-yes", "R12", "a bank lets a no outrank a complete yes set", Bank::NoOutranksYes, "liar", Prop::ProofBeforeVoid),
    bank("close-over-holds", "R13", "a bank closes an account that has holds", Bank::CloseOverHolds, "accounts", Prop::NodesDoNotStop),
    bank("refuse-post", "R13", "a bank looks at the funds again before it posts", Bank::RefusePost, "anyone", Prop::MoneyIsConserved),
    coordinator("ask-payer-early", "payer-last", "a coordinator asks the payer's bank with the others", Coordinator::AskPayerEarly, "pair", Prop::PayerLast),
    coordinator("ask-once", "R9", "a coordinator asks each bank once", Coordinator::AskOnce, "pair", Prop::Settles),
    coordinator("tell-once", "R9", "a coordinator forgets when it has told the banks once", Coordinator::TellOnce, "race", Prop::SettlesWithoutBanksAsking),
];

/// The mutant of a name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Mutant> {
    ALL.iter().find(|mutant| mutant.name == name)
}
