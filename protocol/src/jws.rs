//! The compact JWS (RFC 7515, RFC 8037) that an order is, and the JSON inside.
//!
//! `BASE64URL(header) . BASE64URL(payload) . BASE64URL(signature)`, without padding. Everything is read strictly:
//! unknown or repeated members, other algorithms and non-canonical base64 are refused.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde::{Deserialize, Serialize};

use crate::keys::CustomerKey;
use crate::order::{Credit, LEGS_MAX, MalformedOrder, ORDER_SIZE_MAX, OrderFields};
use crate::value::UnixMillis;

/// The `typ` of the header: keeps a customer's other signatures from being taken for orders.
pub(crate) const TYPE: &str = "hundi-order";
/// Characters of the signature's base64: 64 bytes.
pub(crate) const SIGNATURE_SIZE: usize = 86;
/// More than the payload of any order: nobody gets here with more than [`ORDER_SIZE_MAX`] characters.
const PAYLOAD_SIZE_MAX: usize = ORDER_SIZE_MAX / 4 * 3;
/// The header that [`sign`] writes.
const HEADER: &str = r#"{"alg":"EdDSA","typ":"hundi-order"}"#;
/// [`HEADER`] in base64url, to recognise without decoding.
const HEADER_BASE64: &[u8] = b"eyJhbGciOiJFZERTQSIsInR5cCI6Imh1bmRpLW9yZGVyIn0";

pub(crate) struct Parsed {
    pub(crate) fields: OrderFields,
    pub(crate) signature: [u8; 64],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    #[serde(borrow)]
    alg: Cow<'a, str>,
    #[serde(borrow)]
    typ: Cow<'a, str>,
    /// Many libraries write one; the payer's bank knows the key without it.
    #[serde(default, rename = "kid")]
    _kid: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    payer: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    payee: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    amount: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    credits: Option<Vec<PayloadCredit<'a>>>,
    #[serde(borrow)]
    currency: Cow<'a, str>,
    expires_at: u64,
    #[serde(default, borrow, skip_serializing_if = "str::is_empty")]
    note: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PayloadCredit<'a> {
    #[serde(borrow)]
    payee: Text<'a>,
    #[serde(borrow)]
    amount: Text<'a>,
}

/// A string that is borrowed where it can be: in an `Option`, serde would copy a `Cow`.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

pub(crate) fn parse(bytes: &[u8]) -> Result<Parsed, MalformedOrder> {
    let not_jws = MalformedOrder::NotJws;
    let (header, payload, signature) =
        split(bytes).ok_or(not_jws("expected three parts with a dot between"))?;
    check_header(header)?;
    let mut signature_bytes = [0; 66]; // The decoder wants room for whole groups of four characters.
    match BASE64URL.decode_slice(signature, &mut signature_bytes) {
        Ok(64) => {}
        _ => return Err(not_jws("the signature is not 64 bytes in base64url")),
    }
    let signature = std::array::from_fn(|i| signature_bytes[i]);
    let mut decoded = [0; PAYLOAD_SIZE_MAX];
    let size =
        BASE64URL.decode_slice(payload, &mut decoded).map_err(|_| not_jws("the payload is not base64url"))?;
    let payload = &decoded[..size];
    if let Some(fields) = plain(payload) {
        return Ok(Parsed { fields, signature });
    }
    let payload: Payload<'_> =
        serde_json::from_slice(payload).map_err(|e| MalformedOrder::BadPayload(e.to_string()))?;
    Ok(Parsed { fields: fields_of(payload)?, signature })
}

