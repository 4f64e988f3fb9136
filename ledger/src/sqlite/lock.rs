//! One writer at a time: whoever holds the lock on the side file `<ledger>.lock`.
//!
//! The lock is the operating system's: it ends with the process, however that ends. Readers do not take it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::error::OpenError;
use super::schema::APPLICATION_ID;

/// Held for as long as the file is open for writing.
#[derive(Debug)]
pub(super) struct Ownership {
    _file: File,
}

impl Ownership {
    /// Takes the lock or says who is refused.
    pub(super) fn take(path: &Path) -> Result<Self, OpenError> {
        refuse_foreign(path)?;
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

/// Refuses what cannot be a ledger, before SQLite or a side file leaves something beside it. A missing file may become one.
pub(super) fn refuse_foreign(path: &Path) -> Result<(), OpenError> {
    const MAGIC: &[u8; 16] = b"SQLite format 3\0";
    let io = |source| OpenError::Io { what: format!("cannot open {}", path.display()), source };
    let mut head = Vec::new();
    match path.metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        found => match found.map_err(io)? {
            what if what.is_file() => {}
            what if what.is_dir() => return Err(io(ErrorKind::IsADirectory.into())),
            _ => return Err(io(std::io::Error::other("it is no regular file"))),
        },
    }
    File::open(path).and_then(|file| file.take(72).read_to_end(&mut head)).map_err(io)?;
    if !head.is_empty() && !head.starts_with(MAGIC) {
        return Err(OpenError::Damaged("it is not an SQLite file".into()));
    }
    // Zero while the log holds all that was ever written.
    let application = head.get(68..72).map_or([0; 4], |id| [id[0], id[1], id[2], id[3]]);
    match i32::from_be_bytes(application) {
        APPLICATION_ID => Ok(()),
        // A ledger has been in WAL mode, which the two bytes say, since its first page was written.
        0 if head.is_empty() || head.get(18..20) == Some(&[2, 2]) => Ok(()),
        _ => Err(OpenError::NotALedger),
    }
}

/// Beside the real file, so that two names of one file share a lock.
fn side_file(path: &Path) -> Result<PathBuf, OpenError> {
    let real = match path.canonicalize() {
        Ok(real) => real,
        Err(error) if error.kind() == ErrorKind::NotFound => path.to_path_buf(),
        Err(source) => {
            return Err(OpenError::Io { what: format!("cannot resolve {}", path.display()), source });
        }
    };
    let mut name = real.into_os_string();
    name.push(".lock");
    Ok(PathBuf::from(name))
}
