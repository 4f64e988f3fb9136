//! The process around a [`Participant`]: links, disk, clock and keys.
//!
//! The **node** thread runs the links, and between them the core, which owns the participant and is one loop over one closed
//! `Event` enum: a message passes without waking another thread. The core writes what it recorded whenever the disk is
//! idle, so under load many votes share a sync and a signature: it writes them by itself and leaves the sync to the **disk** thread,
//! which large batches, and few votes on a slow disk, are left to altogether; meanwhile it works on the next batch. The **history** thread looks for old payments.

mod accounts;
mod core;
mod disk;
mod history;
mod inbox;
mod marker;
mod waiting;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hundi_ledger::sqlite::ReadError;
use hundi_protocol::{BankName, Peer, Signer, UnixMillis, Verifier};
use hundi_protocol::{Inbound, Limits, Link, LinkError, LinkOptions};
use hundi_protocol::{Network, Place, PlaceError};
use tokio::sync::mpsc::{self, error::TrySendError};
use tracing::info;

use crate::participant::{Participant, Policy};
use crate::sqlite_books::{BankDisk, BooksError, History, SqliteBooks};
pub use core::CoreError;
use core::{Core, Event};
use disk::Writer;
use marker::Marker;

/// How many batches of messages wait for the core before the links stop reading, beside about as many in its backlog.
const EVENTS_MAX: usize = 1_024;

/// How long to wait for peers to take what is queued for them when the node stops.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// What a bank needs to start.
#[derive(Clone, Debug)]
pub struct Config {
    /// The network's file.
    pub network: PathBuf,
    /// This bank.
    pub name: BankName,
    /// Its folder: certificate, keys and `bank.db`.
    pub folder: PathBuf,
    /// Waiting times.
    pub policy: Policy,
    /// A refusal is dropped so long after its order expired (R7), in milliseconds.
    pub refusals_kept_ms: u64,
}

impl Config {
    /// The usual waiting times; refusals are kept for a day.
    pub fn new(network: PathBuf, name: BankName, folder: PathBuf) -> Self {
        Config { network, name, folder, policy: Policy::default(), refusals_kept_ms: 24 * 3600 * 1000 }
    }
}

/// Why a bank does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// `network.toml`, the node's folder, or its address.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The bank's file.
    #[error("{path}: {error}")]
    Books {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: BooksError,
    },
    /// Another process has the folder.
    #[error("{0} is in use by another process; stop that one first, or give this one another --data")]
    FolderInUse(PathBuf),
    /// The folder cannot be locked.
    #[error("cannot lock the folder {path}: {error}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The file was there once, and is gone or empty.
    #[error(
        "{path} is gone or empty, and this bank has voted from it: with a new file it would vote against its own word. \
         Bring the file back; only if no other bank has ever heard of this one, remove {marker}"
    )]
    BooksGone {
        /// The file.
        path: PathBuf,
        /// What remembers it.
        marker: PathBuf,
    },
    /// The file lacks what was there once.
    #[error(
        "{path} ends with commit {found}, and this bank has voted from one with commit {noted}: this is an old copy, with which \
         it would vote against its own word. Bring the newest one back; only if that is lost for good, remove {marker}"
    )]
    BooksOld {
        /// The file.
        path: PathBuf,
        /// Its last commit.
        found: u64,
        /// One that was on disk.
        noted: u64,
        /// What remembers it.
        marker: PathBuf,
    },
    /// The file has another history than the one that was there last.
    #[error(
        "{path} has another commit {noted} than the file that this bank has voted from last: this is a copy that has gone its own \
         way, with which the bank would vote against its own word. Bring the other one back; only if that is lost for good, \
         remove {marker}"
    )]
    BooksOther {
        /// The file.
        path: PathBuf,
        /// One that was on disk.
        noted: u64,
        /// What remembers it.
        marker: PathBuf,
    },
    /// The note that the file exists.
    #[error("{path}: {error}")]
    Marker {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
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
    /// Brings what it has taken in to disk (for five seconds, if it is much), sends what that allows, then stops.
    /// May be called on any thread, and returns at once.
    pub fn stop(&self) {
        if let Err(TrySendError::Full(stop)) = self.0.try_send(Event::Stop) {
            let events = self.0.clone();
            // An error means that it has stopped already.
            std::thread::spawn(move || events.blocking_send(stop));
        }
    }
}

/// A bank that runs.
#[derive(Debug)]
pub struct Running {
    stopper: Stopper,
    node: JoinHandle<Result<(), CoreError>>,
    disk: JoinHandle<()>,
}

