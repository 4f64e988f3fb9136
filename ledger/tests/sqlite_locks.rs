//! Others may look at a ledger that is in use, this process too: its log stays, and if it does not, nothing is lost unsaid.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hundi_ledger::sqlite::{self, CommitError, Disk, Options, Snapshot, State};
use hundi_ledger::{
    Account, CreateTransferStatus, Ledger, Reads, Store, Timestamp, Transfer, TransferId, engine,
};

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

fn log_of(path: &Path) -> PathBuf {
    path.with_extension("db-wal")
}

fn saved_of(log: &Path, copy: usize) -> PathBuf {
    log.with_added_extension(if copy == 1 { "saved".to_owned() } else { format!("saved.{copy}") })
}

fn accounts() -> [Account; 2] {
    [Account::new(1, 1, 1), Account::new(2, 1, 1)]
}

fn transfer(id: u128) -> Transfer {
    Transfer::new(id, 1, 2, 1, 1, 1)
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

fn make(state: &mut State, disk: &mut Disk, id: u128) -> Result<(), CommitError> {
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

struct Displaced {
    folder: tempfile::TempDir,
    /// How many transfers were acknowledged.
    acknowledged: u128,
    state: State,
    disk: Disk,
}

impl Displaced {
    /// A ledger in use: some of what was acknowledged is in its file, all of it in its log.
    fn new(acknowledged: u128) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (mut state, mut disk) = sqlite::open(folder.path().join("app.db"), Options::default()).unwrap();
        engine::create_accounts(&mut state, Timestamp(2), &accounts()).unwrap();
        let commit = disk.commit(state.take_changes(), |_| Ok(Vec::new())).unwrap();
        state.handle_durable(commit.seq);
        let mut new = Self { folder, acknowledged: 0, state, disk };
        new.acknowledge(40);
        new.disk.checkpoint().unwrap();
        new.acknowledge(acknowledged);
        new
    }

    fn acknowledge(&mut self, more: u128) {
        for _ in 0..more {
            self.acknowledged += 1;
            make(&mut self.state, &mut self.disk, self.acknowledged).unwrap();
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("app.db")
    }

    /// The next commit fails, and says what is not in its place and where its contents are.
    fn next_commit(&mut self) -> (PathBuf, Option<PathBuf>) {
        let [first, second] =
            [1, 2].map(|more| make(&mut self.state, &mut self.disk, self.acknowledged + more).unwrap_err());
        assert!(matches!(second, CommitError::Poisoned), "it is final: {second}");
        let text = first.to_string();
        let CommitError::Displaced { path, saved } = first else { panic!("{text}") };
        assert!(text.contains(&path.display().to_string()), "{text}");
        (path, saved)
    }

    /// Whoever opens the files that are there after a kill finds all that was acknowledged.
    fn check_after_kill(self) {
        let Self { folder, acknowledged, state, disk } = self;
        // Nothing is done as at an orderly end; and a copy, for this process has the lock's file.
        let after = folder.path().join("after.db");
        for entry in folder.path().read_dir().unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if let Some(ending) = name.strip_prefix("app.db").filter(|ending| *ending != "-shm") {
                let copy = folder.path().join(format!("after.db{ending}"));
                std::fs::copy(folder.path().join(&name), copy).unwrap();
            }
        }
        check_has(&after, acknowledged);
        std::mem::forget((state, disk));
    }
}

fn check_has(path: &Path, acknowledged: u128) {
    let ledger = Ledger::open(path).unwrap();
    let ids: Vec<TransferId> = (1..=acknowledged).map(TransferId).collect();
    assert_eq!(ledger.lookup_transfers(&ids).unwrap().len(), ids.len());
    drop(ledger);
    assert_eq!(sqlite::verify(path).unwrap().accounts, 2);
}

#[test]
fn a_log_that_somebody_removes_is_missed_at_the_next_commit_and_saved() {
    let _one = one_at_a_time();
    let aside = |path: &Path| path.with_file_name("aside");
    type Way<'a> = (&'a str, &'a dyn Fn(&Path));
    let ways: [Way<'_>; 3] = [
        ("removed", &|log| std::fs::remove_file(log).unwrap()),
        ("moved", &|log| std::fs::rename(log, aside(log)).unwrap()),
        ("kept by another name", &|log| {
            std::fs::hard_link(log, aside(log)).unwrap();
            std::fs::remove_file(log).unwrap();
        }),
    ];
    for (way, displace) in ways {
        for (acknowledged, read) in [(4, false), (5, false), (4, true)] {
            let mut ledger = Displaced::new(acknowledged);
            let log = log_of(&ledger.path().canonicalize().unwrap());
            // A reader that holds the log: not all of it could be copied into the file.
            let reader = read.then(|| Snapshot::open(ledger.path()).unwrap());
            ledger.acknowledge(3);
            displace(&log);
            assert_eq!(ledger.next_commit(), (log.clone(), Some(saved_of(&log, 1))), "{way}");
            drop(reader);
            ledger.check_after_kill();
        }
    }
}

/// Nobody opens or reads the ledger, and whoever tries is told of the file.
fn check_refused(ledger: &Path, named: &Path) {
    let refused = [
        Ledger::open(ledger).map(drop).unwrap_err().to_string(),
        sqlite::backup(ledger, ledger.with_extension("backup")).map(drop).unwrap_err().to_string(),
        Snapshot::open(ledger).map(drop).unwrap_err().to_string(),
        sqlite::verify(ledger).map(drop).unwrap_err().to_string(),
    ];
    assert!(refused.iter().all(|error| error.contains(&named.display().to_string())), "{refused:?}");
}

#[test]
fn a_log_whose_place_another_has_taken_is_saved_beside_it_and_nobody_goes_on_without() {
    let _one = one_at_a_time();
    let mut ledger = Displaced::new(4);
    let log = log_of(&ledger.path().canonicalize().unwrap());
    let of_others = std::fs::read(&log).unwrap();
    ledger.acknowledge(3);
    std::fs::remove_file(&log).unwrap();
    std::fs::write(&log, of_others).unwrap();
    let (older, saved) = (saved_of(&log, 1), saved_of(&log, 2));
    std::fs::write(&older, b"somebody else's").unwrap();
    assert_eq!(ledger.next_commit(), (log.clone(), Some(saved.clone())));
    let Displaced { folder, acknowledged, state, disk } = ledger;
    drop((state, disk)); // An orderly end, and somebody starts it again.
    let path = folder.path().join("app.db");
    check_refused(&path, &saved);
    std::fs::rename(&saved, &log).unwrap(); // As the error says.
    check_has(&path, acknowledged);
    assert_eq!(std::fs::read(&older).unwrap(), b"somebody else's");
}

#[test]
fn an_empty_log_that_a_reader_left_is_replaced() {
    let _one = one_at_a_time();
    let mut ledger = Displaced::new(4);
    let log = log_of(&ledger.path().canonicalize().unwrap());
    std::fs::remove_file(&log).unwrap();
    assert!(Snapshot::open(ledger.path()).is_err(), "the log's index knows of more than there is");
    assert_eq!(log.metadata().unwrap().len(), 0);
    assert_eq!(ledger.next_commit(), (log.clone(), Some(saved_of(&log, 1))));
    ledger.check_after_kill();
}

/// All names that a copy could have are taken, as if the disk were full.
fn let_nothing_be_saved(log: &Path) {
    (1..=99).for_each(|copy| std::fs::create_dir(saved_of(log, copy)).unwrap());
}

#[test]
fn what_could_not_be_saved_is_missed_by_whoever_opens_the_ledger_until_the_log_is_back() {
    let _one = one_at_a_time();
    for killed in [true, false] {
        for file_too in [false, true] {
            let mut ledger = Displaced::new(4);
            let path = ledger.path().canonicalize().unwrap();
            let log = log_of(&path);
            let aside = |path: &Path| path.with_added_extension("aside");
            let_nothing_be_saved(&log);
            std::fs::rename(&log, aside(&log)).unwrap();
            if file_too {
                std::fs::rename(&path, aside(&path)).unwrap();
            }
            let displaced = if file_too { &path } else { &log };
            assert_eq!(ledger.next_commit(), (displaced.clone(), None));
            let Displaced { folder, acknowledged, state, disk } = ledger;
            match killed {
                true => std::mem::forget((state, disk)),
                false => drop((state, disk)),
            }
            if file_too {
                check_missed(&path, &log, killed);
                assert!(!path.exists(), "no new one is begun");
                std::fs::rename(aside(&path), &path).unwrap();
            }
            check_missed(&path, &log, killed);
            // It may stand there again for long before anybody opens the ledger: nothing else is missing then.
            std::fs::rename(aside(&log), &log).unwrap();
            if killed {
                continue; // This process has the lock.
            }
            check_has(&path, acknowledged);
            let lock = std::fs::read_to_string(path.with_extension("db.lock")).unwrap();
            assert_eq!(lock.trim(), "", "who has looked need not look again");
            drop(folder);
        }
    }
}

/// Whoever reads the ledger, or opens it if nobody has it, is told that commits are missing, and where they belong.
fn check_missed(path: &Path, log: &Path, is_owned: bool) {
    let mut refused = vec![
        Snapshot::open(path).map(drop).unwrap_err().to_string(),
        sqlite::verify(path).map(drop).unwrap_err().to_string(),
    ];
    if !is_owned {
        refused.push(Ledger::open(path).map(drop).unwrap_err().to_string());
    }
    let is_told =
        |error: &String| error.contains("was acknowledged") && error.contains(log.to_str().unwrap());
    assert!(refused.iter().all(is_told), "{refused:?}");
}

#[test]
fn a_log_that_is_gone_is_missed_after_another_failure_too() {
    let _one = one_at_a_time();
    let Displaced { folder, acknowledged, mut state, mut disk } = Displaced::new(4);
    let path = folder.path().join("app.db");
    let full = |_: &rusqlite::Connection| Err(rusqlite::Error::QueryReturnedNoRows);
    let time = engine::next_time(state.last(), Timestamp::FIRST, 1);
    engine::create_transfers(&mut state, time, &[transfer(99)]).unwrap();
    std::fs::remove_file(log_of(&path)).unwrap();
    assert!(matches!(disk.commit(state.take_changes(), full), Err(CommitError::App(_))));
    drop((state, disk));
    check_has(&path, acknowledged);
}

#[test]
fn whoever_goes_on_without_what_is_missing_says_so_by_removing_the_note() {
    let _one = one_at_a_time();
    let mut ledger = Displaced::new(4);
    let path = ledger.path();
    let_nothing_be_saved(&log_of(&path));
    std::fs::remove_file(log_of(&path)).unwrap();
    ledger.next_commit();
    let Displaced { folder, acknowledged, state, disk } = ledger;
    drop((state, disk));
    check_missed(&path, &log_of(&path.canonicalize().unwrap()), false);
    std::fs::remove_file(path.with_extension("db.lock")).unwrap();
    let ids: Vec<TransferId> = (1..=acknowledged).map(TransferId).collect();
    let left = Ledger::open(&path).unwrap().lookup_transfers(&ids).unwrap().len();
    assert_eq!(left, 40, "what had been copied into the file");
    drop(folder);
}

#[test]
fn the_log_of_a_file_that_was_replaced_meets_no_other() {
    let _one = one_at_a_time();
    for is_exact in [false, true] {
        let mut ledger = Displaced::new(4);
        let path = ledger.path().canonicalize().unwrap();
        let [other, aside] = ["other.db", "aside.db"].map(|name| ledger.folder.path().join(name));
        match is_exact {
            false => drop(sqlite::backup(&path, &other).unwrap()),
            true => drop(std::fs::copy(&path, &other).unwrap()),
        }
        ledger.acknowledge(3);
        std::fs::rename(&path, &aside).unwrap();
        std::fs::rename(&other, &path).unwrap();
        let log = log_of(&path);
        let saved = saved_of(&log, 1);
        assert_eq!(ledger.next_commit(), (path.clone(), Some(saved.clone())));
        let Displaced { folder, acknowledged, state, disk } = ledger;
        drop((state, disk));
        check_refused(&path, &saved);
        let error = Ledger::open(&path).unwrap_err().to_string();
        assert!(error.contains("put the file that was in use there, and its log"), "{error}");
        std::fs::copy(&path, &other).unwrap();
        assert!(
            u128::from(sqlite::verify(&other).unwrap().transfers) < acknowledged,
            "nothing was copied into it"
        );
        if !is_exact {
            std::fs::rename(&aside, &path).unwrap();
        }
        std::fs::rename(&saved, &log).unwrap();
        check_has(&path, acknowledged);
        drop(folder);
    }
}

#[test]
fn nobody_goes_on_while_somebody_has_the_log_that_was_lost() {
    let _one = one_at_a_time();
    let mut ledger = Displaced::new(4);
    let path = ledger.path();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.busy_timeout(Duration::ZERO).unwrap();
    other.query_row("SELECT count(*) FROM v_transfers", [], |_| Ok(())).unwrap();
    std::fs::remove_file(log_of(&path)).unwrap();
    assert!(ledger.next_commit().1.is_some());
    let Displaced { folder, acknowledged, state, disk } = ledger;
    drop((state, disk));
    // It shares the log's index with whoever opens the ledger, and may copy from the log that it has.
    let error = Ledger::open(&path).unwrap_err().to_string();
    assert!(error.contains("still open in another program"), "{error}");
    // The last to close the file removes the log that it finds.
    std::fs::write(log_of(&path), b"").unwrap();
    drop(other);
    check_has(&path, acknowledged);
    drop(folder);
}

#[test]
fn after_another_failure_a_reader_is_in_nobodys_way() {
    let _one = one_at_a_time();
    let Displaced { folder, acknowledged, mut state, mut disk } = Displaced::new(4);
    let path = folder.path().join("app.db");
    let reader = rusqlite::Connection::open(&path).unwrap();
    reader.query_row("SELECT count(*) FROM v_transfers", [], |_| Ok(())).unwrap();
    let fails = |_: &rusqlite::Connection| Err(rusqlite::Error::QueryReturnedNoRows);
    let time = engine::next_time(state.last(), Timestamp::FIRST, 1);
    engine::create_transfers(&mut state, time, &[transfer(99)]).unwrap();
    assert!(matches!(disk.commit(state.take_changes(), fails), Err(CommitError::App(_))));
    drop((state, disk));
    drop(Snapshot::open(&path).unwrap());
    drop(Ledger::open(&path).unwrap());
    drop(reader);
    check_has(&path, acknowledged);
}

#[test]
fn word_is_left_where_the_lock_is_gone_too_and_comes_before_whatever_else_is_wrong() {
    let _one = one_at_a_time();
    let mut ledger = Displaced::new(4);
    let path = ledger.path();
    let log = log_of(&path.canonicalize().unwrap());
    let_nothing_be_saved(&log);
    std::fs::remove_file(path.with_extension("db.lock")).unwrap();
    std::fs::rename(&log, log.with_extension("gone")).unwrap();
    ledger.next_commit();
    let Displaced { folder, acknowledged, state, disk } = ledger;
    drop((state, disk));
    check_missed(&path, &log, false);
    // Half of the log was copied into the file, say.
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..8192]).unwrap();
    check_missed(&path, &log, false);
    std::fs::write(&path, whole).unwrap();
    std::fs::rename(log.with_extension("gone"), &log).unwrap();
    check_has(&path, acknowledged);
    drop(folder);
}

