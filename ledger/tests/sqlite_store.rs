//! The store on SQLite against the one in memory: same batches, same results, same reads, across reopenings.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};

use common::Workload;
use hundi_ledger::sqlite::{self, CommitError, Disk, Options, State};
use hundi_ledger::{
    Account, AccountFilter, AccountId, ChangeEventsFilter, MemoryStore, QueryFilter, Reads, Store, Timestamp,
    Transfer, TransferFlags, engine,
};

fn open(path: &std::path::Path, recent_events: usize) -> (State, Disk) {
    // What is cached little also lags little, so that many generations pass.
    let lag_events = if recent_events == 0 { 5 } else { 1 << 17 };
    sqlite::open(path, Options { recent_events, lag_events, ..Options::default() }).unwrap()
}

fn compare_reads(memory: &MemoryStore, state: &State, workload: &mut Workload) {
    assert_eq!(memory.last(), state.last());
    let accounts = workload.all_account_ids();
    assert_eq!(memory.lookup_accounts(&accounts).unwrap(), state.lookup_accounts(&accounts).unwrap());
    let transfers = workload.all_transfer_ids();
    assert_eq!(memory.lookup_transfers(&transfers).unwrap(), state.lookup_transfers(&transfers).unwrap());
    let all = ChangeEventsFilter::all(u32::MAX);
    assert_eq!(memory.get_change_events(&all).unwrap(), state.get_change_events(&all).unwrap());
    for _ in 0..20 {
        let filter: AccountFilter = workload.account_filter();
        assert_eq!(
            memory.get_account_transfers(&filter).unwrap(),
            state.get_account_transfers(&filter).unwrap(),
            "{filter:?}"
        );
        assert_eq!(
            memory.get_account_balances(&filter).unwrap(),
            state.get_account_balances(&filter).unwrap(),
            "{filter:?}"
        );
        let filter: QueryFilter = workload.query_filter();
        assert_eq!(
            memory.query_transfers(&filter).unwrap(),
            state.query_transfers(&filter).unwrap(),
            "{filter:?}"
        );
        assert_eq!(
            memory.query_accounts(&filter).unwrap(),
            state.query_accounts(&filter).unwrap(),
            "{filter:?}"
        );
    }
}

/// Runs the same batch on both and compares the results.
fn run_both(memory: &mut MemoryStore, state: &mut State, workload: &mut Workload) {
    let now = Timestamp(workload.tick());
    match workload.below(10) {
        0 | 1 => {
            let batch = workload.accounts();
            let time = engine::next_time(memory.last(), now, batch.len());
            assert_eq!(
                engine::create_accounts(memory, time, &batch).unwrap(),
                engine::create_accounts(state, time, &batch).unwrap()
            );
        }
        2 => {
            let time = engine::next_time(memory.last(), now, 64);
            if memory.last().any() < time {
                assert_eq!(engine::expire(memory, time).unwrap(), engine::expire(state, time).unwrap());
            }
        }
        _ => {
            let batch = workload.transfers(memory.last());
            let time = engine::next_time(memory.last(), now, batch.len());
            assert_eq!(
                engine::create_transfers(memory, time, &batch).unwrap(),
                engine::create_transfers(state, time, &batch).unwrap(),
                "{batch:?}"
            );
        }
    }
}

fn check(seed: u64, recent_events: usize) {
    println!("replay: seed {seed}, recent_events {recent_events}");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    let mut workload = Workload::new(seed);
    let mut memory = MemoryStore::new();
    let (mut state, mut disk) = open(&path, recent_events);
    for round in 0..120 {
        for _ in 0..=workload.below(3) {
            run_both(&mut memory, &mut state, &mut workload);
        }
        let changes = state.take_changes();
        // The next batch runs before the last one is durable.
        if workload.below(2) == 0 {
            run_both(&mut memory, &mut state, &mut workload);
        }
        let commit = disk.commit(changes, |_| Ok(Vec::new())).unwrap();
        state.handle_durable(commit.seq);
        if workload.below(12) == 0 {
            let commit = disk.commit(state.take_changes(), |_| Ok(b"app".to_vec())).unwrap();
            state.handle_durable(commit.seq);
            compare_reads(&memory, &state, &mut workload);
            let verified = sqlite::verify(&path).unwrap();
            assert_eq!(
                (verified.commits, verified.hash),
                (commit.seq.0, commit.hash),
                "a live file verifies"
            );
            drop((state, disk));
            (state, disk) = open(&path, recent_events);
            assert_eq!(disk.last_commit().seq, commit.seq, "round {round}");
            compare_reads(&memory, &state, &mut workload);
        }
    }
}

