//! Every reason to refuse a transfer that applies, in no order.

use hundi_ledger::CreateTransferStatus as T;
use hundi_ledger::{AccountFlags, Transfer, TransferFlags};

use super::{Fate, LAST_NS, MAX, Naive, has, has_account, over};

impl Naive {
    pub(super) fn why_not_the_same(&self, event: &Transfer, old: &Transfer) -> Vec<T> {
        let mut full = *event;
        if event.flags == old.flags
            && event.pending_id == old.pending_id
            && let Some((pending, _)) = self.find(old.pending_id)
        {
            full = self.filled(event, &pending);
        }
        let balancing =
            has(old.flags, TransferFlags::BALANCING_DEBIT) || has(old.flags, TransferFlags::BALANCING_CREDIT);
        let other_amount =
            if balancing { full.amount.0 < old.amount.0 } else { full.amount.0 != old.amount.0 };
        let reasons = [
            (event.flags != old.flags, T::ExistsWithDifferentFlags),
            (event.pending_id != old.pending_id, T::ExistsWithDifferentPendingId),
            (event.timeout != old.timeout, T::ExistsWithDifferentTimeout),
            (full.debit_account_id != old.debit_account_id, T::ExistsWithDifferentDebitAccountId),
            (full.credit_account_id != old.credit_account_id, T::ExistsWithDifferentCreditAccountId),
            (other_amount, T::ExistsWithDifferentAmount),
            (full.user_data_128 != old.user_data_128, T::ExistsWithDifferentUserData128),
            (full.user_data_64 != old.user_data_64, T::ExistsWithDifferentUserData64),
            (full.user_data_32 != old.user_data_32, T::ExistsWithDifferentUserData32),
            (full.ledger != old.ledger, T::ExistsWithDifferentLedger),
            (full.code != old.code, T::ExistsWithDifferentCode),
        ];
        reasons.into_iter().filter(|(applies, _)| *applies).map(|(_, reason)| reason).collect()
    }

    pub(super) fn why_not_move(&self, e: &Transfer) -> Vec<T> {
        let mut why = Vec::new();
        let mut no = |applies: bool, reason: T| {
            if applies {
                why.push(reason);
            }
        };
        let pending = has(e.flags, TransferFlags::PENDING);
        let imported = has(e.flags, TransferFlags::IMPORTED);
        let closing =
            has(e.flags, TransferFlags::CLOSING_DEBIT) || has(e.flags, TransferFlags::CLOSING_CREDIT);
        no(e.debit_account_id.0 == 0, T::DebitAccountIdMustNotBeZero);
        no(e.debit_account_id.0 == MAX, T::DebitAccountIdMustNotBeIntMax);
        no(e.credit_account_id.0 == 0, T::CreditAccountIdMustNotBeZero);
        no(e.credit_account_id.0 == MAX, T::CreditAccountIdMustNotBeIntMax);
        no(e.debit_account_id == e.credit_account_id, T::AccountsMustBeDifferent);
        no(e.pending_id.0 != 0, T::PendingIdMustBeZero);
        no(!pending && e.timeout != 0, T::TimeoutReservedForPendingTransfer);
        no(!pending && closing, T::ClosingTransferMustBePending);
        no(e.ledger.0 == 0, T::LedgerMustNotBeZero);
        no(e.code.0 == 0, T::CodeMustNotBeZero);
        let debit = self.place(e.debit_account_id).map(|place| self.accounts[place]);
        let credit = self.place(e.credit_account_id).map(|place| self.accounts[place]);
        no(debit.is_none(), T::DebitAccountNotFound);
        no(credit.is_none(), T::CreditAccountNotFound);
        let (Some(debit), Some(credit)) = (debit, credit) else { return why };
        no(debit.ledger != credit.ledger, T::AccountsMustHaveTheSameLedger);
        no(e.ledger != debit.ledger, T::TransferMustHaveTheSameLedgerAsAccounts);
        let regress = e.timestamp.0 <= self.last_transfer() || self.is_time_taken(e.timestamp);
        no(imported && regress, T::ImportedEventTimestampMustNotRegress);
        no(imported && e.timestamp <= debit.timestamp, T::ImportedEventTimestampMustPostdateDebitAccount);
        no(imported && e.timestamp <= credit.timestamp, T::ImportedEventTimestampMustPostdateCreditAccount);
        no(imported && e.timeout != 0, T::ImportedEventTimeoutMustBeZero);
        no(has_account(debit.flags, AccountFlags::CLOSED), T::DebitAccountAlreadyClosed);
        no(has_account(credit.flags, AccountFlags::CLOSED), T::CreditAccountAlreadyClosed);

        let amount = self.balanced(e, &debit, &credit);
        let debits = debit.debits_pending.0 + debit.debits_posted.0;
        let credits = credit.credits_pending.0 + credit.credits_posted.0;
        no(pending && over(debit.debits_pending.0, amount), T::OverflowsDebitsPending);
        no(pending && over(credit.credits_pending.0, amount), T::OverflowsCreditsPending);
        no(over(debit.debits_posted.0, amount), T::OverflowsDebitsPosted);
        no(over(credit.credits_posted.0, amount), T::OverflowsCreditsPosted);
        no(over(debits, amount), T::OverflowsDebits);
        no(over(credits, amount), T::OverflowsCredits);
        let end = u128::from(e.timestamp.0) + u128::from(e.timeout) * 1_000_000_000;
        no(end > LAST_NS, T::OverflowsTimeout);
        let limited = has_account(debit.flags, AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS);
        no(limited && (over(debits, amount) || debits + amount > debit.credits_posted.0), T::ExceedsCredits);
        let limited = has_account(credit.flags, AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS);
        no(limited && (over(credits, amount) || credits + amount > credit.debits_posted.0), T::ExceedsDebits);
        why
    }

