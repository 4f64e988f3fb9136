//! Transactions in which the application does what it should not, and handles used where they should not be: the file
//! stays whole, nobody waits for ever, and everybody is told.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod executor;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use executor::block_on;
use hundi_ledger::sqlite::{self, Options, StepError, Tx};
use hundi_ledger::{
    Account, AccountFilter, Clock, CreateTransferStatus, Ledger, LedgerError, QueryFilter, Reads,
    SystemClock, Timestamp, TransactionError, Transfer, rusqlite,
};

/// Any error of a closure.
#[derive(Debug)]
enum AppError {
    Step,
    Sql(String),
    No,
}

impl From<StepError> for AppError {
    fn from(_: StepError) -> Self {
        Self::Step
    }
}

impl From<rusqlite::Error> for AppError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error.to_string())
    }
}

type Answer<R> = Result<R, TransactionError<AppError>>;

struct Fixture {
    ledger: Ledger,
    _directory: tempfile::TempDir,
    path: PathBuf,
}

fn fixture() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    let ledger = Ledger::open(&path).unwrap();
    let done: Answer<()> = ledger.transaction(|tx| {
        tx.sql().execute_batch("CREATE TABLE notes(id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT")?;
        tx.create_accounts(&[1, 2, 3].map(|id| Account::new(id, 1, 1)))?;
        tx.create_transfers(&[pay(1), Transfer::new(2, 1, 2, 1, 1, 1).pending(0)])?;
        Ok(())
    });
    done.unwrap();
    Fixture { ledger, _directory: directory, path }
}

fn pay(id: u128) -> Transfer {
    Transfer::new(id, 1, 2, 1, 1, 1)
}

fn credits(ledger: &Ledger) -> u128 {
    ledger.lookup_account(2).unwrap().unwrap().credits_posted.0
}

fn notes(path: &Path) -> i64 {
    let reader = rusqlite::Connection::open(path).unwrap();
    reader.query_row("SELECT count(*) FROM notes", [], |row| row.get(0)).unwrap()
}

#[test]
fn an_application_cannot_end_the_transaction_or_write_the_ledgers_tables() {
    let Fixture { ledger, path, _directory } = fixture();
    for (next, sql) in [
        "COMMIT",
        "END",
        "ROLLBACK",
        "BEGIN",
        "BEGIN IMMEDIATE",
        "SAVEPOINT mine",
        "RELEASE hundi_part",
        "ATTACH ':memory:' AS other",
        "DETACH main",
        "PRAGMA user_version = 7",
        "PRAGMA main.user_version = 7",
        "PRAGMA application_id = 7",
        "PRAGMA writable_schema = ON",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA synchronous = OFF",
        "PRAGMA wal_checkpoint",
        "UPDATE events SET amount = 7",
        "DELETE FROM main.commits",
        "INSERT INTO Burnt(id) VALUES (x'00000000000000000000000000000009')",
        "REPLACE INTO meta VALUES ('format', 7)",
        "UPDATE accounts SET code = 7",
        "DELETE FROM balances",
        "DROP TABLE late_events",
        "DROP TABLE account_names",
        "DROP VIEW v_accounts",
        "DROP INDEX pendings_expiring",
        "ALTER TABLE events RENAME TO elsewhere",
        "ALTER TABLE account_names ADD COLUMN more TEXT",
        "CREATE TRIGGER tidy AFTER INSERT ON notes BEGIN DELETE FROM pendings; END;
         INSERT INTO notes VALUES (99, 'fires')",
    ]
    .iter()
    .enumerate()
    {
        let id = 100 + next as u128;
        let refused: Answer<()> = ledger.transaction(|tx| {
            tx.create_transfers(&[pay(id)])?;
            tx.sql().execute("INSERT INTO notes VALUES (?, 'x')", [id.to_string()])?;
            Ok(tx.sql().execute_batch(sql)?)
        });
        let Err(TransactionError::App(AppError::Sql(why))) = refused else { panic!("{sql}: {refused:?}") };
        assert!(why.contains("not authorized") || why.contains("prohibited"), "{sql}: {why}");
        assert!(ledger.lookup_transfer(id).unwrap().is_none(), "{sql}: rolled back");
    }
    assert_eq!((credits(&ledger), notes(&path)), (1, 0));
    ledger.create_transfer(pay(9)).unwrap();
    drop(ledger);
    sqlite::verify(&path).unwrap();
    assert_eq!(credits(&Ledger::open(&path).unwrap()), 2);
}

