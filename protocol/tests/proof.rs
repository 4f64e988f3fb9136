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
fn a_batch_that_is_remembered_lets_its_own_statements_pass_and_no_others() {
    let vote = |n: u8, decision| Vote { payment: Digest([n; 32]), bank: bank("alpha"), decision };
    let batch = |signer: &Signer| signer.sign_own(vec![vote(1, Decision::Yes), vote(2, Decision::Yes)]);
    let own = batch(&signer("alpha"));
    let mut verifier = verifier();
    verifier.remember(&own[0]);
    assert_eq!(verifier.verify(own[1].signed().clone()), Ok(own[1].clone()));
    // The same words under the same root, by a key that is not alpha's; and another word with alpha's signature.
    let forged = batch(&Signer::new(bank("alpha"), BankKey::from_seed(&[99; 32])));
    assert_eq!(verifier.verify(forged[1].signed().clone()), Err(BadProof::BadSignature(bank("alpha"))));
    let mut bytes = postcard::to_allocvec(own[1].signed()).unwrap();
    let decision = bytes.windows(6).position(|part| part == b"alpha\0").unwrap() + 5;
    bytes[decision] = Reason::Expired.code();
    let altered: Signed<Vote> = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(altered.unverified(), &vote(2, Decision::No(Reason::Expired)));
    assert_eq!(verifier.verify(altered), Err(BadProof::BadSignature(bank("alpha"))));
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

#[test]
fn no_bit_of_a_certificate_can_be_changed() {
    // In a batch with others, so that the votes have paths.
    let order = order();
    let others = |by: &'static str| {
        (0..5u8).map(move |i| Vote { payment: Digest([i; 32]), bank: bank(by), decision: Decision::Yes })
    };
    let votes: Vec<_> = ["alpha", "beta"]
        .iter()
        .map(|by| {
            let batch = others(by).chain([vote(&order, by, Decision::Yes)]).chain(others(by)).collect();
            signer(by).sign_own(batch).remove(5)
        })
        .collect();
    let bytes = Certificate::new(order, &votes).unwrap().to_bytes();
    let mut verifier = verifier();
    assert!(Certificate::from_bytes(&bytes, &mut verifier).is_ok());
    for i in 0..bytes.len() {
        for bit in 0..8 {
            let mut tampered = bytes.clone();
            tampered[i] ^= 1 << bit;
            assert!(Certificate::from_bytes(&tampered, &mut verifier).is_err(), "bit {bit} of byte {i}");
        }
        assert!(Certificate::from_bytes(&bytes[..i], &mut verifier).is_err(), "cut at {i}");
    }
}

#[test]
fn a_statement_is_its_own_banks_or_nobodys() {
    let order = order();
    let mut verifier = verifier();
    let genuine = verified(&order, "alpha", Decision::Yes);
    let json = serde_json::to_value(genuine.signed()).unwrap();
    let refused = |field: &str, value: serde_json::Value, verifier: &mut Verifier| {
        let mut forged = json.clone();
        *forged.pointer_mut(field).unwrap() = value;
        let forged: Signed<Vote> = serde_json::from_value(forged).unwrap();
        verifier.verify(forged).unwrap_err()
    };
    let other_payment = Digest([1; 32]).to_string();
    let other_signature = "00".repeat(64);
    // With an empty memory and with the genuine batch remembered.
    for _ in 0..2 {
        let bad = BadProof::BadSignature(bank("alpha"));
        assert_eq!(refused("/statement/payment", other_payment.clone().into(), &mut verifier), bad);
        assert_eq!(refused("/statement/decision", "expired".into(), &mut verifier), bad);
        assert_eq!(
            refused("/statement/bank", "beta".into(), &mut verifier),
            BadProof::BadSignature(bank("beta"))
        );
        assert_eq!(
            refused("/statement/bank", "delta".into(), &mut verifier),
            BadProof::UnknownBank(bank("delta"))
        );
        // The root is good and known, the signature is not: nobody else would accept that evidence.
        assert_eq!(refused("/proof/signature", other_signature.clone().into(), &mut verifier), bad);
        assert_eq!(refused("/proof/index", 1.into(), &mut verifier), BadProof::BadPath(bank("alpha")));
        assert_eq!(refused("/proof/count", 0.into(), &mut verifier), BadProof::BadPath(bank("alpha")));
        assert_eq!(refused("/proof/count", 2.into(), &mut verifier), BadProof::BadPath(bank("alpha")));
        assert_eq!(
            refused("/proof/path", "11".repeat(32).into(), &mut verifier),
            BadProof::BadPath(bank("alpha"))
        );
        assert_eq!(verifier.verify(genuine.signed().clone()).unwrap(), genuine);
    }
}

