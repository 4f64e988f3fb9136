//! Orders files from outside: bad ones are refused before anything starts, real ones are paid to the last unit.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::Write as _;
use std::path::PathBuf;

use common::{check_refused, hundi, run, run_json, stderr};

const HEADER: &str = "order_id,payer_bank,payer_account,payee_bank,payee_account,amount,currency,purpose\n";

/// The file is refused, with these words in it, and no folder was made.
fn check_file_refused(content: &[u8], words: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("orders.csv");
    std::fs::write(&file, content).unwrap();
    let made = dir.path().join("net");
    let output =
        hundi().args(["demo", "--json", "--orders"]).arg(&file).arg("--dir").arg(&made).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(output.stdout.is_empty());
    for word in words {
        assert!(stderr(&output).contains(word), "{word:?} is not in: {}", stderr(&output));
    }
    assert!(!made.exists(), "nothing was started");
}

#[test]
fn bad_files_are_refused_and_every_fault_is_named() {
    check_file_refused(b"", &["the file is empty"]);
    check_file_refused(HEADER.as_bytes(), &["no orders"]);
    check_file_refused(b"order_id,amount\n1,2\n", &["line 1: column payer_bank is missing"]);
    let line = |amount: &str, currency: &str| format!("{HEADER}7,A,a,B,b,{amount},{currency},rent\n");
    for (amount, word) in [
        ("12.345", "line 2, column amount: \"12.345\": CZK has 2 decimals"),
        ("-5", "line 2, column amount: \"-5\""),
        ("NaN", "line 2, column amount: \"NaN\""),
        ("99999999999999999999999999", "too large"),
    ] {
        check_file_refused(line(amount, "CZK").as_bytes(), &[word]);
    }
    check_file_refused(line("1.00", "ZZZ").as_bytes(), &["line 2, column currency: \"ZZZ\""]);
    let twice = format!("{HEADER}7,A,a,B,b,1.00,CZK,\n7,A,a,B,b,2.00,CZK,\n");
    check_file_refused(
        twice.as_bytes(),
        &["line 3, column order_id", "line 2 has the same id with another amount"],
    );
    let mut latin1 = format!("{HEADER}7,A,a,B,b,1.00,CZK,caf").into_bytes();
    latin1.extend_from_slice(b"\xe9\n");
    check_file_refused(&latin1, &["line 2, column purpose", "not UTF-8"]);
    let many: String = (0..30).map(|n| format!("{n},A,a,B,b,x,CZK,\n")).collect();
    check_file_refused(
        format!("{HEADER}{many}").as_bytes(),
        &["30 problems", "line 2, column", "and 10 more"],
    );
}

#[test]
fn a_missing_file_is_one_line() {
    let output = run(&["demo", "--orders", "no/such/file.csv"]);
    check_refused(&output, 3, "no/such/file.csv");
    let folder = tempfile::tempdir().unwrap();
    let output = run(&["demo", "--orders", folder.path().to_str().unwrap()]);
    check_refused(&output, 3, "is a folder, not a file of orders");
}

#[test]
fn orders_of_several_banks_and_currencies_are_paid() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("orders.csv");
    let lines = "1,North,a,South,b,1.50,CZK,\n2,South,b,North,a,0.50,CZK,\n3,North,j,South,k,7,JPY,\n\
                 3,North,j,South,k,7,JPY,\n";
    std::fs::write(&file, format!("{HEADER}{lines}")).unwrap();
    let report = run_json(&["demo", "--json", "--chaos", "none", "--orders", file.to_str().unwrap()]);
    assert_eq!(
        (&report["payments"], &report["committed"], &report["banks"]),
        (&3.into(), &3.into(), &2.into())
    );
    assert_eq!((&report["currency"], &report["committed_amount_minor"]), (&"CZK,JPY".into(), &().into()));
    assert_eq!(report["committed_amounts_minor"], serde_json::json!({ "CZK": "200", "JPY": "7" }));
    assert_eq!(report["audit"]["ok"], true);
}

/// Real payment orders of a Czech bank in 1999; the file is not part of this repository.
#[test]
fn the_czech_orders_of_1999_are_paid_to_the_last_haler() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/czech-1999-payment-orders.csv");
    if !file.exists() {
        // Written past the capture of the test harness, so that a skipped test is seen.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {} is not there", file.display());
        return;
    }
    let report = run_json(&["demo", "--json", "--orders", file.to_str().unwrap()]);
    assert_eq!(report["banks"], 14);
    assert_eq!((&report["payments"], &report["committed"]), (&6471.into(), &6471.into()));
    assert_eq!((&report["aborted"], &report["unknown"]), (&0.into(), &0.into()));
    assert_eq!(report["committed_amount_minor"], "2122899360");
    assert_eq!(report["currency"], "CZK");
    assert_eq!(report["kills"].as_array().unwrap().len(), 2);
    assert_eq!(report["audit"]["ok"], true);
    assert_eq!(report["audit"]["clearing_sum_minor"], "0");
}
