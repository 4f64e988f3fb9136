//! Which peers there are, their connections, and what waits for those that have none.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::outbox::Outbox;
use super::{ConnectionId, Limits, Misbehaviour};
use crate::message::Message;
use crate::network::Network;
use crate::role::{Peer, Role};

/// Shared by the node's threads and the tasks of its links.
#[derive(Debug)]
pub(crate) struct Registry {
    inner: Mutex<Inner>,
    limits: Limits,
    /// Wakes [`Registry::finish`].
    ended: Notify,
}

#[derive(Debug)]
struct Inner {
    peers: BTreeMap<Peer, Entry>,
    connections: BTreeMap<ConnectionId, Arc<Outbox>>,
    next: u64,
    /// No more connections: the node is stopping.
    finishing: bool,
}

#[derive(Debug, Default)]
struct Entry {
    /// Oldest first.
    connections: Vec<(ConnectionId, Arc<Outbox>)>,
    /// Waits for a connection; used only where we can call.
    parked: VecDeque<Message>,
    /// Wakes the peer's dialer, if it has one.
    wanted: Option<Arc<Notify>>,
}

impl Entry {
    fn park(&mut self, messages: impl IntoIterator<Item = Message>, max: usize) -> u64 {
        self.parked.extend(messages);
        let excess = self.parked.len().saturating_sub(max);
        self.parked.drain(..excess);
        if let Some(wanted) = &self.wanted {
            wanted.notify_one();
        }
        excess as u64
    }
}

/// Whether each connection of such a peer is another program, rather than a newer link to the same one.
fn is_many(role: Role) -> bool {
    matches!(role, Role::App | Role::Operator)
}

impl Registry {
    /// Knows every peer that can be called.
    pub(crate) fn new(network: &Network, me: &Peer, limits: Limits) -> Self {
        let callable = network.nodes().filter(|(peer, node)| *peer != me && node.address.is_some());
        let entry = || Entry { wanted: Some(Arc::new(Notify::new())), ..Entry::default() };
        let peers = callable.map(|(peer, _)| (peer.clone(), entry())).collect();
        let inner = Inner { peers, connections: BTreeMap::new(), next: 0, finishing: false };
        Self { inner: Mutex::new(inner), limits, ended: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code that could panic runs under the lock, so its content is sound whatever the flag says.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues messages; returns how many had to be dropped.
    pub(crate) fn send(&self, peer: &Peer, messages: Vec<Message>) -> u64 {
        let mut inner = self.lock();
        let count = messages.len() as u64;
        let Some(entry) = inner.peers.get_mut(peer) else { return count };
        match &entry.connections[..] {
            [] if entry.wanted.is_some() => entry.park(messages, self.limits.queue_messages_max),
            [] => count,
            [others @ .., (_, newest)] => {
                let others = if is_many(peer.role) { others } else { &[] };
                let dropped: u64 =
                    others.iter().map(|(_, outbox)| outbox.push(messages.iter().cloned())).sum();
                dropped + newest.push(messages)
            }
        }
    }

    /// Queues messages for one connection; returns how many had to be dropped.
    pub(crate) fn reply(&self, connection: ConnectionId, messages: Vec<Message>) -> u64 {
        let outbox = self.lock().connections.get(&connection).cloned();
        match outbox {
            Some(outbox) => outbox.push(messages),
            None => messages.len() as u64,
        }
    }

    pub(crate) fn is_connected(&self, peer: &Peer) -> bool {
        self.lock().peers.get(peer).is_some_and(|entry| !entry.connections.is_empty())
    }

    /// Enters a new connection, which gets what was waiting for the peer. `None` when the node is stopping.
    pub(crate) fn connected(&self, peer: &Peer) -> Result<Option<(ConnectionId, Arc<Outbox>)>, Misbehaviour> {
        let mut inner = self.lock();
        if inner.finishing {
            return Ok(None);
        }
        let id = ConnectionId(inner.next);
        let outbox = Arc::new(Outbox::new(self.limits.queue_messages_max));
        let entry = inner.peers.entry(peer.clone()).or_default();
        if is_many(peer.role) {
            if entry.connections.len() >= self.limits.connections_per_app_max {
                return Err(Misbehaviour::TooManyConnections);
            }
        } else if entry.connections.len() >= self.limits.connections_per_node_max {
            // A node has one link in use: the oldest are left over from before it restarted.
            let (_, oldest) = entry.connections.remove(0);
            outbox.push(oldest.close());
        }
        outbox.push(std::mem::take(&mut entry.parked));
        entry.connections.push((id, Arc::clone(&outbox)));
        inner.next += 1;
        inner.connections.insert(id, Arc::clone(&outbox));
        Ok(Some((id, outbox)))
    }

    /// Removes a connection; what it had not sent goes the next way there is. Returns how many messages had none.
    pub(crate) fn disconnected(&self, peer: &Peer, id: ConnectionId) -> u64 {
        let mut inner = self.lock();
        let Some(outbox) = inner.connections.remove(&id) else { return 0 };
        let rest = outbox.close();
        let finishing = inner.finishing;
        let mut dropped = rest.len() as u64;
        if let Some(entry) = inner.peers.get_mut(peer) {
            entry.connections.retain(|(other, _)| *other != id);
            if !is_many(peer.role) && !rest.is_empty() && !finishing {
                dropped = match entry.connections.last() {
                    Some((_, other)) => other.push(rest),
                    None if entry.wanted.is_some() => entry.park(rest, self.limits.queue_messages_max),
                    None => dropped,
                };
            }
            if entry.connections.is_empty() && entry.wanted.is_none() {
                inner.peers.remove(peer);
            }
        }
        drop(inner);
        self.ended.notify_waiters();
        dropped
    }

    /// Waits until something waits for a peer that has no connection. Only the peer's dialer may wait here.
    pub(crate) async fn wanted(&self, peer: &Peer) {
        loop {
            let wanted = {
                let inner = self.lock();
                let Some(entry) = inner.peers.get(peer) else { return };
                if !entry.parked.is_empty() && entry.connections.is_empty() && !inner.finishing {
                    return;
                }
                entry.wanted.clone()
            };
            match wanted {
                Some(wanted) => wanted.notified().await,
                None => return,
            }
        }
    }

    /// Takes no more connections, lets each send what it has, and waits until all have ended, at most `grace`.
    pub(crate) async fn finish(&self, grace: Duration) {
        {
            let mut inner = self.lock();
            inner.finishing = true;
            inner.connections.values().for_each(|outbox| outbox.finish());
        }
        let all_ended = async {
            loop {
                let ended = self.ended.notified();
                if self.lock().connections.is_empty() {
                    return;
                }
                ended.await;
            }
        };
        // What did not make it in time is lost, as on a broken connection.
        let _ = tokio::time::timeout(grace, all_ended).await;
    }
}
