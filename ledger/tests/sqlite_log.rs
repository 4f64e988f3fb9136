//! The write-ahead log: what a crash may leave in it opens, what went bad in it later is noticed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::{Path, PathBuf};

use common::Workload;
use hundi_ledger::sqlite::{self, Disk, OpenError, Options, Snapshot, State, VerifyError};
use hundi_ledger::{Account, Ledger, Store, Timestamp, Transfer, engine};

const LOG_HEADER: usize = 32;
const FRAME: usize = 24 + 4096;

/// A file of one process: its pages and its log.
#[derive(Clone)]
struct Files {
    pages: Vec<u8>,
    log: Vec<u8>,
}

fn log_of(path: &Path) -> PathBuf {
    path.with_extension("db-wal")
}

impl Files {
    /// The log up to its end: the room behind it is zeros, and no frame has the page 0.
    fn read(path: &Path) -> Self {
        let mut log = std::fs::read(log_of(path)).unwrap();
        let frames = log[LOG_HEADER..].chunks_exact(FRAME).take_while(|frame| frame[..4] != [0; 4]).count();
        let room = log.split_off(LOG_HEADER + frames * FRAME);
        assert!(room.iter().all(|byte| *byte == 0));
        Self { pages: std::fs::read(path).unwrap(), log }
    }

    /// With room behind the log.
    fn with_room(mut self) -> Self {
        self.log.resize(self.log.len() + 50 * FRAME + 7, 0);
        self
    }

    /// Writes them elsewhere, as a crash would leave them.
    fn put(&self, folder: &Path) -> PathBuf {
        let path = folder.join("copy.db");
        for extension in ["db-shm", "db-wal", "db.lock"] {
            let _ = std::fs::remove_file(path.with_extension(extension));
        }
        std::fs::write(&path, &self.pages).unwrap();
        std::fs::write(log_of(&path), &self.log).unwrap();
        path
    }
}

fn commit(state: &mut State, disk: &mut Disk, transfers: &[Transfer]) {
    let time = engine::next_time(state.last(), Timestamp::FIRST, transfers.len());
    engine::create_transfers(state, time, transfers).unwrap();
    let commit = disk.commit(state.take_changes(), |_| Ok(Vec::new())).unwrap();
    state.handle_durable(commit.seq);
}

/// The files after each of so many commits; the log is never copied in between.
fn history(folder: &Path, commits: u128) -> Vec<Files> {
    let path = folder.join("ledger.db");
    let (mut state, mut disk) = sqlite::open(&path, Options::default()).unwrap();
    let accounts = [1, 2].map(|id| Account::new(id, 1, 1));
    engine::create_accounts(&mut state, Timestamp(2), &accounts).unwrap();
    let mut files = Vec::new();
    for id in 1..=commits {
        let transfers: Vec<_> = (0..40).map(|next| Transfer::new(id * 100 + next, 1, 2, id, 1, 1)).collect();
        commit(&mut state, &mut disk, &transfers);
        files.push(Files::read(&path));
    }
    files
}

/// The last commit of the files, by every way that leads to it.
fn opened(files: &Files, folder: &Path) -> Result<u64, OpenError> {
    let path = files.put(folder);
    let verified = sqlite::verify(&path);
    let snapshot = Snapshot::open(&path).map(|snapshot| snapshot.last_commit().seq.0);
    let owner = Ledger::open(&path).map(|ledger| ledger.last_commit().unwrap().0);
    match owner {
        Ok(seq) => {
            assert_eq!((snapshot.unwrap(), verified.unwrap().commits), (seq, seq));
            Ok(seq)
        }
        Err(error) => {
            assert!(snapshot.is_err());
            assert!(matches!(verified, Err(VerifyError::Open(OpenError::Damaged(_)))), "{verified:?}");
            Err(error)
        }
    }
}

