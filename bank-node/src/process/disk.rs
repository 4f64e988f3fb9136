//! The thread that syncs, and writes what is worth a thread.

use std::fs::File;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use hundi_ledger::sqlite::{Commit, CommitError};
use tokio::sync::mpsc;

use super::core::Event;
use super::marker::Marker;
use super::waiting::waited_for_processor;
use crate::sqlite_books::{BankDisk, WriteSet};

/// A disk is quick when its commits take less than this on average.
const QUICK: Duration = Duration::from_millis(4);

/// The only writer of the bank's file.
#[derive(Debug)]
pub(super) struct Writer {
    disk: BankDisk,
    marker: Marker,
    /// How long a commit takes, or the sync of one that the core has written: a mean in which the last eight count most.
    commit_takes: Duration,
    /// The last attempt copied the whole log into the file.
    copied: bool,
    /// Keeps other processes off as long as something may be written.
    _held: File,
}

impl Writer {
    pub(super) fn new(disk: BankDisk, marker: Marker, held: File) -> Box<Self> {
        Box::new(Self { disk, marker, commit_takes: Duration::ZERO, copied: true, _held: held })
    }

    pub(super) fn commit(&mut self, set: WriteSet) -> Result<Commit, CommitError> {
        self.timed(|disk| disk.commit(set))
    }

    fn timed<T>(&mut self, work: impl FnOnce(&mut BankDisk) -> T) -> T {
        let (started, waited) = (Instant::now(), waited_for_processor());
        let result = work(&mut self.disk);
        // Other processes' work on the same processors does not make the disk a slow one.
        let waited = waited_for_processor().saturating_sub(waited);
        self.commit_takes = (self.commit_takes * 7 + started.elapsed().saturating_sub(waited)) / 8;
        result
    }

    /// Writes, for [`Job::Sync`] to sync.
    pub(super) fn write(&mut self, set: WriteSet) -> Result<(), CommitError> {
        self.disk.write(set)
    }

    fn sync(&mut self) -> Result<Commit, CommitError> {
        self.timed(|disk| disk.ledger().sync())
    }

    /// Whether the core may as well wait for a commit.
    pub(super) fn is_quick(&self) -> bool {
        self.commit_takes < QUICK
    }

    /// Whether what was written and synced apart has made the log long; says so once.
    pub(super) fn is_checkpoint_due(&mut self) -> bool {
        self.disk.ledger().is_checkpoint_due()
    }

    /// Copies the write-ahead log into the file, and notes beside it how far it has come.
    pub(super) fn checkpoint(&mut self) -> Result<(), CommitError> {
        self.copied = self.disk.ledger().checkpoint()?;
        self.marker.note_if_possible(self.disk.ledger().last_commit());
        Ok(())
    }

    /// Whether a reader kept a part of the log from being copied, so that it is to be tried again.
    pub(super) fn is_log_held(&self) -> bool {
        !self.copied
    }
}

/// What the thread is to do. The writer comes back with [`Event::Disk`].
#[derive(Debug)]
pub(super) enum Job {
    Write(Box<Writer>, Box<WriteSet>),
    /// What the core has written.
    Sync(Box<Writer>),
    Checkpoint(Box<Writer>),
}

/// Starts the disk thread. It ends after a failure, for nobody knows then what is on disk, or when the core is gone.
pub(super) fn spawn(jobs: Receiver<Job>, events: mpsc::Sender<Event>) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("disk".into()).spawn(move || {
        let _last_word = LastWord(events.clone());
        for job in jobs {
            let (writer, result) = match job {
                Job::Write(mut writer, set) => {
                    let result = writer.commit(*set).map(Some);
                    (writer, result)
                }
                Job::Sync(mut writer) => {
                    let result = writer.sync().map(Some);
                    (writer, result)
                }
                Job::Checkpoint(mut writer) => {
                    let result = writer.checkpoint().map(|()| None);
                    (writer, result)
                }
            };
            let failed = result.is_err();
            if events.blocking_send(Event::Disk(writer, result)).is_err() || failed {
                return;
            }
        }
    })
}

/// Tells the core that the thread has ended, by a panic too: the core must not wait for it.
struct LastWord(mpsc::Sender<Event>);

impl Drop for LastWord {
    fn drop(&mut self) {
        // An error means that the core has ended before.
        let _ = self.0.blocking_send(Event::DiskGone);
    }
}
