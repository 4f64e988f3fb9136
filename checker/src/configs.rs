//! The configurations by name.

use hundi_bank_node::AccountRequest;
use hundi_coordinator::CommitOrder;
use hundi_protocol::{AccountName, Minor, Reason};

use crate::world::{Chore, Crashes, LATER, NEVER, START, Scenario, Witness};

const LAST: CommitOrder = CommitOrder::PayerLast;
const PARALLEL: CommitOrder = CommitOrder::Parallel;

/// Which set a configuration is in, beside the full one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// Explored by every change: the set ends within three minutes on two cores.
    Ci,
    /// Explored in full runs only.
    Full,
}

/// Two banks with a customer each; ann has 100.
fn two_banks(name: &'static str, about: &'static str) -> Scenario {
    Scenario::new(name, about).bank("alpha", &[("ann", 100)]).bank("beta", &[("bob", 0)])
}

/// Three banks with a customer each; ann has 100.
fn three_banks(name: &'static str, about: &'static str) -> Scenario {
    two_banks(name, about).bank("gamma", &[("cid", 0)])
}

/// Everything a payment may come to.
const BOTH_ENDS: &[Witness] = &[Witness::Commit, Witness::Abort, Witness::ToldCommit, Witness::ToldAbort];

/// Every configuration of both sets.
#[must_use]
pub fn all() -> Vec<(Set, Scenario)> {
    let ci =
        [one_payment(), proofs(), several(), rules(), counter(), liars(), refusals()].into_iter().flatten();
    let full = [large(), patient()].into_iter().flatten().map(|scenario| (Set::Full, scenario));
    ci.map(|scenario| (Set::Ci, scenario)).chain(full).collect()
}

/// The configuration of a name.
#[must_use]
pub fn by_name(name: &str) -> Option<Scenario> {
    all().into_iter().map(|(_, scenario)| scenario).find(|scenario| scenario.name == name)
}

const SIXTY: &[(&str, u128)] = &[("bob@beta", 60)];
const TO_TWO: &[(&str, u128)] = &[("bob@beta", 60), ("cid@gamma", 40)];

/// One payment, with every crash.
fn one_payment() -> Vec<Scenario> {
    use Witness as W;
    vec![
        two_banks("pair", "one payment, payer last; anything crashes at any time, and the order expires")
            .coordinator("c1", LAST)
            .order("ann@alpha", SIXTY)
            .clock(&[LATER])
            .crashes(Crashes::Any)
            .shows(BOTH_ENDS)
            .shows(&[W::Recovery, W::TwoDown, W::ResolveBetweenBanks]),
        two_banks("pair-parallel", "one payment, both banks asked at once; anything crashes at any time")
            .coordinator("c1", PARALLEL)
            .order("ann@alpha", SIXTY)
            .crashes(Crashes::Any)
            .shows(BOTH_ENDS)
            .shows(&[W::Recovery, W::TwoDown, W::ResolveBetweenBanks]),
        two_banks("pair-pipelined", "one payment, payer last; banks work on while their disks write")
            .coordinator("c1", LAST)
            .order("ann@alpha", SIXTY)
            .clock(&[LATER])
            .crashes(Crashes::Any)
            .pipelined()
            .shows(BOTH_ENDS)
            .shows(&[W::Overlap]),
        two_banks(
            "anyone",
            "one payment; any number of coordinators, however faulty; each node has its own clock",
        )
        .any_coordinators()
        .order("ann@alpha", SIXTY)
        .clock(&[LATER])
        .own_clocks()
        .crashes(Crashes::Any)
        .shows(BOTH_ENDS)
        .shows(&[W::Recovery, W::TwoDown, W::ResolveBetweenBanks, W::Refusal(Reason::Expired)]),
        two_banks("anyone-pipelined", "the same, and banks work on while their disks write")
            .any_coordinators()
            .order("ann@alpha", SIXTY)
            .clock(&[LATER])
            .crashes(Crashes::Any)
            .pipelined()
            .shows(BOTH_ENDS)
            .shows(&[W::Overlap]),
        three_banks("anyone-split", "one payment to two banks; any number of coordinators, however faulty")
            .any_coordinators()
            .order("ann@alpha", TO_TWO)
            .crashes(Crashes::Any)
            .shows(BOTH_ENDS),
        three_banks("split", "one payment from one bank to two others, payer last")
            .coordinator("c1", LAST)
            .order("ann@alpha", TO_TWO)
            .shows(BOTH_ENDS),
        two_banks("nowhere", "one payment to two banks, one of which is not in the network; any crash")
            .coordinator("c1", LAST)
            .order("ann@alpha", &[("bob@beta", 60), ("sid@nowhere", 1)])
            .order("ann@alpha", &[("sid@nowhere", 1)])
            .sent_to(&[0])
            .crashes(Crashes::Any)
            .shows(&[W::ToldAbort, W::Refusal(Reason::Resolved)]),
        two_banks("race", "one payment carried by two coordinators, one payer last, one asking all at once")
            .coordinator("c1", LAST)
            .coordinator("c2", PARALLEL)
            .order("ann@alpha", SIXTY)
            .shows(BOTH_ENDS),
    ]
}

