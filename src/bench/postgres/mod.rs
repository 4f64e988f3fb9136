//! What people write instead: two-phase commit over two PostgreSQL servers.

mod connection;
mod server;
mod work;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::measure::per_second;
use super::payments::load::Load;
use super::payments::report::Latency;
use crate::driver::Latencies;
use crate::failure::{Failure, While as _};
use crate::operator::block_on;
use server::Server;
pub(crate) use server::{Installed, find};
use work::{Run, Worker, check, prepare};

/// The numbers of workers that are tried.
const WORKERS: [u32; 7] = [1, 4, 8, 16, 32, 64, 128];
/// How long each number is tried at most.
const TRY_SECONDS: u64 = 5;

/// What was measured.
#[derive(Debug, Serialize)]
pub(crate) struct PeerReport {
    pub(crate) name: String,
    /// The number of workers that was best.
    pub(crate) workers: u32,
    pub(crate) per_second: u64,
    pub(crate) latency_ms: Latency,
    pub(crate) one_worker: Tried,
    pub(crate) tried: Vec<Tried>,
}

/// One number of workers.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Tried {
    pub(crate) workers: u32,
    pub(crate) per_second: u64,
    pub(crate) latency_ms: Latency,
}

/// Sets its flag when the work is given up.
struct Interrupts(Arc<AtomicBool>);

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Starts two servers, pays with several numbers of workers, checks the books, stops the servers: also on errors
/// and when interrupted.
pub(crate) fn run(
    installed: Installed,
    load: Load,
    seconds: u64,
    in_flight: u32,
) -> Result<PeerReport, Failure> {
    block_on(async move {
        let interrupted = Interrupts(Arc::default());
        let flag = Arc::clone(&interrupted.0);
        let work = tokio::task::spawn_blocking(move || measure(&installed, load, seconds, in_flight, &flag));
        work.await.or_fail(|| "measuring PostgreSQL".to_owned())?
    })
}

fn measure(
    installed: &Installed,
    load: Load,
    seconds: u64,
    in_flight: u32,
    interrupted: &AtomicBool,
) -> Result<PeerReport, Failure> {
    // Sockets have short paths, and the servers may run as another user, who must get through.
    let folder = super::temporary_folder(None)?;
    let open = std::fs::set_permissions(folder.path(), Permissions::from_mode(0o711));
    open.or_fail(|| format!("cannot open {}", folder.path().display()))?;
    let start = |name: &str| Server::start(installed, &folder.path().join(name));
    let servers = [start("one")?, start("two")?];
    servers.iter().try_for_each(prepare)?;
    let next = AtomicU64::new(0);
    let time = Duration::from_secs(seconds.min(TRY_SECONDS));
    let mut tried = Vec::new();
    for workers in WORKERS.into_iter().filter(|workers| *workers <= in_flight.max(1)) {
        let run = Run { load, next: &next, until: Instant::now() + time, interrupted };
        tried.push(attempt(&servers, workers, &run)?);
    }
    let [one, two] = &servers;
    check([one, two], next.load(Relaxed))?;
    let Some((one_worker, best)) = tried.first().zip(tried.iter().max_by_key(|tried| tried.per_second))
    else {
        return Err(Failure::outside("no number of workers was tried"));
    };
    Ok(PeerReport {
        name: installed.version.clone(),
        workers: best.workers,
        per_second: best.per_second,
        latency_ms: best.latency_ms,
        one_worker: *one_worker,
        tried: tried.clone(),
    })
}

fn attempt(servers: &[Server; 2], workers: u32, run: &Run<'_>) -> Result<Tried, Failure> {
    let sockets = servers.each_ref().map(Server::socket);
    let connect = |_| Worker::new(sockets.each_ref().map(|socket| socket.as_path()));
    let connected = (0..workers).map(connect).collect::<Result<Vec<_>, _>>()?;
    let begun = Instant::now();
    let done: Vec<Result<Vec<Duration>, Failure>> = std::thread::scope(|scope| {
        let threads: Vec<_> = connected.into_iter().map(|worker| scope.spawn(|| worker.work(run))).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    let elapsed = begun.elapsed();
    let done = done.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
    let per_second = per_second(done.len() as u64, elapsed);
    Ok(Tried { workers, per_second, latency_ms: Latency::of(&Latencies::of(done)) })
}
