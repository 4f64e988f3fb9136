//! SIGKILL in the middle, and the way back.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hundi_protocol::Peer;
use serde::Serialize;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::cluster::Cluster;
use crate::console;
use crate::failure::Failure;

/// How long a killed node stays down.
const DOWN_FOR: Duration = Duration::from_millis(300);

/// A node that was killed, and when it answered again.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Kill {
    /// Its name.
    pub(super) node: String,
    /// `bank` or `coordinator`.
    pub(super) role: String,
    /// From the kill until it answered a question again.
    pub(super) back_after_ms: u64,
    /// How many payments had their outcome then.
    #[serde(skip)]
    pub(super) after_payments: usize,
}

/// What was just killed.
#[derive(Debug)]
struct Killed {
    peer: Peer,
    at: Instant,
    after_payments: usize,
}

/// Kills at given points of the run, on the spot: orders are under way then.
#[derive(Debug)]
pub(super) struct Chaos<'a> {
    cluster: &'a RefCell<Cluster>,
    /// Whom to kill when so many payments have their outcome.
    plan: VecDeque<(usize, Peer)>,
    killed: UnboundedSender<Killed>,
}

/// Starts what was killed again.
#[derive(Debug)]
pub(super) struct Restarts(UnboundedReceiver<Killed>);

impl<'a> Chaos<'a> {
    /// Spreads the victims evenly over the run.
    pub(super) fn new(
        victims: Vec<Peer>,
        payments: usize,
        cluster: &'a RefCell<Cluster>,
    ) -> (Self, Restarts) {
        let parts = victims.len() + 1;
        let point = |n: usize| (payments * (n + 1) / parts).max(1);
        let plan = victims.into_iter().enumerate().map(|(n, peer)| (point(n), peer)).collect();
        let (killed, restarts) = unbounded_channel();
        (Self { cluster, plan, killed }, Restarts(restarts))
    }

    /// Takes note of how many payments have their outcome, and kills whose time has come.
    pub(super) fn handle_progress(&mut self, answered: usize) -> Result<(), Failure> {
        while let Some((_, peer)) = self.plan.pop_front_if(|(point, _)| *point <= answered) {
            let at = Instant::now();
            self.cluster.borrow_mut().kill(&peer)?;
            // The other end is there for as long as this one is.
            let _ = self.killed.send(Killed { peer, at, after_payments: answered });
        }
        Ok(())
    }
}

impl Restarts {
    /// Until no more kills can come, and every victim answers again.
    pub(super) async fn run(mut self, cluster: &RefCell<Cluster>) -> Result<Vec<Kill>, Failure> {
        let mut kills = Vec::new();
        while let Some(Killed { peer, at, after_payments }) = self.0.recv().await {
            tokio::time::sleep(DOWN_FOR.saturating_sub(at.elapsed())).await;
            cluster.borrow_mut().start(&peer)?;
            let probe = cluster.borrow().probe(&peer)?;
            probe.wait(|| cluster.borrow_mut().check_one(&peer)).await?;
            let back_after_ms = u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX);
            console::note_on_terminal(format_args!("{peer} was killed and is back after {back_after_ms} ms"));
            let (node, role) = (peer.name.to_string(), peer.role.to_string());
            kills.push(Kill { node, role, back_after_ms, after_payments });
        }
        Ok(kills)
    }
}
