//! Files of signed orders: on disk, whole, before the first order is sent.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use crate::failure::{Failure, While as _};

/// Makes a file with this content. After a crash it is there in full or not at all; one that is there is left alone.
pub(super) fn create(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let cannot = || format!("cannot write {}", path.display());
    let mut file = tempfile::NamedTempFile::new_in(folder_of(path)).or_fail(cannot)?;
    file.write_all(content).and_then(|()| file.as_file().sync_all()).or_fail(cannot)?;
    file.persist_noclobber(path).or_fail(cannot)?;
    sync_name(path)
}

/// Brings a file's name to disk: syncing the file alone does not.
pub(super) fn sync_name(path: &Path) -> Result<(), Failure> {
    let folder = folder_of(path);
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.or_fail(|| format!("cannot bring the folder {} to disk", folder.display()))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_made_whole_and_never_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("order.jws");
        create(&path, b"one").unwrap();
        assert!(create(&path, b"two").is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "nothing else is left");
        assert!(create(&folder.path().join("missing/order.jws"), b"one").is_err());
    }
}
