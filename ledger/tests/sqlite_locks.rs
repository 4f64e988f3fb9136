//! Others may look at a ledger that is in use, this process too: its log stays.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "another test uses the rest")]
mod displaced;

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use displaced::{Displaced, accounts, log_of, saved_of, transfer};
use hundi_ledger::sqlite::{self, Snapshot};
use hundi_ledger::{CreateTransferStatus, Ledger};

const LOOK: &str = "HUNDI_LOOK_AT_LEDGER";

/// A child that another test starts holds all locks of this process for a moment, until it is a program of its own.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Another process looks at the file as any program would, by SQLite alone, and says how many transfers it sees.
fn look(path: &Path) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "another_process_looks", "--nocapture"]).env(LOOK, path);
    let out = child.output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let sees = text.lines().find_map(|line| line.split_once("sees ")).unwrap_or_else(|| panic!("{text}"));
    sees.1.parse().unwrap()
}

#[test]
fn another_process_looks() {
    let Some(path) = std::env::var_os(LOOK) else { return };
    let connection = rusqlite::Connection::open(path).unwrap();
    let sees: i64 = connection.query_row("SELECT count(*) FROM v_transfers", [], |row| row.get(0)).unwrap();
    println!("sees {sees}");
    let _: i64 = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(0)).unwrap();
}

/// Whether this process has SQLite's lock on the file. While it has, no other program takes itself for the last one to close the
/// file, and removes the log. (From 3.51 on SQLite looks at the log's own locks too; many an older one is in use.)
fn is_locked(path: &Path) -> bool {
    let of_file = format!(":{} ", path.metadata().unwrap().ino());
    let shared = "1073741826 1073742335"; // sqlite.org/lockingv3.html; bytes that no file has.
    // The list is read piece by piece while other locks come and go, and may then leave one out.
    (0..50).any(|_| {
        let locks = std::fs::read_to_string("/proc/locks").unwrap();
        locks.lines().any(|lock| lock.contains(&of_file) && lock.contains("READ") && lock.ends_with(shared))
    })
}

#[test]
fn whatever_else_this_process_does_with_the_file_others_leave_its_log_alone() {
    let _one = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    // An app's own connection, which was there first.
    let own = rusqlite::Connection::open(&path).unwrap();
    own.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).unwrap();
    let ledger = Ledger::open(&path).unwrap();
    ledger.create_accounts(accounts().to_vec()).unwrap();
    let copy = folder.path().join("copy.db");
    let uses: [(&str, &dyn Fn()); 7] = [
        ("opened once", &|| {}),
        ("a second time", &|| assert!(Ledger::open(&path).is_err())),
        ("verified", &|| assert_eq!(sqlite::verify(&path).unwrap().accounts, 2)),
        ("backed up", &|| assert_eq!(sqlite::backup(&path, &copy).unwrap().accounts, 2)),
        ("read", &|| drop(Snapshot::open(&path).unwrap())),
        ("cut short", &|| own.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap()),
        ("queried", &|| own.query_row("SELECT count(*) FROM v_transfers", [], |_| Ok(())).unwrap()),
    ];
    let mut made = 0;
    for (what, use_it) in uses {
        use_it();
        for _ in 0..2 {
            made += 1;
            let made_it = ledger.create_transfer(transfer(made)).unwrap();
            assert_eq!(made_it.status, CreateTransferStatus::Created, "{what}");
            assert_eq!(u128::from(look(&path)), made, "{what}");
            assert!(log_of(&path).exists(), "{what}: another process has removed the log");
            assert!(is_locked(&path), "{what}: it has given its lock away");
        }
    }
}

#[test]
fn a_log_that_a_reader_held_is_copied_when_the_reader_ends() {
    let _one = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    let ledger = Ledger::open(&path).unwrap();
    ledger.create_accounts(accounts().to_vec()).unwrap();
    let reader = Snapshot::open(&path).unwrap();
    ledger.create_transfer(transfer(1)).unwrap();
    let file_alone = || {
        let uri = format!("file:{}?immutable=1", path.display());
        let connection = rusqlite::Connection::open(uri).unwrap();
        connection.query_row("SELECT count(*) FROM v_transfers", [], |row| row.get::<_, i64>(0)).unwrap_or(0)
    };
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!(file_alone(), 0, "the reader holds the log");
    drop(reader);
    let began = std::time::Instant::now();
    while file_alone() == 0 {
        assert!(began.elapsed() < Duration::from_secs(30), "the ledger rests, and its log is not copied");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_process_that_gave_its_locks_away_notices() {
    let _one = one_at_a_time();
    let mut ledger = Displaced::new(4);
    let path = ledger.path();
    assert!(is_locked(&path));
    drop(std::fs::File::open(&path).unwrap());
    assert!(!is_locked(&path), "closing any file ends all locks: else this test is in vain");
    // As an SQLite of before 3.51 does that is the last one, by the locks, to close the file: it copies the log and removes it.
    look(&path);
    std::fs::remove_file(log_of(&path)).unwrap();
    std::fs::remove_file(path.with_extension("db-shm")).unwrap();
    let log = log_of(&path.canonicalize().unwrap());
    assert_eq!(ledger.next_commit(), (log.clone(), Some(saved_of(&log, 1))));
    ledger.check_after_kill();
}

#[test]
fn a_name_that_sqlite_would_take_for_something_else_is_a_file() {
    let _one = one_at_a_time();
    const IN: &str = "HUNDI_ODD_NAMES_IN";
    if std::env::var_os(IN).is_some() {
        for name in ["file:app.db", ":memory:", "a?b#c%20d.db"] {
            drop(Ledger::open(name).unwrap());
            assert!(Path::new(name).metadata().unwrap().len() > 0, "{name}");
            assert_eq!(sqlite::verify(name).unwrap().transfers, 0);
        }
        return assert!(!Path::new("app.db").exists());
    }
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "a_name_that_sqlite_would_take_for_something_else_is_a_file"]);
    let out = child.env(IN, "").current_dir(folder.path()).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    // Two slashes, which in a URI begin the name of a machine.
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "not a database, but somebody's notes").unwrap();
    let error = Ledger::open(Path::new("/").join(format!("/{}", text.display()))).unwrap_err();
    assert!(error.to_string().contains("not an SQLite file"), "{error}");
}
