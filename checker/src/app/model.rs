//! An app as a stateright model.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU32, Ordering};

use hundi_ledger::{Account, MemoryStore, Phase, Timestamp, Transfer, engine};
use stateright::{Model, Property};

use super::{App, Invariant, Next, Tx, View, When};

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;
/// When a model begins: so late that no timestamp is zero, and in the middle of a second, so that commits stay within it.
const START: u64 = 1_000 * SECOND + SECOND / 2;
/// Nanoseconds in a millisecond. Each time of the clock is later by one than its seconds say: a timeout that is over
/// in whole seconds is over, however many commits the beginning came after.
const MILLISECOND: u64 = 1_000_000;
/// How many invariants an app may have: stateright takes each as a plain function.
pub(super) const INVARIANTS: usize = 32;

/// An app, with what it declares at hand.
pub(super) struct AppModel<A: App> {
    pub(super) app: A,
    pub(super) requests: Vec<A::Request>,
    pub(super) invariants: Vec<Invariant<A>>,
    clock: Vec<u32>,
    /// The invariants, as bits, of which a violation is known. A later one is not reported: stateright keeps the last
    /// discovery of a property, and the first is the shortest.
    broken: AtomicU32,
}

/// Everything there is: the ledger, rows R, and what requests under way remember, M.
#[derive(Clone)]
pub(super) struct State<R, M> {
    pub(super) ledger: MemoryStore,
    pub(super) rows: R,
    pub(super) tasks: Vec<Task<M>>,
    /// What the app remembers of its recovery, while that lasts.
    pub(super) recovering: Option<M>,
    crashes: u8,
    /// How many times of the clock have come.
    pub(super) moment: u8,
    ids: u64,
}

/// The states of an app.
pub(super) type StateOf<A> = State<<A as App>::Rows, <A as App>::Memory>;

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Task<M> {
    pub(super) at: At<M>,
    /// How often its client may still ask again.
    repeats: u8,
}

/// Where a request is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum At<M> {
    /// Nobody has asked yet.
    Unasked,
    /// Under way.
    Running(M),
    /// The app crashed before it answered.
    Lost,
    /// The client was told that it is done, or refused; or this answer was lost.
    Told(bool),
}

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Action {
    /// A request's first or next transaction.
    Step(u8),
    /// A client that got no answer asks again; the first transaction of that.
    Again(u8),
    /// The next transaction of the recovery.
    Recover,
    Crash,
    Clock,
}

impl<A: App> AppModel<A> {
    pub(super) fn new(app: A) -> Self {
        let (requests, invariants, clock) = (app.requests(), app.invariants(), app.clock());
        assert!(invariants.len() <= INVARIANTS, "an app may have at most {INVARIANTS} invariants");
        assert!(requests.len() < 256 && clock.len() < 256, "an app may have at most 255 requests and times");
        assert!(clock.is_sorted_by(|a, b| a < b), "the times of the clock must rise");
        AppModel { app, requests, invariants, clock, broken: AtomicU32::new(0) }
    }

    fn now(&self, state: &StateOf<A>) -> Timestamp {
        let passed = usize::from(state.moment).checked_sub(1).map_or(0, |place| self.clock[place]);
        Timestamp(START + u64::from(passed) * SECOND + u64::from(state.moment) * MILLISECOND)
    }

