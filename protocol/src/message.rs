//! Everything that crosses a link.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::certificate::UncheckedCertificate;
use crate::keys::PublicKey;
use crate::name::AccountName;
use crate::order::Order;
use crate::signed::Signed;
use crate::value::{Currency, Digest, Minor};
use crate::vote::{Ack, Vote};

/// One message. Nothing in it is believed because of who sent it, except requests of operators; orders and
/// statements carry their own proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// App → coordinator: carry this out.
    Submit {
        /// The order.
        #[serde(with = "crate::order::shared")]
        order: Arc<Order>,
    },
    /// Coordinator → bank: vote on this.
    Prepare {
        /// The order.
        #[serde(with = "crate::order::shared")]
        order: Arc<Order>,
        /// Votes that are known already; the payer's bank, asked last, gets all the others. At most [`crate::VOTES_MAX`].
        #[serde(with = "crate::wire::votes")]
        votes: Vec<Signed<Vote>>,
    },
    /// Bank → whoever asked.
    Vote {
        /// Its vote.
        vote: Signed<Vote>,
    },
    /// Coordinator or named bank → bank: say how you voted; if you have not, refuse now (R5).
    Resolve {
        /// The order.
        #[serde(with = "crate::order::shared")]
        order: Arc<Order>,
    },
    /// This is how it ended.
    Outcome {
        /// The proof.
        certificate: UncheckedCertificate,
    },
    /// Bank → coordinator: the outcome is in my books.
    Ack {
        /// Its word.
        ack: Signed<Ack>,
    },
    /// What do you know of this payment?
    Status {
        /// The digest of the order.
        payment: Digest,
    },
    /// What I know of it.
    StatusReply {
        /// The digest of the order that was asked about.
        payment: Digest,
        /// How far it is.
        status: PaymentStatus,
    },
    /// Operator → bank.
    Admin(AdminRequest),
    /// Bank → operator.
    AdminReply(AdminReply),
    /// App → payer's bank: what became of the payment that has the id of this order? It may be another order of the
    /// same payer (R1). Only who can show an order that the payer's key signed is told; the reply names this order's digest.
    StatusOf {
        /// An order with the id.
        #[serde(with = "crate::order::shared")]
        order: Arc<Order>,
    },
    /// Coordinator → bank: the [`Message::Outcome`] without what a bank that has voted knows: the order, and its own vote. It is said once;
    /// a bank that has no YES on record lets it pass, and is told the whole when it has not acknowledged.
    Proof {
        /// The other banks' votes, all on one payment, at least one.
        #[serde(with = "crate::wire::votes")]
        votes: Vec<Signed<Vote>>,
    },
}

/// The kinds of [`Message`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// [`Message::Submit`]
    Submit,
    /// [`Message::Prepare`]
    Prepare,
    /// [`Message::Vote`]
    Vote,
    /// [`Message::Resolve`]
    Resolve,
    /// [`Message::Outcome`]
    Outcome,
    /// [`Message::Ack`]
    Ack,
    /// [`Message::Status`]
    Status,
    /// [`Message::StatusReply`]
    StatusReply,
    /// [`Message::Admin`]
    Admin,
    /// [`Message::AdminReply`]
    AdminReply,
    /// [`Message::StatusOf`]
    StatusOf,
    /// [`Message::Proof`]
    Proof,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 12] = [
        Self::Submit,
        Self::Prepare,
        Self::Vote,
        Self::Resolve,
        Self::Outcome,
        Self::Ack,
        Self::Status,
        Self::StatusReply,
        Self::Admin,
        Self::AdminReply,
        Self::StatusOf,
        Self::Proof,
    ];
}

