//! Callers that have not shown who they are yet: bounded, and none keeps the next one out.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// At most so often a refused call is logged; the others are counted.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// The calls that are being answered. When there is room for no more, the newest takes the place of the one that has been silent
/// for longest, of the address that has most of them: who shows a certificate does so at once, so a flood from one
/// address makes room for others and at last for itself.
#[derive(Debug)]
pub(super) struct Strangers {
    max: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    /// The oldest first. Dropping the sender shows the caller out.
    calls: VecDeque<(u64, IpAddr, oneshot::Sender<()>)>,
}

/// A call's place among the strangers; dropping it gives the place back.
#[derive(Debug)]
pub(super) struct Place {
    strangers: Arc<Strangers>,
    number: u64,
    /// Ends when the place is given to another.
    pub(super) shown_out: oneshot::Receiver<()>,
}

impl Strangers {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max: max.max(1), waiting: Mutex::default() })
    }

    /// A place for a call from `address`, which may cost another caller its own.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Place {
        let mut waiting = self.lock();
        while waiting.calls.len() >= self.max {
            let at = waiting.to_show_out();
            waiting.calls.remove(at);
        }
        let (sender, shown_out) = oneshot::channel();
        let number = waiting.next;
        waiting.next += 1;
        waiting.calls.push_back((number, address, sender));
        Place { strangers: Arc::clone(self), number, shown_out }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Each change is whole: a panic elsewhere leaves nothing half done.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// The oldest call of the address that has most.
    fn to_show_out(&self) -> usize {
        let mut counts: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for (_, address, _) in &self.calls {
            *counts.entry(*address).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count).map(|(address, _)| address);
        self.calls.iter().position(|(_, address, _)| Some(*address) == most).unwrap_or(0)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.strangers.lock();
        if let Some(at) = waiting.calls.iter().position(|(number, ..)| *number == self.number) {
            waiting.calls.remove(at);
        }
    }
}

/// Keeps a flood of refused calls from flooding the log.
#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<(Option<Instant>, u64)>);

impl Complaints {
    /// How many complaints were kept back since the last one that was logged; `None` if this one is to be kept back too.
    pub(super) fn may_log(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, kept_back) = &mut *state;
        if last.is_some_and(|last| now.saturating_duration_since(last) < LOG_EVERY) {
            *kept_back += 1;
            return None;
        }
        *last = Some(now);
        Some(std::mem::take(kept_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_from_one_address_shows_out_its_own() {
        let strangers = Strangers::new(3);
        let (flood, friend) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let mut friend = strangers.enter(friend);
        let mut calls: Vec<Place> = (0..10).map(|_| strangers.enter(flood)).collect();
        let stays = |place: &mut Place| {
            matches!(place.shown_out.try_recv(), Err(oneshot::error::TryRecvError::Empty))
        };
        assert!(stays(&mut friend));
        let left: Vec<bool> = calls.iter_mut().map(stays).collect();
        assert_eq!(left.iter().filter(|left| **left).count(), 2, "{left:?}");
        assert!(left[8] && left[9], "the newest stay: {left:?}");
        drop(calls);
        assert_eq!(strangers.lock().calls.len(), 1);
    }

    #[test]
    fn complaints_are_counted_and_not_repeated() {
        let complaints = Complaints::default();
        let now = Instant::now();
        let logged: Vec<_> = (0..30).map(|n| complaints.may_log(now + LOG_EVERY * n / 10)).collect();
        let said: Vec<u64> = logged.into_iter().flatten().collect();
        assert_eq!(said, [0, 9, 9]);
    }
}