    /// Runs a transaction, and keeps it unless it is refused.
    fn transact(&self, state: &mut StateOf<A>, work: impl FnOnce(&mut Tx<'_, A>) -> Next) -> Next {
        let now = self.now(state);
        let (mut ledger, mut rows) = (state.ledger.clone(), state.rows.clone());
        let next = work(&mut Tx { rows: &mut rows, ledger: &mut ledger, now, ids: &mut state.ids });
        if next != Next::Refuse {
            (state.ledger, state.rows) = (ledger, rows);
        }
        next
    }

    fn run(&self, state: &mut StateOf<A>, task: usize, mut memory: A::Memory) {
        let next = self.transact(state, |tx| self.app.step(&self.requests[task], &mut memory, tx));
        state.tasks[task].at = match next {
            Next::Go => At::Running(memory),
            Next::Done => At::Told(true),
            Next::Refuse => At::Told(false),
        };
    }

    /// Whether an invariant holds, or a `sometimes` is seen; only the first violation is told.
    fn is_fine(&self, place: usize, state: &StateOf<A>) -> bool {
        let Some(invariant) = self.invariants.get(place) else { return true };
        let holds = self.holds(place, state);
        if holds || invariant.when == When::Sometimes {
            return holds;
        }
        self.broken.fetch_or(1 << place, Ordering::Relaxed) & 1 << place != 0
    }

    fn holds(&self, place: usize, state: &StateOf<A>) -> bool {
        let Some(invariant) = self.invariants.get(place) else { return true };
        if invariant.when == When::AtRest && !state.is_at_rest() {
            return true;
        }
        let answers = |task: usize| match state.tasks.get(task)?.at {
            At::Told(done) => Some(done),
            _ => None,
        };
        (invariant.holds)(&self.app, &View { rows: &state.rows, ledger: &state.ledger, answers: &answers })
    }
}

impl<R, M> State<R, M> {
    fn books_balance(&self) -> bool {
        let mut sums = BTreeMap::<_, [u128; 4]>::new();
        for account in self.ledger.accounts() {
            let sides = [
                account.debits_posted,
                account.credits_posted,
                account.debits_pending,
                account.credits_pending,
            ];
            for (sum, side) in sums.entry(account.ledger).or_default().iter_mut().zip(sides) {
                let Some(more) = sum.checked_add(side.0) else { return false };
                *sum = more;
            }
        }
        sums.values().all(|[debits, credits, held_debits, held_credits]| {
            debits == credits && held_debits == held_credits
        })
    }

    fn is_at_rest(&self) -> bool {
        self.recovering.is_none() && !self.tasks.iter().any(|task| matches!(task.at, At::Running(_)))
    }
}

impl<A: App> Model for AppModel<A> {
    type State = StateOf<A>;
    type Action = Action;

    fn init_states(&self) -> Vec<StateOf<A>> {
        let task = Task { at: At::Unasked, repeats: self.app.repeats() };
        let mut state = State {
            ledger: MemoryStore::compact(),
            rows: A::Rows::default(),
            tasks: vec![task; self.requests.len()],
            recovering: None,
            crashes: self.app.crashes(),
            moment: 0,
            ids: 0,
        };
        self.transact(&mut state, |tx| {
            self.app.set_up(tx);
            Next::Done
        });
        vec![state]
    }

    fn actions(&self, state: &StateOf<A>, actions: &mut Vec<Action>) {
        for (task, place) in state.tasks.iter().zip(0..) {
            match task.at {
                _ if state.recovering.is_some() => {}
                At::Unasked | At::Running(_) => actions.push(Action::Step(place)),
                At::Lost | At::Told(_) if task.repeats > 0 => actions.push(Action::Again(place)),
                At::Lost | At::Told(_) => {}
            }
        }
        if state.recovering.is_some() {
            actions.push(Action::Recover);
        }
        if state.crashes > 0 {
            actions.push(Action::Crash); // At rest too: nothing is forgotten, but the app recovers.
        }
        if usize::from(state.moment) < self.clock.len() {
            actions.push(Action::Clock);
        }
    }

