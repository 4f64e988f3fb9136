//! Books in memory, ordered, cheap to clone and to hash: for the model and for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use hundi_ledger::{CommitSeq, MemoryStore};
use hundi_protocol::{
    AccountName, Decision, Digest, DoubleVote, Order, OrderId, Outcome, UnixMillis, Verified, Vote,
};

use crate::books::{Books, Customer, Payment};

/// A bank's books in memory. The default is a bank without customers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct MemoryBooks {
    ledger: MemoryStore,
    customers: BTreeMap<AccountName, Arc<Customer>>,
    payments: BTreeMap<Digest, Payment>,
    floor: UnixMillis,
    double_votes: BTreeSet<DoubleVote>,
}

impl MemoryBooks {
    /// Empty books over `ledger`.
    pub fn new(ledger: MemoryStore) -> Self {
        MemoryBooks { ledger, ..MemoryBooks::default() }
    }

    /// The ledger, to look at.
    pub fn ledger_ref(&self) -> &MemoryStore {
        &self.ledger
    }

    /// All payments on record.
    pub fn payments(&self) -> &BTreeMap<Digest, Payment> {
        &self.payments
    }

    /// All customers.
    pub fn customers(&self) -> &BTreeMap<AccountName, Arc<Customer>> {
        &self.customers
    }

    /// The proofs against two-faced banks.
    pub fn double_votes(&self) -> &BTreeSet<DoubleVote> {
        &self.double_votes
    }
}

impl Books for MemoryBooks {
    type Ledger = MemoryStore;
    type Error = Infallible;

    fn ledger(&mut self) -> &mut MemoryStore {
        &mut self.ledger
    }

    fn last_commit(&self) -> CommitSeq {
        CommitSeq(0)
    }

    fn customer(&mut self, name: &AccountName) -> Result<Option<Arc<Customer>>, Infallible> {
        Ok(self.customers.get(name).cloned())
    }

    fn put_customer(&mut self, name: &AccountName, customer: Customer) {
        self.customers.insert(name.clone(), Arc::new(customer));
    }

    fn customer_count(&self) -> u64 {
        self.customers.len() as u64
    }

    fn payment(&mut self, order: &Order) -> Result<Option<Payment>, Infallible> {
        Ok(self.payments.get(&order.digest()).cloned())
    }

    fn recent_payment(&self, digest: &Digest) -> Option<&Payment> {
        self.payments.get(digest)
    }

    fn claimant(&mut self, payer: &AccountName, order_id: OrderId) -> Result<Option<Digest>, Infallible> {
        let claims = |payment: &&Payment| {
            payment.claims_order_id && payment.order.id() == order_id && &payment.order.payer().name == payer
        };
        Ok(self.payments.values().find(claims).map(|payment| payment.order.digest()))
    }

    fn insert_payment(&mut self, payment: Payment) {
        self.payments.insert(payment.order.digest(), payment);
    }

    fn settle_payment(&mut self, order: &Order, outcome: Outcome, evidence: Vec<Verified<Vote>>) {
        let payment = self.payments.get_mut(&order.digest()).expect("only a recorded payment is settled");
        payment.settled = Some(outcome);
        payment.evidence = evidence;
    }

    fn open_payments(&self) -> Vec<Digest> {
        let open = self.payments.values().filter(|payment| payment.is_open());
        open.map(|payment| payment.order.digest()).collect()
    }

    fn floor(&self) -> UnixMillis {
        self.floor
    }

    fn raise_floor(&mut self, floor: UnixMillis) {
        assert!(floor >= self.floor, "the floor only rises"); // R7
        self.floor = floor;
        self.drop_payments(floor, false);
    }

    fn drop_payments(&mut self, upto: UnixMillis, drop_yes: bool) {
        self.payments.retain(|_, payment| {
            payment.order.expires_at() > upto || (payment.decision == Decision::Yes && !drop_yes)
        });
    }

    fn insert_double_vote(&mut self, proof: DoubleVote) {
        self.double_votes.insert(proof);
    }
}
