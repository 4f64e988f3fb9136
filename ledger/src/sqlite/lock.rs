//! One writer at a time: whoever holds the lock on the side file `<ledger>.lock`.
//!
//! The lock is the operating system's: it ends with the process, however that ends. Readers do not take it.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::error::OpenError;

/// Held for as long as the file is open for writing.
#[derive(Debug)]
pub(super) struct Ownership {
    _file: File,
}

impl Ownership {
    /// Takes the lock or says who is refused.
    pub(super) fn take(path: &Path) -> Result<Self, OpenError> {
        let side = side_file(path)?;
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).open(&side).map_err(|source| {
                OpenError::Io { what: format!("cannot open {}", side.display()), source }
            })?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_path_buf())),
            Err(TryLockError::Error(source)) => {
                Err(OpenError::Io { what: format!("cannot lock {}", side.display()), source })
            }
        }
    }
}

/// Beside the real file, so that two names of one file share a lock.
fn side_file(path: &Path) -> Result<PathBuf, OpenError> {
    let real = match path.canonicalize() {
        Ok(real) => real,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => path.to_path_buf(),
        Err(source) => {
            return Err(OpenError::Io { what: format!("cannot resolve {}", path.display()), source });
        }
    };
    let mut name = real.into_os_string();
    name.push(".lock");
    Ok(PathBuf::from(name))
}
