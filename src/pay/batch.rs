//! Paying a whole orders file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hundi_protocol::{
    AccountRef, Credit, CustomerKey, Digest, Network, Order, OrderFields, OrderId, Outcome, Reason,
    UnixMillis,
};
use serde::Serialize;

use super::earlier::{self, Earlier};
use super::signed_orders::SignedOrders;
use super::{PayArgs, expires_at, read_key, submit};
use crate::console;
use crate::driver::Answer;
use crate::failure::{Exit, Failure};
use crate::operator::block_on;
use crate::orders::{FileOrder, OrdersFile, thousands};
use crate::verify_command::sentence;

/// How many orders that were not paid are named.
const SHOWN_MAX: usize = 20;

/// What became of a file's orders, as JSON.
#[derive(Serialize)]
struct Report {
    payments: usize,
    committed: usize,
    aborted: usize,
    unknown: usize,
    refusals: BTreeMap<&'static str, u64>,
}

/// Pays every order of the file that was not paid before.
pub(super) fn run(args: &PayArgs, path: &Path) -> Result<(), Failure> {
    let network = args.network.load()?;
    let file = OrdersFile::read(path, Some(network.banks().collect()))?;
    let signed = sign(args, path, &file)?;
    let mut answers = submit(args, &network, &signed.orders)?.answers;
    let reused = learn_earlier(args, &network, &signed.orders, &mut answers)?;
    let count = |outcome| answers.iter().filter(|answer| answer.outcome() == outcome).count();
    let (committed, aborted, unknown) =
        (count(Some(Outcome::Commit)), count(Some(Outcome::Abort)), count(None));
    let mut refusals: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut not_paid = Vec::new();
    for (n, (order, answer)) in file.orders.iter().zip(&answers).enumerate() {
        match answer.outcome() {
            Some(Outcome::Commit) => continue,
            Some(Outcome::Abort) => *refusals.entry(reason(answer)).or_default() += 1,
            None => {}
        }
        let FileOrder { order_id, payer, .. } = order;
        let hint = hint(&signed, n, answer, &reused);
        not_paid.push(format!("order {order_id} of {payer}: {}{hint}", reason(answer)));
    }
    if args.json {
        console::json(&Report { payments: answers.len(), committed, aborted, unknown, refusals })?;
    } else {
        let (committed, aborted, unknown) = (thousands(committed), thousands(aborted), thousands(unknown));
        console::say(format_args!("{committed} paid, {aborted} refused, {unknown} without a known outcome"));
        not_paid.iter().take(SHOWN_MAX).for_each(console::say);
        if not_paid.len() > SHOWN_MAX {
            console::say(format_args!("and {} more", not_paid.len() - SHOWN_MAX));
        }
    }
    match not_paid.len() {
        0 => Ok(()),
        count => {
            Err(Failure::new(Exit::No, format_args!("{count} of {} orders were not paid", answers.len())))
        }
    }
}

fn reason(answer: &Answer) -> &'static str {
    match answer {
        Answer::Proven(certificate, _) => certificate.reason().map_or("paid", |reason| reason.as_str()),
        Answer::NotAccepted(_) => "not_accepted",
        Answer::Unknown => "unknown",
    }
}

/// What a person can do about an order that was not paid.
fn hint(signed: &Signed, n: usize, answer: &Answer, reused: &BTreeMap<usize, String>) -> String {
    if let Some(other) = reused.get(&n) {
        return format!(": the payer used this id for another order ({other}); give this one a new id");
    }
    match answer.reason() {
        Some(Reason::Expired) if signed.kept[n] => {
            ": it was signed in an earlier run, and its time was over before its bank was asked; to pay it now, \
             give it a new id"
                .to_owned()
        }
        _ => String::new(),
    }
}

