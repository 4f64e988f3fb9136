//! What waits for a node's loop.

use std::collections::VecDeque;
use std::time::{Duration, Instant};
use std::vec::IntoIter;

use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

use super::gather::{gather, take_all};
use super::watch::Watch;
use super::{ConnectionId, Inbound};
use crate::message::Message;
use crate::role::Peer;

/// How many events are taken from the channel at once. No more are taken while as many frames wait here.
const EVENTS_MAX: usize = 512;

/// Messages in the order of their arrival, taken a turn at a time.
///
/// A loop that does all at once what came together passes it on together: a thousand payments then go through a network in one
/// convoy, and each node idles while the others have it. In turns the next node begins while this one goes on.
#[derive(Debug)]
pub struct Backlog {
    frames: VecDeque<(Peer, ConnectionId, IntoIter<Message>)>,
    watch: Watch,
}

impl Default for Backlog {
    fn default() -> Self {
        Self { frames: VecDeque::new(), watch: Watch::new() }
    }
}

impl Backlog {
    /// The events that a loop is to look at now. Waits for one, at most for `wait`, only if no message waits for its turn; where messages
    /// come singly and soon one after the other it waits awake, for a millisecond at most. `None` when nobody is left who could
    /// send an event. To be awaited to its end: events that were taken would be lost with it.
    ///
    /// `may_wait` says of an event whether more of them would share the price of a turn, as messages share a bank's commits and
    /// signatures. While there is such traffic, and all events may wait, other processes that want the processor have it first, and what
    /// they send comes along.
    pub async fn next_events<E>(
        &mut self,
        events: &mut Receiver<E>,
        wait: Duration,
        may_wait: impl Fn(&E) -> bool,
    ) -> Option<Vec<E>> {
        let mut taken = Vec::new();
        if self.frames.is_empty() {
            let began = Instant::now();
            self.watch.watch(events, wait).await;
            let wait = wait.saturating_sub(began.elapsed());
            match timeout(wait, events.recv_many(&mut taken, EVENTS_MAX)).await {
                Err(_) => {
                    self.watch.timed_out();
                    return Some(taken);
                }
                Ok(0) => return None,
                Ok(_) => self.watch.came(Instant::now()),
            }
            if self.watch.is_busy() {
                gather(events, &mut taken, EVENTS_MAX, may_wait).await;
            }
        } else if self.frames.len() < EVENTS_MAX {
            take_all(events, &mut taken, EVENTS_MAX);
        }
        Some(taken)
    }

    /// A frame arrived.
    pub fn push(&mut self, frame: Inbound) {
        let Inbound { peer, connection, messages } = frame;
        self.frames.push_back((peer, connection, messages.into_iter()));
    }

    /// Drops what waits: whoever sent it asks again (R9).
    pub fn clear(&mut self) {
        self.frames.clear();
    }

    /// Whether no message waits for its turn.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// How many messages wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frames.iter().map(|(_, _, messages)| messages.len()).sum()
    }

    /// What waits, in order.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.frames.iter().flat_map(|(_, _, messages)| messages.as_slice())
    }

    /// Takes so many messages, or all. What is left of a frame stays in front.
    pub fn take_turn(&mut self, messages_max: usize) -> Vec<Inbound> {
        let (mut turn, mut room) = (Vec::new(), messages_max);
        while room > 0
            && let Some((peer, connection, mut left)) = self.frames.pop_front()
        {
            let messages: Vec<Message> = if left.len() <= room {
                left.collect() // Where they are, if the frame is whole.
            } else {
                let first = left.by_ref().take(room).collect();
                self.frames.push_front((peer.clone(), connection, left));
                first
            };
            room -= messages.len();
            turn.push(Inbound { peer, connection, messages });
        }
        self.watch.took(messages_max - room);
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Digest;

    fn frame(connection: u64, payments: std::ops::Range<u8>) -> Inbound {
        let messages = payments.map(|n| Message::Status { payment: Digest([n; 32]) }).collect();
        Inbound { peer: Peer::bank("alpha".parse().unwrap()), connection: ConnectionId(connection), messages }
    }

    fn shown(frames: &[Inbound]) -> Vec<(u64, usize)> {
        frames.iter().map(|frame| (frame.connection.0, frame.messages.len())).collect()
    }

    #[test]
    fn turns_take_every_message_once_and_in_order() {
        let mut backlog = Backlog::default();
        [frame(1, 0..3), frame(2, 3..10), frame(3, 10..11)].into_iter().for_each(|f| backlog.push(f));
        let mut order = Vec::new();
        let mut turns = Vec::new();
        loop {
            let turn = backlog.take_turn(4);
            if turn.is_empty() {
                break;
            }
            turns.push(shown(&turn));
            order.extend(turn.into_iter().flat_map(|frame| frame.messages));
        }
        assert_eq!(turns, [vec![(1, 3), (2, 1)], vec![(2, 4)], vec![(2, 2), (3, 1)]]);
        assert_eq!(order, frame(0, 0..11).messages);
    }

    #[tokio::test]
    async fn what_waits_is_not_kept_waiting_for_more() {
        let (sender, mut events) = tokio::sync::mpsc::channel(4);
        let mut backlog = Backlog::default();
        sender.try_send(1).unwrap();
        let long = Duration::from_secs(60);
        assert_eq!(backlog.next_events(&mut events, long, |_| true).await, Some(vec![1]));
        backlog.push(frame(1, 0..1));
        assert_eq!(backlog.next_events(&mut events, long, |_| true).await, Some(vec![]), "at once");
        assert_eq!(shown(&backlog.take_turn(9)), [(1, 1)]);
        assert!(backlog.is_empty());
        backlog.push(frame(2, 0..2));
        backlog.clear();
        assert!(backlog.is_empty());
        assert_eq!(
            backlog.next_events(&mut events, Duration::ZERO, |_| true).await,
            Some(vec![]),
            "time is up"
        );
        drop(sender);
        assert_eq!(backlog.next_events(&mut events, long, |_| true).await, None);
    }
}
