//! A file that was changed behind the ledger's back does not verify; one that was not does; backups too.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::{Path, PathBuf};

use common::Workload;
use hundi_ledger::export::{self, Labels};
use hundi_ledger::sqlite::{self, AppSchema, OpenError, Options, Snapshot, VerifyError};
use hundi_ledger::{
    AccountFilter, AccountId, ChangeEventsFilter, Currency, Ledger, LedgerError, Reads, Store, SystemClock,
    Timestamp, TransactionError, Transfer, engine,
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
        tx.set_currency(Currency::new("GOLD-MG", 2, 3).unwrap())?;
        tx.name_account(AccountId(2), "bela", Some("")) // As good as none.
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
    writeln!(text, "{:?}", snapshot.currencies()?).unwrap();
    let labels = Labels::read(&snapshot).map_err(|error| OpenError::Damaged(error.to_string()))?;
    // Random amounts may pass what a format has room for; then that is what is read.
    let mut exported = Vec::new();
    let done = [
        export::csv_events(&snapshot, &labels, &mut exported).map_err(|error| error.to_string()),
        export::csv_accounts(&snapshot, &labels, &mut exported).map_err(|error| error.to_string()),
        export::hledger(&snapshot, &labels, &mut exported).map_err(|error| error.to_string()),
    ];
    writeln!(text, "{done:?}{}", String::from_utf8(exported).unwrap()).unwrap();
    let connection = rusqlite::Connection::open(path)?;
    for rows in [
        "v_accounts",
        "v_transfers",
        "v_commits",
        "accounts",
        "events",
        "late_events",
        "pendings",
        "burnt",
        "transfer_runs",
        "transfer_ids",
        "account_names",
        "accounts a JOIN accounts b ON b.id = a.id", // By the index of ids.
        "pendings WHERE status = 1 AND expires_at > 0 ORDER BY expires_at",
    ] {
        let mut statement = connection.prepare(&format!("SELECT * FROM {rows}"))?;
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

/// Where and how to change a byte: the file's header, the headers of its pages, then anywhere. By default a sample; all
/// of the first three pages, all page headers and so many random places with `HUNDI_FLIPS`.
fn flips(length: usize) -> Vec<(usize, u8)> {
    const PAGE: usize = 4096;
    let random: Option<usize> = std::env::var("HUNDI_FLIPS").ok().map(|text| text.parse().unwrap());
    let mut workload = Workload::new(7);
    let mut flips: Vec<(usize, u8)> = (0..length)
        .filter(|at| match random {
            Some(_) => *at < 3 * PAGE || at % PAGE < 12,
            None => *at < 108 || at % (PAGE * 5) < 8,
        })
        .flat_map(|at| [(at, 0xff), (at, 1 << (at % 8)), (at, 1 << ((at + 5) % 8))])
        .collect();
    for _ in 0..random.unwrap_or(900) {
        let at = workload.below(length as u64) as usize;
        flips.push((at, if workload.below(3) == 0 { 0xff } else { 1 << workload.below(8) }));
    }
    flips
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

    let (mut noticed, mut harmless) = (0, 0);
    let flipped = directory.path().join("flipped.db");
    for (at, change) in flips(good.len()) {
        let mut bytes = good.clone();
        bytes[at] ^= change;
        std::fs::write(&flipped, &bytes).unwrap();
        if sqlite::verify(&flipped).is_err() {
            noticed += 1;
        } else {
            let read = all_that_is_read(&flipped);
            assert_eq!(
                read.as_ref().ok(),
                Some(&expected),
                "byte {at} ^ {change:#x} verifies but matters: {read:?}"
            );
            harmless += 1;
        }
    }
    println!("{} bytes: {noticed} flips noticed, {harmless} harmless", good.len());
    assert!(noticed > 100 && harmless > 0, "{noticed} noticed, {harmless} harmless");
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
fn a_changed_currency_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let path = path_in(&directory);
    write_file(&path, 5, 3);
    let gold = Currency::new("GOLD-MG", 2, 3).unwrap();
    assert_eq!(Snapshot::open(&path).unwrap().currencies().unwrap(), [gold]);
    for sql in [
        "UPDATE meta SET value = replace(value, ' 3 ', ' 2 ') WHERE key = 'currency: 2'",
        "UPDATE meta SET value = 'GOLD-MG 3' WHERE key = 'currency: 2'",
        "UPDATE meta SET key = 'currency: 3' WHERE key = 'currency: 2'",
    ] {
        let error = tampered(&path, sql).unwrap_err().to_string();
        assert!(error.contains("meta, row currency: "), "{sql}: {error}");
    }
    let error = tampered(&path, "UPDATE account_names SET currency = '' WHERE name = 'bela'").unwrap_err();
    assert!(error.to_string().starts_with("account_names"), "{error}");
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
    create: "CREATE TABLE shop_orders(id INTEGER PRIMARY KEY) STRICT; CREATE INDEX shop_old ON shop_orders(id);",
    migrations: &["ALTER TABLE shop_orders ADD COLUMN note TEXT; DROP INDEX shop_old;"],
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
    let edit = |sql| rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    edit("DROP INDEX shop_old");
    let damaged = open_app(&path, newer).unwrap_err().to_string();
    assert!(damaged.contains("the index shop_old is missing"), "not forgotten by migrating: {damaged}");
    edit("CREATE INDEX shop_old ON shop_orders(id)");
    let ledger = open_app(&path, newer).unwrap();
    let done: Result<(), TransactionError<LedgerError>> = ledger.transaction(|tx| {
        tx.sql().execute("INSERT INTO shop_orders VALUES (1, 'migrated')", []).unwrap();
        Ok(())
    });
    done.unwrap();
    drop(ledger);
    drop(open_app(&path, newer).expect("what a step drops is not missed"));
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
