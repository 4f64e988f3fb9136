//! Exports, checked by the programs that they are for where those are installed, and by their own words everywhere.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use hundi_ledger::export::{self, DateTime, ExportError, Labels, Net};
use hundi_ledger::{
    Account, AccountFlags, Amount, CreateTransferStatus, Currency, MemoryStore, QueryFilter, Reads,
    Timestamp, Transfer, TransferFlags, engine,
};

const INR: u32 = 356;
const KWD: u32 = 414;
const JPY: u32 = 392;
const OTHER: u32 = 7;
const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_767_225_600 * SECOND; // 2026-01-01

/// Names that mean something else to one of the formats.
const NAMES: [&str; 34] = [
    "assets:cash",
    "#clearing-INR",
    "  spaced   name ",
    "semi;colon ; here",
    "(virtual)",
    "[balanced]",
    "* star",
    "! bang",
    "a::b",
    ":",
    "Assets:Bank",
    "Assets:Bank:Till",
    "Assets",
    "émile",
    "日本:円",
    "quote\"name\\",
    "tab\tname",
    "new\nline",
    "Name",
    "name",
    "NAME",
    "=1+1",
    "a,b",
    "<xml>&amp;",
    "{lot}",
    "~ monthly",
    "% remark",
    "@price",
    "2026-01-01 date",
    "\u{7}",
    "; remark",
    "| bar",
    "Expenses:Fees",
    "include x",
];

fn at(second: u64) -> Timestamp {
    Timestamp(START + second * SECOND)
}

/// A ledger with everything that an export can meet.
fn bazaar() -> (MemoryStore, Labels) {
    bazaar_up_to(u128::MAX)
}

/// The most that beancount counts with: 28 digits.
const BEANS_MAX: u128 = 10_u128.pow(28) - 1;

/// The same with another largest amount.
fn bazaar_up_to(largest: u128) -> (MemoryStore, Labels) {
    let mut ledger = MemoryStore::new();
    let mut labels = Labels::new();
    let mut accounts = Vec::new();
    for (index, name) in (1_u32..).zip(NAMES) {
        let flags = if index == 1 { AccountFlags::NONE } else { AccountFlags::HISTORY };
        accounts.push(Account::new(u128::from(index), INR, 10).with_flags(flags));
        labels.name_account(u128::from(index), name);
    }
    for (id, currency) in
        [(101, KWD), (102, KWD), (103, JPY), (104, JPY), (105, OTHER), (u128::MAX - 1, OTHER)]
    {
        accounts.push(Account::new(id, currency, 11));
    }
    accounts.push(Account::new(200, INR, 12).with_flags(AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS));
    accounts.push(Account::new(201, INR, 12).with_flags(AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS));
    create_accounts(&mut ledger, at(1), &accounts);
    for (index, account) in (2_u128..).zip(&NAMES[1..]) {
        let amount = 1_000 * index + account.len() as u128;
        create(&mut ledger, at(10 + index as u64), &[Transfer::new(index, index, 1, amount, INR, 1)]);
    }
    let hold = |id: u128, amount: u128, timeout| Transfer::new(id, 3, 4, amount, INR, 2).pending(timeout);
    create(
        &mut ledger,
        at(100),
        &[hold(1001, 500, 0), hold(1002, 600, 0), hold(1003, 700, 0), hold(1004, 800, 5)],
    );
    create(&mut ledger, at(101), &[Transfer::post(1011, 1001).with_amount(333), Transfer::void(1012, 1002)]);
    assert_eq!(engine::expire(&mut ledger, at(110)).unwrap(), [1004.into()]);
    let detailed =
        Transfer { user_data_128: u128::MAX, user_data_64: 5, user_data_32: 6, ..hold(1013, 7, 3600) };
    create(&mut ledger, at(111), &[detailed, Transfer::new(1014, 5, 6, 0, INR, 3)]);
    create(
        &mut ledger,
        at(120),
        &[
            Transfer::new(1021, 101, 102, 1_234_567, KWD, 4),
            Transfer::new(1022, 103, 104, 99, JPY, 4),
            Transfer::new(1023, 105, u128::MAX - 1, largest, OTHER, 4),
            Transfer::new(1024, 201, 200, 5_005, INR, 4),
        ],
    );
    (ledger, labels)
}

