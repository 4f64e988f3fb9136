//! Orders that this thread read or submitted lately. A bank gets each order twice, with the question and with the outcome, and
//! reads its JSON once; an app gets back the orders that it submitted.

use std::cell::RefCell;
use std::sync::Arc;

use super::{MalformedOrder, Order, hash};
use crate::value::Digest;

/// About 1 KiB each: more would not stay in the processor's cache.
const PLACES: usize = 4096;

thread_local! {
    /// An order's place is given by its digest, which is as good as random; the newest has it.
    static RECENT: RefCell<Vec<Option<Arc<Order>>>> = RefCell::new(vec![None; PLACES]);
}

fn place_of(digest: &Digest) -> usize {
    let [a, b, ..] = digest.0;
    usize::from(u16::from_be_bytes([a, b])) % PLACES
}

/// Takes note of an order that is expected.
pub(super) fn note(order: &Arc<Order>) {
    RECENT.with_borrow_mut(|recent| {
        let known = &mut recent[place_of(&order.digest)];
        if !known.as_ref().is_some_and(|known| Arc::ptr_eq(known, order)) {
            *known = Some(Arc::clone(order));
        }
    });
}

/// [`Order::parse`]; an order with these very bytes that was read or noted lately is that order.
pub(super) fn parse(bytes: &[u8]) -> Result<Arc<Order>, MalformedOrder> {
    let digest = hash(bytes)?;
    let place = place_of(&digest);
    RECENT.with_borrow_mut(|recent| {
        if let Some(order) = &recent[place]
            && order.digest == digest
            && *order.bytes == *bytes
        {
            return Ok(Arc::clone(order));
        }
        let order = Arc::new(Order::parse_hashed(bytes, digest)?);
        recent[place] = Some(Arc::clone(&order));
        Ok(order)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::CustomerKey;
    use crate::order::{Credit, OrderFields};
    use crate::value::{Minor, OrderId, UnixMillis};

    #[test]
    fn the_same_bytes_are_read_once_and_others_never_pass_for_them() {
        let fields = OrderFields {
            id: OrderId::from_parts(UnixMillis(1), [7; 10]),
            payer: "a@x".parse().unwrap(),
            credits: vec![Credit { payee: "b@y".parse().unwrap(), amount: Minor(1) }],
            currency: "EUR".parse().unwrap(),
            expires_at: UnixMillis(9),
            note: String::new(),
        };
        let sign = |seed| Order::sign(&fields, &CustomerKey::from_seed(&[seed; 32])).unwrap();
        let (order, other) = (sign(1), sign(2));
        let read = parse(order.bytes()).unwrap();
        assert!(Arc::ptr_eq(&read, &parse(order.bytes()).unwrap()));
        assert_eq!(parse(other.bytes()).unwrap().bytes(), other.bytes());
        note(&order);
        assert!(Arc::ptr_eq(&order, &parse(order.bytes()).unwrap()), "one that was noted is not read at all");
        assert_eq!(parse(other.bytes()).unwrap().bytes(), other.bytes());
        let mut broken = order.bytes().to_vec();
        broken.push(b'!');
        assert!(parse(&broken).is_err());
    }
}