#[test]
fn a_log_and_its_file_that_are_gone_together_come_back_together() {
    let _one = one_at_a_time();
    let mut ledger = Displaced::new(4);
    let path = ledger.path().canonicalize().unwrap();
    let (log, aside) = (log_of(&path), path.with_extension("aside"));
    std::fs::rename(&path, &aside).unwrap();
    std::fs::remove_file(&log).unwrap();
    let saved = saved_of(&log, 1);
    assert_eq!(
        ledger.next_commit(),
        (path.clone(), Some(saved.clone())),
        "not where another file would meet it"
    );
    let Displaced { folder, acknowledged, state, disk } = ledger;
    drop((state, disk));
    check_refused(&path, &saved);
    std::fs::rename(&aside, &path).unwrap();
    check_refused(&path, &saved);
    std::fs::rename(&saved, &log).unwrap();
    check_has(&path, acknowledged);
    drop(folder);
}

#[test]
fn a_log_that_is_a_link_is_none() {
    let _one = one_at_a_time();
    let mut ledger = Displaced::new(4);
    let log = log_of(&ledger.path().canonicalize().unwrap());
    let aside = log.with_extension("aside");
    std::fs::rename(&log, &aside).unwrap();
    std::os::unix::fs::symlink(&aside, &log).unwrap();
    let saved = saved_of(&log, 1);
    assert_eq!(ledger.next_commit(), (log.clone(), Some(saved.clone())));
    let Displaced { folder, acknowledged, state, disk } = ledger;
    drop((state, disk));
    let path = folder.path().join("app.db");
    check_refused(&path, &log);
    std::fs::rename(&saved, &log).unwrap();
    check_has(&path, acknowledged);
}

