//! A small world for tests: fixed keys, two banks, an order.
#![allow(
    dead_code,
    clippy::unwrap_used,
    unreachable_pub,
    missing_docs,
    reason = "shared by several test binaries"
)]

pub mod world;

use std::sync::Arc;

use hundi_protocol::*;

pub const EXPIRES: UnixMillis = UnixMillis(1_800_000_000_000);

pub fn bank(name: &str) -> BankName {
    name.parse().unwrap()
}

pub fn customer() -> CustomerKey {
    CustomerKey::from_seed(&[7; 32])
}

/// Signs as the bank, with a key that follows from its name.
pub fn signer(name: &str) -> Signer {
    Signer::new(bank(name), BankKey::from_seed(Digest::of(name.as_bytes()).as_bytes()))
}

pub fn verifier() -> Verifier {
    let names = ["alpha", "beta", "gamma"];
    Verifier::new(names.map(|name| (bank(name), signer(name).public())).into_iter().collect())
}

pub fn fields() -> OrderFields {
    OrderFields {
        id: OrderId::from_parts(UnixMillis(1_700_000_000_000), [5; 10]),
        payer: "alice@alpha".parse().unwrap(),
        credits: vec![Credit { payee: "bob@beta".parse().unwrap(), amount: Minor(1250) }],
        currency: "CZK".parse().unwrap(),
        expires_at: EXPIRES,
        note: "for the books".to_owned(),
    }
}

pub fn order() -> Arc<Order> {
    Order::sign(&fields(), &customer()).unwrap()
}

pub fn vote(order: &Order, by: &str, decision: Decision) -> Vote {
    Vote { payment: order.digest(), bank: bank(by), decision }
}

pub fn verified(order: &Order, by: &str, decision: Decision) -> Verified<Vote> {
    signer(by).sign_own(vec![vote(order, by, decision)]).pop().unwrap()
}
