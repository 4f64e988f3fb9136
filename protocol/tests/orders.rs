//! What is an order and what is not.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use common::*;
use hundi_protocol::*;
use proptest::prelude::*;

const HEADER: &str = r#"{"alg":"EdDSA","typ":"hundi-order"}"#;
const PAYLOAD: &str = r#"{"id":"018bcfe5-6800-7505-8505-050505050505","payer":"alice@alpha","payee":"bob@beta","amount":"1250","currency":"CZK","expires_at":1800000000000,"note":"x"}"#;

fn jws(header: &str, payload: &str) -> Vec<u8> {
    [BASE64URL.encode(header), BASE64URL.encode(payload), BASE64URL.encode([1; 64])].join(".").into_bytes()
}

#[track_caller]
fn refused(bytes: &[u8], because: &str) {
    let error = Order::parse(bytes).unwrap_err().to_string();
    assert!(error.contains(because), "{error:?} does not say {because:?}");
}

#[test]
fn the_base_case_of_the_refusals_is_accepted() {
    assert!(Order::parse(&jws(HEADER, PAYLOAD)).is_ok());
    // Other libraries' ways: a key id, members in another order, escapes, white space, the newer name of the algorithm.
    assert!(Order::parse(&jws(r#"{"typ":"hundi-order", "kid":"k1", "alg":"Ed25519"}"#, PAYLOAD)).is_ok());
    let escaped =
        PAYLOAD.replace(r#""x""#, r#""\u00e9\/""#).replace(',', ", ").replace("alice@", "alice\\u0040");
    assert_eq!(Order::parse(&jws(HEADER, &escaped)).unwrap().note(), "é/");
}

#[test]
fn headers_that_ask_for_something_else_are_refused() {
    for (header, because) in [
        (r#"{"alg":"none","typ":"hundi-order"}"#, "alg"),
        (r#"{"alg":"HS256","typ":"hundi-order"}"#, "alg"),
        (r#"{"alg":"EdDSA"}"#, "typ"),
        (r#"{"alg":"EdDSA","typ":"JWT"}"#, "typ"),
        (r#"{"alg":"EdDSA","typ":"hundi-order","b64":false,"crit":["b64"]}"#, "unknown field"),
        (r#"{"alg":"EdDSA","typ":"hundi-order","jwk":{}}"#, "unknown field"),
        (r#"{"alg":"EdDSA","alg":"EdDSA","typ":"hundi-order"}"#, "duplicate field"),
        (r#"{"alg":"EdDSA","typ":"hundi-order"} "x""#, "trailing"),
        ("", "header"),
    ] {
        refused(&jws(header, PAYLOAD), because);
    }
}

#[test]
fn payloads_that_are_no_payment_are_refused() {
    let with = |from: &str, to: &str| {
        assert!(PAYLOAD.contains(from), "{from}");
        jws(HEADER, &PAYLOAD.replace(from, to))
    };
    for (from, to, because) in [
        (r#""1250""#, r#""0""#, "zero"),
        (r#""1250""#, r#""01250""#, "leading zero"),
        (r#""1250""#, r#""-5""#, "sign"),
        (r#""1250""#, r#""+5""#, "sign"),
        (r#""1250""#, r#""12.5""#, "point"),
        (r#""1250""#, r#""""#, "amount"),
        (r#""1250""#, r#""NaN""#, "amount"),
        (r#""1250""#, r#"1250"#, "invalid type"),
        (r#""1250""#, r#""340282366920938463463374607431768211456""#, "amount"),
        ("bob@beta", "alice@alpha", "twice"),
        ("bob@beta", "bob", "name@bank"),
        ("bob@beta", "bob@BETA", "bank name"),
        ("bob@beta", "bob@beta@x", "bank name"),
        ("bob@beta", "@beta", "account name"),
        ("bob@beta", "bø@beta", "account name"),
        ("CZK", "czk", "currency"),
        ("CZK", "CZKK", "currency"),
        ("1800000000000", "0", "expires_at"),
        ("1800000000000", "9007199254740992", "expires_at"),
        ("1800000000000", "-1", "invalid"),
        ("1800000000000", "1.5", "invalid type"),
        ("1800000000000", "\"1800000000000\"", "invalid type"),
        ("-7505-", "-4505-", "version 7"),
        ("018bcfe5-", "018BCFE5-", "canonical"),
        ("018bcfe5-6800-7505-8505-050505050505", "018bcfe56800750585050505050505050505", "canonical"),
        (r#","note":"x""#, r#","note":"x","extra":1"#, "unknown field"),
        (r#","note":"x""#, r#","amount":"1""#, "duplicate field"),
        (r#","note":"x""#, "", ""),
        (r#""x""#, r#""line\nbreak""#, "note"),
        (r#""payee":"bob@beta","amount":"1250""#, r#""credits":[]"#, "2 to 15"),
        (
            r#""payee":"bob@beta","amount":"1250""#,
            r#""credits":[{"payee":"bob@beta","amount":"1"}]"#,
            "2 to 15",
        ),
        (r#""amount":"1250""#, r#""credits":[]"#, "expected payee and amount"),
        (
            r#""payee":"bob@beta","amount":"1250""#,
            r#""credits":[{"payee":"b@beta","amount":"1"},{"payee":"b@beta","amount":"1"}]"#,
            "twice",
        ),
        (
            r#""payee":"bob@beta","amount":"1250""#,
            r#""credits":[{"payee":"b@beta","amount":"340282366920938463463374607431768211455"},{"payee":"c@beta","amount":"1"}]"#,
            "overflow",
        ),
    ] {
        if because.is_empty() {
            assert!(Order::parse(&with(from, to)).is_ok());
        } else {
            refused(&with(from, to), because);
        }
    }
    let long = "x".repeat(NOTE_SIZE_MAX + 1);
    refused(&with(r#""x""#, &format!("{long:?}")), "note");
    let sixteen: Vec<_> = (0..16).map(|i| format!(r#"{{"payee":"b{i}@beta","amount":"1"}}"#)).collect();
    let sixteen = format!(r#""credits":[{}]"#, sixteen.join(","));
    refused(&with(r#""payee":"bob@beta","amount":"1250""#, &sixteen), "2 to 15");
}

#[test]
fn other_envelopes_are_refused() {
    let good = jws(HEADER, PAYLOAD);
    refused(b"", "three parts");
    refused(b"a.b", "three parts");
    refused(&[&good[..], b".x"].concat(), "three parts");
    refused(&[&good[..], b"="].concat(), "64 bytes");
    refused(&[&good[..], b"\n"].concat(), "64 bytes");
    refused(&good[..good.len() - 1], "64 bytes");
    refused(&vec![b'a'; ORDER_SIZE_MAX + 1], "4096 bytes");
    // 64 bytes leave four bits over in the last character: another one there would be another text for the same bytes.
    let mut other_text = good.clone();
    let last = other_text.last_mut().unwrap();
    assert_eq!(*last, b'Q');
    *last = b'R';
    refused(&other_text, "64 bytes");
}

fn account() -> impl Strategy<Value = AccountRef> {
    ("[A-Za-z0-9._-]{1,64}", "[a-z0-9-]{1,63}")
        .prop_map(|(name, bank)| format!("{name}@{bank}").parse().unwrap())
}

fn arbitrary_fields() -> impl Strategy<Value = OrderFields> {
    let credit =
        (account(), 1..u128::MAX / 16).prop_map(|(payee, amount)| Credit { payee, amount: Minor(amount) });
    (
        (any::<[u8; 10]>(), 0..1u64 << 48),
        account(),
        proptest::collection::vec(credit, 1..16),
        "[A-Z]{3}",
        1..UnixMillis::MAX.0,
        "[^\\p{C}]{0,70}",
    )
        .prop_map(|((random, at), payer, credits, currency, expires_at, note)| OrderFields {
            id: OrderId::from_parts(UnixMillis(at), random),
            payer,
            credits,
            currency: currency.parse().unwrap(),
            expires_at: UnixMillis(expires_at),
            note,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_signed_is_what_is_read(fields in arbitrary_fields()) {
        match Order::sign(&fields, &customer()) {
            Ok(order) => {
                prop_assert_eq!(order.id(), fields.id);
                prop_assert_eq!(order.payer(), &fields.payer);
                prop_assert_eq!(order.note(), &fields.note);
                prop_assert_eq!(order.expires_at(), fields.expires_at);
                let credits: Vec<_> = order.legs()[1..].iter().map(|leg| Credit { payee: leg.account.clone(), amount: leg.amount }).collect();
                prop_assert_eq!(&credits, &fields.credits);
                prop_assert_eq!(order.amount().0, credits.iter().map(|c| c.amount.0).sum::<u128>());
                prop_assert!(order.authorise(&customer().public()).is_ok());
            }
            // Long names of many payees do not fit; an account may be drawn twice.
            Err(e) => prop_assert!(matches!(e, MalformedOrder::TooLarge(_) | MalformedOrder::BadLegs(_)), "{e}"),
        }
    }

    #[test]
    fn garbage_is_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0..200usize) {
        let _ = Order::parse(&bytes);
        let mut messages = Vec::new();
        let _ = read_frame(&bytes, &mut messages);
        let _ = Certificate::from_bytes(&bytes, &mut verifier());
        // Garbage in the middle of something good.
        let mut good = Certificate::new(order(), [&verified(&order(), "beta", Decision::No(Reason::Expired))]).unwrap().to_bytes();
        let at = at.min(good.len() - 1);
        let end = (at + bytes.len()).min(good.len());
        good[at..end].copy_from_slice(&bytes[..end - at]);
        let _ = Certificate::from_bytes(&good, &mut verifier());
    }

    #[test]
    fn frames_hold_what_was_put_in_whatever_the_sizes(kinds in proptest::collection::vec(0..3u8, 0..40), notes in 0..200usize) {
        let mut fields = fields();
        fields.note = "n".repeat(notes);
        let order = Order::sign(&fields, &customer()).unwrap();
        let votes = vec![verified(&order, "alpha", Decision::Yes).signed().clone(); VOTES_MAX];
        let messages: Vec<_> = kinds.into_iter().map(|kind| match kind {
            0 => Message::Status { payment: order.digest() },
            1 => Message::Prepare { order: order.clone(), votes: votes.clone() },
            _ => Message::Submit { order: order.clone() },
        }).collect();
        let mut writer = FrameWriter::new();
        for message in &messages { writer.push(message).unwrap(); }
        let (mut rest, mut read) = (writer.bytes(), Vec::new());
        while let Some((content, after)) = split_frame(rest).unwrap() {
            read_frame(content, &mut read).unwrap();
            rest = after;
        }
        prop_assert_eq!(read, messages);
        prop_assert!(rest.is_empty());
    }
}

#[test]
fn frames_are_split_at_both_limits_and_a_message_too_large_for_any_is_refused() {
    let mut writer = FrameWriter::new();
    let account = AccountView {
        account: "a".parse().unwrap(),
        currency: "EUR".parse().unwrap(),
        debits_pending: Minor(u128::MAX),
        debits_posted: Minor(u128::MAX),
        credits_pending: Minor(u128::MAX),
        credits_posted: Minor(u128::MAX),
        closed: false,
    };
    let reply = |count| {
        Message::AdminReply(AdminReply {
            request: 1,
            result: AdminResult::Accounts(vec![account.clone(); count]),
        })
    };
    writer.push(&reply(6000)).unwrap();
    writer.push(&reply(10_000)).unwrap();
    assert!(writer.push(&reply(20_000)).is_err());
    for _ in 0..FRAME_MESSAGES_MAX + 1 {
        writer.push(&Message::Status { payment: Digest([1; 32]) }).unwrap();
    }
    let (mut rest, mut sizes, mut read) = (writer.bytes(), vec![], vec![]);
    while let Some((content, after)) = split_frame(rest).unwrap() {
        let before = read.len();
        read_frame(content, &mut read).unwrap();
        sizes.push(read.len() - before);
        rest = after;
    }
    assert_eq!(sizes.iter().sum::<usize>(), FRAME_MESSAGES_MAX + 3);
    assert!(sizes.len() >= 3 && sizes.iter().all(|count| *count <= FRAME_MESSAGES_MAX), "{sizes:?}");
    // More votes than an order can have.
    let votes = vec![verified(&order(), "alpha", Decision::Yes).signed().clone(); VOTES_MAX + 1];
    let mut writer = FrameWriter::new();
    writer.push(&Message::Prepare { order: order(), votes }).unwrap();
    let (content, _) = split_frame(writer.bytes()).unwrap().unwrap();
    assert_eq!(read_frame(content, &mut vec![]), Err(MalformedFrame::BadMessage(0)));
}
