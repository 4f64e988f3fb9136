//! A second ledger, written from the rules and not from the engine: plain lists, everything looked for from the
//! first row, whole copies in place of rollbacks. Of all reasons to refuse an event it gathers each one that
//! applies; the result is the one of highest precedence.

mod reads;
mod why;

use hundi_ledger::CreateAccountStatus as A;
use hundi_ledger::CreateTransferStatus as T;
use hundi_ledger::{
    Account, AccountFlags, ChangeEvent, EventKind, Timestamp, Transfer, TransferFlags, TransferId,
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
