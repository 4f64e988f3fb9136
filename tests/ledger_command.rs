//! `hundi ledger …`, run as a program on a file that this process owns meanwhile.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use hundi_ledger::sqlite::{Options, StepError};
use hundi_ledger::{
    Account, AccountFlags, Clock, Currency, Ledger, QueryFilter, Reads as _, Timestamp, Transfer,
};
use serde_json::Value;

const SECOND: u64 = 1_000_000_000;
const OCTOBER: u64 = 1_790_856_000 * SECOND; // 2026-10-01, noon
const DAY: u64 = 86_400 * SECOND;

/// A clock that each call moves on by a day.
struct Days(std::sync::atomic::AtomicU64);

impl Clock for Days {
    fn now(&self) -> Timestamp {
        Timestamp(OCTOBER + DAY * self.0.load(std::sync::atomic::Ordering::Relaxed))
    }
}

/// A ledger that is open while the commands run.
struct Live {
    folder: tempfile::TempDir,
    ledger: Ledger,
}

fn live() -> Live {
    let folder = tempfile::tempdir().unwrap();
    let day = &*Box::leak(Box::new(Days(1.into())));
    let next_day = || day.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let ledger = Ledger::open_with(folder.path().join("app.db"), Options::default(), ClockOf(day)).unwrap();
    let rupee = Currency::iso("INR").unwrap();
    let inr = rupee.ledger();
    ledger
        .transaction(|tx| -> Result<(), StepError> {
            let wallet = Account::new(17, inr, 2).with_flags(AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS);
            tx.create_accounts(&[Account::new(1, inr, 1), wallet, Account::new(18, 9, 2)])?;
            tx.name_account(1.into(), "assets:cash", Some("INR"))?;
            Ok(tx.name_account(17.into(), "customers:asha", Some("INR"))?)
        })
        .unwrap();
    for transfer in [
        Transfer::new(101, 1, 17, 123_450, inr, 10),
        Transfer::new(102, 17, 1, 23_400, inr, 11),
        Transfer::new(103, 17, 1, 5_000, inr, 12).pending(0),
    ] {
        next_day();
        assert_eq!(ledger.create_transfer(transfer).unwrap().status.as_str(), "created");
    }
    Live { folder, ledger }
}