impl Message {
    /// Its kind, for the table of who may send what.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Submit { .. } => Kind::Submit,
            Self::Prepare { .. } => Kind::Prepare,
            Self::Vote { .. } => Kind::Vote,
            Self::Resolve { .. } => Kind::Resolve,
            Self::Outcome { .. } => Kind::Outcome,
            Self::Ack { .. } => Kind::Ack,
            Self::Status { .. } => Kind::Status,
            Self::StatusReply { .. } => Kind::StatusReply,
            Self::Admin(_) => Kind::Admin,
            Self::AdminReply(_) => Kind::AdminReply,
            Self::StatusOf { .. } => Kind::StatusOf,
            Self::Proof { .. } => Kind::Proof,
        }
    }
}

/// How far a payment is, as one node knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PaymentStatus {
    /// Never heard of it, or forgotten it.
    Unknown,
    /// Not taken on, and nothing was started: the customer may try again, here or elsewhere.
    NotAccepted(NotAccepted),
    /// Under way, with the votes known so far.
    InFlight {
        /// In no order.
        #[serde(with = "crate::wire::votes")]
        votes: Vec<Signed<Vote>>,
    },
    /// Ended.
    Settled {
        /// The proof.
        certificate: UncheckedCertificate,
    },
}

/// Why a coordinator does not take an order on. It decides nothing by that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum NotAccepted {
    /// The order names a bank that is not of this network.
    UnknownBank,
    /// Too many payments are under way; try again later.
    Busy,
    /// The coordinator is stopping; try another.
    Stopping,
}

/// What an operator asks of its bank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminRequest {
    /// Chosen by the operator, repeated in the reply.
    pub request: u64,
    /// What to do.
    pub action: AdminAction,
}

/// What an operator can ask for. Repeats are harmless: opening what is open the same way succeeds, and a deposit
/// is identified by its reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdminAction {
    /// Opens a customer's account.
    OpenAccount {
        /// Its name.
        account: AccountName,
        /// Its currency.
        currency: Currency,
        /// The key whose orders debit it; none for an account that only receives. Boxed, for a decoded key is large, and every
        /// message would be.
        key: Option<Box<PublicKey>>,
    },
    /// Puts money into an account, from the bank's own account for cash.
    Deposit {
        /// Whose.
        account: AccountName,
        /// How much.
        amount: Minor,
        /// Makes a repeat recognisable; unique per bank, not 0.
        reference: u128,
    },
    /// Closes an account, unless payments hold money of it (R13).
    CloseAccount {
        /// Which.
        account: AccountName,
    },
    /// One account's balances.
    Balance {
        /// Which.
        account: AccountName,
    },
    /// A page of accounts by name.
    ListAccounts {
        /// Only names after this one.
        after: Option<AccountName>,
        /// At most so many (a bank may send fewer).
        limit: u32,
    },
    /// How much is under way.
    InFlight,
}

/// A bank's reply to its operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminReply {
    /// The number of the request.
    pub request: u64,
    /// What came of it.
    pub result: AdminResult,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdminResult {
    /// Done, and on disk.
    Done,
    /// Not done, and why, in a line for a person.
    Refused(String),
    /// The accounts asked for.
    Accounts(Vec<AccountView>),
    /// Payments that this bank has voted YES on and does not know the outcome of.
    InFlight {
        /// How many.
        payments: u64,
        /// The age of the oldest, in milliseconds.
        oldest_ms: u64,
    },
}

/// One account as an operator sees it. Amounts in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountView {
    /// Its name.
    pub account: AccountName,
    /// Its currency.
    pub currency: Currency,
    /// Held for payments that may still debit it.
    pub debits_pending: Minor,
    /// Debited.
    pub debits_posted: Minor,
    /// Announced by payments that may still credit it.
    pub credits_pending: Minor,
    /// Credited.
    pub credits_posted: Minor,
    /// Whether it takes no more payments.
    pub closed: bool,
}

#[cfg(test)]
mod tests {
    use super::Message;

    #[test]
    fn messages_are_small_for_each_is_moved_some_ten_times() {
        assert!(size_of::<Message>() <= 96, "{}", size_of::<Message>());
    }
}
