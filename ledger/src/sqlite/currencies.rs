//! Currencies of one's own, kept in the file: what a ledger's minor unit is, for people and exports.
//!
//! A row of `meta` each: `currency: 70001` is `GOLD-MG 3` and the first 8 bytes of a SHA-256 in hexadecimal, to notice
//! damage.

use rusqlite::Connection;
use sha2::{Digest, Sha256};

use super::error::ReadError;
use crate::{Currency, LedgerCode};

const KEY: &str = "currency: ";

/// Writes what a ledger counts.
pub(super) fn write(connection: &Connection, currency: Currency) -> rusqlite::Result<()> {
    let (key, said) = (format!("{KEY}{}", currency.ledger()), said(currency));
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta(key, value) VALUES (?, ?)")?
        .execute((&key, format!("{said} {}", digest(&key, &said))))?;
    Ok(())
}

/// All of them, by ledger.
pub(super) fn read(connection: &Connection) -> Result<Vec<Currency>, ReadError> {
    let mut statement = connection.prepare("SELECT key, value FROM meta WHERE key LIKE 'currency: %'")?;
    let mut rows = statement.query([])?;
    let mut currencies = Vec::new();
    while let Some(row) = rows.next()? {
        let (key, value): (String, String) = (row.get(0)?, row.get(1)?);
        let currency = parse(&key, &value)
            .ok_or_else(|| ReadError::Damaged(format!("meta, row {key}: not what was written")))?;
        currencies.push(currency);
    }
    currencies.sort_by_key(Currency::ledger);
    Ok(currencies)
}

fn parse(key: &str, value: &str) -> Option<Currency> {
    let ledger: u32 = key.strip_prefix(KEY)?.parse().ok()?;
    let (said, known) = value.rsplit_once(' ')?;
    let (code, minor_digits) = said.split_once(' ')?;
    if known != digest(key, said) {
        return None;
    }
    Currency::new(code, LedgerCode(ledger), minor_digits.parse().ok()?).ok()
}

fn said(currency: Currency) -> String {
    format!("{} {}", currency.code(), currency.minor_digits())
}

fn digest(key: &str, said: &str) -> String {
    let mut hash = Sha256::new_with_prefix(b"hundi/currency/v1\0");
    hash.update(key);
    hash.update([0]);
    hash.update(said);
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