#[test]
fn an_acknowledgement_never_passes_for_a_vote() {
    // An ack's bytes and a vote's are told apart by their domains, whatever they contain.
    let ack =
        signer("alpha").sign_batch(vec![Ack { payment: order().digest(), bank: bank("alpha") }]).remove(0);
    let mut json = serde_json::to_value(&ack).unwrap();
    json["statement"]["decision"] = "yes".into();
    let forged: Signed<Vote> = serde_json::from_value(json).unwrap();
    assert!(verifier().verify(forged).is_err());
    assert!(verifier().verify(ack).is_ok());
}

#[test]
fn verified_statements_are_one_fact_whatever_proves_them() {
    let order = order();
    let alone = verified(&order, "alpha", Decision::Yes);
    let other = Vote { payment: Digest([3; 32]), bank: bank("alpha"), decision: Decision::Yes };
    let in_batch = signer("alpha").sign_own(vec![vote(&order, "alpha", Decision::Yes), other]).remove(0);
    assert_ne!(alone.signed(), in_batch.signed());
    assert_eq!(alone, in_batch);
    assert_eq!(std::collections::BTreeSet::from([alone.clone(), in_batch]).len(), 1);
    // A replay is the same fact again.
    let mut verifier = verifier();
    let first = verifier.verify(alone.signed().clone()).unwrap();
    assert_eq!(verifier.verify(alone.signed().clone()).unwrap(), first);
}

#[test]
fn forgotten_batches_are_checked_again() {
    let mut verifier = verifier();
    let (order, alpha) = (order(), signer("alpha"));
    let votes: Vec<_> = (0..1100)
        .map(|i: u32| {
            let other =
                Vote { payment: Digest::of(&i.to_le_bytes()), bank: bank("alpha"), decision: Decision::Yes };
            alpha.sign_batch(vec![vote(&order, "alpha", Decision::Yes), other]).remove(0)
        })
        .collect();
    for vote in votes.iter().chain(&votes) {
        verifier.verify(vote.clone()).unwrap();
    }
}

#[test]
fn both_ways_at_once_is_kept_as_proof() {
    let order = order();
    let yes = verified(&order, "alpha", Decision::Yes);
    let no = verified(&order, "alpha", Decision::No(Reason::Resolved));
    let found = DoubleVote::of(&no, &yes).unwrap();
    assert_eq!((found.yes(), found.no()), (&yes, &no));
    assert_eq!(DoubleVote::of(&yes, &yes), None);
    assert_eq!(DoubleVote::of(&yes, &verified(&order, "beta", Decision::No(Reason::Resolved))), None);
    let mut other = fields();
    other.note.clear();
    let other = Order::sign(&other, &customer()).unwrap();
    assert_eq!(DoubleVote::of(&yes, &verified(&other, "alpha", Decision::No(Reason::Resolved))), None);
}

#[test]
fn a_certificate_of_refusal_rather_shows_the_first_reason() {
    let order = order();
    let votes = [
        verified(&order, "alpha", Decision::No(Reason::OtherBankRefused)),
        verified(&order, "beta", Decision::No(Reason::UnknownAccount)),
    ];
    let certificate = Certificate::new(order, &votes).unwrap();
    assert_eq!((certificate.reason(), certificate.votes().len()), (Some(Reason::UnknownAccount), 1));
}

#[test]
fn a_bank_signs_only_for_itself() {
    let order = order();
    let result =
        std::panic::catch_unwind(|| signer("alpha").sign_batch(vec![vote(&order, "beta", Decision::Yes)]));
    assert!(result.is_err());
}
