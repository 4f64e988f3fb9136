//! A file that was changed behind the ledger's back does not verify; one that was not does; backups too.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::{Path, PathBuf};

use common::Workload;
use hundi_ledger::sqlite::{self, AppSchema, OpenError, Options, Snapshot, VerifyError};
use hundi_ledger::{
    AccountFilter, AccountId, ChangeEventsFilter, Ledger, LedgerError, Reads, Store, SystemClock, Timestamp,
    TransactionError, Transfer, engine,
};

/// A file with some of everything, closed cleanly.
fn write_file(path: &Path, seed: u64, batches: usize) {
    let options = Options { lag_events: 20, ..Options::default() };
    let (mut state, mut disk) = sqlite::open(path, options).unwrap();
    let mut workload = Workload::new(seed);
    for _ in 0..batches {
        let now = Timestamp(workload.tick());
        let accounts = workload.accounts();
        let time = engine::next_time(state.last(), now, accounts.len());
        engine::create_accounts(&mut state, time, &accounts).unwrap();
        let transfers = workload.transfers(state.last());
        let time = engine::next_time(state.last(), now, transfers.len());
        engine::create_transfers(&mut state, time, &transfers).unwrap();
        let time = engine::next_time(state.last(), Timestamp(workload.tick()), 64);
        engine::expire(&mut state, time).unwrap();
        let commit = disk.commit(state.take_changes(), |_| Ok(Vec::new())).unwrap();
        state.handle_durable(commit.seq);
    }
    drop((state, disk));
    let ledger = Ledger::open(path).unwrap();
    let done: Result<(), TransactionError<rusqlite::Error>> = ledger.transaction(|tx| {
        tx.name_account(AccountId(1), "asha", Some("INR"))?;
        tx.name_account(AccountId(2), "bela", None)
    });
    done.unwrap();
}

fn path_in(directory: &tempfile::TempDir) -> PathBuf {
    directory.path().join("ledger.db")
}

/// Everything that somebody could read from the file.
fn all_that_is_read(path: &Path) -> Result<String, OpenError> {
    use std::fmt::Write;
    let mut text = String::new();
    let snapshot = Snapshot::open(path)?;
    let ids: Vec<AccountId> = (0..20).map(AccountId).collect();
    writeln!(text, "{:?}", snapshot.lookup_accounts(&ids)?).unwrap();
    let events = snapshot.get_change_events(&ChangeEventsFilter::all(u32::MAX))?;
    let transfers: Vec<_> = events.iter().map(|event| event.transfer.id).collect();
    writeln!(text, "{events:?}{:?}", snapshot.lookup_transfers(&transfers)?).unwrap();
    for id in ids {
        writeln!(text, "{:?}", snapshot.statement(&AccountFilter::of(id, u32::MAX))?).unwrap();
    }
    writeln!(text, "{:?}{:?}", snapshot.names()?, snapshot.last_commit()).unwrap();
    let connection = rusqlite::Connection::open(path)?;
    for view in ["v_accounts", "v_transfers", "v_commits"] {
        let mut statement = connection.prepare(&format!("SELECT * FROM {view}"))?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                write!(text, "{:?},", row.get_ref(column)?).unwrap();
            }
        }
    }
    Ok(text)
}

#[test]
fn flipped_bytes_are_noticed_or_do_not_matter() {
    let directory = tempfile::tempdir().unwrap();
    let path = path_in(&directory);
    write_file(&path, 3, 40);
    let good = std::fs::read(&path).unwrap();
    assert!(!path.with_extension("db-wal").exists(), "closed cleanly, the log is in the file");
    let expected = all_that_is_read(&path).unwrap();
    sqlite::verify(&path).unwrap();

    let flips: usize = std::env::var("HUNDI_FLIPS").map_or(1_500, |text| text.parse().unwrap());
    let (mut noticed, mut harmless) = (0, 0);
    let mut workload = Workload::new(7);
    for flip in 0..flips {
        // Spread over the file, then at random; one bit, or all of a byte.
        let at = if flip < flips / 2 {
            flip * good.len() / (flips / 2)
        } else {
            workload.below(good.len() as u64) as usize
        };
        let change = if flip % 3 == 0 { 0xff } else { 1 << workload.below(8) };
        let mut bytes = good.clone();
        bytes[at] ^= change;
        let path = directory.path().join("flipped.db");
        std::fs::write(&path, &bytes).unwrap();
        if sqlite::verify(&path).is_err() {
            noticed += 1;
        } else {
            let read = all_that_is_read(&path);
            assert_eq!(
                read.as_ref().ok(),
                Some(&expected),
                "byte {at} ^ {change:#x} verifies but matters: {read:?}"
            );
            harmless += 1;
        }
    }
    assert!(noticed > flips / 10 && harmless > 0, "{noticed} noticed, {harmless} harmless");
}

