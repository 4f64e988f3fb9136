//! One bank's part in the commit protocol (DESIGN §3).
//!
//! Pure: no clock, no socket, no disk of its own. Call a `handle_*` method for each input, then
//! [`cut`](Participant::cut) what it recorded into a disk transaction, say
//! [`handle_durable`](Participant::handle_durable) when that is on disk, and [`poll`](Participant::poll) the
//! effects until `None`.
//!
//! | file | what it keeps |
//! |---|---|
//! | `vote.rs` | R1 one key, R2 one vote, R5 answer or refuse, R6 time only refuses |
//! | `settle.rs` | R3 pure outcome, R4 proof before money, R9 repeats, R12 two-faced banks |
//! | `doubt.rs` | R5: in doubt, a bank asks the others itself |
//! | `accounts.rs` | R13 a YES binds, R7 the floor |

mod accounts;
mod doubt;
mod settle;
mod vote;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hundi_ledger::{
    CommitSeq, CreateTransferResult, CreateTransferStatus, Store, Timestamp, Transfer, engine,
};
use hundi_protocol::{BankName, Digest, DoubleVote, Leg, Order, Peer, Reason, UnixMillis, Verified, Vote};

pub use accounts::{AccountAnswer, AccountRefusal, AccountRequest};

use crate::books::Books;
use crate::flaw::{Flaw, Flaws, Sound};
use crate::outbox::Outbox;
use doubt::Doubts;

/// What the shell is to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Sign this vote and send it.
    Vote {
        /// Who asked.
        to: Peer,
        /// This bank's vote.
        vote: Vote,
    },
    /// Sign this vote and send, with the votes that settled the payment here, the whole proof: whoever asked need not
    /// reach the other banks.
    Proof {
        /// Who asked.
        to: Peer,
        /// The payment's order.
        order: Arc<Order>,
        /// The other banks' votes.
        votes: Vec<Verified<Vote>>,
        /// This bank's vote.
        vote: Vote,
    },
    /// Tell the courier that the outcome is on disk here.
    Ack {
        /// Who brought the outcome.
        to: Peer,
        /// The payment.
        payment: Digest,
    },
    /// Ask another bank for its vote; it must answer or refuse (R5).
    Resolve {
        /// The bank.
        to: BankName,
        /// The payment's order.
        order: Arc<Order>,
    },
    /// Answer an operator.
    Answer {
        /// The number that came with the request.
        ticket: u64,
        /// The answer.
        answer: AccountAnswer,
    },
    /// Tell the operator that a bank voted both ways (R12).
    Report(DoubleVote),
}

/// A fault of this node itself, after which it must stop: what it holds may not match what it said.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Fault<E: std::error::Error> {
    /// The store could not read or write.
    #[error("the bank's store failed: {0}")]
    Store(#[from] E),
    /// A post or void was refused by the ledger, against R13.
    #[error(
        "the ledger refused to settle payment {payment}: {status:?}; the bank's file is not what it voted on"
    )]
    SettleRefused {
        /// The payment.
        payment: Digest,
        /// The ledger's result.
        status: CreateTransferStatus,
    },
    /// A vote that this bank signed is not on record here: the file is older than the vote.
    #[error(
        "this bank's own signed vote on payment {payment} is not in its file; was an old copy restored? \
         Do not vote with it: bring the newest file back"
    )]
    ForgottenVote {
        /// The payment.
        payment: Digest,
    },
}

/// Waiting times, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// How long a hold may be in doubt before the bank asks the other banks itself.
    pub doubt_after_ms: u64,
    /// The longest time between two askings.
    pub doubt_again_max_ms: u64,
}

impl Default for Policy {
    /// Long enough that a slow machine, or a node that is started again, is not taken for one that is gone: a payment
    /// that would have gone through is refused then.
    fn default() -> Self {
        Policy { doubt_after_ms: 20_000, doubt_again_max_ms: 60_000 }
    }
}

/// One bank in the commit protocol. Pure: no clock, no socket, no disk of its own.
///
/// To drive it: a `handle_*` method for each input, [`cut`](Self::cut) what that recorded into a disk transaction,
/// [`handle_durable`](Self::handle_durable) when that is on disk, and [`poll`](Self::poll) the effects until `None`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Participant<B, F = Sound> {
    bank: BankName,
    books: B,
    policy: Policy,
    flaws: F,
    outbox: Outbox<Effect>,
    /// Other banks' votes on payments in doubt here: at most a YES and a NO of each bank.
    gathered: BTreeMap<Digest, BTreeSet<Verified<Vote>>>,
    doubts: Doubts,
}

impl<B: Books> Participant<B> {
    /// Starts, or starts again after a crash, from what is on disk.
    pub fn open(bank: BankName, books: B, policy: Policy) -> Self {
        Participant::with_flaws(bank, books, policy, Sound)
    }
}

