//! A second ledger, written from the rules and not from the engine: plain lists, everything looked for from the
//! first row, whole copies in place of rollbacks. Of all reasons to refuse an event it gathers each one that
//! applies; the result is the one of highest precedence.

use hundi_ledger::CreateAccountStatus as A;
use hundi_ledger::CreateTransferStatus as T;
use hundi_ledger::{
    Account, AccountBalance, AccountFilter, AccountFlags, ChangeEvent, ChangeEventsFilter, EventKind,
    QueryFilter, Timestamp, Transfer, TransferFlags, TransferId,
};

const MAX: u128 = u128::MAX;
const LAST_NS: u128 = (1 << 63) - 1;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Fate {
    Single,
    Waiting,
    Posted,
    Voided,
    Expired,
}

#[derive(Clone, Default)]
pub(crate) struct Naive {
    accounts: Vec<Account>,
    transfers: Vec<(Transfer, Fate)>,
    burnt: Vec<TransferId>,
    events: Vec<ChangeEvent>,
}

/// a + b > 2^128 − 1
fn over(a: u128, b: u128) -> bool {
    a > MAX - b
}

fn has(set: TransferFlags, flag: TransferFlags) -> bool {
    set.0 & flag.0 == flag.0
}

fn has_account(set: AccountFlags, flag: AccountFlags) -> bool {
    set.0 & flag.0 == flag.0
}

impl Naive {
    /// The highest timestamp of anything.
    pub(crate) fn last(&self) -> u64 {
        let accounts = self.accounts.iter().map(|a| a.timestamp.0);
        accounts.chain(self.events.iter().map(|e| e.timestamp.0)).max().unwrap_or(0)
    }

    pub(crate) fn last_account(&self) -> u64 {
        self.accounts.iter().map(|a| a.timestamp.0).max().unwrap_or(0)
    }

    pub(crate) fn last_transfer(&self) -> u64 {
        self.transfers.iter().map(|(t, _)| t.timestamp.0).max().unwrap_or(0)
    }

    fn is_time_taken(&self, time: Timestamp) -> bool {
        self.accounts.iter().any(|a| a.timestamp == time) || self.events.iter().any(|e| e.timestamp == time)
    }

    fn place(&self, id: hundi_ledger::AccountId) -> Option<usize> {
        self.accounts.iter().position(|a| a.id == id)
    }

    /// An account that must be there.
    fn at(&self, id: hundi_ledger::AccountId) -> usize {
        self.place(id).expect("the account of a transfer")
    }

    fn find(&self, id: TransferId) -> Option<(Transfer, Fate)> {
        self.transfers.iter().find(|(t, _)| t.id == id).copied()
    }

    /// Splits a batch into chains, and each chain runs on a copy that is kept only if all went well.
    fn batch<E: Copy, S: Copy + PartialEq>(
        &mut self,
        time: u64,
        events: &[E],
        linked: impl Fn(&E) -> bool,
        [created, failed, open]: [S; 3],
        mut one: impl FnMut(&mut Self, &E, u64) -> (S, Option<Timestamp>),
        mut refused: impl FnMut(&mut Self, &E, S),
    ) -> Vec<(S, Timestamp)> {
        let own = |i: usize| time - events.len() as u64 + i as u64 + 1;
        let mut results = Vec::new();
        let mut start = 0;
        while start < events.len() {
            let mut end = start;
            while end < events.len() && linked(&events[end]) {
                end += 1;
            }
            let never_closed = end == events.len();
            let chain = start..if never_closed { end } else { end + 1 };
            let mut copy = self.clone();
            let mut first_failure = None;
            let mut chain_results = Vec::new();
            for i in chain.clone() {
                let (status, at) = if never_closed && i + 1 == events.len() {
                    (open, None)
                } else if first_failure.is_some() {
                    (failed, None)
                } else {
                    one(&mut copy, &events[i], own(i))
                };
                if status != created && first_failure.is_none() {
                    first_failure = Some(i);
                }
                chain_results.push((status, at.unwrap_or(Timestamp(own(i)))));
            }
            match first_failure {
                None => *self = copy,
                Some(culprit) => {
                    for i in chain.start..culprit {
                        chain_results[i - chain.start] = (failed, Timestamp(own(i)));
                    }
                    refused(self, &events[culprit], chain_results[culprit - chain.start].0);
                }
            }
            start = chain.end;
            results.extend(chain_results);
        }
        results
    }

