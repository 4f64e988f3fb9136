//! `hundi bench ledger` killed in the middle: what it had acknowledged is in the file, and was synced before it was said.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use common::{check_refused, has_strace, hundi, run, run_json, stderr, wait_for, wait_until};
use hundi_ledger::{Ledger, QueryFilter, Reads as _, TransferId, sqlite};

/// A place for a run, and what is in it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("app.db")
    }

    fn list(&self) -> PathBuf {
        self.0.path().join("ids.txt")
    }

    /// Arguments of a run that keeps its file and lists what it acknowledges.
    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let (file, list) = (self.file(), self.list());
        let kept = ["--file", file.to_str().unwrap(), "--acknowledged", list.to_str().unwrap()];
        [&["bench", "ledger", "--accounts", "100"], &kept[..], more]
            .concat()
            .iter()
            .map(|&a| a.into())
            .collect()
    }

    /// Every line that the list has in full.
    fn acknowledged(&self) -> Vec<TransferId> {
        let text = std::fs::read_to_string(self.list()).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| TransferId(u128::from_str_radix(line, 16).unwrap())).collect()
    }

    fn verify(&self) -> Output {
        run(&["ledger", "verify", self.file().to_str().unwrap(), "--holds", self.list().to_str().unwrap()])
    }
}

