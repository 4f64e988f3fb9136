//! Whether the log beside a file is that file's own.
//!
//! SQLite does not ask: a log that was copied beside the wrong file is taken for its newest pages, and the file shows
//! another ledger, or a mixture. So each file has a number of its own, drawn when it is created, and what it is with the
//! log and without must be the same. (A file whose log was never copied into it has no number yet without it.)

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use super::error::OpenError;
use super::unlogged;

const KEY: &str = "file";

/// Draws the number of a new file.
pub(super) fn write(connection: &Connection) -> rusqlite::Result<()> {
    let number = uuid::Uuid::now_v7().into_bytes();
    connection.execute("INSERT INTO meta(key, value) VALUES (?, ?)", (KEY, number)).map(|_| ())
}

/// Refuses a log of another file. `connection` sees the file with its log.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let without = unlogged::open(path).ok().and_then(|connection| read(&connection));
    let (Some(with_log), Some(without)) = (read(connection), without) else { return Ok(()) };
    if with_log == without {
        Ok(())
    } else {
        Err(OpenError::Damaged(format!("{}-wal is the log of another file", path.display())))
    }
}

/// `None` if there is no number, or nothing can be read: that is for others to say.
fn read(connection: &Connection) -> Option<[u8; 16]> {
    let found = connection.query_row("SELECT value FROM meta WHERE key = ?", [KEY], |row| row.get(0));
    found.optional().ok().flatten()
}
