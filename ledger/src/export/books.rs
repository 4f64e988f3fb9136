//! Walking through a whole ledger: first to see that its books balance and what still waits, then to write.

use std::collections::BTreeMap;

use super::{DateTime, ExportError};
use crate::{
    Account, AccountId, Amount, ChangeEvent, ChangeEventsFilter, EventKind, QueryFilter, Reads, Timestamp,
    TransferId,
};

/// Objects read at a time.
const PAGE: u32 = 8_192;

/// Everything about a ledger that a journal needs to know before its first line.
pub(super) struct Books<'a, R> {
    ledger: &'a R,
    /// By time of creation.
    pub(super) accounts: Vec<Account>,
    /// Pending transfers that still wait.
    waiting: BTreeMap<TransferId, Timestamp>,
    /// The last event; zero if there is none.
    pub(super) last: Timestamp,
}

impl<'a, R: Reads> Books<'a, R> {
    /// Reads everything once and compares each account's sums with its balances.
    pub(super) fn read(ledger: &'a R) -> Result<Self, ExportError<R::Error>> {
        let mut books =
            Self { ledger, accounts: accounts(ledger)?, waiting: BTreeMap::new(), last: Timestamp::ZERO };
        let mut sums: BTreeMap<AccountId, (Amount, Amount)> = BTreeMap::new();
        let mut waiting = BTreeMap::new();
        let mut last = Timestamp::ZERO;
        books.each_event(|event| {
            last = event.timestamp;
            match event.kind {
                EventKind::Pending => drop(waiting.insert(event.transfer.id, event.timestamp)),
                EventKind::Posted | EventKind::Voided => drop(waiting.remove(&event.transfer.pending_id)),
                EventKind::Expired => drop(waiting.remove(&event.transfer.id)),
                EventKind::SinglePhase => {}
            }
            if let Some(amount) = posted(event) {
                // The ledger refuses what would overflow; a sum that does, differs from every balance.
                let add = |sum: &mut Amount| *sum = sum.checked_add(amount).unwrap_or(Amount::MAX);
                add(&mut sums.entry(event.transfer.debit_account_id).or_default().0);
                add(&mut sums.entry(event.transfer.credit_account_id).or_default().1);
            }
            Ok(())
        })?;
        (books.waiting, books.last) = (waiting, last);
        for account in &books.accounts {
            let (summed_debits, summed_credits) = sums.remove(&account.id).unwrap_or_default();
            let (debits, credits) = (account.debits_posted, account.credits_posted);
            if (summed_debits, summed_credits) != (debits, credits) {
                let account = account.id;
                return Err(ExportError::Books { account, summed_debits, summed_credits, debits, credits });
            }
        }
        match sums.pop_first() {
            Some((account, _)) => {
                Err(ExportError::Format(format!("account {account} has transfers but does not exist")))
            }
            None => Ok(books),
        }
    }

    /// Hands over what a journal has a transaction for, with its mark and what it moves: `*` for what is posted, and `!`
    /// with an amount of zero for what still waits.
    pub(super) fn each_entry(
        &self,
        mut take: impl FnMut(&ChangeEvent, char, Amount) -> std::io::Result<()>,
    ) -> Result<(), ExportError<R::Error>> {
        self.each_event(|event| {
            match posted(event) {
                Some(amount) => take(event, '*', amount)?,
                None if self.waits(event) => take(event, '!', Amount::ZERO)?,
                None => {}
            }
            Ok(())
        })
    }

    /// Whether the pending transfer of this event still waits.
    fn waits(&self, event: &ChangeEvent) -> bool {
        event.kind == EventKind::Pending && self.waiting.get(&event.transfer.id) == Some(&event.timestamp)
    }

    /// Hands over every change of balances in order of time.
    pub(super) fn each_event(
        &self,
        mut take: impl FnMut(&ChangeEvent) -> Result<(), ExportError<R::Error>>,
    ) -> Result<(), ExportError<R::Error>> {
        let mut filter = ChangeEventsFilter::all(PAGE);
        loop {
            let events = self.ledger.get_change_events(&filter).map_err(ExportError::Read)?;
            events.iter().try_for_each(&mut take)?;
            let Some(last) = events.last().filter(|_| events.len() == PAGE as usize) else { return Ok(()) };
            if last.timestamp == Timestamp::LAST {
                return Ok(());
            }
            filter.timestamp_min = Timestamp(last.timestamp.0 + 1);
        }
    }
}

/// All accounts, by time of creation.
pub(super) fn accounts<R: Reads>(ledger: &R) -> Result<Vec<Account>, ExportError<R::Error>> {
    ledger.query_accounts(&QueryFilter::all(u32::MAX)).map_err(ExportError::Read)
}

/// What an event moves from its debit account to its credit account; `None` if it only reserves or releases.
pub(super) fn posted(event: &ChangeEvent) -> Option<Amount> {
    matches!(event.kind, EventKind::SinglePhase | EventKind::Posted).then_some(event.transfer.amount)
}

/// What else is to be said of a transfer, for a journal's tags: the fields that are set.
pub(super) fn details(event: &ChangeEvent) -> Vec<(&'static str, String)> {
    let transfer = &event.transfer;
    let mut details = vec![("time", DateTime::from(event.timestamp).to_string())];
    let mut add = |key, value: u128| {
        if value != 0 {
            details.push((key, value.to_string()));
        }
    };
    add("pending_id", transfer.pending_id.0);
    add("user_data_128", transfer.user_data_128);
    add("user_data_64", transfer.user_data_64.into());
    add("user_data_32", transfer.user_data_32.into());
    if let Some(end) = transfer.expires_at().filter(|_| event.kind == EventKind::Pending) {
        details.push(("expires", DateTime::from(end).to_string()));
    }
    details
}
