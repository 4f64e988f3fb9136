//! One node as a child process: started, killed, stopped, and always reaped.

use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use hundi_protocol::Peer;
use rustix::process::{Pid, Signal, kill_process};

use crate::failure::{Failure, While as _};

/// How often to look whether a process has ended.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How much of a log's end is read for its last line.
const LOG_TAIL: u64 = 4096;

/// A node that runs. It holds the other end of the node's stdin: the node stops when this program is gone.
#[derive(Debug)]
pub(super) struct NodeProcess {
    peer: Peer,
    child: Child,
    log: PathBuf,
}

impl NodeProcess {
    /// Starts this same binary with `arguments`; what it prints is added to the log.
    pub(super) fn start(peer: &Peer, arguments: &[String], log: &Path) -> Result<Self, Failure> {
        let open = || OpenOptions::new().create(true).append(true).open(log);
        let cannot = || format!("cannot start {peer}");
        let out = open().or_fail(|| format!("cannot write {}", log.display()))?;
        let errors = out.try_clone().or_fail(cannot)?;
        let child = Command::new(std::env::current_exe().or_fail(cannot)?)
            .args(arguments)
            .arg("--until-stdin-closes")
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(errors)
            .spawn()
            .or_fail(cannot)?;
        Ok(Self { peer: peer.clone(), child, log: log.to_owned() })
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and wait for the end.
    pub(super) fn kill(mut self) -> Result<(), Failure> {
        let peer = self.peer.clone();
        let killed = self.child.kill().and_then(|()| self.child.wait());
        killed.map(|_| ()).or_fail(|| format!("cannot kill {peer}"))
    }

    /// SIGTERM.
    pub(super) fn terminate(&self) -> Result<(), Failure> {
        let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) else { return Ok(()) };
        kill_process(pid, Signal::TERM).or_fail(|| format!("cannot stop {}", self.peer))
    }

    /// Fails if the process has ended by itself.
    pub(super) fn check(&mut self) -> Result<(), Failure> {
        match self.child.try_wait().or_fail(|| format!("cannot look after {}", self.peer))? {
            Some(status) => Err(self.ended(status)),
            None => Ok(()),
        }
    }

    /// Waits for the end that it was told to come to.
    pub(super) fn wait_until(&mut self, deadline: Instant) -> Result<(), Failure> {
        loop {
            match self.child.try_wait().or_fail(|| format!("cannot wait for {}", self.peer))? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(self.ended(status)),
                None if Instant::now() >= deadline => {
                    let (peer, log) = (&self.peer, self.log.display());
                    return Err(Failure::outside(format_args!(
                        "{peer} did not stop on SIGTERM; its log is {log}"
                    )));
                }
                None => std::thread::sleep(LOOK_EVERY),
            }
        }
    }

    fn ended(&self, status: ExitStatus) -> Failure {
        let how = match (status.code(), status.signal()) {
            (Some(code), _) => format!("with exit code {code}"),
            (None, Some(signal)) => format!("by signal {signal}"),
            (None, None) => "for no known reason".to_owned(),
        };
        let last = self.last_line().unwrap_or_default();
        let (peer, log) = (&self.peer, self.log.display());
        Failure::outside(format_args!("{peer} ended {how}; its log {log} ends with: {last}"))
    }

    fn last_line(&self) -> Option<String> {
        let mut log = std::fs::File::open(&self.log).ok()?;
        let size = log.metadata().ok()?.len();
        log.seek(SeekFrom::Start(size.saturating_sub(LOG_TAIL))).ok()?;
        let mut tail = Vec::new();
        log.read_to_end(&mut tail).ok()?;
        String::from_utf8_lossy(&tail).lines().rev().find(|line| !line.trim().is_empty()).map(str::to_owned)
    }
}

impl Drop for NodeProcess {
    /// Whatever happens to this program's flow, no child outlives it and none is left unreaped.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
