//! hledger's journal format (hledger.org/hledger.html#journal).

use std::collections::BTreeMap;
use std::io::Write;

use super::books::{Books, details};
use super::unique::Unique;
use super::{DateTime, Decimal, ExportError, Labels, Net};
use crate::{Account, AccountFlags, AccountId, Amount, ChangeEvent, Currency, LedgerCode, Reads, Timestamp};

/// Writes the ledger as a journal that `hledger check --strict` accepts. Names keep their `:` as levels; characters
/// that mean something else to hledger are replaced.
///
/// Each posted transfer is a cleared transaction (`*`), each pending one that still waits a pending transaction (`!`)
/// of amounts of zero with the reserved amount in its tag `reserved`.
///
/// # Errors
/// See [`ExportError`].
pub fn hledger<R: Reads>(
    ledger: &R,
    labels: &Labels,
    out: &mut impl Write,
) -> Result<(), ExportError<R::Error>> {
    let books = Books::read(ledger)?;
    let names = names(&books.accounts, labels);
    let commodities = commodities(&books.accounts, labels);
    let mut out = Journal { labels, names: &names, commodities: &commodities, out };
    out.declare(&books.accounts)?;
    books.each_entry(|event, mark, amount| out.transaction(event, mark, amount))?;
    Ok(out.assert_balances(books.last, &books.accounts)?)
}

struct Journal<'a, W> {
    labels: &'a Labels,
    names: &'a BTreeMap<AccountId, String>,
    commodities: &'a BTreeMap<LedgerCode, (Currency, String)>,
    out: &'a mut W,
}

impl<W: Write> Journal<'_, W> {
    fn declare(&mut self, accounts: &[Account]) -> std::io::Result<()> {
        writeln!(
            self.out,
            "; A ledger's books. Debits are positive; what is only reserved has amounts of zero.\n"
        )?;
        let mut codes: BTreeMap<&str, u8> = BTreeMap::new();
        for (currency, commodity) in self.commodities.values() {
            let digits = codes.entry(commodity).or_default();
            *digits = currency.minor_digits().max(*digits);
        }
        for (commodity, digits) in codes {
            writeln!(self.out, "commodity 1000.{} {commodity}", "0".repeat(digits.into()))?;
        }
        writeln!(self.out)?;
        for account in accounts {
            let kind = match kind(account) {
                Some(kind) => format!(", type:{kind}"),
                None => String::new(),
            };
            let name = &self.names[&account.id];
            writeln!(self.out, "account {name}  ; id:{}, code:{}{kind}", account.id, account.code)?;
        }
        writeln!(self.out)
    }

    fn transaction(&mut self, event: &ChangeEvent, mark: char, amount: Amount) -> std::io::Result<()> {
        let transfer = &event.transfer;
        let date = DateTime::from(event.timestamp).date();
        writeln!(self.out, "{date} {mark} ({}) code {}", transfer.id, transfer.code)?;
        let mut tags: Vec<String> =
            details(event).into_iter().map(|(key, value)| format!("{key}:{value}")).collect();
        let (currency, commodity) = &self.commodities[&transfer.ledger];
        if mark == '!' {
            tags.push(format!(
                "reserved:{} {currency}",
                self.labels.decimal(transfer.ledger, transfer.amount)
            ));
        }
        writeln!(self.out, "    ; {}", tags.join(", "))?;
        let debit = self.labels.net(transfer.ledger, Net::debit(amount));
        let credit = self.labels.net(transfer.ledger, Net::credit(amount));
        let postings = [(transfer.debit_account_id, debit), (transfer.credit_account_id, credit)];
        self.postings(&postings.map(|(account, amount)| (account, amount, commodity.clone())))
    }

    /// Two columns: hledger ends a name at two spaces.
    fn postings(&mut self, postings: &[(AccountId, Decimal, String)]) -> std::io::Result<()> {
        let width = |text: &str| text.chars().count();
        let name_width = postings.iter().map(|(account, ..)| width(&self.names[account])).max().unwrap_or(0);
        let amount_width =
            postings.iter().map(|(_, amount, _)| width(&amount.to_string())).max().unwrap_or(0);
        for (account, amount, rest) in postings {
            let name = &self.names[account];
            writeln!(self.out, "    {name:name_width$}    {amount:amount_width$} {rest}")?;
        }
        writeln!(self.out)
    }

    fn assert_balances(&mut self, last: Timestamp, accounts: &[Account]) -> std::io::Result<()> {
        if accounts.is_empty() {
            return Ok(());
        }
        let last = accounts.iter().map(|account| account.timestamp).fold(last, Timestamp::max);
        writeln!(self.out, "{} * balances as the ledger keeps them", DateTime::from(last).date())?;
        let postings = accounts.iter().map(|account| {
            let commodity = &self.commodities[&account.ledger].1;
            let zero = self.labels.net(account.ledger, Net::default());
            let balance = self.labels.net(account.ledger, Net::posted(account));
            (account.id, zero, format!("{commodity} = {balance} {commodity}"))
        });
        let postings: Vec<_> = postings.collect();
        self.postings(&postings)
    }
}

/// What hledger calls the account: an asset if it may only hold debits, a liability if only credits.
fn kind(account: &Account) -> Option<char> {
    if account.flags.contains(AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS) {
        Some('A')
    } else if account.flags.contains(AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS) {
        Some('L')
    } else {
        None
    }
}

fn commodities(accounts: &[Account], labels: &Labels) -> BTreeMap<LedgerCode, (Currency, String)> {
    let ledgers = accounts.iter().map(|account| account.ledger);
    let quoted = |currency: Currency| {
        let code = currency.code();
        if code.bytes().all(|byte| byte.is_ascii_uppercase()) {
            code.to_owned()
        } else {
            format!("\"{code}\"")
        }
    };
    ledgers.map(|ledger| (ledger, (labels.currency(ledger), quoted(labels.currency(ledger))))).collect()
}

/// A name for each account, all different.
fn names(accounts: &[Account], labels: &Labels) -> BTreeMap<AccountId, String> {
    let mut unique = Unique::default();
    accounts.iter().map(|account| (account.id, unique.take(allowed(&labels.name(account.id))))).collect()
}

/// A name that hledger reads as it is: levels are not empty, words have single spaces between them, and it does not
/// begin like a mark, a comment or a virtual account.
fn allowed(name: &str) -> String {
    let plain: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let level = |level: &str| {
        let words: Vec<&str> = level.split_whitespace().collect();
        if words.is_empty() { "_".to_owned() } else { words.join(" ").replace(';', ",") }
    };
    let name = plain.split(':').map(level).collect::<Vec<_>>().join(":");
    if name.starts_with(['(', '[', '*', '!']) { format!("_{name}") } else { name }
}
