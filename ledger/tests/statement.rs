//! Statements as banks print them: replayed as transfers, the printed balance comes out after every line.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use hundi_ledger::export::{DateTime, Net};
use hundi_ledger::sqlite::Snapshot;
use hundi_ledger::{
    Account, AccountFlags, AccountId, Amount, Currency, Ledger, MemoryStore, Reads, Statement, Timestamp,
    Transfer, TransferFlags, engine,
};

/// A current account in October: every line that changes the balance with the balance that the bank printed. A card
/// payment is held on one day (`hold`) and taken on another (`take`), for less; one is given back (`free`).
const PRINTED: &str = "
    2026-09-30  carried over                       4,210.15 Cr
    2026-10-01  in    62,000.00  salary           66,210.15 Cr
    2026-10-01  out   21,500.00  rent             44,710.15 Cr
    2026-10-02  hold   3,000.00  hotel
    2026-10-03  out      849.50  electricity      43,860.65 Cr
    2026-10-03  out        0.05  interest         43,860.60 Cr
    2026-10-05  hold     500.00  fuel
    2026-10-06  take   2,750.40  hotel            41,110.20 Cr
    2026-10-06  free     500.00  fuel
    2026-10-09  in       120.00  refund           41,230.20 Cr
    2026-10-12  out   45,000.00  tuition           3,769.80 Dr
    2026-10-12  out      250.00  overdraft fee     4,019.80 Dr
    2026-10-20  in     4,019.80  transfer              0.00
    2026-10-28  in     1,000.01  dividend          1,000.01 Cr
    2026-10-31  out        0.01  rounding          1,000.00 Cr
";

const CUSTOMER: AccountId = AccountId(2);
const WORLD: AccountId = AccountId(1);

/// A line as printed: when, and the balance after it with its side.
type PrintedLine = (Timestamp, Net);

/// The lines as imported transfers, each a nanosecond after the last one of its day, and what was printed.
fn replay() -> (Vec<Transfer>, PrintedLine, Vec<PrintedLine>) {
    let rupee = Currency::iso("INR").unwrap();
    let (mut transfers, mut printed, mut holds) = (Vec::new(), Vec::new(), BTreeMap::new());
    let mut carried = None;
    for (line, text) in (1_u128..).zip(PRINTED.lines().filter(|line| !line.trim().is_empty())) {
        let words: Vec<&str> = text.split_whitespace().collect();
        let time = Timestamp(DateTime::parse(words[0]).unwrap().0 + u64::try_from(line).unwrap());
        let net = |number: &str, side: &str| match (rupee.parse(number).unwrap(), side) {
            (Amount::ZERO, _) => Net::default(),
            (amount, "Cr") => Net::credit(amount),
            (amount, _) => Net::debit(amount),
        };
        if words[1] == "carried" {
            carried = Some((time, net(words[3], words[4])));
            transfers.push(Transfer::new(
                line,
                WORLD,
                CUSTOMER,
                rupee.parse(words[3]).unwrap(),
                rupee.ledger(),
                1,
            ));
        } else {
            let amount = rupee.parse(words[2]).unwrap();
            let out = |amount| Transfer::new(line, CUSTOMER, WORLD, amount, rupee.ledger(), 1);
            transfers.push(match words[1] {
                "in" => Transfer::new(line, WORLD, CUSTOMER, amount, rupee.ledger(), 1),
                "out" => out(amount),
                "hold" => {
                    holds.insert(words[3], line);
                    out(amount).pending(0)
                }
                "take" => Transfer::post(line, holds[words[3]]).with_amount(amount),
                "free" => Transfer::void(line, holds[words[3]]),
                other => panic!("{other}"),
            });
            // What is held or given back has no balance beside it: it is on no statement.
            if !["hold", "free"].contains(&words[1]) {
                let end = words.len();
                let with_side = ["Cr", "Dr"].contains(&words[end - 1]);
                let (number, side) =
                    if with_side { (words[end - 2], words[end - 1]) } else { (words[end - 1], "") };
                printed.push((time, net(number, side)));
            }
        }
        let last = transfers.last_mut().unwrap();
        last.timestamp = time;
        last.flags |= TransferFlags::IMPORTED;
    }
    (transfers, carried.unwrap(), printed)
}

fn accounts() -> [Account; 2] {
    let inr = Currency::iso("INR").unwrap().ledger();
    let opened = DateTime::parse("2026-01-01").unwrap();
    [(WORLD, 0), (CUSTOMER, 1)].map(|(id, after)| Account {
        timestamp: Timestamp(opened.0 + after),
        ..Account::new(id, inr, 1).with_flags(AccountFlags::IMPORTED | AccountFlags::HISTORY)
    })
}

