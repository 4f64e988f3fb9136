//! Files that hold secrets: readable by their owner alone, or not read at all.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Why a secret could not be kept or read; one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The file system said no.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// Others than the owner could read or write it.
    #[error(
        "{path}: the key can be read by others (mode {mode:04o}); run `chmod 600 {path}`, and replace the key if others had access"
    )]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not what such a file holds.
    #[error("{path}: expected {expected}")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
}

const SIZE_MAX: u64 = 64 * 1024;

/// Writes a new file of mode 0600 and syncs it; never overwrites one.
///
/// # Errors
/// [`SecretError::Io`], also when the file exists.
pub fn write_secret(path: &Path, content: &[u8]) -> Result<(), SecretError> {
    let io = |source| SecretError::Io { path: path.to_owned(), source };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
    file.write_all(content).map_err(io)?;
    file.sync_all().map_err(io)
}

/// Reads a file that only its owner can read.
///
/// # Errors
/// [`SecretError::Exposed`] when group or world have any right to it, [`SecretError::Io`].
pub fn read_secret(path: &Path) -> Result<Vec<u8>, SecretError> {
    let io = |source| SecretError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    // Asked of the open file: the name could point elsewhere a moment later.
    let mode = file.metadata().map_err(io)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(SecretError::Exposed { path: path.to_owned(), mode });
    }
    let mut content = Vec::new();
    file.take(SIZE_MAX).read_to_end(&mut content).map_err(io)?;
    Ok(content)
}

/// Writes a 32-byte seed as a line of hex, in a new file of mode 0600.
///
/// # Errors
/// As [`write_secret`].
pub fn write_seed(path: &Path, seed: &[u8; 32]) -> Result<(), SecretError> {
    write_secret(path, format!("{}\n", crate::value::hex(seed)).as_bytes())
}

/// Reads a 32-byte seed.
///
/// # Errors
/// As [`read_secret`], and [`SecretError::Malformed`].
pub fn read_seed(path: &Path) -> Result<[u8; 32], SecretError> {
    let content = read_secret(path)?;
    std::str::from_utf8(&content)
        .ok()
        .and_then(|text| crate::value::unhex(text.trim_end()))
        .ok_or_else(|| SecretError::Malformed { path: path.to_owned(), expected: "64 lower-case hex digits" })
}
