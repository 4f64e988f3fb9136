//! The `hundi` command line.

mod ledger_command;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Money moved between banks that do not trust each other.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A double-entry ledger in one file.
    #[command(subcommand)]
    Ledger(ledger_command::LedgerCommand),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Ledger(command) => command.run(),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("hundi: {error}");
            ExitCode::from(2)
        }
    }
}