fn check_october<R: Reads>(ledger: &R) {
    let (_, carried, printed) = replay();
    let day = |date: &str| DateTime::parse(date).unwrap();
    let read = |from, to| Statement::read(ledger, CUSTOMER, from, to).unwrap().unwrap();
    let statement = read(day("2026-10-01"), day("2026-11-01"));
    assert_eq!(Net::of(statement.opening.0, statement.opening.1), carried.1);
    let lines: Vec<PrintedLine> =
        statement.lines.iter().map(|line| (line.transfer.timestamp, line.balance())).collect();
    assert_eq!(lines, printed);
    assert_eq!(lines.len(), 11);

    // Cut in two at any line: what one statement closes with, the next one opens with.
    for (cut, _) in &printed {
        let (before, after) = (read(day("2026-10-01"), *cut), read(Timestamp(cut.0 + 1), day("2026-11-01")));
        assert_eq!(before.closing(), after.opening);
        assert_eq!([before.lines, after.lines].concat(), statement.lines);
    }

    // The other side of every line is the world's.
    let world = Statement::read(ledger, WORLD, day("2026-10-01"), day("2026-11-01")).unwrap().unwrap();
    let mirrored: Vec<PrintedLine> =
        world.lines.iter().map(|line| (line.transfer.timestamp, line.balance().reversed())).collect();
    assert_eq!(mirrored, printed);
    assert_eq!(Statement::read(ledger, 9.into(), day("2026-10-01"), day("2026-11-01")).unwrap(), None);
}

#[test]
fn the_balance_that_the_bank_printed_comes_out_line_by_line() {
    let (transfers, ..) = replay();
    let now = DateTime::parse("2026-11-02").unwrap();
    let mut memory = MemoryStore::new();
    let results = engine::create_accounts(&mut memory, now, &accounts()).unwrap();
    assert!(results.iter().all(|result| result.status.as_str() == "created"), "{results:?}");
    let results = engine::create_transfers(&mut memory, Timestamp(now.0 + 1), &transfers).unwrap();
    assert!(results.iter().all(|result| result.status.as_str() == "created"), "{results:?}");
    check_october(&memory);
}

#[test]
fn the_same_statement_comes_out_of_a_file_and_of_its_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bank.db");
    let ledger = Ledger::open(&path).unwrap();
    ledger.create_accounts(accounts().to_vec()).unwrap();
    let results = ledger.create_transfers(replay().0).unwrap();
    assert!(results.iter().all(|result| result.status.as_str() == "created"), "{results:?}");
    check_october(&ledger);
    check_october(&Snapshot::open(&path).unwrap());
}

/// One order of the file: payer and payee, and the amount in minor units as digits without the point.
fn read_orders(text: &str) -> Vec<(String, String, Amount)> {
    let koruna = Currency::iso("CZK").unwrap();
    let mut orders = Vec::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [_, payer_bank, payer, payee_bank, payee, amount, currency, _] = fields[..] else {
            panic!("{line}")
        };
        assert_eq!(currency, "CZK");
        let amount = koruna.parse(amount).unwrap();
        orders.push((format!("{payer_bank}/{payer}"), format!("{payee_bank}/{payee}"), amount));
    }
    orders
}

#[test]
fn thousands_of_real_orders_leave_every_account_with_its_sum() {
    let file =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/czech-1999-payment-orders.csv");
    let Ok(text) = std::fs::read_to_string(&file) else {
        println!("SKIPPED: {} is not there; the replay of real payment orders did not run", file.display());
        return;
    };
    let orders = read_orders(&text);
    assert!(orders.len() > 6_000);
    let koruna = Currency::iso("CZK").unwrap();
    let mut ids: BTreeMap<&str, AccountId> = BTreeMap::new();
    for name in orders.iter().flat_map(|(payer, payee, _)| [payer, payee]) {
        let next = AccountId(ids.len() as u128 + 1);
        ids.entry(name).or_insert(next);
    }

    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path().join("orders.db")).unwrap();
    let accounts: Vec<Account> = ids.values().map(|id| Account::new(*id, koruna.ledger(), 1)).collect();
    assert!(
        ledger.create_accounts(accounts).unwrap().iter().all(|result| result.status.as_str() == "created")
    );
    let transfers = (1_u128..).zip(&orders).map(|(id, (payer, payee, amount))| {
        Transfer::new(id, ids[payer.as_str()], ids[payee.as_str()], *amount, koruna.ledger(), 1)
    });
    let transfers: Vec<Transfer> = transfers.collect();
    for batch in transfers.chunks(1_000) {
        let results = ledger.create_transfers(batch.to_vec()).unwrap();
        assert!(results.iter().all(|result| result.status.as_str() == "created"));
    }

    // What each account gave and received, counted without the ledger.
    let mut running: BTreeMap<&str, Vec<Net>> = BTreeMap::new();
    for (payer, payee, amount) in &orders {
        for (name, net) in [(payer, Net::debit(*amount)), (payee, Net::credit(*amount))] {
            let lines = running.entry(name).or_default();
            let last = lines.last().copied().unwrap_or_default();
            lines.push(last.checked_add(net).unwrap());
        }
    }
    assert_eq!(running.len(), ids.len());
    for (name, expected) in &running {
        let statement =
            Statement::read(&ledger, ids[name], Timestamp::FIRST, Timestamp::LAST).unwrap().unwrap();
        let lines: Vec<Net> = statement.lines.iter().map(hundi_ledger::StatementLine::balance).collect();
        assert_eq!(&lines, expected, "{name}");
        assert_eq!(Net::posted(&statement.account), *expected.last().unwrap(), "{name}");
    }
}
