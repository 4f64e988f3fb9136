//! A bank dies at each of its writes, one after the other: what it had said is there, and nothing is half done.
//!
//! `strace` ends the bank with SIGKILL in the middle of its n-th write to a file, before the bytes reach it, and of its n-th sync.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{TestNetwork, has_strace, hundi, wait_until};

/// Long enough that a bank takes its disk for a slow one after the first commit, and leaves writing to the disk's thread.
const SLOW_SYNC: &str = "fdatasync:delay_exit=80000"; // µs

/// Runs the bank under strace, which kills it when one of its threads calls `call` for the `n`th time, and may make each
/// sync slow.
fn killed_at(network: &TestNetwork, node: &str, call: &str, n: u32, slow: bool) -> Command {
    let kill = format!("{call}:error=EIO:signal=KILL:when={n}");
    let injections = [kill.as_str(), SLOW_SYNC];
    under_strace(network, node, "pwrite64,fdatasync", &injections[..if slow { 2 } else { 1 }])
}

/// Runs the bank under strace, which sees those calls, and does to them what it is told.
fn under_strace(network: &TestNetwork, node: &str, calls: &str, injections: &[&str]) -> Command {
    let inner = network.command(node);
    let mut command = Command::new("strace");
    command.args(["-f", "-q", "-Y", "-y", "-o"]).arg(trace_of(network, node));
    command.args(["-e", &format!("trace={calls}")]);
    for injection in injections {
        command.args(["-e", &format!("inject={injection}")]);
    }
    command
        .arg("--")
        .arg(inner.get_program())
        .args(inner.get_args())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let log = std::fs::OpenOptions::new().append(true).open(network.folder(node).join("log.txt")).unwrap();
    command.stderr(log);
    command
}

/// A bank for each of two customers, who have as much.
fn two_customers() -> TestNetwork {
    let mut network = TestNetwork::new("alpha,beta", 1);
    ["bank-alpha", "bank-beta", "coordinator-c1"].iter().for_each(|node| network.start(node));
    network.open("asha@alpha", "1000.00");
    network.open("bela@beta", "1000.00");
    network
}

/// What strace saw, a call a line: `4711<disk> pwrite64(13</path/bank.db-wal>, …) = 4096`.
fn trace_of(network: &TestNetwork, node: &str) -> PathBuf {
    network.folder(node).join("strace.txt")
}

#[test]
fn a_bank_killed_at_each_write_step_keeps_its_word() {
    if !has_strace() {
        return;
    }
    let mut network = two_customers();
    let (mut paid, mut died) = (0, 0);
    for bank in ["bank-alpha", "bank-beta"] {
        for call in ["pwrite64", "fdatasync"] {
            for n in (1..=12).step_by(if call == "pwrite64" { 2 } else { 3 }) {
                network.terminate(bank);
                network.spawn_as(bank, &mut killed_at(&network, bank, call, n, false));
                let (paying, ended) = pay(&mut network, bank);
                died += u32::from(ended);
                if !ended {
                    network.terminate_under(bank); // It has fewer such steps for one payment.
                }
                network.start(bank);
                settle(&network, paying, &mut paid, &format!("{bank} at {call} {n}"));
            }
        }
    }
    assert!(died >= 8, "the bank died at {died} steps only");
    network.terminate_all();
    network.audit();
}

#[test]
fn a_bank_that_leaves_writing_to_its_disk_thread_keeps_its_word_too() {
    if !has_strace() {
        return;
    }
    let mut network = two_customers();
    let (mut paid, mut died_in_log) = (0, 0);
    // More than the first commit's writes, which are the core's own.
    for n in (60..=180).step_by(17) {
        network.terminate("bank-beta");
        network.spawn_as("bank-beta", &mut killed_at(&network, "bank-beta", "pwrite64", n, true));
        let dying = loop {
            let (paying, ended) = pay(&mut network, "bank-beta");
            if ended {
                break paying;
            }
            paid += i64::from(status(paying) == "commit");
        };
        let last = last_write(&network, "bank-beta");
        assert!(last.contains("<disk> pwrite64("), "not the disk's thread, but: {last}");
        died_in_log += u32::from(last.contains("bank.db-wal>"));
        network.start("bank-beta");
        settle(&network, dying, &mut paid, &format!("at write {n}"));
    }
    assert!(died_in_log >= 3, "the bank died {died_in_log} times in the log only");
    network.terminate_all();
    network.audit();
}

