//! `hundi pay --orders`: repeats, two runs at once, and lost files pay once, and tell what truly happened.
#![allow(clippy::unwrap_used)]

mod common;

use std::process::{Child, Output, Stdio};

use common::{TestNetwork, hundi, stderr, wait_until};
use serde_json::Value;

const HEADER: &str = "order_id,payer_bank,payer_account,payee_bank,payee_account,amount,currency,purpose\n";

fn start() -> TestNetwork {
    let mut network = TestNetwork::new("alpha,beta", 2);
    ["bank-alpha", "bank-beta", "coordinator-c1", "coordinator-c2"]
        .iter()
        .for_each(|node| network.start(node));
    network.open("asha@alpha", "100.00");
    network.open("bela@beta", "0");
    network
}

/// Writes an orders file of asha's payments to bela, each with an id and an amount.
fn write(network: &TestNetwork, name: &str, orders: &[(&str, &str)]) -> String {
    let path = network.dir.path().join(name);
    let line = |(id, amount): &(&str, &str)| format!("{id},alpha,asha,beta,bela,{amount},INR,rent\n");
    std::fs::write(&path, HEADER.to_owned() + &orders.iter().map(line).collect::<String>()).unwrap();
    path.display().to_string()
}

fn start_paying(network: &TestNetwork, orders: &str, more: &[&str]) -> Child {
    let mut command = hundi();
    command.args(["pay", "--network", &network.file(), "--orders", orders, "--keys"]);
    command.arg(network.dir.path().join("keys")).args(more);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn pay(network: &TestNetwork, orders: &str, more: &[&str]) -> Output {
    start_paying(network, orders, more).wait_with_output().unwrap()
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", stderr(output)))
}

/// So many paid, so many refused, none unknown; the exit code fits.
fn check(output: &Output, committed: u64, aborted: u64) -> Value {
    let report = report(output);
    let found = (&report["committed"], &report["aborted"], &report["unknown"]);
    assert_eq!(found, (&committed.into(), &aborted.into(), &0.into()), "{report}");
    assert_eq!(output.status.code(), Some(i32::from(aborted > 0)), "{}", stderr(output));
    report
}

#[test]
fn a_file_whose_signed_orders_are_lost_is_paid_once_and_told_truly() {
    let mut network = start();
    let orders = write(&network, "orders.csv", &[("1", "10.00"), ("2", "20.00"), ("3", "500.00")]);
    let first = check(&pay(&network, &orders, &["--json"]), 2, 1);
    assert_eq!(first["refusals"]["insufficient_funds"], 1);

    std::fs::remove_file(orders.clone() + ".signed").unwrap();
    let again = check(&pay(&network, &orders, &["--json"]), 2, 1);
    assert_eq!(again, first, "the same outcomes, whoever asks");
    // As they were before, after a restart of the bank that knows.
    network.kill("bank-alpha");
    network.start("bank-alpha");
    std::fs::remove_file(orders.clone() + ".signed").unwrap();
    assert_eq!(check(&pay(&network, &orders, &["--json"]), 2, 1), first);

    // Another order under an id that is used up is refused, and says what the id stands for.
    let changed = write(&network, "changed.csv", &[("1", "10.00"), ("2", "21.00")]);
    let report = check(&pay(&network, &changed, &["--json"]), 1, 1);
    assert_eq!(report["refusals"]["duplicate_order_id"], 1);
    let text = String::from_utf8(pay(&network, &changed, &[]).stdout).unwrap();
    let expected = "order 2 of asha@alpha: duplicate_order_id: the payer used this id for another order (paid: 20.00 INR";
    assert!(text.contains(expected), "{text}");

    wait_until("nothing is on hold", || network.held(&["alpha", "beta"]) == 0);
    assert_eq!((network.balance("asha@alpha"), network.balance("bela@beta")), (7_000, 3_000));
    network.terminate_all();
    network.audit();
}

#[test]
fn two_runs_of_one_file_at_once_pay_once_and_both_say_so() {
    let mut network = start();
    let lines: Vec<(String, &str)> = (0..60).map(|n| (n.to_string(), "1.00")).collect();
    let lines: Vec<(&str, &str)> = lines.iter().map(|(id, amount)| (id.as_str(), *amount)).collect();
    // The same file, where the second run sends what the first signed; and a copy, where each signs its own.
    for (round, names) in [["orders.csv", "orders.csv"], ["one.csv", "two.csv"]].iter().enumerate() {
        let used: Vec<(String, &str)> =
            lines.iter().map(|(id, amount)| (format!("{round}-{id}"), *amount)).collect();
        let used: Vec<(&str, &str)> = used.iter().map(|(id, amount)| (id.as_str(), *amount)).collect();
        let used = if round == 0 { &used[..] } else { &used[..30] };
        let files = names.map(|name| write(&network, name, used));
        let paying = files.map(|file| start_paying(&network, &file, &["--json"]));
        for run in paying {
            check(&run.wait_with_output().unwrap(), used.len() as u64, 0);
        }
    }
    let signed = std::fs::read_to_string(network.dir.path().join("orders.csv.signed")).unwrap();
    assert_eq!(signed.lines().count(), 60, "each order was signed once");
    wait_until("nothing is on hold", || network.held(&["alpha", "beta"]) == 0);
    assert_eq!((network.balance("asha@alpha"), network.balance("bela@beta")), (1_000, 9_000));
    network.terminate_all();
    assert_eq!(network.audit()["executed_twice"], 0);
}

#[test]
fn what_was_signed_too_long_ago_says_what_to_do() {
    let network = start();
    let orders = write(&network, "orders.csv", &[("1", "10.00")]);
    // Signed and kept, and no coordinator takes it.
    let unsent = pay(&network, &orders, &["--expires-in", "1", "--coordinator", "nobody"]);
    assert_eq!(unsent.status.code(), Some(3), "{}", stderr(&unsent));
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let late = pay(&network, &orders, &[]);
    assert_eq!(late.status.code(), Some(1), "{}", stderr(&late));
    let text = String::from_utf8(late.stdout).unwrap();
    assert!(text.contains("order 1 of asha@alpha: expired: it was signed in an earlier run"), "{text}");
    assert!(text.contains("give it a new id"), "{text}");
}

#[test]
fn a_bank_that_the_network_lacks_is_refused_before_anything_is_signed() {
    let network = start();
    let orders = write(&network, "orders.csv", &[("1", "10.00")]);
    let text = std::fs::read_to_string(&orders).unwrap()
        + "2,alpha,asha,gamma,g,1.00,INR,\n3,alpha,asha,beta,bela,1.00,EUR,\n";
    std::fs::write(&orders, text).unwrap();
    let refused = pay(&network, &orders, &[]);
    assert_eq!(refused.status.code(), Some(3), "{}", stderr(&refused));
    for words in [
        "line 3, column payee_bank: \"gamma\": not a bank of this network, which has alpha, beta",
        "line 4, column currency: \"EUR\": asha@alpha has INR in line 2",
    ] {
        assert!(stderr(&refused).contains(words), "{}", stderr(&refused));
    }
    assert!(!std::path::Path::new(&(orders + ".signed")).exists(), "nothing was signed");
    assert_eq!(network.balance("asha@alpha"), 10_000);
}
