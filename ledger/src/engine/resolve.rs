//! The second phase: posting or voiding a pending transfer.

use super::books::{self, Side};
use super::transfers::is_free;
use super::{Event as _, is_int_max};
use crate::CreateTransferStatus::{self as Status, *};
use crate::{
    Account, AccountFlags, AccountId, Amount, Code, EventKind, Known, LedgerCode, Phase, Store, Transfer,
    TransferFlags, TransferId,
};

/// Checks and applies a post or void.
pub(super) fn resolve<S: Store>(store: &mut S, transfer: &Transfer) -> Result<Status, S::Error> {
    if let Err(status) = check_fields(transfer) {
        return Ok(status);
    }
    let Known::Yes(pending, phase) = store.transfer(transfer.pending_id)? else {
        return Ok(PendingTransferNotFound);
    };
    let amount = match check_pending(transfer, &pending, phase) {
        Ok(amount) => amount,
        Err(status) => return Ok(status),
    };
    if transfer.is_imported() && !is_free(store, transfer.timestamp)? {
        return Ok(ImportedEventTimestampMustNotRegress);
    }
    let (mut debit, mut credit) = sides(store, &pending)?;
    let voids = transfer.flags.contains(TransferFlags::VOID_PENDING_TRANSFER);
    if let Err(status) = check_open(&debit.after, &credit.after, voids) {
        return Ok(status);
    }

    // From here on nothing is refused.
    release(&pending, &mut debit, &mut credit, voids);
    if !voids {
        debit.after.debits_posted = books::add(debit.after.debits_posted, amount);
        credit.after.credits_posted = books::add(credit.after.credits_posted, amount);
    }
    let created = inherit(transfer, &pending, amount);
    let kind = if voids { EventKind::Voided } else { EventKind::Posted };
    books::apply(store, transfer.timestamp, kind, Some(&created), Some(&pending), debit, credit);
    Ok(Created)
}

/// The debit and the credit side.
type Sides<P> = (Side<P>, Side<P>);

/// Both accounts of a pending transfer, which must be there.
pub(super) fn sides<S: Store>(store: &mut S, pending: &Transfer) -> Result<Sides<S::Slot>, S::Error> {
    let debit = store.find_account(pending.debit_account_id)?;
    let credit = store.find_account(pending.credit_account_id)?;
    let (Some(debit), Some(credit)) = (debit, credit) else {
        panic!("the accounts of a pending transfer exist: {pending:?}");
    };
    Ok((Side::new(debit, store.account(debit)), Side::new(credit, store.account(credit))))
}

/// Releases what a pending transfer reserved; a void or expiry also reopens what it closed.
pub(super) fn release<P>(pending: &Transfer, debit: &mut Side<P>, credit: &mut Side<P>, reopens: bool) {
    debit.release_debit(pending.amount);
    credit.release_credit(pending.amount);
    if pending.flags.contains(TransferFlags::CLOSING_DEBIT) {
        assert!(reopens, "a closing transfer cannot be posted: its account is closed");
        debit.reopen();
    }
    if pending.flags.contains(TransferFlags::CLOSING_CREDIT) {
        assert!(reopens, "a closing transfer cannot be posted: its account is closed");
        credit.reopen();
    }
}

/// What the post or void itself gets wrong.
fn check_fields(transfer: &Transfer) -> Result<(), Status> {
    const BOTH: TransferFlags =
        TransferFlags::POST_PENDING_TRANSFER.with(TransferFlags::VOID_PENDING_TRANSFER);
    const EXCLUDED: TransferFlags = TransferFlags::PENDING
        .with(TransferFlags::BALANCING_DEBIT)
        .with(TransferFlags::BALANCING_CREDIT)
        .with(TransferFlags::CLOSING_DEBIT)
        .with(TransferFlags::CLOSING_CREDIT);
    require!(!transfer.flags.contains(BOTH), FlagsAreMutuallyExclusive);
    require!(!transfer.flags.intersects(EXCLUDED), FlagsAreMutuallyExclusive);
    require!(transfer.pending_id != TransferId::ZERO, PendingIdMustNotBeZero);
    require!(!is_int_max(transfer.pending_id.0), PendingIdMustNotBeIntMax);
    require!(transfer.pending_id != transfer.id, PendingIdMustBeDifferent);
    require!(transfer.timeout == 0, TimeoutReservedForPendingTransfer);
    Ok(())
}

