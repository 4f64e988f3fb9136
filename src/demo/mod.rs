//! `hundi demo`: a whole network on this machine, killed in the middle, and audited.

pub(crate) mod accounts;
mod chaos;
mod folder;
mod report;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use hundi_protocol::{Order, Peer, Role, UncheckedCertificate, UnixMillis};

use crate::audit_command::audit_folder;
use crate::cluster::{self, Cluster};
use crate::console;
use crate::driver::{self, Answer, Results, Whole};
use crate::failure::{Exit, Failure};
use crate::history::{self, HISTORY_FILE};
use crate::interrupt::Interrupts;
use crate::node_command::CommitOrderArg;
use crate::operator::block_on;
use crate::orders::OrdersFile;
use crate::plan::{Generate, Plan, from_file, generate};
use chaos::{Chaos, Kill};
use folder::Folder;
use report::Report;

/// How long payments in flight may take to settle when no new ones come.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
/// When nothing at all was settled for so long, though every node runs, the payments that are left are unknown.
const GIVE_UP_AFTER: Duration = Duration::from_secs(300);
/// How often to look whether a node has ended by itself.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Arguments of `hundi demo`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hundi demo
  hundi demo --banks 5 --payments 50000 --chaos none
  hundi demo --orders payments.csv --json
  hundi demo --dir net
  sqlite3 net/bank-alpha/bank.db 'SELECT * FROM v_accounts'

An orders file is CSV with the columns order_id, payer_bank, payer_account,
payee_bank, payee_account, amount, currency and purpose, and amounts as decimals
of the currency's minor unit. It is checked in full before anything starts.")]
pub(crate) struct DemoArgs {
    /// How many banks [default: 3]
    #[arg(long, conflicts_with = "orders", value_parser = clap::value_parser!(u16).range(1..=64))]
    banks: Option<u16>,
    /// How many coordinators
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=16))]
    coordinators: u16,
    /// How many payments to make up [default: 20000]
    #[arg(long, conflicts_with = "orders", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    payments: Option<u32>,
    /// Pay the orders of this file instead; payers are funded with exactly what they pay
    #[arg(long, value_name = "FILE.csv")]
    orders: Option<PathBuf>,
    /// In which order the banks are asked
    #[arg(long, value_enum, default_value_t)]
    commit_order: CommitOrderArg,
    /// What goes wrong in the middle
    #[arg(long, value_enum, default_value_t)]
    chaos: ChaosArg,
    /// Made-up payments, and who is killed, follow from this number
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where keys, data files and logs go; kept afterwards. Must be new or empty [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Keep the temporary folder
    #[arg(long)]
    keep: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum ChaosArg {
    /// A bank and a coordinator get SIGKILL in the middle, and are started again
    #[default]
    Kills,
    /// Nothing
    None,
}

/// Runs the command.
pub(crate) fn run(args: DemoArgs) -> Result<(), Failure> {
    let interrupts = Interrupts::listen()?;
    let plan = Arc::new(plan(&args)?);
    let folder = Folder::make(args.dir.as_deref(), args.keep)?;
    match play(&args, &plan, &folder, &interrupts) {
        Ok(report) => {
            if args.json {
                console::json(&report)?;
            } else {
                report.say(&folder.fate(report.is_ok()));
            }
            folder.end(report.is_ok())?;
            report.verdict()
        }
        Err(failure) => {
            // What somebody broke off is nothing to look at; what failed is.
            let nothing_to_see = failure.exit == Exit::Interrupted;
            folder.end(nothing_to_see)?;
            if folder.is_kept(nothing_to_see) {
                console::note(format_args!("keys, data files and logs are in {}", folder.path().display()));
            }
            Err(failure)
        }
    }
}

fn plan(args: &DemoArgs) -> Result<Plan, Failure> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = UnixMillis(u64::try_from(since.as_millis()).unwrap_or(0));
    if let Some(path) = &args.orders {
        return from_file(&OrdersFile::read(path, None)?, args.seed, now);
    }
    let (banks, payments) = (args.banks.unwrap_or(3), args.payments.unwrap_or(20_000));
    let payments = usize::try_from(payments).map_err(Failure::input)?;
    generate(Generate { banks: usize::from(banks), payments, seed: args.seed, refusals: true }, now)
}

