//! A coordinator passes votes on before it has checked them: a bank that signs badly gains nothing by it.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/hand.rs"]
mod hand;

use std::collections::VecDeque;
use std::sync::Arc;

use hand::{App, LONG_MS, World, ask, forged, order, peer, the_vote};
use hundi_coordinator::Policy;
use hundi_protocol::{
    AccountView, AdminAction, AdminResult, Decision, Message, Minor, Order, Outcome, PaymentStatus, Reason,
    Role,
};

#[tokio::test]
async fn a_bad_vote_is_passed_on_and_counts_for_nobody() {
    let world = World::new();
    let courier = world.start_coordinator(Policy { patience_ms: LONG_MS, ..Policy::default() });
    let c1 = peer(Role::Coordinator, "c1");
    let (mut alpha, mut beta) = (world.play(peer(Role::Bank, "alpha")), world.play(peer(Role::Bank, "beta")));
    let mut app = App { client: world.app(Role::App, "app", &c1).await, heard: VecDeque::new() };
    let (yes, no) = (Decision::Yes, Decision::No(Reason::AccountClosed));

    // Where a bank says NO and YES in one turn, the payer's bank hears nothing: the payment is refused.
    let refused = order(1);
    app.submit(&refused).await;
    beta.asked_about(&refused).await;
    beta.link.send(&c1, [no, yes].map(|decision| world.vote("beta", &refused, decision)).into());
    assert_eq!(world.proves(app.outcome().await), Some(Outcome::Abort));

    // Nor does it hear what it brought itself, which another bank is said to have said.
    let (paid, other) = (order(300), order(2));
    app.submit(&paid).await;
    beta.asked_about(&paid).await;
    app.submit(&other).await;
    alpha.link.send(&c1, vec![forged("beta", &paid, 98)]);
    alpha.link.send(&c1, vec![world.vote("alpha", &other, yes)]);
    app.until_heard(&other).await;

    // A bad vote is passed on, the good one after it too, and again while there is no answer.
    let (bad, good) = (forged("beta", &paid, 99), world.vote("beta", &paid, yes));
    beta.link.send(&c1, vec![bad.clone()]);
    assert_eq!(alpha.asked().await, (paid.digest(), vec![the_vote(&bad)]));
    beta.link.send(&c1, vec![good.clone()]);
    for _ in 0..2 {
        assert_eq!(alpha.asked().await, (paid.digest(), vec![the_vote(&good)]));
    }
    // The last vote is bad: the app is shown what does not hold, and it is not settled before a good one.
    alpha.link.send(&c1, vec![forged("alpha", &paid, 99)]);
    assert_eq!(world.proves(app.outcome().await), None);
    alpha.link.send(&c1, vec![world.vote("alpha", &paid, yes)]);
    assert_eq!(world.proves(app.outcome().await), Some(Outcome::Commit));

    // Of banks that did so nothing is passed on any more that was not checked.
    let next = order(3);
    app.submit(&next).await;
    beta.asked_about(&next).await;
    let good = world.vote("beta", &next, yes);
    beta.link.send(&c1, vec![forged("beta", &next, 99)]);
    beta.link.send(&c1, vec![good.clone()]);
    let (about, votes) = loop {
        let (about, votes) = alpha.asked().await;
        if about != paid.digest() {
            break (about, votes);
        }
    };
    assert_eq!((about, votes), (next.digest(), vec![the_vote(&good)]));
    alpha.link.send(&c1, vec![forged("alpha", &next, 99)]);
    alpha.link.send(&c1, vec![world.vote("alpha", &next, yes)]);
    assert_eq!(world.proves(app.outcome().await), Some(Outcome::Commit));
    courier.stopper().stop();
}

#[tokio::test]
async fn what_went_ahead_is_not_sent_again() {
    let world = World::new();
    let courier = world.start_coordinator(Policy {
        again_after_ms: LONG_MS,
        patience_ms: LONG_MS,
        ..Policy::default()
    });
    let c1 = peer(Role::Coordinator, "c1");
    let (mut alpha, mut beta) = (world.play(peer(Role::Bank, "alpha")), world.play(peer(Role::Bank, "beta")));
    let mut app = App { client: world.app(Role::App, "app", &c1).await, heard: VecDeque::new() };
    for order in [order(1), order(2)] {
        app.submit(&order).await;
        beta.asked_about(&order).await;
        beta.link.send(&c1, vec![world.vote("beta", &order, Decision::Yes)]);
        assert_eq!(alpha.asked().await.0, order.digest());
        app.until_heard(&order).await;
        alpha.link.send(&c1, vec![world.vote("alpha", &order, Decision::Yes)]);
        assert_eq!(world.proves(app.outcome().await), Some(Outcome::Commit));
        app.client.send(vec![Message::Status { payment: order.digest() }]).await.unwrap();
        assert!(matches!(
            app.hear().await,
            Message::StatusReply { status: PaymentStatus::Settled { .. }, .. }
        ));
    }
    courier.stopper().stop();
}

#[tokio::test]
async fn a_bank_that_is_asked_with_a_bad_vote_holds_nothing() {
    let world = World::new();
    let at = peer(Role::Bank, "alpha");
    let (alpha, mut operator, mut c1) = world.bank_alone("alpha", "asha", 1_000).await;
    let account: hundi_protocol::AccountName = "asha".parse().unwrap();

    let (first, second) = (order(300), order(20));
    let question = |order: &Arc<Order>, votes| Message::Prepare { order: Arc::clone(order), votes };
    let bad = the_vote(&forged("beta", &first, 99));
    c1.link.send(&at, vec![question(&first, vec![bad]), question(&second, vec![])]);
    let voted = |message: Message| match message {
        Message::Vote { vote } => (vote.unverified().payment, vote.unverified().decision),
        other => panic!("expected a vote, got {other:?}"),
    };
    assert_eq!(voted(c1.next().await), (second.digest(), Decision::Yes), "no word on the first");
    let balance = |held, paid| AccountView {
        account: account.clone(),
        currency: "INR".parse().unwrap(),
        debits_pending: Minor(held),
        debits_posted: Minor(paid),
        credits_pending: Minor(0),
        credits_posted: Minor(1_000),
        closed: false,
    };
    let look = AdminAction::Balance { account: account.clone() };
    assert_eq!(ask(&mut operator, look.clone()).await, AdminResult::Accounts(vec![balance(20, 0)]));
    c1.link.send(&at, vec![question(&first, vec![the_vote(&world.vote("beta", &first, Decision::Yes))])]);
    assert_eq!(voted(c1.next().await), (first.digest(), Decision::Yes));
    assert_eq!(
        ask(&mut operator, look).await,
        AdminResult::Accounts(vec![balance(20, 300)]),
        "nothing was held against it"
    );
    alpha.stopper().stop();
    alpha.wait().unwrap();
}
