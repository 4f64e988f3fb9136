//! A network on this machine: every node a process of this same binary.

mod ports;
mod process;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hundi_protocol::{
    BankName, Client, Digest, Identity, Limits, LinkError, Message, NETWORK_FILE, Network, NodeName, Peer,
    Role,
};

use crate::failure::{Failure, While as _};
use crate::init_command;
use crate::network_args::load_identity;
use crate::node_command::CommitOrderArg;
use process::NodeProcess;

/// The payment app of such a network.
pub(crate) const APP: &str = "app";
/// How long a node may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How long a node may take to stop.
const STOPPED_WITHIN: Duration = Duration::from_secs(20);
/// How often to look whether a node is there.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The nodes of a network, as child processes. Dropping it kills and reaps all that still run.
#[derive(Debug)]
pub(crate) struct Cluster {
    dir: PathBuf,
    network: Arc<Network>,
    commit_order: CommitOrderArg,
    nodes: BTreeMap<Peer, NodeProcess>,
}

impl Cluster {
    /// Makes keys, certificates and `network.toml` in `dir`. No node runs yet.
    pub(crate) fn create(
        dir: &Path,
        banks: &[BankName],
        coordinators: u16,
        commit_order: CommitOrderArg,
    ) -> Result<Self, Failure> {
        let ports = ports::free(banks.len() + usize::from(coordinators))?;
        let app = NodeName::new(APP).map_err(Failure::input)?;
        let plan = init_command::plan("demo", "127.0.0.1", banks, coordinators, &ports, &[app])?;
        let network = hundi_protocol::init(dir, &plan).map_err(init_command::refused)?;
        Ok(Self { dir: dir.to_owned(), network: Arc::new(network), commit_order, nodes: BTreeMap::new() })
    }

    /// The network.
    pub(crate) fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// The nodes of a role.
    pub(crate) fn peers(&self, role: Role) -> Vec<Peer> {
        self.network.names(role).map(|name| Peer { role, name: name.clone() }).collect()
    }

    /// The identity of an app or operator of this network.
    pub(crate) fn identity(&self, peer: &Peer) -> Result<Identity, Failure> {
        load_identity(&self.folder(peer), &self.network)
    }

    /// The payment app's identity.
    pub(crate) fn app(&self) -> Result<Identity, Failure> {
        let name = NodeName::new(APP).map_err(Failure::input)?;
        self.identity(&Peer { role: Role::App, name })
    }

    /// The network's folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The process of a node that was started.
    pub(crate) fn pid(&self, peer: &Peer) -> Option<u32> {
        self.nodes.get(peer).map(NodeProcess::pid)
    }

    /// Where a node's log goes.
    pub(crate) fn log(&self, peer: &Peer) -> PathBuf {
        self.folder(peer).join("log.txt")
    }

    fn folder(&self, peer: &Peer) -> PathBuf {
        self.dir.join(Identity::folder(peer))
    }

    /// Starts every node; they may take a moment to answer.
    pub(crate) fn start_all(&mut self) -> Result<(), Failure> {
        let all = [self.peers(Role::Bank), self.peers(Role::Coordinator)].concat();
        all.iter().try_for_each(|peer| self.start(peer))
    }

    /// Starts a node, for the first time or again.
    pub(crate) fn start(&mut self, peer: &Peer) -> Result<(), Failure> {
        let mut arguments = vec![peer.role.to_string()];
        for (name, value) in [
            ("--network", self.dir.join(NETWORK_FILE).display().to_string()),
            ("--name", peer.name.to_string()),
            ("--data", self.folder(peer).display().to_string()),
        ] {
            arguments.extend([name.to_owned(), value]);
        }
        if peer.role == Role::Coordinator {
            arguments.extend(["--commit-order".to_owned(), self.commit_order.as_str().to_owned()]);
        }
        let process = NodeProcess::start(peer, &arguments, &self.log(peer))?;
        self.nodes.insert(peer.clone(), process);
        Ok(())
    }

