//! Opening a ledger's file beside its owner, finding accounts in it, and printing what was found.

use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, StdoutLock, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use hundi_ledger::export::{ExportError, Labels};
use hundi_ledger::sqlite::{OpenError, ReadError, Snapshot};
use hundi_ledger::{Account, AccountId, QueryFilter, Reads as _};

use crate::failure::{Exit, Failure};

/// Which file.
#[derive(Debug, Args)]
pub(super) struct FileArgs {
    /// The ledger's file; a running process may own it
    file: PathBuf,
}

/// A file at one moment, with the names in it.
pub(super) struct Opened {
    pub(super) ledger: Snapshot,
    pub(super) labels: Labels,
    path: PathBuf,
}

impl FileArgs {
    /// The file's path.
    pub(super) fn path(&self) -> &Path {
        &self.file
    }

    /// Opens the file for reading.
    pub(super) fn open(&self) -> Result<Opened, Failure> {
        let ledger = Snapshot::open(&self.file).map_err(|error| cannot_open(&self.file, &error))?;
        let labels = Labels::read(&ledger).map_err(|error| {
            let what = || format!("{}: {error}", self.file.display());
            match &error {
                ExportError::Format(_) => Failure::input(what()),
                ExportError::Read(error @ ReadError::Damaged(_)) => damaged(&self.file, error),
                _ => Failure::outside(what()),
            }
        })?;
        Ok(Opened { ledger, labels, path: self.file.clone() })
    }
}

/// Says why a file could not be opened, with the path once.
pub(super) fn cannot_open(path: &Path, error: &OpenError) -> Failure {
    if matches!(error, OpenError::Damaged(_)) {
        return damaged(path, error);
    }
    let what = match error {
        OpenError::InUse(_)
        | OpenError::NotFound(_)
        | OpenError::Behind(_)
        | OpenError::HeldOpen(_)
        | OpenError::FileGone { .. } => error.to_string(),
        _ => format!("{}: {error}", path.display()),
    };
    match error {
        OpenError::InUse(_)
        | OpenError::HeldOpen(_)
        | OpenError::Io { .. }
        | OpenError::Sqlite(_)
        | OpenError::Setting { .. } => Failure::outside(what),
        _ => Failure::input(what),
    }
}

/// The file contradicts itself. No command mends it.
fn damaged(path: &Path, error: impl Display) -> Failure {
    let path = path.display();
    Failure::new(
        Exit::No,
        format_args!("{path}: {error}; leave it as it is, and go on with a backup that verifies"),
    )
}

impl Opened {
    /// The file's path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A failed read.
    pub(super) fn failed(&self, error: &ReadError) -> Failure {
        if matches!(error, ReadError::Damaged(_)) {
            return damaged(&self.path, error);
        }
        Failure::outside(format_args!("{}: {error}", self.path.display()))
    }

    /// All accounts, by time of creation.
    pub(super) fn accounts(&self) -> Result<Vec<Account>, Failure> {
        self.ledger.query_accounts(&QueryFilter::all(u32::MAX)).map_err(|error| self.failed(&error))
    }

    /// The account of that name or id.
    pub(super) fn account(&self, name_or_id: &str) -> Result<Account, Failure> {
        let ids = self.labels.account(name_or_id).or_else(|| parse_id(name_or_id).map(AccountId));
        let found = self.ledger.lookup_accounts(ids.as_slice()).map_err(|error| self.failed(&error))?.pop();
        found.ok_or_else(|| {
            Failure::input(format_args!(
                "{}: no account has the name or id `{name_or_id}`",
                self.path.display()
            ))
        })
    }
}

/// An id as a decimal number, or as 32 hexadecimal digits like the file's views and UUIDs (hyphens are ignored).
fn parse_id(text: &str) -> Option<u128> {
    let hexadecimal: String = text.chars().filter(|c| *c != '-').collect();
    if hexadecimal.len() == 32 && hexadecimal.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return u128::from_str_radix(&hexadecimal, 16).ok();
    }
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

/// Hands stdout to `write`. That the reader has seen enough (`| head`) is no fault.
pub(super) fn print(
    write: impl FnOnce(&mut BufWriter<StdoutLock<'_>>) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if !is_closed_pipe(&error) => {
            Err(Failure::outside(format_args!("cannot write the result to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// Whether nobody reads what is written.
pub(super) fn is_closed_pipe(error: &io::Error) -> bool {
    error.kind() == ErrorKind::BrokenPipe
}

#[cfg(test)]
mod tests {
    use super::parse_id;

    #[test]
    fn ids_are_decimal_or_32_hexadecimal_digits() {
        assert_eq!(parse_id("17"), Some(17));
        assert_eq!(parse_id("00000000000000000000000000000011"), Some(17));
        assert_eq!(
            parse_id("01932c07-2a5b-7c3d-8e4f-5a6b7c8d9e0f"),
            Some(0x0193_2c07_2a5b_7c3d_8e4f_5a6b_7c8d_9e0f)
        );
        assert_eq!(parse_id("340282366920938463463374607431768211454"), Some(u128::MAX - 1));
        for text in ["", "x", "-1", "+1", "0x11", "340282366920938463463374607431768211456"] {
            assert_eq!(parse_id(text), None, "{text}");
        }
    }
}