/// Changes a copy by SQL and returns what `verify` says.
fn tampered(good: &Path, sql: &str) -> Result<sqlite::Verified, VerifyError> {
    let path = good.with_extension("tampered");
    std::fs::copy(good, &path).unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    let changed = connection.execute(sql, []).unwrap();
    assert!(changed > 0, "{sql} changes something");
    drop(connection);
    sqlite::verify(&path)
}

#[test]
fn the_first_bad_row_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = path_in(&directory);
    write_file(&path, 5, 500);
    for (sql, table) in [
        (
            "UPDATE events SET amount = amount + 1 WHERE timestamp = (SELECT timestamp FROM events LIMIT 1 OFFSET 9)",
            "events",
        ),
        (
            "UPDATE events SET after_debit_debits_posted = 77 WHERE rowid = (SELECT max(rowid) FROM events)",
            "events",
        ),
        ("UPDATE events SET code = 3 WHERE rowid = (SELECT max(rowid) FROM events)", "commits"),
        (
            "UPDATE events SET credit_prev = 0 WHERE rowid = (SELECT max(rowid) FROM events WHERE credit_prev <> 0)",
            "events",
        ),
        ("DELETE FROM events WHERE rowid = (SELECT max(rowid) FROM events)", "events"),
        ("UPDATE accounts SET user_data_32 = 3 WHERE n = 2", "commits"),
        ("DELETE FROM accounts WHERE n = (SELECT max(n) FROM accounts)", "accounts"),
        ("UPDATE balances SET credits_posted = 1000000 WHERE n = 3", "balances"),
        ("DELETE FROM balances WHERE n = 3", "balances"),
        ("UPDATE pendings SET status = 2 WHERE status = 1", "pendings"),
        ("UPDATE pendings SET expires_at = 5 WHERE expires_at > 0", "pendings"),
        ("DELETE FROM pendings WHERE status = 4", "pendings"),
        ("DELETE FROM burnt WHERE n = 1", "burnt"),
        ("UPDATE burnt SET id = x'00000000000000000000000000000bad' WHERE n = 1", "burnt"),
        (
            "DELETE FROM transfer_ids WHERE id = (SELECT id FROM transfer_ids WHERE timestamp > 0 ORDER BY timestamp LIMIT 1)",
            "transfer_ids",
        ),
        ("UPDATE transfer_ids SET timestamp = timestamp + 1 WHERE timestamp > 0", "transfer_ids"),
        ("INSERT INTO transfer_ids VALUES (x'000000000000000000000000000000ff', 1)", "transfer_ids"),
        ("UPDATE transfer_runs SET last = last + 1", "transfer_runs"),
        ("UPDATE commits SET app = x'00' WHERE seq = 9", "commits"),
        ("UPDATE commits SET hash = zeroblob(32) WHERE seq = (SELECT max(seq) FROM commits)", "commits"),
        ("DELETE FROM commits WHERE seq = (SELECT max(seq) FROM commits WHERE events > 0)", "commits"),
        (
            "UPDATE commits SET balances_from = balances_from + 1000000 WHERE seq = (SELECT max(seq) FROM commits)",
            "commits",
        ),
        ("UPDATE account_names SET name = 'mallory' WHERE name = 'asha'", "account_names"),
    ] {
        match tampered(&path, sql) {
            Err(VerifyError::BadRow { table: found, .. }) => assert_eq!(found, table, "{sql}"),
            other => panic!("{sql}: {other:?}"),
        }
    }
    sqlite::verify(&path).unwrap();
}

