//! A bank that has voted is told the outcome by the other banks' votes alone; the whole certificate comes where that was not enough.
//! And a bank checks many customers' signatures together, and takes none for another's.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/hand.rs"]
mod hand;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use hand::{App, LONG_MS, World, ask, forged, order, order_signed_by, peer, the_vote};
use hundi_coordinator::Policy;
use hundi_protocol::{
    AdminAction, AdminResult, Client, CustomerKey, Decision, Digest, Message, Order, Outcome, Reason, Role,
    UncheckedCertificate,
};

const YES: Decision = Decision::Yes;
const NO: Decision = Decision::No(Reason::AccountClosed);

#[tokio::test]
async fn a_bank_hears_the_others_votes_first_and_the_whole_certificate_until_it_acknowledges() {
    let world = World::new();
    let courier =
        world.start_coordinator(Policy { again_after_ms: 100, patience_ms: LONG_MS, ..Policy::default() });
    let c1 = peer(Role::Coordinator, "c1");
    let (mut alpha, mut beta) = (world.play(peer(Role::Bank, "alpha")), world.play(peer(Role::Bank, "beta")));
    let mut app = App { client: world.app(Role::App, "app", &c1).await, heard: VecDeque::new() };
    let paid = order(300);
    app.submit(&paid).await;
    beta.asked_about(&paid).await;
    beta.link.send(&c1, vec![world.vote("beta", &paid, YES)]);
    alpha.asked_about(&paid).await;
    let yes = world.vote("alpha", &paid, YES);
    alpha.link.send(&c1, vec![yes.clone()]);
    assert_eq!(world.proves(app.outcome().await), Some(Outcome::Commit));
    let mut told = Vec::new();
    while told.len() < 3 {
        match beta.next().await {
            Message::Prepare { .. } => {} // While the votes were on their way.
            other => told.push(other),
        }
    }
    let [Message::Proof { votes }, whole @ ..] = &told[..] else { panic!("expected votes first: {told:?}") };
    assert_eq!(*votes, [the_vote(&yes)], "what it has not said itself");
    for message in whole {
        let Message::Outcome { certificate } = message else { panic!("expected a certificate: {message:?}") };
        assert_eq!(world.proves(certificate.clone()), Some(Outcome::Commit));
    }
    beta.link.send(&c1, vec![world.ack("beta", &paid)]);
    // Of the next payment it hears, and no more of this one.
    let next = order(1);
    app.submit(&next).await;
    let mut late = 0;
    for _ in 0..6 {
        match beta.next().await {
            Message::Prepare { order, .. } => assert_eq!(order.digest(), next.digest()),
            Message::Outcome { .. } if late == 0 => late += 1, // On its way while this bank acknowledged.
            other => panic!("nothing more of the first payment: {other:?}"),
        }
    }
    beta.link.send(&c1, vec![world.vote("beta", &next, NO)]);
    assert_eq!(world.proves(app.outcome().await), Some(Outcome::Abort));
    courier.stopper().stop();
}

/// What an account was paid, and what is on its way to it.
async fn credits(operator: &mut Client, account: &str) -> (u128, u128) {
    match ask(operator, AdminAction::Balance { account: account.parse().unwrap() }).await {
        AdminResult::Accounts(views) => (views[0].credits_posted.0, views[0].credits_pending.0),
        other => panic!("expected a balance, got {other:?}"),
    }
}

#[tokio::test]
async fn a_bank_posts_on_the_others_votes_and_lets_pass_what_it_does_not_know() {
    let world = World::new();
    let (beta, mut operator, mut c1) = world.bank_alone("beta", "shop", 0).await;
    let at = peer(Role::Bank, "beta");
    let proof = |vote: &Message| Message::Proof { votes: vec![the_vote(vote)] };
    let whole = |order: &Arc<Order>, votes: Vec<&Message>| Message::Outcome {
        certificate: UncheckedCertificate {
            order: Arc::clone(order),
            votes: votes.into_iter().map(the_vote).collect(),
        },
    };

    // A payment that it never heard of.
    let unknown = order(7);
    let refusal = world.vote("alpha", &unknown, NO);
    // One that it votes on.
    let paid = order(300);
    let yes = world.vote("alpha", &paid, YES);
    c1.link.send(&at, vec![proof(&yes)]); // Before it has voted.
    c1.link.send(&at, vec![Message::Prepare { order: Arc::clone(&paid), votes: vec![] }]);
    let Message::Vote { vote: own } = c1.next().await else { panic!("expected a vote") };
    assert_eq!((own.unverified().payment, own.unverified().decision), (paid.digest(), YES));
    let question = || Message::Prepare { order: Arc::clone(&paid), votes: vec![] };
    c1.link.send(
        &at,
        vec![
            proof(&refusal),
            Message::Proof { votes: vec![] },
            proof(&forged("alpha", &paid, 99)),
            question(),
        ],
    );
    assert!(matches!(c1.next().await, Message::Vote { .. }), "the answer to the last; none to the others");
    assert_eq!(credits(&mut operator, "shop").await, (0, 300), "nothing of that proves anything");
    c1.link.send(&at, vec![proof(&yes)]);
    let acknowledged = |message: Message| match message {
        Message::Ack { ack } => ack.unverified().payment,
        other => panic!("expected an acknowledgement, got {other:?}"),
    };
    assert_eq!(acknowledged(c1.next().await), paid.digest(), "and not the unknown one");
    assert_eq!(credits(&mut operator, "shop").await, (300, 0));
    // Told again, either way: acknowledged again, and paid once.
    for message in [proof(&yes), whole(&paid, vec![&yes, &Message::Vote { vote: own.clone() }])] {
        c1.link.send(&at, vec![message]);
        assert_eq!(acknowledged(c1.next().await), paid.digest());
    }
    // What proves nothing, its own vote, draws no word, also now.
    let nothing = Message::Proof { votes: vec![own] };
    c1.link.send(&at, vec![nothing, whole(&unknown, vec![&refusal])]);
    assert_eq!(acknowledged(c1.next().await), unknown.digest());
    assert_eq!(credits(&mut operator, "shop").await, (300, 0));
    beta.stopper().stop();
    beta.wait().unwrap();
}