#[test]
fn agrees_with_memory_when_all_is_cached() {
    (0..8).for_each(|seed| check(seed, 1 << 17));
}

#[test]
fn agrees_with_memory_when_nothing_is_cached() {
    (100..108).for_each(|seed| check(seed, 0));
}

#[test]
fn a_second_writer_is_refused_and_readers_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    let (_state, _disk) = open(&path, 0);
    let refused = sqlite::open(&path, Options::default()).unwrap_err().to_string();
    assert!(refused.ends_with("ledger.db is in use by another process"), "{refused}");
    let reader = rusqlite::Connection::open(&path).unwrap();
    let accounts: i64 = reader.query_row("SELECT count(*) FROM v_accounts", [], |row| row.get(0)).unwrap();
    assert_eq!(accounts, 0);
}

#[test]
fn balances_at_a_time_know_no_expiry_that_was_still_to_come() {
    const SECOND: u64 = 1_000_000_000;
    let directory = tempfile::tempdir().unwrap();
    let (mut state, mut disk) = sqlite::open(directory.path().join("ledger.db"), Options::default()).unwrap();
    let accounts = [1, 2].map(|id| Account::new(id, 1, 1));
    engine::create_accounts(&mut state, Timestamp(10), &accounts).unwrap();
    let hold = |id: u128, amount: u128, timeout| Transfer::new(id, 1, 2, amount, 1, 1).pending(timeout);
    engine::create_transfers(&mut state, Timestamp(101), &[hold(1, 50, 2), hold(2, 8, 4)]).unwrap();
    engine::expire(&mut state, Timestamp(3 * SECOND)).unwrap();
    engine::expire(&mut state, Timestamp(5 * SECOND)).unwrap();
    // Imported afterwards, from before and between the two expiries.
    let imported = [(3, SECOND), (4, 4 * SECOND)].map(|(id, time)| Transfer {
        timestamp: Timestamp(time),
        ..Transfer::new(id, 1, 2, 7, 1, 1).with_flags(TransferFlags::IMPORTED)
    });
    let results = engine::create_transfers(&mut state, Timestamp(9 * SECOND), &imported).unwrap();
    assert!(results.iter().all(|result| result.is_there()), "{results:?}");
    let commit = disk.commit(state.take_changes(), |_| Ok(Vec::new())).unwrap();
    state.handle_durable(commit.seq);
    for (second, pending, posted) in
        [(0, 0, 0), (1, 58, 7), (2, 58, 7), (3, 8, 7), (4, 8, 14), (5, 0, 14), (9, 0, 14)]
    {
        let at = Timestamp(second * SECOND);
        let [debit, credit] = [1, 2].map(|id| state.balances_at(AccountId(id), at).unwrap().unwrap());
        assert_eq!((debit.debits_pending.0, debit.debits_posted.0), (pending, posted), "second {second}");
        assert_eq!((credit.credits_pending.0, credit.credits_posted.0), (pending, posted), "second {second}");
    }
}

