//! One configuration, explored to the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use stateright::{Checker, Expectation, HasDiscoveries, Model};

use crate::world::{Action, Arena, Bug, HundiModel, Prop, Scenario};

/// Whether a property holds everywhere or must be seen somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It holds in every state.
    Always,
    /// It is true of some state; else the model proves nothing.
    Sometimes,
}

/// What became of one property.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PropertyReport {
    /// Its name.
    pub name: &'static str,
    /// Always or sometimes.
    pub kind: Kind,
    /// Whether it holds. Of an unfinished search this says only what was seen until then.
    pub holds: bool,
}

/// How the search of one configuration ended.
#[derive(Clone, Debug, Serialize)]
pub struct ConfigReport {
    /// The configuration.
    pub name: &'static str,
    /// Whether every reachable state was looked at. If not, nothing is proved.
    pub exhausted: bool,
    /// States that were generated, repeats included.
    pub states: u64,
    /// Different states.
    pub unique: u64,
    /// The longest of the shortest ways to a state, in steps.
    pub depth: u64,
    /// How long it took.
    pub seconds: f64,
    /// All properties.
    pub properties: Vec<PropertyReport>,
    /// What was violated, with the shortest way there.
    #[serde(skip)]
    pub violations: Vec<Violation>,
}

/// A property that does not hold, and a shortest way to see it.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The property.
    pub property: &'static str,
    /// The rules that it rests on.
    pub rules: &'static [&'static str],
    /// The steps from the beginning.
    pub actions: Vec<Action>,
}

/// How far a search is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Different states so far.
    pub unique: u64,
    /// The depth reached.
    pub depth: u64,
}

impl ConfigReport {
    /// Exhausted, every `always` held everywhere and every `sometimes` was seen.
    #[must_use]
    pub fn is_proved(&self) -> bool {
        self.exhausted && self.properties.iter().all(|property| property.holds)
    }
}

/// Explores a configuration until every state has been looked at, or a property is broken.
///
/// With one thread the way to a violation is a shortest one. `watch` is called a few times a second.
pub fn run_config(
    scenario: Scenario,
    bug: Bug,
    threads: usize,
    mut watch: impl FnMut(Progress),
) -> (ConfigReport, Arc<Arena>) {
    let name = scenario.name;
    let start = Instant::now();
    let model = HundiModel::new(scenario, bug);
    let arena = Arc::clone(&model.arena);
    // No target, no depth, no timeout: the only ends are «all seen» and «broken», and they can be told apart.
    let search = model.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures).spawn_bfs();
    while !search.is_done() {
        std::thread::sleep(Duration::from_millis(20));
        watch(Progress { unique: search.unique_state_count() as u64, depth: search.max_depth() as u64 });
    }
    let search = search.join();
    let mut found = search.discoveries();
    let mut violations = Vec::new();
    let mut properties = Vec::new();
    for property in search.model().properties() {
        let discovery = found.remove(property.name);
        let (kind, holds) = match property.expectation {
            Expectation::Sometimes => (Kind::Sometimes, discovery.is_some()),
            _ => (Kind::Always, discovery.is_none()),
        };
        properties.push(PropertyReport { name: property.name, kind, holds });
        if let (Kind::Always, Some(path)) = (kind, discovery) {
            let prop = Prop::ALL.iter().find(|prop| prop.name() == property.name);
            let rules = prop.map_or(&[][..], |prop| prop.rules());
            violations.push(Violation { property: property.name, rules, actions: path.into_actions() });
        }
    }
    violations.sort_by_key(|violation| violation.actions.len());
    let report = ConfigReport {
        name,
        exhausted: violations.is_empty(),
        states: search.state_count() as u64,
        unique: search.unique_state_count() as u64,
        depth: search.max_depth() as u64,
        seconds: start.elapsed().as_secs_f64(),
        properties,
        violations,
    };
    (report, arena)
}
