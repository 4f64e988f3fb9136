//! The measuring stick: two-phase commit as stateright's own example models it, after Gray and Lamport, "Consensus on
//! Transaction Commit" (2004). Written here anew to the same states and actions, so that it can be run beside Hundi's
//! model on the same threads; its counts of different states are stateright's (288 for 3 resource managers, 8,832 for 5).

use std::collections::BTreeSet;

use stateright::{Model, Property};

use crate::search::{self, Limits, Progress};

/// A transaction manager and so many resource managers.
#[derive(Clone, Copy, Debug)]
pub struct TwoPhase {
    /// How many.
    pub managers: usize,
}

/// Everything there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    managers: Vec<Manager>,
    decision: Option<Decision>,
    prepared: Vec<bool>,
    sent: BTreeSet<Message>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Manager {
    Working,
    Prepared,
    Ended(Decision),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Decision {
    Commit,
    Abort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Message {
    Prepared(usize),
    Decided(Decision),
}

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A manager prepares.
    Prepare(usize),
    /// A manager gives up by itself.
    GiveUp(usize),
    /// The transaction manager hears that a manager is prepared.
    Hear(usize),
    /// The transaction manager commits, or aborts.
    Decide(bool),
    /// A manager hears that the transaction is committed, or aborted.
    Obey(usize, bool),
}

impl Decision {
    fn of(commit: bool) -> Self {
        if commit { Decision::Commit } else { Decision::Abort }
    }
}

impl Model for TwoPhase {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            managers: vec![Manager::Working; self.managers],
            decision: None,
            prepared: vec![false; self.managers],
            sent: BTreeSet::new(),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let undecided = state.decision.is_none();
        if undecided && state.prepared.iter().all(|prepared| *prepared) {
            actions.push(Action::Decide(true));
        }
        if undecided {
            actions.push(Action::Decide(false));
        }
        for manager in 0..self.managers {
            if undecided && state.sent.contains(&Message::Prepared(manager)) {
                actions.push(Action::Hear(manager));
            }
            if state.managers[manager] == Manager::Working {
                actions.extend([Action::Prepare(manager), Action::GiveUp(manager)]);
            }
            for commit in [true, false] {
                if state.sent.contains(&Message::Decided(Decision::of(commit))) {
                    actions.push(Action::Obey(manager, commit));
                }
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Prepare(manager) => {
                state.managers[manager] = Manager::Prepared;
                state.sent.insert(Message::Prepared(manager));
            }
            Action::GiveUp(manager) => state.managers[manager] = Manager::Ended(Decision::Abort),
            Action::Hear(manager) => state.prepared[manager] = true,
            Action::Decide(commit) => {
                state.decision = Some(Decision::of(commit));
                state.sent.insert(Message::Decided(Decision::of(commit)));
            }
            Action::Obey(manager, commit) => state.managers[manager] = Manager::Ended(Decision::of(commit)),
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn all(state: &State, decision: Decision) -> bool {
            state.managers.iter().all(|manager| *manager == Manager::Ended(decision))
        }
        fn any(state: &State, decision: Decision) -> bool {
            state.managers.contains(&Manager::Ended(decision))
        }
        vec![
            Property::sometimes("all abort", |_, state| all(state, Decision::Abort)),
            Property::sometimes("all commit", |_, state| all(state, Decision::Commit)),
            Property::always("no split outcome", |_, state| {
                !(any(state, Decision::Commit) && any(state, Decision::Abort))
            }),
        ]
    }
}

/// Searches every state; `None` if the search was not finished or a property does not hold.
#[must_use]
pub fn explore(managers: usize, limits: Limits) -> Option<Progress> {
    search::search(TwoPhase { managers }, limits, &mut |_| {}, |_, searched| {
        searched.exhausted.then_some(searched.progress)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_states_of_the_example() {
        for (managers, unique) in [(3, 288), (5, 8_832)] {
            let searched = explore(managers, Limits::default()).expect("it holds");
            assert_eq!(searched.unique, unique);
        }
    }
}
