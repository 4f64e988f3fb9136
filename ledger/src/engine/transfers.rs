//! Creating a transfer: in one phase, or the first of two.

use super::books::{self, Side};
use super::{Event, Outcome, is_int_max, repeats, resolve};
use crate::CreateTransferStatus::{self as Status, *};
use crate::{
    Account, AccountFlags, Amount, Code, CreateTransferResult, EventKind, Known, LedgerCode, Store,
    Timestamp, Transfer, TransferFlags, TransferId,
};

impl Event for Transfer {
    type Status = Status;
    type Result = CreateTransferResult;

    const CREATED: Status = Created;
    const LINKED_EVENT_FAILED: Status = LinkedEventFailed;
    const LINKED_EVENT_CHAIN_OPEN: Status = LinkedEventChainOpen;
    const IMPORTED_EVENT_EXPECTED: Status = ImportedEventExpected;
    const IMPORTED_EVENT_NOT_EXPECTED: Status = ImportedEventNotExpected;
    const TIMESTAMP_MUST_BE_ZERO: Status = TimestampMustBeZero;
    const IMPORTED_EVENT_TIMESTAMP_OUT_OF_RANGE: Status = ImportedEventTimestampOutOfRange;
    const IMPORTED_EVENT_TIMESTAMP_MUST_NOT_ADVANCE: Status = ImportedEventTimestampMustNotAdvance;

    fn is_linked(&self) -> bool {
        self.flags.contains(TransferFlags::LINKED)
    }

    fn is_imported(&self) -> bool {
        self.flags.contains(TransferFlags::IMPORTED)
    }

    fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    fn with_timestamp(mut self, timestamp: Timestamp) -> Self {
        self.timestamp = timestamp;
        self
    }

    fn result(status: Status, timestamp: Timestamp) -> CreateTransferResult {
        CreateTransferResult { status, timestamp }
    }

    fn create<S: Store>(&self, store: &mut S) -> Result<Outcome<Status>, S::Error> {
        if let Err(status) = check_id(self) {
            return Ok((status, None));
        }
        match store.transfer(self.id)? {
            Known::No => {}
            Known::Burnt => return Ok((IdAlreadyFailed, None)),
            Known::Yes(original, _) => return repeats::compare(store, self, &original),
        }
        let resolves = TransferFlags::POST_PENDING_TRANSFER.with(TransferFlags::VOID_PENDING_TRANSFER);
        let status = if self.flags.intersects(resolves) {
            resolve::resolve(store, self)?
        } else {
            create(store, self)?
        };
        Ok((status, (status == Created).then_some(self.timestamp)))
    }

    fn refused<S: Store>(&self, store: &mut S, status: Status) {
        if status.is_transient() {
            store.burn(self.id);
        }
    }
}

/// What comes before the look-up of the id.
fn check_id(transfer: &Transfer) -> Result<(), Status> {
    require!(transfer.flags.reserved_bits() == 0, ReservedFlag);
    require!(transfer.id.0 != 0, IdMustNotBeZero);
    require!(!is_int_max(transfer.id.0), IdMustNotBeIntMax);
    Ok(())
}

/// Checks and applies a transfer that resolves no other one.
fn create<S: Store>(store: &mut S, transfer: &Transfer) -> Result<Status, S::Error> {
    if let Err(status) = check_fields(transfer) {
        return Ok(status);
    }
    let Some(debit_slot) = store.find_account(transfer.debit_account_id)? else {
        return Ok(DebitAccountNotFound);
    };
    let Some(credit_slot) = store.find_account(transfer.credit_account_id)? else {
        return Ok(CreditAccountNotFound);
    };
    // Whether an imported timestamp is free is asked here, where the store can still fail.
    let free = !transfer.is_imported() || is_free(store, transfer.timestamp)?;
    let (debit, credit) = (store.account(debit_slot), store.account(credit_slot));
    let amount = match check_state(transfer, debit, credit, free) {
        Ok(amount) => amount,
        Err(status) => return Ok(status),
    };

    // From here on nothing is refused.
    let mut transfer = *transfer;
    transfer.amount = amount;
    let mut debit = Side::new(debit_slot, debit);
    let mut credit = Side::new(credit_slot, credit);
    let kind = if transfer.flags.contains(TransferFlags::PENDING) {
        debit.after.debits_pending = books::add(debit.after.debits_pending, amount);
        credit.after.credits_pending = books::add(credit.after.credits_pending, amount);
        EventKind::Pending
    } else {
        debit.after.debits_posted = books::add(debit.after.debits_posted, amount);
        credit.after.credits_posted = books::add(credit.after.credits_posted, amount);
        EventKind::SinglePhase
    };
    if transfer.flags.contains(TransferFlags::CLOSING_DEBIT) {
        debit.after.flags |= AccountFlags::CLOSED;
    }
    if transfer.flags.contains(TransferFlags::CLOSING_CREDIT) {
        credit.after.flags |= AccountFlags::CLOSED;
    }
    books::apply(store, transfer.timestamp, kind, Some(&transfer), None, debit, credit);
    Ok(Created)
}

