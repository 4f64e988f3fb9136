//! A courier by hand: what it asks, tells and forgets.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use hundi_coordinator::{Caller, Courier, Declined, Effect, Policy};
use hundi_protocol::{
    AccountName, AccountRef, BankKey, BankName, Credit, CustomerKey, Decision, Minor, Order, OrderFields,
    OrderId, Outcome, Reason, Signer, UnixMillis, Verified, Vote,
};

const NOW: UnixMillis = UnixMillis(1_000);

fn bank(name: &str) -> BankName {
    BankName::new(name).unwrap()
}

fn order(n: u8) -> Arc<Order> {
    let account =
        |bank_name: &str| AccountRef { name: AccountName::new("asha").unwrap(), bank: bank(bank_name) };
    let fields = OrderFields {
        id: OrderId::from_parts(UnixMillis(500), [n; 10]),
        payer: account("alpha"),
        credits: vec![Credit { payee: account("beta"), amount: Minor(5) }],
        currency: "INR".parse().unwrap(),
        expires_at: UnixMillis(9_000),
        note: String::new(),
    };
    Order::sign(&fields, &CustomerKey::from_seed(&[7; 32])).unwrap()
}

fn vote(order: &Order, by: &str, decision: Decision) -> Verified<Vote> {
    let signer = Signer::new(bank(by), BankKey::from_seed(&[by.as_bytes()[0]; 32]));
    signer.sign_own(vec![Vote { payment: order.digest(), bank: bank(by), decision }]).remove(0)
}

fn courier(carried_max: usize) -> Courier {
    let policy = Policy { carried_max, ..Policy::default() };
    Courier::open(NOW, ["alpha", "beta"].map(bank).into(), policy, Vec::new())
}

fn effects(courier: &mut Courier) -> Vec<Effect> {
    std::iter::from_fn(|| courier.poll()).filter(|effect| !matches!(effect, Effect::Remember(_))).collect()
}

#[test]
fn the_payers_bank_is_asked_last_and_with_the_proof() {
    let mut courier = courier(8);
    let order = order(1);
    courier.handle_submit(NOW, Caller(1), Arc::clone(&order));
    let asked = effects(&mut courier);
    assert!(
        matches!(asked.as_slice(), [Effect::Prepare { to, votes, .. }] if *to == bank("beta") && votes.is_empty())
    );
    let beta_yes = vote(&order, "beta", Decision::Yes);
    courier.handle_vote(NOW, beta_yes.clone());
    courier.handle_vote(NOW, beta_yes.clone());
    let asked = effects(&mut courier);
    assert!(
        matches!(asked.as_slice(), [Effect::Prepare { to, votes, .. }] if *to == bank("alpha") && *votes == [beta_yes])
    );
    courier.handle_vote(NOW, vote(&order, "alpha", Decision::Yes));
    let told = effects(&mut courier);
    assert!(
        matches!(told.as_slice(), [Effect::Answer { to: Caller(1), certificate }, Effect::Outcome { to, .. }]
            if certificate.outcome() == Outcome::Commit && *to == bank("beta")),
        "{told:?}"
    );
}

#[test]
fn impatience_asks_to_answer_or_refuse() {
    let mut courier = courier(8);
    courier.handle_submit(NOW, Caller(1), order(1));
    effects(&mut courier);
    courier.handle_time(UnixMillis(NOW.0 + Policy::default().patience_ms));
    let asked = effects(&mut courier);
    assert!(asked.iter().all(|effect| matches!(effect, Effect::Resolve { .. })), "{asked:?}");
    assert_eq!(asked.len(), 2, "both banks are silent");
}

#[test]
fn a_second_word_on_a_settled_payment_is_reported() {
    let mut courier = courier(8);
    let order = order(1);
    courier.handle_submit(NOW, Caller(1), Arc::clone(&order));
    courier.handle_vote(NOW, vote(&order, "beta", Decision::No(Reason::AccountClosed)));
    effects(&mut courier);
    for _ in 0..2 {
        courier.handle_vote(NOW, vote(&order, "beta", Decision::No(Reason::AccountClosed)));
        assert_eq!(effects(&mut courier), [], "a repeat is harmless");
    }
    assert_eq!(courier.under_way(), 0, "settled: nobody holds for it");
    courier.handle_vote(NOW, vote(&order, "beta", Decision::Yes));
    let told = effects(&mut courier);
    assert!(
        matches!(told.as_slice(), [Effect::Report(proof)] if proof.no().statement().bank == bank("beta")),
        "{told:?}"
    );
}

#[test]
fn a_bank_that_is_down_does_not_use_up_the_coordinator() {
    let mut courier = courier(2);
    for n in 1..=2 {
        let order = order(n);
        courier.handle_submit(NOW, Caller(1), Arc::clone(&order));
        courier.handle_vote(NOW, vote(&order, "beta", Decision::Yes));
        courier.handle_vote(NOW, vote(&order, "alpha", Decision::No(Reason::InsufficientFunds)));
    }
    effects(&mut courier);
    assert_eq!(courier.under_way(), 2, "beta has not acknowledged");
    courier.handle_submit(NOW, Caller(1), order(3));
    let next = effects(&mut courier);
    assert!(next.iter().any(|effect| matches!(effect, Effect::Prepare { .. })), "{next:?}");
    courier.handle_submit(NOW, Caller(1), order(4));
    effects(&mut courier);
    courier.handle_submit(NOW, Caller(1), order(5));
    let turned_away = effects(&mut courier);
    assert!(
        matches!(turned_away.as_slice(), [Effect::Decline { why: Declined::Busy, .. }]),
        "unsettled payments are not let go: {turned_away:?}"
    );
}
