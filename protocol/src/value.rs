//! Plain values that cross between organisations: money, times, ids, digests.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// A value that could not be read from text; says what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found:?}")]
pub struct BadValue {
    expected: &'static str,
    found: String,
}

fn bad(expected: &'static str, found: &str) -> BadValue {
    BadValue { expected, found: found.chars().take(80).collect() }
}

/// Implements serde for a type as its text in human-readable formats, and as `$bin` in binary ones.
macro_rules! serde_text_or {
    ($type:ident, $bin:ty, |$value:ident| $to:expr, |$raw:ident| $from:expr) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    return serializer.collect_str(self);
                }
                let $value = self;
                <$bin>::serialize(&$to, serializer)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                    return text.parse().map_err(D::Error::custom);
                }
                let $raw = <$bin>::deserialize(deserializer)?;
                $from.map_err(D::Error::custom)
            }
        }
    };
}

/// An amount in minor units of its currency (cents, paise, haléře). Never negative; sums are checked (R11).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minor(pub u128);

impl Minor {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The sum, or `None` when it passes max-u128.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }
}

impl fmt::Display for Minor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Minor {
    type Err = BadValue;
    /// Decimal digits in the one canonical way: no sign, no leading zero, no point.
    fn from_str(text: &str) -> Result<Self, BadValue> {
        let expected = "an amount in minor units: decimal digits without sign, point or leading zero";
        let canonical = text == "0" || (text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0'));
        if !canonical {
            return Err(bad(expected, text));
        }
        text.parse().map(Self).map_err(|_| bad(expected, text))
    }
}
serde_text_or!(Minor, u128, |v| v.0, |raw| Ok::<_, BadValue>(Minor(raw)));

/// A currency: three letters A–Z, as in ISO 4217.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// The three letters as bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 3] {
        self.0
    }

    /// The currency of three bytes.
    ///
    /// # Errors
    /// [`BadValue`] when one of them is not A–Z.
    pub fn from_bytes(bytes: [u8; 3]) -> Result<Self, BadValue> {
        if bytes.iter().all(u8::is_ascii_uppercase) {
            Ok(Self(bytes))
        } else {
            Err(bad("a currency of three letters A-Z", &String::from_utf8_lossy(&bytes)))
        }
    }

    /// The three letters as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only A-Z get in, so this never takes the default.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for Currency {
    type Err = BadValue;
    fn from_str(text: &str) -> Result<Self, BadValue> {
        let bytes: [u8; 3] =
            text.as_bytes().try_into().map_err(|_| bad("a currency of three letters A-Z", text))?;
        Self::from_bytes(bytes)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
serde_text_or!(Currency, [u8; 3], |v| v.0, |raw| Currency::from_bytes(raw));

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// The largest time that an order may carry: what every JSON library reads exactly, 2⁵³ − 1.
    pub const MAX: Self = Self((1 << 53) - 1);
}

impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A SHA-256 digest. Of an order's bytes it is the key of the payment (R1). Shown as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

/// By the bytes. The first eight, which nearly always decide, are compared as a number: maps by digest are asked often.
impl Ord for Digest {
    fn cmp(&self, other: &Self) -> Ordering {
        let first = |digest: &Self| digest.0.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        first(self).cmp(&first(other)).then_with(|| self.0.cmp(&other.0))
    }
}
impl PartialOrd for Digest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Digest {
    /// SHA-256 of the bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0[..6]))
    }
}

impl FromStr for Digest {
    type Err = BadValue;
    fn from_str(text: &str) -> Result<Self, BadValue> {
        unhex(text).map(Self).ok_or_else(|| bad("64 lower-case hex digits", text))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        crate::wire::fixed::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::wire::fixed::deserialize(deserializer).map(Self)
    }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// Lower-case hex of exactly `N` bytes, or `None`.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let text = text.as_bytes();
    if text.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// The customer's own id of an order: a UUIDv7, unique per payer account (R1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(Uuid);

impl OrderId {
    /// Makes the id of an order given at `now`, from ten random bytes (of which 74 bits are used).
    #[must_use]
    pub fn from_parts(now: UnixMillis, random: [u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(now.0, &random).into_uuid())
    }

    /// Makes an id from the clock and the random source of this machine.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "for whoever makes one, before anything is decided")]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// Takes a UUID, if it is of version 7.
    ///
    /// # Errors
    /// [`BadValue`] for any other version.
    pub fn from_uuid(id: Uuid) -> Result<Self, BadValue> {
        if id.get_version_num() == 7 && id.get_variant() == uuid::Variant::RFC4122 {
            Ok(Self(id))
        } else {
            Err(bad("a UUID of version 7", &id.to_string()))
        }
    }

    /// The UUID.
    #[must_use]
    pub fn uuid(self) -> Uuid {
        self.0
    }

    /// The 16 bytes: ids sort by time.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.into_bytes()
    }

    /// The id of 16 bytes.
    ///
    /// # Errors
    /// [`BadValue`] when they are not a UUIDv7.
    pub fn from_bytes(bytes: [u8; 16]) -> Result<Self, BadValue> {
        Self::from_uuid(Uuid::from_bytes(bytes))
    }
}

impl FromStr for OrderId {
    type Err = BadValue;
    /// Only the canonical form, 36 characters in lower case: one id, one text.
    fn from_str(text: &str) -> Result<Self, BadValue> {
        let expected = "a UUID of version 7 in its canonical form";
        let canonical = text.len() == 36 && !text.bytes().any(|b| b.is_ascii_uppercase());
        let id = canonical.then(|| Uuid::try_parse(text).ok()).flatten();
        Self::from_uuid(id.ok_or_else(|| bad(expected, text))?)
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
serde_text_or!(OrderId, [u8; 16], |v| v.to_bytes(), |raw| OrderId::from_bytes(raw));

#[cfg(test)]
mod tests {
    use super::Digest;

    #[test]
    fn digests_are_ordered_as_their_bytes() {
        let with =
            |place: usize, byte: u8| Digest(std::array::from_fn(|i| if i == place { byte } else { 5 }));
        let mut all: Vec<Digest> =
            (0..32).flat_map(|place| [4, 5, 6, 255].map(|byte| with(place, byte))).collect();
        all.push(Digest([0x80; 32]));
        for a in &all {
            for b in &all {
                assert_eq!(a.cmp(b), a.0.cmp(&b.0), "{a:?} {b:?}");
            }
        }
    }
}