    pub(super) fn why_not_resolve(&self, e: &Transfer) -> Vec<T> {
        let mut why = Vec::new();
        let mut no = |applies: bool, reason: T| {
            if applies {
                why.push(reason);
            }
        };
        let post = has(e.flags, TransferFlags::POST_PENDING_TRANSFER);
        let void = has(e.flags, TransferFlags::VOID_PENDING_TRANSFER);
        let others = [
            TransferFlags::PENDING,
            TransferFlags::BALANCING_DEBIT,
            TransferFlags::BALANCING_CREDIT,
            TransferFlags::CLOSING_DEBIT,
            TransferFlags::CLOSING_CREDIT,
        ];
        no(post && void || others.iter().any(|flag| has(e.flags, *flag)), T::FlagsAreMutuallyExclusive);
        no(e.pending_id.0 == 0, T::PendingIdMustNotBeZero);
        no(e.pending_id.0 == MAX, T::PendingIdMustNotBeIntMax);
        no(e.pending_id == e.id, T::PendingIdMustBeDifferent);
        no(e.timeout != 0, T::TimeoutReservedForPendingTransfer);
        let Some((p, fate)) = self.find(e.pending_id) else {
            no(true, T::PendingTransferNotFound);
            return why;
        };
        no(!has(p.flags, TransferFlags::PENDING), T::PendingTransferNotPending);
        let full = self.filled(e, &p);
        no(full.debit_account_id != p.debit_account_id, T::PendingTransferHasDifferentDebitAccountId);
        no(full.credit_account_id != p.credit_account_id, T::PendingTransferHasDifferentCreditAccountId);
        no(full.ledger != p.ledger, T::PendingTransferHasDifferentLedger);
        no(full.code != p.code, T::PendingTransferHasDifferentCode);
        no(full.amount.0 > p.amount.0, T::ExceedsPendingTransferAmount);
        no(void && full.amount.0 != p.amount.0, T::PendingTransferHasDifferentAmount);
        no(fate == Fate::Posted, T::PendingTransferAlreadyPosted);
        no(fate == Fate::Voided, T::PendingTransferAlreadyVoided);
        let end = u128::from(p.timestamp.0) + u128::from(p.timeout) * 1_000_000_000;
        let late = p.timeout != 0 && u128::from(e.timestamp.0) >= end;
        no(fate == Fate::Expired || late, T::PendingTransferExpired);
        let imported = has(e.flags, TransferFlags::IMPORTED);
        let regress = e.timestamp.0 <= self.last_transfer() || self.is_time_taken(e.timestamp);
        no(imported && regress, T::ImportedEventTimestampMustNotRegress);
        for (id, reason) in [
            (p.debit_account_id, T::DebitAccountAlreadyClosed),
            (p.credit_account_id, T::CreditAccountAlreadyClosed),
        ] {
            let account = self.accounts[self.at(id)];
            no(!void && has_account(account.flags, AccountFlags::CLOSED), reason);
        }
        why
    }
}