#[test]
fn an_application_does_not_find_the_statements_that_the_ledger_has_ready() {
    let Fixture { ledger, path: _, _directory } = fixture();
    ledger.create_transfer(pay(8)).unwrap(); // The ledger has begun and committed on this connection.
    for sql in ["BEGIN IMMEDIATE", "COMMIT"] {
        let refused: Answer<()> = ledger.transaction(|tx| {
            tx.sql().prepare_cached(sql)?;
            Ok(())
        });
        let Err(TransactionError::App(AppError::Sql(why))) = refused else { panic!("{sql}: {refused:?}") };
        assert!(why.contains("not authorized"), "{sql}: {why}");
    }
}

#[test]
fn an_application_may_do_the_rest() {
    let Fixture { ledger, path, _directory } = fixture();
    let done: Answer<(i64, String)> = ledger.transaction(|tx| {
        tx.sql().execute_batch(
            "CREATE TABLE more(id INTEGER PRIMARY KEY) STRICT;
             CREATE INDEX notes_text ON notes(text);
             CREATE INDEX events_code ON events(code);
             CREATE VIEW all_notes AS SELECT * FROM notes;
             CREATE TEMP TABLE events(x);
             INSERT INTO temp.events VALUES (1);
             DROP TABLE temp.events;
             DROP TABLE more;
             INSERT INTO notes VALUES (1, 'tea');
             PRAGMA table_info(notes);
             PRAGMA foreign_key_check(notes);",
        )?;
        tx.create_transfers(&[pay(3)])?;
        let count = tx.sql().query_row("SELECT count(*) FROM events", [], |row| row.get(0))?;
        Ok((count, tx.sql().query_row("SELECT text FROM all_notes", [], |row| row.get(0))?))
    });
    assert_eq!(done.unwrap(), (3, "tea".into()));
    drop(ledger);
    sqlite::verify(&path).unwrap();
}

/// Rolls everything back behind the closure's back.
fn conflict(tx: &mut Tx<'_>) -> Result<(), AppError> {
    tx.create_transfers(&[pay(50)])?;
    tx.sql().execute("INSERT INTO notes VALUES (1, 'x')", [])?;
    let refused = tx.sql().execute("INSERT OR ROLLBACK INTO notes VALUES (1, 'y')", []);
    assert!(refused.is_err());
    Ok(())
}

#[test]
fn what_a_conflict_rolled_back_is_not_half_done() {
    let Fixture { ledger, path, _directory } = fixture();
    let ignored: Answer<()> = ledger.transaction(conflict);
    assert!(matches!(ignored, Err(TransactionError::Ledger(LedgerError::RolledBack))), "{ignored:?}");
    let told: Answer<()> = ledger.transaction(|tx| {
        conflict(tx)?;
        Err(AppError::No)
    });
    assert!(matches!(told, Err(TransactionError::App(AppError::No))), "{told:?}");
    let went_on: Answer<()> = ledger.transaction(|tx| {
        conflict(tx)?;
        assert!(tx.create_transfers(&[pay(51)]).is_err(), "there is no transaction any more");
        let alone = tx.sql().execute("INSERT INTO notes VALUES (2, 'alone')", []);
        assert!(alone.is_err(), "a statement cannot commit by itself: {alone:?}");
        Ok(())
    });
    assert!(matches!(went_on, Err(TransactionError::Ledger(LedgerError::RolledBack))), "{went_on:?}");
    let inside: Answer<()> = ledger.transaction(|tx| tx.savepoint(conflict));
    assert!(inside.is_err());
    assert_eq!((credits(&ledger), notes(&path)), (1, 0));
    // Harmless: the ledger goes on, with the ids that were rolled back.
    for id in [50, 51] {
        assert_eq!(ledger.create_transfer(pay(id)).unwrap().status, CreateTransferStatus::Created);
    }
    drop(ledger);
    sqlite::verify(&path).unwrap();
}