/// Everything between an empty folder and the report. The nodes are gone when it returns, however it returns.
fn play(
    args: &DemoArgs,
    plan: &Arc<Plan>,
    folder: &Folder,
    interrupts: &Interrupts,
) -> Result<Report, Failure> {
    let cluster = Cluster::create(folder.path(), &plan.banks, args.coordinators, args.commit_order)?;
    let cluster = RefCell::new(cluster);
    interrupts.check()?;
    let paid = block_on(async {
        tokio::select! {
            paid = pay(args, plan, &cluster) => paid,
            interrupted = interrupts.clone().came() => Err(interrupted),
        }
    });
    let mut cluster = cluster.into_inner();
    let (orders, results, kills) = paid.map_err(|failure| match failure.exit {
        Exit::Interrupted => failure,
        // A node that is gone is the reason, and its last words say more than who missed it.
        _ => cluster.check().err().unwrap_or(failure),
    })?;
    cluster.stop_all()?;
    if folder.is_kept(true) {
        let answers = orders.iter().map(Arc::as_ref).zip(&results.answers);
        history::write(&folder.path().join(HISTORY_FILE), answers)?;
    }
    let findings = audit_folder(folder.path(), cluster.network(), told(&results))?;
    interrupts.check()?;
    Ok(Report::of(args.coordinators, plan, &orders, &results, kills, findings))
}

/// What the customers were told.
fn told(results: &Results) -> Vec<UncheckedCertificate> {
    let proven = results.answers.iter().filter_map(|answer| match answer {
        Answer::Proven(certificate, _) => Some(certificate.to_unchecked()),
        _ => None,
    });
    proven.collect()
}

async fn pay(
    args: &DemoArgs,
    plan: &Arc<Plan>,
    cluster: &RefCell<Cluster>,
) -> Result<(Vec<Arc<Order>>, Results, Vec<Kill>), Failure> {
    cluster.borrow_mut().start_all()?;
    let signing = tokio::task::spawn_blocking({
        let plan = Arc::clone(plan);
        move || plan.sign()
    });
    cluster::wait_until_ready(cluster).await?;
    accounts::open(plan, cluster).await?;
    let orders =
        signing.await.map_err(|error| Failure::outside(format_args!("signing orders: {error}")))??;
    let (identity, network, coordinators) = {
        let cluster = cluster.borrow();
        (cluster.app()?, Arc::clone(cluster.network()), cluster.peers(Role::Coordinator))
    };
    let victims = match args.chaos {
        ChaosArg::Kills => victims(args.seed, cluster),
        ChaosArg::None => Vec::new(),
    };
    let (mut chaos, restarts) = Chaos::new(victims, orders.len(), cluster);
    // While every node runs, a slow machine is no reason to give up.
    let options =
        driver::Options { race_every: 100, give_up_after: GIVE_UP_AFTER, ..driver::Options::default() };
    let bar = console::progress("payments", orders.len() as u64);
    let driving = async {
        let mut looked = Instant::now();
        let on_progress = |answered: usize| {
            bar.set_position(answered as u64);
            if looked.elapsed() >= LOOK_EVERY {
                looked = Instant::now();
                cluster.borrow_mut().check()?;
            }
            chaos.handle_progress(answered)
        };
        let run = driver::run(&identity, &network, &coordinators, &orders, options, Whole, on_progress);
        let results = run.await;
        drop(chaos); // No more kills: the restarts can come to an end.
        results
    };
    let (results, kills) = tokio::join!(driving, restarts.run(cluster));
    bar.finish_and_clear();
    let (results, kills) = (results?, kills?);
    settle(cluster).await?;
    Ok((orders, results, kills))
}

/// A bank and a coordinator, chosen by the seed.
fn victims(seed: u64, cluster: &RefCell<Cluster>) -> Vec<Peer> {
    let of_role = |role| cluster.borrow().peers(role);
    let choose = |peers: Vec<Peer>| {
        let place = usize::try_from(seed).unwrap_or(0).checked_rem(peers.len())?;
        peers.into_iter().nth(place)
    };
    [Role::Bank, Role::Coordinator].into_iter().filter_map(|role| choose(of_role(role))).collect()
}

/// Waits until no bank holds money for a payment that it does not know the outcome of.
pub(crate) async fn settle(cluster: &RefCell<Cluster>) -> Result<(), Failure> {
    let deadline = Instant::now() + SETTLED_WITHIN;
    let banks: Vec<_> = cluster.borrow().network().banks().collect();
    let mut in_flight = BTreeMap::new();
    loop {
        cluster.borrow_mut().check()?;
        for bank in &banks {
            in_flight.insert(bank.clone(), accounts::in_flight(bank, cluster).await?);
        }
        let total: u64 = in_flight.values().sum();
        if total == 0 {
            return Ok(());
        }
        if Instant::now() >= deadline {
            // The audit counts them: that is the result, not a reason to hide it.
            console::note(format_args!("{total} payments are still in flight: {in_flight:?}"));
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