#[test]
fn a_bank_whose_disk_thread_cannot_sync_ends_and_keeps_its_word() {
    const ORDERS: i64 = 120;
    if !has_strace() {
        return;
    }
    let (mut failed_on_thread, mut paid, mut run) = (0, 0, 0);
    let mut network = two_customers();
    // Until it is not the core's own sync, or one of SQLite's, that fails first.
    for n in (2..=9).cycle().take(16) {
        if failed_on_thread > 0 {
            break;
        }
        run += 1;
        network.terminate("bank-beta");
        let fail = format!("fdatasync:error=EIO:when={n}+");
        let mut command = under_strace(&network, "bank-beta", "fdatasync", &[&fail]);
        network.spawn_as("bank-beta", &mut command);
        let paying = pay_many(&network, ORDERS, run);
        wait_until("the bank ends", || network.has_ended("bank-beta"));
        let trace = std::fs::read_to_string(trace_of(&network, "bank-beta")).unwrap();
        // At the end it leaves word beside its file, and tries to sync that.
        let of_file = |line: &&str| line.contains("bank.db") && !line.contains("bank.db.lock");
        let failed: Vec<&str> =
            trace.lines().filter(of_file).filter(|line| line.contains("(INJECTED)")).collect();
        assert_eq!(failed.len(), 1, "a sync that failed is not tried again: {failed:?}");
        let log = network.log("bank-beta");
        let log = &log[log.rfind("hundi: ").expect("the bank says why it ends")..];
        assert!(log.starts_with("hundi: the commit may or may not be on disk: "), "{log}");
        if log.contains("syncing the log: Input/output error") {
            failed_on_thread += 1;
            assert!(failed[0].contains("<disk> fdatasync("), "{failed:?}");
        }
        network.start("bank-beta");
        let output = paying.wait_with_output().unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["unknown"], 0, "{report}");
        paid += report["committed"].as_i64().unwrap();
        wait_until("nothing is on hold", || network.held(&["alpha", "beta"]) == 0);
        assert_eq!(network.balance("bela@beta"), 100_000 + 100 * paid, "{report}");
        assert_eq!(network.balance("asha@alpha"), 100_000 - 100 * paid, "{report}");
    }
    assert!(failed_on_thread > 0, "no sync of what the core had written failed");
    network.terminate_all();
    network.audit();
}

#[test]
fn a_bank_says_nothing_of_what_its_disk_thread_has_not_synced() {
    if !has_strace() {
        return;
    }
    let mut network = two_customers();
    let held = (1..=6).map_while(|run| says_nothing_while_held(&network, run)).find(|held| *held);
    match held {
        Some(_) => {}
        None if may_attach(&network) => panic!("the thread was never held in the sync of votes"),
        None => eprintln!("SKIPPED: strace may not attach to a process here"),
    }
    network.terminate_all();
    network.audit();
}

/// Pays while beta's disk thread is held in its next sync, and looks whether anybody hears of votes that wait for it. `false`
/// if it was held with something else, as the copying of the log; `None` if it cannot be held.
fn says_nothing_while_held(network: &TestNetwork, run: i64) -> Option<bool> {
    let disk = network.thread("bank-beta", "disk");
    let status = || std::fs::read_to_string(disk.join("status")).unwrap();
    wait_until("the log is copied", || {
        let before = status();
        std::thread::sleep(Duration::from_secs(1));
        before == status()
    });
    let hold = Hold::take(&disk, &trace_of(network, "bank-beta"))?;
    let paying = pay_many(network, 120, run);
    // Payers' banks are asked last, so alpha knows the payments that beta has voted on, and said so.
    let votes = || ["alpha", "beta"].map(|bank| network.sql(bank, "SELECT count(*) FROM payments"));
    let is_ahead = || votes()[0] < votes()[1];
    wait_until("the thread is held", || status().contains("State:\tt "));
    std::thread::sleep(Duration::from_millis(500)); // Until orders have come, if it is the log's copying that is held.
    let was_ahead = is_ahead();
    std::thread::sleep(Duration::from_secs(2)); // Enough to be told.
    assert!(status().contains("State:\tt "), "it is held still");
    assert!(
        !was_ahead || is_ahead(),
        "alpha and beta have voted {:?}: beta said what a power cut can take back",
        votes()
    );
    drop(hold);
    let output = paying.wait_with_output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["unknown"], 0, "{report}");
    Some(was_ahead)
}

