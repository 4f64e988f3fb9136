//! `hundi bench payments`: payments between real processes, with TLS, signatures and syncs, beside what people
//! would write instead.

pub(super) mod load;
pub(super) mod report;
mod run;
mod shelf;
mod usage;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::postgres;
use crate::console;
use crate::failure::Failure;
use crate::node_command::CommitOrderArg;
use load::Load;
use report::Report;

/// Arguments of `hundi bench payments`.
#[derive(Debug, Args)]
#[command(after_help = "\
Every bank and coordinator is a process of its own on this machine, and so is
the client that pays. Orders are signed before the clock starts. At the end the
banks' files are audited against each other and against every certificate.

--peer postgres also measures two PostgreSQL servers of its own, started from
the installed binaries: the same payments by PREPARE TRANSACTION on both, the
decision forced to a table, COMMIT PREPARED on both; with TLS and signatures in
neither, and the best of several numbers of workers.

A run killed by SIGKILL leaves its folder hundi-bench-XXXXXX; remove it. Its
nodes and servers stop by themselves.

Examples:
  hundi bench payments
  hundi bench payments --peer postgres
  hundi bench payments --banks 16 --in-flight 4096 --hot --json")]
pub(crate) struct PaymentsBenchArgs {
    /// How many banks
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(2..=64))]
    banks: u16,
    /// How many coordinators
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    coordinators: u16,
    /// For how long to pay
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Payments under way at once
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    in_flight: u32,
    /// All payments credit one account
    #[arg(long)]
    hot: bool,
    /// In which order the banks are asked
    #[arg(long, value_enum, default_value_t)]
    commit_order: CommitOrderArg,
    /// Measure this beside it
    #[arg(long, value_enum)]
    peer: Option<Peer>,
    /// Where to make the files; they are removed afterwards [default: the system's folder for temporary files]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What payments can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Peer {
    /// Two-phase commit over two PostgreSQL servers
    Postgres,
}

/// Runs the command.
pub(crate) fn run(args: &PaymentsBenchArgs) -> Result<(), Failure> {
    // What cannot be measured is said before anything else is.
    let installed = args.peer.map(|Peer::Postgres| postgres::find()).transpose()?;
    let load = Load { banks: u64::from(args.banks), hot: args.hot };
    let folder = super::temporary_folder(args.dir.as_deref())?;
    let mut report: Report = run::run(args, load, folder.path())?;
    if let Some(installed) = installed {
        let load = Load { banks: 2, ..load };
        report.peer = Some(postgres::run(installed, load, args.seconds, args.in_flight)?);
        report.compare();
    }
    if args.json { console::json(&report) } else { report.say(args) }
}