fn create_accounts(ledger: &mut MemoryStore, time: Timestamp, batch: &[Account]) {
    let results = engine::create_accounts(ledger, time, batch).unwrap();
    assert!(results.iter().all(|result| result.status.as_str() == "created"), "{results:?}");
}

fn create(ledger: &mut MemoryStore, time: Timestamp, batch: &[Transfer]) {
    let results = engine::create_transfers(ledger, time, batch).unwrap();
    assert!(results.iter().all(|result| result.status == CreateTransferStatus::Created), "{results:?}");
}

fn text(write: impl FnOnce(&mut Vec<u8>) -> Result<(), ExportError<std::convert::Infallible>>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Runs a program on a file with that content. `None`, and a line that says so, if it is not installed.
fn run(program: &str, arguments: &[&str], name: &str, content: &str) -> Option<(bool, String)> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    std::fs::write(&file, content).unwrap();
    let output = Command::new(program)
        .args(arguments)
        .arg(&file)
        .env("LANG", "C.UTF-8")
        .env("LC_ALL", "C.UTF-8")
        .env("PYTHONUTF8", "1")
        .output();
    match output {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("SKIPPED: {program} is not installed; its check of the export did not run");
            None
        }
        Err(error) => panic!("{program}: {error}"),
        Ok(output) => {
            let said =
                [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            Some((output.status.success(), said.concat()))
        }
    }
}

fn accounts(ledger: &MemoryStore) -> Vec<Account> {
    ledger.query_accounts(&QueryFilter::all(u32::MAX)).unwrap()
}

#[test]
fn hledger_accepts_the_journal_and_finds_the_same_balances() {
    let (ledger, labels) = bazaar();
    let journal = text(|out| export::hledger(&ledger, &labels, out));
    let Some((accepted, said)) = run("hledger", &["check", "--strict", "-f"], "books.journal", &journal)
    else {
        return;
    };
    assert!(accepted, "{said}\n{journal}");
    let arguments = ["balance", "--flat", "--empty", "--no-total", "-O", "csv", "-f"];
    let (_, found) = run("hledger", &arguments, "books.journal", &journal).unwrap();
    let found: Vec<(String, String)> =
        table(&found)[1..].iter().map(|row| (row[0].clone(), row[1].replace('"', ""))).collect();
    let mut wanted: BTreeMap<String, i32> = BTreeMap::new();
    for account in accounts(&ledger) {
        let amount = labels.net(account.ledger, Net::posted(&account));
        let amount = format!("{amount} {}", labels.currency(account.ledger));
        *wanted
            .entry(if Net::posted(&account) == Net::default() { "0".to_owned() } else { amount })
            .or_default() += 1;
    }
    assert_eq!(found.len(), accounts(&ledger).len(), "every account under a name of its own: {found:?}");
    let names: BTreeMap<&str, &str> =
        found.iter().map(|(name, amount)| (name.as_str(), amount.as_str())).collect();
    assert_eq!(names.len(), found.len());
    assert_eq!(names["assets:cash"], "-5942.66 INR");
    assert_eq!([names["#clearing-INR"], names["日本:円"]], ["20.13 INR", "150.10 INR"]);
    for (_, amount) in &found {
        *wanted.entry(amount.clone()).or_default() -= 1;
    }
    assert!(wanted.values().all(|count| *count == 0), "{wanted:?}");
}

#[test]
fn hledger_would_notice_a_wrong_amount() {
    let (ledger, labels) = bazaar();
    let journal = text(|out| export::hledger(&ledger, &labels, out));
    let wrong = journal.replacen("3.33 INR", "3.34 INR", 2); // Both sides of one transfer.
    assert_ne!(journal, wrong);
    if let Some((accepted, _)) = run("hledger", &["check", "--strict", "-f"], "books.journal", &wrong) {
        assert!(!accepted);
    }
}

#[test]
fn beancount_accepts_the_file() {
    let (ledger, labels) = bazaar_up_to(BEANS_MAX);
    let file = text(|out| export::beancount(&ledger, &labels, out));
    if let Some((accepted, said)) = run("bean-check", &[], "books.beancount", &file) {
        assert!(accepted, "{said}\n{file}");
    }
}

