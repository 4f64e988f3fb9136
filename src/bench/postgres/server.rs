//! A PostgreSQL server of our own: made, started, stopped, removed.

use std::fs::{File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};

use super::connection::Connection;
use crate::failure::{Failure, While as _};

/// How long a server may take until it answers, and until it has stopped.
const READY_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Where distributions install the servers' binaries.
const PLACES: [&str; 2] = ["/usr/lib/postgresql", "/usr/local/pgsql"];

/// Durable as by default, and with room: nothing here makes the server slower.
const SETTINGS: [&str; 11] = [
    "listen_addresses=",
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "max_prepared_transactions=256",
    "max_connections=256",
    "shared_buffers=256MB",
    "max_wal_size=4GB",
    "checkpoint_timeout=30min",
    "lock_timeout=1s",
    "log_min_messages=fatal",
];

/// The installed binaries.
#[derive(Debug)]
pub(crate) struct Installed {
    bin: PathBuf,
    /// For example `PostgreSQL 15.14`.
    pub(super) version: String,
}

/// Finds the binaries.
///
/// # Errors
/// One clear line when there are none.
pub(crate) fn find() -> Result<Installed, Failure> {
    let mut places: Vec<PathBuf> = std::env::var_os("PATH")
        .iter()
        .flat_map(|path| std::env::split_paths(path).collect::<Vec<_>>())
        .collect();
    for place in PLACES {
        places.push(Path::new(place).join("bin"));
        let versions = std::fs::read_dir(place).into_iter().flatten().flatten();
        let mut versions: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
        versions.sort();
        places.extend(versions.into_iter().rev());
    }
    let has = |place: &Path, name| place.join(name).is_file();
    let Some(bin) = places.into_iter().find(|place| has(place, "initdb") && has(place, "postgres")) else {
        return Err(Failure::outside(
            "PostgreSQL is not installed: no `initdb` and `postgres` in PATH or in /usr/lib/postgresql/*/bin; \
             install it (Debian: apt-get install postgresql), or leave --peer out",
        ));
    };
    let output = Command::new(bin.join("postgres")).arg("--version").output();
    let output = output.or_fail(|| format!("cannot run {}", bin.join("postgres").display()))?;
    let text = String::from_utf8_lossy(&output.stdout).replace(['(', ')'], "");
    let version = text.split_whitespace().nth(2).unwrap_or("of an unknown version").to_owned();
    Ok(Installed { bin, version: format!("PostgreSQL {version}") })
}

/// The servers refuse to run as root: then this is who they run as.
#[derive(Clone, Copy, Debug)]
struct User {
    uid: u32,
    gid: u32,
}

fn other_user() -> Result<Option<User>, Failure> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd").or_fail(|| "cannot read /etc/passwd".to_owned())?;
    let user = |name: &str| {
        let fields: Vec<&str> =
            users.lines().find(|line| line.split(':').next() == Some(name))?.split(':').collect();
        Some(User { uid: fields.get(2)?.parse().ok()?, gid: fields.get(3)?.parse().ok()? })
    };
    let found = user("postgres").or_else(|| user("nobody"));
    found.map(Some).ok_or_else(|| {
        Failure::outside("PostgreSQL does not run as root, and there is no user `postgres` or `nobody`; run this as another user")
    })
}

/// A server that runs. Dropping it stops it.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    /// Stops the server when this process is killed, and so cannot.
    guard: Child,
    folder: PathBuf,
}

impl Server {
    /// Makes a cluster in `folder/data` and starts a server on it, which answers when this returns.
    pub(super) fn start(installed: &Installed, folder: &Path) -> Result<Self, Failure> {
        let user = other_user()?;
        let cannot = || format!("cannot make {}", folder.display());
        std::fs::create_dir(folder).or_fail(cannot)?;
        std::fs::set_permissions(folder, Permissions::from_mode(0o700)).or_fail(cannot)?;
        if let Some(User { uid, gid }) = user {
            chown(folder, Some(uid), Some(gid)).or_fail(cannot)?;
        }
        let log = folder.join("log.txt");
        let out = File::create(&log).or_fail(|| format!("cannot write {}", log.display()))?;
        let data = folder.join("data");
        let made = command(installed, "initdb", user, &out, folder)?
            .args(["--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "-D"])
            .arg(&data)
            .status()
            .or_fail(|| "cannot run initdb".to_owned())?;
        if !made.success() {
            return Err(Failure::outside(format_args!("initdb failed: {}", last_line(&log))));
        }
        let mut postgres = command(installed, "postgres", user, &out, folder)?;
        postgres.arg("-D").arg(&data).arg("-k").arg(folder);
        for setting in SETTINGS {
            postgres.args(["-c", setting]);
        }
        let mut child = postgres.spawn().or_fail(|| "cannot start postgres".to_owned())?;
        let guard = match guard(&child) {
            Ok(guard) => guard,
            Err(failure) => {
                let _ = child.kill(); // It has nothing to lose yet.
                let _ = child.wait();
                return Err(failure);
            }
        };
        let mut server = Self { child, guard, folder: folder.to_owned() };
        server.wait_until_ready(&log)?;
        Ok(server)
    }

    /// A new connection.
    pub(super) fn connect(&self) -> Result<Connection, Failure> {
        Connection::open(&self.socket()).or_fail(|| "cannot connect to PostgreSQL".to_owned())
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.folder.join(".s.PGSQL.5432")
    }

    fn wait_until_ready(&mut self, log: &Path) -> Result<(), Failure> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            match Connection::open(&self.socket()) {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() >= deadline => {
                    return Err(Failure::outside(format_args!("PostgreSQL does not answer: {error}")));
                }
                Err(_) => std::thread::sleep(LOOK_EVERY),
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                let last = last_line(log);
                return Err(Failure::outside(format_args!("PostgreSQL ended with {status}: {last}")));
            }
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal); // An error means that it is gone.
        }
    }

    fn has_ended_by(&mut self, deadline: Instant) -> bool {
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        false
    }
}

impl Drop for Server {
    /// A fast shutdown; if that takes too long, an immediate one. Both end all of the server's processes.
    fn drop(&mut self) {
        // Before the server: its process id is not to be signalled once it may be another's.
        let _ = self.guard.kill();
        let _ = self.guard.wait();
        for signal in [Signal::INT, Signal::QUIT] {
            self.signal(signal);
            if self.has_ended_by(Instant::now() + STOPPED_WITHIN) {
                return;
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A shell that asks `server` for a fast shutdown as soon as the other end of its standard input is closed: by the
/// kernel, if this process ends without doing it itself.
fn guard(server: &Child) -> Result<Child, Failure> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "read -r _; kill -INT \"$1\"", "guard"]).arg(server.id().to_string());
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // Ctrl-C on the terminal is ours to handle, as for the server.
    shell.process_group(0);
    shell.spawn().or_fail(|| "cannot run /bin/sh".to_owned())
}

fn command(
    installed: &Installed,
    name: &str,
    user: Option<User>,
    log: &File,
    folder: &Path,
) -> Result<Command, Failure> {
    let cannot = || format!("cannot run {name}");
    let mut command = Command::new(installed.bin.join(name));
    command.env_remove("PGDATA").env("LC_ALL", "C").current_dir(folder).stdin(Stdio::null());
    command.stdout(log.try_clone().or_fail(cannot)?).stderr(log.try_clone().or_fail(cannot)?);
    // Ctrl-C on the terminal is ours to handle: we stop the server.
    command.process_group(0);
    if let Some(User { uid, gid }) = user {
        command.uid(uid).gid(gid);
    }
    Ok(command)
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("its log is empty").to_owned()
}
