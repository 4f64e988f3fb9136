//! `hundi check`: explore every crash, loss and reordering of a small network, or find a bug that is there on purpose.

use std::num::NonZeroUsize;

use clap::Args;
use hundi_checker::run::{
    ConfigReport, MutantReport, Progress, Violation, configuration_names, configurations, mutant, mutants,
    run_config, run_mutant, story,
};
use hundi_checker::world::{Arena, Bug};
use indicatif::ProgressBar;
use serde::Serialize;

use crate::console;
use crate::failure::{Exit, Failure};

/// Arguments of `hundi check`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hundi check                              every configuration of the ci set, exhausted
  hundi check --config pair --threads 1    one configuration; with one thread a story is a shortest one
  hundi check --mutant all                 one deliberate bug at a time: each must be found
  hundi check --mutant send-before-sync    and the story of how it loses money

Exit status 1 when a property does not hold, a search was not finished, or a bug was not found.")]
pub(crate) struct CheckArgs {
    /// `ci`, `full`, or the name of one configuration.
    #[arg(long, value_name = "NAME", default_value = "ci", conflicts_with = "mutant")]
    config: String,
    /// `all`, or the name of one deliberate bug: it is built into every node, and must be found.
    #[arg(long, value_name = "NAME")]
    mutant: Option<String>,
    /// List the configurations and the deliberate bugs.
    #[arg(long)]
    list: bool,
    /// Threads that explore. The default is one for each processor; a deliberate bug is looked for with one.
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Default, Serialize)]
struct Report {
    configs: Vec<ConfigReport>,
    mutants: Vec<MutantReport>,
}

/// Runs the command.
pub(crate) fn run(args: CheckArgs) -> Result<(), Failure> {
    if args.list {
        list();
        return Ok(());
    }
    let mut report = Report::default();
    let fine = match &args.mutant {
        Some(name) => check_mutants(name, args.json, &mut report)?,
        None => check_configs(&args, &mut report)?,
    };
    if args.json {
        console::json(&report)?;
    }
    match (fine, &args.mutant) {
        (true, _) => Ok(()),
        (false, None) => {
            Err(Failure::new(Exit::No, "not proved: see what is broken, not seen or unfinished above"))
        }
        (false, Some(_)) => {
            Err(Failure::new(Exit::No, "a deliberate bug was not found: the checker is blind to it"))
        }
    }
}

fn list() {
    console::say("Configurations:");
    for (name, about) in configuration_names() {
        console::say(format_args!("  {name:<12} {about}"));
    }
    console::say("\nDeliberate bugs:");
    for mutant in mutants() {
        console::say(format_args!("  {:<22} breaks {}", mutant.name, mutant.rule));
    }
}

fn check_configs(args: &CheckArgs, report: &mut Report) -> Result<bool, Failure> {
    let scenarios = configurations(&args.config).ok_or_else(|| {
        let text = format!("there is no configuration {:?}; `hundi check --list` names them", args.config);
        Failure::input(text)
    })?;
    let threads = args.threads.map_or_else(processors, NonZeroUsize::get);
    let mut fine = true;
    for scenario in scenarios {
        let watch = Watch::new(scenario.name);
        let (searched, arena) =
            run_config(scenario, Bug::default(), threads, |progress| watch.show(progress));
        watch.done();
        fine &= searched.is_proved();
        if !args.json {
            say_config(&searched, &arena);
        }
        report.configs.push(searched);
    }
    Ok(fine)
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

fn say_config(searched: &ConfigReport, arena: &std::sync::Arc<Arena>) {
    let verdict = match (searched.is_proved(), searched.exhausted) {
        (true, _) => console::emphasis("proved", true),
        (false, true) => console::emphasis("not proved: something was never seen", false),
        (false, false) => console::emphasis("NOT PROVED", false),
    };
    console::say(format_args!(
        "{:<12} {verdict}   {} states, {} different, {} steps deep, {:.1} s",
        searched.name, searched.states, searched.unique, searched.depth, searched.seconds
    ));
    for property in searched.properties.iter().filter(|property| !property.holds) {
        console::say(format_args!("   does not hold: {}", property.name));
    }
    for violation in &searched.violations {
        say_story(violation, arena);
    }
}

fn say_story(violation: &Violation, arena: &std::sync::Arc<Arena>) {
    for line in story(arena, &violation.actions) {
        console::say(line);
    }
    let rules = violation.rules.join(", ");
    console::say(format_args!("     now this is broken: {} ({rules})\n", violation.property));
}

fn check_mutants(name: &str, json: bool, report: &mut Report) -> Result<bool, Failure> {
    let chosen = match name {
        "all" => mutants(),
        one => vec![mutant(one).ok_or_else(|| {
            let text = format!("there is no deliberate bug {one:?}; `hundi check --list` names them");
            Failure::input(text)
        })?],
    };
    let tell = chosen.len() == 1;
    let mut fine = true;
    for mutant in chosen {
        let watch = Watch::new("mutant");
        let (found, violation) = run_mutant(&mutant, |progress| watch.show(progress));
        watch.done();
        fine &= found.caught;
        if !json {
            say_mutant(&found);
            if let Some((violation, arena)) = violation.filter(|_| tell) {
                say_story(&violation, &arena);
            }
        }
        report.mutants.push(found);
    }
    Ok(fine)
}

fn say_mutant(found: &MutantReport) {
    let Some((config, (property, steps))) = found.config.zip(found.property.zip(found.steps)) else {
        let missed = console::emphasis("NOT FOUND", false);
        console::say(format_args!("{:<22} {:<10} {missed}", found.name, found.rule));
        return;
    };
    console::say(format_args!(
        "{:<22} {:<10} found in {steps} steps of «{config}»: breaks «{property}»",
        found.name, found.rule
    ));
}

/// Progress on a terminal: there is no total to count towards, so it shows how far the search is.
struct Watch(ProgressBar);

impl Watch {
    fn new(what: &'static str) -> Self {
        Watch(console::counter(what))
    }

    fn show(&self, progress: Progress) {
        self.0.set_position(progress.unique);
        self.0.set_prefix(progress.depth.to_string());
    }

    fn done(self) {
        self.0.finish_and_clear();
    }
}
