//! Exploring an app to the end, and telling what was found.

use std::fmt;

use hundi_ledger::Account;
use serde::Serialize;
use stateright::{Expectation, Model as _};

use super::App;
use super::model::{Action, AppModel, At, StateOf};
use crate::search::{self, Limits, Progress, Searched};

/// What came of a search.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
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
    /// `sometimes` invariants that no state showed.
    pub never_seen: Vec<&'static str>,
    /// Why the search ended early, if it did.
    pub unfinished: Option<String>,
    /// The shortest way to a violation, if there is one.
    pub story: Option<Story>,
}

/// The way from the beginning to a state in which an invariant does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Story {
    /// The invariant.
    pub broken: &'static str,
    /// The way.
    pub steps: Vec<Step>,
}

/// One step of a story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What happened.
    pub event: String,
    /// What it did.
    pub then: Vec<String>,
}

impl Report {
    /// Every state was visited, every invariant holds in it, and everything was seen that should be.
    #[must_use]
    pub fn is_proved(&self) -> bool {
        self.exhausted && self.never_seen.is_empty()
    }

    /// For tests: goes on if [`Report::is_proved`].
    ///
    /// # Panics
    /// With the report, story and all, if not.
    pub fn assert_proved(&self) {
        assert!(self.is_proved(), "{self}");
    }
}

/// Explores every state of an app, breadth first and on one thread, so that a violation's story is a shortest one.
///
/// # Panics
/// If the app declares too much (see [`App`]'s methods), or panics itself.
pub fn prove<A: App>(app: A) -> Report {
    prove_with(app, Limits::default(), &mut |_| {})
}

/// [`prove`] with limits; `progress` is called a few times a second.
///
/// # Panics
/// As [`prove`].
pub fn prove_with<A: App>(app: A, limits: Limits, progress: &mut dyn FnMut(Progress)) -> Report {
    search::search(AppModel::new(app), limits, progress, report)
}

fn report<A: App>(model: &AppModel<A>, searched: Searched<AppModel<A>>) -> Report {
    let seen = |name| searched.ways.iter().any(|(found, ..)| *found == name);
    let sometimes = model.properties().into_iter().filter(|p| p.expectation == Expectation::Sometimes);
    let never_seen = sometimes.map(|property| property.name).filter(|name| !seen(*name)).collect();
    let violations = searched.ways.iter().filter(|(_, expectation, _)| *expectation == Expectation::Always);
    let paths = violations.map(|(name, _, path)| (*name, path.clone().into_vec()));
    let shortest = paths.min_by_key(|(_, path)| path.len());
    Report {
        exhausted: searched.exhausted,
        states: searched.progress.states,
        unique: searched.progress.unique,
        depth: searched.progress.depth,
        seconds: searched.progress.elapsed.as_secs_f64(),
        never_seen,
        unfinished: searched.unfinished,
        story: shortest.map(|(broken, path)| tell(model, broken, &path)),
    }
}

fn tell<A: App>(model: &AppModel<A>, broken: &'static str, path: &[(StateOf<A>, Option<Action>)]) -> Story {
    let pairs = path.iter().zip(path.iter().skip(1));
    let steps = pairs.filter_map(|((before, action), (after, _))| {
        Some(Step { event: event(model, before, (*action)?), then: changes::<A>(before, after) })
    });
    Story { broken, steps: steps.collect() }
}

fn event<A: App>(model: &AppModel<A>, before: &StateOf<A>, action: Action) -> String {
    let request = |place: u8| &model.requests[usize::from(place)];
    match action {
        Action::Step(place) => match before.tasks[usize::from(place)].at {
            At::Running(_) => format!("{:?} goes on", request(place)),
            _ => format!("{:?} is asked", request(place)),
        },
        Action::Again(place) => match before.tasks[usize::from(place)].at {
            At::Told(_) => format!("the answer was lost: {:?} is asked again", request(place)),
            _ => format!("{:?} is asked again", request(place)),
        },
        Action::Recover => "the app recovers".to_owned(),
        Action::Crash => "the app crashes".to_owned(),
        Action::Clock => "time passes".to_owned(),
    }
}

/// What a step did: accounts, rows, answers.
fn changes<A: App>(before: &StateOf<A>, after: &StateOf<A>) -> Vec<String> {
    let mut changes = Vec::new();
    for account in after.ledger.accounts() {
        let old = before.ledger.account_by_id(account.id);
        if old.is_none_or(|old| figures(old) != figures(account)) {
            let [posted_debits, posted_credits, held_debits, held_credits] = figures(account);
            let mut text =
                format!("account {}: debits {posted_debits}, credits {posted_credits}", account.id);
            if (held_debits, held_credits) != (0, 0) {
                text.push_str(&format!("; on hold: debits {held_debits}, credits {held_credits}"));
            }
            changes.push(text);
        }
    }
    if before.rows != after.rows {
        changes.push(format!("rows: {:?}", after.rows));
    }
    for (old, new) in before.tasks.iter().zip(&after.tasks) {
        match &new.at {
            _ if old == new => {}
            At::Told(true) => changes.push("the client is told: done".to_owned()),
            At::Told(false) => changes.push("rolled back; the client is told: refused".to_owned()),
            At::Running(memory) => changes.push(format!("not answered yet; in memory: {memory:?}")),
            At::Lost => {
                changes.push("what it had in memory is lost; a client waits for an answer".to_owned())
            }
            At::Unasked => {}
        }
    }
    changes
}

fn figures(account: &Account) -> [u128; 4] {
    [account.debits_posted.0, account.credits_posted.0, account.debits_pending.0, account.credits_pending.0]
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match (self.is_proved(), &self.story) {
            (true, _) => "every invariant holds",
            (false, Some(_)) => "VIOLATED",
            (false, None) => "NOT PROVED",
        };
        let Report { states, unique, depth, seconds, .. } = self;
        write!(f, "{word}: {states} states, {unique} different, depth {depth}, {seconds:.1} s")?;
        self.unfinished.iter().try_for_each(|why| write!(f, "\n  {why}"))?;
        self.never_seen.iter().try_for_each(|name| write!(f, "\n  never seen: {name}"))?;
        self.story.iter().try_for_each(|story| write!(f, "\n{story}"))
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.steps.iter().enumerate() {
            writeln!(f, "{:>4}. {}", place + 1, step.event)?;
            step.then.iter().try_for_each(|line| writeln!(f, "        {line}"))?;
        }
        write!(f, "      broken: {}", self.broken)
    }
}
