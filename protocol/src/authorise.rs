//! The customer's authority: proof that the payer's key signed an order.
//!
//! One by one and in a batch, exactly the same signatures pass (but for a chance of 2⁻¹²⁸): s below the group order, R a
//! canonical encoding of a point that is not of small order, a key as [`PublicKey`] admits it, and the equation of RFC
//! 8032 *with* the cofactor, 8·s·B = 8·R + 8·k·A. Without the cofactor a batch could pass a signature that fails alone.
//! Signatures made by the rules pass in every library; the definitions differ only for ones forged by the key's owner.

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{Identity as _, IsIdentity, VartimeMultiscalarMul};
use sha2::{Digest as _, Sha256, Sha512};

use crate::keys::{BadSignature, PublicKey, is_canonical, is_small_order};
use crate::order::Order;
use crate::value::Digest;

/// The most signatures of one multiplication; beyond this the gain is small, and a bad one costs more to find.
const CHUNK_MAX: usize = 512;
/// How many share a second try when a chunk has failed.
const GROUP: usize = 32;
/// Terms from which on curve25519-dalek sums by buckets (Pippenger), whose additions do not wait for each other.
const BUCKETS_FROM: usize = 190;
/// Terms from which on that is the quicker way here: measured from 48 signatures on, by a fifth at 94.
const BUCKETS_WORTH: usize = 97;

/// Proof that a key signed an order. Only [`Order::authorise`] and [`authorise_batch`] make one.
///
/// It names the key, so that the payer's bank can still compare it with the one registered for the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Authorised {
    digest: Digest,
    key: PublicKey,
}

impl Authorised {
    /// Which order was signed.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// By which key.
    #[must_use]
    pub fn key(&self) -> PublicKey {
        self.key
    }
}

impl Order {
    /// Checks the customer's signature.
    ///
    /// # Errors
    /// [`BadSignature`]: another key's, or not over these bytes.
    pub fn authorise(&self, key: &PublicKey) -> Result<Authorised, BadSignature> {
        let equation = Equation::of(self, key).ok_or(BadSignature)?;
        if equation.holds() { Ok(Authorised { digest: self.digest(), key: *key }) } else { Err(BadSignature) }
    }
}

/// Checks many customers' signatures, at less than half the cost of one by one. One result per order, in order.
#[must_use]
pub fn authorise_batch(orders: &[(&Order, PublicKey)]) -> Vec<Result<Authorised, BadSignature>> {
    let mut results = vec![Err(BadSignature); orders.len()];
    for (orders, results) in orders.chunks(CHUNK_MAX).zip(results.chunks_mut(CHUNK_MAX)) {
        let equation =
            |(i, (order, key)): (usize, &(&Order, PublicKey))| Some((i, Equation::of(order, key)?));
        let equations: Vec<(usize, Equation)> = orders.iter().enumerate().filter_map(equation).collect();
        let mut pass = |i: usize| {
            let (order, key) = &orders[i];
            results[i] = Ok(Authorised { digest: order.digest(), key: *key });
        };
        find_good(&equations, &mut pass);
    }
    results
}

/// Calls `pass` for every equation that holds: all at once, or else in small groups, or else one by one. Two levels
/// bound what the worst batch costs (everything is tried three times, the last time alone); halving would try it ten times.
fn find_good(equations: &[(usize, Equation)], pass: &mut impl FnMut(usize)) {
    if let [(index, alone)] = equations {
        return if alone.holds() {
            pass(*index)
        };
    }
    if all_hold(equations) {
        return equations.iter().for_each(|(index, _)| pass(*index));
    }
    for group in equations.chunks(GROUP) {
        let good = group.len() < equations.len() && all_hold(group);
        group.iter().filter(|(_, equation)| good || equation.holds()).for_each(|(index, _)| pass(*index));
    }
}

/// What must hold for one signature: 8·s·B = 8·R + 8·k·A.
struct Equation {
    s: Scalar,
    k: Scalar,
    r: EdwardsPoint,
    minus_a: EdwardsPoint,
}

impl Equation {
    /// `None` when the signature is not even well formed.
    fn of(order: &Order, key: &PublicKey) -> Option<Self> {
        let (r_bytes, s_bytes) = order.signature().split_first_chunk::<32>()?;
        let s_bytes: [u8; 32] = s_bytes.try_into().ok()?;
        let s = Option::from(Scalar::from_canonical_bytes(s_bytes))?;
        if is_small_order(r_bytes) {
            return None;
        }
        let r = is_canonical(r_bytes).then(|| CompressedEdwardsY(*r_bytes).decompress()).flatten()?;
        let mut hash = Sha512::new();
        hash.update(r_bytes);
        hash.update(key.as_bytes());
        hash.update(order.signing_input());
        let k = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
        Some(Self { s, k, r, minus_a: -key.point() })
    }