/// What the transfer itself gets wrong.
fn check_fields(transfer: &Transfer) -> Result<(), Status> {
    let flags = transfer.flags;
    let closing = TransferFlags::CLOSING_DEBIT.with(TransferFlags::CLOSING_CREDIT);
    require!(transfer.debit_account_id.0 != 0, DebitAccountIdMustNotBeZero);
    require!(!is_int_max(transfer.debit_account_id.0), DebitAccountIdMustNotBeIntMax);
    require!(transfer.credit_account_id.0 != 0, CreditAccountIdMustNotBeZero);
    require!(!is_int_max(transfer.credit_account_id.0), CreditAccountIdMustNotBeIntMax);
    require!(transfer.debit_account_id != transfer.credit_account_id, AccountsMustBeDifferent);
    require!(transfer.pending_id == TransferId::ZERO, PendingIdMustBeZero);
    if !flags.contains(TransferFlags::PENDING) {
        require!(transfer.timeout == 0, TimeoutReservedForPendingTransfer);
        require!(!flags.intersects(closing), ClosingTransferMustBePending);
    }
    require!(transfer.ledger != LedgerCode::ZERO, LedgerMustNotBeZero);
    require!(transfer.code != Code::ZERO, CodeMustNotBeZero);
    Ok(())
}

/// Whether an imported transfer may have this timestamp: above the last transfer, and nobody else's.
pub(super) fn is_free<S: Store>(store: &mut S, timestamp: Timestamp) -> Result<bool, S::Error> {
    Ok(timestamp > store.last().transfer && !store.is_taken(timestamp)?)
}

/// What the accounts do not allow. Gives the amount to move, which balancing flags may lower.
fn check_state(transfer: &Transfer, debit: &Account, credit: &Account, free: bool) -> Result<Amount, Status> {
    require!(debit.ledger == credit.ledger, AccountsMustHaveTheSameLedger);
    require!(transfer.ledger == debit.ledger, TransferMustHaveTheSameLedgerAsAccounts);
    if transfer.is_imported() {
        require!(free, ImportedEventTimestampMustNotRegress);
        require!(transfer.timestamp > debit.timestamp, ImportedEventTimestampMustPostdateDebitAccount);
        require!(transfer.timestamp > credit.timestamp, ImportedEventTimestampMustPostdateCreditAccount);
        require!(transfer.timeout == 0, ImportedEventTimeoutMustBeZero);
    }
    assert!(transfer.timestamp > debit.timestamp, "time only rises");
    assert!(transfer.timestamp > credit.timestamp, "time only rises");
    require!(!debit.flags.contains(AccountFlags::CLOSED), DebitAccountAlreadyClosed);
    require!(!credit.flags.contains(AccountFlags::CLOSED), CreditAccountAlreadyClosed);

    let mut amount = transfer.amount;
    if transfer.flags.contains(TransferFlags::BALANCING_DEBIT) {
        amount = amount.min(debit.credit_available());
    }
    if transfer.flags.contains(TransferFlags::BALANCING_CREDIT) {
        amount = amount.min(credit.debit_available());
    }

    // R11: refuse, never clamp.
    let fits = |sum: Amount| sum.checked_add(amount).is_some();
    if transfer.flags.contains(TransferFlags::PENDING) {
        require!(fits(debit.debits_pending), OverflowsDebitsPending);
        require!(fits(credit.credits_pending), OverflowsCreditsPending);
    }
    require!(fits(debit.debits_posted), OverflowsDebitsPosted);
    require!(fits(credit.credits_posted), OverflowsCreditsPosted);
    let debits = books::add(debit.debits_pending, debit.debits_posted);
    let credits = books::add(credit.credits_pending, credit.credits_posted);
    require!(fits(debits), OverflowsDebits);
    require!(fits(credits), OverflowsCredits);
    require!(transfer.timestamp.after_seconds(transfer.timeout).is_some(), OverflowsTimeout);

    if debit.flags.contains(AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS) {
        require!(books::add(debits, amount) <= debit.credits_posted, ExceedsCredits);
    }
    if credit.flags.contains(AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS) {
        require!(books::add(credits, amount) <= credit.debits_posted, ExceedsDebits);
    }
    Ok(amount)
}
