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

/// The bank's tables in version 2, and how `v_transfers` shows the payment of a transfer.
///
/// The payment's digest is in the transfer itself: 72 bits in its id, the rest in its user data
/// ([`transfer_id`](crate::transfer_id), [`transfer_user_data`](crate::transfer_user_data)); code 1 marks payments.
pub const BANK_SCHEMA: AppSchema = AppSchema {
    name: "hundi-bank",
    version: 2,
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

-- This bank's vote on each payment: 0 is YES, else the reason's code. A YES in doubt has no outcome yet;
-- outcome: 0 abort, 1 commit, with the other banks' votes as evidence. seq and settled_seq: the commits.
CREATE TABLE payments(
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
    PRIMARY KEY(order_id, digest)
) STRICT;
CREATE INDEX payments_in_doubt ON payments(seq) WHERE outcome IS NULL;
CREATE INDEX payments_refused ON payments(expires_at) WHERE vote <> 0;

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

", refusals!(), "
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
        THEN 'commit' WHEN outcome = 1 THEN 'commit' WHEN outcome = 0 THEN 'abort' END AS outcome,
    lower(hex(order_id)) AS order_id, expires_at, seq, settled_seq
FROM payments p;
"),
    // Refusals of version 1 are not in the chain; verification reports them until they fall below the floor.
    migrations: &[refusals!()],
    payment: "CASE e.code WHEN 1 THEN lower(substr(hex(e.id), 15) || hex(e.user_data_128)) \
              || printf('%014x', e.user_data_64) END",
};
