//! Orders that this thread submitted and expects back with their outcome: their JSON is not read again.

use std::cell::RefCell;
use std::sync::Arc;

use super::{MalformedOrder, Order, hash};
use crate::value::Digest;

/// About 1 KiB each: more would not stay in the processor's cache.
const PLACES: usize = 4096;

thread_local! {
    /// An order's place is given by its digest, which is as good as random; the newest has it. No places where none is expected.
    static EXPECTED: RefCell<Vec<Option<Arc<Order>>>> = const { RefCell::new(Vec::new()) };
}

fn place_of(digest: &Digest) -> usize {
    let [a, b, ..] = digest.0;
    usize::from(u16::from_be_bytes([a, b])) % PLACES
}

/// Takes note of an order that is expected.
pub(super) fn note(order: &Arc<Order>) {
    EXPECTED.with_borrow_mut(|expected| {
        expected.resize(PLACES, None);
        expected[place_of(&order.digest)] = Some(Arc::clone(order));
    });
}

/// [`Order::parse`]; an order with these very bytes that is expected is that order, and expected no more.
pub(super) fn parse(bytes: &[u8]) -> Result<Arc<Order>, MalformedOrder> {
    let digest = hash(bytes)?;
    let expected = EXPECTED.with_borrow_mut(|expected| {
        let is_it = |order: &mut Arc<Order>| order.digest == digest && *order.bytes == *bytes;
        expected.get_mut(place_of(&digest))?.take_if(is_it)
    });
    match expected {
        Some(order) => Ok(order),
        None => Ok(Arc::new(Order::parse_hashed(bytes, digest)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::CustomerKey;
    use crate::order::{Credit, OrderFields};
    use crate::value::{Minor, OrderId, UnixMillis};

    #[test]
    fn an_order_comes_back_once_without_being_read_and_others_never_pass_for_it() {
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
        let is_it = |read: &Arc<Order>| Arc::ptr_eq(read, &order);
        assert!(!is_it(&parse(order.bytes()).unwrap()), "nobody expects it");
        note(&order);
        assert_eq!(parse(other.bytes()).unwrap().bytes(), other.bytes());
        assert!(is_it(&parse(order.bytes()).unwrap()), "not read again");
        assert!(!is_it(&parse(order.bytes()).unwrap()), "expected once");
        note(&order);
        let mut broken = order.bytes().to_vec();
        broken.push(b'!');
        assert!(parse(&broken).is_err());
    }
}
