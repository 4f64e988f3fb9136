//! Orders, votes and certificates: what proves something, and what does not.
#![allow(missing_docs, reason = "tests")]

mod common;
use common::*;
use hundi_protocol::*;

#[test]
fn an_order_reads_back_as_it_was_signed() {
    let order = order();
    let again = Order::parse(order.bytes()).unwrap();
    assert_eq!(again, order);
    assert_eq!(again.id(), fields().id);
    assert_eq!(again.payer().to_string(), "alice@alpha");
    assert_eq!(again.amount(), Minor(1250));
    assert_eq!(again.legs()[1].account.to_string(), "bob@beta");
    assert_eq!(again.banks(), [bank("alpha"), bank("beta")]);
    assert_eq!(again.expires_at(), EXPIRES);
    assert_eq!(again.note(), "for the books");
    assert_eq!(again.authorise(&customer().public()).unwrap().digest(), order.digest());
    assert_eq!(again.authorise(&CustomerKey::from_seed(&[8; 32]).public()), Err(BadSignature));
}

#[test]
fn the_outcome_is_a_pure_function_of_the_votes() {
    use Decision::{No, Yes};
    let order = order();
    let no = No(Reason::InsufficientFunds);
    let check = |votes: &[(&str, Decision)], expected| {
        let votes: Vec<_> = votes.iter().map(|(by, decision)| verified(&order, by, *decision)).collect();
        assert_eq!(outcome(&order, &votes), expected, "{votes:?}");
        let certificate = Certificate::new(order.clone(), &votes);
        assert_eq!(certificate.map(|c| c.outcome()), expected, "{votes:?}");
    };
    check(&[], None);
    check(&[("alpha", Yes)], None);
    check(&[("alpha", Yes), ("alpha", Yes)], None);
    check(&[("alpha", Yes), ("gamma", Yes)], None); // Not a bank of the order.
    check(&[("gamma", no)], None);
    check(&[("alpha", Yes), ("beta", Yes)], Some(Outcome::Commit));
    check(&[("alpha", Yes), ("beta", no)], Some(Outcome::Abort));
    check(&[("beta", no)], Some(Outcome::Abort));
    check(&[("alpha", Yes), ("beta", Yes), ("beta", no)], Some(Outcome::Commit)); // R12
}

#[test]
fn a_certificate_survives_the_wire_and_is_checked_there() {
    let order = order();
    let votes = [verified(&order, "alpha", Decision::Yes), verified(&order, "beta", Decision::Yes)];
    let certificate = Certificate::new(order.clone(), &votes).unwrap();
    let bytes = certificate.to_bytes();
    assert_eq!(Certificate::from_bytes(&bytes, &mut verifier()).unwrap(), certificate);
    let json = serde_json::to_string(&certificate.to_unchecked()).unwrap();
    let unchecked: UncheckedCertificate = serde_json::from_str(&json).unwrap();
    assert_eq!(unchecked.check(&mut verifier()).unwrap(), certificate);

    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(Certificate::from_bytes(&longer, &mut verifier()), Err(BadCertificate::Malformed));
}