/// The same clock in the ledger's hands.
struct ClockOf(&'static Days);

impl Clock for ClockOf {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

impl Live {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `hundi ledger VERB FILE …` and gives what it printed; it must end well.
    fn ledger(&self, verb: &str, arguments: &[&str]) -> String {
        let output = hundi(verb, &self.path("app.db"), arguments);
        assert!(output.status.success(), "{verb} {arguments:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, verb: &str, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ledger(verb, &[arguments, &["--json"]].concat())).unwrap()
    }

    /// Runs it to see it fail, with one line.
    fn refused(&self, verb: &str, arguments: &[&str]) -> (i32, String) {
        let output = hundi(verb, &self.path("app.db"), arguments);
        let said = stderr(&output);
        assert_eq!(said.trim_end().lines().count(), 1, "{said}");
        (output.status.code().unwrap(), said)
    }
}

fn hundi(verb: &str, file: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hundi"))
        .args(["ledger", verb])
        .arg(file)
        .args(arguments)
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn accounts_and_transfers_are_listed_beside_the_owner() {
    let live = live();
    let text = live.ledger("accounts", &[]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(
        lines[2].contains("customers:asha") && lines[2].contains("1,000.50 Cr  INR  2026-10-02"),
        "{text}"
    );
    assert!(lines[3].starts_with("18  18"), "an account without a name shows its id: {text}");
    let accounts = live.json("accounts", &[]);
    assert_eq!(accounts["accounts"][1]["credit_balance"], "100050");
    assert_eq!(accounts["accounts"][1]["debits_pending"], "5000");
    assert_eq!(accounts["accounts"][2]["currency"], "L9");

    let text = live.ledger("transfers", &[]);
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(text.contains("two_phase_pending") && text.contains("1,234.50 INR"), "{text}");
    let ids = |arguments: &[&str]| -> Vec<String> {
        let found = live.json("transfers", arguments);
        found["transfers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(&[]), ["101", "102", "103"]);
    assert_eq!(ids(&["--limit", "2"]), ["102", "103"]);
    assert_eq!(ids(&["--account", "customers:asha", "--to", "2026-10-04"]), ["101", "102"]);
    assert_eq!(ids(&["--from", "2026-10-04", "--to", "2026-10-04"]), ["102"]);
    assert_eq!(ids(&["--account", "18"]), [""; 0]);
}

#[test]
fn a_reader_who_has_seen_enough_is_no_fault() {
    use std::io::Read as _;
    let live = live();
    for id in 1_000..1_200 {
        live.ledger.create_transfer(Transfer::new(id, 1, 17, 1, 356, 1)).unwrap();
    }
    for arguments in [&["transfers", "--limit", "500", "--json"][..], &["export", "--format", "csv"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_hundi"))
            .args(["ledger", arguments[0]])
            .arg(live.path("app.db"))
            .args(&arguments[1..])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 10];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap(); // And closes the pipe.
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn an_asset_of_ones_own_has_its_digits_everywhere() {
    let live = live();
    live.ledger
        .transaction(|tx| -> Result<(), StepError> {
            tx.set_currency(Currency::new("GOLD-MG", 70_001, 3).unwrap())?;
            tx.create_accounts(&[31, 32].map(|id| Account::new(id, 70_001, 1)))?;
            tx.name_account(31.into(), "vault", None)?;
            tx.create_transfers(&[Transfer::new(301, 31, 32, 1_234_567, 70_001, 1)])?;
            Ok(())
        })
        .unwrap();
    for (verb, arguments, shown) in [
        ("accounts", &[][..], "1,234.567 Dr  GOLD-MG"),
        ("transfers", &["--account", "vault"], "1,234.567 GOLD-MG"),
        ("balance", &["vault"], "1,234.567 Dr  GOLD-MG"),
        ("statement", &["vault"], "1,234.567 Dr"),
        ("export", &["--format", "hledger"], "1234.567 \"GOLD-MG\""),
        ("export", &["--format", "beancount"], "1234.567 GOLD-MG"),
        ("export", &["--format", "csv"], ",1234.567,GOLD-MG,"),
        ("export", &["--format", "camt053", "--account", "vault"], "<Amt Ccy=\"XXX\">1234.567</Amt>"),
    ] {
        let text = live.ledger(verb, arguments);
        assert!(text.contains(shown), "{verb} {arguments:?}: {text}");
    }
    assert_eq!(live.json("balance", &["vault"])["balances"][0]["minor_digits"], 3);
}

#[test]
fn balances_are_shown_now_and_as_they_were() {
    let live = live();
    let text = live.ledger("balance", &["customers:asha"]);
    assert!(text.lines().nth(1).unwrap().ends_with("1,000.50 Cr  INR"), "{text}");
    let credit_balance = |arguments: &[&str]| {
        let found = live.json("balance", arguments);
        found["balances"][0]["credit_balance"].as_str().map(ToOwned::to_owned)
    };
    assert_eq!(credit_balance(&["17"]).unwrap(), "100050");
    assert_eq!(credit_balance(&["00000000000000000000000000000011"]).unwrap(), "100050");
    assert_eq!(credit_balance(&["17", "--at", "2026-10-03"]).unwrap(), "123450");
    assert_eq!(credit_balance(&["17", "--at", "2026-10-03T12:00:00Z"]).unwrap(), "123450");
    assert_eq!(credit_balance(&["17", "--at", "2026-10-03T11:59:59.999999999Z"]).unwrap(), "0");
    assert_eq!(credit_balance(&["17", "--at", "2026-10-01"]), None, "not yet opened");
    assert_eq!(credit_balance(&["assets:cash"]).unwrap(), "-100050");
    assert_eq!(live.json("balance", &["--at", "2026-10-05"])["balances"].as_array().unwrap().len(), 3);
}

#[test]
fn a_statement_runs_from_opening_to_closing() {
    let live = live();
    let all = live.ledger("statement", &["customers:asha"]);
    let balances: Vec<&str> = all.lines().filter_map(|line| line.split("  ").last()).collect();
    assert!(all.starts_with("Statement of customers:asha (id 17), in INR"), "{all}");
    assert!(balances.contains(&"1,234.50 Cr") && balances.contains(&"1,000.50 Cr"), "{all}");
    assert_eq!(all.lines().count(), 7, "what is only reserved is no line: {all}");
    let part = live.json("statement", &["17", "--from", "2026-10-04", "--to", "2026-10-31"]);
    assert_eq!(part["opening_credit_balance"], "123450");
    assert_eq!(part["closing_credit_balance"], "100050");
    assert_eq!(part["lines"].as_array().unwrap().len(), 1);
    assert_eq!(part["lines"][0]["counterparty"], "assets:cash");
    assert_eq!(part["lines"][0]["side"], "debit");
    let then = live.json("statement", &["17", "--at", "2026-10-03"]);
    assert_eq!(then["closing_credit_balance"], "123450");
}

#[test]
fn exports_come_out_whole() {
    let live = live();
    let start = |format: &str| live.ledger("export", &["--format", format]);
    assert!(start("hledger").contains("= -1000.50 INR"));
    assert!(start("beancount").contains("balance Liabilities:Customers:Asha  -1000.50 ~ 0.00 INR"));
    assert_eq!(start("csv").lines().count(), 4);
    assert_eq!(start("csv-accounts").lines().count(), 4);
    assert_eq!(start("camt053").matches("<Stmt>").count(), 3);
    let one =
        ["--format", "camt053", "--account", "customers:asha", "--from", "2026-10-04", "--to", "2026-10-04"];
    let one = live.ledger("export", &one);
    assert!(one.contains("<Amt Ccy=\"INR\">1234.50</Amt>") && one.contains("<Amt Ccy=\"INR\">1000.50</Amt>"));
    let (code, said) = live.refused("export", &["--format", "csv", "--account", "17"]);
    assert!(code == 2 && said.contains("camt053"), "{said}");
}

#[test]
fn a_live_file_is_verified_and_backed_up() {
    let live = live();
    let verified = live.json("verify", &[]);
    assert_eq!((&verified["ok"], &verified["transfers"]), (&Value::Bool(true), &Value::from(3)));
    let copy = live.path("copy.db");
    let said = live.ledger("backup", &[copy.to_str().unwrap()]);
    assert!(said.contains(verified["hash"].as_str().unwrap()), "{said}");
    assert_eq!(live.refused("backup", &[copy.to_str().unwrap()]).0, 4, "nothing is written over");
    let bytes = std::fs::read(&copy).unwrap();

    // One balance in the copy, changed behind the ledger's back.
    let connection = hundi_ledger::rusqlite::Connection::open(&copy).unwrap();
    connection
        .execute("UPDATE events SET amount = amount + 1 WHERE id = ?", [102_u128.to_be_bytes()])
        .unwrap();
    drop(connection);
    assert_ne!(bytes, std::fs::read(&copy).unwrap());
    let output = hundi("verify", &copy, &["--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], Value::Bool(false));
    // What is in a damaged file is not known, so nothing is said of it: not 0 either.
    assert_eq!(report.as_object().unwrap().keys().collect::<Vec<_>>(), ["error", "ok"]);
    assert!(stderr(&output).contains("events, row"), "{}", stderr(&output));
}

/// A list of transfers, held against the file: how the command ends, and what it says to a program and to a person.
fn check_list(live: &Live, list: &[u8], code: i32, held: &str, said: &str) {
    let path = live.path("ids.txt");
    std::fs::write(&path, list).unwrap();
    let output = hundi("verify", &live.path("app.db"), &["--json", "--holds", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
    assert!(stderr(&output).contains(said) && stderr(&output).lines().count() <= 1, "{}", stderr(&output));
    if code == 3 {
        return assert!(output.stdout.is_empty());
    }
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["held"].to_string(), held);
    assert_eq!(report["ok"], Value::Bool(code == 0));
    // The file itself is sound, whatever a list says.
    let verified = live.json("verify", &[]);
    for field in ["commits", "accounts", "transfers", "expiries", "hash"] {
        assert_eq!(report[field], verified[field], "{field}");
    }
    assert_eq!(report["transfers"], 3);
}

#[test]
fn a_list_of_transfers_is_held_against_the_file() {
    let live = live();
    let id = |id: u128| format!("{id:032x}\n");
    let two = [id(101), id(103)].concat();
    check_list(&live, two.as_bytes(), 0, "2", "");
    check_list(&live, format!("{two}0000").as_bytes(), 0, "2", "ids.txt, line 3: unfinished, left out");
    let missing = "app.db: transfer 00000000000000000000000000000011 is not in it, which is line 3 of ";
    check_list(&live, [&*two, &id(17)].concat().as_bytes(), 1, "null", missing);
    for nothing in ["", "0000"] {
        check_list(&live, nothing.as_bytes(), 3, "", "ids.txt: no id in it, so there is nothing to look for");
    }
    for odd in [&b"\n"[..], b"101\n", b"+0000000000000000000000000000011\n", b"\xff\xfe\xff\n"] {
        let said = "ids.txt, line 3: not an id of 32 hexadecimal digits";
        check_list(&live, &[two.as_bytes(), odd].concat(), 3, "", said);
    }
}

#[test]
fn what_is_asked_for_wrongly_is_said_in_one_line() {
    let live = live();
    let (code, said) = live.refused("balance", &["nobody"]);
    assert!(code == 3 && said.contains("no account has the name or id `nobody`"), "{said}");
    let (code, said) = live.refused("statement", &["17", "--from", "2026-10-05", "--to", "2026-10-01"]);
    assert!(code == 2 && said.contains("--from"), "{said}");
    let (code, said) = live.refused("transfers", &["--from", "2026-10-05", "--to", "2026-10-01"]);
    assert!(code == 2 && said.contains("--from"), "{said}");
    let none = hundi("accounts", &live.path("none.db"), &[]);
    assert_eq!((none.status.code(), stderr(&none).lines().count()), (Some(3), 1), "{}", stderr(&none));
    assert!(!live.path("none.db").exists(), "looking creates nothing");
    std::fs::write(live.path("text.db"), "not a database at all, but some text that is long enough").unwrap();
    for verb in ["accounts", "verify"] {
        let text = hundi(verb, &live.path("text.db"), &[]);
        assert!([Some(1), Some(3)].contains(&text.status.code()), "{verb}: {}", stderr(&text));
        assert_eq!(stderr(&text).lines().count(), 1);
    }
    let usage = hundi("balance", &live.path("app.db"), &["--at", "yesterday"]);
    assert_eq!(usage.status.code(), Some(2));
    let busy = hundi("script", &live.path("app.db"), &[]);
    assert_eq!(busy.status.code(), Some(4), "only the owner writes: {}", stderr(&busy));
}

#[test]
fn a_script_is_durable_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("script.db");
    let run = |lines: &str| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_hundi"))
            .args(["ledger", "script"])
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let create = r#"{"op":"create_accounts","timestamp":"10","events":[{"id":"1","ledger":1,"code":1}]}"#;
    let created = r#"{"results":[{"status":"created","timestamp":"10"}]}"#;
    assert_eq!(run(&format!("{create}\n")), (Some(0), format!("{created}\n")));
    let (code, said) = run("nonsense\n{\"op\":\"lookup_accounts\",\"ids\":[1]}\n");
    assert_eq!(code, Some(1));
    assert!(
        said.lines().next().unwrap().contains("\"line\":1") && said.contains("\"timestamp\":\"10\""),
        "{said}"
    );
}

#[test]
fn a_file_without_one_of_its_tables_is_damaged() {
    let live = live();
    let tables = ["meta", "accounts", "balances", "events", "pendings", "burnt", "transfer_runs", "commits"];
    for table in tables {
        let copy = live.path(&format!("without-{table}.db"));
        live.ledger("backup", &[copy.to_str().unwrap()]);
        let connection = hundi_ledger::rusqlite::Connection::open(&copy).unwrap();
        connection.execute_batch(&format!("DROP TABLE {table}")).unwrap();
        drop(connection);
        for (verb, arguments) in [
            ("verify", &[][..]),
            ("accounts", &[]),
            ("transfers", &[]),
            ("balance", &["17"]),
            ("script", &[]),
        ] {
            let output = hundi(verb, &copy, arguments);
            let said = stderr(&output);
            assert_eq!(output.status.code(), Some(1), "{verb} without {table}: {said}");
            assert_eq!(said.lines().count(), 1, "{said}");
            let names = ["is damaged", &*format!("without-{table}.db"), &*format!("table {table}"), "backup"];
            assert!(names.iter().all(|name| said.contains(name)), "{verb} without {table}: {said}");
        }
    }
}

#[test]
fn a_script_whose_answers_nobody_reads_says_how_far_it_came() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("script.db");
    let mut child = Command::new(env!("CARGO_BIN_EXE_hundi"))
        .args(["ledger", "script"])
        .arg(&file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take()); // Before anything is written.
    let mut input = child.stdin.take().unwrap();
    for id in 1..=5 {
        let line = format!(r#"{{"op":"create_accounts","events":[{{"id":"{id}","ledger":1,"code":1}}]}}"#);
        let _ = writeln!(input, "{line}"); // It may have ended by then.
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.lines().count() == 1 && said.contains("line 1") && said.contains("none after it"), "{said}");
    let accounts = Ledger::open(&file).unwrap().query_accounts(&QueryFilter::all(10)).unwrap();
    assert_eq!(accounts.len(), 1, "that line was run, and none after it");
}
