//! Links between nodes: authenticated, batched, bounded, reconnecting.
//!
//! One thread runs all of a node's links, and may run the node's own loop between them ([`Link::run`]): a message then
//! passes a node without waking another thread. What arrives is handed to a function of the node's, whole batches at a
//! time; what is to be sent is queued per peer, and everything queued goes out in as few frames and writes as it fits.
//! Messages may be lost (a full queue drops its oldest, a broken connection what was on the way) and the protocol
//! above is made for that (R9). What arrives was sent by the named peer, and is something that its role may send.

mod backlog;
mod client;
mod connection;
mod dial;
mod error;
mod gather;
mod listen;
mod outbox;
mod registry;
mod strangers;
mod watch;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::message::Message;
use crate::network::{Identity, Network};
use crate::role::Peer;
use crate::tls;
use registry::Registry;

pub use backlog::Backlog;
pub use client::{Client, ClientSender};
pub use error::{LinkError, Misbehaviour};

/// One connection of a peer, for answers that only that one should get. Never used twice by a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Messages as they arrived, in their order.
#[derive(Debug)]
pub struct Inbound {
    /// Who sent them, by its certificate.
    pub peer: Peer,
    /// On which connection.
    pub connection: ConnectionId,
    /// At least one; each of a kind that the peer's role may send to ours.
    pub messages: Vec<Message>,
}

/// Takes what arrives. It must not block: an `Err` gives the batch back because there is no room, and then nothing
/// more is read from that connection until there is.
pub type Deliver = Arc<dyn Fn(Inbound) -> Result<(), Inbound> + Send + Sync>;

/// Bounds of everything that a peer could make large or slow.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Messages waiting for one peer; beyond that the oldest are dropped.
    pub queue_messages_max: usize,
    /// Connections of one bank or coordinator; a newer one replaces the oldest.
    pub connections_per_node_max: usize,
    /// Connections of one app or operator; further ones are refused.
    pub connections_per_app_max: usize,
    /// Connections that have not shown who they are yet; one more takes the place of the oldest of them.
    pub handshakes_max: usize,
    /// For a call to be answered and both sides to show who they are.
    pub handshake_timeout: Duration,
    /// From the first byte of a frame to its last.
    pub frame_timeout: Duration,
    /// With nothing at all from the peer, which sends a sign of life more often than that.
    pub idle_timeout: Duration,
    /// Between signs of life.
    pub alive_interval: Duration,
    /// For the peer to take what we write.
    pub write_timeout: Duration,
    /// Before the second call to a peer that does not answer; doubles with each, with jitter.
    pub redial_min: Duration,
    /// At most between two calls.
    pub redial_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_messages_max: 65_536,
            connections_per_node_max: 4,
            connections_per_app_max: 64,
            handshakes_max: 64,
            handshake_timeout: Duration::from_secs(5),
            frame_timeout: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(30),
            alive_interval: Duration::from_secs(10),
            write_timeout: Duration::from_secs(20),
            redial_min: Duration::from_millis(20),
            redial_max: Duration::from_secs(2),
        }
    }
}

/// What a node needs for its links.
pub struct LinkOptions {
    /// Who we are.
    pub identity: Identity,
    /// Who the others are.
    pub network: Arc<Network>,
    /// Where others call us; `None` only calls.
    pub listener: Option<TcpListener>,
    /// Takes what arrives.
    pub deliver: Deliver,
    /// Bounds.
    pub limits: Limits,
}

/// Counters since the start, for benchmarks and operators.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Bytes of frames written, before encryption.
    pub bytes_sent: u64,
    /// Bytes of frames read, after decryption.
    pub bytes_received: u64,
    /// Messages written.
    pub messages_sent: u64,
    /// Messages read and delivered.
    pub messages_received: u64,
    /// Writes to a connection: messages per write tells how well they are batched.
    pub writes: u64,
    /// Messages dropped because a queue was full, or nobody was there to get them.
    pub messages_dropped: u64,
    /// Connections closed because the peer sent what it must not.
    pub peers_misbehaved: u64,
    /// Calls refused before the peer was known.
    pub handshakes_failed: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    bytes_sent: AtomicU64,
    bytes_received: AtomicU64,
    messages_sent: AtomicU64,
    messages_received: AtomicU64,
    writes: AtomicU64,
    messages_dropped: AtomicU64,
    peers_misbehaved: AtomicU64,
    handshakes_failed: AtomicU64,
}

