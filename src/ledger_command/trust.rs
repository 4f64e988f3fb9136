//! `hundi ledger verify` and `hundi ledger backup`.

use std::path::{Path, PathBuf};

use clap::Args;
use hundi_ledger::sqlite::{self, OpenError, Verified, VerifyError};
use serde::Serialize;

use super::file::{FileArgs, cannot_open};
use crate::console;
use crate::failure::{Exit, Failure};

/// Arguments of `hundi ledger verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  hundi ledger verify app.db

Exit code 1 if a row does not fit; the first one is named. The hash is over everything: keep it elsewhere, and a later
file whose history differs will not have it in v_commits.")]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Arguments of `hundi ledger backup`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  hundi ledger backup app.db backups/app-2026-11-23.db

The copy holds what was committed when it began, the application's own tables too, and is verified from its first row.")]
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
    }
}

/// Runs `verify`.
pub(super) fn verify(args: &VerifyArgs) -> Result<(), Failure> {
    match sqlite::verify(args.file.path()) {
        Ok(verified) => say(args.json, args.file.path(), &verified),
        Err(error) => {
            let failure = refused(args.file.path(), &error);
            if args.json && failure.exit == Exit::No {
                console::json(&VerifyReport::of(&Verified::default(), Some(error.to_string())))?;
            }
            Err(failure)
        }
    }
}

/// Runs `backup`.
pub(super) fn backup(args: &BackupArgs) -> Result<(), Failure> {
    match sqlite::backup(args.file.path(), &args.to) {
        Ok(verified) => say(args.json, &args.to, &verified),
        Err(VerifyError::Open(error @ OpenError::Io { .. })) => Err(Failure::outside(error)),
        Err(error) => Err(refused(args.file.path(), &error)),
    }
}

fn say(json: bool, path: &Path, verified: &Verified) -> Result<(), Failure> {
    let report = VerifyReport::of(verified, None);
    if json {
        return console::json(&report);
    }
    report.say(path);
    Ok(())
}

/// What is wrong with the file itself is the answer of these commands; anything else is a failure.
fn refused(path: &Path, error: &VerifyError) -> Failure {
    match error {
        VerifyError::Open(error) if !matches!(error, OpenError::Damaged(_)) => cannot_open(path, error),
        _ => Failure::new(Exit::No, format_args!("{}: {error}", path.display())),
    }
}
