//! `hundi check`: explores a small network in every state that it can reach, and shows that it would notice a bug.

mod replay;
mod save;

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread::available_parallelism;

use clap::Args;
use hundi_checker::configs::{self, Set};
use hundi_checker::mutants::{self, Mutant};
use hundi_checker::world::{Bug, Scenario};
use hundi_checker::{Limits, Progress, Report, Story, explore, explorer, hunt};
use serde::Serialize;

use crate::console;
use crate::failure::{Exit, Failure, While as _};
use save::Shelf;

/// Arguments of `hundi check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hundi check                              the ci set: three minutes at most
  hundi check --config full --json         everything, as one JSON object
  hundi check --mutant all                 every deliberate bug must be found
  hundi check --mutant send-before-sync --save story.json
  hundi check --replay story.json
  hundi check --config pair --explore 127.0.0.1:3000

Exit code 0 if every search was exhausted and every property holds (and every
mutant was caught), else 1.")]
pub(crate) struct CheckArgs {
    /// A configuration, or the set `ci` or `full` [default: ci, or none with --mutant]
    #[arg(long, value_name = "NAME|ci|full")]
    config: Option<String>,
    /// A deliberate bug that must be found, or `all`
    #[arg(long, value_name = "NAME|all")]
    mutant: Option<String>,
    /// Serve the Explorer for one configuration
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with_all = ["json", "save", "replay", "threads", "states_max"])]
    explore: Option<SocketAddr>,
    /// How many threads search [default: one for each core; for a mutant one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Stop each search after about so many states; what is cut short proves nothing
    #[arg(long, value_name = "N")]
    states_max: Option<usize>,
    /// Keep the story of a violation in a file; of several searches, each in a file of a directory that exists
    #[arg(long, value_name = "FILE|DIR", conflicts_with = "replay")]
    save: Option<PathBuf>,
    /// Walk a saved story again: in the model, and on real files with real signatures
    #[arg(long, value_name = "FILE", conflicts_with_all = ["config", "mutant", "threads", "states_max"])]
    replay: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// List configurations and mutants
    #[arg(long)]
    list: bool,
}

/// The result, as JSON.
#[derive(Debug, Default, Serialize)]
struct Checked {
    configs: Vec<Report>,
    mutants: Vec<Hunted>,
}

/// What came of the search for a mutant.
#[derive(Debug, Serialize)]
struct Hunted {
    name: &'static str,
    rule: &'static str,
    caught: bool,
    /// The property that it breaks.
    property: Option<String>,
    /// The length of the shortest story of it.
    steps: Option<usize>,
    states: usize,
    seconds: f64,
    /// Why the search ended early, if it did: then it says nothing about the bug.
    #[serde(skip_serializing_if = "Option::is_none")]
    unfinished: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    story: Option<Story>,
}

/// Runs the command.
pub(crate) fn run(args: CheckArgs) -> Result<(), Failure> {
    if args.list {
        list();
        return Ok(());
    }
    if let Some(file) = &args.replay {
        return replay::run(file, args.json);
    }
    let mutants = chosen_mutants(args.mutant.as_deref())?;
    if let Some(address) = args.explore {
        return serve(&args, &mutants, address);
    }
    let default = if mutants.is_empty() { Some("ci") } else { None };
    let scenarios = chosen_configs(args.config.as_deref().or(default))?;
    let shelf = args.save.as_deref().map(|path| Shelf::new(path, scenarios.len() + mutants.len()));
    let shelf = shelf.transpose()?;
    let limits = |threads: usize| Limits {
        threads: args.threads.map_or(threads, usize::from),
        states_max: args.states_max,
    };
    let mut checked = Checked::default();
    for scenario in scenarios {
        let name = scenario.name;
        let report = explore(scenario, limits(cores()), &mut |progress| show_progress(name, progress));
        clear_progress();
        if !args.json {
            say_report(&report);
        }
        checked.configs.push(report);
    }
    for mutant in mutants {
        let report = hunt(mutant, limits(1), &mut |progress| show_progress(mutant.name, progress));
        clear_progress();
        let hunted = Hunted {
            name: mutant.name,
            rule: mutant.rule,
            caught: report.story.is_some(),
            property: report.story.as_ref().map(|story| story.property.clone()),
            steps: report.story.as_ref().map(|story| story.steps.len()),
            states: report.states,
            seconds: report.seconds,
            unfinished: report.unfinished,
            story: report.story,
        };
        if !args.json {
            say_hunted(&hunted, mutant.about);
        }
        checked.mutants.push(hunted);
    }
    if let Some(shelf) = &shelf {
        shelf.keep(&checked.stories())?;
    }
    if args.json {
        console::json(&checked)?;
    }
    verdict(&checked)
}

impl Checked {
    /// Every story that was found, by what it is a story of.
    fn stories(&self) -> Vec<(&str, &Story)> {
        let configs = self.configs.iter().filter_map(|report| Some((report.name, report.story.as_ref()?)));
        let mutants = self.mutants.iter().filter_map(|hunted| Some((hunted.name, hunted.story.as_ref()?)));
        configs.chain(mutants).collect()
    }
}

/// How many cores this process may use.
pub(crate) fn cores() -> usize {
    available_parallelism().map_or(1, usize::from)
}

