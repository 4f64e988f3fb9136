//! One coordinator: connected whenever it can be.

use std::sync::Arc;
use std::time::Duration;

use hundi_protocol::{Client, ClientSender, Identity, Limits, Message, Network, Peer};
use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;

/// Between two calls to a coordinator that does not answer.
const CALL_EVERY: Duration = Duration::from_millis(50);

/// What happens on a lane.
#[derive(Debug)]
pub(super) enum LaneEvent {
    /// Connected; send here.
    Up(usize, ClientSender),
    /// The connection is over.
    Down(usize),
    /// The coordinator could not be reached, and why.
    Unreached(usize, String),
    /// What the coordinator said.
    Messages(Vec<Message>),
}

/// One coordinator.
#[derive(Debug)]
pub(super) struct Lane {
    /// Where to send, while connected.
    pub(super) sender: Option<ClientSender>,
    task: JoinHandle<()>,
}

impl Lane {
    /// Calls the coordinator, for as long as the lane lives.
    pub(super) fn open(
        n: usize,
        identity: Identity,
        network: Arc<Network>,
        peer: Peer,
        events: Sender<LaneEvent>,
    ) -> Self {
        let task = tokio::spawn(async move {
            loop {
                match Client::connect(&identity, Arc::clone(&network), &peer, Limits::default()).await {
                    Ok(mut client) => {
                        if events.send(LaneEvent::Up(n, client.sender())).await.is_err() {
                            return;
                        }
                        while let Ok(messages) = client.receive().await {
                            if events.send(LaneEvent::Messages(messages)).await.is_err() {
                                return;
                            }
                        }
                        if events.send(LaneEvent::Down(n)).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => {
                        if events.send(LaneEvent::Unreached(n, error.to_string())).await.is_err() {
                            return;
                        }
                    }
                }
                tokio::time::sleep(CALL_EVERY).await;
            }
        });
        Self { sender: None, task }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.task.abort();
    }
}
