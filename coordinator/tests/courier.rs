//! A courier by hand: what it asks, tells and forgets.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use hundi_coordinator::{Caller, CommitOrder, Courier, Declined, Effect, Foreseen, Policy};
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
        matches!(told.as_slice(), [Effect::Answer { to: Caller(1), certificate }, Effect::Outcome { to, again: false, .. }]
            if certificate.outcome() == Outcome::Commit && *to == bank("beta")),
        "{told:?}"
    );
    courier.handle_time(UnixMillis(NOW.0 + 1_000));
    let again = effects(&mut courier);
    assert!(
        matches!(again.as_slice(), [Effect::Outcome { to, again: true, .. }] if *to == bank("beta")),
        "one that has not acknowledged may never have heard of the payment: {again:?}"
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

/// Pays two banks: asha@alpha to asha@beta and asha@gamma.
fn order_of_three() -> Arc<Order> {
    let account = |name: &str| AccountRef { name: AccountName::new("asha").unwrap(), bank: bank(name) };
    let credit = |name: &str| Credit { payee: account(name), amount: Minor(5) };
    let fields = OrderFields {
        id: OrderId::from_parts(UnixMillis(500), [9; 10]),
        payer: account("alpha"),
        credits: vec![credit("beta"), credit("gamma")],
        currency: "INR".parse().unwrap(),
        expires_at: UnixMillis(9_000),
        note: String::new(),
    };
    Order::sign(&fields, &CustomerKey::from_seed(&[7; 32])).unwrap()
}

/// What a vote led to, as [`Courier::foresee`] says it: the votes that went with it, without that one.
fn led_to(told: &[Effect], vote: &Verified<Vote>) -> Option<Foreseen> {
    let without = |votes: &[Verified<Vote>]| votes.iter().filter(|other| *other != vote).cloned().collect();
    let answers = told.iter().filter_map(|effect| match effect {
        Effect::Answer { to, certificate } => Some((*to, certificate)),
        _ => None,
    });
    let (to, certificates): (Vec<_>, Vec<_>) = answers.unzip();
    if let Some(certificate) = certificates.first() {
        let votes = without(certificate.votes());
        return Some(Foreseen::Answer { to, order: Arc::clone(certificate.order()), votes });
    }
    told.iter().find_map(|effect| match effect {
        Effect::Prepare { to, order, votes } if to == order.payer_bank() => {
            Some(Foreseen::Question { order: Arc::clone(order), votes: without(votes) })
        }
        _ => None,
    })
}

#[test]
fn what_is_foreseen_of_a_yes_is_what_it_leads_to_and_changes_nothing() {
    let order = order_of_three();
    let votes: Vec<_> = ["alpha", "beta", "gamma"].map(|by| vote(&order, by, Decision::Yes)).into();
    let open = |commit_order| {
        let policy = Policy { commit_order, ..Policy::default() };
        let mut courier = Courier::open(NOW, ["alpha", "beta", "gamma"].map(bank).into(), policy, Vec::new());
        courier.handle_submit(NOW, Caller(1), Arc::clone(&order));
        courier.handle_submit(NOW, Caller(2), Arc::clone(&order));
        effects(&mut courier);
        courier
    };
    let (mut questions, mut answers) = (0, 0);
    // Every sequence of four votes: in any order, repeated, missing.
    for n in 0..81usize {
        let mut courier = open(CommitOrder::PayerLast);
        for vote in [n % 3, n / 3 % 3, n / 9 % 3, n / 27].map(|i| &votes[i]) {
            let before = courier.clone();
            let foreseen = courier.foresee(NOW, vote.statement());
            assert_eq!(courier, before);
            courier.handle_vote(NOW, vote.clone());
            let came = led_to(&effects(&mut courier), vote);
            assert_eq!(foreseen, came, "sequence {n}, vote of {}", vote.statement().bank);
            questions += usize::from(matches!(came, Some(Foreseen::Question { .. })));
            answers += usize::from(matches!(came, Some(Foreseen::Answer { .. })));
        }
    }
    assert!(questions > 9 && answers > 9, "{questions} questions, {answers} answers");

    let mut parallel = open(CommitOrder::Parallel);
    for vote in &votes {
        assert_eq!(parallel.foresee(NOW, vote.statement()), None, "all banks were asked at once");
        parallel.handle_vote(NOW, vote.clone());
    }
    assert_eq!(courier(8).foresee(NOW, votes[0].statement()), None, "never heard of");
}

#[test]
fn nothing_is_foreseen_of_a_no_nor_after_one_nor_where_a_bank_is_missing() {
    let open = |banks: &[&str]| {
        let banks = banks.iter().map(|name| bank(name)).collect();
        let mut courier = Courier::open(NOW, banks, Policy::default(), Vec::new());
        courier.handle_submit(NOW, Caller(1), order(1));
        courier
    };
    let yes = vote(&order(1), "beta", Decision::Yes);
    let no = |by| vote(&order(1), by, Decision::No(Reason::AccountClosed));
    let mut courier = open(&["alpha", "beta"]);
    assert!(courier.foresee(NOW, yes.statement()).is_some());
    assert_eq!(courier.foresee(NOW, no("beta").statement()), None);
    courier.handle_vote(NOW, no("alpha"));
    assert_eq!(
        courier.foresee(NOW, yes.statement()),
        None,
        "refused by then, at another coordinator's question"
    );
    assert_eq!(open(&["beta"]).foresee(NOW, yes.statement()), None, "nobody to ask");
}

#[test]
fn when_patience_ends_no_question_is_foreseen() {
    let mut courier = courier(8);
    courier.handle_submit(NOW, Caller(1), order(1));
    let yes = vote(&order(1), "beta", Decision::Yes);
    let patience = Policy::default().patience_ms;
    assert!(courier.foresee(UnixMillis(NOW.0 + patience - 1), yes.statement()).is_some());
    assert_eq!(
        courier.foresee(UnixMillis(NOW.0 + patience), yes.statement()),
        None,
        "it is asked to answer or refuse"
    );
}

#[test]
fn a_bank_that_was_asked_already_is_not_asked_ahead() {
    let mut courier = courier(8);
    let order = order(1);
    courier.handle_submit(NOW, Caller(1), Arc::clone(&order));
    courier.handle_time(UnixMillis(NOW.0 + Policy::default().patience_ms));
    let asked = effects(&mut courier);
    assert!(
        asked.iter().any(|e| matches!(e, Effect::Resolve { to, .. } if *to == bank("alpha"))),
        "{asked:?}"
    );
    assert_eq!(courier.foresee(NOW, vote(&order, "beta", Decision::Yes).statement()), None);
}
