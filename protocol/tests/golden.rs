//! Every byte that is signed, hashed or sent, pinned. If one of these fails, old votes no longer verify or old nodes no
//! longer understand: that takes a new domain or protocol version, not a new expectation here.
//!
//! What is signed is rebuilt by hand and checked with the Ed25519 library directly, so that these layouts are enough to
//! write another implementation.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;
use common::*;
use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
use hundi_protocol::*;
use sha2::{Digest as _, Sha256};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

const ORDER: &str = "eyJhbGciOiJFZERTQSIsInR5cCI6Imh1bmRpLW9yZGVyIn0.eyJpZCI6IjAxOGJjZmU1LTY4MDAtNzUwNS04NTA1LTA1MDUwNTA1MDUwNSIsInBheWVyIjoiYWxpY2VAYWxwaGEiLCJwYXllZSI6ImJvYkBiZXRhIiwiYW1vdW50IjoiMTI1MCIsImN1cnJlbmN5IjoiQ1pLIiwiZXhwaXJlc19hdCI6MTgwMDAwMDAwMDAwMCwibm90ZSI6ImZvciB0aGUgYm9va3MifQ.";

#[test]
fn an_order_is_a_compact_jws_and_its_digest_covers_all_of_it() {
    let order = order();
    let text = std::str::from_utf8(order.bytes()).unwrap();
    let (signing_input, signature) = text.rsplit_once('.').unwrap();
    assert_eq!(signing_input, ORDER.trim_end_matches('.'));
    use base64::Engine as _;
    let decode = |part: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap();
    let parts: Vec<_> = signing_input.split('.').map(decode).collect();
    assert_eq!(parts[0], br#"{"alg":"EdDSA","typ":"hundi-order"}"#);
    assert_eq!(
        std::str::from_utf8(&parts[1]).unwrap(),
        r#"{"id":"018bcfe5-6800-7505-8505-050505050505","payer":"alice@alpha","payee":"bob@beta","amount":"1250","currency":"CZK","expires_at":1800000000000,"note":"for the books"}"#
    );
    let key = VerifyingKey::from_bytes(customer().public().as_bytes()).unwrap();
    let signature = Signature::from_slice(&decode(signature)).unwrap();
    key.verify(signing_input.as_bytes(), &signature).unwrap();
    assert_eq!(hex(&Sha256::digest(text)), order.digest().to_string());
    assert_eq!(
        order.digest().to_string(),
        "36cb1dee4f618426d7328cd13e3950816e75c63a23aaa6747387ced9718d5230"
    );
}

#[test]
fn an_order_to_several_payees_lists_credits() {
    let mut fields = fields();
    fields.credits.push(Credit { payee: "carol@gamma".parse().unwrap(), amount: Minor(50) });
    fields.note = String::new();
    let order = Order::sign(&fields, &customer()).unwrap();
    use base64::Engine as _;
    let payload = order.bytes().split(|b| *b == b'.').nth(1).unwrap();
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
    assert_eq!(
        std::str::from_utf8(&payload).unwrap(),
        r#"{"id":"018bcfe5-6800-7505-8505-050505050505","payer":"alice@alpha","credits":[{"payee":"bob@beta","amount":"1250"},{"payee":"carol@gamma","amount":"50"}],"currency":"CZK","expires_at":1800000000000}"#
    );
    assert_eq!(order.amount(), Minor(1300));
    assert_eq!(order.banks().len(), 3);
}

/// The proof of a statement, as its JSON form shows it.
#[derive(serde::Deserialize)]
struct Proof {
    signature: String,
    index: u32,
    count: u32,
    path: String,
}

fn proof_of<T: Statement + serde::Serialize>(signed: &Signed<T>) -> Proof {
    serde_json::from_value(serde_json::to_value(signed).unwrap()["proof"].clone()).unwrap()
}

fn leaf(domain: &str, canonical: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0u8, u8::try_from(domain.len()).unwrap()];
    bytes.extend_from_slice(domain.as_bytes());
    bytes.extend_from_slice(canonical);
    Sha256::digest(bytes).to_vec()
}

fn node(left: &[u8], right: &[u8]) -> Vec<u8> {
    Sha256::digest([&[1u8], left, right].concat()).to_vec()
}

