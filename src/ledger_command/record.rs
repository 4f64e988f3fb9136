//! Accounts and transfers as JSON: the fields of `hundi ledger script`, large integers as strings, and what people
//! call them.

use hundi_ledger::export::{Labels, Net};
use hundi_ledger::{Account, AccountBalance, Amount, Transfer, TransferFlags};
use serde::Serialize;

/// An account.
#[derive(Serialize)]
pub(super) struct AccountRecord {
    id: String,
    name: String,
    currency: String,
    minor_digits: u8,
    #[serde(flatten)]
    balances: BalanceRecord,
    user_data_128: String,
    user_data_64: String,
    user_data_32: u32,
    ledger: u32,
    code: u16,
    flags: Vec<&'static str>,
    timestamp: String,
}

/// Balances in minor units.
#[derive(Serialize)]
pub(super) struct BalanceRecord {
    debits_pending: String,
    debits_posted: String,
    credits_pending: String,
    credits_posted: String,
    /// Posted credits less posted debits.
    credit_balance: String,
}

/// A transfer.
#[derive(Serialize)]
pub(super) struct TransferRecord {
    id: String,
    r#type: &'static str,
    debit_account_id: String,
    debit_account: String,
    credit_account_id: String,
    credit_account: String,
    amount: String,
    currency: String,
    minor_digits: u8,
    pending_id: String,
    user_data_128: String,
    user_data_64: String,
    user_data_32: u32,
    timeout: u32,
    ledger: u32,
    code: u16,
    flags: Vec<&'static str>,
    timestamp: String,
}

impl AccountRecord {
    /// The record of an account.
    pub(super) fn of(account: &Account, labels: &Labels) -> Self {
        let currency = labels.currency(account.ledger);
        Self {
            id: account.id.to_string(),
            name: labels.name(account.id).into_owned(),
            currency: currency.code().to_owned(),
            minor_digits: currency.minor_digits(),
            balances: BalanceRecord::of(&AccountBalance::of(account, account.timestamp)),
            user_data_128: account.user_data_128.to_string(),
            user_data_64: account.user_data_64.to_string(),
            user_data_32: account.user_data_32,
            ledger: account.ledger.0,
            code: account.code.0,
            flags: account.flags.names().collect(),
            timestamp: account.timestamp.to_string(),
        }
    }
}

impl BalanceRecord {
    /// The record of balances.
    pub(super) fn of(balance: &AccountBalance) -> Self {
        Self {
            debits_pending: balance.debits_pending.to_string(),
            debits_posted: balance.debits_posted.to_string(),
            credits_pending: balance.credits_pending.to_string(),
            credits_posted: balance.credits_posted.to_string(),
            credit_balance: credit_balance(balance.debits_posted, balance.credits_posted),
        }
    }
}

impl TransferRecord {
    /// The record of a transfer.
    pub(super) fn of(transfer: &Transfer, labels: &Labels) -> Self {
        let currency = labels.currency(transfer.ledger);
        Self {
            id: transfer.id.to_string(),
            r#type: kind(transfer),
            debit_account_id: transfer.debit_account_id.to_string(),
            debit_account: labels.name(transfer.debit_account_id).into_owned(),
            credit_account_id: transfer.credit_account_id.to_string(),
            credit_account: labels.name(transfer.credit_account_id).into_owned(),
            amount: transfer.amount.to_string(),
            currency: currency.code().to_owned(),
            minor_digits: currency.minor_digits(),
            pending_id: transfer.pending_id.to_string(),
            user_data_128: transfer.user_data_128.to_string(),
            user_data_64: transfer.user_data_64.to_string(),
            user_data_32: transfer.user_data_32,
            timeout: transfer.timeout,
            ledger: transfer.ledger.0,
            code: transfer.code.0,
            flags: transfer.flags.names().collect(),
            timestamp: transfer.timestamp.to_string(),
        }
    }
}

/// What a transfer does, by the names of change events.
pub(super) fn kind(transfer: &Transfer) -> &'static str {
    let is = |flag| transfer.flags.contains(flag);
    if is(TransferFlags::POST_PENDING_TRANSFER) {
        "two_phase_posted"
    } else if is(TransferFlags::VOID_PENDING_TRANSFER) {
        "two_phase_voided"
    } else if is(TransferFlags::PENDING) {
        "two_phase_pending"
    } else {
        "single_phase"
    }
}

/// Posted credits less posted debits, in minor units with a sign.
pub(super) fn credit_balance(debits: Amount, credits: Amount) -> String {
    let net = Net::of(debits, credits).reversed();
    format!("{}{}", if net.is_negative() { "-" } else { "" }, net.amount())
}