#[tokio::test]
async fn a_bank_whose_file_has_lost_its_yes_acknowledges_nothing_and_stops_when_it_is_shown_it() {
    let world = World::new();
    let (beta, _operator, mut c1) = world.bank_alone("beta", "shop", 0).await;
    let at = peer(Role::Bank, "beta");
    let (paid, next, last) = (order(300), order(1), order(2));
    let forgotten = world.vote("beta", &paid, YES); // By its key; its file is an old copy.
    let yes = world.vote("alpha", &paid, YES);
    let ask = |order: &Arc<Order>| Message::Prepare { order: Arc::clone(order), votes: vec![] };
    c1.link.send(&at, vec![Message::Resolve { order: Arc::clone(&paid) }]);
    let Message::Vote { vote } = c1.next().await else { panic!("expected a vote") };
    assert_eq!(vote.unverified().decision, Decision::No(Reason::Resolved));
    c1.link.send(&at, vec![Message::Proof { votes: vec![the_vote(&yes)] }, ask(&next)]);
    for (asked, then) in [(&next, Some(&last)), (&last, None)] {
        let Message::Vote { vote } = c1.next().await else { panic!("it has not done what it is told") };
        assert_eq!(vote.unverified().payment, asked.digest());
        c1.link.send(&at, then.map(ask).into_iter().collect());
    }
    let votes = [yes, forgotten].iter().map(the_vote).collect();
    c1.link.send(&at, vec![Message::Outcome { certificate: UncheckedCertificate { order: paid, votes } }]);
    assert!(beta.wait().unwrap_err().to_string().contains("vote"));
}

#[tokio::test]
async fn of_many_signatures_that_are_checked_together_exactly_the_bad_ones_are_refused() {
    const ORDERS: usize = 400; // Several turns, and more than are checked at once.
    let world = World::new();
    let (alpha, _operator, mut c1) = world.bank_alone("alpha", "asha", 1_000_000).await;
    let at = peer(Role::Bank, "alpha");
    let strange = CustomerKey::from_seed(&[8; 32]);
    // From the second hundred on, one in seven: some in a turn of their own, some behind one.
    let is_bad = |n: usize| n > 100 && n.is_multiple_of(7);
    let orders: Vec<_> =
        (0..ORDERS).map(|n| if is_bad(n) { order_signed_by(&strange, 1) } else { order(1) }).collect();
    let ask = |order: &Arc<Order>| Message::Prepare { order: Arc::clone(order), votes: vec![] };
    // Every other one twice: a repeat must not take another's result.
    let asked = orders.iter().enumerate();
    let messages = asked.flat_map(|(n, order)| std::iter::repeat_n(ask(order), 1 + n % 2)).collect();
    c1.link.send(&at, messages);
    let mut refused = BTreeSet::<Digest>::new();
    let mut accepted = BTreeSet::<Digest>::new();
    for _ in 0..ORDERS + ORDERS / 2 {
        let Message::Vote { vote } = c1.next().await else { panic!("expected a vote") };
        let vote = vote.unverified();
        match vote.decision {
            Decision::Yes => accepted.insert(vote.payment),
            Decision::No(Reason::BadSignature) => refused.insert(vote.payment),
            other => panic!("expected a refusal for the signature, got {other:?}"),
        };
    }
    let bad = orders.iter().enumerate().filter(|(n, _)| is_bad(*n)).map(|(_, order)| order.digest());
    assert_eq!(refused, bad.collect());
    assert_eq!(accepted.len() + refused.len(), ORDERS);
    alpha.stopper().stop();
    alpha.wait().unwrap();
}
