//! A copy of the whole file, taken while it is in use.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::error::OpenError;
use super::lookup::Lookup;
use super::schema;
use super::verify::{Verified, VerifyError, verify};

/// Writes a copy of the ledger at `from` to the new file `to`, verifies the copy from its first row, and syncs it. The
/// ledger may be in use, by this process or another: the copy holds what was committed when it began, the
/// application's tables too. Until it is complete it is called `<to>.partial`.
///
/// # Errors
/// When `to` exists, when a file cannot be read or written, or when the copy does not verify.
pub fn backup(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<Verified, VerifyError> {
    let (from, to) = (from.as_ref(), to.as_ref());
    let partial = with_suffix(to, ".partial");
    for path in [to, &partial] {
        if path.exists() {
            let source = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
            return Err(OpenError::Io { what: format!("cannot write {}", path.display()), source }.into());
        }
    }
    let copied = copy(from, &partial).and_then(|()| verify(&partial));
    match copied {
        Ok(verified) => {
            publish(&partial, to)?;
            Ok(verified)
        }
        Err(error) => {
            let _ = fs::remove_file(&partial); // The error that matters is the first.
            Err(error)
        }
    }
}

fn copy(from: &Path, partial: &Path) -> Result<(), VerifyError> {
    let lookup = Lookup::open_existing(from)?;
    schema::check_format(&lookup.connection)?;
    let Some(target) = partial.to_str() else {
        let source = std::io::Error::from(std::io::ErrorKind::InvalidFilename);
        return Err(OpenError::Io { what: format!("cannot write {}", partial.display()), source }.into());
    };
    lookup.connection.pragma_update(None, "query_only", false)?; // Else even another file is not written.
    lookup.connection.execute("VACUUM INTO ?", [target])?;
    Ok(())
}

/// Syncs the file, gives it its name, and syncs that.
fn publish(partial: &Path, to: &Path) -> Result<(), OpenError> {
    let io = |source| OpenError::Io { what: format!("cannot finish {}", to.display()), source };
    File::open(partial).and_then(|file| file.sync_all()).map_err(io)?;
    fs::rename(partial, to).map_err(io)?;
    let folder = match to.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