fn vote_bytes(payment: &Digest, bank: &str, code: u8) -> Vec<u8> {
    [payment.as_bytes(), &[u8::try_from(bank.len()).unwrap()][..], bank.as_bytes(), &[code]].concat()
}

#[test]
fn votes_and_acks_of_one_write_share_one_signature_over_the_root() {
    let order = order();
    let alpha = signer("alpha");
    let votes =
        vec![vote(&order, "alpha", Decision::Yes), vote(&order, "alpha", Decision::No(Reason::Resolved))];
    let acks = vec![Ack { payment: order.digest(), bank: bank("alpha") }];
    let (votes, acks) = alpha.sign_write(votes, acks);
    let ack_bytes = [order.digest().as_bytes(), &[5][..], b"alpha"].concat();
    let leaves = [
        leaf("hundi/vote/v1", &vote_bytes(&order.digest(), "alpha", 0)),
        leaf("hundi/vote/v1", &vote_bytes(&order.digest(), "alpha", 8)),
        leaf("hundi/ack/v1", &ack_bytes),
    ];
    let left = node(&leaves[0], &leaves[1]);
    let root = node(&left, &leaves[2]); // The third has no sibling, and moves up as it is.

    let message = [&b"hundi/batch/v1\x05alpha\0\0\0\x03"[..], &root].concat();
    let key = VerifyingKey::from_bytes(alpha.public().as_bytes()).unwrap();
    let proofs = [proof_of(votes[0].signed()), proof_of(votes[1].signed()), proof_of(acks[0].signed())];
    let paths = [[&leaves[1][..], &leaves[2]].concat(), [&leaves[0][..], &leaves[2]].concat(), left];
    for ((proof, path), index) in proofs.iter().zip(paths).zip(0..) {
        assert_eq!((proof.index, proof.count, &proof.path), (index, 3, &hex(&path)));
        let signature = Signature::from_slice(&unhex(&proof.signature)).unwrap();
        key.verify(&message, &signature).unwrap();
    }
    assert_eq!(hex(&root), "37eabc40a874785f3e2768a8e0c77b8eef026fffb30f3d0324cd7aaa601a38a7");
    assert_eq!(
        proofs[0].signature,
        "728dd0f438dab31c20d73ee3f8951832059d9bc286834be5a2fc30ef2831b1a61c427be0c51b2ee8a45398607bf0408cce51e4be71b5b7f2f969b6de73659e08"
    );
}

#[test]
fn a_batch_of_one_signs_its_leaf() {
    let signed = verified(&order(), "beta", Decision::Yes);
    let proof = proof_of(signed.signed());
    assert_eq!((proof.index, proof.count, proof.path.as_str()), (0, 1, ""));
    let root = leaf("hundi/vote/v1", &vote_bytes(&order().digest(), "beta", 0));
    let message = [&b"hundi/batch/v1\x04beta\0\0\0\x01"[..], &root].concat();
    let key = VerifyingKey::from_bytes(signer("beta").public().as_bytes()).unwrap();
    key.verify(&message, &Signature::from_slice(&unhex(&proof.signature)).unwrap()).unwrap();
}

#[test]
fn decisions_have_stable_codes_and_names() {
    let table =
        Reason::ALL.iter().map(|r| format!("{} {}", r.code(), r.as_str())).collect::<Vec<_>>().join("\n");
    assert_eq!(
        table,
        "1 insufficient_funds\n2 unknown_account\n3 account_closed\n4 wrong_currency\n5 bad_signature\n6 expired\n\
         7 duplicate_order_id\n8 resolved\n9 other_bank_refused\n10 limit_exceeded\n11 malformed\n12 below_floor\n\
         13 overflow\n14 unavailable"
    );
    assert_eq!(Decision::Yes.code(), 0);
    for code in 0..=u8::MAX {
        assert_eq!(Decision::from_code(code).map(Decision::code), (code <= 14).then_some(code));
    }
}

