//! Running one of stateright's searches to its end, and knowing how it ended.

use std::fs;
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model, Path};

use crate::world::quiet;

/// How far a search is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// States generated, with repeats.
    pub states: usize,
    /// Different states.
    pub unique: usize,
    /// The longest way from the beginning.
    pub depth: usize,
    /// How long it has run.
    pub elapsed: Duration,
}

/// How to search.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Threads that search.
    pub threads: usize,
    /// Stop after about so many states, repeats included. A search that stops so proves nothing, and says so.
    pub states_max: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { threads: 1, states_max: None }
    }
}

/// A property by its name and kind, and the way to the state that was found for it.
pub(crate) type Discovery<M> = (&'static str, Expectation, Path<<M as Model>::State, <M as Model>::Action>);

/// What a search came to.
pub(crate) struct Searched<M: Model> {
    /// How far it came.
    pub(crate) progress: Progress,
    /// The most memory that the process used meanwhile, in mebibytes (0 where the system does not tell).
    pub(crate) memory_mib: u64,
    /// Why it ended early, if it did.
    pub(crate) unfinished: Option<String>,
    /// Every state that can be reached was visited, and no property is violated.
    pub(crate) exhausted: bool,
    /// For each property with a discovery: a violation of an `always`, an example of a `sometimes`.
    pub(crate) ways: Vec<Discovery<M>>,
}

/// Searches breadth first until every state is visited or a property is violated.
///
/// `progress` is called a few times a second; `tell` makes a report of what was found.
pub(crate) fn search<M, R>(
    model: M,
    limits: Limits,
    progress: &mut dyn FnMut(Progress),
    tell: impl FnOnce(&M, Searched<M>) -> R,
) -> R
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + PartialEq + Hash + Send + Sync + 'static,
    M::Action: Clone + PartialEq,
{
    let start = Instant::now();
    let mut builder = model.checker().threads(limits.threads).finish_when(HasDiscoveries::AnyFailures);
    if let Some(most) = limits.states_max {
        builder = builder.target_state_count(most);
    }
    let mut checker = builder.spawn_bfs();
    let mut memory_mib = memory();
    let mut unfinished = None;
    for handle in checker.handles() {
        while !handle.is_finished() {
            let pause = if start.elapsed().as_millis() < 500 { 2 } else { 100 };
            std::thread::sleep(Duration::from_millis(pause));
            memory_mib = memory_mib.max(memory());
            progress(how_far(&checker, start));
        }
        if quiet::catch(AssertUnwindSafe(|| handle.join())).map_or(true, |joined| joined.is_err()) {
            unfinished = Some("the search panicked; see above".to_owned());
        }
    }
    let progress = how_far(&checker, start);
    let properties = checker.model().properties();
    let mut discoveries = checker.discoveries();
    let found = properties.into_iter();
    let ways: Vec<_> = found
        .filter_map(|property| {
            let way = discoveries.remove(property.name)?;
            Some((property.name, property.expectation, way))
        })
        .collect();
    let violated = ways.iter().any(|(_, expectation, _)| *expectation == Expectation::Always);
    // stateright reports success for a search that it cut off.
    if limits.states_max.is_some_and(|most| checker.state_count() >= most) {
        unfinished = Some(format!("stopped after {} states", checker.state_count()));
    }
    if unfinished.is_none() && !violated && !checker.is_done() {
        unfinished = Some("stateright stopped before the last state".to_owned());
    }
    let exhausted = unfinished.is_none() && !violated;
    tell(checker.model(), Searched { progress, memory_mib, unfinished, exhausted, ways })
}

fn how_far<M: Model>(checker: &impl Checker<M>, start: Instant) -> Progress
where
    M::State: Hash,
{
    Progress {
        states: checker.state_count(),
        unique: checker.unique_state_count(),
        depth: checker.max_depth(),
        elapsed: start.elapsed(),
    }
}

/// The memory of this process in mebibytes.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}
