//! The balances again, from the transfers alone.

use std::collections::HashMap;

use super::super::entry::{Balances, Entry, Slot, read_balances, read_timestamp};
use super::super::lookup::Lookup;
use super::{VerifyError, bad};
use crate::{Account, AccountFlags, Amount, EventKind, Timestamp, TransferFlags};

/// An account as the transfers make it.
struct Running {
    account: Account,
    balances: Balances,
    head: Timestamp,
    /// The newest event that the balances on disk must cover.
    covered: Timestamp,
}

/// All accounts, and the pending transfers that are open.
pub(super) struct Books {
    accounts: Vec<Running>,
    open: HashMap<Timestamp, Entry>,
    balances_from: Timestamp,
}

impl Books {
    pub(super) fn new(balances_from: Timestamp) -> Self {
        Self { accounts: Vec::new(), open: HashMap::new(), balances_from }
    }

    /// How many pending transfers are open.
    pub(super) fn open_count(&self) -> usize {
        self.open.len()
    }

    pub(super) fn open(&mut self, account: &Account) {
        let closed = account.flags.contains(AccountFlags::CLOSED);
        self.accounts.push(Running {
            account: *account,
            balances: Balances { closed, ..Balances::default() },
            head: Timestamp::ZERO,
            covered: Timestamp::ZERO,
        });
    }

    /// Applies an event and compares with what its row says.
    pub(super) fn apply(&mut self, entry: &Entry) -> Result<(), VerifyError> {
        let at = entry.timestamp();
        let pending = match entry.kind.resolves_to() {
            None => None,
            Some(_) => match self.open.remove(&entry.pending) {
                Some(open) => Some(open),
                None => {
                    return bad("events", at, format!("it resolves {}, which is not pending", entry.pending));
                }
            },
        };
        check_fields(entry, pending.as_ref())?;
        for (slot, is_debit) in [(entry.debit, true), (entry.credit, false)] {
            let (prev, after) = if is_debit {
                (entry.debit_prev, &entry.after_debit)
            } else {
                (entry.credit_prev, &entry.after_credit)
            };
            let Some(running) = self.accounts.get_mut(slot.index()) else {
                return bad("events", at, "its account did not exist then");
            };
            if running.account.ledger != entry.transfer.ledger {
                return bad("events", at, "its accounts have different ledgers");
            }
            if running.head != prev {
                return bad(
                    "events",
                    at,
                    format!("the account's event before is {}, not {prev}", running.head),
                );
            }
            let Some(expected) = step(&running.balances, entry, pending.as_ref(), is_debit) else {
                return bad("events", at, "its amounts overflow");
            };
            if expected != *after {
                return bad("events", at, format!("after it the account has {expected:?}, not {after:?}"));
            }
            running.balances = expected;
            running.head = at;
            if at <= self.balances_from {
                running.covered = at; // In order of execution, which late events make another than that of time.
            }
        }
        if entry.kind == EventKind::Pending {
            self.open.insert(at, *entry);
        }
        Ok(())
    }

    /// The table of balances: each row is what some event left, not too long ago.
    pub(super) fn finish(&self, lookup: &Lookup) -> Result<(), VerifyError> {
        let mut statement = lookup.connection.prepare(
            "SELECT n, head, debits_pending, debits_posted, credits_pending, credits_posted, closed FROM balances
            ORDER BY n",
        )?;
        let mut rows = statement.query([])?;
        let mut next = 0;
        while let Some(row) = rows.next()? {
            let number: i64 = row.get(0)?;
            let slot = Slot::from_number(number)?;
            let read = || Ok((read_timestamp(row, 1)?, read_balances(row, 2, row.get(6)?)?));
            let (head, balances) = match read() {
                Ok(found) => found,
                Err::<_, super::ReadError>(error) => return bad("balances", number, error.to_string()),
            };
            self.expect_uncovered(next, slot.index())?;
            next = slot.index() + 1;
            let Some(running) = self.accounts.get(slot.index()) else {
                return bad("balances", number, "there is no such account");
            };
            check_balances(lookup, slot, running, head, &balances)?;
        }
        self.expect_uncovered(next, self.accounts.len())
    }

    /// Accounts without a row must not need one.
    fn expect_uncovered(&self, from: usize, to: usize) -> Result<(), VerifyError> {
        let range = self.accounts.get(from..to).unwrap_or_default();
        match range.iter().position(|running| running.covered != Timestamp::ZERO) {
            None => Ok(()),
            Some(place) => bad("balances", Slot::at(from + place).number(), "missing"),
        }
    }
}

/// A row of balances is what one of the account's newest events left: of those that balances_from allows to be
/// missing, or the last one before them.
fn check_balances(
    lookup: &Lookup,
    slot: Slot,
    running: &Running,
    head: Timestamp,
    balances: &Balances,
) -> Result<(), VerifyError> {
    let mut left = (running.head, running.balances);
    while left.0 != head {
        if left.0 == running.covered {
            return bad("balances", slot.number(), "older than balances_from allows, or of no event");
        }
        let Some(entry) = lookup.entry(left.0)? else {
            return bad("events", left.0, "missing");
        };
        let previous = entry.side(slot).0;
        let after = match lookup.entry(previous)? {
            Some(entry) => *entry.side(slot).1,
            None => Balances::default(), // Before the first event: no row is that old.
        };
        left = (previous, after);
    }
    if left.1 == *balances {
        Ok(())
    } else {
        bad("balances", slot.number(), "not what the account's event left")
    }
}

/// What the fields of an event say must fit together.
fn check_fields(entry: &Entry, pending: Option<&Entry>) -> Result<(), VerifyError> {
    let at = entry.timestamp();
    if entry.debit == entry.credit {
        return bad("events", at, "its accounts are the same");
    }
    let Some(pending) = pending else {
        if entry.pending != Timestamp::ZERO {
            return bad("events", at, "it resolves nothing, but names a pending transfer");
        }
        return Ok(());
    };
    if (pending.debit, pending.credit) != (entry.debit, entry.credit) {
        return bad("events", at, "its accounts are not those of the pending transfer");
    }
    let fits = match entry.kind {
        EventKind::Posted => entry.transfer.amount <= pending.transfer.amount,
        _ => entry.transfer.amount == pending.transfer.amount,
    };
    if fits { Ok(()) } else { bad("events", at, "its amount is not that of the pending transfer") }
}

/// One side's balances after an event; `None` if a number would leave its range.
fn step(before: &Balances, entry: &Entry, pending: Option<&Entry>, is_debit: bool) -> Option<Balances> {
    let mut after = *before;
    let (held, posted) = if is_debit {
        (&mut after.debits_pending, &mut after.debits_posted)
    } else {
        (&mut after.credits_pending, &mut after.credits_posted)
    };
    let amount = entry.transfer.amount;
    let reserved = pending.map_or(Amount(0), |pending| pending.transfer.amount);
    *held = held.checked_sub(reserved)?;
    match entry.kind {
        EventKind::Pending => *held = held.checked_add(amount)?,
        EventKind::SinglePhase | EventKind::Posted => *posted = posted.checked_add(amount)?,
        EventKind::Voided | EventKind::Expired => {}
    }
    let closing = if is_debit { TransferFlags::CLOSING_DEBIT } else { TransferFlags::CLOSING_CREDIT };
    if entry.kind == EventKind::Pending && entry.transfer.flags.contains(closing) {
        after.closed = true;
    }
    let reopens = matches!(entry.kind, EventKind::Voided | EventKind::Expired);
    if reopens && pending.is_some_and(|pending| pending.transfer.flags.contains(closing)) {
        after.closed = false;
    }
    Some(after)
}
