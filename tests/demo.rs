//! The demo from outside: its JSON, its exit code, what it leaves behind.
#![allow(clippy::unwrap_used)]

mod common;

use common::{check_refused, hundi, run, run_json, stderr, terminate, wait_for, wait_until};
use serde_json::Value;

/// The keys of an object, sorted.
fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn the_demo_kills_recovers_and_accounts_for_everything() {
    for commit_order in ["payer-last", "parallel"] {
        let report = run_json(&[
            "demo",
            "--payments",
            "3000",
            "--commit-order",
            commit_order,
            "--seed",
            "7",
            "--json",
        ]);
        check_shape(&report);
        check_counts(&report);
        let roles: Vec<&str> =
            report["kills"].as_array().unwrap().iter().map(|kill| kill["role"].as_str().unwrap()).collect();
        assert_eq!(roles, ["bank", "coordinator"]);
    }
}

/// 90 payments are refused as planned, and the others are paid. Only if the machine stood still for so long that banks
/// took each other for gone may some be given up, and then they are refused for that very reason.
fn check_counts(report: &Value) {
    let count = |name: &str| report[name].as_u64().unwrap();
    let reason = |name: &str| report["refusals"].get(name).map_or(0, |count| count.as_u64().unwrap());
    let given_up = reason("resolved");
    let planned = ["account_closed", "bad_signature", "expired", "insufficient_funds", "unknown_account"];
    for name in planned {
        let found = reason(name);
        assert!(found <= 18 && (found == 18 || given_up > 0), "{name}: {report}");
    }
    let refused: u64 = planned.map(reason).iter().sum();
    assert_eq!((count("payments"), count("unknown")), (3000, 0), "{report}");
    assert!(count("committed") >= 1500, "most are paid on any machine: {report}");
    assert_eq!(
        (count("committed") + refused + given_up, count("aborted")),
        (3000, refused + given_up),
        "{report}"
    );
}

fn check_shape(report: &Value) {
    assert_eq!(
        keys(report),
        [
            "aborted",
            "audit",
            "banks",
            "committed",
            "committed_amount_minor",
            "committed_amounts_minor",
            "coordinators",
            "currency",
            "kills",
            "latency_ms",
            "payments",
            "payments_per_second",
            "refusals",
            "seconds",
            "unknown",
        ]
    );
    assert_eq!(keys(&report["kills"][0]), ["back_after_ms", "node", "role"]);
    assert_eq!(keys(&report["latency_ms"]), ["max", "p50", "p99"]);
    let audit = &report["audit"];
    assert_eq!(
        keys(audit),
        [
            "acknowledged_lost",
            "books_balanced",
            "certificates_checked",
            "chain_ok",
            "clearing_sum_minor",
            "double_votes",
            "executed_twice",
            "in_flight",
            "legs_unmatched",
            "ok",
        ]
    );
    assert!(report["committed_amount_minor"].is_string() && audit["clearing_sum_minor"] == "0");
    assert!(audit["ok"] == true && audit["books_balanced"] == true && audit["chain_ok"] == true);
    for none in ["in_flight", "legs_unmatched", "double_votes", "acknowledged_lost", "executed_twice"] {
        assert_eq!(audit[none], 0, "{none}");
    }
    assert!(audit["certificates_checked"].as_u64() >= report["payments"].as_u64());
}

#[test]
fn what_is_kept_can_be_audited_again_and_tampering_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let net = dir.path().join("net");
    let net = net.to_str().unwrap();
    run_json(&["demo", "--payments", "200", "--chaos", "none", "--dir", net, "--json"]);
    let again = run_json(&["audit", "--dir", net, "--json"]);
    assert_eq!((&again["ok"], again["banks"].as_array().unwrap().len()), (&true.into(), 3));

    // A second demo does not write over it.
    let output = run(&["demo", "--payments", "1", "--dir", net]);
    check_refused(&output, 3, net);

    // One unit more on a customer's account, by hand.
    let file = format!("{net}/bank-alpha/bank.db");
    let connection = rusqlite::Connection::open(&file).unwrap();
    let changed = connection.execute(
        "UPDATE events SET after_credit_credits_posted = after_credit_credits_posted + 1
         WHERE timestamp = (SELECT max(timestamp) FROM events WHERE after_credit_credits_posted > 0)",
        [],
    );
    assert_eq!(changed.unwrap(), 1);
    drop(connection);
    let output = run(&["audit", "--dir", net, "--json"]);
    check_refused(&output, 1, "bank alpha");

    std::fs::remove_file(&file).unwrap();
    let output = run(&["audit", "--dir", net]);
    check_refused(&output, 3, "bank.db does not exist");
}

