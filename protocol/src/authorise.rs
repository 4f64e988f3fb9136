//! The customer's authority: proof that the payer's key signed an order.

use ed25519_dalek::Signature;

use crate::keys::{BadSignature, PublicKey};
use crate::order::Order;
use crate::value::Digest;

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
        key.verify(self.signing_input(), self.signature())?;
        Ok(Authorised { digest: self.digest(), key: *key })
    }
}

/// Checks many customers' signatures, at about half the cost of one by one. One result per order, in order.
#[must_use]
pub fn authorise_batch(orders: &[(&Order, PublicKey)]) -> Vec<Result<Authorised, BadSignature>> {
    let messages: Vec<&[u8]> = orders.iter().map(|(order, _)| order.signing_input()).collect();
    let signatures: Vec<Signature> =
        orders.iter().map(|(order, _)| Signature::from_bytes(order.signature())).collect();
    let keys: Vec<_> = orders.iter().map(|(_, key)| *key.inner()).collect();
    if ed25519_dalek::verify_batch(&messages, &signatures, &keys).is_ok() {
        return orders
            .iter()
            .map(|(order, key)| Ok(Authorised { digest: order.digest(), key: *key }))
            .collect();
    }
    orders.iter().map(|(order, key)| order.authorise(key)).collect()
}