#[test]
fn a_commit_written_without_its_sync_is_not_the_last_one_until_it_is_synced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    let (mut state, mut disk) = sqlite::open(&path, Options::default()).unwrap();
    let reader = rusqlite::Connection::open(&path).unwrap();
    let commits =
        || -> i64 { reader.query_row("SELECT count(*) FROM commits", [], |row| row.get(0)).unwrap() };
    let synchronous = |disk: &mut Disk, state: &mut State| -> i64 {
        let ask = |tx: &mut sqlite::Tx<'_>| tx.sql().query_row("PRAGMA synchronous", [], |row| row.get(0));
        disk.transaction(state, &hundi_ledger::SystemClock, ask).unwrap().0
    };
    let before = disk.last_commit();
    disk.write(open_account(&mut state, 1), |_| Ok(Vec::new())).unwrap();
    assert_eq!(
        (disk.last_commit(), commits()),
        (before, 1),
        "who reads the file sees it, nobody may trust in it"
    );
    let first = disk.sync().unwrap();
    assert_eq!((first.seq.0, disk.last_commit()), (1, first));
    assert_eq!(disk.sync().unwrap(), first, "nothing is left to be synced");

    // Each of these syncs what was written before it, and then itself.
    disk.write(open_account(&mut state, 2), |_| Ok(Vec::new())).unwrap();
    disk.write(open_account(&mut state, 3), |_| Ok(Vec::new())).unwrap();
    assert_eq!(disk.last_commit().seq.0, 2);
    let fourth = disk.commit(open_account(&mut state, 4), |_| Ok(Vec::new())).unwrap();
    assert_eq!((fourth.seq.0, disk.last_commit()), (4, fourth));
    disk.write(open_account(&mut state, 5), |_| Ok(Vec::new())).unwrap();
    assert_eq!(synchronous(&mut disk, &mut state), 2, "SQLite syncs what nobody else will");
    assert_eq!(disk.last_commit().seq.0, 6);
    disk.write(open_account(&mut state, 7), |_| Ok(Vec::new())).unwrap();
    disk.checkpoint().unwrap();
    let last = disk.last_commit();
    assert_eq!(last.seq.0, 7);
    drop((state, disk, reader));
    sqlite::verify(&path).unwrap();
    assert_eq!(sqlite::open(&path, Options::default()).unwrap().1.last_commit(), last);
}

#[test]
fn a_log_that_was_written_and_synced_apart_is_due_to_be_copied_once() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { log_kib: 64, ..Options::default() };
    let (mut state, mut disk) = sqlite::open(directory.path().join("ledger.db"), options).unwrap();
    let mut due = 0;
    for id in 1..=40 {
        disk.write(open_account(&mut state, id), |_| Ok(Vec::new())).unwrap();
        disk.sync().unwrap();
        if disk.is_checkpoint_due() {
            due += 1;
            assert!(!disk.is_checkpoint_due(), "once");
            disk.checkpoint().unwrap();
        }
    }
    assert!((2..=20).contains(&due), "a commit takes some pages of the sixteen, not {due} logs");
}

#[test]
fn the_log_of_a_link_is_the_one_beside_the_real_file() {
    let directory = tempfile::tempdir().unwrap();
    let [real, link] = ["real", "link"].map(|name| directory.path().join(name));
    std::fs::create_dir(&real).unwrap();
    std::fs::create_dir(&link).unwrap();
    let path = link.join("ledger.db");
    drop(sqlite::open(real.join("ledger.db"), Options::default()).unwrap());
    std::os::unix::fs::symlink(real.join("ledger.db"), &path).unwrap();
    let (mut state, mut disk) = sqlite::open(&path, Options::default()).unwrap();
    disk.write(open_account(&mut state, 1), |_| Ok(Vec::new())).unwrap();
    let last = disk.sync().unwrap(); // There is no log beside the link that could be synced.
    assert_eq!(last.seq.0, 1);
    // What stands beside the link under the log's name is nobody's, and not touched.
    let stray = link.join("ledger.db-wal");
    std::fs::write(&stray, "stray").unwrap();
    drop((state, disk));
    assert_eq!(sqlite::open(&path, Options::default()).unwrap().1.last_commit(), last);
    assert_eq!(std::fs::read(&stray).unwrap(), b"stray");
}

fn open_account(state: &mut State, id: u128) -> sqlite::Changes {
    engine::create_accounts(state, Timestamp(id.try_into().unwrap()), &[Account::new(id, 1, 1)]).unwrap();
    state.take_changes()
}

#[test]
fn a_commit_whose_writer_panics_is_rolled_back_at_once_and_is_the_last() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    let (mut state, mut disk) = sqlite::open(&path, Options::default()).unwrap();
    let first = disk.commit(open_account(&mut state, 1), |_| Ok(Vec::new())).unwrap();
    let second = open_account(&mut state, 2);
    let panicked = catch_unwind(AssertUnwindSafe(|| disk.commit(second, |_| panic!("on purpose"))));
    assert!(panicked.is_err());
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; ROLLBACK").unwrap(); // Nothing holds the file's lock.
    let third = disk.commit(open_account(&mut state, 3), |_| Ok(Vec::new()));
    assert!(matches!(third, Err(CommitError::Poisoned)), "{third:?}");
    drop((state, disk, other));
    sqlite::verify(&path).unwrap();
    let (_, disk) = sqlite::open(&path, Options::default()).unwrap();
    assert_eq!(disk.last_commit(), first);
}
