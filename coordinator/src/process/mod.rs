//! The process around a [`Courier`]: links, clock, and a small memory of what is under way.
//!
//! Two threads. The **node** runs the links, and between them the core, which owns the courier and is one loop over one
//! closed `Event` enum: a message passes without waking another thread. The **memory** writes a few times a second what is
//! under way for longer than a moment. Nothing waits for it.

mod ahead;
mod core;
mod memory;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hundi_protocol::{Inbound, Limits, Link, LinkError, LinkOptions};
use hundi_protocol::{NodeName, Peer, UnixMillis, Verifier};
use hundi_protocol::{Place, PlaceError};
use tokio::sync::mpsc::{self, error::TrySendError};
use tracing::info;

use crate::courier::{Courier, Policy};
use core::{Core, Event};
use memory::Memory;
pub use memory::MemoryError;

/// How many batches of messages wait for the core before the links stop reading, beside about as many in its backlog.
const EVENTS_MAX: usize = 1_024;

/// How long to wait for peers to take what is queued for them when the node stops.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// What a coordinator needs to start.
#[derive(Clone, Debug)]
pub struct Config {
    /// The network's file.
    pub network: PathBuf,
    /// This coordinator.
    pub name: NodeName,
    /// Its folder: certificate, key and `coordinator.db`.
    pub folder: PathBuf,
    /// Order of asking, waiting times and bounds.
    pub policy: Policy,
}

/// Why a coordinator does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// `network.toml`, the node's folder, or its address.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The file of orders under way.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The links.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// Tells a running node to stop.
#[derive(Clone, Debug)]
pub struct Stopper(mpsc::Sender<Event>);

impl Stopper {
    /// Takes no new orders, finishes what is under way (for a few seconds at most), then stops.
    /// May be called on any thread, and returns at once.
    pub fn stop(&self) {
        if let Err(TrySendError::Full(stop)) = self.0.try_send(Event::Stop) {
            let events = self.0.clone();
            // An error means that it has stopped already.
            std::thread::spawn(move || events.blocking_send(stop));
        }
    }
}

/// A coordinator that runs.
#[derive(Debug)]
pub struct Running {
    stopper: Stopper,
    node: JoinHandle<()>,
    memory: JoinHandle<()>,
}

impl Running {
    /// A handle that stops it.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Waits until it has stopped. A panic of one of its threads goes on here.
    pub fn wait(self) {
        for thread in [self.node, self.memory] {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

/// Starts a coordinator.
///
/// # Errors
/// [`StartError`]: one line that says what, where and what to do.
pub fn start(config: Config) -> Result<Running, StartError> {
    let place = Place::load(&config.network, &config.folder, &Peer::coordinator(config.name.clone()))?;
    let path = config.folder.join("coordinator.db");
    let memory = Memory::open(&path)?;
    let remembered = memory.orders(&path)?;
    let written = remembered.iter().map(|order| order.digest()).collect();
    let (address, listener) = place.listen()?;

    let (events, inputs) = mpsc::channel(EVENTS_MAX);
    let deliver = {
        let events = events.clone();
        Arc::new(move |inbound: Inbound| match events.try_send(Event::Inbound(inbound)) {
            Err(TrySendError::Full(Event::Inbound(inbound))) => Err(inbound),
            _ => Ok(()), // Taken, or the node has stopped and nobody will read it.
        })
    };
    let Place { network, identity } = place;
    let verifier = Verifier::new(network.directory());
    let banks = network.banks().collect();
    let options =
        LinkOptions { identity, network, listener: Some(listener), deliver, limits: Limits::default() };
    let (notes, memory) = memory::spawn(memory, written).map_err(StartError::Thread)?;
    let (name, under_way) = (config.name, remembered.len());
    let courier = Courier::open(now(), banks, config.policy, remembered);
    let node =
        Link::run(options, SHUTDOWN_GRACE, |link| Core::new(courier, verifier, link, notes).run(inputs))?;
    info!(%address, under_way, "coordinator {name} is up");
    Ok(Running { stopper: Stopper(events), node, memory })
}

/// The time of day, in the one place that reads it. A clock before 1970 reads as 1970.
fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
