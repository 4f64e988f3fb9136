//! `hundi bench ledger`: how fast transfers reach the disk, beside what the same SQLite does with bare rows.

mod acknowledged;
mod batches;
mod books;
mod callers;
mod limit;
mod workload;
mod zipf;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;
use serde::Serialize;

use super::measure::{BatchLatency, milliseconds, peak_rss_bytes, per_second, ratio};
use crate::console;
use crate::driver::Latencies;
use crate::failure::{Failure, While as _};
use crate::orders::thousands;
use acknowledged::Acknowledged;
use workload::{Expected, Ids, Shape};

/// How long one commit for each transfer is tried.
const SINGLE_TIME: Duration = Duration::from_secs(1);

/// Arguments of `hundi bench ledger`.
#[derive(Debug, Args)]
#[command(after_help = "\
Every batch is executed, written and synced before it counts; while one is
synced the next one is executed. Beside it, on the same disk in the same run:
the limit (as many bare rows of 128 bytes with a unique id, same SQLite, same
batches) and one commit for each row. Afterwards the file is opened again and
its books are checked.

Examples:
  hundi bench ledger
  hundi bench ledger --ids random --accounts 1000000
  hundi bench ledger --callers 64 --transfers 200000   one transfer at a time

To see that what was acknowledged is there, kill this in the middle and ask the
file that is left:
  hundi bench ledger --file app.db --acknowledged ids.txt
  hundi ledger verify app.db --holds ids.txt
A killed run leaves its folder hundi-bench-XXXXXX beside them too; remove it.")]
pub(crate) struct LedgerBenchArgs {
    /// How many transfers
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    transfers: u64,
    /// Over how many accounts
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(2..=100_000_000))]
    accounts: u64,
    /// Transfers in a batch; each batch is one synced commit
    #[arg(long, default_value_t = 8_189, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    batch: u64,
    /// Threads that create one transfer each at a time; 1 hands in whole batches instead
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=4096))]
    callers: u64,
    /// Where the transfers' ids come from
    #[arg(long, value_enum, default_value_t)]
    ids: Ids,
    /// So many of 100 transfers are pending, and as many others post or void them
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=100))]
    pending_percent: u64,
    /// Choose accounts by Zipf's law instead of evenly: a few are in most transfers
    #[arg(long)]
    zipf: bool,
    /// Keep every account's history of balances
    #[arg(long)]
    history: bool,
    /// Where to make the file; it is removed afterwards [default: the system's folder for temporary files]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Make the file under this name instead, and keep it; it must not exist yet
    #[arg(long, value_name = "PATH", conflicts_with = "dir")]
    file: Option<PathBuf>,
    /// List here the id of each transfer, a line each, once its sync has returned and not before; a new file
    #[arg(long, value_name = "PATH")]
    acknowledged: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What is to be done on a fresh file.
#[derive(Clone, Copy, Debug)]
struct Task<'a> {
    path: &'a Path,
    shape: &'a Shape,
    transfers: u64,
    acknowledged: Option<&'a Acknowledged>,
    progress: &'a ProgressBar,
}

/// What a run took.
#[derive(Debug)]
struct Run {
    elapsed: Duration,
    /// From the moment a batch (or one transfer) is handed in until it is on disk.
    latencies: Vec<Duration>,
    expected: Expected,
    /// The time that the first and the last tenth of the transfers took.
    first_tenth: Duration,
    last_tenth: Duration,
}

/// The result, as it is printed with `--json`.
#[derive(Debug, Serialize)]
struct Report {
    transfers: u64,
    per_second: u64,
    batch_latency_ms: BatchLatency,
    limit_per_second: u64,
    ratio_to_limit: f64,
    single_commit_per_second: u64,
    bytes_per_transfer: u64,
    reopen_ms: f64,
    peak_rss_bytes: u64,
}

impl LedgerBenchArgs {
    /// Where to measure; everything on one disk.
    fn folder(&self) -> Result<Option<PathBuf>, Failure> {
        let Some(file) = &self.file else { return Ok(self.dir.clone()) };
        if file.is_symlink() || file.exists() {
            return Err(acknowledged::exists(file)); // A link to nothing too: the ledger would refuse it later.
        }
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        Ok(Some(folder.unwrap_or(Path::new(".")).to_owned()))
    }
}