#[test]
fn a_log_that_went_bad_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let files = history(folder.path(), 12);
    let last = files.last().unwrap().clone().with_room();
    assert_eq!(opened(&last, folder.path()).unwrap(), 12);
    // Everything before the last two commits.
    let known = files[9].log.len();
    let mut workload = Workload::new(5);
    let mut flips: Vec<usize> = (0..LOG_HEADER).chain(LOG_HEADER..LOG_HEADER + 24).collect();
    flips.extend((0..60).map(|_| workload.below(known as u64) as usize));
    flips.extend(
        (0..20).map(|_| LOG_HEADER + workload.below(9) as usize * FRAME + workload.below(24) as usize),
    );
    for at in flips {
        let mut bad = last.clone();
        bad.log[at] ^= 1 << workload.below(8);
        match opened(&bad, folder.path()) {
            Err(OpenError::Damaged(why)) => assert!(why.contains("copy.db-wal, frame"), "{at}: {why}"),
            other => panic!("byte {at} of the log: {other:?}"),
        }
    }
    // In the last commit it cannot be told from a crash: the commit is gone, and only that one.
    let mut torn = last.clone();
    torn.log[files[10].log.len() + 100] ^= 1;
    assert_eq!(opened(&torn, folder.path()).unwrap(), 11);
}

#[test]
fn what_a_crash_leaves_of_a_commit_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let files = history(folder.path(), 8);
    let mut workload = Workload::new(9);
    for round in 0..60 {
        let upto = 1 + workload.below(7) as usize;
        let (before, after) = (&files[upto - 1], &files[upto]);
        let mut torn = after.clone();
        // Any sectors of the unfinished commit are there, others hold zeros, or an earlier use of the log.
        for sector in before.log.len() / 512..torn.log.len().div_ceil(512) {
            if workload.below(4) == 0 {
                let range = (sector * 512).max(before.log.len())..((sector + 1) * 512).min(torn.log.len());
                for at in range {
                    torn.log[at] = if round % 2 == 0 { 0 } else { files[7].log[at / 2] };
                }
            }
        }
        if workload.below(3) == 0 {
            let length =
                before.log.len() + workload.below((torn.log.len() - before.log.len()) as u64) as usize;
            torn.log.truncate(length);
        }
        let whole = torn.log == after.log; // Zeros may stand where zeros were.
        let seq = opened(&torn, folder.path()).unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert_eq!(seq, upto as u64 + u64::from(whole), "round {round}");
    }
}

#[test]
fn the_log_of_another_file_is_refused() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (ours, theirs) = (history(here.path(), 5), history(there.path(), 3));
    drop(Ledger::open(here.path().join("ledger.db")).unwrap()); // Folds the log into the file.
    let pages = std::fs::read(here.path().join("ledger.db")).unwrap();
    let foreign = Files { pages: pages.clone(), log: theirs[2].log.clone() };
    let error = opened(&foreign, here.path()).unwrap_err().to_string();
    assert!(error.contains("copy.db-wal is the log of another file"), "{error}");
    assert_eq!(std::fs::read(here.path().join("copy.db")).unwrap(), pages, "nothing was changed");
    let own = Files { pages, log: ours[4].log.clone() };
    assert_eq!(opened(&own, here.path()).unwrap(), 5);
}

#[test]
fn truncated_files_are_noticed_or_whole() {
    let folder = tempfile::tempdir().unwrap();
    let files = history(folder.path(), 6);
    drop(Ledger::open(folder.path().join("ledger.db")).unwrap()); // Folds the log into the file.
    let pages = std::fs::read(folder.path().join("ledger.db")).unwrap();
    let good = Files { pages, log: Vec::new() };
    assert_eq!(opened(&good, folder.path()).unwrap(), 6);
    for cut in (1..good.pages.len()).step_by(1361) {
        let path = Files { pages: good.pages[..cut].to_vec(), log: Vec::new() }.put(folder.path());
        assert!(sqlite::verify(&path).is_err(), "{cut} bytes");
    }
    // Of a log whose end is gone the commits before it are there.
    for (place, file) in files.iter().enumerate() {
        assert_eq!(opened(file, folder.path()).unwrap(), place as u64 + 1);
    }
}

