//! `hundi ledger accounts` and `hundi ledger balance`.

use clap::Args;
use hundi_ledger::export::{DateTime, Labels, Net};
use hundi_ledger::{Account, AccountBalance, LedgerCode, Timestamp};
use serde::Serialize;

use super::file::{FileArgs, Opened, print};
use super::record::{AccountRecord, BalanceRecord};
use super::table::{self, Align, one_line};
use super::time::TimeArg;
use crate::console;
use crate::failure::Failure;

/// Arguments of `hundi ledger accounts`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  hundi ledger accounts net/bank-alpha/bank.db")]
pub(crate) struct AccountsArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Print one JSON object; amounts are in minor units
    #[arg(long)]
    json: bool,
}

/// Arguments of `hundi ledger balance`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hundi ledger balance app.db
  hundi ledger balance app.db customers:asha --at 2026-10-31
  hundi ledger balance app.db 17 --at 2026-10-31T12:00:00Z --json

A date alone means the end of that day (UTC). Cr is what the account has
received and not given, Dr the other way round.")]
pub(crate) struct BalanceArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Names or ids; all accounts if left out
    accounts: Vec<String>,
    /// As it was then
    #[arg(long, value_name = "TIME")]
    at: Option<TimeArg>,
    /// Print one JSON object; amounts are in minor units
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct AccountsReport {
    accounts: Vec<AccountRecord>,
}

#[derive(Serialize)]
struct BalanceReport {
    at: Option<String>,
    balances: Vec<NamedBalance>,
}

#[derive(Serialize)]
struct NamedBalance {
    account_id: String,
    name: String,
    currency: String,
    minor_digits: u8,
    #[serde(flatten)]
    balances: BalanceRecord,
}

/// Runs `accounts`.
pub(super) fn list(args: &AccountsArgs) -> Result<(), Failure> {
    let opened = args.file.open()?;
    let (accounts, labels) = (opened.accounts()?, &opened.labels);
    if args.json {
        let accounts = accounts.iter().map(|account| AccountRecord::of(account, labels)).collect();
        return console::json(&AccountsReport { accounts });
    }
    let rows: Vec<_> = accounts
        .iter()
        .map(|account| {
            let balance = Net::posted(account);
            [
                account.id.to_string(),
                one_line(&labels.name(account.id)),
                account.code.to_string(),
                sided(balance, account.ledger, labels),
                labels.currency(account.ledger).to_string(),
                DateTime::from(account.timestamp).date(),
                account.flags.names().collect::<Vec<_>>().join(" "),
            ]
        })
        .collect();
    let header = [
        ("id", Align::Right),
        ("name", Align::Left),
        ("code", Align::Right),
        ("balance", Align::Right),
        ("", Align::Left),
        ("opened", Align::Left),
        ("flags", Align::Left),
    ];
    print(|out| table::write(out, header, &rows))
}

/// Runs `balance`.
pub(super) fn balance(args: &BalanceArgs) -> Result<(), Failure> {
    let opened = args.file.open()?;
    let accounts = if args.accounts.is_empty() {
        opened.accounts()?
    } else {
        args.accounts.iter().map(|name| opened.account(name)).collect::<Result<_, _>>()?
    };
    let at = args.at.map(TimeArg::last);
    let mut balances = Vec::with_capacity(accounts.len());
    for account in accounts {
        balances.extend(balance_of(&opened, &account, at)?.map(|balance| (account, balance)));
    }
    if args.json {
        balances_as_json(&balances, at, &opened.labels)
    } else {
        balances_as_text(&balances, &opened.labels)
    }
}

/// The account's balances, now or then; `None` if there was no such account yet.
fn balance_of(
    opened: &Opened,
    account: &Account,
    at: Option<Timestamp>,
) -> Result<Option<AccountBalance>, Failure> {
    match at {
        None => Ok(Some(AccountBalance::of(account, account.timestamp))),
        Some(at) if at < account.timestamp => Ok(None),
        Some(at) => opened.ledger.balances_at(account.id, at).map_err(|error| opened.failed(&error)),
    }
}

fn balances_as_json(
    balances: &[(Account, AccountBalance)],
    at: Option<Timestamp>,
    labels: &Labels,
) -> Result<(), Failure> {
    let balances = balances.iter().map(|(account, balance)| {
        let currency = labels.currency(account.ledger);
        NamedBalance {
            account_id: account.id.to_string(),
            name: labels.name(account.id).into_owned(),
            currency: currency.code().to_owned(),
            minor_digits: currency.minor_digits(),
            balances: BalanceRecord::of(balance),
        }
    });
    console::json(&BalanceReport { at: at.map(|at| at.to_string()), balances: balances.collect() })
}

fn balances_as_text(balances: &[(Account, AccountBalance)], labels: &Labels) -> Result<(), Failure> {
    let rows: Vec<_> = balances
        .iter()
        .map(|(account, balance)| {
            let currency = labels.currency(account.ledger);
            [
                one_line(&labels.name(account.id)),
                currency.format(balance.debits_posted),
                currency.format(balance.credits_posted),
                currency.format(balance.debits_pending),
                currency.format(balance.credits_pending),
                sided(Net::posted_at(balance), account.ledger, labels),
                currency.to_string(),
            ]
        })
        .collect();
    let header = [
        ("account", Align::Left),
        ("debits", Align::Right),
        ("credits", Align::Right),
        ("pending debits", Align::Right),
        ("pending credits", Align::Right),
        ("balance", Align::Right),
        ("", Align::Left),
    ];
    print(|out| table::write(out, header, &rows))
}

/// An amount with its side: `1,234.50 Cr`.
pub(super) fn sided(net: Net, ledger: LedgerCode, labels: &Labels) -> String {
    let side = if net == Net::default() {
        "  "
    } else if net.is_negative() {
        "Cr"
    } else {
        "Dr"
    };
    format!("{} {side}", labels.currency(ledger).format(net.amount()))
}
