//! One run: start the network, open accounts, pay, stop, audit.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hundi_protocol::{Order, Outcome, Role, UncheckedCertificate, UnixMillis};

use super::PaymentsBenchArgs;
use super::load::Load;
use super::report::Report;
use super::shelf::Shelf;
use super::usage::{Usage, bytes_on_wire};
use crate::audit_command::{audit_folder, verdict};
use crate::bench::measure::per_second;
use crate::cluster::{self, Cluster};
use crate::console;
use crate::demo::{LOOK_EVERY, accounts, settle};
use crate::driver::{self, Results};
use crate::failure::{Exit, Failure};
use crate::operator::block_on;
use crate::plan::Plan;

/// How long to pay before the measurement, and with how many orders at most.
const WARM_UP: Duration = Duration::from_millis(1_500);
const WARM_UP_ORDERS: u64 = 40_000;
/// Orders are signed for this many times the rate of the warm-up, in percent: the machine may get faster.
const SPARE_PERCENT: u64 = 160;

/// What was measured.
pub(super) struct Measured {
    pub(super) results: Results<Outcome>,
    pub(super) used: Usage,
    /// Payments in all, before and during the measurement.
    pub(super) payments: u64,
    pub(super) bytes_on_wire: u64,
}

pub(super) fn run(args: &PaymentsBenchArgs, load: Load, dir: &Path) -> Result<Report, Failure> {
    let mut plan = load.accounts()?;
    let cluster = Cluster::create(dir, &plan.banks, args.coordinators, args.commit_order)?;
    let cluster = RefCell::new(cluster);
    cluster.borrow_mut().start_all()?;
    let (warm_up, measured, used) = block_on(pay(args, load, &mut plan, &cluster))?;
    let mut cluster = cluster.into_inner();
    cluster.stop_all()?;
    check_answers(&measured.results)?;
    let (mut told, warm_up) = warm_up.told();
    let (told_later, results) = measured.told();
    told.extend(told_later);
    let findings = audit_folder(dir, cluster.network(), told)?;
    verdict(&findings)?;
    let payments = (warm_up.answers.len() + results.answers.len()) as u64;
    if findings.in_flight > 0 {
        return Err(wrong(&format!("{} payments are in flight after the end", findings.in_flight)));
    }
    let bytes_on_wire = bytes_on_wire(&cluster)?;
    Ok(Report::of(&Measured { results, used, payments, bytes_on_wire }))
}

async fn pay(
    args: &PaymentsBenchArgs,
    load: Load,
    plan: &mut Plan,
    cluster: &RefCell<Cluster>,
) -> Result<(Drive, Drive, Usage), Failure> {
    cluster::wait_until_ready(cluster).await?;
    accounts::open(plan, cluster).await?;
    let options = driver::Options {
        in_flight_max: usize::try_from(args.in_flight).map_err(Failure::input)?,
        submit_for: WARM_UP,
        ..driver::Options::default()
    };
    let orders = load.sign(plan, 0, WARM_UP_ORDERS, now())?;
    let warm_up = drive(cluster, orders, options, Shelf::with_room_for(WARM_UP_ORDERS)).await?;
    check_answers(&warm_up.results)?;
    let rate = per_second(warm_up.results.answers.len() as u64, warm_up.results.elapsed);
    let count = (rate * args.seconds * SPARE_PERCENT / 100).max(1_000);
    // Later ids than those of the warm-up, which reach into the future.
    let later = UnixMillis(now().0 + WARM_UP_ORDERS / 16);
    let orders = load.sign(plan, WARM_UP_ORDERS, count, later)?;
    plan.payments = Vec::new();
    let options = driver::Options { submit_for: Duration::from_secs(args.seconds), ..options };
    let shelf = Shelf::with_room_for(rate * args.seconds);
    let before = Usage::now(&cluster.borrow())?;
    let measured = drive(cluster, orders, options, shelf).await?;
    let used = Usage::now(&cluster.borrow())?.since(before);
    settle(cluster).await?;
    Ok((warm_up, measured, used))
}

/// The orders that were submitted, and what became of them.
struct Drive {
    orders: Vec<Arc<Order>>,
    results: Results<Outcome>,
    shelf: Shelf,
}

impl Drive {
    /// What the client was told.
    fn told(self) -> (Vec<UncheckedCertificate>, Results<Outcome>) {
        (self.shelf.into_certificates(&self.orders), self.results)
    }
}

async fn drive(
    cluster: &RefCell<Cluster>,
    mut orders: Vec<Arc<Order>>,
    options: driver::Options,
    mut shelf: Shelf,
) -> Result<Drive, Failure> {
    let (identity, network, coordinators) = {
        let cluster = cluster.borrow();
        (cluster.app()?, Arc::clone(cluster.network()), cluster.peers(Role::Coordinator))
    };
    let bar = console::progress("payments", orders.len() as u64);
    let mut looked = Instant::now();
    let on_progress = |answered: usize| {
        bar.set_position(answered as u64);
        if looked.elapsed() >= LOOK_EVERY {
            looked = Instant::now();
            cluster.borrow_mut().check()?;
        }
        Ok(())
    };
    let run = driver::run(&identity, &network, &coordinators, &orders, options, &mut shelf, on_progress);
    let results = run.await;
    bar.finish_and_clear();
    cluster.borrow_mut().check()?;
    let results = results?;
    orders.truncate(results.answers.len());
    Ok(Drive { orders, results, shelf })
}

/// Every payment of a benchmark is sound: each must be paid, and proven.
fn check_answers(results: &Results<Outcome>) -> Result<(), Failure> {
    match results.answers.iter().find(|answer| answer.outcome() != Some(Outcome::Commit)) {
        None => Ok(()),
        Some(answer) => Err(wrong(&format!("a payment that must succeed did not: {answer:?}"))),
    }
}

fn wrong(what: &str) -> Failure {
    Failure::new(Exit::No, format_args!("the benchmark is void: {what}"))
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
