//! What an owner that lost sight of its files leaves in the file that it locks: the last commit that was acknowledged.
//!
//! Whoever opens or reads the ledger next must find that commit there. So it does not matter how the log was lost, whether it could be
//! saved, or what stands in its place by now.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OptionalExtension as _};

use super::disk::Commit;
use super::error::{Behind, OpenError, ReadError};
use super::lock::{cannot_open, side_file};
use super::log::log_path;
use super::place::{self, FileId};
use super::{rescue, schema};
use crate::CommitSeq;

/// Room for a note, made when there is room on the disk: it is written on a full one.
const SIZE: usize = 256;

/// The last commit that was acknowledged before the log was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) commit: Commit,
    /// The file that was in use, if it was that which was not in its place: the log belongs to no other.
    pub(super) file: Option<FileId>,
}

impl Note {
    /// What is noted beside the ledger.
    pub(super) fn read(ledger: &Path) -> Result<Option<Self>, OpenError> {
        let side = side_file(ledger);
        let mut text = Vec::new();
        match File::open(&side).and_then(|file| file.take(SIZE as u64).read_to_end(&mut text)) {
            Ok(_) => Ok(Self::parse(&String::from_utf8_lossy(&text))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(cannot_open(&side, error)),
        }
    }

    pub(super) fn write(&self, side: &mut File) -> io::Result<()> {
        let hash: String = self.commit.hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let file = self.file.map(|(device, number)| format!(" file {device} {number}")).unwrap_or_default();
        fill(side, &format!("commit {} {hash}{file}\n", self.commit.seq.0))?;
        side.sync_data()
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        if words.next()? != "commit" {
            return None;
        }
        let (seq, digits) = (words.next()?.parse().ok()?, words.next()?.as_bytes());
        let mut hash = [0; 32];
        let (pairs, []) = digits.as_chunks::<2>() else { return None };
        if pairs.len() != hash.len() {
            return None;
        }
        for (byte, pair) in hash.iter_mut().zip(pairs) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        let file = match words.next() {
            Some(_file) => Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?)),
            None => None,
        };
        Some(Self { commit: Commit { seq: CommitSeq(seq), hash }, file })
    }
}

/// Takes a note back, or makes room for one. (What is taken back may come back in a power cut: it is true of this file.)
pub(super) fn clear(side: &mut File) -> io::Result<()> {
    fill(side, "")
}

/// In one write, over what is there.
fn fill(side: &mut File, text: &str) -> io::Result<()> {
    side.rewind()?;
    side.write_all(format!("{text:SIZE$}").as_bytes())
}

/// Refuses, before SQLite looks at it, a ledger of which not even a beginning is there, for SQLite would begin it anew, and a file with the
/// log of another, for it would mix them.
pub(super) fn check_first(ledger: &Path) -> Result<(), OpenError> {
    let Some(note) = Note::read(ledger)? else { return Ok(()) };
    let log = log_path(ledger);
    let is_empty = |path: &Path| {
        rescue::length(path).map(|length| length == 0).map_err(|error| cannot_open(path, error))
    };
    if is_empty(ledger)? && is_empty(&log)? {
        return Err(behind(ledger, &note));
    }
    let here = place::file_at(&place::real(ledger)).map_err(|error| cannot_open(ledger, error))?;
    match note.file {
        Some(_) if note.file != here => {
            Err(OpenError::OtherFile { path: ledger.into(), log, lock: side_file(ledger) })
        }
        _ => Ok(()),
    }
}

/// Whether `connection`, to the ledger or to a copy of it, has what the ledger's owner acknowledged, as far as that left word: it does
/// where its log is removed or replaced while it is in use.
///
/// # Errors
/// [`OpenError::Behind`], [`OpenError::OtherFile`], or the file cannot be read.
pub fn check_complete(ledger: impl AsRef<Path>, connection: &Connection) -> Result<(), OpenError> {
    check_first(ledger.as_ref())?;
    check(ledger.as_ref(), connection)
}

/// Refuses a ledger that has not the commit that is noted.
pub(super) fn check(ledger: &Path, connection: &Connection) -> Result<(), OpenError> {
    let Some(note) = Note::read(ledger)? else { return Ok(()) };
    // In a file that is not even begun there is no table to ask.
    let found = schema::is_empty(connection).map_err(ReadError::from).and_then(|is_empty| match is_empty {
        true => Ok(None),
        false => find_commit(connection, note.commit.seq),
    });
    let has = match found {
        Ok(found) => found == Some(note.commit) || note.commit.seq.0 == 0,
        // The log is shorter than its index says.
        Err(ReadError::Sqlite(error)) if error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) => {
            false
        }
        Err(error) => return Err(error.into()),
    };
    if has { Ok(()) } else { Err(behind(ledger, &note)) }
}

/// The commit of that number, if the file has it: number 0 and zeros is what every file begins with.
pub(super) fn find_commit(connection: &Connection, seq: CommitSeq) -> Result<Option<Commit>, ReadError> {
    if seq.0 == 0 {
        return Ok(Some(Commit { seq, hash: [0; 32] }));
    }
    let mut statement = connection.prepare_cached("SELECT hash FROM commits WHERE seq = ?")?;
    let hash: Option<[u8; 32]> = statement.query_row([seq], |row| row.get(0)).optional()?;
    Ok(hash.map(|hash| Commit { seq, hash }))
}

fn behind(ledger: &Path, note: &Note) -> OpenError {
    let log = log_path(ledger);
    OpenError::from(Box::new(Behind {
        path: ledger.into(),
        acknowledged: note.commit.seq,
        saved: rescue::saved(&log),
        log,
        lock: side_file(ledger),
    }))
}

/// How the copies of a log are named in a message.
pub(super) fn copies(saved: &[PathBuf]) -> String {
    let names: Vec<String> = saved.iter().map(|path| path.display().to_string()).collect();
    match names.is_empty() {
        true => "it could not be saved, so it is where somebody moved it, if anywhere".to_owned(),
        false => format!("what could be saved of it is in {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("app.db");
        assert_eq!(Note::read(&ledger).unwrap(), None);
        let mut side = File::create(side_file(&ledger)).unwrap();
        assert_eq!(Note::read(&ledger).unwrap(), None, "of an older program");
        for seq in [0, 7, u64::MAX] {
            for file in [None, Some((u64::MAX, u64::MAX))] {
                let note = Note { commit: Commit { seq: CommitSeq(seq), hash: [0xa7; 32] }, file };
                note.write(&mut side).unwrap();
                assert_eq!(Note::read(&ledger).unwrap(), Some(note));
                assert_eq!(side.metadata().unwrap().len(), SIZE as u64);
            }
        }
        clear(&mut side).unwrap();
        assert_eq!(Note::read(&ledger).unwrap(), None);
    }
}
