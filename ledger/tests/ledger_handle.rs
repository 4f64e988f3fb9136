//! The handle: many callers, one file; transactions with the application's own rows; what is seen is durable.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod executor;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use executor::block_on;
use hundi_ledger::sqlite::{AppSchema, Options};
use hundi_ledger::{
    Account, AccountFilter, AccountFlags, AccountId, Amount, ChangeEventsFilter, CreateAccountStatus,
    CreateTransferStatus, EventKind, Ledger, LedgerError, QueryFilter, Reads, SystemClock, Timestamp,
    TransactionError, Transfer, TransferId,
};

const SHOP: AppSchema = AppSchema {
    name: "shop",
    version: 1,
    create: "CREATE TABLE shop_orders(id INTEGER PRIMARY KEY, transfer BLOB NOT NULL) STRICT;",
    migrations: &[],
    payment: "",
};

struct Fixture {
    ledger: Option<Ledger>,
    directory: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut fixture = Self { ledger: None, directory };
        fixture.reopen();
        let accounts = (1..=64).map(|id| Account::new(id, 1, 1).with_flags(AccountFlags::HISTORY)).collect();
        let results = fixture.ledger().create_accounts(accounts).unwrap();
        assert!(results.iter().all(|result| result.status == CreateAccountStatus::Created));
        fixture
    }

    fn reopen(&mut self) {
        self.ledger = None;
        let options = Options { app: Some(SHOP), ..Options::default() };
        self.ledger = Some(Ledger::open_with(self.path(), options, SystemClock).unwrap());
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("ledger.db")
    }

    fn ledger(&self) -> &Ledger {
        self.ledger.as_ref().unwrap()
    }

    fn credits(&self, id: u128) -> u128 {
        self.ledger().lookup_account(id).unwrap().unwrap().credits_posted.0
    }

    fn orders(&self) -> i64 {
        let reader = rusqlite::Connection::open(self.path()).unwrap();
        reader.query_row("SELECT count(*) FROM shop_orders", [], |row| row.get(0)).unwrap()
    }
}

#[test]
fn many_threads_share_one_ledger() {
    let mut fixture = Fixture::new();
    std::thread::scope(|scope| {
        for caller in 0..16 {
            let ledger = fixture.ledger().clone();
            scope.spawn(move || {
                for round in 0..50 {
                    let id = TransferId(1 + caller + round * 16);
                    let result = ledger.create_transfer(Transfer::new(id, caller + 1, 60, 1, 1, 1)).unwrap();
                    assert_eq!(result.status, CreateTransferStatus::Created);
                    let seen = ledger.lookup_transfer(id).unwrap().unwrap();
                    assert_eq!(seen.timestamp, result.timestamp);
                }
            });
        }
    });
    assert_eq!(fixture.credits(60), 16 * 50);
    fixture.reopen();
    assert_eq!(fixture.credits(60), 16 * 50);
    let filter = AccountFilter::of(60, 8_000);
    assert_eq!(fixture.ledger().get_account_transfers(&filter).unwrap().len(), 16 * 50);
    let balances = fixture.ledger().get_account_balances(&filter).unwrap();
    assert!(balances.iter().map(|balance| balance.credits_posted.0).eq(1..=800));
    assert_eq!(fixture.ledger().query_transfers(&QueryFilter::all(10)).unwrap().len(), 10);
    let third = fixture.ledger().balances_at(60, balances[2].timestamp).unwrap().unwrap();
    assert_eq!(third.credits_posted, Amount(3));
}

#[test]
fn rows_and_transfers_are_committed_together_and_rolled_back_together() {
    let mut fixture = Fixture::new();
    let buy = |fixture: &Fixture, order: i64, fail: bool| {
        fixture.ledger().transaction(|tx| {
            let id = TransferId(order as u128 * 10);
            let results = tx.create_transfers(&[Transfer::new(id, 1, 2, 5, 1, 1)])?;
            assert_eq!(results[0].status, CreateTransferStatus::Created);
            tx.sql().execute("INSERT INTO shop_orders VALUES (?, ?)", (order, id)).unwrap();
            let seen: i64 =
                tx.sql().query_row("SELECT count(*) FROM v_transfers", [], |row| row.get(0)).unwrap();
            assert!(seen > 0, "SQL in the transaction sees its transfers");
            if fail { Err(LedgerError::Busy) } else { Ok(()) }
        })
    };
    buy(&fixture, 1, false).unwrap();
    assert!(matches!(buy(&fixture, 2, true), Err(TransactionError::App(LedgerError::Busy))));
    buy(&fixture, 3, false).unwrap();
    for _ in 0..2 {
        assert_eq!((fixture.credits(2), fixture.orders()), (10, 2));
        assert!(fixture.ledger().lookup_transfer(20).unwrap().is_none());
        assert_eq!(fixture.ledger().get_change_events(&ChangeEventsFilter::all(99)).unwrap().len(), 2);
        fixture.reopen();
    }
}