#[test]
fn a_log_is_saved_for_the_same_people() {
    let _one = one_at_a_time();
    use std::os::unix::fs::PermissionsExt as _;
    for wanted in [0o600, 0o660] {
        let mut ledger = Displaced::new(4);
        let log = log_of(&ledger.path().canonicalize().unwrap());
        std::fs::set_permissions(&log, std::fs::Permissions::from_mode(wanted)).unwrap();
        std::fs::remove_file(&log).unwrap();
        let saved = ledger.next_commit().1.unwrap();
        assert_eq!(saved.metadata().unwrap().permissions().mode() & 0o777, wanted);
    }
}

#[test]
fn a_file_that_is_gone_is_not_made_anew_beside_its_log() {
    let _one = one_at_a_time();
    let Displaced { folder, acknowledged, state, disk } = Displaced::new(4);
    let path = folder.path().join("app.db");
    let after = folder.path().join("after.db");
    std::fs::copy(&path, &after).unwrap();
    let log = std::fs::read(log_of(&path)).unwrap();
    std::fs::write(log_of(&after), &log).unwrap();
    let file = std::fs::read(&after).unwrap();
    std::fs::remove_file(&after).unwrap();
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink("after.db", &link).unwrap();
    for empty in [false, true] {
        if empty {
            std::fs::write(&after, b"").unwrap();
        }
        for name in [&after, &link] {
            let error = Ledger::open(name).unwrap_err().to_string();
            assert!(error.contains("after.db-wal") && error.contains("gone or empty"), "{error}");
            check_refused(name, &log_of(&after));
            assert_eq!(std::fs::read(log_of(&after)).unwrap(), log);
        }
    }
    std::fs::write(&after, file).unwrap();
    check_has(&after, acknowledged);
    drop((state, disk));
}

