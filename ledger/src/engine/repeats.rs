//! A transfer whose id exists: the same again, or another one under the same id.

use super::{Outcome, resolve};
use crate::CreateTransferStatus::{self as Status, *};
use crate::{Known, Store, Transfer, TransferFlags};

/// Compares a repeat with the original; a post or void also with what it inherited.
pub(super) fn compare<S: Store>(
    store: &mut S,
    repeat: &Transfer,
    original: &Transfer,
) -> Result<Outcome<Status>, S::Error> {
    // The flags say how the rest is to be read, so they come first.
    let head = check_head(repeat, original);
    let resolves = TransferFlags::POST_PENDING_TRANSFER.with(TransferFlags::VOID_PENDING_TRANSFER);
    let whole = if head.is_err() || !original.flags.intersects(resolves) {
        head.and_then(|()| check_rest(repeat, original))
    } else {
        let Known::Yes(pending, _) = store.transfer(original.pending_id)? else {
            panic!("a resolved transfer exists: {original:?}");
        };
        check_rest(&filled_in(repeat, &pending), original)
    };
    Ok(match whole {
        Ok(()) => (Exists, Some(original.timestamp)),
        Err(status) => (status, None),
    })
}

fn check_head(repeat: &Transfer, original: &Transfer) -> Result<(), Status> {
    require!(repeat.flags == original.flags, ExistsWithDifferentFlags);
    require!(repeat.pending_id == original.pending_id, ExistsWithDifferentPendingId);
    require!(repeat.timeout == original.timeout, ExistsWithDifferentTimeout);
    Ok(())
}

/// A repeated post or void with its zero fields as in the pending transfer.
fn filled_in(repeat: &Transfer, pending: &Transfer) -> Transfer {
    Transfer {
        debit_account_id: resolve::nonzero_or(repeat.debit_account_id, pending.debit_account_id),
        credit_account_id: resolve::nonzero_or(repeat.credit_account_id, pending.credit_account_id),
        amount: resolve::amount_of(repeat, pending),
        user_data_128: resolve::nonzero_or(repeat.user_data_128, pending.user_data_128),
        user_data_64: resolve::nonzero_or(repeat.user_data_64, pending.user_data_64),
        user_data_32: resolve::nonzero_or(repeat.user_data_32, pending.user_data_32),
        ledger: resolve::nonzero_or(repeat.ledger, pending.ledger),
        code: resolve::nonzero_or(repeat.code, pending.code),
        ..*repeat
    }
}

fn check_rest(repeat: &Transfer, original: &Transfer) -> Result<(), Status> {
    require!(repeat.debit_account_id == original.debit_account_id, ExistsWithDifferentDebitAccountId);
    require!(repeat.credit_account_id == original.credit_account_id, ExistsWithDifferentCreditAccountId);
    let balancing = TransferFlags::BALANCING_DEBIT.with(TransferFlags::BALANCING_CREDIT);
    // Balancing moved as much as could be moved, up to the amount asked for: any amount from there up is the same.
    let same_amount = if original.flags.intersects(balancing) {
        repeat.amount >= original.amount
    } else {
        repeat.amount == original.amount
    };
    require!(same_amount, ExistsWithDifferentAmount);
    require!(repeat.user_data_128 == original.user_data_128, ExistsWithDifferentUserData128);
    require!(repeat.user_data_64 == original.user_data_64, ExistsWithDifferentUserData64);
    require!(repeat.user_data_32 == original.user_data_32, ExistsWithDifferentUserData32);
    require!(repeat.ledger == original.ledger, ExistsWithDifferentLedger);
    require!(repeat.code == original.code, ExistsWithDifferentCode);
    Ok(())
}
