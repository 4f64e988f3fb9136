//! `hundi check`.

use clap::Args;

use crate::failure::{Exit, Failure};

/// Arguments of `hundi check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {}

/// Runs the command.
pub(crate) fn run(_: CheckArgs) -> Result<(), Failure> {
    Err(Failure::new(Exit::Outside, "this version has no `check` command yet"))
}
