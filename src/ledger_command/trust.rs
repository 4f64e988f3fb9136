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

/// What a file that was read to its end holds.
#[derive(Serialize)]
struct Contents {
    commits: u64,
    accounts: u64,
    transfers: u64,
    expiries: u64,
    hash: String,
}

impl From<&Verified> for Contents {
    fn from(verified: &Verified) -> Self {
        Self {
            commits: verified.commits,
            accounts: verified.accounts,
            transfers: verified.transfers,
            expiries: verified.expiries,
            hash: verified.hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

#[derive(Serialize)]
struct VerifyReport {
    ok: bool,
    /// Of a damaged file nobody knows it: then these fields are not there.
    #[serde(flatten)]
    contents: Option<Contents>,
    /// How many transfers of a list are all there.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl VerifyReport {
    fn sound(verified: &Verified, held: Option<u64>) -> Self {
        Self { ok: true, contents: Some(verified.into()), held, error: None }
    }

    fn wrong(verified: Option<&Verified>, error: &Failure) -> Self {
        Self { ok: false, contents: verified.map(Contents::from), held: None, error: Some(error.to_string()) }
    }

    fn say(&self, path: &Path) {
        if let Some(Contents { commits, accounts, transfers, expiries, hash }) = &self.contents {
            console::say(format_args!(
                "{}: every row fits: {commits} commits, {accounts} accounts, {transfers} transfers, {expiries} expiries",
                path.display()
            ));
            console::say(format_args!("hash of commit {commits}: {hash}"));
        }
        if let Some(held) = self.held {
            console::say(format_args!("all {held} listed transfers are in it"));
        }
    }
}

/// Runs `verify`.
pub(super) fn verify(args: &VerifyArgs) -> Result<(), Failure> {
    let path = args.file.path();
    let list = args.holds.as_deref().map(holds::read).transpose()?;
    let mut verified = None;
    let checked = sqlite::verify(path).map_err(|error| refused(path, &error)).and_then(|found| {
        let found = verified.insert(found);
        let held = list.map(|list| holds::check(&args.file.open()?, list)).transpose()?;
        Ok(VerifyReport::sound(found, held))
    });
    match checked {
        Ok(report) => show(args.json, path, &report),
        Err(failure) => {
            if args.json && failure.exit == Exit::No {
                console::json(&VerifyReport::wrong(verified.as_ref(), &failure))?;
            }
            Err(failure)
        }
    }
}

/// Runs `backup`.
pub(super) fn backup(args: &BackupArgs) -> Result<(), Failure> {
    match sqlite::backup(args.file.path(), &args.to) {
        Ok(verified) => show(args.json, &args.to, &VerifyReport::sound(&verified, None)),
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
