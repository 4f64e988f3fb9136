//! The commands and their help.

use clap::{Parser, Subcommand};

use crate::account_command::AccountCommand;
use crate::audit_command::AuditArgs;
use crate::bench_command::BenchArgs;
use crate::check_command::CheckArgs;
use crate::demo::DemoArgs;
use crate::init_command::InitArgs;
use crate::ledger_command::LedgerCommand;
use crate::node_command::{BankArgs, CoordinatorArgs};
use crate::pay::PayArgs;
use crate::status_command::StatusArgs;
use crate::verify_command::VerifyArgs;

const AFTER_HELP: &str = "\
Examples:
  hundi demo                            three banks, 20,000 payments, two kills
  hundi demo --orders FILE.csv --json   your own payments; one JSON object
  hundi init net --banks alpha,beta     keys, certificates, net/network.toml
  hundi bank --network net/network.toml --name alpha --data net/bank-alpha
  hundi audit --dir net                 is every unit accounted for?

Exit codes:
  0    done
  1    what was asked for does not hold: an audit found something, a payment
       was refused, an outcome is unknown
  2    the command line is wrong
  3    an input is refused: orders, network.toml, a key, a certificate
  4    the outside failed: a disk, a port, a node that does not answer
  70   a fault of hundi itself
  130  interrupted

Results go to stdout, everything else to stderr. With --json the result is one
JSON object on one line.";

/// Moves money between banks that do not trust each other, and proves that none is made or lost.
#[derive(Debug, Parser)]
#[command(name = "hundi", version, after_help = AFTER_HELP, max_term_width = 120, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a whole network on this machine, kill nodes in the middle, and audit what is left
    Demo(DemoArgs),
    /// Make the keys, certificates and network.toml of a new network
    Init(InitArgs),
    /// Run a bank's node
    Bank(BankArgs),
    /// Run a coordinator
    Coordinator(CoordinatorArgs),
    /// Open, fund, list and close customers' accounts at a bank
    #[command(subcommand)]
    Account(AccountCommand),
    /// Pay: one order, or every order of a file
    Pay(PayArgs),
    /// Ask what became of a payment
    Status(StatusArgs),
    /// Check the data files of all banks against each other, offline
    Audit(AuditArgs),
    /// Check a payment's certificate with the banks' public keys alone
    VerifyCertificate(VerifyArgs),
    /// Work with one ledger file
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Explore every crash, loss and reordering of a small network
    Check(CheckArgs),
    /// Measure
    Bench(BenchArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }

    /// A line of an example that a terminal breaks cannot be copied.
    #[test]
    fn examples_fit_a_terminal_of_eighty_columns() {
        let mut commands = vec![super::Cli::command()];
        let mut seen = 0;
        while let Some(command) = commands.pop() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in help.lines() {
                assert!(line.chars().count() <= 80, "hundi … {}: {line}", command.get_name());
                seen += 1;
            }
            commands.extend(command.get_subcommands().cloned());
        }
        assert!(seen > 100, "only {seen} lines: is the help still where it was?");
    }
}