/// An order that is refused because of its id may have been signed before, where the signed orders were lost or are
/// elsewhere: its bank knows what became of it. Returns the ids that were used for another content, with that.
fn learn_earlier(
    args: &PayArgs,
    network: &Arc<Network>,
    orders: &[Arc<Order>],
    answers: &mut [Answer],
) -> Result<BTreeMap<usize, String>, Failure> {
    let is_repeat = |answer: &Answer| answer.reason() == Some(Reason::DuplicateOrderId);
    let repeats: Vec<Arc<Order>> = orders
        .iter()
        .zip(answers.iter())
        .filter(|(_, answer)| is_repeat(answer))
        .map(|(order, _)| Arc::clone(order))
        .collect();
    let mut reused = BTreeMap::new();
    if repeats.is_empty() {
        return Ok(reused);
    }
    let identity = args.network.app(network, args.app.as_ref())?;
    let deadline = Instant::now() + Duration::from_secs(args.wait.into());
    let known = block_on(async { Ok(earlier::ask(&identity, network, &repeats, deadline).await) })?;
    for (n, (order, answer)) in orders.iter().zip(answers).enumerate().filter(|(_, (_, a))| is_repeat(a)) {
        match known.get(&order.digest()) {
            Some(Earlier::Proven(first)) if same_content(first.order(), order) => {
                *answer = Answer::Proven(first.clone(), Duration::ZERO);
            }
            Some(Earlier::Proven(first)) => drop(reused.insert(n, sentence(first))),
            // What it is that holds the id is not known yet: neither is what became of this order.
            Some(Earlier::InFlight) | None => *answer = Answer::Unknown,
        }
    }
    Ok(reused)
}

/// Whether two orders move the same money: they may differ in their time and note.
fn same_content(a: &Order, b: &Order) -> bool {
    (a.legs(), a.currency()) == (b.legs(), b.currency())
}

/// The orders of a file, signed; and which of them were signed in an earlier run.
struct Signed {
    orders: Vec<Arc<Order>>,
    kept: Vec<bool>,
}

/// Signs what was not signed before. All signed orders are on disk before the first is sent.
fn sign(args: &PayArgs, path: &Path, file: &OrdersFile) -> Result<Signed, Failure> {
    // Of two runs at once the second waits, and sends what the first signed. Where a file cannot be locked, it signs
    // its own: their banks pay one of each pair, and `learn_earlier` finds out which.
    let locked = std::fs::File::open(path).ok().filter(|file| file.lock().is_ok());
    let mut kept = SignedOrders::beside(path)?;
    let expires_at = expires_at(args);
    let mut keys: BTreeMap<&AccountRef, CustomerKey> = BTreeMap::new();
    let mut signed = Signed { orders: Vec::with_capacity(file.orders.len()), kept: Vec::new() };
    for order in &file.orders {
        let fields = fields(order, expires_at);
        let known = kept.get(&fields)?;
        signed.kept.push(known.is_some());
        if let Some(order) = known {
            signed.orders.push(order);
            continue;
        }
        if !keys.contains_key(&order.payer) {
            keys.insert(&order.payer, key(args, &order.payer)?);
        }
        let order = Order::sign(&fields, &keys[&order.payer]).map_err(Failure::input)?;
        kept.add(&order);
        signed.orders.push(order);
    }
    kept.save()?;
    drop(locked);
    Ok(signed)
}

fn key(args: &PayArgs, payer: &AccountRef) -> Result<CustomerKey, Failure> {
    let folder = args.keys.as_deref().ok_or_else(|| Failure::usage("--orders needs --keys"))?;
    read_key(&folder.join(format!("{payer}.key")))
}

fn fields(order: &FileOrder, expires_at: UnixMillis) -> OrderFields {
    OrderFields {
        id: order_id(order),
        payer: order.payer.clone(),
        credits: vec![Credit { payee: order.payee.clone(), amount: order.amount }],
        currency: order.currency,
        expires_at,
        note: order.purpose.clone(),
    }
}

/// The file's own id, if it is one; else one that follows from it. The same order of the same payer always has the
/// same id, so that even with the signed orders lost no bank pays it twice (R1).
fn order_id(order: &FileOrder) -> OrderId {
    order.order_id.parse().unwrap_or_else(|_| {
        let hash = Digest::of(format!("hundi/file-order/v1 {} {}", order.payer, order.order_id).as_bytes());
        let mut random = [0; 10];
        random.copy_from_slice(&hash.as_bytes()[..10]);
        OrderId::from_parts(UnixMillis(0), random)
    })
}
