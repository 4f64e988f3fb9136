//! `hundi ledger script`.

use std::io::{self, BufWriter};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use hundi_ledger::MemoryStore;
use hundi_ledger::script::{self, FileSession};

use super::file::cannot_open;
use crate::failure::{Exit, Failure};

/// Arguments of `hundi ledger script`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  echo '{\"op\":\"create_accounts\",\"events\":[{\"id\":\"1\",\"ledger\":356,\"code\":1}]}' |
      hundi ledger script app.db

An answer is printed when what it says is on disk. A bad line gets {\"error\":…}
as its answer and the script goes on; then the exit code is 1. When nobody reads
the answers any more, the script stops and says after which line.")]
pub(crate) struct ScriptArgs {
    /// The ledger's file, created if it does not exist; in memory if left out
    file: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(args: ScriptArgs) -> Result<ExitCode, Failure> {
    let (input, output) = (io::stdin().lock(), BufWriter::new(io::stdout().lock()));
    let ended = match args.file {
        Some(file) => {
            let mut session = FileSession::open(&file).map_err(|error| cannot_open(&file, &error))?;
            script::run(&mut session, script::system_clock, input, output)
        }
        None => script::run(&mut MemoryStore::new(), script::system_clock, input, output),
    };
    match ended {
        Ok(ended) if ended.bad_lines > 0 => Ok(Exit::No.into()),
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(Failure::outside(error)),
    }
}
