//! beancount's format (beancount.github.io/docs/beancount_language_syntax.html).

use std::collections::BTreeMap;
use std::io::Write;

use super::books::{Books, details, posted};
use super::unique::Unique;
use super::{DateTime, ExportError, Labels, Net};
use crate::{Account, AccountFlags, AccountId, Amount, ChangeEvent, LedgerCode, Reads, Timestamp};

/// The first level of every account in beancount.
const ROOTS: [&str; 5] = ["Assets", "Liabilities", "Equity", "Income", "Expenses"];
/// The longest commodity, in bytes.
const COMMODITY_BYTES_MAX: usize = 24;
/// The precision of beancount's decimals.
const DIGITS_MAX: u32 = 28;

/// Writes the ledger as a file that `bean-check` accepts.
///
/// A name whose first level is one of beancount's five roots keeps it. Others go under `Liabilities` when the account
/// may only hold credits, under `Assets` when only debits, and under `Equity` when nothing is said. The name as it
/// was stands in the metadata of the account.
///
/// Each posted transfer is a transaction (`*`), each pending one that still waits one with the flag `!`, of amounts of
/// zero, with the reserved amount as metadata.
///
/// # Errors
/// See [`ExportError`]; among others when an amount or a balance has more than the 28 digits that beancount counts with: it
/// would round, and refuse the books.
pub fn beancount<R: Reads>(
    ledger: &R,
    labels: &Labels,
    out: &mut impl Write,
) -> Result<(), ExportError<R::Error>> {
    let books = Books::read(ledger)?;
    let names = names(&books.accounts, labels);
    let commodities = commodities(&books.accounts, labels);
    check_digits(&books)?;
    let mut out = File { labels, names: &names, commodities: &commodities, out };
    out.open(&books.accounts)?;
    books.each_entry(|event, mark, amount| out.transaction(event, mark, amount))?;
    out.assert_balances(books.last, &books.accounts)
}

/// Whether beancount can count with every amount and with every balance on the way.
fn check_digits<R: Reads>(books: &Books<'_, R>) -> Result<(), ExportError<R::Error>> {
    let refuse = |what: String| {
        let text = format!(
            "beancount counts with {DIGITS_MAX} digits, and {what} has more minor units: export for hledger or as csv"
        );
        Err(ExportError::Format(text))
    };
    let mut balances: BTreeMap<AccountId, Net> = BTreeMap::new();
    books.each_event(|event| {
        let transfer = &event.transfer;
        if !has_room(Net::debit(transfer.amount)) {
            return refuse(format!("transfer {}", transfer.id));
        }
        let Some(amount) = posted(event) else { return Ok(()) };
        let sides = [
            (transfer.debit_account_id, Net::debit(amount)),
            (transfer.credit_account_id, Net::credit(amount)),
        ];
        for (account, net) in sides {
            let balance = balances.entry(account).or_default();
            match balance.checked_add(net).filter(|sum| has_room(*sum)) {
                Some(sum) => *balance = sum,
                None => return refuse(format!("the balance of account {account}")),
            }
        }
        Ok(())
    })
}

fn has_room(net: Net) -> bool {
    net.amount().0 < 10_u128.pow(DIGITS_MAX)
}

struct File<'a, W> {
    labels: &'a Labels,
    names: &'a BTreeMap<AccountId, String>,
    commodities: &'a BTreeMap<LedgerCode, String>,
    out: &'a mut W,
}