/// length of the order (varint) · order · number of votes (varint) · votes, each: digest (1 + 32) · bank (1 + name) ·
/// decision (1) · signature (1 + 64) · index (varint) · leaves (varint) · path (varint + 32 each).
#[test]
fn a_certificate_is_its_order_and_its_votes() {
    let order = order();
    let votes = [verified(&order, "beta", Decision::Yes), verified(&order, "alpha", Decision::Yes)];
    let certificate = Certificate::new(order.clone(), &votes).unwrap();
    let vote = |name: &str, signed: &Verified<Vote>| {
        [
            &[32][..],
            order.digest().as_bytes(),
            &[u8::try_from(name.len()).unwrap()],
            name.as_bytes(),
            &[0, 64],
            &unhex(&proof_of(signed.signed()).signature),
            &[0, 1, 0],
        ]
        .concat()
    };
    let order_size = order.bytes().len();
    let order_size =
        [u8::try_from(order_size & 0x7f).unwrap() | 0x80, u8::try_from(order_size >> 7).unwrap()];
    let expected =
        [&order_size[..], order.bytes(), &[2], &vote("alpha", &votes[1]), &vote("beta", &votes[0])].concat();
    assert_eq!(hex(&certificate.to_bytes()), hex(&expected));
}

#[test]
fn a_frame_is_length_count_and_messages_and_each_kind_has_its_tag() {
    let order = order();
    let vote = verified(&order, "alpha", Decision::Yes);
    let ack =
        signer("alpha").sign_batch(vec![Ack { payment: order.digest(), bank: bank("alpha") }]).remove(0);
    let payment = order.digest();
    let certificate =
        Certificate::new(order.clone(), [&verified(&order, "alpha", Decision::No(Reason::Expired))]).unwrap();
    let action = AdminAction::Balance { account: "alice".parse().unwrap() };
    let messages = [
        Message::Submit { order: order.clone() },
        Message::Prepare { order: order.clone(), votes: vec![vote.signed().clone()] },
        Message::Vote { vote: vote.signed().clone() },
        Message::Resolve { order: order.clone() },
        Message::Outcome { certificate: certificate.to_unchecked() },
        Message::Ack { ack },
        Message::Status { payment },
        Message::StatusReply { payment, status: PaymentStatus::Unknown },
        Message::Admin(AdminRequest { request: 1, action }),
        Message::AdminReply(AdminReply { request: 1, result: AdminResult::Done }),
        Message::StatusOf { order },
        Message::Proof { votes: vec![vote.signed().clone()] },
    ];
    for (tag, (message, kind)) in (0u8..).zip(messages.iter().zip(Kind::ALL)) {
        assert_eq!(message.kind(), kind);
        let mut writer = FrameWriter::new();
        writer.push(message).unwrap();
        let frame = writer.bytes();
        assert_eq!(frame[6], tag, "{kind:?}");
        let (content, rest) = split_frame(frame).unwrap().unwrap();
        let mut read = Vec::new();
        read_frame(content, &mut read).unwrap();
        assert_eq!((&read[..], rest), (std::slice::from_ref(message), &[][..]));
    }
    let mut writer = FrameWriter::new();
    writer.push(&Message::Status { payment: Digest([7; 32]) }).unwrap();
    writer.push(&Message::Status { payment: Digest([8; 32]) }).unwrap();
    writer.push_alive();
    let expected = [
        "0000004600020620".to_owned(),
        "07".repeat(32),
        "0620".to_owned(),
        "08".repeat(32),
        "000000020000".to_owned(),
    ];
    assert_eq!(hex(writer.bytes()), expected.concat());
}

#[test]
fn who_may_send_what() {
    let mut table = Vec::new();
    for from in Role::ALL {
        for to in Role::ALL {
            let kinds: Vec<_> = Kind::ALL
                .into_iter()
                .filter(|kind| allowed(from, to, *kind))
                .map(|k| format!("{k:?}"))
                .collect();
            if !kinds.is_empty() {
                table.push(format!("{from} -> {to}: {}", kinds.join(" ")));
            }
        }
    }
    assert_eq!(
        table.join("\n"),
        "bank -> bank: Vote Resolve Outcome\n\
         bank -> coordinator: Vote Outcome Ack\n\
         bank -> app: StatusReply\n\
         bank -> operator: StatusReply AdminReply\n\
         coordinator -> bank: Prepare Resolve Outcome Proof\n\
         coordinator -> app: Outcome StatusReply\n\
         coordinator -> operator: StatusReply\n\
         app -> bank: Status StatusOf\n\
         app -> coordinator: Submit Status\n\
         operator -> bank: Status Admin\n\
         operator -> coordinator: Status"
    );
}
