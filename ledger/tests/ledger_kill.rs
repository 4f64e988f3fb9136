//! A process that writes is killed at any moment, many times over: what it said is there, once, and the books balance.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hundi_ledger::{Account, CreateTransferStatus, Ledger, Reads, Transfer, TransferId, sqlite};

const WRITERS: u128 = 4;

/// What the child runs: threads that make transfers and say each id after the ledger answered.
fn write_until_killed(path: &Path) {
    let ledger = Ledger::open(path).unwrap();
    ledger.create_accounts((1..=20).map(|id| Account::new(id, 1, 1)).collect()).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let ledger = &ledger;
            scope.spawn(move || {
                // Ids that rise but not evenly, and go on where the last process was killed.
                for round in 0_u128.. {
                    let id = round * WRITERS + (writer + round) % WRITERS + 1;
                    let result =
                        ledger.create_transfer(Transfer::new(id, id % 20 + 1, (id + 7) % 20 + 1, 1, 1, 1));
                    let status = result.unwrap().status;
                    assert!(matches!(status, CreateTransferStatus::Created | CreateTransferStatus::Exists));
                    println!("said {id}");
                }
            });
        }
    });
}

fn start(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed_at_any_moment", "--nocapture"])
        .env("HUNDI_KILLED_LEDGER", path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn killed_at_any_moment() {
    if let Some(path) = std::env::var_os("HUNDI_KILLED_LEDGER") {
        return write_until_killed(Path::new(&path));
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    let mut said: Vec<u128> = Vec::new();
    let mut lives = 0;
    for life in 0..12_u64 {
        let mut child = start(&path);
        let lines = BufReader::new(child.stdout.take().unwrap());
        let reader = std::thread::spawn(move || {
            let lines = lines.lines().map_while(Result::ok);
            lines.filter_map(|line| line.strip_prefix("said ")?.parse().ok()).collect::<Vec<u128>>()
        });
        std::thread::sleep(Duration::from_millis(60 + life * 37 % 200));
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        let heard = reader.join().unwrap();
        lives += u64::from(!heard.is_empty());
        said.extend(heard);
        check(&path, &said);
    }
    assert!(lives > 3, "the process got to work before it was killed");
}

fn check(path: &Path, said: &[u128]) {
    if !path.exists() {
        return assert!(said.is_empty());
    }
    let begun = Instant::now();
    let ledger = Ledger::open(path).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
    let ids: Vec<TransferId> = said.iter().copied().map(TransferId).collect();
    let found = ledger.lookup_transfers(&ids).unwrap();
    assert_eq!(found.len(), ids.len(), "all that was said is there");
    let accounts = ledger.query_accounts(&hundi_ledger::QueryFilter::all(100)).unwrap();
    let debits: u128 = accounts.iter().map(|account| account.debits_posted.0).sum();
    let credits: u128 = accounts.iter().map(|account| account.credits_posted.0).sum();
    drop(ledger);
    let verified = sqlite::verify(path).unwrap();
    assert_eq!((debits, credits), (u128::from(verified.transfers), u128::from(verified.transfers)), "once");
}
