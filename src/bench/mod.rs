//! Benchmarks that anyone can run. Each checks its books at the end: a figure over wrong books is an error.

pub(crate) mod check;
pub(crate) mod ledger;
mod measure;
pub(crate) mod payments;
mod postgres;

use std::path::Path;

use tempfile::TempDir;

use crate::failure::{Failure, While as _};

/// A folder that is removed at the end, in `dir` or where the system keeps temporary files.
fn temporary_folder(dir: Option<&Path>) -> Result<TempDir, Failure> {
    let dir = dir.map_or_else(std::env::temp_dir, Path::to_owned);
    let folder = tempfile::Builder::new().prefix("hundi-bench-").tempdir_in(&dir);
    folder.or_fail(|| format!("cannot make a folder in {}", dir.display()))
}
