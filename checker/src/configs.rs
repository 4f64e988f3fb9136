//! The configurations by name.

use hundi_coordinator::CommitOrder;

use crate::world::{Crashes, LATER, Scenario, Witness};

const LAST: CommitOrder = CommitOrder::PayerLast;
const PARALLEL: CommitOrder = CommitOrder::Parallel;

/// One payment over two banks.
pub fn pair(name: &'static str, order: CommitOrder) -> Scenario {
    Scenario::new(name, "one payment over two banks")
        .bank("alpha", &[("ann", 100)])
        .bank("beta", &[("bob", 0)])
        .coordinator("c1", order)
        .order("ann@alpha", &[("bob@beta", 60)])
}

/// Every configuration.
pub fn all() -> Vec<Scenario> {
    use Witness as W;
    vec![
        pair("one", LAST).shows(&[W::Commit, W::ToldCommit]),
        pair("one-late", LAST).clock(&[LATER]).shows(&[W::Commit, W::ToldCommit, W::Abort, W::ToldAbort]),
        pair("one-crash", LAST).clock(&[LATER]).crashes(Crashes::Any),
        pair("one-parallel", PARALLEL).clock(&[LATER]).crashes(Crashes::Any),
        pair("one-pipelined", LAST).clock(&[LATER]).crashes(Crashes::Any).pipelined(),
        pair("two-coordinators", LAST).coordinator("c2", PARALLEL).crashes(Crashes::Any),
    ]
}