    fn holds(&self) -> bool {
        // s·B − k·A − R, times eight.
        let sum = EdwardsPoint::vartime_double_scalar_mul_basepoint(&self.k, &self.minus_a, &self.s) - self.r;
        sum.mul_by_cofactor().is_identity()
    }
}

/// Whether all hold, by one sum with a 128-bit coefficient for each: (Σ zᵢsᵢ)·B − Σ zᵢ·Rᵢ − Σ (zᵢkᵢ)·Aᵢ, times eight.
///
/// The coefficients come from a hash over all of the batch (k binds R, A and the message), so whoever chooses a
/// signature cannot foresee them, and a batch gives the same answer whenever it is asked.
fn all_hold(equations: &[(usize, Equation)]) -> bool {
    let mut seed = Sha256::new();
    seed.update(b"hundi/signature-batch/v1");
    for (_, equation) in equations {
        seed.update(equation.k.as_bytes());
        seed.update(equation.s.as_bytes());
    }
    let seed: [u8; 32] = seed.finalize().into();
    let mut scalars = Vec::with_capacity(1 + 2 * equations.len());
    let mut points = Vec::with_capacity(1 + 2 * equations.len());
    let mut base = Scalar::ZERO;
    for ((_, equation), i) in equations.iter().zip(0u64..) {
        let z = coefficient(&seed, i);
        base += z * equation.s;
        scalars.push(z);
        points.push(-equation.r);
        scalars.push(z * equation.k);
        points.push(equation.minus_a);
    }
    scalars.push(base);
    points.push(curve25519_dalek::constants::ED25519_BASEPOINT_POINT);
    if (BUCKETS_WORTH..BUCKETS_FROM).contains(&points.len()) {
        // Nothing times nothing, which costs next to nothing.
        scalars.resize(BUCKETS_FROM, Scalar::ZERO);
        points.resize(BUCKETS_FROM, EdwardsPoint::identity());
    }
    EdwardsPoint::vartime_multiscalar_mul(scalars, points).mul_by_cofactor().is_identity()
}

