//! What a bank keeps: its ledger, its customers, and its word on every payment.

use std::sync::Arc;

use hundi_ledger::{AccountId, CommitSeq, LedgerCode, Store, TransferId};
use hundi_protocol::{
    AccountName, Currency, Decision, Digest, DoubleVote, Order, OrderId, Outcome, PublicKey, UnixMillis,
    Verified, Vote,
};

/// A customer's account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Customer {
    /// The account in the ledger.
    pub account: AccountId,
    /// Its currency; the account takes no other.
    pub currency: Currency,
    /// The key that signs orders to pay from it; without one it can only receive.
    pub key: Option<PublicKey>,
    /// Closed for good: takes no further payment.
    pub closed: bool,
}

/// A bank's word on one payment, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Payment {
    /// The order, with its signed bytes.
    pub order: Arc<Order>,
    /// The vote. Once on disk it never changes (R2).
    pub decision: Decision,
    /// Whether this payment holds the order id against others of the same payer (R1).
    pub claims_order_id: bool,
    /// The outcome, once proven. `None`: voted YES and in doubt.
    pub settled: Option<Outcome>,
    /// The other banks' votes that prove the outcome (R4).
    pub evidence: Vec<Verified<Vote>>,
}

impl Payment {
    /// Voted YES, and does not know the outcome yet.
    pub fn is_open(&self) -> bool {
        self.settled.is_none()
    }
}

/// The bank's own accounts, one of each kind for each currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum OwnAccount {
    /// What the bank owes to (credit) or is owed by (debit) the other banks (R10).
    Clearing = 1,
    /// Where customers' deposits come from.
    Cash = 2,
    /// What two-faced banks owe (R12).
    Claims = 3,
    /// Credits that came after their account was closed (R12 only).
    Suspense = 4,
}

impl OwnAccount {
    /// Every kind.
    pub const ALL: [OwnAccount; 4] =
        [OwnAccount::Clearing, OwnAccount::Cash, OwnAccount::Claims, OwnAccount::Suspense];

    /// The account of this kind for `currency`.
    pub fn id(self, currency: Currency) -> AccountId {
        AccountId(u128::from(ledger_code(currency).0) << 8 | self as u128)
    }

    /// Its name in listings, for example `#clearing-INR`. Customers' names have no `#`.
    pub fn name(self, currency: Currency) -> String {
        let kind = match self {
            OwnAccount::Clearing => "clearing",
            OwnAccount::Cash => "cash",
            OwnAccount::Claims => "claims",
            OwnAccount::Suspense => "suspense",
        };
        format!("#{kind}-{currency}")
    }
}

/// The id of the `n`th customer account of a bank. Above every [`OwnAccount`].
pub fn customer_account_id(n: u64) -> AccountId {
    AccountId((1 << 64) + u128::from(n))
}

/// The ledger of a currency: its letters in base 26, from 1.
pub fn ledger_code(currency: Currency) -> LedgerCode {
    let letters = currency.to_bytes().into_iter();
    LedgerCode(1 + letters.fold(0, |code, letter| code * 26 + u32::from(letter - b'A')))
}

/// The store of one bank: everything here reaches disk in the transaction of the ledger entries beside it (R2).
///
/// Reads see what was written before, on disk or not. A store that cannot read or write returns an error, and
/// the participant must then not be used again: what it holds is no longer known to match the disk.
pub trait Books {
    /// The ledger inside.
    type Ledger: Store;
    /// A failed read or write.
    type Error: std::error::Error + From<<Self::Ledger as Store>::Error>;

    /// The ledger.
    fn ledger(&mut self) -> &mut Self::Ledger;
    /// The newest commit on disk, when the store was opened.
    fn last_commit(&self) -> CommitSeq;

    /// A customer by account name.
    fn customer(&mut self, name: &AccountName) -> Result<Option<Arc<Customer>>, Self::Error>;
    /// Opens or changes a customer's account.
    fn put_customer(&mut self, name: &AccountName, customer: Customer);
    /// How many customer accounts there are; they are never removed.
    fn customer_count(&self) -> u64;

    /// The bank's word on `order`, if it gave one.
    fn payment(&mut self, order: &Order) -> Result<Option<Payment>, Self::Error>;
    /// A payment in doubt (YES, no outcome yet), or settled so lately that it is still at hand.
    fn recent_payment(&self, digest: &Digest) -> Option<&Payment>;
    /// The payment that holds `order_id` for `payer` (R1).
    fn claimant(&mut self, payer: &AccountName, order_id: OrderId) -> Result<Option<Digest>, Self::Error>;
    /// Records a vote.
    fn insert_payment(&mut self, payment: Payment);
    /// Records the outcome of a payment and its proof.
    fn settle_payment(&mut self, order: &Order, outcome: Outcome, evidence: Vec<Verified<Vote>>);
    /// The digests of all payments in doubt.
    fn open_payments(&self) -> Vec<Digest>;

    /// Orders that expire at or before the floor and have no YES on record are refused without a record (R7).
    fn floor(&self) -> UnixMillis;
    /// Raises the floor and drops the refusals at or below it, in one transaction.
    fn raise_floor(&mut self, floor: UnixMillis);
    /// Drops refusals (and, for a flawed bank, anything) at or below `upto`: only [`raise_floor`](Self::raise_floor) and the checker's mutants call it.
    fn drop_payments(&mut self, upto: UnixMillis, drop_yes: bool);

    /// Keeps the proof that a bank voted both ways (R12). Repeats are ignored.
    fn insert_double_vote(&mut self, proof: DoubleVote);
}

/// The transfer of one leg of a payment at one step.
///
/// Time first, so that a busy ledger's index grows at its end; then the leg and the step; then the digest's
/// first 72 bits. The rest of the digest is in the user data, so every ledger row names its whole payment (R7).
pub fn transfer_id(order: &Order, leg: usize, step: Step) -> TransferId {
    let time_ms = order.id().uuid().as_u128() >> 80;
    let digest = order.digest();
    let head = digest.0[..9].iter().fold(0u128, |bits, byte| bits << 8 | u128::from(*byte));
    let leg = u128::try_from(leg).expect("an order has few legs");
    assert!(leg < 64, "an order has few legs");
    TransferId(time_ms << 80 | (leg << 2 | step as u128) << 72 | head)
}

/// The user data of a leg's transfers: the digest behind the first 72 bits.
pub fn transfer_user_data(order: &Order) -> (u128, u64) {
    let digest = order.digest();
    let middle = digest.0[9..25].iter().fold(0u128, |bits, byte| bits << 8 | u128::from(*byte));
    let tail = digest.0[25..].iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
    (middle, tail)
}

/// What a leg's transfer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    /// Books the leg: pending, or posted at once where the votes are complete.
    Book = 0,
    /// Posts or voids the pending transfer.
    Settle = 1,
    /// Books the leg after all, when a complete YES set shows up after a void (R12).
    Late = 2,
}
