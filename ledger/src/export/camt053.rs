//! ISO 20022 bank-to-customer statement, camt.053.001.08.

use std::io::{self, Write};

use sha2::{Digest, Sha256};

use super::books::accounts;
use super::{DateTime, Decimal, ExportError, Labels, Net};
use crate::{AccountId, Amount, Reads, Statement, StatementLine, Timestamp};

/// The longest name that has room (`Max70Text`).
const NAME_CHARS_MAX: usize = 70;
/// The most digits of an amount, and of those behind the point (`ActiveOrHistoricCurrencyAndAmount`).
const AMOUNT_DIGITS_MAX: u32 = 18;
const MINOR_DIGITS_MAX: u8 = 5;
/// The code of ISO 4217 for "no currency is involved".
const NO_CURRENCY: &str = "XXX";

/// Writes a statement of every account from `from` to `to`, both included. `created` is the time that the message
/// bears: the same ledger, span and time give the same bytes.
///
/// It speaks as a bank does to its customer: what the account holds is credits less debits (`CRDT`), a debit takes
/// from it. Only posted transfers are entries. Accounts and transfers are named by their ids in hexadecimal, as in the
/// views of the file; a ledger whose currency has no code of three letters is in `XXX`.
///
/// # Errors
/// See [`ExportError`]; among others when an amount has more than 18 digits, or 5 behind the point.
pub fn camt053<R: Reads>(
    ledger: &R,
    labels: &Labels,
    (from, to): (Timestamp, Timestamp),
    created: Timestamp,
    out: &mut impl Write,
) -> Result<(), ExportError<R::Error>> {
    let accounts: Vec<AccountId> = accounts(ledger)?.iter().map(|account| account.id).collect();
    if accounts.is_empty() {
        return Err(ExportError::Format("camt.053 needs an account at least: the ledger has none".into()));
    }
    message(ledger, &accounts, labels, (from, to), created, out)
}

/// [`camt053`] of one account.
///
/// # Errors
/// See [`ExportError`]; among others when there is no such account.
pub fn camt053_of<R: Reads>(
    ledger: &R,
    account: AccountId,
    labels: &Labels,
    (from, to): (Timestamp, Timestamp),
    created: Timestamp,
    out: &mut impl Write,
) -> Result<(), ExportError<R::Error>> {
    message(ledger, &[account], labels, (from, to), created, out)
}