    pub(crate) fn create_accounts(&mut self, time: u64, events: &[Account]) -> Vec<(A, Timestamp)> {
        let Some(first) = events.first() else { return Vec::new() };
        let import = has_account(first.flags, AccountFlags::IMPORTED);
        self.batch(
            time,
            events,
            |e| has_account(e.flags, AccountFlags::LINKED),
            [A::Created, A::LinkedEventFailed, A::LinkedEventChainOpen],
            |state, event, own| state.create_account(event, import, time, own),
            |_, _, _| {},
        )
    }

    pub(crate) fn create_transfers(&mut self, time: u64, events: &[Transfer]) -> Vec<(T, Timestamp)> {
        let Some(first) = events.first() else { return Vec::new() };
        let import = has(first.flags, TransferFlags::IMPORTED);
        self.batch(
            time,
            events,
            |e| has(e.flags, TransferFlags::LINKED),
            [T::Created, T::LinkedEventFailed, T::LinkedEventChainOpen],
            |state, event, own| state.create_transfer(event, import, time, own),
            |state, event, status| {
                let passing = [
                    "debit_account_not_found",
                    "credit_account_not_found",
                    "pending_transfer_not_found",
                    "exceeds_credits",
                    "exceeds_debits",
                    "debit_account_already_closed",
                    "credit_account_already_closed",
                ];
                if passing.contains(&status.as_str()) {
                    state.burnt.push(event.id);
                }
            },
        )
    }

    fn create_account(
        &mut self,
        event: &Account,
        import: bool,
        time: u64,
        own: u64,
    ) -> (A, Option<Timestamp>) {
        let mut why = vec![A::Created; 0];
        let mut no = |applies: bool, reason: A| {
            if applies {
                why.push(reason);
            }
        };
        let imported = has_account(event.flags, AccountFlags::IMPORTED);
        no(import && !imported, A::ImportedEventExpected);
        no(!import && imported, A::ImportedEventNotExpected);
        no(!imported && event.timestamp.0 != 0, A::TimestampMustBeZero);
        let in_range = event.timestamp.0 >= 1 && u128::from(event.timestamp.0) <= LAST_NS;
        no(imported && !in_range, A::ImportedEventTimestampOutOfRange);
        no(imported && event.timestamp.0 >= time, A::ImportedEventTimestampMustNotAdvance);
        no(event.reserved != 0, A::ReservedField);
        no(event.flags.0 >= 1 << 6, A::ReservedFlag);
        no(event.id.0 == 0, A::IdMustNotBeZero);
        no(event.id.0 == MAX, A::IdMustNotBeIntMax);
        let old = self.place(event.id).map(|place| self.accounts[place]);
        if let Some(old) = old {
            no(event.flags != old.flags, A::ExistsWithDifferentFlags);
            no(event.user_data_128 != old.user_data_128, A::ExistsWithDifferentUserData128);
            no(event.user_data_64 != old.user_data_64, A::ExistsWithDifferentUserData64);
            no(event.user_data_32 != old.user_data_32, A::ExistsWithDifferentUserData32);
            no(event.ledger != old.ledger, A::ExistsWithDifferentLedger);
            no(event.code != old.code, A::ExistsWithDifferentCode);
            no(true, A::Exists);
        }
        let both = has_account(event.flags, AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS)
            && has_account(event.flags, AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS);
        no(both, A::FlagsAreMutuallyExclusive);
        no(event.debits_pending.0 != 0, A::DebitsPendingMustBeZero);
        no(event.debits_posted.0 != 0, A::DebitsPostedMustBeZero);
        no(event.credits_pending.0 != 0, A::CreditsPendingMustBeZero);
        no(event.credits_posted.0 != 0, A::CreditsPostedMustBeZero);
        no(event.ledger.0 == 0, A::LedgerMustNotBeZero);
        no(event.code.0 == 0, A::CodeMustNotBeZero);
        let regress = event.timestamp.0 <= self.last_account() || self.is_time_taken(event.timestamp);
        no(imported && regress, A::ImportedEventTimestampMustNotRegress);

        match why.into_iter().min() {
            Some(A::Exists) => (A::Exists, old.map(|old| old.timestamp)),
            Some(reason) => (reason, None),
            None => {
                let mut account = *event;
                if !imported {
                    account.timestamp = Timestamp(own);
                }
                self.accounts.push(account);
                (A::Created, Some(account.timestamp))
            }
        }
    }

