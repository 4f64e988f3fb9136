//! What stands beside `bank.db` and remembers that there is one, and how far it had come.
//!
//! A bank that starts from no file, or from an old copy of it, does not know of votes that it has given, and would give others. What
//! is noted here is never ahead of the disk, and behind it by what came since the log was last copied into the file.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use hundi_ledger::CommitSeq;
use hundi_ledger::sqlite::Commit;
use hundi_protocol::Digest;
use tracing::warn;

use super::StartError;

/// The marker's name, in the folder of the bank.
const FILE: &str = "bank.db.exists";
const TEXT: &str = "This bank has voted from its file bank.db. Without that file, or with an older copy of it, it must not start.\n";
/// Begins the line of a commit.
const COMMIT: &str = "commit ";

#[derive(Debug)]
pub(super) struct Marker {
    path: PathBuf,
    exists: bool,
    noted: Option<Commit>,
    /// Opened when something is noted first.
    file: Option<File>,
    /// The last attempt to note something failed, and that has been said.
    failing: bool,
}

impl Marker {
    /// Reads what is noted in the folder, if anything is. Programs of before noted no commit.
    pub(super) fn read(folder: &Path) -> Result<Self, StartError> {
        let path = folder.join(FILE);
        let (exists, text) = match std::fs::read(&path) {
            Ok(bytes) => (true, String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => (false, String::new()),
            Err(error) => return Err(StartError::Marker { path, error }),
        };
        let noted = text.lines().find_map(|line| parse(line.strip_prefix(COMMIT)?));
        Ok(Marker { path, exists, noted, file: None, failing: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the bank had a file when it ran last.
    pub(super) fn exists(&self) -> bool {
        self.exists
    }

    /// A commit that was on disk when the bank ran last.
    pub(super) fn noted(&self) -> Option<Commit> {
        self.noted
    }

    /// Notes the last commit on disk.
    pub(super) fn note(&mut self, commit: Commit) -> io::Result<()> {
        if self.noted == Some(commit) && self.file.is_some() {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                none.insert(OpenOptions::new().create(true).truncate(false).write(true).open(&self.path)?)
            }
        };
        // Always as long, and in one write: whoever reads it finds this line or the one before.
        let text = format!("{TEXT}{COMMIT}{:020} {}\n", commit.seq.0, Digest(commit.hash));
        file.rewind()?;
        file.write_all(text.as_bytes())?;
        file.set_len(text.len() as u64)?;
        (self.exists, self.noted) = (true, Some(commit));
        Ok(())
    }

    /// [`Marker::note`] while the bank runs, where a failure only makes the note older.
    pub(super) fn note_if_possible(&mut self, commit: Commit) {
        match self.note(commit) {
            Ok(()) => self.failing = false,
            Err(error) if self.failing => drop(error),
            Err(error) => {
                self.failing = true;
                warn!(
                    "{} could not be written, so an older copy of bank.db may pass for it: {error}",
                    self.path.display()
                );
            }
        }
    }
}

fn parse(line: &str) -> Option<Commit> {
    let (seq, hash) = line.split_once(' ')?;
    Some(Commit { seq: CommitSeq(seq.parse().ok()?), hash: hash.parse::<Digest>().ok()?.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_read_and_what_is_not_legible_is_no_commit() {
        let folder = tempfile::tempdir().unwrap();
        let read = || Marker::read(folder.path()).unwrap();
        assert!(!read().exists());
        let commit = |n: u8| Commit { seq: CommitSeq(n.into()), hash: [n; 32] };
        let mut marker = read();
        for n in [3, 250] {
            marker.note(commit(n)).unwrap();
            assert!(read().exists());
            assert_eq!(read().noted(), Some(commit(n)));
        }
        let path = folder.path().join(FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        for (unclear, why) in
            [("", "empty"), (TEXT, "of an older program"), (&text[..text.len() - 9], "torn")]
        {
            std::fs::write(&path, unclear).unwrap();
            assert!(read().exists(), "{why}");
            assert_eq!(read().noted(), None, "{why}");
            read().note(commit(4)).unwrap();
            assert_eq!(read().noted(), Some(commit(4)), "{why}");
        }
    }
}
