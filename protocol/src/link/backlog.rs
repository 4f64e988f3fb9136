//! What waits for a node's loop.

use std::collections::VecDeque;
use std::time::Instant;
use std::vec::IntoIter;

use tokio::sync::mpsc::Receiver;

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
    /// The events that a loop is to look at now: waits for one only if no message waits for its turn. `None` when nobody
    /// is left who could send one. Where messages come singly and soon one after the other it waits awake, for two milliseconds at most.
    pub async fn next_events<E>(&mut self, events: &mut Receiver<E>) -> Option<Vec<E>> {
        let mut taken = Vec::new();
        if self.frames.is_empty() {
            self.watch.watch(events).await;
            let came = events.recv_many(&mut taken, EVENTS_MAX).await > 0;
            self.watch.came(Instant::now());
            return came.then_some(taken);
        }
        if self.frames.len() < EVENTS_MAX {
            taken.extend(std::iter::from_fn(|| events.try_recv().ok()).take(EVENTS_MAX));
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
        assert_eq!(backlog.next_events(&mut events).await, Some(vec![1]));
        backlog.push(frame(1, 0..1));
        assert_eq!(backlog.next_events(&mut events).await, Some(vec![]), "at once");
        assert_eq!(shown(&backlog.take_turn(9)), [(1, 1)]);
        assert!(backlog.is_empty());
        backlog.push(frame(2, 0..2));
        backlog.clear();
        assert!(backlog.is_empty());
        drop(sender);
        assert_eq!(backlog.next_events(&mut events).await, None);
    }
}
