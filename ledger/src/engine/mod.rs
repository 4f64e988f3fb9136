//! The state machine: what a batch of events does to the accounts, as a pure function of (state, T, batch).
//!
//! A batch has one timestamp T; event *i* of *n* gets T − n + i + 1. T comes from outside, and [`check_time`] says
//! whether it fits: the engine knows no clock. Everything that can be refused is refused before the first write
//! of an event; writing cannot fail.
//!
//! An `Err` is a failed read of the store and nothing else. It leaves the store in the middle of the batch: roll
//! back to a savepoint taken before, or drop the store.

/// Refuses an event unless the condition holds: `require!(condition, Status)`.
macro_rules! require {
    ($condition:expr, $status:expr) => {
        if !$condition {
            return Err($status);
        }
    };
}

mod accounts;
mod books;
mod expire;
mod repeats;
mod resolve;
mod transfers;

use crate::{
    Account, CreateAccountResult, CreateTransferResult, Last, Store, Timestamp, Transfer, TransferId,
};

pub use expire::expire_at_most;

/// Creates accounts; one result for each event, in order.
///
/// # Errors
/// When the store cannot read.
///
/// # Panics
/// When T does not fit ([`check_time`]).
pub fn create_accounts<S: Store>(
    store: &mut S,
    time: Timestamp,
    events: &[Account],
) -> Result<Vec<CreateAccountResult>, S::Error> {
    assert_eq!(check_time(store.last(), time, events.len()), Ok(()));
    run(store, time, events)
}

/// Creates transfers; one result for each event, in order.
///
/// # Errors
/// When the store cannot read.
///
/// # Panics
/// When T does not fit ([`check_time`]).
pub fn create_transfers<S: Store>(
    store: &mut S,
    time: Timestamp,
    events: &[Transfer],
) -> Result<Vec<CreateTransferResult>, S::Error> {
    assert_eq!(check_time(store.last(), time, events.len()), Ok(()));
    store.prefetch(events)?;
    run(store, time, events)
}

/// Releases what pending transfers reserved whose timeout has passed by T, the earliest first; gives their ids.
///
/// # Errors
/// When the store cannot read.
///
/// # Panics
/// When T does not fit ([`check_time`]).
pub fn expire<S: Store>(store: &mut S, time: Timestamp) -> Result<Vec<TransferId>, S::Error> {
    expire_at_most(store, time, usize::MAX)
}

/// A batch's timestamp does not fit the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTime {
    /// Timestamps start at 1, rise, and a batch of n takes n of them.
    #[error("timestamp {time} is too low: a batch of {events} needs at least {needed} here")]
    TooLow {
        /// What was given.
        time: Timestamp,
        /// How many events the batch has.
        events: usize,
        /// The lowest that fits.
        needed: Timestamp,
    },
    /// Timestamps end at 2^63 − 1.
    #[error("timestamp {0} is too high: the last is 9223372036854775807")]
    TooHigh(Timestamp),
}

/// Whether a batch of `events` may run at T: all its timestamps must lie above the last one in the store.
///
/// # Errors
/// Says what would fit.
pub fn check_time(last: Last, time: Timestamp, events: usize) -> Result<(), BadTime> {
    let needed = next_time(last, Timestamp::FIRST, events);
    if time > Timestamp::LAST {
        Err(BadTime::TooHigh(time))
    } else if time < needed {
        Err(BadTime::TooLow { time, events, needed })
    } else {
        Ok(())
    }
}

/// The T for a batch of `events` when the clock says `now`: the clock's, or the lowest that fits if the clock is late.
/// Of a clock after [`Timestamp::LAST`] it is that; [`check_time`] says when no time is left.
#[must_use]
pub fn next_time(last: Last, now: Timestamp, events: usize) -> Timestamp {
    let events = u64::try_from(events).unwrap_or(u64::MAX);
    Timestamp(last.any().0.saturating_add(events)).max(now.clamp(Timestamp::FIRST, Timestamp::LAST))
}

/// A status, and the timestamp of the object if there is one: the created one, or for `exists` the original.
type Outcome<Status> = (Status, Option<Timestamp>);

/// A kind of event that comes in batches and in linked chains.
trait Event: Copy {
    type Status: Copy + PartialEq;
    type Result;

