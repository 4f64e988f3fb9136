//! Holds the bank's own tables against the hash chain: which row is not what was committed?

use std::collections::BTreeMap;

use hundi_ledger::AccountId;
use hundi_protocol::{Currency, Order};
use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest as _, Sha256};

use super::rows::{REFUSAL_SIZE, RowHashes, refusal_entry};
use crate::books::OwnAccount;

/// The first thing that is wrong with the bank's own tables, in words, or `None`.
///
/// Customers, YES votes, outcomes with their evidence, double votes and the floor of refusals are in the chain: for each commit their hashes
/// must give the one that the chain has. Refusals may be dropped below the floor (R7): a list of what each commit refused is in the
/// chain, and each refusal is held against that, and must be there if it is above the floor. The chain itself, and the ledger's tables, are for the ledger's verification.
///
/// # Errors
/// When SQLite cannot read the file.
pub fn first_bad_bank_row(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let mut by_commit: BTreeMap<i64, RowHashes> = BTreeMap::new();
    if let Some(bad) = add_customers(connection, &mut by_commit)? {
        return Ok(Some(bad));
    }
    let mut refusals = Refusals::new();
    if let Some(bad) = add_payments(connection, &mut by_commit, &mut refusals)? {
        return Ok(Some(bad));
    }
    if let Some(bad) = add_refusals(connection, &mut by_commit, refusals)? {
        return Ok(Some(bad));
    }
    if let Some(bad) = first_stray(connection)? {
        return Ok(Some(bad));
    }
    add_late_commits(connection, &mut by_commit)?;
    add_double_votes(connection, &mut by_commit)?;
    add_floors(connection, &mut by_commit)?;
    compare(connection, by_commit)
}

/// The refusals that are there: by commit, the entry of each and the digest of its order.
type Refusals = BTreeMap<i64, BTreeMap<[u8; REFUSAL_SIZE], Vec<u8>>>;

fn add_customers(
    connection: &Connection,
    by_commit: &mut BTreeMap<i64, RowHashes>,
) -> rusqlite::Result<Option<String>> {
    let mut select = connection.prepare(
        "SELECT c.name, c.account, c.currency, c.key, c.seq, c.closed_seq, n.name, n.currency \
         FROM customers c LEFT JOIN account_names n ON n.account = c.account ORDER BY c.name",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (name, currency): (String, String) = (row.get(0)?, row.get(2)?);
        let account: [u8; 16] = match row.get(1) {
            Ok(account) => account,
            Err(_) => return Ok(Some(format!("customers: {name}: the account is not 16 bytes"))),
        };
        let key: Option<Vec<u8>> = row.get(3)?;
        let account = AccountId(u128::from_be_bytes(account));
        let (listed_as, listed_in): (Option<String>, Option<String>) = (row.get(6)?, row.get(7)?);
        if listed_as.as_ref() != Some(&name) || listed_in.as_ref() != Some(&currency) {
            return Ok(Some(format!("account_names: the account of customer {name} is listed as another")));
        }
        by_commit.entry(row.get(4)?).or_default().customer_opened(&name, account, &currency, key.as_deref());
        if let Some(closed_seq) = row.get(5)? {
            by_commit.entry(closed_seq).or_default().customer_closed(&name);
        }
    }
    Ok(None)
}