/// One payment whose outcome banks hear by each other's votes first.
fn proofs() -> Vec<Scenario> {
    use Witness as W;
    vec![
        two_banks(
            "proof",
            "as pair; the outcome comes by the other bank's vote first, then as a certificate",
        )
        .coordinator("c1", LAST)
        .order("ann@alpha", SIXTY)
        .clock(&[LATER])
        .crashes(Crashes::Any)
        .proving_first()
        .shows(BOTH_ENDS)
        .shows(&[W::Recovery, W::TwoDown, W::ResolveBetweenBanks]),
        two_banks("proof-parallel", "as pair-parallel; the outcome by the other bank's vote first")
            .coordinator("c1", PARALLEL)
            .order("ann@alpha", SIXTY)
            .crashes(Crashes::Any)
            .proving_first()
            .shows(BOTH_ENDS),
        two_banks("proof-anyone", "as anyone; outcomes by the other bank's vote alone too")
            .any_coordinators()
            .order("ann@alpha", SIXTY)
            .clock(&[LATER])
            .own_clocks()
            .crashes(Crashes::Any)
            .proving_first()
            .shows(BOTH_ENDS),
        three_banks("proof-split", "as split; the outcome by the other banks' votes first")
            .coordinator("c1", LAST)
            .order("ann@alpha", TO_TWO)
            .proving_first()
            .shows(BOTH_ENDS),
    ]
}

/// Payments that meet.
fn several() -> Vec<Scenario> {
    use Witness as W;
    vec![
        two_banks("hot", "two payments from one account with money for one of them, payer last")
            .coordinator("c1", LAST)
            .order("ann@alpha", SIXTY)
            .order("ann@alpha", &[("bob@beta", 70)])
            .shows(BOTH_ENDS)
            .shows(&[W::Refusal(Reason::InsufficientFunds)]),
        two_banks("hot-held", "the same, the money on hold meanwhile; coordinators at will; no wait ends")
            .any_coordinators()
            .order("ann@alpha", SIXTY)
            .order("ann@alpha", &[("bob@beta", 70)])
            .patient()
            .shows(BOTH_ENDS)
            .shows(&[W::Refusal(Reason::InsufficientFunds)]),
    ]
}

/// What operators and clocks do beside payments.
fn rules() -> Vec<Scenario> {
    use Witness as W;
    let ann = "ann@alpha".parse().expect("a name");
    vec![
        two_banks("same-id", "R1: two different orders with one id")
            .coordinator("c1", LAST)
            .order_with(1, "ann@alpha", &[("bob@beta", 30)], LATER, &ann)
            .order_with(1, "ann@alpha", &[("bob@beta", 40)], LATER, &ann)
            .shows(BOTH_ENDS)
            .shows(&[W::Refusal(Reason::DuplicateOrderId)]),
        two_banks("floor", "R7: banks forget old refusals; any crash")
            .any_coordinators()
            .order("ann@alpha", SIXTY)
            .clock(&[LATER])
            .chore(0, Chore::Floor(LATER))
            .chore(1, Chore::Floor(START))
            .chore(1, Chore::Floor(LATER))
            .crashes(Crashes::Any)
            .shows(BOTH_ENDS)
            .shows(&[W::UnderTheFloor]),
        two_banks(
            "accounts",
            "R13: accounts are opened, filled and closed while they pay and are paid; any crash",
        )
        .any_coordinators()
        .order("ann@alpha", &[("bob@beta", 100)])
        .closes(0, "ann")
        .closes(1, "bob")
        .crashes(Crashes::Any)
        .shows(&[
            W::Commit,
            W::Abort,
            W::Closed,
            W::ClosingRefused,
            W::Refusal(Reason::AccountClosed),
        ]),
    ]
}

