//! A log or file that is removed, moved or replaced while the ledger is in use: nothing that was acknowledged is lost unsaid.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod displaced;

use std::path::Path;
use std::time::Duration;

use displaced::{Displaced, check_has, log_of, saved_of, transfer};
use hundi_ledger::sqlite::{self, CommitError, Snapshot};
use hundi_ledger::{Account, Ledger, Reads, Store, Timestamp, TransferId, engine};

#[test]
fn a_log_that_somebody_removes_is_missed_at_the_next_commit_and_saved() {
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
    let mut ledger = Displaced::new(4);
    let log = log_of(&ledger.path().canonicalize().unwrap());
    let of_others = std::fs::read(&log).unwrap();
    ledger.acknowledge(3);
    std::fs::remove_file(&log).unwrap();
    std::fs::write(&log, of_others).unwrap();
    let (older, saved) = (saved_of(&log, 1), saved_of(&log, 2));
    std::fs::write(&older, b"somebody else's").unwrap();
    assert_eq!(ledger.next_commit(), (log.clone(), Some(saved.clone())));
    let (folder, acknowledged) = ledger.end(); // An orderly end, and somebody starts it again.
    let path = folder.path().join("app.db");
    check_refused(&path, &saved);
    std::fs::rename(&saved, &log).unwrap(); // As the error says.
    check_has(&path, acknowledged);
    assert_eq!(std::fs::read(&older).unwrap(), b"somebody else's");
}

#[test]
fn an_empty_log_that_a_reader_left_is_replaced() {
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
    let mut ledger = Displaced::new(4);
    let path = ledger.path();
    let_nothing_be_saved(&log_of(&path));
    std::fs::remove_file(log_of(&path)).unwrap();
    ledger.next_commit();
    let (folder, acknowledged) = ledger.end();
    check_missed(&path, &log_of(&path.canonicalize().unwrap()), false);
    std::fs::remove_file(path.with_extension("db.lock")).unwrap();
    let ids: Vec<TransferId> = (1..=acknowledged).map(TransferId).collect();
    let left = Ledger::open(&path).unwrap().lookup_transfers(&ids).unwrap().len();
    assert_eq!(left, 40, "what had been copied into the file");
    drop(folder);
}

#[test]
fn the_log_of_a_file_that_was_replaced_meets_no_other() {
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
        let (folder, acknowledged) = ledger.end();
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
    let mut ledger = Displaced::new(4);
    let path = ledger.path();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.busy_timeout(Duration::ZERO).unwrap();
    other.query_row("SELECT count(*) FROM v_transfers", [], |_| Ok(())).unwrap();
    std::fs::remove_file(log_of(&path)).unwrap();
    assert!(ledger.next_commit().1.is_some());
    let (folder, acknowledged) = ledger.end();
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
    let mut ledger = Displaced::new(4);
    let path = ledger.path();
    let log = log_of(&path.canonicalize().unwrap());
    let_nothing_be_saved(&log);
    std::fs::remove_file(path.with_extension("db.lock")).unwrap();
    std::fs::rename(&log, log.with_extension("gone")).unwrap();
    ledger.next_commit();
    let (folder, acknowledged) = ledger.end();
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
    let (folder, acknowledged) = ledger.end();
    check_refused(&path, &saved);
    std::fs::rename(&aside, &path).unwrap();
    check_refused(&path, &saved);
    std::fs::rename(&saved, &log).unwrap();
    check_has(&path, acknowledged);
    drop(folder);
}

#[test]
fn a_log_that_is_a_link_is_none() {
    let mut ledger = Displaced::new(4);
    let log = log_of(&ledger.path().canonicalize().unwrap());
    let aside = log.with_extension("aside");
    std::fs::rename(&log, &aside).unwrap();
    std::os::unix::fs::symlink(&aside, &log).unwrap();
    let saved = saved_of(&log, 1);
    assert_eq!(ledger.next_commit(), (log.clone(), Some(saved.clone())));
    let (folder, acknowledged) = ledger.end();
    let path = folder.path().join("app.db");
    check_refused(&path, &log);
    std::fs::rename(&saved, &log).unwrap();
    check_has(&path, acknowledged);
}

#[test]
fn a_log_is_saved_for_the_same_people() {
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
    let (folder, acknowledged) = ledger.end();
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
fn a_file_that_was_moved_or_replaced_takes_no_commit() {
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
