//! The tables and views of the file, its version, and how older versions are brought up.

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction};
use sha2::{Digest, Sha256};

use super::error::OpenError;
use super::identity;

/// `PRAGMA application_id` of the file: "Hund".
pub(super) const APPLICATION_ID: i32 = 0x4875_6e64;

/// `PRAGMA user_version` of the file. A newer one is refused, an older one migrated.
pub(super) const FORMAT_VERSION: i32 = 1;

/// Bit of `events.flags`: the event is an expiry; the row has no id.
pub(super) const FLAG_EXPIRED: u32 = 1 << 16;
/// Bit of `events.flags`: the debit account is closed after the event.
pub(super) const FLAG_DEBIT_CLOSED: u32 = 1 << 17;
/// Bit of `events.flags`: the credit account is closed after the event.
pub(super) const FLAG_CREDIT_CLOSED: u32 = 1 << 18;

/// Tables, indexes and views that every file has.
const OBJECTS_MIN: usize = 17;

/// An application's own tables in the same file.
///
/// Its tables should have names that start with the application's name, so that they never meet a later version of
/// the ledger's.
#[derive(Clone, Copy, Debug)]
pub struct AppSchema {
    /// Kept in the file; a file of another application is refused.
    pub name: &'static str,
    /// The version of the application's schema: a newer file is refused, an older one migrated.
    pub version: u32,
    /// SQL that creates the tables of this version in an empty file.
    pub create: &'static str,
    /// SQL steps: the entry at index `i` brings version `i + 1` to `i + 2`.
    pub migrations: &'static [&'static str],
    /// A scalar SQL expression for the column `payment` of `v_transfers`; `e` is the row of `events`. Empty: NULL.
    pub payment: &'static str,
}