/// Money that comes over the counter, and accounts that come and go.
fn counter() -> Vec<Scenario> {
    use Witness as W;
    let deposit = |name: &str, id: u128, amount: u128| {
        let name = AccountName::new(name).expect("a name");
        Chore::Account(AccountRequest::Deposit {
            id: hundi_ledger::TransferId(id),
            name,
            amount: Minor(amount),
        })
    };
    let open = |name: &str| {
        let name = AccountName::new(name).expect("a name");
        Chore::Account(AccountRequest::Open { name, currency: "INR".parse().expect("a currency"), key: None })
    };
    vec![
        two_banks("deposits", "money is paid in, again, and in vain, while it pays")
            .any_coordinators()
            .order("ann@alpha", &[("bob@beta", 110)])
            .chore(0, deposit("ann", 7 << 96, 10))
            .chore(0, deposit("ann", Scenario::deposit_id(0, 0).0, 99))
            .chore(0, deposit("ann", 8 << 96, u128::MAX))
            .shows(&[W::Commit, W::Abort, W::Refusal(Reason::InsufficientFunds)]),
        two_banks("counter", "accounts are opened, filled and closed; any crash")
            .chore(0, open("ann"))
            .chore(1, open("eve"))
            .chore(1, deposit("eve", 9 << 96, 1))
            .chore(1, deposit("nobody", 10 << 96, 1))
            .closes(0, "ann")
            .closes(1, "eve")
            .closes(1, "bob")
            .closes(1, "nobody")
            .crashes(Crashes::Any)
            .shows(&[W::Closed]),
    ]
}

/// Banks that lie, and coordinators that mix things up.
fn liars() -> Vec<Scenario> {
    use Witness as W;
    vec![
        two_banks("liar", "R12: the payee's bank votes both ways; any crash")
            .who_lies()
            .any_coordinators()
            .order("ann@alpha", SIXTY)
            .clock(&[LATER])
            .crashes(Crashes::Any)
            .shows(&[W::Abort, W::TwoFacedCaught, W::Late]),
        Scenario::new(
            "liar-payer",
            "R12: the payer's bank votes both ways; the payee's account may be closed; any crash",
        )
        .bank("beta", &[("bob", 0)])
        .bank("alpha", &[("ann", 100)])
        .who_lies()
        .any_coordinators()
        .order("ann@alpha", SIXTY)
        .closes(0, "bob")
        .crashes(Crashes::Any)
        .shows(&[W::Abort, W::TwoFacedCaught, W::Late, W::Closed]),
        three_banks("stranger", "a bank that no order names votes and asks all the same; any crash")
            .who_lies()
            .any_coordinators()
            .order("ann@alpha", SIXTY)
            .crashes(Crashes::Any)
            .shows(BOTH_ENDS),
        two_banks(
            "mixed-up",
            "coordinators bring votes on one payment with the order of another; no wait ends",
        )
        .any_coordinators()
        .mixing_votes()
        .order("ann@alpha", SIXTY)
        .order("bob@beta", &[("ann@alpha", 10)])
        .patient()
        .shows(BOTH_ENDS),
    ]
}

/// Everything that a bank refuses, each in a world of its own.
fn refusals() -> Vec<Scenario> {
    use Witness as W;
    let at = |account: &str| account.parse().expect("a name");
    let banks = |name, about| {
        Scenario::new(name, about)
            .bank("alpha", &[("ann", 100), ("amy", 0), ("ada/USD", 50)])
            .bank("beta", &[("bob", 0), ("bea/USD", 0), ("ben", u128::MAX - 10)])
            .any_coordinators()
            .crashes(Crashes::Any)
            .clock(&[LATER])
            .apart()
    };
    vec![
        banks("refusals", "orders that a bank must refuse, each alone; any crash")
            .order("ann@alpha", &[("nobody@beta", 10)])
            .order_with(2, "nobody@alpha", &[("bob@beta", 10)], LATER, &at("ann@alpha"))
            .order_with(3, "ann@alpha", &[("bob@beta", 10)], LATER, &at("amy@alpha"))
            .order("ann@alpha", &[("bea@beta", 10)])
            .order("ann@alpha/USD", &[("bea@beta", 10)])
            .order("ann@alpha", &[("ben@beta", 11)])
            .order("ann@alpha", &[("bob@beta", 1 << 63)])
            .order("amy@alpha", &[("bob@beta", 1)])
            .shows(&[W::ToldAbort])
            .shows(&[Reason::UnknownAccount, Reason::BadSignature, Reason::WrongCurrency].map(W::Refusal))
            .shows(&[Reason::Overflow, Reason::LimitExceeded, Reason::InsufficientFunds].map(W::Refusal)),
        banks("shapes", "orders of many shapes that a bank carries out, each alone; any crash")
            .order("ann@alpha", &[("amy@alpha", 70)])
            .order("ann@alpha", &[("bob@beta", 20), ("amy@alpha", 30)])
            .order("ada@alpha/USD", &[("bea@beta", 50)])
            .order("ann@alpha", &[("ben@beta", 10), ("bob@beta", 5)])
            .order("ann@alpha", &[("bob@beta", 20), ("ben@beta", 11)])
            .order_with(6, "ann@alpha", &[("bob@beta", 10)], NEVER, &at("ann@alpha"))
            .order("ann@alpha", &[("bob@beta", (1 << 63) - 1)])
            .shows(&[W::Commit, W::Abort, W::Refusal(Reason::Overflow)]),
    ]
}