impl<B: Books, F: Flaws> Participant<B, F> {
    /// [`open`](Participant::open) with deliberate bugs, for the checker.
    pub fn with_flaws(bank: BankName, books: B, policy: Policy, flaws: F) -> Self {
        let doubts = Doubts::after_restart(books.open_payments(), policy);
        let outbox = Outbox::new(books.last_commit());
        Participant { bank, books, policy, flaws, outbox, gathered: BTreeMap::new(), doubts }
    }

    /// This bank's name.
    pub fn bank(&self) -> &BankName {
        &self.bank
    }

    /// The store.
    pub fn books(&self) -> &B {
        &self.books
    }

    /// The store, for the shell to take the changes out of. Write only through `handle_*`.
    pub fn books_mut(&mut self) -> &mut B {
        &mut self.books
    }

    /// The store alone: what is left of a node that crashed.
    pub fn into_books(self) -> B {
        self.books
    }

    /// Whether an order names this bank; the shell drops (and logs) one that does not.
    pub fn is_named_by(&self, order: &Order) -> bool {
        order.banks().contains(&self.bank)
    }

    /// The next effect that may leave; call until `None` after every input.
    #[must_use]
    pub fn poll(&mut self) -> Option<Effect> {
        if self.flaws.has(Flaw::SendBeforeSync) {
            return self.outbox.poll_too_early();
        }
        self.outbox.poll()
    }

    /// Closes what was recorded since the last cut into one disk transaction, and returns its number.
    /// `None`: nothing to write.
    #[must_use]
    pub fn cut(&mut self) -> Option<CommitSeq> {
        self.outbox.cut()
    }

    /// Whether something was recorded that is not cut yet.
    pub fn has_uncut(&self) -> bool {
        self.outbox.has_uncut()
    }

    /// Whether an effect waits for the disk.
    pub fn has_held(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// The effects that wait for the disk, each with the number of transactions that must still complete.
    pub fn held(&self) -> impl Iterator<Item = (u64, &Effect)> {
        self.outbox.held()
    }

    /// The other banks' votes on payments that are not settled here, as far as they came.
    pub fn gathered(&self) -> &BTreeMap<Digest, BTreeSet<Verified<Vote>>> {
        &self.gathered
    }

    /// The payments that this bank will ask the other banks about, and when.
    pub fn doubts(&self) -> impl Iterator<Item = (UnixMillis, &Digest)> {
        self.doubts.iter()
    }

    /// The disk has every transaction up to `upto` (R8).
    pub fn handle_durable(&mut self, upto: CommitSeq) {
        self.outbox.handle_durable(upto);
    }

    /// Books transfers as one batch, all or nothing where they are linked.
    fn book(
        &mut self,
        now: UnixMillis,
        transfers: &[Transfer],
    ) -> Result<Vec<CreateTransferResult>, Fault<B::Error>> {
        let at = self.next_timestamp(now, transfers.len());
        let results =
            engine::create_transfers(self.books.ledger(), at, transfers).map_err(ledger_failed::<B>)?;
        self.outbox.record();
        Ok(results)
    }

    /// The timestamp of a batch of `events`: the time, or just above the last batch if the clock went back.
    fn next_timestamp(&mut self, now: UnixMillis, events: usize) -> Timestamp {
        let above_last = Store::last(self.books.ledger()).any().0 + events as u64;
        Timestamp(above_last.max(now.0.saturating_mul(1_000_000)))
    }
}

/// The ledger inside the books could not be read.
fn ledger_failed<B: Books>(error: <B::Ledger as Store>::Error) -> Fault<B::Error> {
    Fault::Store(error.into())
}

/// The legs of an order at one bank, with their places in the order.
fn legs_at<'a>(order: &'a Order, bank: &'a BankName) -> impl Iterator<Item = (usize, &'a Leg)> {
    order.legs().iter().enumerate().filter(move |(_, leg)| leg.account.bank == *bank)
}

/// The reason to give a customer for a transfer that the ledger refused.
fn reason_of(status: CreateTransferStatus) -> Reason {
    use CreateTransferStatus as S;
    match status {
        S::ExceedsCredits => Reason::InsufficientFunds,
        S::DebitAccountAlreadyClosed | S::CreditAccountAlreadyClosed => Reason::AccountClosed,
        S::DebitAccountNotFound | S::CreditAccountNotFound => Reason::UnknownAccount,
        S::ExceedsDebits => Reason::LimitExceeded,
        S::OverflowsDebits
        | S::OverflowsCredits
        | S::OverflowsDebitsPending
        | S::OverflowsCreditsPending
        | S::OverflowsDebitsPosted
        | S::OverflowsCreditsPosted => Reason::Overflow, // R11
        _ => Reason::Malformed,
    }
}
