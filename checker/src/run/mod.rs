//! Runs the checker: configurations to exhaustion, deliberate bugs until they are found, and the story of a violation.

mod config;
mod mutants;
mod story;

pub use config::{ConfigReport, Kind, Progress, PropertyReport, Violation, run_config};
pub use mutants::{Mutant, MutantReport, mutant, mutants, run_mutant};
pub use story::story;

use crate::configs::{self, Set};
use crate::world::Scenario;

/// The configurations that a name stands for: `ci`, `full`, or one of them. `None` if there is none of that name.
#[must_use]
pub fn configurations(name: &str) -> Option<Vec<Scenario>> {
    let all = configs::all();
    match name {
        "full" => Some(all.into_iter().map(|(_, scenario)| scenario).collect()),
        "ci" => {
            Some(all.into_iter().filter(|(set, _)| *set == Set::Ci).map(|(_, scenario)| scenario).collect())
        }
        one => all.into_iter().find(|(_, scenario)| scenario.name == one).map(|(_, scenario)| vec![scenario]),
    }
}

/// The names of all configurations, with what they are about.
#[must_use]
pub fn configuration_names() -> Vec<(&'static str, &'static str)> {
    configs::all().into_iter().map(|(_, scenario)| (scenario.name, scenario.about)).collect()
}