impl Running {
    /// A handle that stops it.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Waits until it has stopped. A panic of one of its threads goes on here.
    ///
    /// # Errors
    /// [`CoreError`] when it stopped by itself: its disk failed, or its file is not what it said.
    pub fn wait(self) -> Result<(), CoreError> {
        let result = self.node.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        if let Err(panic) = self.disk.join() {
            std::panic::resume_unwind(panic);
        }
        result
    }
}

/// Starts a bank.
///
/// # Errors
/// [`StartError`]: one line that says what, where and what to do.
pub fn start(config: Config) -> Result<Running, StartError> {
    let place = Place::load(&config.network, &config.folder, &Peer::bank(config.name.clone()))?;
    let signer = place.identity.load_signer(&config.folder, &place.network).map_err(PlaceError::Network)?;
    let path = config.folder.join("bank.db");
    let held = hold_folder(&config.folder)?;
    let (books, disk, marker) = open_books(&config, &path, &place.network, &signer)?;
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
    let directory = network.directory();
    let options =
        LinkOptions { identity, network, listener: Some(listener), deliver, limits: Limits::default() };
    let (jobs, to_do) = crossbeam_channel::bounded(1);
    let disk_thread = disk::spawn(to_do, events.clone()).map_err(StartError::Thread)?;
    let (questions, to_answer) = crossbeam_channel::bounded(history::QUESTIONS_MAX);
    let history = History::open(&path, Verifier::new(directory))
        .map_err(|error| StartError::Books { path: path.clone(), error })?;
    history::spawn(history, to_answer, events.clone()).map_err(StartError::Thread)?;
    let (name, in_doubt) = (config.name.clone(), books.in_doubt().count());
    let participant = Participant::open(config.name, books, config.policy);
    let disk = (Writer::new(disk, marker, held), jobs);
    let kept_ms = config.refusals_kept_ms;
    let core =
        move |link| Core::new(participant, verifier, signer, link, kept_ms, disk, questions).run(inputs);
    let node = Link::run(options, SHUTDOWN_GRACE, core)?;
    info!(%address, in_doubt, "bank {name} is up");
    Ok(Running { stopper: Stopper(events), node, disk: disk_thread })
}

/// Keeps a second process off the bank's data for as long as the file lives. The lock is on the folder itself: a file made
/// for it, such as the ledger's, could be removed, and then a second process would lock another.
fn hold_folder(folder: &Path) -> Result<File, StartError> {
    let failed = |error| StartError::Folder { path: folder.into(), error };
    let held = File::open(folder).map_err(failed)?;
    match held.try_lock() {
        Ok(()) => Ok(held),
        Err(TryLockError::WouldBlock) => Err(StartError::FolderInUse(folder.into())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Opens the bank's file: this bank's, with books that balance, and not a new or an old one in place of one that is gone.
fn open_books(
    config: &Config,
    path: &Path,
    network: &Network,
    signer: &Signer,
) -> Result<(SqliteBooks, BankDisk, Marker), StartError> {
    let failed = |error| StartError::Books { path: path.into(), error };
    let mut marker = Marker::read(&config.folder)?;
    let is_there = std::fs::metadata(path).is_ok_and(|file| file.len() > 0);
    if marker.exists() && !is_there {
        return Err(StartError::BooksGone { path: path.into(), marker: marker.path().into() });
    }
    let (mut books, mut disk) =
        SqliteBooks::open(path, Verifier::new(network.directory())).map_err(failed)?;
    books.claim(&config.name, signer.public()).map_err(failed)?;
    check_history(&mut disk, path, &marker)?;
    books.check_balance().map_err(failed)?;
    let last = disk.ledger().last_commit();
    marker.note(last).map_err(|error| StartError::Marker { path: marker.path().into(), error })?;
    Ok((books, disk, marker))
}

/// Refuses a file that lacks a commit that was on disk once.
fn check_history(disk: &mut BankDisk, path: &Path, marker: &Marker) -> Result<(), StartError> {
    let Some(noted) = marker.noted() else { return Ok(()) };
    let failed = |error: ReadError| StartError::Books { path: path.into(), error: error.into() };
    let found = disk.ledger().find_commit(noted.seq).map_err(failed)?;
    let (path, marker) = (path.into(), marker.path().into());
    match found {
        Some(found) if found == noted => Ok(()),
        Some(_) => Err(StartError::BooksOther { path, noted: noted.seq.0, marker }),
        None => {
            let found = disk.ledger().last_commit().seq.0;
            Err(StartError::BooksOld { path, found, noted: noted.seq.0, marker })
        }
    }
}

/// The clock, in the one place that reads it. A clock before 1970 reads as 1970.
fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
