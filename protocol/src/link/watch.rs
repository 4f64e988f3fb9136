//! Whether a loop that has nothing to do should sleep.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::Receiver;

/// A gap that is worth watching through. With one payment after the other between two banks a coordinator waits for half a
/// millisecond at a time, a bank for one or two: where processors are few it would be in the way of those who have something to do.
const GAP_MAX: Duration = Duration::from_millis(1);
/// After a turn of more messages a node is busy, and what comes next shares its writes; to come sooner would not help it.
const MESSAGES_MAX: usize = 4;
/// A thread that yields the processor, and has it back only after so long, shares it with others that have work to do.
const ALONE: Duration = Duration::from_micros(100);
/// Of the last eight gaps so many must have been short.
const SHORT_GAPS_MIN: u32 = 5;

/// Keeps a node awake while messages come singly and soon one after the other.
///
/// To wake a thread on an idle processor takes some 40 µs, longer on virtual machines, and a payment alone in a network waits
/// for six such wake-ups. Under load nobody sleeps, and nothing here is used; nor is it where most gaps are long. A watch
/// that was in vain, or that another process's work interrupted, is the last until messages come again.
#[derive(Debug)]
pub(super) struct Watch {
    /// The last eight gaps, a bit each: whether it was short.
    gaps: u8,
    /// When a wait last ended with events.
    last: Instant,
    /// The last turn was a small one, and no watch has been in vain since.
    ready: bool,
    /// See [`Watch::is_busy`].
    busy: bool,
    /// See [`ALONE`]. Tests have no say in what else runs.
    alone: Duration,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self { gaps: 0, last: Instant::now(), ready: false, busy: false, alone: ALONE }
    }

    /// Events came.
    pub(super) fn came(&mut self, at: Instant) {
        let short = at.saturating_duration_since(self.last) <= GAP_MAX;
        self.gaps = self.gaps << 1 | u8::from(short);
        self.last = at;
    }

    /// Nothing came for as long as the loop would wait.
    pub(super) fn timed_out(&mut self) {
        self.busy = false;
    }

    /// So many messages were taken to be handled; none when only the clock was looked at.
    pub(super) fn took(&mut self, messages: usize) {
        if messages > 0 {
            self.ready = messages <= MESSAGES_MAX;
            self.busy = messages > 1;
        }
    }

    /// Whether the last turn had more than a single message: there is traffic that could share a turn's price.
    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    fn is_worth_it(&self) -> bool {
        self.ready && self.gaps.count_ones() >= SHORT_GAPS_MIN
    }

    /// Looks for an event, if that is worth it, until there is one, or the gap is a long one, or somebody else wants the
    /// processor, or `wait` is over. The links run meanwhile.
    pub(super) async fn watch<E>(&mut self, events: &Receiver<E>, wait: Duration) {
        if !self.is_worth_it() {
            return;
        }
        let began = Instant::now();
        while events.is_empty() && began.elapsed() < wait {
            let yielded = Instant::now();
            std::thread::yield_now();
            if yielded.elapsed() > self.alone || self.last.elapsed() > GAP_MAX {
                self.ready = false;
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A watch after frames that came with these gaps, in milliseconds, each a turn of so many messages.
    fn after(gaps: &[u64], messages: usize) -> Watch {
        let mut watch = Watch::new();
        for gap in gaps {
            watch.came(watch.last + Duration::from_millis(*gap));
            watch.took(messages);
        }
        watch
    }

    #[test]
    fn only_single_messages_that_come_soon_one_after_the_other_keep_a_loop_awake() {
        assert!(!Watch::new().is_worth_it(), "not before anything came");
        assert!(after(&[1; 5], 1).is_worth_it());
        assert!(after(&[1, 9, 1, 9, 1, 1, 9, 1], 1).is_worth_it(), "five of eight");
        assert!(!after(&[1, 9, 1, 9, 1, 9, 9, 1], 1).is_worth_it(), "four of eight");
        assert!(!after(&[1; 8], MESSAGES_MAX + 1).is_worth_it(), "busy");
    }

    #[test]
    fn the_clock_starts_no_watch_and_ends_none() {
        let mut watch = after(&[1; 8], 1);
        watch.took(0);
        (0..8).for_each(|_| watch.timed_out());
        assert!(watch.is_worth_it());
        watch.ready = false;
        watch.took(0);
        assert!(!watch.is_worth_it());
    }

    #[tokio::test]
    async fn a_watch_ends_with_the_first_event_or_with_a_long_gap() {
        let (sender, events) = tokio::sync::mpsc::channel(1);
        let mut watch = after(&[0; 8], 1);
        watch.alone = Duration::MAX;
        watch.last = Instant::now() + Duration::from_mins(1);
        watch.watch(&events, Duration::from_micros(10)).await;
        assert!(watch.is_worth_it(), "the time was up: nothing is known of the gap");

        let mut watch = after(&[0; 8], 1);
        watch.last = Instant::now();
        watch.watch(&events, Duration::MAX).await;
        assert!(!watch.is_worth_it(), "in vain: the next wait is a sleep");

        // A minute ahead, so that only the event can end it.
        let mut watch = after(&[0; 8], 1);
        watch.alone = Duration::MAX;
        watch.last = Instant::now() + Duration::from_mins(1);
        let ((), sent) = tokio::join!(watch.watch(&events, Duration::MAX), async { sender.try_send(()) });
        sent.unwrap();
        assert_eq!(events.len(), 1);
        assert!(watch.ready, "the event ended it, not the clock");
    }
}