#[test]
fn a_part_of_a_transaction_can_be_undone_alone() {
    let fixture = Fixture::new();
    let transfer = |id: u128| [Transfer::new(id, 1, 2, 1, 1, 1)];
    let done: Result<(), TransactionError<LedgerError>> = fixture.ledger().transaction(|tx| {
        tx.create_transfers(&transfer(1))?;
        let part: Result<(), LedgerError> = tx.savepoint(|tx| {
            tx.create_transfers(&transfer(2))?;
            tx.create_accounts(&[Account::new(100, 1, 1)])?;
            tx.sql().execute("INSERT INTO shop_orders VALUES (1, x'00')", []).unwrap();
            Err(LedgerError::Busy)
        });
        assert!(part.is_err());
        tx.savepoint(|tx| tx.create_transfers(&transfer(3)).map_err(LedgerError::from))?;
        tx.create_transfers(&transfer(2))?;
        Ok(())
    });
    done.unwrap();
    assert_eq!((fixture.credits(2), fixture.orders()), (3, 0));
    assert!(fixture.ledger().lookup_account(100).unwrap().is_none());
}

#[test]
fn a_panic_in_a_transaction_harms_nobody_else() {
    let fixture = Fixture::new();
    let ledger = fixture.ledger().clone();
    let panicked = std::thread::spawn(move || {
        let _: Result<(), TransactionError<LedgerError>> = ledger.transaction(|tx| {
            tx.create_transfers(&[Transfer::new(1, 1, 2, 1, 1, 1)])?;
            panic!("on purpose")
        });
    });
    assert!(panicked.join().is_err());
    assert_eq!(fixture.credits(2), 0);
    let result = fixture.ledger().create_transfer(Transfer::new(1, 1, 2, 1, 1, 1)).unwrap();
    assert_eq!(result.status, CreateTransferStatus::Created);
}

#[test]
fn names_are_in_the_views() {
    let fixture = Fixture::new();
    let done: Result<(), TransactionError<rusqlite::Error>> = fixture.ledger().transaction(|tx| {
        tx.name_account(AccountId(1), "asha", Some("INR"))?;
        tx.create_transfers(&[Transfer::new(9, 1, 2, 7, 1, 1)]).unwrap();
        Ok(())
    });
    done.unwrap();
    let reader = rusqlite::Connection::open(fixture.path()).unwrap();
    let row: (String, String, i64) = reader
        .query_row("SELECT id, currency, debits_posted FROM v_accounts WHERE name = 'asha'", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert_eq!(row, ("00000000000000000000000000000001".into(), "INR".into(), 7));
}

#[test]
fn holds_expire_by_the_given_clock() {
    let directory = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicU64::new(1_000_000_000));
    let clock = {
        let now = Arc::clone(&now);
        move || Timestamp(now.load(Ordering::SeqCst))
    };
    let ledger = Ledger::open_with(directory.path().join("ledger.db"), Options::default(), clock).unwrap();
    ledger.create_accounts(vec![Account::new(1, 1, 1), Account::new(2, 1, 1)]).unwrap();
    let hold = Transfer::new(1, 1, 2, 50, 1, 1).pending(5);
    assert_eq!(ledger.create_transfer(hold).unwrap().status, CreateTransferStatus::Created);
    assert_eq!(ledger.lookup_account(1).unwrap().unwrap().debits_pending, Amount(50));
    now.store(7_000_000_000, Ordering::SeqCst);
    let begun = Instant::now();
    while ledger.lookup_account(1).unwrap().unwrap().debits_pending != Amount(0) {
        assert!(begun.elapsed() < Duration::from_secs(5), "the hold expires without a call");
        std::thread::sleep(Duration::from_millis(5));
    }
    let events = ledger.statement(&AccountFilter::of(1, 10)).unwrap();
    assert_eq!(
        events.iter().map(|event| event.kind).collect::<Vec<_>>(),
        [EventKind::Pending, EventKind::Expired]
    );
}

#[test]
fn replies_can_be_awaited() {
    let fixture = Fixture::new();
    let ledger = fixture.ledger().clone();
    let results = block_on(async move {
        let first = ledger.create_transfers_async(vec![Transfer::new(1, 1, 2, 1, 1, 1)]);
        let second = ledger.create_transfer_async(Transfer::new(2, 1, 2, 1, 1, 1));
        let found = ledger.lookup_transfers_async(vec![TransferId(1), TransferId(2)]);
        let events = ledger.get_change_events_async(ChangeEventsFilter::all(9));
        (first.await.unwrap(), second.await.unwrap(), found.await.unwrap().len(), events.await.unwrap().len())
    });
    assert_eq!(results.0[0].status, CreateTransferStatus::Created);
    assert_eq!((results.2, results.3), (2, 2));
}

#[test]
fn a_closed_ledger_answers_so() {
    let mut fixture = Fixture::new();
    let reply = fixture.ledger().create_transfer_async(Transfer::new(1, 1, 2, 1, 1, 1));
    fixture.ledger = None; // What was begun is finished.
    assert_eq!(reply.wait().unwrap().status, CreateTransferStatus::Created);
}
