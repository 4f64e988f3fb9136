//! Random batches that reach most results: few ids, small amounts, all flags.

#![allow(clippy::unwrap_used, dead_code, reason = "each test uses its part")]

use hundi_ledger::{
    Account, AccountFilter, AccountFilterFlags, AccountFlags, AccountId, Amount, Code, Last, QueryFilter,
    QueryFilterFlags, Timestamp, Transfer, TransferFlags, TransferId,
};

/// A seeded source of batches.
pub(crate) struct Workload {
    random: u64,
    now: u64,
    /// Transfer ids that rise are taken from here.
    next_id: u128,
}

const ACCOUNTS: u64 = 12;

impl Workload {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, now: 1_000_000, next_id: 1_000 }
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 20) % bound
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// The clock: mostly small steps, now and then one that lets timeouts pass.
    pub(crate) fn tick(&mut self) -> u64 {
        self.now += if self.chance(10) { 3_000_000_000 } else { 1_000 };
        self.now
    }

    pub(crate) fn all_account_ids(&self) -> Vec<AccountId> {
        (1..=u128::from(ACCOUNTS)).map(AccountId).collect()
    }

    pub(crate) fn all_transfer_ids(&self) -> Vec<TransferId> {
        (1..200).chain(1_000..self.next_id).map(TransferId).collect()
    }

    fn account_id(&mut self) -> AccountId {
        AccountId(u128::from(self.below(ACCOUNTS) + 1))
    }

    pub(crate) fn accounts(&mut self) -> Vec<Account> {
        let imported = self.chance(10);
        (0..=self.below(4))
            .map(|_| {
                let mut account = Account::new(self.account_id(), 1 + u32::from(self.chance(10)), 1);
                for flag in [
                    AccountFlags::LINKED,
                    AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS,
                    AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS,
                ] {
                    if self.chance(12) {
                        account.flags |= flag;
                    }
                }
                if self.chance(70) {
                    account.flags |= AccountFlags::HISTORY;
                }
                if self.chance(10) {
                    account.user_data_128 = u128::MAX - 7;
                    account.user_data_64 = u64::MAX - u64::from(self.chance(50));
                    account.user_data_32 = 9;
                }
                if imported {
                    account.flags |= AccountFlags::IMPORTED;
                    account.timestamp = Timestamp(self.now - self.below(2_000));
                }
                account
            })
            .collect()
    }

    fn transfer_id(&mut self) -> TransferId {
        if self.chance(60) {
            self.next_id += 1;
            TransferId(self.next_id - 1)
        } else if self.chance(30) && self.next_id > 1_000 {
            TransferId(1_000 + u128::from(self.below(200)).min(self.next_id - 1_000))
        } else {
            TransferId(u128::from(self.below(190) + 1))
        }
    }

    fn amount(&mut self) -> Amount {
        match self.below(20) {
            0 => Amount(0),
            1 => Amount(u128::from(u64::MAX) + u128::from(self.below(5))),
            2 => Amount(i64::MAX as u128 + u128::from(self.below(3))),
            3 => Amount::MAX,
            _ => Amount(u128::from(self.below(50))),
        }
    }

    pub(crate) fn transfers(&mut self, last: Last) -> Vec<Transfer> {
        let imported = self.chance(8);
        let mut next_import = last.transfer.0.max(last.account.0);
        (0..=self.below(12))
            .map(|_| {
                let mut transfer = self.transfer();
                if imported {
                    next_import += 1 + self.below(40);
                    transfer.flags |= TransferFlags::IMPORTED;
                    transfer.timestamp = Timestamp(next_import);
                    transfer.timeout = 0;
                }
                transfer
            })
            .collect()
    }

    fn transfer(&mut self) -> Transfer {
        let id = self.transfer_id();
        let mut transfer = match self.below(10) {
            0..=2 => Transfer { pending_id: self.transfer_id(), ..Transfer::post(id, 1) },
            3 => Transfer { pending_id: self.transfer_id(), ..Transfer::void(id, 1) },
            _ => Transfer::new(id, self.account_id(), self.account_id(), self.amount(), 1, 1),
        };
        if transfer.pending_id == TransferId::ZERO {
            if self.chance(45) {
                let timeout = if self.chance(50) { 1 + self.below(4) as u32 } else { 0 };
                transfer = transfer.pending(timeout);
                if self.chance(4) {
                    transfer.flags |= TransferFlags::CLOSING_DEBIT;
                }
                if self.chance(4) {
                    transfer.flags |= TransferFlags::CLOSING_CREDIT;
                }
            }
            if self.chance(8) {
                transfer.flags |= TransferFlags::BALANCING_DEBIT;
            }
            if self.chance(8) {
                transfer.flags |= TransferFlags::BALANCING_CREDIT;
            }
        }
        if self.chance(12) {
            transfer.flags |= TransferFlags::LINKED;
        }
        if self.chance(10) {
            transfer.user_data_128 = u128::from(self.below(3)) << 100;
            transfer.user_data_64 = u64::MAX - self.below(2);
            transfer.user_data_32 = self.below(3) as u32;
        }
        if self.chance(5) {
            transfer.code = Code(2);
        }
        transfer
    }

    fn bounds(&mut self) -> (Timestamp, Timestamp) {
        let mut bound =
            || if self.chance(60) { Timestamp::ZERO } else { Timestamp(1 + self.below(self.now)) };
        (bound(), bound())
    }

    pub(crate) fn account_filter(&mut self) -> AccountFilter {
        let (timestamp_min, timestamp_max) = self.bounds();
        let mut flags = AccountFilterFlags::NONE;
        for (flag, percent) in [
            (AccountFilterFlags::DEBITS, 80),
            (AccountFilterFlags::CREDITS, 80),
            (AccountFilterFlags::REVERSED, 50),
        ] {
            if self.chance(percent) {
                flags |= flag;
            }
        }
        AccountFilter {
            account_id: self.account_id(),
            timestamp_min,
            timestamp_max,
            limit: self.below(12) as u32 * 3,
            flags,
            user_data_32: self.below(8).saturating_sub(5) as u32,
            code: Code(if self.chance(10) { 2 } else { 0 }),
            ..AccountFilter::default()
        }
    }

    pub(crate) fn query_filter(&mut self) -> QueryFilter {
        let (timestamp_min, timestamp_max) = self.bounds();
        let rare = |condition: bool| u8::from(condition);
        QueryFilter {
            timestamp_min,
            timestamp_max,
            limit: self.below(12) as u32 * 3,
            flags: if self.chance(50) { QueryFilterFlags::REVERSED } else { QueryFilterFlags::NONE },
            user_data_128: u128::from(rare(self.chance(20))) << 100,
            user_data_64: if self.chance(20) { u64::MAX } else { 0 },
            user_data_32: self.below(8).saturating_sub(5) as u32,
            ledger: if self.chance(20) { 2.into() } else { 0.into() },
            code: Code(if self.chance(10) { 2 } else { 0 }),
        }
    }
}
