//! The ledgers that a script can run on.

use std::error::Error;
use std::path::Path;

use crate::sqlite::{self, Disk, OpenError, State};
use crate::{MemoryStore, Reads, Store};

/// A ledger that a script has for itself.
pub trait Session {
    /// Where it executes.
    type Store: Store + Reads;

    /// The state.
    fn store(&mut self) -> &mut Self::Store;

    /// Makes durable what was executed since the last commit.
    ///
    /// # Errors
    /// When the disk fails; then the session is over.
    fn commit(&mut self) -> Result<(), Box<dyn Error + Send + Sync>>;
}

impl Session for MemoryStore {
    type Store = Self;

    fn store(&mut self) -> &mut Self {
        self
    }

    fn commit(&mut self) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }
}

/// A ledger in a file.
#[derive(Debug)]
pub struct FileSession {
    state: State,
    disk: Disk,
}

impl FileSession {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// See [`OpenError`]; among others when another process writes the file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let (state, disk) = sqlite::open(path, sqlite::Options::default())?;
        Ok(Self { state, disk })
    }
}

impl Session for FileSession {
    type Store = State;

    fn store(&mut self) -> &mut State {
        &mut self.state
    }

    fn commit(&mut self) -> Result<(), Box<dyn Error + Send + Sync>> {
        if self.state.is_changed() {
            let commit = self.disk.commit(self.state.take_changes(), |_| Ok(Vec::new()))?;
            self.state.handle_durable(commit.seq);
        }
        Ok(())
    }
}