#[test]
fn a_changed_view_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let path = path_in(&directory);
    write_file(&path, 5, 3);
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("DROP VIEW v_accounts; CREATE VIEW v_accounts AS SELECT 1")
        .unwrap();
    let error = sqlite::verify(&path).unwrap_err().to_string();
    assert!(error.contains("view v_accounts"), "{error}");
    assert!(sqlite::open(&path, Options::default()).is_err());
}

#[test]
fn a_backup_of_a_busy_file_is_a_good_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = path_in(&directory);
    write_file(&path, 11, 30);
    let ledger = Ledger::open(&path).unwrap();
    let copies: Vec<PathBuf> = (0..3).map(|copy| directory.path().join(format!("copy-{copy}.db"))).collect();
    let mut commits = Vec::new();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for id in 0..400 {
                ledger.create_transfer(Transfer::new(1_000_000 + id, 1, 2, 0, 1, 1)).unwrap();
            }
        });
        for copy in &copies {
            commits.push(sqlite::backup(&path, copy).unwrap());
        }
        writer.join().unwrap();
    });
    assert!(commits.is_sorted_by_key(|verified| verified.commits));
    for (copy, verified) in copies.iter().zip(&commits) {
        assert_eq!(sqlite::verify(copy).unwrap(), *verified);
        let opened = Ledger::open(copy).unwrap();
        opened.create_transfer(Transfer::new(2_000_000, 1, 2, 0, 1, 1)).unwrap();
        assert_eq!(opened.last_commit().unwrap().0, verified.commits + 1);
    }
    let again = sqlite::backup(&path, &copies[0]).unwrap_err().to_string();
    assert!(again.contains("cannot write"), "{again}");
}

const APP: AppSchema = AppSchema {
    name: "shop",
    version: 1,
    create: "CREATE TABLE shop_orders(id INTEGER PRIMARY KEY) STRICT;",
    migrations: &["ALTER TABLE shop_orders ADD COLUMN note TEXT;"],
    payment: "",
};

fn open_app(path: &Path, app: AppSchema) -> Result<Ledger, OpenError> {
    Ledger::open_with(path, Options { app: Some(app), ..Options::default() }, SystemClock)
}

#[test]
fn newer_and_foreign_files_are_refused_and_older_ones_migrated() {
    let directory = tempfile::tempdir().unwrap();
    let path = path_in(&directory);
    drop(open_app(&path, APP).unwrap());
    let newer = AppSchema { version: 2, payment: "e.code", ..APP };
    let ledger = open_app(&path, newer).unwrap();
    let done: Result<(), TransactionError<LedgerError>> = ledger.transaction(|tx| {
        tx.sql().execute("INSERT INTO shop_orders VALUES (1, 'migrated')", []).unwrap();
        Ok(())
    });
    done.unwrap();
    drop(ledger);
    let message = |result: Result<Ledger, OpenError>| result.unwrap_err().to_string();
    assert!(message(open_app(&path, APP)).contains("schema of shop: the file has version 2"));
    assert!(
        message(open_app(&path, AppSchema { name: "bank", ..APP })).contains("application shop, not bank")
    );
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(message(Ledger::open(&path)).contains("version 99"));
    assert!(sqlite::verify(&path).unwrap_err().to_string().contains("version 99"));

    let other = directory.path().join("other.db");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE t(x)").unwrap();
    assert!(message(Ledger::open(&other)).contains("not a ledger"));
    std::fs::write(&other, vec![b'x'; 10_000]).unwrap();
    assert!(message(Ledger::open(&other)).contains("damaged"));
    let missing = directory.path().join("missing.db");
    let options = Options { create: false, ..Options::default() };
    assert!(message(Ledger::open_with(&missing, options, SystemClock)).contains("does not exist"));
}