/// Starts a run that would go on for minutes, kills it once it has acknowledged something, and looks at the file.
fn check_killed(more: &[&str], at_least: usize) {
    let place = Place::new();
    let endless = [&["--transfers", "20000000"], more].concat();
    let mut child =
        hundi().args(place.arguments(&endless)).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("something is acknowledged", || {
        assert!(child.try_wait().unwrap().is_none(), "{more:?}: it ended by itself");
        place.acknowledged().len() >= at_least
    });
    child.kill().unwrap(); // SIGKILL
    assert_eq!(wait_for(&mut child), None, "killed");

    let acknowledged = place.acknowledged();
    let output = place.verify();
    assert!(output.status.success(), "{more:?}: {}", stderr(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains(&format!("all {} listed transfers are in it", acknowledged.len())), "{said}");

    // The same without the command that is under test.
    let ledger = Ledger::open(place.file()).unwrap();
    let found = ledger.lookup_transfers(&acknowledged).unwrap();
    assert_eq!(found.len(), acknowledged.len(), "{more:?}");
    let accounts = ledger.query_accounts(&QueryFilter::all(1_000)).unwrap();
    assert_eq!(accounts.len(), 100);
    let sum = |side: fn(&hundi_ledger::Account) -> u128| accounts.iter().map(side).sum::<u128>();
    let (debits, credits) = (sum(|account| account.debits_posted.0), sum(|account| account.credits_posted.0));
    let (owed, due) = (sum(|account| account.debits_pending.0), sum(|account| account.credits_pending.0));
    assert!(debits > 0 && debits == credits && owed == due, "{debits} {credits} {owed} {due}");
    drop(ledger);
    assert!(sqlite::verify(place.file()).unwrap().transfers >= acknowledged.len() as u64);

    // And a transfer that nobody made is missed.
    let mut list = std::fs::OpenOptions::new().append(true).open(place.list()).unwrap();
    let unfinished = std::fs::read(place.list()).unwrap().iter().rposition(|byte| *byte == b'\n').unwrap();
    list.set_len(unfinished as u64 + 1).unwrap();
    writeln!(list, "{:032x}", 17).unwrap();
    let output = place.verify();
    check_refused(&output, 1, "00000011 is not in it");
}

#[test]
fn whole_batches_killed_in_the_middle() {
    check_killed(&["--batch", "500"], 5_000);
}

#[test]
fn random_ids_in_two_phases_killed_in_the_middle() {
    check_killed(&["--batch", "100", "--ids", "random", "--pending-percent", "30"], 4_000);
}

#[test]
fn callers_killed_in_the_middle() {
    check_killed(&["--callers", "16"], 500);
}

#[test]
fn a_kept_file_is_never_one_that_was_there() {
    for name in ["app.db", "ids.txt"] {
        let place = Place::new();
        std::fs::write(place.0.path().join(name), "mine").unwrap();
        let output = hundi().args(place.arguments(&["--transfers", "10"])).output().unwrap();
        check_refused(&output, 3, name);
        assert_eq!(std::fs::read_to_string(place.0.path().join(name)).unwrap(), "mine");
        assert_eq!(std::fs::read_dir(place.0.path()).unwrap().count(), 1, "nothing is left beside it");
    }
    let place = Place::new();
    std::os::unix::fs::symlink(place.0.path().join("nothing"), place.file()).unwrap();
    let output = hundi().args(place.arguments(&["--transfers", "10"])).output().unwrap();
    check_refused(&output, 3, "app.db: a link is there already");
    assert_eq!(std::fs::read_dir(place.0.path()).unwrap().count(), 1, "nothing is left beside it");
    let place = Place::new();
    let (file, list) = (place.file(), place.0.path().join(".").join("app.db"));
    let mut command = hundi();
    command
        .args(["bench", "ledger", "--transfers", "10", "--file"])
        .arg(file)
        .arg("--acknowledged")
        .arg(list);
    let output = command.output().unwrap();
    check_refused(&output, 2, "are the same file");
    assert_eq!(std::fs::read_dir(place.0.path()).unwrap().count(), 0, "nothing is left");
    let arguments = place.arguments(&["--transfers", "1000", "--batch", "100", "--json"]);
    let report = run_json(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(report["transfers"], 1_000);
    assert_eq!(place.acknowledged().len(), 1_000);
    assert!(place.verify().status.success() && place.file().exists(), "it is kept");
}

/// `strace` with these options over a run; `None` if there is none on this machine.
fn traced(place: &Place, options: &[&str], more: &[&str]) -> Option<Output> {
    if !has_strace() {
        return None;
    }
    let mut command = Command::new("strace");
    command.args(["-f", "-y"]).args(options).arg(hundi().get_program()).args(place.arguments(more));
    Some(command.output().unwrap())
}

/// Of a caller who waits for each answer: between two of its lines a sync of the log was begun and returned.
#[test]
fn each_answer_to_a_caller_follows_a_sync() {
    let place = Place::new();
    let trace = place.0.path().join("trace.txt");
    let options = ["-e", "trace=fdatasync,write", "-o", trace.to_str().unwrap()];
    let Some(output) = traced(&place, &options, &["--callers", "2", "--transfers", "300"]) else { return };
    assert!(output.status.success(), "{}", stderr(&output));
    let (log, list) = (format!("<{}-wal>", place.file().display()), format!("<{}>", place.list().display()));
    let mut began: HashMap<&str, usize> = HashMap::new(); // By thread: where its unfinished sync began.
    let mut synced = 0; // Where the newest sync began that has returned.
    let mut lines: HashMap<&str, usize> = HashMap::new(); // By thread: where its last line was written.
    let mut count = 0;
    let text = std::fs::read_to_string(&trace).unwrap();
    for (at, line) in (1..).zip(text.lines()) {
        let (thread, call) = line.split_once(' ').unwrap();
        let call = call.trim_start();
        if call.starts_with("fdatasync") && call.contains(&log) {
            began.insert(thread, at);
        }
        if call.contains("fdatasync") && call.ends_with(" = 0") {
            synced = synced.max(began.remove(thread).unwrap_or(0));
        }
        if call.starts_with("write(") && call.contains(&list) {
            count += 1;
            let before = lines.insert(thread, at).unwrap_or(0);
            assert!(synced > before, "line {at}: acknowledged without a sync since line {before}:\n{text}");
        }
    }
    assert_eq!(count, 300, "one write for each acknowledgement");
}

#[test]
fn what_could_not_be_synced_is_not_acknowledged() {
    for (more, nth, at_once) in
        [(["--batch", "100"], 9, 100), (["--batch", "100"], 20, 100), (["--callers", "2"], 30, 2)]
    {
        let place = Place::new();
        let inject = format!("inject=fdatasync:error=EIO:when={nth}+");
        let options = ["-q", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", &inject];
        let Some(output) = traced(&place, &options, &more) else { return };
        check_refused(&output, 4, "may or may not be on disk");
        // The kernel shows to whoever reads what it could not sync: so the file has more than was acknowledged.
        let in_file = sqlite::verify(place.file()).unwrap().transfers;
        let unsaid = in_file - place.acknowledged().len() as u64;
        assert!(unsaid > 0 && unsaid <= at_once, "{more:?}, sync {nth}: {unsaid} of {in_file}");
        assert!(in_file > at_once && place.verify().status.success());
    }
}