#[test]
fn a_handle_inside_its_own_transaction_is_refused_and_not_stuck() {
    let Fixture { ledger, _directory, .. } = fixture();
    let other = fixture();
    let done: Answer<()> = ledger.transaction(|tx| {
        let refused = |error: LedgerError| assert!(matches!(error, LedgerError::InTransaction), "{error}");
        refused(ledger.create_transfer(pay(9)).unwrap_err());
        refused(ledger.create_accounts(vec![]).unwrap_err());
        refused(ledger.lookup_account(1).unwrap_err());
        refused(ledger.query_transfers(&QueryFilter::all(1)).unwrap_err());
        refused(ledger.get_account_transfers(&AccountFilter::of(1, 1)).unwrap_err());
        refused(ledger.last_commit().unwrap_err());
        let nested: Answer<()> = ledger.transaction(|_| Ok(()));
        assert!(matches!(nested, Err(TransactionError::Ledger(LedgerError::InTransaction))));
        other.ledger.create_transfer(pay(9)).unwrap(); // Another ledger is another matter.
        let nested: Answer<()> = other.ledger.transaction(|_| Ok(()));
        nested.unwrap();
        refused(ledger.lookup_account(1).unwrap_err());
        tx.create_transfers(&[pay(9)])?;
        Ok(())
    });
    done.unwrap();
    assert_eq!(credits(&ledger), 2);
}

#[test]
fn a_transaction_can_be_awaited_or_forgotten() {
    let Fixture { ledger, path, _directory } = fixture();
    let buy = |id: u32| {
        ledger.transaction_async(move |tx| -> Result<u32, AppError> {
            tx.create_transfers(&[pay(id.into())])?;
            tx.sql().execute("INSERT INTO notes VALUES (?, 'x')", [id])?;
            if id == 12 { Err(AppError::No) } else { Ok(id) }
        })
    };
    assert_eq!(block_on(buy(11)).unwrap(), 11);
    assert!(matches!(block_on(buy(12)), Err(TransactionError::App(AppError::No))));
    drop(buy(13)); // Nobody waits: it takes place all the same.
    drop(ledger.create_transfer_async(pay(14)));
    let panics = ledger.transaction_async(|_| -> Result<(), AppError> { panic!("on purpose") });
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| block_on(panics))).is_err());
    let begun = std::time::Instant::now();
    while credits(&ledger) < 4 {
        assert!(begun.elapsed().as_secs() < 60, "what was begun ends");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(notes(&path), 2);
}

#[test]
fn what_waits_when_the_handle_is_dropped_is_done_and_answered() {
    let Fixture { ledger, path, _directory } = fixture();
    let replies: Vec<_> = (100..5_100).map(|id| ledger.create_transfer_async(pay(id))).collect();
    let sale = ledger.transaction_async(|tx| -> Result<(), AppError> {
        tx.sql().execute("INSERT INTO notes VALUES (1, 'x')", [])?;
        Ok(())
    });
    drop(ledger);
    for reply in replies {
        assert_eq!(reply.wait().unwrap().status, CreateTransferStatus::Created);
    }
    block_on(sale).unwrap();
    assert_eq!(sqlite::verify(&path).unwrap().transfers, 5_002);
    assert_eq!(notes(&path), 1);
}

#[test]
fn an_answer_leaves_nothing_open() {
    let Fixture { mut ledger, path, _directory } = fixture();
    for round in 0..50 {
        let read = ledger.query_transfers_async(QueryFilter::all(9));
        assert_eq!(read.wait().unwrap().len(), 2, "round {round}");
        drop(ledger);
        ledger = Ledger::open(&path).expect("nobody else has it open");
    }
}

