//! What a line asks for.

use super::json::{Complaint, Json, Object, complain};
use super::objects;
use crate::{
    Account, AccountFilter, AccountId, ChangeEventsFilter, QueryFilter, Timestamp, Transfer, TransferId,
};

/// One line, understood. A missing timestamp is `None`.
pub(super) enum Request {
    CreateAccounts(Option<Timestamp>, Vec<Account>),
    CreateTransfers(Option<Timestamp>, Vec<Transfer>),
    Expire(Option<Timestamp>),
    LookupAccounts(Vec<AccountId>),
    LookupTransfers(Vec<TransferId>),
    GetAccountTransfers(AccountFilter),
    GetAccountBalances(AccountFilter),
    QueryAccounts(QueryFilter),
    QueryTransfers(QueryFilter),
    GetChangeEvents(ChangeEventsFilter),
}

impl Request {
    pub(super) fn parse(line: &str) -> Result<Self, Complaint> {
        let json = Json::line(line)?;
        let mut fields = json.object()?;
        let op = fields.need("op", |value| Ok(value.text()?.into_owned()))?;
        let request = match op.as_str() {
            "create_accounts" => {
                let time = timestamp(&mut fields)?;
                Self::CreateAccounts(time, fields.need("events", |value| value.array(objects::account))?)
            }
            "create_transfers" => {
                let time = timestamp(&mut fields)?;
                Self::CreateTransfers(time, fields.need("events", |value| value.array(objects::transfer))?)
            }
            "expire" => Self::Expire(timestamp(&mut fields)?),
            "lookup_accounts" => Self::LookupAccounts(ids(&mut fields)?.into_iter().map(AccountId).collect()),
            "lookup_transfers" => {
                Self::LookupTransfers(ids(&mut fields)?.into_iter().map(TransferId).collect())
            }
            "get_account_transfers" => {
                Self::GetAccountTransfers(fields.need("filter", objects::account_filter)?)
            }
            "get_account_balances" => {
                Self::GetAccountBalances(fields.need("filter", objects::account_filter)?)
            }
            "query_accounts" => Self::QueryAccounts(fields.need("filter", objects::query_filter)?),
            "query_transfers" => Self::QueryTransfers(fields.need("filter", objects::query_filter)?),
            "get_change_events" => {
                Self::GetChangeEvents(fields.need("filter", objects::change_events_filter)?)
            }
            _ => return complain!("no op is called {}", super::json::shorten(&op)),
        };
        fields.finish()?;
        Ok(request)
    }
}

fn timestamp(fields: &mut Object<'_>) -> Result<Option<Timestamp>, Complaint> {
    Ok(fields.take("timestamp", |value| value.number())?.map(Timestamp))
}

fn ids(fields: &mut Object<'_>) -> Result<Vec<u128>, Complaint> {
    fields.need("ids", |value| value.array(|id| id.number()))
}
