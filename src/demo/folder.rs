//! Where a demo's keys, data files and logs are, and what becomes of them.

use std::path::{Path, PathBuf};

use crate::cluster::make_private_folder;
use crate::failure::{Failure, While as _};

/// A demo's folder.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    /// Makes the folder: the one asked for, which is kept, or a temporary one.
    pub(super) fn make(asked: Option<&Path>, keep: bool) -> Result<Self, Failure> {
        let Some(path) = asked else {
            let mut random = [0; 8];
            getrandom::fill(&mut random)
                .map_err(|error| Failure::outside(format_args!("no random numbers: {error}")))?;
            let path = std::env::temp_dir().join(format!("hundi-demo-{:016x}", u64::from_le_bytes(random)));
            make_private_folder(&path)?;
            return Ok(Self { path, keep });
        };
        let used = path.read_dir().is_ok_and(|mut entries| entries.next().is_some());
        if used || path.is_file() {
            let what = format!("{} is there and not empty; give --dir a new folder", path.display());
            return Err(Failure::input(what));
        }
        make_private_folder(path)?;
        Ok(Self { path: path.to_owned(), keep: true })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it stays. What did not go well is kept, to be looked at.
    pub(super) fn is_kept(&self, went_well: bool) -> bool {
        self.keep || (!went_well && self.has_nodes())
    }

    fn has_nodes(&self) -> bool {
        self.path.join(hundi_protocol::NETWORK_FILE).exists()
    }

    /// Removes it, unless it is kept.
    pub(super) fn end(&self, went_well: bool) -> Result<(), Failure> {
        if self.is_kept(went_well) {
            return Ok(());
        }
        std::fs::remove_dir_all(&self.path).or_fail(|| format!("cannot remove {}", self.path.display()))
    }

    /// What becomes of it, for a person.
    pub(super) fn fate(&self, went_well: bool) -> String {
        let path = self.path.display();
        if self.is_kept(went_well) {
            format!("keys, data files and logs are in {path}; look again with: hundi audit --dir {path}")
        } else {
            "keys, data files and logs are removed; --keep leaves them for you to look at".to_owned()
        }
    }
}
