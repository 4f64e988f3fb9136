//! The one place where balances change. Debits equal credits here, for every event, in release too.

use crate::{Account, AccountFlags, Amount, Event, EventKind, Store, Timestamp, Transfer};

/// One side of an event: the account before and after.
pub(super) struct Side<P> {
    slot: P,
    before: Account,
    /// To be changed, then given to [`apply`].
    pub(super) after: Account,
}

impl<P> Side<P> {
    pub(super) fn new(slot: P, account: &Account) -> Self {
        Self { slot, before: *account, after: *account }
    }

    /// Releases what the pending transfer reserved of this account's debits, and reopens what it closed.
    pub(super) fn release_debit(&mut self, amount: Amount) {
        self.after.debits_pending = sub(self.after.debits_pending, amount);
    }

    /// The mirror of [`Side::release_debit`].
    pub(super) fn release_credit(&mut self, amount: Amount) {
        self.after.credits_pending = sub(self.after.credits_pending, amount);
    }

    /// Undoes a closing transfer.
    pub(super) fn reopen(&mut self) {
        assert!(self.before.flags.contains(AccountFlags::CLOSED), "only what was closed is reopened");
        self.after.flags = self.after.flags.without(AccountFlags::CLOSED);
    }
}

/// A sum that was checked before.
pub(super) fn add(a: Amount, b: Amount) -> Amount {
    let Some(sum) = a.checked_add(b) else { panic!("an overflow is refused before it is applied") };
    sum
}

/// A difference that the books guarantee.
pub(super) fn sub(a: Amount, b: Amount) -> Amount {
    let Some(rest) = a.checked_sub(b) else { panic!("what was reserved can be released") };
    rest
}

/// Hands one event to the store.
pub(super) fn apply<S: Store>(
    store: &mut S,
    timestamp: Timestamp,
    kind: EventKind,
    transfer: Option<&Transfer>,
    pending: Option<&Transfer>,
    debit: Side<S::Slot>,
    credit: Side<S::Slot>,
) {
    // R10: both sides change by the same amount, and nothing else changes.
    let change = |after: Amount, before: Amount| after.0.wrapping_sub(before.0);
    assert_eq!(
        change(debit.after.debits_pending, debit.before.debits_pending),
        change(credit.after.credits_pending, credit.before.credits_pending),
        "pending debits equal pending credits"
    );
    assert_eq!(
        change(debit.after.debits_posted, debit.before.debits_posted),
        change(credit.after.credits_posted, credit.before.credits_posted),
        "posted debits equal posted credits"
    );
    assert_eq!(debit.after.credits_posted, debit.before.credits_posted, "a debit is no credit");
    assert_eq!(credit.after.debits_posted, credit.before.debits_posted, "a credit is no debit");

    let event = Event { timestamp, kind, transfer, pending, debit: &debit.after, credit: &credit.after };
    store.apply(&event, debit.slot, credit.slot);
}