const TABLES: &str = "
CREATE TABLE meta(key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;

-- What never changes of an account. `n` counts from 1 in order of creation.
CREATE TABLE accounts(
    n INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    ledger INTEGER NOT NULL,
    code INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    user_data_128 BLOB,
    user_data_64 ANY NOT NULL,
    user_data_32 INTEGER NOT NULL
) STRICT;

-- Balances lag: an account's newest event after commits.balances_from (of the last commit) is the truth.
CREATE TABLE balances(
    n INTEGER PRIMARY KEY,
    head INTEGER NOT NULL,
    debits_pending ANY NOT NULL,
    debits_posted ANY NOT NULL,
    credits_pending ANY NOT NULL,
    credits_posted ANY NOT NULL,
    closed INTEGER NOT NULL
) STRICT;

-- One row for each change of balances. `debit_prev` and `credit_prev` lead to the account's previous event: the
-- difference of timestamps, 0 for none. `pending` leads to the resolved pending transfer in the same way.
-- `after_…`: both accounts after the event.
CREATE TABLE events(
    timestamp INTEGER PRIMARY KEY,
    id BLOB,
    debit INTEGER NOT NULL,
    credit INTEGER NOT NULL,
    amount ANY NOT NULL,
    flags INTEGER NOT NULL,
    code INTEGER NOT NULL,
    debit_prev INTEGER NOT NULL,
    credit_prev INTEGER NOT NULL,
    after_debit_debits_pending ANY NOT NULL,
    after_debit_debits_posted ANY NOT NULL,
    after_debit_credits_pending ANY NOT NULL,
    after_debit_credits_posted ANY NOT NULL,
    after_credit_debits_pending ANY NOT NULL,
    after_credit_debits_posted ANY NOT NULL,
    after_credit_credits_pending ANY NOT NULL,
    after_credit_credits_posted ANY NOT NULL,
    pending INTEGER NOT NULL,
    timeout INTEGER NOT NULL,
    user_data_128 BLOB,
    user_data_64 ANY NOT NULL,
    user_data_32 INTEGER NOT NULL
) STRICT;

-- Events executed after one with a higher timestamp (imported after an expiry): their place in their commit.
CREATE TABLE late_events(timestamp INTEGER PRIMARY KEY, seq INTEGER NOT NULL, place INTEGER NOT NULL) STRICT;

-- Every pending transfer. status: 1 pending, 2 posted, 3 voided, 4 expired. expires_at: 0 for never.
CREATE TABLE pendings(
    timestamp INTEGER PRIMARY KEY, status INTEGER NOT NULL, expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX pendings_expiring ON pendings(expires_at) WHERE status = 1 AND expires_at > 0;

-- Ids of transfers that failed for a passing reason, in that order.
CREATE TABLE burnt(n INTEGER PRIMARY KEY, id BLOB NOT NULL) STRICT;

-- Where a transfer's id is. Transfers whose id was above all earlier ones form runs, rising in id and timestamp;
-- the rest, and burnt ids (timestamp 0), are in transfer_ids one by one. Both lag: transfers after ids_from and burnt
-- ids after burnt_from (of the last commit) may be missing.
CREATE TABLE transfer_runs(
    id BLOB PRIMARY KEY, first INTEGER NOT NULL, last_id BLOB NOT NULL, last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE transfer_ids(id BLOB PRIMARY KEY, timestamp INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- The chain, and how far the rest lags; ids_max: the highest id up to ids_from. content: SHA-256 of the commit's rows; app: of the application's bytes.
CREATE TABLE commits(
    seq INTEGER PRIMARY KEY,
    hash BLOB NOT NULL,
    content BLOB NOT NULL,
    app BLOB,
    accounts INTEGER NOT NULL,
    events INTEGER NOT NULL,
    burnt INTEGER NOT NULL,
    last_account INTEGER NOT NULL,
    last_transfer INTEGER NOT NULL,
    last_expiry INTEGER NOT NULL,
    balances_from INTEGER NOT NULL,
    ids_from INTEGER NOT NULL,
    ids_max BLOB NOT NULL,
    burnt_from INTEGER NOT NULL
) STRICT;

-- Names are for people and exports; the ledger itself only knows ids. digest: of the row, to notice damage.
CREATE TABLE account_names(
    account BLOB PRIMARY KEY, name TEXT NOT NULL UNIQUE, currency TEXT, digest BLOB
) STRICT, WITHOUT ROWID;
";

const VIEWS: &str = "
CREATE VIEW v_accounts AS
WITH tail_from(t) AS (SELECT balances_from FROM commits ORDER BY seq DESC LIMIT 1),
tail(n, t, dp, dd, cp, cd) AS (
    SELECT n, max(t), dp, dd, cp, cd FROM (
        SELECT debit AS n, timestamp AS t,
            after_debit_debits_pending AS dp, after_debit_debits_posted AS dd,
            after_debit_credits_pending AS cp, after_debit_credits_posted AS cd
        FROM events WHERE timestamp > (SELECT t FROM tail_from)
        UNION ALL
        SELECT credit, timestamp,
            after_credit_debits_pending, after_credit_debits_posted,
            after_credit_credits_pending, after_credit_credits_posted
        FROM events WHERE timestamp > (SELECT t FROM tail_from)
    ) GROUP BY n
)
SELECT lower(hex(a.id)) AS id, names.name AS name, names.currency AS currency,
    coalesce(tail.dp, b.debits_pending, 0) AS debits_pending,
    coalesce(tail.dd, b.debits_posted, 0) AS debits_posted,
    coalesce(tail.cp, b.credits_pending, 0) AS credits_pending,
    coalesce(tail.cd, b.credits_posted, 0) AS credits_posted
FROM accounts a
LEFT JOIN balances b ON b.n = a.n
LEFT JOIN tail ON tail.n = a.n
LEFT JOIN account_names names ON names.account = a.id;

CREATE VIEW v_transfers AS
SELECT e.timestamp AS timestamp, lower(hex(e.id)) AS id,
    lower(hex(d.id)) AS debit_account_id, lower(hex(c.id)) AS credit_account_id,
    e.amount AS amount,
    CASE WHEN e.flags & 4 THEN 'two_phase_posted' WHEN e.flags & 8 THEN 'two_phase_voided'
         WHEN e.flags & 2 THEN 'two_phase_pending' ELSE 'single_phase' END AS kind,
    CASE WHEN e.pending <> 0 THEN (SELECT lower(hex(p.id)) FROM events p WHERE p.timestamp = e.timestamp - e.pending)
    END AS pending_id,
    {payment} AS payment
FROM events e JOIN accounts d ON d.n = e.debit JOIN accounts c ON c.n = e.credit
WHERE e.id IS NOT NULL;

CREATE VIEW v_commits AS
SELECT seq, lower(hex(hash)) AS hash, lower(hex(content)) AS content, lower(hex(app)) AS app,
    accounts, events, burnt, max(last_account, last_transfer, last_expiry) AS last_timestamp
FROM commits;
";

/// The views of the ledger, with the application's column.
fn views(app: Option<&AppSchema>) -> String {
    let payment = app.map_or("", |app| app.payment);
    VIEWS.replace("{payment}", if payment.is_empty() { "NULL" } else { payment })
}

/// Creates everything in an empty file.
pub(super) fn create(tx: &Transaction<'_>, app: Option<&AppSchema>) -> rusqlite::Result<()> {
    tx.execute_batch(TABLES)?;
    tx.execute_batch(&views(app))?;
    identity::write(tx)?;
    if let Some(app) = app {
        tx.execute_batch(app.create)?;
        write_app(tx, app)?;
    }
    write_objects(tx)?;
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", FORMAT_VERSION)
}

fn write_app(tx: &Transaction<'_>, app: &AppSchema) -> rusqlite::Result<()> {
    let mut put = tx.prepare("INSERT OR REPLACE INTO meta(key, value) VALUES (?, ?)")?;
    put.execute(("app_name", app.name))?;
    put.execute(("app_version", app.version))?;
    Ok(())
}

/// Whether the file has no tables at all.
pub(super) fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_master", [], |row| row.get(0))
}

/// Refuses files of other programs and of newer versions.
pub(super) fn check_format(connection: &Connection) -> Result<(), OpenError> {
    let application: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if application != APPLICATION_ID {
        return Err(OpenError::NotALedger);
    }
    let found: i32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > FORMAT_VERSION {
        return Err(OpenError::Newer {
            what: "ledger format".into(),
            found: i64::from(found),
            known: i64::from(FORMAT_VERSION),
        });
    }
    if found < 1 {
        return Err(OpenError::Damaged(format!("format version {found} never existed")));
    }
    Ok(())
}

/// Brings an older file up to this version, and the application's tables to its version.
pub(super) fn migrate(tx: &Transaction<'_>, app: Option<&AppSchema>) -> Result<(), OpenError> {
    // Format 1 is the first: steps of the ledger's own tables will stand here, oldest first.
    let Some(app) = app else { return Ok(()) };
    let name: Option<String> = read_meta(tx, "app_name")?;
    match name {
        None => tx.execute_batch(app.create)?,
        Some(name) if name != app.name => {
            return Err(OpenError::OtherApplication { found: name, expected: app.name.into() });
        }
        Some(_) => {
            let found: Option<u32> = read_meta(tx, "app_version")?;
            let found = found.ok_or_else(|| OpenError::Damaged("meta: no app_version".into()))?;
            if found == app.version {
                return Ok(());
            }
            if found > app.version {
                let what = format!("schema of {}", app.name);
                return Err(OpenError::Newer {
                    what,
                    found: i64::from(found),
                    known: i64::from(app.version),
                });
            }
            check_objects(tx)?; // What is missing now would be forgotten.
            for step in
                app.migrations.iter().take((app.version - 1) as usize).skip(found.saturating_sub(1) as usize)
            {
                tx.execute_batch(step)?;
            }
        }
    }
    tx.execute_batch("DROP VIEW v_accounts; DROP VIEW v_transfers; DROP VIEW v_commits")?;
    tx.execute_batch(&views(Some(app)))?;
    write_app(tx, app)?;
    Ok(write_objects(tx)?)
}

/// What each table, index and view is, as SQL: SQLite works with what the file says of them.
fn objects(connection: &Connection) -> rusqlite::Result<BTreeMap<String, [u8; 32]>> {
    let mut statement = connection.prepare("SELECT type || ' ' || name, sql FROM sqlite_schema")?;
    let rows = statement.query_map([], |row| {
        let sql: Option<String> = row.get(1)?; // NULL: an index that SQLite made by itself.
        Ok((row.get(0)?, Sha256::digest(sql.unwrap_or_default()).into()))
    })?;
    rows.collect()
}

/// Remembers all that there is now, the application's too, for [`check_objects`], and nothing else.
fn write_objects(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    tx.execute("DELETE FROM meta WHERE key LIKE 'schema: %'", [])?;
    let mut put = tx.prepare("INSERT INTO meta(key, value) VALUES ('schema: ' || ?, ?)")?;
    for (name, digest) in objects(tx)? {
        put.execute((name, digest))?;
    }
    Ok(())
}

/// Every table, index and view must be as it was created.
pub(super) fn check_objects(connection: &Connection) -> Result<(), OpenError> {
    let found = objects(connection)?;
    // Tables before what belongs to them.
    let mut statement = connection.prepare(
        "SELECT substr(key, 9), value FROM meta WHERE key LIKE 'schema: %' ORDER BY key LIKE 'schema: table %' DESC, key",
    )?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let (name, digest): (String, [u8; 32]) = (row.get(0)?, row.get(1)?);
        match found.get(&name) {
            Some(now) if *now == digest => count += 1,
            Some(_) => return Err(OpenError::Damaged(format!("the {name} is not as it was created"))),
            None => return Err(OpenError::Damaged(format!("the {name} is missing"))),
        }
    }
    // What an application adds later is its own affair; what is known here stays known.
    if count < OBJECTS_MIN {
        Err(OpenError::Damaged("meta: the list of tables is not complete".into()))
    } else {
        Ok(())
    }
}

fn read_meta<T: rusqlite::types::FromSql>(tx: &Transaction<'_>, key: &str) -> rusqlite::Result<Option<T>> {
    use rusqlite::OptionalExtension;
    tx.query_row("SELECT value FROM meta WHERE key = ?", [key], |row| row.get(0)).optional()
}
