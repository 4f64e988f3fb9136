//! The customer's signed instruction.

mod expected;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::jws;
use crate::keys::CustomerKey;
use crate::name::{AccountRef, BadName, BankName};
use crate::value::{BadValue, Currency, Digest, Minor, OrderId, UnixMillis};

/// The largest order, in bytes of its compact JWS.
pub const ORDER_SIZE_MAX: usize = 4096;
/// The most legs of an order: the payer's debit and up to 15 credits.
pub const LEGS_MAX: usize = 16;
/// The longest note, in bytes of UTF-8.
pub const NOTE_SIZE_MAX: usize = 280;

/// Why bytes are not an order. The sender is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedOrder {
    /// More bytes than an order may have.
    #[error("an order has at most {ORDER_SIZE_MAX} bytes, this one has {0}")]
    TooLarge(usize),
    /// Not three parts of base64url, or a signature that is not 64 bytes.
    #[error("not a compact JWS: {0}")]
    NotJws(&'static str),
    /// The JOSE header asks for something else than an Ed25519-signed order.
    #[error("bad JOSE header: {0}")]
    BadHeader(String),
    /// The payload is not the JSON object of an order.
    #[error("bad payload: {0}")]
    BadPayload(String),
    /// A name in the payload.
    #[error(transparent)]
    BadName(#[from] BadName),
    /// An amount, id or currency in the payload.
    #[error(transparent)]
    BadValue(#[from] BadValue),
    /// The legs do not make a payment.
    #[error("bad legs: {0}")]
    BadLegs(&'static str),
    /// Too long, or has control characters.
    #[error("a note has at most {NOTE_SIZE_MAX} bytes and no control characters")]
    BadNote,
    /// Not a time that an order may carry.
    #[error("expires_at must be between 1 and 2^53-1 (unix milliseconds)")]
    BadExpiry,
}

/// Which side of an account a leg is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Money leaves the account.
    Debit,
    /// Money arrives.
    Credit,
}

/// What one bank does for a payment: a debit or a credit of one of its accounts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Leg {
    /// Whose money.
    pub account: AccountRef,
    /// Out or in.
    pub direction: Direction,
    /// How much; never zero.
    pub amount: Minor,
    /// Of what.
    pub currency: Currency,
}

/// One payee and what it gets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Credit {
    /// Who gets it.
    pub payee: AccountRef,
    /// How much; not zero.
    pub amount: Minor,
}

/// What a customer says in an order; [`Order::sign`] makes the order of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderFields {
    /// The customer's own id, unique per payer account.
    pub id: OrderId,
    /// Who pays.
    pub payer: AccountRef,
    /// Who gets how much: one to 15 payees, each once.
    pub credits: Vec<Credit>,
    /// One currency for all.
    pub currency: Currency,
    /// From then on a bank that has not voted votes NO (R6).
    pub expires_at: UnixMillis,
    /// Free text for the payee; may be empty.
    pub note: String,
}

/// A customer's signed order: immutable, and the same bytes wherever it goes.
///
/// Well formed, but not yet *authorised*: that takes the payer's key, see [`Order::authorise`].
/// Two orders are equal when their digests are.
pub struct Order {
    bytes: Box<[u8]>,
    digest: Digest,
    signature: [u8; 64],
    id: OrderId,
    /// Leg 0 is the payer's debit.
    legs: Box<[Leg]>,
    banks: Box<[BankName]>,
    expires_at: UnixMillis,
    note: Box<str>,
}

impl Order {
    /// Reads an order from the bytes of its compact JWS. Does not check the signature.
    ///
    /// # Errors
    /// [`MalformedOrder`] when they are not exactly one order in its one form.
    pub fn parse(bytes: &[u8]) -> Result<Arc<Self>, MalformedOrder> {
        Self::parse_unshared(bytes).map(Arc::new)
    }

    fn parse_unshared(bytes: &[u8]) -> Result<Self, MalformedOrder> {
        Self::parse_hashed(bytes, hash(bytes)?)
    }

    /// Reads an order whose bytes have been [hashed](hash) already.
    fn parse_hashed(bytes: &[u8], digest: Digest) -> Result<Self, MalformedOrder> {
        let parsed = jws::parse(bytes)?;
        let (legs, banks) = legs_of(&parsed.fields)?;
        let OrderFields { id, expires_at, note, .. } = parsed.fields;
        if expires_at.0 == 0 || expires_at > UnixMillis::MAX {
            return Err(MalformedOrder::BadExpiry);
        }
        if note.len() > NOTE_SIZE_MAX || note.chars().any(char::is_control) {
            return Err(MalformedOrder::BadNote);
        }
        Ok(Self {
            digest,
            bytes: bytes.into(),
            signature: parsed.signature,
            id,
            legs,
            banks,
            expires_at,
            note: note.into(),
        })
    }

    /// Makes and signs an order.
    ///
    /// # Errors
    /// [`MalformedOrder`] when the fields would not be accepted by anybody (an amount of zero, a payee named twice …).
    pub fn sign(fields: &OrderFields, key: &CustomerKey) -> Result<Arc<Self>, MalformedOrder> {
        // Reading back what was written keeps one place that says what an order is.
        Self::parse(&jws::sign(fields, key)?)
    }