/// A clock that works until it is told not to.
struct Fuse(Arc<AtomicBool>);

impl Clock for Fuse {
    fn now(&self) -> Timestamp {
        assert!(!self.0.load(Ordering::SeqCst), "on purpose");
        SystemClock.now()
    }
}

#[test]
fn nobody_waits_for_a_ledger_that_broke() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    let blown = Arc::new(AtomicBool::new(false));
    let ledger = Ledger::open_with(&path, Options::default(), Fuse(Arc::clone(&blown))).unwrap();
    ledger.create_accounts([1, 2, 3].map(|id| Account::new(id, 1, 1)).to_vec()).unwrap();
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..8)
            .map(|caller: u128| {
                let ledger = ledger.clone();
                scope.spawn(move || {
                    let mut sent = 0;
                    loop {
                        // Several at once, so that some still wait in the queue when it breaks.
                        let replies: Vec<_> = (0..50)
                            .map(|next| {
                                ledger.create_transfer_async(pay(1 + caller * 1_000_000 + sent + next))
                            })
                            .collect();
                        sent += 50;
                        let answers: Vec<_> = replies.into_iter().map(|reply| reply.wait()).collect();
                        if let Some(Err(error)) = answers.into_iter().find(Result::is_err) {
                            return error;
                        }
                    }
                })
            })
            .collect();
        while credits(&ledger) < 100 {
            std::thread::yield_now();
        }
        blown.store(true, Ordering::SeqCst);
        for caller in callers {
            let error = caller.join().unwrap();
            assert!(matches!(error, LedgerError::Unknown(_) | LedgerError::Closed), "{error}");
        }
    });
    let late = ledger.lookup_account(1).unwrap_err();
    assert!(matches!(late, LedgerError::Closed), "{late}");
    drop(ledger);
    sqlite::verify(&path).unwrap();
    assert!(credits(&Ledger::open(&path).unwrap()) >= 100, "what was answered is there");
}

#[test]
fn a_file_that_was_changed_under_the_ledger_ends_in_an_answer() {
    let Fixture { ledger, path, _directory } = fixture();
    let other = rusqlite::Connection::open(&path).unwrap();
    assert_eq!(other.execute("DELETE FROM pendings", []).unwrap(), 1);
    let post = ledger.create_transfer(Transfer::post(9, 2)).unwrap_err();
    assert!(matches!(post, LedgerError::Unknown(_)), "{post}");
    let late = ledger.create_transfer(pay(10)).unwrap_err();
    assert!(matches!(late, LedgerError::Closed), "{late}");
    drop(ledger);
    assert!(sqlite::verify(&path).is_err());
}

#[test]
fn at_the_end_of_time_there_is_an_answer() {
    let directory = tempfile::tempdir().unwrap();
    for now in [0, i64::MAX as u64, u64::MAX] {
        let path = directory.path().join(format!("{now}.db"));
        let ledger = Ledger::open_with(&path, Options::default(), move || Timestamp(now)).unwrap();
        assert_eq!(ledger.create_accounts(vec![]).unwrap(), []);
        let accounts = vec![Account::new(1, 1, 1), Account::new(2, 1, 1)];
        ledger.create_accounts(accounts).unwrap();
        let paid = ledger.create_transfer(pay(1).pending(1));
        let in_tx: Answer<()> = ledger.transaction(|tx| {
            tx.create_transfers(&[pay(2)]).map(|_| ()).map_err(|error| {
                assert!(matches!(error, StepError::Time(_)), "{error}");
                AppError::Step
            })
        });
        if now == 0 {
            assert_eq!(paid.unwrap().timestamp, Timestamp(3));
            in_tx.unwrap();
        } else {
            assert!(matches!(paid, Err(LedgerError::Time(_))), "{paid:?}");
            assert!(matches!(in_tx, Err(TransactionError::App(AppError::Step))), "{in_tx:?}");
        }
        assert_eq!(ledger.query_accounts(&QueryFilter::all(9)).unwrap().len(), 2, "it goes on answering");
    }
}
