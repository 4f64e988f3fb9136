//! `hundi ledger …`: thin over the ledger's crate. Everything but `script` reads the file beside whoever owns it.

mod accounts;
mod export;
mod file;
mod holds;
mod record;
mod script;
mod statement;
mod table;
mod time;
mod transfers;
mod trust;

use std::process::ExitCode;

use clap::Subcommand;

use crate::failure::Failure;

/// What to do with a ledger.
#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// List accounts with their balances
    Accounts(accounts::AccountsArgs),
    /// List transfers, of all accounts or one
    Transfers(transfers::TransfersArgs),
    /// Show balances, now or at a time
    Balance(accounts::BalanceArgs),
    /// Show what an account gave and received, with the balance after each line
    Statement(statement::StatementArgs),
    /// Compute every balance and the chain of commits again from the first row
    Verify(trust::VerifyArgs),
    /// Copy the file while it is in use, and verify the copy
    Backup(trust::BackupArgs),
    /// Write the books for hledger, beancount, spreadsheets, or as bank statements (ISO 20022 camt.053)
    Export(export::ExportArgs),
    /// Run operations from stdin, one JSON object a line, and print one answer a line
    Script(script::ScriptArgs),
}

impl LedgerCommand {
    /// Runs it.
    ///
    /// # Errors
    /// When the ledger, the input or the output fails.
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Accounts(args) => accounts::list(&args)?,
            Self::Transfers(args) => transfers::run(&args)?,
            Self::Balance(args) => accounts::balance(&args)?,
            Self::Statement(args) => statement::run(&args)?,
            Self::Verify(args) => trust::verify(&args)?,
            Self::Backup(args) => trust::backup(&args)?,
            Self::Export(args) => export::run(&args)?,
            Self::Script(args) => return script::run(args),
        }
        Ok(ExitCode::SUCCESS)
    }
}
