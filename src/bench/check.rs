//! `hundi bench check`: states per second of the model, beside stateright's two-phase-commit example.

use std::time::Duration;

use clap::Args;
use hundi_checker::{Limits, configs, explore, two_phase};
use serde::Serialize;

use super::measure::{per_second, ratio};
use crate::console;
use crate::failure::{Exit, Failure};
use crate::orders::thousands;

/// Arguments of `hundi bench check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Both searches run on stateright's breadth-first checker with as many threads, by
turns, and the best run of each counts. A state of Hundi's model is a whole
network (banks with ledgers and disks, coordinators, wires) made of the
production state machines; a state of the example is an enum for each manager
and a set of messages.

Examples:
  hundi bench check
  hundi bench check --config race --managers 9 --threads 1 --json")]
pub(crate) struct CheckBenchArgs {
    /// The configuration of Hundi's model
    #[arg(long, value_name = "NAME", default_value = "pair-parallel")]
    config: String,
    /// How many resource managers the example has: 8 make 1,745,408 different states
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=12))]
    managers: u8,
    /// How many threads search [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// How often each search runs
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The best run of a search.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Searched {
    states: usize,
    unique: usize,
    seconds: f64,
    states_per_second: u64,
    unique_per_second: u64,
}

/// The result, as it is printed with `--json`.
#[derive(Debug, Serialize)]
struct Bench<'a> {
    config: &'a str,
    threads: usize,
    hundi: Searched,
    stateright_2pc: Searched,
    /// Different states in a second, ours to the example's.
    ratio_unique: f64,
    /// All states that were generated in a second, with repeats, ours to the example's.
    ratio_states: f64,
}

/// Runs the command.
pub(crate) fn run(args: &CheckBenchArgs) -> Result<(), Failure> {
    let name = args.config.as_str();
    let scenario = || {
        configs::by_name(name).ok_or_else(|| {
            Failure::input(format_args!("no configuration {name:?}: `hundi check --list` has their names"))
        })
    };
    let threads = args.threads.map_or_else(crate::check_command::cores, usize::from);
    let limits = Limits { threads, states_max: None };
    let bar = console::progress("searches", u64::from(args.rounds) * 2);
    let (mut hundi, mut example) = (Searched::default(), Searched::default());
    for _ in 0..args.rounds {
        // A figure over a search that was not finished would be one over anything.
        let unfinished = || Failure::new(Exit::No, "a search was not finished, or found a violation");
        let report = explore(scenario()?, limits, &mut |_| {});
        let elapsed = Duration::from_secs_f64(report.seconds);
        let ours = report.is_proved().then(|| Searched::of(report.states, report.unique, elapsed));
        hundi = hundi.better(ours.ok_or_else(unfinished)?);
        bar.inc(1);
        let theirs = two_phase::explore(usize::from(args.managers), limits).ok_or_else(unfinished)?;
        example = example.better(Searched::of(theirs.states, theirs.unique, theirs.elapsed));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let bench = Bench {
        config: name,
        threads,
        hundi,
        stateright_2pc: example,
        ratio_unique: ratio(hundi.unique_per_second, example.unique_per_second),
        ratio_states: ratio(hundi.states_per_second, example.states_per_second),
    };
    if args.json {
        return console::json(&bench);
    }
    bench.say();
    Ok(())
}

impl Searched {
    fn of(states: usize, unique: usize, elapsed: Duration) -> Self {
        Searched {
            states,
            unique,
            seconds: elapsed.as_secs_f64(),
            states_per_second: per_second(states as u64, elapsed),
            unique_per_second: per_second(unique as u64, elapsed),
        }
    }

    fn better(self, other: Self) -> Self {
        if other.unique_per_second > self.unique_per_second { other } else { self }
    }
}

impl Bench<'_> {
    fn say(&self) {
        let line = |name: &str, searched: Searched| {
            console::say(format_args!(
                "{name:<26} {:>12} different states/s  {:>12} states/s   ({} of {} in {:.2} s)",
                thousands(searched.unique_per_second),
                thousands(searched.states_per_second),
                thousands(searched.unique),
                thousands(searched.states),
                searched.seconds,
            ));
        };
        line(&format!("Hundi, {}", self.config), self.hundi);
        line("stateright's 2pc", self.stateright_2pc);
        let Bench { threads, ratio_unique, ratio_states, .. } = self;
        console::say(format_args!(
            "{threads} threads; ratio {ratio_unique} (different), {ratio_states} (all)"
        ));
    }
}