#[test]
fn beancount_would_notice_a_wrong_amount() {
    let (ledger, labels) = bazaar_up_to(BEANS_MAX);
    let file = text(|out| export::beancount(&ledger, &labels, out));
    let wrong = file.replacen("3.33 INR", "3.34 INR", 2);
    assert_ne!(file, wrong);
    if let Some((accepted, said)) = run("bean-check", &[], "books.beancount", &wrong) {
        assert!(!accepted && said.contains("Balance failed"), "{said}");
    }
}

#[test]
fn what_beancount_would_round_is_refused_before_it_is_written() {
    let refused = |transfers: &[Transfer]| {
        let mut ledger = MemoryStore::new();
        create_accounts(&mut ledger, at(1), &[1, 2, 3].map(|id| Account::new(id, OTHER, 1)));
        create(&mut ledger, at(9), transfers);
        let mut out = Vec::new();
        let refused = export::beancount(&ledger, &Labels::new(), &mut out).err();
        assert!(out.is_empty() || refused.is_none(), "nothing is written");
        refused.map(|error| error.to_string()).unwrap_or_default()
    };
    let pay =
        |id: u128, debit: u128, credit: u128, amount| Transfer::new(id, debit, credit, amount, OTHER, 1);
    assert_eq!(refused(&[pay(1, 1, 2, BEANS_MAX), pay(2, 2, 1, BEANS_MAX)]), "");
    assert!(refused(&[pay(1, 1, 2, BEANS_MAX + 1)]).contains("transfer 1 has more minor units"));
    assert!(refused(&[pay(1, 1, 2, u128::MAX).pending(0)]).contains("transfer 1 has more minor units"));
    // In the end nobody has that much, but on the way somebody had.
    let way = [pay(1, 1, 2, BEANS_MAX), pay(2, 1, 3, 1), pay(3, 2, 1, BEANS_MAX)];
    assert!(refused(&way).contains("the balance of account 1 has more minor units"));
}

#[test]
fn hledger_has_all_128_bits() {
    let (ledger, labels) = bazaar();
    assert!(text(|out| export::hledger(&ledger, &labels, out)).contains(&u128::MAX.to_string()));
}

#[test]
fn journals_post_what_was_posted_and_nothing_else() {
    let (ledger, labels) = bazaar_up_to(BEANS_MAX);
    for journal in [
        text(|out| export::hledger(&ledger, &labels, out)),
        text(|out| export::beancount(&ledger, &labels, out)),
    ] {
        assert!(
            journal.contains("3.33 INR") && journal.contains("1234.567 KWD") && journal.contains(" 99 JPY")
        );
        assert!(journal.contains(&BEANS_MAX.to_string()), "to the last digit");
        // Still waiting: 1003 and 1013. Not there: what was voided (1002) or expired (1004), and its void (1012).
        let has =
            |id: u32| journal.contains(&format!("({id})")) || journal.contains(&format!("  id: \"{id}\""));
        assert_eq!([1003, 1013, 1011].map(has), [true; 3]);
        assert_eq!([1001, 1002, 1004, 1012].map(has), [false; 4]);
        let reserved = ["7.00 INR", "0.07 INR"].map(|amount| journal.contains(&format!("reserved:{amount}")));
        let metadata =
            ["7.00 INR", "0.07 INR"].map(|amount| journal.contains(&format!("reserved: {amount}")));
        assert!(reserved == [true; 2] || metadata == [true; 2]);
        assert!(journal.contains("2026-01-01T01:01:50.999999999Z"), "when the hold expires");
    }
}

/// A table of comma-separated values, read by RFC 4180.
fn table(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field, mut inside) = (Vec::new(), Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if inside && letters.peek() == Some(&'"') => field.extend(letters.next()),
            '"' => inside = !inside,
            ',' if !inside => row.push(std::mem::take(&mut field)),
            '\n' if !inside => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            '\r' if !inside => {}
            letter => field.push(letter),
        }
    }
    assert!(!inside && field.is_empty() && row.is_empty(), "the last line ends");
    rows
}

fn minor(decimal: &str) -> i128 {
    decimal.replace('.', "").parse().unwrap()
}