    fn is_linked(&self) -> bool;
    fn is_imported(&self) -> bool;
    fn timestamp(&self) -> Timestamp;
    fn with_timestamp(self, timestamp: Timestamp) -> Self;
    fn result(status: Self::Status, timestamp: Timestamp) -> Self::Result;
    /// Checks and applies one event that carries its final timestamp.
    fn create<S: Store>(&self, store: &mut S) -> Result<Outcome<Self::Status>, S::Error>;
    /// Told of each event that was refused, after its chain was rolled back.
    fn refused<S: Store>(&self, store: &mut S, status: Self::Status);

    const CREATED: Self::Status;
    const LINKED_EVENT_FAILED: Self::Status;
    const LINKED_EVENT_CHAIN_OPEN: Self::Status;
    const IMPORTED_EVENT_EXPECTED: Self::Status;
    const IMPORTED_EVENT_NOT_EXPECTED: Self::Status;
    const TIMESTAMP_MUST_BE_ZERO: Self::Status;
    const IMPORTED_EVENT_TIMESTAMP_OUT_OF_RANGE: Self::Status;
    const IMPORTED_EVENT_TIMESTAMP_MUST_NOT_ADVANCE: Self::Status;
}

/// A chain of linked events that is being run.
struct Chain<P> {
    /// The index of its first event.
    start: usize,
    /// Where to roll back to; `None` once it is broken, for then it was rolled back.
    savepoint: Option<P>,
}

fn run<S: Store, E: Event>(store: &mut S, time: Timestamp, events: &[E]) -> Result<Vec<E::Result>, S::Error> {
    let Some(first) = events.first() else { return Ok(Vec::new()) };
    let imported = first.is_imported();
    let own_time = |index: usize| Timestamp(time.0 - (events.len() - 1 - index) as u64); // T − n + i + 1
    let mut results = Vec::with_capacity(events.len());
    let mut chain: Option<Chain<S::Savepoint>> = None;

    for (index, event) in events.iter().enumerate() {
        let own = own_time(index);
        if event.is_linked() && chain.is_none() {
            chain = Some(Chain { start: index, savepoint: Some(store.savepoint()) });
        }
        let open = event.is_linked() && index + 1 == events.len();
        let broken = chain.as_ref().is_some_and(|chain| chain.savepoint.is_none());

        let (status, object) = if open {
            (E::LINKED_EVENT_CHAIN_OPEN, None)
        } else if broken {
            (E::LINKED_EVENT_FAILED, None)
        } else if let Some(status) = check_envelope(event, imported, time) {
            (status, None)
        } else if imported {
            event.create(store)?
        } else {
            event.with_timestamp(own).create(store)?
        };
        results.push(E::result(status, object.unwrap_or(own)));

        if status != E::CREATED {
            if let Some(chain) = &mut chain
                && let Some(savepoint) = chain.savepoint.take()
            {
                store.rollback(savepoint);
                for (result, place) in results[chain.start..index].iter_mut().zip(chain.start..) {
                    *result = E::result(E::LINKED_EVENT_FAILED, own_time(place));
                }
            }
            event.refused(store, status);
        }
        if !event.is_linked() || open {
            if let Some(Chain { savepoint: Some(savepoint), .. }) = chain {
                store.release(savepoint);
            }
            chain = None;
        }
    }
    assert!(chain.is_none(), "every chain ends with the batch");
    assert_eq!(results.len(), events.len(), "one result for each event");
    Ok(results)
}

/// What can be refused without a look at the state: the batch's mode and the timestamp's form.
fn check_envelope<E: Event>(event: &E, imported: bool, time: Timestamp) -> Option<E::Status> {
    if event.is_imported() != imported {
        // The first event sets the mode of the batch.
        return Some(if imported { E::IMPORTED_EVENT_EXPECTED } else { E::IMPORTED_EVENT_NOT_EXPECTED });
    }
    if !imported {
        return (event.timestamp() != Timestamp::ZERO).then_some(E::TIMESTAMP_MUST_BE_ZERO);
    }
    if !event.timestamp().is_valid() {
        return Some(E::IMPORTED_EVENT_TIMESTAMP_OUT_OF_RANGE);
    }
    (event.timestamp() >= time).then_some(E::IMPORTED_EVENT_TIMESTAMP_MUST_NOT_ADVANCE)
}

/// Ids that no object can have: 0 and the maximum.
const fn is_int_max(id: u128) -> bool {
    id == u128::MAX
}
