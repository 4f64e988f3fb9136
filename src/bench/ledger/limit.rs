//! What the same SQLite does without a ledger: bare rows in the same batches, and one commit for each.

use std::path::Path;
use std::time::{Duration, Instant};

use hundi_ledger::sqlite::Options;
use rusqlite::{Connection, Statement};

use super::workload::{Ids, Random};
use crate::failure::{Failure, While as _};

/// Bytes of a row beside its id: 128 together, as much as a transfer has.
const REST: usize = 112;
/// Rows in one statement, as many as the ledger gives to one.
const GROUP: usize = 32;
/// The faster of two tables for such ids: one tree by id where they rise, else rows at its end and an index of ids alone.
fn table(ids: Ids) -> &'static str {
    match ids {
        Ids::Time => "CREATE TABLE bare(id BLOB PRIMARY KEY, rest BLOB NOT NULL) STRICT, WITHOUT ROWID",
        Ids::Random => "CREATE TABLE bare(id BLOB NOT NULL UNIQUE, rest BLOB NOT NULL) STRICT",
    }
}

/// The write-ahead log, in pages, from which on it is copied into the file: as in the ledger, but where ids are random
/// 64 MiB, for the index's pages that one log changes many times are copied once.
fn log_pages_max(ids: Ids) -> i64 {
    match ids {
        Ids::Time => i64::from(Options::default().log_kib / 4),
        Ids::Random => 16 * 1024,
    }
}

fn open(path: &Path, ids: Ids) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "cache_size", -i64::from(Options::default().cache_kib))?;
    let _: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let _: i64 = connection.query_row("PRAGMA wal_autocheckpoint = 0", [], |row| row.get(0))?;
    connection.execute_batch(table(ids))?;
    Ok(connection)
}

/// Writes `rows` rows in synced batches, and returns how long that took.
pub(super) fn run(dir: &Path, rows: u64, batch: usize, ids: Ids) -> Result<Duration, Failure> {
    batches(&dir.join("limit.db"), rows, batch, ids).or_fail(|| "measuring SQLite's limit".to_owned())
}

fn batches(path: &Path, rows: u64, batch: usize, ids: Ids) -> rusqlite::Result<Duration> {
    let mut connection = open(path, ids)?;
    let (mut random, mut next) = (Random::new(11), 0);
    let begun = Instant::now();
    while next < rows {
        let end = rows.min(next + batch as u64);
        let tx = connection.transaction()?;
        {
            let mut many = tx.prepare_cached(&insert(GROUP))?;
            let mut one = tx.prepare_cached(&insert(1))?;
            while end - next >= GROUP as u64 {
                bind_rows(&mut many, GROUP, &mut next, &mut random, ids)?;
            }
            while next < end {
                bind_rows(&mut one, 1, &mut next, &mut random, ids)?;
            }
        }
        tx.commit()?;
        checkpoint_if_large(&connection, log_pages_max(ids))?;
    }
    let elapsed = begun.elapsed();
    let count: i64 = connection.query_row("SELECT count(*) FROM bare", [], |row| row.get(0))?;
    assert_eq!(u64::try_from(count), Ok(rows), "the limit is measured with as many rows");
    Ok(elapsed)
}

fn insert(rows: usize) -> String {
    format!("INSERT OR ROLLBACK INTO bare VALUES {}", vec!["(?,?)"; rows].join(","))
}

fn bind_rows(
    statement: &mut Statement<'_>,
    rows: usize,
    next: &mut u64,
    random: &mut Random,
    ids: Ids,
) -> rusqlite::Result<()> {
    for place in 0..rows {
        let high = match ids {
            Ids::Time => *next,
            Ids::Random => random.next(),
        };
        let id = u128::from(high) << 64 | u128::from(random.next());
        let rest: [u8; REST] = std::array::from_fn(|at| id.to_le_bytes()[at % 16]);
        statement.raw_bind_parameter(place * 2 + 1, id.to_be_bytes())?;
        statement.raw_bind_parameter(place * 2 + 2, rest)?;
        *next += 1;
    }
    statement.raw_execute().map(|_| ())
}

fn checkpoint_if_large(connection: &Connection, pages_max: i64) -> rusqlite::Result<()> {
    let pages: i64 =
        connection.prepare_cached("PRAGMA wal_checkpoint(NOOP)")?.query_row([], |row| row.get(1))?;
    if pages < pages_max {
        return Ok(());
    }
    connection.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?.query_row([], |_| Ok(()))
}

/// Commits rows one by one, each synced, for about `time`; returns how many and how long it took.
pub(super) fn one_by_one(dir: &Path, time: Duration, ids: Ids) -> Result<(u64, Duration), Failure> {
    let path = dir.join("single.db");
    singles(&path, time, ids).or_fail(|| "measuring one commit for each transfer".to_owned())
}

fn singles(path: &Path, time: Duration, ids: Ids) -> rusqlite::Result<(u64, Duration)> {
    let connection = open(path, ids)?;
    let mut statement = connection.prepare(&insert(1))?;
    let (mut random, mut next, begun) = (Random::new(13), 0, Instant::now());
    while begun.elapsed() < time {
        bind_rows(&mut statement, 1, &mut next, &mut random, ids)?;
    }
    Ok((next, begun.elapsed()))
}
