//! Paying a whole orders file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hundi_protocol::{
    AccountRef, Credit, CustomerKey, Digest, Order, OrderFields, OrderId, Outcome, UnixMillis,
};
use serde::Serialize;

use super::signed_orders::SignedOrders;
use super::{PayArgs, expires_at, read_key, submit};
use crate::console;
use crate::driver::Answer;
use crate::failure::{Exit, Failure};
use crate::orders::{FileOrder, OrdersFile, thousands};

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
    let file = OrdersFile::read(path)?;
    let orders = sign(args, path, &file)?;
    let results = submit(args, &orders)?;
    let count = |outcome| results.answers.iter().filter(|answer| answer.outcome() == outcome).count();
    let (committed, aborted, unknown) =
        (count(Some(Outcome::Commit)), count(Some(Outcome::Abort)), count(None));
    let mut refusals: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut not_paid = Vec::new();
    for (order, answer) in file.orders.iter().zip(&results.answers) {
        match answer.outcome() {
            Some(Outcome::Commit) => continue,
            Some(Outcome::Abort) => *refusals.entry(reason(answer)).or_default() += 1,
            None => {}
        }
        not_paid.push(format!("order {} of {}: {}", order.order_id, order.payer, reason(answer)));
    }
    if args.json {
        console::json(&Report { payments: orders.len(), committed, aborted, unknown, refusals })?;
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
            Err(Failure::new(Exit::No, format_args!("{count} of {} orders were not paid", orders.len())))
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

/// Signs what was not signed before. All signed orders are on disk before the first is sent.
fn sign(args: &PayArgs, path: &Path, file: &OrdersFile) -> Result<Vec<Arc<Order>>, Failure> {
    let mut kept = SignedOrders::beside(path)?;
    let expires_at = expires_at(args);
    let mut keys: BTreeMap<&AccountRef, CustomerKey> = BTreeMap::new();
    let mut orders = Vec::with_capacity(file.orders.len());
    for order in &file.orders {
        let fields = fields(order, expires_at);
        if let Some(order) = kept.get(&fields)? {
            orders.push(order);
            continue;
        }
        if !keys.contains_key(&order.payer) {
            keys.insert(&order.payer, key(args, &order.payer)?);
        }
        let signed = Order::sign(&fields, &keys[&order.payer]).map_err(Failure::input)?;
        kept.add(&signed);
        orders.push(signed);
    }
    kept.save()?;
    Ok(orders)
}

fn key(args: &PayArgs, payer: &AccountRef) -> Result<CustomerKey, Failure> {
    let folder = args.keys.as_deref().ok_or_else(|| Failure::input("--orders needs --keys"))?;
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
