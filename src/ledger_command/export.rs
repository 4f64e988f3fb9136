//! `hundi ledger export`.

use clap::{Args, ValueEnum};
use hundi_ledger::export::{self, ExportError};
use hundi_ledger::sqlite::ReadError;
use hundi_ledger::{QueryFilter, Reads as _, Timestamp, script};
use std::io::{self, BufWriter, Write};

use super::file::{FileArgs, Opened, is_closed_pipe};
use super::time::{SpanArgs, require_span};
use crate::failure::Failure;

/// Arguments of `hundi ledger export`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hundi ledger export app.db --format hledger > books.journal
  hledger -f books.journal check
  hundi ledger export app.db --format beancount > books.beancount
  bean-check books.beancount
  hundi ledger export app.db --format csv > events.csv
  hundi ledger export app.db --format camt053 --account customers:asha \\
      --from 2026-10-01 --to 2026-10-31

The journals end with the balances that the ledger keeps, so that hledger and
beancount prove the export. What is only reserved has amounts of zero there and
is marked `!`. A camt.053 statement speaks as a bank to its customer; for it
alone are --account, --from and --to.")]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    file: FileArgs,
    /// What to write
    #[arg(long, value_enum)]
    format: Format,
    #[command(flatten)]
    span: SpanArgs,
}

/// A format of another program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A journal for hledger
    Hledger,
    /// A file for beancount
    Beancount,
    /// Every change of balances, comma-separated
    Csv,
    /// Every account with its balances, comma-separated
    CsvAccounts,
    /// Bank statements, ISO 20022 camt.053.001.08
    #[value(alias = "camt.053")]
    Camt053,
}

/// Runs the command.
pub(super) fn run(args: &ExportArgs) -> Result<(), Failure> {
    if args.span.is_given() && args.format != Format::Camt053 {
        return Err(Failure::usage(
            "--account, --from and --to are for --format camt053: the others are whole books",
        ));
    }
    let opened = args.file.open()?;
    let mut out = BufWriter::new(io::stdout().lock());
    let (ledger, labels) = (&opened.ledger, &opened.labels);
    let done = match args.format {
        Format::Hledger => export::hledger(ledger, labels, &mut out),
        Format::Beancount => export::beancount(ledger, labels, &mut out),
        Format::Csv => export::csv_events(ledger, labels, &mut out),
        Format::CsvAccounts => export::csv_accounts(ledger, labels, &mut out),
        Format::Camt053 => {
            let (span, created) = (span(args, &opened)?, script::system_clock());
            match &args.span.account {
                Some(name) => {
                    let account = opened.account(name)?.id;
                    export::camt053_of(ledger, account, labels, span, created, &mut out)
                }
                None => export::camt053(ledger, labels, span, created, &mut out),
            }
        }
    };
    match done.and_then(|()| Ok(out.flush()?)) {
        Err(ExportError::Write(error)) if is_closed_pipe(&error) => Ok(()),
        Err(ExportError::Read(error)) => Err(opened.failed(&error)),
        Err(error @ ExportError::Format(_)) => Err(Failure::input(error)),
        Err(error) => Err(Failure::outside(error)),
        Ok(()) => Ok(()),
    }
}

/// From the first account until now, unless said otherwise.
fn span(args: &ExportArgs, opened: &Opened) -> Result<(Timestamp, Timestamp), Failure> {
    let failed = |error: ReadError| opened.failed(&error);
    let from = match args.span.from {
        Some(from) => from.first(),
        None => {
            let first = opened.ledger.query_accounts(&QueryFilter::all(1)).map_err(failed)?;
            first.first().map_or(Timestamp::FIRST, |account| account.timestamp)
        }
    };
    let to = match args.span.to {
        Some(to) => to.last(),
        None => {
            // Scripts may have given times that are still to come.
            let newest = QueryFilter::all(1).reversed();
            let newest = opened.ledger.query_transfers(&newest).map_err(failed)?;
            newest.first().map_or(Timestamp::ZERO, |transfer| transfer.timestamp).max(script::system_clock())
        }
    };
    require_span(from, to)?;
    Ok((from, to))
}