fn message<R: Reads>(
    ledger: &R,
    accounts: &[AccountId],
    labels: &Labels,
    (from, to): (Timestamp, Timestamp),
    created: Timestamp,
    out: &mut impl Write,
) -> Result<(), ExportError<R::Error>> {
    if from > to {
        return Err(ExportError::Format("the span of time ends before it begins".into()));
    }
    let read = |id: AccountId| {
        let read = Statement::read(ledger, id, from, to).map_err(ExportError::Read)?;
        read.ok_or_else(|| ExportError::Format(format!("there is no account {id}")))
    };
    // What has no room is refused before the first byte: nobody should find a part of a message.
    let units = accounts.iter().map(|id| Unit::of(&read(*id)?, labels)).collect::<Result<Vec<_>, _>>()?;
    let mut xml = Xml { out, open: Vec::new() };
    xml.out.write_all(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")?;
    xml.start_with("Document", " xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.08\"")?;
    xml.start("BkToCstmrStmt")?;
    xml.start("GrpHdr")?;
    xml.leaf("MsgId", &identifier(b"message", accounts, (from, to), created))?;
    xml.leaf("CreDtTm", &DateTime::from(created).to_string())?;
    xml.end()?;
    for (id, unit) in accounts.iter().zip(&units) {
        xml.statement(&read(*id)?, unit, labels, created)?;
    }
    xml.end()?;
    xml.end()?;
    Ok(xml.out.flush()?)
}

/// The currency as camt.053 has it, with the check that all amounts have room.
struct Unit {
    code: String,
    minor_digits: u8,
}

impl Unit {
    fn of<E>(statement: &Statement, labels: &Labels) -> Result<Self, ExportError<E>> {
        let currency = labels.currency(statement.account.ledger);
        let is_iso =
            currency.code().len() == 3 && currency.code().bytes().all(|byte| byte.is_ascii_uppercase());
        let code = if is_iso { currency.code() } else { NO_CURRENCY }.to_owned();
        let minor_digits = currency.minor_digits();
        let refuse = |what: String| {
            Err(ExportError::Format(format!(
                "account {}: camt.053 has no room for {what}",
                statement.account.id
            )))
        };
        if minor_digits > MINOR_DIGITS_MAX {
            return refuse(format!("the {minor_digits} digits behind the point of {currency}"));
        }
        let (debits, credits) = statement.opening;
        let balances = statement.lines.iter().map(StatementLine::balance).map(Net::amount);
        let amounts = statement.lines.iter().map(|line| line.transfer.amount);
        let opening = Net::of(debits, credits).amount();
        match balances
            .chain(amounts)
            .chain([opening])
            .find(|amount| amount.0 >= 10_u128.pow(AMOUNT_DIGITS_MAX))
        {
            Some(amount) => refuse(format!("{amount} minor units of {currency}, more than 18 digits")),
            None => Ok(Self { code, minor_digits }),
        }
    }

    fn decimal(&self, amount: Amount) -> String {
        Decimal { net: Net::debit(amount), minor_digits: self.minor_digits }.to_string()
    }
}

/// Elements in the order of the schema, indented.
struct Xml<'a, W> {
    out: &'a mut W,
    open: Vec<&'static str>,
}