#[test]
fn a_log_that_was_removed_is_missed_at_rest_and_at_the_end_too() {
    let _one = one_at_a_time();
    let mut ledger = Displaced::new(4);
    std::fs::remove_file(log_of(&ledger.path())).unwrap();
    let error = ledger.disk.checkpoint().unwrap_err();
    assert!(matches!(error, CommitError::Displaced { saved: Some(_), .. }), "{error}");
    ledger.check_after_kill();

    let Displaced { folder, acknowledged, state, disk } = Displaced::new(4);
    std::fs::remove_file(log_of(&folder.path().join("app.db"))).unwrap();
    drop((state, disk));
    check_has(&folder.path().join("app.db"), acknowledged);

    // An orderly end after a commit that failed leaves what was saved.
    let mut ledger = Displaced::new(4);
    std::fs::remove_file(log_of(&ledger.path())).unwrap();
    ledger.next_commit();
    let Displaced { folder, acknowledged, state, disk } = ledger;
    drop((state, disk));
    let [path, log] = ["app.db", "app.db-wal"].map(|name| folder.path().join(name));
    assert!(!saved_of(&log, 2).exists(), "it is saved once");
    // Something else is wrong with the file: the copy is there until nothing is.
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..8192]).unwrap();
    assert!(Ledger::open(&path).is_err());
    assert!(saved_of(&log, 1).exists());
    std::fs::write(&path, whole).unwrap();
    check_has(&path, acknowledged);
    assert!(!saved_of(&log, 1).exists(), "nobody needs it any more");
}

