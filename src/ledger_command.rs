//! `hundi ledger …`: thin over the ledger's crate.

use std::error::Error;
use std::io::{self, BufWriter};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use hundi_ledger::MemoryStore;
use hundi_ledger::script::{self, FileSession};

/// What to do with a ledger.
#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Run operations from standard input, one JSON object a line, and print one answer a line.
    ///
    /// Exit status 1 if any line was bad.
    Script {
        /// The ledger's file, created if it does not exist; in memory if left out.
        file: Option<PathBuf>,
    },
}

impl LedgerCommand {
    /// Runs it.
    ///
    /// # Errors
    /// When the ledger, the input or the output fails.
    pub(crate) fn run(self) -> Result<ExitCode, Box<dyn Error>> {
        match self {
            Self::Script { file } => {
                let (input, output) = (io::stdin().lock(), BufWriter::new(io::stdout().lock()));
                let ended = match file {
                    Some(file) => {
                        script::run(&mut FileSession::open(file)?, script::system_clock, input, output)?
                    }
                    None => script::run(&mut MemoryStore::new(), script::system_clock, input, output)?,
                };
                Ok(ExitCode::from(u8::from(ended.bad_lines > 0)))
            }
        }
    }
}
