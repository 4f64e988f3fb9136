//! Accounts, transfers, filters and results in the form that scripts have.

use serde::ser::{Serialize, SerializeSeq, SerializeStruct, Serializer};

use super::json::{Complaint, Json};
use crate::{
    Account, AccountBalance, AccountFilter, AccountFilterFlags, AccountFlags, ChangeEvent,
    ChangeEventsFilter, CreateAccountResult, CreateTransferResult, QueryFilter, QueryFilterFlags, Transfer,
    TransferFlags,
};

pub(super) fn account(json: Json<'_>) -> Result<Account, Complaint> {
    let mut account = Account::default();
    let mut fields = json.object()?;
    fields.number("id", &mut account.id.0)?;
    fields.number("debits_pending", &mut account.debits_pending.0)?;
    fields.number("debits_posted", &mut account.debits_posted.0)?;
    fields.number("credits_pending", &mut account.credits_pending.0)?;
    fields.number("credits_posted", &mut account.credits_posted.0)?;
    fields.number("user_data_128", &mut account.user_data_128)?;
    fields.number("user_data_64", &mut account.user_data_64)?;
    fields.number("user_data_32", &mut account.user_data_32)?;
    fields.number("reserved", &mut account.reserved)?;
    fields.number("ledger", &mut account.ledger.0)?;
    fields.number("code", &mut account.code.0)?;
    fields.number("timestamp", &mut account.timestamp.0)?;
    let by_name = |name: &str| AccountFlags::by_name(name).map(|flag| flag.0);
    account.flags.0 = fields.take("flags", |value| value.flags(0, by_name))?.unwrap_or(0);
    fields.finish()?;
    Ok(account)
}

pub(super) fn transfer(json: Json<'_>) -> Result<Transfer, Complaint> {
    let mut transfer = Transfer::default();
    let mut fields = json.object()?;
    fields.number("id", &mut transfer.id.0)?;
    fields.number("debit_account_id", &mut transfer.debit_account_id.0)?;
    fields.number("credit_account_id", &mut transfer.credit_account_id.0)?;
    fields.number("amount", &mut transfer.amount.0)?;
    fields.number("pending_id", &mut transfer.pending_id.0)?;
    fields.number("user_data_128", &mut transfer.user_data_128)?;
    fields.number("user_data_64", &mut transfer.user_data_64)?;
    fields.number("user_data_32", &mut transfer.user_data_32)?;
    fields.number("timeout", &mut transfer.timeout)?;
    fields.number("ledger", &mut transfer.ledger.0)?;
    fields.number("code", &mut transfer.code.0)?;
    fields.number("timestamp", &mut transfer.timestamp.0)?;
    let by_name = |name: &str| TransferFlags::by_name(name).map(|flag| flag.0);
    transfer.flags.0 = fields.take("flags", |value| value.flags(0, by_name))?.unwrap_or(0);
    fields.finish()?;
    Ok(transfer)
}

pub(super) fn account_filter(json: Json<'_>) -> Result<AccountFilter, Complaint> {
    let mut filter = AccountFilter::default();
    let mut fields = json.object()?;
    fields.number("account_id", &mut filter.account_id.0)?;
    fields.number("user_data_128", &mut filter.user_data_128)?;
    fields.number("user_data_64", &mut filter.user_data_64)?;
    fields.number("user_data_32", &mut filter.user_data_32)?;
    fields.number("code", &mut filter.code.0)?;
    fields.number("timestamp_min", &mut filter.timestamp_min.0)?;
    fields.number("timestamp_max", &mut filter.timestamp_max.0)?;
    fields.number("limit", &mut filter.limit)?;
    let by_name = |name: &str| AccountFilterFlags::by_name(name).map(|flag| flag.0);
    filter.flags.0 = fields.take("flags", |value| value.flags(0, by_name))?.unwrap_or(0);
    for (name, flag) in AccountFilterFlags::NAMES {
        if fields.take(name, |value| value.boolean())? == Some(true) {
            filter.flags |= *flag;
        }
    }
    fields.finish()?;
    Ok(filter)
}

pub(super) fn query_filter(json: Json<'_>) -> Result<QueryFilter, Complaint> {
    let mut filter = QueryFilter::default();
    let mut fields = json.object()?;
    fields.number("user_data_128", &mut filter.user_data_128)?;
    fields.number("user_data_64", &mut filter.user_data_64)?;
    fields.number("user_data_32", &mut filter.user_data_32)?;
    fields.number("ledger", &mut filter.ledger.0)?;
    fields.number("code", &mut filter.code.0)?;
    fields.number("timestamp_min", &mut filter.timestamp_min.0)?;
    fields.number("timestamp_max", &mut filter.timestamp_max.0)?;
    fields.number("limit", &mut filter.limit)?;
    let by_name = |name: &str| QueryFilterFlags::by_name(name).map(|flag| flag.0);
    filter.flags.0 = fields.take("flags", |value| value.flags(0, by_name))?.unwrap_or(0);
    if fields.take("reversed", |value| value.boolean())? == Some(true) {
        filter.flags |= QueryFilterFlags::REVERSED;
    }
    fields.finish()?;
    Ok(filter)
}

