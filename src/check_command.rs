//! `hundi check`: explores a small network in every state that it can reach, and shows that it would notice a bug.

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use clap::Args;
use hundi_checker::configs::{self, Set};
use hundi_checker::mutants::{self, Mutant};
use hundi_checker::world::{Bug, HundiModel, Prop, Scenario};
use hundi_checker::{Limits, Progress, RealWalk, Report, Story, explore, explorer, hunt};
use serde::Serialize;

use crate::console;
use crate::failure::{Exit, Failure, While as _};

/// Arguments of `hundi check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hundi check                              the set that continuous integration runs: under three minutes
  hundi check --config full --json         everything, as one JSON object
  hundi check --mutant all                 every deliberate bug must be found
  hundi check --mutant send-before-sync --save story.json
  hundi check --replay story.json
  hundi check --config pair --explore 127.0.0.1:3000

Exit code 0 if every search was exhausted and every property holds (and every mutant was caught), else 1.")]
pub(crate) struct CheckArgs {
    /// A configuration, or the set `ci` or `full` [default: ci, or none with --mutant]
    #[arg(long, value_name = "NAME|ci|full")]
    config: Option<String>,
    /// A deliberate bug that must be found, or `all`
    #[arg(long, value_name = "NAME|all")]
    mutant: Option<String>,
    /// Serve the Explorer for one configuration
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with_all = ["json", "save", "replay"])]
    explore: Option<SocketAddr>,
    /// How many threads search [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Stop each search after about so many states; what is cut short proves nothing
    #[arg(long, value_name = "N")]
    states_max: Option<usize>,
    /// Keep the story of a violation in a file, or the stories of several in a directory
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    save: Option<PathBuf>,
    /// Walk a saved story again: in the model, and on real files with real signatures
    #[arg(long, value_name = "FILE", conflicts_with_all = ["config", "mutant"])]
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
        return replay(file);
    }
    let mutants = chosen_mutants(args.mutant.as_deref())?;
    if let Some(address) = args.explore {
        return serve(&args, mutants.first().copied(), address);
    }
    let default = if mutants.is_empty() { Some("ci") } else { None };
    let scenarios = chosen_configs(args.config.as_deref().or(default))?;
    let limits =
        Limits { threads: args.threads.map_or_else(cores, usize::from), states_max: args.states_max };
    let mut checked = Checked::default();
    for scenario in scenarios {
        let name = scenario.name;
        let report = explore(scenario, limits, &mut |progress| show_progress(name, progress));
        clear_progress();
        if !args.json {
            say_report(&report);
        }
        checked.configs.push(report);
    }
    for mutant in mutants {
        let report = hunt(mutant, &mut |progress| show_progress(mutant.name, progress));
        clear_progress();
        let hunted = Hunted {
            name: mutant.name,
            rule: mutant.rule,
            caught: report.story.is_some(),
            property: report.story.as_ref().map(|story| story.property.clone()),
            steps: report.story.as_ref().map(|story| story.steps.len()),
            states: report.states,
            seconds: report.seconds,
            story: report.story,
        };
        if !args.json {
            say_hunted(&hunted, mutant.about);
        }
        checked.mutants.push(hunted);
    }
    if let Some(path) = &args.save {
        save(path, &checked)?;
    }
    if args.json {
        console::json(&checked)?;
    }
    verdict(&checked)
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
        return Err(Failure::input(format_args!(
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
            None => Err(Failure::input(format_args!("no mutant {name:?}; `hundi check --list` shows all"))),
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

fn serve(args: &CheckArgs, mutant: Option<&'static Mutant>, address: SocketAddr) -> Result<(), Failure> {
    let bug = mutant.map_or(Bug::default(), |mutant| mutant.bug);
    let name = args.config.as_deref().or(mutant.map(|mutant| mutant.config)).unwrap_or("pair");
    let Some(scenario) = configs::by_name(name) else {
        return Err(Failure::input("the Explorer shows one configuration: name it with --config"));
    };
    console::note(format_args!("the Explorer of {name} is at http://{address}/ (Ctrl-C ends it)"));
    explorer::serve(scenario, bug, address).or_fail(|| format!("cannot serve the Explorer at {address}"))
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
        "{} ({}: {about}) {word} after {} states",
        hunted.name, hunted.rule, hunted.states
    ));
    if let Some(story) = &hunted.story {
        console::say(format_args!("{story}\n"));
    }
}

fn save(path: &Path, checked: &Checked) -> Result<(), Failure> {
    let of_configs = checked.configs.iter().filter_map(|report| Some((report.name, report.story.as_ref()?)));
    let of_mutants = checked.mutants.iter().filter_map(|hunted| Some((hunted.name, hunted.story.as_ref()?)));
    let stories: Vec<(&str, &Story)> = of_configs.chain(of_mutants).collect();
    let write = |file: &Path, story: &Story| {
        let mut text = serde_json::to_string_pretty(story).map_err(Failure::outside)?;
        text.push('\n');
        std::fs::write(file, text).or_fail(|| format!("cannot write {}", file.display()))
    };
    match stories.as_slice() {
        [] => console::note("nothing to save: no violation"),
        [(_, story)] if !path.is_dir() => write(path, story)?,
        stories if path.is_dir() => {
            for (name, story) in stories {
                write(&path.join(format!("{name}.json")), story)?;
            }
        }
        _ => {
            let path = path.display();
            return Err(Failure::input(format_args!(
                "{path}: several stories go into a directory that exists"
            )));
        }
    }
    Ok(())
}

fn replay(file: &Path) -> Result<(), Failure> {
    let path = file.display();
    let text = std::fs::read_to_string(file).or_fail(|| format!("cannot read {path}"))?;
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
    let mut failed = Vec::new();
    if let Some(name) = &story.mutant {
        let mutant = mutants::by_name(name);
        let mutant = mutant.ok_or_else(|| Failure::input(format_args!("{path}: no mutant {name:?}")))?;
        let model = HundiModel::new(config()?, mutant.bug).watching(*property);
        let walked = walk(&story, &model)?;
        say_walked(&format!("with the bug {name}"), &story, &walked);
        if walked.walk.broken.is_none() {
            failed.push(format!(
                "{path} does not show {name} any more; look for it with --mutant {name} --save"
            ));
        }
    }
    let walked = walk(&story, &HundiModel::new(config()?, Bug::default()))?;
    if walked.walk.taken.is_empty() && !story.steps.is_empty() {
        let name = &story.config;
        return Err(Failure::input(format_args!(
            "{path}: no step of it is possible in {name}, so it shows nothing"
        )));
    }
    say_walked("as the code is", &story, &walked);
    failed.extend(walked.walk.broken.map(|(property, _)| property.name().to_owned()));
    failed.extend(walked.difference.map(|(step, what)| format!("SQLite differs after {step} steps: {what}")));
    failed.extend(walked.offences);
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

/// A line for the model and a line for the banks on SQLite.
fn say_walked(which: &str, story: &Story, walked: &RealWalk) {
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