/// Whether strace can take hold of a process that is not its child: not everybody may, on some systems.
fn may_attach(network: &TestNetwork) -> bool {
    Hold::take(&network.thread("bank-beta", "disk"), &trace_of(network, "bank-beta")).is_some()
}

/// strace, holding a thread where it would sync, until it is dropped.
struct Hold(Child);

impl Hold {
    fn take(thread: &Path, trace: &Path) -> Option<Self> {
        let mut strace = Command::new("strace");
        strace.args(["-q", "-e", "trace=fdatasync", "-e", "inject=fdatasync:delay_enter=100000000", "-o"]); // µs
        let mut hold = Self(strace.arg(trace).arg("-p").arg(thread.file_name().unwrap()).spawn().unwrap());
        let (mut has_it, mut ended) = (false, false);
        wait_until("strace has the thread, or may not have it", || {
            has_it = !std::fs::read_to_string(thread.join("status")).unwrap().contains("TracerPid:\t0\n");
            ended = hold.0.try_wait().unwrap().is_some();
            has_it || ended
        });
        (!ended).then_some(hold)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts to pay so many orders at once.
fn pay_many(network: &TestNetwork, orders: i64, run: i64) -> Child {
    let path = network.dir.path().join(format!("orders-{run}.csv"));
    let line = |n| format!("{},alpha,asha,beta,bela,1.00,INR,rent\n", 1000 * run + n);
    let header = "order_id,payer_bank,payer_account,payee_bank,payee_account,amount,currency,purpose\n";
    std::fs::write(&path, header.to_owned() + &(0..orders).map(line).collect::<String>()).unwrap();
    let mut command = hundi();
    command.args(["pay", "--network", &network.file(), "--keys"]).arg(network.dir.path().join("keys"));
    command.arg("--orders").arg(path).arg("--json").stdout(Stdio::piped()).spawn().unwrap()
}

/// The write in which a bank died: it has no result, and none comes after it, for one thread writes at a time.
fn last_write(network: &TestNetwork, node: &str) -> String {
    let trace = std::fs::read_to_string(trace_of(network, node)).unwrap();
    let last = trace.lines().rfind(|line| line.contains("pwrite64(")).unwrap();
    assert!(last.ends_with(" = ?") || last.ends_with("<unfinished ...>"), "it was written: {last}");
    last.to_owned()
}

/// Makes a payment until a bank dies of it or it is answered; says whether the bank died.
fn pay(network: &mut TestNetwork, dying: &str) -> (Child, bool) {
    let mut paying = network.pay("asha@alpha", "bela@beta", "1.00").stdout(Stdio::piped()).spawn().unwrap();
    let mut ended = false;
    wait_until("the bank dies, or answers", || {
        let answered = paying.try_wait().unwrap().is_some();
        ended = network.has_ended(dying);
        ended || answered
    });
    (paying, ended)
}

/// Once every bank is up again: the payment ends, and both customers have what the payments that were told give them.
fn settle(network: &TestNetwork, paying: Child, paid: &mut i64, step: &str) {
    let status = status(paying);
    assert_ne!(status, "unknown", "{step}");
    *paid += i64::from(status == "commit");
    wait_until("nothing is on hold", || network.held(&["alpha", "beta"]) == 0);
    assert_eq!(network.balance("bela@beta"), 100_000 + 100 * *paid, "{step}");
    assert_eq!(network.balance("asha@alpha"), 100_000 - 100 * *paid, "{step}");
}

/// What a payment is said to have come to.
fn status(paying: Child) -> String {
    let output = paying.wait_with_output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    report["status"].as_str().unwrap().to_owned()
}