#[test]
fn the_tables_of_events_and_accounts_agree() {
    let (mut ledger, labels) = bazaar();
    // Sums here are in 127 bits.
    let huge = Transfer::new(2000, u128::MAX - 1, 105, u128::MAX, OTHER, 4);
    create(&mut ledger, at(130), &[huge]);
    let events = table(&text(|out| export::csv_events(&ledger, &labels, out)));
    let column =
        |table: &[Vec<String>], name: &str| table[0].iter().position(|column| column == name).unwrap();
    let [debit, credit, posted, kind] =
        ["debit_account", "credit_account", "posted", "type"].map(|name| column(&events, name));
    let mut sums: BTreeMap<&str, i128> = BTreeMap::new();
    for event in events[1..].iter().filter(|event| event[posted].len() < 30) {
        assert_eq!(event.len(), events[0].len());
        *sums.entry(&event[debit]).or_default() += minor(&event[posted]);
        *sums.entry(&event[credit]).or_default() -= minor(&event[posted]);
    }
    let count = |wanted: &str| events.iter().filter(|event| event[kind] == wanted).count();
    assert_eq!(
        ["single_phase", "two_phase_pending", "two_phase_posted", "two_phase_voided", "two_phase_expired"]
            .map(count),
        [39, 5, 1, 1, 1]
    );
    let rows = table(&text(|out| export::csv_accounts(&ledger, &labels, out)));
    let [name, balance] = ["name", "balance"].map(|name| column(&rows, name));
    assert_eq!(rows.len(), accounts(&ledger).len() + 1);
    for row in &rows[1..] {
        assert_eq!(sums.get(row[name].as_str()).copied().unwrap_or(0), minor(&row[balance]), "{row:?}");
    }
    assert!(
        NAMES.iter().all(|known| rows.iter().any(|row| row[name] == *known)),
        "names come back as they were"
    );
}

#[test]
fn a_store_without_history_is_not_exported_wrongly() {
    let mut ledger = MemoryStore::compact();
    create_accounts(&mut ledger, at(1), &[1, 2].map(|id| Account::new(id, INR, 1)));
    create(&mut ledger, at(2), &[Transfer::new(1, 1, 2, 5, INR, 1)]);
    let refused = export::hledger(&ledger, &Labels::new(), &mut Vec::new()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "account 1: its transfers sum up to 0 debits and 0 credits, but it has 5 and 0"
    );
}

#[test]
fn an_empty_ledger_is_an_empty_journal() {
    let (ledger, labels) = (MemoryStore::new(), Labels::new());
    let journal = text(|out| export::hledger(&ledger, &labels, out));
    let file = text(|out| export::beancount(&ledger, &labels, out));
    for (program, arguments, content) in
        [("hledger", &["check", "--strict", "-f"][..], &journal), ("bean-check", &[], &file)]
    {
        assert!(run(program, arguments, "books", content).is_none_or(|(accepted, _)| accepted));
    }
    assert!(export::camt053(&ledger, &labels, (at(0), at(1)), at(2), &mut Vec::new()).is_err());
}

#[test]
fn more_than_one_page_of_events_is_exported_once_each() {
    let mut ledger = MemoryStore::new();
    create_accounts(&mut ledger, at(1), &[1, 2].map(|id| Account::new(id, INR, 1)));
    let count = 8_192 * 2; // Exactly two pages.
    let batch: Vec<Transfer> = (1..=count).map(|id| Transfer::new(id, 1, 2, id, INR, 1)).collect();
    create(&mut ledger, at(2), &batch);
    let events = table(&text(|out| export::csv_events(&ledger, &Labels::new(), out)));
    assert_eq!(events.len() as u128, count + 1);
}

#[test]
fn imported_transfers_behind_an_expiry_end_in_the_same_balances() {
    let mut ledger = MemoryStore::new();
    create_accounts(&mut ledger, at(1), &[1, 2].map(|id| Account::new(id, INR, 1)));
    create(&mut ledger, at(2), &[Transfer::new(1, 1, 2, 5, INR, 1).pending(1)]);
    engine::expire(&mut ledger, at(100)).unwrap();
    let imported = Transfer { timestamp: at(50), ..Transfer::new(2, 1, 2, 9, INR, 1) };
    create(&mut ledger, at(200), &[imported.with_flags(TransferFlags::IMPORTED)]);
    let journal = text(|out| export::hledger(&ledger, &Labels::new(), out));
    assert!(journal.contains("= 0.09 INR"), "{journal}");
    if let Some((accepted, said)) = run("hledger", &["check", "--strict", "-f"], "books.journal", &journal) {
        assert!(accepted, "{said}");
    }
}