impl<W: Write> Xml<'_, W> {
    fn indent(&mut self) -> io::Result<()> {
        write!(self.out, "{:1$}", "", self.open.len() * 2)
    }

    fn start(&mut self, element: &'static str) -> io::Result<()> {
        self.start_with(element, "")
    }

    fn start_with(&mut self, element: &'static str, attributes: &str) -> io::Result<()> {
        self.indent()?;
        self.open.push(element);
        writeln!(self.out, "<{element}{attributes}>")
    }

    fn end(&mut self) -> io::Result<()> {
        let element = self.open.pop().expect("every end has its start");
        self.indent()?;
        writeln!(self.out, "</{element}>")
    }

    fn leaf(&mut self, element: &str, text: &str) -> io::Result<()> {
        self.indent()?;
        writeln!(self.out, "<{element}>{}</{element}>", escaped(text))
    }

    /// Elements inside each other with one text in the innermost: `["Sts", "Cd"]`.
    fn path(&mut self, path: &[&'static str], text: &str) -> io::Result<()> {
        let Some((leaf, outer)) = path.split_last() else { return Ok(()) };
        outer.iter().try_for_each(|element| self.start(element))?;
        self.leaf(leaf, text)?;
        outer.iter().try_for_each(|_| self.end())
    }

    fn amount(&mut self, unit: &Unit, amount: Amount, is_debit: bool) -> io::Result<()> {
        self.indent()?;
        writeln!(self.out, "<Amt Ccy=\"{}\">{}</Amt>", unit.code, unit.decimal(amount))?;
        self.leaf("CdtDbtInd", if is_debit { "DBIT" } else { "CRDT" })
    }

    fn statement(
        &mut self,
        statement: &Statement,
        unit: &Unit,
        labels: &Labels,
        created: Timestamp,
    ) -> io::Result<()> {
        let account = statement.account.id;
        let span = (statement.from, statement.to);
        self.start("Stmt")?;
        self.leaf("Id", &identifier(b"statement", &[account], span, Timestamp::ZERO))?;
        self.leaf("CreDtTm", &DateTime::from(created).to_string())?;
        self.start("FrToDt")?;
        self.leaf("FrDtTm", &DateTime::from(statement.from).to_string())?;
        self.leaf("ToDtTm", &DateTime::from(statement.to).to_string())?;
        self.end()?;
        self.start("Acct")?;
        self.path(&["Id", "Othr", "Id"], &hexadecimal(account.0))?;
        self.leaf("Ccy", &unit.code)?;
        self.leaf("Nm", &name(labels, account))?;
        self.end()?;
        self.balance(unit, "OPBD", statement.opening, statement.from)?;
        self.balance(unit, "CLBD", statement.closing(), statement.to)?;
        for line in &statement.lines {
            self.entry(line, unit, labels)?;
        }
        self.end()
    }

    fn balance(
        &mut self,
        unit: &Unit,
        kind: &str,
        (debits, credits): (Amount, Amount),
        at: Timestamp,
    ) -> io::Result<()> {
        let net = Net::of(debits, credits);
        let overdrawn = !net.is_negative() && net.amount() > Amount::ZERO;
        self.start("Bal")?;
        self.path(&["Tp", "CdOrPrtry", "Cd"], kind)?;
        self.amount(unit, net.amount(), overdrawn)?;
        self.path(&["Dt", "DtTm"], &DateTime::from(at).to_string())?;
        self.end()
    }

    fn entry(&mut self, line: &StatementLine, unit: &Unit, labels: &Labels) -> io::Result<()> {
        let transfer = &line.transfer;
        let id = hexadecimal(transfer.id.0);
        let time = DateTime::from(transfer.timestamp).to_string();
        self.start("Ntry")?;
        self.leaf("NtryRef", &id)?;
        self.amount(unit, transfer.amount, line.is_debit)?;
        self.path(&["Sts", "Cd"], "BOOK")?;
        self.path(&["BookgDt", "DtTm"], &time)?;
        self.path(&["ValDt", "DtTm"], &time)?;
        self.leaf("AcctSvcrRef", &id)?;
        self.path(&["BkTxCd", "Prtry", "Cd"], &transfer.code.to_string())?;
        self.start("NtryDtls")?;
        self.start("TxDtls")?;
        self.start("Refs")?;
        self.leaf("AcctSvcrRef", &id)?;
        if transfer.user_data_128 != 0 {
            self.leaf("EndToEndId", &hexadecimal(transfer.user_data_128))?;
        }
        self.end()?;
        self.start("RltdPties")?;
        for (party, account, id) in [
            ("Dbtr", "DbtrAcct", transfer.debit_account_id),
            ("Cdtr", "CdtrAcct", transfer.credit_account_id),
        ] {
            self.path(&[party, "Pty", "Nm"], &name(labels, id))?;
            self.path(&[account, "Id", "Othr", "Id"], &hexadecimal(id.0))?;
        }
        for _ in ["RltdPties", "TxDtls", "NtryDtls", "Ntry"] {
            self.end()?;
        }
        Ok(())
    }
}

/// Ids in hexadecimal have 32 digits: within the 34 or 35 that the schema allows, where decimals would not be.
fn hexadecimal(id: u128) -> String {
    format!("{id:032x}")
}

/// An identifier of its own for each content: 32 hexadecimal digits of a hash.
fn identifier(
    kind: &[u8],
    accounts: &[AccountId],
    (from, to): (Timestamp, Timestamp),
    created: Timestamp,
) -> String {
    let mut hash = Sha256::new_with_prefix(kind);
    for time in [from, to, created] {
        hash.update(time.0.to_be_bytes());
    }
    for account in accounts {
        hash.update(account.0.to_be_bytes());
    }
    let hash = hash.finalize();
    hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn name(labels: &Labels, account: AccountId) -> String {
    let name: String = labels.name(account).chars().map(plain).take(NAME_CHARS_MAX).collect();
    if name.trim().is_empty() { account.to_string() } else { name }
}

/// What XML 1.0 cannot carry becomes a space.
fn plain(c: char) -> char {
    if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') { ' ' } else { c }
}

/// Text of an element.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars().map(plain) {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            c => escaped.push(c),
        }
    }
    escaped
}
