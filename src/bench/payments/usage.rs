//! What the nodes used: processor time, and syncs.

use std::path::PathBuf;

use hundi_bank_node::BANK_FILE;
use hundi_protocol::{Identity, Peer, Role};
use rusqlite::{Connection, OpenFlags};

use crate::cluster::Cluster;
use crate::failure::{Failure, While as _};

/// The kernel counts processor time in hundredths of a second, on every machine that Linux runs on.
const TICK_US: u64 = 10_000;

/// What was used until a moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    pub(super) banks_us: u64,
    pub(super) coordinators_us: u64,
    pub(super) client_us: u64,
    /// Commits of all banks: each is one sync.
    pub(super) commits: u64,
}

impl Usage {
    /// Until now.
    pub(super) fn now(cluster: &Cluster) -> Result<Self, Failure> {
        let of_role = |role| {
            let pids = cluster.peers(role).into_iter().filter_map(|peer| cluster.pid(&peer));
            pids.map(|pid| cpu_us(&pid.to_string())).sum()
        };
        Ok(Self {
            banks_us: of_role(Role::Bank),
            coordinators_us: of_role(Role::Coordinator),
            client_us: cpu_us("self"),
            commits: cluster
                .peers(Role::Bank)
                .iter()
                .map(|bank| commits(cluster, bank))
                .sum::<Result<_, _>>()?,
        })
    }

    /// What was used since.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            banks_us: self.banks_us.saturating_sub(before.banks_us),
            coordinators_us: self.coordinators_us.saturating_sub(before.coordinators_us),
            client_us: self.client_us.saturating_sub(before.client_us),
            commits: self.commits.saturating_sub(before.commits),
        }
    }
}

/// Processor time of a process with all its threads; 0 where the system does not tell.
fn cpu_us(pid: &str) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Behind the name, which may hold anything: utime and stime are the 12th and 13th.
    let Some((_, fields)) = stat.rsplit_once(')') else { return 0 };
    let times = fields.split_whitespace().skip(11).take(2);
    times.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * TICK_US
}

fn commits(cluster: &Cluster, bank: &Peer) -> Result<u64, Failure> {
    let path: PathBuf = cluster.dir().join(Identity::folder(bank)).join(BANK_FILE);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let count: i64 = Connection::open_with_flags(&path, flags)
        .and_then(|file| file.query_row("SELECT coalesce(max(seq), 0) FROM v_commits", [], |row| row.get(0)))
        .or_fail(|| format!("reading {}", path.display()))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Bytes that the coordinators sent and received, by the last line of their logs: every payment passes there, so
/// it is what was on the wire, before encryption. Only after they have stopped.
pub(super) fn bytes_on_wire(cluster: &Cluster) -> Result<u64, Failure> {
    let mut sum = 0;
    for coordinator in cluster.peers(Role::Coordinator) {
        let path = cluster.log(&coordinator);
        let log = std::fs::read_to_string(&path).or_fail(|| format!("cannot read {}", path.display()))?;
        let Some(line) = log.lines().rev().find(|line| line.contains("bytes_sent=")) else {
            return Err(Failure::outside(format_args!("{} does not tell what was sent", path.display())));
        };
        for name in ["bytes_sent=", "bytes_received="] {
            let (_, value) = line.split_once(name).unwrap_or_default();
            let digits = value.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
            sum += digits.parse::<u64>().unwrap_or(0);
        }
    }
    Ok(sum)
}