    /// Takes note that this thread is likely to get the order back soon, so that it need not be read again.
    pub(crate) fn expect_back(self: &Arc<Self>) {
        expected::note(self);
    }

    /// The bytes of the compact JWS: what is carried, stored and hashed.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of all the bytes, signature included: the key of the payment (R1).
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The customer's own id.
    #[must_use]
    pub fn id(&self) -> OrderId {
        self.id
    }

    /// Who pays.
    #[must_use]
    pub fn payer(&self) -> &AccountRef {
        &self.legs[0].account
    }

    /// All legs: first the payer's debit, then one or more credits that sum to it.
    #[must_use]
    pub fn legs(&self) -> &[Leg] {
        &self.legs
    }

    /// The legs that concern one bank.
    pub fn legs_at<'a>(&'a self, bank: &'a BankName) -> impl Iterator<Item = &'a Leg> {
        self.legs.iter().filter(move |leg| leg.account.bank == *bank)
    }

    /// The banks whose votes decide: sorted, each once.
    #[must_use]
    pub fn banks(&self) -> &[BankName] {
        &self.banks
    }

    /// The bank that debits.
    #[must_use]
    pub fn payer_bank(&self) -> &BankName {
        &self.legs[0].account.bank
    }

    /// What the payer pays in all.
    #[must_use]
    pub fn amount(&self) -> Minor {
        self.legs[0].amount
    }

    /// The currency of every leg.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.legs[0].currency
    }

    /// From then on a bank that has not voted votes NO (R6).
    #[must_use]
    pub fn expires_at(&self) -> UnixMillis {
        self.expires_at
    }

    /// Free text for the payee.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }

    /// The customer's Ed25519 signature.
    pub(crate) fn signature(&self) -> &[u8; 64] {
        &self.signature
    }

    /// What the signature covers: header and payload as they stand, with the dot between.
    pub(crate) fn signing_input(&self) -> &[u8] {
        &self.bytes[..self.bytes.len() - jws::SIGNATURE_SIZE - 1]
    }
}

/// The digest of an order's bytes, unless they are too many for one.
fn hash(bytes: &[u8]) -> Result<Digest, MalformedOrder> {
    match bytes.len() {
        0..=ORDER_SIZE_MAX => Ok(Digest::of(bytes)),
        size => Err(MalformedOrder::TooLarge(size)),
    }
}

type LegsAndBanks = (Box<[Leg]>, Box<[BankName]>);

/// Legs and banks of an order; refuses everything that is not a payment from one to some others.
fn legs_of(fields: &OrderFields) -> Result<LegsAndBanks, MalformedOrder> {
    let bad = MalformedOrder::BadLegs;
    if fields.credits.is_empty() {
        return Err(bad("no payee"));
    }
    if fields.credits.len() >= LEGS_MAX {
        return Err(bad("more than 15 payees"));
    }
    let currency = fields.currency;
    let debit =
        Leg { account: fields.payer.clone(), direction: Direction::Debit, amount: Minor::ZERO, currency };
    let mut legs = Vec::with_capacity(fields.credits.len() + 1);
    legs.push(debit);
    let mut total = Minor::ZERO;
    for credit in &fields.credits {
        if credit.amount == Minor::ZERO {
            return Err(bad("an amount of zero"));
        }
        if legs.iter().any(|leg| leg.account == credit.payee) {
            return Err(bad("an account named twice"));
        }
        total = total.checked_add(credit.amount).ok_or(bad("the amounts overflow"))?; // R11
        let account = credit.payee.clone();
        legs.push(Leg { account, direction: Direction::Credit, amount: credit.amount, currency });
    }
    legs[0].amount = total;
    let mut banks: Vec<BankName> = legs.iter().map(|leg| leg.account.bank.clone()).collect();
    banks.sort_unstable();
    banks.dedup();
    Ok((legs.into(), banks.into()))
}

impl PartialEq for Order {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}
impl Eq for Order {}
impl PartialOrd for Order {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Order {
    fn cmp(&self, other: &Self) -> Ordering {
        self.digest.cmp(&other.digest)
    }
}
impl Hash for Order {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Order {:?}: {} pays", self.digest, self.payer())?;
        for leg in &self.legs[1..] {
            write!(f, " {} {} to {}", leg.amount, leg.currency, leg.account)?;
        }
        Ok(())
    }
}

/// Serde of a shared order: as its bytes (text in human-readable formats), parsed on the way in.
pub(crate) mod shared {
    use std::fmt;
    use std::sync::Arc;

    use serde::de::Visitor;
    use serde::{Deserializer, Serializer};

    use super::Order;
    use super::expected;

    pub(crate) fn serialize<S: Serializer>(order: &Arc<Order>, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            let text = std::str::from_utf8(&order.bytes).map_err(serde::ser::Error::custom)?;
            return serializer.serialize_str(text);
        }
        serializer.serialize_bytes(&order.bytes)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Order>, D::Error> {
        struct Jws;
        impl Visitor<'_> for Jws {
            type Value = Arc<Order>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an order as compact JWS")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Arc<Order>, E> {
                self.visit_bytes(text.as_bytes())
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Arc<Order>, E> {
                expected::parse(bytes).map_err(E::custom)
            }
        }
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Jws)
        } else {
            deserializer.deserialize_bytes(Jws)
        }
    }
}
