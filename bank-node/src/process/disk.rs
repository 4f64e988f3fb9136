//! The thread that writes.

use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::core::Event;
use crate::sqlite_books::{BankDisk, WriteSet};

/// After so long without work the write-ahead log is copied into the file.
const IDLE: Duration = Duration::from_millis(500);

/// Starts the disk thread: it commits each set and tells the core. It ends after a failure, for nobody knows then what
/// is on disk, or when the core is gone. `held` keeps other processes off as long as something may be written.
pub(super) fn spawn(
    (mut disk, held): (BankDisk, std::fs::File),
    sets: Receiver<WriteSet>,
    events: Sender<Event>,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("disk".into()).spawn(move || {
        let _last_word = LastWord(events.clone());
        let _held = held;
        let mut log_is_copied = false;
        loop {
            let result = match sets.recv_timeout(IDLE) {
                Ok(set) => {
                    log_is_copied = false;
                    disk.commit(set).map(Some)
                }
                Err(RecvTimeoutError::Timeout) if log_is_copied => continue,
                Err(RecvTimeoutError::Timeout) => {
                    log_is_copied = true;
                    disk.ledger().checkpoint().map(|()| None)
                }
                Err(RecvTimeoutError::Disconnected) => {
                    // The core has stopped: now the one file holds everything, for whoever copies it. Where that fails
                    // the log holds it, as after a crash.
                    if let Err(error) = disk.ledger().checkpoint() {
                        tracing::warn!("the log was not copied into the file: {error}");
                    }
                    return;
                }
            };
            let failed = result.is_err();
            if let Some(result) = result.transpose()
                && (events.send(Event::Durable(result)).is_err() || failed)
            {
                return;
            }
        }
    })
}

/// Tells the core that the thread has ended, by a panic too: the core must not wait for it.
struct LastWord(Sender<Event>);

impl Drop for LastWord {
    fn drop(&mut self) {
        // An error means that the core has ended before.
        let _ = self.0.send(Event::DiskGone);
    }
}
