//! Reads: everything looked for from the first row.

use hundi_ledger::{
    Account, AccountBalance, AccountFilter, AccountFlags, ChangeEvent, ChangeEventsFilter, QueryFilter,
    Timestamp, Transfer,
};

use super::{LAST_NS, MAX, Naive, has_account};

impl Naive {
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
