//! A bank dies at each of its writes, one after the other: what it had said is there, and nothing is half done.
//!
//! `strace` ends the bank with SIGKILL in the middle of its n-th write to a file, before the bytes reach it, and of its n-th sync.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::Write as _;
use std::process::{Command, Stdio};

use common::{TestNetwork, wait_until};

/// Runs the bank under strace, which kills it at the `n`th call of `name`.
fn killed_at(network: &TestNetwork, node: &str, call: &str, n: u32) -> Command {
    let inner = network.command(node);
    let mut command = Command::new("strace");
    command.args(["-f", "-q", "-o", "/dev/null", "-e", &format!("trace={call}")]);
    command.args(["-e", &format!("inject={call}:error=EIO:signal=KILL:when={n}"), "--"]);
    command.arg(inner.get_program()).args(inner.get_args()).stdin(Stdio::null()).stdout(Stdio::null());
    let log = std::fs::OpenOptions::new().append(true).open(network.folder(node).join("log.txt")).unwrap();
    command.stderr(log);
    command
}

#[test]
fn a_bank_killed_at_each_write_step_keeps_its_word() {
    if !Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        let _ = writeln!(std::io::stderr(), "SKIPPED: strace is not installed");
        return;
    }
    let mut network = TestNetwork::new("alpha,beta", 1);
    ["bank-alpha", "bank-beta", "coordinator-c1"].iter().for_each(|node| network.start(node));
    network.open("asha@alpha", "1000.00");
    network.open("bela@beta", "1000.00");
    let (mut paid, mut died) = (0, 0);
    for bank in ["bank-alpha", "bank-beta"] {
        for call in ["pwrite64", "fdatasync"] {
            for n in (1..=12).step_by(if call == "pwrite64" { 2 } else { 3 }) {
                network.terminate(bank);
                network.spawn_as(bank, &mut killed_at(&network, bank, call, n));
                let mut paying =
                    network.pay("asha@alpha", "bela@beta", "1.00").stdout(Stdio::piped()).spawn().unwrap();
                let (mut ended, mut answered) = (false, false);
                wait_until("the bank dies, or answers", || {
                    answered = paying.try_wait().unwrap().is_some();
                    ended = network.has_ended(bank);
                    ended || answered
                });
                died += u32::from(ended);
                if !ended {
                    network.terminate_under(bank); // It has fewer such steps for one payment.
                }
                network.start(bank);
                let output = paying.wait_with_output().unwrap();
                let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
                assert_ne!(report["status"], "unknown", "{bank} at {call} {n}: {report}");
                paid += i64::from(report["status"] == "commit");
                wait_until("nothing is on hold", || network.held(&["alpha", "beta"]) == 0);
                assert_eq!(network.balance("bela@beta"), 100_000 + 100 * paid, "{bank} at {call} {n}");
                assert_eq!(network.balance("asha@alpha"), 100_000 - 100 * paid, "{bank} at {call} {n}");
            }
        }
    }
    assert!(died >= 8, "the bank died at {died} steps only");
    network.terminate_all();
    network.audit();
}