    fn next_state(&self, last: &StateOf<A>, action: Action) -> Option<StateOf<A>> {
        let mut state = last.clone();
        match action {
            Action::Step(place) => {
                let task = usize::from(place);
                let memory = match &last.tasks[task].at {
                    At::Running(memory) => memory.clone(),
                    _ => A::Memory::default(),
                };
                self.run(&mut state, task, memory);
            }
            Action::Again(place) => {
                let task = usize::from(place);
                state.tasks[task].repeats -= 1;
                self.run(&mut state, task, A::Memory::default());
            }
            Action::Recover => {
                let mut memory = state.recovering.take()?;
                let next = self.transact(&mut state, |tx| self.app.recover(&mut memory, tx));
                state.recovering = (next == Next::Go).then_some(memory);
            }
            Action::Crash => {
                state.crashes -= 1;
                state.recovering = Some(A::Memory::default());
                let running = state.tasks.iter_mut().filter(|task| matches!(task.at, At::Running(_)));
                running.for_each(|task| task.at = At::Lost);
            }
            Action::Clock => {
                state.moment += 1;
                let now = self.now(&state);
                let Ok(_) = engine::expire(&mut state.ledger, now);
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let conditions = conditions::<A>();
        let property = |(invariant, condition): (&Invariant<A>, &Condition<A>)| match invariant.when {
            When::Always | When::AtRest => Property::always(invariant.name, *condition),
            When::Sometimes => Property::sometimes(invariant.name, *condition),
        };
        let books = Property::always(BOOKS, |_: &Self, state: &StateOf<A>| state.books_balance());
        [books].into_iter().chain(self.invariants.iter().zip(&conditions).map(property)).collect()
    }
}

/// What holds in every app, because the ledger sees to it. It also keeps the search going to the last state: stateright
/// stops as soon as it waits for no discovery any more.
const BOOKS: &str = "debits equal credits";

type Condition<A> = fn(&AppModel<A>, &StateOf<A>) -> bool;

/// stateright takes a property's condition as a plain function: one for each place.
fn conditions<A: App>() -> [Condition<A>; INVARIANTS] {
    fn at<A: App, const PLACE: usize>(model: &AppModel<A>, state: &StateOf<A>) -> bool {
        model.is_fine(PLACE, state)
    }
    macro_rules! at_each {
        ($($place:literal)*) => { [$(at::<A, $place>),*] };
    }
    at_each!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31)
}

/// States that differ only in the order of commits within one moment of the clock are one: below a second, timestamps
/// decide nothing (each time of the clock lies after every timestamp given before it by the whole seconds between).
impl<R, M> State<R, M> {
    fn accounts(&self) -> impl Iterator<Item = Account> {
        self.ledger.accounts().map(|account| Account { timestamp: Timestamp(0), ..*account })
    }

    fn transfers(&self) -> impl Iterator<Item = (Transfer, Phase)> {
        let to_the_second = |time: Timestamp| Timestamp(time.0 / SECOND);
        self.ledger
            .transfers()
            .map(move |(of, phase)| (Transfer { timestamp: to_the_second(of.timestamp), ..*of }, phase))
    }

    fn rest(&self) -> (&R, &[Task<M>], &Option<M>, u8, u8, u64) {
        (&self.rows, &self.tasks, &self.recovering, self.crashes, self.moment, self.ids)
    }
}

impl<R: Hash, M: Hash> Hash for State<R, M> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.rest().hash(hasher);
        self.accounts().collect::<Vec<_>>().hash(hasher);
        self.transfers().collect::<Vec<_>>().hash(hasher);
        self.ledger.burnt().collect::<Vec<_>>().hash(hasher);
    }
}

impl<R: PartialEq, M: PartialEq> PartialEq for State<R, M> {
    fn eq(&self, other: &Self) -> bool {
        self.rest() == other.rest()
            && self.accounts().eq(other.accounts())
            && self.transfers().eq(other.transfers())
            && self.ledger.burnt().eq(other.ledger.burnt())
    }
}

impl<R: fmt::Debug, M: fmt::Debug> fmt::Debug for State<R, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("rows", &self.rows)
            .field("tasks", &self.tasks)
            .field("recovering", &self.recovering)
            .field("moment", &self.moment)
            .finish_non_exhaustive()
    }
}
