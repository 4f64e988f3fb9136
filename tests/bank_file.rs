//! The bank's file from outside: gone, empty, another bank's, changed by hand, or all that remembers a payment.
#![allow(clippy::unwrap_used)]

mod common;

use std::process::{Output, Stdio};
use std::sync::Arc;

use common::{TestNetwork, check_refused, hundi, run, run_json, stderr, wait_until};
use hundi_protocol::{Client, Decision, Identity, Limits, Message, Network, Peer, Reason, Vote};
use serde_json::Value;

/// Two banks and a coordinator; asha at alpha has paid bela at beta. Returns the payment.
fn paid() -> (TestNetwork, String) {
    let mut network = TestNetwork::new("alpha,beta", 1);
    ["bank-alpha", "bank-beta", "coordinator-c1"].iter().for_each(|node| network.start(node));
    network.open("asha@alpha", "100.00");
    network.open("bela@beta", "0");
    let output = network.pay("asha@alpha", "bela@beta", "12.50").output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["status"], "commit", "{}", stderr(&output));
    wait_until("nothing is on hold", || network.held(&["alpha", "beta"]) == 0);
    (network, report["payment"].as_str().unwrap().to_owned())
}

/// The bank does not start, and its last line says why.
fn check_does_not_start(network: &TestNetwork, words: &str) {
    let output: Output = network.command("bank-alpha").stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    let text = stderr(&output);
    let last = text.lines().last().unwrap();
    assert!(last.contains(words) && last.contains("bank.db"), "{text}");
}

#[test]
fn a_bank_without_its_file_or_with_another_does_not_start() {
    let (mut network, _) = paid();
    network.terminate_all();
    let file = network.folder("bank-alpha").join("bank.db");
    let own = std::fs::read(&file).unwrap();
    for side in ["bank.db-wal", "bank.db-shm"] {
        let _ = std::fs::remove_file(network.folder("bank-alpha").join(side));
    }

    std::fs::remove_file(&file).unwrap();
    check_does_not_start(&network, "is gone or empty");
    assert!(!file.exists(), "no new file in its place");
    std::fs::write(&file, b"").unwrap();
    check_does_not_start(&network, "is gone or empty");
    std::fs::copy(network.folder("bank-beta").join("bank.db"), &file).unwrap();
    check_does_not_start(&network, "this is the file of bank beta, not of alpha");

    std::fs::write(&file, own).unwrap();
    network.start("bank-alpha");
    network.terminate_all();
    network.audit();
}

#[test]
fn a_bank_does_not_start_from_an_old_copy_or_from_one_that_went_its_own_way() {
    let (mut network, _) = paid();
    network.terminate_all();
    let (file, marker) =
        (network.folder("bank-alpha").join("bank.db"), network.folder("bank-alpha").join("bank.db.exists"));
    let old = std::fs::read(&file).unwrap();
    let start_all = |network: &mut TestNetwork| {
        ["bank-alpha", "bank-beta", "coordinator-c1"].iter().for_each(|node| network.start(node));
    };
    start_all(&mut network);
    let output = network.pay("asha@alpha", "bela@beta", "1.00").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    wait_until("nothing is on hold", || network.held(&["alpha", "beta"]) == 0);
    network.terminate_all();
    let (newest, noted) = (std::fs::read(&file).unwrap(), std::fs::read(&marker).unwrap());
    assert!(
        ["bank.db-wal", "bank.db-shm"].iter().all(|side| !network.folder("bank-alpha").join(side).exists())
    );

    std::fs::write(&file, &old).unwrap();
    check_does_not_start(&network, "this is an old copy");
    assert_eq!(
        std::fs::read(&marker).unwrap(),
        noted,
        "a start that is refused changes nothing that is noted"
    );
    // An operator who has no other can still go on from it, and then from no other.
    std::fs::remove_file(&marker).unwrap();
    network.start("bank-alpha");
    for n in 0..9 {
        network.open(&format!("n{n}@alpha"), "0");
    }
    network.terminate_all();
    let own_way = std::fs::read(&file).unwrap();
    std::fs::write(&marker, &noted).unwrap();
    check_does_not_start(&network, "has gone its own way");

    std::fs::write(&file, &newest).unwrap();
    start_all(&mut network);
    network.terminate_all();
    network.audit();
    assert_ne!(own_way, newest);
}

#[test]
fn what_a_bank_notes_of_its_file_is_never_ahead_of_it() {
    let (mut network, _) = paid();
    let marker = network.folder("bank-alpha").join("bank.db.exists");
    let noted = || {
        let text = std::fs::read_to_string(&marker).unwrap();
        let line = text.lines().last().unwrap().to_owned();
        line.strip_prefix("commit ").and_then(|line| line.split_once(' ')?.0.parse::<u64>().ok()).unwrap()
    };
    let before = noted();
    for _ in 0..3 {
        let output = network.pay("asha@alpha", "bela@beta", "0.01").output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        network.kill("bank-alpha");
        network.start("bank-alpha");
    }
    assert!(noted() > before, "it is noted at each start");
    let at_start = noted();
    let output = network.pay("asha@alpha", "bela@beta", "0.01").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    wait_until("a bank that rests notes how far it has come", || noted() > at_start);
    network.running().iter().for_each(|node| network.kill(node));
    network.audit();
}

