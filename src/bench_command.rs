//! `hundi bench`.

use clap::Args;

use crate::failure::{Exit, Failure};

/// Arguments of `hundi bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {}

/// Runs the command.
pub(crate) fn run(_: BenchArgs) -> Result<(), Failure> {
    Err(Failure::new(Exit::Outside, "this version has no `bench` command yet"))
}