/// The i-th coefficient: 128 bits of SHA-256(seed · i).
fn coefficient(seed: &[u8; 32], i: u64) -> Scalar {
    let mut bytes = [0; 40];
    bytes[..32].copy_from_slice(seed);
    bytes[32..].copy_from_slice(&i.to_le_bytes());
    let hash: [u8; 32] = Sha256::digest(bytes).into();
    let (half, _) = hash.split_at(16);
    Scalar::from(u128::from_le_bytes(half.try_into().unwrap_or([0xff; 16])))
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::EIGHT_TORSION;

    use super::*;
    use crate::keys::CustomerKey;
    use crate::order::{Credit, OrderFields};
    use crate::value::{Minor, OrderId, UnixMillis};
    use std::sync::Arc;

    fn order(i: u8, key: &CustomerKey) -> Arc<Order> {
        let fields = OrderFields {
            id: OrderId::from_parts(UnixMillis(1), [i; 10]),
            payer: "a@x".parse().unwrap(),
            credits: vec![Credit { payee: "b@y".parse().unwrap(), amount: Minor(1) }],
            currency: "EUR".parse().unwrap(),
            expires_at: UnixMillis(9),
            note: String::new(),
        };
        Order::sign(&fields, key).unwrap()
    }

    /// The order with another signature.
    fn resigned(order: &Order, signature: [u8; 64]) -> Arc<Order> {
        use base64::Engine as _;
        let mut bytes = order.signing_input().to_vec();
        bytes.push(b'.');
        bytes.extend(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(signature).bytes());
        Order::parse(&bytes).unwrap()
    }

    #[test]
    fn a_batch_names_exactly_the_bad_ones_wherever_they_are() {
        let keys: Vec<_> = (0..37).map(|i| CustomerKey::from_seed(&[i; 32])).collect();
        let orders: Vec<_> = keys.iter().zip(0..).map(|(key, i)| order(i, key)).collect();
        for bad in [vec![], vec![0], vec![36], vec![3, 4, 20], (0..37).collect::<Vec<_>>()] {
            let asked: Vec<_> = (0..37)
                .map(|i| {
                    (
                        &*orders[i],
                        if bad.contains(&i) { keys[(i + 1) % 37].public() } else { keys[i].public() },
                    )
                })
                .collect();
            let results = authorise_batch(&asked);
            let found: Vec<usize> = (0..37).filter(|i| results[*i].is_err()).collect();
            assert_eq!(found, bad);
            for ((order, key), result) in asked.iter().zip(results) {
                assert_eq!(order.authorise(key), result);
            }
        }
        assert!(authorise_batch(&[]).is_empty());
    }

    #[test]
    fn a_batch_that_is_summed_by_buckets_names_the_bad_ones_too() {
        let key = CustomerKey::from_seed(&[3; 32]);
        let orders: Vec<_> = (0..=u8::MAX).map(|i| order(i, &key)).collect();
        let strange = CustomerKey::from_seed(&[4; 32]).public();
        let worth = (BUCKETS_WORTH - 1) / 2;
        for size in [worth - 1, worth, BUCKETS_FROM / 2 - 1, BUCKETS_FROM / 2, 256] {
            for bad in [None, Some(0), Some(size - 1)] {
                let asked: Vec<_> = (0..size)
                    .map(|i| (&*orders[i], if bad == Some(i) { strange } else { key.public() }))
                    .collect();
                let results = authorise_batch(&asked);
                assert_eq!(results.iter().position(Result::is_err), bad, "{size}");
                assert_eq!(results.iter().filter(|r| r.is_err()).count(), bad.iter().count(), "{size}");
            }
        }
    }

    #[test]
    fn single_and_batch_agree_on_signatures_forged_by_the_owner_of_the_key() {
        // With a secret scalar of our own, R may get a part of small order: valid with the cofactor, invalid without.
        let (a, r) = (Scalar::from(123_456_789u64), Scalar::from(987_654_321u64));
        let key = PublicKey::from_bytes(&EdwardsPoint::mul_base(&a).compress().0).unwrap();
        let honest = order(1, &CustomerKey::from_seed(&[1; 32]));
        let forge_with = |r_bytes: [u8; 32], r: Scalar| {
            let mut hash = Sha512::new();
            hash.update(r_bytes);
            hash.update(key.as_bytes());
            hash.update(honest.signing_input());
            let k = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(&r_bytes);
            signature[32..].copy_from_slice((r + k * a).as_bytes());
            resigned(&honest, signature)
        };
        let forge = |r_point: EdwardsPoint, r: Scalar| forge_with(r_point.compress().0, r);
        let plain = forge(EdwardsPoint::mul_base(&r), r);
        let twisted: Vec<_> =
            EIGHT_TORSION.iter().map(|t| forge(EdwardsPoint::mul_base(&r) + t, r)).collect();
        let mut small: Vec<_> = EIGHT_TORSION.iter().map(|t| forge(*t, Scalar::ZERO)).collect();
        // Two of them have x = 0, and so a second encoding each: with the other sign.
        for t in EIGHT_TORSION.iter().filter(|t| (**t + **t).is_identity()) {
            let mut negative = t.compress().0;
            negative[31] ^= 0x80;
            small.push(forge_with(negative, Scalar::ZERO));
        }
        assert_eq!(small.len(), 10);
        assert!(plain.authorise(&key).is_ok());
        assert!(twisted.iter().all(|order| order.authorise(&key).is_ok()));
        assert!(small.iter().all(|order| order.authorise(&key).is_err()));
        let all: Vec<_> = twisted.iter().chain(&small).chain([&plain]).map(|order| (&**order, key)).collect();
        for start in 0..all.len() {
            for result in authorise_batch(&all[start..]).into_iter().zip(&all[start..]) {
                assert_eq!(result.0, result.1.0.authorise(&key));
            }
        }
    }

    #[test]
    fn other_encodings_of_a_signature_are_refused() {
        let key = CustomerKey::from_seed(&[2; 32]);
        let order = order(2, &key);
        let s_plus_order = {
            // The group order, little-endian: s + ℓ satisfies the equation too.
            let l: [u8; 32] = [
                0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
                0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
            ];
            let mut signature = *order.signature();
            let mut carry = 0u16;
            for (byte, add) in signature[32..].iter_mut().zip(l) {
                carry += u16::from(*byte) + u16::from(add);
                *byte = carry.to_le_bytes()[0];
                carry >>= 8;
            }
            resigned(&order, signature)
        };
        assert!(order.authorise(&key.public()).is_ok());
        assert!(s_plus_order.authorise(&key.public()).is_err());
        // y = p + 1 is a second encoding of the neutral point.
        let mut non_canonical = [0xff; 32];
        non_canonical[0] = 0xee;
        non_canonical[31] = 0x7f;
        assert!(PublicKey::from_bytes(&non_canonical).is_err());
        assert!(EIGHT_TORSION.iter().all(|t| PublicKey::from_bytes(&t.compress().0).is_err()));
    }
}