/// A byte that no longer is what it was is noticed, or it was one that nobody reads (free space of a page).
#[test]
fn bytes_flipped_in_a_data_file_are_noticed_or_do_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    let net = dir.path().join("net");
    let net = net.to_str().unwrap();
    run_json(&["demo", "--payments", "300", "--chaos", "none", "--dir", net, "--json"]);
    let before = run_json(&["audit", "--dir", net, "--json"]);
    let file = format!("{net}/bank-beta/bank.db");
    // A bank that stopped has its whole book in the one file: the log beside it can go.
    for side in ["wal", "shm"] {
        let _ = std::fs::remove_file(format!("{file}-{side}"));
    }
    assert_eq!(run_json(&["audit", "--dir", net, "--json"]), before);
    let sound = std::fs::read(&file).unwrap();
    let mut noticed = 0;
    for n in 0..40 {
        let place = (sound.len() / 41) * (n + 1) + n * 7;
        let mut flipped = sound.clone();
        flipped[place] ^= 1 << (n % 8);
        let _ = std::fs::remove_file(format!("{file}-wal"));
        std::fs::write(&file, &flipped).unwrap();
        let output = run(&["audit", "--dir", net, "--json"]);
        match output.status.code() {
            Some(0) => {
                let after: Value = serde_json::from_slice(&output.stdout).unwrap();
                assert_eq!(after, before, "byte {place} changed the books unnoticed");
            }
            Some(1 | 3) => {
                noticed += 1;
                assert_eq!(stderr(&output).lines().count(), 1, "byte {place}: {}", stderr(&output));
            }
            other => panic!("byte {place}: exit code {other:?}: {}", stderr(&output)),
        }
    }
    assert!(noticed >= 20, "{noticed} of 40 flipped bytes were noticed");
}

#[test]
fn an_interrupted_demo_leaves_no_process_behind() {
    let dir = tempfile::tempdir().unwrap();
    let net = dir.path().join("net");
    let demo = hundi()
        .args(["demo", "--payments", "200000", "--dir"])
        .arg(&net)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the nodes run", || net.join("coordinator-c2/log.txt").exists());
    assert_eq!(terminate(demo), Some(130));
    // A node that still ran would hold its lock, and the audit would say so.
    let output = run(&["audit", "--dir", net.to_str().unwrap()]);
    assert!(!stderr(&output).contains("in use"), "{}", stderr(&output));
}

/// Starts a demo whose temporary folder is within `temp`.
fn demo_within(temp: &std::path::Path) -> std::process::Child {
    let mut command = hundi();
    command.args(["demo", "--payments", "200000"]).env("TMPDIR", temp);
    command.stderr(std::process::Stdio::piped()).spawn().unwrap()
}

/// The only entry of a folder, once there is one.
fn only_entry(folder: &std::path::Path) -> Option<std::path::PathBuf> {
    std::fs::read_dir(folder).unwrap().next().map(|entry| entry.unwrap().path())
}

#[test]
fn a_demo_that_is_broken_off_at_any_moment_leaves_no_folder() {
    use rustix::process::{Pid, Signal, kill_process};
    // As soon as there is a folder, while keys are made, and when the nodes run.
    for (signal, late) in [
        (Signal::INT, None),
        (Signal::HUP, None),
        (Signal::INT, Some("network.toml")),
        (Signal::HUP, Some("coordinator-c2/log.txt")),
    ] {
        let temp = tempfile::tempdir().unwrap();
        let mut demo = demo_within(temp.path());
        wait_until("there is a folder", || only_entry(temp.path()).is_some());
        let folder = only_entry(temp.path()).unwrap();
        if let Some(late) = late {
            wait_until("it has come so far", || folder.join(late).exists());
        }
        kill_process(Pid::from_child(&demo), signal).unwrap();
        assert_eq!(wait_for(&mut demo), Some(130), "{signal:?} {late:?}");
        assert_eq!(only_entry(temp.path()), None, "{signal:?} {late:?}");
    }
}

#[test]
fn a_node_that_ends_by_itself_ends_the_demo_with_its_last_words() {
    let dir = tempfile::tempdir().unwrap();
    let net = dir.path().join("net");
    // A limit on the size of files: a write beyond it fails as on a full disk, and does not end the node without a word.
    let mut demo = std::process::Command::new("bash");
    demo.arg("-c").arg("ulimit -f 4096; exec \"$0\" \"$@\"").arg(env!("CARGO_BIN_EXE_hundi"));
    demo.args(["demo", "--payments", "200000", "--chaos", "none", "--dir"]).arg(&net);
    let mut demo =
        demo.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().unwrap();
    // Without a look at its nodes the demo would wait for answers for longer than this waits for the demo.
    assert_eq!(wait_for(&mut demo), Some(4));
    let output = demo.wait_with_output().unwrap();
    let text = stderr(&output);
    let words = ["bank/", "ended with exit code 4", "the node stops"];
    assert!(words.iter().all(|words| text.contains(words)), "{text}");
}