    fn create_transfer(
        &mut self,
        event: &Transfer,
        import: bool,
        time: u64,
        own: u64,
    ) -> (T, Option<Timestamp>) {
        let mut why = Vec::new();
        let mut event = *event;
        let imported = has(event.flags, TransferFlags::IMPORTED);
        let envelope = [
            (import && !imported, T::ImportedEventExpected),
            (!import && imported, T::ImportedEventNotExpected),
            (!imported && event.timestamp.0 != 0, T::TimestampMustBeZero),
            (
                imported && (event.timestamp.0 == 0 || u128::from(event.timestamp.0) > LAST_NS),
                T::ImportedEventTimestampOutOfRange,
            ),
            (imported && event.timestamp.0 >= time, T::ImportedEventTimestampMustNotAdvance),
            (event.flags.0 >= 1 << 9, T::ReservedFlag),
            (event.id.0 == 0, T::IdMustNotBeZero),
            (event.id.0 == MAX, T::IdMustNotBeIntMax),
        ];
        why.extend(envelope.into_iter().filter(|(applies, _)| *applies).map(|(_, reason)| reason));
        if !imported {
            event.timestamp = Timestamp(own);
        }
        let old = self.find(event.id).map(|(old, _)| old);
        if let Some(old) = old {
            why.extend(self.why_not_the_same(&event, &old));
            why.push(T::Exists);
        } else if self.burnt.contains(&event.id) {
            why.push(T::IdAlreadyFailed);
        }
        let resolves = has(event.flags, TransferFlags::POST_PENDING_TRANSFER)
            || has(event.flags, TransferFlags::VOID_PENDING_TRANSFER);
        why.extend(if resolves { self.why_not_resolve(&event) } else { self.why_not_move(&event) });

        match why.into_iter().min() {
            Some(T::Exists) => (T::Exists, old.map(|old| old.timestamp)),
            Some(reason) => (reason, None),
            None => {
                if resolves {
                    self.resolve(&event);
                } else {
                    self.do_move(&event);
                }
                (T::Created, Some(event.timestamp))
            }
        }
    }

    /// Zero fields of a post or void mean "as in the pending one".
    fn filled(&self, event: &Transfer, pending: &Transfer) -> Transfer {
        let mut full = *event;
        if full.debit_account_id.0 == 0 {
            full.debit_account_id = pending.debit_account_id;
        }
        if full.credit_account_id.0 == 0 {
            full.credit_account_id = pending.credit_account_id;
        }
        if full.ledger.0 == 0 {
            full.ledger = pending.ledger;
        }
        if full.code.0 == 0 {
            full.code = pending.code;
        }
        if full.user_data_128 == 0 {
            full.user_data_128 = pending.user_data_128;
        }
        if full.user_data_64 == 0 {
            full.user_data_64 = pending.user_data_64;
        }
        if full.user_data_32 == 0 {
            full.user_data_32 = pending.user_data_32;
        }
        let post = has(full.flags, TransferFlags::POST_PENDING_TRANSFER);
        if (post && full.amount.0 == MAX) || (!post && full.amount.0 == 0) {
            full.amount = pending.amount;
        }
        full
    }

