//! The bank's own tables beside the ledger's.

use hundi_ledger::sqlite::AppSchema;

/// What holds the refusals of each commit against the chain although each may be dropped below the floor (R7).
macro_rules! refusals {
    () => {
        "
-- The refusals that a commit recorded. entries: for each its expires_at (8 bytes, big-endian) and its hash (32), sorted;
-- hash: of the entries. The hash is in the chain, and stays. The entries are dropped when all of them are below the floor.
CREATE TABLE refusals(
    seq INTEGER PRIMARY KEY, last_expires_at INTEGER NOT NULL, hash BLOB NOT NULL, entries BLOB
) STRICT;
CREATE INDEX refusals_kept ON refusals(last_expires_at) WHERE entries IS NOT NULL;
"
    };
}

/// Votes and outcomes, as of version 3. Rows are only ever added at the end, so that a commit fills pages instead of touching many.
macro_rules! payments {
    () => {
        "
-- This bank's vote on each payment: 0 is YES, else the reason's code; n counts in the order of voting. A vote that settled the
-- payment by itself has its outcome here (0 abort, 1 commit), with the other banks' votes as evidence; a YES in doubt gets its
-- outcome in the table outcomes. seq and settled_seq: the commits.
CREATE TABLE payments(
    n INTEGER PRIMARY KEY,
    order_id BLOB NOT NULL,
    digest BLOB NOT NULL,
    vote INTEGER NOT NULL,
    claims_order_id INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    outcome INTEGER,
    settled_seq INTEGER,
    evidence BLOB,
    jws BLOB NOT NULL,
    UNIQUE(order_id, digest)
) STRICT;
CREATE INDEX payments_refused ON payments(expires_at) WHERE vote <> 0;

-- What came of payments that were in doubt after the vote. n: the payment; seq: the commit.
CREATE TABLE outcomes(
    n INTEGER PRIMARY KEY, outcome INTEGER NOT NULL, seq INTEGER NOT NULL, evidence BLOB NOT NULL
) STRICT;

-- The payments without an outcome: an index of the two tables above, to open the file without reading them.
CREATE TABLE in_doubt(n INTEGER PRIMARY KEY) STRICT;
"
    };
}

/// Shows votes with their outcomes, as of version 3.
macro_rules! votes_view {
    () => {
        "
CREATE VIEW v_votes AS
SELECT lower(hex(digest)) AS payment,
    CASE vote WHEN 0 THEN 'yes' ELSE 'no' END AS vote,
    CASE vote
        WHEN 1 THEN 'insufficient_funds' WHEN 2 THEN 'unknown_account' WHEN 3 THEN 'account_closed'
        WHEN 4 THEN 'wrong_currency' WHEN 5 THEN 'bad_signature' WHEN 6 THEN 'expired'
        WHEN 7 THEN 'duplicate_order_id' WHEN 8 THEN 'resolved' WHEN 9 THEN 'other_bank_refused'
        WHEN 10 THEN 'limit_exceeded' WHEN 11 THEN 'malformed' WHEN 12 THEN 'below_floor'
        WHEN 13 THEN 'overflow' WHEN 14 THEN 'unavailable' END AS reason,
    CASE WHEN EXISTS (SELECT 1 FROM late_commits late WHERE late.order_id = p.order_id AND late.digest = p.digest)
        THEN 'commit' ELSE CASE coalesce(o.outcome, p.outcome) WHEN 1 THEN 'commit' WHEN 0 THEN 'abort' END END AS outcome,
    lower(hex(order_id)) AS order_id, expires_at, p.seq AS seq, coalesce(o.seq, settled_seq) AS settled_seq
FROM payments p LEFT JOIN outcomes o USING (n);
"
    };
}