#[test]
fn a_bank_copies_the_log_that_a_reader_held_when_the_reader_ends() {
    let (network, _) = paid();
    let file = network.folder("bank-alpha").join("bank.db");
    let reader = hundi_ledger::sqlite::Snapshot::open(&file).unwrap();
    network.open("cara@alpha", "7.00");
    let file_alone = || {
        let connection = rusqlite::Connection::open(format!("file:{}?immutable=1", file.display())).unwrap();
        let cara = "SELECT count(*) FROM customers WHERE name = 'cara'";
        // Without the rest of its pages it may not even be readable.
        connection.query_row(cara, [], |row| row.get::<_, i64>(0)).unwrap_or(0)
    };
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    assert_eq!(file_alone(), 0, "the reader holds the log");
    drop(reader);
    let began = std::time::Instant::now();
    wait_until("the log is copied", || file_alone() == 1);
    assert!(began.elapsed().as_secs() < 30, "only with the commit that a bank makes every minute");
}

#[test]
fn a_bank_whose_log_is_gone_stops_and_nobody_takes_what_is_left_for_the_whole() {
    let (mut network, _) = paid();
    let folder = network.folder("bank-alpha");
    let [file, log, aside] = ["bank.db", "bank.db-wal", "aside"].map(|name| folder.join(name));
    // What comes after its beginning a reader keeps from being copied into the file.
    let reader = hundi_ledger::sqlite::Snapshot::open(&file).unwrap();
    network.open("cara@alpha", "7.00");
    // As on a full disk.
    std::fs::create_dir(folder.join("bank.db-wal.saved")).unwrap();
    (2..=99).for_each(|n| std::fs::create_dir(folder.join(format!("bank.db-wal.saved.{n}"))).unwrap());
    std::fs::rename(&log, &aside).unwrap();
    assert_eq!(network.wait("bank-alpha"), Some(4), "{}", network.log("bank-alpha"));
    drop(reader);
    network.terminate_all();
    check_does_not_start(&network, "was acknowledged and is not in");
    for output in
        [run(&["audit", "--dir", network.path()]), run(&["ledger", "verify", file.to_str().unwrap()])]
    {
        assert!(!output.status.success());
        assert!(stderr(&output).contains("was acknowledged and is not in"), "{}", stderr(&output));
    }
    std::fs::rename(&aside, &log).unwrap();
    network.audit();
    network.start("bank-alpha");
    network.terminate_all();
    network.audit();
}

#[test]
fn a_bank_whose_books_do_not_balance_does_not_start() {
    let (mut network, _) = paid();
    network.terminate_all();
    let connection = rusqlite::Connection::open(network.folder("bank-alpha").join("bank.db")).unwrap();
    let changed = connection.execute(
        "UPDATE events SET after_credit_credits_posted = after_credit_credits_posted + 1
         WHERE timestamp = (SELECT max(timestamp) FROM events WHERE after_credit_credits_posted > 0)",
        [],
    );
    assert_eq!(changed.unwrap(), 1);
    drop(connection);
    check_does_not_start(&network, "debits and credits differ");
}

#[test]
fn a_payment_that_only_the_files_remember_is_still_told() {
    let (mut network, payment) = paid();
    // After a restart neither coordinators nor banks have it at hand.
    for node in network.running() {
        network.kill(&node);
        network.start(&node);
    }
    let status = run_json(&["status", &payment, "--network", &network.file(), "--json"]);
    assert_eq!((&status["status"], &status["proven"]["amount_minor"]), (&"commit".into(), &"1250".into()));
    // Nor does it take the coordinator, or more than one of the banks.
    network.kill("coordinator-c1");
    network.kill("bank-alpha");
    let status = run_json(&["status", &payment, "--network", &network.file(), "--json"]);
    assert_eq!((&status["status"], status["silent"].as_array().unwrap().len()), (&"commit".into(), 2));
}

#[test]
fn what_waits_for_another_bank_is_listed_with_its_age() {
    let (mut network, _) = paid();
    network.kill("bank-alpha");
    let mut paying = network.pay("asha@alpha", "bela@beta", "1.00").stdout(Stdio::null()).spawn().unwrap();
    let file = network.file();
    let list = || run_json(&["account", "list", "beta", "--network", &file, "--json"]);
    // Beta voted YES and alpha is away: the credit is announced, and nobody can say yet whether it comes.
    wait_until("a payment is in doubt", || list()["in_doubt"]["payments"] == 1);
    assert_eq!(list()["accounts"][0]["credits_pending"], "100");
    let first = list()["in_doubt"]["oldest_ms"].as_u64().unwrap();
    wait_until("it gets older", || list()["in_doubt"]["oldest_ms"].as_u64().unwrap() > first + 1_000);
    let text = run(&["account", "list", "beta", "--network", &file]).stdout;
    let text = String::from_utf8(text).unwrap();
    let line = text.lines().last().unwrap();
    assert!(line.starts_with("1 payment waits for another bank's word, the oldest for "), "{text}");
    assert!(!line.ends_with(" 0 s"), "{text}");
    network.start("bank-alpha");
    wait_until("the doubt ends", || list()["in_doubt"]["payments"] == 0);
    assert_eq!(list()["in_doubt"]["oldest_ms"], 0);
    paying.wait().unwrap();
}

