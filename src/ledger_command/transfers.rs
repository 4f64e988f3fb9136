//! `hundi ledger transfers`.

use std::io::Write as _;

use clap::Args;
use hundi_ledger::export::DateTime;
use hundi_ledger::{AccountFilter, QueryFilter, Reads as _, Timestamp, Transfer};
use serde::Serialize;

use super::file::{FileArgs, Opened, print};
use super::record::{TransferRecord, kind};
use super::table::{self, Align, one_line};
use super::time::{SpanArgs, TimeArg, require_span};
use crate::console;
use crate::failure::Failure;

/// Arguments of `hundi ledger transfers`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hundi ledger transfers app.db                          the last 50
  hundi ledger transfers app.db --account customers:asha --from 2026-10-01
  hundi ledger transfers app.db --limit 1000000 --json

Voids are shown too; expiries are no transfers.")]
pub(crate) struct TransfersArgs {
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    span: SpanArgs,
    /// At most so many, the newest ones
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u32,
    /// Print one JSON object; amounts are in minor units
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct TransfersReport {
    transfers: Vec<TransferRecord>,
}

/// Runs the command.
pub(super) fn run(args: &TransfersArgs) -> Result<(), Failure> {
    if let (Some(from), Some(to)) = (args.span.from, args.span.to) {
        require_span(from.first(), to.last())?;
    }
    let opened = args.file.open()?;
    let transfers = read(args, &opened)?;
    let labels = &opened.labels;
    if args.json {
        let transfers = transfers.iter().map(|transfer| TransferRecord::of(transfer, labels)).collect();
        return console::json(&TransfersReport { transfers });
    }
    let rows: Vec<_> = transfers
        .iter()
        .map(|transfer| {
            [
                DateTime::from(transfer.timestamp).to_string(),
                transfer.id.to_string(),
                kind(transfer).to_owned(),
                transfer.code.to_string(),
                one_line(&labels.name(transfer.debit_account_id)),
                one_line(&labels.name(transfer.credit_account_id)),
                labels.currency(transfer.ledger).money(transfer.amount).to_string(),
            ]
        })
        .collect();
    let header = [
        ("time", Align::Left),
        ("id", Align::Right),
        ("type", Align::Left),
        ("code", Align::Right),
        ("debit", Align::Left),
        ("credit", Align::Left),
        ("amount", Align::Right),
    ];
    print(|out| {
        table::write(out, header, &rows)?;
        out.flush()
    })?;
    if transfers.len() == args.limit as usize {
        console::note(format_args!("the newest {}; --limit shows more", args.limit));
    }
    Ok(())
}

/// The newest transfers that are asked for, the oldest of them first.
fn read(args: &TransfersArgs, opened: &Opened) -> Result<Vec<Transfer>, Failure> {
    let timestamp_min = args.span.from.map_or(Timestamp::ZERO, TimeArg::first);
    let timestamp_max = args.span.to.map_or(Timestamp::ZERO, TimeArg::last);
    let found = match &args.span.account {
        Some(name) => {
            let of = AccountFilter::of(opened.account(name)?.id, args.limit).reversed();
            opened.ledger.get_account_transfers(&AccountFilter { timestamp_min, timestamp_max, ..of })
        }
        None => {
            let all = QueryFilter::all(args.limit).reversed();
            opened.ledger.query_transfers(&QueryFilter { timestamp_min, timestamp_max, ..all })
        }
    };
    let mut transfers = found.map_err(|error| opened.failed(&error))?;
    transfers.reverse();
    Ok(transfers)
}
