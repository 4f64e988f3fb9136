//! Exploring one configuration to the end.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use stateright::{Expectation, Model};

use crate::mutants::Mutant;
use crate::search::{self, Limits, Progress, Searched};
use crate::story::Story;
use crate::world::{Action, Arena, Bug, HundiModel, Prop, Scenario};

/// One property and whether it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PropertyReport {
    /// Its name.
    pub name: &'static str,
    /// `always` or `sometimes`.
    pub kind: &'static str,
    /// The rules it rests on.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub rules: &'static [&'static str],
    /// Whether it holds. An `always` counts only if the search was exhausted.
    pub holds: bool,
}

/// What came of a search.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The configuration.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// Whether every state that can be reached was visited. If not, nothing is proved.
    pub exhausted: bool,
    /// States generated, with repeats.
    pub states: usize,
    /// Different states.
    pub unique: usize,
    /// The longest way from the beginning.
    pub depth: usize,
    /// How long it took.
    pub seconds: f64,
    /// The most memory that the process used meanwhile, in mebibytes (0 where the system does not tell).
    pub memory_mib: u64,
    /// Different states of single nodes.
    pub node_states: usize,
    /// Every property.
    pub properties: Vec<PropertyReport>,
    /// Why the search ended early, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<String>,
    /// The shortest way to a violation, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub story: Option<Story>,
}

impl Report {
    /// Exhausted, and every property holds.
    #[must_use]
    pub fn is_proved(&self) -> bool {
        self.exhausted && self.properties.iter().all(|property| property.holds)
    }
}

/// Explores every state of a scenario, breadth first, until a property is violated.
///
/// With several threads the first violation need not be a shortest one: it is then looked for once more with one.
/// `progress` is called a few times a second.
pub fn explore(scenario: Scenario, limits: Limits, progress: &mut dyn FnMut(Progress)) -> Report {
    shortest(&Arc::new(Arena::new(scenario, Bug::default())), None, limits, progress)
}

/// Looks for the shortest way on which a deliberate bug does the harm that it is known for; with several threads as
/// [`explore`] does.
pub fn hunt(mutant: &Mutant, limits: Limits, progress: &mut dyn FnMut(Progress)) -> Report {
    let arena = Arc::new(Arena::new(mutant.scenario(), mutant.bug));
    shortest(&arena, Some((mutant.name, mutant.harm)), limits, progress)
}

/// Searches, and where several threads found a violation once more with one.
fn shortest(
    arena: &Arc<Arena>,
    mutant: Option<(&str, Prop)>,
    limits: Limits,
    progress: &mut dyn FnMut(Progress),
) -> Report {
    let report = search(arena, mutant, limits, progress);
    match report.story {
        Some(_) if limits.threads > 1 => search(arena, mutant, Limits { threads: 1, ..limits }, progress),
        _ => report,
    }
}

fn search(
    arena: &Arc<Arena>,
    mutant: Option<(&str, Prop)>,
    limits: Limits,
    progress: &mut dyn FnMut(Progress),
) -> Report {
    let mut model = HundiModel::over(Arc::clone(arena));
    if let Some((_, harm)) = mutant {
        model = model.watching(harm);
    }
    search::search(model, limits, progress, |model, searched| {
        report(model, mutant.map(|(name, _)| name), searched)
    })
}

fn report(model: &HundiModel, mutant: Option<&str>, searched: Searched<HundiModel>) -> Report {
    let (arena, properties) = (&model.arena, model.properties());
    let ways: BTreeMap<&'static str, (u8, Vec<Action>)> = searched
        .ways
        .into_iter()
        .map(|(name, _, path)| {
            let path = path.into_vec();
            let first = path.first().map(|(world, _)| *world);
            let given =
                arena.scenario.given().into_iter().find(|orders| first == Some(model.initial(*orders)));
            (name, (given.unwrap_or_default(), path.into_iter().filter_map(|(_, action)| action).collect()))
        })
        .collect();
    let violated = |name: &str| ways.contains_key(name);
    let failures = properties.iter().filter(|p| p.expectation == Expectation::Always && violated(p.name));
    let shortest = failures.min_by_key(|p| ways[p.name].1.len());
    let story = shortest.map(|p| {
        let (orders, actions) = &ways[p.name];
        Story::tell(model, mutant, p.name, *orders, actions)
    });
    let exhausted = searched.exhausted;
    Report {
        name: arena.scenario.name,
        about: arena.scenario.about,
        exhausted,
        states: searched.progress.states,
        unique: searched.progress.unique,
        depth: searched.progress.depth,
        seconds: searched.progress.elapsed.as_secs_f64(),
        memory_mib: searched.memory_mib,
        node_states: arena.size().0,
        properties: properties.iter().map(|p| property_report(p, exhausted, violated(p.name))).collect(),
        unfinished: searched.unfinished,
        story,
    }
}

fn property_report(
    property: &stateright::Property<HundiModel>,
    exhausted: bool,
    found: bool,
) -> PropertyReport {
    let always = property.expectation == Expectation::Always;
    let rules =
        Prop::ALL.iter().find(|prop| prop.name() == property.name).map_or(&[][..], |prop| prop.rules());
    let kind = if always { "always" } else { "sometimes" };
    let holds = if always { exhausted && !found } else { found };
    PropertyReport { name: property.name, kind, rules, holds }
}
