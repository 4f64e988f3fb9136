//! What the ledger holds: accounts and transfers.

use serde::{Deserialize, Serialize};

use crate::{AccountFlags, AccountId, Amount, Code, LedgerCode, Timestamp, TransferFlags, TransferId};

/// One account: who may owe or own what, in one ledger.
///
/// Balances are sums of all debits and credits ever; only transfers change them. A new account has them zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Account {
    /// The caller's id; neither 0 nor the maximum.
    pub id: AccountId,
    /// Debits reserved by pending transfers.
    pub debits_pending: Amount,
    /// Debits that took place.
    pub debits_posted: Amount,
    /// Credits reserved by pending transfers.
    pub credits_pending: Amount,
    /// Credits that took place.
    pub credits_posted: Amount,
    /// Free for the caller.
    pub user_data_128: u128,
    /// Free for the caller.
    pub user_data_64: u64,
    /// Free for the caller.
    pub user_data_32: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The currency or asset.
    pub ledger: LedgerCode,
    /// The caller's category; not 0.
    pub code: Code,
    /// What the account allows.
    pub flags: AccountFlags,
    /// When it was created; given by the ledger unless imported.
    pub timestamp: Timestamp,
}

/// One movement of money from a debit account to a credit account, or the second phase of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Transfer {
    /// The caller's id; neither 0 nor the maximum.
    pub id: TransferId,
    /// The account that gives; for a post or void, 0 means "as in the pending one".
    pub debit_account_id: AccountId,
    /// The account that receives; for a post or void, 0 means "as in the pending one".
    pub credit_account_id: AccountId,
    /// Minor units. For a post, the maximum takes all; for a void, 0 or exactly the amount.
    pub amount: Amount,
    /// For a post or void: the pending transfer that it resolves; else 0.
    pub pending_id: TransferId,
    /// Free for the caller.
    pub user_data_128: u128,
    /// Free for the caller.
    pub user_data_64: u64,
    /// Free for the caller.
    pub user_data_32: u32,
    /// Seconds after which a pending transfer expires; 0 for never.
    pub timeout: u32,
    /// The ledger of both accounts.
    pub ledger: LedgerCode,
    /// The caller's reason; not 0.
    pub code: Code,
    /// What the transfer does.
    pub flags: TransferFlags,
    /// When it took place; given by the ledger unless imported.
    pub timestamp: Timestamp,
}

impl Account {
    /// A new account with nothing set but what must be.
    #[must_use]
    pub fn new(id: impl Into<AccountId>, ledger: impl Into<LedgerCode>, code: impl Into<Code>) -> Self {
        Self { id: id.into(), ledger: ledger.into(), code: code.into(), ..Self::default() }
    }

    /// The same account with these flags added.
    #[must_use]
    pub fn with_flags(mut self, flags: AccountFlags) -> Self {
        self.flags |= flags;
        self
    }

    /// What the account has taken in and may still give: posted credits less all debits, not below zero.
    #[must_use]
    pub fn credit_available(&self) -> Amount {
        let debits = self.debits_posted.0.saturating_add(self.debits_pending.0);
        Amount(self.credits_posted.0.saturating_sub(debits))
    }

    /// What the account has given and may still take back: posted debits less all credits, not below zero.
    #[must_use]
    pub fn debit_available(&self) -> Amount {
        let credits = self.credits_posted.0.saturating_add(self.credits_pending.0);
        Amount(self.debits_posted.0.saturating_sub(credits))
    }
}

impl Transfer {
    /// A transfer of `amount` from `debit` to `credit`, in one phase.
    #[must_use]
    pub fn new(
        id: impl Into<TransferId>,
        debit: impl Into<AccountId>,
        credit: impl Into<AccountId>,
        amount: impl Into<Amount>,
        ledger: impl Into<LedgerCode>,
        code: impl Into<Code>,
    ) -> Self {
        Self {
            id: id.into(),
            debit_account_id: debit.into(),
            credit_account_id: credit.into(),
            amount: amount.into(),
            ledger: ledger.into(),
            code: code.into(),
            ..Self::default()
        }
    }

    /// Takes all that the pending transfer reserved.
    #[must_use]
    pub fn post(id: impl Into<TransferId>, pending: impl Into<TransferId>) -> Self {
        Self {
            id: id.into(),
            pending_id: pending.into(),
            amount: Amount::MAX,
            flags: TransferFlags::POST_PENDING_TRANSFER,
            ..Self::default()
        }
    }

    /// Releases all that the pending transfer reserved.
    #[must_use]
    pub fn void(id: impl Into<TransferId>, pending: impl Into<TransferId>) -> Self {
        Self {
            id: id.into(),
            pending_id: pending.into(),
            flags: TransferFlags::VOID_PENDING_TRANSFER,
            ..Self::default()
        }
    }

    /// The same transfer, only reserving: it waits for its post or void, at most `timeout_s` seconds (0: for ever).
    #[must_use]
    pub fn pending(mut self, timeout_s: u32) -> Self {
        self.flags |= TransferFlags::PENDING;
        self.timeout = timeout_s;
        self
    }

    /// The same transfer, linked to the next one of the batch.
    #[must_use]
    pub fn linked(self) -> Self {
        self.with_flags(TransferFlags::LINKED)
    }

    /// The same transfer with these flags added.
    #[must_use]
    pub fn with_flags(mut self, flags: TransferFlags) -> Self {
        self.flags |= flags;
        self
    }

    /// The same transfer with another amount: for a post, how much of the reserved amount to take.
    #[must_use]
    pub fn with_amount(mut self, amount: impl Into<Amount>) -> Self {
        self.amount = amount.into();
        self
    }

    /// When this pending transfer expires; `None` if never.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        let waits = self.flags.contains(TransferFlags::PENDING) && self.timeout > 0;
        if waits { self.timestamp.after_seconds(self.timeout) } else { None }
    }
}