    /// Ends a node with SIGKILL and reaps it: it has no moment to say or write anything.
    pub(crate) fn kill(&mut self, peer: &Peer) -> Result<(), Failure> {
        match self.nodes.remove(peer) {
            Some(process) => process.kill(),
            None => Ok(()),
        }
    }

    /// Fails if a node has ended by itself.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        self.nodes.values_mut().try_for_each(NodeProcess::check)
    }

    /// Fails if this node has ended by itself.
    pub(crate) fn check_one(&mut self, peer: &Peer) -> Result<(), Failure> {
        self.nodes.get_mut(peer).map_or(Ok(()), NodeProcess::check)
    }

    /// Sends SIGTERM to every node and waits until all have stopped.
    pub(crate) fn stop_all(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + STOPPED_WITHIN;
        // Coordinators first: what they carry can still be finished while the banks run.
        for role in [Role::Coordinator, Role::Bank] {
            let of_role: Vec<Peer> = self.nodes.keys().filter(|peer| peer.role == role).cloned().collect();
            let mut stopping: Vec<NodeProcess> =
                of_role.iter().filter_map(|peer| self.nodes.remove(peer)).collect();
            stopping.iter().try_for_each(NodeProcess::terminate)?;
            stopping.iter_mut().try_for_each(|process| process.wait_until(deadline))?;
        }
        Ok(())
    }

    /// What is needed to ask a node whether it is there.
    pub(crate) fn probe(&self, peer: &Peer) -> Result<Probe, Failure> {
        let asker = match peer.role {
            Role::Bank => Peer { role: Role::Operator, name: peer.name.clone() },
            _ => Peer { role: Role::App, name: NodeName::new(APP).map_err(Failure::input)? },
        };
        let identity = self.identity(&asker)?;
        Ok(Probe { identity, network: Arc::clone(&self.network), peer: peer.clone() })
    }
}

/// Asks one node until it answers.
#[derive(Debug)]
pub(crate) struct Probe {
    identity: Identity,
    network: Arc<Network>,
    peer: Peer,
}

impl Probe {
    /// Waits until the node answers a question; `is_gone` says when there is no more sense in waiting.
    pub(crate) async fn wait(&self, mut is_gone: impl FnMut() -> Result<(), Failure>) -> Result<(), Failure> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            is_gone()?;
            match self.ask().await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() >= deadline => {
                    let (peer, seconds) = (&self.peer, READY_WITHIN.as_secs());
                    return Err(Failure::outside(format_args!(
                        "{peer} does not answer for {seconds} s: {error}"
                    )));
                }
                Err(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// Any answer to any question shows that the node's core runs.
    async fn ask(&self) -> Result<(), LinkError> {
        let limits = Limits { handshake_timeout: Duration::from_secs(2), ..Limits::default() };
        let mut client =
            Client::connect(&self.identity, Arc::clone(&self.network), &self.peer, limits).await?;
        client.send(vec![Message::Status { payment: Digest([0; 32]) }]).await?;
        let reply = tokio::time::timeout(Duration::from_secs(5), client.receive()).await;
        reply.map_err(|_| LinkError::Disconnected("no answer".to_owned()))??;
        Ok(())
    }
}

/// Waits until every node answers.
pub(crate) async fn wait_until_ready(cluster: &RefCell<Cluster>) -> Result<(), Failure> {
    let peers = |role| cluster.borrow().peers(role);
    for peer in [peers(Role::Bank), peers(Role::Coordinator)].concat() {
        let probe = cluster.borrow().probe(&peer)?;
        probe.wait(|| cluster.borrow_mut().check()).await?;
    }
    Ok(())
}

/// Makes a folder that only its owner can enter: keys and money are in it.
pub(crate) fn make_private_folder(dir: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .or_fail(|| format!("cannot make {}", dir.display()))
}
