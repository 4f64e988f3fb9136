//! The `hundi` command line: parses arguments, calls the crates, prints.
//!
//! One file or folder for each command; nothing here decides anything about money.

mod account_command;
mod audit_command;
mod bench;
mod bench_command;
mod check_command;
mod cli;
mod cluster;
mod console;
mod demo;
mod driver;
mod failure;
mod history;
mod init_command;
mod interrupt;
mod ledger_command;
mod network_args;
mod node_command;
mod operator;
mod orders;
mod pay;
mod plan;
mod status_command;
mod verify_command;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};
use crate::failure::{Exit, Failure};

/// Messages are made on one thread and freed on another, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    report_panics();
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(code) => code,
        Err(failure) => {
            console::error(&failure);
            failure.exit.into()
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Ledger(command) => return command.run(),
        Command::Demo(args) => demo::run(args)?,
        Command::Init(args) => init_command::run(&args)?,
        Command::Bank(args) => node_command::bank(args)?,
        Command::Coordinator(args) => node_command::coordinator(args)?,
        Command::Account(command) => account_command::run(command)?,
        Command::Pay(args) => pay::run(args)?,
        Command::Status(args) => status_command::run(&args)?,
        Command::Audit(args) => audit_command::run(&args)?,
        Command::VerifyCertificate(args) => verify_command::run(&args)?,
        Command::Check(args) => check_command::run(args)?,
        Command::Bench(args) => bench_command::run(args)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A panic is a fault of this program: it says so, in one line, and the exit code says it too.
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "unknown place".to_owned(), ToString::to_string);
        let what = panic.payload_as_str().unwrap_or("no message").replace('\n', " ");
        console::error(format_args!("this is a bug in hundi: {what} (at {place}); please report it"));
        std::process::exit(Exit::Bug as i32);
    }));
}
