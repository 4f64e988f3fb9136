//! `hundi ledger statement`.

use std::io::{self, Write};

use clap::Args;
use hundi_ledger::export::{DateTime, Labels, Net};
use hundi_ledger::{Amount, Statement, StatementLine, Timestamp};
use serde::Serialize;

use super::accounts::sided;
use super::file::{FileArgs, print};
use super::record::credit_balance;
use super::table::{self, Align, one_line};
use super::time::{TimeArg, require_span};
use crate::console;
use crate::failure::Failure;

/// Arguments of `hundi ledger statement`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hundi ledger statement app.db customers:asha
  hundi ledger statement app.db customers:asha --from 2026-10-01 --to 2026-10-31
  hundi ledger statement app.db 17 --at 2026-10-31 --json

Times are in UTC; a date alone begins or ends with its day. Only what was posted
is shown: what is reserved is not in it, and `hundi ledger balance` shows it. Cr
is what the account has received and not given, Dr the other way round.")]
pub(crate) struct StatementArgs {
    #[command(flatten)]
    file: FileArgs,
    /// The account, by name or id
    account: String,
    /// Begin here, with the balance of just before
    #[arg(long, value_name = "TIME")]
    from: Option<TimeArg>,
    /// End here: the statement as it was then
    #[arg(long, value_name = "TIME", visible_alias = "at")]
    to: Option<TimeArg>,
    /// Print one JSON object; amounts are in minor units
    #[arg(long)]
    json: bool,
}

/// Amounts in minor units; `credit_balance` is posted credits less posted debits.
#[derive(Serialize)]
struct StatementReport {
    account_id: String,
    name: String,
    currency: String,
    minor_digits: u8,
    from: String,
    to: String,
    opening_credit_balance: String,
    lines: Vec<LineReport>,
    closing_credit_balance: String,
}

#[derive(Serialize)]
struct LineReport {
    time: String,
    timestamp: String,
    transfer_id: String,
    pending_id: String,
    code: u16,
    side: &'static str,
    amount: String,
    counterparty_id: String,
    counterparty: String,
    credit_balance: String,
    user_data_128: String,
    user_data_64: String,
    user_data_32: u32,
}

/// Runs the command.
pub(super) fn run(args: &StatementArgs) -> Result<(), Failure> {
    let opened = args.file.open()?;
    let account = opened.account(&args.account)?;
    let from = args.from.map_or(Timestamp::FIRST, TimeArg::first);
    let to = args.to.map_or(Timestamp::LAST, TimeArg::last);
    require_span(from, to)?;
    let statement =
        Statement::read(&opened.ledger, account.id, from, to).map_err(|error| opened.failed(&error))?;
    let Some(statement) = statement else { return Err(Failure::input("the account is gone")) };
    if args.json {
        return console::json(&report(&statement, &opened.labels));
    }
    print(|out| write(out, &statement, &opened.labels))
}

fn report(statement: &Statement, labels: &Labels) -> StatementReport {
    let account = &statement.account;
    let currency = labels.currency(account.ledger);
    let balance = |(debits, credits): (Amount, Amount)| credit_balance(debits, credits);
    StatementReport {
        account_id: account.id.to_string(),
        name: labels.name(account.id).into_owned(),
        currency: currency.code().to_owned(),
        minor_digits: currency.minor_digits(),
        from: statement.from.to_string(),
        to: statement.to.to_string(),
        opening_credit_balance: balance(statement.opening),
        lines: statement.lines.iter().map(|line| line_report(line, labels)).collect(),
        closing_credit_balance: balance(statement.closing()),
    }
}

fn line_report(line: &StatementLine, labels: &Labels) -> LineReport {
    let transfer = &line.transfer;
    LineReport {
        time: DateTime::from(transfer.timestamp).to_string(),
        timestamp: transfer.timestamp.to_string(),
        transfer_id: transfer.id.to_string(),
        pending_id: transfer.pending_id.to_string(),
        code: transfer.code.0,
        side: if line.is_debit { "debit" } else { "credit" },
        amount: transfer.amount.to_string(),
        counterparty_id: line.counterparty().to_string(),
        counterparty: labels.name(line.counterparty()).into_owned(),
        credit_balance: credit_balance(line.debits_posted, line.credits_posted),
        user_data_128: transfer.user_data_128.to_string(),
        user_data_64: transfer.user_data_64.to_string(),
        user_data_32: transfer.user_data_32,
    }
}

fn write(out: &mut impl Write, statement: &Statement, labels: &Labels) -> io::Result<()> {
    let account = &statement.account;
    let currency = labels.currency(account.ledger);
    writeln!(
        out,
        "Statement of {} (id {}), in {currency}\n",
        one_line(&labels.name(account.id)),
        account.id
    )?;
    let edge = |what: &str, (debits, credits): (Amount, Amount)| {
        let balance = sided(Net::of(debits, credits), account.ledger, labels);
        [what.to_owned(), String::new(), String::new(), String::new(), String::new(), String::new(), balance]
    };
    let mut rows = vec![edge("opening balance", statement.opening)];
    for line in &statement.lines {
        let transfer = &line.transfer;
        let amount = currency.format(transfer.amount);
        let (debit, credit) = if line.is_debit { (amount, String::new()) } else { (String::new(), amount) };
        rows.push([
            DateTime::from(transfer.timestamp).to_string(),
            transfer.id.to_string(),
            transfer.code.to_string(),
            one_line(&labels.name(line.counterparty())),
            debit,
            credit,
            sided(line.balance(), account.ledger, labels),
        ]);
    }
    rows.push(edge("closing balance", statement.closing()));
    let header = [
        ("time", Align::Left),
        ("transfer", Align::Right),
        ("code", Align::Right),
        ("with", Align::Left),
        ("debit", Align::Right),
        ("credit", Align::Right),
        ("balance", Align::Right),
    ];
    table::write(out, header, &rows)
}