/// The fields of a payload that stands as [`sign`] writes one with a single payee, as nearly all do: member by member, in that order,
/// without a map of names. `None` for every other form, and for a value that is not in order: that is read, or refused, as JSON.
///
/// A string is taken as it stands up to the next quote, so nothing may get through here that means something else in JSON: ids, names,
/// amounts and currencies have no backslash or control character by their own rules, and the note is looked at.
fn plain(payload: &[u8]) -> Option<OrderFields> {
    let text = std::str::from_utf8(payload).ok()?;
    let (id, rest) = text.strip_prefix(r#"{"id":""#)?.split_once('"')?;
    let (payer, rest) = rest.strip_prefix(r#","payer":""#)?.split_once('"')?;
    let (payee, rest) = rest.strip_prefix(r#","payee":""#)?.split_once('"')?;
    let (amount, rest) = rest.strip_prefix(r#","amount":""#)?.split_once('"')?;
    let (currency, rest) = rest.strip_prefix(r#","currency":""#)?.split_once('"')?;
    let rest = rest.strip_prefix(r#","expires_at":"#)?;
    let (expires_at, rest) = rest.split_at_checked(rest.bytes().position(|b| !b.is_ascii_digit())?)?;
    let note = match rest {
        "}" => "",
        _ => rest.strip_prefix(r#","note":""#)?.strip_suffix(r#""}"#)?,
    };
    // Where JSON has rules of its own: zeros before a number, escapes, control characters.
    if expires_at.starts_with('0') || note.bytes().any(|b| matches!(b, b'"' | b'\\') || b.is_ascii_control())
    {
        return None;
    }
    Some(OrderFields {
        id: id.parse().ok()?,
        payer: payer.parse().ok()?,
        credits: vec![Credit { payee: payee.parse().ok()?, amount: amount.parse().ok()? }],
        currency: currency.parse().ok()?,
        expires_at: UnixMillis(expires_at.parse().ok()?),
        note: note.to_owned(),
    })
}

/// Header, payload and signature. Looks for the dots where they stand in nearly every order, before it looks everywhere.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    if let Some((HEADER_BASE64, [b'.', rest @ ..])) = bytes.split_at_checked(HEADER_BASE64.len())
        && let Some(payload_size) = rest.len().checked_sub(SIGNATURE_SIZE + 1)
        && let (payload, [b'.', signature @ ..]) = rest.split_at(payload_size)
    {
        return Some((HEADER_BASE64, payload, signature)); // A dot in one of these is refused with it.
    }
    let mut parts = bytes.split(|&b| b == b'.');
    let three = (parts.next()?, parts.next()?, parts.next()?);
    parts.next().is_none().then_some(three)
}

fn check_header(header: &[u8]) -> Result<(), MalformedOrder> {
    if header == HEADER_BASE64 {
        return Ok(());
    }
    let bad = |why: &str| MalformedOrder::BadHeader(why.to_owned());
    let json = BASE64URL.decode(header).map_err(|_| bad("not base64url"))?;
    let header: Header<'_> =
        serde_json::from_slice(&json).map_err(|e| MalformedOrder::BadHeader(e.to_string()))?;
    // RFC 9864 renames "EdDSA" with an Ed25519 key to "Ed25519".
    if header.alg != "EdDSA" && header.alg != "Ed25519" {
        return Err(bad("alg must be EdDSA or Ed25519"));
    }
    if header.typ != TYPE {
        return Err(bad("typ must be hundi-order"));
    }
    Ok(())
}

fn fields_of(payload: Payload<'_>) -> Result<OrderFields, MalformedOrder> {
    let bad = |why: &str| MalformedOrder::BadPayload(why.to_owned());
    let credits = match (payload.payee, payload.amount, payload.credits) {
        (Some(payee), Some(amount), None) => vec![PayloadCredit { payee, amount }],
        // One payment, one form: a single payee is not written as a list.
        (None, None, Some(credits)) if (2..LEGS_MAX).contains(&credits.len()) => credits,
        (None, None, Some(_)) => return Err(bad("credits must name 2 to 15 payees")),
        _ => return Err(bad("expected payee and amount, or credits")),
    };
    let credit = |credit: PayloadCredit<'_>| -> Result<Credit, MalformedOrder> {
        Ok(Credit { payee: credit.payee.0.parse()?, amount: credit.amount.0.parse()? })
    };
    Ok(OrderFields {
        id: payload.id.parse()?,
        payer: payload.payer.parse()?,
        credits: credits.into_iter().map(credit).collect::<Result<_, _>>()?,
        currency: payload.currency.parse()?,
        expires_at: UnixMillis(payload.expires_at),
        note: payload.note.into_owned(),
    })
}

pub(crate) fn sign(fields: &OrderFields, key: &CustomerKey) -> Result<Vec<u8>, MalformedOrder> {
    let text = |value: &dyn std::fmt::Display| Text(value.to_string().into());
    let mut credits: Vec<PayloadCredit<'_>> = fields
        .credits
        .iter()
        .map(|c| PayloadCredit { payee: text(&c.payee), amount: text(&c.amount) })
        .collect();
    let (payee, amount) = match credits.len() {
        1 => credits.pop().map(|c| (c.payee, c.amount)).unzip(),
        _ => (None, None),
    };
    let payload = Payload {
        id: fields.id.to_string().into(),
        payer: fields.payer.to_string().into(),
        credits: payee.is_none().then_some(credits),
        payee,
        amount,
        currency: fields.currency.as_str().into(),
        expires_at: fields.expires_at.0,
        note: fields.note.as_str().into(),
    };
    let payload = serde_json::to_vec(&payload).map_err(|e| MalformedOrder::BadPayload(e.to_string()))?;
    let mut jws = BASE64URL.encode(HEADER);
    jws.push('.');
    BASE64URL.encode_string(payload, &mut jws);
    let signature = key.sign(jws.as_bytes());
    jws.push('.');
    BASE64URL.encode_string(signature, &mut jws);
    Ok(jws.into_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What JSON makes of it.
    fn by_json(payload: &[u8]) -> Option<OrderFields> {
        fields_of(serde_json::from_slice(payload).ok()?).ok()
    }

    const USUAL: &str = concat!(
        r#"{"id":"0190b5c4-6d2e-7a3b-8c4d-5e6f708192a3","payer":"alice@north","payee":"bob@south","#,
        r#""amount":"1250","currency":"EUR","expires_at":1700000000000,"note":"rent"}"#
    );

    #[test]
    fn the_usual_form_is_read_member_by_member() {
        for payload in [USUAL, &USUAL.replace(r#","note":"rent""#, ""), &USUAL.replace("rent", "Häuser, 2 €")]
        {
            let fields = plain(payload.as_bytes());
            assert!(fields.is_some(), "{payload}");
            assert_eq!(fields, by_json(payload.as_bytes()));
        }
    }

    #[test]
    fn what_json_reads_otherwise_is_left_to_it() {
        for (usual, other) in [
            ("rent", r"r\u0065nt"),
            ("rent", r#"rent","note":"twice"#),
            ("rent", "re\nnt"),
            ("1700000000000", "01700000000000"),
            ("1700000000000", "99999999999999999999"),
            ("1700000000000", "-1"),
            ("1700000000000", "1.0"),
            ("1700000000000", ""),
            ("\"1250\"", "1250"),
            ("1250", "01250"),
            ("1250", ""),
            ("EUR", "EURO"),
            ("EUR", "E\\u0055R"),
            ("7a3b", "4a3b"),
            ("0190b5c4", "0190B5C4"),
            ("alice@north", "alice"),
            ("bob@south", "bob@so\\u0075th"),
            (r#"","payee"#, r#"", "payee"#),
            (r#""}"#, r#""} "#),
            (r#""}"#, r#""}}"#),
            (r#""}"#, r#"""#),
            (r#""note""#, r#""extra""#),
        ] {
            let payload = USUAL.replacen(usual, other, 1);
            assert_ne!(payload, USUAL, "{usual}");
            assert_eq!(plain(payload.as_bytes()), None, "{payload}");
        }
        assert_eq!(plain(b"\xff"), None);
    }

    proptest! {
        /// Whatever is read without JSON, JSON reads as the same.
        #[test]
        fn both_ways_of_reading_agree(
            at in 0..USUAL.len(),
            remove in 0usize..3,
            insert in prop::sample::select(vec![
                "", "\"", "\\", "\\\"", ",", "0", "9", "-", "}", " ", "\t", "é", "\u{7f}", "\u{2028}", "@", "a", "null", "\",\"note\":\"",
            ]),
        ) {
            let mut payload = USUAL.as_bytes().to_vec();
            payload.splice(at..USUAL.len().min(at + remove), insert.bytes());
            if let Some(fields) = plain(&payload) {
                prop_assert_eq!(Some(fields), by_json(&payload), "{}", String::from_utf8_lossy(&payload));
            }
        }
    }
}