#[test]
fn a_log_that_is_removed_while_the_ledger_is_being_opened_is_missed() {
    let _one = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    let many: Vec<Account> = (1..=40_000).map(|id| Account::new(id, 1, 1)).collect();
    let ledger = Ledger::open(&path).unwrap();
    many.chunks(8_000).for_each(|some| drop(ledger.create_accounts(some.to_vec()).unwrap()));
    drop(ledger);
    let log = log_of(&path);
    assert!(!log.exists());
    std::thread::scope(|scope| {
        let opening = scope.spawn(|| Ledger::open(&path));
        while std::fs::remove_file(&log).is_err() && !opening.is_finished() {}
        let acknowledged =
            opening.join().unwrap().is_ok_and(|ledger| ledger.create_transfer(transfer(1)).is_ok());
        assert!(!acknowledged);
    });
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
fn a_file_that_was_moved_or_replaced_takes_no_commit() {
    let _one = one_at_a_time();
    for replace in [false, true] {
        let mut ledger = Displaced::new(4);
        let path = ledger.path();
        let other = ledger.folder.path().join("other.db");
        sqlite::backup(&path, &other).unwrap();
        ledger.acknowledge(3);
        if replace {
            std::fs::rename(&other, &path).unwrap();
        } else {
            std::fs::rename(&path, &other).unwrap();
        }
        assert_eq!(ledger.next_commit().0.file_name(), path.file_name());
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