/// The bank's tables in version 3, and how `v_transfers` shows the payment of a transfer.
///
/// The payment's digest is in the transfer itself: 72 bits in its id, the rest in its user data
/// ([`transfer_id`](crate::transfer_id), [`transfer_user_data`](crate::transfer_user_data)); code 1 marks payments.
pub const BANK_SCHEMA: AppSchema = AppSchema {
    name: "hundi-bank",
    version: 3,
    create: concat!("
-- Customers' accounts. seq: the commit that opened it; closed_seq: the commit that closed it.
CREATE TABLE customers(
    name TEXT PRIMARY KEY,
    account BLOB NOT NULL,
    currency TEXT NOT NULL,
    key BLOB,
    seq INTEGER NOT NULL,
    closed_seq INTEGER
) STRICT;

-- A commit that was proven after an abort (a two-faced bank, R12): the row above keeps the first outcome, for it is in
-- the chain. This one counts.
CREATE TABLE late_commits(
    order_id BLOB NOT NULL, digest BLOB NOT NULL, seq INTEGER NOT NULL, evidence BLOB NOT NULL,
    PRIMARY KEY(order_id, digest)
) STRICT, WITHOUT ROWID;

-- Whose file this is: another bank's node refuses it.
CREATE TABLE owner(seq INTEGER PRIMARY KEY, bank TEXT NOT NULL, key BLOB NOT NULL) STRICT;

-- Banks caught voting both ways: the two signed votes.
CREATE TABLE double_votes(
    digest BLOB NOT NULL, bank TEXT NOT NULL, yes BLOB NOT NULL, no BLOB NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY(digest, bank)
) STRICT, WITHOUT ROWID;

-- Orders that expire at or before the highest (unix milliseconds) are refused without a record. Only rises.
CREATE TABLE refusal_floors(seq INTEGER PRIMARY KEY, expires_at INTEGER NOT NULL) STRICT;

", payments!(), refusals!(), votes_view!()),
    migrations: &[
        // Refusals of version 1 are not in the chain; verification reports them until they fall below the floor.
        refusals!(),
        // Version 2 had every outcome beside its vote, and indexes that go with the table.
        concat!(
            "DROP VIEW v_votes; ALTER TABLE payments RENAME TO payments_2; DROP INDEX payments_refused;",
            payments!(),
            votes_view!(),
            "INSERT INTO payments SELECT rowid, order_id, digest, vote, claims_order_id, expires_at, seq, outcome, \
             settled_seq, evidence, jws FROM payments_2 ORDER BY rowid;
             INSERT INTO in_doubt SELECT n FROM payments WHERE outcome IS NULL;
             DROP TABLE payments_2;"
        ),
    ],
    payment: "CASE e.code WHEN 1 THEN lower(substr(hex(e.id), 15) || hex(e.user_data_128)) \
              || printf('%014x', e.user_data_64) END",
};

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::BANK_SCHEMA;

    /// What version 3 changed, as it was before.
    const VERSION_2: &str = "
CREATE TABLE payments(
    order_id BLOB NOT NULL, digest BLOB NOT NULL, vote INTEGER NOT NULL, claims_order_id INTEGER NOT NULL,
    expires_at INTEGER NOT NULL, seq INTEGER NOT NULL, outcome INTEGER, settled_seq INTEGER, evidence BLOB, jws BLOB NOT NULL,
    PRIMARY KEY(order_id, digest)
) STRICT;
CREATE INDEX payments_in_doubt ON payments(seq) WHERE outcome IS NULL;
CREATE INDEX payments_refused ON payments(expires_at) WHERE vote <> 0;
CREATE TABLE late_commits(
    order_id BLOB NOT NULL, digest BLOB NOT NULL, seq INTEGER NOT NULL, evidence BLOB NOT NULL,
    PRIMARY KEY(order_id, digest)
) STRICT, WITHOUT ROWID;
CREATE VIEW v_votes AS SELECT digest AS payment FROM payments;
INSERT INTO payments VALUES
    (X'01', X'0a', 0, 1, 50, 7, 1, 7, X'e1', X'f1'), (X'02', X'0b', 0, 0, 50, 7, 0, 9, X'e2', X'f2'),
    (X'03', X'0c', 1, 0, 50, 8, 0, 8, X'', X'f3'), (X'04', X'0d', 0, 0, 50, 9, NULL, NULL, NULL, X'f4');
DELETE FROM payments WHERE order_id = X'01';
";

    fn lines(file: &Connection, sql: &str) -> Vec<String> {
        let mut select = file.prepare(sql).unwrap();
        let lines = select.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>();
        lines.unwrap()
    }

    #[test]
    fn a_file_of_version_2_becomes_one_of_version_3() {
        let old = Connection::open_in_memory().unwrap();
        old.execute_batch(VERSION_2).unwrap();
        old.execute_batch(BANK_SCHEMA.migrations[1]).unwrap();
        assert_eq!(
            lines(
                &old,
                "SELECT concat_ws(' ', payment, vote, reason, outcome, order_id, expires_at, seq, settled_seq) FROM v_votes"
            ),
            ["0b yes abort 02 50 7 9", "0c no insufficient_funds abort 03 50 8 8", "0d yes 04 50 9"]
        );
        assert_eq!(
            lines(&old, "SELECT n || ' ' || hex(jws) FROM in_doubt JOIN payments USING (n)"),
            ["4 F4"]
        );
        assert_eq!(lines(&old, "SELECT hex(evidence) FROM payments WHERE n = 2"), ["E2"]);
        let new = Connection::open_in_memory().unwrap();
        new.execute_batch(BANK_SCHEMA.create).unwrap();
        let objects = "SELECT name || coalesce(sql, '') FROM sqlite_schema \
            WHERE tbl_name IN ('payments', 'outcomes', 'in_doubt', 'v_votes') ORDER BY name";
        assert_eq!(lines(&old, objects), lines(&new, objects), "as if it had been created so");
    }
}
