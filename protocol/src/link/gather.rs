//! Letting other processes go first, so that more messages share a turn.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::Receiver;

/// How often a loop that has something to do gives the processor away first, and for how long in all.
const YIELDS_MAX: u32 = 16;
const GATHER_MAX: Duration = Duration::from_millis(20);
/// A thread that yields the processor and has it back sooner has it for itself.
const ALONE: Duration = Duration::from_micros(50);

/// Takes what more comes while others have the processor, up to `max` events.
///
/// Many nodes on few processors wake each other with a few messages at a time, and each turn has a price that does not depend on
/// how many share it: a commit, a sync, a signature that all others check. A node that lets everybody who can run go first finds
/// what they sent, and pays once. With a processor for itself a yield is over in a microsecond, and this ends at once.
///
/// An event that may not wait, there already or coming, ends it.
pub(super) async fn gather<E>(
    events: &mut Receiver<E>,
    taken: &mut Vec<E>,
    max: usize,
    may_wait: impl Fn(&E) -> bool,
) {
    let begun = Instant::now();
    for _ in 0..YIELDS_MAX {
        if taken.len() >= max || begun.elapsed() > GATHER_MAX || !taken.iter().all(&may_wait) {
            return;
        }
        let yielded = Instant::now();
        std::thread::yield_now();
        let gone = yielded.elapsed();
        // The links read what has arrived meanwhile.
        tokio::task::yield_now().await;
        take_all(events, taken, max);
        if gone < ALONE {
            return;
        }
    }
}

/// Takes the events that are there.
pub(super) fn take_all<E>(events: &mut Receiver<E>, taken: &mut Vec<E>, max: usize) {
    let room = max.saturating_sub(taken.len());
    taken.extend(std::iter::from_fn(|| events.try_recv().ok()).take(room));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_comes_is_taken_in_order_up_to_the_limit_and_to_what_may_not_wait() {
        let (sender, mut events) = tokio::sync::mpsc::channel(8);
        let mut taken = vec![0];
        (1..=5).for_each(|n| sender.try_send(n).unwrap());
        gather(&mut events, &mut taken, 4, |_| true).await;
        assert_eq!(taken, [0, 1, 2, 3], "in order, and no more than fit");
        gather(&mut events, &mut taken, 9, |_| true).await;
        assert_eq!(taken, [0, 1, 2, 3, 4, 5]);
        sender.try_send(6).unwrap();
        gather(&mut events, &mut taken, 9, |event| *event != 5).await;
        assert_eq!(events.len(), 1, "what may not wait is handled first");
        assert_eq!(events.recv().await, Some(6));
    }
}
