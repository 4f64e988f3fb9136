//! A connection of a payment app or an operator to one node.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout;

use super::outbox::Outbox;
use super::registry::Registry;
use super::{Counters, Inbound, Limits, LinkError, LinkStats, Shared, connection, dial};
use crate::message::Message;
use crate::network::{Identity, Network};
use crate::role::Peer;
use crate::tls;

/// How many batches of replies wait for the app before nothing more is read.
const INBOX_BATCHES: usize = 64;
/// How many messages are queued between looks at the room left.
const SEND_AT_ONCE: usize = 512;

/// One connection, for programs that ask and wait: `hundi pay`, an app's backend. It does not call again by itself; what
/// was not answered when it ends is to be asked again, there or elsewhere, and repeats are harmless (R9).
pub struct Client {
    shared: Arc<Shared>,
    sender: ClientSender,
    inbox: mpsc::Receiver<Vec<Message>>,
    connection: JoinHandle<LinkError>,
    /// Why the connection ended, once that is known.
    over: Option<LinkError>,
}

/// The sending half of a [`Client`], for another task.
#[derive(Debug, Clone)]
pub struct ClientSender(Arc<Outbox>);

impl ClientSender {
    /// Queues messages, waiting while too many are queued already.
    ///
    /// # Errors
    /// [`LinkError::Disconnected`] when the connection is over.
    pub async fn send(&self, messages: Vec<Message>) -> Result<(), LinkError> {
        for message in &messages {
            if let Message::Submit { order } = message {
                order.expect_back(); // In a certificate.
            }
        }
        let mut rest = messages.into_iter();
        while rest.len() > 0 {
            // A few at a time: after waiting for room for half a queue, they fit.
            let some = rest.by_ref().take(SEND_AT_ONCE);
            if !self.0.room().await || self.0.push(some) > 0 {
                return Err(LinkError::Disconnected("the connection is over".to_owned()));
            }
        }
        Ok(())
    }
}

impl Client {
    /// Calls a node, and waits until it has accepted us. Needs a tokio runtime with network and time.
    ///
    /// # Errors
    /// [`LinkError`]: no answer, another node's answer, we are refused, or our own key does not work.
    pub async fn connect(
        identity: &Identity,
        network: Arc<Network>,
        peer: &Peer,
        limits: Limits,
    ) -> Result<Self, LinkError> {
        let address = network.node(peer).and_then(|node| node.address.clone());
        let address =
            address.ok_or_else(|| LinkError::Local(format!("network.toml has no address for {peer}")))?;
        let config = tls::client_config(identity, Arc::clone(&network), peer)
            .map_err(|e| LinkError::Local(e.to_string()))?;
        let dialer = dial::Dialer { peer: peer.clone(), address, config };
        let late = || LinkError::Disconnected("no answer in time".to_owned());
        let stream = timeout(limits.handshake_timeout, dial::call(&dialer)).await.map_err(|_| late())??;

        let (deliver, inbox) = mpsc::channel(INBOX_BATCHES);
        let deliver = move |inbound: Inbound| match deliver.try_send(inbound.messages) {
            Err(mpsc::error::TrySendError::Full(messages)) => Err(Inbound { messages, ..inbound }),
            // Nobody listens any more: what arrives goes nowhere.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
        };
        let me = identity.peer().clone();
        let registry = Registry::new(&network, &me, limits.clone());
        let handshake_timeout = limits.handshake_timeout;
        let counters = Counters::default();
        let shared = Arc::new(Shared { me, network, limits, registry, counters, deliver: Arc::new(deliver) });
        let mut opened = connection::open(&shared, peer)?;
        let (accepted, acceptance) = oneshot::channel();
        opened.accepted = Some(accepted);
        let sender = ClientSender(Arc::clone(&opened.outbox));
        let (for_task, peer) = (Arc::clone(&shared), peer.clone());
        let connection =
            tokio::spawn(async move { connection::run(&for_task, &peer, opened, stream).await.why });
        let mut client = Self { shared, sender, inbox, connection, over: None };
        match timeout(handshake_timeout, acceptance).await {
            Ok(Ok(())) => Ok(client),
            Ok(Err(_)) => Err(client.why_over().await),
            Err(_) => Err(late()),
        }
    }

    /// Queues messages, waiting while too many are queued already.
    ///
    /// # Errors
    /// [`LinkError::Disconnected`] when the connection is over.
    pub async fn send(&self, messages: Vec<Message>) -> Result<(), LinkError> {
        self.sender.send(messages).await
    }

    /// The sending half, to send from one task while another receives.
    #[must_use]
    pub fn sender(&self) -> ClientSender {
        self.sender.clone()
    }

    /// Waits for replies.
    ///
    /// # Errors
    /// Why the connection ended, once all that had arrived has been received.
    pub async fn receive(&mut self) -> Result<Vec<Message>, LinkError> {
        if self.over.is_none() {
            tokio::select! {
                biased;
                Some(messages) = self.inbox.recv() => return Ok(messages),
                why = &mut self.connection => self.over = Some(of_task(why)),
            }
        }
        match self.inbox.try_recv() {
            Ok(messages) => Ok(messages),
            Err(_) => Err(self.why_over().await),
        }
    }

    /// Sends what is queued and closes.
    pub async fn close(mut self) {
        self.sender.0.finish();
        self.why_over().await;
    }

    /// The counters of this connection.
    #[must_use]
    pub fn stats(&self) -> LinkStats {
        self.shared.counters.read()
    }

    async fn why_over(&mut self) -> LinkError {
        if self.over.is_none() {
            self.over = Some(of_task((&mut self.connection).await));
        }
        self.over.clone().unwrap_or_else(|| LinkError::Disconnected("closed".to_owned()))
    }
}

fn of_task(ended: Result<LinkError, JoinError>) -> LinkError {
    ended.unwrap_or_else(|e| LinkError::Local(e.to_string()))
}

impl Drop for Client {
    /// What is queued is still sent, if the runtime goes on.
    fn drop(&mut self) {
        self.sender.0.finish();
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("me", &self.shared.me)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}
