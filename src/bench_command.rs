//! `hundi bench`.

use clap::{Args, Subcommand};

use crate::bench::check::{self, CheckBenchArgs};
use crate::bench::ledger::{self, LedgerBenchArgs};
use crate::bench::payments::{self, PaymentsBenchArgs};
use crate::failure::Failure;

/// Arguments of `hundi bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    benchmark: Benchmark,
}

/// What can be measured.
#[derive(Debug, Subcommand)]
enum Benchmark {
    /// Transfers in one ledger file, beside what the same SQLite does with bare rows
    Ledger(LedgerBenchArgs),
    /// Payments between bank processes, beside two-phase commit over PostgreSQL
    Payments(PaymentsBenchArgs),
    /// The model checker's states per second, beside stateright's two-phase-commit example
    Check(CheckBenchArgs),
}

/// Runs the command.
pub(crate) fn run(args: BenchArgs) -> Result<(), Failure> {
    match args.benchmark {
        Benchmark::Ledger(args) => ledger::run(&args),
        Benchmark::Payments(args) => payments::run(&args),
        Benchmark::Check(args) => check::run(&args),
    }
}
