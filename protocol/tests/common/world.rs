//! A network in a temporary folder, and nodes of it on real sockets.
#![allow(
    dead_code,
    clippy::unwrap_used,
    unreachable_pub,
    missing_docs,
    reason = "shared by several test binaries"
)]

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use hundi_protocol::*;

use super::bank;

pub const SECOND: Duration = Duration::from_secs(1);
/// Far more than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A network on disk with banks alpha and beta, coordinator c1 and app shop, and a listener for each that listens.
pub struct World {
    pub dir: tempfile::TempDir,
    pub network: Arc<Network>,
    pub listeners: Vec<(Peer, TcpListener)>,
}

pub fn plan(listeners: &[(Peer, TcpListener)]) -> Plan {
    let address = |peer: &Peer| {
        let (_, listener) = listeners.iter().find(|(p, _)| p == peer).unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let banks =
        ["alpha", "beta"].map(|name| Member { name: bank(name), address: address(&Peer::bank(bank(name))) });
    let c1: NodeName = "c1".parse().unwrap();
    Plan {
        network: "test".to_owned(),
        banks: banks.to_vec(),
        coordinators: vec![Member { name: c1.clone(), address: address(&Peer::coordinator(c1)) }],
        apps: vec!["shop".parse().unwrap()],
        seed: None,
        now: SystemTime::now(),
        valid_for: 3600 * SECOND,
    }
}

pub fn peer(text: &str) -> Peer {
    Peer::from_uri(&format!("spiffe://hundi/{text}")).unwrap()
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listeners: Vec<_> = ["bank/alpha", "bank/beta", "coordinator/c1"]
            .map(|p| (peer(p), TcpListener::bind("127.0.0.1:0").unwrap()))
            .into();
        init(dir.path(), &plan(&listeners)).unwrap();
        let network = Arc::new(Network::load(&dir.path().join(NETWORK_FILE)).unwrap());
        Self { dir, network, listeners }
    }

    pub fn folder(&self, who: &Peer) -> std::path::PathBuf {
        self.dir.path().join(Identity::folder(who))
    }

    pub fn identity(&self, who: &str) -> Identity {
        Identity::load(&self.folder(&peer(who)), &self.network).unwrap()
    }

    pub fn start(&self, who: &str) -> Running {
        self.start_with(who, Limits::default(), 1024)
    }

    pub fn start_with(&self, who: &str, limits: Limits, inbox: usize) -> Running {
        let listener =
            self.listeners.iter().find(|(p, _)| *p == peer(who)).map(|(_, l)| l.try_clone().unwrap());
        let (sender, inbox) = sync_channel(inbox);
        let options = LinkOptions {
            identity: self.identity(who),
            network: Arc::clone(&self.network),
            listener,
            deliver: deliver_to(sender),
            limits,
        };
        let (sender, link) = sync_channel(1);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let node = Link::run(options, PATIENCE, move |link| async move {
            sender.send(link).unwrap();
            let _ = stopped.await; // An error is a stop too.
        });
        Running { node: node.unwrap(), stop, link: link.recv().unwrap(), inbox }
    }
}

pub fn deliver_to(sender: SyncSender<Inbound>) -> Deliver {
    Arc::new(move |inbound| match sender.try_send(inbound) {
        Err(std::sync::mpsc::TrySendError::Full(back)) => Err(back),
        _ => Ok(()),
    })
}

pub struct Running {
    node: JoinHandle<()>,
    stop: tokio::sync::oneshot::Sender<()>,
    pub link: Link,
    pub inbox: Receiver<Inbound>,
}

impl Running {
    /// Sends what is queued and closes.
    pub fn shutdown(self) {
        let _ = self.stop.send(());
        self.node.join().unwrap();
    }

    /// Waits for `count` messages from one peer.
    pub fn receive(&self, from: &str, count: usize) -> Vec<Message> {
        let mut messages = Vec::new();
        while messages.len() < count {
            let inbound = self.inbox.recv_timeout(PATIENCE).unwrap();
            assert_eq!(inbound.peer, peer(from));
            messages.extend(inbound.messages);
        }
        assert_eq!(messages.len(), count);
        messages
    }

    pub fn hears_nothing(&self) {
        assert!(self.inbox.recv_timeout(SECOND / 5).is_err());
    }
}

pub fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let until = std::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(std::time::Instant::now() < until, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn status(i: u8) -> Message {
    Message::Status { payment: Digest([i; 32]) }
}

pub fn run<F: Future>(f: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(f)
}
