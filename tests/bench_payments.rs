//! `hundi bench payments` when one of its nodes is killed: it is no figure, and is told at once.
#![cfg(target_os = "linux")] // The nodes are found in /proc.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use common::{check_refused, hundi, wait_for, wait_until};
use rusqlite::{Connection, OpenFlags};
use rustix::process::{Pid, Signal, kill_process};

/// The processes that `parent` has started and not yet reaped.
fn children(parent: &Child) -> Vec<i32> {
    let threads = std::fs::read_dir(format!("/proc/{}/task", parent.id())).into_iter().flatten();
    let lists = threads.map(|thread| std::fs::read_to_string(thread.unwrap().path().join("children")));
    lists
        .flat_map(Result::ok)
        .flat_map(|list| list.split(' ').flat_map(str::parse).collect::<Vec<_>>())
        .collect()
}

/// The process among `children` whose command line names `folder`.
fn node_of(children: &[i32], folder: &Path) -> Pid {
    let names = |pid: &&i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).split('\0').any(|word| Path::new(word).ends_with(folder))
    };
    Pid::from_raw(*children.iter().find(names).unwrap()).unwrap()
}

/// The folder of the run's first bank, once there is one.
fn first_bank(dir: &Path) -> Option<PathBuf> {
    let run = std::fs::read_dir(dir).unwrap().next()?.unwrap().path();
    let banks = std::fs::read_dir(run).unwrap().map(|entry| entry.unwrap().path());
    banks.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("bank-")).min()
}

/// How many transfers a bank's file has by now.
fn transfers(bank: &Path) -> i64 {
    let Ok(file) = Connection::open_with_flags(bank.join("bank.db"), OpenFlags::SQLITE_OPEN_READ_ONLY) else {
        return 0;
    };
    file.query_row("SELECT count(*) FROM v_transfers", [], |row| row.get(0)).unwrap_or(0)
}

#[test]
fn a_killed_bank_is_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = hundi();
    command.args(["bench", "payments", "--seconds", "20"]).env("TMPDIR", dir.path());
    let mut bench = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let bank = || first_bank(dir.path());
    wait_until("payments are made", || bank().is_some_and(|bank| transfers(&bank) > 1_500));
    let bank = bank().unwrap();
    let nodes = children(&bench);
    kill_process(node_of(&nodes, Path::new(bank.file_name().unwrap())), Signal::KILL).unwrap();
    let killed = Instant::now();
    wait_for(&mut bench);
    // Between two looks, or while it signs orders. Payments of a bank that is gone would go on for a minute and more.
    assert!(killed.elapsed() < Duration::from_secs(45), "{:?}", killed.elapsed());
    let output = bench.wait_with_output().unwrap();
    assert!(output.stdout.is_empty(), "{output:?}");
    check_refused(&output, 4, "ended by signal 9");
    assert!(nodes.iter().all(|pid| !Path::new(&format!("/proc/{pid}")).exists()), "no node is left");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "no folder is left");
}
