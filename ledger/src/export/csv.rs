//! Comma-separated values (RFC 4180), for spreadsheets and scripts: one table of events, one of accounts.

use std::borrow::Cow;
use std::io::{self, Write};

use super::books::{Books, accounts, posted};
use super::{DateTime, ExportError, Labels, Net};
use crate::{Amount, Reads};

/// Writes every change of balances, one a line, voids and expiries too. `posted` is what moved from the debit to the
/// credit account: summed up by account it gives the posted balances.
///
/// Names stand as they are, also those that a spreadsheet takes for a formula.
///
/// # Errors
/// See [`ExportError`].
pub fn csv_events<R: Reads>(
    ledger: &R,
    labels: &Labels,
    out: &mut impl Write,
) -> Result<(), ExportError<R::Error>> {
    let header = "time,timestamp,type,transfer_id,pending_id,debit_account_id,debit_account,credit_account_id,\
        credit_account,amount,posted,currency,ledger,code,flags,timeout,user_data_128,user_data_64,user_data_32";
    write!(out, "{header}\r\n")?;
    Books::read(ledger)?.each_event(|event| {
        let transfer = &event.transfer;
        let decimal = |amount: Amount| labels.decimal(transfer.ledger, amount).to_string();
        let fields: [Cow<'_, str>; 19] = [
            DateTime::from(event.timestamp).to_string().into(),
            event.timestamp.to_string().into(),
            event.kind.as_str().into(),
            transfer.id.to_string().into(),
            transfer.pending_id.to_string().into(),
            transfer.debit_account_id.to_string().into(),
            labels.name(transfer.debit_account_id),
            transfer.credit_account_id.to_string().into(),
            labels.name(transfer.credit_account_id),
            decimal(transfer.amount).into(),
            decimal(posted(event).unwrap_or_default()).into(),
            labels.currency(transfer.ledger).code().to_owned().into(),
            transfer.ledger.to_string().into(),
            transfer.code.to_string().into(),
            transfer.flags.to_string().into(),
            transfer.timeout.to_string().into(),
            transfer.user_data_128.to_string().into(),
            transfer.user_data_64.to_string().into(),
            transfer.user_data_32.to_string().into(),
        ];
        Ok(row(out, &fields)?)
    })
}

/// Writes every account with its balances, one a line. `balance` is posted debits less posted credits.
///
/// # Errors
/// See [`ExportError`].
pub fn csv_accounts<R: Reads>(
    ledger: &R,
    labels: &Labels,
    out: &mut impl Write,
) -> Result<(), ExportError<R::Error>> {
    let header = "id,name,currency,balance,debits_pending,debits_posted,credits_pending,credits_posted,ledger,code,\
        flags,time,timestamp,user_data_128,user_data_64,user_data_32";
    write!(out, "{header}\r\n")?;
    for account in accounts(ledger)? {
        let decimal = |amount: Amount| labels.decimal(account.ledger, amount).to_string();
        let fields: [Cow<'_, str>; 16] = [
            account.id.to_string().into(),
            labels.name(account.id),
            labels.currency(account.ledger).code().to_owned().into(),
            labels.net(account.ledger, Net::posted(&account)).to_string().into(),
            decimal(account.debits_pending).into(),
            decimal(account.debits_posted).into(),
            decimal(account.credits_pending).into(),
            decimal(account.credits_posted).into(),
            account.ledger.to_string().into(),
            account.code.to_string().into(),
            account.flags.to_string().into(),
            DateTime::from(account.timestamp).to_string().into(),
            account.timestamp.to_string().into(),
            account.user_data_128.to_string().into(),
            account.user_data_64.to_string().into(),
            account.user_data_32.to_string().into(),
        ];
        row(out, &fields)?;
    }
    Ok(())
}

fn row(out: &mut impl Write, fields: &[Cow<'_, str>]) -> io::Result<()> {
    let mut separator = "";
    for field in fields {
        out.write_all(separator.as_bytes())?;
        separator = ",";
        if field.contains(['"', ',', '\r', '\n']) {
            write!(out, "\"{}\"", field.replace('"', "\"\""))?;
        } else {
            out.write_all(field.as_bytes())?;
        }
    }
    out.write_all(b"\r\n")
}
