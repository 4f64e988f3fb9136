//! The write-ahead log that an earlier process left behind.
//!
//! When a sync fails, the kernel keeps what it could not write where the next reader finds it, and forgets that it is
//! not on disk: a later sync succeeds without writing it. A process that ended after a failed sync may have
//! left such a log. SQLite would take its commits for durable. So before SQLite looks at it, the log is written
//! over itself and synced: then either it is on disk, or opening fails.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::error::OpenError;

/// Bytes that are written over at a time.
const CHUNK: usize = 1 << 20;

/// Makes sure that what can be read from the log is on disk. The caller owns the file: nobody else writes.
pub(super) fn make_durable(ledger: &Path) -> Result<(), OpenError> {
    let path = log_path(ledger);
    let io = |source| OpenError::Io { what: format!("cannot sync the log {}", path.display()), source };
    let mut file = match OpenOptions::new().read(true).write(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
    };
    let mut chunk = vec![0; CHUNK];
    let mut at = 0;
    loop {
        let length = file.read(&mut chunk).map_err(io)?;
        if length == 0 {
            break;
        }
        file.seek(SeekFrom::Start(at)).map_err(io)?;
        file.write_all(&chunk[..length]).map_err(io)?;
        at += length as u64;
    }
    if at == 0 { Ok(()) } else { file.sync_all().map_err(io) }
}

fn log_path(ledger: &Path) -> PathBuf {
    let mut name = ledger.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}
