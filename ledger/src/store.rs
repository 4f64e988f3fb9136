//! The boundary between the engine, which decides, and a store, which remembers.

use std::error::Error;

use serde::{Deserialize, Serialize};

use crate::{Account, AccountId, ChangeEvent, Timestamp, Transfer, TransferId};

/// What became of a transfer's reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Phase {
    /// It never was pending.
    Single = 0,
    /// Waiting for its post, void or expiry.
    Pending = 1,
    /// Taken, all or in part.
    Posted = 2,
    /// Released by a void.
    Voided = 3,
    /// Released by its timeout.
    Expired = 4,
}

/// What a store knows of a transfer's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing: the id is free.
    No,
    /// A transfer with this id failed for a passing reason: the id is burnt.
    Burnt,
    /// The transfer exists.
    Yes(Transfer, Phase),
}

/// What happened to balances: the `type` of a change event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum EventKind {
    /// A transfer in one phase moved its amount.
    #[serde(rename = "single_phase")]
    SinglePhase = 0,
    /// A pending transfer reserved its amount.
    #[serde(rename = "two_phase_pending")]
    Pending = 1,
    /// A pending transfer was posted.
    #[serde(rename = "two_phase_posted")]
    Posted = 2,
    /// A pending transfer was voided.
    #[serde(rename = "two_phase_voided")]
    Voided = 3,
    /// A pending transfer's timeout passed.
    #[serde(rename = "two_phase_expired")]
    Expired = 4,
}

impl EventKind {
    /// The name in scripts and exports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SinglePhase => "single_phase",
            Self::Pending => "two_phase_pending",
            Self::Posted => "two_phase_posted",
            Self::Voided => "two_phase_voided",
            Self::Expired => "two_phase_expired",
        }
    }

    /// The phase that a pending transfer enters by this event; `None` if it resolves none.
    #[must_use]
    pub const fn resolves_to(self) -> Option<Phase> {
        match self {
            Self::SinglePhase | Self::Pending => None,
            Self::Posted => Some(Phase::Posted),
            Self::Voided => Some(Phase::Voided),
            Self::Expired => Some(Phase::Expired),
        }
    }
}

/// One change of balances, as the engine hands it to the store: everything that there is to write.
///
/// `kind` says which of the two transfers are there:
///
/// | kind | `transfer` (new, to be inserted) | `pending` (exists, gets a new [`Phase`]) |
/// |---|---|---|
/// | `SinglePhase`, `Pending` | yes | no |
/// | `Posted`, `Voided` | yes, all fields filled in | yes |
/// | `Expired` | no | yes |
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Unique over accounts, transfers and expiries.
    pub timestamp: Timestamp,
    /// What happened.
    pub kind: EventKind,
    /// The transfer that this event creates, exactly as it is to be stored.
    pub transfer: Option<&'a Transfer>,
    /// The pending transfer that this event resolves.
    pub pending: Option<&'a Transfer>,
    /// The debit account after the event. Nothing but the four balances and the flag `closed` ever differs
    /// from before.
    pub debit: &'a Account,
    /// The credit account after the event.
    pub credit: &'a Account,
}

impl Event<'_> {
    /// The event as others follow it.
    ///
    /// # Panics
    /// When the event has neither a transfer nor a pending one.
    #[must_use]
    pub fn to_change_event(&self) -> ChangeEvent {
        let Some(transfer) = self.transfer.or(self.pending) else { panic!("an event is about a transfer") };
        ChangeEvent {
            timestamp: self.timestamp,
            kind: self.kind,
            transfer: *transfer,
            debit_account: *self.debit,
            credit_account: *self.credit,
        }
    }
}

/// The last timestamps that a store holds; zero if it holds none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Last {
    /// The highest timestamp of an account.
    pub account: Timestamp,
    /// The highest timestamp of a transfer.
    pub transfer: Timestamp,
    /// The highest timestamp of an expiry.
    pub expiry: Timestamp,
}

impl Last {
    /// The highest timestamp of anything.
    #[must_use]
    pub fn any(self) -> Timestamp {
        self.account.max(self.transfer).max(self.expiry)
    }
}

/// What the engine reads and writes.
///
/// Only reads can fail. The engine checks first and writes after: a write never fails, and a store that has to
/// touch a disk collects what is to be written and commits it later.
///
/// **Speed**: for a simple transfer the engine makes one [`Store::transfer`], two [`Store::find_account`] and one
/// [`Store::apply`], and allocates nothing.
///
/// **Order**: the order of calls is the order of execution. Timestamps rise with it, except that the ones of
/// imported events may lie below those of objects of the other kind and of expiries.
pub trait Store {
    /// Why a read failed.
    type Error: Error + Send + Sync + 'static;
    /// A handle that makes the second access to an account cheap; valid until an account is inserted or a
    /// savepoint rolled back.
    type Slot: Copy;
    /// A place to roll back to.
    type Savepoint: Copy;

    /// The highest timestamps.
    fn last(&self) -> Last;

    /// Told before a batch of transfers runs, so that a store can fetch together what it would miss one by one.
    ///
    /// # Errors
    /// When the store cannot read.
    fn prefetch(&mut self, batch: &[Transfer]) -> Result<(), Self::Error> {
        let _ = batch;
        Ok(())
    }

    /// The handle of the account with this id, if it exists.
    ///
    /// # Errors
    /// When the store cannot read.
    fn find_account(&mut self, id: AccountId) -> Result<Option<Self::Slot>, Self::Error>;

    /// The account in a slot.
    fn account(&self, slot: Self::Slot) -> &Account;

    /// The transfer with this id. An id above all ids ever seen or burnt needs no look-up.
    ///
    /// # Errors
    /// When the store cannot read.
    fn transfer(&mut self, id: TransferId) -> Result<Known, Self::Error>;

    /// Whether an account, a transfer or an expiry has this timestamp; only asked for imported events.
    ///
    /// # Errors
    /// When the store cannot read.
    fn is_taken(&mut self, timestamp: Timestamp) -> Result<bool, Self::Error>;

    /// Appends at most `limit` transfers to `due`: those still pending whose [`Transfer::expires_at`] is at or before `now`,
    /// in order of (expires_at, timestamp).
    ///
    /// # Errors
    /// When the store cannot read.
    fn due(&mut self, now: Timestamp, limit: usize, due: &mut Vec<Transfer>) -> Result<(), Self::Error>;

    /// Adds a new account. Its id and timestamp are free.
    fn insert_account(&mut self, account: &Account);

    /// Applies one event: both accounts get their new balances and flags, the new transfer is inserted, the
    /// pending one gets its new phase (and leaves the expiry order), the event is remembered.
    fn apply(&mut self, event: &Event<'_>, debit: Self::Slot, credit: Self::Slot);

    /// Burns the id of a transfer that failed for a passing reason. The id is free.
    fn burn(&mut self, id: TransferId);

    /// Opens a savepoint inside the ones that are open.
    fn savepoint(&mut self) -> Self::Savepoint;

    /// Undoes everything since the savepoint (accounts, events, burnt ids, last timestamps) and closes it with
    /// all inside it. Ids that a broken chain burns survive it because the engine burns them after the rollback.
    fn rollback(&mut self, savepoint: Self::Savepoint);

    /// Closes the innermost savepoint and keeps what was done since.
    fn release(&mut self, savepoint: Self::Savepoint);
}
