//! Real processes for whole-system tests: a network made by `hundi init`, nodes started, killed and reaped.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    reason = "shared by several test binaries"
)]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

/// The program under test.
pub fn hundi() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hundi"));
    command.stdin(Stdio::null());
    command
}

/// Runs `hundi` to its end.
pub fn run(arguments: &[&str]) -> Output {
    hundi().args(arguments).output().unwrap()
}

/// Runs `hundi`, which must succeed, and reads its one JSON object.
pub fn run_json(arguments: &[&str]) -> Value {
    let output = run(arguments);
    assert!(output.status.success(), "hundi {arguments:?}: {}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A command that was refused: this exit code, and one line on stderr with these words.
pub fn check_refused(output: &Output, code: i32, words: &str) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "{words:?} is not in: {said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

/// Whether there is a strace; says so if there is none.
pub fn has_strace() -> bool {
    let found =
        Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    if !found {
        let _ = writeln!(std::io::stderr(), "SKIPPED: strace is not installed");
    }
    found
}

/// How long anything may take that must happen in the end. Far more than it needs: a busy machine is no failure.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// Waits until `is_so`.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A network in a folder of its own. Dropping it ends and reaps every node.
pub struct TestNetwork {
    pub dir: tempfile::TempDir,
    nodes: BTreeMap<String, Child>,
    ports: Ports,
}

impl TestNetwork {
    /// Makes a network; nothing runs yet.
    pub fn new(banks: &str, coordinators: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        assert!(banks.split(',').count() + coordinators <= usize::from(BLOCK));
        let network = Self { dir, nodes: BTreeMap::new(), ports: Ports::hold() };
        let coordinators = coordinators.to_string();
        let port = network.ports.first.to_string();
        let output = run(&[
            "init",
            network.path(),
            "--banks",
            banks,
            "--coordinators",
            &coordinators,
            "--first-port",
            &port,
        ]);
        assert!(output.status.success(), "{}", stderr(&output));
        network
    }

    pub fn path(&self) -> &str {
        self.dir.path().to_str().unwrap()
    }

    pub fn file(&self) -> String {
        self.dir.path().join("network.toml").display().to_string()
    }

    pub fn folder(&self, node: &str) -> PathBuf {
        self.dir.path().join(node)
    }

    /// The command that runs a node, which is named by its folder: `bank-alpha`, `coordinator-c1`.
    pub fn command(&self, node: &str) -> Command {
        let (role, name) = node.split_once('-').unwrap();
        let mut command = hundi();
        command.args([role, "--network", &self.file(), "--name", name, "--data"]).arg(self.folder(node));
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(self.folder(node).join("log.txt"));
        command.stdout(Stdio::null()).stderr(log.unwrap());
        command
    }

    pub fn start(&mut self, node: &str) {
        let mut command = self.command(node);
        self.start_as(node, &mut command);
    }

    /// Starts a node by a command of the test's, which may end before it listens.
    pub fn spawn_as(&mut self, node: &str, command: &mut Command) {
        let child = command.spawn().unwrap();
        assert!(self.nodes.insert(node.to_owned(), child).is_none(), "{node} runs already");
    }

    /// Starts a node by a command of the test's, and waits until it listens.
    pub fn start_as(&mut self, node: &str, command: &mut Command) {
        self.spawn_as(node, command);
        let address = self.address(node);
        wait_until(&format!("{node} listens; its log: {}", self.log(node)), || {
            std::net::TcpStream::connect(&address).is_ok()
        });
    }

    /// Where a node listens, from network.toml.
    pub fn address(&self, node: &str) -> String {
        let (role, name) = node.split_once('-').unwrap();
        let network = hundi_protocol::Network::load(Path::new(&self.file())).unwrap();
        let peer = hundi_protocol::Peer { role: role.parse().unwrap(), name: name.parse().unwrap() };
        network.node(&peer).unwrap().address.clone().unwrap()
    }

    /// SIGKILL.
    pub fn kill(&mut self, node: &str) {
        let mut child = self.nodes.remove(node).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM; returns the exit code.
    pub fn terminate(&mut self, node: &str) -> Option<i32> {
        let child = self.nodes.remove(node).unwrap();
        terminate(child)
    }

    /// What Linux tells of a node's thread, which has this name there: the folder in /proc.
    pub fn thread(&self, node: &str, name: &str) -> PathBuf {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.nodes[node].id())).unwrap();
        let is_it = |task: &PathBuf| std::fs::read_to_string(task.join("comm")).unwrap().trim() == name;
        tasks
            .map(|task| task.unwrap().path())
            .find(is_it)
            .unwrap_or_else(|| panic!("{node} has no thread {name}"))
    }

    /// Sends a node any signal.
    pub fn signal(&self, node: &str, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.nodes[node]), signal).unwrap();
    }

    /// Whether a node has ended by itself; it is reaped then.
    pub fn has_ended(&mut self, node: &str) -> bool {
        let ended = self.nodes.get_mut(node).unwrap().try_wait().unwrap().is_some();
        if ended {
            self.nodes.remove(node);
        }
        ended
    }

    /// Whether a node has not ended by itself.
    pub fn is_running(&mut self, node: &str) -> bool {
        self.nodes.get_mut(node).unwrap().try_wait().unwrap().is_none()
    }

    /// SIGTERM to a node that runs under another program, which ends with it.
    pub fn terminate_under(&mut self, node: &str) {
        signal_under(&self.nodes[node], rustix::process::Signal::TERM);
        self.wait(node);
    }

    /// Waits for a node to end by itself; returns the exit code.
    pub fn wait(&mut self, node: &str) -> Option<i32> {
        let mut child = self.nodes.remove(node).unwrap();
        wait_for(&mut child)
    }

    pub fn running(&self) -> Vec<String> {
        self.nodes.keys().cloned().collect()
    }

    pub fn terminate_all(&mut self) {
        // Coordinators before banks.
        for node in self.running().into_iter().rev() {
            assert_eq!(self.terminate(&node), Some(0), "{node}: {}", self.log(&node));
        }
    }

    pub fn log(&self, node: &str) -> String {
        std::fs::read_to_string(self.folder(node).join("log.txt")).unwrap_or_default()
    }

    /// Opens an account with a key file `<account>.key` in the folder, and puts money in.
    pub fn open(&self, account: &str, deposit: &str) {
        let key = self.key(account);
        let output =
            run(&["account", "open", account, "--currency", "INR", "--key", &key, "--network", &self.file()]);
        assert!(output.status.success(), "{}", stderr(&output));
        if deposit != "0" {
            let output = run(&["account", "deposit", account, deposit, "--network", &self.file()]);
            assert!(output.status.success(), "{}", stderr(&output));
        }
    }

    pub fn key(&self, account: &str) -> String {
        let keys = self.dir.path().join("keys");
        std::fs::create_dir_all(&keys).unwrap();
        keys.join(format!("{account}.key")).display().to_string()
    }

    /// The command `hundi pay` for one payment.
    pub fn pay(&self, from: &str, to: &str, amount: &str) -> Command {
        let mut command = hundi();
        command.args(["pay", "--network", &self.file(), "--from", from, "--to", to, "--amount", amount]);
        command.args(["--currency", "INR", "--key", &self.key(from), "--json"]);
        command
    }

    /// What a customer has, in minor units: with plain SQL, not with our own code.
    pub fn balance(&self, account: &str) -> i64 {
        let (name, bank) = account.split_once('@').unwrap();
        let sql = format!("SELECT credits_posted - debits_posted FROM v_accounts WHERE name = '{name}'");
        self.sql(bank, &sql)
    }

    /// One number from a bank's file.
    pub fn sql(&self, bank: &str, sql: &str) -> i64 {
        let file = self.folder(&format!("bank-{bank}")).join("bank.db");
        let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// Posted credits less debits of all clearing accounts: zero when nothing is in flight (R10).
    pub fn clearing(&self, banks: &[&str]) -> i64 {
        let sql = "SELECT coalesce(sum(credits_posted - debits_posted), 0) FROM v_accounts WHERE name LIKE '#clearing-%'";
        banks.iter().map(|bank| self.sql(bank, sql)).sum()
    }

    /// Money on hold for payments whose outcome the bank does not know.
    pub fn held(&self, banks: &[&str]) -> i64 {
        let sql = "SELECT coalesce(sum(debits_pending + credits_pending), 0) FROM v_accounts WHERE name NOT LIKE '#%'";
        banks.iter().map(|bank| self.sql(bank, sql)).sum()
    }

    /// The audit, which must be ok.
    pub fn audit(&self) -> Value {
        let report = run_json(&["audit", "--dir", self.path(), "--json"]);
        assert_eq!(report["ok"], true, "{report}");
        report
    }
}

