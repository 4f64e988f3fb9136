//! Ed25519 keys.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::LazyLock;

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::EdwardsPoint;
use ed25519_dalek::{Signature, Signer as _, SigningKey, Verifier as _, VerifyingKey};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A key that cannot be used; says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a usable Ed25519 public key: {0}")]
pub struct BadKey(&'static str);

/// A signature that does not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// An Ed25519 public key, checked and decoded once: canonical encoding, on the curve, not of small order.
#[derive(Clone, Copy)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Decodes and checks 32 bytes.
    ///
    /// # Errors
    /// [`BadKey`] when the encoding is not canonical, not a point of the curve, or of small order (such a key
    /// would verify one signature for many messages).
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, BadKey> {
        if !is_canonical(bytes) {
            return Err(BadKey("its encoding is not canonical"));
        }
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| BadKey("not a point of the curve"))?;
        if key.is_weak() {
            return Err(BadKey("of small order"));
        }
        Ok(Self(key))
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Checks one signature, as strictly as any library does: what passes here passes everywhere. Banks' signatures
    /// are checked so, since others must come to the same answer.
    ///
    /// Exactly the signatures that `verify_strict` of ed25519-dalek passes, without decoding R, which takes a quarter of
    /// its time: R is compared with the canonical bytes of the sum that it must be, so it can be a point of small order only
    /// as one of their eight encodings. That the key is none [`PublicKey::from_bytes`] has seen to.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
        let (r, _) = signature.split_first_chunk().unwrap_or((&[0; 32], &[]));
        if is_small_order(r) {
            return Err(BadSignature);
        }
        self.0.verify(message, &Signature::from_bytes(signature)).map_err(|_| BadSignature)
    }

    pub(crate) fn point(&self) -> EdwardsPoint {
        self.0.to_edwards()
    }
}

/// The y coordinates of the points of small order.
static SMALL_ORDER: LazyLock<[[u8; 32]; 8]> = LazyLock::new(|| {
    EIGHT_TORSION.map(|point| {
        let mut y = point.compress().0;
        y[31] &= 0x7f;
        y
    })
});

/// Whether these bytes are a point of small order. Of encodings whose y is not canonical it does not know.
///
/// The sign bit is left out: each point and its negative have one order, and where x is 0 both signs decode to the one point.
pub(crate) fn is_small_order(bytes: &[u8; 32]) -> bool {
    let mut y = *bytes;
    y[31] &= 0x7f;
    SMALL_ORDER.contains(&y)
}

/// Whether the y coordinate is below p = 2²⁵⁵ − 19 (the sign bit aside).
pub(crate) fn is_canonical(bytes: &[u8; 32]) -> bool {
    let top_is_full = bytes[31] & 0x7f == 0x7f && bytes[1..31].iter().all(|&b| b == 0xff);
    !(top_is_full && bytes[0] >= 0xed)
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}
impl Eq for PublicKey {}
impl PartialOrd for PublicKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for PublicKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}
impl Hash for PublicKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&crate::value::hex(self.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::value::hex(&self.as_bytes()[..6]))
    }
}

impl FromStr for PublicKey {
    type Err = BadKey;
    fn from_str(text: &str) -> Result<Self, BadKey> {
        let bytes = crate::value::unhex(text).ok_or(BadKey("expected 64 lower-case hex digits"))?;
        Self::from_bytes(&bytes)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        crate::wire::fixed::serialize(self.as_bytes(), serializer)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = crate::wire::fixed::deserialize(deserializer)?;
        Self::from_bytes(&bytes).map_err(D::Error::custom)
    }
}

macro_rules! secret_key {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        pub struct $type(SigningKey);

        impl $type {
            /// The key of a 32-byte seed. Whoever has the seed can sign.
            #[must_use]
            pub fn from_seed(seed: &[u8; 32]) -> Self {
                Self(SigningKey::from_bytes(seed))
            }

            /// A new key from the random source of the operating system.
            ///
            /// # Errors
            /// When that source fails.
            #[allow(clippy::disallowed_methods, reason = "for whoever makes one, before anything is decided")]
            pub fn generate() -> Result<Self, getrandom::Error> {
                let mut seed = [0; 32];
                getrandom::fill(&mut seed)?;
                Ok(Self::from_seed(&seed))
            }

            /// The seed, to keep in a file that only its owner can read.
            #[must_use]
            pub fn seed(&self) -> [u8; 32] {
                self.0.to_bytes()
            }

            /// What others need to check signatures by this key.
            #[must_use]
            pub fn public(&self) -> PublicKey {
                PublicKey(self.0.verifying_key())
            }

            pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
                self.0.sign(message).to_bytes()
            }
        }

        impl fmt::Debug for $type {
            /// Shows the public key: a secret never gets into a log.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($type), "({:?})"), self.public())
            }
        }
    };
}

secret_key!(
    /// A customer's secret key: signs orders. Wiped from memory when dropped.
    CustomerKey
);
secret_key!(
    /// A bank's secret key: signs votes and acknowledgements. Wiped from memory when dropped.
    BankKey
);

#[cfg(test)]
mod tests {
    use curve25519_dalek::scalar::Scalar;
    use sha2::{Digest as _, Sha512};

    use super::*;

    #[test]
    fn what_passes_is_what_the_strictest_definition_passes() {
        // With a secret scalar of our own, R and the key may get parts of small order.
        let (a, r) = (Scalar::from(123_456_789u64), Scalar::from(987_654_321u64));
        let message = b"a vote";
        let mut passed = 0;
        for (key_part, r_part) in EIGHT_TORSION.iter().flat_map(|k| EIGHT_TORSION.iter().map(move |r| (k, r)))
        {
            let key = PublicKey::from_bytes(&(EdwardsPoint::mul_base(&a) + key_part).compress().0).unwrap();
            for (r, r_point) in [(r, EdwardsPoint::mul_base(&r) + r_part), (Scalar::ZERO, *r_part)] {
                let r_bytes = r_point.compress().0;
                let hash =
                    Sha512::new().chain_update(r_bytes).chain_update(key.as_bytes()).chain_update(message);
                let k = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
                let mut signature = [0; 64];
                signature[..32].copy_from_slice(&r_bytes);
                signature[32..].copy_from_slice((r + k * a).as_bytes());
                let strict = key.0.verify_strict(message, &Signature::from_bytes(&signature));
                assert_eq!(key.verify(message, &signature).is_ok(), strict.is_ok());
                passed += usize::from(strict.is_ok());
            }
        }
        assert!(passed > 0, "some are good");
        let weak_r = EIGHT_TORSION.map(|point| point.compress().0);
        assert!(weak_r.iter().all(|r| {
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(r);
            BankKey::from_seed(&[1; 32]).public().verify(message, &signature).is_err()
        }));
    }
}
