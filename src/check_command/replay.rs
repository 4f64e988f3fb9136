//! `hundi check --replay`: a saved story once more, in the model and on SQLite, with its bug and as the code is.

use std::path::Path;

use hundi_checker::world::{Bug, HundiModel, Prop};
use hundi_checker::{RealWalk, Story, configs, mutants};
use serde::Serialize;

use crate::console;
use crate::failure::{Exit, Failure, While as _};

/// What came of a story, as JSON.
#[derive(Debug, Serialize)]
struct Replayed {
    config: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mutant: Option<String>,
    property: String,
    /// Whether the code as it is keeps every property, and the bug, if there is one, still does its harm.
    holds: bool,
    /// Once with the bug, if the story has one, and once as the code is.
    walks: Vec<Walked>,
}

/// A story as it went once.
#[derive(Debug, Serialize)]
struct Walked {
    /// The bug that was in the code.
    mutant: Option<String>,
    steps: usize,
    /// The steps that were possible.
    taken: usize,
    /// The property that broke in the model, and after how many steps.
    broken: Option<&'static str>,
    broken_after: Option<usize>,
    /// The first difference of the banks on SQLite from the model, and after how many steps.
    difference: Option<String>,
    difference_after: Option<usize>,
    /// Whether a run without faults from the end settles everything; `null` where that says nothing.
    settles: Option<bool>,
    /// What the audit of the banks' files says.
    offences: Vec<String>,
}

/// Walks the story of a file again.
pub(super) fn run(file: &Path, json: bool) -> Result<(), Failure> {
    let path = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::input(format_args!("cannot read {path}: {error}")))?;
    let story: Story = serde_json::from_str(&text)
        .map_err(|error| Failure::input(format_args!("{path}: not a story: {error}")))?;
    let config = || {
        configs::by_name(&story.config)
            .ok_or_else(|| Failure::input(format_args!("{path}: no configuration {:?}", story.config)))
    };
    let Some(property) = Prop::ALL.iter().find(|prop| prop.name() == story.property) else {
        return Err(Failure::input(format_args!("{path}: no property {:?}", story.property)));
    };
    let orders = config()?.orders.len();
    if u32::from(story.orders) >> orders != 0 {
        let (given, name) = (story.orders, &story.config);
        return Err(Failure::input(format_args!("{path}: orders {given}: {name} has only {orders} of them")));
    }
    let (mut failed, mut walks) = (Vec::new(), Vec::new());
    if let Some(name) = &story.mutant {
        let mutant = mutants::by_name(name);
        let mutant = mutant.ok_or_else(|| Failure::input(format_args!("{path}: no mutant {name:?}")))?;
        let model = HundiModel::new(config()?, mutant.bug).watching(*property);
        let walked = walk(&story, &model)?;
        if walked.walk.broken.is_none() {
            failed.push(format!(
                "{path} does not show {name} any more; look for it with --mutant {name} --save"
            ));
        }
        walks.push((Some(name.clone()), walked));
    }
    let walked = walk(&story, &HundiModel::new(config()?, Bug::default()))?;
    if walked.walk.taken.is_empty() && !story.steps.is_empty() {
        let name = &story.config;
        return Err(Failure::input(format_args!(
            "{path}: no step of it is possible in {name}, so it shows nothing"
        )));
    }
    failed.extend(walked.walk.broken.map(|(property, _)| property.name().to_owned()));
    let difference = walked.difference.as_ref();
    failed.extend(difference.map(|(step, what)| format!("SQLite differs after {step} steps: {what}")));
    failed.extend(walked.offences.iter().cloned());
    walks.push((None, walked));
    if json {
        console::json(&Replayed {
            config: story.config.clone(),
            mutant: story.mutant.clone(),
            property: story.property.clone(),
            holds: failed.is_empty(),
            walks: walks.iter().map(|(mutant, walked)| report(mutant.clone(), &story, walked)).collect(),
        })?;
    } else {
        walks.iter().for_each(|(mutant, walked)| say(mutant.as_deref(), &story, walked));
    }
    match failed.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(Exit::No, failed.join("; "))),
    }
}

/// Walks a story in the model and on files that are gone afterwards.
fn walk(story: &Story, model: &HundiModel) -> Result<RealWalk, Failure> {
    let dir = tempfile::tempdir().or_fail(|| "cannot make a folder for the banks' files".to_owned())?;
    story.walk_for_real(model, dir.path()).map_err(Failure::outside)
}

fn report(mutant: Option<String>, story: &Story, walked: &RealWalk) -> Walked {
    Walked {
        mutant,
        steps: story.steps.len(),
        taken: walked.walk.taken.len(),
        broken: walked.walk.broken.map(|(property, _)| property.name()),
        broken_after: walked.walk.broken.map(|(_, steps)| steps),
        difference: walked.difference.as_ref().map(|(_, what)| what.clone()),
        difference_after: walked.difference.as_ref().map(|(steps, _)| *steps),
        settles: walked.settles,
        offences: walked.offences.clone(),
    }
}

/// A line for the model and a line for the banks on SQLite.
fn say(mutant: Option<&str>, story: &Story, walked: &RealWalk) {
    let which = mutant.map_or("as the code is".to_owned(), |name| format!("with the bug {name}"));
    let (all, taken) = (story.steps.len(), walked.walk.taken.len());
    let ends = match walked.walk.broken {
        Some((property, steps)) => format!("after {steps} steps broken: {}", property.name()),
        None => "every property holds".to_owned(),
    };
    console::say(format_args!("{which}, in the model: {taken} of {all} steps are possible; {ends}"));
    let settles = match walked.settles {
        Some(true) => "; then, without faults, every payment settles",
        Some(false) => "; then, even without faults, a payment does not settle",
        None => "",
    };
    let real = match &walked.difference {
        Some((steps, what)) => format!("another way after {steps} steps: {what}"),
        None => format!("the same after every step; {ends}{settles}"),
    };
    let offences = match walked.offences.first() {
        Some(first) => format!("; the audit of the files says: {first}"),
        None => String::new(),
    };
    console::say(format_args!("{which}, on SQLite: {real}{offences}"));
}
