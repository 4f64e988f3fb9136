//! What has been acknowledged, for whoever kills the benchmark and looks into its file afterwards.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use hundi_ledger::TransferId;

use crate::failure::{Failure, While as _};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A list of transfers' ids, one a line, in 32 hexadecimal digits as in the ledger's views.
///
/// An id is added when the ledger has answered, so after the sync of its commit has returned (R8). The list itself is not
/// synced: it is to outlive the process, not the machine.
#[derive(Debug)]
pub(super) struct Acknowledged {
    file: File,
    path: PathBuf,
}

impl Acknowledged {
    /// Begins a list in a new file.
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        match OpenOptions::new().append(true).create_new(true).open(path) {
            Ok(file) => Ok(Self { file, path: path.to_owned() }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(exists(path)),
            Err(error) => Err(error).or_fail(|| format!("cannot create {}", path.display())),
        }
    }

    /// Adds ids that were acknowledged together, in one write.
    pub(super) fn add(&self, ids: &[TransferId]) -> Result<(), Failure> {
        let mut lines = Vec::with_capacity(ids.len() * 33);
        for id in ids {
            let bytes = id.0.to_be_bytes();
            lines
                .extend(bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|d| DIGITS[usize::from(d)]));
            lines.push(b'\n');
        }
        (&self.file).write_all(&lines).or_fail(|| format!("cannot write to {}", self.path.display()))
    }
}

/// Nothing is written over.
pub(super) fn exists(path: &Path) -> Failure {
    let what = if path.is_symlink() { "a link is there already" } else { "is there already" };
    Failure::input(format_args!("{}: {what}; name a file that is not, or remove it", path.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    #[test]
    fn ids_stand_there_as_in_the_views() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acknowledged");
        let list = Acknowledged::create(&path).unwrap();
        list.add(&[TransferId(17), TransferId(u128::MAX - 1)]).unwrap();
        list.add(&[TransferId(0xAB << 120)]).unwrap();
        let lines = std::fs::read_to_string(&path).unwrap();
        let ids = [17, u128::MAX - 1, 0xAB << 120].map(|id| format!("{id:032x}\n"));
        assert_eq!(lines, ids.concat());
        assert!(Acknowledged::create(&path).is_err(), "nothing is written over");
    }
}
