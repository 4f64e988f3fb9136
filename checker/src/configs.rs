//! The configurations by name.

use hundi_bank_node::AccountRequest;
use hundi_coordinator::CommitOrder;
use hundi_protocol::{AccountName, Minor, Reason};

use crate::world::{Chore, Crashes, LATER, Scenario, Witness};

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

/// Every configuration, the small ones first.
pub fn all() -> Vec<(Set, Scenario)> {
    use Witness as W;
    let any = Crashes::Any;
    vec![
        (
            Set::Ci,
            two_banks("pair", "one payment, payer last; any node crashes at any time; the order expires")
                .coordinator("c1", LAST)
                .order("ann@alpha", &[("bob@beta", 60)])
                .clock(&[LATER])
                .crashes(any)
                .shows(BOTH_ENDS)
                .shows(&[W::Recovery, W::TwoDown, W::ResolveBetweenBanks]),
        ),
        (
            Set::Ci,
            two_banks("anyone", "one payment; any number of coordinators, however faulty")
                .any_coordinators()
                .order("ann@alpha", &[("bob@beta", 60)])
                .clock(&[LATER])
                .crashes(any)
                .shows(BOTH_ENDS),
        ),
        (
            Set::Ci,
            two_banks("anyone-2", "two payments; any number of coordinators, however faulty")
                .any_coordinators()
                .order("ann@alpha", &[("bob@beta", 60)])
                .order("ann@alpha", &[("bob@beta", 70)])
                .clock(&[LATER])
                .crashes(any)
                .shows(BOTH_ENDS),
        ),
        (
            Set::Ci,
            three_banks("anyone-3", "one payment to two banks; any number of coordinators, however faulty")
                .any_coordinators()
                .order("ann@alpha", &[("bob@beta", 60), ("cid@gamma", 40)])
                .crashes(any)
                .shows(BOTH_ENDS),
        ),
        (
            Set::Ci,
            three_banks(
                "anyone-liar",
                "one payment to two banks; any number of coordinators, however faulty",
            )
            .who_lies()
            .any_coordinators()
            .order("ann@alpha", &[("bob@beta", 60), ("cid@gamma", 40)])
            .crashes(any)
            .shows(BOTH_ENDS),
        ),
        (
            Set::Ci,
            two_banks("calm", "two payments, payer last, no crash: the coordinators alone settle everything")
                .coordinator("c1", LAST)
                .order("ann@alpha", &[("bob@beta", 60)])
                .order("bob@beta", &[("ann@alpha", 60)])
                .clock(&[LATER])
                .shows(BOTH_ENDS),
        ),
        (
            Set::Ci,
            two_banks("parallel", "one payment, both banks asked at once")
                .coordinator("c1", PARALLEL)
                .order("ann@alpha", &[("bob@beta", 60)])
                .crashes(any)
                .shows(BOTH_ENDS),
        ),
        (
            Set::Ci,
            two_banks("pipelined", "one payment; banks work on while their disks write")
                .coordinator("c1", LAST)
                .order("ann@alpha", &[("bob@beta", 60)])
                .clock(&[LATER])
                .crashes(any)
                .pipelined()
                .shows(BOTH_ENDS)
                .shows(&[W::Overlap]),
        ),
        (
            Set::Ci,
            two_banks("race", "one payment carried by two coordinators, one payer last, one parallel")
                .coordinator("c1", LAST)
                .coordinator("c2", PARALLEL)
                .order("ann@alpha", &[("bob@beta", 60)])
                .crashes(any)
                .shows(BOTH_ENDS),
        ),
        (
            Set::Ci,
            two_banks("hot", "two payments from one account with money for one of them")
                .coordinator("c1", LAST)
                .order("ann@alpha", &[("bob@beta", 60)])
                .order("ann@alpha", &[("bob@beta", 70)])
                .crashes(Crashes::AtMost(1))
                .shows(BOTH_ENDS)
                .shows(&[W::Refusal(Reason::InsufficientFunds)]),
        ),
        (
            Set::Ci,
            two_banks("same-id", "two different orders with one id")
                .coordinator("c1", PARALLEL)
                .order_with(1, "ann@alpha", &[("bob@beta", 30)], LATER, &"ann@alpha".parse().expect("a name"))
                .order_with(1, "ann@alpha", &[("bob@beta", 40)], LATER, &"ann@alpha".parse().expect("a name"))
                .crashes(Crashes::AtMost(1))
                .shows(BOTH_ENDS)
                .shows(&[W::Refusal(Reason::DuplicateOrderId)]),
        ),
        (
            Set::Ci,
            two_banks("clocks", "one payment that expires; each node has a clock of its own")
                .coordinator("c1", LAST)
                .order("ann@alpha", &[("bob@beta", 60)])
                .clock(&[LATER])
                .own_clocks()
                .crashes(Crashes::AtMost(2))
                .shows(BOTH_ENDS)
                .shows(&[W::Refusal(Reason::Expired)]),
        ),
        (
            Set::Ci,
            two_banks("floor", "one payment; banks forget old refusals")
                .coordinator("c1", LAST)
                .order("ann@alpha", &[("bob@beta", 60)])
                .clock(&[LATER])
                .chore(0, Chore::Floor(LATER))
                .chore(1, Chore::Floor(LATER))
                .forgetful()
                .crashes(Crashes::AtMost(1))
                .shows(BOTH_ENDS)
                .shows(&[W::UnderTheFloor]),
        ),
        (
            Set::Ci,
            two_banks(
                "accounts",
                "one payment of all the money; accounts are opened, filled and closed meanwhile",
            )
            .coordinator("c1", PARALLEL)
            .order("ann@alpha", &[("bob@beta", 100)])
            .closes(0, "ann")
            .closes(1, "bob")
            .chore(
                1,
                Chore::Account(AccountRequest::Deposit {
                    id: hundi_ledger::TransferId(7 << 96),
                    name: AccountName::new("bob").expect("a name"),
                    amount: Minor(5),
                }),
            )
            .crashes(Crashes::AtMost(1))
            .shows(&[
                W::Commit,
                W::Abort,
                W::Closed,
                W::ClosingRefused,
                W::Refusal(Reason::AccountClosed),
            ]),
        ),
        (
            Set::Ci,
            three_banks("split", "one payment from one bank to two others, payer last")
                .coordinator("c1", LAST)
                .order("ann@alpha", &[("bob@beta", 60), ("cid@gamma", 40)])
                .crashes(Crashes::AtMost(1))
                .shows(BOTH_ENDS),
        ),
        (
            Set::Ci,
            three_banks("liar", "one payment from one bank to two others, one of which lies")
                .who_lies()
                .coordinator("c1", LAST)
                .order("ann@alpha", &[("bob@beta", 60), ("cid@gamma", 40)])
                .shows(&[W::Commit, W::Abort, W::TwoFacedCaught, W::Late]),
        ),
    ]
}
