//! What a demo does: accounts to open and fund, payments to make, and what should become of each.

mod from_file;
mod generate;
mod random;

use std::num::NonZeroUsize;
use std::sync::Arc;

use hundi_protocol::{
    AccountRef, BankName, Currency, CustomerKey, Digest, Minor, Order, OrderFields, OrderId, Reason,
    UnixMillis,
};

use crate::failure::Failure;

pub(crate) use from_file::from_file;
pub(crate) use generate::{Generate, generate};

/// How many orders share a millisecond of their ids: as if they were given at 16,000 a second.
const ORDERS_PER_MS: u64 = 16;
/// For how long the orders of a plan are good.
const EXPIRES_AFTER_MS: u64 = 60 * 60 * 1000;

/// Accounts and payments.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The banks, by name.
    pub(crate) banks: Vec<BankName>,
    /// The accounts to open.
    pub(crate) accounts: Vec<PlannedAccount>,
    /// The payments to make.
    pub(crate) payments: Vec<PlannedPayment>,
}

/// An account to open.
#[derive(Debug)]
pub(crate) struct PlannedAccount {
    /// Its name and bank.
    pub(crate) account: AccountRef,
    /// Its currency.
    pub(crate) currency: Currency,
    /// Its owner's key.
    pub(crate) key: CustomerKey,
    /// What to put in: exactly the sum of its orders that should succeed.
    pub(crate) deposit: Minor,
    /// Whether to close it again before the payments start.
    pub(crate) closed: bool,
}

/// A payment to make.
#[derive(Debug)]
pub(crate) struct PlannedPayment {
    /// What the order says.
    pub(crate) fields: OrderFields,
    /// The account, by its place in [`Plan::accounts`], whose key signs.
    pub(crate) signer: usize,
    /// What should become of it.
    pub(crate) fate: Fate,
}

/// What should become of a payment while every bank can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is paid.
    Paid,
    /// It is refused, for this reason.
    Refused(Reason),
}

impl Plan {
    /// Makes and signs all orders, on all processors.
    pub(crate) fn sign(&self) -> Result<Vec<Arc<Order>>, Failure> {
        let workers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let chunk = self.payments.len().div_ceil(workers).max(1);
        let sign =
            |payment: &PlannedPayment| Order::sign(&payment.fields, &self.accounts[payment.signer].key);
        let signed: Result<Vec<Arc<Order>>, _> = std::thread::scope(|scope| {
            let chunks = self.payments.chunks(chunk);
            let work: Vec<_> =
                chunks.map(|chunk| scope.spawn(move || chunk.iter().map(sign).collect::<Vec<_>>())).collect();
            let done = work.into_iter().map(|worker| worker.join());
            done.flat_map(|orders| orders.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        });
        signed.map_err(Failure::input)
    }
}

/// The key of an account of a demo: it follows from the seed, so that a run can be repeated.
pub(crate) fn demo_key(seed: u64, account: &AccountRef) -> CustomerKey {
    let text = format!("hundi/demo-customer/v1 {seed} {account}");
    CustomerKey::from_seed(Digest::of(text.as_bytes()).as_bytes())
}

/// The id of the `n`th of `count` orders of a run that starts `now`: rises with `n`, and is the same for the same run.
pub(crate) fn order_id(now: UnixMillis, seed: u64, n: usize, count: usize) -> OrderId {
    let (n, count) = (n as u64, count as u64);
    let first = now.0.saturating_sub(count / ORDERS_PER_MS);
    let hash = Digest::of(format!("hundi/demo-order/v1 {seed} {n}").as_bytes());
    let mut random = [0; 10];
    random.copy_from_slice(&hash.as_bytes()[..10]);
    // The twelve bits after the time and the version: the place within the millisecond.
    let place = u8::try_from(n % ORDERS_PER_MS).unwrap_or_default();
    random[..2].copy_from_slice(&[0, place]);
    OrderId::from_parts(UnixMillis(first + n / ORDERS_PER_MS), random)
}

fn expires_at(now: UnixMillis) -> UnixMillis {
    UnixMillis(now.0 + EXPIRES_AFTER_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_ids_rise_and_follow_from_the_run() {
        let now = UnixMillis(1_800_000_000_000);
        let ids: Vec<OrderId> = (0..100).map(|n| order_id(now, 7, n, 100)).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert_eq!(ids[42], order_id(now, 7, 42, 100));
        assert_ne!(ids[42], order_id(now, 8, 42, 100));
    }
}