fn verdict(checked: &Checked) -> Result<(), Failure> {
    let open: Vec<&str> =
        checked.configs.iter().filter(|report| !report.is_proved()).map(|report| report.name).collect();
    let missed: Vec<&str> =
        checked.mutants.iter().filter(|hunted| !hunted.caught).map(|hunted| hunted.name).collect();
    match (open.is_empty(), missed.is_empty()) {
        (true, true) => Ok(()),
        (false, _) => Err(Failure::new(Exit::No, format_args!("not proved: {}", open.join(", ")))),
        (true, false) => Err(Failure::new(Exit::No, format_args!("not caught: {}", missed.join(", ")))),
    }
}

fn chosen_configs(name: Option<&str>) -> Result<Vec<Scenario>, Failure> {
    let Some(name) = name else { return Ok(Vec::new()) };
    let chosen: Vec<Scenario> = configs::all()
        .into_iter()
        .filter(|(set, scenario)| match name {
            "ci" => *set == Set::Ci,
            "full" => true,
            name => scenario.name == name,
        })
        .map(|(_, scenario)| scenario)
        .collect();
    if chosen.is_empty() {
        return Err(Failure::usage(format_args!(
            "no configuration {name:?}; `hundi check --list` shows all"
        )));
    }
    Ok(chosen)
}

fn chosen_mutants(name: Option<&str>) -> Result<Vec<&'static Mutant>, Failure> {
    match name {
        None => Ok(Vec::new()),
        Some("all") => Ok(mutants::ALL.iter().collect()),
        Some(name) => match mutants::by_name(name) {
            Some(mutant) => Ok(vec![mutant]),
            None => Err(Failure::usage(format_args!("no mutant {name:?}; `hundi check --list` shows all"))),
        },
    }
}

fn list() {
    console::say("configurations:");
    for (set, scenario) in configs::all() {
        let set = if set == Set::Ci { "ci  " } else { "full" };
        console::say(format_args!("  {set} {:<20} {}", scenario.name, scenario.about));
    }
    console::say("mutants:");
    for mutant in mutants::ALL {
        console::say(format_args!("  {:<10} {:<20} {}", mutant.rule, mutant.name, mutant.about));
    }
}

fn serve(args: &CheckArgs, mutants: &[&'static Mutant], address: SocketAddr) -> Result<(), Failure> {
    let mutant = match mutants {
        [] => None,
        [mutant] => Some(*mutant),
        _ => return Err(Failure::usage("the Explorer shows one network: name one mutant, not --mutant all")),
    };
    let bug = mutant.map_or(Bug::default(), |mutant| mutant.bug);
    let name = args.config.as_deref().or(mutant.map(|mutant| mutant.config)).unwrap_or("pair");
    let Some(scenario) = configs::by_name(name) else {
        return Err(Failure::usage(format_args!(
            "the Explorer shows one network: {name:?} is no configuration; `hundi check --list` shows all"
        )));
    };
    let ready = |address| {
        console::note(format_args!("the Explorer of {name} is at http://{address}/ (Ctrl-C ends it)"));
    };
    explorer::serve(scenario, bug, address, ready)
        .or_fail(|| format!("cannot serve the Explorer at {address}"))
}

fn say_report(report: &Report) {
    let word = match (report.is_proved(), &report.story, &report.unfinished) {
        (true, _, _) => console::emphasis("holds", true),
        (false, Some(_), _) => console::emphasis("VIOLATED", false),
        (false, None, Some(why)) => console::emphasis(&format!("NOT PROVED: {why}"), false),
        (false, None, None) => console::emphasis("NOT PROVED", false),
    };
    console::say(format_args!(
        "{:<20} {word}: {} states, {} unique, depth {}, {:.1} s, {} MiB",
        report.name, report.states, report.unique, report.depth, report.seconds, report.memory_mib
    ));
    let unseen = report.properties.iter().filter(|property| property.kind == "sometimes" && !property.holds);
    if report.story.is_none() {
        unseen.for_each(|property| console::say(format_args!("    never seen: {}", property.name)));
    }
    if let Some(story) = &report.story {
        console::say(story);
    }
}

fn say_hunted(hunted: &Hunted, about: &str) {
    let word = console::emphasis(if hunted.caught { "caught" } else { "NOT CAUGHT" }, hunted.caught);
    console::say(format_args!(
        "{} ({}: {about}) {word} after {} states{}",
        hunted.name,
        hunted.rule,
        hunted.states,
        if hunted.caught || hunted.unfinished.is_none() { "" } else { ", where the search was cut short" }
    ));
    if let Some(story) = &hunted.story {
        console::say(format_args!("{story}\n"));
    }
}

/// Shows how far a search is, to a person who watches.
fn show_progress(name: &str, progress: Progress) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() && progress.elapsed.as_millis() > 500 {
        let Progress { states, unique, depth, elapsed } = progress;
        let seconds = elapsed.as_secs();
        let _ =
            write!(stderr, "\r\x1b[K{name}: {states} states, {unique} unique, depth {depth}, {seconds} s");
        let _ = stderr.flush();
    }
}

fn clear_progress() {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[K");
        let _ = stderr.flush();
    }
}
