//! Whether to wait a moment before the next commit, so that callers who were just answered can be in it.
//!
//! Threads that call again and again come back at once. A commit that leaves before they are there makes two halves
//! of them take turns, and each half pays for a sync of its own.

use std::time::{Duration, Instant};

use super::queue::Sleep;

/// Bounds of the wait; within them it is as long as the last commit took.
const WAIT_MIN: Duration = Duration::from_micros(200);
const WAIT_MAX: Duration = Duration::from_millis(2);
/// Every so many commits all who were answered are waited for, not only as many as came back the last time.
const PROBE_EVERY: u32 = 8;

/// One wait.
#[derive(Clone, Copy, Debug)]
struct Open {
    /// Events that waited when it began.
    before: usize,
    /// Events to wait for, those included.
    wanted: usize,
    until: Instant,
}

/// Learns how many callers come back at once, and waits for no more.
#[derive(Debug)]
pub(super) struct Gather {
    returning: usize,
    commits: u32,
    open: Option<Open>,
}

impl Gather {
    pub(super) fn new() -> Self {
        Self { returning: usize::MAX, commits: 0, open: None }
    }

    /// So many callers have been answered after a commit that took so long, while `before` events waited already.
    pub(super) fn begin(&mut self, answered: usize, before: usize, commit: Duration) {
        self.commits = self.commits.wrapping_add(1);
        let probe = self.commits.is_multiple_of(PROBE_EVERY);
        let expected = if probe { answered } else { answered.min(self.returning) };
        // With nobody waiting there is nobody to keep waiting: whoever comes first goes first.
        if expected > 0 && before + expected > 1 {
            let until = Instant::now() + commit.clamp(WAIT_MIN, WAIT_MAX);
            self.open = Some(Open { before, wanted: before + expected, until });
        }
    }

    /// Whether the next commit is to wait.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// How to sleep while gathering.
    pub(super) fn sleep(&self, now: impl FnOnce() -> Instant) -> Option<Sleep> {
        let Open { wanted, until, .. } = self.open?;
        Some(Sleep { time: until.saturating_duration_since(now()), wanted })
    }

    /// So many events wait now: the commit goes ahead.
    pub(super) fn end(&mut self, waiting: usize) {
        if let Some(Open { before, .. }) = self.open.take() {
            self.returning = waiting.saturating_sub(before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_for_as_many_as_came_back_the_last_time() {
        let mut gather = Gather::new();
        let wanted = |gather: &Gather| gather.sleep(Instant::now).map(|sleep| sleep.wanted);
        gather.begin(64, 0, WAIT_MIN);
        assert_eq!(wanted(&gather), Some(64));
        gather.end(5);
        gather.begin(64, 3, WAIT_MIN);
        assert_eq!(wanted(&gather), Some(8));
        gather.end(3);
        for _ in 3..PROBE_EVERY {
            gather.begin(64, 3, WAIT_MIN);
            assert_eq!(wanted(&gather), None, "nobody came back");
            gather.end(0);
        }
        gather.begin(64, 3, WAIT_MIN);
        assert_eq!(wanted(&gather), Some(67), "now and then it looks again");
    }

    #[test]
    fn a_single_caller_never_waits_for_itself() {
        let mut gather = Gather::new();
        gather.begin(1, 0, WAIT_MAX);
        assert!(gather.sleep(Instant::now).is_none());
    }
}