pub(super) fn change_events_filter(json: Json<'_>) -> Result<ChangeEventsFilter, Complaint> {
    let mut filter = ChangeEventsFilter::default();
    let mut fields = json.object()?;
    fields.number("timestamp_min", &mut filter.timestamp_min.0)?;
    fields.number("timestamp_max", &mut filter.timestamp_max.0)?;
    fields.number("limit", &mut filter.limit)?;
    fields.finish()?;
    Ok(filter)
}

/// A value in the form that scripts have: ids, amounts and timestamps as strings, because they may pass 2^53;
/// flags as a list of names.
pub(super) struct Shown<'a, T>(pub(super) &'a T);

/// An integer as a string.
struct Digits<T>(T);

impl<T: std::fmt::Display> Serialize for Digits<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Names of flags.
struct Names<I>(I);

impl<I: Iterator<Item = &'static str> + Clone> Serialize for Names<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.clone())
    }
}

/// A list of values.
pub(super) struct List<'a, T>(pub(super) &'a [T]);

impl<'a, T> Serialize for List<'a, T>
where
    Shown<'a, T>: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for item in self.0 {
            list.serialize_element(&Shown(item))?;
        }
        list.end()
    }
}

impl Serialize for Shown<'_, crate::TransferId> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self.0)
    }
}

impl Serialize for Shown<'_, CreateAccountResult> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("result", 2)?;
        out.serialize_field("status", self.0.status.as_str())?;
        out.serialize_field("timestamp", &Digits(self.0.timestamp))?;
        out.end()
    }
}

impl Serialize for Shown<'_, CreateTransferResult> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("result", 2)?;
        out.serialize_field("status", self.0.status.as_str())?;
        out.serialize_field("timestamp", &Digits(self.0.timestamp))?;
        out.end()
    }
}

impl Serialize for Shown<'_, Account> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(account) = self;
        let mut out = serializer.serialize_struct("account", 13)?;
        out.serialize_field("id", &Digits(account.id))?;
        out.serialize_field("debits_pending", &Digits(account.debits_pending))?;
        out.serialize_field("debits_posted", &Digits(account.debits_posted))?;
        out.serialize_field("credits_pending", &Digits(account.credits_pending))?;
        out.serialize_field("credits_posted", &Digits(account.credits_posted))?;
        out.serialize_field("user_data_128", &Digits(account.user_data_128))?;
        out.serialize_field("user_data_64", &Digits(account.user_data_64))?;
        out.serialize_field("user_data_32", &account.user_data_32)?;
        out.serialize_field("reserved", &account.reserved)?;
        out.serialize_field("ledger", &account.ledger)?;
        out.serialize_field("code", &account.code)?;
        let names = AccountFlags::NAMES.iter().filter(|(_, flag)| account.flags.contains(*flag));
        out.serialize_field("flags", &Names(names.map(|(name, _)| *name)))?;
        out.serialize_field("timestamp", &Digits(account.timestamp))?;
        out.end()
    }
}

impl Serialize for Shown<'_, Transfer> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(transfer) = self;
        let mut out = serializer.serialize_struct("transfer", 13)?;
        out.serialize_field("id", &Digits(transfer.id))?;
        out.serialize_field("debit_account_id", &Digits(transfer.debit_account_id))?;
        out.serialize_field("credit_account_id", &Digits(transfer.credit_account_id))?;
        out.serialize_field("amount", &Digits(transfer.amount))?;
        out.serialize_field("pending_id", &Digits(transfer.pending_id))?;
        out.serialize_field("user_data_128", &Digits(transfer.user_data_128))?;
        out.serialize_field("user_data_64", &Digits(transfer.user_data_64))?;
        out.serialize_field("user_data_32", &transfer.user_data_32)?;
        out.serialize_field("timeout", &transfer.timeout)?;
        out.serialize_field("ledger", &transfer.ledger)?;
        out.serialize_field("code", &transfer.code)?;
        let names = TransferFlags::NAMES.iter().filter(|(_, flag)| transfer.flags.contains(*flag));
        out.serialize_field("flags", &Names(names.map(|(name, _)| *name)))?;
        out.serialize_field("timestamp", &Digits(transfer.timestamp))?;
        out.end()
    }
}

impl Serialize for Shown<'_, AccountBalance> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(balance) = self;
        let mut out = serializer.serialize_struct("balance", 5)?;
        out.serialize_field("timestamp", &Digits(balance.timestamp))?;
        out.serialize_field("debits_pending", &Digits(balance.debits_pending))?;
        out.serialize_field("debits_posted", &Digits(balance.debits_posted))?;
        out.serialize_field("credits_pending", &Digits(balance.credits_pending))?;
        out.serialize_field("credits_posted", &Digits(balance.credits_posted))?;
        out.end()
    }
}

impl Serialize for Shown<'_, ChangeEvent> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(event) = self;
        let mut out = serializer.serialize_struct("event", 7)?;
        out.serialize_field("type", event.kind.as_str())?;
        out.serialize_field("transfer_id", &Digits(event.transfer.id))?;
        out.serialize_field("pending_id", &Digits(event.transfer.pending_id))?;
        out.serialize_field("amount", &Digits(event.transfer.amount))?;
        out.serialize_field("debit_account", &Shown(&event.debit_account))?;
        out.serialize_field("credit_account", &Shown(&event.credit_account))?;
        out.serialize_field("timestamp", &Digits(event.timestamp))?;
        out.end()
    }
}