/// Larger ones, for full runs.
fn large() -> Vec<Scenario> {
    use Witness as W;
    vec![
        two_banks(
            "to-and-fro",
            "two payments against each other, payer last: coordinators alone settle everything",
        )
        .coordinator("c1", LAST)
        .order("ann@alpha", SIXTY)
        .order("bob@beta", &[("ann@alpha", 50)])
        .clock(&[LATER])
        .shows(BOTH_ENDS),
        two_banks(
            "pair-parallel-late",
            "one payment, both banks asked at once; any crash; the order expires",
        )
        .coordinator("c1", PARALLEL)
        .order("ann@alpha", SIXTY)
        .clock(&[LATER])
        .crashes(Crashes::Any)
        .shows(BOTH_ENDS),
        two_banks("race-crash", "one payment carried by two coordinators; one crash")
            .coordinator("c1", LAST)
            .coordinator("c2", LAST)
            .order("ann@alpha", SIXTY)
            .crashes(Crashes::AtMost(1))
            .shows(BOTH_ENDS),
        three_banks("liar-split", "R12: one of two payees' banks votes both ways, payer last")
            .who_lies()
            .coordinator("c1", LAST)
            .order("ann@alpha", TO_TWO)
            .shows(&[W::Abort, W::TwoFacedCaught, W::Late]),
        two_banks("anyone-hot", "two payments from one account; any number of coordinators, however faulty")
            .any_coordinators()
            .order("ann@alpha", SIXTY)
            .order("ann@alpha", &[("bob@beta", 70)])
            .shows(BOTH_ENDS)
            .shows(&[W::Refusal(Reason::InsufficientFunds)]),
    ]
}

/// Those too large for every resend: each message is sent once, and may still come late, again, or never.
fn patient() -> Vec<Scenario> {
    use Witness as W;
    vec![
        two_banks(
            "three",
            "three payments from one account with money for two of them, payer last; they expire; no wait ends",
        )
        .coordinator("c1", LAST)
        .order("ann@alpha", &[("bob@beta", 40)])
        .order("ann@alpha", &[("bob@beta", 50)])
        .order("ann@alpha", &[("bob@beta", 60)])
        .clock(&[LATER])
        .patient()
        .shows(BOTH_ENDS)
        .shows(&[W::Refusal(Reason::InsufficientFunds)]),
        two_banks(
            "hot-crash",
            "two payments from one account with money for one of them, payer last; two crashes; no wait ends",
        )
        .coordinator("c1", LAST)
        .order("ann@alpha", SIXTY)
        .order("ann@alpha", &[("bob@beta", 70)])
        .crashes(Crashes::AtMost(2))
        .patient()
        .shows(BOTH_ENDS)
        .shows(&[W::Recovery, W::TwoDown, W::Refusal(Reason::InsufficientFunds)]),
        three_banks(
            "split-parallel",
            "one payment from one bank to two others, all asked at once; any crash; the order expires; no wait ends",
        )
        .coordinator("c1", PARALLEL)
        .order("ann@alpha", TO_TWO)
        .clock(&[LATER])
        .crashes(Crashes::Any)
        .patient()
        .shows(BOTH_ENDS)
        .shows(&[W::Recovery, W::TwoDown]),
    ]
}