fn add_payments(
    connection: &Connection,
    by_commit: &mut BTreeMap<i64, RowHashes>,
    refusals: &mut Refusals,
) -> rusqlite::Result<Option<String>> {
    let mut select = connection.prepare(
        "SELECT order_id, digest, vote, claims_order_id, expires_at, p.seq, p.outcome, settled_seq, p.evidence, jws, \
         o.outcome, o.seq, o.evidence, d.n IS NOT NULL \
         FROM payments p LEFT JOIN outcomes o USING (n) LEFT JOIN in_doubt d USING (n)",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (order_id, digest, jws): (Vec<u8>, Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(9)?);
        let bad = |what: &str| Ok(Some(format!("payments: {}: {what}", hex(&digest))));
        let Ok(order) = Order::parse(&jws) else { return bad("the order is not one") };
        if order.digest().as_bytes().as_slice() != digest || order.id().to_bytes().as_slice() != order_id {
            return bad("the order is another one");
        }
        if i64::try_from(order.expires_at().0) != Ok(row.get(4)?) {
            return bad("expires_at is not the order's");
        }
        let (vote, seq): (i64, i64) = (row.get(2)?, row.get(5)?);
        let with_vote: Told = (row.get(6)?, row.get(7)?, row.get(8)?);
        let later: Told = (row.get(10)?, row.get(11)?, row.get(12)?);
        let in_doubt: bool = row.get(13)?;
        let nothing: Told = (None, None, None);
        // An outcome comes with the vote or later, not twice.
        let (outcome, settled_seq, evidence) = match (with_vote == nothing, later == nothing) {
            (true, _) => later,
            (false, true) => with_vote,
            (false, false) => return bad("it has two outcomes"),
        };
        if in_doubt != outcome.is_none() {
            return bad("in_doubt and its outcome do not fit together");
        }
        match (vote, outcome, settled_seq, evidence) {
            (0, None, None, None) => by_commit.entry(seq).or_default().yes(row.get(3)?, &jws),
            (0, Some(outcome), Some(settled_seq), Some(evidence)) => {
                by_commit.entry(seq).or_default().yes(row.get(3)?, &jws);
                by_commit.entry(settled_seq).or_default().settled(&digest, outcome, &evidence);
            }
            (1..=255, Some(0), Some(settled_seq), Some(evidence)) if settled_seq == seq => {
                let entry = refusal_entry(vote, row.get(3)?, &evidence, &jws, row.get(4)?);
                refusals.entry(seq).or_default().insert(entry, digest);
            }
            _ => return bad("vote, outcome and evidence do not fit together"),
        }
    }
    let stray: Option<String> = connection
        .query_row(
            "SELECT 'outcomes: row ' || n FROM outcomes WHERE n NOT IN (SELECT n FROM payments) \
             UNION ALL SELECT 'in_doubt: row ' || n FROM in_doubt WHERE n NOT IN (SELECT n FROM payments)",
            [],
            |row| row.get(0),
        )
        .optional()?;
    Ok(stray.map(|row| format!("{row} names no payment")))
}

/// Outcome, commit and evidence of a payment, as far as they are there.
type Told = (Option<i64>, Option<i64>, Option<Vec<u8>>);

/// Holds the refusals that are there against the lists of what was refused, and the lists against the chain.
fn add_refusals(
    connection: &Connection,
    by_commit: &mut BTreeMap<i64, RowHashes>,
    mut found: Refusals,
) -> rusqlite::Result<Option<String>> {
    let floor: i64 =
        connection
            .query_row("SELECT coalesce(max(expires_at), 0) FROM refusal_floors", [], |row| row.get(0))?;
    let mut select = connection.prepare("SELECT seq, last_expires_at, hash, entries FROM refusals")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (seq, last): (i64, i64) = (row.get(0)?, row.get(1)?);
        let (hash, entries): (Vec<u8>, Option<Vec<u8>>) = (row.get(2)?, row.get(3)?);
        by_commit.entry(seq).or_default().refusals(last, &hash);
        let mut there = found.remove(&seq).unwrap_or_default();
        match entries {
            None if last <= floor => {}
            None => return Ok(Some(format!("refusals: the list of commit {seq} is gone"))),
            Some(entries) => {
                if Sha256::digest(&entries).as_slice() != hash {
                    return Ok(Some(format!("refusals: the list of commit {seq} is another one")));
                }
                let (entries, _) = entries.as_chunks::<REFUSAL_SIZE>();
                for entry in entries {
                    let expires_at = entry.first_chunk().map_or(i64::MAX, |head| i64::from_be_bytes(*head));
                    if there.remove(entry).is_none() && expires_at > floor {
                        return Ok(Some(format!(
                            "payments: a refusal of commit {seq} is gone, or another one"
                        )));
                    }
                }
            }
        }
        if let Some(digest) = there.into_values().next() {
            return Ok(Some(format!("payments: {}: not what commit {seq} refused", hex(&digest))));
        }
    }
    let stray = found.into_values().flat_map(BTreeMap::into_values).next();
    Ok(stray.map(|digest| format!("payments: {}: no commit refused it", hex(&digest))))
}

