//! A file as it is without its log, whatever stands beside it.

use std::borrow::Cow;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// Opens it for reading, without locks, and leaves nothing beside it. A page that somebody is writing may not be readable.
///
/// Whatever is to be read of the file itself is read through SQLite, never by a file of our own: to close any file of a process
/// ends all locks of that process on it (POSIX), SQLite's too, and SQLite knows only of the files that it opened. Without them
/// another program that reads the ledger takes itself for the last one, and removes the log that the owner still writes.
pub(super) fn open(path: &Path) -> rusqlite::Result<Connection> {
    // An absolute path may begin with two slashes, behind which a URI names a machine, unless it names none.
    let mut uri = String::from(if path.is_absolute() { "file://" } else { "file:" });
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                uri.push(char::from(*byte))
            }
            other => uri.push_str(&format!("%{other:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(uri, flags)
}

/// The path as SQLite takes it for one: a relative name such as `file:app.db` or `:memory:` would be something else to it.
pub(super) fn plain(path: &Path) -> Cow<'_, Path> {
    match path.is_absolute() {
        true => Cow::Borrowed(path),
        false => Cow::Owned(Path::new(".").join(path)),
    }
}