    fn why_not_the_same(&self, event: &Transfer, old: &Transfer) -> Vec<T> {
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

    fn why_not_move(&self, e: &Transfer) -> Vec<T> {
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

    fn balanced(&self, e: &Transfer, debit: &Account, credit: &Account) -> u128 {
        let mut amount = e.amount.0;
        if has(e.flags, TransferFlags::BALANCING_DEBIT) {
            let taken = debit.debits_posted.0 + debit.debits_pending.0;
            let left = debit.credits_posted.0.saturating_sub(taken);
            amount = amount.min(left);
        }
        if has(e.flags, TransferFlags::BALANCING_CREDIT) {
            let taken = credit.credits_posted.0 + credit.credits_pending.0;
            let left = credit.debits_posted.0.saturating_sub(taken);
            amount = amount.min(left);
        }
        amount
    }

    fn why_not_resolve(&self, e: &Transfer) -> Vec<T> {
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

    fn do_move(&mut self, e: &Transfer) {
        let (d, c) = (self.at(e.debit_account_id), self.at(e.credit_account_id));
        let mut transfer = *e;
        transfer.amount.0 = self.balanced(e, &self.accounts[d], &self.accounts[c]);
        let pending = has(e.flags, TransferFlags::PENDING);
        if pending {
            self.accounts[d].debits_pending.0 += transfer.amount.0;
            self.accounts[c].credits_pending.0 += transfer.amount.0;
        } else {
            self.accounts[d].debits_posted.0 += transfer.amount.0;
            self.accounts[c].credits_posted.0 += transfer.amount.0;
        }
        if has(e.flags, TransferFlags::CLOSING_DEBIT) {
            self.accounts[d].flags.0 |= AccountFlags::CLOSED.0;
        }
        if has(e.flags, TransferFlags::CLOSING_CREDIT) {
            self.accounts[c].flags.0 |= AccountFlags::CLOSED.0;
        }
        self.transfers.push((transfer, if pending { Fate::Waiting } else { Fate::Single }));
        let kind = if pending { EventKind::Pending } else { EventKind::SinglePhase };
        self.record(kind, transfer, transfer.timestamp);
    }

    fn resolve(&mut self, e: &Transfer) {
        let (p, _) = self.find(e.pending_id).expect("checked before");
        let full = self.filled(e, &p);
        let post = has(e.flags, TransferFlags::POST_PENDING_TRANSFER);
        self.release(&p, if post { Fate::Posted } else { Fate::Voided });
        if post {
            let (d, c) = (self.at(p.debit_account_id), self.at(p.credit_account_id));
            self.accounts[d].debits_posted.0 += full.amount.0;
            self.accounts[c].credits_posted.0 += full.amount.0;
        }
        self.transfers.push((full, Fate::Single));
        self.record(if post { EventKind::Posted } else { EventKind::Voided }, full, full.timestamp);
    }

    fn release(&mut self, p: &Transfer, fate: Fate) {
        let (d, c) = (self.at(p.debit_account_id), self.at(p.credit_account_id));
        self.accounts[d].debits_pending.0 -= p.amount.0;
        self.accounts[c].credits_pending.0 -= p.amount.0;
        if fate != Fate::Posted {
            for (place, flag) in [(d, TransferFlags::CLOSING_DEBIT), (c, TransferFlags::CLOSING_CREDIT)] {
                if has(p.flags, flag) {
                    self.accounts[place].flags.0 &= !AccountFlags::CLOSED.0;
                }
            }
        }
        for (transfer, its_fate) in &mut self.transfers {
            if transfer.id == p.id {
                *its_fate = fate;
            }
        }
    }

    fn record(&mut self, kind: EventKind, transfer: Transfer, timestamp: Timestamp) {
        self.events.push(ChangeEvent {
            timestamp,
            kind,
            transfer,
            debit_account: self.accounts[self.at(transfer.debit_account_id)],
            credit_account: self.accounts[self.at(transfer.credit_account_id)],
        });
    }

    pub(crate) fn expire(&mut self, time: u64) -> Vec<TransferId> {
        let end = |t: &Transfer| u128::from(t.timestamp.0) + u128::from(t.timeout) * 1_000_000_000;
        let waiting = self.transfers.iter().filter(|(_, fate)| *fate == Fate::Waiting).map(|(t, _)| *t);
        let mut due: Vec<Transfer> =
            waiting.filter(|t| t.timeout != 0 && end(t) <= u128::from(time)).collect();
        due.sort_by_key(|t| (end(t), t.timestamp));
        due.truncate(usize::try_from(time - self.last()).unwrap_or(usize::MAX));
        for (i, p) in due.iter().enumerate() {
            self.release(p, Fate::Expired);
            self.record(EventKind::Expired, *p, Timestamp(time - due.len() as u64 + i as u64 + 1));
        }
        due.iter().map(|t| t.id).collect()
    }

    /// When the next pending transfer is due; 0 if none ever is.
    pub(crate) fn next_due(&self) -> u64 {
        let waiting = self.transfers.iter().filter(|(t, fate)| *fate == Fate::Waiting && t.timeout != 0);
        waiting.map(|(t, _)| t.timestamp.0 + u64::from(t.timeout) * 1_000_000_000).min().unwrap_or(0)
    }

    pub(crate) fn account(&self, id: u128) -> Option<Account> {
        self.accounts.iter().find(|a| a.id.0 == id).copied()
    }

    pub(crate) fn transfer(&self, id: u128) -> Option<Transfer> {
        self.find(TransferId(id)).map(|(t, _)| t)
    }

    pub(crate) fn get_account_transfers(&self, f: &AccountFilter) -> Vec<Transfer> {
        if f.account_id.0 == 0 || f.account_id.0 == MAX || f.flags.0 & 3 == 0 || f.flags.0 > 7 {
            return Vec::new();
        }
        let all = self.transfers.iter().map(|(t, _)| *t).filter(|t| {
            (f.flags.0 & 1 != 0 && t.debit_account_id == f.account_id
                || f.flags.0 & 2 != 0 && t.credit_account_id == f.account_id)
                && (f.user_data_128 == 0 || f.user_data_128 == t.user_data_128)
                && (f.user_data_64 == 0 || f.user_data_64 == t.user_data_64)
                && (f.user_data_32 == 0 || f.user_data_32 == t.user_data_32)
                && (f.code.0 == 0 || f.code == t.code)
        });
        page(all, |t| t.timestamp, (f.timestamp_min, f.timestamp_max), f.flags.0 & 4 != 0, f.limit)
    }

    pub(crate) fn get_account_balances(&self, f: &AccountFilter) -> Vec<AccountBalance> {
        let keeps = self.account(f.account_id.0).is_some_and(|a| has_account(a.flags, AccountFlags::HISTORY));
        if !keeps {
            return Vec::new();
        }
        let after = |t: Transfer| {
            let event = self.events.iter().find(|e| e.timestamp == t.timestamp).expect("its event");
            let debit = event.debit_account.id == f.account_id;
            let account = if debit { event.debit_account } else { event.credit_account };
            AccountBalance {
                timestamp: t.timestamp,
                debits_pending: account.debits_pending,
                debits_posted: account.debits_posted,
                credits_pending: account.credits_pending,
                credits_posted: account.credits_posted,
            }
        };
        self.get_account_transfers(f).into_iter().map(after).collect()
    }

    pub(crate) fn query_accounts(&self, f: &QueryFilter) -> Vec<Account> {
        let all = self.accounts.iter().copied().filter(|a| {
            (f.user_data_128 == 0 || f.user_data_128 == a.user_data_128)
                && (f.user_data_64 == 0 || f.user_data_64 == a.user_data_64)
                && (f.user_data_32 == 0 || f.user_data_32 == a.user_data_32)
                && (f.ledger.0 == 0 || f.ledger == a.ledger)
                && (f.code.0 == 0 || f.code == a.code)
                && f.flags.0 <= 1
        });
        page(all, |a| a.timestamp, (f.timestamp_min, f.timestamp_max), f.flags.0 & 1 != 0, f.limit)
    }

    pub(crate) fn query_transfers(&self, f: &QueryFilter) -> Vec<Transfer> {
        let all = self.transfers.iter().map(|(t, _)| *t).filter(|t| {
            (f.user_data_128 == 0 || f.user_data_128 == t.user_data_128)
                && (f.user_data_64 == 0 || f.user_data_64 == t.user_data_64)
                && (f.user_data_32 == 0 || f.user_data_32 == t.user_data_32)
                && (f.ledger.0 == 0 || f.ledger == t.ledger)
                && (f.code.0 == 0 || f.code == t.code)
                && f.flags.0 <= 1
        });
        page(all, |t| t.timestamp, (f.timestamp_min, f.timestamp_max), f.flags.0 & 1 != 0, f.limit)
    }

    pub(crate) fn get_change_events(&self, f: &ChangeEventsFilter) -> Vec<ChangeEvent> {
        let all = self.events.iter().copied();
        page(all, |e| e.timestamp, (f.timestamp_min, f.timestamp_max), false, f.limit)
    }

    /// Debits equal credits, over all accounts.
    pub(crate) fn books(&self) -> ([u128; 2], [u128; 2]) {
        // Sums over accounts may pass 128 bits; equality modulo 2^128 is as good for a comparison.
        self.accounts.iter().fold(([0; 2], [0; 2]), |([dp, d], [cp, c]), a| {
            (
                [dp.wrapping_add(a.debits_pending.0), d.wrapping_add(a.debits_posted.0)],
                [cp.wrapping_add(a.credits_pending.0), c.wrapping_add(a.credits_posted.0)],
            )
        })
    }
}

/// Sorts, cuts to the range, turns around, cuts to the limit.
fn page<V>(
    all: impl Iterator<Item = V>,
    time: impl Fn(&V) -> Timestamp,
    (min, max): (Timestamp, Timestamp),
    reversed: bool,
    limit: u32,
) -> Vec<V> {
    let impossible = |bound: Timestamp| u128::from(bound.0) > LAST_NS;
    if impossible(min) || impossible(max) {
        return Vec::new();
    }
    let mut found: Vec<V> = all.filter(|v| time(v) >= min && (max.0 == 0 || time(v) <= max)).collect();
    found.sort_by_key(|v| time(v));
    if reversed {
        found.reverse();
    }
    found.truncate(limit as usize);
    found
}
