//! What a bank's file says, as plain data: for audits and for anyone who checks a bank from outside.

use std::sync::Arc;

use hundi_ledger::{AccountId, Amount, EventKind, TransferId};
use hundi_protocol::{
    AccountName, BankName, Currency, Decision, Digest, Order, Outcome, Signed, UnixMillis, Vote,
};

/// Everything in a bank's file that concerns other banks, and its balances. Nothing in it has been checked.
#[derive(Clone, Debug)]
pub struct BankRecord {
    /// Whose file.
    pub bank: BankName,
    /// How many commits there are.
    pub commits: u64,
    /// What the ledger's own verification found, recomputing every balance and the chain: `None` when all is well.
    pub damage: Option<String>,
    /// Customers' accounts.
    pub customers: Vec<CustomerRecord>,
    /// All accounts of the ledger.
    pub accounts: Vec<AccountRecord>,
    /// The ledger's transfers that belong to payments.
    pub entries: Vec<EntryRecord>,
    /// The bank's word on payments.
    pub payments: Vec<PaymentRecord>,
    /// The proofs it keeps against two-faced banks (R12).
    pub double_votes: Vec<(Signed<Vote>, Signed<Vote>)>,
    /// Refusals at or below it may have been dropped (R7).
    pub floor: UnixMillis,
}

/// A customer's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerRecord {
    /// Its name at the bank.
    pub name: AccountName,
    /// The account in the ledger.
    pub account: AccountId,
    /// Its currency.
    pub currency: Currency,
}

/// An account's balances, in minor units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    /// Which account.
    pub id: AccountId,
    /// Debits reserved.
    pub debits_pending: Amount,
    /// Debits that took place.
    pub debits_posted: Amount,
    /// Credits reserved.
    pub credits_pending: Amount,
    /// Credits that took place.
    pub credits_posted: Amount,
}

/// One transfer of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRecord {
    /// Its id: time, leg, step and the head of the digest.
    pub id: TransferId,
    /// The account that gives.
    pub debit: AccountId,
    /// The account that receives.
    pub credit: AccountId,
    /// How much, in minor units.
    pub amount: Amount,
    /// What it did.
    pub kind: EventKind,
    /// The digest of the payment's order, from the transfer itself.
    pub payment: Digest,
}

/// A bank's word on one payment.
#[derive(Clone, Debug)]
pub struct PaymentRecord {
    /// The order with its signed bytes.
    pub order: Arc<Order>,
    /// The vote.
    pub decision: Decision,
    /// The outcome, once proven.
    pub settled: Option<Outcome>,
    /// The other banks' votes that prove it.
    pub evidence: Vec<Signed<Vote>>,
}