/// The amount that a post takes or a void releases.
pub(super) fn amount_of(transfer: &Transfer, pending: &Transfer) -> Amount {
    let all = if transfer.flags.contains(TransferFlags::VOID_PENDING_TRANSFER) {
        Amount::ZERO
    } else {
        Amount::MAX
    };
    if transfer.amount == all { pending.amount } else { transfer.amount }
}

/// What the pending transfer does not allow. Gives the amount to take or release.
fn check_pending(transfer: &Transfer, pending: &Transfer, phase: Phase) -> Result<Amount, Status> {
    require!(phase != Phase::Single, PendingTransferNotPending);
    let same_or_zero = |asked: AccountId, there| asked == AccountId::ZERO || asked == there;
    require!(
        same_or_zero(transfer.debit_account_id, pending.debit_account_id),
        PendingTransferHasDifferentDebitAccountId
    );
    require!(
        same_or_zero(transfer.credit_account_id, pending.credit_account_id),
        PendingTransferHasDifferentCreditAccountId
    );
    let ledger = transfer.ledger;
    require!(ledger == LedgerCode::ZERO || ledger == pending.ledger, PendingTransferHasDifferentLedger);
    let code = transfer.code;
    require!(code == Code::ZERO || code == pending.code, PendingTransferHasDifferentCode);

    let amount = amount_of(transfer, pending);
    require!(amount <= pending.amount, ExceedsPendingTransferAmount);
    if transfer.flags.contains(TransferFlags::VOID_PENDING_TRANSFER) {
        require!(amount == pending.amount, PendingTransferHasDifferentAmount);
    }
    match phase {
        Phase::Single | Phase::Pending => {}
        Phase::Posted => return Err(PendingTransferAlreadyPosted),
        Phase::Voided => return Err(PendingTransferAlreadyVoided),
        Phase::Expired => return Err(PendingTransferExpired),
    }
    // Its time is over even if no expiry pass has released it yet.
    require!(pending.expires_at().is_none_or(|end| end > transfer.timestamp), PendingTransferExpired);
    Ok(amount)
}

/// A closed account takes only voids.
fn check_open(debit: &Account, credit: &Account, voids: bool) -> Result<(), Status> {
    require!(voids || !debit.flags.contains(AccountFlags::CLOSED), DebitAccountAlreadyClosed);
    require!(voids || !credit.flags.contains(AccountFlags::CLOSED), CreditAccountAlreadyClosed);
    Ok(())
}

/// A field of a post or void: its own, or the pending transfer's if it is zero.
pub(super) fn nonzero_or<T: Default + PartialEq>(own: T, inherited: T) -> T {
    if own == T::default() { inherited } else { own }
}

/// The post or void as it is stored: zero fields are as in the pending transfer.
fn inherit(transfer: &Transfer, pending: &Transfer, amount: Amount) -> Transfer {
    Transfer {
        id: transfer.id,
        debit_account_id: pending.debit_account_id,
        credit_account_id: pending.credit_account_id,
        amount,
        pending_id: transfer.pending_id,
        user_data_128: nonzero_or(transfer.user_data_128, pending.user_data_128),
        user_data_64: nonzero_or(transfer.user_data_64, pending.user_data_64),
        user_data_32: nonzero_or(transfer.user_data_32, pending.user_data_32),
        timeout: 0,
        ledger: pending.ledger,
        code: pending.code,
        flags: transfer.flags,
        timestamp: transfer.timestamp,
    }
}