#[test]
fn unknown_banks_and_currencies_are_named() {
    let network = TestNetwork::new("alpha,beta", 1);
    let file = network.file();
    let key = network.dir.path().join("new.key").display().to_string();
    let banks = "gamma is not a bank of this network, which has alpha, beta";
    let (usage, input) = (2, 3);
    for (arguments, code, words) in [
        (
            vec!["account", "open", "a@alpha", "--currency", "XXQ", "--key", &key],
            usage,
            "XXQ is not a currency of ISO 4217",
        ),
        (vec!["account", "open", "a@gamma", "--currency", "INR", "--key", &key], input, banks),
        (vec!["account", "balance", "a@gamma"], input, banks),
        (vec!["account", "list", "gamma"], input, banks),
    ] {
        let output = hundi().args(arguments.iter().chain(&["--network", file.as_str()])).output().unwrap();
        check_refused(&output, code, words);
    }
    assert!(!std::path::Path::new(&key).exists(), "nothing was made");
    let output = network.pay("asha@alpha", "bela@gamma", "1.00").output().unwrap();
    check_refused(&output, 3, banks);
}

#[test]
fn a_lie_about_a_payment_of_long_ago_is_kept_and_reported() {
    let (mut network, payment) = paid();
    network.terminate_all();
    network.start("bank-alpha");
    // Alpha has it on disk only. Now beta, which voted YES, says NO as well.
    let own = Arc::new(Network::load(network.file().as_ref()).unwrap());
    let identity = Identity::load(&network.folder("bank-beta"), &own).unwrap();
    let signer = identity.load_signer(&network.folder("bank-beta"), &own).unwrap();
    let decision = Decision::No(Reason::Resolved);
    let lie = Vote { payment: payment.parse().unwrap(), bank: "beta".parse().unwrap(), decision };
    let vote = signer.sign_own(vec![lie]).remove(0).signed().clone();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let alpha = Peer::bank("alpha".parse().unwrap());
        let client = Client::connect(&identity, Arc::clone(&own), &alpha, Limits::default()).await.unwrap();
        client.send(vec![Message::Vote { vote }]).await.unwrap();
        client.close().await;
    });
    let caught = || network.sql("alpha", "SELECT count(*) FROM double_votes WHERE bank = 'beta'");
    wait_until("the proof is kept", || caught() == 1);
    wait_until("the lie is reported", || {
        network.log("bank-alpha").contains("bank voted both YES and NO on one payment")
    });
    assert_eq!(network.balance("asha@alpha"), 8_750, "the payment stands");
    network.terminate_all();
    let audit = run(&["audit", "--dir", network.path(), "--json"]);
    let audit: Value = serde_json::from_slice(&audit.stdout).unwrap();
    assert_eq!((&audit["double_votes"], &audit["chain_ok"]), (&1.into(), &true.into()), "{audit}");
}

/// Name, size and time of everything in the banks' folders.
fn listing(network: &TestNetwork) -> Vec<(String, u64, std::time::SystemTime)> {
    let folders = ["bank-alpha", "bank-beta"].map(|node| network.folder(node));
    let mut found: Vec<_> = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
        .map(|entry| {
            let entry = entry.unwrap();
            let about = entry.metadata().unwrap();
            (entry.path().display().to_string(), about.len(), about.modified().unwrap())
        })
        .collect();
    found.sort();
    found
}

#[test]
fn an_audit_leaves_no_trace() {
    let (mut network, _) = paid();
    // Killed: the log beside the file holds what was not folded in.
    ["coordinator-c1", "bank-alpha", "bank-beta"].iter().for_each(|node| network.kill(node));
    let before = listing(&network);
    assert_eq!(network.audit()["in_flight"], 0);
    assert_eq!(listing(&network), before);
    let logs = ["bank-alpha", "bank-beta"].map(|node| network.folder(node).join("bank.db-wal"));
    assert!(logs.iter().all(|log| log.metadata().unwrap().len() > 0));

    // Stopped, and the one file moved to a place of its own.
    ["bank-alpha", "bank-beta"].iter().for_each(|node| network.start(node));
    network.terminate_all();
    for node in ["bank-alpha", "bank-beta"] {
        for file in std::fs::read_dir(network.folder(node)).unwrap().map(Result::unwrap) {
            if file.file_name() != "bank.db" {
                std::fs::remove_file(file.path()).unwrap();
            }
        }
    }
    let before = listing(&network);
    assert_eq!(before.len(), 2, "{before:?}");
    network.audit();
    assert_eq!(listing(&network), before);
}