#[test]
fn labels_fall_back_to_numbers() {
    let mut labels = Labels::new();
    assert_eq!(labels.name(9.into()), "9");
    assert_eq!(labels.currency(INR.into()).code(), "INR");
    assert_eq!(labels.currency(1.into()).code(), "L1");
    assert_eq!(labels.currency(u32::MAX.into()).to_string(), "L4294967295");
    assert!(labels.set_currency_code(1.into(), "KWD") && labels.set_currency_code(1.into(), "KWD"));
    assert!(!labels.set_currency_code(1.into(), "INR") && !labels.set_currency_code(2.into(), "no code"));
    assert_eq!(labels.decimal(1.into(), Amount(5)).to_string(), "0.005");
    labels.set_currency(Currency::new("GOLD", 2, 3).unwrap());
    assert_eq!(labels.net(2.into(), Net::credit(Amount(1_500))).to_string(), "-1.500");
    assert_eq!(DateTime::from(at(0)).date(), "2026-01-01");
}

#[test]
fn the_statement_message_has_the_elements_of_the_schema_in_their_order() {
    let (ledger, labels) = bazaar();
    // Amounts of more than 18 digits have no room in the message.
    let mut written = Vec::new();
    let all = export::camt053(&ledger, &labels, (at(0), at(1000)), at(2000), &mut written);
    assert!(all.unwrap_err().to_string().contains("more than 18 digits"));
    assert!(written.is_empty(), "what is refused is refused before the first byte");
    let id = |name: &str| labels.account(name).unwrap();
    for account in
        [id("  spaced   name "), id("<xml>&amp;"), id("\u{7}"), id("émile"), 102.into(), 104.into()]
    {
        let span = (at(20), at(105));
        let message = text(|out| export::camt053_of(&ledger, account, &labels, span, at(2000), out));
        camt::check(&message);
        match std::env::var("CAMT053_XSD") {
            Ok(schema) if Path::new(&schema).exists() => {
                let arguments = ["--noout", "--schema", &schema];
                if let Some((accepted, said)) = run("xmllint", &arguments, "statement.xml", &message) {
                    assert!(accepted, "{said}\n{message}");
                }
            }
            _ => {
                println!("SKIPPED: CAMT053_XSD does not name the schema camt.053.001.08.xsd of iso20022.org")
            }
        }
    }
}

#[test]
fn the_statement_message_says_opening_entries_and_closing() {
    let (ledger, labels) = bazaar();
    // Account 3: 3,016 debited at 13 s; of 500 held, 333 posted at 101 s.
    let span = (at(20), at(105));
    let message = text(|out| export::camt053_of(&ledger, 3.into(), &labels, span, at(2000), out));
    let document = camt::parse(&message);
    let texts = |path: &str| camt::texts(&document, path);
    assert_eq!(texts("BkToCstmrStmt/Stmt/Bal/Tp/CdOrPrtry/Cd"), ["OPBD", "CLBD"]);
    assert_eq!(texts("BkToCstmrStmt/Stmt/Bal/Amt"), ["30.16", "33.49"]);
    assert_eq!(texts("BkToCstmrStmt/Stmt/Bal/CdtDbtInd"), ["DBIT", "DBIT"]);
    assert_eq!(texts("BkToCstmrStmt/Stmt/Ntry/Amt"), ["3.33"]);
    assert_eq!(texts("BkToCstmrStmt/Stmt/Ntry/CdtDbtInd"), ["DBIT"]);
    assert_eq!(texts("BkToCstmrStmt/Stmt/Acct/Nm"), ["  spaced   name "]);
    assert_eq!(texts("BkToCstmrStmt/Stmt/Acct/Id/Othr/Id"), [format!("{:032x}", 3)]);
    let again = text(|out| export::camt053_of(&ledger, 3.into(), &labels, span, at(2000), out));
    assert_eq!(message, again, "the same bytes");
    assert!(export::camt053_of(&ledger, 999.into(), &labels, span, at(2000), &mut Vec::new()).is_err());
    assert!(
        export::camt053_of(&ledger, 3.into(), &labels, (at(9), at(8)), at(2000), &mut Vec::new()).is_err()
    );
}

#[path = "camt/mod.rs"]
mod camt;
