//! Others may look at a ledger that is in use, this process too: its log stays, and if it does not, nothing is lost unsaid.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use hundi_ledger::sqlite::{self, Disk, Options, Snapshot, State};
use hundi_ledger::{
    Account, CreateTransferStatus, Ledger, Reads, Store, Timestamp, Transfer, TransferId, engine,
};

const LOOK: &str = "HUNDI_LOOK_AT_LEDGER";

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
    let locks = std::fs::read_to_string("/proc/locks").unwrap();
    locks.lines().any(|lock| lock.contains(&of_file) && lock.contains("READ") && lock.ends_with(shared))
}

fn log_of(path: &Path) -> PathBuf {
    path.with_extension("db-wal")
}

fn accounts() -> [Account; 2] {
    [Account::new(1, 1, 1), Account::new(2, 1, 1)]
}

fn transfer(id: u128) -> Transfer {
    Transfer::new(id, 1, 2, 1, 1, 1)
}

#[test]
fn whatever_else_this_process_does_with_the_file_others_leave_its_log_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    // An app's own connection, which was there first.
    let own = rusqlite::Connection::open(&path).unwrap();
    own.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).unwrap();
    let ledger = Ledger::open(&path).unwrap();
    ledger.create_accounts(accounts().to_vec()).unwrap();
    let copy = folder.path().join("copy.db");
    let uses: [(&str, &dyn Fn()); 6] = [
        ("opened once", &|| {}),
        ("a second time", &|| assert!(Ledger::open(&path).is_err())),
        ("verified", &|| assert_eq!(sqlite::verify(&path).unwrap().accounts, 2)),
        ("backed up", &|| assert_eq!(sqlite::backup(&path, &copy).unwrap().accounts, 2)),
        ("read", &|| drop(Snapshot::open(&path).unwrap())),
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

fn make(state: &mut State, disk: &mut Disk, id: u128) -> Result<(), sqlite::CommitError> {
    let time = engine::next_time(state.last(), Timestamp::FIRST, 1);
    engine::create_transfers(state, time, &[transfer(id)]).unwrap();
    let commit = match id % 2 {
        0 => disk.commit(state.take_changes(), |_| Ok(Vec::new()))?,
        _ => {
            disk.write(state.take_changes(), |_| Ok(Vec::new()))?;
            disk.sync()?
        }
    };
    state.handle_durable(commit.seq);
    Ok(())
}

/// Commits until the log is gone, and then one more, which must say so; nothing that was acknowledged may be lost.
fn loses_its_log(remove: &dyn Fn(&Path)) {
    for acknowledged in [4, 5] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        let (mut state, mut disk) = sqlite::open(&path, Options::default()).unwrap();
        engine::create_accounts(&mut state, Timestamp(2), &accounts()).unwrap();
        let commit = disk.commit(state.take_changes(), |_| Ok(Vec::new())).unwrap();
        state.handle_durable(commit.seq);
        (1..=acknowledged).for_each(|id| make(&mut state, &mut disk, id).unwrap());
        remove(&path);
        assert!(!log_of(&path).exists());
        let error = make(&mut state, &mut disk, acknowledged + 1).unwrap_err();
        assert!(
            matches!(&error, sqlite::CommitError::LogRemoved(log) if *log == log_of(&path.canonicalize().unwrap()))
        );
        assert!(make(&mut state, &mut disk, acknowledged + 2).is_err(), "it is final");
        std::mem::forget(disk); // As if the process were killed.
        drop(state);
        // The lock's file is still held: this is another file with the same bytes.
        let after = folder.path().join("after.db");
        std::fs::copy(&path, &after).unwrap();
        let ledger = Ledger::open(&after).unwrap();
        let ids: Vec<TransferId> = (1..=acknowledged).map(TransferId).collect();
        assert_eq!(ledger.lookup_transfers(&ids).unwrap().len(), ids.len());
        drop(ledger);
        sqlite::verify(&after).unwrap();
    }
}

#[test]
fn a_log_that_somebody_removes_is_missed_at_the_next_commit() {
    loses_its_log(&|path| std::fs::remove_file(log_of(path)).unwrap());
}

#[test]
fn a_process_that_gave_its_locks_away_notices() {
    loses_its_log(&|path| {
        assert!(is_locked(path));
        drop(std::fs::File::open(path).unwrap());
        assert!(!is_locked(path), "closing any file ends all locks: else this test is in vain");
        // As an SQLite of before 3.51 does that is the last one, by the locks, to close the file: it copies the log and removes it.
        look(path);
        std::fs::remove_file(log_of(path)).unwrap();
        std::fs::remove_file(path.with_extension("db-shm")).unwrap();
    });
}