fn add_double_votes(
    connection: &Connection,
    by_commit: &mut BTreeMap<i64, RowHashes>,
) -> rusqlite::Result<()> {
    let mut select = connection.prepare("SELECT digest, yes, no, seq FROM double_votes")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (digest, yes, no): (Vec<u8>, Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        by_commit.entry(row.get(3)?).or_default().double_vote(&digest, &yes, &no);
    }
    Ok(())
}

/// What the bank's program never makes: triggers, and own accounts under other names.
fn first_stray(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let mut select = connection.prepare("SELECT name FROM sqlite_master WHERE type = 'trigger'")?;
    if let Some(row) = select.query([])?.next()? {
        return Ok(Some(format!("sqlite_master: trigger {} is not the bank's", row.get::<_, String>(0)?)));
    }
    let mut currencies = connection.prepare("SELECT DISTINCT currency FROM customers")?;
    let mut rows = currencies.query([])?;
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        let Ok(currency) = text.parse::<Currency>() else {
            return Ok(Some(format!("customers: {text:?} is no currency")));
        };
        for own in OwnAccount::ALL {
            let listed: Option<String> = connection
                .query_row(
                    "SELECT name FROM account_names WHERE account = ? AND currency = ?",
                    (own.id(currency).0.to_be_bytes(), currency.as_str()),
                    |row| row.get(0),
                )
                .optional()?;
            if listed != Some(own.name(currency)) {
                return Ok(Some(format!("account_names: {} is not listed by its name", own.name(currency))));
            }
        }
    }
    Ok(None)
}

fn add_late_commits(
    connection: &Connection,
    by_commit: &mut BTreeMap<i64, RowHashes>,
) -> rusqlite::Result<()> {
    let mut select = connection.prepare("SELECT digest, seq, evidence FROM late_commits")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (digest, evidence): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(2)?);
        by_commit.entry(row.get(1)?).or_default().late_commit(&digest, &evidence);
    }
    let mut select = connection.prepare("SELECT seq, bank, key FROM owner")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (bank, key): (String, Vec<u8>) = (row.get(1)?, row.get(2)?);
        by_commit.entry(row.get(0)?).or_default().owner(&bank, &key);
    }
    Ok(())
}

fn add_floors(connection: &Connection, by_commit: &mut BTreeMap<i64, RowHashes>) -> rusqlite::Result<()> {
    let mut select = connection.prepare("SELECT seq, expires_at FROM refusal_floors")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        by_commit.entry(row.get(0)?).or_default().floor(row.get(1)?);
    }
    Ok(())
}

fn compare(
    connection: &Connection,
    mut by_commit: BTreeMap<i64, RowHashes>,
) -> rusqlite::Result<Option<String>> {
    let mut select = connection.prepare("SELECT seq, app FROM commits ORDER BY seq")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (seq, in_chain): (i64, Option<Vec<u8>>) = (row.get(0)?, row.get(1)?);
        let bytes = by_commit.remove(&seq).unwrap_or_default().into_bytes();
        let found = (!bytes.is_empty()).then(|| Sha256::digest(&bytes).to_vec());
        if found != in_chain {
            return Ok(Some(format!(
                "customers, payments, refusals, double_votes or refusal_floors: the rows of commit {seq} are not the ones that were committed"
            )));
        }
    }
    Ok(by_commit
        .first_key_value()
        .map(|(seq, _)| format!("rows name commit {seq}, which is not in the chain")))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