#[test]
fn readers_beside_a_busy_owner_see_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let (mut state, mut disk) = sqlite::open(&path, Options::default()).unwrap();
    engine::create_accounts(&mut state, Timestamp(2), &[1, 2].map(|id| Account::new(id, 1, 1))).unwrap();
    commit(&mut state, &mut disk, &[]);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|reader| {
                let (path, done) = (&path, &done);
                scope.spawn(move || {
                    let mut seen = 0;
                    for round in 0.. {
                        if done.load(std::sync::atomic::Ordering::SeqCst) && round > 3 {
                            return seen;
                        }
                        let commits = match (reader + round) % 3 {
                            0 => sqlite::verify(path).unwrap().commits,
                            1 => Snapshot::open(path).unwrap().last_commit().seq.0,
                            _ => {
                                let copy = path.with_extension(format!("{reader}-{round}"));
                                sqlite::backup(path, copy).unwrap().commits
                            }
                        };
                        assert!(commits >= seen, "time goes on");
                        seen = commits;
                    }
                    seen
                })
            })
            .collect();
        for id in 1..=300_u128 {
            commit(&mut state, &mut disk, &[Transfer::new(id, 1, 2, id, 1, 1)]);
            if id % 7 == 0 {
                disk.checkpoint().unwrap(); // The log begins again from its first frame.
            }
        }
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        for reader in readers {
            assert!(reader.join().unwrap() > 1);
        }
    });
}

#[test]
fn the_log_begins_again_when_it_is_long_and_no_reader_holds_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let (mut state, mut disk) = sqlite::open(&path, Options { log_kib: 400, ..Options::default() }).unwrap();
    let accounts = [1, 2].map(|id| Account::new(id, 1, 1));
    engine::create_accounts(&mut state, Timestamp(2), &accounts).unwrap();
    let log_length = || usize::try_from(std::fs::metadata(log_of(&path)).unwrap().len()).unwrap();
    let pages_length = || std::fs::metadata(&path).unwrap().len();
    let mut next = 0;
    let mut commits = |disk: &mut Disk, count: u128| {
        for _ in 0..count {
            next += 1;
            let transfers: Vec<_> = (0..40).map(|n| Transfer::new(next * 100 + n, 1, 2, 1, 1, 1)).collect();
            commit(&mut state, disk, &transfers);
        }
    };
    commits(&mut disk, 400);
    let without_readers = log_length();
    assert!(
        without_readers < 1 << 20,
        "400 KiB, room for what comes next and the last commit, not {without_readers}"
    );
    assert!(pages_length() > 1 << 19, "and what was written is in the file");

    let reader = Snapshot::open(&path).unwrap();
    commits(&mut disk, 400);
    let held = log_length();
    assert!(held > 2 * without_readers, "a reader's log is kept for it: {held} after {without_readers}");
    assert_eq!(reader.last_commit().seq.0, 400);
    drop(reader);
    commits(&mut disk, 800);
    assert!(log_length() < 2 * held, "it has begun again: {} after {held}", log_length());
    drop(disk);
    assert_eq!(sqlite::verify(&path).unwrap().commits, 1600);
}

#[test]
fn what_is_no_ledger_is_refused_without_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "not a database, but somebody's notes").unwrap();
    let other = folder.path().join("other.db");
    let connection = rusqlite::Connection::open(&other).unwrap();
    connection.execute_batch("PRAGMA application_id = 7; CREATE TABLE t(x)").unwrap();
    drop(connection);
    let plain = folder.path().join("plain.db");
    rusqlite::Connection::open(&plain).unwrap().execute_batch("CREATE TABLE t(x)").unwrap();
    let bytes = std::fs::read(&plain).unwrap();
    let [logged, marked, emptied, tiny] =
        ["logged.db", "marked.db", "emptied.db", "tiny.db"].map(|name| folder.path().join(name));
    for (path, sql) in [
        (&logged, "PRAGMA journal_mode = WAL; CREATE TABLE t(x)"),
        (&marked, "PRAGMA user_version = 5"),
        (&emptied, "CREATE TABLE t(x); DROP TABLE t"),
    ] {
        rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
    }
    std::fs::write(&tiny, b"x").unwrap();
    let inner = folder.path().join("folder");
    std::fs::create_dir(&inner).unwrap();
    let device = PathBuf::from("/dev/null");
    for (path, why) in [
        (&text, "not an SQLite file"),
        (&other, "not a ledger"),
        (&plain, "not a ledger"),
        (&logged, "not a ledger"),
        (&marked, "not a ledger"),
        (&emptied, "not a ledger"),
        (&tiny, "not an SQLite file"),
        (&inner, "cannot open"),
        (&device, "no regular file"),
    ] {
        let error = Ledger::open(path).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
        assert!(sqlite::verify(path).is_err());
    }
    let mut left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(
        left,
        ["emptied.db", "folder", "logged.db", "marked.db", "notes.txt", "other.db", "plain.db", "tiny.db"]
    );
    assert_eq!(std::fs::read(&plain).unwrap(), bytes, "it is still no file with a log");
}
