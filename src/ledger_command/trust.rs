//! `hundi ledger verify` and `hundi ledger backup`.

use std::path::{Path, PathBuf};

use clap::Args;
use hundi_ledger::sqlite::{self, OpenError, Verified, VerifyError};
use serde::Serialize;

use super::file::{FileArgs, cannot_open};
use super::holds;
use crate::console;
use crate::failure::{Exit, Failure};

/// Arguments of `hundi ledger verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hundi ledger verify app.db
  hundi ledger verify app.db --holds ids.txt    each of these transfers is in it

Exit code 1 if a row does not fit or a listed transfer is missing; the first one
is named. Exit code 3 if the list is not one, or has no id in it.
The hash is over everything: keep it elsewhere, and a later file whose history
differs will not have it in v_commits.")]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Also look for every transfer of this list: an id a line, in 32 hexadecimal digits as in v_transfers
    #[arg(long, value_name = "LIST")]
    holds: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Arguments of `hundi ledger backup`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  hundi ledger backup app.db backups/app-2026-11-23.db

The copy holds what was committed when it began, the application's own tables
too, and is verified from its first row.")]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    file: FileArgs,
    /// The copy; it must not exist yet
    to: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct VerifyReport {
    ok: bool,
    commits: u64,
    accounts: u64,
    transfers: u64,
    expiries: u64,
    hash: String,
    /// How many transfers of a list are all there.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl VerifyReport {
    fn of(verified: &Verified, error: Option<String>) -> Self {
        Self {
            ok: error.is_none(),
            commits: verified.commits,
            accounts: verified.accounts,
            transfers: verified.transfers,
            expiries: verified.expiries,
            hash: verified.hash.iter().map(|byte| format!("{byte:02x}")).collect(),
            held: None,
            error,
        }
    }

    fn say(&self, path: &Path) {
        let Self { commits, accounts, transfers, expiries, hash, .. } = self;
        console::say(format_args!(
            "{}: every row fits: {commits} commits, {accounts} accounts, {transfers} transfers, {expiries} expiries",
            path.display()
        ));
        console::say(format_args!("hash of commit {commits}: {hash}"));
        if let Some(held) = self.held {
            console::say(format_args!("all {held} listed transfers are in it"));
        }
    }
}

/// Runs `verify`.
pub(super) fn verify(args: &VerifyArgs) -> Result<(), Failure> {
    let path = args.file.path();
    let list = args.holds.as_deref().map(holds::read).transpose()?;
    let mut verified = Verified::default();
    let checked = sqlite::verify(path).map_err(|error| refused(path, &error)).and_then(|found| {
        verified = found;
        list.map(|list| holds::check(&args.file.open()?, list)).transpose()
    });
    match checked {
        Ok(held) => show(args.json, path, &VerifyReport { held, ..VerifyReport::of(&verified, None) }),
        Err(failure) => {
            if args.json && failure.exit == Exit::No {
                console::json(&VerifyReport::of(&verified, Some(failure.to_string())))?;
            }
            Err(failure)
        }
    }
}

/// Runs `backup`.
pub(super) fn backup(args: &BackupArgs) -> Result<(), Failure> {
    match sqlite::backup(args.file.path(), &args.to) {
        Ok(verified) => show(args.json, &args.to, &VerifyReport::of(&verified, None)),
        Err(VerifyError::Open(error @ OpenError::Io { .. })) => Err(Failure::outside(error)),
        Err(error) => Err(refused(args.file.path(), &error)),
    }
}

fn show(json: bool, path: &Path, report: &VerifyReport) -> Result<(), Failure> {
    if json {
        return console::json(report);
    }
    report.say(path);
    Ok(())
}

/// What is wrong with the file itself is the answer of these commands; anything else is a failure.
fn refused(path: &Path, error: &VerifyError) -> Failure {
    match error {
        VerifyError::Open(error) => cannot_open(path, error),
        _ => Failure::new(Exit::No, format_args!("{}: {error}", path.display())),
    }
}
