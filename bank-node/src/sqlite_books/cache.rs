//! Payments at hand: all in doubt, all not yet on disk, and the latest settled ones.

use std::collections::{BTreeMap, HashMap, VecDeque};

use hundi_ledger::CommitSeq;
use hundi_protocol::{Decision, Digest, OrderId, Outcome, UnixMillis, Verified, Vote};

use crate::books::Payment;

/// How many settled payments are kept at hand: a few hundredths of a second of them under full load, in half a megabyte that stays in
/// the processor's cache until they are let go. Older ones are looked for on disk.
const SETTLED_MAX: usize = 512;

type Key = (OrderId, Digest);

/// Order ids rise with time, so a payment that is new is above all that were let go: it needs no look on disk.
#[derive(Debug)]
pub(super) struct Cache {
    payments: BTreeMap<Key, Payment>,
    orders: HashMap<Digest, OrderId>,
    /// Settled payments in the order of settling, with the commit that holds them.
    settled: VecDeque<(CommitSeq, Key)>,
    /// Each with its place in the order of voting.
    in_doubt: BTreeMap<Key, i64>,
    durable: CommitSeq,
    /// Everything on disk and not in this cache has an order id at or below this.
    let_go: Option<OrderId>,
}

impl Cache {
    pub(super) fn new(newest_on_disk: Option<OrderId>) -> Self {
        Cache {
            payments: BTreeMap::new(),
            orders: HashMap::new(),
            settled: VecDeque::new(),
            in_doubt: BTreeMap::new(),
            durable: CommitSeq(0),
            let_go: newest_on_disk,
        }
    }

    pub(super) fn get(&self, order_id: OrderId, digest: &Digest) -> Option<&Payment> {
        self.payments.get(&(order_id, *digest))
    }

    pub(super) fn by_digest(&self, digest: &Digest) -> Option<&Payment> {
        self.get(*self.orders.get(digest)?, digest)
    }

    pub(super) fn of_order(&self, order_id: OrderId) -> impl Iterator<Item = &Payment> {
        let all = (order_id, Digest([0; 32]))..=(order_id, Digest([0xff; 32]));
        self.payments.range(all).map(|(_, payment)| payment)
    }

    pub(super) fn in_doubt(&self) -> impl Iterator<Item = &Payment> {
        self.in_doubt.keys().map(|key| &self.payments[key])
    }

    /// Whether a payment with this order id that is not here can be on disk.
    pub(super) fn may_be_on_disk(&self, order_id: OrderId) -> bool {
        self.let_go.is_some_and(|let_go| order_id <= let_go)
    }

    /// Takes in the `n`th payment in the order of voting.
    pub(super) fn insert(&mut self, n: i64, payment: Payment, seq: CommitSeq) {
        let key = (payment.order.id(), payment.order.digest());
        match payment.is_open() {
            true => drop(self.in_doubt.insert(key, n)),
            false => self.settled.push_back((seq, key)),
        }
        self.orders.insert(key.1, key.0);
        self.payments.insert(key, payment);
    }

    /// Takes note of an outcome. Gives the payment's place in the order of voting if it was in doubt; one that was let go (R12:
    /// settled the other way before) stays on disk.
    pub(super) fn settle(
        &mut self,
        order_id: OrderId,
        digest: &Digest,
        outcome: Outcome,
        evidence: Vec<Verified<Vote>>,
        seq: CommitSeq,
    ) -> Option<i64> {
        let key = (order_id, *digest);
        let n = self.in_doubt.remove(&key);
        if let Some(payment) = self.payments.get_mut(&key) {
            if payment.settled.is_some() {
                // R12: the other way before. That is on disk already, and must not let it go before this is.
                self.settled.retain(|(_, other)| *other != key);
            }
            payment.settled = Some(outcome);
            payment.evidence = evidence;
            self.settled.push_back((seq, key));
        }
        n
    }

    /// Lets go the oldest settled payments that are on disk.
    pub(super) fn handle_durable(&mut self, seq: CommitSeq) {
        self.durable = seq;
        while self.settled.len() > SETTLED_MAX
            && let Some((written, key)) = self.settled.front().copied()
            && written <= self.durable
        {
            self.settled.pop_front();
            self.remove(&key);
            self.let_go = self.let_go.max(Some(key.0));
        }
    }

    /// Forgets refusals at or below the floor (R7).
    pub(super) fn drop_refusals(&mut self, upto: UnixMillis) {
        let dropped: Vec<Key> = self
            .payments
            .iter()
            .filter(|(_, payment)| payment.order.expires_at() <= upto && payment.decision != Decision::Yes)
            .map(|(key, _)| *key)
            .collect();
        for key in dropped {
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &Key) {
        self.payments.remove(key);
        self.orders.remove(&key.1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use hundi_protocol::{Credit, CustomerKey, Minor, Order, OrderFields};

    fn payment(n: u16) -> Payment {
        let [a, b] = n.to_be_bytes();
        let fields = OrderFields {
            id: OrderId::from_parts(UnixMillis(1), [0, 0, 0, 0, 0, 0, 0, 0, a, b]),
            payer: "ann@alpha".parse().unwrap(),
            credits: vec![Credit { payee: "bob@beta".parse().unwrap(), amount: Minor(1) }],
            currency: "INR".parse().unwrap(),
            expires_at: UnixMillis(9),
            note: String::new(),
        };
        let order: Arc<Order> = Order::sign(&fields, &CustomerKey::from_seed(&[7; 32])).unwrap();
        Payment {
            order,
            decision: Decision::Yes,
            claims_order_id: false,
            settled: Some(Outcome::Abort),
            evidence: Vec::new(),
        }
    }

    #[test]
    fn what_was_settled_again_stays_until_that_is_on_disk() {
        let mut cache = Cache::new(None);
        let first = payment(0);
        let (id, digest) = (first.order.id(), first.order.digest());
        cache.insert(0, first, CommitSeq(1));
        assert_eq!(
            cache.settle(id, &digest, Outcome::Commit, Vec::new(), CommitSeq(2)),
            None,
            "not in doubt"
        );
        for n in 1..=1 + SETTLED_MAX {
            let n = u16::try_from(n).unwrap();
            cache.insert(n.into(), payment(n), CommitSeq(1));
        }
        cache.handle_durable(CommitSeq(1));
        assert_eq!(
            cache.by_digest(&digest).unwrap().settled,
            Some(Outcome::Commit),
            "the file says otherwise"
        );
        cache.handle_durable(CommitSeq(2));
        assert!(cache.by_digest(&digest).is_none(), "now it may go");
        assert_eq!(cache.settled.len(), SETTLED_MAX);
        assert_eq!(cache.payments.len(), SETTLED_MAX, "and nothing is in it twice");
    }
}