/// Runs the command.
pub(crate) fn run(args: &LedgerBenchArgs) -> Result<(), Failure> {
    let shape = Shape {
        accounts: args.accounts,
        ids: args.ids,
        pending_percent: args.pending_percent,
        zipf: args.zipf,
        history: args.history,
    };
    let folder = super::temporary_folder(args.folder()?.as_deref())?;
    let path = args.file.clone().unwrap_or_else(|| folder.path().join("ledger.db"));
    let acknowledged = args.acknowledged.as_deref().map(Acknowledged::create).transpose()?;
    if let (Some(file), Some(list)) = (&args.file, &args.acknowledged)
        && file.exists()
    {
        // It was not there a moment ago, so it is the list, by this name or another.
        std::fs::remove_file(list).or_fail(|| format!("cannot remove {}", list.display()))?;
        let same = format_args!(
            "--file and --acknowledged are the same file, {}; give the list another name",
            list.display()
        );
        return Err(Failure::usage(same));
    }
    // Callers that wait for their answers have at most one transfer each in a batch.
    let batch = if args.callers > 1 { args.callers } else { args.batch };
    let batch = usize::try_from(batch).unwrap_or(usize::MAX);

    let progress = &console::progress("transfers", args.transfers);
    let acknowledged = acknowledged.as_ref();
    let task = Task { path: &path, shape: &shape, transfers: args.transfers, acknowledged, progress };
    let mut run = match args.callers {
        1 => batches::run(&task, batch)?,
        callers => callers::run(&task, callers)?,
    };
    progress.finish_and_clear();
    let peak_rss_bytes = peak_rss_bytes();
    let reopened = books::check(&path, &shape, run.expected)?;
    if args.file.is_none() {
        std::fs::remove_file(&path).or_fail(|| format!("cannot remove {}", path.display()))?;
    }
    let limit = limit::run(folder.path(), args.transfers, batch, args.ids)?;
    let (singles, single_time) = limit::one_by_one(folder.path(), SINGLE_TIME, args.ids)?;

    let rate = per_second(args.transfers, run.elapsed);
    let limit_per_second = per_second(args.transfers, limit);
    let report = Report {
        transfers: args.transfers,
        per_second: rate,
        batch_latency_ms: BatchLatency::of(&Latencies::of(run.latencies.drain(..))),
        limit_per_second,
        ratio_to_limit: ratio(rate, limit_per_second),
        single_commit_per_second: per_second(singles, single_time),
        bytes_per_transfer: reopened.bytes / args.transfers,
        reopen_ms: milliseconds(reopened.reopening),
        peak_rss_bytes,
    };
    if args.json { console::json(&report) } else { show(args, &run, &report) }
}

fn show(args: &LedgerBenchArgs, run: &Run, report: &Report) -> Result<(), Failure> {
    let Report { batch_latency_ms: latency, .. } = report;
    let tenth = (args.transfers / 10).max(1);
    let line =
        |name: &str, value: String, note: &str| console::say(format_args!("{name:<30}{value:>14}  {note}"));
    line("transfers", thousands(report.transfers), &what(args));
    line("per second", thousands(report.per_second), "each batch synced before it counts; books checked");
    if args.callers > 1 || args.transfers > 10 * args.batch {
        line("  first tenth", thousands(per_second(tenth, run.first_tenth)), "");
        line("  last tenth", thousands(per_second(tenth, run.last_tenth)), "");
    }
    line(
        "limit per second",
        thousands(report.limit_per_second),
        "bare rows of 128 bytes, same SQLite, same batches",
    );
    line("ratio to the limit", format!("{:.3}", report.ratio_to_limit), "");
    line(
        "one commit each, per second",
        thousands(report.single_commit_per_second),
        "bare rows, each synced alone",
    );
    let times = format!("{:.1} / {:.1} / {:.1}", latency.p50, latency.p99, latency.max);
    line("batch latency p50/p99/max ms", times, "from handing in to being on disk");
    line("bytes per transfer", thousands(report.bytes_per_transfer), "of the file, accounts included");
    line("reopening ms", format!("{:.1}", report.reopen_ms), "");
    line("peak memory MiB", thousands(report.peak_rss_bytes / (1 << 20)), "");
    Ok(())
}

fn what(args: &LedgerBenchArgs) -> String {
    let mut text = match args.callers {
        1 => format!("{} accounts, batches of {}", thousands(args.accounts), thousands(args.batch)),
        callers => {
            format!("{} accounts, {callers} callers, one transfer each at a time", thousands(args.accounts))
        }
    };
    if args.ids == Ids::Random {
        text += ", random ids";
    }
    if args.pending_percent > 0 {
        text += &format!(", {} % pending", args.pending_percent);
    }
    if args.zipf {
        text += ", Zipf";
    }
    if args.history {
        text += ", history";
    }
    text
}