impl Counters {
    fn read(&self) -> LinkStats {
        LinkStats {
            bytes_sent: self.bytes_sent.load(Relaxed),
            bytes_received: self.bytes_received.load(Relaxed),
            messages_sent: self.messages_sent.load(Relaxed),
            messages_received: self.messages_received.load(Relaxed),
            writes: self.writes.load(Relaxed),
            messages_dropped: self.messages_dropped.load(Relaxed),
            peers_misbehaved: self.peers_misbehaved.load(Relaxed),
            handshakes_failed: self.handshakes_failed.load(Relaxed),
        }
    }
}

/// What the tasks of one node share.
pub(crate) struct Shared {
    me: Peer,
    network: Arc<Network>,
    limits: Limits,
    registry: Registry,
    counters: Counters,
    deliver: Deliver,
}

/// Queues messages for a node's links, from any thread. Cheap to clone.
#[derive(Clone)]
pub struct Link(Arc<Shared>);

impl Link {
    /// Starts the thread that runs the links, and on it `node`: the program that the links are for. When that ends, what is
    /// queued for connected peers is still sent, for at most `grace`, and everything is closed; then the thread ends with
    /// what `node` came to.
    ///
    /// Between two of its `await`s `node` has the thread for itself, and nothing is read or written.
    ///
    /// # Errors
    /// [`LinkError::Local`] when our own certificate, key, listener or machine is not up to it.
    pub fn run<N, T>(
        options: LinkOptions,
        grace: Duration,
        node: impl FnOnce(Link) -> N + Send + 'static,
    ) -> Result<JoinHandle<T>, LinkError>
    where
        N: Future<Output = T>,
        T: Send + 'static,
    {
        let LinkOptions { identity, network, listener, deliver, limits } = options;
        let local = |e: &dyn std::fmt::Display| LinkError::Local(e.to_string());
        let accept = tls::server_config(&identity, Arc::clone(&network)).map_err(|e| local(&e))?;
        let me = identity.peer().clone();
        let registry = Registry::new(&network, &me, limits.clone());
        let shared =
            Arc::new(Shared { me, network, limits, registry, counters: Counters::default(), deliver });
        let dialers = dial::prepare(&shared, &identity).map_err(|e| local(&e))?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| local(&e))?;
        let listener = match listener {
            Some(listener) => {
                listener.set_nonblocking(true).map_err(|e| local(&e))?;
                let _in_runtime = runtime.enter();
                Some(tokio::net::TcpListener::from_std(listener).map_err(|e| local(&e))?)
            }
            None => None,
        };
        let run = move || {
            runtime.block_on(async {
                for dialer in dialers {
                    tokio::spawn(dial::run(Arc::clone(&shared), dialer));
                }
                if let Some(listener) = listener {
                    tokio::spawn(listen::run(Arc::clone(&shared), listener, accept));
                }
                let result = node(Link(Arc::clone(&shared))).await;
                shared.registry.finish(grace).await;
                result
            })
        };
        std::thread::Builder::new().name("hundi-node".to_owned()).spawn(run).map_err(|e| local(&e))
    }

    /// Queues messages for a peer; returns at once. A bank or coordinator that is not connected is called; an app or
    /// operator gets them on each of its connections, and if it has none they are dropped.
    pub fn send(&self, peer: &Peer, messages: Vec<Message>) {
        let dropped = self.0.registry.send(peer, messages);
        self.0.counters.messages_dropped.fetch_add(dropped, Relaxed);
    }

    /// Queues messages for one connection; dropped when that has ended.
    pub fn reply(&self, connection: ConnectionId, messages: Vec<Message>) {
        let dropped = self.0.registry.reply(connection, messages);
        self.0.counters.messages_dropped.fetch_add(dropped, Relaxed);
    }

    /// Whether the peer has a connection now.
    #[must_use]
    pub fn is_connected(&self, peer: &Peer) -> bool {
        self.0.registry.is_connected(peer)
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> LinkStats {
        self.0.counters.read()
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("me", &self.0.me).field("stats", &self.stats()).finish_non_exhaustive()
    }
}