impl Drop for TestNetwork {
    fn drop(&mut self) {
        for child in self.nodes.values_mut() {
            signal_under(child, rustix::process::Signal::KILL);
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Signals the program that runs under another one, if there is one still.
fn signal_under(outer: &Child, signal: rustix::process::Signal) {
    let outer = outer.id();
    let children =
        std::fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).unwrap_or_default();
    for inner in
        children.split_whitespace().filter_map(|pid| rustix::process::Pid::from_raw(pid.parse().ok()?))
    {
        let _ = rustix::process::kill_process(inner, signal);
    }
}

pub fn terminate(mut child: Child) -> Option<i32> {
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    wait_for(&mut child)
}

/// The exit code of a process that should end soon.
pub fn wait_for(child: &mut Child) -> Option<i32> {
    let mut status = None;
    wait_until("a process ends", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap().code()
}

/// Ports that nobody else takes, below those of `hundi demo` and of outgoing calls.
const PORTS: std::ops::Range<u16> = 10_000..18_000;
/// So many ports go together; no network of a test has more nodes.
const BLOCK: u16 = 16;

/// A block of ports, held for as long as this lives: other tests, of this program and of others, take other blocks,
/// also while a node is down and its port looks free.
pub struct Ports {
    pub first: u16,
    _held: std::fs::File,
}

impl Ports {
    pub fn hold() -> Self {
        let dir = std::env::temp_dir().join("hundi-test-ports");
        std::fs::create_dir_all(&dir).unwrap();
        let blocks = (PORTS.end - PORTS.start) / BLOCK;
        let mut seed = [0; 2];
        getrandom::fill(&mut seed).unwrap();
        let start = u16::from_le_bytes(seed) % blocks;
        for n in 0..blocks {
            let first = PORTS.start + (start + n) % blocks * BLOCK;
            let held = std::fs::File::create(dir.join(first.to_string())).unwrap();
            let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
            if held.try_lock().is_ok() && (first..first + BLOCK).all(free) {
                return Self { first, _held: held };
            }
        }
        panic!("no free ports in {PORTS:?}");
    }
}

/// Money in words of `hundi`: 12.50 for 1250.
pub fn rupees(minor: i64) -> String {
    format!("{}.{:02}", minor / 100, minor % 100)
}