impl<W: Write> File<'_, W> {
    fn open(&mut self, accounts: &[Account]) -> std::io::Result<()> {
        writeln!(
            self.out,
            "; A ledger's books. Debits are positive; what is only reserved has amounts of zero.\n"
        )?;
        for account in accounts {
            let date = DateTime::from(account.timestamp).date();
            let name = &self.names[&account.id];
            writeln!(self.out, "{date} open {name} {}", self.commodities[&account.ledger])?;
            writeln!(self.out, "  id: \"{}\"", account.id)?;
            writeln!(self.out, "  name: {}", quoted(&self.labels.name(account.id)))?;
            writeln!(self.out, "  code: {}", account.code)?;
        }
        writeln!(self.out)
    }

    fn transaction(&mut self, event: &ChangeEvent, flag: char, amount: Amount) -> std::io::Result<()> {
        let transfer = &event.transfer;
        let date = DateTime::from(event.timestamp).date();
        let commodity = &self.commodities[&transfer.ledger];
        writeln!(self.out, "{date} {flag} \"code {}\"", transfer.code)?;
        writeln!(self.out, "  id: \"{}\"", transfer.id)?;
        for (key, value) in details(event) {
            writeln!(self.out, "  {key}: \"{value}\"")?;
        }
        if flag == '!' {
            let reserved = self.labels.decimal(transfer.ledger, transfer.amount);
            writeln!(self.out, "  reserved: {reserved} {commodity}")?;
        }
        let sides = [
            (transfer.debit_account_id, Net::debit(amount)),
            (transfer.credit_account_id, Net::credit(amount)),
        ];
        for (account, net) in sides {
            let amount = self.labels.net(transfer.ledger, net);
            writeln!(self.out, "  {}  {amount} {commodity}", self.names[&account])?;
        }
        writeln!(self.out)
    }

    /// beancount looks at the start of the day, at an account with all that are below it, and tolerates half a unit
    /// or more unless told not to.
    fn assert_balances<E>(&mut self, last: Timestamp, accounts: &[Account]) -> Result<(), ExportError<E>> {
        let last = accounts.iter().map(|account| account.timestamp).fold(last, Timestamp::max);
        let date = DateTime::from(last).next_date();
        let by_name: BTreeMap<&str, &Account> =
            accounts.iter().map(|account| (self.names[&account.id].as_str(), account)).collect();
        for (name, account) in &by_name {
            let commodity = &self.commodities[&account.ledger];
            let mut sum = Net::posted(account);
            let below = format!("{name}:");
            for (_, child) in
                by_name.range(below.as_str()..).take_while(|(child, _)| child.starts_with(&below))
            {
                if &self.commodities[&child.ledger] == commodity {
                    let more = sum.checked_add(Net::posted(child)).filter(|sum| has_room(*sum));
                    sum = more.ok_or_else(|| {
                        ExportError::Format(format!(
                            "the sum of {name} passes beancount's {DIGITS_MAX} digits"
                        ))
                    })?;
                }
            }
            let zero = self.labels.net(account.ledger, Net::default());
            let balance = self.labels.net(account.ledger, sum);
            writeln!(self.out, "{date} balance {name}  {balance} ~ {zero} {commodity}")?;
        }
        Ok(())
    }
}

/// A commodity for each ledger. Ledgers of one currency share it.
fn commodities(accounts: &[Account], labels: &Labels) -> BTreeMap<LedgerCode, String> {
    let mut unique = Unique::default();
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut commodity = |code: &str| {
        known
            .entry(code.to_owned())
            .or_insert_with(|| {
                // It ends with a letter or a digit, and has two characters at least.
                let ends_well = code.len() > 1 && code.ends_with(|last: char| last.is_ascii_alphanumeric());
                let name = unique.take(if ends_well { code.to_owned() } else { format!("{code}X") });
                assert!(
                    name.len() <= COMMODITY_BYTES_MAX,
                    "a code has 12 characters, a number behind it fewer"
                );
                name
            })
            .clone()
    };
    accounts
        .iter()
        .map(|account| (account.ledger, commodity(labels.currency(account.ledger).code())))
        .collect()
}

/// A name for each account, all different.
fn names(accounts: &[Account], labels: &Labels) -> BTreeMap<AccountId, String> {
    let mut unique = Unique::default();
    accounts
        .iter()
        .map(|account| (account.id, unique.take(allowed(account, &labels.name(account.id)))))
        .collect()
}

fn allowed(account: &Account, name: &str) -> String {
    let levels: Vec<String> = name.split(':').map(level).collect();
    let root = ROOTS.into_iter().find(|root| levels.len() > 1 && *root == levels[0]);
    match root {
        Some(_) => levels.join(":"),
        None => format!("{}:{}", root_of(account), levels.join(":")),
    }
}

fn root_of(account: &Account) -> &'static str {
    if account.flags.contains(AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS) {
        "Assets"
    } else if account.flags.contains(AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS) {
        "Liabilities"
    } else {
        "Equity"
    }
}

/// One level of a name: letters, digits and `-`, beginning with a capital or a digit.
fn level(text: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let plain: String = text.trim().chars().map(allowed).collect();
    let mut letters = plain.chars();
    match letters.next() {
        None => "X".to_owned(),
        Some('-') => format!("X{plain}"),
        Some(first) => first.to_uppercase().chain(letters).collect(),
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push(' '),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
